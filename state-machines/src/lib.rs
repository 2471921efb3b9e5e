//! All behaviour of FCP as pure state machines.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod call;
pub mod timer;
