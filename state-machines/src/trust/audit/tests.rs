use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use fcp_proto_core::ids::KeyId;

use super::*;

fn zone() -> ZoneId {
    ZoneId::new("z:work").unwrap()
}

fn node() -> NodeId {
    NodeId::new("node-1").unwrap()
}

fn id(n: u64) -> ObjectId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    ObjectId::from_bytes(bytes)
}

/// A chain of `n` events, with a head after the last.
fn chain(n: u64) -> (Vec<(ObjectId, AuditEvent)>, AuditHead) {
    let mut chains = Chains::new(node());
    let events = (0..n)
        .map(|at| {
            let event = chains.event(
                &zone(),
                Entry::new(AuditEventKind::NodeStarted, "node"),
                UnixTime::from_secs(at),
            );
            chains.advance(&zone(), id(at), event.seq);
            (id(at), event)
        })
        .collect();
    (events, chains.head(&zone()).unwrap())
}

fn verify(
    events: &[(ObjectId, AuditEvent)],
    head: Option<&AuditHead>,
    known: Option<(u64, ObjectId)>,
) -> Option<Fault> {
    let known = known.map(|known| (zone(), BTreeSet::from([known]))).into_iter().collect();
    let mut verifier = Verifier::new(node(), known);
    for (id, event) in events {
        verifier.event(&zone(), *id, event, true);
    }
    if let Some(head) = head {
        verifier.head(&zone(), head, KEY, Seal::Signed);
    }
    verifier.finish().first_bad.map(|finding| finding.fault)
}

#[test]
fn a_whole_chain_verifies() {
    let (events, head) = chain(5);
    assert_eq!(verify(&events, Some(&head), Some((3, id(3)))), None);
}

#[test]
fn each_way_to_tamper_is_named() {
    let (events, head) = chain(5);
    let without = |at: usize| {
        let mut left = events.clone();
        left.remove(at);
        left
    };
    assert_eq!(verify(&without(0), Some(&head), None), Some(Fault::NoBeginning));
    assert_eq!(verify(&without(2), Some(&head), None), Some(Fault::Missing { expected: 2 }));
    assert_eq!(verify(&without(4), Some(&head), None), Some(Fault::HeadMismatch));
    assert_eq!(verify(&events, None, None), Some(Fault::Unsealed));

    let mut repeated = events.clone();
    repeated.insert(3, events[2].clone());
    assert_eq!(verify(&repeated, Some(&head), None), Some(Fault::Repeated));

    let mut swapped = events.clone();
    swapped.swap(1, 2);
    assert_eq!(verify(&swapped, Some(&head), None), Some(Fault::Reordered { expected: 1 }));

    let mut relinked = events.clone();
    relinked[2].1.prev = Some(id(99));
    assert_eq!(verify(&relinked, Some(&head), None), Some(Fault::WrongPredecessor));

    let mut continued = events.clone();
    continued[0].1.prev = Some(id(99));
    assert_eq!(
        verify(&continued, Some(&head), None),
        Some(Fault::NoBeginning),
        "number 0 has none before it"
    );

    let mut foreign = events.clone();
    foreign[4].1.node_id = NodeId::new("node-2").unwrap();
    assert_eq!(verify(&foreign, Some(&head), None), Some(Fault::Foreign));
}

#[test]
fn a_saved_head_reveals_rollback_and_fork() {
    let (events, head) = chain(5);
    assert_eq!(verify(&events, Some(&head), Some((9, id(9)))), Some(Fault::Truncated { known: 9 }));
    assert_eq!(verify(&events, Some(&head), Some((3, id(77)))), Some(Fault::Forked));
    assert_eq!(verify(&[], None, Some((0, id(0)))), Some(Fault::Truncated { known: 0 }));
    assert_eq!(verify(&events, Some(&head), Some((4, id(4)))), None, "exactly as far as was known");
    let known = BTreeMap::from([(zone(), BTreeSet::from([(9, id(9))]))]);
    let mut verifier = Verifier::new(node(), known);
    for (id, event) in &events {
        verifier.event(&zone(), *id, event, true);
    }
    verifier.head(&zone(), &head, KEY, Seal::Signed);
    let found = verifier.finish().first_bad.map(|found| (found.seq, found.id));
    assert_eq!(found, Some((5, None)), "the first number that is not there");
}

#[test]
fn altered_content_and_false_heads_are_named() {
    let (events, head) = chain(2);
    let mut verifier = Verifier::new(node(), BTreeMap::new());
    verifier.event(&zone(), events[0].0, &events[0].1, false);
    assert_eq!(verifier.finish().first_bad.map(|found| found.fault), Some(Fault::Altered));

    let mut verifier = Verifier::new(node(), BTreeMap::new());
    for (id, event) in &events {
        verifier.event(&zone(), *id, event, true);
    }
    verifier.head(&zone(), &head, KEY, Seal::Unsigned);
    assert_eq!(verifier.finish().first_bad.map(|found| found.fault), Some(Fault::HeadSignature));
}

#[test]
fn a_head_is_this_nodes_over_exactly_the_last_event() {
    let (events, head) = chain(5);
    let foreign = AuditHead { node_id: NodeId::new("node-2").unwrap(), ..head.clone() };
    assert_eq!(verify(&events, Some(&foreign), None), Some(Fault::Foreign));
    let other_event = AuditHead { head_event: id(3), ..head.clone() };
    assert_eq!(verify(&events, Some(&other_event), None), Some(Fault::HeadMismatch));
    let other_number = AuditHead { head_seq: 3, ..head };
    assert_eq!(verify(&events, Some(&other_number), None), Some(Fault::HeadMismatch));
}

#[test]
fn an_event_says_all_that_its_entry_does() {
    let entry = Entry::new(AuditEventKind::NodeStopped, "alice").about(id(7)).saying("for the night");
    let event = Chains::new(node()).event(&zone(), entry, UnixTime::from_secs(1));
    assert_eq!((event.subject, event.detail.as_deref()), (Some(id(7)), Some("for the night")));
    assert_eq!((event.kind, event.actor.as_str()), (AuditEventKind::NodeStopped, "alice"));
}

/// The node's key.
const KEY: KeyId = KeyId::from_bytes([1; 8]);

/// The first fault of events with a head over each, by these keys.
fn fault_of(heads: &[(u8, Seal)]) -> Option<Fault> {
    let (events, _) = chain(heads.len() as u64);
    let mut verifier = Verifier::new(node(), BTreeMap::new());
    for ((id, event), (key, seal)) in events.iter().zip(heads) {
        verifier.event(&zone(), *id, event, true);
        let head = AuditHead { node_id: node(), head_event: *id, head_seq: event.seq };
        verifier.head(&zone(), &head, KeyId::from_bytes([*key; 8]), *seal);
    }
    verifier.finish().first_bad.map(|found| found.fault)
}

//= docs/spec/audit.md#a-revoked-node
#[test]
fn what_a_revoked_key_appends_counts_once_a_head_of_the_next_key_covers_it() {
    use Seal::{Revoked, Signed};
    assert_eq!(fault_of(&[(1, Signed), (1, Signed)]), None);
    assert_eq!(fault_of(&[(1, Signed), (1, Revoked)]), Some(Fault::RevokedSigner));
    assert_eq!(fault_of(&[(1, Signed), (1, Revoked), (2, Signed)]), None);
    let stolen = [(1, Signed), (1, Revoked), (2, Signed), (1, Revoked), (2, Signed)];
    assert_eq!(fault_of(&stolen), Some(Fault::RevokedSigner), "the next key signs now, and nothing else");
    let twice = [(1, Signed), (1, Revoked), (2, Signed), (2, Revoked), (3, Signed)];
    assert_eq!(fault_of(&twice), None);
}
