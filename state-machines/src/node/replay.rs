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
use fcp_proto_core::ids::{ObjectId, ZoneId};
use fcp_proto_core::manifest::{RateAlgorithm, RateScope};
use fcp_proto_core::object::{
    AnyObject, CallOutcome, Effect, Object, OperationIntent, OperationReceipt, Signed, StoredObject,
    ZonePolicy,
};
use fcp_proto_core::time::Now;

use super::calls::{Unsettled, scope_of};
use super::{Installed, Node, admit};
use crate::call::rates::{Algorithm, Demand, Enforcement, Holder, Limit, LimitId, PoolName, Scope, Unit};

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
        let object = AnyObject::open(&stored).map_err(unreadable)?;
        self.latest = self.latest.max(object.header().created_at);
        self.check_force(id, &object)?;
        self.take(id, &object, now)
    }

    fn check_force(&self, id: ObjectId, object: &AnyObject) -> Result<(), ReplayError> {
        let of_node = matches!(
            object,
            AnyObject::OperationIntent(_)
                | AnyObject::OperationReceipt(_)
                | AnyObject::DecisionReceipt(_)
                | AnyObject::AuditHead(_)
                | AnyObject::ApprovalRequest(_)
                | AnyObject::RevocationEvent(_)
                | AnyObject::RevocationHead(_)
                | AnyObject::Settlement(_)
        );
        if of_node {
            return Ok(());
        }
        admit::authorize(object, &self.authority, &self.revocations)
            .map_err(|failure| ReplayError::Unauthorized { id, code: failure.code, message: failure.message })
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "everything else is replayed as it was applied")]
    fn take(&mut self, id: ObjectId, object: &AnyObject, now: Now) -> Result<(), ReplayError> {
        match object {
            AnyObject::Revocation(it) => self.revocations.apply(id, &it.body.fields),
            AnyObject::RevocationEvent(it) => {
                let link = self.revocations.apply_event(id, &it.body.fields);
                link.map_err(|_| ReplayError::BrokenChain { id })?;
            }
            AnyObject::RevocationHead(it) => self.revocations.apply_head(&it.body.fields),
            AnyObject::AuditEvent(it) => {
                let (zone, event) = (&it.header.zone_id, &it.body);
                let tip = self.ledger.chains().tip(zone);
                if event.prev != tip.map(|tip| tip.id) {
                    return Err(ReplayError::BrokenChain { id });
                }
                self.ledger.chains_mut().advance(zone, id, event.seq);
            }
            AnyObject::OperationIntent(it) => self.take_intent(id, it, now),
            AnyObject::OperationReceipt(it) => self.take_receipt(id, it, now),
            AnyObject::Settlement(it) => {
                self.apply_settlement(it.body.fields.intent, id, it.body.fields.effect, now);
            }
            other => self.apply(id, other, now),
        }
        self.outputs.clear();
        Ok(())
    }

    fn take_intent(&mut self, id: ObjectId, object: &Object<Signed<OperationIntent>>, now: Now) {
        let (zone, intent) = (&object.header.zone_id, &object.body.fields);
        for approval in &intent.approvals {
            self.approvals.spend(approval, id);
        }
        for grant in &intent.grants {
            self.grant_use.entry(*grant).or_default().calls += 1;
        }
        // What it drew counts until its window has passed; limits that no longer exist count nothing.
        let _counted = self.rates.replay(&demands(intent), None, intent.planned_at, now);
        let scope = scope_of(intent, zone);
        if let Some(scope) = &scope {
            self.keys_used.replay_intent(scope.clone(), id, intent.call_digest);
        }
        let unsettled = Unsettled {
            call_id: intent.call_id,
            zone: zone.clone(),
            scope,
            call_digest: intent.call_digest,
            grants: intent.grants.clone(),
        };
        self.unsettled.insert(id, unsettled);
    }

    fn take_receipt(&mut self, id: ObjectId, object: &Object<Signed<OperationReceipt>>, _now: Now) {
        let receipt = &object.body.fields;
        if receipt.outcome == CallOutcome::Unknown || receipt.effect == Effect::Unknown {
            return;
        }
        let Some(call) = self.unsettled.remove(&receipt.intent) else { return };
        let undelivered = receipt.outcome == CallOutcome::Failed && receipt.effect == Effect::None;
        if undelivered && receipt.usage.requests == 0 && receipt.error.is_some_and(is_undelivered) {
            self.approvals.refund(&receipt.intent);
            for grant in &call.grants {
                if let Some(used) = self.grant_use.get_mut(grant) {
                    used.calls = used.calls.saturating_sub(1);
                }
            }
        }
        for grant in &call.grants {
            self.grant_use.entry(*grant).or_default().bytes +=
                receipt.usage.bytes_sent + receipt.usage.bytes_received;
        }
        let Some(scope) = &call.scope else { return };
        if undelivered {
            self.failed |= self.keys_used.replay_release(scope, receipt.intent).is_err();
        } else {
            self.keys_used.replay_receipt(scope, id, call.call_digest, receipt.executed_at);
        }
    }

    /// Defines the pools that a manifest declares.
    pub(super) fn define_pools(&mut self, installed: &Installed, now: Now) {
        self.rates.remove_connector(&installed.install.connector);
        for pool in &installed.manifest.rate_limits.pools {
            let Ok(name) = PoolName::new(pool.id.as_str()) else { continue };
            let window = core::time::Duration::from_millis(pool.window_ms.into());
            let (amount, burst) = (u64::from(pool.requests), u64::from(pool.burst.unwrap_or(pool.requests)));
            let limit = Limit {
                id: LimitId::Pool { connector: installed.install.connector.clone(), pool: name },
                unit: Unit::Requests,
                scope: match pool.scope {
                    RateScope::Connector => Scope::Instance,
                    RateScope::Credential => Scope::Credential,
                    RateScope::Principal => Scope::Principal,
                },
                enforcement: Enforcement::Hard,
                algorithm: match pool.algorithm {
                    RateAlgorithm::TokenBucket => {
                        Algorithm::TokenBucket { capacity: burst, refill: amount, every: window }
                    }
                    RateAlgorithm::SlidingWindow => Algorithm::SlidingWindow { limit: amount, window },
                    RateAlgorithm::LeakyBucket => {
                        Algorithm::LeakyBucket { capacity: burst, leak: amount, every: window }
                    }
                },
            };
            // A pool that cannot be defined is refused when the manifest is read; here it can only have been defined.
            self.failed |= self.rates.set_limit(limit, now).is_err();
        }
    }

    /// Defines the budgets of a zone's policy.
    pub(super) fn define_budgets(&mut self, zone: &ZoneId, policy: &ZonePolicy, now: Now) {
        let old: Vec<_> =
            self.rates.limits().map(|limit| limit.id.clone()).filter(|id| is_of(id, zone)).collect();
        for id in old {
            self.rates.remove_limit(&id);
        }
        for budget in &policy.budgets {
            let Ok(unit) = budget.unit.parse() else { continue };
            let limit = Limit::budget(Holder::Zone(zone.clone()), unit, budget.amount, budget.period_secs);
            self.failed |= self.rates.set_limit(limit, now).is_err();
        }
    }
}

fn is_of(id: &LimitId, zone: &ZoneId) -> bool {
    matches!(id, LimitId::Budget { holder: Holder::Zone(holder), .. } if holder == zone)
}

/// Codes of calls that never reached their connector.
fn is_undelivered(code: Code) -> bool {
    code != Code::ConnectorFailed
}

fn demands(intent: &OperationIntent) -> Vec<Demand> {
    let read = |bytes: &cbor::ByteString| Demand::from_cbor(cbor::decode(&bytes.0).ok()?).ok();
    intent.reservations.iter().filter_map(read).collect()
}
