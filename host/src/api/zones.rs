//! Zones, their policies, and what is bound to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use fcp_api::routes::{AddZone, ChangePolicy, GetZone, ListZones, RekeyZone};
use fcp_api::types::{BudgetSetting, BudgetView, ErrorBody, PolicyChange, ZoneList, ZoneRekeyed, ZoneView};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, ZoneId};
use fcp_proto_core::object::{Budget, ObjectIdKey, ZoneDefinition, ZoneKeyGeneration, ZonePolicy};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::Now;
use fcp_proto_core::zone::{Level, Risk, SafetyTier};
use fcp_runtime_tokio::drive::entropy;
use fcp_state_machines::call::rates::{Holder, Limit};
use fcp_state_machines::node::{Node, Request};

use super::ceremony::{blocking, defect, on_the_socket};
use super::denial::failed;
use super::mount::{Ask, Serve};
use super::owner::{OWNER, by_phrase};
use super::sign::{admit, admit_object, admit_together, sign_with, signed};
use crate::daemon::{App, Made};
use crate::keys::{KeyStore, KeyStoreError};

fn budget(node: &Node, zone: &ZoneId, budget: &Budget, now: Now) -> BudgetView {
    let holder = Holder::Zone(zone.clone());
    let unit = budget.unit.parse().ok();
    let limit = unit.map(|unit| Limit::budget(holder.clone(), unit, budget.amount, budget.period_secs));
    let used = limit.and_then(|limit| node.rates().usage(&limit.id, &holder, now));
    BudgetView {
        name: budget.name.clone(),
        unit: budget.unit.clone(),
        amount: budget.amount,
        period_secs: budget.period_secs,
        used: used.map_or(0, |(used, _)| used),
    }
}

fn view(node: &Node, zone: &ZoneId, policies: &BTreeMap<ZoneId, Made>, now: Now) -> Option<ZoneView> {
    let (definition, policy) = node.authority().zone(zone)?;
    let bound = node.catalog().iter().filter(|it| it.install.zones.contains(zone));
    let agents = node.authority().principals().filter(|it| it.zone == *zone);
    Some(ZoneView {
        zone: zone.clone(),
        key_id: node.zone_key(zone).map(|key| key.key_id()),
        key_generation: definition.generation(),
        key_revoked: node.is_zone_revoked(zone, now.unix),
        description: definition.description.clone(),
        integrity: definition.integrity.height(),
        confidentiality: definition.confidentiality.height(),
        policy_version: policy.version,
        policy_id: policies.get(zone).map(|made| made.id).unwrap_or_default(),
        allowed_connectors: policy.connectors.clone(),
        denied_operations: policy.denied_operations.clone(),
        max_risk: policy.max_risk,
        max_tier: policy.max_tier,
        approval_from: policy.approval_from,
        max_token_secs: policy.max_token_secs,
        max_grant_secs: policy.max_grant_secs,
        budgets: policy.budgets.iter().map(|it| budget(node, zone, it, now)).collect(),
        connectors: bound.map(|it| it.install.connector.clone()).collect(),
        agents: agents.map(|it| it.enrolment.principal.clone()).collect(),
    })
}

impl Serve for ListZones {
    const CONDITIONAL: bool = true;

    async fn serve(ask: Ask<Self>) -> Result<ZoneList, ErrorBody> {
        let policies = ask.app.records().policies.clone();
        let zones = ask.app.query(move |node, now| {
            let zones = node.authority().zones().filter_map(|(zone, _)| view(node, zone, &policies, now));
            let mut zones: Vec<_> = zones.collect();
            zones.sort_by_key(|zone| std::cmp::Reverse(zone.integrity));
            zones
        });
        Ok(ZoneList { zones: zones.await? })
    }
}

impl Serve for GetZone {
    const CONDITIONAL: bool = true;

    async fn serve(ask: Ask<Self>) -> Result<ZoneView, ErrorBody> {
        view_of(&ask.app, ask.path(0)?).await
    }
}

/// A zone, as it is now.
///
/// # Errors
/// [`Code::ZoneUnknown`].
async fn view_of(app: &App, zone: ZoneId) -> Result<ZoneView, ErrorBody> {
    let policies = app.records().policies.clone();
    let found = app.query(move |node, now| view(node, &zone, &policies, now).ok_or(zone));
    found.await?.map_err(|zone| unknown(&zone))
}

fn unknown(zone: &ZoneId) -> ErrorBody {
    ErrorBody::new(Code::ZoneUnknown).because(format!("there is no zone {zone}"))
}

/// The policy that nothing was said about: as strict as can be.
fn strictest() -> ZonePolicy {
    ZonePolicy {
        version: 0,
        connectors: Vec::new(),
        denied_operations: Vec::new(),
        max_risk: Risk::Low,
        max_tier: SafetyTier::Safe,
        approval_from: SafetyTier::Risky,
        max_token_secs: 900,
        max_grant_secs: 90 * 86_400,
        budgets: Vec::new(),
    }
}

/// The policy after a change.
fn changed(before: ZonePolicy, change: PolicyChange) -> Result<ZonePolicy, ErrorBody> {
    let set = |it: BudgetSetting| {
        let BudgetSetting { name, unit, amount, period_secs } = it;
        Budget { name, unit, amount, period_secs }
    };
    let version = before.version.checked_add(1);
    Ok(ZonePolicy {
        version: version.ok_or_else(|| ErrorBody::new(Code::OutOfRange).because("no version is left"))?,
        connectors: change.allowed_connectors.unwrap_or(before.connectors),
        denied_operations: change.denied_operations.unwrap_or(before.denied_operations),
        max_risk: change.max_risk.unwrap_or(before.max_risk),
        max_tier: change.max_tier.unwrap_or(before.max_tier),
        approval_from: change.approval_from.unwrap_or(before.approval_from),
        max_token_secs: change.max_token_secs.unwrap_or(before.max_token_secs),
        max_grant_secs: change.max_grant_secs.unwrap_or(before.max_grant_secs),
        budgets: change.budgets.map_or(before.budgets, |all| all.into_iter().map(set).collect()),
    })
}

impl Serve for ChangePolicy {
    async fn serve(ask: Ask<Self>) -> Result<ZoneView, ErrorBody> {
        let zone: ZoneId = ask.path(0)?;
        let Ask { app, body, caller, .. } = ask;
        let operator = caller.as_operator()?;
        let named = zone.clone();
        let before = app.query(move |node, _| node.authority().zone(&named).map(|(_, it)| it.clone()));
        let policy = changed(before.await?.ok_or_else(|| unknown(&zone))?, body)?;
        admit(&app, operator, &zone, policy).await?;
        view_of(&app, zone).await
    }
}

impl Serve for AddZone {
    async fn serve(ask: Ask<Self>) -> Result<ZoneView, ErrorBody> {
        let Ask { app, body, caller, .. } = ask;
        let operator = caller.as_operator()?;
        let zone = body.zone;
        let named = zone.clone();
        if app.query(move |node, _| node.authority().definition(&named).is_some()).await? {
            return Err(ErrorBody::new(Code::Conflict).because(format!("there is a zone {zone} already")));
        }
        let level = |name: &str, height: u8| {
            let level = Level::new(height).filter(|level| *level < Level::OWNER);
            level.ok_or_else(|| ErrorBody::new(Code::OutOfRange).because(format!("`{name}` is 0 to 99")))
        };
        let definition = ZoneDefinition {
            integrity: level("integrity", body.integrity)?,
            confidentiality: level("confidentiality", body.confidentiality)?,
            description: body.description,
            key: None,
        };
        let policy = changed(strictest(), body.policy)?;
        hold_key(&app, &zone).await?;
        // The zone and its policy, or nothing.
        let objects = vec![
            signed(&app, operator, &zone, definition).await?.into(),
            signed(&app, operator, &zone, policy).await?.into(),
        ];
        admit_together(&app, operator.operator.as_str(), objects).await?;
        view_of(&app, zone).await
    }
}

/// Makes sure that the zone's key is stored and that the node holds it, before anything bears a name made with it. A key
/// of a zone that never came to be serves the next try.
//= docs/spec/authority.md#zones
async fn hold_key(app: &Arc<App>, zone: &ZoneId) -> Result<(), ErrorBody> {
    let named = zone.clone();
    if app.query(move |node, _| node.zone_key(&named).is_some()).await? {
        return Ok(());
    }
    store_and_hold(app, zone, KeyStore::add_zone_key).await.map(|_| ())
}

/// Makes a key of a zone, stores it by `store` and has the node hold it; its id.
async fn store_and_hold(
    app: &Arc<App>,
    zone: &ZoneId,
    store: fn(&KeyStore, &ZoneId, &mut Entropy) -> Result<ObjectIdKey, KeyStoreError>,
) -> Result<KeyId, ErrorBody> {
    let (inner, named) = (Arc::clone(app), zone.clone());
    let key: ObjectIdKey = blocking(move || {
        let mut fresh = entropy::fresh().map_err(|error| defect(&error))?;
        let stored = store(&inner.serving()?.keys, &named, &mut fresh);
        stored.map_err(|error| ErrorBody::new(error.code()).because(error.to_string()))
    })
    .await?;
    let key_id = key.key_id();
    let request = Request::HoldZoneKey { zone: zone.clone(), key };
    app.ask(request).await.map(|_| key_id).map_err(|failure| failed(&failure))
}

impl Serve for RekeyZone {
    async fn serve(ask: Ask<Self>) -> Result<ZoneRekeyed, ErrorBody> {
        on_the_socket(&ask)?;
        let zone: ZoneId = ask.path(0)?;
        let Ask { app, body, peer, now, .. } = ask;
        let owner = by_phrase(&app, &peer, &body.phrase, now).await?;
        let _one_at_a_time = app.ceremony.lock().await;
        let named = zone.clone();
        let known = app.query(move |node, now| rekeyable(node, &named, now)).await??;
        let generation = known.generation().checked_add(1);
        let generation =
            generation.ok_or_else(|| ErrorBody::new(Code::OutOfRange).because("no generation is left"))?;
        let key_id = store_and_hold(&app, &zone, KeyStore::add_later_zone_key).await?;
        let definition = ZoneDefinition { key: Some(ZoneKeyGeneration { generation, key_id }), ..known };
        let object = sign_with(&app, &owner, None, &zone, definition).await?;
        let definition_id = admit_object(&app, OWNER, object.into()).await?;
        Ok(ZoneRekeyed { zone, definition_id, key_generation: generation, key_id })
    }
}

/// The definition of a zone that may have another key.
//= docs/spec/authority.md#another-key-of-a-zone
fn rekeyable(node: &Node, zone: &ZoneId, now: Now) -> Result<ZoneDefinition, ErrorBody> {
    let known = node.authority().definition(zone).cloned().ok_or_else(|| unknown(zone))?;
    if node.is_zone_revoked(zone, now.unix) {
        return Ok(known);
    }
    let next = format!("if it is in other hands, revoke it first: `fwc revoke ZoneKey {zone} --yes`");
    Err(ErrorBody::new(Code::Conflict).because(format!("the key of {zone} is not revoked")).next(next))
}
