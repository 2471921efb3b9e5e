//! The audit chains: one per zone on this node, each event naming the one before.
//!
//! Events are appended to a batch together with what they tell of, and the node signs the head of every chain that the
//! batch touched. A chain moves only inside a batch, and a batch that fails seals the node, so what is in memory never
//! disagrees with what is durable. Spec: `docs/spec/audit.md`.

mod seal;
#[cfg(test)]
mod tests;
mod verify;

pub use seal::{Place, Seal};
pub use verify::{Fault, Finding, Known, Report, Verifier};

use alloc::collections::BTreeMap;
use alloc::string::String;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, NodeId, ObjectId, OperationId, TokenId, ZoneId};
use fcp_proto_core::object::{AuditEvent, AuditEventKind, AuditHead, TraceContext};
use fcp_proto_core::time::UnixTime;

/// What is to be told, before it has a place in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What happened.
    pub kind: AuditEventKind,
    /// Who caused it.
    pub actor: String,
    /// The connector concerned.
    pub connector: Option<ConnectorId>,
    /// The operation concerned.
    pub operation: Option<OperationId>,
    /// The call concerned.
    pub call_id: Option<CallId>,
    /// The token concerned.
    pub token_id: Option<TokenId>,
    /// The object that it made or concerns.
    pub subject: Option<ObjectId>,
    /// The failure, if it is one.
    pub code: Option<Code>,
    /// What else is to be known, without secrets.
    pub detail: Option<String>,
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
}

impl Entry {
    /// An entry that says what happened and who caused it, and nothing else yet.
    pub fn new(kind: AuditEventKind, actor: impl Into<String>) -> Self {
        Self {
            kind,
            actor: actor.into(),
            connector: None,
            operation: None,
            call_id: None,
            token_id: None,
            subject: None,
            code: None,
            detail: None,
            trace: None,
        }
    }

    /// The same entry about `subject`.
    #[must_use]
    pub fn about(mut self, subject: ObjectId) -> Self {
        self.subject = Some(subject);
        self
    }

    /// The same entry with `detail`.
    #[must_use]
    pub fn saying(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The last event.
    pub id: ObjectId,
    /// Its number.
    pub seq: u64,
}

/// The ends of all chains of this node.
#[derive(Clone, Debug)]
pub struct Chains {
    node_id: NodeId,
    tips: BTreeMap<ZoneId, Tip>,
}

impl Chains {
    /// No chain yet.
    pub fn new(node_id: NodeId) -> Self {
        Self { node_id, tips: BTreeMap::new() }
    }

    /// The end of the chain of `zone`, if it has begun.
    pub fn tip(&self, zone: &ZoneId) -> Option<Tip> {
        self.tips.get(zone).copied()
    }

    /// All chains.
    pub fn tips(&self) -> impl Iterator<Item = (&ZoneId, Tip)> {
        self.tips.iter().map(|(zone, tip)| (zone, *tip))
    }

    /// The event that tells `entry` at the end of the chain of `zone`; [`Chains::advance`] once it has its identity.
    //= docs/spec/audit.md#events
    pub fn event(&self, zone: &ZoneId, entry: Entry, now: UnixTime) -> AuditEvent {
        let tip = self.tip(zone);
        AuditEvent {
            seq: tip.map_or(0, |tip| tip.seq + 1),
            prev: tip.map(|tip| tip.id),
            node_id: self.node_id.clone(),
            kind: entry.kind,
            actor: entry.actor,
            connector: entry.connector,
            operation: entry.operation,
            call_id: entry.call_id,
            token_id: entry.token_id,
            subject: entry.subject,
            code: entry.code,
            detail: entry.detail,
            trace: entry.trace,
            occurred_at: now,
        }
    }

    /// Moves the end of the chain of `zone` to the event `id` with the number `seq`.
    pub fn advance(&mut self, zone: &ZoneId, id: ObjectId, seq: u64) {
        self.tips.insert(zone.clone(), Tip { id, seq });
    }

    /// The head of the chain of `zone`, to be signed.
    pub fn head(&self, zone: &ZoneId) -> Option<AuditHead> {
        self.tip(zone).map(|tip| AuditHead {
            node_id: self.node_id.clone(),
            head_event: tip.id,
            head_seq: tip.seq,
        })
    }
}
