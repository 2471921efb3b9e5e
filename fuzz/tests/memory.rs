//! Memory is bounded by the input: no target holds more at once than some times the bytes it was given, and a little.

use std::fs;
use std::path::PathBuf;

use fcp_fuzz::Target;
use fcp_proto_core::encoding::cbor;

/// Bytes held at once for each byte of input. Reading CBOR takes [`A_VALUE`]; what is read is also turned into JSON, whose
/// text is read again, into vectors that grow: with all that, an array of nulls takes 136 bytes for each of its own.
const FOR_EACH_BYTE: u64 = 144;

/// Bytes that a value of CBOR takes, which may stand for one byte of input.
const A_VALUE: u64 = 32;

/// Bytes held whatever the input: messages of errors, a ceremony's own part, a sound object before it is edited.
const ANYWAY: u64 = 64 * 1024;

/// A transfer makes its object itself, of up to 4 KiB, and two plans for cutting it.
const TRANSFER: u64 = 16 * 1024 * 1024;

/// A few nodes, what is under way between them, and a decode.
const SCENARIO: u64 = 1024 * 1024;

/// Three nodes with their snapshots, and up to 400 messages under way, some of which are summaries.
const GOSSIP: u64 = 4 * 1024 * 1024;

fn anyway(target: &Target) -> u64 {
    match target.name {
        "symbols" => TRANSFER,
        "checkpoints" | "delivery" | "membership" | "migration" | "replica" | "storage" | "zone_keys" => {
            SCENARIO
        }
        "gossip" => GOSSIP,
        _ => ANYWAY,
    }
}

#[test]
fn no_target_holds_more_than_its_input_accounts_for() {
    for target in Target::ALL {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        for file in fs::read_dir(folder).expect("a corpus") {
            let path = file.expect("readable").path();
            let input = fs::read(&path).expect("readable");
            // What is made once for all inputs is made now.
            target.run(&input);
            let held = allocation_counter::measure(|| target.run(&input)).bytes_max;
            let bound = FOR_EACH_BYTE * input.len() as u64 + anyway(target);
            assert!(held <= bound, "{}: {held} bytes for {}", path.display(), input.len());
        }
    }
}

/// Lengths and counts that promise what is not there reserve nothing.
#[test]
fn a_promise_reserves_nothing() {
    // An array, a map, a byte string and a text of 2^32 - 1 each, in CBOR; and lengths of frames.
    let promises: [&[u8]; 6] = [
        &[0x9a, 0xff, 0xff, 0xff, 0xff],
        &[0xba, 0xff, 0xff, 0xff, 0xff],
        &[0x5a, 0xff, 0xff, 0xff, 0xff],
        &[0x7a, 0xff, 0xff, 0xff, 0xff],
        b"FCPPKG1\n\xff\xff\xff\xff",
        &[0xff; 114],
    ];
    for target in Target::ALL {
        for promise in promises {
            target.run(promise);
            let held = allocation_counter::measure(|| target.run(promise)).bytes_max;
            assert!(held <= anyway(target), "{}: {held} bytes for {}", target.name, hex::encode(promise));
        }
    }
}

/// The inputs with the most items for their bytes: one more of one byte than a power of two,
/// after which the vectors that hold them have just grown.
#[test]
fn dense_inputs_hold_no_more_either() {
    let count = (1_usize << 16) + 1;
    let array = |item: u8| [vec![0x9a, 0, 1, 0, 1], vec![item; count]].concat();
    let list = |item: &str| format!("[{}]", vec![item; count].join(",")).into_bytes();
    for (name, input) in [
        ("cbor", array(0x00)),
        ("cbor", array(0xf6)),
        ("cbor", array(0x60)),
        ("cbor", array(0x80)),
        ("cbor", array(0xa0)),
        ("json", list("0")),
        ("json", list("[]")),
        ("json", list("{}")),
    ] {
        let target = Target::named(name).expect("a target");
        let held = allocation_counter::measure(|| target.run(&input)).bytes_max;
        assert!(held <= FOR_EACH_BYTE * input.len() as u64, "{name}: {held} bytes for {}", input.len());
    }
}

/// Whatever the lengths promise, and whether it comes or not.
//= docs/spec/encoding.md#canonical-cbor
#[test]
fn reading_cbor_takes_one_value_for_each_byte() {
    let count = (1_usize << 16) + 1;
    let nulls = [vec![0x9a, 0, 1, 0, 1], vec![0xf6; count]].concat();
    let pairs = [vec![0x9a, 0, 1, 0, 1], [0x81, 0xf6].repeat(count)].concat();
    // Arrays in each other, as deep as may be, each of which promises as many items as there are bytes left, or maps.
    let promises = |head: u8| {
        let mut bytes = Vec::new();
        for level in 0..128_u32 {
            let left = 40_000 - 5 * (level + 1);
            bytes.push(head);
            bytes.extend((if head == 0x9a { left } else { left / 2 }).to_be_bytes());
        }
        bytes.resize(40_000, 0);
        bytes
    };
    for input in [nulls, pairs, promises(0x9a), promises(0xba)] {
        let held = allocation_counter::measure(|| drop(cbor::decode(&input))).bytes_max;
        assert!(held <= A_VALUE * input.len() as u64, "{held} bytes for {}", input.len());
    }
}
