//! Rate pools and budgets: how much of a limit is used, by whom, and whether a call still fits.
//!
//! Spec: docs/spec/rates.md. The gate asks [`Rates::check`]; the decider, in the same step, hands the proof to
//! [`Rates::reserve`], which draws from every limit or from none. A call that provably never left gives its
//! reservation back by [`Rates::refund`]; every other one is settled with what was really used. The intent carries
//! the [`Demand`]s, so that [`Rates::replay`] rebuilds all counters after a restart.
//!
//! ```text
//!   demands() ─► check() ─► Fits ─► reserve() ─► Reservation ─┬─► refund()   provably undelivered
//!                  │                   │                      └─► settle()   used as measured
//!                  └──── Exceeded ◄────┘
//! ```

mod bucket;
mod declared;
mod demand;
mod limit;
mod meter;
#[cfg(test)]
mod tests;
mod window;

pub use demand::{Caller, Demand, Usage};
pub use limit::{
    Algorithm, Enforcement, Holder, Limit, LimitError, LimitId, MAX_TIME, PoolName, Scope, Unit,
};

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ConnectorId;
use fcp_proto_core::time::{Now, UnixTime};

use meter::{Mark, Meter, Tick};

/// A meter's place: one limit, one holder.
type MeterKey = (LimitId, Holder);

/// All limits of a node and what is used of them.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    limits: BTreeMap<LimitId, Limit>,
    meters: BTreeMap<MeterKey, Numbered>,
    /// The number of the newest meter.
    newest: u64,
    seen: Tick,
}

/// A meter and its number, which no later meter of the same place bears: a mark is good for one meter only.
#[derive(Clone, Debug)]
struct Numbered {
    number: u64,
    meter: Meter,
}

/// One draw of a reservation.
#[derive(Debug, PartialEq, Eq)]
struct Draw {
    key: MeterKey,
    unit: Unit,
    amount: u64,
    number: u64,
    mark: Mark,
}

/// Proof that demands fitted their limits at one moment; only [`Rates::check`] makes it.
#[must_use = "a check draws nothing: hand it to `reserve`"]
#[derive(Debug, PartialEq, Eq)]
pub struct Fits {
    demands: Vec<Demand>,
    over: Vec<Exceeded>,
}

impl Fits {
    /// What was asked for, in the form that the intent stores.
    pub fn demands(&self) -> &[Demand] {
        &self.demands
    }

    /// The soft and advisory limits that the call exceeds, to be reported.
    pub fn over(&self) -> &[Exceeded] {
        &self.over
    }
}

/// What a call has drawn. It ends in [`Rates::refund`] or [`Rates::settle`]; dropped, it counts as used.
#[must_use = "a reservation is refunded or settled"]
#[derive(Debug, PartialEq, Eq)]
pub struct Reservation {
    demands: Vec<Demand>,
    over: Vec<Exceeded>,
    draws: Vec<Draw>,
}

impl Reservation {
    /// What was drawn, in the form that the intent stores.
    pub fn demands(&self) -> &[Demand] {
        &self.demands
    }

    /// The soft and advisory limits that the call exceeds, to be reported.
    pub fn over(&self) -> &[Exceeded] {
        &self.over
    }
}

/// A limit that a call does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit.
    pub limit: LimitId,
    /// Whose share of it is used up.
    pub holder: Holder,
    /// How the limit is enforced.
    pub enforcement: Enforcement,
    /// What is wrong.
    pub why: Why,
}

/// Why a demand does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Used up for now.
    UsedUp {
        /// The same demand fits after this time, if nobody else draws meanwhile.
        retry_after: Duration,
    },
    /// The demand alone is larger than the limit; waiting does not help.
    NeverFits,
    /// The limit is not defined (any more): an undeclared limit admits nothing.
    Undefined,
    /// The table of meters is full and none is idle.
    TooManyMeters,
}

impl Exceeded {
    /// The wait after which the same demand fits, if waiting helps.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.why {
            Why::UsedUp { retry_after } => Some(retry_after),
            Why::NeverFits | Why::Undefined | Why::TooManyMeters => None,
        }
    }

    /// The registry's code for a refusal by this limit.
    pub const fn code(&self) -> Code {
        match (&self.limit, self.why) {
            (_, Why::TooManyMeters) => Code::Exhausted,
            (LimitId::Pool { .. }, Why::UsedUp { .. } | Why::NeverFits | Why::Undefined) => Code::RateLimited,
            (LimitId::Budget { .. }, Why::UsedUp { .. } | Why::NeverFits | Why::Undefined) => {
                Code::BudgetExceeded
            }
        }
    }

    /// Sorts by how long the caller has to wait, "waiting does not help" last.
    fn severity(&self) -> (bool, Option<Duration>) {
        (self.retry_after().is_none(), self.retry_after())
    }
}

/// What became of a replayed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Demands drawn again.
    pub drawn: usize,
    /// Demands on limits that are no longer defined.
    pub undefined: usize,
}

impl Rates {
    /// No limits, nothing used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Defines `limit`, or redefines it; what is used of an unchanged limit stays used.
    ///
    /// A changed limit starts with what its meters still count, as far as the new rule can express it: a holder
    /// that had used a share `x` begins with `x` drawn.
    ///
    /// # Errors
    /// The rule of [`LimitError`] that the limit breaks; nothing is changed.
    //= docs/spec/rates.md#limits
    pub fn set_limit(&mut self, limit: Limit, now: Now) -> Result<(), LimitError> {
        limit.validate()?;
        let at = self.advance(now);
        if self.limits.get(&limit.id).is_some_and(|old| old != &limit) {
            for ((id, _), slot) in &mut self.meters {
                if *id == limit.id {
                    let used = slot.meter.used(at);
                    self.newest += 1;
                    *slot = Numbered { number: self.newest, meter: Meter::new(&limit) };
                    slot.meter.draw(used, at);
                }
            }
        }
        self.limits.insert(limit.id.clone(), limit);
        Ok(())
    }

    /// Removes a limit with its meters. Later demands on it are refused.
    pub fn remove_limit(&mut self, id: &LimitId) {
        self.limits.remove(id);
        self.meters.retain(|(limit, _), _| limit != id);
    }

    /// The limits that are defined, in order.
    pub fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.limits.values()
    }

    /// What a call by `caller` demands: from each pool its operation names, and from every budget it falls under.
    ///
    /// A pool counted by credential is drawn once for each credential; a call without one draws from the instance.
    pub fn demands(&self, pools: &[PoolName], caller: &Caller<'_>, expected: Usage) -> Vec<Demand> {
        let named: BTreeSet<&PoolName> = pools.iter().collect();
        let mut demands = Vec::new();
        for pool in named {
            let id = LimitId::Pool { connector: caller.connector.clone(), pool: pool.clone() };
            let (scope, unit) = self
                .limits
                .get(&id)
                .map_or((Scope::Global, Unit::Requests), |limit| (limit.scope, limit.unit));
            for holder in caller.holders(scope) {
                demands.push(Demand { limit: id.clone(), holder, unit, amount: expected.of(unit) });
            }
        }
        for holder in caller.budget_holders() {
            for limit in self.budgets_of(&holder) {
                let amount = expected.of(limit.unit);
                demands.push(Demand {
                    limit: limit.id.clone(),
                    holder: holder.clone(),
                    unit: limit.unit,
                    amount,
                });
            }
        }
        demands
    }

    /// Whether all `demands` fit their limits now. Draws nothing.
    ///
    /// # Errors
    /// The hard limit with the longest wait.
    //= docs/spec/rates.md#decision-and-reservation
    pub fn check(&self, demands: Vec<Demand>, now: Now) -> Result<Fits, Box<Exceeded>> {
        let at = self.tick(now);
        let mut over = Vec::new();
        let mut new_meters = 0;
        for (key, amount) in summed(&demands) {
            let enforcement = self.limits.get(&key.0).map_or(Enforcement::Hard, |limit| limit.enforcement);
            new_meters += usize::from(!self.meters.contains_key(&key));
            if let Some(why) = self.obstacle(&key, amount, at, new_meters) {
                over.push(Exceeded { limit: key.0, holder: key.1, enforcement, why });
            }
        }
        let refusals = over.iter().filter(|exceeded| exceeded.refuses());
        match refusals.max_by_key(|exceeded| exceeded.severity()) {
            Some(worst) => Err(Box::new(worst.clone())),
            None => Ok(Fits { demands, over }),
        }
    }

    /// Draws what `fits` proved to fit: from every limit, or from none.
    ///
    /// # Errors
    /// The hard limit that stopped fitting between the check and this step; nothing is drawn then.
    pub fn reserve(&mut self, fits: Fits, now: Now) -> Result<Reservation, Box<Exceeded>> {
        let at = self.advance(now);
        let Fits { demands, over } = self.check(fits.demands, now)?;
        let mut draws = Vec::new();
        for (key, amount) in summed(&demands) {
            let Some((unit, slot)) = self.slot(&key, at) else { continue };
            let mark = slot.meter.draw(amount, at);
            draws.push(Draw { number: slot.number, key, unit, amount, mark });
        }
        Ok(Reservation { demands, over, draws })
    }

    /// Gives back what a provably undelivered call drew.
    ///
    /// Never more than what is still outstanding of it: a share that time has given back already stays given back.
    pub fn refund(&mut self, reservation: Reservation, now: Now) {
        let at = self.advance(now);
        for draw in reservation.draws {
            self.give_back(&draw, draw.amount, at);
        }
    }

    /// Replaces the expected usage of a delivered call by the measured one.
    ///
    /// Each limit keeps at least one unit of the call. What exceeds the expectation is drawn even past the limit,
    /// so that later calls wait for it. Limits that were removed meanwhile are left alone.
    pub fn settle(&mut self, reservation: Reservation, actual: Usage, now: Now) {
        let at = self.advance(now);
        for draw in reservation.draws {
            let actual = actual.of(draw.unit).max(1);
            if actual < draw.amount {
                self.give_back(&draw, draw.amount - actual, at);
            } else if let Some((_, slot)) = self.slot(&draw.key, at).filter(|_| actual > draw.amount) {
                slot.meter.draw(actual - draw.amount, at);
            }
        }
    }

    /// Draws again what a durable intent reserved at `reserved_at`; with its receipt's usage if that is known.
    ///
    /// Records are replayed in the order of the journal, before the first check. A time in the future counts as now.
    //= docs/spec/rates.md#replay
    pub fn replay(
        &mut self,
        demands: &[Demand],
        actual: Option<Usage>,
        reserved_at: UnixTime,
        now: Now,
    ) -> Replayed {
        let age = Duration::from_secs(now.unix.saturating_since(reserved_at));
        let at = Tick::of(now.mono).before(age);
        let mut replayed = Replayed { drawn: 0, undefined: 0 };
        for (key, reserved) in summed(demands) {
            match self.slot(&key, at) {
                Some((unit, slot)) => {
                    slot.meter.draw(actual.map_or(reserved, |usage| usage.of(unit).max(1)), at);
                    replayed.drawn += 1;
                }
                None => replayed.undefined += 1,
            }
        }
        replayed
    }

    /// How much of a limit a holder has in use now, and how much there is; `None` if the limit is not defined.
    pub fn usage(&self, limit: &LimitId, holder: &Holder, now: Now) -> Option<(u64, u64)> {
        let size = self.limits.get(limit)?.algorithm.size();
        let meter = self.meters.get(&(limit.clone(), holder.clone()));
        Some((meter.map_or(0, |slot| slot.meter.used(self.tick(now))), size))
    }

    /// Forgets the meters that count nothing any more. Call it now and then; the answers do not depend on it.
    pub fn sweep(&mut self, now: Now) {
        let at = self.advance(now);
        self.meters.retain(|_, slot| !slot.meter.is_idle(at));
    }

    /// The number of meters that are held in memory.
    pub fn meters(&self) -> usize {
        self.meters.len()
    }

    /// Removes all pools of a connector, as when it is uninstalled.
    pub fn remove_connector(&mut self, connector: &ConnectorId) {
        let of_connector =
            |id: &LimitId| matches!(id, LimitId::Pool { connector: owner, .. } if owner == connector);
        self.limits.retain(|id, _| !of_connector(id));
        self.meters.retain(|(id, _), _| !of_connector(id));
    }

    /// The budgets of one holder, by the order of their ids.
    fn budgets_of(&self, holder: &Holder) -> impl Iterator<Item = &Limit> {
        let first = LimitId::Budget { holder: holder.clone(), unit: Unit::Requests, period_secs: 0 };
        self.limits
            .range(first..)
            .take_while(move |(id, _)| matches!(id, LimitId::Budget { holder: of, .. } if of == holder))
            .map(|(_, limit)| limit)
    }

    /// What keeps `amount` from being drawn at `at`, if anything does.
    fn obstacle(&self, key: &MeterKey, amount: u64, at: Tick, new_meters: usize) -> Option<Why> {
        let Some(limit) = self.limits.get(&key.0) else { return Some(Why::Undefined) };
        let Some(slot) = self.meters.get(key) else {
            let held = || self.meters.values().filter(|slot| !slot.meter.is_idle(at)).count();
            return if self.meters.len() + new_meters > MAX_METERS && held() + new_meters > MAX_METERS {
                Some(Why::TooManyMeters)
            } else {
                Meter::new(limit).obstacle(amount, at)
            };
        };
        slot.meter.obstacle(amount, at)
    }

    /// The meter of `key`, made if it is new, with its unit; `None` if its limit is not defined.
    ///
    /// Whether there is room for a new one is decided by the check.
    fn slot(&mut self, key: &MeterKey, at: Tick) -> Option<(Unit, &mut Numbered)> {
        let limit = self.limits.get(&key.0)?;
        if self.meters.len() >= MAX_METERS && !self.meters.contains_key(key) {
            self.meters.retain(|_, slot| !slot.meter.is_idle(at));
        }
        let slot = self.meters.entry(key.clone()).or_insert_with(|| {
            self.newest += 1;
            Numbered { number: self.newest, meter: Meter::new(limit) }
        });
        Some((limit.unit, slot))
    }

    /// Gives back `amount` of a draw, if the meter it was drawn from still stands.
    fn give_back(&mut self, draw: &Draw, amount: u64, at: Tick) {
        if let Some(slot) = self.meters.get_mut(&draw.key).filter(|slot| slot.number == draw.number) {
            slot.meter.refund(amount, draw.mark, at);
        }
    }

    /// The moment `now`, or the latest one seen if the clock stepped back.
    fn tick(&self, now: Now) -> Tick {
        Tick::of(now.mono).max(self.seen)
    }

    fn advance(&mut self, now: Now) -> Tick {
        self.seen = self.tick(now);
        self.seen
    }
}

impl Exceeded {
    /// Whether this alone refuses the call: only a declared soft or advisory limit lets it pass.
    const fn refuses(&self) -> bool {
        match (self.enforcement, self.why) {
            (Enforcement::Hard, _) | (_, Why::Undefined | Why::TooManyMeters) => true,
            (Enforcement::Soft | Enforcement::Advisory, Why::UsedUp { .. } | Why::NeverFits) => false,
        }
    }
}

/// The demands by meter. A demand of nothing counts as one unit, so that no call is free of a limit it falls under.
fn summed(demands: &[Demand]) -> BTreeMap<MeterKey, u64> {
    let mut sums = BTreeMap::<MeterKey, u64>::new();
    for demand in demands {
        let sum = sums.entry((demand.limit.clone(), demand.holder.clone())).or_default();
        *sum = sum.saturating_add(demand.amount.max(1));
    }
    sums
}

/// Largest number of meters: holders are owner-made, so this is far above any real node. Chosen.
pub const MAX_METERS: usize = 65_536;
