//! The vectors of what control frames carry, of how handshakes travel, and of sketches.

use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::frame::content::{CloseReason, Content, Lane, Piece, Window};
use fcp_proto_core::frame::opening::Opening;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::sketch::{CELL_BYTES, Cell, Encoder, Estimator, Filter, Salt};

use super::{Case, Check};

pub(crate) const FILES: [(&str, Check); 8] = [
    ("frames/content.json", content),
    ("frames/content_reject.json", content_reject),
    ("frames/opening.json", opening),
    ("frames/opening_reject.json", opening_reject),
    ("sketches/cells.json", sketch),
    ("sketches/estimators.json", estimator),
    ("sketches/filters.json", filter),
    ("sketches/filters_reject.json", filter_reject),
];

impl Case<'_> {
    fn byte(&self, name: &str) -> u8 {
        self.array::<1>(name)[0]
    }

    fn lane(&self) -> Lane {
        let byte = self.byte("lane");
        Lane::ALL.into_iter().find(|lane| lane.byte() == byte).expect("a lane")
    }

    fn reason(&self) -> CloseReason {
        let byte = self.byte("reason");
        CloseReason::ALL.into_iter().find(|reason| reason.byte() == byte).expect("a reason")
    }

    fn place_in_lane(&self, name: &str) -> u64 {
        u64::from_le_bytes(self.array(name))
    }
}

fn content(case: &Case<'_>) {
    let bytes = case.bytes("content");
    let parsed = Content::parse(&bytes).expect("content");
    let mut emitted = Vec::new();
    parsed.emit(&mut emitted);
    case.same(&emitted, &bytes);
    let body = |name| case.bytes(name);
    match case.byte("kind") {
        1 => {
            let (lane, last) = (case.lane(), case.byte("last") == 1);
            let piece = Piece { lane, last, position: case.place_in_lane("position"), bytes: &body("bytes") };
            case.same(parsed, Content::Piece(piece));
        }
        2 => {
            let (received, limit) = (case.place_in_lane("received"), case.place_in_lane("limit"));
            let window = Window { lane: case.lane(), again: case.byte("again") == 1, received, limit };
            case.same(parsed, Content::Window(window));
        }
        3 => case.same(parsed, Content::RekeyRequest(&body("message"))),
        4 => case.same(parsed, Content::RekeyAck(&body("message"))),
        kind => {
            case.same(kind, 5);
            case.same(parsed, Content::Close(case.reason()));
        }
    }
}

//= docs/spec/fcpc.md#content
fn content_reject(case: &Case<'_>) {
    case.refuses(Content::parse(&case.bytes("content")));
}

fn opening(case: &Case<'_>) {
    let bytes = case.bytes("opening");
    let opening = Opening::decode(&bytes).expect("a message");
    case.same(opening.encode(), Ok(bytes));
    let kind = match opening {
        Opening::Hello(_) => 1,
        Opening::Retry(_) => 2,
        Opening::Ack(_) => 3,
    };
    case.same(kind, case.byte("kind"));
}

//= docs/spec/mesh-sessions.md#carriage
fn opening_reject(case: &Case<'_>) {
    case.refuses(Opening::decode(&case.bytes("opening")));
}

/// The bytes of the items of a list.
fn list(case: &Case<'_>, name: &str) -> Vec<Vec<u8>> {
    let items = case.fields.get(name).and_then(Json::as_array).expect("a list").iter();
    items.map(|item| hex::decode(item.as_str().expect("a text")).expect("hexadecimal")).collect()
}

fn names(case: &Case<'_>, name: &str) -> Vec<ObjectId> {
    let bytes = list(case, name).into_iter().map(|it| it.try_into().expect("32 bytes"));
    bytes.map(ObjectId::from_bytes).collect()
}

fn sketch(case: &Case<'_>) {
    let salt = Salt::from_bytes(case.array("salt"));
    let bytes = case.bytes("cells");
    let keys = names(case, "names");
    let made = Encoder::new(keys.iter().map(|name| salt.key(name))).next_cells(bytes.len() / CELL_BYTES);
    case.same(made.iter().flat_map(|cell| cell.to_bytes()).collect::<Vec<_>>(), bytes.clone());
    let read = bytes.chunks(CELL_BYTES).map(|cell| Cell::from_bytes(cell.try_into().expect("a cell")));
    case.same(read.collect::<Vec<_>>(), made);
}

fn estimator(case: &Case<'_>) {
    let salt = Salt::from_bytes(case.array("salt"));
    let [one, other] = ["one", "other"].map(|which| {
        let mut estimator = Estimator::default();
        names(case, which).iter().for_each(|name| estimator.add(salt.key(name)));
        estimator
    });
    case.same(one.to_bytes(), case.array("estimator"));
    case.same(Estimator::from_bytes(&case.array("other_estimator")), other.clone());
    case.same(
        one.difference(&other),
        case.fields.get("difference").and_then(Json::as_u64).expect("a number"),
    );
}

fn filter(case: &Case<'_>) {
    let salt = Salt::from_bytes(case.array("salt"));
    let key = |name: Vec<u8>| {
        let (object, esi) = name.split_first_chunk().expect("32 bytes");
        let object = ObjectId::from_bytes(*object);
        let esi = esi.try_into().map(u32::from_le_bytes);
        esi.map_or_else(|_| salt.key(&object), |esi| salt.symbol_key(&object, esi))
    };
    let keys: Vec<_> = list(case, "names").into_iter().map(key).collect();
    let bytes = case.bytes("filter");
    let seed = u64::from_le_bytes(*bytes.first_chunk().expect("a seed"));
    let filter = Filter::seeded(&keys, seed).expect("a good seed");
    case.same(filter.to_bytes(), bytes.clone());
    case.same(Filter::from_bytes(&bytes), Ok(filter.clone()));
    assert!(keys.iter().all(|key| filter.contains(*key)));
}

//= docs/spec/sketches.md#filters
fn filter_reject(case: &Case<'_>) {
    case.refuses(Filter::from_bytes(&case.bytes("filter")));
}
