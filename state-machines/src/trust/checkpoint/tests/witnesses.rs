//! What witnesses make of heads, and a node of what witnesses say.

use super::world::{Without, World};
use super::*;

fn see(heads: &mut Heads, i: usize, seq: u64, story: u8, seconds: u64) -> Sighting {
    heads.see(&head(i, seq, story, seconds), &key(i).verifying_key())
}

//= docs/spec/checkpoints.md#witnesses
#[test]
fn a_witness_remembers_the_highest_head_and_names_it_to_who_comes_with_less() {
    let mut heads = Heads::new(zone());
    assert_eq!(see(&mut heads, 0, 5, 0, START), Sighting::Reaches);
    assert_eq!(see(&mut heads, 0, 9, 0, START + 1), Sighting::Reaches);
    let newest = head(0, 9, 0, START + 1);
    assert_eq!(see(&mut heads, 0, 6, 0, START), Sighting::Behind(Box::new(newest.clone())));
    assert_eq!(see(&mut heads, 0, 9, 0, START + 5), Sighting::Reaches, "signed anew");
    assert_eq!(heads.newest(&node(0)).map(end_of), Some(end_of(&newest)));
}

fn end_of(head: &SignedHead) -> (u64, ObjectId) {
    (head.body.fields.head_seq, head.body.fields.head_event)
}

//= docs/spec/checkpoints.md#witnesses
#[test]
fn a_head_counts_only_from_its_node_and_in_its_zone() {
    let mut heads = Heads::new(zone());
    let forged = head(0, 5, 0, START);
    assert_eq!(heads.see(&forged, &key(1).verifying_key()), Sighting::NotTheirs);
    let mut bent = head(0, 5, 0, START);
    bent.body.fields.head_seq = 6;
    assert_eq!(heads.see(&bent, &key(0).verifying_key()), Sighting::NotTheirs);
    let mut elsewhere = Heads::new(ZoneId::new("z:private").unwrap());
    assert_eq!(see(&mut elsewhere, 0, 5, 0, START), Sighting::NotTheirs);
}

//= docs/spec/checkpoints.md#proof
#[test]
fn two_stories_of_one_node_are_a_proof_that_stands_anywhere() {
    let proof = |one: SignedHead, other: SignedHead| {
        let proof = HeadProof::of(&one, &other)?;
        proof.verify(&key(0).verifying_key())
    };
    let first = || head(0, 5, 0, START);
    assert_eq!(proof(first(), head(0, 5, 1, START)), Some(Breach::Forked), "two events in one place");
    assert_eq!(proof(first(), head(0, 4, 0, START + 1)), Some(Breach::WentBack));
    assert_eq!(proof(head(0, 4, 0, START + 1), first()), Some(Breach::WentBack), "in any order");
    assert_eq!(proof(first(), head(0, 4, 0, START)), None, "an old head, or two in one second");
    assert_eq!(proof(first(), head(0, 6, 0, START + 1)), None, "a chain grows");
    assert_eq!(proof(first(), head(0, 5, 0, START + 1)), None, "signed anew");
    assert_eq!(proof(first(), head(1, 5, 1, START)), None, "two nodes");
    let mut moved = head(0, 6, 0, START);
    moved.body.fields.head_event = first().body.fields.head_event;
    assert!(HeadProof::of(&first(), &moved).is_some(), "one event in two places");
    assert_eq!(proof(first(), moved), None, "and not signed so");
    let forged = HeadProof::of(&first(), &head(0, 5, 1, START)).unwrap();
    assert_eq!(forged.verify(&key(1).verifying_key()), None, "the key of another");
}

//= docs/spec/checkpoints.md#proof
#[test]
fn a_fork_is_seen_although_both_branches_grew() {
    let mut heads = Heads::new(zone());
    for seq in 0..12 {
        assert_eq!(see(&mut heads, 0, seq, 0, START + seq), Sighting::Reaches);
    }
    let oldest = 12 - u64::try_from(RECENT_HEADS).unwrap();
    let Sighting::Contradicts(proof) = see(&mut heads, 0, oldest, 1, START + oldest) else {
        panic!("unseen")
    };
    assert_eq!(proof.liar(), &node(0));
    assert_eq!(see(&mut heads, 0, 12, 0, START + 12), Sighting::Halted(proof), "nothing more is taken");
}

//= docs/spec/checkpoints.md#witnesses
#[test]
fn the_liar_is_named_to_all_and_its_chain_ends_for_all() {
    let mut world = World::new(3, Without::Nothing);
    world.settle();
    world.fork(0);
    world.settle();
    for i in 0..3 {
        let proof = world.machine(i).heads().proof(&node(0)).expect("everyone has the proof");
        assert_eq!(proof.verify(&key(0).verifying_key()), Some(Breach::Forked));
    }
    world.advance(70);
    world.append(0);
    world.append(1);
    world.settle();
    world.coordinate(2);
    world.settle();
    let tip = world.machine(1).chain().tip().expect("the others go on").clone();
    assert!(!tip.checkpoint.body.fields.audit.contains_key(&node(0)), "nothing of it is certified");
    assert_eq!(tip.checkpoint.body.fields.audit[&node(1)].seq, 1);
}

/// A machine without anything, in a mesh of three, taking one message.
fn told(i: usize, from: usize, message: Message) -> (Checkpoints, Vec<Output>) {
    let (me, key, terms, facts) = (node(i), key(i), terms(3), facts());
    let (zone, ids) = (zone(), ids());
    let (subject, earlier) = (subject(), &[][..]);
    let seat =
        Seat { me: &me, key: &key, zone: &zone, ids: &ids, terms: &terms, subject, facts: &facts, earlier };
    let mut machine = Checkpoints::restore(&zone, Stored::default(), &ids);
    let mut out = Vec::new();
    machine.handle(&node(from), message, &seat, at(START), &mut out);
    (machine, out)
}

//= docs/spec/checkpoints.md#proof
#[test]
fn an_accusation_without_a_proof_harms_nobody() {
    let halted = |one: SignedHead, other: SignedHead| {
        let proof = HeadProof::of(&one, &other).expect("a contradiction");
        told(1, 2, Message::Accuse(Box::new(proof))).0.heads().proof(&node(0)).is_some()
    };
    let forged = |story| {
        let mut forged = head(2, 5, story, START);
        forged.body.fields.node_id = node(0);
        forged
    };
    assert!(halted(head(0, 5, 0, START), head(0, 5, 1, START)));
    assert!(!halted(head(0, 5, 0, START), forged(1)));
    assert!(!halted(forged(1), forged(2)), "two forgeries");
}

//= docs/spec/checkpoints.md#witnesses
#[test]
fn nobody_speaks_for_another_chain_and_strangers_not_at_all() {
    let of = |from: usize, i: usize| told(1, from, Message::Head(Box::new(head(i, 3, 0, START)))).1;
    assert!(!of(0, 0).is_empty());
    assert_eq!(of(2, 0), [], "another's head");
    assert_eq!(of(7, 7), [], "no member");
}

//= docs/spec/checkpoints.md#witnesses
#[test]
fn what_is_seen_is_said_only_once_it_is_durable() {
    let (mut machine, out) = told(1, 0, Message::Head(Box::new(head(0, 3, 0, START))));
    let [Output::Persist { batch, kept: Kept::Head(_) }] = &out[..] else { panic!("{out:?}") };
    let mut later = Vec::new();
    machine.clone().handle_stored(*batch, Completion::Failed, &mut later);
    assert_eq!(later, []);
    machine.handle_stored(*batch, Completion::Durable, &mut later);
    assert_eq!(later, [Output::Send { to: node(0), message: Message::Seen { seq: 3 } }]);
}

//= docs/spec/checkpoints.md#return
#[test]
fn a_node_that_was_rolled_back_is_told_and_goes_on_only_from_where_it_was() {
    let mut world = World::new(3, Without::Nothing);
    (0..4).for_each(|_| world.append(0));
    world.settle();
    assert_eq!(world.place(0), Place::Confirmed);
    world.roll_back(0, 1);
    assert_eq!(world.place(0), Place::Unconfirmed, "nobody has answered yet");
    world.settle();
    let Place::RolledBack(lost) = world.place(0) else { panic!("it was not told") };
    assert_eq!(end_of(&lost), end_of(&head(0, 4, 0, START)));
    assert!(world.guilty().is_empty(), "an old copy is no lie");
    assert!(world.machine(1).heads().proof(&node(0)).is_none());
    world.append(0);
    world.settle();
    assert_eq!(world.place(0), Place::Confirmed, "it caught up first");
}

//= docs/spec/checkpoints.md#return
#[test]
fn only_its_own_signature_tells_a_node_that_it_lost_something() {
    let place = |known: SignedHead| {
        let (me, key, terms, facts) = (node(1), key(1), terms(3), facts());
        let (zone, ids, subject) = (zone(), ids(), subject());
        let seat = Seat {
            me: &me,
            key: &key,
            zone: &zone,
            ids: &ids,
            terms: &terms,
            subject,
            facts: &facts,
            earlier: &[],
        };
        told(1, 2, Message::Behind(Box::new(known))).0.place(&seat)
    };
    assert!(matches!(place(head(1, 8, 0, START)), Place::RolledBack(_)));
    assert_eq!(place(head(2, 8, 0, START)), Place::Unconfirmed, "another's chain");
    let mut forged = head(2, 8, 0, START);
    forged.body.fields.node_id = node(1);
    assert_eq!(place(forged), Place::Unconfirmed, "a forgery");
}
