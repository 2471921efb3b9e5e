//! Requests that wait for a person: how many, and whether whoever asked is still who asked.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, ObjectId, PrincipalId};
use fcp_proto_core::object::RevocationScope;
use fcp_proto_core::time::UnixTime;

use super::counted::{Counted, DAY_SECS};
use super::ledger::Unit;
use super::{Failure, Node, Then};

/// What each principal has filed in the present day.
#[derive(Debug, Default)]
pub(super) struct Filings(BTreeMap<PrincipalId, Filing>);

/// How many requests of one principal were filed in the present day, and how many bytes they have.
#[derive(Clone, Copy, Debug)]
struct Filing {
    requests: Counted,
    bytes: Counted,
}

impl Filings {
    /// Counts a request of `principal` that is about to be written, or refuses it. One that ends at once gives its place to
    /// the next, so that the number of those that wait bounds no disk.
    //= docs/spec/calls.md#bounds
    pub(super) fn admit(
        &mut self,
        principal: &PrincipalId,
        unit: &Unit<Then>,
        now: UnixTime,
    ) -> Result<(), Failure> {
        let none = Counted::since(now);
        let first = Filing { requests: none, bytes: none };
        let filed = self.0.entry(principal.clone()).or_insert(first);
        if filed.requests.admit(1, MAX_REQUESTS_A_DAY, DAY_SECS, now)
            && filed.bytes.admit(unit.bytes(), MAX_REQUEST_BYTES_A_DAY, DAY_SECS, now)
        {
            return Ok(());
        }
        let rule = format!("{principal} has filed as many requests, or as long ones, as one may in a day");
        Err(Failure::new(Code::Exhausted, rule))
    }
}

impl Node {
    /// Why nobody approves any more what was asked for by a request, if that is so: whoever asked has not the key that it
    /// asked with, or that is revoked.
    //= docs/spec/calls.md#void-requests
    pub fn why_void(&self, request: &ObjectId, now: UnixTime) -> Option<String> {
        let of_call = self.approvals.request(request).map(|it| (&it.principal, it.asked_with));
        let of_grant = || self.grant_requests.get(request).map(|it| (&it.request.principal, it.asked_with));
        let (principal, key) = of_call.or_else(of_grant)?;
        self.why_not_asked(principal, key, now)
    }

    /// The requests without a decision that nobody approves any more.
    pub fn void_requests(&self, now: UnixTime) -> BTreeSet<ObjectId> {
        let of_calls = self.approvals.requests().filter(|(_, it)| it.decision.is_none());
        let of_calls = of_calls.map(|(id, it)| (id, &it.principal, it.asked_with));
        let of_grants = self.grant_requests.iter().filter(|(_, it)| it.decision.is_none());
        let of_grants = of_grants.map(|(id, it)| (id, &it.request.principal, it.asked_with));
        let void = |(id, principal, key): (&ObjectId, &PrincipalId, Option<KeyId>)| {
            self.why_not_asked(principal, key, now).map(|_| *id)
        };
        of_calls.chain(of_grants).filter_map(void).collect()
    }

    fn why_not_asked(&self, principal: &PrincipalId, key: Option<KeyId>, now: UnixTime) -> Option<String> {
        let present = self.authority.principal(principal).map(|known| known.key_id);
        let Some(key) = key.filter(|key| Some(*key) == present) else {
            return Some(format!("{principal} asked with another key than the one that it has"));
        };
        let (scope, target) = (RevocationScope::IssuerKey, key.as_bytes());
        let since = self.revocations.since(scope, target, now)?;
        Some(format!("{principal} asked with a key that is revoked in the scope {scope} since {since}"))
    }

    /// Refuses another request of a principal that has as many as may wait.
    //= docs/spec/calls.md#bounds
    pub(super) fn check_waiting(&self, principal: &PrincipalId) -> Result<(), Failure> {
        let key = self.authority.principal(principal).map(|known| known.key_id);
        let waiting =
            self.approvals.waiting_of(principal, key) + self.grant_requests.waiting_of(principal, key);
        if waiting < MAX_WAITING {
            return Ok(());
        }
        let rule = format!(
            "{waiting} requests of {principal} wait for a decision, as many as may; `fwc approvals list` shows them, and a person decides them"
        );
        Err(Failure::new(Code::Exhausted, rule))
    }
}

/// Requests of one principal, for approvals and for grants together, that may wait for a decision. Chosen: more than a
/// person reads.
const MAX_WAITING: usize = 100;

/// Requests of one principal in [`DAY_SECS`]. Chosen: ten times as many as may wait.
const MAX_REQUESTS_A_DAY: u64 = 1_000;

/// Bytes of what these leave on the disk in [`DAY_SECS`]. Chosen: several of the largest.
const MAX_REQUEST_BYTES_A_DAY: u64 = 64 * 1024 * 1024;

/// The longest that a request waits: a week. Chosen.
pub(super) const MAX_REQUEST_SECS: u64 = 7 * 86_400;
