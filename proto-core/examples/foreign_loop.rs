//! The core inside somebody else's loop, on a board without an operating system: the clock is a counter of the board, the
//! entropy comes from the board's generator, and nothing of the core runs unless the loop calls it.
//!
//! Run with `cargo run -p fcp-proto-core --example foreign_loop`. One board has an object and streams its symbols until
//! the other, to which two of three symbols come, says that it is whole.

extern crate alloc;

use alloc::vec;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::ids::{KeyId, NodeId, ZoneId};
use fcp_proto_core::object::{
    Body, Header, Object, ObjectIdKey, RawChunk, SymbolAck, SymbolAckReason, TranscriptSigned,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::symbol::{
    AdmissionError, DecodeLimits, Decodes, Encoder, EncodingSet, IdentifiedObject, PayloadId, Plans,
    TransmissionInformation,
};
use fcp_proto_core::time::{Instant, UnixTime};
use fcp_proto_core::zone::{Label, Level};

/// What the core needs of the world, and all of it.
trait Board {
    /// Microseconds since the board was switched on.
    fn ticks(&mut self) -> u64;

    /// 32 bytes that nobody can guess.
    fn seed(&mut self) -> [u8; 32];
}

/// A board on a desk: time passes when it is asked for, and the entropy is the same each day. A real one reads registers.
struct Desk {
    ticks: u64,
}

impl Board for Desk {
    fn ticks(&mut self) -> u64 {
        self.ticks += 250;
        self.ticks
    }

    fn seed(&mut self) -> [u8; 32] {
        [42; 32]
    }
}

/// How a transfer ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Symbols sent.
    pub(crate) sent: u32,
    /// Whether the receiver rebuilt the sender's bytes, and its acknowledgement verified.
    pub(crate) whole: bool,
    /// Decodes that ended because their time was over.
    pub(crate) expired: usize,
}

fn now(board: &mut impl Board) -> Instant {
    Instant::from_nanos(board.ticks() * 1_000)
}

/// An object of about 20 kB, and the encoding of its symbols of 1,000 bytes.
fn object(
    entropy: &mut Entropy,
    key: &ObjectIdKey,
) -> Option<(EncodingSet, TransmissionInformation, IdentifiedObject)> {
    let zone_id = ZoneId::new("z:private").ok()?;
    let mut bytes = vec![0; 20_000];
    entropy.fill(&mut bytes);
    let label = Label::trusted(Level::PRIVATE);
    let header = Header::new(&RawChunk::SCHEMA, &zone_id, UnixTime::from_secs(1_795_426_200), label, None);
    let stored = Object { header, body: RawChunk { bytes: ByteString(bytes) } }.store().ok()?;
    let object = IdentifiedObject::new(stored, key).ok()?;
    let information = TransmissionInformation::new(object.bytes().len() as u64, 1_000).ok()?;
    let set = EncodingSet { object_id: object.id(), zone_id, zone_key_id: KeyId::default() };
    Some((set, information, object))
}

/// The loop. `None` means that the core refused something that is right by construction.
fn run(board: &mut impl Board) -> Option<Outcome> {
    let mut entropy = Entropy::from_seed(&board.seed().into());
    let key = ObjectIdKey::generate(&mut entropy);
    let node = SigningKey::<Node>::generate(&mut entropy);
    let (set, information, object) = object(&mut entropy, &key)?;
    let stalled = EncodingSet { zone_key_id: KeyId::from_bytes([1; 8]), ..set.clone() };

    let mut plans = Plans::default();
    let mut encoder = Encoder::new(&set, information, &object).ok()?;
    let mut decodes = Decodes::new(DecodeLimits::default());
    decodes.begin(stalled, information, now(board)).ok()?;
    decodes.begin(set.clone(), information, now(board)).ok()?;

    let mut buffer = vec![0; information.symbol_size()];
    for esi in 0..10_000 {
        let symbol = encoder.symbol(PayloadId::new(0, esi).ok()?, &mut plans, &mut buffer).ok()?;
        if entropy.below(3) == 0 {
            continue;
        }
        decodes.add(symbol, now(board)).ok()?;
        let rebuilt = match decodes.finish(&set, &key, now(board)) {
            Ok(rebuilt) => rebuilt,
            Err(AdmissionError::Incomplete { .. }) => continue,
            Err(_) => return None,
        };
        let acknowledged = acknowledge(&set, &node, esi + 1)?;
        let later = Instant::from_nanos(now(board).as_nanos() + 60_000_000_000);
        let expired = decodes.expire(later).len();
        return Some(Outcome { sent: esi + 1, whole: acknowledged && rebuilt == object, expired });
    }
    None
}

/// The receiver's last word, and whether the sender believes it.
fn acknowledge(set: &EncodingSet, node: &SigningKey<Node>, received: u32) -> Option<bool> {
    let fields = SymbolAck {
        object_id: set.object_id,
        zone_id: set.zone_id.clone(),
        zone_key_id: set.zone_key_id,
        epoch_id: 1,
        recipient_node_id: NodeId::new("desk").ok()?,
        request_nonce: 1,
        reason: SymbolAckReason::Complete,
        final_symbol_count: received,
    };
    let body = TranscriptSigned::sign(fields, node);
    let label = Label::trusted(Level::PRIVATE);
    let schema = <TranscriptSigned<SymbolAck> as Body>::SCHEMA;
    let header = Header::new(&schema, &set.zone_id, UnixTime::from_secs(1_795_426_200), label, None);
    Some(Object { header, body }.verify(&node.verifying_key()).is_ok())
}

/// A transfer on the desk.
pub(crate) fn desk() -> Option<Outcome> {
    run(&mut Desk { ticks: 0 })
}

#[allow(dead_code, reason = "a test includes this file and calls `desk`")]
fn main() {
    match desk() {
        Some(outcome) => println!("{outcome:?}"),
        None => std::process::exit(1),
    }
}
