//! What the node refuses, as a failure that says what is missing and how to ask for it.

use fcp_api::types::{Denial, ErrorBody, Need};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::object::{ApprovalKind, GateCheck};
use fcp_state_machines::node::{Failure, Node, Refusal};

/// The call that was refused.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) agent: PrincipalId,
    pub(super) zone: ZoneId,
    pub(super) connector: ConnectorId,
    pub(super) operation: OperationId,
}

/// A failure of the node that concerns no call.
pub(super) fn failed(failure: &Failure) -> ErrorBody {
    let mut body = ErrorBody::new(failure.code);
    if failure.message != failure.code.meaning() {
        body = body.because(failure.message.clone());
    }
    body.retry_after_ms = failure.retry_after_ms;
    body
}

/// A refusal of the gate.
pub(super) fn refused(node: &Node, failure: &Failure, asked: &Asked) -> ErrorBody {
    let mut body = failed(failure);
    let Some(check) = failure.check else { return body };
    let Failure { code, message, retry_after_ms, .. } = failure;
    let refusal = Refusal { check, code: *code, rule: message.clone(), retry_after_ms: *retry_after_ms };
    let needs = needs(node, &refusal, asked, &[]);
    let command = command(&refusal, &needs, asked);
    if let Some(command) = &command {
        body.next = format!("`{command}`");
    }
    let denial =
        Denial { decision_id: failure.receipt, check, rule: Some(refusal.rule.clone()), needs, command };
    // A denial always has a JSON form; without it the code and the reason still stand.
    body.detail = serde_json::to_value(denial).ok().map(Box::new);
    body
}

/// What a simulated refusal says.
pub(super) fn simulated(node: &Node, refusal: &Refusal, asked: &Asked, approvals: &[ApprovalKind]) -> Denial {
    let needs = needs(node, refusal, asked, approvals);
    let command = command(refusal, &needs, asked);
    Denial { decision_id: None, check: refusal.check, rule: Some(refusal.rule.clone()), needs, command }
}

/// What would permit the call, as far as the refusal tells.
fn needs(node: &Node, refusal: &Refusal, asked: &Asked, approvals: &[ApprovalKind]) -> Vec<Need> {
    let installed = node.catalog().get(&asked.connector);
    let operation = installed.and_then(|it| it.manifest.operation(&asked.operation));
    match refusal.check {
        GateCheck::Constraints if refusal.code == Code::ArgumentNotAllowed => {
            vec![Need::Argument { pointer: pointer_in(&refusal.rule), rule: refusal.rule.clone() }]
        }
        GateCheck::Constraints if refusal.code == Code::CredentialMissing => {
            let slot = operation.and_then(|operation| operation.auth.clone());
            slot.map(|slot| Need::Credential { connector: asked.connector.clone(), slot })
                .into_iter()
                .collect()
        }
        // Naming one of those that are there is all it takes.
        GateCheck::Constraints if refusal.code == Code::Ambiguous => Vec::new(),
        GateCheck::TokenSignature | GateCheck::TokenBinding | GateCheck::Grants | GateCheck::Constraints => {
            let grant = operation.map(|operation| Need::Grant {
                connector: asked.connector.clone(),
                operation: asked.operation.clone(),
                capability: operation.capability.clone(),
                zone: asked.zone.clone(),
            });
            grant.into_iter().collect()
        }
        GateCheck::Flow | GateCheck::Approval => {
            let asked_for = match (approvals, refusal.check, refusal.code) {
                ([_, ..], _, _) => approvals.to_vec(),
                ([], GateCheck::Approval, _) => vec![ApprovalKind::Execution],
                ([], _, Code::ConfidentialityTooHigh) => vec![ApprovalKind::Declassification],
                ([], _, _) => vec![ApprovalKind::Elevation],
            };
            vec![Need::Approval { kinds: asked_for }]
        }
        GateCheck::Schema => vec![Need::Argument { pointer: String::new(), rule: refusal.rule.clone() }],
        // Where waiting does not help, or nobody knows how long, no time is told.
        GateCheck::Rates => {
            let wait = |ms| Need::Wait { pool: refusal.rule.clone(), ms };
            refusal.retry_after_ms.map(wait).into_iter().collect()
        }
        GateCheck::Decode
        | GateCheck::Revocation
        | GateCheck::Holder
        | GateCheck::ZonePolicy
        | GateCheck::Binding
        | GateCheck::Idempotency
        | GateCheck::Lease => Vec::new(),
    }
}

/// The command that asks for what is missing.
fn command(refusal: &Refusal, needs: &[Need], asked: &Asked) -> Option<String> {
    let Asked { connector, operation, .. } = asked;
    match (needs.first()?, refusal.code) {
        (Need::Approval { .. }, Code::ApprovalDenied) => None,
        (Need::Approval { .. }, _) => {
            Some(format!("fwc request {operation} --input JSON --idempotency-key KEY"))
        }
        (Need::Grant { zone, .. }, _) => {
            let agent = &asked.agent;
            Some(format!("fwc grant add {agent} {operation} --zone {zone} --for 1h --allow RESOURCE"))
        }
        (Need::Argument { .. }, Code::ArgumentNotAllowed) => None,
        (Need::Argument { .. }, _) => Some(format!("fwc schema {connector} {operation}")),
        (Need::Credential { connector, slot }, _) => {
            Some(format!("fwc auth set NAME --connector {connector} --slot {slot}"))
        }
        (Need::FreshContext { .. } | Need::Wait { .. }, _) => None,
    }
}

/// The place that a rule names, as `the argument /repo is not allowed` does.
fn pointer_in(rule: &str) -> String {
    rule.split(' ').find(|word| word.starts_with('/')).unwrap_or_default().to_owned()
}
