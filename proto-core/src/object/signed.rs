//! Bodies that a key holder vouches for.

use alloc::vec::Vec;

use super::{Body, Header, Object, Schema};
use crate::crypto::role::SigningRole;
use crate::crypto::sign::{Signature, SigningKey, signing_bytes};
use crate::encoding::cbor::{CborError, FieldReader, FromCbor, MapBuilder, ShapeError, ToCbor, Value};
use crate::ids::KeyId;

/// A type that stands in objects only together with a signature.
pub trait SignedBody: ToCbor + FromCbor {
    /// Its schema.
    const SCHEMA: Schema;

    /// The rules that bind it to its header, if there are any.
    ///
    /// # Errors
    /// The rule that does not hold.
    fn check_header(&self, _header: &Header) -> Result<(), ShapeError> {
        Ok(())
    }
}

/// A body and the signature over it: one map of the body's fields plus `signer` and `signature`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    /// What is vouched for.
    pub fields: T,
    /// The key that signed.
    pub signer: KeyId,
    /// Ed25519 over [`signing_bytes`](Object::signing_bytes).
    pub signature: Signature,
}

impl<T: SignedBody> Body for Signed<T> {
    const SCHEMA: Schema = T::SCHEMA;

    fn check_header(&self, header: &Header) -> Result<(), ShapeError> {
        self.fields.check_header(header)
    }
}

impl<T: SignedBody> ToCbor for Signed<T> {
    fn to_cbor(&self) -> Value<'_> {
        let mut map = MapBuilder::from_map(self.fields.to_cbor());
        map.field("signer", &self.signer);
        map.field("signature", &self.signature);
        map.finish()
    }
}

impl<T: SignedBody> FromCbor for Signed<T> {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let mut fields = FieldReader::new(value)?;
        let signer = fields.field("signer")?;
        let signature = fields.field("signature")?;
        Ok(Self { fields: T::from_cbor(fields.rest())?, signer, signature })
    }
}

impl<T: SignedBody> Object<Signed<T>> {
    /// The object over `fields`, signed with `key`.
    ///
    /// # Errors
    /// As [`encode`](crate::encoding::cbor::encode).
    pub fn sign<R: SigningRole>(header: Header, fields: T, key: &SigningKey<R>) -> Result<Self, CborError> {
        let signer = key.key_id();
        let signature = key.sign(&bytes_to_sign(&header, &fields, signer)?);
        Ok(Self { header, body: Signed { fields, signer, signature } })
    }

    /// The bytes its signature covers: the domain, the first eight bytes of the schema text's BLAKE3 hash, and the
    /// canonical CBOR of header, fields and signer.
    ///
    /// # Errors
    /// As [`encode`](crate::encoding::cbor::encode).
    pub fn signing_bytes(&self) -> Result<Vec<u8>, CborError> {
        bytes_to_sign(&self.header, &self.body.fields, self.body.signer)
    }
}

//= docs/spec/objects.md#signed-bodies
fn bytes_to_sign<T: SignedBody>(header: &Header, fields: &T, signer: KeyId) -> Result<Vec<u8>, CborError> {
    let mut view = MapBuilder::default();
    view.field("header", header);
    view.field("fields", fields);
    view.field("signer", &signer);
    signing_bytes(&T::SCHEMA.id().signing_text(), &view.finish())
}
