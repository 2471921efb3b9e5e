//! Bodies that several nodes vouch for: a certificate is the body and one signature a node.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use super::{Body, Header, Object, Schema};
use crate::cbor_map;
use crate::crypto::role::Node;
use crate::crypto::sign::{Signature, SigningKey, VerifyingKey, signing_bytes};
use crate::encoding::cbor::{CborError, FieldReader, FromCbor, MapBuilder, ShapeError, ToCbor, Value};
use crate::ids::NodeId;
use crate::time::UnixTime;

cbor_map! {
    /// One node's signature over a certificate.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NodeSignature {
        /// The node.
        pub node_id: NodeId,
        /// Ed25519 by its signing key.
        pub signature: Signature,
        /// When it signed; the signature covers it.
        pub signed_at: UnixTime,
    }
}

/// Signatures in strictly ascending order of their nodes, so at most one a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureSet(Vec<NodeSignature>);

impl SignatureSet {
    /// The signatures, in order.
    pub fn as_slice(&self) -> &[NodeSignature] {
        &self.0
    }

    /// Adds a node's signature in its place.
    ///
    /// # Errors
    /// [`CertificateError::DuplicateSigner`] if the node has signed already.
    pub fn insert(&mut self, signature: NodeSignature) -> Result<(), CertificateError> {
        match self.0.binary_search_by(|other| other.node_id.cmp(&signature.node_id)) {
            Ok(_) => Err(CertificateError::DuplicateSigner(signature.node_id)),
            Err(place) => {
                self.0.insert(place, signature);
                Ok(())
            }
        }
    }
}

impl ToCbor for SignatureSet {
    fn to_cbor(&self) -> Value<'_> {
        let mut map = MapBuilder::default();
        map.field("signatures", &self.0);
        map.finish()
    }
}

//= docs/spec/objects.md#certificates
impl FromCbor for SignatureSet {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let mut fields = FieldReader::new(value)?;
        let signatures: Vec<NodeSignature> = fields.field("signatures")?;
        fields.finish()?;
        if signatures.windows(2).any(|pair| pair[0].node_id >= pair[1].node_id) {
            return Err(ShapeError::Invalid(
                "signatures must be in ascending order of their nodes, one a node",
            ));
        }
        Ok(Self(signatures))
    }
}

/// Why a certificate certifies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// A node signed twice.
    DuplicateSigner(NodeId),
    /// A node signed whose word does not count here.
    UnknownSigner(NodeId),
    /// A node's signature does not verify.
    SignatureInvalid(NodeId),
    /// Fewer nodes signed than must.
    TooFew {
        /// How many did.
        have: usize,
        /// How many must.
        need: usize,
    },
    /// The certificate has no encoding.
    NotEncodable(CborError),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateSigner(node) => write!(f, "the node {node} signed twice"),
            Self::UnknownSigner(node) => write!(f, "the node {node} is none of those whose word counts"),
            Self::SignatureInvalid(node) => write!(f, "the signature of the node {node} does not verify"),
            Self::TooFew { have, need } => write!(f, "{have} nodes signed where {need} must"),
            Self::NotEncodable(error) => write!(f, "the certificate cannot be encoded: {error}"),
        }
    }
}

impl core::error::Error for CertificateError {}

/// A type that stands in objects only together with the signatures of several nodes.
pub trait QuorumBody: ToCbor + FromCbor {
    /// Its schema.
    const SCHEMA: Schema;

    /// The rules that bind it to its header.
    ///
    /// # Errors
    /// The rule that does not hold.
    fn check_header(&self, header: &Header) -> Result<(), ShapeError>;
}

/// A body and the signatures over it: one map of the body's fields plus `quorum_signatures`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified<T> {
    /// What is vouched for.
    pub fields: T,
    /// By whom.
    pub quorum_signatures: SignatureSet,
}

impl<T: QuorumBody> Body for Certified<T> {
    const SCHEMA: Schema = T::SCHEMA;

    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        self.fields.check_header(header)
    }
}

impl<T: QuorumBody> ToCbor for Certified<T> {
    fn to_cbor(&self) -> Value<'_> {
        let mut map = MapBuilder::from_map(self.fields.to_cbor());
        map.field("quorum_signatures", &self.quorum_signatures);
        map.finish()
    }
}

impl<T: QuorumBody> FromCbor for Certified<T> {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let mut fields = FieldReader::new(value)?;
        let quorum_signatures = fields.field("quorum_signatures")?;
        Ok(Self { fields: T::from_cbor(fields.rest())?, quorum_signatures })
    }
}

impl<T: QuorumBody> Object<Certified<T>> {
    /// The object over `fields`, which nobody has signed yet.
    pub fn uncertified(header: Header, fields: T) -> Self {
        Self { header, body: Certified { fields, quorum_signatures: SignatureSet::default() } }
    }

    /// The signature of `node` over this object, made at `signed_at`.
    ///
    /// # Errors
    /// As [`encode`](crate::encoding::cbor::encode).
    pub fn vote(
        &self,
        node: &NodeId,
        signed_at: UnixTime,
        key: &SigningKey<Node>,
    ) -> Result<NodeSignature, CborError> {
        let signature = key.sign(&self.bytes_to_sign(node, signed_at)?);
        Ok(NodeSignature { node_id: node.clone(), signature, signed_at })
    }

    /// Whether at least `required` of the nodes in `voters` signed, and nobody else. Nobody's word is never enough.
    ///
    /// # Errors
    /// What is wrong with the first signature that does not hold, or how many are missing.
    //= docs/spec/objects.md#certificates
    pub fn verify(
        &self,
        voters: &BTreeMap<NodeId, VerifyingKey<Node>>,
        required: usize,
    ) -> Result<(), CertificateError> {
        let signatures = self.body.quorum_signatures.as_slice();
        for NodeSignature { node_id, signature, signed_at } in signatures {
            let key = voters.get(node_id).ok_or_else(|| CertificateError::UnknownSigner(node_id.clone()))?;
            let bytes = self.bytes_to_sign(node_id, *signed_at).map_err(CertificateError::NotEncodable)?;
            key.verify(&bytes, signature).map_err(|_| CertificateError::SignatureInvalid(node_id.clone()))?;
        }
        let (have, need) = (signatures.len(), required.max(1));
        if have < need { Err(CertificateError::TooFew { have, need }) } else { Ok(()) }
    }

    //= docs/spec/objects.md#certificates
    fn bytes_to_sign(&self, node: &NodeId, signed_at: UnixTime) -> Result<Vec<u8>, CborError> {
        let mut view = MapBuilder::default();
        view.field("header", &self.header);
        view.field("fields", &self.body.fields);
        view.field("node_id", node);
        view.field("signed_at", &signed_at);
        signing_bytes(&T::SCHEMA.id().signing_text(), &view.finish())
    }
}
