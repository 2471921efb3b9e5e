//! Peers that are not honest: each is refused, bounded and named, and holds up nobody else.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use fcp_proto_core::encoding::cbor::{Bounded, ByteString};
use fcp_proto_core::frame::content::Lane;
use fcp_proto_core::object::gossip::{Exchange, Finding, ObjectNames, Question, Sketch, SymbolNames};
use fcp_proto_core::object::{
    GossipAnswer, GossipMessage, GossipRequest, GossipSummary, Object, ReconcileAnswer, ReconcileRequest,
    RevocationWitness, Signed, SignedBody,
};
use fcp_proto_core::sketch::{Encoder, Estimator, ItemKey, Salt};
use fcp_proto_core::time::UnixTime;

use super::mesh::{Mesh, Packet, name, object, zone};
use crate::link::delivery::messages::signed;
use crate::link::gossip::messages::{Addressed, read};
use crate::link::gossip::{Event, Fault, MAX_EXCHANGES, MAX_MESSAGE_BYTES};

/// The same with a set that is said to be so large that it is worth a sketch.
fn large(from: usize) -> GossipSummary {
    GossipSummary { total: 2_000, ..summary(from, 400, 1) }
}

/// The bytes of a message that node `by` signs at `at`.
fn signed_by<T: Addressed + SignedBody>(mesh: &Mesh, by: usize, fields: T, at: UnixTime) -> Vec<u8> {
    let object: Object<Signed<T>> = signed(fields, &zone(0), &mesh.nodes[by].local.key, at).unwrap();
    T::message(object).store().and_then(|stored| stored.to_bytes()).unwrap()
}

fn bring(mesh: &mut Mesh, from: usize, to: usize, bytes: Vec<u8>) {
    mesh.deliver(&Packet { from, to, lane: Lane::Sync, bytes });
}

fn say<T: Addressed + SignedBody>(mesh: &mut Mesh, from: usize, to: usize, fields: T) {
    let bytes = signed_by(mesh, from, fields, mesh.now().unix);
    bring(mesh, from, to, bytes);
}

/// What a node says that has `count` objects of which nobody knows anything.
fn summary(from: usize, count: u64, salt: u8) -> GossipSummary {
    let keys: Vec<_> = (0..count).map(|key| ItemKey(key * 0x9e37_79b9 + u64::from(salt))).collect();
    let mut estimator = Estimator::default();
    keys.iter().for_each(|key| estimator.add(*key));
    let cells: Vec<u8> = Encoder::new(keys).next_cells(64).iter().flat_map(|it| it.to_bytes()).collect();
    GossipSummary {
        from: name(from),
        epoch: 1,
        state_version: 1,
        total: count,
        object_filter_digest: [salt; 32],
        object_filter: Bounded::default(),
        symbol_filter_digest: [0; 32],
        symbol_filter: Bounded::default(),
        object_count: 0,
        symbol_count: 0,
        salt: [salt; 32],
        estimator: Box::new(estimator.to_bytes()),
        sketch: Sketch::new(ByteString(cells)).unwrap(),
    }
}

fn last_fault(mesh: &Mesh, node: usize) -> Option<Fault> {
    mesh.nodes[node].faults.last().map(|(_, fault)| *fault)
}

fn views(mesh: &Mesh, node: usize) -> usize {
    mesh.nodes[node].gossip.size().0
}

//= docs/spec/gossip.md#messages
#[test]
fn a_message_that_another_key_signed_than_the_peers_is_refused() {
    let mut mesh = Mesh::new(3, 1);
    let now = mesh.now().unix;
    let honest = signed_by(&mesh, 1, summary(1, 3, 1), now);
    bring(&mut mesh, 2, 0, honest.clone());
    assert_eq!((last_fault(&mesh, 0), views(&mesh, 0)), (Some(Fault::NotItsOwn), 0), "passed on by another");
    let renamed = signed_by(&mesh, 2, summary(1, 3, 1), now);
    bring(&mut mesh, 2, 0, renamed);
    assert_eq!((mesh.nodes[0].faults.len(), views(&mesh, 0)), (2, 0), "in another's name");
    let forged = signed_by(&mesh, 2, summary(1, 3, 1), now);
    bring(&mut mesh, 1, 0, forged);
    assert_eq!((mesh.nodes[0].faults.len(), views(&mesh, 0)), (3, 0), "signed by another");
    bring(&mut mesh, 1, 0, honest);
    assert_eq!((mesh.nodes[0].faults.len(), views(&mesh, 0)), (3, 1));
}

fn exchange(from: usize, to: usize) -> Exchange {
    Exchange { request_id: [7; 16], from: name(from), to: name(to) }
}

//= docs/spec/gossip.md#messages
#[test]
fn a_message_for_somebody_else_is_refused() {
    let mut mesh = Mesh::new(3, 1);
    say(
        &mut mesh,
        1,
        0,
        ReconcileRequest { exchange: exchange(1, 2), question: Question::Page { after: None } },
    );
    assert_eq!(last_fault(&mesh, 0), Some(Fault::NotItsOwn));
}

/// Every kind of message of somebody who is no member of the zone, and nothing is told to it.
//= docs/spec/gossip.md#messages
#[test]
fn who_is_no_member_neither_says_nor_hears_anything() {
    let mut mesh = Mesh::new(3, 1);
    mesh.make(0, 0, 0..50);
    mesh.nodes[0].sets.0.get_mut(&zone(0)).unwrap().members.remove(&name(1));
    say(&mut mesh, 1, 0, summary(1, 3, 1));
    say(
        &mut mesh,
        1,
        0,
        ReconcileRequest { exchange: exchange(1, 0), question: Question::Page { after: None } },
    );
    say(&mut mesh, 1, 0, ReconcileAnswer { exchange: exchange(1, 0), finding: Finding::Gone {} });
    let objects = ObjectNames::new([object(1)].into()).unwrap();
    let symbols = SymbolNames::default();
    say(
        &mut mesh,
        1,
        0,
        GossipRequest { exchange: exchange(1, 0), objects: objects.clone(), symbols: symbols.clone() },
    );
    say(&mut mesh, 1, 0, GossipAnswer { exchange: exchange(1, 0), objects, symbols });
    let revocation = *fcp_proto_core::crypto::hash::digest(b"x").as_bytes();
    let revocation = fcp_proto_core::ids::Digest::from_bytes(revocation);
    say(&mut mesh, 1, 0, RevocationWitness { from: name(1), revocation, head_seq: 1 });
    assert_eq!(mesh.nodes[0].faults, vec![(name(1), Fault::Outsider); 6]);
    mesh.drive(0);
    let notice = super::revoke::revocation(&mesh, 3);
    mesh.act(0, |gossip, context| {
        gossip
            .push(&zone(0), (&notice, 1), crate::link::gossip::Urgency::Emergency, context)
            .map(drop)
            .unwrap();
    });
    mesh.drive(0);
    assert!(mesh.wire.iter().any(|packet| packet.to == 2), "a member is told");
    assert!(mesh.wire.iter().all(|packet| packet.to != 1), "somebody else is not");
}

//= docs/spec/gossip.md#messages
#[test]
fn a_message_is_good_for_five_minutes() {
    let mut mesh = Mesh::new(2, 1);
    mesh.millis = 1_000_000;
    let now = mesh.now().unix;
    let mut judge = |at: UnixTime| {
        let bytes = signed_by(&mesh, 1, summary(1, 3, 1), at);
        bring(&mut mesh, 1, 0, bytes);
        core::mem::take(&mut mesh.nodes[0].faults).pop().map(|(_, fault)| fault)
    };
    assert_eq!((judge(now.saturating_sub(300)), judge(now.saturating_add(30))), (None, None));
    assert_eq!(judge(now.saturating_sub(301)), Some(Fault::Stale));
    assert_eq!(judge(now.saturating_add(31)), Some(Fault::Stale));
}

//= docs/spec/gossip.md#messages
#[test]
fn what_is_no_message_or_too_long_is_refused_unread() {
    let mut mesh = Mesh::new(2, 1);
    bring(&mut mesh, 1, 0, vec![0xff; 30]);
    assert_eq!(last_fault(&mesh, 0), Some(Fault::Malformed));
    bring(&mut mesh, 1, 0, vec![0; MAX_MESSAGE_BYTES + 1]);
    assert_eq!(last_fault(&mesh, 0), Some(Fault::Oversized));
    for _ in 0..200 {
        bring(&mut mesh, 1, 0, vec![0xff; 30]);
    }
    assert!(mesh.nodes[0].faults.len() <= 100, "after a hundred in a minute nobody listens");
}

/// Node 1 answers every question of node 0 by `lie`, until nothing is said any more for `seconds`.
fn lied_to(mesh: &mut Mesh, seconds: u64, mut lie: impl FnMut(&Question) -> Option<Finding>) -> usize {
    let mut questions = 0;
    for _ in 0..seconds * 4 {
        mesh.drive(0);
        while let Some(packet) = mesh.wire.pop_front() {
            let Ok(GossipMessage::ReconcileRequest(request)) = read(&packet.bytes) else { continue };
            let request = request.body.fields;
            questions += 1;
            if let Some(finding) = lie(&request.question) {
                let exchange =
                    Exchange { request_id: request.exchange.request_id, from: name(1), to: name(0) };
                say(mesh, 1, 0, ReconcileAnswer { exchange, finding });
                mesh.drive(0);
            }
        }
        mesh.millis += 250;
    }
    questions
}

fn cells(after: u32, bytes: Vec<u8>) -> Option<Finding> {
    Some(Finding::Cells { after, cells: Bounded::new(ByteString(bytes)).unwrap() })
}

//= docs/spec/gossip.md#reading
#[test]
fn cells_without_end_end() {
    let mut mesh = Mesh::new(2, 1);
    mesh.make(0, 0, 0..500);
    say(&mut mesh, 1, 0, large(1));
    let mut last = 0;
    // Counts of two never hold a single key.
    lied_to(&mut mesh, 30, |question| {
        let Question::Cells { after, count, .. } = question else { return None };
        let count = (*count).min(10_666);
        last = last.max(after + count);
        cells(*after, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 77].repeat(count as usize))
    });
    assert_eq!(mesh.nodes[0].faults.first(), Some(&(name(1), Fault::Endless)));
    assert!(mesh.nodes[0].faults.len() <= 7, "seven pauses that double fit into half a minute");
    assert!((5_256..=6_200).contains(&last), "{last} cells for 2,500 names");
}

//= docs/spec/gossip.md#reading
#[test]
fn cells_that_contradict_each_other_are_named() {
    let mut mesh = Mesh::new(2, 1);
    mesh.make(0, 0, 0..500);
    say(&mut mesh, 1, 0, large(1));
    // Two different single keys in every cell cannot both be right.
    let other: Vec<u8> = Encoder::new([ItemKey(5)]).next_cells(1)[0].to_bytes().to_vec();
    let own = |salt| Encoder::new((0..500).map(|n| Salt::from_bytes([salt; 32]).key(&object(n))));
    lied_to(&mut mesh, 30, |question| {
        let Question::Cells { after, count, .. } = question else { return None };
        let mut honest = own(1);
        honest.next_cells(*after as usize);
        let mut bytes = Vec::new();
        for cell in honest.next_cells((*count).min(10_666) as usize) {
            let sum = cell.to_bytes().iter().zip(&other).map(|(a, b)| a ^ b).collect::<Vec<_>>();
            bytes.extend_from_slice(&sum[..11]);
            bytes.push(cell.to_bytes()[11].wrapping_add(1));
        }
        cells(*after, bytes)
    });
    assert_eq!(mesh.nodes[0].faults.first(), Some(&(name(1), Fault::Contradiction)));
}

/// Each key is asked for once, whatever is answered.
//= docs/spec/gossip.md#names
#[test]
fn keys_without_names_cost_one_question() {
    for invented in [vec![], vec![object(999_999)]] {
        let mut mesh = Mesh::new(2, 1);
        mesh.make(0, 0, 0..500);
        mesh.drive(0);
        // The own set and ten keys that are nobody's.
        let salt = Salt::from_bytes([1; 32]);
        let keys: Vec<_> = (0..500).map(|n| salt.key(&object(n))).chain((0..10).map(ItemKey)).collect();
        let mut lie = summary(1, 510, 1);
        let sketch: Vec<u8> =
            Encoder::new(keys.clone()).next_cells(64).iter().flat_map(|it| it.to_bytes()).collect();
        let mut estimator = Estimator::default();
        keys.iter().for_each(|key| estimator.add(*key));
        lie.sketch = Sketch::new(ByteString(sketch)).unwrap();
        *lie.estimator = estimator.to_bytes();
        say(&mut mesh, 1, 0, lie);
        let mut asked = 0;
        let names = ObjectNames::new(invented.into_iter().collect()).unwrap();
        lied_to(&mut mesh, 30, |question| {
            let Question::Names { keys, .. } = question else { return None };
            asked += keys.get().0.len() / 8;
            Some(Finding::Names { names: names.clone() })
        });
        assert!(mesh.nodes[0].faults.iter().all(|fault| *fault == (name(1), Fault::Invented)));
        assert!((10..=60).contains(&asked), "{asked} keys asked for, with pauses that double");
        assert!(mesh.nodes[0].learned.is_empty());
    }
}

//= docs/spec/gossip.md#answers
#[test]
fn an_answer_to_another_question_is_refused() {
    let mut mesh = Mesh::new(2, 1);
    mesh.make(0, 0, 0..500);
    say(&mut mesh, 1, 0, large(1));
    lied_to(&mut mesh, 2, |_| Some(Finding::Page { names: ObjectNames::default(), more: false }));
    assert_eq!(mesh.nodes[0].faults.first(), Some(&(name(1), Fault::Unasked)));
    let before = mesh.nodes[0].faults.len();
    say(&mut mesh, 1, 0, ReconcileAnswer { exchange: exchange(1, 0), finding: Finding::Gone {} });
    assert_eq!(mesh.nodes[0].faults.len(), before, "an answer to nothing may be late, and says nothing");
}

/// A peer that names what nobody can have, always something else, is asked less and less often.
//= docs/spec/gossip.md#back-off
#[test]
fn a_peer_that_is_of_no_use_is_seldom_asked() {
    let mut mesh = Mesh::new(2, 1);
    let mut names = 0;
    let mut questions = 0;
    for round in 0..200_u8 {
        say(&mut mesh, 1, 0, summary(1, 10, round));
        questions += lied_to(&mut mesh, 1, |question| {
            assert!(matches!(question, Question::Page { .. }), "the own set is empty");
            let page = (names..names + 10).map(object).collect();
            names += 10;
            let above = ObjectNames::new(page).unwrap();
            Some(Finding::Page { names: above, more: false })
        });
    }
    // 0.3 s, doubling: nine pauses fit into two hundred seconds.
    assert!((5..=12).contains(&questions), "{questions}");
}

/// More silent peers than exchanges, in more zones than one, and the honest one is heard all the same.
//= docs/spec/gossip.md#turns
#[test]
fn silent_peers_hold_up_nobody() {
    let mut mesh = Mesh::new(14, 2);
    mesh.make(13, 0, 0..300);
    mesh.make(13, 1, 300..400);
    for round in 0..40_u8 {
        for peer in 1..13 {
            say(&mut mesh, peer, 0, summary(peer, 10, round));
        }
        mesh.run(500);
        assert!(mesh.nodes[0].gossip.size().1 <= MAX_EXCHANGES);
        mesh.mute = (1..13).collect();
    }
    mesh.run(60_000);
    assert_eq!((mesh.objects(0, 0).len(), mesh.objects(0, 1).len()), (300, 100));
}

//= docs/spec/gossip.md#bounds
#[test]
fn what_is_remembered_is_bounded() {
    let mut mesh = Mesh::new(2, 1);
    for _ in 0..100 {
        let question = Question::Page { after: None };
        let exchange =
            Exchange { request_id: mesh.nodes[1].local.entropy.bytes(), from: name(1), to: name(0) };
        say(&mut mesh, 1, 0, ReconcileRequest { exchange, question });
    }
    mesh.drive(0);
    let answers =
        mesh.wire.iter().filter(|it| matches!(read(&it.bytes), Ok(GossipMessage::ReconcileAnswer(_))));
    assert_eq!(answers.count(), 32);
    mesh.act(0, |gossip, _| gossip.down(&name(1)));
    assert_eq!(mesh.nodes[0].gossip.size(), (0, 0, 0));
}

/// Whoever asks for more than it may have is told when to come back.
//= docs/spec/gossip.md#answers
#[test]
fn who_asks_for_too_much_is_told_to_wait() {
    use crate::link::admission::{Admission, Allowance, Limits};
    let mut mesh = Mesh::new(2, 1);
    let peer = Allowance { bytes: 20_000, ..Limits::default().peer };
    mesh.nodes[0].admission = Admission::new(Limits { peer, ..Limits::default() }, mesh.now().mono);
    mesh.make(0, 0, 0..2_000);
    mesh.run(2_000);
    assert!(mesh.objects(1, 0).len() < 2_000);
    mesh.run(900_000);
    assert_eq!(mesh.objects(1, 0).len(), 2_000);
    assert!(!mesh.nodes[1].events.iter().any(|event| matches!(event, Event::Misbehaved { .. })));
}
