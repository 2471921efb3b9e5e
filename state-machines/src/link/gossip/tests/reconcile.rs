//! Sets become one set: small, large, of many zones, and bit by bit.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use fcp_proto_core::object::gossip::{ObjectNames, SymbolName, SymbolNames};

use super::mesh::{Mesh, name, object, zone};
use crate::link::gossip::{Event, Gossip};

//= docs/spec/gossip.md#reading
#[test]
fn what_a_node_lacks_it_reads_and_nothing_else_is_sent() {
    let mut mesh = Mesh::new(2, 1);
    mesh.make(0, 0, 0..2_000);
    mesh.make(1, 0, 5..2_003);
    mesh.run(1_000);
    assert_eq!(mesh.objects(0, 0).len(), 2_003);
    assert_eq!(mesh.objects(0, 0), mesh.objects(1, 0));
    assert_eq!((mesh.nodes[0].learned.len(), mesh.nodes[1].learned.len()), (3, 5));
    assert_eq!(mesh.faults(), 0);
    // Two thousand names would be 64,000 bytes each way; a summary with its filter is below 6,000.
    assert!(mesh.delivered.1 < 40_000, "{:?}", mesh.delivered);
}

//= docs/spec/gossip.md#reading
#[test]
fn a_difference_beyond_the_summary_takes_more_cells() {
    let mut mesh = Mesh::new(2, 1);
    mesh.make(0, 0, 0..3_000);
    mesh.make(1, 0, 500..3_500);
    mesh.run(60_000);
    assert_eq!(mesh.objects(0, 0).len(), 3_500);
    assert_eq!(mesh.objects(0, 0), mesh.objects(1, 0));
    assert_eq!(mesh.faults(), 0);
}

/// An empty node reads a list, page by page, in more than one exchange.
//= docs/spec/gossip.md#pages
#[test]
fn a_node_that_has_nothing_reads_everything() {
    let mut mesh = Mesh::new(2, 1);
    mesh.make(0, 0, 0..12_345);
    mesh.run(60_000);
    assert_eq!(mesh.objects(1, 0).len(), 12_345);
}

/// The lowest names cannot be had from anybody, and yet all others come.
//= docs/spec/gossip.md#pages
#[test]
fn names_that_cannot_be_had_hold_up_no_others() {
    let mut mesh = Mesh::new(2, 1);
    mesh.make(0, 0, 0..15_000);
    let lowest: Vec<_> = mesh.objects(0, 0).iter().copied().take(1_000).collect();
    lowest.iter().for_each(|name| _ = mesh.fetchable.remove(name));
    mesh.run(60_000);
    assert_eq!(mesh.objects(1, 0).len(), 14_000);
    assert_eq!(mesh.nodes[1].learned.len(), 15_000);
}

//= docs/spec/gossip.md#summaries
#[test]
fn a_quiet_zone_is_heard_of_for_hours_and_says_little() {
    let mut mesh = Mesh::new(2, 1);
    mesh.make(0, 0, 0..100);
    mesh.run(10_000);
    let (before, _) = mesh.delivered;
    mesh.run(3_600_000);
    assert_eq!(mesh.nodes[1].gossip.sources(&zone(0), &object(7)).count(), 1, "still there");
    let said = mesh.delivered.0 - before;
    assert!(said <= 2 * 75, "{said} messages in an hour");
    mesh.make(0, 0, 100..101);
    mesh.run(1_000);
    assert_eq!(mesh.objects(1, 0).len(), 101);
}

/// Whoever makes names does not know the salt that they are folded under, and none is used for long.
//= docs/spec/sketches.md#keys
#[test]
fn each_node_draws_a_salt_and_draws_again() {
    let mut mesh = Mesh::new(2, 1);
    (0..2).for_each(|node| mesh.make(node, 0, 0..10));
    let mut drawn = BTreeSet::new();
    for _ in 0..2 {
        mesh.run(400_000);
        for node in &mesh.nodes {
            drawn.insert(*node.gossip.shelves[&zone(0)].current().unwrap().salt.as_bytes());
        }
    }
    assert_eq!(drawn.len(), 4);
}

/// Two zones of one peer, one of which changes all the time.
//= docs/spec/gossip.md#turns
#[test]
fn a_zone_in_motion_holds_up_no_other() {
    let mut mesh = Mesh::new(2, 3);
    for round in 0..40 {
        mesh.make(0, 0, round * 10..round * 10 + 10);
        if round == 10 {
            mesh.make(0, 2, 1_000..1_100);
        }
        mesh.run(100);
    }
    assert_eq!(mesh.objects(1, 2).len(), 100);
    mesh.run(20_000);
    assert_eq!(mesh.objects(1, 0).len(), 400);
}

/// A filter is a hint: those that have the object are among the sources, and one question tells them from the others.
//= docs/spec/gossip.md#sources
#[test]
fn filters_say_who_may_have_an_object_and_an_answer_who_has() {
    let mut mesh = Mesh::new(3, 1);
    mesh.fetchable.clear();
    mesh.nodes[1].sets.admit(&zone(0), (0..5_000).map(object));
    mesh.nodes[2].sets.admit(&zone(0), (9_000..9_010).map(object));
    let symbol = SymbolName { object_id: object(1), esi: 4 };
    mesh.nodes[1].sets.0.get_mut(&zone(0)).unwrap().symbols.insert(symbol.clone());
    mesh.run(2_000);
    let gossip: &Gossip = &mesh.nodes[0].gossip;
    assert!((0..5_000).all(|number| gossip.sources(&zone(0), &object(number)).any(|peer| *peer == name(1))));
    let wrong =
        (20_000..30_000).filter(|it| gossip.sources(&zone(0), &object(*it)).any(|peer| *peer == name(1)));
    let wrong = wrong.count();
    assert!(wrong < 100, "{wrong} of 10,000 for nothing");
    assert_eq!(gossip.symbol_sources(&zone(0), &symbol).collect::<Vec<_>>(), [&name(1)]);
    let objects = ObjectNames::new([object(3), object(77_777)].into()).unwrap();
    let symbols = SymbolNames::new([symbol.clone()].into()).unwrap();
    assert!(mesh.act(0, |gossip, context| gossip.ask(&name(1), &zone(0), (objects, symbols), context)));
    mesh.run(100);
    let has =
        Event::Has { zone: zone(0), from: name(1), objects: [object(3)].into(), symbols: [symbol].into() };
    assert!(mesh.nodes[0].events.contains(&has), "{:?}", mesh.nodes[0].events);
}

/// A set of more names than one filter holds: the next filter goes on where the last one ended.
//= docs/spec/gossip.md#summaries
#[test]
fn filters_of_a_large_zone_go_round() {
    let mut mesh = Mesh::new(2, 1);
    mesh.make(0, 0, 0..10_500);
    mesh.make(1, 0, 0..10_500);
    let last = *mesh.objects(0, 0).last().unwrap();
    let mut seen = [false; 2];
    for round in 0..3 {
        mesh.make(0, 0, 20_000 + round..20_001 + round);
        mesh.run(2_000);
        let may_have = mesh.nodes[1].gossip.sources(&zone(0), &last).count() == 1;
        seen[usize::from(may_have)] = true;
    }
    assert_eq!(seen, [true; 2]);
}
