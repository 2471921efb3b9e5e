//! Requests for a grant, and what was decided over them. A request is answered once: by a grant that names it and gives no
//! more than it asks for, or by a denial. Spec: `docs/spec/authority.md#asking-for-a-grant`.

use alloc::collections::BTreeMap;

use fcp_proto_core::ids::{KeyId, ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::object::{Grant, GrantRequest, Grantee};
use fcp_proto_core::time::UnixTime;

use super::Undecidable;

/// A request for a grant and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct FiledGrant {
    /// The request.
    pub request: GrantRequest,
    /// The key that whoever asks had then.
    pub asked_with: Option<KeyId>,
    /// Where.
    pub zone: ZoneId,
    /// The grant or denial that answers it, by its object id.
    pub decision: Option<ObjectId>,
}

/// All requests for a grant that may still matter.
#[derive(Clone, Debug, Default)]
pub struct GrantRequests {
    filed: BTreeMap<ObjectId, FiledGrant>,
}

impl GrantRequests {
    /// Takes a request of a principal that has this key.
    pub fn apply_request(
        &mut self,
        id: ObjectId,
        zone: ZoneId,
        asked_with: Option<KeyId>,
        request: GrantRequest,
    ) {
        self.filed.insert(id, FiledGrant { request, asked_with, zone, decision: None });
    }

    /// The request, if it waits for a decision.
    ///
    /// # Errors
    /// Why it does not.
    pub fn waiting(&self, id: &ObjectId, now: UnixTime) -> Result<&FiledGrant, Undecidable> {
        let filed = self.filed.get(id).ok_or(Undecidable::Unknown)?;
        if filed.decision.is_some() {
            Err(Undecidable::Decided)
        } else if now >= filed.request.expires_at {
            Err(Undecidable::Expired)
        } else {
            Ok(filed)
        }
    }

    /// Whether `grant`, made in `zone`, answers the waiting request `id`: for whoever asked, and within what was asked for.
    ///
    /// # Errors
    /// The first reason why it does not.
    //= docs/spec/authority.md#asking-for-a-grant
    pub fn check_grant(
        &self,
        id: &ObjectId,
        zone: &ZoneId,
        grant: &Grant,
        now: UnixTime,
    ) -> Result<(), Undecidable> {
        let filed = self.waiting(id, now)?;
        let asked = &filed.request;
        let within = filed.zone == *zone
            && grant.grantee == Grantee::Principal(asked.principal.clone())
            && grant.connector == asked.connector
            && grant.operations.is_subset(&asked.operations)
            && asked.constraints.contains(&grant.constraints)
            && grant.expires_at.saturating_since(grant.not_before) <= asked.lifetime_secs;
        if within { Ok(()) } else { Err(Undecidable::Mismatch) }
    }

    /// Keeps a request for the decision `id`, which is on its way or durable: no other is taken.
    pub fn decide(&mut self, request: &ObjectId, id: ObjectId) {
        if let Some(filed) = self.filed.get_mut(request) {
            filed.decision = Some(id);
        }
    }

    /// The decision `id` was not stored: its request waits again.
    pub fn release(&mut self, request: &ObjectId, id: &ObjectId) {
        if let Some(filed) = self.filed.get_mut(request).filter(|filed| filed.decision == Some(*id)) {
            filed.decision = None;
        }
    }

    /// How many requests of `principal`, made with this key, wait for a decision.
    pub fn waiting_of(&self, principal: &PrincipalId, key: Option<KeyId>) -> usize {
        let waits = |it: &&FiledGrant| {
            it.decision.is_none() && it.request.principal == *principal && it.asked_with == key
        };
        self.filed.values().filter(waits).count()
    }

    /// One request.
    pub fn get(&self, id: &ObjectId) -> Option<&FiledGrant> {
        self.filed.get(id)
    }

    /// Whether this names a request.
    pub fn knows(&self, id: &ObjectId) -> bool {
        self.filed.contains_key(id)
    }

    /// All requests, oldest id first.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectId, &FiledGrant)> {
        self.filed.iter()
    }

    /// Forgets what can no longer be decided.
    pub fn expire(&mut self, now: UnixTime) {
        self.filed.retain(|_, filed| now < filed.request.expires_at);
    }
}
