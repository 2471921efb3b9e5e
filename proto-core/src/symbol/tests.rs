use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::encoding::cbor::{ByteString, FromCbor, ToCbor};
use crate::ids::{KeyId, ObjectId, ZoneId};
use crate::limits::{MAX_BLOCK_SYMBOLS, MAX_FAILED_ATTEMPTS, MAX_SURPLUS_SYMBOLS, MAX_WHOLE_BYTES};
use crate::object::{Body, Header, Object, ObjectIdKey, RawChunk, StoredObject};
use crate::random::Entropy;
use crate::time::{Instant, UnixTime};
use crate::zone::{Label, Level};

fn key() -> ObjectIdKey {
    ObjectIdKey::from_bytes([9; 32].into())
}

fn entropy(seed: u8) -> Entropy {
    Entropy::from_seed(&[seed; 32].into())
}

/// A stored object of about `size` bytes.
fn object(size: usize, entropy: &mut Entropy) -> StoredObject {
    let mut bytes = vec![0; size];
    entropy.fill(&mut bytes);
    let zone = ZoneId::new("z:work").unwrap();
    let label = Label::trusted(Level::WORK);
    let header = Header::new(&RawChunk::SCHEMA, &zone, UnixTime::from_secs(1), label, None);
    Object { header, body: RawChunk { bytes: ByteString(bytes) } }.store().unwrap()
}

/// An object as its sender has it.
struct Sent {
    set: EncodingSet,
    information: TransmissionInformation,
    bytes: Vec<u8>,
}

impl Sent {
    fn new(size: usize, symbol_size: u16, entropy: &mut Entropy) -> Self {
        let object = object(size, entropy);
        let set = EncodingSet {
            object_id: object.id(&key()).unwrap(),
            zone_id: object.header.zone_id.clone(),
            zone_key_id: KeyId::from_bytes([3; 8]),
        };
        let bytes = object.to_bytes().unwrap();
        let information = TransmissionInformation::new(bytes.len() as u64, symbol_size).unwrap();
        Self { set, information, bytes }
    }

    fn decoder(&self) -> Decoder {
        Decoder::new(self.set.clone(), self.information, usize::MAX).unwrap()
    }

    /// Gives the symbols `ids` to `decoder`.
    fn deliver(&self, ids: impl IntoIterator<Item = PayloadId>, decoder: &mut Decoder) -> Vec<DecodeError> {
        let mut plans = Plans::default();
        let mut encoder = Encoder::over(&self.set, self.information, &self.bytes);
        let mut out = vec![0; self.information.symbol_size()];
        let add = |id| decoder.add(encoder.symbol(id, &mut plans, &mut out).unwrap()).err();
        ids.into_iter().filter_map(add).collect()
    }
}

fn id(block: u8, esi: u32) -> PayloadId {
    PayloadId::new(block, esi).unwrap()
}

/// Solves one block after the other until symbols are needed, or none.
fn solve(decoder: &mut Decoder) -> Progress {
    loop {
        let progress = decoder.solve().unwrap();
        if progress.complete || progress.needed > 0 {
            return progress;
        }
    }
}

/// `count` distinct symbols of `block`: each source symbol with the probability `keep` of 100, repair symbols anywhere.
fn draw(block: Block, count: u32, keep: u64, entropy: &mut Entropy) -> BTreeSet<PayloadId> {
    let source = 0..u32::from(block.source_symbols);
    let mut drawn: BTreeSet<_> =
        source.filter(|_| entropy.below(100) < keep).map(|esi| id(block.number, esi)).collect();
    while drawn.len() > count as usize {
        drawn.pop_last();
    }
    while drawn.len() < count as usize {
        let repair = (1 << 24) - u64::from(block.source_symbols);
        drawn.insert(id(block.number, (entropy.below(repair) + u64::from(block.source_symbols)) as u32));
    }
    drawn
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    //= docs/spec/symbols.md#rebuilding
    #[test]
    fn any_two_more_symbols_than_needed_rebuild_the_object(
        size in 0_usize..40_000, symbol_size in 1_u16..=2_000, keep in prop::sample::select(vec![100_u64, 70, 40, 0]),
        seed: u8,
    ) {
        let mut entropy = entropy(seed);
        prop_assume!(size / usize::from(symbol_size) < 8_000);
        let sent = Sent::new(size, symbol_size, &mut entropy);
        let mut decoder = sent.decoder();
        for block in sent.information.blocks() {
            let ids = draw(block, u32::from(block.source_symbols) + 2, keep, &mut entropy);
            let refused = sent.deliver(ids, &mut decoder);
            prop_assert!(refused.iter().all(|error| *error == DecodeError::Surplus));
        }
        prop_assert!(solve(&mut decoder).complete);
        let rebuilt = decoder.finish(&key()).unwrap();
        prop_assert_eq!(rebuilt.bytes(), &sent.bytes);
        prop_assert_eq!(rebuilt.id(), sent.set.object_id);
    }

    #[test]
    fn blocks_divide_the_symbols(length in 1_u64..=MAX_WHOLE_BYTES as u64, symbol_size in 1_u16..) {
        if let Ok(information) = TransmissionInformation::new(length, symbol_size) {
            let blocks: Vec<_> = information.blocks().collect();
            let mut next = 0;
            for block in &blocks {
                prop_assert_eq!(block.first_symbol, next);
                prop_assert!((1..=MAX_BLOCK_SYMBOLS).contains(&block.source_symbols));
                next += u32::from(block.source_symbols);
            }
            prop_assert_eq!(next, information.source_symbols());
            prop_assert!(blocks.windows(2).all(|pair| pair[0].source_symbols - pair[1].source_symbols <= 1));
            prop_assert_eq!(TransmissionInformation::from_bytes(&information.to_bytes()), Ok(information));
            prop_assert_eq!(TransmissionInformation::from_cbor(information.to_cbor()), Ok(information));
        }
    }

    /// Twelve bytes from anywhere either are the one description of an encoding or are refused.
    //= docs/spec/symbols.md#object-transmission-information
    #[test]
    fn transmission_information_has_one_form(bytes: [u8; 12]) {
        if let Ok(information) = TransmissionInformation::from_bytes(&bytes) {
            prop_assert_eq!(information.to_bytes(), bytes);
        }
    }

    /// Symbols of every shape, from a sender who cuts its object otherwise than it said.
    #[test]
    fn symbols_of_any_shape_are_refused_or_taken(
        expected in (1_u64..5_000, 1_u16..600), sent in prop::collection::vec((0_u32.., 0_u16..40, 0_usize..700), 0..40),
    ) {
        let (Ok(information), mut entropy) = (TransmissionInformation::new(expected.0, expected.1), entropy(1)) else {
            return Ok(());
        };
        let set = Sent::new(1, 1, &mut entropy).set;
        let mut decoder = Decoder::new(set.clone(), information, usize::MAX).unwrap();
        for (number, source_symbols, length) in sent {
            let bytes = vec![7; length];
            let id = PayloadId::from_u32(number % 0x0200_0100);
            let symbol = Authenticated::vouch(Symbol { set: &set, id, source_symbols, bytes: &bytes });
            drop(decoder.add(symbol));
            drop(decoder.solve());
        }
        prop_assert!(decoder.finish(&key()).is_err());
    }
}

#[test]
fn whole_objects_survive_every_loss() {
    let mut entropy = entropy(7);
    for (size, symbol_size) in
        [(1_000_000, 1_024), (MAX_WHOLE_BYTES - 400, 1_024), (200_000, 256), (300_000, 65_535)]
    {
        let sent = Sent::new(size, symbol_size, &mut entropy);
        for keep in [100, 70, 40] {
            let mut decoder = sent.decoder();
            for block in sent.information.blocks() {
                let ids = draw(block, u32::from(block.source_symbols) + 2, keep, &mut entropy);
                sent.deliver(ids, &mut decoder);
            }
            solve(&mut decoder);
            assert_eq!(decoder.finish(&key()).unwrap().bytes(), sent.bytes, "{size} {symbol_size} {keep}");
        }
    }
}

#[test]
fn the_smallest_and_the_largest_symbols_work() {
    let mut entropy = entropy(2);
    for (size, symbol_size) in [(0, 1), (0, u16::MAX), (70_000, u16::MAX), (3_000, 7)] {
        let sent = Sent::new(size, symbol_size, &mut entropy);
        let mut decoder = sent.decoder();
        for block in sent.information.blocks() {
            let repair = u32::from(block.source_symbols)..2 * u32::from(block.source_symbols) + 4;
            sent.deliver(repair.map(|esi| id(block.number, esi)), &mut decoder);
        }
        decoder.solve().unwrap();
        assert_eq!(decoder.finish(&key()).unwrap().bytes(), sent.bytes, "{size} {symbol_size}");
    }
}

//= docs/spec/symbols.md#object-transmission-information
#[test]
fn numbers_that_describe_no_encoding_are_refused_by_name() {
    let new = TransmissionInformation::new;
    assert_eq!(new(0, 1), Err(TransmissionError::Empty));
    assert_eq!(new(1, 0), Err(TransmissionError::ZeroSymbolSize));
    assert_eq!(new(MAX_WHOLE_BYTES as u64 + 1, 1_024), Err(TransmissionError::TooLong));
    assert_eq!(new(u64::MAX, 1_024), Err(TransmissionError::TooLong));
    let most = u64::from(MAX_BLOCK_SYMBOLS) * 255;
    assert_eq!(new(most, 1).map(TransmissionInformation::source_blocks), Ok(255));
    assert_eq!(new(most + 1, 1), Err(TransmissionError::TooManyBlocks));
    let good = new(5_000, 4).unwrap().to_bytes();
    for (at, value, error) in [
        (0, 1, TransmissionError::TooLong),
        (5, 1, TransmissionError::Reserved),
        (8, 1, TransmissionError::WrongSourceBlocks { expected: 2, got: 1 }),
        (8, 0, TransmissionError::WrongSourceBlocks { expected: 2, got: 0 }),
        (10, 2, TransmissionError::WrongSubBlocks),
        (10, 0, TransmissionError::WrongSubBlocks),
        (11, 4, TransmissionError::WrongAlignment),
        (11, 0, TransmissionError::WrongAlignment),
    ] {
        let mut bytes = good;
        bytes[at] = value;
        assert_eq!(TransmissionInformation::from_bytes(&bytes), Err(error), "{at}");
    }
}

//= docs/spec/symbols.md#payload-ids
#[test]
fn payload_ids_number_blocks_above_symbols() {
    assert_eq!(id(2, 3).as_u32(), 0x0200_0003);
    assert_eq!(PayloadId::from_u32(u32::MAX), id(255, (1 << 24) - 1));
    assert_eq!(PayloadId::new(0, 1 << 24), Err(EsiOutOfRange));
    assert_eq!(format!("{}", id(2, 3)), "2:3");
}

/// What `decoder` says to a symbol that differs in one respect from the first one of `sent`.
fn answer(
    sent: &Sent,
    decoder: &mut Decoder,
    change: impl for<'a> FnOnce(Symbol<'a>) -> Symbol<'a>,
) -> Result<Progress, DecodeError> {
    let source_symbols = sent.information.block(0).unwrap().source_symbols;
    let bytes = &sent.bytes[..sent.information.symbol_size()];
    decoder.add(Authenticated::vouch(change(Symbol { set: &sent.set, id: id(0, 0), source_symbols, bytes })))
}

//= docs/spec/symbols.md#decoding
#[test]
fn a_symbol_that_does_not_fit_is_refused_by_name() {
    let sent = Sent::new(4_000, 100, &mut entropy(3));
    let mut decoder = sent.decoder();
    let other = EncodingSet { zone_key_id: KeyId::from_bytes([4; 8]), ..sent.set.clone() };
    let foreign = Symbol { set: &other, id: id(0, 0), source_symbols: 1, bytes: &[] };
    assert_eq!(decoder.add(Authenticated::vouch(foreign)), Err(DecodeError::WrongEncoding));
    let no_block = DecodeError::NoSuchBlock { blocks: 1 };
    assert_eq!(answer(&sent, &mut decoder, |symbol| Symbol { id: id(1, 0), ..symbol }), Err(no_block));
    let expected = sent.information.block(0).unwrap().source_symbols;
    for got in [0, expected - 1, expected + 1, u16::MAX] {
        let refused = answer(&sent, &mut decoder, |symbol| Symbol { source_symbols: got, ..symbol });
        assert_eq!(refused, Err(DecodeError::WrongSourceSymbols { expected, got }));
    }
    for got in [0, 99] {
        let refused = answer(&sent, &mut decoder, |symbol| Symbol { bytes: &symbol.bytes[..got], ..symbol });
        assert_eq!(refused, Err(DecodeError::WrongSymbolSize { expected: 100, got }));
    }
    assert_eq!(decoder.progress().received, 0, "nothing was taken");
    assert!(answer(&sent, &mut decoder, |symbol| symbol).is_ok());
    assert_eq!(answer(&sent, &mut decoder, |symbol| symbol), Err(DecodeError::Duplicate));
    assert!(answer(&sent, &mut decoder, |symbol| Symbol { id: id(0, 900), ..symbol }).is_ok());
    let again = answer(&sent, &mut decoder, |symbol| Symbol { id: id(0, 900), ..symbol });
    assert_eq!(again, Err(DecodeError::Duplicate));
}

#[test]
fn a_block_keeps_a_bounded_number_of_symbols() {
    let sent = Sent::new(1_000, 100, &mut entropy(3));
    let source = u32::from(sent.information.block(0).unwrap().source_symbols);
    let mut decoder = sent.decoder();
    let refused =
        sent.deliver((source..2 * source + MAX_SURPLUS_SYMBOLS + 5).map(|esi| id(0, esi)), &mut decoder);
    assert_eq!(refused, vec![DecodeError::Surplus; 5]);
    let mut complete = sent.decoder();
    let refused = sent.deliver((0..source + 1).map(|esi| id(0, esi)), &mut complete);
    assert_eq!(refused, [DecodeError::Surplus], "a complete block needs nothing");
}

#[test]
fn a_decode_says_what_it_lacks_and_goes_on_when_more_comes() {
    let sent = Sent::new(1_000, 100, &mut entropy(4));
    let source = u32::from(sent.information.block(0).unwrap().source_symbols);
    let mut decoder = sent.decoder();
    sent.deliver((0..source).filter(|esi| ![2, 5].contains(esi)).map(|esi| id(0, esi)), &mut decoder);
    assert_eq!(decoder.solve(), Ok(Progress { received: source - 2, needed: 2, complete: false }));
    assert_eq!(decoder.missing().collect::<Vec<_>>(), [id(0, 2), id(0, 5)]);
    sent.deliver([id(0, source), id(0, source + 1), id(0, 5)], &mut decoder);
    assert!(decoder.solve().unwrap().complete);
    assert_eq!(decoder.missing().count(), 0);
    assert_eq!(decoder.finish(&key()).unwrap().bytes(), sent.bytes);
}

#[test]
fn an_unfinished_decode_gives_nothing() {
    let sent = Sent::new(1_000, 100, &mut entropy(4));
    assert_eq!(sent.decoder().finish(&key()), Err(DecodeError::Incomplete));
}

//= docs/spec/symbols.md#rebuilding
#[test]
fn what_is_rebuilt_is_taken_only_with_the_identity_asked_for() {
    let mut sent = Sent::new(1_000, 100, &mut entropy(5));
    let all = |sent: &Sent| {
        let mut decoder = sent.decoder();
        let source = 0..u32::from(sent.information.block(0).unwrap().source_symbols);
        assert!(sent.deliver(source.map(|esi| id(0, esi)), &mut decoder).is_empty());
        decoder
    };
    let got = sent.set.object_id;
    let other_key = ObjectIdKey::from_bytes([1; 32].into());
    assert!(
        matches!(all(&sent).finish(&other_key), Err(DecodeError::WrongObject { .. })),
        "the key names the object"
    );
    sent.set.zone_id = ZoneId::new("z:private").unwrap();
    assert_eq!(all(&sent).finish(&key()), Err(DecodeError::WrongObject { got }), "another zone");
    sent.set.object_id = ObjectId::from_bytes([0; 32]);
    assert_eq!(all(&sent).finish(&key()), Err(DecodeError::WrongObject { got }), "another object");
    sent.bytes[0] ^= 0xff;
    assert!(matches!(all(&sent).finish(&key()), Err(DecodeError::Malformed(_))));
}

/// For one source symbol, about one repair symbol of 256 says nothing of it. As many of them as a block keeps do not
/// solve it, and each attempt takes one more of them.
//= docs/spec/symbols.md#bounds
#[test]
fn symbols_that_depend_on_each_other_end_the_decode() {
    let sent = Sent::new(10, 400, &mut entropy(6));
    assert_eq!(sent.information.source_symbols(), 1);
    let mut plans = Plans::default();
    let mut encoder = Encoder::over(&sent.set, sent.information, &sent.bytes);
    let mut out = vec![0; sent.information.symbol_size()];
    let useless = (1..1 << 24).filter(|esi| {
        let mut decoder = sent.decoder();
        decoder.add(encoder.symbol(id(0, *esi), &mut plans, &mut out).unwrap()).unwrap();
        !decoder.solve().unwrap().complete
    });
    let useless: Vec<_> = useless.take(1 + MAX_SURPLUS_SYMBOLS as usize).collect();
    let mut decoder = sent.decoder();
    for (count, esi) in (1..).zip(useless) {
        sent.deliver([id(0, esi)], &mut decoder);
        match decoder.solve() {
            Ok(progress) => assert_eq!((progress.needed, progress.complete), (1, false), "{count}"),
            Err(error) => assert_eq!((error, count), (DecodeError::Unsolvable, 1 + MAX_SURPLUS_SYMBOLS)),
        }
    }
    assert_eq!(decoder.solve(), Err(DecodeError::Unsolvable), "it is over");
    assert!(!decoder.progress().complete);
}

/// Bytes of two blocks, and for each block as many repair symbols as it keeps beyond its source symbols, and one, that
/// say nothing of its first source symbol if all others are known: symbols of an object in which that one alone is not
/// zero, and that are zero.
fn blocks_with_useless_symbols() -> (Sent, [Vec<PayloadId>; 2]) {
    let mut sent = Sent::new(10, 400, &mut entropy(6));
    sent.information = TransmissionInformation::new(u64::from(MAX_BLOCK_SYMBOLS) + 1, 1).unwrap();
    sent.bytes = vec![0; usize::from(MAX_BLOCK_SYMBOLS) + 1];
    let blocks = [0, 1].map(|number| sent.information.block(number).unwrap());
    blocks.iter().for_each(|block| sent.bytes[block.first_symbol as usize] = 1);
    let (mut plans, mut out) = (Plans::default(), [0]);
    let mut encoder = Encoder::over(&sent.set, sent.information, &sent.bytes);
    let useless = blocks.map(|block| {
        let repair = u32::from(block.source_symbols)..1 << 24;
        let ids = repair.map(|esi| id(block.number, esi)).filter(|id| {
            let symbol = encoder.symbol(*id, &mut plans, &mut out).unwrap();
            symbol.get().bytes == [0]
        });
        ids.take(1 + MAX_SURPLUS_SYMBOLS as usize).collect()
    });
    (sent, useless)
}

/// Each block has all but one of its source symbols, and symbols that say nothing of it.
//= docs/spec/symbols.md#bounds
#[test]
fn attempts_that_fail_are_bounded_for_all_blocks_together() {
    let (sent, useless) = blocks_with_useless_symbols();
    let mut decoder = sent.decoder();
    for block in sent.information.blocks() {
        let source = 1..u32::from(block.source_symbols);
        sent.deliver(source.map(|esi| id(block.number, esi)), &mut decoder);
    }
    let mut failed = 0;
    let mut turns = useless[0].iter().zip(&useless[1]).flat_map(|(one, other)| [one, other]);
    let error = loop {
        sent.deliver([*turns.next().expect("it ends before the blocks are full")], &mut decoder);
        match decoder.solve() {
            Ok(progress) => assert!(!progress.complete),
            Err(error) => break error,
        }
        failed += 1;
    };
    assert_eq!((failed + 1, error), (MAX_FAILED_ATTEMPTS, DecodeError::Unsolvable));
    let useful = (u32::from(MAX_BLOCK_SYMBOLS)..).map(|esi| id(0, esi)).find(|id| !useless[0].contains(id));
    assert_eq!(sent.deliver(useful, &mut decoder), [], "with this one it could be solved");
    assert_eq!(decoder.solve(), Err(DecodeError::Unsolvable), "but nothing is tried any more");
}

//= docs/spec/symbols.md#bounds
#[test]
fn one_call_solves_one_block() {
    let sent = Sent::new(3 * usize::from(MAX_BLOCK_SYMBOLS), 1, &mut entropy(9));
    let mut decoder = sent.decoder();
    let blocks: Vec<_> = sent.information.blocks().collect();
    for block in &blocks {
        let ids = draw(*block, u32::from(block.source_symbols) + 2, 50, &mut entropy(9));
        sent.deliver(ids, &mut decoder);
    }
    for solved in 1..=blocks.len() {
        let progress = decoder.solve().unwrap();
        assert_eq!((progress.needed, progress.complete), (0, solved == blocks.len()));
        let waiting: BTreeSet<_> = decoder.missing().map(PayloadId::block).collect();
        assert_eq!(waiting.len(), blocks.len() - solved);
    }
    assert_eq!(decoder.finish(&key()).unwrap().bytes(), sent.bytes);
}

#[test]
fn memory_is_reckoned_before_anything_is_reserved() {
    let mut sent = Sent::new(50_000, 1_000, &mut entropy(1));
    let needed = sent.information.held_bytes() + sent.information.solve_bytes();
    assert!(Decoder::new(sent.set.clone(), sent.information, needed).is_ok());
    let refused = Decoder::new(sent.set.clone(), sent.information, needed - 1).map(|_| ());
    assert_eq!(refused, Err(DecodeError::MemoryExceeded { needed, free: needed - 1 }));
    sent.information = TransmissionInformation::new(MAX_WHOLE_BYTES as u64, 1_024).unwrap();
    let each = sent.information.held_bytes() * crate::limits::MAX_DECODES + sent.information.solve_bytes();
    assert!(each <= crate::limits::MAX_DECODE_BYTES, "{each}");
}

#[test]
fn an_encoder_refuses_what_it_cannot_make() {
    let sent = Sent::new(1_000, 100, &mut entropy(1));
    let object = IdentifiedObject::from_bytes(sent.bytes.clone(), &key()).unwrap();
    let refused = |set: &EncodingSet, information| Encoder::new(set, information, &object).map(|_| ()).err();
    assert_eq!(refused(&sent.set, sent.information), None);
    let longer = TransmissionInformation::new(sent.bytes.len() as u64 + 1, 100).unwrap();
    let (expected, got) = (sent.bytes.len() + 1, sent.bytes.len());
    let wrong_length = EncodeError::WrongTransferLength { expected, got };
    assert_eq!(refused(&sent.set, longer), Some(wrong_length));
    let other = EncodingSet { object_id: ObjectId::from_bytes([0; 32]), ..sent.set.clone() };
    assert_eq!(refused(&other, sent.information), Some(EncodeError::WrongObject));
    let other = EncodingSet { zone_id: ZoneId::new("z:private").unwrap(), ..sent.set.clone() };
    assert_eq!(refused(&other, sent.information), Some(EncodeError::WrongObject));
    let (mut plans, mut encoder) =
        (Plans::default(), Encoder::over(&sent.set, sent.information, &sent.bytes));
    let no_block = EncodeError::NoSuchBlock { blocks: 1 };
    assert_eq!(encoder.prepare(1, &mut plans), Err(no_block));
    assert_eq!(encoder.symbol(id(1, 0), &mut plans, &mut [0; 100]).map(|_| ()), Err(no_block));
    for got in [0, 99, 101] {
        let refused = encoder.symbol(id(0, 0), &mut plans, &mut vec![0; got]).map(|_| ());
        assert_eq!(refused, Err(EncodeError::WrongBufferLength { expected: 100, got }));
    }
}

#[test]
fn plans_are_bounded_and_the_least_used_leaves() {
    let mut plans = Plans::new(2);
    for size in [10, 20, 10, 30] {
        plans.plan(size);
    }
    assert_eq!(plans.block_sizes().collect::<Vec<_>>(), [10, 30]);
    let mut none = Plans::new(0);
    none.plan(5);
    none.plan(6);
    assert_eq!(none.block_sizes().collect::<Vec<_>>(), [6], "one is always kept");
}

/// Decodes, an object and what to call them with.
struct Pool {
    decodes: Decodes,
    sent: Sent,
    now: Instant,
}

fn pool(limits: DecodeLimits) -> Pool {
    let (sent, now) = (Sent::new(1_000, 100, &mut entropy(8)), Instant::from_nanos(5));
    Pool { decodes: Decodes::new(limits), sent, now }
}

impl Pool {
    fn begin(&mut self, number: u8) -> Result<(), AdmissionError> {
        let set = EncodingSet { zone_key_id: KeyId::from_bytes([number; 8]), ..self.sent.set.clone() };
        self.decodes.begin(set, self.sent.information, self.now)
    }

    fn add(&mut self, esi: u32) -> Result<Progress, AdmissionError> {
        self.add_to(0, esi)
    }

    fn add_to(&mut self, block: u8, esi: u32) -> Result<Progress, AdmissionError> {
        let mut out = vec![0; self.sent.information.symbol_size()];
        let mut encoder = Encoder::over(&self.sent.set, self.sent.information, &self.sent.bytes);
        let symbol = encoder.symbol(id(block, esi), &mut Plans::default(), &mut out).unwrap();
        self.decodes.add(symbol, self.now)
    }

    fn finish(&mut self) -> Result<IdentifiedObject, AdmissionError> {
        self.decodes.finish(&self.sent.set, &key(), self.now)
    }
}

//= docs/spec/symbols.md#admission
#[test]
fn each_bound_on_decodes_has_its_own_error() {
    let mut full = pool(DecodeLimits { decodes: 2, ..DecodeLimits::default() });
    assert_eq!(
        (full.begin(3), full.begin(4), full.begin(5)),
        (Ok(()), Ok(()), Err(AdmissionError::TooManyDecodes))
    );
    assert_eq!(full.begin(3), Err(AdmissionError::AlreadyDecoding));
    full.sent.information = TransmissionInformation::new(full.sent.bytes.len() as u64, 101).unwrap();
    assert_eq!(full.begin(3), Err(AdmissionError::ConflictingTransmission));

    let information = full.sent.information;
    let bytes = 2 * information.held_bytes() + information.solve_bytes();
    let mut narrow = pool(DecodeLimits { bytes, ..DecodeLimits::default() });
    narrow.sent.information = information;
    assert_eq!((narrow.begin(3), narrow.begin(4)), (Ok(()), Ok(())), "the solver counts once");
    let (needed, free) = (information.held_bytes() + information.solve_bytes(), information.solve_bytes());
    assert_eq!(narrow.begin(5), Err(AdmissionError::MemoryExceeded { needed, free }));

    let mut repeated = pool(DecodeLimits { duplicates: 1, ..DecodeLimits::default() });
    assert_eq!(repeated.add(0), Err(AdmissionError::NotDecoding));
    repeated.begin(3).unwrap();
    assert!(repeated.add(0).is_ok());
    assert_eq!(repeated.add(0), Err(AdmissionError::Decode(DecodeError::Duplicate)));
    assert_eq!(repeated.add(0), Err(AdmissionError::TooManyDuplicates));
    assert!(repeated.add(1).is_ok(), "who repeats symbols does not end the decode");
}

#[test]
fn a_decode_ends_with_its_time() {
    let limits = DecodeLimits { time: Duration::from_nanos(10), ..DecodeLimits::default() };
    for end in [Pool::finish as fn(&mut Pool) -> _, |it| it.add(1).map(|_| unreachable!())] {
        let mut late = pool(limits);
        late.begin(3).unwrap();
        late.now = Instant::from_nanos(14);
        assert!(late.add(0).is_ok());
        assert_eq!(late.decodes.deadline(), Some(Instant::from_nanos(15)));
        late.now = Instant::from_nanos(15);
        assert_eq!(end(&mut late).map(|_: IdentifiedObject| ()), Err(AdmissionError::TimedOut));
        assert_eq!(late.add(1), Err(AdmissionError::NotDecoding));
    }
    let mut late = pool(limits);
    late.begin(3).unwrap();
    late.now = Instant::from_nanos(10);
    late.begin(4).unwrap();
    assert_eq!(late.decodes.expire(Instant::from_nanos(14)), []);
    assert_eq!(late.decodes.expire(Instant::from_nanos(15)), [late.sent.set.clone()]);
    assert_eq!(late.decodes.deadline(), Some(Instant::from_nanos(20)));
}

/// The time is looked at before each block.
//= docs/spec/symbols.md#bounds
#[test]
fn a_decode_is_finished_block_by_block() {
    let mut blocks = pool(DecodeLimits { time: Duration::from_nanos(10), ..DecodeLimits::default() });
    blocks.sent = Sent::new(usize::from(MAX_BLOCK_SYMBOLS), 1, &mut entropy(8));
    for late in [false, true] {
        blocks.now = Instant::from_nanos(5);
        blocks.begin(3).unwrap();
        for block in blocks.sent.information.blocks() {
            // All but the first source symbol, and two repair symbols.
            for esi in 1..u32::from(block.source_symbols) + 2 {
                blocks.add_to(block.number, esi).unwrap();
            }
        }
        assert_eq!(blocks.finish(), Err(AdmissionError::Incomplete { needed: 0 }));
        if late {
            blocks.now = Instant::from_nanos(15);
            assert_eq!(blocks.finish(), Err(AdmissionError::TimedOut));
        } else {
            assert_eq!(blocks.finish().unwrap().bytes(), blocks.sent.bytes);
        }
    }
}

#[test]
fn a_finished_decode_gives_its_place_back() {
    let mut one = pool(DecodeLimits { decodes: 1, ..DecodeLimits::default() });
    one.begin(3).unwrap();
    let source = one.sent.information.source_symbols();
    assert_eq!(one.finish(), Err(AdmissionError::Incomplete { needed: source }));
    for esi in 1..=source {
        one.add(esi).unwrap();
    }
    assert_eq!(one.decodes.decoder(&one.sent.set).map(|it| it.progress().needed), Some(0));
    assert_eq!(one.finish().unwrap().bytes(), one.sent.bytes);
    assert_eq!(one.finish(), Err(AdmissionError::NotDecoding));
    assert_eq!(one.begin(4), Ok(()));
    let set = EncodingSet { zone_key_id: KeyId::from_bytes([4; 8]), ..one.sent.set.clone() };
    assert!(one.decodes.cancel(&set) && !one.decodes.cancel(&set));
    assert_eq!(one.begin(5), Ok(()));
}
