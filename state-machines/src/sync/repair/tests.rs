use alloc::collections::BTreeSet;
use alloc::vec;

use fcp_proto_core::symbol::PayloadId;
use proptest::prelude::*;

use super::*;
use crate::sync::coverage::Share;
use crate::sync::placement::tests::{apply, cut, name, servers, subject, zone};
use crate::sync::placement::{DeviceClass, PlacementPolicy, Presence, Selector, Supply, Unmet};

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn symbols(esis: impl IntoIterator<Item = u32>) -> Share {
    Share::Symbols(esis.into_iter().map(PayloadId::from_u32).collect())
}

struct Mesh {
    inventory: Inventory,
    devices: Devices,
    repairers: Vec<Repairer>,
}

impl Mesh {
    fn new(nodes: usize) -> Self {
        Self::with(nodes, Limits::default())
    }

    fn with(nodes: usize, limits: Limits) -> Self {
        let mut inventory = Inventory::new(2_000);
        inventory.set_zone_policy(zone(), PlacementPolicy::default()).unwrap();
        let repairers = (0..nodes).map(|node| Repairer::new(name(node), limits, at(0))).collect();
        Self { inventory, devices: servers(nodes), repairers }
    }

    fn add(&mut self, number: u8, sources: u64, shares: impl IntoIterator<Item = (usize, Share)>) {
        self.inventory.learn(subject(number), cut(sources)).unwrap();
        for (node, share) in shares {
            self.inventory.report(&subject(number), &name(node), share).unwrap();
        }
    }

    fn cycle(&mut self, node: usize, circumstances: Circumstances, now: u64) -> Plan {
        let world = World { inventory: &self.inventory, devices: &self.devices };
        self.repairers[node].cycle(world, circumstances, at(now))
    }

    /// Everybody repairs what is theirs, once.
    fn round(&mut self, now: u64) -> usize {
        let mut done = 0;
        for node in 0..self.repairers.len() {
            if !self.devices[&name(node)].is_here() {
                continue;
            }
            for repair in self.cycle(node, Circumstances::default(), now).repairs {
                self.carry_out(&repair);
                self.repairers[node].finished(&repair.subject, Ending::Done, at(now));
                done += 1;
            }
        }
        done
    }

    fn carry_out(&mut self, repair: &Repair) {
        let mut shares = self.inventory.item(&repair.subject).unwrap().shares.clone();
        apply(&mut shares, &repair.gives);
        for (node, share) in shares {
            self.inventory.report(&repair.subject, &node, share).unwrap();
        }
    }

    fn left_out(&mut self, node: usize, number: u8, now: u64) -> LeftOut {
        let plan = self.cycle(node, Circumstances::default(), now);
        plan.left_out.get(&subject(number)).cloned().unwrap_or_else(|| panic!("{plan:?}"))
    }
}

fn urgency_of(mesh: &mut Mesh, node: usize) -> Vec<(Subject, Urgency)> {
    let plan = mesh.cycle(node, Circumstances::default(), 0);
    plan.repairs.into_iter().map(|repair| (repair.subject, repair.urgency)).collect()
}

/// An object that is well but for one thing, for each thing.
//= docs/spec/storage.md#urgency
#[test]
fn the_most_urgent_comes_first() {
    let mut mesh = Mesh::new(4);
    let well = || (0..4).map(|node| (node, symbols(node as u32 * 5..node as u32 * 5 + 5)));
    mesh.add(1, 10, well());
    mesh.add(2, 10, well());
    mesh.inventory.want_at(&subject(2), [name(0)].into()).unwrap();
    // 14 of 20 distinct ones, which survive a loss.
    mesh.add(3, 10, (0..4).map(|node| (node, symbols(node as u32 * 4..(node as u32 * 4 + 4).min(14)))));
    mesh.add(4, 10, [(0, Share::Whole), (1, Share::Whole)]);
    mesh.add(5, 10, [(0, Share::Whole)]);
    let mut all: Vec<_> = (0..4).flat_map(|node| urgency_of(&mut mesh, node)).collect();
    all.sort();
    assert_eq!(
        all,
        [
            (subject(2), Urgency::PreStage),
            (subject(3), Urgency::BelowTarget),
            (subject(4), Urgency::BelowMinimum),
            (subject(5), Urgency::AtRisk)
        ]
    );
    let urgencies: Vec<_> = {
        let mut again = Mesh { repairers: vec![Repairer::new(name(0), Limits::default(), at(0))], ..mesh };
        again.devices.retain(|node, _| *node == name(0) || *node == name(1));
        for device in again.devices.values_mut().skip(1) {
            device.supply = Supply::Scarce;
        }
        urgency_of(&mut again, 0).into_iter().map(|(_, urgency)| urgency).collect()
    };
    assert!(urgencies.is_sorted() && urgencies.len() > 1);
}

proptest! {
    /// Whatever order the cases come in, the plan is one, within its budget, and tells of every case.
    //= docs/spec/storage.md#plans
    #[test]
    fn a_plan_is_the_same_in_any_order_and_leaves_nothing_out_unsaid(
        cases in prop::collection::vec((1_u64..200, prop::collection::vec((0_usize..5, 0_u32..300, 1_u32..80), 1..6)), 1..20),
        order in any::<prop::sample::Index>(),
        budget in (1_usize..6, 1_u64..20_000, 1_u64..400),
        scarce in any::<bool>(),
    ) {
        let mut mesh = Mesh::new(5);
        for (number, (sources, shares)) in (1..).zip(&cases) {
            mesh.add(number, *sources, []);
            for (node, first, count) in shares {
                mesh.inventory.report(&subject(number), &name(*node), symbols(*first..first + count)).unwrap();
            }
        }
        let world = World { inventory: &mesh.inventory, devices: &mesh.devices };
        let judged: Vec<_> = mesh.inventory.after(None).filter_map(|(subject, _)| judge(world, subject, at(0))).collect();
        let budget = Budget { repairs: budget.0, bytes: budget.1, decode_millis: budget.2 };
        let circumstances = Circumstances { is_metered: scarce, ..Circumstances::default() };
        let plan = Plan::new(judged.clone(), &name(0), budget, circumstances);
        let mut turned = judged.clone();
        if !turned.is_empty() {
            let by = order.index(turned.len());
            turned.rotate_left(by);
            turned.reverse();
        }
        prop_assert_eq!(&plan, &Plan::new(turned, &name(0), budget, circumstances));
        prop_assert!(plan.repairs.len() <= budget.repairs);
        prop_assert_eq!(plan.repairs.len() + plan.left_out.len(), judged.len());
        let chosen: BTreeSet<_> = plan.repairs.iter().map(|repair| &repair.subject).collect();
        let costs = judged.iter().filter(|case| chosen.contains(&case.subject));
        let bytes: u64 = costs.clone().map(Case::bytes).sum();
        let millis: u64 = costs.map(Case::decode_millis).sum();
        prop_assert!(plan.repairs.len() == 1 || (bytes <= budget.bytes && millis <= budget.decode_millis));
        for case in &judged {
            let mine = case.builder.as_ref().is_ok_and(|builder| builder.node == name(0)) && !case.gives.is_empty();
            let why = plan.left_out.get(&case.subject);
            prop_assert_eq!(
                mine && scarce && case.urgency.can_wait(),
                why == Some(&LeftOut::Scarce)
            );
        }
    }

    /// All nodes with the same knowledge choose the same one for an object, and what is built together is there.
    //= docs/spec/storage.md#who-repairs
    #[test]
    fn exactly_one_node_repairs(shares in prop::collection::vec((0_usize..6, 0_u32..30, 1_u32..20), 1..8)) {
        let mut mesh = Mesh::new(6);
        mesh.add(1, 10, []);
        for (node, first, count) in shares {
            mesh.inventory.report(&subject(1), &name(node), symbols(first..first + count)).unwrap();
        }
        let plans: Vec<_> = (0..6).map(|node| mesh.cycle(node, Circumstances::default(), 0)).collect();
        let builders = plans.iter().filter(|plan| !plan.repairs.is_empty()).count();
        let elsewhere = plans.iter().filter(|plan| matches!(plan.left_out.get(&subject(1)), Some(LeftOut::Elsewhere(_)))).count();
        prop_assert!(builders == 0 && elsewhere == 0 || builders == 1 && elsewhere == 5);
    }
}

/// Battery, metered link or an order to save: what is below a minimum is repaired all the same.
//= docs/spec/storage.md#scarcity
#[test]
fn scarcity_puts_off_what_can_wait_and_nothing_else() {
    let scarce = [
        Circumstances { battery_percent: Some(19), ..Circumstances::default() },
        Circumstances { saves_power: true, ..Circumstances::default() },
        Circumstances { is_metered: true, ..Circumstances::default() },
    ];
    for (circumstances, waits) in scarce.map(|it| (it, true)).into_iter().chain([
        (Circumstances { battery_percent: Some(20), ..Circumstances::default() }, false),
        (Circumstances::default(), false),
    ]) {
        let mut mesh = Mesh::new(4);
        mesh.devices.values_mut().skip(1).for_each(|device| device.supply = Supply::Scarce);
        mesh.add(1, 10, [(0, Share::Whole)]);
        mesh.add(2, 10, [(0, Share::Whole), (1, Share::Whole)]);
        mesh.add(
            3,
            10,
            (0..4)
                .map(|node| (node, symbols(node * 4..(node * 4 + 4).min(14))))
                .map(|(node, it)| (node as usize, it)),
        );
        let plan = mesh.cycle(0, circumstances, 0);
        let done: Vec<_> = plan.repairs.iter().map(|repair| repair.subject.clone()).collect();
        if waits {
            assert_eq!(done, [subject(1), subject(2)]);
            assert_eq!(plan.left_out.get(&subject(3)), Some(&LeftOut::Scarce));
        } else {
            assert_eq!(done, [subject(1), subject(2), subject(3)]);
        }
    }
}

/// Who has it whole does it, then who has power, then who lacks least.
//= docs/spec/storage.md#who-repairs
#[test]
fn the_builder_is_who_has_the_least_trouble() {
    let builder = |mesh: &Mesh| {
        let world = World { inventory: &mesh.inventory, devices: &mesh.devices };
        judge(world, &subject(1), at(0)).unwrap().builder
    };
    let mut mesh = Mesh::new(4);
    mesh.add(1, 10, [(0, symbols(0..4)), (1, symbols(4..10)), (2, Share::Whole)]);
    mesh.devices.get_mut(&name(2)).unwrap().supply = Supply::Scarce;
    assert_eq!(builder(&mesh), Ok(Builder { node: name(2), fetches: 0 }));
    mesh.devices.get_mut(&name(2)).unwrap().presence = Presence::Away { since: at(0) };
    assert_eq!(builder(&mesh), Ok(Builder { node: name(1), fetches: 4 }));
    mesh.devices.get_mut(&name(1)).unwrap().supply = Supply::Scarce;
    assert_eq!(builder(&mesh), Ok(Builder { node: name(0), fetches: 6 }));
    mesh.devices.get_mut(&name(0)).unwrap().free_bytes = 79;
    assert_eq!(
        builder(&mesh),
        Ok(Builder { node: name(3), fetches: 10 }),
        "there must be room for the object"
    );
    mesh.devices.get_mut(&name(1)).unwrap().presence = Presence::Away { since: at(0) };
    assert_eq!(builder(&mesh), Err(TooFewSymbols { lacking: 6 }));
}

/// Every reason there is, once.
//= docs/spec/storage.md#plans
#[test]
fn whatever_is_left_out_has_its_reason() {
    let mut mesh = Mesh::new(4);
    mesh.add(1, 10, [(0, symbols(0..4))]);
    assert_eq!(mesh.left_out(0, 1, 0), LeftOut::TooFewSymbols { lacking: 6 });

    let mut mesh = Mesh::new(1);
    mesh.add(1, 10, [(0, Share::Whole)]);
    let unmet = [Unmet::Nodes, Unmet::Domains, Unmet::Loss, Unmet::Concentration].into();
    mesh.inventory
        .set_policy(
            &subject(1),
            Some(PlacementPolicy { target_coverage_bps: 10_000, ..PlacementPolicy::default() }),
        )
        .unwrap();
    assert_eq!(mesh.left_out(0, 1, 0), LeftOut::NoDevice(unmet));

    let mut mesh = Mesh::new(4);
    mesh.add(1, 10, [(0, Share::Whole)]);
    assert_eq!(mesh.left_out(1, 1, 0), LeftOut::Elsewhere(name(0)));
    assert_eq!(mesh.cycle(0, Circumstances::default(), 0).repairs.len(), 1);
    assert_eq!(mesh.left_out(0, 1, 1), LeftOut::UnderWay);
    mesh.repairers[0].finished(&subject(1), Ending::Failed, at(2));
    assert_eq!(mesh.left_out(0, 1, 3), LeftOut::BackingOff { until: at(62) });
    assert_eq!(mesh.cycle(0, Circumstances::default(), 62).repairs.len(), 1);
    assert_eq!(
        mesh.left_out(0, 1, 62 + 600),
        LeftOut::BackingOff { until: at(662 + 120) },
        "it took too long"
    );

    let tight = |cycle, per_minute| {
        let mut mesh = Mesh::with(4, Limits { cycle, per_minute, ..Limits::default() });
        mesh.add(1, 10, [(0, Share::Whole)]);
        mesh.add(2, 10, [(0, Share::Whole)]);
        mesh.left_out(0, 2, 0)
    };
    let cycle = Limits::default().cycle;
    assert_eq!(tight(Budget { repairs: 1, ..cycle }, 100), LeftOut::Repairs);
    assert_eq!(tight(Budget { bytes: 1, ..cycle }, 100), LeftOut::Bytes);
    assert_eq!(tight(Budget { decode_millis: 1, ..cycle }, 100), LeftOut::DecodeTime);
    assert_eq!(tight(cycle, 2), LeftOut::Rate { retry_after: Duration::from_secs(60) });

    let mut mesh = Mesh::new(3);
    mesh.add(1, 10, [(0, Share::Whole)]);
    mesh.devices.get_mut(&name(0)).unwrap().presence = Presence::Away { since: at(0) };
    mesh.devices.values_mut().for_each(|device| device.free_bytes = 79);
    mesh.inventory.report(&subject(1), &name(1), symbols(0..10)).unwrap();
    assert_eq!(mesh.left_out(1, 1, 0), LeftOut::NoBuilder);
}

/// A few symbols too few do not stay so for ever.
//= docs/spec/storage.md#passes
#[test]
fn a_small_deficit_is_waited_on_and_then_repaired() {
    let mut mesh = Mesh::new(4);
    // 145 of 150.
    mesh.add(1, 100, (0..4).map(|node| (node, symbols(node as u32 * 37..(node as u32 * 37 + 37).min(145)))));
    let limits = Limits { small_deficit_bps: 600, ..Limits::default() };
    mesh.repairers = (0..4).map(|node| Repairer::new(name(node), limits, at(0))).collect();
    for node in 0..4 {
        let plan = mesh.cycle(node, Circumstances::default(), 0);
        assert_eq!(plan.left_out.get(&subject(1)), Some(&LeftOut::Patience { until: at(3_600) }));
    }
    assert_eq!(mesh.round(3_599), 0);
    assert_eq!(mesh.round(3_600), 1);
    assert_eq!(mesh.round(3_660), 0);
}

/// Somebody is to have an object, and gets all of it; who may not, gets nothing.
//= docs/spec/storage.md#pre-staging
#[test]
fn what_is_wanted_somewhere_is_brought_there_unless_it_may_not_be_there() {
    let mut mesh = Mesh::new(5);
    mesh.add(1, 250, [(0, Share::Whole)]);
    mesh.inventory.want_at(&subject(1), [name(3), name(4)].into()).unwrap();
    mesh.devices.get_mut(&name(4)).unwrap().class = DeviceClass::Phone;
    let excluded = vec![Selector::Class(DeviceClass::Phone)];
    mesh.inventory
        .set_policy(&subject(1), Some(PlacementPolicy { excluded, ..PlacementPolicy::default() }))
        .unwrap();
    let mut now = 0;
    while mesh.round(now) > 0 {
        now += 60;
        assert!(now < 3_600);
    }
    let item = mesh.inventory.item(&subject(1)).unwrap();
    assert_eq!(item.shares[&name(3)].lacking(item.information), 0);
    assert!(!item.shares.contains_key(&name(4)));
}

/// A cycle looks at so many objects, and all get their turn; what cannot be helped crowds out nothing that can.
//= docs/spec/storage.md#passes
#[test]
fn work_is_bounded_and_nobody_starves() {
    let mut mesh = Mesh::with(4, Limits { scan: 8, due: 4, per_minute: 2_000, ..Limits::default() });
    for number in 0..200 {
        match number {
            // Lost, as far as can be seen: the most urgent, and nothing to be done.
            0..100 => mesh.add(number, 10, [(0, symbols(0..4))]),
            _ => mesh.add(number, 10, [(0, Share::Whole), (1, Share::Whole)]),
        }
    }
    for now in 0..400 {
        mesh.round(now);
        let (due, under_way) = mesh.repairers[0].size();
        assert!(due <= 4 && under_way <= 10);
    }
    for number in 100..200 {
        assert!(mesh.inventory.item(&subject(number)).unwrap().shares.len() >= 3, "{number}");
    }
}

#[test]
fn a_pass_ends_and_begins_again() {
    let mut mesh = Mesh::with(2, Limits { scan: 3, ..Limits::default() });
    (0..7).for_each(|number| mesh.add(number, 1, [(0, Share::Whole)]));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let now = mesh.repairers[0].deadline();
        mesh.cycle(0, Circumstances::default(), now.as_nanos() / 1_000_000_000);
        seen.push((now.as_nanos() / 1_000_000_000, mesh.repairers[0].size().0));
    }
    assert_eq!(seen, [(0, 3), (1, 6), (2, 7), (60, 7)]);
}

/// Nodes leave for long, come back, and lose what they had: the objects are always there, coverage comes back, and then
/// there is peace.
//= docs/spec/storage.md#passes
#[test]
fn churn_loses_nothing_and_ends() {
    let mut mesh = Mesh::new(5);
    (0..6).for_each(|number| {
        mesh.add(number, 1 + u64::from(number) * 7, [(usize::from(number) % 5, Share::Whole)])
    });
    let away = crate::sync::placement::AWAY_COUNTS.as_secs();
    let mut now = 0;
    for turn in 0..12 {
        now += 60;
        let mut rounds = 0;
        while mesh.round(now) > 0 {
            rounds += 1;
            now += 60;
            assert!(rounds < 20, "it never ends");
        }
        for (subject, item) in mesh.inventory.after(None) {
            let coverage = crate::sync::coverage::Coverage::of(item.information, item.shares.values());
            assert!(coverage.survives_a_loss, "{subject:?} in turn {turn}");
        }
        let node = name(turn % 5);
        if turn % 2 == 0 {
            // Its disk is lost.
            mesh.inventory.forget_node(&node, None, 100);
        } else {
            mesh.devices.get_mut(&node).unwrap().presence = Presence::Away { since: at(now) };
            now += away;
            while mesh.round(now) > 0 {
                now += 60;
            }
            mesh.devices.get_mut(&node).unwrap().presence = Presence::Here;
        }
    }
}

/// What a node is about to delete it does not make anew.
//= docs/spec/storage.md#who-repairs
#[test]
fn what_is_condemned_is_not_repaired() {
    let mut mesh = Mesh::new(4);
    mesh.add(1, 10, [(0, Share::Whole)]);
    mesh.inventory.condemn(&subject(1), true);
    assert_eq!(mesh.cycle(0, Circumstances::default(), 0), Plan::default());
    mesh.inventory.condemn(&subject(1), false);
    assert_eq!(mesh.cycle(0, Circumstances::default(), 60).repairs.len(), 1);
}
