use alloc::vec;

use fcp_proto_core::time::Instant;
use proptest::prelude::*;

use super::*;
use crate::persist::Refusal;

const QUICK: Limits = Limits {
    objects: 64,
    refs: 256,
    work: 3,
    batch: 2,
    grace: Duration::from_secs(10),
    quarantine_secs: 100,
    settle: Duration::from_secs(50),
};

fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([number; 32])
}

fn at(seconds: u64) -> Now {
    Now { mono: Instant::from_nanos(seconds * 1_000_000_000), unix: UnixTime::from_secs(1_000_000 + seconds) }
}

/// A collector, and the disk behind it.
struct Node {
    collector: Collector,
    /// What the records say: the objects, and since when they are condemned.
    records: BTreeMap<ObjectId, Option<UnixTime>>,
    /// What there are bytes of, and their references.
    bytes: BTreeMap<ObjectId, Vec<ObjectId>>,
    waiting: Vec<(BatchToken, Change)>,
    deleted: Vec<ObjectId>,
    now: u64,
}

impl Node {
    fn new(limits: Limits) -> Self {
        Self {
            collector: Collector::new(limits),
            records: BTreeMap::new(),
            bytes: BTreeMap::new(),
            waiting: Vec::new(),
            deleted: Vec::new(),
            now: 0,
        }
    }

    /// Objects in a chain, 1 to 2 to 3 and so on, of which the first is the checkpoint; and one that stands alone.
    fn chain(count: u8) -> Self {
        let mut node = Self::new(QUICK);
        (1..=count)
            .for_each(|number| node.insert(number, if number < count { vec![number + 1] } else { vec![] }));
        node.insert(0, vec![]);
        node.collector.set_checkpoint(id(1));
        node
    }

    fn insert(&mut self, number: u8, refs: Vec<u8>) {
        let refs: Vec<_> = refs.into_iter().map(id).collect();
        if self.collector.insert(id(number), Some(refs.clone()), at(self.now)).is_ok() {
            self.records.entry(id(number)).or_insert(None);
            self.bytes.insert(id(number), refs);
        }
    }

    fn step(&mut self) -> Progress {
        let mut out = Vec::new();
        let progress = self.collector.step(at(self.now), &mut out);
        for output in out {
            match output {
                Output::Persist { batch, change } => self.waiting.push((batch, change)),
                Output::Delete(objects) => {
                    for object in objects {
                        assert!(!self.records.contains_key(&object), "a record without bytes");
                        self.bytes.remove(&object);
                        self.deleted.push(object);
                    }
                }
            }
        }
        progress
    }

    fn store(&mut self, completion: Completion) {
        if self.waiting.is_empty() {
            return;
        }
        let (batch, change) = self.waiting.remove(0);
        if completion == Completion::Durable {
            match change {
                Change::Condemn { since, objects } => {
                    objects.iter().for_each(|it| _ = self.records.insert(*it, Some(since)))
                }
                Change::Keep(objects) => objects.iter().for_each(|it| _ = self.records.insert(*it, None)),
                Change::Forget(objects) => objects.iter().for_each(|it| _ = self.records.remove(it)),
            }
        }
        self.collector.handle_stored(batch, completion);
    }

    /// A whole cycle, with a disk that works.
    fn cycle(&mut self) -> Result<(), Refused> {
        self.collector.begin(at(self.now))?;
        for _ in 0..10_000 {
            if self.step() == Progress::Resting {
                return Ok(());
            }
            self.store(Completion::Durable);
        }
        panic!("a cycle never ends");
    }

    fn later(&mut self, seconds: u64) -> &mut Self {
        self.now += seconds;
        self
    }

    /// The process dies: what is left are records and bytes; bytes without a record are taken in anew.
    fn crash(&mut self, limits: Limits) {
        let checkpoint = self.collector.checkpoint;
        self.waiting.clear();
        self.collector = Collector::new(limits);
        for (object, refs) in &self.bytes {
            self.collector.insert(*object, Some(refs.clone()), at(self.now)).unwrap();
            if let Some(since) = self.records.entry(*object).or_insert(None) {
                self.collector.restore_condemned(object, *since, at(self.now));
            }
        }
        if let Some(checkpoint) = checkpoint {
            self.collector.set_checkpoint(checkpoint);
        }
    }
}

/// What nothing refers to goes after its time, and not before.
//= docs/spec/storage.md#verdicts
#[test]
fn what_nothing_refers_to_is_condemned_and_a_day_later_deleted() {
    let mut node = Node::chain(4);
    node.later(9).cycle().unwrap();
    assert_eq!(node.collector.standing(&id(0), at(9)), Some(Standing::Young));
    node.later(1).cycle().unwrap();
    assert_eq!(node.records[&id(0)], Some(at(10).unix));
    assert_eq!(node.collector.standing(&id(0), at(10)), Some(Standing::Condemned { since: at(10).unix }));
    node.later(99).cycle().unwrap();
    assert_eq!(node.deleted, []);
    node.later(1).cycle().unwrap();
    assert_eq!(node.deleted, [id(0)]);
    assert_eq!(node.collector.len(), 4);
    assert_eq!(node.collector.standing(&id(1), at(110)), Some(Standing::Checkpoint));
    assert_eq!(node.collector.standing(&id(4), at(110)), Some(Standing::Reachable));
}

//= docs/spec/storage.md#roots
#[test]
fn without_a_root_nothing_is_collected() {
    let mut node = Node::new(QUICK);
    node.insert(0, vec![]);
    node.later(1_000);
    assert_eq!(node.cycle(), Err(Refused::NoCheckpoint));
    node.collector.set_checkpoint(id(9));
    assert_eq!(node.cycle(), Err(Refused::CheckpointMissing));
    node.collector.insert(id(9), None, at(node.now)).unwrap();
    assert_eq!(node.cycle(), Err(Refused::CheckpointMissing));
    node.insert(9, vec![]);
    assert_eq!(node.cycle(), Ok(()));
    assert_eq!(node.collector.begin(at(node.now)), Ok(()));
    assert_eq!(node.collector.begin(at(node.now)), Err(Refused::Busy));
}

/// Between the checkpoint and an old object stands one that is not here: it might refer to anything.
//= docs/spec/storage.md#marking
#[test]
fn while_something_reachable_is_unknown_nothing_is_condemned() {
    let mut node = Node::chain(1);
    node.insert(1, vec![2]);
    node.insert(3, vec![]);
    node.later(1_000).cycle().unwrap();
    assert_eq!(node.collector.missing().collect::<Vec<_>>(), [&id(2)]);
    assert!(node.records.values().all(Option::is_none));
    // Symbols of it tell as little.
    node.collector.insert(id(2), None, at(node.now)).unwrap();
    node.later(1_000).cycle().unwrap();
    assert!(node.records.values().all(Option::is_none));
    node.insert(2, vec![3]);
    node.later(1_000).cycle().unwrap();
    assert_eq!(
        node.records.iter().filter(|(_, since)| since.is_some()).map(|(id, _)| *id).collect::<Vec<_>>(),
        [id(0)]
    );
}

/// A lease that ends at t keeps it at t − 1, and no more at t.
//= docs/spec/storage.md#roots
#[test]
fn pins_leases_and_uses_keep_what_they_are_on_and_all_it_refers_to() {
    let kept = |root: fn(&mut Node), let_go: fn(&mut Node)| {
        let mut node = Node::chain(1);
        node.insert(5, vec![6]);
        node.insert(6, vec![]);
        root(&mut node);
        node.later(100).cycle().unwrap();
        assert_eq!((node.records[&id(5)], node.records[&id(6)]), (None, None));
        let_go(&mut node);
        node.cycle().unwrap();
        assert_eq!(
            (node.records[&id(5)], node.records[&id(6)]),
            (Some(at(node.now).unix), Some(at(node.now).unix))
        );
    };
    kept(|node| node.collector.pin(id(5)).unwrap(), |node| node.collector.unpin(&id(5)));
    kept(|node| node.collector.begin_use(id(5)).unwrap(), |node| node.collector.end_use(&id(5)));
    kept(|node| node.collector.lease(id(5), at(101).unix).unwrap(), |node| _ = node.later(1));
    let mut node = Node::chain(1);
    assert_eq!(node.collector.pin(id(9)), Err(IndexError::NotThere));
    assert_eq!(node.collector.begin_use(id(9)), Err(IndexError::NotThere));
    assert_eq!(node.collector.lease(id(9), at(9).unix), Err(IndexError::NotThere));
}

/// A use that begins at any moment until the deletion, on what refers to a condemned object, saves it.
//= docs/spec/storage.md#deletion
#[test]
fn a_use_saves_what_it_needs_until_the_last_moment() {
    for moment in 0..40 {
        let mut node = Node::chain(1);
        node.insert(5, vec![6]);
        node.insert(6, vec![7]);
        node.insert(7, vec![]);
        node.later(20).cycle().unwrap();
        node.later(200).collector.begin(at(220)).unwrap();
        let mut used = None;
        for step in 0..80 {
            if step == moment && node.deleted.is_empty() {
                used = Some(node.collector.begin_use(id(5)));
            }
            if step % 2 == 0 {
                node.step();
            } else if step > 30 {
                node.store(Completion::Durable);
            }
        }
        if used == Some(Ok(())) {
            assert!([5, 6, 7].iter().all(|number| node.bytes.contains_key(&id(*number))), "moment {moment}");
            assert!(
                [5, 6, 7].iter().all(|number| node.records.contains_key(&id(*number))),
                "moment {moment}"
            );
        }
        assert!(!node.deleted.is_empty());
    }
}

/// So does an object that comes and refers to it, and one whose references become known.
//= docs/spec/storage.md#marking
#[test]
fn what_comes_saves_what_it_refers_to_until_the_last_moment() {
    for moment in 0..40 {
        let mut node = Node::chain(1);
        node.insert(6, vec![7]);
        node.insert(7, vec![]);
        node.later(20).cycle().unwrap();
        node.later(200).collector.begin(at(220)).unwrap();
        let mut came = false;
        for step in 0..80 {
            if step == moment && node.deleted.is_empty() {
                came = true;
                node.insert(5, vec![6]);
            }
            if step % 2 == 0 {
                node.step();
            } else if step > 30 {
                node.store(Completion::Durable);
            }
        }
        let is_kept = |number| node.bytes.contains_key(&id(number)) && node.records.contains_key(&id(number));
        assert!(!came || is_kept(6) && is_kept(7), "moment {moment}");
        assert!(!node.deleted.is_empty());
    }
}

/// A disk that refuses deletes nothing, and condemns nothing for after a restart.
//= docs/spec/storage.md#deletion
#[test]
fn nothing_is_deleted_before_its_record_is_durably_gone() {
    for completion in [Completion::Refused(Refusal::Full), Completion::Failed] {
        let mut node = Node::chain(1);
        node.later(20).collector.begin(at(20)).unwrap();
        (0..20).for_each(|_| _ = node.step());
        node.store(completion);
        (0..20).for_each(|_| _ = node.step());
        assert_eq!(node.collector.standing(&id(0), at(20)), Some(Standing::Unreached));
        node.cycle().unwrap();
        node.later(200).collector.begin(at(220)).unwrap();
        (0..20).for_each(|_| _ = node.step());
        assert_eq!(node.step(), Progress::Waiting);
        assert_eq!(node.deleted, []);
        node.store(completion);
        (0..20).for_each(|_| _ = node.step());
        assert_eq!((node.step(), node.deleted.clone()), (Progress::Resting, vec![]));
        node.cycle().unwrap();
        assert_eq!(node.deleted, [id(0)]);
    }
}

/// A wall clock that jumps a year deletes nothing by itself, nor does one that goes back revive a lease.
//= docs/spec/storage.md#verdicts
#[test]
fn a_wall_clock_that_is_set_deletes_nothing_by_itself() {
    let mut node = Node::chain(1);
    node.later(20).cycle().unwrap();
    let ahead = Now { unix: at(40_000_000).unix, ..at(69) };
    node.collector.begin(ahead).unwrap();
    let mut out = Vec::new();
    while node.collector.step(ahead, &mut out) == Progress::Working {}
    assert_eq!(out, []);
    node.later(50).cycle().unwrap();
    assert_eq!(node.deleted, [id(0)]);
}

/// Condemned, and wanted again by the next checkpoint: it is kept as if nothing had been.
#[test]
fn what_is_referred_to_again_is_reprieved() {
    let mut node = Node::chain(1);
    node.later(20).cycle().unwrap();
    assert!(node.records[&id(0)].is_some());
    node.insert(8, vec![1, 0]);
    node.collector.set_checkpoint(id(8));
    node.later(200).cycle().unwrap();
    assert_eq!((node.records[&id(0)], node.deleted.len()), (None, 0));
}

/// A restart neither forgets that something is condemned nor counts the time before it twice.
#[test]
fn a_restart_goes_on_where_it_was() {
    let mut node = Node::chain(1);
    node.later(20).cycle().unwrap();
    node.later(80);
    node.crash(QUICK);
    node.later(20).cycle().unwrap();
    assert_eq!(node.deleted, [], "the clock of this run says too little");
    node.later(30).cycle().unwrap();
    assert_eq!(node.deleted, [id(0)]);
}

//= docs/spec/storage.md#bounds
#[test]
fn the_index_is_bounded() {
    let mut collector = Collector::new(Limits { objects: 2, refs: 3, ..QUICK });
    let refs = |count| Some(vec![id(9); count]);
    assert_eq!(collector.insert(id(1), refs(2), at(0)), Ok(()));
    assert_eq!(collector.insert(id(2), refs(2), at(0)), Err(IndexError::Full));
    assert_eq!(collector.insert(id(1), refs(3), at(0)), Ok(()));
    assert_eq!(collector.insert(id(2), None, at(0)), Ok(()));
    assert_eq!(collector.insert(id(3), None, at(0)), Err(IndexError::Full));
}

/// The plain truth: everything that roots lead to.
fn reachable(node: &Node) -> BTreeSet<ObjectId> {
    let now = at(node.now);
    let roots = node.collector.objects.iter().filter(|(_, entry)| {
        entry.is_pinned
            || entry.uses > 0
            || entry.leased_until.is_some_and(|until| now.unix < until)
            || now.mono.saturating_since(entry.arrived) < QUICK.grace
    });
    let mut open: Vec<_> = roots.map(|(id, _)| *id).chain(node.collector.checkpoint).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(node.bytes.get(&id).into_iter().flatten());
        }
    }
    seen
}

proptest! {
    /// Whatever happens in whatever order, nothing that is reachable is ever deleted, no record is without bytes, work and
    /// memory are bounded; and in peace all that is not reachable goes.
    //= docs/spec/storage.md#marking
    #[test]
    fn nothing_reachable_is_ever_deleted(steps in prop::collection::vec((0_u8..16, 0_u8..12, 0_u8..12), 1..200)) {
        let mut node = Node::chain(3);
        for (what, one, other) in steps {
            match what {
                0 | 1 => node.insert(one, vec![other, (one + other) % 12]),
                2 => _ = node.collector.pin(id(one)),
                3 => node.collector.unpin(&id(one)),
                4 => _ = node.collector.lease(id(one), at(node.now + u64::from(other) * 5).unix),
                5 => _ = node.collector.begin_use(id(one)),
                6 => node.collector.end_use(&id(one)),
                7 if node.bytes.contains_key(&id(one)) => node.collector.set_checkpoint(id(one)),
                8 => _ = node.collector.begin(at(node.now)),
                9 => _ = node.later(u64::from(other) * 12),
                10 => node.store(Completion::Refused(Refusal::Full)),
                11 if other == 0 => node.crash(QUICK),
                12 => (0..one).for_each(|_| node.store(Completion::Durable)),
                _ => {
                    let (reachable, deleted) = (reachable(&node), node.deleted.len());
                    node.step();
                    for object in &node.deleted[deleted..] {
                        prop_assert!(!reachable.contains(object), "{object} was reachable");
                    }
                    prop_assert!(node.collector.batches.len() <= MAX_BATCHES + 3);
                }
            }
            prop_assert!(node.collector.frontier.len() <= 3 * node.collector.len() + 200);
        }
        // Peace: all that is referred to is here, and no root but the checkpoint is left.
        let all: Vec<_> = (0..12).filter(|number| !node.bytes.contains_key(&id(*number))).collect();
        all.into_iter().for_each(|number| node.insert(number, vec![]));
        for number in 0..12 {
            node.collector.unpin(&id(number));
            (0..200).for_each(|_| node.collector.end_use(&id(number)));
        }
        for _ in 0..200 {
            node.step();
            node.store(Completion::Durable);
        }
        for _ in 0..3 {
            node.later(200).cycle().unwrap();
        }
        let reachable = reachable(&node);
        prop_assert!(node.bytes.keys().all(|id| reachable.contains(id)));
        prop_assert!(node.records.keys().eq(node.bytes.keys()));
    }
}
