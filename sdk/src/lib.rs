//! What the author of an FCP connector depends on.
//!
//! A connector is a process without network and without secrets. It reads calls from its standard input, answers on
//! its standard output, and reaches its service through [`Call::send`], which goes to the egress proxy: that one checks
//! the request against the manifest, adds the credential and makes the connection. Implement [`Connector`] (or
//! [`BlockingConnector`]), and call [`run`] in `main`. `examples/greeter.rs` is a complete connector;
//! [`testing`] drives one without a host and plays its service.
//!
//! Spec: `docs/spec/stdio.md`.
#![deny(missing_docs)]

mod blocking;
mod call;
mod connector;
mod descriptor;
mod egress;
mod error;
mod protocol;
pub mod retry;
mod serve;
pub mod testing;

pub use blocking::{Blocking, BlockingConnector};
pub use call::{Call, CancelToken, Outcome, Progress, Usage};
pub use connector::{Connector, Health, HealthStatus, Setup};
pub use egress::{Egress, Response};
pub use error::Error;
pub use fcp_proto_core as core;
pub use serve::{ServeError, run, serve};
