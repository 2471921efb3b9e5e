//! What the node refuses, as a failure that says what is missing and how to ask for it.

use fcp_api::shell::quoted;
use fcp_api::types::{CallRequest, Denial, ErrorBody, Need};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, CredentialId, ObjectId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::object::{ApprovalKind, GateCheck};
use fcp_state_machines::node::{Failure, Node, Refusal};

use super::reasons;

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
    match failure.check {
        Some(check) => body.next(to_go_on_from(check, failure.code).next_step()),
        None => body,
    }
}

/// The code whose next step helps: the owner can renew the attestation of a device, but not one of a key that nobody knows.
fn to_go_on_from(check: GateCheck, code: Code) -> Code {
    match (check, code) {
        (GateCheck::TokenSignature, Code::TokenIssuerUnknown) => Code::TokenSignatureInvalid,
        (_, code) => code,
    }
}

/// A refusal of the gate.
pub(super) fn refused(node: &Node, failure: &Failure, asked: &Asked) -> ErrorBody {
    let body = with_reason(failed(failure), asked);
    let Some(check) = failure.check else { return body.next(named(failure.code.next_step(), asked)) };
    let Failure { code, message, retry_after_ms, .. } = failure;
    let refusal = Refusal { check, code: *code, rule: message.clone(), retry_after_ms: *retry_after_ms };
    let needs = needs(node, &refusal, asked, &[]);
    let next = next(node, &refusal, &needs, asked);
    let command = command_in(&next);
    let denial =
        Denial { decision_id: failure.receipt, check, rule: Some(rule(&refusal, asked)), needs, command };
    let mut body = body.next(next);
    // A denial always has a JSON form; without it the code and the reason still stand.
    body.detail = serde_json::to_value(denial).ok().map(Box::new);
    body
}

/// What a simulated refusal says.
pub(super) fn simulated(node: &Node, refusal: &Refusal, asked: &Asked, approvals: &[ApprovalKind]) -> Denial {
    let needs = needs(node, refusal, asked, approvals);
    let command = command_in(&next(node, refusal, &needs, asked));
    Denial { decision_id: None, check: refusal.check, rule: Some(rule(refusal, asked)), needs, command }
}

/// What the refusal says beyond its code.
//= docs/spec/api.md#calls
fn rule(refusal: &Refusal, asked: &Asked) -> String {
    let told = Some(&refusal.rule).filter(|rule| !rule.is_empty() && *rule != refusal.code.meaning());
    told.cloned().unwrap_or_else(|| reasons::of(refusal.code, asked))
}

/// The failure with a reason, if it came without one.
//= docs/spec/api.md#calls
pub(super) fn with_reason(body: ErrorBody, asked: &Asked) -> ErrorBody {
    match body.why {
        Some(_) => body,
        None => {
            let why = reasons::of(body.code, asked);
            body.because(why)
        }
    }
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

/// What to do next, every name in it filled in that is known.
//= docs/spec/api.md#bodies
fn next(node: &Node, refusal: &Refusal, needs: &[Need], asked: &Asked) -> String {
    exactly(node, refusal, needs, asked).map_or_else(
        || {
            let general = match (refusal.check, needs.first()) {
                // Whom nobody knows has no session to ask in.
                (_, Some(Need::Grant { .. })) => Code::Unauthenticated,
                (GateCheck::Grants | GateCheck::Constraints, _) if !at_home(node, asked) => {
                    Code::ZoneMismatch
                }
                (check, _) => to_go_on_from(check, refusal.code),
            };
            match general.is_of_input() {
                true => format!(
                    "correct what the reason names; `fwc schema {}` shows what it takes",
                    asked.operation
                ),
                false => named(general.next_step(), asked),
            }
        },
        |command| match (refusal.code, accounts(node, asked).map(CredentialId::as_str).collect::<Vec<_>>()) {
            (Code::Ambiguous, all) if all.len() > 1 => format!("`{command}`; there are {}", all.join(", ")),
            (_, _) => format!("`{command}`"),
        },
    )
}

/// The command that asks for just what is missing, where one can.
fn exactly(node: &Node, refusal: &Refusal, needs: &[Need], asked: &Asked) -> Option<String> {
    let Asked { connector, operation, agent, call, .. } = asked;
    match (needs.first(), refusal.code) {
        (_, Code::IdempotencyKeyRequired) => {
            call.as_ref().map(|_| again("invoke", asked) + " --idempotency-key KEY")
        }
        (_, Code::Ambiguous) => {
            let account = accounts(node, asked).next().map_or("NAME".to_owned(), |it| it.to_string());
            call.as_ref().map(|_| format!("{} --account {account}", again("invoke", asked)))
        }
        (Some(Need::Approval { .. }), Code::ApprovalDenied) => {
            id_in(&refusal.rule).map(|denial| format!("fwc explain {denial}"))
        }
        (Some(Need::Approval { .. }), _) => Some(again("request", asked)),
        (Some(Need::Grant { zone, .. }), _) => agent.as_ref().map(|_| grant_command(node, zone, asked)),
        // What the grants allow stands in them, and whoever asks sees its own.
        (Some(Need::Argument { .. }), Code::ArgumentNotAllowed) => {
            agent.as_ref().map(|agent| format!("fwc grant list --to {agent} --connector {connector} --live"))
        }
        (Some(Need::Argument { .. }), _) => Some(format!("fwc schema {operation}")),
        (Some(Need::Credential { connector, slot }), _) => {
            let zone = asked.zone.as_ref()?;
            Some(format!("fwc auth set NAME --connector {connector} --slot {slot} --zone {zone}"))
        }
        (Some(Need::FreshContext { .. } | Need::Wait { .. }) | None, _) => None,
    }
}

/// The first object that a rule names.
fn id_in(rule: &str) -> Option<ObjectId> {
    rule.split(|letter: char| !letter.is_ascii_alphanumeric()).find_map(|word| word.parse().ok())
}

/// The credentials that would serve the call; the connector's page shows them to everybody.
fn accounts<'a>(node: &'a Node, asked: &'a Asked) -> impl Iterator<Item = &'a CredentialId> {
    let installed = node.catalog().get(&asked.connector);
    let slot = installed.and_then(|it| it.manifest.operation(&asked.operation)?.auth.as_deref());
    let known = slot.zip(asked.zone.as_ref());
    let stored = known.map(|(slot, zone)| node.catalog().credentials_for(&asked.connector, zone, slot));
    stored.unwrap_or_default().into_iter().map(|it| &it.record.credential)
}

/// `step` with the names of what was asked for in place of the words that stand for them.
pub(super) fn named(step: &str, asked: &Asked) -> String {
    let known = [
        ("OPERATION", Some(asked.operation.as_str())),
        ("CONNECTOR", Some(asked.connector.as_str())),
        ("ZONE", asked.zone.as_ref().map(ZoneId::as_str)),
        ("AGENT", asked.agent.as_ref().map(PrincipalId::as_str)),
    ];
    known.iter().fold(step.to_owned(), |step, (word, name)| {
        name.map_or(step.clone(), |name| step.replace(word, name))
    })
}

/// The first command that a step names.
fn command_in(step: &str) -> Option<String> {
    step.split('`').skip(1).step_by(2).find(|text| text.starts_with("fwc ")).map(str::to_owned)
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

/// `verb` with this very call. An input that is too long for a line is piped in again.
fn again(verb: &str, asked: &Asked) -> String {
    let mut command = format!("fwc {verb} {}", asked.operation);
    let Some(call) = &asked.call else { return command + " --input JSON --idempotency-key KEY" };
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
    if let Some(credential) = &call.credential {
        command.push_str(&format!(" --account {credential}"));
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

#[cfg(test)]
mod tests {
    use fcp_proto_core::crypto::sign::SigningKey;
    use fcp_proto_core::random::Entropy;
    use fcp_state_machines::node::{CallLimits, NodeConfig, NodeKeys};

    use super::*;

    fn node() -> Node {
        let mut entropy = Entropy::from_seed(&[7; 32].into());
        Node::new(NodeConfig {
            node_id: "laptop".parse().unwrap(),
            keys: NodeKeys {
                signing: SigningKey::generate(&mut entropy),
                issuance: SigningKey::generate(&mut entropy),
                zones: Default::default(),
            },
            session_secs: 60,
            limits: CallLimits { calls: 1, call_secs: 1 },
            clock_confirmed: true,
            entropy,
        })
    }

    fn asked() -> Asked {
        let (connector, operation): (ConnectorId, OperationId) =
            ("github".parse().unwrap(), "github.issues.create".parse().unwrap());
        let call = CallRequest {
            connector: connector.clone(),
            operation: operation.clone(),
            input: serde_json::json!({ "title": "it's" }),
            handles: Default::default(),
            zone: None,
            credential: Some("me".parse().unwrap()),
            idempotency_key: None,
        };
        let (agent, zone) = (Some("mail".parse().unwrap()), Some("z:work".parse().unwrap()));
        Asked { agent, zone, connector, operation, call: Some(call) }
    }

    fn told(node: &Node, check: GateCheck, code: Code, asked: &Asked) -> (String, Option<String>) {
        let failure = Failure {
            code,
            message: code.meaning().into(),
            check: Some(check),
            call_id: None,
            receipt: None,
            retry_after_ms: None,
        };
        let body = refused(node, &failure, asked);
        (body.next.clone(), body.denial().unwrap().command)
    }

    //= docs/spec/api.md#bodies
    #[test]
    fn every_denial_names_a_command_with_the_names_of_the_call() {
        let node = node();
        let unknown = Asked { agent: None, zone: None, call: None, ..asked() };
        for check in GateCheck::ALL {
            for code in Code::ALL {
                let (next, command) = told(&node, *check, *code, &asked());
                let command = command.unwrap_or_else(|| panic!("{check:?} {code}: {next}"));
                assert!(next.contains(&command), "{check:?} {code}: {next}");
                for word in ["OPERATION", "CONNECTOR", "ZONE", "AGENT"] {
                    assert!(!next.contains(word), "{check:?} {code} leaves {word} open: {next}");
                }
                assert!(told(&node, *check, *code, &unknown).1.is_some(), "{check:?} {code} of nobody");
                let message = code.meaning().to_owned();
                let refusal =
                    Refusal { check: *check, code: *code, rule: message.clone(), retry_after_ms: None };
                let rule = simulated(&node, &refusal, &asked(), &[]).rule.unwrap();
                assert!(!rule.is_empty() && rule != message, "{check:?} {code} gives no reason");
            }
        }
    }

    #[test]
    fn the_commands_fit_what_was_refused() {
        let call = r#"github.issues.create --input '{"title":"it'\''s"}' --account me"#;
        for (check, code, command) in [
            (GateCheck::ZonePolicy, Code::ZonePolicyDenied, "fwc zones show z:work".into()),
            (GateCheck::Binding, Code::ConnectorDisabled, "fwc enable github".into()),
            (GateCheck::Binding, Code::ConnectorNotInZone, "fwc show github".into()),
            (GateCheck::Binding, Code::OperationUnknown, "fwc ops github".into()),
            (GateCheck::Lease, Code::LeaseRequired, "fwc status".into()),
            (GateCheck::Idempotency, Code::CallInProgress, "fwc history".into()),
            (
                GateCheck::Idempotency,
                Code::IdempotencyKeyRequired,
                format!("fwc invoke {call} --idempotency-key KEY"),
            ),
            (GateCheck::Approval, Code::ApprovalRequired, format!("fwc request {call}")),
            (GateCheck::Revocation, Code::TokenRevoked, "fwc revocations".into()),
            (
                GateCheck::TokenBinding,
                Code::TokenExpired,
                "fwc token mint github.issues.create --to FOLDER".into(),
            ),
            (GateCheck::TokenBinding, Code::TokenIssuerUnknown, "fwc node renew".into()),
            (
                GateCheck::TokenSignature,
                Code::TokenIssuerUnknown,
                "fwc token mint github.issues.create --to FOLDER".into(),
            ),
        ] {
            assert_eq!(told(&node(), check, code, &asked()).1, Some(command), "{code}");
        }
    }
}
