//! The egress policy: what may leave, where to, with which credential. Source: docs/spec/egress.md.
//!
//! ```text
//! URL ─parse─► Target ─OpenCall::admit─► Admitted ─pin(resolved)─► Pinned ─credential::decide─► Injectable
//!                          ▲                                          │
//!                          └────────── OpenCall::redirect ◄── 3xx ────┘
//! ```
//!
//! Each arrow is a pure function and the only constructor of what it yields, and the next step demands it: the
//! process that owns the sockets cannot resolve what was not admitted, connect to what was not pinned, or inject
//! what was not decided. Every refusal is a [`Refusal`] with a code and a sentence.

mod address;
pub mod credential;
mod decide;
pub mod explain;
pub mod headers;
mod host;
mod open;
mod refusal;
mod rule;
mod seal;
#[cfg(test)]
mod tests;
mod url;

pub use address::{AddressClass, Cidr, InvalidCidr, classify};
pub use decide::{Admitted, Carry, Pinned};
pub use host::{Host, HostPattern};
pub use open::{EgressHandle, OpenCall, OpenRefusal};
pub use refusal::Refusal;
pub use rule::{EgressException, EgressRule, Limits, Method, PathTemplate, TemplateError, Transport};
pub use seal::{Scope, Seals};
pub use url::{Origin, Scheme, Target};
