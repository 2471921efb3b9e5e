//! Walls that the owner lowers, each for one connector and on record.

use std::collections::BTreeSet;

use fcp_api::routes::{AddException, ListExceptions, RemoveException};
use fcp_api::types::{ErrorBody, ExceptionList, ExceptionRule, ExceptionView};
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, ObjectId};
use fcp_proto_core::manifest::Manifest;
use fcp_proto_core::object::{ExceptionKind, OwnerException};
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::call::egress::{HostPattern, Target};
use serde_json::Value;

use super::mount::{Ask, Serve};
use super::sign::admit;
use crate::daemon::{App, Opened, owner_zone, pin_authority};

fn view(id: ObjectId, exception: &OwnerException, recorded_at: UnixTime) -> Option<ExceptionView> {
    Some(ExceptionView {
        exception_id: id,
        connector: exception.connector.clone(),
        rule: serde_json::from_str(&exception.rule).ok()?,
        reason: exception.reason.clone(),
        recorded_at,
        expires_at: exception.expires_at,
        removed: exception.removed,
    })
}

impl Serve for ListExceptions {
    async fn serve(ask: Ask<Self>) -> Result<ExceptionList, ErrorBody> {
        let recorded = ask.app.records().exceptions.clone();
        let exceptions = ask.app.query(move |node, _| {
            let at = |id| recorded.get(id).copied().unwrap_or_default();
            let all = node.catalog().all_exceptions();
            let mut found: Vec<_> = all.filter_map(|(id, it)| view(*id, it, at(id))).collect();
            found.sort_by_key(|it| std::cmp::Reverse((it.recorded_at, it.exception_id)));
            found
        });
        Ok(ExceptionList { exceptions: exceptions.await? })
    }
}

/// Refuses a rule that would open nothing, for its owner would believe that it does.
//= docs/spec/authority.md#exceptions
async fn check(app: &App, connector: &ConnectorId, rule: &ExceptionRule) -> Result<(), ErrorBody> {
    let named = connector.clone();
    let declared = app.query(move |node, _| {
        let installed = node.catalog().get(&named)?;
        Some(declared_hosts(&installed.manifest, &installed.config))
    });
    let declared = declared.await?.ok_or_else(|| {
        ErrorBody::new(Code::ConnectorUnknown).because(format!("{connector} is not installed"))
    })?;
    let unfit = |why: String| ErrorBody::new(Code::InputInvalid).because(why);
    match Opened::read(rule).map_err(unfit)? {
        Opened::Address(opened) if !is_declared(&declared, &opened.host) => {
            let names: Vec<_> = declared.iter().map(ToString::to_string).collect();
            let names = if names.is_empty() { "none".into() } else { names.join(", ") };
            Err(unfit(format!("{connector} declares no host {}; it declares: {names}", opened.host)))
        }
        Opened::Address(_) | Opened::Property(_) => Ok(()),
    }
}

/// The hosts that a connector's operations and the refreshes of its credentials may reach.
fn declared_hosts(manifest: &Manifest, config: &Value) -> BTreeSet<HostPattern> {
    let of_operations = manifest.operations.values().filter_map(|it| manifest.destination(it, config));
    let hosts = of_operations.flat_map(|destination| destination.hosts).filter_map(|it| it.parse().ok());
    let refreshes = manifest.auth.values().filter_map(|auth| auth.token_url.as_deref());
    let refreshes =
        refreshes.filter_map(|url| Some(HostPattern::Exact(Target::parse(url).ok()?.origin.host)));
    hosts.chain(refreshes).collect()
}

fn is_declared(declared: &BTreeSet<HostPattern>, named: &HostPattern) -> bool {
    match named {
        HostPattern::Exact(host) => declared.iter().any(|declared| declared.covers(host)),
        HostPattern::Below(_) => declared.contains(named),
    }
}

impl Serve for AddException {
    async fn serve(ask: Ask<Self>) -> Result<ExceptionView, ErrorBody> {
        let Ask { app, body, caller, now, .. } = ask;
        let operator = caller.as_operator()?;
        check(&app, &body.connector, &body.rule).await?;
        let kind = match &body.rule {
            ExceptionRule::Egress { .. } => ExceptionKind::Egress,
            ExceptionRule::Sandbox { .. } => ExceptionKind::Sandbox,
        };
        let rule = pin_authority(body.rule).map_err(|why| ErrorBody::new(Code::InputInvalid).because(why))?;
        let rule = serde_json::to_value(&rule).map_err(|error| error.to_string());
        let rule = rule.and_then(|value| Json::try_from(value).map_err(|error| error.to_string()));
        let rule = rule.map_err(|why| ErrorBody::new(Code::InputInvalid).because(why))?.to_string();
        let fields = OwnerException {
            kind,
            connector: body.connector,
            rule,
            reason: body.reason,
            expires_at: body.lifetime_secs.map(|secs| now.unix.saturating_add(secs)),
            removed: false,
        };
        let id = admit(&app, operator, &owner_zone(), fields.clone()).await?;
        view(id, &fields, now.unix).ok_or_else(|| super::status::broken("an exception cannot be shown"))
    }
}

impl Serve for RemoveException {
    async fn serve(ask: Ask<Self>) -> Result<ExceptionView, ErrorBody> {
        let id: ObjectId = ask.path(0)?;
        let Ask { app, caller, .. } = ask;
        let operator = caller.as_operator()?;
        let found = app.query(move |node, _| {
            node.catalog().all_exceptions().find(|(known, _)| **known == id).map(|(_, it)| it.clone())
        });
        let standing = found
            .await?
            .ok_or_else(|| ErrorBody::new(Code::NotFound).because(format!("there is no exception {id}")))
            .map_err(|none| none.next("`fwc exception list` lists the exceptions"))?;
        let recorded_at = app.records().exceptions.get(&id).copied().unwrap_or_default();
        let withdrawn = OwnerException { removed: true, ..standing };
        admit(&app, operator, &owner_zone(), withdrawn.clone()).await?;
        view(id, &withdrawn, recorded_at).ok_or_else(|| super::status::broken("an exception cannot be shown"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MANIFEST: &str = r#"
[manifest]
format = "fcp-connector-manifest"
schema_version = "3.0"
[connector]
id = "notes"
name = "Notes"
version = "1.0.0"
description = "Notes kept by a service."
archetypes = ["knowledge"]
runtime = "declarative"
[zones]
home = "z:work"
allowed = ["z:work"]
[config.base_url]
type = "url"
description = "Where the service answers."
default = "https://api.notes.example"
[auth.token]
kind = "oauth2"
description = "An access token."
hosts = ["{config.base_url}"]
token_url = "https://login.notes.example/token"
[http]
base_url = "{config.base_url}"
[network]
hosts = ["{config.base_url}", "*.files.example"]
[operations."notes.get"]
description = "Reads a note."
capability = "notes.read"
risk = "low"
safety = "safe"
idempotency = "none"
approval = "none"
resources = ["notes:note/{note}"]
auth = "token"
[operations."notes.get".input.schema]
type = "object"
additionalProperties = false
required = ["note"]
properties = { note = { type = "string" } }
[operations."notes.get".output]
trust = "untrusted"
confidentiality = "zone"
schema = { type = "object" }
[operations."notes.get".http]
method = "GET"
path = "/notes/{note}"
[sandbox]
profile = "strict"
memory_mb = 64
cpu_percent = 50
wall_clock_ms = 30000
"#;

    //= docs/spec/authority.md#exceptions
    #[test]
    fn a_host_is_declared_by_an_operation_or_by_the_refresh_of_a_credential() {
        let manifest = Manifest::parse(MANIFEST.as_bytes()).unwrap();
        let config = json!({ "base_url": "https://git.intern.example:8443" });
        let declared = declared_hosts(&manifest, &config);
        let is_declared = |host: &str| super::is_declared(&declared, &host.parse().unwrap());
        for host in ["git.intern.example", "a.files.example", "*.files.example", "login.notes.example"] {
            assert!(is_declared(host), "{host}");
        }
        for host in ["intern.example", "files.example", "*.intern.example", "*.example.com", "10.0.0.7"] {
            assert!(!is_declared(host), "{host}");
        }
    }
}
