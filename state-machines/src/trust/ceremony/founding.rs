//! The founding objects: what the owner says first.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use fcp_proto_core::crypto::role::{Issuance, Node, Operator, Owner};
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::encoding::cbor::CborError;
use fcp_proto_core::ids::{NodeId, ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::object::{
    AnyObject, FaultModel, Header, Membership, NodeAttestation, Object, ObjectIdKey, OperatorDelegation,
    OperatorRight, OwnerRoot, Signed, SignedBody, StoredObject, ZoneDefinition, ZonePolicy,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level, Risk, SafetyTier};

/// How long a node's first attestation holds, in seconds.
pub(super) const ATTESTATION_SECS: u64 = 365 * 86_400;

/// The longest life of a capability token, in seconds.
const MAX_TOKEN_SECS: u64 = 900;

/// The longest life of a grant, in seconds.
const MAX_GRANT_SECS: u64 = 90 * 86_400;

/// The name under which the owner appears as a principal.
pub(super) const OWNER: &str = "owner";

/// The public side of what a ceremony makes.
pub(super) struct Founding<'a> {
    pub(super) owner: &'a SigningKey<Owner>,
    pub(super) home_id: [u8; 32],
    pub(super) operator: (&'a PrincipalId, VerifyingKey<Operator>),
    pub(super) node: &'a NodeId,
    pub(super) signing: VerifyingKey<Node>,
    pub(super) issuance: VerifyingKey<Issuance>,
    pub(super) encryption: [u8; 32],
    pub(super) nonce: [u8; 32],
    pub(super) zones: &'a [(ZoneId, Level, ObjectIdKey)],
    pub(super) now: UnixTime,
}

/// The objects in the order in which they authorise each other, typed and as stored.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) typed: Vec<AnyObject>,
    pub(super) stored: Vec<StoredObject>,
}

impl Founding<'_> {
    /// Signs everything with the owner's key.
    pub(super) fn sign(&self) -> Result<Objects, CborError> {
        let mut objects = Objects::default();
        let Some((home, _, key)) = self.zones.first() else { return Ok(objects) };
        let root = OwnerRoot { home_id: self.home_id, public_key: self.owner.verifying_key() };
        let root = objects.add(self.object(home, None, root)?, key)?;
        let root = Some(root);
        objects.add(self.object(home, root, self.delegation())?, key)?;
        objects.add(self.object(home, root, self.attestation())?, key)?;
        objects.add(self.object(home, root, self.membership())?, key)?;
        for (zone, level, key) in self.zones {
            objects.add(self.object(zone, root, definition(zone, *level))?, key)?;
        }
        for (zone, level, key) in self.zones {
            objects.add(self.object(zone, root, default_policy(*level))?, key)?;
        }
        Ok(objects)
    }

    fn object<T: SignedBody>(
        &self,
        zone: &ZoneId,
        root: Option<ObjectId>,
        fields: T,
    ) -> Result<Object<Signed<T>>, CborError> {
        let principal = PrincipalId::new(OWNER).ok();
        let mut header = Header::new(&T::SCHEMA, zone, self.now, Label::trusted(Level::OWNER), principal);
        match root {
            Some(root) if self.zones.first().is_some_and(|(home, ..)| home == zone) => header.refs.push(root),
            Some(root) => header.foreign_refs.push(root),
            None => {}
        }
        Object::sign(header, fields, self.owner)
    }

    fn delegation(&self) -> OperatorDelegation {
        OperatorDelegation {
            operator: self.operator.0.clone(),
            public_key: self.operator.1,
            rights: OperatorRight::ALL.iter().copied().collect(),
            not_before: self.now,
            expires_at: None,
        }
    }

    fn attestation(&self) -> NodeAttestation {
        NodeAttestation {
            node_id: self.node.clone(),
            signing_key: self.signing,
            encryption_key: self.encryption,
            issuance_key: self.issuance,
            tags: Vec::new(),
            issued_at: self.now,
            expires_at: self.now.saturating_add(ATTESTATION_SECS),
            nonce: self.nonce,
        }
    }

    fn membership(&self) -> Membership {
        Membership { epoch: 1, nodes: BTreeSet::from([self.node.clone()]), fault_model: FaultModel::Crash }
    }
}

impl Objects {
    fn add<T: SignedBody>(
        &mut self,
        object: Object<Signed<T>>,
        key: &ObjectIdKey,
    ) -> Result<ObjectId, CborError>
    where
        AnyObject: From<Object<Signed<T>>>,
    {
        let stored = object.store()?;
        let id = stored.id(key)?;
        self.stored.push(stored);
        self.typed.push(object.into());
        Ok(id)
    }
}

fn definition(zone: &ZoneId, level: Level) -> ZoneDefinition {
    let purpose = match level {
        Level::OWNER => "what only the owner does",
        Level::PRIVATE => "the owner's private affairs",
        Level::WORK => "the owner's work",
        Level::COMMUNITY => "what is shared with others",
        _ => "what anyone may see",
    };
    ZoneDefinition {
        integrity: level,
        confidentiality: level,
        description: format!("{zone}: {purpose}"),
        key: None,
    }
}

/// The policy that a zone of `level` begins with: the less it is trusted, the less harm may be done in it.
pub fn default_policy(level: Level) -> ZonePolicy {
    let any = || vec!["*".to_string()];
    let (connectors, max_risk, max_tier) = if level >= Level::OWNER {
        (any(), Risk::Critical, SafetyTier::Critical)
    } else if level >= Level::WORK {
        (any(), Risk::Critical, SafetyTier::Dangerous)
    } else if level >= Level::COMMUNITY {
        (any(), Risk::High, SafetyTier::Risky)
    } else {
        (any(), Risk::Low, SafetyTier::Safe)
    };
    ZonePolicy {
        version: 1,
        connectors,
        denied_operations: Vec::<String>::new(),
        max_risk,
        max_tier,
        approval_from: SafetyTier::Risky,
        max_token_secs: MAX_TOKEN_SECS,
        max_grant_secs: MAX_GRANT_SECS,
        budgets: Vec::new(),
    }
}
