//! The messages of a transfer, as bytes of a lane.

use alloc::vec::Vec;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::encoding::cbor::ShapeError;
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::object::{
    Header, Object, Signed, SignedBody, StoredObject, SymbolMessage, Transcribed, TranscriptSigned,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};

/// The message that the bytes are.
pub(super) fn read(bytes: &[u8]) -> Result<SymbolMessage, ShapeError> {
    SymbolMessage::open(&StoredObject::from_bytes(bytes)?)
}

/// The bytes of a message; `None` is a message of ours that cannot be encoded, which none is.
pub(super) fn write(message: &SymbolMessage) -> Option<Vec<u8>> {
    message.store().and_then(|stored| stored.to_bytes()).ok()
}

/// A message that is signed over its transcript.
pub(super) fn transcribed<T: Transcribed>(
    fields: T,
    key: &SigningKey<Node>,
    now: UnixTime,
) -> Object<TranscriptSigned<T>> {
    let header = header::<T>(fields.zone_id(), now);
    Object { header, body: TranscriptSigned::sign(fields, key) }
}

/// A message that is signed with its header.
pub(in crate::link) fn signed<T: SignedBody>(
    fields: T,
    zone: &ZoneId,
    key: &SigningKey<Node>,
    now: UnixTime,
) -> Option<Object<Signed<T>>> {
    let header = Header::new(&T::SCHEMA, zone, now, label(), None);
    Object::sign(header, fields, key).ok()
}

/// Whether the holder of `key` signed the message.
pub(in crate::link) fn is_signed<T: SignedBody>(
    object: &Object<Signed<T>>,
    key: &VerifyingKey<Node>,
) -> bool {
    let bytes = object.signing_bytes();
    object.body.signer == key.key_id()
        && bytes.is_ok_and(|bytes| key.verify(&bytes, &object.body.signature).is_ok())
}

fn header<T: Transcribed>(zone: &ZoneId, now: UnixTime) -> Header {
    Header::new(&T::SCHEMA, zone, now, label(), None)
}

/// Nothing is concluded from the label of a message that is never stored.
fn label() -> Label {
    Label::trusted(Level::PUBLIC)
}
