//! Calls whose outcome is unknown, until someone settles them.

use alloc::collections::{BTreeMap, BTreeSet};

use fcp_proto_core::ids::{CallId, Digest, ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::time::Instant;

use crate::call::idempotency::Scope;

/// A call whose outcome is unknown, by its intent.
#[derive(Clone, Debug)]
pub(in crate::node) struct Unsettled {
    pub call_id: CallId,
    pub principal: PrincipalId,
    pub zone: ZoneId,
    pub scope: Option<Scope>,
    pub call_digest: Digest,
    pub grants: BTreeSet<ObjectId>,
    /// Since when nothing of it is under way here: its end, or the start of this run.
    pub since: Instant,
    /// Whether a settlement is on its way to the disk.
    pub settling: bool,
}

/// All calls whose outcome is unknown. None leaves but by being settled.
#[derive(Debug, Default)]
pub(in crate::node) struct UnsettledCalls {
    by_intent: BTreeMap<ObjectId, Unsettled>,
    of_principal: BTreeMap<PrincipalId, usize>,
}

impl UnsettledCalls {
    pub(in crate::node) fn insert(&mut self, intent: ObjectId, call: Unsettled) {
        let principal = call.principal.clone();
        if self.by_intent.insert(intent, call).is_none() {
            *self.of_principal.entry(principal).or_default() += 1;
        }
    }

    pub(in crate::node) fn remove(&mut self, intent: &ObjectId) -> Option<Unsettled> {
        let call = self.by_intent.remove(intent)?;
        if let Some(count) = self.of_principal.get_mut(&call.principal) {
            *count = count.saturating_sub(1);
        }
        self.of_principal.retain(|_, count| *count > 0);
        Some(call)
    }

    pub(in crate::node) fn get(&self, intent: &ObjectId) -> Option<&Unsettled> {
        self.by_intent.get(intent)
    }

    pub(in crate::node) fn get_mut(&mut self, intent: &ObjectId) -> Option<&mut Unsettled> {
        self.by_intent.get_mut(intent)
    }

    /// Their intents.
    pub(in crate::node) fn intents(&self) -> impl Iterator<Item = &ObjectId> {
        self.by_intent.keys()
    }

    pub(in crate::node) fn len(&self) -> usize {
        self.by_intent.len()
    }

    /// How many are of `principal`.
    pub(in crate::node) fn of(&self, principal: &PrincipalId) -> usize {
        self.of_principal.get(principal).copied().unwrap_or_default()
    }
}
