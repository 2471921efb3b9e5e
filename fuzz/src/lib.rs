//! Fuzz targets: each takes bytes that anybody may send and checks what must hold for all of them.
//!
//! A target panics when a property is broken and never otherwise. The committed corpora in `corpus/<target>/` are
//! replayed by `tests/replay.rs`; a fuzzer calls [`Target::run`].

mod objects;
mod sealing;
mod symbols;

use fcp_proto_core::crypto::frost::GroupKey;
use fcp_proto_core::crypto::hpke::HpkeBox;
use fcp_proto_core::crypto::shamir::Dealing;
use fcp_proto_core::crypto::wrap::WrappedKey;
use fcp_proto_core::encoding::cbor::{self, FromCbor, ToCbor};
use fcp_proto_core::encoding::json::{self, Json, MAX_VALUES};
use fcp_proto_core::limits::MAX_INPUT_BYTES;
use fcp_proto_core::manifest::Manifest;
use fcp_proto_core::object::{
    ChunkManifest, DecodeStatus, RawChunk, SymbolAck, SymbolOffer, SymbolRequest, TranscriptSigned,
};
use fcp_proto_core::token::Token;
use fcp_proto_core::token::constraints::Constraints;

/// One kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Canonical CBOR.
    Cbor,
    /// Strict JSON.
    Json,
    /// A capability token.
    Token,
    /// Constraints in CBOR.
    Constraints,
    /// A stored key; nothing is stretched.
    WrappedKey,
    /// A connector's manifest.
    Manifest,
    /// A box to a device.
    HpkeBox,
    /// A share of a secret.
    Share,
    /// What is published of a shared secret.
    Dealing,
    /// The public part of a shared key.
    GroupKey,
    /// A stored share of a key.
    KeyShare,
    /// A request for a threshold signature.
    SigningRequest,
    /// A participant's message in a ceremony or a signing.
    FrostMessage,
    /// A zone key manifest as a stored object.
    KeyManifest,
    /// A message about symbols, or what describes the chunks of an object.
    SymbolMessage,
    /// A transfer: symbols of two senders, one of whom cut the object otherwise than the receiver was told.
    Symbols,
    /// A stored object of any kind.
    Object,
    /// A sound object of any kind, edited.
    ObjectEdits,
}

impl Target {
    /// Every target.
    pub const ALL: &'static [Self] = &[
        Self::Cbor,
        Self::Json,
        Self::Token,
        Self::Constraints,
        Self::WrappedKey,
        Self::Manifest,
        Self::HpkeBox,
        Self::Share,
        Self::Dealing,
        Self::GroupKey,
        Self::KeyShare,
        Self::SigningRequest,
        Self::FrostMessage,
        Self::KeyManifest,
        Self::SymbolMessage,
        Self::Symbols,
        Self::Object,
        Self::ObjectEdits,
    ];

    /// The name of the target's corpus folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cbor => "cbor",
            Self::Json => "json",
            Self::Token => "token",
            Self::Constraints => "constraints",
            Self::WrappedKey => "wrapped_key",
            Self::Manifest => "manifest",
            Self::HpkeBox => "hpke_box",
            Self::Share => "share",
            Self::Dealing => "dealing",
            Self::GroupKey => "group_key",
            Self::KeyShare => "key_share",
            Self::SigningRequest => "signing_request",
            Self::FrostMessage => "frost_message",
            Self::KeyManifest => "key_manifest",
            Self::SymbolMessage => "symbol_message",
            Self::Symbols => "symbols",
            Self::Object => "object",
            Self::ObjectEdits => "object_edits",
        }
    }

    /// Runs the target on `input`.
    ///
    /// # Panics
    /// If a property of the target does not hold.
    pub fn run(self, input: &[u8]) {
        match self {
            Self::Cbor => cbor_target(input),
            Self::Json => json_target(input),
            Self::Token => token_target(input),
            Self::Constraints => typed_target::<Constraints>(input),
            Self::WrappedKey => typed_target::<WrappedKey>(input),
            Self::Manifest => drop(Manifest::parse(input)),
            Self::HpkeBox => typed_target::<HpkeBox>(input),
            Self::Share => sealing::share(input),
            Self::Dealing => typed_target::<Dealing>(input),
            Self::GroupKey => typed_target::<GroupKey>(input),
            Self::KeyShare => sealing::key_share(input),
            Self::SigningRequest => sealing::signing_request(input),
            Self::FrostMessage => sealing::frost_message(input),
            Self::KeyManifest => sealing::key_manifest(input),
            Self::SymbolMessage => symbol_message_target(input),
            Self::Symbols => symbols::run(input),
            Self::Object => drop(objects::object_target(input)),
            Self::ObjectEdits => objects::edits_target(input),
        }
    }
}

/// What is accepted has exactly one encoding.
fn cbor_target(input: &[u8]) {
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
fn json_target(input: &[u8]) {
    match json::parse(input, MAX_INPUT_BYTES) {
        Ok(value) => {
            let canonical = value.to_canonical();
            assert_eq!(json::parse(canonical.as_bytes(), usize::MAX).as_ref(), Ok(&value));
            let bytes = cbor::encode(&value.to_cbor()).expect("JSON is within the limits of CBOR");
            let item = cbor::decode(&bytes).expect("what is encoded decodes");
            assert_eq!(Json::from_cbor(item), Ok(value));
        }
        Err(error) => assert!(error.offset <= input.len() && error.line >= 1 && error.column >= 1),
    }
}

/// What decodes is kept byte for byte and survives base64.
fn token_target(input: &[u8]) {
    if let Ok(token) = Token::decode(input) {
        assert!(input.ends_with(token.as_bytes()));
        let again = Token::from_text(&token.to_text()).expect("its own text");
        assert_eq!(again.as_bytes(), token.as_bytes());
    }
}

/// What is read as a type is written as the same bytes.
fn typed_target<T: FromCbor + ToCbor>(input: &[u8]) {
    if let Ok(value) = cbor::decode(input).map_err(Into::into).and_then(T::from_cbor) {
        assert_eq!(cbor::encode(&value.to_cbor()).as_deref(), Ok(input));
    }
}

/// The bytes are tried as each kind; they are one at most.
fn symbol_message_target(input: &[u8]) {
    typed_target::<TranscriptSigned<SymbolRequest>>(input);
    typed_target::<TranscriptSigned<DecodeStatus>>(input);
    typed_target::<TranscriptSigned<SymbolAck>>(input);
    typed_target::<SymbolOffer>(input);
    typed_target::<ChunkManifest>(input);
    typed_target::<RawChunk>(input);
}
