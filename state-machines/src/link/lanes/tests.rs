use alloc::vec;
use alloc::vec::Vec;

use fcp_proto_core::frame::content::{Content, Lane, MAX_PIECE_BYTES, Piece, Window};

use super::{Backlog, Lanes, Violation, room};

/// Everything that `from` would send now reaches `to`.
fn pump(from: &mut Lanes, to: &mut Lanes) -> usize {
    let mut count = 0;
    while let Some(content) = from.next_content() {
        match content {
            Content::Piece(piece) => to.piece(piece).unwrap(),
            Content::Window(window) => to.window(window).unwrap(),
            Content::RekeyRequest(_) | Content::RekeyAck(_) | Content::Close(_) => panic!("not of the lanes"),
        }
        count += 1;
    }
    count
}

//= docs/spec/fcpc.md#lanes
#[test]
fn a_reader_that_does_not_take_stops_the_sender_and_bounds_both() {
    let (mut from, mut to) = (Lanes::default(), Lanes::default());
    let message = vec![1; 64 * 1024];
    assert_eq!(from.send(Lane::Urgent, b""), Err(Backlog::Empty));
    let max = room(Lane::Urgent);
    assert_eq!(from.send(Lane::Urgent, &vec![0; max as usize + 1]), Err(Backlog::TooLong { max }));
    let mut accepted = 0;
    for _ in 0..20 {
        while from.send(Lane::Urgent, &message).is_ok() {
            accepted += 1;
        }
        pump(&mut from, &mut to);
        pump(&mut to, &mut from);
    }
    assert_eq!(accepted, 8, "four wait at the reader, and four at the sender");
    assert_eq!(to.receive(Lane::Urgent).as_deref(), Some(&message[..]));
    pump(&mut to, &mut from);
    pump(&mut from, &mut to);
    pump(&mut to, &mut from);
    assert_eq!(from.send(Lane::Urgent, &message), Ok(()), "what was taken makes room");
    assert_eq!(from.send(Lane::Urgent, &message), Err(Backlog::Full));
}

#[test]
fn the_lanes_take_turns_and_none_waits_for_ever() {
    let mut lanes = Lanes::default();
    for lane in [Lane::Control, Lane::Sync, Lane::Bulk] {
        lanes.send(lane, &vec![1; 40 * MAX_PIECE_BYTES]).unwrap();
    }
    let order: Vec<Lane> = (0..28)
        .map(|_| match lanes.next_content() {
            Some(Content::Piece(piece)) => piece.lane,
            other => panic!("{other:?}"),
        })
        .collect();
    let count = |lane| order.iter().filter(|sent| **sent == lane).count();
    assert_eq!([Lane::Control, Lane::Sync, Lane::Bulk].map(count), [16, 8, 4]);
}

//= docs/spec/fcpc.md#lanes
#[test]
fn a_gap_is_asked_for_once_and_pieces_that_come_again_count_once() {
    let (mut from, mut to) = (Lanes::default(), Lanes::default());
    let message: Vec<u8> = (0..3 * MAX_PIECE_BYTES).map(|byte| byte as u8).collect();
    from.send(Lane::Bulk, &message).unwrap();
    assert!(from.next_content().is_some(), "lost");
    pump(&mut from, &mut to);
    let asks = Window { lane: Lane::Bulk, received: 0, limit: room(Lane::Bulk), again: true };
    assert_eq!(to.next_content(), Some(Content::Window(asks)));
    assert_eq!(to.next_content(), None);
    from.window(asks).unwrap();
    let half = Piece { lane: Lane::Bulk, position: 0, last: false, bytes: &message[..100] };
    to.piece(half).unwrap();
    pump(&mut from, &mut to);
    assert_eq!(to.receive(Lane::Bulk), Some(message.clone()));
    to.piece(half).unwrap();
    assert_eq!(to.receive(Lane::Bulk), None);
}

//= docs/spec/fcpc.md#lanes
#[test]
fn with_another_carrier_a_lane_waits_until_its_reader_says_where_to_go_on() {
    let (mut from, mut to) = (Lanes::default(), Lanes::default());
    from.send(Lane::Sync, b"message").unwrap();
    assert!(from.next_content().is_some(), "lost with the carrier");
    from.carrier_changed();
    to.carrier_changed();
    while let Some(content) = from.next_content() {
        assert!(matches!(content, Content::Window(_)), "{content:?}");
    }
    pump(&mut to, &mut from);
    pump(&mut from, &mut to);
    assert_eq!(to.receive(Lane::Sync).as_deref(), Some(&b"message"[..]));
}

//= docs/spec/fcpc.md#lanes
#[test]
fn a_window_never_moves_back_nor_past_what_was_sent() {
    let mut lanes = Lanes::default();
    lanes.send(Lane::Sync, b"word").unwrap();
    assert!(lanes.next_content().is_some());
    let limit = room(Lane::Sync);
    let says = |received, limit| Window { lane: Lane::Sync, received, limit, again: false };
    assert_eq!(lanes.window(says(5, limit)), Err(Violation::WindowMoved));
    assert_eq!(lanes.window(says(4, limit)), Ok(()));
    assert_eq!(lanes.window(says(3, limit)), Err(Violation::WindowMoved));
    assert_eq!(lanes.window(says(4, limit - 1)), Err(Violation::WindowMoved));
}
