//! Refusals that are not written one by one.

use alloc::collections::BTreeMap;

use fcp_proto_core::ids::PrincipalId;
use fcp_proto_core::object::AuditEventKind;
use fcp_proto_core::time::UnixTime;

use super::Node;
use super::ledger::Unit;
use super::lifecycle::owner_zone;
use crate::persist::Class;
use crate::trust::audit::Entry;

/// Refusals that are not written one by one.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    uncounted: u64,
    receipted: BTreeMap<PrincipalId, (UnixTime, u64)>,
}

impl Refusals {
    /// Counts one that is not written.
    pub(super) fn count(&mut self) {
        self.uncounted = self.uncounted.saturating_add(1);
    }

    /// Whether a refusal of this principal, of about `bytes`, is still written by itself.
    pub(super) fn admit(&mut self, principal: &PrincipalId, bytes: usize, now: UnixTime) -> bool {
        let (since, written) = self.receipted.entry(principal.clone()).or_insert((now, 0));
        if now.saturating_since(*since) >= REFUSAL_WINDOW_SECS {
            (*since, *written) = (now, 0);
        }
        *written = written.saturating_add(1 + bytes as u64 / REFUSAL_BYTES);
        *written <= MAX_REFUSALS
    }

    pub(super) fn take(&mut self) -> u64 {
        core::mem::take(&mut self.uncounted)
    }
}

impl Node {
    pub(super) fn tell_refusals(&mut self) {
        let count = self.refusals.take();
        if count > 0 && self.authority.owner().is_some() {
            let mut unit = Unit::new(Class::Normal);
            let entry = Entry::new(AuditEventKind::CallsRefused, self.node_id.as_str());
            unit.audit(&owner_zone(), entry.saying(alloc::format!("{count} refused without a receipt")));
            self.commit(unit);
        }
    }
}

/// Signed refusals of one principal in [`REFUSAL_WINDOW_SECS`]; the rest is counted. Chosen.
const MAX_REFUSALS: u64 = 100;
/// A refusal counts once more for each so many bytes of its input. Chosen.
const REFUSAL_BYTES: u64 = 32 * 1024;
/// See [`MAX_REFUSALS`].
const REFUSAL_WINDOW_SECS: u64 = 10;
