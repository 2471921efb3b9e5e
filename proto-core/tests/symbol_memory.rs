//! What encoding and decoding allocate, held against what `docs/spec/symbols.md` says of it.

use allocation_counter::measure;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::ids::{KeyId, ZoneId};
use fcp_proto_core::limits::MAX_SURPLUS_SYMBOLS;
use fcp_proto_core::object::{Body, Header, Object, ObjectIdKey, RawChunk};
use fcp_proto_core::symbol::{
    Decoder, Encoder, EncodingSet, IdentifiedObject, PayloadId, Plans, TransmissionInformation,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};

/// An object of `length` bytes or a few fewer, and its encoding in symbols of `symbol_size`.
fn encoding(length: usize, symbol_size: u16) -> (IdentifiedObject, EncodingSet, TransmissionInformation) {
    let zone_id = ZoneId::new("z:work").expect("a zone");
    let label = Label::trusted(Level::WORK);
    let header = Header::new(&RawChunk::SCHEMA, &zone_id, UnixTime::from_secs(1), label, None);
    let of = |size| {
        let object = Object { header: header.clone(), body: RawChunk { bytes: ByteString(vec![7; size]) } };
        let key = ObjectIdKey::from_bytes([9; 32].into());
        IdentifiedObject::new(object.store().expect("small"), &key).expect("small")
    };
    let overhead = of(length).bytes().len() - length;
    let object = of(length.saturating_sub(overhead));
    let set = EncodingSet { object_id: object.id(), zone_id, zone_key_id: KeyId::default() };
    let information = TransmissionInformation::new(object.bytes().len() as u64, symbol_size);
    (object, set, information.expect("an encoding"))
}

fn id(block: u8, esi: u32) -> PayloadId {
    PayloadId::new(block, esi).expect("24 bits")
}

/// Nothing but repair symbols, and as many as a block keeps before one is tried: the most that a decode can hold.
//= docs/spec/symbols.md#bounds
#[test]
fn what_is_reckoned_covers_what_is_used() {
    for (length, symbol_size) in [
        (1_048_576, 1_024),
        (1_000_000, 256),
        (1_048_576, 65_535),
        (263_160, 1),
        (300_000, 300),
        (2_000, 100),
        (1, 1),
    ] {
        let (object, set, information) = encoding(length, symbol_size);
        let mut plans = Plans::default();
        let mut encoder = Encoder::new(&set, information, &object).expect("its object");
        let mut out = vec![0; information.symbol_size()];
        let mut decoder = None;
        let reckoned = information.held_bytes() + information.solve_bytes();
        let used = measure(|| {
            let decoder = decoder.insert(Decoder::new(set.clone(), information, reckoned).expect("enough"));
            for block in information.blocks() {
                let source = u32::from(block.source_symbols);
                for esi in source..2 * source + MAX_SURPLUS_SYMBOLS {
                    let mut add = None;
                    allocation_counter::opt_out(|| {
                        add = Some(
                            encoder.symbol(id(block.number, esi), &mut plans, &mut out).expect("a symbol"),
                        );
                    });
                    decoder.add(add.expect("a symbol")).expect("room");
                }
            }
            while !decoder.solve().expect("enough symbols").complete {}
        });
        assert!(decoder.expect("made").progress().complete);
        println!("{length} in {symbol_size}: {} of {reckoned} bytes", used.bytes_max);
        assert!(used.bytes_max <= reckoned as u64, "{length} in {symbol_size}");
    }
}

#[test]
fn a_source_symbol_allocates_nothing_and_a_repair_symbol_what_the_codec_returns() {
    let (object, set, information) = encoding(100_000, 1_000);
    let mut plans = Plans::default();
    let mut encoder = Encoder::new(&set, information, &object).expect("its object");
    let mut decoder = Decoder::new(set.clone(), information, usize::MAX).expect("enough");
    let mut out = vec![0; 1_000];
    encoder.prepare(0, &mut plans).expect("a block");
    let source = measure(|| {
        for esi in 0..100 {
            let symbol = encoder.symbol(id(0, esi), &mut plans, &mut out).expect("a symbol");
            decoder.add(symbol).expect("room");
        }
    });
    assert_eq!(source.count_total, 0, "sender and receiver together");
    let repair = measure(|| {
        for esi in 100..200 {
            encoder.symbol(id(0, esi), &mut plans, &mut out).expect("a symbol");
        }
    });
    assert_eq!(repair.count_total, 200, "the codec's list and its one symbol");
}

#[test]
fn a_cache_of_plans_is_bounded_in_bytes() {
    let mut plans = Plans::default();
    let kept = measure(|| {
        for symbols in (900..=1_032).step_by(12) {
            let (object, set, information) = encoding(symbols, 1);
            Encoder::new(&set, information, &object)
                .expect("its object")
                .prepare(0, &mut plans)
                .expect("a block");
        }
    });
    assert_eq!(plans.block_sizes().count(), 8);
    println!("{} bytes", kept.bytes_current);
    assert!(kept.bytes_current < 8 << 20, "{} bytes", kept.bytes_current);
}
