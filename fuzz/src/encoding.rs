//! Canonical CBOR, strict JSON, and every type that is read from one item.

use fcp_proto_core::encoding::cbor::{self, FromCbor, ToCbor};
use fcp_proto_core::encoding::json::{self, Json, MAX_VALUES};
use fcp_proto_core::limits::MAX_INPUT_BYTES;

/// What is accepted has exactly one encoding.
pub(crate) fn cbor(input: &[u8]) {
    if let Ok(value) = cbor::decode(input) {
        assert_eq!(cbor::encode(&value).as_deref(), Ok(input));
        // JSON also bounds the number of values, which shorter inputs cannot exceed.
        if let (Ok(json), true) = (Json::from_cbor(value), input.len() <= MAX_VALUES) {
            let again = json::parse(json.to_canonical().as_bytes(), usize::MAX);
            assert!(again == Ok(json), "JSON from CBOR reads back");
        }
    }
}

/// What is accepted reads back from its canonical text and from CBOR.
pub(crate) fn json(input: &[u8]) {
    match json::parse(input, MAX_INPUT_BYTES) {
        Ok(value) => {
            let canonical = value.to_canonical();
            assert_eq!(json::parse(canonical.as_bytes(), usize::MAX).as_ref(), Ok(&value));
            let bytes = cbor::encode(&value).expect("JSON is within the limits of CBOR");
            let item = cbor::decode(&bytes).expect("what is encoded decodes");
            assert_eq!(Json::from_cbor(item), Ok(value));
        }
        Err(error) => assert!(error.offset <= input.len() && error.line >= 1 && error.column >= 1),
    }
}

/// What is read as a type is written as the same bytes.
pub(crate) fn typed<T: FromCbor + ToCbor>(input: &[u8]) {
    if let Ok(value) = cbor::decode(input).map_err(Into::into).and_then(T::from_cbor) {
        assert_eq!(cbor::encode(&value).as_deref(), Ok(input));
    }
}
