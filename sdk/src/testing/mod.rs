//! Drives a connector without a host, and plays its service.
//!
//! [`Host`] speaks the connector protocol, either to a connector on a thread of this process or to a real one.
//! [`Double`] is the service (and egress in front of it): it checks every request against a script and answers from it.
//! [`run_cases`] does both for a `cases.toml`, and [`run_program_cases`] with a built connector.

mod cases;
mod double;
mod host;

pub use cases::{CaseFailure, run_cases, run_program_cases};
pub use double::{Double, Exchange, Mismatch};
pub use host::{Host, Invocation, Reply, Started};
