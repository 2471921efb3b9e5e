//! What a call asks of the limits, in the form that its intent stores.

use alloc::vec;
use alloc::vec::Vec;

use fcp_proto_core::cbor_map;
use fcp_proto_core::encoding::cbor::{FromCbor, ShapeError, ToCbor, Value};
use fcp_proto_core::ids::{ConnectorId, CredentialId, ObjectId, PrincipalId, ZoneId};

use super::limit::{Holder, LimitId, PoolName, Scope, Unit};

/// Who calls, as far as limits tell callers apart.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The connector that is called.
    pub connector: &'a ConnectorId,
    /// The zone of the call.
    pub zone: &'a ZoneId,
    /// Who calls.
    pub principal: &'a PrincipalId,
    /// The credentials that the call may use.
    pub credentials: &'a [CredentialId],
    /// The grants that the call rests on.
    pub grants: &'a [ObjectId],
}

impl Caller<'_> {
    /// The holders whose meters a pool of this scope draws from.
    pub(super) fn holders(&self, scope: Scope) -> Vec<Holder> {
        match scope {
            Scope::Global => vec![Holder::Global],
            Scope::Principal => vec![Holder::Principal(self.principal.clone())],
            Scope::Instance => vec![Holder::Instance(self.zone.clone())],
            Scope::Credential if self.credentials.is_empty() => vec![Holder::Instance(self.zone.clone())],
            Scope::Credential => {
                let of =
                    |credential: &CredentialId| Holder::Credential(self.zone.clone(), credential.clone());
                distinct(self.credentials.iter().map(of))
            }
        }
    }

    /// The holders whose budgets the call falls under.
    pub(super) fn budget_holders(&self) -> Vec<Holder> {
        let grants = self.grants.iter().copied().map(Holder::Grant);
        let own = [Holder::Zone(self.zone.clone()), Holder::Principal(self.principal.clone())];
        distinct(own.into_iter().chain(grants))
    }
}

fn distinct(holders: impl Iterator<Item = Holder>) -> Vec<Holder> {
    let mut holders: Vec<Holder> = holders.collect();
    holders.sort();
    holders.dedup();
    holders
}

cbor_map! {
    /// What a call uses, expected before it and measured after it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Usage {
        /// Calls: one, or more if the connector calls its service several times.
        pub requests: u64,
        /// Tokens of a language model.
        pub tokens: u64,
        /// Bytes sent and received.
        pub bytes: u64,
        /// Money, in millionths of the owner's currency.
        pub cost: u64,
    }
}

impl Usage {
    /// The usage of one call of which nothing else is known.
    pub const CALL: Self = Self { requests: 1, tokens: 0, bytes: 0, cost: 0 };

    /// What counts for a limit in `unit`.
    pub const fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests => self.requests,
            Unit::Tokens => self.tokens,
            Unit::Bytes => self.bytes,
            Unit::Cost => self.cost,
        }
    }
}

/// A share of one limit. Zero counts as one unit: a call is never free of a limit it falls under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The limit.
    pub limit: LimitId,
    /// Whose meter.
    pub holder: Holder,
    /// What the limit counts.
    pub unit: Unit,
    /// How much.
    pub amount: u64,
}

cbor_map! {
    /// The stored form of a demand: the fields of its limit and its holder side by side.
    struct Stored {
        pub amount: u64,
        pub connector: Option<ConnectorId>,
        pub credential: Option<CredentialId>,
        pub grant: Option<ObjectId>,
        pub instance: Option<ZoneId>,
        pub period_secs: Option<u64>,
        pub pool: Option<alloc::string::String>,
        pub principal: Option<PrincipalId>,
        pub unit: Unit,
        pub zone: Option<ZoneId>,
    }
}

impl ToCbor for Demand {
    fn to_cbor(&self) -> Value<'_> {
        let mut stored = Stored {
            amount: self.amount,
            connector: None,
            credential: None,
            grant: None,
            instance: None,
            period_secs: None,
            pool: None,
            principal: None,
            unit: self.unit,
            zone: None,
        };
        match &self.limit {
            LimitId::Pool { connector, pool } => {
                stored.connector = Some(connector.clone());
                stored.pool = Some(pool.as_str().into());
            }
            LimitId::Budget { period_secs, .. } => stored.period_secs = Some(*period_secs),
        }
        match &self.holder {
            Holder::Global => {}
            Holder::Instance(zone) => stored.instance = Some(zone.clone()),
            Holder::Credential(zone, credential) => {
                stored.instance = Some(zone.clone());
                stored.credential = Some(credential.clone());
            }
            Holder::Principal(principal) => stored.principal = Some(principal.clone()),
            Holder::Zone(zone) => stored.zone = Some(zone.clone()),
            Holder::Grant(grant) => stored.grant = Some(*grant),
        }
        stored.to_cbor().into_owned()
    }
}

impl FromCbor for Demand {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let stored = Stored::from_cbor(value)?;
        let holder = match (stored.instance, stored.credential, stored.principal, stored.zone, stored.grant) {
            (None, None, None, None, None) => Holder::Global,
            (Some(zone), None, None, None, None) => Holder::Instance(zone),
            (Some(zone), Some(credential), None, None, None) => Holder::Credential(zone, credential),
            (None, None, Some(principal), None, None) => Holder::Principal(principal),
            (None, None, None, Some(zone), None) => Holder::Zone(zone),
            (None, None, None, None, Some(grant)) => Holder::Grant(grant),
            _ => return Err(ShapeError::Invalid("a demand names one holder")),
        };
        let unit = stored.unit;
        let limit = match (stored.connector, stored.pool, stored.period_secs) {
            (Some(connector), Some(pool), None) => {
                LimitId::Pool { connector, pool: PoolName::new(pool).map_err(ShapeError::Id)? }
            }
            (None, None, Some(period_secs)) => LimitId::Budget { holder: holder.clone(), unit, period_secs },
            _ => return Err(ShapeError::Invalid("a demand names one pool or one budget")),
        };
        Ok(Self { limit, holder, unit, amount: stored.amount })
    }
}
