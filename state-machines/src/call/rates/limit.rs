//! What is limited: the definitions that manifests and owners write.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use fcp_proto_core::cbor_enum;
use fcp_proto_core::ids::{CapabilityId, ConnectorId, CredentialId, IdError, ObjectId, PrincipalId, ZoneId};

/// A rate pool's name, unique within its connector; the grammar of canonical identifiers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PoolName(String);

impl PoolName {
    /// The pool named `text`.
    ///
    /// # Errors
    /// Names the first rule of the grammar that `text` breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        // Canonical identifiers share one grammar, whichever kind checks it.
        CapabilityId::new(text).map(|id| Self(id.into()))
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitId {
    /// A pool that a connector's manifest declares.
    Pool {
        /// The connector.
        connector: ConnectorId,
        /// The pool within it.
        pool: PoolName,
    },
    /// An owner's budget: one for each holder, unit and period.
    Budget {
        /// Whose budget it is.
        holder: Holder,
        /// What is counted.
        unit: Unit,
        /// The length of the period in seconds.
        period_secs: u64,
    },
}

impl fmt::Display for LimitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool { connector, pool } => write!(f, "pool {connector}/{pool}"),
            Self::Budget { holder, unit, period_secs } => {
                write!(f, "budget {unit}/{period_secs}s of {holder}")
            }
        }
    }
}

/// Who draws from a limit; each has a meter of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// Everybody together.
    Global,
    /// The connector's process of one zone.
    Instance(ZoneId),
    /// One stored credential of one zone.
    Credential(ZoneId, CredentialId),
    /// One principal.
    Principal(PrincipalId),
    /// One zone.
    Zone(ZoneId),
    /// One grant, by its object.
    Grant(ObjectId),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("everybody"),
            Self::Instance(zone) => write!(f, "the instance in {zone}"),
            Self::Credential(zone, credential) => write!(f, "the credential {credential} in {zone}"),
            Self::Principal(principal) => write!(f, "the principal {principal}"),
            Self::Zone(zone) => write!(f, "the zone {zone}"),
            Self::Grant(grant) => write!(f, "the grant {grant}"),
        }
    }
}

cbor_enum! {
    /// What a limit counts.
    pub enum Unit {
        /// Calls.
        Requests = "requests",
        /// Tokens of a language model, as the service counts them.
        Tokens = "tokens",
        /// Bytes sent and received.
        Bytes = "bytes",
        /// Money, in millionths of the owner's currency.
        Cost = "cost",
    }
}

cbor_enum! {
    /// Who shares one meter of a pool.
    pub enum Scope {
        /// The connector's process of one zone.
        Instance = "instance",
        /// All calls with one credential.
        Credential = "credential",
        /// All calls of one principal.
        Principal = "principal",
        /// Everybody.
        Global = "global",
    }
}

cbor_enum! {
    /// What happens when a limit is exceeded.
    pub enum Enforcement {
        /// The call is refused.
        Hard = "hard",
        /// The call passes, and the caller is told and the audit records it.
        Soft = "soft",
        /// The call passes and is counted; only metrics show it.
        Advisory = "advisory",
    }
}

/// How usage is counted against time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// A bucket of `capacity` tokens that gets `refill` tokens at each full `every` since the draw that left it full.
    TokenBucket {
        /// Tokens in a full bucket: the largest burst.
        capacity: u64,
        /// Tokens that one step gives back.
        refill: u64,
        /// The time between steps.
        every: Duration,
    },
    /// At most `limit` units in any interval as long as `window`.
    SlidingWindow {
        /// Units a window holds.
        limit: u64,
        /// The length of the window.
        window: Duration,
    },
    /// A bucket of `capacity` units that leaks `leak` units in `every`, one by one and evenly spaced.
    LeakyBucket {
        /// Units the bucket holds before it overflows.
        capacity: u64,
        /// Units that leak in one `every`.
        leak: u64,
        /// The time in which `leak` units leak.
        every: Duration,
    },
}

impl Algorithm {
    /// The most that can be drawn at once.
    pub const fn size(&self) -> u64 {
        match self {
            Self::TokenBucket { capacity, .. } | Self::LeakyBucket { capacity, .. } => *capacity,
            Self::SlidingWindow { limit, .. } => *limit,
        }
    }

    const fn flow(&self) -> u64 {
        match self {
            Self::TokenBucket { refill, .. } => *refill,
            Self::LeakyBucket { leak, .. } => *leak,
            Self::SlidingWindow { .. } => 1,
        }
    }

    const fn time(&self) -> Duration {
        match self {
            Self::TokenBucket { every, .. } | Self::LeakyBucket { every, .. } => *every,
            Self::SlidingWindow { window, .. } => *window,
        }
    }
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Which one.
    pub id: LimitId,
    /// What it counts.
    pub unit: Unit,
    /// Who shares a meter. A budget's id names its holder; its scope plays no part.
    pub scope: Scope,
    /// What happens when it is exceeded.
    pub enforcement: Enforcement,
    /// How it counts.
    pub algorithm: Algorithm,
}

impl Limit {
    /// A budget: `amount` of `unit` in any `period_secs` seconds, for `holder`, hard.
    ///
    /// The period slides; there is no boundary at which two periods' amounts can be spent at once.
    pub const fn budget(holder: Holder, unit: Unit, amount: u64, period_secs: u64) -> Self {
        let window = Duration::from_secs(period_secs);
        Self {
            id: LimitId::Budget { holder, unit, period_secs },
            unit,
            scope: Scope::Global,
            enforcement: Enforcement::Hard,
            algorithm: Algorithm::SlidingWindow { limit: amount, window },
        }
    }

    /// # Errors
    /// The first rule that the definition breaks.
    pub(super) fn validate(&self) -> Result<(), LimitError> {
        if self.algorithm.size() == 0 || self.algorithm.flow() == 0 {
            return Err(LimitError::ZeroAmount);
        }
        if self.algorithm.time().is_zero() {
            return Err(LimitError::ZeroTime);
        }
        if self.algorithm.time() > MAX_TIME {
            return Err(LimitError::TimeTooLong);
        }
        match &self.id {
            LimitId::Pool { .. } => Ok(()),
            LimitId::Budget { holder, unit, period_secs } => {
                let same = *unit == self.unit && Duration::from_secs(*period_secs) == self.algorithm.time();
                match holder {
                    Holder::Zone(_) | Holder::Principal(_) | Holder::Grant(_) if same => Ok(()),
                    Holder::Zone(_) | Holder::Principal(_) | Holder::Grant(_) => Err(LimitError::IdDiffers),
                    Holder::Global | Holder::Instance(_) | Holder::Credential(..) => {
                        Err(LimitError::NotABudgetHolder)
                    }
                }
            }
        }
    }
}

/// Why a limit cannot be defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitError {
    /// A capacity, refill or leak of nothing.
    ZeroAmount,
    /// A period of no time.
    ZeroTime,
    /// A period of more than [`MAX_TIME`].
    TimeTooLong,
    /// A budget whose id names another unit or period than its rule.
    IdDiffers,
    /// A budget of something other than a zone, a principal or a grant.
    NotABudgetHolder,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroAmount => "a limit's amounts must be at least 1",
            Self::ZeroTime => "a limit's period must be longer than nothing",
            Self::TimeTooLong => "a limit's period must be at most 366 days",
            Self::IdDiffers => "a budget's unit and period must be those of its id",
            Self::NotABudgetHolder => "a budget belongs to a zone, a principal or a grant",
        })
    }
}

impl core::error::Error for LimitError {}

/// Longest period of a limit: a leap year. Chosen.
pub const MAX_TIME: Duration = Duration::from_secs(366 * 86_400);
