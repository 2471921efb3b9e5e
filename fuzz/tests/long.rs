//! A long run from the committed corpora, by recipe: `just fuzz_unguided`. It needs no other toolchain and prints its
//! seed; the same seed makes the same inputs.

use std::fs;
use std::path::PathBuf;

use fcp_fuzz::Target;

/// Inputs a target when nobody says otherwise.
const RUNS: u64 = 1_000_000;

/// Longest input that is made. Chosen: above the largest entry of a corpus, and small enough that a run stays quick.
const MAX_BYTES: usize = 8_192;

/// A small generator of our own (SplitMix64), so that a seed means the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or_default()
    }
}

/// Bytes that decoders treat in a special way.
const INTERESTING: [u8; 12] = [0x00, 0x01, 0x17, 0x18, 0x1f, 0x20, 0x5f, 0x7f, 0x80, 0xa0, 0xc0, 0xff];

/// Changes `input` in one way.
fn change(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len() + 1);
    match random.below(8) {
        0 => input.truncate(at),
        1 => input.insert(at, INTERESTING[random.below(INTERESTING.len())]),
        2 if at < input.len() => input[at] ^= 1 << random.below(8),
        3 if at < input.len() => input[at] = INTERESTING[random.below(INTERESTING.len())],
        4 if at < input.len() => {
            let end = (at + 1 + random.below(16)).min(input.len());
            input.drain(at..end);
        }
        5 => {
            let from = random.below(other.len() + 1);
            let to = (from + 1 + random.below(64)).min(other.len()).max(from);
            input.splice(at..at, other[from..to].iter().copied());
        }
        6 if at < input.len() => {
            let end = (at + 1 + random.below(32)).min(input.len());
            let part = input[at..end].to_vec();
            input.splice(at..at, part);
        }
        _ => input.push(random.next().to_le_bytes()[0]),
    }
    input.truncate(MAX_BYTES);
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
#[ignore = "takes minutes; `just fuzz_unguided` runs it"]
fn long_run_from_the_corpora() {
    let (runs, seed) = (number("FCP_FUZZ_RUNS", RUNS), number("FCP_FUZZ_SEED", 1));
    println!("FCP_FUZZ_SEED={seed} FCP_FUZZ_RUNS={runs}");
    for target in Target::ALL {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        let mut files: Vec<_> =
            fs::read_dir(folder).expect("a corpus").map(|it| it.expect("readable").path()).collect();
        // The order of a folder is not the same everywhere.
        files.sort();
        let entries: Vec<_> = files.iter().map(|file| fs::read(file).expect("readable")).collect();
        let mut random = Random(seed);
        for _ in 0..runs {
            let mut input = entries[random.below(entries.len())].clone();
            let other = &entries[random.below(entries.len())];
            for _ in 0..=random.below(6) {
                change(&mut input, other, &mut random);
            }
            if std::panic::catch_unwind(|| target.run(&input)).is_err() {
                let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
                panic!("{} breaks on {hex}", target.name);
            }
        }
        println!("{}: {runs} inputs", target.name);
    }
}
