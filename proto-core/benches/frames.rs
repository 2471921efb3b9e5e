//! Frames beside the bare primitives, in turns, in thread CPU time: `cargo bench -p fcp-proto-core --bench frames`.
//!
//! It also shows a second provider, on aws-lc-rs. Before anything is measured, [`providers_agree`] holds it to the bytes
//! of the pure one. What was measured stands in `docs/dev/benchmarks.md`.

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main};
use fcp_proto_core::crypto::provider::{Aead, AeadError, Mac, Provider, Pure, TAG_BYTES, Tag};
use fcp_proto_core::frame::datagram::{self, PREFIX_BYTES};
use fcp_proto_core::frame::flags::Flags;
use fcp_proto_core::frame::header::{HEADER_BYTES, Header, RECORD_OVERHEAD};
use fcp_proto_core::frame::symbols::{About, Opener, Sealer, Sender, ZoneKeyRef};
use fcp_proto_core::ids::{Digest, KeyId, MeshSessionId, NodeId, ObjectId, SessionNonce};
use fcp_proto_core::limits::{DEFAULT_DATAGRAM_BYTES, DEFAULT_SYMBOL_BYTES};
use fcp_proto_core::object::ZoneKeyAlgorithm;
use fcp_proto_core::session::keys::{KeyLimits, Session, Side};
use fcp_proto_core::session::rekey::Lineage;
use fcp_proto_core::session::schedule::{self, Parties};
use fcp_proto_core::session::suite::Suite;
use fcp_proto_core::time::Instant;
use rustix::time::{ClockId, clock_gettime};
use zeroize::Zeroizing;

const SYMBOL: usize = DEFAULT_SYMBOL_BYTES as usize;
const FRAME: usize = HEADER_BYTES + RECORD_OVERHEAD + SYMBOL;
const ASSOCIATED: [u8; 86] = [5; 86];
const ROUNDS: usize = 3;
const NOW: Instant = Instant::from_nanos(0);

/// The primitives of aws-lc-rs where it has them.
struct AwsLc;

impl Provider for AwsLc {
    fn chacha20_poly1305(&self, key: &[u8; 32]) -> Box<dyn Aead<12>> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("a key of 32 bytes");
        Box::new(AwsLcAead(LessSafeKey::new(key)))
    }

    fn xchacha20_poly1305(&self, key: &[u8; 32]) -> Box<dyn Aead<24>> {
        Pure.xchacha20_poly1305(key)
    }

    fn hmac_sha256(&self, key: &[u8; 32]) -> Box<dyn Mac> {
        Box::new(AwsLcHmac(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    fn blake3(&self, key: &[u8; 32]) -> Box<dyn Mac> {
        Pure.blake3(key)
    }
}

struct AwsLcAead(LessSafeKey);

impl Aead<12> for AwsLcAead {
    fn seal(&self, nonce: &[u8; 12], associated: &[u8], buffer: &mut [u8]) -> Result<(), AeadError> {
        let (text, room) = buffer.split_last_chunk_mut::<TAG_BYTES>().ok_or(AeadError::Length)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let sealed = self.0.seal_in_place_separate_tag(nonce, Aad::from(associated), text);
        room.copy_from_slice(sealed.map_err(|_| AeadError::Length)?.as_ref());
        Ok(())
    }

    fn open(&self, nonce: &[u8; 12], associated: &[u8], buffer: &mut [u8]) -> Result<(), AeadError> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(associated), buffer);
        opened.map(|_| ()).map_err(|_| AeadError::NotAuthentic)
    }
}

struct AwsLcHmac(hmac::Key);

impl Mac for AwsLcHmac {
    fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        *context.sign().as_ref().first_chunk().expect("32 bytes")
    }
}

/// The time this thread had on a processor: what others do on the machine counts less.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::try_from(time).expect("not before the start of the thread")
    }

    fn end(&self, began: Duration) -> Duration {
        self.start() - began
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

type Group<'a> = BenchmarkGroup<'a, CpuTime>;

fn providers() -> [(&'static str, &'static dyn Provider); 2] {
    [("pure", &Pure), ("aws-lc-rs", &AwsLc)]
}

fn zone_key(secret: &[u8; 32]) -> ZoneKeyRef<'_> {
    ZoneKeyRef {
        secret,
        id: KeyId::from_bytes([1; 8]),
        zone_id_hash: Digest::from_bytes([2; 32]),
        algorithm: ZoneKeyAlgorithm::ChaCha20Poly1305,
    }
}

fn about() -> About {
    About {
        flags: Flags::default(),
        object_id: ObjectId::from_bytes([3; 32]),
        symbol_size: DEFAULT_SYMBOL_BYTES,
        epoch_id: 9,
    }
}

fn node(name: &str) -> NodeId {
    name.parse().expect("a node")
}

/// One frame of one symbol, written into `buffer`.
fn write(sealer: &mut Sealer, symbol: &[u8], buffer: &mut [u8]) {
    let mut writer = sealer.frame(&about(), buffer).expect("room");
    writer.push(0, 40, symbol).expect("room");
    black_box(writer.finish().expect("a frame"));
}

fn symbols(criterion: &mut Criterion<CpuTime>) {
    let (sender, secret) = (node("alice"), [7; 32]);
    let sender = Sender { node: &sender, instance: 5 };
    for (name, provider) in providers() {
        let mut group = criterion.benchmark_group(format!("symbols/{name}"));
        let bare = provider.chacha20_poly1305(&[9; 32]);
        let mut sealer = Sealer::with_instance(zone_key(&secret), sender, provider);
        let opener = Opener::new(zone_key(&secret), sender, provider);
        for round in 1..=ROUNDS {
            seal(&mut group, round, &*bare, &mut sealer);
            open(&mut group, round, &*bare, &mut sealer, &opener);
        }
        group.finish();
    }
}

fn seal(group: &mut Group<'_>, round: usize, bare: &dyn Aead<12>, sealer: &mut Sealer) {
    let mut buffer = [1; SYMBOL + TAG_BYTES];
    group.bench_function(format!("seal/bare without associated data/{round}"), |bench| {
        bench.iter(|| bare.seal(&[0; 12], &[], black_box(&mut buffer)));
    });
    group.bench_function(format!("seal/bare/{round}"), |bench| {
        bench.iter(|| bare.seal(&[0; 12], &ASSOCIATED, black_box(&mut buffer)));
    });
    let (symbol, mut buffer) = ([1; SYMBOL], [0; FRAME]);
    group.bench_function(format!("seal/frame/{round}"), |bench| {
        bench.iter(|| write(sealer, black_box(&symbol), &mut buffer));
    });
}

/// Opening destroys what it opens, so both sides copy it first.
fn open(group: &mut Group<'_>, round: usize, bare: &dyn Aead<12>, sealer: &mut Sealer, opener: &Opener) {
    let mut sealed = [1; SYMBOL + TAG_BYTES];
    bare.seal(&[0; 12], &ASSOCIATED, &mut sealed).expect("sealed");
    let mut buffer = sealed;
    group.bench_function(format!("open/bare/{round}"), |bench| {
        bench.iter(|| {
            buffer.copy_from_slice(black_box(&sealed));
            bare.open(&[0; 12], &ASSOCIATED, &mut buffer)
        });
    });
    let mut frame = [0; FRAME];
    write(sealer, &[1; SYMBOL], &mut frame);
    let mut buffer = frame;
    group.bench_function(format!("open/frame/{round}"), |bench| {
        bench.iter(|| {
            buffer.copy_from_slice(black_box(&frame));
            let mut symbols = opener.symbols(&mut buffer, FRAME).expect("a frame");
            black_box(symbols.next().expect("one").expect("authentic"));
        });
    });
}

/// One end of a session that needs no handshake here.
fn session(suite: Suite, side: Side, provider: &dyn Provider) -> Session {
    let parties = Parties { initiator: node("alice"), responder: node("bob") };
    let (id, nonce) = (MeshSessionId::from_bytes([1; 16]), SessionNonce::from_bytes([2; 16]));
    let secrets = schedule::first(suite, &parties, &id, [&nonce, &nonce], &Zeroizing::new([3; 32]));
    let lineage = Lineage { suite, parties, side, limits: KeyLimits::default() };
    Session::new(lineage, id, 0, secrets, provider, NOW)
}

fn macs(criterion: &mut Criterion<CpuTime>) {
    for (name, provider) in providers() {
        let mut group = criterion.benchmark_group(format!("mac/{name}"));
        for (suite, bare) in
            [(Suite::HmacSha256, provider.hmac_sha256(&[9; 32])), (Suite::Blake3, provider.blake3(&[9; 32]))]
        {
            let mut sender = session(suite, Side::Initiator, provider);
            let mut receiver = session(suite, Side::Responder, provider);
            for round in 1..=ROUNDS {
                check(&mut group, (suite, round), &*bare, &mut sender, &mut receiver);
            }
        }
        group.finish();
    }
}

/// A datagram is taken once, so both sides get each of theirs fresh, in batches that stay in the cache.
fn check(
    group: &mut Group<'_>,
    (suite, round): (Suite, usize),
    bare: &dyn Mac,
    sender: &mut Session,
    receiver: &mut Session,
) {
    let message = [1; 25 + FRAME];
    let tag = bare.tag(&[&message]);
    group.bench_function(format!("{suite:?}/bare/{round}"), |bench| {
        let check = |message: &mut [u8; 25 + FRAME]| bare.verifies(&[black_box(message)], &tag);
        bench.iter_batched_ref(|| message, check, BatchSize::NumIterations(64));
    });
    group.bench_function(format!("{suite:?}/datagram/{round}"), |bench| {
        let fresh = || {
            let mut datagram = [1; PREFIX_BYTES + FRAME];
            datagram::seal(&mut sender.send, &mut datagram, DEFAULT_DATAGRAM_BYTES, NOW).expect("sealed");
            datagram
        };
        let check = |datagram: &mut [u8; PREFIX_BYTES + FRAME]| {
            let taken = datagram::open(&mut receiver.receive, black_box(datagram), DEFAULT_DATAGRAM_BYTES);
            black_box(taken.expect("authentic").len())
        };
        bench.iter_batched_ref(fresh, check, BatchSize::NumIterations(64));
    });
}

fn header(criterion: &mut Criterion<CpuTime>) {
    let (sender, mut frame) = (node("alice"), [0; FRAME]);
    let mut sealer = Sealer::with_instance(zone_key(&[7; 32]), Sender { node: &sender, instance: 5 }, &Pure);
    write(&mut sealer, &[1; SYMBOL], &mut frame);
    criterion.bench_function("header/parse", |bench| {
        bench.iter(|| Header::parse(black_box(&frame), FRAME));
    });
}

/// Both providers give the same bytes, and each opens what the other seals.
fn providers_agree(_: &mut Criterion<CpuTime>) {
    for length in [0, 1, 63, 64, 65, 1_024, 5_000] {
        let text: Vec<u8> = (0..length + TAG_BYTES).map(|byte| byte as u8).collect();
        let sealed = providers().map(|(_, provider)| {
            let mut buffer = text.clone();
            provider.chacha20_poly1305(&[9; 32]).seal(&[4; 12], &ASSOCIATED, &mut buffer).expect("sealed");
            buffer
        });
        assert_eq!(sealed[0], sealed[1]);
        for (name, provider) in providers() {
            let cipher = provider.chacha20_poly1305(&[9; 32]);
            let mut opened = sealed[0].clone();
            cipher.open(&[4; 12], &ASSOCIATED, &mut opened).expect("authentic");
            assert_eq!(opened[..length], text[..length], "{name}");
            let mut bent = sealed[0].clone();
            bent[length] ^= 1;
            assert!(cipher.open(&[4; 12], &ASSOCIATED, &mut bent).is_err(), "{name}");
        }
        let tags = providers().map(|(_, provider)| provider.hmac_sha256(&[9; 32]).tag(&[&text, b"x"]));
        assert_eq!(tags[0], tags[1]);
    }
}

fn criterion() -> Criterion<CpuTime> {
    Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
        .without_plots()
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = providers_agree, header, symbols, macs
}
criterion_main!(benches);
