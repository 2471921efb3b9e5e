//! Messages about symbols, and a transfer of one object that the input drives.

use arbitrary::{Arbitrary, Unstructured};
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::ids::{KeyId, ZoneId};
use fcp_proto_core::object::{
    Body, ChunkManifest, DecodeStatus, Header, Object, ObjectIdKey, RawChunk, SymbolAck, SymbolOffer,
    SymbolRefusal, SymbolRequest, TranscriptSigned,
};
use fcp_proto_core::symbol::{
    AdmissionError, DecodeLimits, Decodes, Encoder, EncodingSet, IdentifiedObject, PayloadId, Plans,
    TransmissionInformation,
};
use fcp_proto_core::time::{Instant, UnixTime};
use fcp_proto_core::zone::{Label, Level};

use crate::encoding::typed;

/// Symbols of one run; enough for the largest object below, with some to spare.
const MOST_STEPS: usize = 600;

/// How the object is cut, how the other sender cuts it, and what then comes.
#[derive(Debug, Arbitrary)]
struct Transfer {
    transmission: [u8; 12],
    length: u8,
    symbol_size: u16,
    other_symbol_size: u16,
    steps: Vec<Step>,
}

/// A symbol that comes.
#[derive(Debug, Arbitrary)]
struct Step {
    /// Whether the other sender made it.
    other: bool,
    /// Its number; small ones are source symbols.
    number: u16,
    /// The upper bits of its number, seldom used.
    far: Option<u16>,
    /// Nanoseconds since the last one.
    passed: u32,
}

/// The bytes are tried as each kind; they are one at most.
pub(crate) fn message(input: &[u8]) {
    typed::<TranscriptSigned<SymbolRequest>>(input);
    typed::<TranscriptSigned<DecodeStatus>>(input);
    typed::<TranscriptSigned<SymbolAck>>(input);
    typed::<SymbolOffer>(input);
    typed::<SymbolRefusal>(input);
    typed::<ChunkManifest>(input);
    typed::<RawChunk>(input);
}

/// What is rebuilt is what was sent.
pub(crate) fn transfer(input: &[u8]) {
    let Ok(transfer) = Transfer::arbitrary_take_rest(Unstructured::new(input)) else { return };
    if let Ok(information) = TransmissionInformation::from_bytes(&transfer.transmission) {
        assert_eq!(information.to_bytes(), transfer.transmission);
    }
    let key = ObjectIdKey::from_bytes([9; 32].into());
    let object = object(transfer.length, &key);
    let cut = |symbol_size: u16| {
        // Smaller symbols make many of them, solved in cubic time, and every mutation of a corpus entry pays for it.
        TransmissionInformation::new(object.bytes().len() as u64, symbol_size.max(16))
            .expect("a small object")
    };
    let cuts = [cut(transfer.symbol_size), cut(transfer.other_symbol_size)];
    receive(&object, cuts, &transfer.steps, &key);
}

/// An object whose content is `length` times 16 bytes.
fn object(length: u8, key: &ObjectIdKey) -> IdentifiedObject {
    let zone_id = ZoneId::new("z:work").expect("a zone");
    let label = Label::trusted(Level::WORK);
    let header = Header::new(&RawChunk::SCHEMA, &zone_id, UnixTime::from_secs(1), label, None);
    let content = vec![length; usize::from(length) * 16];
    let stored = Object { header, body: RawChunk { bytes: ByteString(content) } }.store();
    IdentifiedObject::new(stored.expect("a small object"), key).expect("a small object")
}

/// The receiver was told the first of `cuts`.
fn receive(object: &IdentifiedObject, cuts: [TransmissionInformation; 2], steps: &[Step], key: &ObjectIdKey) {
    let zone_id = object.header().zone_id.clone();
    let set = EncodingSet { object_id: object.id(), zone_id, zone_key_id: KeyId::default() };
    let mut plans = Plans::new(2);
    let mut decodes = Decodes::new(DecodeLimits::default());
    let mut now = Instant::from_nanos(0);
    decodes.begin(set.clone(), cuts[0], now).expect("small enough");
    let mut encoders = cuts.map(|cut| Encoder::new(&set, cut, object).expect("the object's own length"));
    for step in steps.iter().take(MOST_STEPS) {
        now = Instant::from_nanos(now.as_nanos() + u64::from(step.passed));
        let number = u32::from(step.far.unwrap_or(0)) << 16 | u32::from(step.number);
        let encoder = &mut encoders[usize::from(step.other)];
        let mut out = vec![0; encoder.information().symbol_size()];
        if let Ok(symbol) = encoder.symbol(PayloadId::from_u32(number), &mut plans, &mut out) {
            drop(decodes.add(symbol, now));
        }
        match decodes.finish(&set, key, now) {
            Ok(rebuilt) => return assert_eq!(&rebuilt, object),
            Err(AdmissionError::Incomplete { needed }) => assert_ne!(needed, 0),
            Err(_) => return assert!(decodes.decoder(&set).is_none()),
        }
    }
}
