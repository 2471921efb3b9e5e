//! Frames of one symbol of 1,024 bytes beside the AEAD, their datagrams beside the MAC, headers and the replay window.

use std::hint::black_box;

use fcp_proto_core::crypto::provider::{Mac, Provider, Pure, TAG_BYTES, Tag};
use fcp_proto_core::frame::datagram::{self, PREFIX_BYTES};
use fcp_proto_core::frame::flags::Flags;
use fcp_proto_core::frame::header::{HEADER_BYTES, Header, RECORD_OVERHEAD};
use fcp_proto_core::frame::symbols::{About, Opener, Sealer, Sender, ZoneKeyRef};
use fcp_proto_core::ids::{Digest, KeyId, MeshSessionId, NodeId, ObjectId, SessionNonce};
use fcp_proto_core::limits::{DEFAULT_DATAGRAM_BYTES, DEFAULT_SYMBOL_BYTES};
use fcp_proto_core::object::ZoneKeyAlgorithm;
use fcp_proto_core::session::keys::{KeyLimits, Session, Side as End};
use fcp_proto_core::session::rekey::Lineage;
use fcp_proto_core::session::replay::ReplayWindow;
use fcp_proto_core::session::schedule::{self, Parties};
use fcp_proto_core::session::suite::Suite;
use fcp_proto_core::time::Instant;
use zeroize::Zeroizing;

use super::{Side, Work};

const SYMBOL: usize = DEFAULT_SYMBOL_BYTES as usize;
const FRAME: usize = HEADER_BYTES + RECORD_OVERHEAD + SYMBOL;
const ASSOCIATED: [u8; 86] = [5; 86];
const NOW: Instant = Instant::from_nanos(0);

fn node(name: &str) -> NodeId {
    name.parse().expect("a node")
}

fn ends(provider: &dyn Provider) -> (Sealer, Opener) {
    let zone_key = ZoneKeyRef {
        secret: &[7; 32],
        id: KeyId::from_bytes([1; 8]),
        zone_id_hash: Digest::from_bytes([2; 32]),
        algorithm: ZoneKeyAlgorithm::ChaCha20Poly1305,
    };
    let name = node("alice");
    let sender = Sender { node: &name, instance: 5 };
    (Sealer::with_instance(zone_key, sender, provider), Opener::new(zone_key, sender, provider))
}

/// One frame of one symbol, written into `buffer`.
fn write(sealer: &mut Sealer, symbol: &[u8], buffer: &mut [u8]) {
    let about = About {
        flags: Flags::default(),
        object_id: ObjectId::from_bytes([3; 32]),
        symbol_size: DEFAULT_SYMBOL_BYTES,
        epoch_id: 9,
    };
    let mut writer = sealer.frame(&about, buffer).expect("room");
    writer.push(0, 40, symbol).expect("room");
    black_box(writer.finish().expect("a frame"));
}

/// A header read and checked.
pub(crate) fn header() -> Work {
    let mut frame = [0; FRAME];
    write(&mut ends(&Pure).0, &[1; SYMBOL], &mut frame);
    Work::new(move || {
        black_box(Header::parse(black_box(&frame), FRAME)).expect("a header");
    })
}

/// A frame sealed into a buffer: header, record, copy of the symbol.
pub(crate) fn seal(provider: &dyn Provider) -> Work {
    let (mut sealer, _) = ends(provider);
    let (symbol, mut buffer) = ([1; SYMBOL], [0; FRAME]);
    let cipher = provider.chacha20_poly1305(&[9; 32]);
    let mut bare = [1; SYMBOL + TAG_BYTES];
    Work::beside(
        move || write(&mut sealer, black_box(&symbol), &mut buffer),
        move || cipher.seal(&[0; 12], &ASSOCIATED, black_box(&mut bare)).expect("sealed"),
    )
}

/// A frame opened in place. Opening destroys what it opens, so both sides copy it first.
pub(crate) fn open(provider: &dyn Provider) -> Work {
    let (mut sealer, opener) = ends(provider);
    let mut frame = [0; FRAME];
    write(&mut sealer, &[1; SYMBOL], &mut frame);
    let mut buffer = frame;
    let cipher = provider.chacha20_poly1305(&[9; 32]);
    let mut sealed = [1; SYMBOL + TAG_BYTES];
    cipher.seal(&[0; 12], &ASSOCIATED, &mut sealed).expect("sealed");
    let mut bare = sealed;
    Work::beside(
        move || {
            buffer.copy_from_slice(black_box(&frame));
            let mut symbols = opener.symbols(&mut buffer, FRAME).expect("a frame");
            black_box(symbols.next().expect("one").expect("authentic"));
        },
        move || {
            bare.copy_from_slice(black_box(&sealed));
            cipher.open(&[0; 12], &ASSOCIATED, &mut bare).expect("authentic");
        },
    )
}

/// A datagram taken: length, session, window, MAC.
pub(crate) fn mac(suite: Suite, provider: &dyn Provider) -> Work {
    let bare = match suite {
        Suite::HmacSha256 => provider.hmac_sha256(&[9; 32]),
        Suite::Blake3 => provider.blake3(&[9; 32]),
    };
    let message = [1; 25 + FRAME];
    let tag = bare.tag(&[&message]);
    let taken = Datagrams {
        sender: session(suite, End::Initiator, provider),
        receiver: session(suite, End::Responder, provider),
        ready: Vec::new(),
    };
    Work::beside(taken, Messages { mac: bare, tag, ready: vec![message; AT_ONCE], next: 0 })
}

/// A number looked for and noted, as each datagram's is.
pub(crate) fn window() -> Work {
    let (mut window, mut seq) = (ReplayWindow::default(), 0);
    Work::new(move || {
        seq += 1;
        black_box(&mut window).commit(black_box(seq)).expect("a new number");
    })
}

/// One end of a session that needs no handshake here.
fn session(suite: Suite, side: End, provider: &dyn Provider) -> Session {
    let parties = Parties { initiator: node("alice"), responder: node("bob") };
    let (id, nonce) = (MeshSessionId::from_bytes([1; 16]), SessionNonce::from_bytes([2; 16]));
    let secrets = schedule::first(suite, &parties, &id, [&nonce, &nonce], &Zeroizing::new([3; 32]));
    let lineage = Lineage {
        suite,
        parties,
        side,
        limits: KeyLimits::default(),
        peer_datagram_bytes: DEFAULT_DATAGRAM_BYTES,
    };
    Session::new(lineage, id, 0, secrets, provider, NOW)
}

/// A datagram is taken once, so each is made fresh; few enough of them stay in the cache.
const AT_ONCE: usize = 64;

struct Datagrams {
    sender: Session,
    receiver: Session,
    ready: Vec<[u8; PREFIX_BYTES + FRAME]>,
}

impl Side for Datagrams {
    fn most_calls(&self) -> usize {
        AT_ONCE
    }

    fn prepare(&mut self, calls: usize) {
        self.ready.resize(calls, [1; PREFIX_BYTES + FRAME]);
        // The last is taken first.
        for datagram in self.ready.iter_mut().rev() {
            datagram::seal(&mut self.sender.send, datagram, DEFAULT_DATAGRAM_BYTES, NOW).expect("sealed");
        }
    }

    fn call(&mut self) {
        let mut datagram = self.ready.pop().expect("as many as were prepared");
        let taken = datagram::open(&mut self.receiver.receive, &mut datagram, DEFAULT_DATAGRAM_BYTES);
        black_box(taken.expect("authentic").len());
    }
}

struct Messages {
    mac: Box<dyn Mac>,
    tag: Tag,
    ready: Vec<[u8; 25 + FRAME]>,
    next: usize,
}

impl Side for Messages {
    fn most_calls(&self) -> usize {
        AT_ONCE
    }

    fn call(&mut self) {
        self.next = (self.next + 1) % AT_ONCE;
        let message = self.ready[self.next];
        assert!(self.mac.verifies(&[black_box(&message)], &self.tag), "authentic");
    }
}
