//! Who may do what: the owner's key and everything that hangs from it.
//!
//! ```text
//! owner ─► operators (each with rights) ─► zones, policies, roles, principals, grants, connectors, credentials, approvals
//!      └─► nodes ─► intents, receipts, chains, tokens
//! ```
//!
//! Every object has one duty that its signer must hold at the time the object was made, and a key that is revoked holds
//! none. What is not signed by the right key does not come in. Spec: `docs/spec/authority.md`.

mod duty;
mod standing;

#[cfg(test)]
mod tests;

pub use duty::{Duty, Signatory};
pub use standing::OperatorStanding;

use alloc::collections::{BTreeMap, BTreeSet};

use fcp_proto_core::crypto::role::{self, SigningRole};
use fcp_proto_core::crypto::sign::{Signature, VerifyingKey};
use fcp_proto_core::ids::{KeyId, NodeId, ObjectId, PrincipalId, RoleId, ZoneId};
use fcp_proto_core::object::{
    AnyObject, Enrolment, Grant, Grantee, Header, NodeAttestation, Object, OperatorDelegation, OperatorRight,
    OwnerRoot, RevocationScope, Role, RoleWithdrawal, Signed, ZoneDefinition, ZonePolicy,
};
use fcp_proto_core::time::UnixTime;

use crate::trust::revocation::Revocations;

/// Why a signature gives an object no force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthorized {
    /// No owner, operator or node has that key.
    UnknownSigner,
    /// The key's holder does not have the right, or did not at that time.
    NoRight,
    /// The key is revoked.
    Revoked,
    /// The signature does not verify.
    Signature,
    /// There is an owner already.
    OwnerExists,
}

/// A grant in force or not, with what its signature needs to be judged again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownGrant {
    /// The grant.
    pub grant: Grant,
    /// The zone of its header.
    pub zone: ZoneId,
    /// The key that signed it.
    pub signer: KeyId,
    /// When it was made.
    pub created_at: UnixTime,
}

/// A principal and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its enrolment.
    pub enrolment: Enrolment,
    /// Its zone.
    pub zone: ZoneId,
    /// Its key's id.
    pub key_id: KeyId,
}

/// The owner's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The home's name.
    pub home_id: [u8; 32],
    /// The owner's public key.
    pub public_key: VerifyingKey<role::Owner>,
}

/// A key that may sign what it signed, by whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityKey {
    /// The owner's.
    Owner(VerifyingKey<role::Owner>),
    /// An operator's.
    Operator(VerifyingKey<role::Operator>),
    /// A node's.
    Node(VerifyingKey<role::Node>),
}

impl AuthorityKey {
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), Unauthorized> {
        fn by<R: SigningRole>(
            key: &VerifyingKey<R>,
            message: &[u8],
            signature: &Signature,
        ) -> Result<(), Unauthorized> {
            key.verify(message, signature).map_err(|_| Unauthorized::Signature)
        }
        match self {
            Self::Owner(key) => by(key, message, signature),
            Self::Operator(key) => by(key, message, signature),
            Self::Node(key) => by(key, message, signature),
        }
    }
}

/// Everything the owner has said, by name.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    owner: Option<Owner>,
    operators: BTreeMap<KeyId, OperatorDelegation>,
    nodes: BTreeMap<KeyId, NodeAttestation>,
    zones: BTreeMap<ZoneId, ZoneDefinition>,
    policies: BTreeMap<ZoneId, ZonePolicy>,
    roles: BTreeMap<RoleId, Role>,
    assignments: BTreeSet<(PrincipalId, RoleId)>,
    principals: BTreeMap<PrincipalId, Principal>,
    grants: BTreeMap<ObjectId, KnownGrant>,
}

impl Authority {
    /// Whether the signature on `object` gives it force: its signer holds the duty of its type at the time of its header.
    ///
    /// # Errors
    /// The first reason why it does not.
    //= docs/spec/authority.md#who-signs-what
    pub fn check<T: Signatory>(
        &self,
        object: &Object<Signed<T>>,
        revoked: &Revocations,
    ) -> Result<(), Unauthorized> {
        let key =
            self.key_for(object.body.signer, object.body.fields.duty(), object.header.created_at, revoked)?;
        let bytes = object.signing_bytes().map_err(|_| Unauthorized::Signature)?;
        key.verify(&bytes, &object.body.signature)
    }

    /// Whether `object` may be the root of this home: there is none yet, and it is signed by the key it names.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check_root(&self, object: &Object<Signed<OwnerRoot>>) -> Result<(), Unauthorized> {
        if self.owner.is_some() {
            return Err(Unauthorized::OwnerExists);
        }
        let key = object.body.fields.public_key;
        if key.key_id() != object.body.signer {
            return Err(Unauthorized::UnknownSigner);
        }
        let bytes = object.signing_bytes().map_err(|_| Unauthorized::Signature)?;
        AuthorityKey::Owner(key).verify(&bytes, &object.body.signature)
    }

    /// The key `signer`, if its holder has `duty` at `at` and the key is not revoked.
    ///
    /// # Errors
    /// Why it may not sign that.
    pub fn key_for(
        &self,
        signer: KeyId,
        duty: Duty,
        at: UnixTime,
        revoked: &Revocations,
    ) -> Result<AuthorityKey, Unauthorized> {
        if revoked.is_revoked(RevocationScope::IssuerKey, signer.as_bytes(), at) {
            return Err(Unauthorized::Revoked);
        }
        let owner = self.owner.filter(|owner| owner.public_key.key_id() == signer);
        let owner = owner.map(|owner| AuthorityKey::Owner(owner.public_key));
        match duty {
            Duty::Owner => owner.ok_or(Unauthorized::UnknownSigner),
            Duty::Operator(right) => owner.map_or_else(|| self.operator_key(signer, right, at), Ok),
            Duty::Node => self.node_key(signer, at, revoked),
            Duty::Revoke => owner
                .or_else(|| self.operator_key(signer, OperatorRight::Revoke, at).ok())
                .map_or_else(|| self.node_key(signer, at, revoked), Ok),
        }
    }

    fn operator_key(
        &self,
        signer: KeyId,
        right: OperatorRight,
        at: UnixTime,
    ) -> Result<AuthorityKey, Unauthorized> {
        let operator = self.operators.get(&signer).ok_or(Unauthorized::UnknownSigner)?;
        let live = operator.not_before <= at && operator.expires_at.is_none_or(|end| at < end);
        if live && operator.rights.contains(&right) {
            Ok(AuthorityKey::Operator(operator.public_key))
        } else {
            Err(Unauthorized::NoRight)
        }
    }

    fn node_key(
        &self,
        signer: KeyId,
        at: UnixTime,
        revoked: &Revocations,
    ) -> Result<AuthorityKey, Unauthorized> {
        let node = self.nodes.get(&signer).ok_or(Unauthorized::UnknownSigner)?;
        if revoked.is_node_revoked(&node.node_id, node.issued_at, at) {
            return Err(Unauthorized::Revoked);
        }
        if node.issued_at <= at && at < node.expires_at {
            Ok(AuthorityKey::Node(node.signing_key))
        } else {
            Err(Unauthorized::NoRight)
        }
    }

    /// Takes an object of authority whose signature was checked; any other kind changes nothing here.
    pub fn apply(&mut self, id: ObjectId, object: &AnyObject) {
        let zone = || object.header().zone_id.clone();
        match object {
            AnyObject::OwnerRoot(root) => {
                let OwnerRoot { home_id, public_key } = root.body.fields;
                self.owner.get_or_insert(Owner { home_id, public_key });
            }
            AnyObject::OperatorDelegation(it) => {
                self.operators.insert(it.body.fields.public_key.key_id(), it.body.fields.clone());
            }
            AnyObject::NodeAttestation(it) => {
                self.nodes.insert(it.body.fields.signing_key.key_id(), it.body.fields.clone());
            }
            AnyObject::ZoneDefinition(it) => {
                self.zones.insert(zone(), it.body.fields.clone());
            }
            AnyObject::ZonePolicy(it) => {
                self.policies.insert(zone(), it.body.fields.clone());
            }
            AnyObject::Role(it) => {
                self.roles.insert(it.body.fields.role_id.clone(), it.body.fields.clone());
            }
            AnyObject::RoleAssignment(it) => {
                let assigned = &it.body.fields;
                self.assignments.insert((assigned.principal.clone(), assigned.role_id.clone()));
            }
            AnyObject::RoleWithdrawal(it) => self.withdraw(&it.body.fields),
            AnyObject::Enrolment(it) => self.enrol(zone(), &it.body.fields),
            AnyObject::Grant(it) => self.grant(id, &it.header, it.body.signer, &it.body.fields),
            AnyObject::Membership(_)
            | AnyObject::GrantRequest(_)
            | AnyObject::GrantDenial(_)
            | AnyObject::CredentialTest(_)
            | AnyObject::OutcomeProbe(_)
            | AnyObject::Revocation(_)
            | AnyObject::RevocationEvent(_)
            | AnyObject::RevocationHead(_)
            | AnyObject::ApprovalRequest(_)
            | AnyObject::ApprovalToken(_)
            | AnyObject::CallRecord(_)
            | AnyObject::OperationIntent(_)
            | AnyObject::OperationReceipt(_)
            | AnyObject::DecisionReceipt(_)
            | AnyObject::Settlement(_)
            | AnyObject::AuditEvent(_)
            | AnyObject::AuditHead(_)
            | AnyObject::ConnectorInstall(_)
            | AnyObject::ConnectorState(_)
            | AnyObject::OwnerException(_)
            | AnyObject::CredentialRecord(_)
            | AnyObject::ContextOpened(_)
            | AnyObject::ContextEntry(_)
            | AnyObject::KeptResult(_) => {}
        }
    }

    /// A role that is gone takes its grants with it: another of its name must not wake them.
    //= docs/spec/authority.md#roles
    fn withdraw(&mut self, withdrawn: &RoleWithdrawal) {
        let RoleWithdrawal { role_id, principal, .. } = withdrawn;
        if let Some(principal) = principal {
            self.assignments.remove(&(principal.clone(), role_id.clone()));
            return;
        }
        self.roles.remove(role_id);
        self.assignments.retain(|(_, role)| role != role_id);
        self.grants.retain(|_, known| known.grant.grantee != Grantee::Role(role_id.clone()));
    }

    fn enrol(&mut self, zone: ZoneId, enrolment: &Enrolment) {
        let principal =
            Principal { enrolment: enrolment.clone(), zone, key_id: enrolment.public_key.key_id() };
        self.principals.insert(enrolment.principal.clone(), principal);
    }

    fn grant(&mut self, id: ObjectId, header: &Header, signer: KeyId, grant: &Grant) {
        let known = KnownGrant {
            grant: grant.clone(),
            zone: header.zone_id.clone(),
            signer,
            created_at: header.created_at,
        };
        self.grants.insert(id, known);
    }

    /// The owner.
    pub fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// The operators, by key id.
    pub fn operators(&self) -> &BTreeMap<KeyId, OperatorDelegation> {
        &self.operators
    }

    /// The attestation of the node whose signing key is `key`.
    pub fn node(&self, key: KeyId) -> Option<&NodeAttestation> {
        self.nodes.get(&key)
    }

    /// The attestation of the node whose issuance key is `key`.
    pub fn issuer(&self, key: KeyId) -> Option<&NodeAttestation> {
        self.nodes.values().find(|node| node.issuance_key.key_id() == key)
    }

    /// The attestations of the nodes, by their signing keys.
    pub fn attestations(&self) -> impl Iterator<Item = (&KeyId, &NodeAttestation)> {
        self.nodes.iter()
    }

    /// The nodes' names.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.nodes.values().map(|node| &node.node_id)
    }

    /// A zone and its policy, if both exist.
    pub fn zone(&self, zone: &ZoneId) -> Option<(&ZoneDefinition, &ZonePolicy)> {
        self.zones.get(zone).zip(self.policies.get(zone))
    }

    /// What a zone is, if it is defined.
    pub fn definition(&self, zone: &ZoneId) -> Option<&ZoneDefinition> {
        self.zones.get(zone)
    }

    /// All zones.
    pub fn zones(&self) -> impl Iterator<Item = (&ZoneId, &ZoneDefinition)> {
        self.zones.iter()
    }

    /// A principal.
    pub fn principal(&self, name: &PrincipalId) -> Option<&Principal> {
        self.principals.get(name)
    }

    /// Every key that speaks for `name`: a principal's, or those of an operator.
    pub fn keys_of(&self, name: &PrincipalId) -> impl Iterator<Item = KeyId> {
        let principal = self.principals.get(name).map(|it| it.key_id);
        let operators =
            self.operators.iter().filter(move |(_, it)| it.operator == *name).map(|(key, _)| *key);
        principal.into_iter().chain(operators)
    }

    /// All principals.
    pub fn principals(&self) -> impl Iterator<Item = &Principal> {
        self.principals.values()
    }

    /// A role, if there is one of that name.
    pub fn role(&self, name: &RoleId) -> Option<&Role> {
        self.roles.get(name)
    }

    /// Who has a role.
    pub fn members<'a>(&'a self, role: &'a RoleId) -> impl Iterator<Item = &'a PrincipalId> {
        self.assignments.iter().filter(move |(_, it)| it == role).map(|(principal, _)| principal)
    }

    /// All roles.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values()
    }

    /// A grant.
    pub fn grant_by_id(&self, id: &ObjectId) -> Option<&KnownGrant> {
        self.grants.get(id)
    }

    /// All grants.
    pub fn grants(&self) -> impl Iterator<Item = (&ObjectId, &KnownGrant)> {
        self.grants.iter()
    }

    /// Whether `grantee` is `principal`, or a role that it has.
    pub fn names(&self, grantee: &Grantee, principal: &PrincipalId) -> bool {
        match grantee {
            Grantee::Principal(named) => named == principal,
            Grantee::Role(role) => self.assignments.contains(&(principal.clone(), role.clone())),
        }
    }
}
