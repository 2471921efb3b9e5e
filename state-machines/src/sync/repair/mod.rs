//! What of the mesh's objects is made anew, in which order, and what not, and why.
//!
//! ```text
//!  inventory ─► scan: a few objects a step ─► due, the most urgent ─► plan ─► repairs ─► finished
//!      ▲                                         ▲                     │                   │
//!      └── reports of what nodes have            └── again, later ◄────┴─► left out: why   │
//!                                                └─────────────────────── failed ◄─────────┘
//! ```
//!
//! Every node runs this and comes to the same conclusions from the same facts; each does only what it is the builder of.
//! Where nodes know different things, the worst is that a symbol is made twice. Repair only adds: nothing is deleted here.
//! It keeps no durable state: what it forgets it finds again. A driver calls [`Repairer::cycle`] at
//! [`Repairer::deadline`], carries out the repairs, and says how each ended. Spec: docs/spec/storage.md.

mod judge;
mod plan;
#[cfg(test)]
mod tests;

pub use judge::{Builder, Case, TooFewSymbols, Urgency};
pub use plan::{Budget, Circumstances, LOW_BATTERY_PERCENT, LeftOut, Plan, Repair};

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::time::Instant;

use super::inventory::Inventory;
use super::placement::{Devices, Kept};
use crate::link::admission::bucket::{Bucket, Wait};
use crate::trust::lease::Subject;

/// From the beginning of one pass over all objects to that of the next.
pub const PASS: Duration = Duration::from_secs(60);

/// From one cycle to the next within a pass.
pub const CYCLE: Duration = Duration::from_secs(1);

/// How long a deficit below [`Limits::small_deficit_bps`] is waited on: then it is repaired, too.
pub const PATIENCE: Duration = Duration::from_secs(3_600);

/// How long a repair may take before it counts as failed.
pub const REPAIR_TIME: Duration = Duration::from_secs(600);

/// How long is waited after a first failure, and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));

/// Bounds of a node's repairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one cycle.
    pub cycle: Budget,
    /// Repairs under way.
    pub at_once: usize,
    /// Repairs begun in any minute; half of them may be begun at once.
    pub per_minute: u64,
    /// Objects that one cycle looks at.
    pub scan: usize,
    /// Objects in need that are remembered.
    pub due: usize,
    /// A deficit below this is waited on for [`PATIENCE`], in basis points.
    pub small_deficit_bps: u32,
}

/// The reference's numbers where it has them.
//= docs/spec/storage.md#bounds
impl Default for Limits {
    fn default() -> Self {
        Self {
            cycle: Budget { repairs: 10, bytes: 16 * 1024 * 1024, decode_millis: 5_000 },
            at_once: 10,
            per_minute: 100,
            scan: 1_024,
            due: 1_024,
            small_deficit_bps: 500,
        }
    }
}

/// What a node knows, for one step.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// Who has what.
    pub inventory: &'a Inventory,
    /// The devices.
    pub devices: &'a Devices,
}

/// How a repair ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everybody has what they were to be given, and the inventory says so.
    Done,
    /// Not all of it.
    Failed,
}

/// The repairs of one node.
#[derive(Debug)]
pub struct Repairer {
    me: NodeId,
    limits: Limits,
    due: BTreeMap<Subject, Due>,
    under_way: BTreeMap<Subject, Instant>,
    rate: Bucket,
    cursor: Option<Subject>,
    pass_began: Instant,
    next: Instant,
    crowded_out: u64,
}

/// An object that needs something.
#[derive(Clone, Copy, Debug)]
struct Due {
    chance: Chance,
    urgency: Urgency,
    since: Instant,
    failures: u32,
    not_before: Instant,
}

/// Whether this node can do something for an object. What nobody can help must not crowd out what it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Chance {
    /// It can.
    Mine,
    /// Another node can, or none.
    NotMine,
}

impl Repairer {
    /// The repairs of the node `me`, of which none was begun.
    pub const fn new(me: NodeId, limits: Limits, now: Instant) -> Self {
        Self {
            me,
            limits,
            due: BTreeMap::new(),
            under_way: BTreeMap::new(),
            rate: Bucket::new(limits.per_minute, now),
            cursor: None,
            pass_began: now,
            next: now,
            crowded_out: 0,
        }
    }

    /// Looks at the next objects, and says what is to be done now.
    //= docs/spec/storage.md#passes
    pub fn cycle(&mut self, world: World<'_>, circumstances: Circumstances, now: Instant) -> Plan {
        self.expire(now);
        if now >= self.next {
            self.scan(world, now);
        }
        self.plan(world, circumstances, now)
    }

    /// Looks at one object at once, because something changed.
    pub fn look(&mut self, world: World<'_>, subject: &Subject, now: Instant) {
        match judge(world, subject, now) {
            Some(case) => self.remember(case, now),
            None => _ = self.due.remove(subject),
        }
    }

    /// A repair ended.
    pub fn finished(&mut self, subject: &Subject, ending: Ending, now: Instant) {
        if self.under_way.remove(subject).is_none() {
            return;
        }
        match (ending, self.due.get_mut(subject)) {
            (Ending::Failed, Some(due)) => due.failed(now),
            (Ending::Done, Some(due)) => due.failures = 0,
            (_, None) => (),
        }
    }

    /// When to come back.
    pub fn deadline(&self) -> Instant {
        self.under_way.values().copied().fold(self.next, Instant::min)
    }

    /// Objects in need that are remembered, and repairs under way.
    pub fn size(&self) -> (usize, usize) {
        (self.due.len(), self.under_way.len())
    }

    fn scan(&mut self, world: World<'_>, now: Instant) {
        if self.cursor.is_none() {
            (self.pass_began, self.crowded_out) = (now, 0);
        }
        let next: Vec<_> = world
            .inventory
            .after(self.cursor.as_ref())
            .take(self.limits.scan)
            .map(|(subject, _)| subject.clone())
            .collect();
        next.iter().for_each(|subject| self.look(world, subject, now));
        // A full step may have reached the end as well; then the next one finds nothing and begins anew.
        self.cursor = next.last().filter(|_| next.len() == self.limits.scan).cloned();
        self.next = match self.cursor {
            Some(_) => now.saturating_add(CYCLE),
            None => self.pass_began.saturating_add(PASS).max(now.saturating_add(CYCLE)),
        };
    }

    /// Remembers an object in need. The least promising makes room: what this node cannot help, then what is less urgent,
    /// then what failed more often.
    //= docs/spec/storage.md#passes
    fn remember(&mut self, case: Case, now: Instant) {
        let new = Due {
            chance: self.chance(&case),
            urgency: case.urgency,
            since: now,
            failures: 0,
            not_before: now,
        };
        if let Some(due) = self.due.get_mut(&case.subject) {
            (due.chance, due.urgency) = (new.chance, new.urgency);
            return;
        }
        if self.due.len() >= self.limits.due {
            self.crowded_out = self.crowded_out.saturating_add(1);
            let least = self.due.iter().max_by_key(|(subject, due)| (due.rank(), *subject));
            let Some(least) =
                least.filter(|(_, due)| due.rank() > new.rank()).map(|(least, _)| least.clone())
            else {
                return;
            };
            self.due.remove(&least);
        }
        self.due.insert(case.subject, new);
    }

    fn chance(&self, case: &Case) -> Chance {
        let mine = case.builder.as_ref().is_ok_and(|builder| builder.node == self.me);
        if mine && !case.gives.is_empty() { Chance::Mine } else { Chance::NotMine }
    }

    fn plan(&mut self, world: World<'_>, circumstances: Circumstances, now: Instant) -> Plan {
        let mut held_back = BTreeMap::new();
        let mut cases = Vec::new();
        // What was found earlier is judged by what is known now.
        for subject in self.due.keys().cloned().collect::<Vec<_>>() {
            let Some(case) = judge(world, &subject, now) else {
                self.due.remove(&subject);
                continue;
            };
            match self.holds_back(&case, now) {
                Some(why) => _ = held_back.insert(subject, why),
                None => cases.push(case),
            }
        }
        let free = self.limits.at_once.saturating_sub(self.under_way.len());
        let budget = Budget { repairs: self.limits.cycle.repairs.min(free), ..self.limits.cycle };
        let mut plan = Plan::new(cases, &self.me, budget, circumstances);
        plan.left_out.extend(held_back);
        plan.crowded_out = self.crowded_out;
        self.begin(&mut plan, now);
        plan
    }

    /// Why an object is not even considered now.
    //= docs/spec/storage.md#passes
    fn holds_back(&mut self, case: &Case, now: Instant) -> Option<LeftOut> {
        if self.under_way.contains_key(&case.subject) {
            return Some(LeftOut::UnderWay);
        }
        let due = self.due.get_mut(&case.subject)?;
        due.urgency = case.urgency;
        if due.not_before > now {
            return Some(LeftOut::BackingOff { until: due.not_before });
        }
        let small = case.urgency == Urgency::BelowTarget && case.deficit_bps < self.limits.small_deficit_bps;
        let until = due.since.saturating_add(PATIENCE);
        (small && until > now).then_some(LeftOut::Patience { until })
    }

    /// Begins what there is a rate for.
    fn begin(&mut self, plan: &mut Plan, now: Instant) {
        let (rate, under_way, left_out) = (&mut self.rate, &mut self.under_way, &mut plan.left_out);
        plan.repairs.retain(|repair| match rate.check(1, now) {
            Ok(()) => {
                rate.take(1, now);
                under_way.insert(repair.subject.clone(), now.saturating_add(REPAIR_TIME));
                true
            }
            Err(wait) => {
                let retry_after = match wait {
                    Wait::For(time) => time,
                    Wait::Never => Duration::MAX,
                };
                left_out.insert(repair.subject.clone(), LeftOut::Rate { retry_after });
                false
            }
        });
    }

    /// Repairs that take too long have failed.
    fn expire(&mut self, now: Instant) {
        let over = self.under_way.iter().filter(|(_, until)| **until <= now);
        for subject in over.map(|(subject, _)| subject.clone()).collect::<Vec<_>>() {
            self.finished(&subject, Ending::Failed, now);
        }
    }
}

impl Due {
    const fn rank(&self) -> (Chance, Urgency, u32) {
        (self.chance, self.urgency, self.failures)
    }

    fn failed(&mut self, now: Instant) {
        let (first, most) = BACK_OFF;
        let wait = first.saturating_mul(1 << self.failures.min(6)).min(most);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.saturating_add(wait);
    }
}

//= docs/spec/storage.md#who-repairs
fn judge(world: World<'_>, subject: &Subject, now: Instant) -> Option<Case> {
    let item = world.inventory.item(subject).filter(|item| !item.is_condemned)?;
    let policy = world.inventory.policy(subject)?;
    let kept = Kept {
        subject,
        information: item.information,
        policy,
        shares: &item.shares,
        devices: world.devices,
        now,
    };
    Case::judge(&kept, &item.wanted_at)
}
