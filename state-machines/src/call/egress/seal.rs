//! The revocation seal: which authorisations are overtaken. Source: docs/spec/egress.md#seal.
//!
//! Each authorised call carries the sequence number of the revocation head its gate saw. A revocation raises the
//! number below which calls in its scope are dead, so it also stops a call that was authorised before it and is
//! opened after.

use alloc::collections::BTreeMap;
use fcp_proto_core::ids::{ConnectorId, CredentialId, ZoneId};
use serde::{Deserialize, Serialize};

use super::open::{EgressHandle, OpenCall};

/// What a revocation speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// Every call.
    Everything,
    /// Every call in a zone.
    Zone(ZoneId),
    /// Every call of a connector.
    Connector(ConnectorId),
    /// Every call that may use a credential.
    Credential {
        /// The connector it is stored for.
        connector: ConnectorId,
        /// The zone it is stored in.
        zone: ZoneId,
        /// Its name there.
        credential: CredentialId,
    },
    /// One call.
    Handle(EgressHandle),
}

impl Scope {
    /// Whether the scope holds `call`.
    pub fn holds(&self, call: &OpenCall) -> bool {
        match self {
            Self::Everything => true,
            Self::Zone(zone) => call.zone == *zone,
            Self::Connector(connector) => call.connector == *connector,
            Self::Credential { connector, zone, credential } => {
                call.connector == *connector
                    && call.zone == *zone
                    && call.credentials.iter().any(|grant| grant.credential == *credential)
            }
            Self::Handle(handle) => call.handle == *handle,
        }
    }
}

/// The revocations seen: for each scope the lowest seal that still stands.
#[derive(Clone, Debug, Default)]
pub struct Seals(BTreeMap<Scope, u64>);

impl Seals {
    /// Records that calls in `scope` sealed before `sequence` are dead. The number never goes back.
    pub fn revoke(&mut self, scope: Scope, sequence: u64) {
        let lowest = self.0.entry(scope).or_default();
        *lowest = sequence.max(*lowest);
    }

    /// Whether no revocation has overtaken `call`, sealed at `seal`.
    pub fn stands(&self, call: &OpenCall, seal: u64) -> bool {
        self.0.iter().all(|(scope, lowest)| seal >= *lowest || !scope.holds(call))
    }

    /// Forgets a handle's revocation once its call is gone; handles are never used twice.
    pub fn forget(&mut self, handle: &EgressHandle) {
        self.0.remove(&Scope::Handle(*handle));
    }
}
