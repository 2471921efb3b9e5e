//! A revoked node gets other keys, attested by the owner.
//!
//! ```text
//! attestation durable ─► the node signs with the new keys ─► an event in every chain, under heads of the new key ─► answer
//! ```
//!
//! What the revoked key appended meanwhile has no force until a head of the new key stands above it.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use fcp_proto_core::crypto::role;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, ObjectId, ZoneId};
use fcp_proto_core::object::{AnyObject, AuditEventKind, Header, NodeAttestation, Object, Signed};
use fcp_proto_core::time::{Now, UnixTime};

use super::admit::{check_time, store_any};
use super::authorize::authorize;
use super::calls::unstorable;
use super::content::MAX_ATTESTATION_SECS;
use super::ledger::Unit;
use super::{Answer, Failure, Node, RequestId, Then};
use crate::persist::Class;
use crate::trust::audit::Entry;

/// The keys that a node signs with.
#[derive(Debug)]
pub struct OwnKeys {
    /// Signs what the node asserts.
    pub signing: SigningKey<role::Node>,
    /// Signs the tokens it mints.
    pub issuance: SigningKey<role::Issuance>,
}

impl Node {
    /// The owner's newest word for this node: with its keys the node must serve.
    pub fn attestation(&self) -> Option<&NodeAttestation> {
        self.authority.newest_attestation(&self.node_id)
    }

    /// Serves with these keys from now on. What was minted with those before is forgotten.
    pub fn take_keys(&mut self, keys: OwnKeys) {
        self.keys.signing = keys.signing;
        self.keys.issuance = keys.issuance;
        self.sessions.forget_tokens();
    }

    /// The key that signs what the node asserts.
    pub fn signing_key(&self) -> KeyId {
        self.keys.signing.key_id()
    }

    //= docs/spec/authority.md#another-key-of-a-node
    pub(super) fn replace_keys(
        &mut self,
        request: RequestId,
        object: Object<Signed<NodeAttestation>>,
        keys: OwnKeys,
        actor: &str,
        now: Now,
    ) -> Result<(), Failure> {
        let (header, word) = (&object.header, &object.body.fields);
        check_time(header.created_at, now.unix)?;
        self.check_replacement(header, word, &keys, now.unix)?;
        let object = AnyObject::from(object.clone());
        authorize(&object, &self.authority, &self.revocations, Some(now.unix))?;
        let mut unit = Unit::new(Class::Normal);
        let id = store_any(&mut unit, &object, self).map_err(unstorable)?;
        let entry = Entry::new(AuditEventKind::AuthorityChanged, actor).about(id);
        unit.audit(&object.header().zone_id, entry.saying(object.header().schema.to_string()));
        unit.then(Then::Apply(id, Box::new(object)));
        unit.then(Then::Rekeyed(Box::new(Rekeyed { request, id, keys, actor: actor.into() })));
        self.commit(unit);
        Ok(())
    }

    fn check_replacement(
        &self,
        header: &Header,
        word: &NodeAttestation,
        keys: &OwnKeys,
        now: UnixTime,
    ) -> Result<(), Failure> {
        if !self.is_revoked(now) {
            return Err(Failure::new(Code::Conflict, "this node is not revoked"));
        }
        let of_keys = word.signing_key == keys.signing.verifying_key()
            && word.issuance_key == keys.issuance.verifying_key();
        if word.node_id != self.node_id || !of_keys {
            return Err(Failure::new(Code::Conflict, "it attests another node, or other keys"));
        }
        let known = |it: &NodeAttestation| {
            it.signing_key == word.signing_key
                || it.issuance_key == word.issuance_key
                || it.encryption_key == word.encryption_key
        };
        if self.authority.attestations().any(|(_, it)| known(it))
            || self.authority.is_attestation_revoked(word, &self.revocations, now)
        {
            return Err(Failure::new(
                Code::NodeRevoked,
                "it is not of new keys, or not later than the revocation",
            ));
        }
        let most = header.created_at.saturating_add(MAX_ATTESTATION_SECS);
        if word.issued_at > header.created_at || word.expires_at <= now || word.expires_at > most {
            let rule = alloc::format!("it begins when it is signed, and ends at the latest at {most}");
            return Err(Failure::new(Code::OutOfRange, rule));
        }
        Ok(())
    }

    /// The attestation is durable: the node signs with its keys, and begins with the ends of all chains.
    pub(super) fn on_rekeyed(&mut self, rekeyed: Rekeyed) {
        let Rekeyed { request, id, keys, actor } = rekeyed;
        self.take_keys(keys);
        let zones = self.ledger.chains().tips().map(|(zone, _)| zone.clone()).collect();
        let mut unit = self.vouch(zones, &actor);
        unit.then(Then::Answer(request, Ok(Box::new(Answer::Admitted(id)))));
        self.commit(unit);
    }

    /// An event in each of the chains, so that a head of the node's present key covers what stands in them.
    //= docs/spec/audit.md#a-revoked-node
    pub(super) fn vouch(&self, zones: Vec<ZoneId>, actor: &str) -> Unit<Then> {
        let mut unit = Unit::new(Class::Reserved);
        for zone in zones {
            let entry = Entry::new(AuditEventKind::AuthorityChanged, actor);
            unit.audit(
                &zone,
                entry.saying(alloc::format!("the node signs with {} from here", self.signing_key())),
            );
        }
        unit
    }

    /// The chains whose last head is of another key than the present one: the node was stopped before it vouched for them.
    pub(super) fn of_other_keys(&self) -> Vec<ZoneId> {
        let own = self.signing_key();
        self.sealed_by.iter().filter(|(_, signer)| **signer != own).map(|(zone, _)| zone.clone()).collect()
    }
}

/// What follows once a node's new attestation is durable.
#[derive(Debug)]
pub(super) struct Rekeyed {
    pub(super) request: RequestId,
    id: ObjectId,
    keys: OwnKeys,
    actor: alloc::string::String,
}
