//! All behaviour of FCP as pure state machines.
//!
//! A wing imports only wings above it in this list:
//!
//! * [`trust`]: who may do what, what no longer holds, what happened;
//! * [`link`]: what two nodes have between them: handshake, session, streams;
//! * [`sync`]: what the nodes of a mesh keep for each other;
//! * [`replica`]: what connectors keep beyond their process;
//! * [`call`]: the gate, and the machines that the life of a call needs;
//! * [`node`]: the composition, and the one decider.
//!
//! [`timer`] and [`persist`] are the vocabulary that all of them share.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod call;
pub mod link;
pub mod node;
pub mod persist;
pub mod replica;
pub mod sync;
pub mod timer;
pub mod trust;
