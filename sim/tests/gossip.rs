//! Every member of a zone knows what the others have, nobody else learns of it, and every guard that is left out is missed.

use std::collections::BTreeSet;
use std::time::Duration;

use fcp_sim::gossip::{Character, Flaw, GossipWorld, Outcome, Scenario};
use fcp_state_machines::link::gossip::Fault;

const SOUND: Scenario =
    Scenario { seed: 0, nodes: 5, zones: 3, span: Duration::from_secs(240), hostile: None, flaw: None };

fn sound(scenario: Scenario) -> Outcome {
    let outcome = GossipWorld::play(scenario);
    assert_eq!(outcome.violation, None, "{scenario:?}");
    assert!(outcome.learned > 0, "{scenario:?}: nothing was learned");
    outcome
}

/// What breaks a world whose guard is left out; one of a few seeds must show it.
fn missed(flaw: Flaw) -> String {
    let mut worlds = (0..4).map(|seed| GossipWorld::play(Scenario { seed, flaw: Some(flaw), ..SOUND }));
    worlds.find_map(|outcome| outcome.violation).unwrap_or_else(|| panic!("{flaw:?} is not missed"))
}

#[test]
fn whatever_is_lost_in_the_end_everybody_knows() {
    for seed in 0..6 {
        let nodes = 2 + seed as usize;
        let mut named = sound(Scenario { seed, nodes, ..SOUND }).named;
        // A message may be under way while its sender's membership ends.
        named.remove(&Fault::Outsider);
        assert_eq!(named, BTreeSet::new(), "nobody honest is named");
    }
}

#[test]
fn whoever_is_not_honest_keeps_nobody_from_knowing() {
    for (seed, character) in (20..).zip(Character::ALL) {
        let outcome = sound(Scenario { seed, hostile: Some(character), ..SOUND });
        let expected = match character {
            Character::Mute | Character::Inventor => None,
            Character::Spy => Some(Fault::Outsider),
            Character::Forger | Character::Flooder => Some(Fault::Malformed),
            Character::Liar => Some(Fault::Endless),
            Character::Impostor => Some(Fault::NotItsOwn),
        };
        assert!(
            expected.is_none_or(|fault| outcome.named.contains(&fault)),
            "{character:?}: {:?}",
            outcome.named
        );
    }
}

#[test]
fn one_seed_is_one_history() {
    let [one, other] = [3, 3].map(|seed| sound(Scenario { seed, ..SOUND }).trace);
    assert_eq!((one.digest(), one.events()), (other.digest(), other.events()));
}

#[test]
fn names_for_everybody_are_noticed() {
    assert!(missed(Flaw::EverybodyIsMember).contains("who is outside"));
}

#[test]
fn names_in_quarantine_are_noticed() {
    assert!(missed(Flaw::NoQuarantine).contains("in quarantine"));
}

#[test]
fn a_node_that_fetches_nothing_is_noticed() {
    assert!(missed(Flaw::NeverFetches).contains("lacks"));
}

#[test]
fn summaries_that_do_not_come_are_noticed() {
    assert!(missed(Flaw::HearsNoSummary).contains("lacks"));
}
