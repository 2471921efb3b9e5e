//! What a person approves beforehand: the standing grant that goes with an approval, and how it looks before it is signed.

use std::collections::BTreeSet;

use fcp_api::routes::PreviewGrant;
use fcp_api::types::{ErrorBody, GrantPreview, StandingGrant, StandingScope};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{
    CapabilityId, ConnectorId, CredentialId, Digest, ObjectId, OperationId, PrincipalId,
};
use fcp_proto_core::object::{
    ApprovalKind, ApprovalRequest, CallRecord, Grant, Grantee, Object, StandingApproval,
};
use fcp_proto_core::time::Now;
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::token::resource::ResourceError;
use fcp_state_machines::node::Node;
use serde_json::Value;

use super::approvals::{entry, load};
use super::denial::unknown_operation;
use super::mount::{Ask, Serve};
use crate::daemon::App;

/// What a person approves, and may approve beforehand from now on.
pub(super) struct Given<'a> {
    pub(super) request: ObjectId,
    pub(super) agent: PrincipalId,
    pub(super) asked: &'a ApprovalRequest,
    pub(super) kinds: &'a BTreeSet<ApprovalKind>,
    pub(super) call: &'a Object<CallRecord>,
}

impl Given<'_> {
    /// The standing grant that goes with the approval: this operation, for this agent, of the connector as it is; with
    /// what is declared of that.
    ///
    /// # Errors
    /// Why there can be none.
    //= docs/spec/authority.md#standing-approvals
    pub(super) async fn grant(
        &self,
        app: &App,
        standing: StandingGrant,
        now: Now,
    ) -> Result<(Grant, Declared), ErrorBody> {
        if !self.kinds.contains(&ApprovalKind::Execution) {
            let why = "only an approval of execution can be given beforehand, and this one is of other kinds";
            let refused = ErrorBody::new(Code::InputInvalid).because(why);
            return Err(refused.next("approve it without a grant; where values come from is asked each time"));
        }
        let call = &self.call.body;
        let declared = self.declared(app).await?;
        if standing.config_digest.is_some_and(|shown| shown != declared.config_digest) {
            let why = format!("{} was configured anew since it was shown", call.connector);
            return Err(ErrorBody::new(Code::ConnectorChanged).because(why));
        }
        let bounds = standing.constraints.unwrap_or_default();
        declared.has(&bounds.credential_allow, &call.operation)?;
        let any_input = !bounds.resource_allow.is_empty() || !bounds.arguments.is_empty();
        let grant = Grant {
            grantee: Grantee::Principal(self.agent.clone()),
            capabilities: [declared.capability.clone()].into(),
            connector: call.connector.clone(),
            operations: [call.operation.clone()].into(),
            constraints: self.within(bounds)?,
            not_before: now.unix,
            expires_at: now.unix.saturating_add(standing.lifetime_secs),
            request: Some(self.request),
            standing_approval: Some(StandingApproval {
                interface_hash: self.asked.interface_hash,
                code_digest: self.asked.code_digest,
                input_digest: (!any_input).then(|| hash::digest(call.input.as_bytes())),
                config_digest: Some(declared.config_digest),
            }),
        };
        Ok((grant, declared))
    }

    /// The bounds that the person names; where they name no resource or no credential, those of the call.
    fn within(&self, mut bounds: Constraints) -> Result<Constraints, ErrorBody> {
        let call = &self.call.body;
        if bounds.resource_allow.is_empty() {
            let patterns = call.resources.iter().map(|resource| resource.parse());
            bounds.resource_allow = patterns.collect::<Result<_, _>>().map_err(|error: ResourceError| {
                ErrorBody::new(Code::InputInvalid).because(error.to_string())
            })?;
        }
        if bounds.credential_allow.is_empty() {
            bounds.credential_allow.extend(call.credentials.iter().cloned());
        }
        Ok(bounds)
    }

    async fn declared(&self, app: &App) -> Result<Declared, ErrorBody> {
        let (connector, operation) = (self.call.body.connector.clone(), self.call.body.operation.clone());
        let zone = self.call.header.zone_id.clone();
        app.query(move |node, _| {
            let mut declared = Declared::of(node, &connector, &operation)?;
            if let Some(slot) = &declared.slot {
                let stored = node.catalog().credentials_for(&connector, &zone, slot);
                declared.credentials = stored.into_iter().map(|it| it.record.credential.clone()).collect();
            }
            Ok(declared)
        })
        .await?
    }
}

/// What is declared of the operation of a call, and how its connector is configured now.
pub(super) struct Declared {
    capability: CapabilityId,
    slot: Option<String>,
    /// The credentials that are stored for the slot.
    credentials: BTreeSet<CredentialId>,
    schema: Value,
    config: Value,
    config_digest: Digest,
}

impl Declared {
    fn of(node: &Node, connector: &ConnectorId, operation: &OperationId) -> Result<Self, ErrorBody> {
        let installed = node.catalog().get(connector).ok_or_else(|| {
            ErrorBody::new(Code::ConnectorUnknown).because(format!("{connector} is not installed"))
        })?;
        let found = installed.manifest.operation(operation);
        let found = found.ok_or_else(|| unknown_operation(connector, operation))?;
        Ok(Self {
            capability: found.capability.clone(),
            slot: found.auth.clone(),
            credentials: BTreeSet::new(),
            schema: found.input.schema.clone(),
            config: installed.config.clone(),
            config_digest: installed.config_digest,
        })
    }

    /// Each credential that is named would fill the operation's slot: another name is a mistake, and bounds nothing.
    fn has(&self, named: &BTreeSet<CredentialId>, operation: &OperationId) -> Result<(), ErrorBody> {
        let Some(unknown) = named.difference(&self.credentials).next() else { return Ok(()) };
        let (why, next) = match &self.slot {
            None => (format!("{operation} uses no credential"), "leave --credential out"),
            Some(slot) => (
                format!("no credential {unknown} is stored for the slot `{slot}` that {operation} uses"),
                "`fwc auth list` lists those that are stored",
            ),
        };
        Err(ErrorBody::new(Code::CredentialMissing).because(why).next(next))
    }
}

impl Serve for PreviewGrant {
    async fn serve(ask: Ask<Self>) -> Result<GrantPreview, ErrorBody> {
        let id = ask.path(0)?;
        let (request, call) = load(&ask.app, id).await?;
        let (zone, asked) = (request.header.zone_id, request.body.fields);
        let agent = entry(&ask.app, id)?.principal;
        let given = Given { request: id, agent, asked: &asked, kinds: &asked.kinds, call: &call };
        let (grant, declared) = given.grant(&ask.app, ask.body, ask.now).await?;
        let any_input = grant.standing_approval.is_some_and(|it| it.input_digest.is_none());
        let scope = if any_input { StandingScope::Bounds } else { StandingScope::Input };
        let rules: Vec<_> =
            grant.constraints.arguments.iter().map(|rule| rule.pointer().to_string()).collect();
        let mut unbound = Vec::new();
        if any_input {
            unheld(&declared.schema, "", &rules, &mut unbound);
        }
        Ok(GrantPreview {
            agent: given.agent.clone(),
            zone,
            operation: call.body.operation.clone(),
            constraints: grant.constraints,
            scope,
            unbound,
            config: declared.config,
            config_digest: declared.config_digest,
        })
    }
}

/// Adds the arguments below `at` that no rule holds; those of which a rule holds a part are looked into.
fn unheld(schema: &Value, at: &str, rules: &[String], found: &mut Vec<String>) {
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        let here = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        if rules.contains(&here) {
            continue;
        }
        if rules.iter().any(|rule| rule.starts_with(&format!("{here}/"))) {
            unheld(below, &here, rules, found);
        } else {
            found.push(here);
        }
    }
    if schema["additionalProperties"] != Value::Bool(false) {
        found.push(format!("{at}/*"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::unheld;

    #[test]
    fn arguments_that_no_rule_holds_are_listed_also_below_one_that_is_held_in_part() {
        let text = json!({ "type": "string" });
        let schema = json!({
            "properties": {
                "sql": text,
                "content": { "properties": { "title": text, "a/b": text }, "additionalProperties": false },
                "more": { "type": "object" },
                "limit": { "type": "integer" },
            },
            "additionalProperties": false,
        });
        let listed = |rules: &[&str]| {
            let rules: Vec<_> = rules.iter().map(|it| (*it).to_owned()).collect();
            let mut found = Vec::new();
            unheld(&schema, "", &rules, &mut found);
            found.sort_unstable();
            found
        };
        assert_eq!(listed(&[]), ["/content", "/limit", "/more", "/sql"]);
        assert_eq!(listed(&["/content/title", "/limit"]), ["/content/a~1b", "/more", "/sql"]);
        assert_eq!(listed(&["/sql", "/content", "/more/x", "/limit"]), ["/more/*"], "any other name");
        assert_eq!(listed(&["/sq"]), listed(&[]), "a beginning of a name is another name");
    }
}
