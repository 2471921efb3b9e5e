//! Zones, their policies, and what is bound to them.

use std::collections::BTreeMap;

use fcp_api::routes::{GetZone, ListZones};
use fcp_api::types::{BudgetView, ErrorBody, ZoneList, ZoneView};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::object::Budget;
use fcp_proto_core::time::Now;
use fcp_state_machines::call::rates::{Holder, Limit};
use fcp_state_machines::node::Node;

use super::mount::{Ask, Serve};
use crate::daemon::Made;

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
    async fn serve(ask: Ask<Self>) -> Result<ZoneView, ErrorBody> {
        let zone: ZoneId = ask.path(0)?;
        let policies = ask.app.records().policies.clone();
        let found = ask.app.query(move |node, now| view(node, &zone, &policies, now).ok_or(zone));
        found
            .await?
            .map_err(|zone| ErrorBody::new(Code::ZoneUnknown).because(format!("there is no zone {zone}")))
    }
}
