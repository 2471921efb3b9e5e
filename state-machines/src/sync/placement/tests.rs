use alloc::string::ToString;
use alloc::vec;
use core::time::Duration;

use fcp_proto_core::ids::{ObjectId, ZoneId};
use proptest::prelude::*;

use super::*;
use crate::sync::coverage::Coverage;

pub(in crate::sync) const MEGABYTE: u64 = 1 << 20;

pub(in crate::sync) fn name(number: usize) -> NodeId {
    NodeId::new(alloc::format!("n{number}")).unwrap()
}

pub(in crate::sync) fn zone() -> ZoneId {
    ZoneId::new("z:work").unwrap()
}

pub(in crate::sync) fn subject(number: u8) -> Subject {
    Subject { zone: zone(), object: ObjectId::from_bytes([number; 32]) }
}

pub(in crate::sync) fn cut(symbols: u64) -> TransmissionInformation {
    TransmissionInformation::new(symbols * 8, 8).unwrap()
}

pub(in crate::sync) fn device(class: DeviceClass, place: &str) -> Device {
    Device {
        class,
        location: (!place.is_empty()).then(|| place.to_string()),
        tags: [].into(),
        capabilities: [].into(),
        stores: [zone()].into(),
        free_bytes: MEGABYTE,
        presence: Presence::Here,
        supply: Supply::Ample,
    }
}

/// Servers, by turns at home and at the office.
pub(in crate::sync) fn servers(count: usize) -> Devices {
    let place = |number| if number % 2 == 0 { "home" } else { "office" };
    (0..count).map(|number| (name(number), device(DeviceClass::Server, place(number)))).collect()
}

/// What nodes have after each got what was dealt to it.
pub(in crate::sync) fn apply(
    shares: &mut BTreeMap<NodeId, Share>,
    gives: &BTreeMap<NodeId, crate::sync::coverage::SymbolSet>,
) {
    for (node, symbols) in gives {
        match shares.entry(node.clone()).or_insert_with(|| Share::Symbols(Default::default())) {
            Share::Whole => (),
            Share::Symbols(set) => set.extend(symbols),
        }
    }
}

struct Case {
    subject: Subject,
    information: TransmissionInformation,
    policy: PlacementPolicy,
    shares: BTreeMap<NodeId, Share>,
    devices: Devices,
}

impl Case {
    fn new(symbols: u64, nodes: usize) -> Self {
        Self {
            subject: subject(1),
            information: cut(symbols),
            policy: PlacementPolicy::default(),
            shares: [(name(0), Share::Whole)].into(),
            devices: servers(nodes),
        }
    }

    fn deal(&self) -> Deal {
        self.deal_at(Instant::default())
    }

    fn deal_at(&self, now: Instant) -> Deal {
        let Self { subject, information, policy, shares, devices } = self;
        Deal::new(&Kept { subject, information: *information, policy, shares, devices, now })
    }

    fn settle(&mut self) -> usize {
        for round in 0..200 {
            let deal = self.deal();
            if deal.gives.is_empty() {
                return round;
            }
            apply(&mut self.shares, &deal.gives);
        }
        panic!("it never ends");
    }

    fn coverage(&self) -> Coverage {
        Coverage::of(self.information, self.shares.values())
    }
}

/// An object of one symbol, too, is at three nodes of two places in the end, and nobody has more than half of any.
//= docs/spec/storage.md#dealing
#[test]
fn what_is_dealt_keeps_the_policy() {
    for symbols in [1, 2, 10, 300, 1_100] {
        let mut case = Case::new(symbols, 4);
        case.settle();
        let coverage = case.coverage();
        assert!(case.shares.len() >= 3, "{symbols}");
        assert!(coverage.distinct_bps >= 15_000 && coverage.concentration_bps <= 5_000, "{coverage:?}");
        assert!(coverage.survives_a_loss);
        assert_eq!(case.deal(), Deal::default(), "and then there is peace");
    }
}

/// Two nodes have everything twice, and three must.
//= docs/spec/storage.md#dealing
#[test]
fn too_few_nodes_alone_are_reason_enough() {
    let mut case = Case::new(4, 3);
    case.policy.max_node_fraction_bps = 10_000;
    case.policy.target_coverage_bps = 10_000;
    case.shares.insert(name(1), Share::Whole);
    let deal = case.deal();
    assert_eq!((deal.gives.keys().cloned().collect::<Vec<_>>(), deal.symbols()), (vec![name(2)], 1));
}

/// A domain that is lacking is filled by a node of another, although one of the same ranks higher.
//= docs/spec/storage.md#dealing
#[test]
fn a_second_domain_is_found_wherever_it_ranks() {
    for last in 1..5 {
        let mut case = Case::new(4, 5);
        for (node, device) in &mut case.devices {
            device.location = Some(if *node == name(last) { "office" } else { "home" }.to_string());
        }
        assert!(case.deal().gives.contains_key(&name(last)));
    }
}

//= docs/spec/storage.md#eligibility
#[test]
fn nobody_is_given_what_it_may_not_have() {
    let mut case = Case::new(40, 6);
    case.devices.get_mut(&name(1)).unwrap().stores.clear();
    case.devices.get_mut(&name(2)).unwrap().presence = Presence::Away { since: Instant::default() };
    case.devices.get_mut(&name(3)).unwrap().free_bytes = 7;
    case.devices.get_mut(&name(4)).unwrap().class = DeviceClass::Phone;
    case.policy.excluded = vec![Selector::Class(DeviceClass::Phone)];
    // Preferred or not.
    case.policy.preferred = (1..5).map(|node| Selector::Node(name(node))).collect();
    case.settle();
    assert_eq!(case.shares.keys().cloned().collect::<Vec<_>>(), [name(0), name(5)]);
    assert_eq!(case.deal().unmet, [Unmet::Nodes].into());
}

/// What the devices cannot do is said, and nobody is given more and more for it.
//= docs/spec/storage.md#dealing
#[test]
fn what_cannot_be_met_is_named_and_costs_nothing() {
    let mut case = Case::new(10, 2);
    case.policy.max_node_fraction_bps = 3_000;
    assert!(case.settle() <= 1);
    let deal = case.deal();
    assert_eq!(deal.unmet, [Unmet::Nodes, Unmet::Concentration].into());
    assert!(deal.gives.is_empty());
}

/// Symbols of those who are away are not made again for others: they may come back.
#[test]
fn what_is_dealt_nobody_has() {
    let mut case = Case::new(10, 5);
    case.devices.get_mut(&name(4)).unwrap().presence = Presence::Away { since: Instant::default() };
    let away = Share::Symbols((10..20).map(fcp_proto_core::symbol::PayloadId::from_u32).collect());
    case.shares.insert(name(4), away);
    let later = Instant::default().saturating_add(AWAY_COUNTS);
    let deal = case.deal_at(later);
    assert!(deal.gives.values().flat_map(|set| set.iter()).all(|id| id.esi() >= 20));
    assert!(deal.symbols() >= 5, "who is away for long does not count");
}

/// A laptop that sleeps makes nobody copy anything.
//= docs/spec/storage.md#devices
#[test]
fn who_is_away_for_a_while_counts() {
    let mut case = Case::new(10, 3);
    case.settle();
    case.devices.get_mut(&name(1)).unwrap().presence = Presence::Away { since: Instant::default() };
    let nearly = AWAY_COUNTS - Duration::from_nanos(1);
    assert_eq!(case.deal_at(Instant::default().saturating_add(nearly)), Deal::default());
    assert_ne!(case.deal_at(Instant::default().saturating_add(AWAY_COUNTS)), Deal::default());
}

//= docs/spec/storage.md#policies
#[test]
fn policies_without_sense_are_refused() {
    let default = PlacementPolicy::default;
    assert_eq!(default().check(), Ok(()));
    let refused = [
        (PlacementPolicy { min_nodes: 0, ..default() }, PolicyError::NoNodes),
        (PlacementPolicy { min_domains: 0, ..default() }, PolicyError::NoNodes),
        (PlacementPolicy { min_domains: 4, ..default() }, PolicyError::MoreDomainsThanNodes),
        (PlacementPolicy { max_node_fraction_bps: 0, ..default() }, PolicyError::Fraction),
        (PlacementPolicy { max_node_fraction_bps: 10_001, ..default() }, PolicyError::Fraction),
        (PlacementPolicy { target_coverage_bps: 9_999, ..default() }, PolicyError::Target),
        (PlacementPolicy { target_coverage_bps: 100_001, ..default() }, PolicyError::Target),
        (
            PlacementPolicy { excluded: vec![Selector::Tag("x".to_string()); 65], ..default() },
            PolicyError::TooManySelectors,
        ),
    ];
    for (policy, error) in refused {
        assert_eq!(policy.check(), Err(error));
    }
}

proptest! {
    /// Whatever is there, dealing ends, deals symbols that nobody had, to those who may have them, within their room,
    /// and a policy is kept or it is said what is not.
    //= docs/spec/storage.md#dealing
    #[test]
    fn dealing_ends_with_the_policy_kept_or_a_reason(
        symbols in 1_u64..40,
        nodes in 1_usize..7,
        policy in (1_u8..5, 1_u8..4, 1_000_u16..10_001, 10_000_u32..30_000),
        held in prop::collection::vec(prop::collection::vec(0_u32..60, 0..30), 7),
        room in prop::collection::vec(0_u64..400, 7),
        away in prop::collection::vec(prop::bool::weighted(0.2), 7),
    ) {
        let mut case = Case::new(symbols, nodes);
        case.policy = PlacementPolicy {
            min_nodes: policy.0.max(policy.1),
            min_domains: policy.1,
            max_node_fraction_bps: policy.2,
            target_coverage_bps: policy.3,
            ..PlacementPolicy::default()
        };
        let ids = |esis: &Vec<u32>| esis.iter().map(|esi| fcp_proto_core::symbol::PayloadId::from_u32(*esi)).collect();
        case.shares = (0..nodes).zip(&held).filter(|(_, esis)| !esis.is_empty()).map(|(node, esis)| (name(node), Share::Symbols(ids(esis)))).collect();
        for ((node, device), (room, away)) in case.devices.iter_mut().zip(room.iter().zip(&away)) {
            _ = node;
            device.free_bytes = *room;
            if *away {
                device.presence = Presence::Away { since: Instant::default() };
            }
        }
        let mut rounds = 0;
        loop {
            let deal = case.deal();
            for (node, gives) in &deal.gives {
                let device = case.devices.get_mut(node).unwrap();
                prop_assert!(device.is_here());
                let bytes = gives.len() * 8;
                prop_assert!(bytes <= device.free_bytes);
                device.free_bytes -= bytes;
                for id in gives.iter() {
                    prop_assert!(case.shares.values().all(|share| !share.symbols(case.information).contains(id)));
                }
            }
            prop_assert!(deal.symbols() <= u64::from(MAX_DEALT));
            if deal.gives.is_empty() {
                let coverage = case.coverage();
                let domains: alloc::collections::BTreeSet<_> = case.shares.keys().map(|node| case.devices[node].domain()).collect();
                let kept = [
                    (Unmet::Nodes, case.shares.len() >= usize::from(case.policy.min_nodes)),
                    (Unmet::Domains, domains.len() >= usize::from(case.policy.min_domains)),
                    (Unmet::Loss, case.policy.min_nodes == 1 || coverage.survives_a_loss),
                    (Unmet::Coverage, coverage.distinct_bps >= case.policy.target_coverage_bps),
                    (Unmet::Concentration, coverage.concentration_bps <= u32::from(case.policy.max_node_fraction_bps)),
                ];
                for (part, kept) in kept {
                    prop_assert_eq!(!kept, deal.unmet.contains(&part), "{:?} of {:?}", part, coverage);
                }
                break;
            }
            apply(&mut case.shares, &deal.gives);
            rounds += 1;
            prop_assert!(rounds < 50);
        }
    }

    /// The same is dealt whatever order the devices were learned in, and whatever a node that is not chosen is like.
    //= docs/spec/storage.md#choice
    #[test]
    fn all_nodes_choose_alike(order in Just((0..6).collect::<Vec<usize>>()).prop_shuffle(), symbols in 1_u64..50) {
        let case = Case::new(symbols, 6);
        let mut other = Case::new(symbols, 0);
        other.devices = order.iter().map(|number| (name(*number), case.devices[&name(*number)].clone())).collect();
        prop_assert_eq!(case.deal(), other.deal());
    }
}
