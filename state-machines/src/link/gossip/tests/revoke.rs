//! Revocations that must be known at once.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::frame::content::Lane;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{RevocationObject, RevocationScope};
use fcp_proto_core::object::{Signed, SignedBody, StoredObject};

use super::mesh::{Mesh, Packet, name, zone};
use crate::link::delivery::messages::signed;
use crate::link::gossip::{Event, NotPushed, Urgency, Witnessed};

/// A revocation as stored.
pub(super) fn revocation(mesh: &Mesh, target: u8) -> Vec<u8> {
    let now = mesh.now().unix;
    let fields = RevocationObject {
        scope: RevocationScope::Capability,
        targets: vec![ByteString(vec![target; 32])],
        reason: "lost".into(),
        effective_at: now,
        expires_at: None,
    };
    let object = signed(fields, &zone(0), &mesh.nodes[0].local.key, now).unwrap();
    object.store().and_then(|stored| stored.to_bytes()).unwrap()
}

/// Keeps to every revocation that came; how many came.
fn apply(mesh: &mut Mesh) -> usize {
    let mut came = 0;
    for node in 0..mesh.nodes.len() {
        for event in core::mem::take(&mut mesh.nodes[node].events) {
            if let Event::Revocation { zone, from, revocation, head_seq } = event {
                came += 1;
                mesh.act(node, |gossip, context| {
                    gossip.applied((&zone, &from), (&revocation, head_seq), context).unwrap();
                });
            } else {
                mesh.nodes[node].events.push(event);
            }
        }
    }
    came
}

fn push(mesh: &mut Mesh, bytes: &[u8], urgency: Urgency) -> Result<(), NotPushed> {
    mesh.act(0, |gossip, context| gossip.push(&zone(0), (bytes, 3), urgency, context).map(drop))
}

fn verdicts(mesh: &Mesh) -> Vec<Witnessed> {
    let of = |event: &Event| match event {
        Event::Witnessed { witnessed, .. } => Some(witnessed.clone()),
        Event::Learned { .. } | Event::Has { .. } | Event::Revocation { .. } | Event::Misbehaved { .. } => {
            None
        }
    };
    mesh.nodes[0].events.iter().filter_map(of).collect()
}

//= docs/spec/gossip.md#revocations
#[test]
fn a_revocation_goes_on_the_urgent_lane_and_comes_once() {
    let mut mesh = Mesh::new(4, 1);
    mesh.run(1_000);
    let bytes = revocation(&mesh, 7);
    push(&mut mesh, &bytes, Urgency::Priority).unwrap();
    mesh.drive(0);
    assert!(mesh.wire.iter().all(|packet| packet.lane == Lane::Urgent) && mesh.wire.len() == 3);
    mesh.settle();
    assert_eq!(apply(&mut mesh), 3);
    mesh.run(5_000);
    assert_eq!(apply(&mut mesh), 0, "what is known does not come again");
    let before = mesh.delivered.0;
    mesh.run(40_000);
    assert_eq!(mesh.delivered.0, before, "nobody who witnessed it is told again");
}

//= docs/spec/gossip.md#revocations
#[test]
fn beyond_the_fanout_the_others_follow() {
    let mut mesh = Mesh::new(41, 1);
    let bytes = revocation(&mesh, 7);
    let urgent =
        |mesh: &Mesh| mesh.wire.iter().filter(|it| it.lane == Lane::Urgent).map(|it| it.to).collect();
    push(&mut mesh, &bytes, Urgency::Priority).unwrap();
    mesh.drive(0);
    let first: BTreeSet<usize> = urgent(&mesh);
    assert_eq!(first.len(), 32);
    mesh.wire.clear();
    mesh.millis += 100;
    mesh.drive(0);
    let second: BTreeSet<usize> = urgent(&mesh);
    assert_eq!(second.len(), 8);
    assert!(first.is_disjoint(&second));
}

/// An ordinary push just before does not hold it up.
//= docs/spec/gossip.md#revocations
#[test]
fn an_emergency_waits_for_nothing() {
    let mut mesh = Mesh::new(41, 1);
    for target in 0..3 {
        let bytes = revocation(&mesh, target);
        push(&mut mesh, &bytes, Urgency::Priority).unwrap();
    }
    let bytes = revocation(&mesh, 9);
    push(&mut mesh, &bytes, Urgency::Emergency).unwrap();
    mesh.drive(0);
    let emergency = |packet: &&Packet| packet.bytes.windows(bytes.len()).any(|part| part == bytes);
    assert_eq!(mesh.wire.iter().filter(emergency).count(), 40);
    let other = revocation(&mesh, 10);
    let again = push(&mut mesh, &other, Urgency::Emergency);
    assert_eq!(again, Err(NotPushed::TooSoon(Duration::from_secs(60))));
}

//= docs/spec/gossip.md#witnesses
#[test]
fn an_emergency_is_witnessed_by_a_majority_up_to_three() {
    for (nodes, needed) in [(2, 1), (3, 2), (4, 2), (5, 3), (9, 3)] {
        let mut mesh = Mesh::new(nodes, 1);
        mesh.run(1_000);
        let bytes = revocation(&mesh, 7);
        push(&mut mesh, &bytes, Urgency::Emergency).unwrap();
        mesh.settle();
        apply(&mut mesh);
        // All but those that are needed are silent.
        mesh.mute = (needed + 1..nodes).collect();
        mesh.run(4_000);
        let witnesses: BTreeSet<NodeId> = (1..=needed).map(name).collect();
        assert_eq!(verdicts(&mesh), [Witnessed::Reached(witnesses)], "{nodes}");
    }
}

//= docs/spec/gossip.md#witnesses
#[test]
fn too_few_witnesses_are_said_to_be_too_few() {
    let mut mesh = Mesh::new(4, 1);
    mesh.mute = [2, 3].into();
    let bytes = revocation(&mesh, 7);
    push(&mut mesh, &bytes, Urgency::Emergency).unwrap();
    for _ in 0..12 {
        mesh.run(500);
        apply(&mut mesh);
    }
    let witnesses = BTreeSet::from([name(1)]);
    assert_eq!(verdicts(&mesh), [Witnessed::NotReached { witnesses, needed: 2 }]);
    let mut alone = Mesh::new(1, 1);
    let bytes = revocation(&alone, 7);
    push(&mut alone, &bytes, Urgency::Emergency).unwrap();
    alone.run(6_000);
    let none = Witnessed::NotReached { witnesses: BTreeSet::new(), needed: 1 };
    assert_eq!(verdicts(&alone), [none], "nobody is no majority");
}

/// One peer is one witness, only for this revocation, and only if its chain is not behind.
//= docs/spec/gossip.md#witnesses
#[test]
fn a_witness_counts_once_and_for_what_it_saw() {
    use fcp_proto_core::crypto::hash;
    use fcp_proto_core::object::RevocationWitness;
    let mut mesh = Mesh::new(5, 1);
    let bytes = revocation(&mesh, 7);
    push(&mut mesh, &bytes, Urgency::Emergency).unwrap();
    let say = |mesh: &mut Mesh, from: usize, seen: &[u8], head_seq| {
        let fields = RevocationWitness { from: name(from), revocation: hash::digest(seen), head_seq };
        let object = signed(fields, &zone(0), &mesh.nodes[from].local.key, mesh.now().unix).unwrap();
        let bytes = object.store().and_then(|stored| stored.to_bytes()).unwrap();
        mesh.deliver(&Packet { from, to: 0, lane: Lane::Urgent, bytes });
    };
    for _ in 0..3 {
        say(&mut mesh, 1, &bytes, 3);
    }
    say(&mut mesh, 2, b"something else", 3);
    say(&mut mesh, 3, &bytes, 2);
    mesh.mute = (1..5).collect();
    mesh.run(6_000);
    let witnesses = BTreeSet::from([name(1)]);
    assert_eq!(verdicts(&mesh), [Witnessed::NotReached { witnesses, needed: 3 }]);
}

//= docs/spec/gossip.md#revocations
#[test]
fn a_peer_that_comes_later_is_told_and_one_that_lost_it_is_told_again() {
    let mut mesh = Mesh::new(3, 1);
    mesh.act(0, |gossip, _| gossip.down(&name(2)));
    let bytes = revocation(&mesh, 7);
    push(&mut mesh, &bytes, Urgency::Priority).unwrap();
    mesh.drive(0);
    mesh.wire.clear();
    mesh.up(2);
    let came: usize = (0..30)
        .map(|_| {
            mesh.run(100);
            apply(&mut mesh)
        })
        .sum();
    assert_eq!(came, 2, "one lost it, one was not there");
}

#[test]
fn what_is_pushed_is_bounded() {
    let mut mesh = Mesh::new(2, 1);
    assert_eq!(push(&mut mesh, &vec![0; 64 * 1024 + 1], Urgency::Priority), Err(NotPushed::TooLong));
    for target in 0..64 {
        push(&mut mesh, &[target], Urgency::Priority).unwrap();
    }
    assert_eq!(push(&mut mesh, &[64], Urgency::Priority), Err(NotPushed::TooMany));
    mesh.millis += 300_000;
    push(&mut mesh, &[64], Urgency::Priority).unwrap();
}

/// The type that a notice carries is what a home stores.
#[test]
fn a_notice_carries_what_is_stored() {
    let mesh = Mesh::new(1, 1);
    let stored = StoredObject::from_bytes(&revocation(&mesh, 1)).unwrap();
    assert_eq!(stored.header.schema, RevocationObject::SCHEMA.id());
    assert!(stored.open::<Signed<RevocationObject>>().is_ok());
}
