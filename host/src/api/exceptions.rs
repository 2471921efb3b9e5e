//! Walls that the owner lowers, each for one connector and on record.

use fcp_api::routes::{AddException, ListExceptions, RemoveException};
use fcp_api::types::{ErrorBody, ExceptionList, ExceptionRule, ExceptionView};
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{ExceptionKind, OwnerException};
use fcp_proto_core::time::UnixTime;

use super::mount::{Ask, Serve};
use super::sign::admit;
use crate::daemon::owner_zone;

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

impl Serve for AddException {
    async fn serve(ask: Ask<Self>) -> Result<ExceptionView, ErrorBody> {
        let Ask { app, body, caller, now, .. } = ask;
        let operator = caller.as_operator()?;
        let connector = body.connector.clone();
        if !app.query(move |node, _| node.catalog().get(&connector).is_some()).await? {
            let why = format!("{} is not installed", body.connector);
            return Err(ErrorBody::new(Code::ConnectorUnknown).because(why));
        }
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
