//! Roles: grants that agents share.

use fcp_api::routes::{AddRole, AssignRole, GetRole, ListRoles, RemoveRole, WithdrawRole};
use fcp_api::types::{ErrorBody, RoleChanged, RoleList, RoleView};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{PrincipalId, RoleId};
use fcp_proto_core::object::{Grantee, Role, RoleAssignment, RoleWithdrawal};
use fcp_proto_core::time::Now;
use fcp_state_machines::node::Node;

use super::grants::is_live;
use super::mount::{Ask, Serve};
use super::sign::admit;
use crate::daemon::owner_zone;

fn view(node: &Node, role: &Role, now: Now) -> RoleView {
    let authority = node.authority();
    let grantee = Grantee::Role(role.role_id.clone());
    let live = authority
        .grants()
        .filter(|(id, known)| known.grant.grantee == grantee && is_live(node, id, &known.grant, now));
    RoleView {
        name: role.role_id.clone(),
        description: role.description.clone(),
        members: authority.members(&role.role_id).cloned().collect(),
        live_grants: live.count() as u64,
    }
}

impl Serve for ListRoles {
    async fn serve(ask: Ask<Self>) -> Result<RoleList, ErrorBody> {
        let roles =
            ask.app.query(|node, now| node.authority().roles().map(|role| view(node, role, now)).collect());
        Ok(RoleList { roles: roles.await? })
    }
}

impl Serve for GetRole {
    async fn serve(ask: Ask<Self>) -> Result<RoleView, ErrorBody> {
        let name: RoleId = ask.path(0)?;
        let wanted = name.clone();
        let found =
            ask.app.query(move |node, now| node.authority().role(&wanted).map(|role| view(node, role, now)));
        let none = || ErrorBody::new(Code::NotFound).because(format!("there is no role {name}"));
        found.await?.ok_or_else(|| none().next("`fwc role list` lists the roles"))
    }
}

impl Serve for AddRole {
    async fn serve(ask: Ask<Self>) -> Result<RoleView, ErrorBody> {
        let Ask { app, body, caller, .. } = ask;
        let operator = caller.as_operator()?;
        if body.description.len() > 4096 {
            return Err(ErrorBody::new(Code::InputTooLarge).because("a description has at most 4096 bytes"));
        }
        let role = Role { role_id: body.name.clone(), description: body.description };
        admit(&app, operator, &owner_zone(), role).await?;
        let name = body.name;
        let made = app.query(move |node, now| node.authority().role(&name).map(|role| view(node, role, now)));
        made.await?.ok_or_else(|| super::status::broken("a role that was just taken is not there"))
    }
}

/// A failure of who has which role leads to who has.
fn leading(failure: ErrorBody) -> ErrorBody {
    if failure.code != Code::NotFound {
        return failure;
    }
    failure.next("`fwc role list` lists the roles and who has them, `fwc agent list` the agents")
}

impl Serve for AssignRole {
    async fn serve(ask: Ask<Self>) -> Result<RoleChanged, ErrorBody> {
        let (role, agent): (RoleId, PrincipalId) = (ask.path(0)?, ask.path(1)?);
        let operator = ask.caller.as_operator()?;
        let assignment = RoleAssignment { role_id: role.clone(), principal: agent.clone() };
        let record_id = admit(&ask.app, operator, &owner_zone(), assignment).await.map_err(leading)?;
        Ok(RoleChanged { role, agent: Some(agent), record_id })
    }
}

impl Serve for WithdrawRole {
    async fn serve(ask: Ask<Self>) -> Result<RoleChanged, ErrorBody> {
        let (role, agent): (RoleId, PrincipalId) = (ask.path(0)?, ask.path(1)?);
        let operator = ask.caller.as_operator()?;
        let withdrawal =
            RoleWithdrawal { role_id: role.clone(), principal: Some(agent.clone()), reason: ask.body.note };
        let record_id = admit(&ask.app, operator, &owner_zone(), withdrawal).await.map_err(leading)?;
        Ok(RoleChanged { role, agent: Some(agent), record_id })
    }
}

impl Serve for RemoveRole {
    async fn serve(ask: Ask<Self>) -> Result<RoleChanged, ErrorBody> {
        let role: RoleId = ask.path(0)?;
        let operator = ask.caller.as_operator()?;
        let withdrawal = RoleWithdrawal { role_id: role.clone(), principal: None, reason: ask.body.note };
        let record_id = admit(&ask.app, operator, &owner_zone(), withdrawal).await.map_err(leading)?;
        Ok(RoleChanged { role, agent: None, record_id })
    }
}
