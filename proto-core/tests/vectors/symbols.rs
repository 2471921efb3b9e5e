//! Vectors of `vectors/symbols`.

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::encoding::cbor::{self, FromCbor, ShapeError};
use fcp_proto_core::ids::{KeyId, ZoneId};
use fcp_proto_core::object::{
    Body, DecodeStatus, Header, Object, ObjectIdKey, SymbolAck, SymbolMessageError, SymbolRequest,
    Transcribed, TranscriptSigned,
};
use fcp_proto_core::symbol::{
    Encoder, EncodingSet, IdentifiedObject, PayloadId, Plans, TransmissionInformation,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};
use zeroize::Zeroizing;

use crate::Case;

fn number(case: &Case<'_>, name: &str) -> u64 {
    case.text(name).parse().unwrap_or_else(|_| panic!("{}: {name} is no number", case.place))
}

pub(crate) fn encoding(case: &Case<'_>) {
    let key = ObjectIdKey::from_bytes([0; 32].into());
    let object = IdentifiedObject::from_bytes(case.bytes("object"), &key).expect("an object");
    let zone_id = object.header().zone_id.clone();
    let set = EncodingSet { object_id: object.id(), zone_id, zone_key_id: KeyId::default() };
    let symbol_size = u16::try_from(number(case, "symbol_size")).expect("16 bits");
    let information =
        TransmissionInformation::new(object.bytes().len() as u64, symbol_size).expect("an encoding");
    assert_eq!(information.source_symbols().to_string(), case.text("source_symbols"), "{}", case.place);
    let mut encoder = Encoder::new(&set, information, &object).expect("its object");
    let mut plans = Plans::default();
    for expected in case.text("symbols").split(' ') {
        let (esi, _) = expected.split_once(':').expect("an ESI and a symbol");
        let id = PayloadId::new(0, esi.parse().expect("a number")).expect("24 bits");
        let mut out = vec![0; information.symbol_size()];
        encoder.symbol(id, &mut plans, &mut out).expect("a symbol");
        assert_eq!(format!("{esi}:{}", hex::encode(out)), expected, "{}", case.place);
    }
}

pub(crate) fn transmission(case: &Case<'_>) {
    let symbol_size = u16::try_from(number(case, "symbol_size")).expect("16 bits");
    let information = TransmissionInformation::new(number(case, "length"), symbol_size).expect("an encoding");
    assert_eq!(information.to_bytes(), case.array("bytes"), "{}", case.place);
    assert_eq!(TransmissionInformation::from_bytes(&case.array("bytes")), Ok(information), "{}", case.place);
    let blocks: Vec<_> = information.blocks().map(|block| block.source_symbols.to_string()).collect();
    let text = match blocks.as_slice() {
        [first, .., last] if blocks.len() > 8 => {
            format!("{} blocks, first {first}, last {last}", blocks.len())
        }
        few => few.join(","),
    };
    assert_eq!(text, case.text("blocks"), "{}", case.place);
}

pub(crate) fn transmission_reject(case: &Case<'_>) {
    let error =
        TransmissionInformation::from_bytes(&case.array("bytes")).map_err(|error| format!("{error:?}"));
    let error = error.map_err(|text| text.split(' ').next().unwrap_or_default().to_owned());
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}

pub(crate) fn message(case: &Case<'_>) {
    match case.text("kind") {
        "request" => {
            let object = written::<SymbolRequest>(case);
            let allowed = object.admit(Some(&key(case).verifying_key())).expect("within the limits");
            assert_eq!(allowed.symbols().to_string(), case.text("allowed"), "{}", case.place);
        }
        "status" => {
            let object = written::<DecodeStatus>(case);
            assert!(object.verify(&key(case).verifying_key()).is_ok(), "{}", case.place);
        }
        _ => {
            let object = written::<SymbolAck>(case);
            assert!(object.verify(&key(case).verifying_key()).is_ok(), "{}", case.place);
        }
    }
}

fn key(case: &Case<'_>) -> SigningKey<Node> {
    SigningKey::from_seed(&Zeroizing::new(case.array("seed")))
}

/// The case's message, which is written and signed as the case says.
fn written<T: Transcribed + Clone + PartialEq + std::fmt::Debug>(
    case: &Case<'_>,
) -> Object<TranscriptSigned<T>> {
    let object = read::<T>(case).expect("a message");
    assert_eq!(object.body.fields.transcript(), case.bytes("transcript"), "{}", case.place);
    let again = TranscriptSigned::sign(object.body.fields.clone(), &key(case));
    assert_eq!(again, object.body, "{}", case.place);
    assert_eq!(cbor::encode(&cbor::ToCbor::to_cbor(&again)), Ok(case.bytes("body")), "{}", case.place);
    object
}

/// The case's message under a header of its zone, or of the one that the case names.
fn read<T: Transcribed>(case: &Case<'_>) -> Result<Object<TranscriptSigned<T>>, ShapeError> {
    let zone = ZoneId::new(case.optional("header_zone").unwrap_or("z:work")).expect("a zone");
    let schema = <TranscriptSigned<T> as Body>::SCHEMA;
    let header = Header::new(&schema, &zone, UnixTime::from_secs(1), Label::trusted(Level::WORK), None);
    let body = TranscriptSigned::from_cbor(cbor::decode(&case.bytes("body"))?)?;
    Ok(Object { header, body })
}

//= docs/spec/symbols.md#feedback
pub(crate) fn message_reject(case: &Case<'_>) {
    let public = VerifyingKey::from_bytes(&case.array("public")).expect("a key");
    let requester = if case.optional("requester").is_some() { None } else { Some(&public) };
    let told = |result: Result<(), SymbolMessageError>| result.map_err(|error| format!("{error:?}"));
    let judged = match case.text("kind") {
        "request" => read::<SymbolRequest>(case).map(|it| told(it.admit(requester).map(|_| ()))),
        "status" => read::<DecodeStatus>(case).map(|it| told(it.verify(&public).map(|_| ()))),
        _ => read::<SymbolAck>(case).map(|it| told(it.verify(&public).map(|_| ()))),
    };
    let error = judged.map_err(|error| format!("{error:?}")).and_then(|judged| judged);
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}
