//! Objects as bytes, and their identity.

use alloc::vec::Vec;

use super::{Header, Schema};
use crate::cbor_map;
use crate::crypto::role;
use crate::crypto::secret::SymmetricKey;
use crate::encoding::cbor::{self, ByteString, CborError, FromCbor, ShapeError, ToCbor};
use crate::ids::ObjectId;

/// The domain inside the hashed content (the inner domain is V1, the outer V2).
const CONTENT_DOMAIN: &[u8] = b"FCP2-OBJECT-V1";
/// The domain of the keyed hash.
const ID_DOMAIN: &[u8] = b"FCP2-OBJECT-V2";

/// The secret that names a zone's objects; without it an identity can be neither computed nor checked.
pub type ObjectIdKey = SymmetricKey<role::ObjectId>;

/// A type that can be the body of an object.
pub trait Body: ToCbor + FromCbor {
    /// Its schema.
    const SCHEMA: Schema;
}

cbor_map! {
    /// An object as stored: the header, and the body's bytes behind its schema's hash.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StoredObject {
        /// The header.
        pub header: Header,
        /// The schema's hash, then the body's canonical CBOR.
        pub body: ByteString,
    }
}

impl StoredObject {
    /// Reads a stored object without looking into its body.
    ///
    /// # Errors
    /// What makes `bytes` no canonical stored object; [`ShapeError::SchemaMismatch`] if the body does not begin with the
    /// hash of the header's schema.
    //= docs/spec/objects.md#layout
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ShapeError> {
        let stored = Self::from_cbor(cbor::decode(bytes)?)?;
        if stored.body.0.starts_with(stored.header.schema.hash().as_bytes()) {
            Ok(stored)
        } else {
            Err(ShapeError::SchemaMismatch)
        }
    }

    /// The bytes to store.
    ///
    /// # Errors
    /// As [`cbor::encode`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, CborError> {
        cbor::encode(&self.to_cbor())
    }

    /// The object's identity under its zone's key.
    ///
    /// # Errors
    /// As [`cbor::encode`].
    //= docs/spec/objects.md#identity
    pub fn id(&self, key: &ObjectIdKey) -> Result<ObjectId, CborError> {
        let mut hasher = blake3::Hasher::new_keyed(key.expose());
        hasher.update(ID_DOMAIN);
        hasher.update(self.header.zone_id.as_str().as_bytes());
        hasher.update(self.header.schema.hash().as_bytes());
        hasher.update(CONTENT_DOMAIN);
        hasher.update(&cbor::encode(&self.header.to_cbor())?);
        hasher.update(&self.body.0);
        Ok(ObjectId::from_bytes(*hasher.finalize().as_bytes()))
    }

    /// Reads the body as a `T`.
    ///
    /// # Errors
    /// [`ShapeError::SchemaMismatch`] if the object has another schema; else what makes the body no `T`.
    pub fn open<T: Body>(&self) -> Result<Object<T>, ShapeError> {
        let hash = T::SCHEMA.id().hash();
        let payload =
            self.body.0.strip_prefix(hash.as_bytes().as_slice()).ok_or(ShapeError::SchemaMismatch)?;
        Ok(Object { header: self.header.clone(), body: T::from_cbor(cbor::decode(payload)?)? })
    }
}

/// An object with a typed body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<T> {
    /// The header.
    pub header: Header,
    /// The body.
    pub body: T,
}

impl<T: Body> Object<T> {
    /// The object as stored.
    ///
    /// # Errors
    /// As [`cbor::encode`].
    pub fn store(&self) -> Result<StoredObject, CborError> {
        let mut body = T::SCHEMA.id().hash().as_bytes().to_vec();
        body.extend(cbor::encode(&self.body.to_cbor())?);
        Ok(StoredObject { header: self.header.clone(), body: ByteString(body) })
    }
}

/// Declares the closed set of objects this release reads.
macro_rules! any_object {
    ($($(#[$meta:meta])* $variant:ident($type:ty)),+ $(,)?) => {
        /// Any object this release reads. One of another schema is refused by name, never skipped.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum AnyObject {
            $($(#[$meta])* $variant(Object<$type>),)+
        }

        impl AnyObject {
            /// The schemas this release reads.
            pub const SCHEMAS: &'static [Schema] = &[$(<$type as Body>::SCHEMA),+];

            /// Reads a stored object by its schema.
            ///
            /// # Errors
            /// [`ShapeError::UnknownVariant`] names a schema this release does not read; else as [`StoredObject::open`].
            pub fn open(stored: &StoredObject) -> Result<Self, ShapeError> {
                $(if stored.header.schema == <$type as Body>::SCHEMA.id() {
                    return stored.open().map(Self::$variant);
                })+
                Err(ShapeError::UnknownVariant(alloc::string::ToString::to_string(&stored.header.schema)))
            }

            /// The object as stored.
            ///
            /// # Errors
            /// As [`cbor::encode`].
            pub fn store(&self) -> Result<StoredObject, CborError> {
                match self { $(Self::$variant(object) => object.store(),)+ }
            }

            /// The header.
            pub fn header(&self) -> &Header {
                match self { $(Self::$variant(object) => &object.header,)+ }
            }
        }

        $(impl From<Object<$type>> for AnyObject {
            fn from(object: Object<$type>) -> Self {
                Self::$variant(object)
            }
        })+
    };
}

any_object! {
    /// The owner's key.
    OwnerRoot(super::Signed<super::OwnerRoot>),
    /// An operator's delegation.
    OperatorDelegation(super::Signed<super::OperatorDelegation>),
    /// A node's attestation.
    NodeAttestation(super::Signed<super::NodeAttestation>),
    /// The owner's devices.
    Membership(super::Signed<super::Membership>),
    /// A zone.
    ZoneDefinition(super::Signed<super::ZoneDefinition>),
    /// A zone's policy.
    ZonePolicy(super::Signed<super::ZonePolicy>),
    /// A role.
    Role(super::Signed<super::Role>),
    /// Who has a role.
    RoleAssignment(super::Signed<super::RoleAssignment>),
    /// Who has it no longer.
    RoleWithdrawal(super::Signed<super::RoleWithdrawal>),
    /// A principal's key.
    Enrolment(super::Signed<super::Enrolment>),
    /// A grant.
    Grant(super::Signed<super::Grant>),
    /// Leave that is asked for.
    GrantRequest(super::Signed<super::GrantRequest>),
    /// A refusal of such leave.
    GrantDenial(super::Signed<super::GrantDenial>),
    /// A revocation.
    Revocation(super::Signed<super::RevocationObject>),
    /// A link of the revocation chain.
    RevocationEvent(super::Signed<super::RevocationEvent>),
    /// The revocation chain's head.
    RevocationHead(super::Signed<super::RevocationHead>),
    /// A call that asks for an approval.
    ApprovalRequest(super::Signed<super::ApprovalRequest>),
    /// A decision over a request.
    ApprovalToken(super::Signed<super::ApprovalToken>),
    /// A call with its arguments.
    CallRecord(super::CallRecord),
    /// A call about to be dispatched.
    OperationIntent(super::Signed<super::OperationIntent>),
    /// A call's end.
    OperationReceipt(super::Signed<super::OperationReceipt>),
    /// A refusal.
    DecisionReceipt(super::Signed<super::DecisionReceipt>),
    /// The end of an unknown outcome.
    Settlement(super::Signed<super::Settlement>),
    /// A link of the audit chain.
    AuditEvent(super::AuditEvent),
    /// The audit chain's head.
    AuditHead(super::Signed<super::AuditHead>),
    /// An installed connector.
    ConnectorInstall(super::Signed<super::ConnectorInstall>),
    /// Whether a connector may run.
    ConnectorState(super::Signed<super::ConnectorState>),
    /// A wall the owner lowered.
    OwnerException(super::Signed<super::OwnerException>),
    /// A credential's description.
    CredentialRecord(super::Signed<super::CredentialRecord>),
    /// Leave for one call that tries a credential.
    CredentialTest(super::Signed<super::CredentialTest>),
    /// A fresh context.
    ContextOpened(super::ContextOpened),
    /// What a principal read.
    ContextEntry(super::ContextEntry),
    /// A result kept behind a handle.
    KeptResult(super::KeptResult),
}
