use alloc::format;
use core::time::Duration;

use proptest::prelude::*;

use super::*;

/// What is to be seen after a change.
type Case<Seen, Of> = (Seen, fn(&mut Of));

fn name(number: usize) -> NodeId {
    NodeId::new(format!("n{number:02}")).unwrap()
}

fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([number; 32])
}

fn zone() -> ZoneId {
    ZoneId::new("z:work").unwrap()
}

fn connector() -> ConnectorId {
    ConnectorId::new("mail").unwrap()
}

fn demand() -> Demand {
    Demand {
        zone: zone(),
        connector: connector(),
        min_version: None,
        memory_mib: 100,
        cores: 1,
        gpu_mib: None,
        needs_mains: false,
        required: [].into(),
        preferred: [].into(),
        secret: None,
        holder: None,
        excluded: [].into(),
        relay: Relay::Allowed,
    }
}

fn profile() -> Profile {
    Profile {
        zones: [zone()].into(),
        connectors: [(connector(), "1.2.3".parse().ok())].into(),
        memory_mib: 100,
        cores: 1,
        gpu_mib: None,
        power: Power::Mains,
        is_metered: false,
        path: Path::Local,
        availability: Availability::Always,
        health: Health::Well,
        objects: [].into(),
        secrets: [].into(),
        leases: 0,
        age: Duration::ZERO,
    }
}

fn rank(demand: &Demand, profiles: impl IntoIterator<Item = Profile>) -> Ranking {
    Ranking::new(demand, &profiles.into_iter().enumerate().map(|(node, it)| (name(node), it)).collect())
}

/// Each requirement alone rules a node out that is sound otherwise.
//= docs/spec/planner.md#requirements
#[test]
fn each_requirement_rules_out_whoever_does_not_meet_it() {
    assert_eq!(rank(&demand(), [profile()]).placement(), Placement::On(&name(0)));
    let by_demand: [Case<Refusal, Demand>; 9] = [
        (Refusal::Excluded, |it| _ = it.excluded.insert(name(0))),
        (Refusal::Version, |it| it.min_version = "1.2.4".parse().ok()),
        (Refusal::Memory, |it| it.memory_mib = 101),
        (Refusal::Cores, |it| it.cores = 2),
        (Refusal::Gpu, |it| it.gpu_mib = Some(0)),
        (Refusal::Objects, |it| _ = it.required.insert(id(1))),
        (Refusal::Secret, |it| it.secret = Some(id(1))),
        (Refusal::Lease, |it| it.holder = Some(name(1))),
        (Refusal::Zone, |it| it.zone = ZoneId::new("z:private").unwrap()),
    ];
    for (refusal, change) in by_demand {
        let mut demand = demand();
        change(&mut demand);
        let ranking = rank(&demand, [profile()]);
        assert_eq!(ranking.placement(), Placement::Nowhere);
        assert_eq!(ranking.refused, [(name(0), [refusal].into())].into());
    }
    let by_profile: [Case<Refusal, Profile>; 5] = [
        (Refusal::Connector, |it| it.connectors.clear()),
        (Refusal::Unreachable, |it| it.path = Path::None),
        (Refusal::Unreachable, |it| it.path = Path::Relay),
        (Refusal::CrashLoop, |it| it.health = Health::CrashLoop),
        (Refusal::Mains, |it| it.power = Power::Battery { percent: 100 }),
    ];
    for (refusal, change) in by_profile {
        let (mut demand, mut profile) = (demand(), profile());
        (demand.needs_mains, demand.relay) = (true, Relay::Forbidden);
        change(&mut profile);
        assert_eq!(rank(&demand, [profile]).refused, [(name(0), [refusal].into())].into());
    }
    let unversioned = Profile { connectors: [(connector(), None)].into(), ..profile() };
    let demand = Demand { min_version: "0.0.0".parse().ok(), ..demand() };
    assert!(rank(&demand, [unversioned]).refused[&name(0)].contains(&Refusal::Version));
}

/// Each figure alone, against a node that is plain.
//= docs/spec/planner.md#scores
#[test]
fn each_figure_has_its_weight_and_its_reason() {
    let figures: [Case<&[(Adjustment, i32)], Profile>; 9] = [
        (&[(Adjustment::Path, -100)], |it| it.path = Path::Lan),
        (&[(Adjustment::Path, -200)], |it| it.path = Path::Internet),
        (&[(Adjustment::Path, -300), (Adjustment::Relay, -300)], |it| it.path = Path::Relay),
        (&[(Adjustment::Locality, 250), (Adjustment::Objects, 150)], |it| {
            it.objects = [id(1), id(2), id(9)].into()
        }),
        (&[(Adjustment::LowBattery, -400)], |it| it.power = Power::Battery { percent: 19 }),
        (&[(Adjustment::Metered, -150)], |it| it.is_metered = true),
        (&[(Adjustment::BestEffort, -100)], |it| it.availability = Availability::BestEffort),
        (&[(Adjustment::Secret, -150)], |it| it.secrets = [(id(7), 3)].into()),
        (&[(Adjustment::Leases, -100)], |it| it.leases = 2),
    ];
    let demand = Demand { preferred: [id(1), id(2), id(3)].into(), ..demand() };
    for (adjustments, change) in figures {
        let mut profile = profile();
        change(&mut profile);
        let secret = Some(id(7)).filter(|_| !profile.secrets.is_empty());
        let ranking = rank(&Demand { secret, ..demand.clone() }, [profile]);
        assert_eq!(ranking.ranked[0].adjustments, adjustments);
        assert_eq!(ranking.ranked[0].score, BASE + adjustments.iter().map(|(_, by)| by).sum::<i32>());
    }
    let with_gpu = Profile { gpu_mib: Some(8), ..profile() };
    let ranking = rank(&Demand { gpu_mib: Some(8), ..demand }, [with_gpu]);
    assert_eq!(ranking.ranked[0].adjustments, [(Adjustment::Gpu, 200)]);
    let full = Profile { power: Power::Battery { percent: 20 }, ..profile() };
    assert_eq!(rank(&self::demand(), [full]).ranked[0].score, BASE);
}

/// Whoever is not well, or of whom nothing was heard for long, comes after all others, and is not the same as nobody.
//= docs/spec/planner.md#answers
#[test]
fn what_rests_on_an_assumption_says_so() {
    let sick = Profile { health: Health::Degraded, objects: [id(1)].into(), ..profile() };
    let old = Profile { age: Duration::from_secs(301), ..profile() };
    let plain = Profile { path: Path::Relay, ..profile() };
    let demand = Demand { preferred: [id(1)].into(), ..demand() };
    assert_eq!(rank(&demand, [sick.clone(), old.clone(), plain]).placement(), Placement::On(&name(2)));
    let ranking = rank(&demand, [old.clone(), sick]);
    assert_eq!(ranking.placement(), Placement::OnlyAssuming(&name(1), &[Assumption::Health].into()));
    assert_eq!(
        rank(&demand, [old]).placement(),
        Placement::OnlyAssuming(&name(0), &[Assumption::Freshness].into())
    );
    assert_eq!(rank(&demand, []).placement(), Placement::Nowhere);
}

#[test]
fn a_version_is_three_numbers() {
    let version = |text: &str| text.parse::<Version>();
    assert_eq!(version("1.20.3"), Ok(Version { major: 1, minor: 20, patch: 3 }));
    assert!(version("1.9.0").unwrap() < version("1.10.0").unwrap());
    for text in ["", "1", "1.2", "1.2.3.4", "1.2.x", "1..3", "+1.2.3", "1.2.3-rc1", "4294967296.0.0"] {
        assert_eq!(version(text), Err(NoVersion), "{text}");
    }
}

proptest! {
    /// Whatever order nodes become known in, the ranking is one; equal ones are ranked by name, and every node is told of.
    //= docs/spec/planner.md#ranking
    #[test]
    fn the_ranking_is_the_same_in_any_order(
        nodes in prop::collection::vec((0_usize..4, 0_u16..3, any::<bool>(), 0_u32..200), 0..16),
        order in any::<prop::sample::Index>(),
    ) {
        let paths = [Path::Local, Path::Lan, Path::Internet, Path::Relay];
        let profiles: Vec<_> = nodes.iter().enumerate().map(|(number, (path, leases, metered, memory))| {
            (name(number), Profile { path: paths[*path], leases: *leases, is_metered: *metered, memory_mib: *memory, ..profile() })
        }).collect();
        let ranking = Ranking::new(&demand(), &profiles.iter().cloned().collect());
        let mut turned = profiles.clone();
        if !turned.is_empty() {
            let by = order.index(turned.len());
            turned.rotate_left(by);
            turned.reverse();
        }
        prop_assert_eq!(&ranking, &Ranking::new(&demand(), &turned.into_iter().collect()));
        prop_assert!(ranking.ranked.len() <= MAX_RANKED);
        prop_assert_eq!(ranking.ranked.len() + ranking.not_ranked + ranking.refused.len(), profiles.len());
        prop_assert!(ranking.ranked.is_sorted_by_key(|it| (Reverse(it.score), it.node.clone())));
    }
}
