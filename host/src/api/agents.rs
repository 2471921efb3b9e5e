//! Agents: enrolled with a key that each makes itself.

use fcp_api::routes::{AddAgent, GetAgent, ListAgents};
use fcp_api::types::{AgentList, AgentView, ErrorBody};
use fcp_proto_core::crypto::proof::EnrolmentProof;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::PrincipalId;
use fcp_proto_core::object::{Enrolment, Grantee, RevocationScope, RoleAssignment};
use fcp_proto_core::time::Now;
use fcp_state_machines::node::Node;
use fcp_state_machines::trust::authority::Principal;

use super::mount::{Ask, Serve};
use super::sign::{admit_together, signed};
use crate::daemon::{App, Made, owner_zone};

/// What the node says of an agent.
fn view(node: &Node, principal: &Principal, made: Option<Made>, now: Now) -> AgentView {
    let name = principal.enrolment.principal.clone();
    let authority = node.authority();
    let holds =
        |role: &&fcp_proto_core::object::Role| authority.names(&Grantee::Role(role.role_id.clone()), &name);
    let live = |(id, known): &(
        &fcp_proto_core::ids::ObjectId,
        &fcp_state_machines::trust::authority::KnownGrant,
    )| {
        authority.names(&known.grant.grantee, &name) && super::grants::is_live(node, id, &known.grant, now)
    };
    AgentView {
        zone: principal.zone.clone(),
        key_id: principal.key_id,
        key_source: principal.enrolment.key_source.clone(),
        enrolment_id: made.map(|made| made.id).unwrap_or_default(),
        enrolled_at: made.map(|made| made.at).unwrap_or_default(),
        revoked: node.revocations().is_revoked(
            RevocationScope::IssuerKey,
            principal.key_id.as_bytes(),
            now.unix,
        ),
        zone_key_revoked: node.is_zone_revoked(&principal.zone, now.unix),
        roles: authority.roles().filter(holds).map(|role| role.role_id.clone()).collect(),
        live_grants: authority.grants().filter(live).count() as u64,
        open_sessions: node.sessions().iter().filter(|session| session.principal == name).count() as u64,
        name,
    }
}

async fn view_of(app: &App, name: PrincipalId) -> Result<AgentView, ErrorBody> {
    let made = app.records().enrolments.get(&name).copied();
    let found = app.query(move |node, now| {
        let principal = node.authority().principal(&name);
        principal.map(|principal| view(node, principal, made, now)).ok_or(name)
    });
    found.await?.map_err(|name| none(&name))
}

/// There is no such agent, for this caller.
pub(super) fn none(name: &PrincipalId) -> ErrorBody {
    ErrorBody::new(Code::NotFound)
        .because(format!("there is no agent {name}"))
        .next("`fwc agent list` lists the agents")
}

impl Serve for ListAgents {
    async fn serve(ask: Ask<Self>) -> Result<AgentList, ErrorBody> {
        let (made, only) = (ask.app.records().enrolments.clone(), ask.caller.only().cloned());
        let agents = ask.app.query(move |node, now| {
            let seen = |name: &PrincipalId| only.as_ref().is_none_or(|own| own == name);
            let all = node.authority().principals().filter(|it| seen(&it.enrolment.principal));
            all.map(|it| view(node, it, made.get(&it.enrolment.principal).copied(), now)).collect()
        });
        Ok(AgentList { agents: agents.await? })
    }
}

impl Serve for GetAgent {
    async fn serve(ask: Ask<Self>) -> Result<AgentView, ErrorBody> {
        let name: PrincipalId = ask.path(0)?;
        if !ask.caller.sees(&name) {
            return Err(none(&name));
        }
        view_of(&ask.app, name).await
    }
}

impl Serve for AddAgent {
    async fn serve(ask: Ask<Self>) -> Result<AgentView, ErrorBody> {
        let Ask { app, body, caller, now, .. } = ask;
        let operator = caller.as_operator()?;
        let node_id = app.serving()?.node_id.clone();
        if !app.challenges.spend(&body.proof.challenge.0, now) {
            return Err(ErrorBody::new(Code::ChallengeInvalid));
        }
        let proof = EnrolmentProof {
            principal_id: body.name.clone(),
            zone_id: body.zone.clone(),
            node_id,
            challenge: body.proof.challenge.0,
        };
        let invalid = |_| {
            ErrorBody::new(Code::HolderProofInvalid).because("the agent's key did not sign this enrolment")
        };
        proof.verify(&body.public_key, &body.proof.signature).map_err(invalid)?;
        let name = body.name.clone();
        let refused = app.query(move |node, _| {
            let taken = node.authority().principal(&name).is_some()
                || node.authority().operators().values().any(|operator| operator.operator == name);
            taken.then(|| ErrorBody::new(Code::Conflict).because(format!("the name {name} is taken")))
        });
        if let Some(refused) = refused.await? {
            return Err(refused);
        }
        let enrolment = Enrolment {
            principal: body.name.clone(),
            public_key: body.public_key,
            key_source: body.key_source,
        };
        // The agent and its roles, or nothing.
        let mut objects = vec![signed(&app, operator, &body.zone, enrolment).await?.into()];
        for role_id in body.roles {
            let assignment = RoleAssignment { role_id, principal: body.name.clone() };
            objects.push(signed(&app, operator, &owner_zone(), assignment).await?.into());
        }
        admit_together(&app, operator.operator.as_str(), objects).await?;
        view_of(&app, body.name).await
    }
}
