//! What the hot functions take, in instructions, held against what was recorded: a regression shows on a noisy machine.
//!
//! `cargo test --release -p fcp-proto-core --test instructions [-- PART-OF-A-NAME]`; `FCP_UPDATE=1` records anew. Where a
//! bare primitive chooses its code by the processor, what is recorded is what we take beyond it, which does not depend on
//! the machine. The method stands in `docs/dev/benchmarks.md`.

mod count;
#[path = "../../benches/work/mod.rs"]
#[expect(dead_code, reason = "some of the work is only timed")]
mod work;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::{env, fs};

use count::{ASKED, CountError, be_counted, count};
use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::session::suite::Suite;
use serde::{Deserialize, Serialize};
use work::symbols::Cut;
use work::{Work, encoding, frames, token};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instructions/recorded.json");

/// The most that a count may differ from the recorded one, in either direction: what became cheaper is recorded as well,
/// so that it stays so. The same build gives the same counts; the rest is for another C library.
const TOLERANCE_PERCENT: i64 = 2;
const TOLERANCE_LEAST: i64 = 8;

type Row = (&'static str, fn() -> Work);

const ROWS: [Row; 16] = [
    ("header", frames::header),
    ("replay window", frames::window),
    ("seal", || frames::seal(&Pure)),
    ("open", || frames::open(&Pure)),
    ("mac, HMAC-SHA256", || frames::mac(Suite::HmacSha256, &Pure)),
    ("mac, BLAKE3", || frames::mac(Suite::Blake3, &Pure)),
    ("decode, object", || encoding::decode(encoding::object(CHECKPOINT)).alone()),
    ("decode, fields", || encoding::decode(encoding::checkpoint_fields()).alone()),
    ("decode, 5 maps", || encoding::decode(encoding::listing(5)).alone()),
    ("encode, 5 maps", || encoding::encode(&encoding::listing(5)).alone()),
    ("object read", encoding::read),
    ("object id", || encoding::identity(1)),
    ("token parsed", token::parse),
    ("token verified", token::verify),
    ("symbols encoded", || Cut::new(1_024, 64).encode().alone()),
    ("symbols decoded", || Cut::new(1_024, 64).decode(30, 2).alone()),
];

const CHECKPOINT: &str = "fcp.zone:ZoneCheckpoint@1.0.0";

/// The committed file.
#[derive(PartialEq, Serialize, Deserialize)]
struct Recorded {
    compiler: String,
    counts: BTreeMap<String, i64>,
}

fn main() -> ExitCode {
    if let Ok(name) = env::var(ASKED) {
        return child(&name);
    }
    if cfg!(debug_assertions) || !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        // Unoptimised code, or that of another processor, has other counts.
        println!("test result: ok. 0 passed; 0 failed; {} ignored", ROWS.len());
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<_> = env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let picked = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let names: Vec<_> = ROWS.iter().map(|(name, _)| *name).filter(|name| picked(name)).collect();
    match names.iter().map(|name| Ok((String::from(*name), taken(name)?))).collect() {
        Ok(counts) if env::var_os("FCP_UPDATE").is_some() => record(counts),
        Ok(counts) => compare(&counts),
        Err(CountError::NotPermitted) => not_run("a process may not trace its child here"),
        Err(CountError::Failed(why)) => fail(&why),
    }
}

fn child(name: &str) -> ExitCode {
    let row = ROWS.iter().find(|(row, _)| *row == name);
    match row.map(|(_, make)| be_counted(make())) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) | None => ExitCode::FAILURE,
    }
}

/// What we take: beyond the bare primitive, if there is one.
fn taken(name: &str) -> Result<i64, CountError> {
    let (ours, bare) = count(name)?;
    println!("{name}: {ours}{}", bare.map(|bare| format!(", bare {bare}")).unwrap_or_default());
    Ok(ours - bare.unwrap_or(0))
}

fn record(counts: BTreeMap<String, i64>) -> ExitCode {
    let mut recorded = Recorded { compiler: compiler(), counts };
    if let Ok(before) = read() {
        let kept = before.counts.into_iter().filter(|(name, _)| ROWS.iter().any(|(row, _)| row == name));
        recorded.counts = kept.chain(recorded.counts).collect();
    }
    let text = serde_json::to_string_pretty(&recorded).expect("numbers and names");
    fs::write(FILE, text + "\n").map_or_else(|error| fail(&error.to_string()), |()| ExitCode::SUCCESS)
}

fn compare(counts: &BTreeMap<String, i64>) -> ExitCode {
    let recorded = match read() {
        Ok(recorded) => recorded,
        Err(why) => return fail(&why),
    };
    if recorded.compiler != compiler() {
        return fail(&format!("the counts are those of {}, and this is {}", recorded.compiler, compiler()));
    }
    let wrong = counts.iter().filter_map(|(name, now)| {
        let Some(then) = recorded.counts.get(name) else { return Some(format!("{name}: not recorded")) };
        let most = (then.abs() * TOLERANCE_PERCENT / 100).max(TOLERANCE_LEAST);
        ((now - then).abs() > most).then(|| format!("{name}: {now}, recorded {then}"))
    });
    let wrong: Vec<_> = wrong.collect();
    if wrong.is_empty() {
        println!("test result: ok. {} passed; 0 failed; 0 ignored", counts.len());
        ExitCode::SUCCESS
    } else {
        println!(
            "test result: FAILED. {} passed; {} failed; 0 ignored",
            counts.len() - wrong.len(),
            wrong.len()
        );
        fail(&wrong.join("\n"))
    }
}

fn read() -> Result<Recorded, String> {
    let text = fs::read_to_string(FILE).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Another compiler makes other code.
fn compiler() -> String {
    let said = Command::new("rustc").arg("--version").output();
    said.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
}

fn fail(why: &str) -> ExitCode {
    eprintln!(
        "{why}\nIf the change is meant: FCP_UPDATE=1 cargo test --release -p fcp-proto-core --test instructions"
    );
    ExitCode::FAILURE
}

fn not_run(why: &str) -> ExitCode {
    println!("NOT RUN: instructions: {why}");
    if env::var("FCP_TEST_REQUIRE").as_deref() == Ok("all") { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
