//! What is stored, by what people ask for: small indexes in memory, built at the replay and kept by every batch that became
//! durable. Bodies stay in storage. The newest are kept, within bounds; what is older is in the journal.

mod absorb;
mod ring;
mod shares;
#[cfg(test)]
mod tests;

pub(crate) use ring::Ring;
pub(crate) use shares::Shares;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{
    CallId, ConnectorId, CredentialId, KeyId, ObjectId, OperationId, PrincipalId, ZoneId,
};
use fcp_proto_core::object::{
    AnyObject, ApprovalDecision, AuditEventKind, CallOutcome, Effect, StoredObject,
};
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::persist::Batch;

/// A call, from its intent or its refusal on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEntry {
    /// The call.
    pub call_id: CallId,
    /// Who made it.
    pub principal: PrincipalId,
    /// In which zone.
    pub zone: ZoneId,
    /// The connector.
    pub connector: ConnectorId,
    /// The operation.
    pub operation: OperationId,
    /// Its record with all arguments.
    pub record: Option<ObjectId>,
    /// Its intent, if it was admitted.
    pub intent: Option<ObjectId>,
    /// The refusal, if it was refused.
    pub refusal: Option<ObjectId>,
    /// Its receipt, once it ended.
    pub receipt: Option<ObjectId>,
    /// How it ended.
    pub outcome: Option<CallOutcome>,
    /// What it did outside.
    pub effect: Option<Effect>,
    /// Why it was refused or failed.
    pub code: Option<Code>,
    /// When it was admitted or refused.
    pub started_at: UnixTime,
    /// When it ended.
    pub ended_at: Option<UnixTime>,
}

/// An event of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventEntry {
    /// The record.
    pub id: ObjectId,
    /// What happened.
    pub kind: AuditEventKind,
    /// The call concerned.
    pub call_id: Option<CallId>,
    /// The object concerned.
    pub subject: Option<ObjectId>,
    /// Who caused it.
    pub actor: String,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsksFor {
    /// The approval of a call.
    Approval,
    /// A grant.
    Grant,
}

/// A request that a person decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalEntry {
    /// The request.
    pub id: ObjectId,
    /// What it asks for.
    pub asks_for: AsksFor,
    /// Who asks.
    pub principal: PrincipalId,
    /// In which zone.
    pub zone: ZoneId,
    /// Until when it can be decided.
    pub expires_at: UnixTime,
    /// How many requests of whoever asks waited when it was filed.
    pub turn: u64,
    /// The decision.
    pub decision: Option<DecisionEntry>,
    /// The intent that spent it.
    pub spent_by: Option<ObjectId>,
    /// The standing grant made with it.
    pub grant: Option<ObjectId>,
    /// Rises with every change of any request.
    pub changed: u64,
}

/// A decision over a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionEntry {
    /// The decision.
    pub id: ObjectId,
    /// What was decided.
    pub decision: ApprovalDecision,
    /// Until when it can be used.
    pub expires_at: UnixTime,
}

/// What is known of an object of authority beyond what the node keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// The record.
    pub id: ObjectId,
    /// When.
    pub at: UnixTime,
}

/// A principal's present context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextEntry {
    /// Its number.
    pub number: u64,
    /// Since when.
    pub opened_at: UnixTime,
    /// How many things joined it.
    pub entries: u64,
    /// The newest of them.
    pub causes: VecDeque<ObjectId>,
}

/// A link of the revocation chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationEntry {
    /// The revocation.
    pub id: ObjectId,
    /// Its number.
    pub seq: u64,
}

/// The signed end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadEntry {
    /// The last event.
    pub event: ObjectId,
    /// Its number.
    pub seq: u64,
    /// Who signed.
    pub signer: KeyId,
}

/// The indexes.
#[derive(Debug)]
pub struct Records {
    pub(crate) calls: Shares<CallEntry>,
    pub(crate) call_numbers: BTreeMap<CallId, u64>,
    pub(crate) receipts: Shares<(ObjectId, CallId)>,
    pub(crate) chains: BTreeMap<ZoneId, Ring<EventEntry>>,
    pub(crate) heads: BTreeMap<ZoneId, HeadEntry>,
    pub(crate) approvals: Shares<ApprovalEntry>,
    pub(crate) approval_numbers: BTreeMap<ObjectId, u64>,
    pub(crate) approval_changes: u64,
    /// Requests without a decision and until when each waits, by who asks.
    waiting: BTreeMap<PrincipalId, BTreeMap<ObjectId, UnixTime>>,
    pub(crate) decisions: BTreeMap<ObjectId, ObjectId>,
    pub(crate) revocations: Vec<RevocationEntry>,
    /// How many calls a revocation ended, by its number.
    pub(crate) calls_ended: BTreeMap<u64, u64>,
    pub(crate) enrolments: BTreeMap<PrincipalId, Made>,
    pub(crate) policies: BTreeMap<ZoneId, Made>,
    pub(crate) credentials: BTreeMap<CredentialId, Made>,
    /// When a service last answered a call well that used a credential of the present version.
    pub(crate) accepted: BTreeMap<CredentialId, UnixTime>,
    /// The record of a call that was taken last, whose intent follows it.
    asked_with: Option<(CallId, BTreeSet<CredentialId>)>,
    /// Calls under way that use credentials.
    using: BTreeMap<CallId, BTreeSet<CredentialId>>,
    /// The grants on which calls of a principal were decided.
    pub(crate) decided_on: BTreeMap<PrincipalId, BTreeSet<ObjectId>>,
    pub(crate) exceptions: BTreeMap<ObjectId, UnixTime>,
    pub(crate) contexts: BTreeMap<PrincipalId, ContextEntry>,
    pub(crate) grant_calls: BTreeMap<ObjectId, u64>,
    pub(crate) installs: BTreeMap<ConnectorId, Made>,
    pub(crate) version: tokio::sync::watch::Sender<u64>,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            calls: Shares::new(MAX_CALLS),
            call_numbers: BTreeMap::new(),
            receipts: Shares::new(2 * MAX_CALLS),
            chains: BTreeMap::new(),
            heads: BTreeMap::new(),
            approvals: Shares::new(MAX_APPROVALS),
            approval_numbers: BTreeMap::new(),
            approval_changes: 0,
            waiting: BTreeMap::new(),
            decisions: BTreeMap::new(),
            revocations: Vec::new(),
            calls_ended: BTreeMap::new(),
            enrolments: BTreeMap::new(),
            policies: BTreeMap::new(),
            credentials: BTreeMap::new(),
            accepted: BTreeMap::new(),
            asked_with: None,
            using: BTreeMap::new(),
            decided_on: BTreeMap::new(),
            exceptions: BTreeMap::new(),
            contexts: BTreeMap::new(),
            grant_calls: BTreeMap::new(),
            installs: BTreeMap::new(),
            version: tokio::sync::watch::Sender::new(0),
        }
    }
}

impl Records {
    /// One call.
    pub fn call(&self, id: &CallId) -> Option<&CallEntry> {
        self.calls.get(*self.call_numbers.get(id)?)
    }

    /// One request for approval.
    pub fn approval(&self, id: &ObjectId) -> Option<&ApprovalEntry> {
        self.approvals.get(*self.approval_numbers.get(id)?)
    }

    /// The events that concern a call or an object, oldest first, at most 100.
    pub fn events_about(&self, call: Option<&CallId>, subject: Option<&ObjectId>) -> Vec<ObjectId> {
        let concerns = |event: &&EventEntry| {
            (call.is_some() && event.call_id.as_ref() == call)
                || (subject.is_some() && event.subject.as_ref() == subject)
        };
        let all = self.chains.values().flat_map(|chain| chain.from(0).map(|(_, event)| event));
        all.filter(concerns).take(MAX_SHOWN_EVENTS).map(|event| event.id).collect()
    }
}

/// The objects of a batch, read. An object that cannot be read was made by this release and is a defect; it is logged, and
/// only its listing is missing.
pub(crate) fn read_batch(batch: &Batch) -> Vec<(ObjectId, AnyObject)> {
    let read = |record: &fcp_state_machines::persist::Record| {
        let opened = StoredObject::from_bytes(&record.bytes).and_then(|stored| AnyObject::open(&stored));
        match opened {
            Ok(object) => Some((record.id, object)),
            Err(error) => {
                tracing::error!(id = %record.id, %error, "a record was stored and cannot be listed");
                None
            }
        }
    };
    batch.records.iter().filter_map(read).collect()
}

/// Most calls in memory. Chosen: weeks of an agent's work in some 25 MiB.
const MAX_CALLS: usize = 50_000;

/// Most events of a chain in memory. Chosen: the events of as many calls, in some 40 MiB.
const MAX_EVENTS: usize = 200_000;

/// Most requests for approval in memory. Chosen: far more than a person decides in a year.
const MAX_APPROVALS: usize = 10_000;

/// Most events that an explanation shows.
const MAX_SHOWN_EVENTS: usize = 100;

/// Most causes that a context shows.
const MAX_CAUSES: usize = 100;
