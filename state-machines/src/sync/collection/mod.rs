//! Which objects of a zone nothing refers to any more, and when they are deleted.
//!
//! ```text
//!           nothing refers to it,            a day later still          the record of it
//!           and it is not young              nothing does               is durably gone
//!   live ─────────────────────► condemned ─────────────────► going ─────────────────────► deleted
//!     ▲                             │                           │
//!     └──────── something does ─────┴───────────────────────────┘
//! ```
//!
//! Marking goes on in small steps while objects come and roots change: what comes or becomes a root is marked at once, and
//! what it refers to is followed before anything else is judged. So whatever is reachable when something is deleted has been
//! marked. Where the references of a reachable object are not known, nothing is condemned and nothing deleted.
//!
//! A driver calls [`Collector::begin`] now and then, [`Collector::step`] while that says that there is work, does what the
//! [`Output`]s say, and answers each [`Output::Persist`] by [`Collector::handle_stored`]. Spec: docs/spec/storage.md.

mod entry;
#[cfg(test)]
mod tests;

pub use entry::Standing;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;
use core::time::Duration;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::time::{Now, UnixTime};

use crate::persist::{BatchToken, Completion};
use entry::{Entry, State};

/// Missing objects that are named.
pub const MAX_MISSING: usize = 1_024;

/// Batches that may wait for the disk while more is judged.
const MAX_BATCHES: usize = 4;

/// Bounds and times of a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Objects that it keeps an index of.
    pub objects: usize,
    /// References of all of them.
    pub refs: usize,
    /// Objects and references that one step looks at.
    pub work: usize,
    /// Objects that one batch condemns or forgets.
    pub batch: usize,
    /// How long an object is young after it came: what will refer to it may be on its way.
    pub grace: Duration,
    /// How long it stays condemned before it is deleted, in seconds by the wall clock.
    pub quarantine_secs: u64,
    /// And how long at least by the clock that only runs: a wall clock that was set forward deletes nothing by itself.
    pub settle: Duration,
}

/// Chosen: an hour is longer than any transfer or call; a day of quarantine is a day to notice a mistake.
//= docs/spec/storage.md#bounds
impl Default for Limits {
    fn default() -> Self {
        Self {
            objects: 1_000_000,
            refs: 10_000_000,
            work: 4_096,
            batch: 256,
            grace: Duration::from_secs(3_600),
            quarantine_secs: 24 * 3_600,
            settle: Duration::from_secs(3_600),
        }
    }
}

/// What a driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this durable.
    Persist {
        /// Its name.
        batch: BatchToken,
        /// What.
        change: Change,
    },
    /// Delete the bytes and symbols of these. That they are forgotten is durable: a crash now leaves bytes that no record
    /// names, and never a record without bytes.
    Delete(Vec<ObjectId>),
}

/// What becomes durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// These are condemned since then.
    Condemn {
        /// Since when.
        since: UnixTime,
        /// Which.
        objects: Vec<ObjectId>,
    },
    /// These are kept: they are not condemned, nor forgotten.
    Keep(Vec<ObjectId>),
    /// These are not there any more.
    Forget(Vec<ObjectId>),
}

/// How far a collector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do now.
    Working,
    /// What is to be deleted waits for the disk.
    Waiting,
    /// There is nothing to do until the next cycle.
    Resting,
}

/// Why no cycle begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no checkpoint: nothing says what is reachable.
    NoCheckpoint,
    /// The checkpoint is not here, or what it refers to is not known.
    CheckpointMissing,
    /// A cycle is under way.
    Busy,
}

/// Why an object is not taken into the index, or not found in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexError {
    /// There is no room for another object, or for its references.
    Full,
    /// It is not here, or not any more.
    NotThere,
}

/// Where a cycle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Rest,
    /// Looking for roots after this object.
    Gather(Option<ObjectId>),
    /// Judging the objects after this one.
    Sweep(Option<ObjectId>),
}

/// The collector of one zone.
#[derive(Debug)]
pub struct Collector {
    limits: Limits,
    objects: BTreeMap<ObjectId, Entry>,
    refs: usize,
    checkpoint: Option<ObjectId>,
    /// The wall clock, which never goes back.
    clock: UnixTime,
    cycle: u64,
    phase: Phase,
    /// What is marked, and from which of its references on they have not been followed.
    frontier: Vec<(ObjectId, usize)>,
    missing: BTreeSet<ObjectId>,
    is_incomplete: bool,
    batches: BTreeMap<BatchToken, Change>,
    next_batch: u64,
    /// Forgotten durably, and to be deleted as soon as the frontier is followed.
    forgotten: Vec<ObjectId>,
}

impl Collector {
    /// The collector of a zone without objects.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            objects: BTreeMap::new(),
            refs: 0,
            checkpoint: None,
            clock: UnixTime::from_secs(0),
            cycle: 0,
            phase: Phase::Rest,
            frontier: Vec::new(),
            missing: BTreeSet::new(),
            is_incomplete: false,
            batches: BTreeMap::new(),
            next_batch: 0,
            forgotten: Vec::new(),
        }
    }

    /// An object is here, with the references of its header; `None` while only symbols of it are here. It counts as new.
    ///
    /// # Errors
    /// [`IndexError::Full`].
    //= docs/spec/storage.md#marking
    pub fn insert(&mut self, id: ObjectId, refs: Option<Vec<ObjectId>>, now: Now) -> Result<(), IndexError> {
        let old = self.objects.get(&id).map_or(0, Entry::ref_count);
        let refs = refs.or_else(|| self.objects.get(&id).and_then(|entry| entry.refs.clone()));
        let all = self.refs.saturating_sub(old).saturating_add(refs.as_ref().map_or(0, Vec::len));
        let is_new = !self.objects.contains_key(&id);
        if all > self.limits.refs || (is_new && self.objects.len() >= self.limits.objects) {
            return Err(IndexError::Full);
        }
        self.refs = all;
        let entry = self.objects.entry(id).or_insert_with(|| Entry::new(now.mono));
        let is_known = refs.is_some();
        (entry.refs, entry.arrived, entry.marked) = (refs, now.mono, self.cycle);
        if is_known {
            self.frontier.push((id, 0));
        } else {
            self.lacks(id);
        }
        Ok(())
    }

    /// After a restart: the object was condemned since then.
    pub fn restore_condemned(&mut self, id: &ObjectId, since: UnixTime, now: Now) {
        if let Some(entry) = self.objects.get_mut(id) {
            entry.state = State::Condemned { since, seen: now.mono };
        }
    }

    /// The newest checkpoint of the zone whose certificate was verified.
    pub fn set_checkpoint(&mut self, id: ObjectId) {
        self.checkpoint = Some(id);
        self.reach(id);
    }

    /// The owner of this node wants it kept.
    ///
    /// # Errors
    /// [`IndexError::NotThere`].
    //= docs/spec/storage.md#roots
    pub fn pin(&mut self, id: ObjectId) -> Result<(), IndexError> {
        self.root(id, |entry| entry.is_pinned = true)
    }

    /// It need not be kept any more.
    pub fn unpin(&mut self, id: &ObjectId) {
        if let Some(entry) = self.objects.get_mut(id) {
            entry.is_pinned = false;
        }
    }

    /// A lease wants it kept until then, exclusive; the latest end counts.
    ///
    /// # Errors
    /// [`IndexError::NotThere`].
    //= docs/spec/storage.md#roots
    pub fn lease(&mut self, id: ObjectId, until: UnixTime) -> Result<(), IndexError> {
        self.root(id, |entry| entry.leased_until = entry.leased_until.max(Some(until)))
    }

    /// A transfer, a repair or a call begins to use it.
    ///
    /// # Errors
    /// [`IndexError::NotThere`]: it is too late.
    //= docs/spec/storage.md#roots
    pub fn begin_use(&mut self, id: ObjectId) -> Result<(), IndexError> {
        self.root(id, |entry| entry.uses = entry.uses.saturating_add(1))
    }

    /// One of its uses ends.
    pub fn end_use(&mut self, id: &ObjectId) {
        if let Some(entry) = self.objects.get_mut(id) {
            entry.uses = entry.uses.saturating_sub(1);
        }
    }

    /// Begins a cycle.
    ///
    /// # Errors
    /// Why not; nothing is condemned or deleted then.
    //= docs/spec/storage.md#roots
    pub fn begin(&mut self, now: Now) -> Result<(), Refused> {
        self.clock = self.clock.max(now.unix);
        // What an earlier cycle decided is carried out by its marks.
        if self.phase != Phase::Rest || !self.batches.is_empty() || !self.forgotten.is_empty() {
            return Err(Refused::Busy);
        }
        let root = self.checkpoint.ok_or(Refused::NoCheckpoint)?;
        if self.objects.get(&root).is_none_or(|entry| entry.refs.is_none()) {
            return Err(Refused::CheckpointMissing);
        }
        self.cycle = self.cycle.saturating_add(1);
        self.frontier.clear();
        self.missing.clear();
        self.is_incomplete = false;
        self.phase = Phase::Gather(None);
        self.reach(root);
        Ok(())
    }

    /// Goes on, by no more than [`Limits::work`].
    //= docs/spec/storage.md#marking
    pub fn step(&mut self, now: Now, out: &mut Vec<Output>) -> Progress {
        self.clock = self.clock.max(now.unix);
        let mut verdicts = Verdicts::default();
        for _ in 0..self.limits.work {
            if self.follow_one() {
                continue;
            }
            if !self.forgotten.is_empty() {
                self.delete(out);
                break;
            }
            match self.phase {
                Phase::Rest => break,
                Phase::Sweep(_) if self.batches.len() >= MAX_BATCHES => break,
                Phase::Gather(after) => self.gather_one(after, now),
                Phase::Sweep(after) => self.sweep_one(after, now, &mut verdicts),
            }
            if verdicts.largest() >= self.limits.batch {
                break;
            }
        }
        self.persist(verdicts, out);
        self.progress()
    }

    /// Takes what became of a batch.
    //= docs/spec/storage.md#deletion
    pub fn handle_stored(&mut self, batch: BatchToken, completion: Completion) {
        let Some(change) = self.batches.remove(&batch) else { return };
        let is_durable = match completion {
            Completion::Durable => true,
            Completion::Refused(_) | Completion::Failed => false,
        };
        match change {
            Change::Condemn { objects, .. } => {
                for entry in objects.iter().filter(|_| !is_durable) {
                    self.set(entry, State::Live);
                }
            }
            // Nothing depends on it: after a restart a record that says condemned is judged anew, and bytes without a record
            // are taken in as new.
            Change::Keep(_) => (),
            Change::Forget(objects) if is_durable => self.forgotten.extend(objects),
            Change::Forget(objects) => objects.iter().for_each(|id| self.recondemn(id)),
        }
    }

    /// What is reachable and not here, or whose references are not known: as long as there is some, nothing is deleted.
    pub fn missing(&self) -> impl Iterator<Item = &ObjectId> {
        self.missing.iter()
    }

    /// Why an object is kept, or how far it is from being deleted.
    pub fn standing(&self, id: &ObjectId, now: Now) -> Option<Standing> {
        let entry = self.objects.get(id)?;
        let is_checkpoint = self.checkpoint == Some(*id);
        Some(entry.standing(is_checkpoint, self.cycle, self.limits.grace, self.clock.max(now.unix), now.mono))
    }

    /// How many objects are in the index.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn root(&mut self, id: ObjectId, change: impl FnOnce(&mut Entry)) -> Result<(), IndexError> {
        change(self.objects.get_mut(&id).ok_or(IndexError::NotThere)?);
        self.reach(id);
        Ok(())
    }

    /// Marks an object, and has its references followed.
    fn reach(&mut self, id: ObjectId) {
        match self.objects.get_mut(&id) {
            Some(entry) if entry.refs.is_none() => {
                entry.marked = self.cycle;
                self.lacks(id);
            }
            Some(entry) if entry.marked == self.cycle => (),
            Some(entry) => {
                entry.marked = self.cycle;
                self.frontier.push((id, 0));
            }
            None => self.lacks(id),
        }
    }

    /// Nobody knows what this object refers to.
    //= docs/spec/storage.md#marking
    fn lacks(&mut self, id: ObjectId) {
        self.is_incomplete = true;
        if self.missing.len() < MAX_MISSING {
            self.missing.insert(id);
        }
    }

    /// Follows one reference; says whether there was one to follow.
    fn follow_one(&mut self) -> bool {
        let Some((id, next)) = self.frontier.pop() else { return false };
        let refs = self.objects.get(&id).and_then(|entry| entry.refs.as_ref());
        if let Some(child) = refs.and_then(|refs| refs.get(next)).copied() {
            self.frontier.push((id, next + 1));
            self.reach(child);
        }
        true
    }

    fn gather_one(&mut self, after: Option<ObjectId>, now: Now) {
        let Some((id, entry)) = self.objects.range(later_than(&after)).next() else {
            self.phase = Phase::Sweep(None);
            return;
        };
        let id = *id;
        let is_root = entry.is_root(self.limits.grace, self.clock, now.mono);
        self.phase = Phase::Gather(Some(id));
        if is_root {
            self.reach(id);
        }
    }

    /// Judges one object. Everything that is reachable now is marked, because the frontier is empty.
    //= docs/spec/storage.md#verdicts
    fn sweep_one(&mut self, after: Option<ObjectId>, now: Now, verdicts: &mut Verdicts) {
        let (clock, limits, is_incomplete) = (self.clock, self.limits, self.is_incomplete);
        // What is reachable and not known, were it only through a root that came meanwhile, ends the cycle.
        let next = self.objects.range_mut(later_than(&after)).next().filter(|_| !is_incomplete);
        let Some((id, entry)) = next else {
            self.phase = Phase::Rest;
            return;
        };
        self.phase = Phase::Sweep(Some(*id));
        match (entry.marked == self.cycle, entry.state) {
            (true, State::Condemned { .. }) => {
                entry.state = State::Live;
                verdicts.keep.push(*id);
            }
            (false, State::Live) => {
                entry.state = State::Condemned { since: clock, seen: now.mono };
                verdicts.condemn.push(*id);
            }
            (false, State::Condemned { since, seen })
                if clock >= since.saturating_add(limits.quarantine_secs)
                    && now.mono.saturating_since(seen) >= limits.settle =>
            {
                entry.state = State::Going { since, seen };
                verdicts.forget.push(*id);
            }
            (true, State::Live | State::Going { .. })
            | (false, State::Condemned { .. } | State::Going { .. }) => (),
        }
    }

    fn persist(&mut self, verdicts: Verdicts, out: &mut Vec<Output>) {
        let Verdicts { condemn, keep, forget } = verdicts;
        let changes = [
            (!condemn.is_empty()).then_some(Change::Condemn { since: self.clock, objects: condemn }),
            (!keep.is_empty()).then_some(Change::Keep(keep)),
            (!forget.is_empty()).then_some(Change::Forget(forget)),
        ];
        for change in changes.into_iter().flatten() {
            let batch = BatchToken(self.next_batch);
            self.next_batch = self.next_batch.saturating_add(1);
            self.batches.insert(batch, change.clone());
            out.push(Output::Persist { batch, change });
        }
    }

    /// Deletes what is durably forgotten, but for what became reachable meanwhile; if that cannot be known, nothing.
    //= docs/spec/storage.md#deletion
    fn delete(&mut self, out: &mut Vec<Output>) {
        let later = self.forgotten.split_off(self.forgotten.len().min(self.limits.batch));
        let forgotten = core::mem::replace(&mut self.forgotten, later);
        let is_reached = |entry: &Entry| entry.marked == self.cycle || self.is_incomplete;
        let (keep, delete): (Vec<_>, Vec<_>) =
            forgotten.into_iter().partition(|id| self.objects.get(id).is_some_and(is_reached));
        for id in &delete {
            let refs = self.objects.remove(id).map_or(0, |entry| entry.ref_count());
            self.refs = self.refs.saturating_sub(refs);
        }
        keep.iter().for_each(|id| self.set(id, State::Live));
        self.persist(Verdicts { keep, ..Verdicts::default() }, out);
        if !delete.is_empty() {
            out.push(Output::Delete(delete));
        }
    }

    fn recondemn(&mut self, id: &ObjectId) {
        if let Some(entry) = self.objects.get_mut(id)
            && let State::Going { since, seen } = entry.state
        {
            entry.state = State::Condemned { since, seen };
        }
    }

    fn set(&mut self, id: &ObjectId, state: State) {
        if let Some(entry) = self.objects.get_mut(id) {
            entry.state = state;
        }
    }

    fn progress(&self) -> Progress {
        let has_work = match self.phase {
            Phase::Rest => false,
            Phase::Gather(_) => true,
            Phase::Sweep(_) => self.batches.len() < MAX_BATCHES,
        };
        if !self.frontier.is_empty() || !self.forgotten.is_empty() || has_work {
            Progress::Working
        } else if self.batches.is_empty() {
            Progress::Resting
        } else {
            Progress::Waiting
        }
    }
}

/// What a step decided.
#[derive(Debug, Default)]
struct Verdicts {
    condemn: Vec<ObjectId>,
    keep: Vec<ObjectId>,
    forget: Vec<ObjectId>,
}

impl Verdicts {
    fn largest(&self) -> usize {
        self.condemn.len().max(self.keep.len()).max(self.forget.len())
    }
}

fn later_than(after: &Option<ObjectId>) -> (Bound<&ObjectId>, Bound<&ObjectId>) {
    (after.as_ref().map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCheckpoint => "no checkpoint says what is reachable",
            Self::CheckpointMissing => "the checkpoint, or what it refers to, is not here",
            Self::Busy => "a collection is under way",
        })
    }
}

impl core::error::Error for Refused {}

impl Refused {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::NoCheckpoint | Self::CheckpointMissing => Code::NotFound,
            Self::Busy => Code::Exhausted,
        }
    }
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "no room in the index of objects",
            Self::NotThere => "the object is not here",
        })
    }
}

impl core::error::Error for IndexError {}

impl IndexError {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        match self {
            Self::Full => Code::Exhausted,
            Self::NotThere => Code::NotFound,
        }
    }
}
