use alloc::vec;
use alloc::vec::Vec;

use fcp_proto_core::frame::content::{Content, Lane, MAX_PIECE_BYTES, Piece, Window};
use fcp_proto_core::random::Entropy;
use zeroize::Zeroizing;

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

//= docs/spec/fcpc.md#lanes
#[test]
fn a_piece_beyond_the_limit_is_a_violation_and_no_part_of_it_is_taken() {
    let mut lanes = Lanes::default();
    let end = room(Lane::Urgent);
    let piece = |position| Piece { lane: Lane::Urgent, position, last: true, bytes: b"ab" };
    assert_eq!(lanes.piece(piece(end - 1)), Err(Violation::BeyondLimit));
    assert_eq!(lanes.piece(piece(u64::MAX - 1)), Err(Violation::BeyondLimit));
    assert_eq!(lanes.next_content(), None, "nor is it a gap");
    assert_eq!(lanes.piece(piece(0)), Ok(()));
    assert_eq!(lanes.piece(piece(end)), Err(Violation::BeyondLimit), "room is told before it is there");
}

/// Whatever comes, overlaps or is missing, and however much of it is taken.
//= docs/spec/fcpc.md#lanes
#[test]
fn what_a_receiver_says_never_falls_and_what_it_takes_is_what_was_sent() {
    let mut random = Entropy::from_seed(&Zeroizing::new([1; 32]));
    let (mut to, mut said) = (Lanes::default(), (0, room(Lane::Urgent)));
    let all: Vec<u8> = (0..800_000_u32).map(|at| (at / 251) as u8).collect();
    let (mut taken, mut reached) = (Vec::new(), 0_u64);
    while reached < 700_000 {
        let around = (reached + 200).saturating_sub(random.below(600));
        let (position, length) = (around.min(said.1 - 1), 1 + random.below(1_000));
        let end = (position + length).min(said.1).min(all.len() as u64);
        let bytes = &all[position as usize..end as usize];
        to.piece(Piece { lane: Lane::Urgent, position, last: true, bytes }).unwrap();
        if position <= reached {
            reached = reached.max(end);
        }
        if random.below(2) == 0 {
            taken.extend(to.receive(Lane::Urgent).unwrap_or_default());
        }
        let says = to.standing();
        assert!(says.received >= said.0 && says.limit >= said.1, "{says:?} after {said:?}");
        assert_eq!(says.received, reached);
        said = (says.received, says.limit);
    }
    assert!(taken.len() > 400_000 && all.starts_with(&taken));
}

//= docs/spec/fcpc.md#lanes
#[test]
fn windows_go_before_the_urgent_lane_and_that_before_all_others() {
    let mut lanes = Lanes::default();
    lanes.send(Lane::Bulk, b"bulk").unwrap();
    lanes.send(Lane::Control, b"control").unwrap();
    lanes.send(Lane::Urgent, b"urgent").unwrap();
    lanes.carrier_changed();
    for lane in Lane::ALL {
        let Some(Content::Window(window)) = lanes.next_content() else { panic!("a window of {lane:?}") };
        assert_eq!((window.lane, window.again), (lane, true));
        lanes.window(Window { lane, received: 0, limit: room(lane), again: true }).unwrap();
    }
    for (lane, bytes) in
        [(Lane::Urgent, &b"urgent"[..]), (Lane::Control, &b"control"[..]), (Lane::Bulk, &b"bulk"[..])]
    {
        assert_eq!(
            lanes.next_content(),
            Some(Content::Piece(Piece { lane, position: 0, last: true, bytes }))
        );
    }
}

//= docs/spec/fcpc.md#lanes
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
