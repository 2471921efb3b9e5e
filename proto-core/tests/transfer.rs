//! An object from one device to another: the owner's keys, symbols, sealed frames, and the object again.

use std::collections::BTreeMap;

use fcp_proto_core::crypto::agree::EncryptionKey;
use fcp_proto_core::crypto::hash::zone_id_hash;
use fcp_proto_core::crypto::hpke::OpeningKey;
use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::crypto::role::Owner;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::frame::flags::Flags;
use fcp_proto_core::frame::header::Header as FrameHeader;
use fcp_proto_core::frame::symbols::{About, Opener, Sealer, Sender, SymbolError, ZoneKeyRef};
use fcp_proto_core::ids::{KeyId, NodeId, ObjectId, ZoneId};
use fcp_proto_core::limits::MAX_FRAME_BYTES;
use fcp_proto_core::object::{
    Body, Header, Object, ObjectIdKey, RawChunk, Schema, Signed, SignedBody, ZoneKey, ZoneKeyAlgorithm,
    ZoneKeyManifest, ZoneKeyTerms,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::symbol::{
    Decoder, Encoder, EncodingSet, IdentifiedObject, PayloadId, Plans, TransmissionInformation,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level, RingKey, ZoneKeyRing};
use zeroize::Zeroizing;

const NOW: UnixTime = UnixTime::from_secs(1_795_426_200);
const SYMBOL: u16 = 1_000;
const FRAME_SYMBOLS: u32 = 4;
const LARGEST: usize = 1 << 24;

fn node(name: &str) -> NodeId {
    NodeId::new(name).expect("a node")
}

fn header(schema: &Schema, zone: &ZoneId) -> Header {
    Header::new(schema, zone, NOW, Label::trusted(Level::PRIVATE), None)
}

/// What a receiver has before anything comes, and what a sender sends.
struct Transfer {
    ring: ZoneKeyRing,
    set: EncodingSet,
    information: TransmissionInformation,
    object: IdentifiedObject,
    frames: Vec<Vec<u8>>,
}

/// The zone's keys as a device gets them: from a manifest that the owner signed and sealed to it.
fn ring(zone: &ZoneId, entropy: &mut Entropy) -> ZoneKeyRing {
    let owner = SigningKey::<Owner>::generate(entropy);
    let phone = EncryptionKey::generate(entropy);
    let keys = (&ZoneKey::generate(entropy), &ObjectIdKey::generate(entropy));
    let terms = ZoneKeyTerms {
        algorithm: ZoneKeyAlgorithm::ChaCha20Poly1305,
        valid_from: NOW,
        valid_until: None,
        prev_zone_key_id: None,
        overlap_secs: 0,
    };
    let recipients = BTreeMap::from([(node("phone"), phone.recipient())]);
    let manifest = ZoneKeyManifest::seal(zone, terms, keys, &recipients, NOW, entropy).expect("a manifest");
    let header = header(&<ZoneKeyManifest as SignedBody>::SCHEMA, zone);
    let signed: Object<Signed<ZoneKeyManifest>> = Object::sign(header, manifest, &owner).expect("small");
    let opened = signed.open_keys(&owner.verifying_key(), &node("phone"), &phone).expect("its keys");
    ZoneKeyRing::new(opened)
}

fn frame_key<'a>(key: &RingKey<'a>, zone: &ZoneId) -> ZoneKeyRef<'a> {
    ZoneKeyRef {
        secret: key.key.expose(),
        id: key.id,
        zone_id_hash: zone_id_hash(zone),
        algorithm: key.algorithm,
    }
}

impl Transfer {
    /// The object's source symbols but every third, and repair symbols in their place.
    fn new() -> Self {
        let mut entropy = Entropy::from_seed(&Zeroizing::new([4; 32]));
        let zone = ZoneId::new("z:private").expect("a zone");
        let ring = ring(&zone, &mut entropy);
        let mut bytes = vec![0; 20_000];
        entropy.fill(&mut bytes);
        let object =
            Object { header: header(&RawChunk::SCHEMA, &zone), body: RawChunk { bytes: ByteString(bytes) } };
        let stored = object.store().expect("small");
        let object = IdentifiedObject::new(stored, ring.object_id_key().expect("a key")).expect("an object");
        let information =
            TransmissionInformation::new(object.bytes().len() as u64, SYMBOL).expect("an encoding");
        let zone_key_id = ring.sealing_key(NOW).expect("a key").id;
        let set = EncodingSet { object_id: object.id(), zone_id: zone, zone_key_id };
        let frames = Vec::new();
        let mut transfer = Self { ring, set, information, object, frames };
        transfer.frames = transfer.seal(&mut entropy);
        transfer
    }

    fn seal(&self, entropy: &mut Entropy) -> Vec<Vec<u8>> {
        let key = self.ring.sealing_key(NOW).expect("a key");
        let zone_key = frame_key(&key, &self.set.zone_id);
        let mut sealer = Sealer::new(zone_key, &node("laptop"), &Pure, entropy);
        let mut encoder = Encoder::new(&self.set, self.information, &self.object).expect("its object");
        let (mut plans, mut symbol) = (Plans::default(), vec![0; usize::from(SYMBOL)]);
        let about = About {
            flags: Flags::default(),
            object_id: self.set.object_id,
            symbol_size: SYMBOL,
            epoch_id: 1,
        };
        let kept: Vec<u32> = (0..60).filter(|esi| esi % 3 != 0).collect();
        let seal = |esis: &[u32]| {
            let mut buffer = vec![0; MAX_FRAME_BYTES];
            let mut frame = sealer.frame(&about, &mut buffer).expect("room");
            for esi in esis {
                let id = PayloadId::new(0, *esi).expect("24 bits");
                let made = *encoder.symbol(id, &mut plans, &mut symbol).expect("a symbol").get();
                frame.push(made.id.as_u32(), made.source_symbols, made.bytes).expect("room");
            }
            frame.finish().expect("a frame").to_vec()
        };
        kept.chunks(FRAME_SYMBOLS as usize).map(seal).collect()
    }

    /// The opener for whoever `frame` says sent it, under the key that it names.
    fn opener(&self, frame: &[u8]) -> Opener {
        let header = FrameHeader::parse(frame, MAX_FRAME_BYTES).expect("a frame");
        let key = self.ring.receiving_key(header.zone_key_id, NOW).expect("a key");
        let sender = Sender { node: &node("laptop"), instance: header.sender_instance_id };
        Opener::new(frame_key(&key, &self.set.zone_id), sender, &Pure)
    }

    /// What the receiver makes of `frames`, and how many symbols it refused.
    fn receive(&self, frames: &[Vec<u8>]) -> (Option<IdentifiedObject>, usize) {
        let mut decoder = Decoder::new(self.set.clone(), self.information, LARGEST).expect("room");
        let mut refused = 0;
        for frame in frames {
            let mut frame = frame.clone();
            let opener = self.opener(&frame);
            let symbols = opener.symbols(&mut frame, MAX_FRAME_BYTES).expect("a frame");
            for symbol in symbols.of(&self.set).expect("of the encoding") {
                match symbol {
                    Ok(symbol) => drop(decoder.add(symbol)),
                    Err(error) => {
                        assert_eq!(error, SymbolError::DecryptFailed);
                        refused += 1;
                    }
                }
            }
        }
        decoder.solve().expect("solvable");
        (decoder.finish(self.ring.object_id_key().expect("a key")).ok(), refused)
    }
}

//= docs/spec/symbols.md#authentication
//= docs/spec/symbols.md#rebuilding
#[test]
fn an_object_crosses_in_sealed_frames_and_is_itself() {
    let transfer = Transfer::new();
    let (rebuilt, refused) = transfer.receive(&transfer.frames);
    assert_eq!(refused, 0);
    let rebuilt = rebuilt.expect("enough symbols");
    assert_eq!(rebuilt.id(), transfer.set.object_id);
    assert_eq!(rebuilt.bytes(), transfer.object.bytes());
}

//= docs/spec/fcps.md#opening
#[test]
fn an_altered_symbol_never_reaches_the_decoder() {
    let transfer = Transfer::new();
    let mut frames = transfer.frames.clone();
    for frame in &mut frames {
        let last = frame.len() - 1;
        frame[last] ^= 1;
    }
    let (rebuilt, refused) = transfer.receive(&frames);
    assert_eq!(refused, frames.len(), "one symbol of each frame");
    assert_eq!(rebuilt.expect("those that are left suffice").bytes(), transfer.object.bytes());
    for frame in &mut frames {
        // The first byte of each number: none of the symbols is what it says.
        let record = usize::from(SYMBOL) + 22;
        (114..frame.len()).step_by(record).for_each(|at| frame[at] ^= 0x80);
    }
    let (rebuilt, refused) = transfer.receive(&frames);
    assert_eq!((rebuilt, refused), (None, 40));
}

//= docs/spec/fcps.md#opening
#[test]
fn a_frame_gives_its_symbols_to_its_own_encoding_only() {
    let transfer = Transfer::new();
    let set = &transfer.set;
    for other in [
        EncodingSet { object_id: ObjectId::default(), ..set.clone() },
        EncodingSet { zone_id: ZoneId::new("z:work").expect("a zone"), ..set.clone() },
        EncodingSet { zone_key_id: KeyId::default(), ..set.clone() },
    ] {
        let mut frame = transfer.frames[0].clone();
        let opener = transfer.opener(&frame);
        let symbols = opener.symbols(&mut frame, MAX_FRAME_BYTES).expect("a frame");
        assert_eq!(symbols.of(&other).err(), Some(SymbolError::OtherEncoding));
    }
}
