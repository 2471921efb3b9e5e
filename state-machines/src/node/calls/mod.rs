//! The life of one call, from decision to receipt.

mod admission;
mod approval;
pub(super) mod ending;
pub(super) mod probing;
mod refusal;
mod settlement;
mod unsettled;

pub(super) use probing::Doubt;
pub(super) use unsettled::{Unsettled, UnsettledCalls};

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fcp_proto_core::encoding::cbor::{self, ByteString};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, KeyId, ObjectId, PrincipalId, TokenId, ZoneId};
use fcp_proto_core::object::{CallOutcome, CallRecord, Effect, OperationIntent, SettledBy, TraceContext};
use fcp_proto_core::time::Instant;
use fcp_proto_core::zone::Label;

use super::ledger::Unstorable;
use super::word::Word;
use super::{Failure, RequestId};
use crate::call::gate::{Authorized, Facts};
use crate::call::idempotency::{IdempotencyKey, Scope};
use crate::call::rates;

/// A call that was admitted and has no durable receipt yet.
#[derive(Debug)]
pub(super) struct Call {
    request: RequestId,
    authorized: Authorized,
    /// The operator's word that it stands on, if it stands on no grant.
    word: Option<Word>,
    intent: ObjectId,
    token_id: TokenId,
    /// The keys that spoke for its principal when it was decided; they may be others by now.
    holder_keys: Vec<KeyId>,
    scope: Option<Scope>,
    reservation: Option<rates::Reservation>,
    keep: bool,
    timeout_ms: u64,
    /// The label of its output as declared when it was admitted.
    declared: Label,
    trace: Option<TraceContext>,
    began: Instant,
    cancelled: bool,
    dispatched: bool,
    /// How it ended, once it has, while its receipt is on its way to the disk.
    ended: Option<(CallOutcome, Effect)>,
}

impl Call {
    pub(super) fn principal(&self) -> &PrincipalId {
        self.authorized.principal()
    }

    pub(super) fn token_id(&self) -> &TokenId {
        &self.token_id
    }

    pub(super) fn holder_keys(&self) -> &[KeyId] {
        &self.holder_keys
    }

    pub(super) fn grants(&self) -> &BTreeSet<ObjectId> {
        self.authorized.grants()
    }

    pub(super) fn word(&self) -> Option<&Word> {
        self.word.as_ref()
    }

    pub(super) fn approvals(&self) -> &BTreeSet<ObjectId> {
        self.authorized.approvals()
    }

    pub(super) fn zone(&self) -> &ZoneId {
        self.authorized.zone()
    }

    /// Whether the connector has it.
    pub(super) fn is_dispatched(&self) -> bool {
        self.dispatched
    }

    pub(super) fn connector(&self) -> &ConnectorId {
        self.authorized.connector()
    }
}

/// What is said of an unknown outcome.
pub(super) struct Settling {
    pub intent: ObjectId,
    pub effect: Effect,
    pub settled_by: SettledBy,
    pub note: Option<String>,
    pub actor: String,
}

fn call_record(call_id: CallId, facts: &Facts, trace: Option<&TraceContext>) -> Option<CallRecord> {
    let input = facts.input.as_ref().ok()?;
    Some(CallRecord {
        call_id,
        principal: facts.principal.clone(),
        connector: facts.connector_id.clone(),
        operation: facts.operation_id.clone(),
        input: input.canonical.clone(),
        resources: input.resources.iter().map(|it| it.as_str().into()).collect::<BTreeSet<String>>(),
        credentials: input.credentials.clone(),
        idempotency_key: facts.key.as_ref().map(|key| key.text.clone()),
        call_digest: input.call_digest,
        trace: trace.cloned(),
    })
}

fn stored_demands(reservation: &rates::Reservation) -> Result<Vec<ByteString>, Unstorable> {
    reservation.demands().iter().map(|demand| Ok(ByteString(cbor::encode(demand)?))).collect()
}

/// The scope of an intent's key, if it has one.
pub(super) fn scope_of(intent: &OperationIntent, zone: &ZoneId) -> Option<Scope> {
    let key = IdempotencyKey::new(intent.idempotency_key.as_deref()?).ok()?;
    Some(Scope {
        principal: intent.principal.clone(),
        zone: zone.clone(),
        connector: intent.connector.clone(),
        operation: intent.operation.clone(),
        key,
    })
}

pub(super) fn unstorable(error: Unstorable) -> Failure {
    match error {
        Unstorable::NoZoneKey => Failure::new(Code::ZoneUnknown, "this node has no key for the zone"),
        Unstorable::Encoding(error) => Failure::new(Code::InputTooLarge, error.to_string()),
    }
}

fn internal(what: &str) -> Failure {
    Failure::new(Code::Internal, what)
}
