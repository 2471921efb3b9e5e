//! Discovery and introspection of connectors, and their state.

use std::collections::BTreeSet;

use fcp_api::routes::{
    DisableConnector, EnableConnector, GetConnector, GetOperation, ListConnectors, ListOperations,
    RemoveConnector,
};
use fcp_api::types::{
    ConnectorDetail, ConnectorList, ConnectorStateView, ConnectorSummary, CredentialSlot, ErrorBody,
    OperationDetail, OperationList, OperationSummary, StateChanged, Warning, WarningKind,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, OperationId};
use fcp_proto_core::manifest::Operation;
use fcp_proto_core::object::{ConnectorInstall, ConnectorState};
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::node::{Installed, Node};

use super::condition;
use super::denial::unknown_operation;
use super::mount::{Ask, Serve};
use super::sign::admit;
use crate::daemon::{App, Runner, Unlocked, owner_zone};

/// A connector in a list.
pub(super) fn summary(
    node: &Node,
    installed: &Installed,
    runner: &dyn Runner,
    now: UnixTime,
) -> ConnectorSummary {
    let (install, manifest) = (&installed.install, &installed.manifest);
    let health = condition::health(node, installed, runner, now);
    ConnectorSummary {
        id: install.connector.clone(),
        name: manifest.connector.name.clone(),
        version: install.version.clone(),
        description: manifest.connector.description.clone(),
        enabled: installed.enabled,
        dev: install.dev,
        zones: install.zones.iter().cloned().collect(),
        operations: manifest.operations.len() as u64,
        max_tier: manifest.operations.values().map(|operation| operation.safety).max(),
        problem: condition::problem(&health),
        health,
    }
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

/// The hosts that `operations` may reach, as the connector is configured.
fn hosts_of<'a>(installed: &Installed, operations: impl IntoIterator<Item = &'a Operation>) -> Vec<String> {
    let (manifest, config) = (&installed.manifest, &installed.config);
    let places = operations.into_iter().filter_map(|operation| manifest.destination(operation, config));
    let hosts: BTreeSet<String> = places.flat_map(|place| place.hosts).collect();
    hosts.into_iter().collect()
}

/// A connector in full.
pub(super) fn detail(
    node: &Node,
    installed: &Installed,
    runner: &dyn Runner,
    now: UnixTime,
) -> ConnectorDetail {
    let (install, manifest) = (&installed.install, &installed.manifest);
    let stored = |slot: &str| {
        let all = node.catalog().credentials();
        let fits = all.filter(|it| it.record.connector == install.connector && it.record.slot == slot);
        fits.map(|it| it.record.credential.clone()).collect()
    };
    let slots = manifest.auth.iter().map(|(slot, auth)| CredentialSlot {
        slot: slot.clone(),
        kind: auth.kind,
        description: auth.description.clone(),
        credentials: stored(slot),
    });
    let unrunnable = runner.unrunnable(&install.connector).map(|(_, warning)| warning);
    let connector = summary(node, installed, runner, now);
    let condition = condition::warnings(installed, &connector.health, runner);
    let warnings = development_warning(install).into_iter().chain(unrunnable).chain(condition).collect();
    ConnectorDetail {
        connector,
        runtime: manifest.connector.runtime,
        package_digest: install.package_digest,
        code_digest: Some(install.code_digest),
        interface_hash: install.interface_hash,
        publishers: install.publishers.iter().copied().collect(),
        installed_at: Some(installed.changed_at),
        hosts: hosts_of(installed, manifest.operations.values()),
        credential_slots: slots.collect(),
        operations: manifest.operations.iter().map(|(id, it)| operation_summary(id, it)).collect(),
        warnings,
    }
}

/// That a connector is one of a development publisher, if it is.
//= docs/spec/package.md#development
pub(super) fn development_warning(install: &ConnectorInstall) -> Option<Warning> {
    let (connector, keys) = (&install.connector, &install.publishers);
    let keys = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let message = match (install.dev, keys.as_str()) {
        (false, _) => return None,
        (true, "") => format!("{connector} was installed without a signature, by an earlier release"),
        (true, keys) => {
            format!("{connector} is in development: signed with the development key {keys} alone")
        }
    };
    let remedy = "have a trusted publisher sign its package, and `fwc install` it without --dev";
    Some(Warning { kind: WarningKind::DevConnector, message, remedy: Some(remedy.into()) })
}

fn unknown(connector: &ConnectorId) -> ErrorBody {
    ErrorBody::new(Code::ConnectorUnknown).because(format!("{connector} is not installed"))
}

/// A connector in full, as it is now.
///
/// # Errors
/// [`Code::ConnectorUnknown`].
pub(super) async fn detail_of(app: &App, connector: ConnectorId) -> Result<ConnectorDetail, ErrorBody> {
    let runner = std::sync::Arc::clone(&app.serving()?.runner);
    let found = app.query(move |node, now| {
        runner.look(node);
        let installed = node.catalog().get(&connector);
        installed
            .map(|installed| detail(node, installed, &*runner, now.unix))
            .ok_or_else(|| unknown(&connector))
    });
    found.await?
}

/// Whether all words of a search stand somewhere in what describes the connector.
fn holds(installed: &Installed, search: &str) -> bool {
    let manifest = &installed.manifest;
    let mut text =
        format!("{} {} {}", manifest.connector.id, manifest.connector.name, manifest.connector.description);
    for (id, operation) in &manifest.operations {
        text.push_str(&format!(" {id} {}", operation.description));
    }
    let text = text.to_lowercase();
    search.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

impl Serve for ListConnectors {
    const CONDITIONAL: bool = true;

    async fn serve(ask: Ask<Self>) -> Result<ConnectorList, ErrorBody> {
        ask.caller.names(&ask.app, None, ask.query.zone.as_ref()).await?;
        let wanted = ask.query;
        let runner = std::sync::Arc::clone(&ask.app.serving()?.runner);
        let connectors = ask.app.query(move |node, now| {
            runner.look(node);
            let fits = |installed: &&Installed| {
                wanted.zone.as_ref().is_none_or(|zone| installed.install.zones.contains(zone))
                    && wanted.search.as_ref().is_none_or(|search| holds(installed, search))
            };
            let found = node.catalog().iter().filter(fits);
            found.map(|installed| summary(node, installed, &*runner, now.unix)).collect()
        });
        Ok(ConnectorList { connectors: connectors.await? })
    }
}

impl Serve for GetConnector {
    const CONDITIONAL: bool = true;

    async fn serve(ask: Ask<Self>) -> Result<ConnectorDetail, ErrorBody> {
        detail_of(&ask.app, ask.path(0)?).await
    }
}

impl Serve for ListOperations {
    const CONDITIONAL: bool = true;

    async fn serve(ask: Ask<Self>) -> Result<OperationList, ErrorBody> {
        let connector: ConnectorId = ask.path(0)?;
        let found = ask.app.query(move |node, _| {
            let installed = node.catalog().get(&connector).ok_or_else(|| unknown(&connector))?;
            let operations = &installed.manifest.operations;
            let operations = operations.iter().map(|(id, it)| operation_summary(id, it)).collect();
            Ok(OperationList { connector, operations })
        });
        found.await?
    }
}

impl Serve for GetOperation {
    const CONDITIONAL: bool = true;

    async fn serve(ask: Ask<Self>) -> Result<OperationDetail, ErrorBody> {
        let (connector, id): (ConnectorId, OperationId) = (ask.path(0)?, ask.path(1)?);
        let found = ask.app.query(move |node, _| {
            let installed = node.catalog().get(&connector).ok_or_else(|| unknown(&connector))?;
            let operation =
                installed.manifest.operation(&id).ok_or_else(|| unknown_operation(&connector, &id))?;
            let hints = serde_json::to_value(&operation.hints)
                .map_err(|error| ErrorBody::new(Code::Internal).because(error.to_string()))?;
            Ok(OperationDetail {
                operation: operation_summary(&id, operation),
                interface_hash: installed.install.interface_hash,
                input_schema: operation.input.schema.clone(),
                output_schema: operation.output.schema.clone(),
                resources: operation.resources.iter().map(ToString::to_string).collect(),
                credential_slot: operation.auth.clone(),
                hosts: hosts_of(installed, [operation]),
                rate_pools: operation.rate_pools.clone(),
                timeout_ms: u64::from(operation.timeout_ms),
                probe: operation.probe.clone(),
                hints,
                connector,
            })
        });
        found.await?
    }
}

/// Changes whether calls reach a connector.
async fn change(
    app: &App,
    operator: &Unlocked,
    connector: ConnectorId,
    state: ConnectorStateView,
    reason: Option<String>,
) -> Result<StateChanged, ErrorBody> {
    let (enabled, removed) = match state {
        ConnectorStateView::Enabled => (true, false),
        ConnectorStateView::Disabled => (false, false),
        ConnectorStateView::Removed => (false, true),
    };
    let named = connector.clone();
    let calls_ended = app.query(move |node, _| node.calls_to(&named).count() as u64);
    let calls_ended = if enabled { 0 } else { calls_ended.await? };
    let fields = ConnectorState { connector: connector.clone(), enabled, removed, reason };
    let record_id = admit(app, operator, &owner_zone(), fields).await?;
    //= docs/spec/connectors.md#disabling
    app.serving()?.runner.closed().await;
    Ok(StateChanged { connector, state, record_id, calls_ended })
}

macro_rules! changes {
    ($($endpoint:ident => $state:ident,)+) => { $(
        impl Serve for $endpoint {
            async fn serve(ask: Ask<Self>) -> Result<StateChanged, ErrorBody> {
                let connector = ask.path(0)?;
                let operator = ask.caller.as_operator()?;
                change(&ask.app, operator, connector, ConnectorStateView::$state, ask.body.reason).await
            }
        }
    )+ };
}

changes! {
    EnableConnector => Enabled,
    DisableConnector => Disabled,
    RemoveConnector => Removed,
}
