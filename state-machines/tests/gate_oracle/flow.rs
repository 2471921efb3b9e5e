//! Check 12 of the reference: labels, from `docs/spec/gate.md#12-flow` alone.

use std::collections::BTreeSet;

use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::manifest::Role;
use fcp_proto_core::object::ApprovalKind;
use fcp_proto_core::zone::{Label, Level, SafetyTier, Taint};
use fcp_state_machines::call::gate::{HandleFacts, OperationFacts, ZoneFacts};

use crate::approvals::Spend;

/// The approvals that check 12 spends.
pub(crate) fn check(
    spend: &Spend<'_>,
    operation: &OperationFacts,
    zone: &ZoneFacts,
) -> Result<BTreeSet<ObjectId>, Code> {
    let (flow, fields) = (&spend.facts.flow, Fields { operation, input: &spend.input.json });
    let handles = || flow.handles.iter();
    let driving = handles().filter(|it| fields.drives(it));
    let driver = merge(std::iter::once(&flow.context).chain(driving.map(|it| &it.label)));
    let sent = merge(std::iter::once(&flow.context).chain(handles().map(|it| &it.label)));
    let published = if operation.tier > SafetyTier::Safe {
        sent.confidentiality
    } else {
        let own = Some(&flow.context).filter(|_| fields.has_content());
        let taken = handles().filter(|it| fields.publishes(it)).map(|it| &it.label);
        merge(own.into_iter().chain(taken)).confidentiality
    };
    let mut spent = BTreeSet::new();
    if let Some(code) = driver_fault(&driver, operation.tier, zone) {
        let Ok(id) = spend.usable(ApprovalKind::Elevation) else { return Err(code) };
        spent.insert(id);
    }
    if sent.confidentiality > zone.confidentiality || published > operation.audience {
        let Ok(id) = spend.usable(ApprovalKind::Declassification) else {
            return Err(Code::ConfidentialityTooHigh);
        };
        spent.insert(id);
    }
    Ok(spent)
}

/// The least integrity, the greatest confidentiality, all taints; of nothing: trusted, public and clean.
fn merge<'a>(labels: impl Iterator<Item = &'a Label>) -> Label {
    let labels: Vec<_> = labels.collect();
    Label {
        integrity: labels.iter().map(|it| it.integrity).min().unwrap_or(Level::OWNER),
        confidentiality: labels.iter().map(|it| it.confidentiality).max().unwrap_or_default(),
        taints: labels.iter().flat_map(|it| it.taints.iter().copied()).collect(),
    }
}

fn driver_fault(driver: &Label, tier: SafetyTier, zone: &ZoneFacts) -> Option<Code> {
    let critical = [Taint::PublicInput, Taint::PotentiallyMalicious, Taint::CrossZoneUnapproved];
    let tainted = critical.iter().any(|it| driver.taints.contains(it));
    let risky_and_weak = tier == SafetyTier::Risky && driver.integrity.height() < 60;
    if tainted && (tier >= SafetyTier::Dangerous || risky_and_weak) {
        Some(Code::TaintViolation)
    } else if tier != SafetyTier::Safe && driver.integrity < zone.integrity {
        Some(Code::IntegrityTooLow)
    } else {
        None
    }
}

/// The roles of an input's top-level fields.
struct Fields<'a> {
    operation: &'a OperationFacts,
    input: &'a Json,
}

impl Fields<'_> {
    fn is_content(&self, field: &str) -> bool {
        self.operation.roles.get(field) == Some(&Role::Content)
    }

    fn has_content(&self) -> bool {
        self.input.as_object().is_some_and(|object| object.iter().any(|(field, _)| self.is_content(field)))
    }

    /// Whether the result fills a control field or the whole input.
    fn drives(&self, handle: &HandleFacts) -> bool {
        handle.at.steps().first().is_none_or(|field| !self.is_content(field))
    }

    /// Whether the result stands in a content field; one that is the whole input stands in all fields that there are.
    fn publishes(&self, handle: &HandleFacts) -> bool {
        handle.at.steps().first().map_or_else(|| self.has_content(), |field| self.is_content(field))
    }
}
