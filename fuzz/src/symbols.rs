//! A transfer of one object, driven by the input.

use arbitrary::{Arbitrary, Unstructured};
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::ids::{KeyId, ZoneId};
use fcp_proto_core::object::{Body, Header, Object, ObjectIdKey, RawChunk};
use fcp_proto_core::symbol::{
    AdmissionError, DecodeLimits, Decodes, Encoder, EncodingSet, PayloadId, Plans, TransmissionInformation,
};
use fcp_proto_core::time::{Instant, UnixTime};
use fcp_proto_core::zone::{Label, Level};

/// Symbols of one run; enough for the largest object below, with some to spare.
const MOST_STEPS: usize = 600;

/// How the object is cut, how the other sender cuts its own, and what then comes.
#[derive(Debug, Arbitrary)]
struct Transfer {
    transmission: [u8; 12],
    bytes: u8,
    symbol_size: u16,
    other_bytes: u8,
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

/// An object as its sender has it.
struct Sender {
    set: EncodingSet,
    information: TransmissionInformation,
    bytes: Vec<u8>,
}

/// # Panics
/// If what is rebuilt is not what was sent.
pub(crate) fn run(input: &[u8]) {
    let Ok(transfer) = Transfer::arbitrary_take_rest(Unstructured::new(input)) else { return };
    if let Ok(information) = TransmissionInformation::from_bytes(&transfer.transmission) {
        assert_eq!(information.to_bytes(), transfer.transmission);
    }
    let key = ObjectIdKey::from_bytes([9; 32].into());
    let told = sender(transfer.bytes, transfer.symbol_size, &key);
    let other = sender(transfer.other_bytes, transfer.other_symbol_size, &key);
    if let (Some(told), Some(other)) = (told, other) {
        receive(&told, &Sender { set: told.set.clone(), ..other }, &transfer.steps, &key);
    }
}

fn receive(sender: &Sender, other: &Sender, steps: &[Step], key: &ObjectIdKey) {
    let mut plans = Plans::new(2);
    let mut decodes = Decodes::new(DecodeLimits::default());
    let mut now = Instant::from_nanos(0);
    decodes.begin(sender.set.clone(), sender.information, now).expect("small enough");
    let mut encoders = [sender, other]
        .map(|it| Encoder::new(&it.set, it.information, &it.bytes).expect("the object's own length"));
    for step in steps.iter().take(MOST_STEPS) {
        now = Instant::from_nanos(now.as_nanos() + u64::from(step.passed));
        let number = u32::from(step.far.unwrap_or(0)) << 16 | u32::from(step.number);
        let from = if step.other { other } else { sender };
        let mut out = vec![0; from.information.symbol_size()];
        let encoder = &mut encoders[usize::from(step.other)];
        if let Ok(symbol) = encoder.symbol(PayloadId::from_u32(number), &mut plans, &mut out) {
            drop(decodes.add(symbol, now));
        }
        match decodes.finish(&sender.set, key, now) {
            Ok(rebuilt) => return assert_eq!(rebuilt.bytes(), sender.bytes),
            Err(AdmissionError::Incomplete { needed }) => assert_ne!(needed, 0),
            Err(_) => return assert!(decodes.decoder(&sender.set).is_none()),
        }
    }
}

/// The sender of an object whose content is `length` times 16 bytes.
fn sender(length: u8, symbol_size: u16, key: &ObjectIdKey) -> Option<Sender> {
    let zone_id = ZoneId::new("z:work").ok()?;
    let label = Label::trusted(Level::WORK);
    let header = Header::new(&RawChunk::SCHEMA, &zone_id, UnixTime::from_secs(1), label, None);
    let content = vec![length; usize::from(length) * 16];
    let object = Object { header, body: RawChunk { bytes: ByteString(content) } }.store().ok()?;
    let (object_id, bytes) = (object.id(key).ok()?, object.to_bytes().ok()?);
    // Symbols of fewer than eight bytes make many of them, and every mutation of a corpus entry pays for it.
    let information = TransmissionInformation::new(bytes.len() as u64, symbol_size.max(8)).ok()?;
    Some(Sender {
        set: EncodingSet { object_id, zone_id, zone_key_id: KeyId::default() },
        information,
        bytes,
    })
}
