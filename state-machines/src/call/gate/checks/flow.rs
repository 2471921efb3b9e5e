//! Check 12: nothing drives the call that is less trusted than it needs, and nothing leaves that is more secret than
//! its audience.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::Role;
use fcp_proto_core::object::{ApprovalKind, GateCheck};
use fcp_proto_core::zone::{Label, Level, SafetyTier};

use super::approval::{Sought, find};
use super::{Constrained, Flowing};
use crate::call::gate::{Denial, Facts, FlowFacts, HandleFacts, OperationFacts, ZoneFacts};

//= docs/spec/gate.md#12-flow
pub(super) fn check(constrained: Constrained<'_>) -> Result<Flowing<'_>, Denial> {
    let found = violations(constrained.facts, constrained.zone, constrained.operation);
    let mut kinds = BTreeSet::new();
    let mut approvals = BTreeSet::new();
    for (kind, violation) in
        [(ApprovalKind::Elevation, &found.driven_by), (ApprovalKind::Declassification, &found.discloses)]
    {
        let Some((code, rule)) = violation else { continue };
        match find(&constrained, kind) {
            Sought::Usable(id) => {
                kinds.insert(kind);
                approvals.insert(id);
            }
            Sought::None => return Err(Denial::new(GateCheck::Flow, *code, rule.clone())),
            Sought::Unusable(_, fault) => {
                let rule = format!("{rule}; an approval of it is of no use: {}", fault.meaning());
                return Err(Denial::new(GateCheck::Flow, *code, rule));
            }
        }
    }
    let input_label = merged(&constrained.facts.flow);
    Ok(Flowing { before: constrained, input_label, kinds, approvals })
}

/// What is wrong with where the input comes from and where it goes.
pub(super) struct Violations {
    /// Something drives the call that may not.
    driven_by: Option<(Code, String)>,
    /// Something would leave that may not.
    discloses: Option<(Code, String)>,
}

impl Violations {
    /// The approvals that would permit it all the same.
    pub(super) fn kinds(&self) -> BTreeSet<ApprovalKind> {
        let elevation = self.driven_by.as_ref().map(|_| ApprovalKind::Elevation);
        let declassification = self.discloses.as_ref().map(|_| ApprovalKind::Declassification);
        elevation.into_iter().chain(declassification).collect()
    }
}

pub(super) fn violations(facts: &Facts, zone: &ZoneFacts, operation: &OperationFacts) -> Violations {
    Violations {
        driven_by: misdriven(&driver(&facts.flow, operation), zone, operation),
        discloses: disclosed(facts, zone, operation),
    }
}

/// What would leave although it may not: the service that the zone is bound to sees all of the input, the operation's
/// audience whatever the operation publishes.
fn disclosed(facts: &Facts, zone: &ZoneFacts, operation: &OperationFacts) -> Option<(Code, String)> {
    let sent = merged(&facts.flow).confidentiality;
    let seen = published(facts, operation);
    let (secrecy, limit) =
        if sent > zone.confidentiality { (sent, zone.confidentiality) } else { (seen?, operation.audience) };
    (secrecy > limit).then(|| {
        let rule = format!("what it sends is of confidentiality {secrecy}, its audience of {limit}");
        (Code::ConfidentialityTooHigh, rule)
    })
}

/// How secret what the audience gets to see is: of a write everything, of a read the content fields alone. A result that
/// is the whole input fills them too.
fn published(facts: &Facts, operation: &OperationFacts) -> Option<Level> {
    if operation.tier != SafetyTier::Safe {
        return Some(merged(&facts.flow).confidentiality);
    }
    let content = |name: &str| operation.roles.get(name) == Some(&Role::Content);
    let input = facts.input.as_ref().ok().and_then(|input| input.json.as_object());
    let present = input.is_some_and(|fields| fields.iter().any(|(name, _)| content(name)));
    let fills = |handle: &&HandleFacts| {
        role(handle, operation) == Role::Content || (handle.at.steps().is_empty() && present)
    };
    let handles = facts.flow.handles.iter().filter(fills);
    let context = present.then_some(facts.flow.context.confidentiality);
    context.into_iter().chain(handles.map(|handle| handle.label.confidentiality)).max()
}

/// The label of all that decides what happens: the context, which chose the call and wrote its literals, and every
/// handle that stands in a control field.
fn driver(flow: &FlowFacts, operation: &OperationFacts) -> Label {
    let controls = |handle: &&HandleFacts| role(handle, operation) == Role::Control;
    flow.handles
        .iter()
        .filter(controls)
        .fold(flow.context.clone(), |label, handle| label.merge(&handle.label))
}

/// The label of all that is sent.
pub(super) fn merged(flow: &FlowFacts) -> Label {
    flow.handles.iter().fold(flow.context.clone(), |label, handle| label.merge(&handle.label))
}

/// The role of the top-level field that the handle fills; the whole input, and what is not declared, is control.
fn role(handle: &HandleFacts, operation: &OperationFacts) -> Role {
    let field = handle.at.steps().first();
    field.and_then(|name| operation.roles.get(name)).copied().unwrap_or(Role::Control)
}

fn misdriven(driver: &Label, zone: &ZoneFacts, operation: &OperationFacts) -> Option<(Code, String)> {
    let tainted = driver.taints.iter().find(|taint| taint.is_critical());
    if let Some(taint) = tainted.filter(|_| refuses_taint(operation.tier, driver.integrity)) {
        return Some((Code::TaintViolation, format!("{taint} may not drive a {} operation", operation.tier)));
    }
    let needed = match operation.tier {
        SafetyTier::Safe => Level::NONE,
        SafetyTier::Risky | SafetyTier::Dangerous | SafetyTier::Critical | SafetyTier::Forbidden => {
            zone.integrity
        }
    };
    (driver.integrity < needed).then(|| {
        let rule = format!("what drives it is of integrity {}, it needs {needed}", driver.integrity);
        (Code::IntegrityTooLow, rule)
    })
}

/// Whether a critical taint at this integrity may not drive an operation of this tier.
fn refuses_taint(tier: SafetyTier, integrity: Level) -> bool {
    match tier {
        SafetyTier::Safe => false,
        SafetyTier::Risky => integrity < Level::WORK,
        SafetyTier::Dangerous | SafetyTier::Critical | SafetyTier::Forbidden => true,
    }
}
