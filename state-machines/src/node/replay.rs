//! Rebuilds a node from what its journal holds.
//!
//! Every record is read in order. What grants authority is believed only if its signature says so; the node's own records
//! rest on the journal's checksums here, and on `audit verify` when someone asks. A call with an intent and no receipt is
//! unknown.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::encoding::cbor::{self, FromCbor, ShapeError};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, ObjectId, ZoneId};
use fcp_proto_core::limits::TOKEN_SKEW_SECS;
use fcp_proto_core::object::{
    AnyObject, CallOutcome, Effect, Object, OperationIntent, OperationReceipt, Signed, StoredObject,
    ZonePolicy,
};
use fcp_proto_core::time::{Now, UnixTime};

use super::calls::ending::rate_usage;
use super::calls::{Unsettled, scope_of};
use super::{Installed, Node, authorize};
use crate::call::rates::{Demand, Holder, Limit, LimitId, Usage};

/// Why a record of the journal cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// It is no object that this release reads.
    Unreadable {
        /// The record.
        id: ObjectId,
        /// Why.
        why: ShapeError,
    },
    /// Its signature gives it no force.
    Unauthorized {
        /// The record.
        id: ObjectId,
        /// Why.
        code: Code,
        /// In words.
        message: String,
    },
    /// Its name is not that of its content under the key of its zone.
    Altered {
        /// The record.
        id: ObjectId,
    },
    /// It is one of a zone whose key is not there, so nothing can be said of it.
    NoKey {
        /// The record.
        id: ObjectId,
        /// Its zone.
        zone: ZoneId,
        /// Which of the zone's keys; absent for its first.
        key: Option<KeyId>,
    },
    /// It does not continue its chain.
    BrokenChain {
        /// The record.
        id: ObjectId,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { id, why } => write!(f, "the record {id} cannot be read: {why}"),
            Self::Unauthorized { id, message, .. } => write!(f, "the record {id} has no force: {message}"),
            Self::Altered { id } => write!(f, "the record {id} is not what its name says"),
            Self::NoKey { id, zone, .. } => {
                write!(f, "the record {id} is one of {zone}, whose key is missing")
            }
            Self::BrokenChain { id } => write!(f, "the record {id} does not continue its chain"),
        }
    }
}

impl core::error::Error for ReplayError {}

impl Node {
    /// Takes the next record of the journal.
    ///
    /// # Errors
    /// Why it cannot be taken; the node must not serve then.
    pub fn replay(&mut self, id: ObjectId, bytes: &[u8], now: Now) -> Result<(), ReplayError> {
        let unreadable = |why| ReplayError::Unreadable { id, why };
        let stored = StoredObject::from_bytes(bytes).map_err(unreadable)?;
        // The zone's key is secret: nobody without it can make a record that bears its own name.
        let zone = &stored.header.zone_id;
        let missing = || ReplayError::NoKey { id, zone: zone.clone(), key: None };
        let keys = self.keys.zones.get(zone).ok_or_else(missing)?;
        if !keys.is_named(&stored, &id) {
            return Err(ReplayError::Altered { id });
        }
        let object = AnyObject::open(&stored).map_err(unreadable)?;
        self.check_force(id, &object, now)?;
        self.take(id, &object, now)
    }

    //= docs/spec/authority.md#replay-at-a-start
    fn check_force(&mut self, id: ObjectId, object: &AnyObject, now: Now) -> Result<(), ReplayError> {
        let of_node = matches!(
            object,
            AnyObject::OperationIntent(_)
                | AnyObject::OperationReceipt(_)
                | AnyObject::DecisionReceipt(_)
                | AnyObject::AuditHead(_)
                | AnyObject::ApprovalRequest(_)
                | AnyObject::GrantRequest(_)
                | AnyObject::RevocationEvent(_)
                | AnyObject::RevocationHead(_)
                | AnyObject::Settlement(_)
                | AnyObject::CallRecord(_)
                | AnyObject::AuditEvent(_)
                | AnyObject::ContextOpened(_)
                | AnyObject::ContextEntry(_)
                | AnyObject::KeptResult(_)
        );
        if of_node {
            return Ok(());
        }
        authorize::authorize(object, &self.authority, &self.revocations, None).map_err(|failure| {
            ReplayError::Unauthorized { id, code: failure.code, message: failure.message }
        })?;
        if now.unix <= object.header().created_at.saturating_add(TOKEN_SKEW_SECS) {
            self.remember_taken(id, object);
        }
        Ok(())
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "everything else is replayed as it was applied")]
    fn take(&mut self, id: ObjectId, object: &AnyObject, now: Now) -> Result<(), ReplayError> {
        match object {
            AnyObject::Revocation(it) => self.revocations.apply(id, &it.body.fields),
            AnyObject::RevocationEvent(it) if !self.revocations.knows(&it.body.fields.revocation) => {
                return Err(ReplayError::BrokenChain { id });
            }
            AnyObject::RevocationEvent(it) => {
                let link = self.revocations.apply_event(id, &it.body.fields);
                link.map_err(|_| ReplayError::BrokenChain { id })?;
            }
            AnyObject::RevocationHead(it) => self.revocations.apply_head(&it.body.fields),
            AnyObject::ZoneDefinition(it) => {
                self.check_zone_key_replayed(id, &it.header.zone_id, &it.body.fields)?;
                self.apply(id, object, now);
            }
            AnyObject::AuditEvent(it) => {
                let (zone, event) = (&it.header.zone_id, &it.body);
                // Every batch has one, at the node's own time; what comes from outside says a time of its own.
                self.clock.replay(it.header.created_at);
                let tip = self.ledger.chains().tip(zone);
                if event.prev != tip.map(|tip| tip.id) {
                    return Err(ReplayError::BrokenChain { id });
                }
                self.ledger.chains_mut().advance(zone, id, event.seq);
            }
            AnyObject::AuditHead(it) => {
                self.sealed_by.insert(it.header.zone_id.clone(), it.body.signer);
            }
            AnyObject::OperationIntent(it) => self.take_intent(id, it, now)?,
            AnyObject::OperationReceipt(it) => self.take_receipt(id, it),
            AnyObject::Settlement(it) => {
                let settled = Now { unix: it.body.fields.settled_at, ..now };
                self.apply_settlement(it.body.fields.intent, id, it.body.fields.effect, settled);
            }
            other => self.apply(id, other, now),
        }
        self.outputs.clear();
        Ok(())
    }

    //= docs/spec/calls.md#unknown-outcomes
    //= docs/spec/rates.md#replay
    fn take_intent(
        &mut self,
        id: ObjectId,
        object: &Object<Signed<OperationIntent>>,
        now: Now,
    ) -> Result<(), ReplayError> {
        let (zone, intent) = (&object.header.zone_id, &object.body.fields);
        // A reservation that was left out would give back what the call has drawn.
        let demands = demands(intent).map_err(|why| ReplayError::Unreadable { id, why })?;
        for approval in &intent.approvals {
            self.approvals.spend(approval, id);
        }
        for grant in &intent.grants {
            self.grant_use.entry(*grant).or_default().add_call();
        }
        let drawn = Drawn { intent: id, demands, at: intent.planned_at, used: Used::Reserved };
        self.replaying.push_back(drawn);
        self.draw_replayed(MAX_REPLAYING, now);
        let scope = scope_of(intent, zone);
        if let Some(scope) = &scope {
            self.keys_used.replay_intent(scope.clone(), id, intent.call_digest);
        }
        let unsettled = Unsettled {
            call_id: intent.call_id,
            principal: intent.principal.clone(),
            zone: zone.clone(),
            scope,
            call_digest: intent.call_digest,
            grants: intent.grants.clone(),
            since: now.mono,
            settling: false,
        };
        self.unsettled.insert(id, unsettled);
        Ok(())
    }

    fn take_receipt(&mut self, id: ObjectId, object: &Object<Signed<OperationReceipt>>) {
        let receipt = &object.body.fields;
        let Some(call) = self.unsettled.get(&receipt.intent).cloned() else { return };
        if let Some(drawn) = self.replaying.iter_mut().rfind(|drawn| drawn.intent == receipt.intent) {
            drawn.used =
                if receipt.delivered { Used::Measured(rate_usage(&receipt.usage)) } else { Used::Nothing };
        }
        if !receipt.delivered {
            self.approvals.refund(&receipt.intent);
        }
        for grant in &call.grants {
            let used = self.grant_use.entry(*grant).or_default();
            used.calls = used.calls.saturating_sub(u64::from(!receipt.delivered));
            used.add_bytes(&receipt.usage);
        }
        if receipt.effect == Effect::Unknown {
            return;
        }
        self.unsettled.remove(&receipt.intent);
        let Some(scope) = &call.scope else { return };
        if receipt.outcome == CallOutcome::Failed && receipt.effect == Effect::None {
            self.failed |= self.keys_used.replay_release(scope, receipt.intent).is_err();
        } else {
            self.keys_used.replay_receipt(scope, id, call.call_digest, receipt.executed_at);
        }
    }

    /// Draws what replayed calls used, oldest first, until `left` of them wait for their receipts. It counts until its
    /// window has passed; on limits that no longer exist it counts nothing.
    pub(super) fn draw_replayed(&mut self, left: usize, now: Now) {
        while self.replaying.len() > left
            || self.replaying.front().is_some_and(|drawn| drawn.used != Used::Reserved)
        {
            let Some(drawn) = self.replaying.pop_front() else { return };
            let usage = match drawn.used {
                Used::Nothing => continue,
                Used::Reserved => None,
                Used::Measured(usage) => Some(usage),
            };
            let _counted = self.rates.replay(&drawn.demands, usage, drawn.at, now);
        }
    }

    /// Defines the pools that a manifest declares; what is used of one that stays is used.
    pub(super) fn define_pools(&mut self, installed: &Installed, now: Now) {
        let connector = &installed.install.connector;
        let limits: Vec<_> = installed
            .manifest
            .rate_limits
            .pools
            .iter()
            .map(|pool| Limit::declared(connector, pool))
            .collect();
        // Admission checked this; a pool that is not counted would leave calls unlimited.
        self.failed |= limits.iter().any(Result::is_err);
        let of_connector =
            |id: &LimitId| matches!(id, LimitId::Pool { connector: of, .. } if of == connector);
        self.define(limits.into_iter().flatten().collect(), of_connector, now);
    }

    /// Defines `limits` in place of all those that are `replaced`.
    fn define(&mut self, limits: Vec<Limit>, replaced: impl Fn(&LimitId) -> bool, now: Now) {
        let old: Vec<_> =
            self.rates.limits().map(|limit| limit.id.clone()).filter(|id| replaced(id)).collect();
        for id in old.iter().filter(|id| limits.iter().all(|limit| limit.id != **id)) {
            self.rates.remove_limit(id);
        }
        for limit in limits {
            self.failed |= self.rates.set_limit(limit, now).is_err();
        }
    }

    /// Defines the budgets of a zone's policy; what is used of one that stays is used.
    pub(super) fn define_budgets(&mut self, zone: &ZoneId, policy: &ZonePolicy, now: Now) {
        let mut limits = Vec::new();
        for budget in &policy.budgets {
            // Admission checked this; a budget that is not counted would bound nothing.
            let Ok(unit) = budget.unit.parse() else {
                self.failed = true;
                continue;
            };
            limits.push(Limit::budget(Holder::Zone(zone.clone()), unit, budget.amount, budget.period_secs));
        }
        self.define(limits, |id| is_of(id, zone), now);
    }
}

fn is_of(id: &LimitId, zone: &ZoneId) -> bool {
    matches!(id, LimitId::Budget { holder: Holder::Zone(holder), .. } if holder == zone)
}

/// What a replayed call drew from pools and budgets, until its receipt says what it used.
#[derive(Debug)]
pub(super) struct Drawn {
    intent: ObjectId,
    demands: Vec<Demand>,
    at: UnixTime,
    used: Used,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Used {
    /// What it reserved, as far as is known.
    Reserved,
    /// What its receipt says.
    Measured(Usage),
    /// Nothing: it was not delivered.
    Nothing,
}

/// Replayed calls that wait for their receipts, at most. Chosen: far above the calls under way at one time.
const MAX_REPLAYING: usize = 4_096;

fn demands(intent: &OperationIntent) -> Result<Vec<Demand>, ShapeError> {
    intent.reservations.iter().map(|bytes| Demand::from_cbor(cbor::decode(&bytes.0)?)).collect()
}
