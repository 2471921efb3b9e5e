use alloc::vec::Vec;

use fcp_proto_core::symbol::PayloadId;

use super::*;
use crate::sync::placement::tests::{cut, name, subject, zone};

//= docs/spec/storage.md#bounds
#[test]
fn what_is_known_is_bounded() {
    let mut inventory = Inventory::new(2);
    assert_eq!(inventory.learn(subject(1), cut(3)), Ok(()));
    assert_eq!(inventory.learn(subject(2), cut(3)), Ok(()));
    assert_eq!(inventory.learn(subject(3), cut(3)), Err(NotTaken::Full));
    assert_eq!(inventory.learn(subject(1), cut(4)), Err(NotTaken::OtherCut));
    assert_eq!(inventory.learn(subject(1), cut(3)), Ok(()));
    for number in 0..MAX_HOLDERS {
        assert_eq!(inventory.report(&subject(1), &name(number), Share::Whole), Ok(()));
    }
    let late = name(MAX_HOLDERS);
    assert_eq!(inventory.report(&subject(1), &late, Share::Whole), Err(NotTaken::TooManyHolders));
    let scattered = |runs: usize| (0..runs as u32).map(|run| PayloadId::from_u32(run * 2)).collect();
    let share = |runs| Share::Symbols(scattered(runs));
    assert_eq!(inventory.report(&subject(1), &name(0), share(MAX_RUNS)), Ok(()));
    assert_eq!(inventory.report(&subject(1), &name(0), share(MAX_RUNS + 1)), Err(NotTaken::TooScattered));
    assert_eq!(inventory.report(&subject(9), &name(0), Share::Whole), Err(NotTaken::Unknown));
    let many = (0..=MAX_HOLDERS).map(name).collect();
    assert_eq!(inventory.want_at(&subject(1), many), Err(NotTaken::TooManyHolders));
}

#[test]
fn a_node_without_symbols_has_no_share() {
    let mut inventory = Inventory::new(2);
    inventory.learn(subject(1), cut(3)).unwrap();
    inventory.report(&subject(1), &name(0), Share::Whole).unwrap();
    assert!(inventory.share(&zone(), &subject(1).object, &name(0)).is_some());
    inventory.report(&subject(1), &name(0), Share::Symbols(Default::default())).unwrap();
    assert!(inventory.share(&zone(), &subject(1).object, &name(0)).is_none());
}

#[test]
fn a_removed_node_is_forgotten_step_by_step() {
    let mut inventory = Inventory::new(10);
    for number in 0..5 {
        inventory.learn(subject(number), cut(3)).unwrap();
        inventory.report(&subject(number), &name(0), Share::Whole).unwrap();
        inventory.report(&subject(number), &name(1), Share::Whole).unwrap();
    }
    let mut steps = Vec::new();
    let mut after = None;
    while let Some(last) = inventory.forget_node(&name(0), after.as_ref(), 2) {
        steps.push(last.clone());
        after = Some(last);
    }
    assert_eq!(steps, [subject(1), subject(3), subject(4)]);
    assert!(inventory.after(None).all(|(_, item)| item.shares.keys().eq([&name(1)])));
}

#[test]
fn an_objects_policy_stands_before_its_zones() {
    let mut inventory = Inventory::new(1);
    inventory.learn(subject(1), cut(3)).unwrap();
    assert_eq!(inventory.policy(&subject(1)), None);
    inventory.set_zone_policy(zone(), PlacementPolicy::default()).unwrap();
    assert_eq!(inventory.policy(&subject(1)), Some(&PlacementPolicy::default()));
    let own = PlacementPolicy { min_nodes: 5, ..PlacementPolicy::default() };
    inventory.set_policy(&subject(1), Some(own.clone())).unwrap();
    assert_eq!(inventory.policy(&subject(1)), Some(&own));
    let none = PlacementPolicy { min_nodes: 0, ..own };
    assert_eq!(
        inventory.set_policy(&subject(1), Some(none.clone())),
        Err(NotTaken::Policy(PolicyError::NoNodes))
    );
    assert_eq!(inventory.set_zone_policy(zone(), none), Err(NotTaken::Policy(PolicyError::NoNodes)));
}
