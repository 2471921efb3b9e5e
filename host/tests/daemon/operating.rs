//! What an operator and the owner do over the API: grants that are asked for, roles, zones, walls, the node's renewal.

use fcp_api::client::Client;
use fcp_api::routes::{
    AddException, AddGrant, AddRole, AddZone, ApproveGrantRequest, AssignRole, ChangePolicy,
    DenyGrantRequest, DisableConnector, EnableConnector, FileGrantRequest, GetConnector, GetGrantRequest,
    GetStatus, InvokeOperation, ListApprovals, ListExceptions, ListGrants, ListRoles, RemoveConnector,
    RemoveException, RemoveRole, RenewNode, Revoke, SettleCall, SimulateCall, TestCredential, VerifyAudit,
    WithdrawRole,
};
use fcp_api::types::{
    self, ApprovalQuery, ApprovalStatus, ErrorBody, ExceptionRule, GrantQuery, Nothing, PolicyChange,
    WarningKind,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, OperationId, ZoneId};
use fcp_proto_core::object::RevocationScope;
use fcp_proto_core::token::argument::ArgumentRule;
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::zone::SafetyTier;
use serde_json::json;

use crate::world::{
    Bot, Daemon, PASSPHRASE, World, call, grant, install, install_changed, passphrase, unlock,
};

fn connector() -> ConnectorId {
    ConnectorId::new("notes").unwrap()
}

fn only(resource: &str) -> Constraints {
    Constraints { resource_allow: vec![resource.parse().unwrap()], ..Constraints::default() }
}

async fn ask_for(agent: &mut Client, resource: &str) -> Result<types::GrantRequestView, ErrorBody> {
    let request = types::FileGrantRequest {
        connector: connector(),
        operations: ["notes.get", "notes.put"].map(|id| OperationId::new(id).unwrap()).into(),
        constraints: only(resource),
        lifetime_secs: 3600,
        note: Some("to tidy up".into()),
    };
    agent.send::<FileGrantRequest>(&[], &request).await.map(|reply| reply.body)
}

#[tokio::test]
async fn a_missing_grant_is_asked_for_by_the_command_of_its_denial() {
    let mut world = World::new().await;
    let yours = call("notes.get", json!({ "note": "yours" }), None);
    let refused = world.agent.send::<InvokeOperation>(&[], &yours).await.unwrap_err();
    assert_eq!(refused.next, "`fwc request notes.get --grant 1h --allow notes:note/yours`");
    let simulated = world.agent.send::<SimulateCall>(&[], &yours).await.unwrap().body;
    let command = simulated.denial.unwrap().command.unwrap();
    assert_eq!(command, "fwc request notes.get --grant 1h --allow notes:note/yours");
    let filed = ask_for(&mut world.agent, "notes:note/yours").await.unwrap();
    assert_eq!((filed.status, filed.agent.as_str()), (ApprovalStatus::Pending, "bot"));

    let list = world.operator.get::<ListApprovals>(&[], &ApprovalQuery::default()).await.unwrap().body;
    assert_eq!(list.grant_requests, std::slice::from_ref(&filed));
    let status = world.operator.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    assert_eq!(status.pending_approvals, 1);
    let id = filed.request_id.to_string();
    let wider = types::ApproveGrant { constraints: Some(only("*")), ..types::ApproveGrant::default() };
    let refused = world.operator.send::<ApproveGrantRequest>(&[&id], &wider).await.unwrap_err();
    assert_eq!(refused.code, Code::ApprovalMismatch);
    let narrower = types::ApproveGrant {
        operations: Some(vec![OperationId::new("notes.get").unwrap()]),
        constraints: None,
        lifetime_secs: Some(60),
    };
    let granted = world.operator.send::<ApproveGrantRequest>(&[&id], &narrower).await.unwrap().body;
    assert_eq!((granted.request_id, granted.operations.len()), (Some(filed.request_id), 1));
    assert!(world.agent.send::<SimulateCall>(&[], &yours).await.unwrap().body.allowed);
    let shown = world.agent.get::<GetGrantRequest>(&[&id], &Nothing {}).await.unwrap().body;
    assert_eq!((shown.status, shown.grant_id), (ApprovalStatus::Approved, Some(granted.grant_id)));
}

//= docs/spec/authority.md#asking-for-a-grant
#[tokio::test]
async fn nobody_is_asked_for_what_no_connector_has_and_nobody_can_approve_it() {
    let mut world = World::new().await;
    let wish = |connector: &str, operation: &str| types::FileGrantRequest {
        connector: ConnectorId::new(connector).unwrap(),
        operations: vec![OperationId::new("notes.get").unwrap(), OperationId::new(operation).unwrap()],
        constraints: only("notes:note/yours"),
        lifetime_secs: 3600,
        note: Some("harmless, I promise".into()),
    };
    for (connector, operation, code) in [
        ("notes", "notes.everything", Code::OperationUnknown),
        ("notes", "github.issues.create", Code::OperationUnknown),
        ("absent", "absent.get", Code::ConnectorUnknown),
    ] {
        let refused = world.agent.send::<FileGrantRequest>(&[], &wish(connector, operation)).await;
        assert_eq!(refused.unwrap_err().code, code, "{connector} {operation}");
    }
    let list = world.operator.get::<ListApprovals>(&[], &ApprovalQuery::default()).await.unwrap().body;
    assert!(list.grant_requests.is_empty());

    // What was known when it was filed and is not any more is marked so, and cannot be approved.
    let filed = ask_for(&mut world.agent, "notes:note/yours").await.unwrap();
    assert!(filed.operations.iter().all(|wished| wished.description.is_some() && wished.tier.is_some()));
    let removal = types::SetState { reason: None };
    world.operator.send::<RemoveConnector>(&["notes"], &removal).await.unwrap();
    let id = filed.request_id.to_string();
    let shown = world.operator.get::<GetGrantRequest>(&[&id], &Nothing {}).await.unwrap().body;
    assert!(shown.operations.iter().all(|wished| wished.description.is_none() && wished.tier.is_none()));
    assert_eq!((filed.obstacle, shown.obstacle), (None, Some(Code::ConnectorUnknown)));
    let approve = types::ApproveGrant::default();
    let refused = world.operator.send::<ApproveGrantRequest>(&[&id], &approve).await.unwrap_err();
    assert_eq!(refused.code, Code::ConnectorUnknown);
    let denial = types::Deny { note: None };
    world.operator.send::<DenyGrantRequest>(&[&id], &denial).await.unwrap();
}

//= docs/spec/authority.md#asking-for-a-grant
#[tokio::test]
async fn a_request_whose_connector_changed_says_so_before_anybody_approves() {
    let mut world = World::new().await;
    let filed = ask_for(&mut world.agent, "notes:note/yours").await.unwrap();
    let home = world.daemon.home.clone();
    install(&mut world.operator, &home).await.unwrap();
    let id = filed.request_id.to_string();
    let shown = world.operator.get::<GetGrantRequest>(&[&id], &Nothing {}).await.unwrap().body;
    assert_eq!(shown.obstacle, None, "installed again it is the same");
    install_changed(&mut world.operator, &home).await.unwrap();
    let shown = world.operator.get::<GetGrantRequest>(&[&id], &Nothing {}).await.unwrap().body;
    assert_eq!((shown.status, shown.obstacle), (ApprovalStatus::Pending, Some(Code::ConnectorChanged)));
    let list = world.operator.get::<ListApprovals>(&[], &ApprovalQuery::default()).await.unwrap().body;
    assert_eq!(list.grant_requests[0].obstacle, Some(Code::ConnectorChanged));
    let approve = types::ApproveGrant::default();
    let refused = world.operator.send::<ApproveGrantRequest>(&[&id], &approve).await.unwrap_err();
    assert_eq!(refused.code, Code::ConnectorChanged, "as it was said");
    world.operator.send::<DenyGrantRequest>(&[&id], &types::Deny { note: None }).await.unwrap();
    let shown = world.operator.get::<GetGrantRequest>(&[&id], &Nothing {}).await.unwrap().body;
    assert_eq!(shown.obstacle, None, "what is decided waits for nothing");
}

#[tokio::test]
async fn a_refused_argument_leads_to_the_grants_that_say_what_is_allowed() {
    let mut world = World::new().await;
    let rule: ArgumentRule =
        serde_json::from_value(json!({ "pointer": "/note", "one_of": ["mine"] })).unwrap();
    let grant = types::AddGrant {
        agent: Some(world.bot.name.clone()),
        role: None,
        zone: world.bot.zone.clone(),
        connector: connector(),
        operations: vec![OperationId::new("notes.get").unwrap()],
        constraints: Constraints { arguments: vec![rule], ..only("*") },
        not_before: None,
        lifetime_secs: 3600,
    };
    let added = world.operator.send::<AddGrant>(&[], &grant).await.unwrap().body;
    let revoke = types::Revoke {
        scope: RevocationScope::Capability,
        target: world.grant.grant_id.to_string(),
        reason: "a narrower one is there".into(),
        unknown: false,
        confirmed: false,
    };
    world.operator.send::<Revoke>(&[], &revoke).await.unwrap();
    let yours = call("notes.get", json!({ "note": "yours" }), None);
    let refused = world.agent.send::<InvokeOperation>(&[], &yours).await.unwrap_err();
    assert_eq!(refused.code, Code::ArgumentNotAllowed);
    assert_eq!(refused.next, "`fwc grant list --to bot --connector notes --live`");
    let own =
        GrantQuery { agent: Some(world.bot.name.clone()), connector: Some(connector()), live: Some(true) };
    let listed = world.agent.get::<ListGrants>(&[], &own).await.unwrap().body.grants;
    assert_eq!(listed.iter().map(|it| it.grant_id).collect::<Vec<_>>(), [added.grant_id]);
    assert_eq!(listed[0].constraints, grant.constraints, "its caller sees what it allows");
}

#[tokio::test]
async fn a_denied_request_stays_denied_across_a_restart_and_is_seen_by_its_agent_alone() {
    let mut world = World::new().await;
    let filed = ask_for(&mut world.agent, "notes:note/yours").await.unwrap();
    let id = filed.request_id.to_string();
    let other = Bot::new("other");
    other.enrol(&mut world.operator).await.unwrap();
    let mut stranger = world.daemon.client();
    other.open(&mut stranger).await.unwrap();
    let refused = stranger.get::<GetGrantRequest>(&[&id], &Nothing {}).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
    let deny = types::Deny { note: Some("not yours".into()) };
    world.operator.send::<DenyGrantRequest>(&[&id], &deny).await.unwrap();
    let home = world.daemon.home.clone();
    world.daemon.kill();

    let daemon = Daemon::start(&home).await;
    let mut operator = daemon.client();
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    let shown = operator.get::<GetGrantRequest>(&[&id], &Nothing {}).await.unwrap().body;
    assert_eq!((shown.status, shown.decision_note.as_deref()), (ApprovalStatus::Denied, Some("not yours")));
    let approve = types::ApproveGrant::default();
    let refused = operator.send::<ApproveGrantRequest>(&[&id], &approve).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
}

#[tokio::test]
async fn a_role_gives_its_grants_until_it_is_taken_or_removed() {
    let mut world = World::new().await;
    let role = types::AddRole { name: "tidy".parse().unwrap(), description: "tidies up".into() };
    world.operator.send::<AddRole>(&[], &role).await.unwrap();
    let grant = types::AddGrant {
        agent: None,
        role: Some(role.name.clone()),
        zone: world.bot.zone.clone(),
        connector: connector(),
        operations: vec![OperationId::new("notes.get").unwrap()],
        constraints: only("notes:note/shared"),
        not_before: None,
        lifetime_secs: 3600,
    };
    world.operator.send::<AddGrant>(&[], &grant).await.unwrap();
    let shared = call("notes.get", json!({ "note": "shared" }), None);
    assert!(!world.agent.send::<SimulateCall>(&[], &shared).await.unwrap().body.allowed);
    world.operator.send::<AssignRole>(&["tidy", "bot"], &Nothing {}).await.unwrap();
    let roles = world.operator.get::<ListRoles>(&[], &Nothing {}).await.unwrap().body.roles;
    assert_eq!((roles[0].members.len(), roles[0].live_grants), (1, 1));
    world.operator.send::<WithdrawRole>(&["tidy", "bot"], &types::Deny::default()).await.unwrap();
    assert!(!world.agent.send::<SimulateCall>(&[], &shared).await.unwrap().body.allowed);
    world.operator.send::<RemoveRole>(&["tidy"], &types::Deny::default()).await.unwrap();
    assert!(world.operator.get::<ListRoles>(&[], &Nothing {}).await.unwrap().body.roles.is_empty());
    let given = world.operator.send::<AssignRole>(&["tidy", "bot"], &Nothing {}).await.unwrap_err();
    let again = world.operator.send::<RemoveRole>(&["tidy"], &types::Deny::default()).await.unwrap_err();
    for refused in [given, again] {
        assert_eq!((refused.code, refused.why.as_deref()), (Code::NotFound, Some("there is no role tidy")));
        assert!(refused.next.contains("`fwc role list`"), "{}", refused.next);
    }
}

#[tokio::test]
async fn a_zone_of_ones_own_takes_agents_and_survives() {
    let mut world = World::new().await;
    let apollo = ZoneId::new("z:project:apollo").unwrap();
    let zone = types::AddZone {
        zone: apollo.clone(),
        description: "the apollo project".into(),
        integrity: 60,
        confidentiality: 60,
        policy: PolicyChange::default(),
    };
    let made = world.operator.send::<AddZone>(&[], &zone).await.unwrap().body;
    assert_eq!((made.allowed_connectors.len(), made.max_tier), (0, SafetyTier::Safe), "as strict as can be");
    assert_eq!(world.operator.send::<AddZone>(&[], &zone).await.unwrap_err().code, Code::Conflict);
    let change = PolicyChange { max_tier: Some(SafetyTier::Risky), ..PolicyChange::default() };
    let changed = world.operator.send::<ChangePolicy>(&[apollo.as_str()], &change).await.unwrap().body;
    assert_eq!((changed.policy_version, changed.max_tier), (2, SafetyTier::Risky));
    let pilot = Bot { zone: apollo.clone(), ..Bot::new("pilot") };
    pilot.enrol(&mut world.operator).await.unwrap();
    let home = world.daemon.home.clone();
    world.daemon.kill();

    let daemon = Daemon::start(&home).await;
    let mut client = daemon.client();
    assert_eq!(pilot.open(&mut client).await.unwrap().zone, apollo);
    let report = client.send::<VerifyAudit>(&[], &types::VerifyAudit::default()).await.unwrap().body;
    assert!(report.valid, "{report:?}");
}

#[tokio::test]
async fn a_raised_wall_is_gone_from_the_list_and_the_status() {
    let mut world = World::new().await;
    let rule = ExceptionRule::Sandbox { property: "memory_bounded".into() };
    let lower =
        types::AddException { connector: connector(), rule, reason: "a test".into(), lifetime_secs: None };
    let lowered = world.operator.send::<AddException>(&[], &lower).await.unwrap().body;
    let id = lowered.exception_id.to_string();
    let warned = |status: types::Status| {
        status.warnings.into_iter().find(|warning| warning.kind == WarningKind::Exception)
    };
    let status = world.operator.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    let remedy = warned(status).unwrap().remedy.unwrap();
    assert!(remedy.contains(&format!("fwc exception remove {id}")), "{remedy}");
    assert!(world.operator.send::<RemoveException>(&[&id], &Nothing {}).await.unwrap().body.removed);
    let left = world.operator.get::<ListExceptions>(&[], &Nothing {}).await.unwrap().body.exceptions;
    assert!(left.is_empty());
    assert!(warned(world.operator.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body).is_none());
    let gone = world.operator.send::<RemoveException>(&[&id], &Nothing {}).await.unwrap_err();
    assert_eq!(gone.code, Code::NotFound);
}

//= docs/spec/authority.md#exceptions
#[tokio::test]
async fn an_exception_that_would_open_nothing_is_not_recorded() {
    let mut world = World::new().await;
    let property = |name: &str| ExceptionRule::Sandbox { property: name.into() };
    let egress = |network: &str| ExceptionRule::Egress {
        host: "git.intern.example".into(),
        network: network.into(),
        port: 443,
        ca_file: None,
        ca_digest: None,
    };
    let absent = ConnectorId::new("absent").unwrap();
    let tries = [
        (connector(), property("memory"), Code::InputInvalid, "memory_bounded"),
        (connector(), egress("10.0.0.7/32"), Code::InputInvalid, "git.intern.example"),
        (connector(), egress("10.0.0.7/99"), Code::InputInvalid, "10.0.0.7/99"),
        (connector(), egress("0.0.0.0/0"), Code::InputInvalid, "wider than one network"),
        (connector(), egress("::/0"), Code::InputInvalid, "wider than one network"),
        (connector(), egress("::ffff:0.0.0.0/96"), Code::InputInvalid, "wider than one network"),
        (absent.clone(), egress("10.0.0.7/32"), Code::ConnectorUnknown, "absent"),
        (absent, property("memory_bounded"), Code::ConnectorUnknown, "absent"),
    ];
    for (connector, rule, code, named) in tries {
        let lower = types::AddException { connector, rule, reason: "a test".into(), lifetime_secs: None };
        let refused = world.operator.send::<AddException>(&[], &lower).await.unwrap_err();
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(format!("{refused:?}").contains(named), "{refused:?}");
    }
    let recorded = world.operator.get::<ListExceptions>(&[], &Nothing {}).await.unwrap().body.exceptions;
    assert!(recorded.is_empty());
}

#[tokio::test]
async fn the_owner_renews_the_node_with_the_owners_passphrase() {
    let mut world = World::new().await;
    let until = |status: types::Status| status.authority.unwrap().attested_until.unwrap();
    let before = until(world.operator.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body);
    let renew =
        |text: &str, lifetime_secs| types::RenewNode { owner_key_source: passphrase(text), lifetime_secs };
    let wrong = world.operator.send::<RenewNode>(&[], &renew("wrong", None)).await.unwrap_err();
    assert_eq!(wrong.code, Code::UnlockFailed);
    let earlier = world.operator.send::<RenewNode>(&[], &renew(PASSPHRASE, Some(60))).await.unwrap_err();
    assert_eq!(earlier.code, Code::OutOfRange);
    let longest = Some(365 * 86_400 + 3_600);
    let renewed = world.operator.send::<RenewNode>(&[], &renew(PASSPHRASE, longest)).await.unwrap().body;
    assert!(renewed.attested_until > before);
    let home = world.daemon.home.clone();
    world.daemon.kill();
    let daemon = Daemon::start(&home).await;
    let mut client = daemon.client();
    let status = client.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    assert_eq!(until(status), renewed.attested_until);
    unlock(&mut client, PASSPHRASE).await.unwrap();
    let report = client.send::<VerifyAudit>(&[], &types::VerifyAudit::default()).await.unwrap().body;
    assert!(report.valid, "{report:?}");
}

#[tokio::test]
async fn a_disabled_connector_stays_disabled_when_it_is_installed_again() {
    let mut world = World::new().await;
    let state = types::SetState { reason: None };
    world.operator.send::<DisableConnector>(&["notes"], &state).await.unwrap();
    let home = world.daemon.home.clone();
    let again = install(&mut world.operator, &home).await.unwrap();
    assert!(!again.connector.connector.enabled);
    let shown = world.operator.get::<GetConnector>(&["notes"], &Nothing {}).await.unwrap().body;
    assert!(!shown.connector.enabled);
}

//= docs/spec/authority.md#taking-objects
#[tokio::test]
async fn equal_acts_of_one_second_are_each_made() {
    let mut world = World::new().await;
    let home = world.daemon.home.clone();
    // Three of each: two of them at least lie in one second.
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..3 {
        names.insert(install(&mut world.operator, &home).await.unwrap().install_id);
        names.insert(grant(&mut world.operator, &world.bot).await.unwrap().grant_id);
    }
    assert_eq!(names.len(), 6, "each is an act of its own");
    let role = types::AddRole { name: "tidy".parse().unwrap(), description: "tidies up".into() };
    world.operator.send::<AddRole>(&[], &role).await.unwrap();
    // What is given, taken away and given again is given.
    for _ in 0..3 {
        world.operator.send::<AssignRole>(&["tidy", "bot"], &Nothing {}).await.unwrap();
        let roles = world.operator.get::<ListRoles>(&[], &Nothing {}).await.unwrap().body.roles;
        assert_eq!(roles[0].members, [world.bot.name.clone()]);
        world.operator.send::<WithdrawRole>(&["tidy", "bot"], &types::Deny::default()).await.unwrap();
    }
    let stop = types::SetState { reason: None };
    for _ in 0..3 {
        world.operator.send::<DisableConnector>(&["notes"], &stop).await.unwrap();
        world.operator.send::<EnableConnector>(&["notes"], &stop).await.unwrap();
    }
    let shown = world.operator.get::<GetConnector>(&["notes"], &Nothing {}).await.unwrap().body;
    assert!(shown.connector.enabled);
    // And what the node signs for an agent.
    for _ in 0..3 {
        ask_for(&mut world.agent, "notes:note/yours").await.unwrap();
    }
    let report = world.operator.send::<VerifyAudit>(&[], &types::VerifyAudit::default()).await.unwrap().body;
    assert!(report.valid, "{report:?}");
    world.daemon.kill();
    let daemon = Daemon::start(&home).await;
    assert!(daemon.client().get::<GetStatus>(&[], &Nothing {}).await.is_ok(), "and it opens again");
}

#[tokio::test]
async fn what_does_not_exist_can_be_neither_settled_nor_tested() {
    let mut world = World::new().await;
    let settle = types::Settle { happened: true, note: "it is there".into() };
    for id in ["00".repeat(16), "00".repeat(32), "x".into()] {
        let refused = world.operator.send::<SettleCall>(&[&id], &settle).await.unwrap_err();
        assert_eq!(refused.code, Code::NotFound);
        assert!(refused.next.contains("fwc history --unknown"));
    }
    let refused = world.operator.send::<TestCredential>(&["nobody"], &Nothing {}).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
}
