//! What is done now, and why the rest is not.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::time::Instant;

use super::judge::{Case, Urgency};
use crate::sync::coverage::SymbolSet;
use crate::sync::placement::Unmet;
use crate::trust::lease::Subject;

/// A battery below this is low, in percent: the reference's gate.
pub const LOW_BATTERY_PERCENT: u8 = 20;

/// What one cycle may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Repairs.
    pub repairs: usize,
    /// Bytes that are fetched and sent.
    pub bytes: u64,
    /// Milliseconds of decoding and encoding.
    pub decode_millis: u64,
}

/// How this node is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The battery, in percent, if it runs on one.
    pub battery_percent: Option<u8>,
    /// Whether it is told to save power.
    pub saves_power: bool,
    /// Whether its link is metered.
    pub is_metered: bool,
}

/// What is done now, the most urgent first, and why the rest is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What this node does.
    pub repairs: Vec<Repair>,
    /// What needs something and does not get it from this node now.
    pub left_out: BTreeMap<Subject, LeftOut>,
    /// Objects in need for which there was no place to remember them in this pass; the next one finds them again.
    pub crowded_out: u64,
}

/// What this node is to do for one object: have it, make these symbols, and give them to these nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The object.
    pub subject: Subject,
    /// Why.
    pub urgency: Urgency,
    /// Symbols that it must fetch first.
    pub fetches: u32,
    /// Who is to be given which symbols.
    pub gives: BTreeMap<NodeId, SymbolSet>,
    /// What of the policy stays unmet nevertheless.
    pub unmet: BTreeSet<Unmet>,
}

/// Why nothing is done for an object now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// What is lacking cannot be met with the devices that can be reached and have room.
    NoDevice(BTreeSet<Unmet>),
    /// Too few symbols can be reached to rebuild it.
    TooFewSymbols {
        /// So many are lacking.
        lacking: u32,
    },
    /// Nobody who can be reached has it whole, and nobody may rebuild it.
    NoBuilder,
    /// Another node does it.
    Elsewhere(NodeId),
    /// It is being done.
    UnderWay,
    /// It failed, and is tried again then.
    BackingOff {
        /// When.
        until: Instant,
    },
    /// So little is lacking that it is waited for more, but not longer than this.
    Patience {
        /// Until when.
        until: Instant,
    },
    /// Power or the link is scarce, and it can wait.
    Scarce,
    /// There are more urgent repairs than may be made in one cycle.
    Repairs,
    /// Its bytes do not fit into what is left of the cycle.
    Bytes,
    /// Its decoding does not fit into what is left of the cycle.
    DecodeTime,
    /// Too many repairs were begun in this minute.
    Rate {
        /// How long to wait.
        retry_after: Duration,
    },
}

impl Circumstances {
    /// Whether what can wait should.
    //= docs/spec/storage.md#scarcity
    pub fn is_scarce(&self) -> bool {
        self.saves_power
            || self.is_metered
            || self.battery_percent.is_some_and(|percent| percent < LOW_BATTERY_PERCENT)
    }
}

impl Urgency {
    /// Whether it can wait until there is power and an unmetered link: nothing below a minimum can.
    //= docs/spec/storage.md#scarcity
    pub const fn can_wait(self) -> bool {
        match self {
            Self::AtRisk | Self::BelowMinimum => false,
            Self::BelowTarget | Self::PreStage => true,
        }
    }
}

impl Plan {
    /// What `me` does of `cases` within `budget`: the same for the same cases, in whatever order they come.
    //= docs/spec/storage.md#plans
    pub fn new(mut cases: Vec<Case>, me: &NodeId, budget: Budget, circumstances: Circumstances) -> Self {
        cases.sort_by_cached_key(|case| {
            (case.urgency, Reverse(case.deficit_bps), case.bytes(), case.subject.clone())
        });
        let mut plan = Self::default();
        let mut left = budget;
        for case in cases {
            match plan.admit(&case, me, &left, circumstances) {
                Ok(fetches) => {
                    left.take(&case);
                    plan.repairs.push(Repair::new(case, fetches));
                }
                Err(why) => _ = plan.left_out.insert(case.subject, why),
            }
        }
        plan
    }

    fn admit(
        &self,
        case: &Case,
        me: &NodeId,
        left: &Budget,
        circumstances: Circumstances,
    ) -> Result<u32, LeftOut> {
        if case.gives.is_empty() {
            return Err(LeftOut::NoDevice(case.unmet.clone()));
        }
        let builder = case.builder.as_ref().map_err(|few| match few.lacking {
            0 => LeftOut::NoBuilder,
            lacking => LeftOut::TooFewSymbols { lacking },
        })?;
        if builder.node != *me {
            return Err(LeftOut::Elsewhere(builder.node.clone()));
        }
        if circumstances.is_scarce() && case.urgency.can_wait() {
            return Err(LeftOut::Scarce);
        }
        left.affords(case, self.repairs.is_empty()).map(|()| builder.fetches)
    }
}

impl Budget {
    /// Whether a repair fits. The first one does, whatever it costs: what never fits would never be done.
    fn affords(&self, case: &Case, is_first: bool) -> Result<(), LeftOut> {
        if self.repairs == 0 {
            Err(LeftOut::Repairs)
        } else if !is_first && case.bytes() > self.bytes {
            Err(LeftOut::Bytes)
        } else if !is_first && case.decode_millis() > self.decode_millis {
            Err(LeftOut::DecodeTime)
        } else {
            Ok(())
        }
    }

    fn take(&mut self, case: &Case) {
        self.repairs = self.repairs.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(case.bytes());
        self.decode_millis = self.decode_millis.saturating_sub(case.decode_millis());
    }
}

impl Repair {
    fn new(case: Case, fetches: u32) -> Self {
        let Case { subject, urgency, gives, unmet, .. } = case;
        Self { subject, urgency, fetches, gives, unmet }
    }
}
