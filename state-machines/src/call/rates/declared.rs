//! From a manifest's pool to its limit. Spec: docs/spec/rates.md#declared-pools.

use core::time::Duration;

use fcp_proto_core::ids::{ConnectorId, IdError};
use fcp_proto_core::manifest::{RateAlgorithm, RatePool, RateScope};

use super::limit::{Algorithm, Enforcement, Limit, LimitId, PoolName, Scope, Unit};

impl Limit {
    /// The limit that a manifest of `connector` declares as `pool`: calls, enforced hard.
    ///
    /// # Errors
    /// The rule that the pool's name breaks; a checked manifest has none such.
    pub fn declared(connector: &ConnectorId, pool: &RatePool) -> Result<Self, IdError> {
        let (calls, window) = (u64::from(pool.requests), Duration::from_millis(pool.window_ms.into()));
        let capacity = pool.burst.map_or(calls, u64::from);
        let algorithm = match pool.algorithm {
            RateAlgorithm::TokenBucket => {
                // The smallest steps with the same rate, so that a burst below `requests` does not slow it.
                let nanos = u64::from(pool.window_ms) * 1_000_000;
                let steps = gcd(calls, nanos).max(1);
                Algorithm::TokenBucket {
                    capacity,
                    refill: calls / steps,
                    every: Duration::from_nanos(nanos / steps),
                }
            }
            RateAlgorithm::SlidingWindow => Algorithm::SlidingWindow { limit: calls, window },
            RateAlgorithm::LeakyBucket => Algorithm::LeakyBucket { capacity, leak: calls, every: window },
        };
        let scope = match pool.scope {
            RateScope::Connector => Scope::Instance,
            RateScope::Credential => Scope::Credential,
            RateScope::Principal => Scope::Principal,
        };
        let id = LimitId::Pool { connector: connector.clone(), pool: PoolName::new(pool.id.as_str())? };
        Ok(Self { id, unit: Unit::Requests, scope, enforcement: Enforcement::Hard, algorithm })
    }
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
