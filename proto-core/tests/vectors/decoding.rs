//! Objects rebuilt from the symbols of frames.

use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::frame::symbols::{Opener, Sender};
use fcp_proto_core::object::ObjectIdKey;
use fcp_proto_core::symbol::{DecodeError, Decoder, IdentifiedObject, TransmissionInformation};
use zeroize::Zeroizing;

use super::mesh::{encoding_set, zone_key};
use super::{Case, Check};

pub(crate) const FILES: [(&str, Check); 2] =
    [("symbols/decoding.json", decoding), ("symbols/decoding_reject.json", decoding_reject)];

/// More than any of these decodes needs.
const BUDGET: usize = 1 << 22;

fn decoding(case: &Case<'_>) {
    let object = rebuild(case).unwrap_or_else(|error| panic!("{}: {error}", case.place));
    case.same(object.bytes(), &case.bytes("object"));
}

//= docs/spec/symbols.md#decoding
//= docs/spec/symbols.md#rebuilding
fn decoding_reject(case: &Case<'_>) {
    case.same(rebuild(case).map(drop).map_err(|error| name(&error)), Err(case.text("error").into()));
}

/// The error's name; its numbers are not compared.
fn name(error: &impl std::fmt::Debug) -> String {
    format!("{error:?}").split([' ', '(']).take(1).collect()
}

fn texts<'a>(case: &Case<'a>, name: &str) -> Vec<&'a str> {
    let items = case.fields.get(name).and_then(Json::as_array).expect("a list").iter();
    items.map(|item| item.as_str().expect("a text")).collect()
}

/// The object, after each of the case's symbols was taken or refused as the case says.
fn rebuild(case: &Case<'_>) -> Result<IdentifiedObject, DecodeError> {
    let (secret, node) = (case.array("zone_key"), case.node("node"));
    let sender = Sender { node: &node, instance: case.number("instance") };
    let opener = Opener::new(zone_key(case, &secret), sender, &Pure);
    let set = encoding_set(case);
    let information = TransmissionInformation::from_bytes(&case.array("information")).expect("an encoding");
    let mut decoder = Decoder::new(set.clone(), information, BUDGET)?;
    let mut answers = Vec::new();
    for frame in texts(case, "frames") {
        let mut frame = hex::decode(frame).expect("hex");
        let length = frame.len();
        for symbol in opener.symbols(&mut frame, length).expect("a frame").of(&set).expect("of the set") {
            answers.push(match symbol {
                Ok(symbol) => decoder.add(symbol).map_or_else(|error| name(&error), |_| "taken".into()),
                Err(error) => name(&error),
            });
            let progress = decoder.progress();
            if progress.needed == 0 && !progress.complete {
                decoder.solve()?;
            }
        }
    }
    case.same(answers.iter().map(String::as_str).collect(), texts(case, "answers"));
    decoder.finish(&ObjectIdKey::from_bytes(Zeroizing::new(case.array("object_id_key"))))
}
