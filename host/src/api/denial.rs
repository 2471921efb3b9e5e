//! What the node refuses, as a failure that says what is missing and how to ask for it.

use fcp_api::shell::quoted;
use fcp_api::types::{CallRequest, Denial, ErrorBody, Need};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::object::{ApprovalKind, GateCheck};
use fcp_state_machines::node::{Failure, Node, Refusal};

/// The call that was refused.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Who asked; absent if nobody is known.
    pub(super) agent: Option<PrincipalId>,
    /// Where; absent if that depends on who asked.
    pub(super) zone: Option<ZoneId>,
    pub(super) connector: ConnectorId,
    pub(super) operation: OperationId,
    /// The call as its caller wrote it, where there is one; kept results are not in it, for the caller has not seen them.
    pub(super) call: Option<CallRequest>,
}

/// A failure of the node that concerns no call.
pub(super) fn failed(failure: &Failure) -> ErrorBody {
    let mut body = ErrorBody::new(failure.code).because(failure.message.clone());
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
    let command = command(node, &refusal, &needs, asked);
    if let Some(command) = &command {
        body.next = format!("`{command}`");
    }
    let denial = Denial { decision_id: failure.receipt, check, rule: rule(&refusal), needs, command };
    // A denial always has a JSON form; without it the code and the reason still stand.
    body.detail = serde_json::to_value(denial).ok().map(Box::new);
    body
}

/// What a simulated refusal says.
pub(super) fn simulated(node: &Node, refusal: &Refusal, asked: &Asked, approvals: &[ApprovalKind]) -> Denial {
    let needs = needs(node, refusal, asked, approvals);
    let command = command(node, refusal, &needs, asked);
    Denial { decision_id: None, check: refusal.check, rule: rule(refusal), needs, command }
}

/// What the refusal says beyond its code.
fn rule(refusal: &Refusal) -> Option<String> {
    Some(&refusal.rule).filter(|rule| !rule.is_empty() && *rule != refusal.code.meaning()).cloned()
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
        // A principal calls in its own zone: no grant would permit it elsewhere.
        GateCheck::Grants | GateCheck::Constraints if !at_home(node, asked) => Vec::new(),
        GateCheck::Grants | GateCheck::Constraints => {
            let grant = operation.zip(asked.zone.clone()).map(|(operation, zone)| Need::Grant {
                connector: asked.connector.clone(),
                operation: asked.operation.clone(),
                capability: operation.capability.clone(),
                zone,
            });
            grant.into_iter().collect()
        }
        // An approval that is not needed is left out.
        GateCheck::Approval if refusal.code == Code::Conflict => Vec::new(),
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
        | GateCheck::TokenSignature
        | GateCheck::TokenBinding
        | GateCheck::Revocation
        | GateCheck::Holder
        | GateCheck::ZonePolicy
        | GateCheck::Binding
        | GateCheck::Idempotency
        | GateCheck::Lease => Vec::new(),
    }
}

/// Whether the call is in its caller's own zone, as far as both are known.
fn at_home(node: &Node, asked: &Asked) -> bool {
    let known = asked.agent.as_ref().and_then(|agent| node.authority().principal(agent));
    known.is_none_or(|known| asked.zone.as_ref() == Some(&known.zone))
}

/// The command that asks for what is missing.
fn command(node: &Node, refusal: &Refusal, needs: &[Need], asked: &Asked) -> Option<String> {
    let Asked { connector, operation, .. } = asked;
    if refusal.code == Code::OperationUnknown {
        return Some(lists_operations(connector));
    }
    // No token makes up for a node that nobody attests.
    if refusal.code == Code::TokenIssuerUnknown {
        return None;
    }
    if matches!(refusal.check, GateCheck::TokenSignature | GateCheck::TokenBinding) {
        return Some(format!("fwc token mint {operation} --to FOLDER"));
    }
    match (needs.first()?, refusal.code) {
        (Need::Approval { .. }, Code::ApprovalDenied) => None,
        (Need::Approval { .. }, _) => Some(approval_command(asked)),
        (Need::Grant { zone, .. }, _) => {
            // Whom nobody knows has no session to ask in.
            asked.agent.as_ref()?;
            Some(grant_command(node, zone, asked))
        }
        (Need::Argument { .. }, Code::ArgumentNotAllowed) => {
            // What the grants allow stands in them, and whoever asks sees its own.
            let agent = asked.agent.as_ref()?;
            Some(format!("fwc grant list --to {agent} --connector {connector} --live"))
        }
        (Need::Argument { .. }, _) => Some(format!("fwc schema {operation}")),
        (Need::Credential { connector, slot }, _) => {
            let zone = asked.zone.as_ref()?;
            Some(format!("fwc auth set NAME --connector {connector} --slot {slot} --zone {zone}"))
        }
        (Need::FreshContext { .. } | Need::Wait { .. }, _) => None,
    }
}

/// The command that shows which operations the connector has.
fn lists_operations(connector: &ConnectorId) -> String {
    format!("fwc ops {connector}")
}

/// The failure of an operation that its connector does not have.
pub(super) fn unknown_operation(connector: &ConnectorId, operation: &OperationId) -> ErrorBody {
    ErrorBody::new(Code::OperationUnknown)
        .because(format!("{connector} has no operation {operation}"))
        .next(format!("`{}` lists those it has", lists_operations(connector)))
}

/// What asks for the approval of this very call. An input that is too long for a line is piped in again.
fn approval_command(asked: &Asked) -> String {
    let operation = &asked.operation;
    let Some(call) = &asked.call else {
        return format!("fwc request {operation} --input JSON --idempotency-key KEY");
    };
    let mut command = format!("fwc request {operation}");
    let input = call.input.to_string();
    if input.len() > MAX_INPUT_SHOWN {
        command.push_str(" --stdin");
    } else {
        command.push_str(&format!(" --input {}", quoted(&input)));
    }
    for (place, part) in &call.handles {
        let path = place.trim_start_matches('/').replace('/', ".");
        let pointer = part.pointer.as_ref().map(|pointer| format!("#{pointer}")).unwrap_or_default();
        command.push_str(&format!(" --set-handle {}", quoted(&format!("{path}={}{pointer}", part.handle))));
    }
    if let Some(zone) = &call.zone {
        command.push_str(&format!(" --zone {zone}"));
    }
    if let Some(key) = &call.idempotency_key {
        command.push_str(&format!(" --idempotency-key {}", quoted(key)));
    }
    command
}

/// What asks for a grant that is just wide enough for this call.
//= docs/spec/authority.md#asking-for-a-grant
fn grant_command(node: &Node, zone: &ZoneId, asked: &Asked) -> String {
    let Asked { connector, operation, call, .. } = asked;
    let mut command = format!("fwc request {operation} --grant 1h");
    let installed = node.catalog().get(connector);
    let known = installed.and_then(|it| Some((it, it.manifest.operation(operation)?)));
    let resources = match (known, call) {
        (Some((installed, found)), Some(call)) => found.resources(&call.input, &installed.config).ok(),
        (Some((_, found)), None) if found.resources.is_empty() => Some(Vec::new()),
        (Some(_), None) | (None, _) => None,
    };
    // Of a call that nobody made yet, or whose resources stand in kept results, nothing more can be said.
    let resources = resources.unwrap_or_else(|| vec!["RESOURCE".to_owned()]);
    for resource in &resources {
        command.push_str(&format!(" --allow {}", quoted(resource)));
    }
    let slot = known.and_then(|(_, found)| found.auth.as_deref());
    let stored = slot.map(|slot| node.catalog().credentials_for(connector, zone, slot)).unwrap_or_default();
    for credential in &stored {
        command.push_str(&format!(" --credential {}", credential.record.credential));
    }
    if resources.is_empty() && stored.is_empty() {
        command.push_str(" --max-calls 10");
    }
    command
}

/// The longest input that a command shows, in bytes. Chosen: it still fits a line that a person reads.
const MAX_INPUT_SHOWN: usize = 2_048;

/// The place that a rule names, as `the argument /repo is not allowed` does.
fn pointer_in(rule: &str) -> String {
    rule.split(' ').find(|word| word.starts_with('/')).unwrap_or_default().to_owned()
}
