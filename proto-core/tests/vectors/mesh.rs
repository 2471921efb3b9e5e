//! The vectors of frames and sessions. Numbers are hexadecimal and little-endian, as they are on the wire.

use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::frame::flags::Flags;
use fcp_proto_core::frame::header::Header;
use fcp_proto_core::frame::signed::{self, SignedFrame};
use fcp_proto_core::frame::symbols::{About, Opener, Sealer, Sender, SymbolError, ZoneKeyRef};
use fcp_proto_core::frame::{control, datagram};
use fcp_proto_core::ids::{Digest, KeyId, MeshSessionId, NodeId, ObjectId, SessionNonce};
use fcp_proto_core::limits::{DEFAULT_DATAGRAM_BYTES, MAX_CONTROL_BYTES};
use fcp_proto_core::object::ZoneKeyAlgorithm;
use fcp_proto_core::session::cookie::cookie;
use fcp_proto_core::session::error::SessionError;
use fcp_proto_core::session::keys::{KeyLimits, Session, Side};
use fcp_proto_core::session::message::{Ack, Cookie, Hello, HelloRetry, Message};
use fcp_proto_core::session::rekey::{Lineage, RekeyAck, RekeyRequest};
use fcp_proto_core::session::schedule::{self, Parties, Secrets};
use fcp_proto_core::session::suite::{Suite, SuiteId};
use fcp_proto_core::symbol::EncodingSet;
use fcp_proto_core::time::{Instant, UnixTime};
use zeroize::Zeroizing;

use super::{Case, Check};

pub(crate) const FILES: [(&str, Check); 14] = [
    ("frames/datagram.json", datagrams),
    ("frames/datagram_reject.json", datagram_reject),
    ("frames/fcpc.json", fcpc),
    ("frames/fcpc_reject.json", fcpc_reject),
    ("frames/fcps.json", fcps),
    ("frames/fcps_opening.json", fcps_opening),
    ("frames/fcps_opening_reject.json", fcps_opening_reject),
    ("frames/fcps_reject.json", fcps_reject),
    ("frames/signed.json", signed_frame),
    ("frames/signed_reject.json", signed_reject),
    ("sessions/handshake.json", handshake),
    ("sessions/key_schedule.json", key_schedule),
    ("sessions/messages_reject.json", messages_reject),
    ("sessions/rekey.json", rekey),
];

/// The longest frame or signed frame that these vectors' reader takes.
const LONGEST: usize = 2_048;

const NOW: Instant = Instant::from_nanos(0);

impl Case<'_> {
    pub(crate) fn number(&self, name: &str) -> u64 {
        u64::from_le_bytes(self.array(name))
    }

    pub(crate) fn node(&self, name: &str) -> NodeId {
        self.text(name).parse().expect("a node")
    }

    pub(crate) fn secret(&self, name: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.array(name))
    }

    pub(crate) fn key(&self, name: &str) -> VerifyingKey<Node> {
        VerifyingKey::from_bytes(&self.array(name)).expect("a key")
    }

    pub(crate) fn suite(&self) -> Suite {
        let [id] = self.array("suite");
        SuiteId::new(id).suite().expect("a suite")
    }

    pub(crate) fn parties(&self) -> Parties {
        Parties { initiator: self.node("initiator"), responder: self.node("responder") }
    }

    fn secrets(&self) -> Secrets {
        let nonce = |name| SessionNonce::from_bytes(self.array(name));
        let nonces = [&nonce("hello_nonce"), &nonce("ack_nonce")];
        let session_id = MeshSessionId::from_bytes(self.array("session_id"));
        schedule::first(self.suite(), &self.parties(), &session_id, nonces, &self.secret("shared"))
    }

    /// One end of the session that the case describes.
    fn session(&self, side: Side) -> Session {
        let (suite, parties) = (self.suite(), self.parties());
        let lineage = Lineage {
            suite,
            parties,
            side,
            limits: KeyLimits::default(),
            peer_datagram_bytes: DEFAULT_DATAGRAM_BYTES,
        };
        let session_id = MeshSessionId::from_bytes(self.array("session_id"));
        Session::new(lineage, session_id, 0, self.secrets(), &Pure, NOW)
    }

    /// The end that seals, and the end that opens.
    fn ends(&self) -> (Session, Session) {
        let sender = match self.array("direction") {
            [0] => Side::Initiator,
            [1] => Side::Responder,
            [other] => panic!("{}: direction {other}", self.place),
        };
        (self.session(sender), self.session(sender.peer()))
    }

    #[track_caller]
    pub(crate) fn same<T: std::fmt::Debug + PartialEq>(&self, actual: T, expected: T) {
        assert_eq!(actual, expected, "{}", self.place);
    }

    /// Compares with the error that the case names, or with `none`.
    #[track_caller]
    pub(crate) fn refuses<T, E: std::fmt::Debug>(&self, result: Result<T, E>) {
        let error = result.err().map_or_else(|| String::from("none"), |error| format!("{error:?}"));
        assert_eq!(error, self.text("error"), "{}", self.place);
    }
}

/// The key by which the case's symbols are sealed.
pub(crate) fn zone_key<'a>(case: &Case<'_>, secret: &'a [u8; 32]) -> ZoneKeyRef<'a> {
    ZoneKeyRef {
        secret,
        id: KeyId::from_bytes(case.array("zone_key_id")),
        zone_id_hash: Digest::from_bytes(case.array("zone_id_hash")),
        algorithm: match case.text("algorithm") {
            "chacha20-poly1305" => ZoneKeyAlgorithm::ChaCha20Poly1305,
            "xchacha20-poly1305" => ZoneKeyAlgorithm::XChaCha20Poly1305,
            other => panic!("{}: {other}", case.place),
        },
    }
}

/// A symbol: its number, K and bytes.
type Opened = (u32, u16, Vec<u8>);

/// The symbols of a case; those that are not authentic have an error instead.
fn symbols(case: &Case<'_>) -> Vec<Result<Opened, String>> {
    let listed = case.fields.get("symbols").and_then(Json::as_array).expect("a list of symbols").iter();
    let symbols = listed.map(|fields| {
        let symbol = Case { place: case.place.clone(), fields };
        if let Some(error) = symbol.optional("error") {
            return Err(error.into());
        }
        let (esi, k) = (symbol.array("esi"), symbol.array("k"));
        Ok((u32::from_le_bytes(esi), u16::from_le_bytes(k), symbol.bytes("bytes")))
    });
    symbols.collect()
}

fn fcps(case: &Case<'_>) {
    let (secret, node) = (case.array("zone_key"), case.node("node"));
    let zone_key = zone_key(case, &secret);
    let sender = Sender { node: &node, instance: case.number("instance") };
    let symbols: Vec<_> = symbols(case).into_iter().map(|symbol| symbol.expect("a symbol")).collect();
    let about = About {
        flags: Flags::from_bits(u16::from_le_bytes(case.array("flags"))).expect("flags"),
        object_id: ObjectId::from_bytes(case.array("object_id")),
        symbol_size: symbols[0].2.len() as u16,
        epoch_id: case.number("epoch"),
    };
    let mut sealer = Sealer::with_instance(zone_key, sender, &Pure);
    let mut buffer = [0; LONGEST];
    for _ in 1..case.number("frame_seq") {
        drop(sealer.frame(&about, &mut buffer).expect("room"));
    }
    let mut writer = sealer.frame(&about, &mut buffer).expect("room");
    for (esi, k, bytes) in &symbols {
        writer.push(*esi, *k, bytes).expect("room");
    }
    let frame = writer.finish().expect("a frame");
    case.same(&*frame, &case.bytes("frame")[..]);
    let opener = Opener::new(zone_key, sender, &Pure);
    let opened = opener.symbols(frame, LONGEST).expect("a frame").map(|symbol| {
        let symbol = symbol.unwrap_or_else(|error| panic!("{}: {error}", case.place));
        (symbol.esi, symbol.k, symbol.bytes.to_vec())
    });
    case.same(opened.collect(), symbols);
}

fn fcps_opening(case: &Case<'_>) {
    let opened = open_symbols(case).unwrap_or_else(|error| panic!("{}: {error}", case.place));
    let opened: Vec<_> =
        opened.into_iter().map(|symbol| symbol.map_err(|error| format!("{error:?}"))).collect();
    case.same(opened, symbols(case));
}

//= docs/spec/fcps.md#opening
fn fcps_opening_reject(case: &Case<'_>) {
    case.refuses(open_symbols(case).and_then(|opened| opened.into_iter().collect::<Result<Vec<_>, _>>()));
}

/// The encoding of which a case's symbols are to be.
pub(crate) fn encoding_set(case: &Case<'_>) -> EncodingSet {
    EncodingSet {
        object_id: ObjectId::from_bytes(case.array("object_id")),
        zone_id: case.text("zone").parse().expect("a zone"),
        zone_key_id: KeyId::from_bytes(case.array("set_zone_key_id")),
    }
}

/// The symbols of a frame as those of the case's encoding set.
fn open_symbols(case: &Case<'_>) -> Result<Vec<Result<Opened, SymbolError>>, SymbolError> {
    let (secret, node) = (case.array("zone_key"), case.node("node"));
    let sender = Sender { node: &node, instance: case.number("instance") };
    let opener = Opener::new(zone_key(case, &secret), sender, &Pure);
    let set = encoding_set(case);
    let mut frame = case.bytes("frame");
    let symbols = opener.symbols(&mut frame, LONGEST)?.of(&set)?;
    let parts = symbols.map(|opened| {
        let opened = opened?;
        let symbol = opened.get();
        Ok((symbol.id.as_u32(), symbol.source_symbols, symbol.bytes.to_vec()))
    });
    Ok(parts.collect())
}

fn fcps_reject(case: &Case<'_>) {
    case.refuses(Header::parse(&case.bytes("frame"), LONGEST));
}

fn datagrams(case: &Case<'_>) {
    let (mut sender, mut receiver) = case.ends();
    let frame = case.bytes("frame");
    let mut bytes = [&[0; datagram::PREFIX_BYTES], &frame[..]].concat();
    datagram::seal(&mut sender.send, &mut bytes, DEFAULT_DATAGRAM_BYTES, NOW).expect("sealed");
    case.same(&bytes, &case.bytes("datagram"));
    let opened = datagram::open(&mut receiver.receive, &mut bytes, DEFAULT_DATAGRAM_BYTES);
    case.same(opened.map(|frame| frame.to_vec()), Ok(frame));
}

fn datagram_reject(case: &Case<'_>) {
    let (_, mut receiver) = case.ends();
    let mut bytes = case.bytes("datagram");
    case.refuses(datagram::open(&mut receiver.receive, &mut bytes, DEFAULT_DATAGRAM_BYTES));
}

fn fcpc(case: &Case<'_>) {
    let (mut sender, mut receiver) = case.ends();
    let content = case.bytes("content");
    let mut bytes = [&[0; control::HEADER_BYTES], &content[..], &[0; 16]].concat();
    control::seal(&mut sender.send, &mut bytes, MAX_CONTROL_BYTES, NOW).expect("sealed");
    case.same(&bytes, &case.bytes("frame"));
    let opened = control::open(&mut receiver.receive, &mut bytes, MAX_CONTROL_BYTES);
    case.same(opened.map(|control| control.content.to_vec()), Ok(content));
}

//= docs/spec/fcpc.md#frame
fn fcpc_reject(case: &Case<'_>) {
    let (_, mut receiver) = case.ends();
    let mut bytes = case.bytes("frame");
    case.refuses(control::open(&mut receiver.receive, &mut bytes, MAX_CONTROL_BYTES));
}

fn signed_frame(case: &Case<'_>) {
    let key = SigningKey::from_seed(&case.secret("seed"));
    let (frame, time) = (case.bytes("frame"), UnixTime::from_secs(case.number("timestamp")));
    let mut out = [0; LONGEST];
    let bytes = signed::emit(&case.node("node"), &key, time, &frame, &mut out).expect("room");
    case.same(bytes, &case.bytes("signed")[..]);
    let parsed = SignedFrame::parse(bytes, LONGEST).expect("a signed frame");
    case.same(parsed.source.clone(), case.node("node"));
    case.same(parsed.verify(&key.verifying_key(), time), Ok(&frame[..]));
}

fn signed_reject(case: &Case<'_>) {
    let bytes = case.bytes("signed");
    match SignedFrame::parse(&bytes, LONGEST) {
        Ok(frame) => {
            case.refuses(frame.verify(&case.key("key"), UnixTime::from_secs(case.number("now"))));
        }
        Err(error) => case.refuses::<(), _>(Err(error)),
    }
}

//= docs/spec/mesh-sessions.md#transcripts
fn handshake(case: &Case<'_>) {
    let hello = Hello::decode(&case.bytes("hello")).expect("a hello");
    let ack = Ack::decode(&case.bytes("ack")).expect("an ack");
    case.same(hello.encode(), Ok(case.bytes("hello")));
    case.same(ack.encode(), Ok(case.bytes("ack")));
    let cookie = cookie(&case.array("cookie_key"), &hello);
    case.same(cookie, Ok(Cookie::from_bytes(case.array("cookie"))));
    let now = UnixTime::from_secs(case.number("now"));
    let signature = ack
        .transcript(&hello)
        .and_then(|transcript| transcript.verify(&case.key("responder_key"), &ack.signature));
    case.same(signature, Ok(()));
    let me = hello.to.clone();
    let verified = hello.verify(&case.key("initiator_key"), &me, now);
    assert!(verified.is_ok(), "{}: {verified:?}", case.place);
}

fn key_schedule(case: &Case<'_>) {
    same_secrets(case, &case.secrets(), "chain");
}

fn rekey(case: &Case<'_>) {
    let request = RekeyRequest::decode(&case.bytes("request")).expect("a request");
    let ack = RekeyAck::decode(&case.bytes("ack")).expect("an ack");
    case.same(request.encode(), Ok(case.bytes("request")));
    case.same(ack.encode(), Ok(case.bytes("ack")));
    let asked = request.transcript().expect("small");
    case.same(asked.verify(&case.key("requester_key"), &request.signature), Ok(()));
    let answered = ack.transcript(&request).expect("small");
    case.same(answered.verify(&case.key("answerer_key"), &ack.signature), Ok(()));
    let secrets = schedule::next(
        case.suite(),
        &case.parties(),
        ack.generation,
        answered.as_bytes(),
        &case.secret("chain"),
        &case.secret("shared"),
    );
    same_secrets(case, &secrets, "next_chain");
}

fn same_secrets(case: &Case<'_>, secrets: &Secrets, chain: &str) {
    case.same(*secrets.initiator_mac, case.array("mac_i2r"));
    case.same(*secrets.responder_mac, case.array("mac_r2i"));
    case.same(*secrets.context, case.array("context"));
    case.same(*secrets.chain, case.array(chain));
}

fn messages_reject(case: &Case<'_>) {
    let bytes = case.bytes("message");
    let result: Result<(), SessionError> = match case.text("kind") {
        "hello" => Hello::decode(&bytes).map(|_| ()),
        "retry" => HelloRetry::decode(&bytes).map(|_| ()),
        "ack" => Ack::decode(&bytes).map(|_| ()),
        "rekey_request" => RekeyRequest::decode(&bytes).map(|_| ()),
        "rekey_ack" => RekeyAck::decode(&bytes).map(|_| ()),
        other => panic!("{}: {other}", case.place),
    };
    case.refuses(result);
}
