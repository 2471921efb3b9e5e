//! What the daemon and the launcher say to each other: the order (what to start, inside which walls), the report
//! (how each property of the sandbox is met) and the ending.
//!
//! The launcher itself is the binary of this crate. It and the daemon share one `SOCK_SEQPACKET` socket, the
//! launcher's standard input. The first packet is an [`Order`] and carries the descriptors the connector gets, so that
//! nothing has to be inherited by number and no descriptor of the daemon is ever open to a process it was not meant
//! for. The answers are one [`Message`] a packet. When the daemon closes or shuts its end, or dies, everything in the
//! sandbox ends: the socket is the lifeline too.
#![forbid(unsafe_code)]

mod message;
mod report;
mod spec;

pub use message::{Ending, MAX_PACKET, Message, ORDER_VERSION, Order, Refusal, Step};
pub use report::{Assessment, Mechanism, Property, PropertyReport, Standing, assess};
pub use spec::{CpuLimit, Device, Limits, Profile, SandboxSpec, SpecError};
