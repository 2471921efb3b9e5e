//! Requests for a person's word, and the words.
//!
//! A request is filed for one call and names everything its approval will bind. A decision serves one call once: it is
//! spent in the batch of that call's intent. Spec: `docs/spec/gate.md#13-approval`.

mod grants;
#[cfg(test)]
mod tests;

pub use grants::{FiledGrant, GrantRequests};

use alloc::collections::BTreeMap;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::ids::{ConnectorId, Digest, KeyId, ObjectId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::object::{
    ApprovalDecision, ApprovalKind, ApprovalRequest, ApprovalToken, CallRecord, Grant, Grantee,
    StandingApproval,
};
use fcp_proto_core::time::UnixTime;

/// A decision and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The decision.
    pub token: ApprovalToken,
    /// The key that signed it.
    pub signer: KeyId,
    /// The call's intent that spent it.
    pub spent_by: Option<ObjectId>,
}

/// What a call does, under whatever idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// The connector.
    pub connector: ConnectorId,
    /// The operation.
    pub operation: OperationId,
    /// BLAKE3 of the input's canonical JSON.
    pub input_digest: Digest,
}

/// A request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// The request.
    pub request: ApprovalRequest,
    /// What the call does; absent if the call's record does not stand before the request.
    pub deed: Option<Deed>,
    /// Who asks.
    pub principal: PrincipalId,
    /// The key that it had then.
    pub asked_with: Option<KeyId>,
    /// Where.
    pub zone: ZoneId,
    /// The decision, by its object id.
    pub decision: Option<ObjectId>,
}

/// Why a decision cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecidable {
    /// There is no such request.
    Unknown,
    /// It was decided before.
    Decided,
    /// Its time is over.
    Expired,
    /// The decision does not bind what the request names.
    Mismatch,
}

/// All requests and decisions that may still matter.
#[derive(Clone, Debug, Default)]
pub struct Approvals {
    requests: BTreeMap<ObjectId, Filed>,
    decisions: BTreeMap<ObjectId, Decided>,
    /// What the newest call record says: that of a request is stored right before it.
    recorded: Option<(ObjectId, Deed)>,
}

impl Approvals {
    /// Takes the record of a call, which a request may follow.
    pub fn apply_record(&mut self, id: ObjectId, call: &CallRecord) {
        let deed = Deed {
            connector: call.connector.clone(),
            operation: call.operation.clone(),
            input_digest: hash::digest(call.input.as_bytes()),
        };
        self.recorded = Some((id, deed));
    }

    /// Takes a request of a principal that has this key.
    pub fn apply_request(
        &mut self,
        id: ObjectId,
        zone: ZoneId,
        (principal, asked_with): (PrincipalId, Option<KeyId>),
        request: ApprovalRequest,
    ) {
        let recorded = self.recorded.take().filter(|(record, _)| *record == request.request);
        let deed = recorded.map(|(_, deed)| deed);
        self.requests.insert(id, Filed { request, deed, principal, asked_with, zone, decision: None });
    }

    /// The request, if it waits for a decision.
    fn waiting(&self, id: &ObjectId, now: UnixTime) -> Result<&Filed, Undecidable> {
        let filed = self.requests.get(id).ok_or(Undecidable::Unknown)?;
        if filed.decision.is_some() {
            Err(Undecidable::Decided)
        } else if now >= filed.request.expires_at {
            Err(Undecidable::Expired)
        } else {
            Ok(filed)
        }
    }

    /// Whether the standing approval of `grant`, made in `zone`, is given over a request that waits for a decision: for whoever
    /// asked, for one operation, of the connector that was asked for, and of the only kind that can be given beforehand.
    ///
    /// # Errors
    /// The first reason why it is not.
    //= docs/spec/authority.md#standing-approvals
    pub fn check_standing(
        &self,
        zone: &ZoneId,
        grant: &Grant,
        standing: &StandingApproval,
        now: UnixTime,
    ) -> Result<(), Undecidable> {
        let filed = self.waiting(&grant.request.ok_or(Undecidable::Unknown)?, now)?;
        let asked = &filed.request;
        let within = filed.zone == *zone
            && grant.grantee == Grantee::Principal(filed.principal.clone())
            && grant.operations.len() == 1
            && asked.kinds.contains(&ApprovalKind::Execution)
            && standing.interface_hash == asked.interface_hash
            && standing.code_digest == asked.code_digest;
        if within { Ok(()) } else { Err(Undecidable::Mismatch) }
    }

    /// Whether `token` decides a request that waits for a decision, and binds what that names.
    ///
    /// # Errors
    /// The first reason why it does not.
    pub fn check_decision(&self, token: &ApprovalToken, now: UnixTime) -> Result<&Filed, Undecidable> {
        let filed = self.waiting(&token.approval_request, now)?;
        let asked = &filed.request;
        let binds = token.call_digest == asked.call_digest
            && token.interface_hash == asked.interface_hash
            && token.code_digest == asked.code_digest
            && token.label_digest == asked.label_digest
            && token.kinds.is_subset(&asked.kinds);
        if binds { Ok(filed) } else { Err(Undecidable::Mismatch) }
    }

    /// Keeps a request for the decision `id`, which is not yet durable: no other can be taken meanwhile.
    pub fn hold(&mut self, request: &ObjectId, id: ObjectId) {
        if let Some(filed) = self.requests.get_mut(request) {
            filed.decision = Some(id);
        }
    }

    /// The decision `id` was not stored: its request waits again.
    pub fn release(&mut self, request: &ObjectId, id: &ObjectId) {
        if let Some(filed) = self.requests.get_mut(request).filter(|filed| filed.decision == Some(*id)) {
            filed.decision = None;
        }
    }

    /// How many requests of `principal`, made with this key, wait for a decision.
    pub fn waiting_of(&self, principal: &PrincipalId, key: Option<KeyId>) -> usize {
        let waits = |it: &&Filed| it.decision.is_none() && it.principal == *principal && it.asked_with == key;
        self.requests.values().filter(waits).count()
    }

    /// Takes a decision.
    pub fn apply_decision(&mut self, id: ObjectId, signer: KeyId, token: ApprovalToken) {
        if let Some(filed) = self.requests.get_mut(&token.approval_request) {
            filed.decision = Some(id);
        }
        self.decisions.insert(id, Decided { token, signer, spent_by: None });
    }

    /// Marks a decision as spent by the intent.
    pub fn spend(&mut self, decision: &ObjectId, intent: ObjectId) {
        if let Some(decided) = self.decisions.get_mut(decision) {
            decided.spent_by = Some(intent);
        }
    }

    /// Gives back what `intent` spent; only for a call that provably was not delivered.
    pub fn refund(&mut self, intent: &ObjectId) {
        for decided in self.decisions.values_mut().filter(|decided| decided.spent_by.as_ref() == Some(intent))
        {
            decided.spent_by = None;
        }
    }

    /// The decisions over calls with this digest, oldest id first.
    pub fn over(&self, call_digest: &Digest) -> impl Iterator<Item = (&ObjectId, &Decided)> {
        self.decisions.iter().filter(move |(_, decided)| decided.token.call_digest == *call_digest)
    }

    /// The denials of calls of an operation that `principal` asked for in `zone`, and the digest of the input of each. Where
    /// nobody knows what was denied, it may have been this.
    pub fn denials<'a>(
        &'a self,
        principal: &'a PrincipalId,
        zone: &'a ZoneId,
        connector: &'a ConnectorId,
        operation: &'a OperationId,
    ) -> impl Iterator<Item = (&'a ObjectId, &'a Decided, Option<Digest>)> {
        let denied = |(_, it): &(&ObjectId, &Decided)| it.token.decision == ApprovalDecision::Deny;
        self.decisions.iter().filter(denied).filter_map(move |(id, decided)| {
            let filed = self.requests.get(&decided.token.approval_request)?;
            let known = filed.deed.as_ref();
            let same = known.is_none_or(|deed| deed.connector == *connector && deed.operation == *operation);
            let asked = filed.principal == *principal && filed.zone == *zone;
            (asked && same).then_some((id, decided, known.map(|deed| deed.input_digest)))
        })
    }

    /// All decisions, oldest id first.
    pub fn decisions(&self) -> impl Iterator<Item = (&ObjectId, &Decided)> {
        self.decisions.iter()
    }

    /// One decision.
    pub fn decision(&self, id: &ObjectId) -> Option<&Decided> {
        self.decisions.get(id)
    }

    /// One request.
    pub fn request(&self, id: &ObjectId) -> Option<&Filed> {
        self.requests.get(id)
    }

    /// All requests, oldest id first.
    pub fn requests(&self) -> impl Iterator<Item = (&ObjectId, &Filed)> {
        self.requests.iter()
    }

    /// Forgets what can no longer be used.
    pub fn expire(&mut self, now: UnixTime) {
        self.decisions.retain(|_, decided| now < decided.token.expires_at);
        let decisions = &self.decisions;
        self.requests.retain(|_, filed| {
            now < filed.request.expires_at || filed.decision.is_some_and(|id| decisions.contains_key(&id))
        });
    }
}
