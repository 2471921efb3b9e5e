//! What FCP adds to the bare primitives, in one run: `cargo bench -p fcp-proto-core --all-features [-- PART-OF-A-NAME]`.
//!
//! The method and the results stand in `docs/dev/benchmarks.md`.

mod aws_lc;
mod measure;
#[path = "../work/mod.rs"]
#[expect(dead_code, reason = "some of the work is only counted")]
mod work;

use std::process::Command;
use std::{env, fs};

use aws_lc::{AwsLc, providers_agree};
use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::session::suite::Suite;
use measure::{Measured, measure};
use work::symbols::Cut;
use work::{Work, encoding, frames, token};

/// Pairs of batches a row.
const ROUNDS: usize = 101;

/// What a row must reach.
#[derive(Clone, Copy)]
enum Target {
    /// So much of the bare primitive's throughput, in percent.
    Throughput(f64),
    /// So many times the bare primitive's time.
    Times(f64),
    /// So many nanoseconds.
    Nanos(f64),
    /// Shown for comparison.
    None,
}

impl Target {
    fn describe(self, measured: &Measured) -> String {
        let ratio = measured.bare.map_or(f64::INFINITY, |(_, ratio)| ratio);
        let (text, met) = match self {
            Self::Throughput(percent) => (format!(">= {percent:.0} %"), 100.0 / ratio >= percent),
            Self::Times(times) => (format!("<= {times:.2} x"), ratio <= times),
            Self::Nanos(most) => (format!("<= {}", time(most)), measured.ours <= most),
            Self::None => return String::from("| | "),
        };
        format!("| {text} | {}", if met { "met" } else { "**missed**" })
    }
}

type Row = (&'static str, Target, fn() -> Work);

fn megabyte() -> &'static Cut {
    Cut::new(1 << 20, 1_024)
}

const ROWS: [Row; 23] = [
    ("header parsed", Target::Nanos(20.0), frames::header),
    ("replay window", Target::None, frames::window),
    ("seal, pure", Target::Throughput(85.0), || frames::seal(&Pure)),
    ("open, pure", Target::Throughput(85.0), || frames::open(&Pure)),
    ("seal, aws-lc-rs", Target::Throughput(85.0), || frames::seal(&AwsLc)),
    ("open, aws-lc-rs", Target::Throughput(85.0), || frames::open(&AwsLc)),
    ("MAC, HMAC-SHA256, pure", Target::Throughput(90.0), || frames::mac(Suite::HmacSha256, &Pure)),
    ("MAC, BLAKE3, pure", Target::Throughput(90.0), || frames::mac(Suite::Blake3, &Pure)),
    ("MAC, HMAC-SHA256, aws-lc-rs", Target::Throughput(90.0), || frames::mac(Suite::HmacSha256, &AwsLc)),
    ("strict decode, object", Target::Times(1.0), || {
        encoding::decode(encoding::object("fcp.zone:ZoneCheckpoint@1.0.0"))
    }),
    ("strict decode, fields", Target::Times(1.0), || encoding::decode(encoding::checkpoint_fields())),
    ("strict decode, 500 maps", Target::Times(1.0), || encoding::decode(encoding::listing(500))),
    ("encode, 500 maps", Target::None, || encoding::encode(&encoding::listing(500))),
    ("object id, 1 KiB", Target::None, || encoding::identity(1)),
    ("object id, 64 KiB", Target::Times(1.1), || encoding::identity(64)),
    ("object id, 1 MiB", Target::Times(1.1), || encoding::identity(1_024)),
    ("token verified, beside `verify`", Target::Times(1.15), token::verify),
    ("token verified, beside `verify_strict`", Target::Times(1.15), token::verify_strictly),
    ("1 MiB encoded, cached plan", Target::Nanos(1e6), || megabyte().encode()),
    ("1 MiB decoded, no loss", Target::Nanos(0.4e6), || megabyte().decode(0, 0)),
    ("1 MiB decoded, 30 % lost, K + 2", Target::Nanos(3e6), || megabyte().decode(30, 2)),
    ("1 MiB decoded, 30 % lost, K + 12", Target::Nanos(3e6), || megabyte().decode(30, 12)),
    ("64 KiB decoded, 30 % lost, K + 2", Target::None, || Cut::new(1 << 16, 1_024).decode(30, 2)),
];

fn main() {
    providers_agree();
    let wanted: Vec<_> = env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    println!("{}\n", machine());
    println!("| what | ours | bare | ours / bare | target | |\n|---|---|---|---|---|---|");
    for (name, target, make) in ROWS {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
            let measured = measure(&mut make(), ROUNDS);
            println!("| {name} | {} {} |", row(&measured), target.describe(&measured));
        }
    }
    println!("\nload at the end: {}", first_line("/proc/loadavg", ""));
}

fn row(measured: &Measured) -> String {
    let bare = measured.bare.map(|(bare, ratio)| format!("{} | {ratio:.3}", time(bare)));
    format!("{} | {}", time(measured.ours), bare.unwrap_or_else(|| String::from("|")))
}

fn time(nanos: f64) -> String {
    match nanos {
        ..1e3 => format!("{nanos:.1} ns"),
        ..1e6 => format!("{:.2} µs", nanos / 1e3),
        _ => format!("{:.3} ms", nanos / 1e6),
    }
}

/// What the numbers were measured on.
fn machine() -> String {
    let compiler =
        Command::new("rustc").arg("-V").output().map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
    format!(
        "processor: {}\nkernel: {}\ncompiler: {}\nload at the start: {}",
        first_line("/proc/cpuinfo", "model name"),
        first_line("/proc/sys/kernel/osrelease", ""),
        compiler.unwrap_or_default().trim(),
        first_line("/proc/loadavg", ""),
    )
}

/// The first line of a file that begins with `start`, without it.
fn first_line(file: &str, start: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or("unknown");
    line.trim_start_matches([' ', '\t', ':']).into()
}
