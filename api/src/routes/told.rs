//! What each route leaves in the audit: no route without its word here, since the table of routes demands it.
//! Source: docs/spec/audit.md#routes.

use fcp_proto_core::object::AuditEventKind;

/// What a route leaves in the audit.
//= docs/spec/audit.md#routes
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: it reads.
    Nothing,
    /// Nothing: what it changes is in the daemon's memory alone, for whoever asked, and admits to nothing by itself.
    Unstored,
    /// Events, durable before the answer.
    Events {
        /// Whoever is answered finds at least one of these, and none of another kind.
        done: &'static [AuditEventKind],
        /// Whoever is refused finds none of another kind; where none is named, a refusal had no effect and is not told.
        refused: &'static [AuditEventKind],
    },
}

impl Told {
    /// A route that tells what it did, and whose refusals have no effect.
    pub(super) const fn done(kinds: &'static [AuditEventKind]) -> Self {
        Self::Events { done: kinds, refused: &[] }
    }

    /// A route that tells also what it refused.
    pub(super) const fn both(done: &'static [AuditEventKind], refused: &'static [AuditEventKind]) -> Self {
        Self::Events { done, refused }
    }

    /// The kinds that it may leave.
    pub fn kinds(self) -> impl Iterator<Item = AuditEventKind> {
        let (done, refused): (&[_], &[_]) = match self {
            Self::Nothing | Self::Unstored => (&[], &[]),
            Self::Events { done, refused } => (done, refused),
        };
        done.iter().chain(refused).copied()
    }
}
