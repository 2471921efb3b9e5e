//! One object as symbols of a block: encoding with a cached plan, and decoding with the object's identity, beside the codec
//! and the hash alone.

use std::hint::black_box;

use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::ids::{KeyId, ZoneId};
use fcp_proto_core::object::{Body, Header, Object, ObjectIdKey, RawChunk};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::symbol::{
    Authenticated, Decoder, Encoder, EncodingSet, IdentifiedObject, PayloadId, Plans, Symbol,
    TransmissionInformation,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};
use raptorq::{
    EncodingPacket, ObjectTransmissionInformation, SourceBlockDecoder, SourceBlockEncoder,
    SourceBlockEncodingPlan,
};

use super::Work;

/// An object, and how it is cut. It lives as long as the process: encoders and symbols borrow from it.
pub(crate) struct Cut {
    key: ObjectIdKey,
    set: EncodingSet,
    information: TransmissionInformation,
    codec: ObjectTransmissionInformation,
    object: IdentifiedObject,
}

impl Cut {
    /// An object of exactly `bytes` bytes, in symbols of `symbol` bytes that fit into one block.
    pub(crate) fn new(bytes: usize, symbol: u16) -> &'static Self {
        let zone = ZoneId::new("z:work").expect("a zone");
        let label = Label::trusted(Level::WORK);
        let header = Header::new(&RawChunk::SCHEMA, &zone, UnixTime::from_secs(1), label, None);
        let of = |size: usize| {
            let mut content = vec![0; size];
            Entropy::from_seed(&[1; 32].into()).fill(&mut content);
            let body = RawChunk { bytes: ByteString(content) };
            Object { header: header.clone(), body }.store().expect("within the limits")
        };
        let overhead = of(bytes / 2).to_bytes().expect("within the limits").len() - bytes / 2;
        let key = ObjectIdKey::from_bytes([9; 32].into());
        let object = IdentifiedObject::new(of(bytes - overhead), &key).expect("within the limits");
        assert_eq!(object.bytes().len(), bytes);
        let set = EncodingSet { object_id: object.id(), zone_id: zone, zone_key_id: KeyId::default() };
        let information = TransmissionInformation::new(bytes as u64, symbol).expect("an encoding");
        let codec = ObjectTransmissionInformation::deserialize(&information.to_bytes());
        Box::leak(Box::new(Self { key, set, information, codec, object }))
    }

    fn source_symbols(&self) -> u16 {
        self.information.block(0).expect("one block").source_symbols
    }

    /// The block prepared, so that any repair symbol can be had.
    pub(crate) fn encode(&'static self) -> Work {
        let mut plans = Plans::default();
        let mut prepared = move || {
            let mut encoder = Encoder::new(&self.set, self.information, &self.object).expect("its object");
            encoder.prepare(0, black_box(&mut plans)).expect("a block");
            drop(black_box(encoder));
        };
        prepared();
        let plan = SourceBlockEncodingPlan::generate(self.source_symbols());
        Work::beside(prepared, move || {
            let bytes = black_box(self.object.bytes());
            drop(black_box(SourceBlockEncoder::with_encoding_plan(0, &self.codec, bytes, &plan)));
        })
    }

    /// The object rebuilt and its identity proven, of the source symbols that were not lost and so many repair symbols
    /// that there are `more` than K.
    pub(crate) fn decode(&'static self, lost_percent: u64, more: u32) -> Work {
        let symbols = self.symbols(lost_percent, more);
        let packets: Vec<_> = symbols.iter().map(|symbol| symbol.get()).copied().collect();
        Work::beside(
            move || {
                let mut decoder =
                    Decoder::new(self.set.clone(), self.information, usize::MAX).expect("enough memory");
                for symbol in &symbols {
                    decoder.add(*symbol).expect("fits");
                }
                decoder.solve().expect("solvable");
                drop(black_box(decoder.finish(&self.key).expect("the object")));
            },
            move || {
                let length = self.object.bytes().len() as u64;
                let mut decoder = SourceBlockDecoder::new(0, &self.codec, length);
                let packet = |it: &Symbol<'_>| {
                    EncodingPacket::new(raptorq::PayloadId::new(0, it.id.esi()), it.bytes.to_vec())
                };
                let bytes = decoder.decode(packets.iter().map(packet)).expect("solvable");
                black_box(blake3::keyed_hash(&[9; 32], &bytes));
            },
        )
    }

    fn symbols(&'static self, lost_percent: u64, more: u32) -> Vec<Authenticated<Symbol<'static>>> {
        let mut plans = Plans::default();
        let mut encoder = Encoder::new(&self.set, self.information, &self.object).expect("its object");
        let mut entropy = Entropy::from_seed(&[2; 32].into());
        let source = u32::from(self.source_symbols());
        let mut ids: Vec<_> = (0..source).filter(|_| entropy.below(100) >= lost_percent).collect();
        let repair = source + more - ids.len() as u32;
        ids.extend(source..source + repair);
        let made = |esi| {
            let out = vec![0; self.information.symbol_size()].leak();
            encoder.symbol(PayloadId::new(0, esi).expect("24 bits"), &mut plans, out).expect("a symbol")
        };
        ids.into_iter().map(made).collect()
    }
}
