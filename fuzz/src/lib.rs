//! Fuzz targets: each takes bytes that anybody may send and checks what must hold for all of them.
//!
//! A target panics when a property is broken and never otherwise. The committed corpora in `corpus/<target>/` are
//! replayed by `tests/replay.rs`; a fuzzer calls [`Target::run`].

mod objects;
mod sealing;
mod symbols;

use fcp_proto_core::crypto::frost::GroupKey;
use fcp_proto_core::crypto::hpke::HpkeBox;
use fcp_proto_core::crypto::provider::{Pure, TAG_BYTES};
use fcp_proto_core::crypto::shamir::Dealing;
use fcp_proto_core::crypto::wrap::WrappedKey;
use fcp_proto_core::encoding::cbor::{self, FromCbor, ToCbor};
use fcp_proto_core::encoding::json::{self, Json, MAX_VALUES};
use fcp_proto_core::frame::control::{self, ControlHeader};
use fcp_proto_core::frame::datagram::{Datagram, PREFIX_BYTES};
use fcp_proto_core::frame::header::{HEADER_BYTES, Header, RECORD_OVERHEAD};
use fcp_proto_core::frame::signed::{self, SignedFrame};
use fcp_proto_core::frame::symbols::{Opener, Sender, ZoneKeyRef};
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::limits::{MAX_CONTROL_BYTES, MAX_FRAME_BYTES, MAX_INPUT_BYTES};
use fcp_proto_core::manifest::Manifest;
use fcp_proto_core::object::{
    ChunkManifest, DecodeStatus, RawChunk, SymbolAck, SymbolOffer, SymbolRequest, TranscriptSigned,
    ZoneKeyAlgorithm,
};
use fcp_proto_core::session::message::{Ack, Hello, HelloRetry, Message};
use fcp_proto_core::session::rekey::{RekeyAck, RekeyRequest};
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
    /// An FCPS frame, and its symbols under a key.
    Fcps,
    /// A datagram's prefix.
    Datagram,
    /// An FCPC frame's header.
    Fcpc,
    /// A signed frame.
    SignedFrame,
    /// A message of a handshake or a rekey.
    Handshake,
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
        Self::Fcps,
        Self::Datagram,
        Self::Fcpc,
        Self::SignedFrame,
        Self::Handshake,
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
            Self::Fcps => "fcps",
            Self::Datagram => "datagram",
            Self::Fcpc => "fcpc",
            Self::SignedFrame => "signed_frame",
            Self::Handshake => "handshake",
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
            Self::Fcps => fcps_target(input),
            Self::Datagram => datagram_target(input),
            Self::Fcpc => fcpc_target(input),
            Self::SignedFrame => signed_frame_target(input),
            Self::Handshake => handshake_target(input),
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

/// A frame that is taken is as long as its header says; its symbols are as many as it says.
fn fcps_target(input: &[u8]) {
    let Ok(header) = Header::parse(input, MAX_FRAME_BYTES) else { return };
    let (count, record) = (header.symbol_count as usize, usize::from(header.symbol_size) + RECORD_OVERHEAD);
    assert_eq!(input.len(), HEADER_BYTES + count * record);
    let node = NodeId::new("fuzz").expect("a node");
    let zone_key = ZoneKeyRef {
        secret: &[7; 32],
        id: header.zone_key_id,
        zone_id_hash: header.zone_id_hash,
        algorithm: ZoneKeyAlgorithm::ChaCha20Poly1305,
    };
    let sender = Sender { node: &node, instance: header.sender_instance_id };
    let mut frame = input.to_vec();
    if let Ok(symbols) = Opener::new(zone_key, sender, &Pure).symbols(&mut frame, MAX_FRAME_BYTES) {
        assert_eq!(symbols.count(), count);
    }
}

/// What is taken apart is all of the input.
fn datagram_target(input: &[u8]) {
    match Datagram::parse(input, MAX_FRAME_BYTES) {
        Ok(parts) => {
            let (id, seq) = (parts.session_id.as_bytes(), parts.seq.to_le_bytes());
            assert_eq!([&id[..], &seq, &parts.mac, parts.frame].concat(), input);
        }
        Err(_) => assert!(input.len() < PREFIX_BYTES || input.len() > MAX_FRAME_BYTES),
    }
}

/// A header that is taken promises no more than its reader takes.
fn fcpc_target(input: &[u8]) {
    if let Some(fixed) = input.first_chunk::<{ control::HEADER_BYTES }>()
        && let Ok(header) = ControlHeader::parse(fixed, MAX_CONTROL_BYTES)
    {
        assert!(header.rest() <= MAX_CONTROL_BYTES + TAG_BYTES);
        assert_eq!(fixed[22..30], header.seq.to_le_bytes());
    }
}

/// What is taken apart has a source, which is where it says.
fn signed_frame_target(input: &[u8]) {
    if let Ok(frame) = SignedFrame::parse(input, MAX_FRAME_BYTES) {
        let source = frame.source.as_str().as_bytes();
        assert_eq!(&input[2..2 + source.len()], source);
        assert!(input.len() >= signed::OVERHEAD + source.len());
    }
}

/// What is accepted as a message is encoded to the same bytes.
fn handshake_target(input: &[u8]) {
    let read = [
        Hello::decode(input).and_then(|message| message.encode()),
        HelloRetry::decode(input).and_then(|message| message.encode()),
        Ack::decode(input).and_then(|message| message.encode()),
        RekeyRequest::decode(input).and_then(|message| message.encode()),
        RekeyAck::decode(input).and_then(|message| message.encode()),
    ];
    for again in read.into_iter().flatten() {
        assert_eq!(again, input);
    }
}
