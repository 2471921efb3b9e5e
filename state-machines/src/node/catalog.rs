//! What is installed, which walls the owner lowered for it, and which credentials it may use.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::ids::{ConnectorId, CredentialId, Digest, ObjectId, OperationId, ZoneId};
use fcp_proto_core::manifest::{Manifest, Operation};
use fcp_proto_core::object::{
    ConnectorInstall, ConnectorState, CredentialRecord, GrantRequest, OwnerException, StandingApproval,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::Level;

use crate::call::gate::{ConnectorFacts, OperationFacts};

/// An installed connector.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    /// The object that installed it.
    pub id: ObjectId,
    /// What was installed.
    pub install: ConnectorInstall,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its configuration, with the manifest's defaults filled in.
    pub config: serde_json::Value,
    /// BLAKE3 of that as canonical JSON.
    pub config_digest: Digest,
    /// Whether calls reach it.
    pub enabled: bool,
    /// When it was installed or last changed.
    pub changed_at: UnixTime,
}

/// A credential that is stored for a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The zone whose calls may use it.
    pub zone: ZoneId,
    /// What is known of it.
    pub record: CredentialRecord,
}

/// Why an installation is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadInstall {
    /// Its manifest does not follow its schema; says where.
    Manifest(String),
    /// Its manifest is of another connector, version or interface than it says.
    Mismatch,
    /// Its configuration does not fit the manifest; says where.
    Config(String),
    /// The manifest does not permit this zone.
    Zone(ZoneId),
}

/// Everything installed on this node.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    connectors: BTreeMap<ConnectorId, Installed>,
    exceptions: BTreeMap<ObjectId, OwnerException>,
    credentials: BTreeMap<CredentialId, Credential>,
    /// Rises with every change, for caches.
    revision: u64,
}

impl Catalog {
    /// Reads an installation.
    ///
    /// # Errors
    /// What makes it of no use.
    pub fn read(id: ObjectId, install: &ConnectorInstall, now: UnixTime) -> Result<Installed, BadInstall> {
        let manifest =
            Manifest::parse(&install.manifest.0).map_err(|error| BadInstall::Manifest(error.to_string()))?;
        let same = manifest.connector.id == install.connector
            && manifest.connector.version == install.version
            && manifest.interface_hash() == install.interface_hash;
        if !same {
            return Err(BadInstall::Mismatch);
        }
        if let Some(zone) = install.zones.iter().find(|zone| !manifest.zones.allows(zone)) {
            return Err(BadInstall::Zone(zone.clone()));
        }
        let given =
            serde_json::from_str(&install.config).map_err(|error| BadInstall::Config(error.to_string()))?;
        let config =
            manifest.resolve_config(&given).map_err(|error| BadInstall::Config(error.to_string()))?;
        let canonical =
            Json::try_from(config.clone()).map_err(|error| BadInstall::Config(error.to_string()))?;
        let config_digest = hash::digest(canonical.to_canonical().as_bytes());
        let install = install.clone();
        Ok(Installed { id, install, manifest, config, config_digest, enabled: true, changed_at: now })
    }

    /// Takes an installation; it replaces the one before, and stays disabled if that was.
    //= docs/spec/authority.md#taking-objects
    pub fn put(&mut self, mut installed: Installed) {
        let before = self.connectors.get(&installed.install.connector);
        installed.enabled = before.is_none_or(|before| before.enabled);
        self.connectors.insert(installed.install.connector.clone(), installed);
        self.revision += 1;
    }

    /// Takes a change of state.
    pub fn apply_state(&mut self, state: &ConnectorState, at: UnixTime) {
        if state.removed {
            self.connectors.remove(&state.connector);
        } else if let Some(installed) = self.connectors.get_mut(&state.connector) {
            installed.enabled = state.enabled;
            installed.changed_at = at;
        }
        self.revision += 1;
    }

    /// Takes an exception. A later one with the same rule for the same connector replaces the earlier.
    pub fn apply_exception(&mut self, id: ObjectId, exception: &OwnerException) {
        self.exceptions.retain(|_, other| {
            (other.kind, &other.connector, &other.rule)
                != (exception.kind, &exception.connector, &exception.rule)
        });
        if !exception.removed {
            self.exceptions.insert(id, exception.clone());
        }
    }

    /// Takes what is known of a credential.
    pub fn apply_credential(&mut self, zone: &ZoneId, record: &CredentialRecord) {
        if record.removed {
            self.credentials.remove(&record.credential);
        } else {
            let credential = Credential { zone: zone.clone(), record: record.clone() };
            self.credentials.insert(record.credential.clone(), credential);
        }
    }

    /// A number that rises with every change of what is installed.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// One connector.
    pub fn get(&self, connector: &ConnectorId) -> Option<&Installed> {
        self.connectors.get(connector)
    }

    /// Whether the connector is still what a request was filed for.
    //= docs/spec/authority.md#asking-for-a-grant
    pub fn is_as_filed(&self, request: &GrantRequest) -> bool {
        match (&request.interface_hash, &request.code_digest) {
            (Some(interface), Some(code)) => self.is(&request.connector, interface, code),
            (Some(_) | None, Some(_) | None) => false,
        }
    }

    /// Whether the connector that is installed has this interface and this code.
    pub fn is(&self, connector: &ConnectorId, interface_hash: &Digest, code_digest: &Digest) -> bool {
        self.get(connector).is_some_and(|now| {
            now.install.interface_hash == *interface_hash && now.install.code_digest == *code_digest
        })
    }

    /// Whether the connector is what a standing approval was given for.
    //= docs/spec/gate.md#standing-approvals
    pub fn is_as_approved(&self, connector: &ConnectorId, given: &StandingApproval) -> bool {
        self.is(connector, &given.interface_hash, &given.code_digest)
            && self.get(connector).is_some_and(|now| given.is_for_config(&now.config_digest))
    }

    /// All connectors.
    pub fn iter(&self) -> impl Iterator<Item = &Installed> {
        self.connectors.values()
    }

    /// The exceptions in force for a connector.
    pub fn exceptions(
        &self,
        connector: &ConnectorId,
        now: UnixTime,
    ) -> impl Iterator<Item = (&ObjectId, &OwnerException)> {
        self.exceptions
            .iter()
            .filter(move |(_, it)| it.connector == *connector && it.expires_at.is_none_or(|end| now < end))
    }

    /// All exceptions that are not withdrawn.
    pub fn all_exceptions(&self) -> impl Iterator<Item = (&ObjectId, &OwnerException)> {
        self.exceptions.iter()
    }

    /// All credentials.
    pub fn credentials(&self) -> impl Iterator<Item = &Credential> {
        self.credentials.values()
    }

    /// The credentials that fill `slot` of a connector in a zone, in the order of their names.
    pub fn credentials_for(&self, connector: &ConnectorId, zone: &ZoneId, slot: &str) -> Vec<&Credential> {
        let fits = |it: &&Credential| {
            it.zone == *zone && it.record.connector == *connector && it.record.slot == slot
        };
        self.credentials.values().filter(fits).collect()
    }

    /// What the gate reads of a connector and its operation.
    pub fn facts(
        &self,
        connector: &ConnectorId,
        operation: &OperationId,
        zone_level: Level,
    ) -> Option<ConnectorFacts> {
        let installed = self.connectors.get(connector)?;
        Some(ConnectorFacts {
            enabled: installed.enabled,
            zones: installed.install.zones.clone(),
            interface_hash: installed.install.interface_hash,
            code_digest: installed.install.code_digest,
            config_digest: installed.config_digest,
            operation: installed.manifest.operation(operation).map(|it| operation_facts(it, zone_level)),
        })
    }

    /// The digests under which a connector's code can be revoked: its code, its package and its interface.
    pub fn digests(&self, connector: &ConnectorId) -> Vec<Digest> {
        let installed = self.connectors.get(connector);
        installed.into_iter().flat_map(|it| binary_parts(&it.install)).map(|(_, digest)| digest).collect()
    }

    /// What of the installed connectors has this digest, in words.
    pub fn named_by(&self, digest: &Digest) -> Vec<String> {
        let named = |install: &ConnectorInstall| {
            let part = binary_parts(install).into_iter().find(|(_, it)| it == digest);
            part.map(|(part, _)| alloc::format!("the {part} of {} {}", install.connector, install.version))
        };
        self.connectors.values().filter_map(|it| named(&it.install)).collect()
    }
}

/// The parts of an installation that can be revoked by a digest, each with what it is called.
pub(super) fn binary_parts(install: &ConnectorInstall) -> [(&'static str, Digest); 3] {
    [
        ("code", install.code_digest),
        ("package", install.package_digest),
        ("interface", install.interface_hash),
    ]
}

fn operation_facts(operation: &Operation, zone_level: Level) -> OperationFacts {
    OperationFacts {
        capability: operation.capability.clone(),
        risk: operation.risk,
        tier: operation.safety,
        idempotency: operation.idempotency,
        approval: operation.approval,
        roles: operation.input.roles.clone(),
        audience: operation.input.audience.level(zone_level),
        timeout_secs: u64::from(operation.timeout_ms).div_ceil(1000),
    }
}
