//! Storage of four nodes, played by a schedule: who is away, whose disk is lost, what is repaired, condemned and deleted.

use std::collections::{BTreeMap, BTreeSet};

use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::symbol::TransmissionInformation;
use fcp_proto_core::time::{Instant, Now, UnixTime};
use fcp_state_machines::persist::{BatchToken, Completion, Refusal};
use fcp_state_machines::sync::collection::{Change, Collector, Limits as CollectorLimits, Output, Progress};
use fcp_state_machines::sync::coverage::{Coverage, Share, SymbolSet};
use fcp_state_machines::sync::inventory::Inventory;
use fcp_state_machines::sync::placement::{Device, DeviceClass, Devices, PlacementPolicy, Presence, Supply};
use fcp_state_machines::sync::repair::{Circumstances, Ending, Limits, Repair, Repairer, World};
use fcp_state_machines::trust::lease::Subject;

/// Steps of a schedule that are played.
const MAX_STEPS: usize = 200;

/// Nodes.
const NODES: usize = 4;

/// What each object refers to; the first is the checkpoint, and nothing leads to the last.
const REFS: [&[usize]; 5] = [&[1, 2], &[3], &[], &[2], &[1]];

/// Seconds from one step of the peace at the end to the next: a condemned object is deleted on the way.
const PEACE: u64 = 6 * 3_600;

/// Nothing reachable is lost but to disks, and what is there comes to what its policy wants.
pub(crate) fn schedule(input: &[u8]) {
    let (kind, steps) = input.split_first().unwrap_or((&0, &[]));
    let mut play = Play::new(*kind);
    for step in steps.as_chunks().0.iter().take(MAX_STEPS) {
        play.step(*step);
    }
    play.settle();
}

struct Node {
    repairer: Repairer,
    collector: Collector,
    inventory: Inventory,
    disk: BTreeMap<usize, Share>,
    waiting: Vec<(BatchToken, Change)>,
}

struct Play {
    nodes: Vec<Node>,
    devices: Devices,
    information: TransmissionInformation,
    seconds: u64,
}

impl Play {
    fn new(kind: u8) -> Self {
        let symbols = 1 + u64::from(kind % 8);
        let information = TransmissionInformation::new(symbols * 16, 16).expect("a small object");
        let mut play = Self {
            nodes: (0..NODES).map(Node::new).collect(),
            devices: (0..NODES).map(|node| (name(node), device(node))).collect(),
            information,
            seconds: 0,
        };
        for node in &mut play.nodes {
            for object in 0..REFS.len() {
                node.learn(object, information, Now::default());
            }
            node.collector.set_checkpoint(id(0));
        }
        for object in 0..REFS.len() {
            let maker = (usize::from(kind >> 3) + object) % NODES;
            play.nodes[maker].disk.insert(object, Share::Whole);
            play.report(maker);
        }
        play
    }

    fn step(&mut self, [what, how]: [u8; 2]) {
        let (before, how) = (self.kept(), usize::from(how));
        let (node, more) = (how % NODES, how / NODES);
        let mut lost = None;
        match what % 10 {
            0 => self.presence(node, more % 2 == 0),
            1 => {
                self.nodes[node].disk.retain(|object, _| more >> object & 1 == 0);
                lost = Some(node);
            }
            2 => self.report(node),
            3 => self.devices.get_mut(&name(node)).expect("a device").free_bytes = more as u64 * 40,
            4 => self.repair(node, more),
            5 => self.begin(node),
            6 => (0..=more).for_each(|_| _ = self.collect(node)),
            7 => self.nodes[node].store(if more == 0 {
                Completion::Refused(Refusal::Full)
            } else {
                Completion::Durable
            }),
            8 => self.hold(node, more),
            _ => self.seconds += 1 << (how % 18),
        }
        self.nothing_is_lost_but_to(lost, &before);
    }

    /// Symbols that each node has of what is reachable.
    fn kept(&self) -> Vec<BTreeMap<usize, SymbolSet>> {
        let reachable = |object: &usize| *object < REFS.len() - 1;
        let of = |node: &Node| {
            let shares = node.disk.iter().filter(|(object, _)| reachable(object));
            shares.map(|(object, share)| (*object, share.symbols(self.information).into_owned())).collect()
        };
        self.nodes.iter().map(of).collect()
    }

    fn nothing_is_lost_but_to(&self, lost: Option<usize>, before: &[BTreeMap<usize, SymbolSet>]) {
        let after = self.kept();
        for (node, (before, after)) in before.iter().zip(&after).enumerate() {
            for (object, symbols) in before.iter().filter(|_| lost != Some(node)) {
                let left = after.get(object).is_some_and(|left| symbols.iter().all(|id| left.contains(id)));
                assert!(left, "node {node} lost some of {object}");
            }
        }
    }

    fn presence(&mut self, node: usize, here: bool) {
        let since = self.now().mono;
        let presence = if here { Presence::Here } else { Presence::Away { since } };
        self.devices.get_mut(&name(node)).expect("a device").presence = presence;
    }

    /// All learn what a node has.
    fn report(&mut self, node: usize) {
        let disk = self.nodes[node].disk.clone();
        for knower in &mut self.nodes {
            for object in 0..REFS.len() {
                let share = disk.get(&object).cloned().unwrap_or(Share::Symbols(SymbolSet::default()));
                // Whoever deleted it does not know it any more.
                _ = knower.inventory.report(&subject(object), &name(node), share);
            }
        }
    }

    fn repair(&mut self, node: usize, how: usize) {
        if !self.devices[&name(node)].is_here() {
            return;
        }
        let circumstances = Circumstances { is_metered: how % 2 == 1, ..Circumstances::default() };
        let now = self.now().mono;
        let Node { repairer, inventory, .. } = &mut self.nodes[node];
        let plan = repairer.cycle(World { inventory, devices: &self.devices }, circumstances, now);
        assert!(plan.repairs.iter().all(|repair| !circumstances.is_scarce() || !repair.urgency.can_wait()));
        for repair in plan.repairs {
            let ending = if self.carry_out(node, &repair) { Ending::Done } else { Ending::Failed };
            self.nodes[node].repairer.finished(&repair.subject, ending, now);
        }
    }

    /// Whether all of a repair could be done: who is to build it can, and all who are given something take it.
    fn carry_out(&mut self, builder: usize, repair: &Repair) -> bool {
        let object = (0..REFS.len()).find(|object| subject(*object) == repair.subject).expect("an object");
        let here = (0..NODES).filter(|node| self.devices[&name(*node)].is_here());
        let shares = here.filter_map(|node| self.nodes[node].disk.get(&object));
        if !Coverage::of(self.information, shares).is_there() {
            return false;
        }
        let now = self.now();
        let mut all = true;
        for (target, symbols) in &repair.gives {
            let node = (0..NODES).find(|node| name(*node) == *target).expect("a node");
            assert!(self.devices[target].is_here(), "{target} is not there");
            let condemned =
                self.nodes[node].inventory.item(&subject(object)).is_none_or(|it| it.is_condemned);
            if condemned && node != builder {
                all = false;
                continue;
            }
            self.nodes[node].learn(object, self.information, now);
            match self.nodes[node].disk.entry(object).or_insert(Share::Symbols(SymbolSet::default())) {
                Share::Whole => (),
                Share::Symbols(set) => set.extend(symbols),
            }
            self.report(node);
        }
        all
    }

    fn begin(&mut self, node: usize) {
        let now = self.now();
        // Whether it is refused is the collector's affair.
        _ = self.nodes[node].collector.begin(now);
    }

    fn collect(&mut self, node: usize) -> Progress {
        let (now, mut out) = (self.now(), Vec::new());
        let node = &mut self.nodes[node];
        let progress = node.collector.step(now, &mut out);
        for output in out {
            match output {
                Output::Persist { batch, change } => {
                    node.standing(&change);
                    node.waiting.push((batch, change));
                }
                Output::Delete(objects) => {
                    for object in (0..REFS.len()).filter(|object| objects.contains(&id(*object))) {
                        node.disk.remove(&object);
                        node.inventory.forget(&subject(object));
                    }
                }
            }
        }
        progress
    }

    /// A lease on something, or a use that begins or ends.
    fn hold(&mut self, node: usize, how: usize) {
        let (object, now) = (id(how % REFS.len()), self.now());
        let collector = &mut self.nodes[node].collector;
        match how / REFS.len() % 3 {
            0 => _ = collector.lease(object, now.unix.saturating_add(600)),
            1 => _ = collector.begin_use(object),
            _ => collector.end_use(&object),
        }
    }

    /// All are there and have room, no disk fails, and nothing is used: then all that is still there is kept as it should
    /// be, and what nothing leads to is gone.
    fn settle(&mut self) {
        for node in 0..NODES {
            self.presence(node, true);
            self.devices.get_mut(&name(node)).expect("a device").free_bytes = 1 << 20;
            for object in 0..REFS.len() {
                (0..MAX_STEPS).for_each(|_| self.nodes[node].collector.end_use(&id(object)));
            }
        }
        for _ in 0..9 {
            self.seconds += PEACE;
            for node in 0..NODES {
                self.report(node);
                self.repair(node, 0);
                self.begin(node);
                while self.collect(node) != Progress::Resting {
                    self.nodes[node].store(Completion::Durable);
                }
            }
        }
        let policy = PlacementPolicy::default();
        for object in 0..REFS.len() {
            let shares: Vec<_> = self.nodes.iter().filter_map(|node| node.disk.get(&object)).collect();
            let coverage = Coverage::of(self.information, shares.iter().copied());
            if object == REFS.len() - 1 {
                assert!(shares.is_empty(), "nothing leads to it, and it is still there");
            } else if coverage.is_there() {
                assert!(
                    coverage.survives_a_loss && shares.len() >= usize::from(policy.min_nodes),
                    "{coverage:?}"
                );
                assert!(coverage.distinct_bps >= policy.target_coverage_bps, "{coverage:?}");
            }
        }
    }

    fn now(&self) -> Now {
        let mono = Instant::from_nanos(self.seconds * 1_000_000_000);
        Now { mono, unix: UnixTime::from_secs(1_800_000_000 + self.seconds) }
    }
}

impl Node {
    fn new(number: usize) -> Self {
        let mut inventory = Inventory::new(REFS.len());
        inventory.set_zone_policy(zone(), PlacementPolicy::default()).expect("a policy");
        Self {
            repairer: Repairer::new(name(number), Limits::default(), Instant::default()),
            collector: Collector::new(CollectorLimits { work: 12, batch: 2, ..CollectorLimits::default() }),
            inventory,
            disk: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    fn learn(&mut self, object: usize, information: TransmissionInformation, now: Now) {
        let refs = REFS[object].iter().map(|object| id(*object)).collect();
        self.collector.insert(id(object), Some(refs), now).expect("room");
        self.inventory.learn(subject(object), information).expect("room");
    }

    /// What the collector decided, for the inventory.
    fn standing(&mut self, change: &Change) {
        let (objects, is_condemned) = match change {
            Change::Condemn { objects, .. } | Change::Forget(objects) => (objects, true),
            Change::Keep(objects) => (objects, false),
        };
        let named: BTreeSet<_> = objects.iter().collect();
        for object in (0..REFS.len()).filter(|object| named.contains(&id(*object))) {
            self.inventory.condemn(&subject(object), is_condemned);
        }
    }

    fn store(&mut self, completion: Completion) {
        if self.waiting.is_empty() {
            return;
        }
        let (batch, change) = self.waiting.remove(0);
        let undone = completion != Completion::Durable && matches!(change, Change::Condemn { .. });
        self.collector.handle_stored(batch, completion);
        if undone && let Change::Condemn { objects, .. } = change {
            self.standing(&Change::Keep(objects));
        }
    }
}

fn device(node: usize) -> Device {
    Device {
        class: DeviceClass::Server,
        location: Some(String::from(if node.is_multiple_of(2) { "home" } else { "office" })),
        tags: BTreeSet::new(),
        capabilities: BTreeSet::new(),
        stores: [zone()].into(),
        free_bytes: 1 << 20,
        presence: Presence::Here,
        supply: Supply::Ample,
    }
}

fn name(number: usize) -> NodeId {
    NodeId::new(format!("n{number}")).expect("a name")
}

fn zone() -> ZoneId {
    ZoneId::new("z:work").expect("a zone")
}

fn id(object: usize) -> ObjectId {
    ObjectId::from_bytes([object as u8 + 1; 32])
}

fn subject(object: usize) -> Subject {
    Subject { zone: zone(), object: id(object) }
}
