//! Bodies that a key holder vouches for.

use alloc::vec::Vec;

use super::{Body, Header, Object, Schema};
use crate::encoding::cbor::{self, CborError, FieldReader, FromCbor, MapBuilder, ShapeError, ToCbor, Value};
use crate::ids::KeyId;

/// The domain of every signature over canonical CBOR.
const SIGN_DOMAIN: &[u8] = b"FCP2-SIGN-V1";

/// A type that stands in objects only together with a signature.
pub trait SignedBody: ToCbor + FromCbor {
    /// Its schema.
    const SCHEMA: Schema;
}

/// A body and the signature over it: one map of the body's fields plus `signer` and `signature`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    /// What is vouched for.
    pub fields: T,
    /// The key that signed.
    pub signer: KeyId,
    /// Ed25519 over [`signing_bytes`](Object::signing_bytes).
    pub signature: [u8; 64],
}

impl<T: SignedBody> Body for Signed<T> {
    const SCHEMA: Schema = T::SCHEMA;
}

impl<T: SignedBody> ToCbor for Signed<T> {
    fn to_cbor(&self) -> Value {
        let mut map = MapBuilder::from_map(self.fields.to_cbor());
        map.field("signer", &self.signer);
        map.field("signature", &self.signature);
        map.finish()
    }
}

impl<T: SignedBody> FromCbor for Signed<T> {
    fn from_cbor(value: Value) -> Result<Self, ShapeError> {
        let mut fields = FieldReader::new(value)?;
        let signer = fields.field("signer")?;
        let signature = fields.field("signature")?;
        Ok(Self { fields: T::from_cbor(fields.rest()?)?, signer, signature })
    }
}

impl<T: SignedBody> Object<Signed<T>> {
    /// The object over `fields`, signed by the key `signer` through `sign`.
    ///
    /// # Errors
    /// As [`cbor::encode`].
    pub fn sign(
        header: Header,
        fields: T,
        signer: KeyId,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<Self, CborError> {
        let bytes = signing_bytes(&header, &fields, signer)?;
        Ok(Self { header, body: Signed { fields, signer, signature: sign(&bytes) } })
    }

    /// The bytes its signature covers: the domain, the first eight bytes of the schema text's BLAKE3 hash, and the
    /// canonical CBOR of header, fields and signer.
    ///
    /// # Errors
    /// As [`cbor::encode`].
    pub fn signing_bytes(&self) -> Result<Vec<u8>, CborError> {
        signing_bytes(&self.header, &self.body.fields, self.body.signer)
    }
}

fn signing_bytes<T: SignedBody>(header: &Header, fields: &T, signer: KeyId) -> Result<Vec<u8>, CborError> {
    let mut view = MapBuilder::default();
    view.field("header", header);
    view.field("fields", fields);
    view.field("signer", &signer);
    let mut bytes = SIGN_DOMAIN.to_vec();
    bytes.extend(&blake3::hash(T::SCHEMA.id().signing_text().as_bytes()).as_bytes()[..8]);
    bytes.extend(cbor::encode(&view.finish())?);
    Ok(bytes)
}
