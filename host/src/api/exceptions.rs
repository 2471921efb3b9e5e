//! Walls that the owner lowers, each for one connector and on record.

use std::collections::BTreeSet;

use fcp_api::routes::{AddException, ListExceptions, RemoveException};
use fcp_api::types::{ErrorBody, ExceptionList, ExceptionRule, ExceptionView};
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, ObjectId};
use fcp_proto_core::object::{ExceptionKind, OwnerException};
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::call::egress::{HostPattern, Target};
use fcp_state_machines::node::{Installed, Node};

use super::mount::{Ask, Serve};
use super::sign::admit;
use crate::daemon::{Opened, owner_zone};

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

/// Whether the rule would open something: what would not is refused, for its owner would believe that it does.
//= docs/spec/authority.md#exceptions
fn check(node: &Node, connector: &ConnectorId, rule: ExceptionRule) -> Result<(), ErrorBody> {
    let Some(installed) = node.catalog().get(connector) else {
        let why = format!("{connector} is not installed");
        return Err(ErrorBody::new(Code::ConnectorUnknown).because(why));
    };
    let opened = Opened::read(rule).map_err(|why| ErrorBody::new(Code::InputInvalid).because(why))?;
    let Opened::Address(opened) = opened else { return Ok(()) };
    let declared = declared_hosts(installed);
    let is_declared = declared.iter().any(|declared| match &opened.host {
        HostPattern::Exact(host) => declared.covers(host),
        below @ HostPattern::Below(_) => declared == below,
    });
    if !is_declared {
        let names: Vec<_> = declared.iter().map(ToString::to_string).collect();
        let why = format!("{connector} declares no host {}; it declares: {}", opened.host, names.join(", "));
        return Err(ErrorBody::new(Code::InputInvalid).because(why));
    }
    Ok(())
}

/// The hosts that a connector's operations and the refreshes of its credentials may reach.
fn declared_hosts(installed: &Installed) -> BTreeSet<HostPattern> {
    let (manifest, config) = (&installed.manifest, &installed.config);
    let of_operations = manifest.operations.values().filter_map(|it| manifest.destination(it, config));
    let hosts = of_operations.flat_map(|destination| destination.hosts).filter_map(|it| it.parse().ok());
    let refreshes = manifest.auth.values().filter_map(|auth| auth.token_url.as_deref());
    let refreshes =
        refreshes.filter_map(|url| Some(HostPattern::Exact(Target::parse(url).ok()?.origin.host)));
    hosts.chain(refreshes).collect()
}

impl Serve for AddException {
    async fn serve(ask: Ask<Self>) -> Result<ExceptionView, ErrorBody> {
        let Ask { app, body, caller, now, .. } = ask;
        let operator = caller.as_operator()?;
        let (connector, asked) = (body.connector.clone(), body.rule.clone());
        app.query(move |node, _| check(node, &connector, asked)).await??;
        let kind = match &body.rule {
            ExceptionRule::Egress { .. } => ExceptionKind::Egress,
            ExceptionRule::Sandbox { .. } => ExceptionKind::Sandbox,
        };
        let rule = serde_json::to_value(&body.rule).map_err(|error| error.to_string());
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
            .ok_or_else(|| ErrorBody::new(Code::NotFound).because(format!("there is no exception {id}")))?;
        let recorded_at = app.records().exceptions.get(&id).copied().unwrap_or_default();
        let withdrawn = OwnerException { removed: true, ..standing };
        admit(&app, operator, &owner_zone(), withdrawn.clone()).await?;
        view(id, &withdrawn, recorded_at).ok_or_else(|| super::status::broken("an exception cannot be shown"))
    }
}
