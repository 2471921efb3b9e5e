//! Frames, datagrams and the messages of a handshake.

use fcp_proto_core::crypto::provider::{Pure, TAG_BYTES};
use fcp_proto_core::frame::content::Content;
use fcp_proto_core::frame::control::{self, ControlHeader};
use fcp_proto_core::frame::datagram::{Datagram, PREFIX_BYTES};
use fcp_proto_core::frame::header::{HEADER_BYTES, Header, RECORD_OVERHEAD};
use fcp_proto_core::frame::opening::Opening;
use fcp_proto_core::frame::signed::{self, SignedFrame};
use fcp_proto_core::frame::symbols::{Opener, Sender, ZoneKeyRef};
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::limits::{MAX_CONTROL_BYTES, MAX_FRAME_BYTES};
use fcp_proto_core::object::ZoneKeyAlgorithm;
use fcp_proto_core::session::message::{Ack, Hello, HelloRetry, Message};
use fcp_proto_core::session::rekey::{RekeyAck, RekeyRequest};
use fcp_proto_core::sketch::{CELL_BYTES, Cell, Decoder, Encoder, Filter, ItemKey};

/// A frame that is taken is as long as its header says; its symbols are as many as it says.
pub(crate) fn fcps(input: &[u8]) {
    let Ok(header) = Header::parse(input, MAX_FRAME_BYTES) else { return };
    let (count, record) = (header.symbol_count as usize, usize::from(header.symbol_size) + RECORD_OVERHEAD);
    assert_eq!(input.len(), HEADER_BYTES + count * record);
    let node = NodeId::new("fuzz").expect("a node");
    let zone_key = ZoneKeyRef {
        secret: &[7; 32],
        id: header.zone_key_id,
        zone_id_hash: header.zone_id_hash,
        algorithm: ZoneKeyAlgorithm::ChaCha20Poly1305,
    };
    let sender = Sender { node: &node, instance: header.sender_instance_id };
    let mut frame = input.to_vec();
    if let Ok(symbols) = Opener::new(zone_key, sender, &Pure).symbols(&mut frame, MAX_FRAME_BYTES) {
        assert_eq!(symbols.count(), count);
    }
}

/// What is taken apart is all of the input.
pub(crate) fn datagram(input: &[u8]) {
    match Datagram::parse(input, MAX_FRAME_BYTES) {
        Ok(parts) => {
            let (id, seq) = (parts.session_id.as_bytes(), parts.seq.to_le_bytes());
            assert_eq!([&id[..], &seq, &parts.mac, parts.frame].concat(), input);
        }
        Err(_) => assert!(input.len() < PREFIX_BYTES || input.len() > MAX_FRAME_BYTES),
    }
}

/// A header that is taken promises no more than its reader takes.
pub(crate) fn fcpc(input: &[u8]) {
    if let Some(fixed) = input.first_chunk::<{ control::HEADER_BYTES }>()
        && let Ok(header) = ControlHeader::parse(fixed, MAX_CONTROL_BYTES)
    {
        assert!(header.rest() <= MAX_CONTROL_BYTES + TAG_BYTES);
        assert_eq!(fixed[22..30], header.seq.to_le_bytes());
    }
}

/// What is taken apart has a source, which is where it says.
pub(crate) fn signed_frame(input: &[u8]) {
    if let Ok(frame) = SignedFrame::parse(input, MAX_FRAME_BYTES) {
        let source = frame.source.as_str().as_bytes();
        assert_eq!(&input[2..2 + source.len()], source);
        assert!(input.len() >= signed::OVERHEAD + source.len());
    }
}

/// What is accepted as a message is encoded to the same bytes.
pub(crate) fn handshake(input: &[u8]) {
    let read = [
        Hello::decode(input).and_then(|message| message.encode()),
        HelloRetry::decode(input).and_then(|message| message.encode()),
        Ack::decode(input).and_then(|message| message.encode()),
        RekeyRequest::decode(input).and_then(|message| message.encode()),
        RekeyAck::decode(input).and_then(|message| message.encode()),
    ];
    for again in read.into_iter().flatten() {
        assert_eq!(again, input);
    }
}

/// What is accepted as the content of a control frame is emitted as the same bytes.
pub(crate) fn content(input: &[u8]) {
    if let Ok(content) = Content::parse(input) {
        let mut again = Vec::new();
        content.emit(&mut again);
        assert_eq!(again, input);
    }
}

/// What is accepted as a message of a handshake under way is encoded to the same bytes.
pub(crate) fn opening(input: &[u8]) {
    if let Ok(opening) = Opening::decode(input) {
        assert_eq!(opening.encode().as_deref(), Ok(input));
    }
}

/// Cells that anybody made lead to an end: no more differences than cells.
pub(crate) fn sketch(input: &[u8]) {
    let (count, rest) = input.split_first().unwrap_or((&0, &[]));
    let here = Encoder::new((0..u64::from(*count)).map(ItemKey));
    let mut decoder = Decoder::new(here);
    for chunk in rest.chunks(CELL_BYTES * 8) {
        let cells: Vec<_> = chunk.as_chunks::<CELL_BYTES>().0.iter().map(Cell::from_bytes).collect();
        if decoder.take(&cells).is_err() {
            return;
        }
    }
    if let Some(differences) = decoder.differences() {
        assert!(differences.here.len() + differences.there.len() <= decoder.taken());
    }
}

/// What is taken is written as the same bytes, and answers every question.
pub(crate) fn filter(input: &[u8]) {
    if let Ok(filter) = Filter::from_bytes(input) {
        assert_eq!(filter.to_bytes(), input);
        assert!(filter.size() < input.len());
        (0..64).for_each(|key| _ = filter.contains(ItemKey(u64::MAX / 64 * key)));
    }
}
