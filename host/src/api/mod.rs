//! The HTTP API: every route of the contract's table, on a unix socket and by choice on loopback TCP.
//!
//! ```text
//! listen ─► connection (who is at the other end) ─► exchange: route, admission, caller, strict body ─► endpoint ─► answer
//! ```
//!
//! Each exchange runs in a task of its own: a defect in one ends that exchange, never the daemon, and a caller that goes
//! away does not take a call with it. Spec: `docs/spec/sessions.md`.

mod access;
mod agents;
mod answer;
mod approvals;
mod audit;
mod beforehand;
mod calls;
mod ceremony;
mod condition;
mod connection;
mod connectors;
mod context;
mod credentials;
mod denial;
mod exceptions;
mod exchange;
mod explain;
mod grant_requests;
mod grants;
mod heads;
mod history;
mod inputs;
mod install;
mod listen;
mod mount;
mod operators;
mod owner;
mod places;
mod reasons;
mod receipts;
mod renewal;
mod replays;
mod results;
mod revocations;
mod roles;
mod sessions;
mod settlements;
mod sign;
mod standing;
mod status;
mod taken;
#[cfg(test)]
mod tests;
mod tokens;
mod trace;
mod versions;
mod waiting;
mod watch;
mod withdrawn;
mod zones;

pub(crate) use audit::verify_chains;
pub use connection::serve;
pub use listen::{Listeners, admission, listen};
pub use mount::Table;
pub(crate) use standing::{revoked, unheld};
pub use versions::Versions;
