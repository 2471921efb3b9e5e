//! What can be said of the installed connectors without the daemon: what their manifests say, and nothing else.
//! Whether one is enabled, where it is bound and how it is cannot be known here, so it is not shown.

use std::path::PathBuf;

use fcp_api::examination::REMEDY_OF_COPY;
use fcp_api::types::{OperationDetail, OperationList, OperationSummary, Source};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, OperationId, ZoneId};
use fcp_proto_core::manifest::{MAX_MANIFEST_BYTES, Manifest, Operation};
use serde::Serialize;
use serde_json::{Value, json};

use crate::commands::search::Searched;
use crate::home::Home;
use crate::render::Answer;
use crate::{Failure, Result, file_failure, internal};

/// The manifests in the home, as far as they can be read.
pub(crate) struct Manifests {
    read: Vec<Manifest>,
    damaged: Vec<Damaged>,
}

/// A manifest that cannot be read.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Damaged {
    file: PathBuf,
    code: Code,
    why: String,
}

impl Manifests {
    /// Reads them all: one that is damaged hides no other.
    ///
    /// # Errors
    /// What is wrong with the home.
    //= docs/spec/output.md#offline
    pub(crate) fn read(home: &Home) -> Result<Self> {
        let (mut found, mut damaged) = (Vec::new(), Vec::new());
        for path in paths(home)? {
            match read(&path) {
                Ok(manifest) => found.push(manifest),
                Err(failure) => {
                    let (code, why) = (failure.code, why_of(failure));
                    damaged.push(Damaged { file: path, code, why });
                }
            }
        }
        Ok(Self { read: found, damaged })
    }

    /// The installed connectors that may be bound to `zone`.
    ///
    /// # Errors
    /// [`Code::NotFound`] if the home has no such zone.
    pub(crate) fn list(&self, home: &Home, zone: Option<&ZoneId>) -> Result<Vec<Value>> {
        if let Some(zone) = zone {
            check_zone(home, zone)?;
        }
        let fits = |manifest: &&Manifest| zone.is_none_or(|zone| manifest.zones.allows(zone));
        Ok(self.read.iter().filter(fits).map(summary).collect())
    }

    /// The installed connectors, to be searched.
    pub(crate) fn searched(&self) -> impl Iterator<Item = Searched<Value>> {
        self.read.iter().map(|manifest| Searched {
            connector: summary(manifest),
            text: name_of(manifest),
            operations: manifest.operations.iter().map(|(id, it)| operation_summary(id, it)).collect(),
        })
    }

    /// Those that cannot be read.
    pub(crate) fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }

    /// That not all could be read, if so.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let first = self.damaged.first()?;
        let more = match self.damaged.len() {
            1 => String::new(),
            count => format!(", and {} more", count - 1),
        };
        Some(Failure::new(first.code).because(format!("{}{more}", first.why)).next(REMEDY_OF_COPY))
    }
}

/// Refuses a zone that the home does not have: each has a key of its own there, whoever looks.
//= docs/spec/output.md#offline
fn check_zone(home: &Home, zone: &ZoneId) -> Result<()> {
    if home.zone_key(zone).exists() {
        return Ok(());
    }
    Err(Failure::new(Code::NotFound)
        .because(format!("there is no zone {zone}: {} has no key of it", home.path().display()))
        .next("`fwc zones list` lists them, once `fwc up` has started the daemon"))
}

/// One installed connector.
///
/// # Errors
/// [`Code::ConnectorUnknown`] if no manifest of it lies in the home; [`Code::ManifestInvalid`] if it cannot be read.
pub(crate) fn show(home: &Home, connector: &ConnectorId) -> Result<Answer> {
    let manifest = find(home, connector)?;
    let slots: Vec<Value> = manifest
        .auth
        .iter()
        .map(|(name, slot)| json!({ "slot": name, "kind": slot.kind, "description": slot.description }))
        .collect();
    let operations: Vec<_> = manifest.operations.iter().map(|(id, op)| operation_summary(id, op)).collect();
    let body = json!({
        "connector": summary(&manifest),
        "runtime": manifest.connector.runtime,
        "interface_hash": manifest.interface_hash(),
        "credential_slots": slots,
        "operations": operations,
    });
    Answer::local(&body, Source::Offline)
}

/// The operations of one installed connector.
///
/// # Errors
/// As [`show`].
pub(crate) fn operations(home: &Home, connector: &ConnectorId) -> Result<OperationList> {
    let manifest = find(home, connector)?;
    let operations = manifest.operations.iter().map(|(id, op)| operation_summary(id, op)).collect();
    Ok(OperationList { connector: connector.clone(), operations })
}

/// One operation of one installed connector.
///
/// # Errors
/// As [`show`], and [`Code::OperationUnknown`].
pub(crate) fn operation(home: &Home, connector: &ConnectorId, id: &OperationId) -> Result<OperationDetail> {
    let manifest = find(home, connector)?;
    let operation = manifest.operation(id).ok_or_else(|| {
        Failure::new(Code::OperationUnknown)
            .because(format!("{connector} has no operation {id}"))
            .next(format!("`fwc ops {connector} --offline` lists them"))
    })?;
    let hints = serde_json::to_value(&operation.hints).map_err(|error| internal(&error.to_string()))?;
    Ok(OperationDetail {
        connector: connector.clone(),
        operation: operation_summary(id, operation),
        interface_hash: manifest.interface_hash(),
        input_schema: operation.input.schema.clone(),
        output_schema: operation.output.schema.clone(),
        resources: operation.resources.iter().map(|template| String::from(template.clone())).collect(),
        credential_slot: operation.auth.clone(),
        hosts: hosts(operation),
        rate_pools: operation.rate_pools.clone(),
        timeout_ms: operation.timeout_ms.into(),
        probe: operation.probe.clone(),
        hints,
    })
}

fn hosts(operation: &Operation) -> Vec<String> {
    let rules = operation.network.iter().flat_map(|network| network.hosts.iter());
    rules.map(|rule| String::from(rule.clone())).collect()
}

fn summary(manifest: &Manifest) -> Value {
    let connector = &manifest.connector;
    json!({
        "id": connector.id,
        "name": connector.name,
        "version": connector.version,
        "description": connector.description,
        "operations": manifest.operations.len(),
        "max_tier": manifest.operations.values().map(|operation| operation.safety).max(),
        "home_zone": manifest.zones.home,
        "allowed_zones": manifest.zones.allowed,
    })
}

fn operation_summary(id: &OperationId, operation: &Operation) -> OperationSummary {
    OperationSummary {
        id: id.clone(),
        description: operation.description.clone(),
        capability: operation.capability.clone(),
        risk: operation.risk,
        tier: operation.safety,
        idempotency: operation.idempotency,
        approval: operation.approval,
    }
}

/// What a connector is called and what it is, in its own words.
fn name_of(manifest: &Manifest) -> String {
    let connector = &manifest.connector;
    format!("{} {} {}", connector.id, connector.name, connector.description)
}

fn find(home: &Home, connector: &ConnectorId) -> Result<Manifest> {
    let path = home.manifests().join(format!("{connector}.toml"));
    if path.exists() {
        return read(&path);
    }
    Err(Failure::new(Code::ConnectorUnknown)
        .because(format!("there is no {}", path.display()))
        .next("`fwc list --offline` shows the manifests that lie in the home"))
}

/// The manifests in the home, sorted by name.
fn paths(home: &Home) -> Result<Vec<PathBuf>> {
    if !home.path().exists() {
        return Err(home.absent());
    }
    let folder = home.manifests();
    let failed = |error: std::io::Error| file_failure("read", &folder, &error);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// What failed, as precisely as it is known.
fn why_of(failure: Failure) -> String {
    failure.why.map_or(failure.message, String::from)
}

fn read(path: &std::path::Path) -> Result<Manifest> {
    let invalid = |why: String| {
        let why = format!("{}: {why}", path.display());
        Failure::new(Code::ManifestInvalid).because(why).next(REMEDY_OF_COPY)
    };
    let bytes = crate::read_file(path, MAX_MANIFEST_BYTES).map_err(|failure| invalid(why_of(failure)))?;
    Manifest::parse(&bytes).map_err(|error| invalid(error.to_string()))
}
