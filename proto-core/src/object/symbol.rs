//! What nodes tell each other about symbols: how an object is cut, which symbols are wanted, how far a decode is.
//!
//! All but the offer are signed over hand-packed transcripts, in which all numbers are little-endian and a text stands
//! behind its length as u32. Spec: `docs/spec/symbols.md`.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

use super::{Body, Object, Schema, SignedBody};
use crate::crypto::role::Node;
use crate::crypto::sign::{Signature, SigningKey, VerifyingKey};
use crate::encoding::cbor::{FieldReader, FromCbor, MapBuilder, ShapeError, ToCbor, Value};
use crate::error::Code;
use crate::ids::{KeyId, NodeId, ObjectId, ZoneId};
use crate::limits::{
    MAX_MISSING_HINT, MAX_SYMBOLS_AUTHENTICATED, MAX_SYMBOLS_REQUESTED, MAX_SYMBOLS_UNAUTHENTICATED,
};
use crate::symbol::{PayloadId, TransmissionInformation};
use crate::{cbor_enum, cbor_map};

cbor_map! {
    /// An object is there as symbols, cut like this; signed by the node that has them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SymbolOffer {
        /// The object.
        pub object_id: ObjectId,
        /// The zone key under which its symbols travel.
        pub zone_key_id: KeyId,
        /// The epoch, as in frames.
        pub epoch_id: u64,
        /// How it is cut.
        pub information: TransmissionInformation,
    }
}

cbor_map! {
    /// A node asks for symbols of an object.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SymbolRequest {
        /// The object.
        pub object_id: ObjectId,
        /// Its zone.
        pub zone_id: ZoneId,
        /// The zone key under which symbols are wanted.
        pub zone_key_id: KeyId,
        /// The epoch, as in frames.
        pub epoch_id: u64,
        /// Most symbols to send.
        pub max_symbols: u32,
        /// The symbols that it lacks, the most wanted first; absent means any.
        pub missing_hint: Option<MissingHint>,
        /// Distinct symbols that it has.
        pub current_symbols: u32,
    }
}

cbor_map! {
    /// A receiver says how far its decode is.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DecodeStatus {
        /// The object.
        pub object_id: ObjectId,
        /// Its zone.
        pub zone_id: ZoneId,
        /// The zone key under which its symbols travel.
        pub zone_key_id: KeyId,
        /// The epoch, as in frames.
        pub epoch_id: u64,
        /// The receiver, whose key signs.
        pub recipient_node_id: NodeId,
        /// The receiver's number for the transfer; rises with each status and acknowledgement of an object.
        pub request_nonce: u64,
        /// Distinct symbols received.
        pub received_unique: u32,
        /// Symbols still needed.
        pub needed: u32,
        /// Whether the object is rebuilt.
        pub complete: bool,
        /// The symbols that it lacks; absent means any.
        pub missing_hint: Option<MissingHint>,
    }
}

cbor_map! {
    /// A receiver wants no more symbols.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SymbolAck {
        /// The object.
        pub object_id: ObjectId,
        /// Its zone.
        pub zone_id: ZoneId,
        /// The zone key under which its symbols travelled.
        pub zone_key_id: KeyId,
        /// The epoch, as in frames.
        pub epoch_id: u64,
        /// The receiver, whose key signs.
        pub recipient_node_id: NodeId,
        /// As in [`DecodeStatus`].
        pub request_nonce: u64,
        /// Why.
        pub reason: SymbolAckReason,
        /// Distinct symbols received.
        pub final_symbol_count: u32,
    }
}

cbor_enum! {
    /// Why a receiver wants no more symbols.
    pub enum SymbolAckReason {
        /// The object is rebuilt.
        Complete = "complete",
        /// It is not wanted any more.
        Cancelled = "cancelled",
        /// It was there already.
        Duplicate = "duplicate",
        /// The receiver's budget is used up.
        BudgetExceeded = "budget_exceeded",
    }
}

impl SymbolAckReason {
    /// The number that stands for it in the transcript.
    const fn number(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Cancelled => 1,
            Self::Duplicate => 2,
            Self::BudgetExceeded => 3,
        }
    }
}

/// Symbols that somebody lacks: from one to 100, each once.
///
/// An empty hint does not exist, so that a count of zero in a transcript always means that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingHint(Vec<PayloadId>);

/// Why a list of symbols is no hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintError {
    /// It names no symbol.
    Empty,
    /// It names more than 100.
    TooLong,
    /// It names one twice.
    Duplicate,
}

impl MissingHint {
    /// The hint that `symbols` are missing.
    ///
    /// # Errors
    /// The rule that the list breaks.
    //= docs/spec/symbols.md#hints
    pub fn new(symbols: Vec<PayloadId>) -> Result<Self, HintError> {
        if symbols.is_empty() {
            return Err(HintError::Empty);
        }
        if symbols.len() > MAX_MISSING_HINT {
            return Err(HintError::TooLong);
        }
        let distinct: BTreeSet<_> = symbols.iter().collect();
        if distinct.len() == symbols.len() { Ok(Self(symbols)) } else { Err(HintError::Duplicate) }
    }

    /// The symbols, in the order given.
    pub fn symbols(&self) -> &[PayloadId] {
        &self.0
    }
}

impl ToCbor for MissingHint {
    fn to_cbor(&self) -> Value<'_> {
        self.0.to_cbor()
    }
}

impl FromCbor for MissingHint {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let symbols = Vec::from_cbor(value)?;
        Self::new(symbols).map_err(|_| ShapeError::Invalid("a hint names from 1 to 100 symbols, each once"))
    }
}

/// A message that a node signs over a transcript of its own.
pub trait Transcribed: ToCbor + FromCbor {
    /// Its schema.
    const SCHEMA: Schema;

    /// Its zone, which must be that of the header.
    fn zone_id(&self) -> &ZoneId;

    /// The bytes that are signed.
    fn transcript(&self) -> Vec<u8>;
}

/// A message and a node's signature over its transcript: one map of the message's fields plus `signature`.
///
/// The header is not covered; nothing may be concluded from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptSigned<T> {
    /// The message.
    pub fields: T,
    /// Ed25519 over [`Transcribed::transcript`].
    pub signature: Signature,
}

/// Why a message about symbols is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolMessageError {
    /// Header and body name different zones.
    WrongZone,
    /// More symbols than anybody may ask for.
    AboveHardCap,
    /// More missing symbols than it asks for.
    HintAboveRequest,
    /// A hint of missing symbols with an object that is rebuilt.
    HintWhenComplete,
    /// The signature does not verify.
    SignatureInvalid,
    /// More symbols than this requester may ask for; names how many it may.
    TooManySymbols {
        /// How many it may.
        most: u32,
    },
}

/// How many symbols may be sent for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolAllowance(u32);

impl SymbolAllowance {
    /// The number of symbols.
    pub const fn symbols(self) -> u32 {
        self.0
    }
}

impl<T: Transcribed> TranscriptSigned<T> {
    /// `fields`, signed with the node's key.
    pub fn sign(fields: T, key: &SigningKey<Node>) -> Self {
        let signature = key.sign(&fields.transcript());
        Self { fields, signature }
    }
}

impl<T: Transcribed> Object<TranscriptSigned<T>> {
    /// The zone is said twice, and only the body's is signed.
    fn check_zone(&self) -> Result<(), SymbolMessageError> {
        if self.header.zone_id == *self.body.fields.zone_id() {
            Ok(())
        } else {
            Err(SymbolMessageError::WrongZone)
        }
    }

    fn check_signature(&self, key: &VerifyingKey<Node>) -> Result<(), SymbolMessageError> {
        let verified = key.verify(&self.body.fields.transcript(), &self.body.signature);
        verified.map_err(|_| SymbolMessageError::SignatureInvalid)
    }
}

impl Object<TranscriptSigned<SymbolRequest>> {
    /// How many symbols may be sent. `requester` is the key of the node at the other end of the session, if it is known;
    /// a request that is signed otherwise is refused, and not taken as one of an unknown node.
    ///
    /// # Errors
    /// The first rule that the request breaks; bounds come before the signature, which costs more to check.
    //= docs/spec/symbols.md#requests
    pub fn admit(
        &self,
        requester: Option<&VerifyingKey<Node>>,
    ) -> Result<SymbolAllowance, SymbolMessageError> {
        let request = &self.body.fields;
        self.check_zone()?;
        if request.max_symbols > MAX_SYMBOLS_REQUESTED {
            return Err(SymbolMessageError::AboveHardCap);
        }
        let hinted = request.missing_hint.as_ref().map_or(0, |hint| hint.symbols().len());
        if hinted as u64 > u64::from(request.max_symbols) {
            return Err(SymbolMessageError::HintAboveRequest);
        }
        let most = match requester {
            None => MAX_SYMBOLS_UNAUTHENTICATED,
            Some(key) => {
                self.check_signature(key)?;
                if hinted > 0 { MAX_SYMBOLS_REQUESTED } else { MAX_SYMBOLS_AUTHENTICATED }
            }
        };
        if request.max_symbols > most {
            return Err(SymbolMessageError::TooManySymbols { most });
        }
        Ok(SymbolAllowance(request.max_symbols))
    }
}

impl Object<TranscriptSigned<DecodeStatus>> {
    /// The status, if `recipient`, the key of the node that it names, signed it.
    ///
    /// # Errors
    /// The first rule that it breaks.
    //= docs/spec/symbols.md#feedback
    pub fn verify(&self, recipient: &VerifyingKey<Node>) -> Result<&DecodeStatus, SymbolMessageError> {
        self.check_zone()?;
        if self.body.fields.complete && self.body.fields.missing_hint.is_some() {
            return Err(SymbolMessageError::HintWhenComplete);
        }
        self.check_signature(recipient)?;
        Ok(&self.body.fields)
    }
}

impl Object<TranscriptSigned<SymbolAck>> {
    /// The acknowledgement, if `recipient`, the key of the node that it names, signed it.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn verify(&self, recipient: &VerifyingKey<Node>) -> Result<&SymbolAck, SymbolMessageError> {
        self.check_zone()?;
        self.check_signature(recipient)?;
        Ok(&self.body.fields)
    }
}

//= docs/spec/symbols.md#transcripts
impl Transcribed for SymbolRequest {
    const SCHEMA: Schema = Schema { namespace: "fcp.symbol", name: "Request", version: "1.0.0" };

    fn zone_id(&self) -> &ZoneId {
        &self.zone_id
    }

    fn transcript(&self) -> Vec<u8> {
        Transcript::new(b"FCP2-SYMBOL-REQ-V1")
            .encoding(&self.object_id, &self.zone_id, &self.zone_key_id, self.epoch_id)
            .u32(self.max_symbols)
            .u32(self.current_symbols)
            .hint(self.missing_hint.as_ref())
            .finish()
    }
}

impl Transcribed for DecodeStatus {
    const SCHEMA: Schema = Schema { namespace: "fcp.symbol", name: "DecodeStatus", version: "1.0.0" };

    fn zone_id(&self) -> &ZoneId {
        &self.zone_id
    }

    fn transcript(&self) -> Vec<u8> {
        Transcript::new(b"FCP2-DECODE-STATUS-V2")
            .encoding(&self.object_id, &self.zone_id, &self.zone_key_id, self.epoch_id)
            .text(self.recipient_node_id.as_str())
            .bytes(&self.request_nonce.to_le_bytes())
            .u32(self.received_unique)
            .u32(self.needed)
            .bytes(&[u8::from(self.complete)])
            .hint(self.missing_hint.as_ref())
            .finish()
    }
}

impl Transcribed for SymbolAck {
    const SCHEMA: Schema = Schema { namespace: "fcp.symbol", name: "Ack", version: "1.0.0" };

    fn zone_id(&self) -> &ZoneId {
        &self.zone_id
    }

    fn transcript(&self) -> Vec<u8> {
        Transcript::new(b"FCP2-SYMBOL-ACK-V2")
            .encoding(&self.object_id, &self.zone_id, &self.zone_key_id, self.epoch_id)
            .text(self.recipient_node_id.as_str())
            .bytes(&self.request_nonce.to_le_bytes())
            .bytes(&[self.reason.number()])
            .u32(self.final_symbol_count)
            .finish()
    }
}

impl SignedBody for SymbolOffer {
    const SCHEMA: Schema = Schema { namespace: "fcp.symbol", name: "Offer", version: "1.0.0" };
}

impl<T: Transcribed> Body for TranscriptSigned<T> {
    const SCHEMA: Schema = T::SCHEMA;
}

impl<T: Transcribed> ToCbor for TranscriptSigned<T> {
    fn to_cbor(&self) -> Value<'_> {
        let mut map = MapBuilder::from_map(self.fields.to_cbor());
        map.field("signature", &self.signature);
        map.finish()
    }
}

impl<T: Transcribed> FromCbor for TranscriptSigned<T> {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let mut fields = FieldReader::new(value)?;
        let signature = fields.field("signature")?;
        Ok(Self { fields: T::from_cbor(fields.rest())?, signature })
    }
}

/// A transcript in the making.
struct Transcript(Vec<u8>);

impl Transcript {
    fn new(domain: &[u8]) -> Self {
        Self(domain.to_vec())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u32(self, number: u32) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// Names have at most 128 bytes.
    fn text(self, text: &str) -> Self {
        self.u32(text.len() as u32).bytes(text.as_bytes())
    }

    fn encoding(self, object: &ObjectId, zone: &ZoneId, zone_key: &KeyId, epoch: u64) -> Self {
        self.bytes(object.as_bytes())
            .text(zone.as_str())
            .bytes(zone_key.as_bytes())
            .bytes(&epoch.to_le_bytes())
    }

    /// No hint is a count of zero.
    fn hint(self, hint: Option<&MissingHint>) -> Self {
        let symbols = hint.map_or(&[][..], MissingHint::symbols);
        symbols.iter().fold(self.u32(symbols.len() as u32), |transcript, id| transcript.u32(id.as_u32()))
    }

    fn finish(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Display for HintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a hint names at least one symbol",
            Self::TooLong => "a hint names at most 100 symbols",
            Self::Duplicate => "a hint names each symbol once",
        })
    }
}

impl core::error::Error for HintError {}

impl HintError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::Empty | Self::TooLong | Self::Duplicate => Code::SymbolInvalid,
        }
    }
}

impl fmt::Display for SymbolMessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongZone => f.write_str("header and body name different zones"),
            Self::AboveHardCap => write!(f, "nobody may ask for more than {MAX_SYMBOLS_REQUESTED} symbols"),
            Self::HintAboveRequest => f.write_str("more symbols are missing than are asked for"),
            Self::HintWhenComplete => f.write_str("nothing is missing of an object that is rebuilt"),
            Self::SignatureInvalid => f.write_str("the signature does not verify"),
            Self::TooManySymbols { most } => write!(f, "at most {most} symbols may be asked for"),
        }
    }
}

impl core::error::Error for SymbolMessageError {}

impl SymbolMessageError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::WrongZone | Self::HintAboveRequest | Self::HintWhenComplete => Code::SymbolInvalid,
            Self::AboveHardCap | Self::TooManySymbols { .. } => Code::OutOfRange,
            Self::SignatureInvalid => Code::PeerNotAuthentic,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::object::{Header, StoredObject};
    use crate::random::Entropy;
    use crate::time::UnixTime;
    use crate::zone::{Label, Level};

    fn key(seed: u8) -> SigningKey<Node> {
        SigningKey::generate(&mut Entropy::from_seed(&[seed; 32].into()))
    }

    fn zone() -> ZoneId {
        ZoneId::new("z:work").unwrap()
    }

    fn hint(count: u32) -> Option<MissingHint> {
        MissingHint::new((0..count).map(PayloadId::from_u32).collect()).ok()
    }

    fn request(max_symbols: u32, missing_hint: Option<MissingHint>) -> SymbolRequest {
        SymbolRequest {
            object_id: ObjectId::from_bytes([1; 32]),
            zone_id: zone(),
            zone_key_id: KeyId::from_bytes([2; 8]),
            epoch_id: 3,
            max_symbols,
            missing_hint,
            current_symbols: 4,
        }
    }

    fn object<T: Transcribed>(fields: T) -> Object<TranscriptSigned<T>> {
        let label = Label::trusted(Level::WORK);
        let header = Header::new(&T::SCHEMA, &zone(), UnixTime::from_secs(1), label, None);
        Object { header, body: TranscriptSigned::sign(fields, &key(1)) }
    }

    //= docs/spec/symbols.md#requests
    #[test]
    fn each_requester_has_its_bound() {
        let public = key(1).verifying_key();
        let most = |requester: Option<&VerifyingKey<Node>>, symbols, hinted| {
            object(request(symbols, hint(hinted))).admit(requester).map(SymbolAllowance::symbols)
        };
        let too_many = |most| Err(SymbolMessageError::TooManySymbols { most });
        assert_eq!((most(None, 32, 0), most(None, 33, 0)), (Ok(32), too_many(32)));
        assert_eq!(most(None, 33, 33), too_many(32), "a hint of an unknown node proves nothing");
        assert_eq!(
            (most(Some(&public), 1_000, 0), most(Some(&public), 1_001, 0)),
            (Ok(1_000), too_many(1_000))
        );
        assert_eq!(most(Some(&public), 2_001, 1), Ok(2_001));
        for requester in [None, Some(&public)] {
            assert_eq!(most(requester, 2_002, 1), Err(SymbolMessageError::AboveHardCap));
            assert_eq!(most(requester, 1, 2), Err(SymbolMessageError::HintAboveRequest));
        }
        assert_eq!(most(Some(&public), 0, 0), Ok(0));
    }

    #[test]
    fn a_request_signed_otherwise_is_refused_and_not_taken_as_unknown() {
        let object = object(request(1, None));
        assert_eq!(object.admit(Some(&key(2).verifying_key())), Err(SymbolMessageError::SignatureInvalid));
    }

    /// Every field of each message changes what is signed.
    //= docs/spec/symbols.md#transcripts
    #[test]
    fn a_transcript_covers_every_field() {
        let good = request(5, hint(2));
        let status = DecodeStatus {
            object_id: good.object_id,
            zone_id: zone(),
            zone_key_id: good.zone_key_id,
            epoch_id: 3,
            recipient_node_id: NodeId::new("laptop").unwrap(),
            request_nonce: 6,
            received_unique: 7,
            needed: 8,
            complete: false,
            missing_hint: hint(2),
        };
        let ack = SymbolAck {
            object_id: good.object_id,
            zone_id: zone(),
            zone_key_id: good.zone_key_id,
            epoch_id: 3,
            recipient_node_id: NodeId::new("laptop").unwrap(),
            request_nonce: 6,
            reason: SymbolAckReason::Complete,
            final_symbol_count: 7,
        };
        let (other, other_key) = (ObjectId::from_bytes([9; 32]), KeyId::from_bytes([9; 8]));
        let other_zone = || ZoneId::new("z:owner").unwrap();
        let desk = || NodeId::new("desk").unwrap();
        let transcripts = [
            vec![
                good.transcript(),
                SymbolRequest { object_id: other, ..good.clone() }.transcript(),
                SymbolRequest { zone_id: other_zone(), ..good.clone() }.transcript(),
                SymbolRequest { zone_key_id: other_key, ..good.clone() }.transcript(),
                SymbolRequest { epoch_id: 9, ..good.clone() }.transcript(),
                SymbolRequest { max_symbols: 9, ..good.clone() }.transcript(),
                SymbolRequest { current_symbols: 9, ..good.clone() }.transcript(),
                SymbolRequest { missing_hint: hint(3), ..good.clone() }.transcript(),
                SymbolRequest { missing_hint: None, ..good.clone() }.transcript(),
            ],
            vec![
                status.transcript(),
                DecodeStatus { object_id: other, ..status.clone() }.transcript(),
                DecodeStatus { zone_id: other_zone(), ..status.clone() }.transcript(),
                DecodeStatus { zone_key_id: other_key, ..status.clone() }.transcript(),
                DecodeStatus { epoch_id: 9, ..status.clone() }.transcript(),
                DecodeStatus { recipient_node_id: desk(), ..status.clone() }.transcript(),
                DecodeStatus { request_nonce: 9, ..status.clone() }.transcript(),
                DecodeStatus { received_unique: 9, ..status.clone() }.transcript(),
                DecodeStatus { needed: 9, ..status.clone() }.transcript(),
                DecodeStatus { complete: true, ..status.clone() }.transcript(),
                DecodeStatus { missing_hint: None, ..status.clone() }.transcript(),
            ],
            vec![
                ack.transcript(),
                SymbolAck { object_id: other, ..ack.clone() }.transcript(),
                SymbolAck { zone_id: other_zone(), ..ack.clone() }.transcript(),
                SymbolAck { zone_key_id: other_key, ..ack.clone() }.transcript(),
                SymbolAck { epoch_id: 9, ..ack.clone() }.transcript(),
                SymbolAck { recipient_node_id: desk(), ..ack.clone() }.transcript(),
                SymbolAck { request_nonce: 9, ..ack.clone() }.transcript(),
                SymbolAck { reason: SymbolAckReason::Duplicate, ..ack.clone() }.transcript(),
                SymbolAck { final_symbol_count: 9, ..ack.clone() }.transcript(),
            ],
        ]
        .concat();
        let distinct: BTreeSet<_> = transcripts.iter().collect();
        assert_eq!(distinct.len(), transcripts.len());
        let numbers: BTreeSet<_> = SymbolAckReason::ALL.iter().map(|reason| reason.number()).collect();
        assert_eq!(numbers.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    //= docs/spec/symbols.md#hints
    #[test]
    fn a_hint_names_from_one_to_a_hundred_symbols_once() {
        assert_eq!(MissingHint::new(vec![]), Err(HintError::Empty));
        assert!(hint(100).is_some());
        assert_eq!(MissingHint::new((0..101).map(PayloadId::from_u32).collect()), Err(HintError::TooLong));
        assert_eq!(MissingHint::new(vec![PayloadId::from_u32(1); 2]), Err(HintError::Duplicate));
    }

    #[test]
    fn messages_read_back_as_objects() {
        let sent = object(request(5, hint(2)));
        let stored = StoredObject::from_bytes(&sent.store().unwrap().to_bytes().unwrap()).unwrap();
        assert_eq!(stored.open::<TranscriptSigned<SymbolRequest>>(), Ok(sent));
        assert_eq!(stored.open::<TranscriptSigned<SymbolAck>>(), Err(ShapeError::SchemaMismatch));
    }
}
