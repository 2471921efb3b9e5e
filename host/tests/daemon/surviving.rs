//! What survives: restarts, kills, wrong settings, a second daemon, changed bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fcp_api::routes::{
    ApproveRequest, FileRequest, GetHealth, GetStatus, InvokeOperation, ListAgents, ListCalls, ListGrants,
    Revoke, SimulateCall, VerifyAudit,
};
use fcp_api::types::{
    self, ApprovalStatus, GrantQuery, HealthStatus, HistoryQuery, Nothing, VerifyAudit as VerifyRequest,
    WarningKind,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::RevocationScope;
use serde_json::json;

use crate::world::{Daemon, PASSPHRASE, World, call, ceremony, folder, unlock};

#[tokio::test]
async fn a_killed_daemon_comes_back_with_everything() {
    let mut world = World::new().await;
    let other = call("notes.get", json!({ "note": "yours" }), None);
    world.agent.send::<InvokeOperation>(&[], &other).await.unwrap_err();
    let home = world.daemon.home.clone();
    world.daemon.kill();

    let daemon = Daemon::start(&home).await;
    let mut operator = daemon.client();
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    assert_eq!(operator.get::<ListAgents>(&[], &Nothing {}).await.unwrap().body.agents.len(), 1);
    let grants = operator.get::<ListGrants>(&[], &GrantQuery::default()).await.unwrap().body.grants;
    assert_eq!(grants, [world.grant.clone()]);
    let calls = operator.get::<ListCalls>(&[], &HistoryQuery::default()).await.unwrap().body.calls;
    assert_eq!((calls.len(), calls[0].code), (1, Some(Code::ResourceNotAllowed)));

    let stale = world.agent.send::<SimulateCall>(&[], &other).await.unwrap_err();
    assert_eq!(stale.code, Code::Unauthenticated, "sessions end with the process");
    let mut agent = daemon.client();
    world.bot.open(&mut agent).await.unwrap();
    let mine = call("notes.get", json!({ "note": "mine" }), None);
    assert!(agent.send::<SimulateCall>(&[], &mine).await.unwrap().body.allowed);
    let report = operator.send::<VerifyAudit>(&[], &VerifyRequest::default()).await.unwrap().body;
    assert!(report.valid && report.events > 5, "{report:?}");
}

#[tokio::test]
async fn an_approval_serves_its_call_and_a_revocation_bites_at_once() {
    let mut world = World::new().await;
    let write = call("notes.put", json!({ "note": "mine", "text": "hello" }), Some("key-1"));
    let refused = world.agent.send::<InvokeOperation>(&[], &write).await.unwrap_err();
    assert_eq!(refused.code, Code::ApprovalRequired);
    let request =
        types::FileRequest { call: write.call.clone(), note: Some("please".into()), holder_proof: None };
    let filed = world.agent.send::<FileRequest>(&[], &request).await.unwrap().body;
    assert_eq!(filed.status, ApprovalStatus::Pending);
    assert_eq!(filed.input, json!({ "note": "mine", "text": "hello" }));

    let id = filed.request_id.to_string();
    let approve = |call_digest| types::Approve {
        call_digest,
        kinds: None,
        lifetime_secs: None,
        grant: None,
        note: None,
    };
    let wrong =
        world.operator.send::<ApproveRequest>(&[&id], &approve(filed.label_digest)).await.unwrap_err();
    assert_eq!(wrong.code, Code::ApprovalMismatch);
    world.operator.send::<ApproveRequest>(&[&id], &approve(filed.call_digest)).await.unwrap();
    assert!(world.agent.send::<SimulateCall>(&[], &write).await.unwrap().body.allowed);

    let revoke = types::Revoke {
        scope: RevocationScope::Capability,
        target: world.grant.grant_id.to_string(),
        reason: "a test".into(),
        unknown: false,
        confirmed: false,
    };
    world.operator.send::<Revoke>(&[], &revoke).await.unwrap();
    let refused = world.agent.send::<InvokeOperation>(&[], &write).await.unwrap_err();
    assert_eq!(refused.code, Code::GrantRevoked);
    let simulated = world.agent.send::<SimulateCall>(&[], &write).await.unwrap().body;
    assert!(!simulated.allowed);
}

#[tokio::test]
async fn a_second_daemon_is_refused_and_names_the_first() {
    let (_folder, home) = folder();
    let first = Daemon::start(&home).await;
    let pid = first.client().daemon_pid().await.unwrap();
    let (status, log) = Daemon::spawn(&home).wait();
    assert!(!status.success());
    assert!(log.contains("FCP-8003") && log.contains(&pid.to_string()), "{log}");
    first.client().get::<GetHealth>(&[], &Nothing {}).await.unwrap();
}

#[tokio::test]
async fn wrong_settings_refuse_the_start_and_never_a_running_daemon() {
    let (_folder, home) = folder();
    let daemon = Daemon::start(&home).await;
    let settings = home.join("config.toml");
    fs::write(&settings, "version = 1\nspeed = 9\n").unwrap();
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o600)).unwrap();
    daemon.hang_up();
    daemon.says("those in force stay").await;
    let refused = |status: types::Status| {
        status.warnings.into_iter().find(|it| it.kind == WarningKind::Settings).map(|it| it.message)
    };
    let status = daemon.client().get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    let said = refused(status).unwrap();
    assert!(said.contains("line 2") && said.contains("speed") && said.contains("in force still"), "{said}");
    fs::write(&settings, "version = 1\n").unwrap();
    daemon.hang_up();
    daemon.says("the settings were read again").await;
    let status = daemon.client().get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    assert_eq!(refused(status), None);
    fs::write(&settings, "version = 1\nspeed = 9\n").unwrap();
    let health = daemon.client().get::<GetHealth>(&[], &Nothing {}).await.unwrap().body;
    assert_eq!(health.status, HealthStatus::CeremonyRequired);
    daemon.stop();
    let (status, log) = Daemon::spawn(&home).wait();
    assert!(!status.success() && log.contains("FCP-8005") && log.contains("speed"), "{log}");
    fs::write(&settings, "version = 2\n").unwrap();
    let (status, log) = Daemon::spawn(&home).wait();
    assert!(!status.success() && log.contains("FCP-8004") && !log.contains("FCP-8005"), "{log}");
}

#[tokio::test]
async fn a_changed_journal_is_noticed() {
    let (_folder, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut client = daemon.client();
    ceremony(&mut client).await;
    let unproved = client.send::<VerifyAudit>(&[], &VerifyRequest::default()).await.unwrap_err();
    assert_eq!(unproved.code, Code::Unauthenticated, "it reads the whole journal");
    unlock(&mut client, PASSPHRASE).await.unwrap();
    let clean = client.send::<VerifyAudit>(&[], &VerifyRequest::default()).await.unwrap().body;
    assert!(clean.valid, "{clean:?}");

    let journal = home.join("journal").join("000001.fcj");
    let whole = fs::read(&journal).unwrap();
    // In the segment's header, and in the middle of a record.
    for at in [20, whole.len() / 2] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&journal, bytes).unwrap();
        let report = client.send::<VerifyAudit>(&[], &VerifyRequest::default()).await.unwrap().body;
        assert!(!report.valid && !report.problems.is_empty(), "byte {at}: {report:?}");
    }
}
