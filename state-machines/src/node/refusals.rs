//! Refusals that are not written one by one.

use alloc::collections::BTreeMap;

use fcp_proto_core::ids::PrincipalId;
use fcp_proto_core::object::AuditEventKind;
use fcp_proto_core::time::UnixTime;

use super::Node;
use super::counted::{Counted, DAY_SECS};
use super::ledger::Unit;
use super::lifecycle::owner_zone;
use crate::persist::Class;
use crate::trust::audit::Entry;

/// Refusals that are not written one by one.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    uncounted: u64,
    receipted: BTreeMap<PrincipalId, Written>,
}

/// How many refusals of one principal were written, in the present window and in the present day.
#[derive(Clone, Copy, Debug)]
struct Written {
    in_window: Counted,
    in_day: Counted,
}

impl Refusals {
    /// Counts one that is not written.
    pub(super) fn count(&mut self) {
        self.uncounted = self.uncounted.saturating_add(1);
    }

    /// Whether a refusal of this principal is still written by itself.
    //= docs/spec/calls.md#bounds
    pub(super) fn admit(&mut self, principal: &PrincipalId, now: UnixTime) -> bool {
        let none = Counted::since(now);
        let first = Written { in_window: none, in_day: none };
        let written = self.receipted.entry(principal.clone()).or_insert(first);
        written.in_window.admit(1, MAX_REFUSALS, REFUSAL_WINDOW_SECS, now)
            && written.in_day.admit(1, MAX_REFUSALS_A_DAY, DAY_SECS, now)
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
/// See [`MAX_REFUSALS`].
const REFUSAL_WINDOW_SECS: u64 = 10;
/// Signed refusals of one principal in [`DAY_SECS`]. Chosen: more than anybody reads, and at most 16 MiB.
const MAX_REFUSALS_A_DAY: u64 = 2_000;
