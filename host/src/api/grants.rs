//! Grants: leave to call operations, within bounds and for a time.

use std::collections::{BTreeMap, BTreeSet};

use fcp_api::routes::{AddGrant, GetGrant, ListGrants};
use fcp_api::types::{ErrorBody, GrantList, GrantView, Obstacle, StandingApprovalView, StandingScope};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CapabilityId, ConnectorId, KeyId, ObjectId, OperationId};
use fcp_proto_core::object::{Grant, Grantee, RevocationScope};
use fcp_proto_core::time::Now;
use fcp_state_machines::node::Node;
use fcp_state_machines::trust::authority::KnownGrant;

use super::denial::{Asked, named, unknown_operation};
use super::mount::{Ask, Serve};
use super::sign::admit;
use super::status::broken;
use crate::daemon::App;

/// Whether a grant is within its time and not revoked.
pub(super) fn is_live(node: &Node, id: &ObjectId, grant: &Grant, now: Now) -> bool {
    grant.not_before <= now.unix
        && now.unix < grant.expires_at
        && !node.revocations().is_revoked(RevocationScope::Capability, id.as_bytes(), now.unix)
}

/// The grants in their time that one of these keys signed.
pub(super) fn resting_on<'a>(
    node: &'a Node,
    keys: &'a BTreeSet<KeyId>,
    now: Now,
) -> impl Iterator<Item = &'a KnownGrant> {
    let rests = move |(id, known): &(&ObjectId, &KnownGrant)| {
        keys.contains(&known.signer) && is_live(node, id, &known.grant, now)
    };
    node.authority().grants().filter(rests).map(|(_, known)| known)
}

fn view(
    node: &Node,
    id: &ObjectId,
    known: &KnownGrant,
    calls: &BTreeMap<ObjectId, u64>,
    now: Now,
) -> GrantView {
    let grant = &known.grant;
    let (agent, role) = match &grant.grantee {
        Grantee::Principal(principal) => (Some(principal.clone()), None),
        Grantee::Role(role) => (None, Some(role.clone())),
    };
    let live = is_live(node, id, grant, now);
    GrantView {
        grant_id: *id,
        agent,
        role,
        zone: known.zone.clone(),
        connector: grant.connector.clone(),
        capabilities: grant.capabilities.iter().cloned().collect(),
        operations: grant.operations.iter().cloned().collect(),
        constraints: grant.constraints.clone(),
        calls_used: calls.get(id).copied().unwrap_or(0),
        not_before: grant.not_before,
        expires_at: grant.expires_at,
        signed_by: known.signer,
        live,
        obstacle: if live { obstacle(node, id, known, now) } else { None },
        standing_approval: standing_approval(node, known, now),
        request_id: grant.request,
    }
}

/// Why a grant that lives is good for no call now.
fn obstacle(node: &Node, id: &ObjectId, known: &KnownGrant, now: Now) -> Option<Obstacle> {
    let refusal = node.grant_obstacle(id, known, now.unix)?;
    let grant = &known.grant;
    let agent = match &grant.grantee {
        Grantee::Principal(principal) => Some(principal.clone()),
        Grantee::Role(_) => None,
    };
    let asked = Asked {
        agent,
        zone: Some(known.zone.clone()),
        connector: grant.connector.clone(),
        operation: grant.operations.first()?.clone(),
        call: None,
    };
    // Whoever looks after grants gives a role or stores a credential; whoever only calls has to ask.
    let next = match (&grant.grantee, refusal.code) {
        (Grantee::Role(role), Code::GrantPrincipalMismatch) => {
            format!("`fwc role give {role} AGENT` gives the role")
        }
        (_, Code::CredentialMissing | Code::CredentialNotAllowed) => stores_credential(node, known),
        (Grantee::Role(_) | Grantee::Principal(_), code) => named(code.next_step(), &asked),
    };
    Some(Obstacle { code: refusal.code, why: refusal.rule, next })
}

/// The command that stores a credential which calls on the grant can be made with.
fn stores_credential(node: &Node, known: &KnownGrant) -> String {
    let KnownGrant { grant, zone, .. } = known;
    let Some(name) = grant.constraints.credential_allow.first() else {
        return "the grant takes no credential: `fwc grant add --help` says how one does".to_owned();
    };
    let manifest = node.catalog().get(&grant.connector).map(|installed| &installed.manifest);
    let slots = manifest.into_iter().flat_map(|manifest| {
        grant.operations.iter().filter_map(|operation| manifest.operation(operation)?.auth.as_deref())
    });
    let slot = slots.into_iter().next().unwrap_or("SLOT");
    format!("`fwc auth set {name} --connector {} --slot {slot} --zone {zone}` stores it", grant.connector)
}

/// What a grant's standing approval spares, and whether it does.
fn standing_approval(node: &Node, known: &KnownGrant, now: Now) -> Option<StandingApprovalView> {
    let given = known.grant.standing_approval.as_ref()?;
    let next = "approve the next such call with `fwc approvals approve ID --grant 8h`";
    let stands = |(code, why): (Code, &str)| Obstacle { code, why: why.to_owned(), next: next.to_owned() };
    Some(StandingApprovalView {
        scope: given.input_digest.map_or(StandingScope::Bounds, |_| StandingScope::Input),
        input_digest: given.input_digest,
        interface_hash: given.interface_hash,
        code_digest: given.code_digest,
        config_digest: given.config_digest,
        obstacle: node.standing_obstacle(known, now.unix).map(stands),
    })
}

/// One grant.
///
/// # Errors
/// [`Code::NotFound`].
pub(super) async fn view_of(app: &App, id: ObjectId) -> Result<GrantView, ErrorBody> {
    let calls = app.records().grant_calls.clone();
    let found = app.query(move |node, now| {
        node.authority().grant_by_id(&id).map(|known| view(node, &id, known, &calls, now))
    });
    found.await?.ok_or_else(|| none(id))
}

impl Serve for ListGrants {
    async fn serve(ask: Ask<Self>) -> Result<GrantList, ErrorBody> {
        ask.caller.names(&ask.app, ask.query.agent.as_ref(), None).await?;
        let (wanted, only) = (ask.query.clone(), ask.caller.only().cloned());
        let calls = ask.app.records().grant_calls.clone();
        let grants = ask.app.query(move |node, now| {
            let authority = node.authority();
            let fits = |id: &ObjectId, known: &KnownGrant| {
                let for_agent = |agent| authority.names(&known.grant.grantee, agent);
                only.as_ref().is_none_or(for_agent)
                    && wanted.agent.as_ref().is_none_or(for_agent)
                    && wanted.connector.as_ref().is_none_or(|it| known.grant.connector == *it)
                    && wanted.live.is_none_or(|live| is_live(node, id, &known.grant, now) == live)
            };
            let mut found: Vec<_> = authority.grants().filter(|(id, known)| fits(id, known)).collect();
            found.sort_by_key(|(id, known)| (std::cmp::Reverse(known.created_at), **id));
            found.into_iter().map(|(id, known)| view(node, id, known, &calls, now)).collect()
        });
        Ok(GrantList { grants: grants.await? })
    }
}

impl Serve for GetGrant {
    async fn serve(ask: Ask<Self>) -> Result<GrantView, ErrorBody> {
        let id = ask.path(0)?;
        if let Some(own) = ask.caller.only().cloned() {
            let names = ask.app.query(move |node, _| {
                let known = node.authority().grant_by_id(&id);
                known.is_some_and(|known| node.authority().names(&known.grant.grantee, &own))
            });
            if !names.await? {
                return Err(none(id));
            }
        }
        view_of(&ask.app, id).await
    }
}

fn none(id: ObjectId) -> ErrorBody {
    ErrorBody::new(Code::NotFound)
        .because(format!("there is no grant {id}"))
        .next("`fwc grant list` lists the grants")
}

/// The capabilities that the operations need, as the installed manifest says.
///
/// # Errors
/// [`Code::ConnectorUnknown`] or [`Code::OperationUnknown`].
pub(super) async fn capabilities(
    app: &App,
    connector: ConnectorId,
    operations: Vec<OperationId>,
) -> Result<BTreeSet<CapabilityId>, ErrorBody> {
    let found = app.query(move |node, _| {
        let installed = node.catalog().get(&connector);
        let installed = installed.ok_or_else(|| {
            ErrorBody::new(Code::ConnectorUnknown).because(format!("{connector} is not installed"))
        })?;
        let capability = |id: &OperationId| {
            let operation = installed.manifest.operation(id);
            operation.map(|it| it.capability.clone()).ok_or_else(|| unknown_operation(&connector, id))
        };
        operations.iter().map(capability).collect()
    });
    found.await?
}

impl Serve for AddGrant {
    async fn serve(ask: Ask<Self>) -> Result<GrantView, ErrorBody> {
        let Ask { app, body, caller, now, .. } = ask;
        let operator = caller.as_operator()?;
        let grantee = match (body.agent, body.role) {
            (Some(agent), None) => Grantee::Principal(agent),
            (None, Some(role)) => Grantee::Role(role),
            (Some(_), Some(_)) | (None, None) => {
                let why = "a grant names exactly one of `agent` and `role`";
                return Err(ErrorBody::new(Code::InputInvalid).because(why));
            }
        };
        let capabilities = capabilities(&app, body.connector.clone(), body.operations.clone()).await?;
        let not_before = body.not_before.unwrap_or(now.unix);
        let grant = Grant {
            grantee,
            connector: body.connector,
            capabilities,
            operations: body.operations.into_iter().collect(),
            constraints: body.constraints,
            not_before,
            expires_at: not_before.saturating_add(body.lifetime_secs),
            request: None,
            standing_approval: None,
        };
        let id = admit(&app, operator, &body.zone, grant).await?;
        view_of(&app, id).await.map_err(|_| broken("a grant that was just taken is not there"))
    }
}
