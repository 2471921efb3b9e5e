//! Whether there is room for another call: in this node, in pools and in budgets.
//!
//! Spec: `docs/spec/calls.md#bounds`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fcp_proto_core::ids::{ObjectId, PrincipalId};
use fcp_proto_core::time::{Now, UnixTime};

use super::Node;
use crate::call::gate::{Facts, RateFacts};
use crate::call::rates::{Caller, Exceeded, Fits, LimitId, PoolName, Usage, Why};

/// What bounds the calls of a node, as its owner sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Calls under way at one time. One principal has at most half of them, rounded up.
    pub calls: u64,
    /// The longest that one call may take, in seconds.
    pub call_secs: u64,
}

impl CallLimits {
    /// Calls of one principal under way at one time: half, so that one principal never keeps all others out.
    const fn of_principal(self) -> u64 {
        self.calls.div_ceil(2)
    }
}

impl Node {
    /// Bounds calls from now on; those under way go on.
    pub fn set_limits(&mut self, limits: CallLimits) {
        self.limits = limits;
    }

    /// Whether this node, the pools and the budgets have room for the call.
    //= docs/spec/gate.md#15-rates
    pub(super) fn rate_facts(&self, facts: &Facts, now: Now) -> (RateFacts, Option<Fits>) {
        let operation =
            self.catalog.get(&facts.connector_id).and_then(|it| it.manifest.operation(&facts.operation_id));
        let named = operation.map_or(&[][..], |operation| operation.rate_pools.as_slice());
        let pools: Vec<_> = named.iter().filter_map(|name| PoolName::new(name.as_str()).ok()).collect();
        // Without an input there is no call whose credentials could be counted.
        let credentials: Vec<_> = facts.input.iter().flat_map(|input| &input.credentials).cloned().collect();
        let grants: Vec<_> = facts.grants.keys().copied().collect();
        let caller = Caller {
            connector: &facts.connector_id,
            zone: &facts.zone_id,
            principal: &facts.principal,
            credentials: &credentials,
            grants: &grants,
        };
        if let Some(rule) = self.exhausted(&facts.principal, &grants) {
            return (RateFacts::Exhausted { rule }, None);
        }
        match self.rates.check(self.rates.demands(&pools, &caller, Usage::CALL), now) {
            Ok(fits) => (RateFacts::Room, Some(fits)),
            Err(exceeded) => (exceeded_facts(&exceeded), None),
        }
    }

    /// What this node has no room for, and what to do about it; none if the call fits.
    //= docs/spec/calls.md#bounds
    fn exhausted(&self, principal: &PrincipalId, grants: &[ObjectId]) -> Option<String> {
        let under_way = self.calls.len() as u64;
        if under_way >= self.limits.calls {
            return Some(format!(
                "{under_way} calls are under way, as many as `limits.calls` permits; wait for one to end"
            ));
        }
        let own = self.calls.values().filter(|call| call.principal() == principal).count();
        if own as u64 >= self.limits.of_principal() {
            return Some(format!(
                "{own} calls of {principal} are under way, half of `limits.calls`; wait for one to end"
            ));
        }
        // Every call under way may end unknown, so each has its place already.
        if self.unsettled.len() + self.calls.len() >= MAX_UNSETTLED {
            return Some(String::from(
                "too many calls have an unknown outcome; an operator must settle them: `fwc history --unknown` names them",
            ));
        }
        if self.unsettled.of(principal) + own >= MAX_UNSETTLED_OF_PRINCIPAL {
            return Some(format!(
                "too many calls of {principal} have an unknown outcome; an operator must settle them: `fwc history --unknown` names them"
            ));
        }
        let new = grants.iter().filter(|grant| !self.grant_use.contains_key(grant)).count();
        if self.grant_use.len() + new > MAX_GRANTS_USED {
            return Some(String::from(
                "too many grants that still live have been used; let some end, or grant fewer and wider",
            ));
        }
        None
    }

    /// Forgets what was called on grants that have ended, by time or with their role, and on words that stood for one: they
    /// never live again.
    pub(super) fn forget_ended_grants(&mut self, now: UnixTime) {
        let authority = &self.authority;
        self.grant_use.retain(|id, _| authority.grant_by_id(id).is_some_and(|it| now < it.grant.expires_at));
    }
}

fn exceeded_facts(exceeded: &Exceeded) -> RateFacts {
    let limit = exceeded.limit.to_string();
    match (&exceeded.limit, exceeded.why) {
        (_, Why::TooManyMeters) => {
            RateFacts::Exhausted { rule: format!("the {limit} has too many holders to count another") }
        }
        (LimitId::Pool { .. }, Why::UsedUp { .. } | Why::NeverFits | Why::Undefined) => RateFacts::Limited {
            pool: limit,
            retry_after_ms: exceeded
                .retry_after()
                .map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX)),
        },
        (LimitId::Budget { .. }, Why::UsedUp { .. } | Why::NeverFits | Why::Undefined) => {
            RateFacts::BudgetExceeded { budget: limit }
        }
    }
}

/// Calls whose outcome is unknown, at most. Chosen: under 32 MiB of memory, and far more than anybody settles by hand.
pub(super) const MAX_UNSETTLED: usize = 10_000;

/// Of these, calls of one principal. Chosen: a tenth, so that none can fill it for the others.
pub(super) const MAX_UNSETTLED_OF_PRINCIPAL: usize = 1_000;

/// Grants in force of which something was called, at most. Chosen: under 16 MiB of memory.
const MAX_GRANTS_USED: usize = 100_000;
