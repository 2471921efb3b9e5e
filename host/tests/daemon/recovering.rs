//! What the owner's 24 words bring back: operators whose keys are lost or revoked.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fcp_api::client::Client;
use fcp_api::routes::{
    AddOperator, GetHealth, GetStatus, GetZone, ListAgents, ListCredentials, ListOperators, ListZones,
    RekeyZone, RenewNode, ReplaceNode, RestoreOwner, Revoke, SimulateCall, VerifyAudit,
};
use fcp_api::secret::Secret;
use fcp_api::types::{
    self, ErrorBody, HealthStatus, KeyStanding, Nothing, OperatorAdded, OperatorKeyView, Warning, WarningKind,
};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::{OperatorRight, RevocationScope};
use serde_json::json;

use crate::world::{
    Bot, Daemon, PASSPHRASE, World, call, ceremony, faulty_programs, folder, other_words, passphrase, unlock,
    unlock_as,
};

const NEW: &str = "quite another passphrase";

fn adding(phrase: &Secret, name: &str, replace: bool) -> types::AddOperator {
    types::AddOperator {
        phrase: phrase.clone(),
        operator: name.parse().unwrap(),
        key_source: passphrase(NEW),
        rights: None,
        lifetime_secs: None,
        replace,
    }
}

async fn add(client: &mut Client, request: &types::AddOperator) -> Result<OperatorAdded, ErrorBody> {
    client.send::<AddOperator>(&[], request).await.map(|reply| reply.body)
}

async fn keys(client: &mut Client) -> Vec<OperatorKeyView> {
    client.get::<ListOperators>(&[], &Nothing {}).await.unwrap().body.keys
}

async fn warned(client: &mut Client, kind: WarningKind) -> Option<Warning> {
    warnings(client, kind).await.into_iter().next()
}

async fn warnings(client: &mut Client, kind: WarningKind) -> Vec<Warning> {
    let status = client.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    status.warnings.into_iter().filter(|it| it.kind == kind).collect()
}

async fn revoke_alice(client: &mut Client, confirmed: bool) -> Result<types::Revoked, ErrorBody> {
    revoke(client, RevocationScope::IssuerKey, "alice", confirmed).await
}

async fn revoke(
    client: &mut Client,
    scope: RevocationScope,
    target: &str,
    confirmed: bool,
) -> Result<types::Revoked, ErrorBody> {
    let request =
        types::Revoke { scope, target: target.into(), reason: "stolen".into(), unknown: false, confirmed };
    client.send::<Revoke>(&[], &request).await.map(|reply| reply.body)
}

async fn assert_verifies(client: &mut Client) {
    let report = client.send::<VerifyAudit>(&[], &types::VerifyAudit::default()).await.unwrap().body;
    assert!(report.valid, "{report:?}");
}

fn files(home: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(home.join("keys")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

//= docs/spec/ceremony.md#operators
#[tokio::test]
async fn the_words_bring_back_a_home_whose_only_operators_key_was_deleted() {
    let World { daemon, mut operator, mut agent, bot, phrase, _folder, .. } = World::new().await;
    fs::remove_file(daemon.home.join("keys/operator.alice.key")).unwrap();
    let lost = warned(&mut operator, WarningKind::Integrity).await.unwrap();
    assert!(lost.remedy.unwrap().contains("fwc operator add alice --replace"));
    let mut client = daemon.client();
    let refused = unlock(&mut client, PASSPHRASE).await.unwrap_err();
    assert!(refused.next.contains("fwc operator add alice --replace"), "{refused:?}");

    let refused = add(&mut client, &adding(&phrase, "alice", false)).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict, "a key that can act is not ended unasked");
    let added = add(&mut client, &adding(&phrase, "alice", true)).await.unwrap();
    assert_eq!((added.ended.len(), added.rights.len()), (1, OperatorRight::ALL.len()));
    assert_eq!(warned(&mut client, WarningKind::Integrity).await, None);
    let open = operator.get::<ListCredentials>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(open.code, Code::Unauthenticated, "the lost key is closed wherever it was open");
    let refused = unlock(&mut client, PASSPHRASE).await.unwrap_err();
    assert_eq!(refused.code, Code::UnlockFailed);
    assert!(refused.next.contains("fwc operator add alice --replace"), "{refused:?}");
    unlock(&mut client, NEW).await.unwrap();
    let mine = call("notes.get", json!({ "note": "mine" }), None);
    let simulated = agent.send::<SimulateCall>(&[], &mine).await.unwrap().body;
    assert!(simulated.allowed, "what the lost key had granted stays: {simulated:?}");
    assert_verifies(&mut client).await;

    let home = daemon.home.clone();
    daemon.kill();
    let daemon = Daemon::start(&home).await;
    let mut client = daemon.client();
    unlock(&mut client, NEW).await.unwrap();
    let standing: Vec<_> = keys(&mut client).await.iter().map(|it| (it.standing, it.stored)).collect();
    assert_eq!(standing, [(KeyStanding::Live, true), (KeyStanding::Ended, false)]);
    let mut agent = daemon.client();
    bot.open(&mut agent).await.unwrap();
    assert!(agent.send::<SimulateCall>(&[], &mine).await.unwrap().body.allowed);
    assert_verifies(&mut client).await;
}

//= docs/spec/revocation.md#what-is-confirmed
//= docs/spec/authority.md#operators-keys
#[tokio::test]
async fn the_last_operators_key_is_revoked_on_purpose_alone_and_the_words_make_another() {
    let World { daemon, mut operator, phrase, _folder, .. } = World::new().await;
    let refused = revoke_alice(&mut operator, false).await.unwrap_err();
    assert_eq!(refused.code, Code::ConfirmationNeeded);
    let why = refused.why.unwrap();
    assert!(why.contains("fwc operator add alice") && why.contains("24 words"), "{why}");
    assert_eq!(keys(&mut operator).await[0].standing, KeyStanding::Live, "nothing was done");
    revoke_alice(&mut operator, true).await.unwrap();
    let open = operator.get::<ListCredentials>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(open.code, Code::Unauthenticated, "a revoked key is closed wherever it was open");

    let health = operator.get::<GetHealth>(&[], &Nothing {}).await.unwrap().body;
    assert_eq!(health.status, HealthStatus::Degraded, "{health:?}");
    let told = warned(&mut operator, WarningKind::Revoked).await.unwrap();
    assert!(
        told.message.contains("nobody can act") && told.remedy.unwrap().contains("fwc operator add alice")
    );
    let revoked = &keys(&mut operator).await[0];
    assert!(revoked.standing == KeyStanding::Revoked && revoked.revocation_id.is_some(), "{revoked:?}");
    let mut client = daemon.client();
    let refused = unlock(&mut client, PASSPHRASE).await.unwrap_err();
    assert!(refused.next.contains("fwc operator list"), "{refused:?}");

    let before = files(&daemon.home);
    for (words, code) in [
        (Secret::new("abandon about"), Code::PhraseInvalid),
        (Secret::new(phrase.expose().replacen(' ', " zebra ", 1)), Code::PhraseInvalid),
        (Secret::new(["zoo"; 24].join(" ")), Code::PhraseInvalid),
        (other_words(), Code::PhraseOfOther),
    ] {
        let refused = add(&mut client, &adding(&words, "alice", false)).await.unwrap_err();
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(!format!("{refused:?}").contains("zebra"), "no word is repeated");
    }
    let agent = add(&mut client, &adding(&phrase, "bot", false)).await.unwrap_err();
    assert_eq!(agent.code, Code::Conflict, "a name is an agent's or an operator's");
    let unnamed = add(&mut client, &adding(&phrase, "carol", false)).await.unwrap_err();
    assert_eq!(unnamed.code, Code::InputInvalid, "a new operator has no right that was not named");
    let short = types::AddOperator { key_source: passphrase("short"), ..adding(&phrase, "alice", false) };
    assert_eq!(add(&mut client, &short).await.unwrap_err().code, Code::InputInvalid);
    assert_eq!(files(&daemon.home), before, "what is refused writes nothing");

    let added = add(&mut client, &adding(&phrase, "alice", false)).await.unwrap();
    assert_eq!(added.ended, []);
    unlock(&mut client, NEW).await.unwrap();
    let carol =
        types::AddOperator { rights: Some(vec![OperatorRight::Revoke]), ..adding(&phrase, "carol", false) };
    add(&mut client, &carol).await.unwrap();
    let refused = revoke_alice(&mut client, false).await.unwrap_err();
    assert_eq!(refused.code, Code::ConfirmationNeeded, "carol may revoke, and nothing else");
    let why = refused.why.unwrap();
    assert!(why.contains("nobody can approve, grant") && !why.contains(", revoke"), "{why}");
    let revoked = revoke_alice(&mut client, true).await.unwrap();
    assert!(revoked.known, "the key that can act is meant, and carol's is left");
    let told = warnings(&mut client, WarningKind::Operator).await;
    assert!(told[0].message.contains("alice") && told[0].message.contains("1 grants"), "{told:?}");
    let lost = told.iter().find(|it| it.message.contains("nobody can approve, grant")).unwrap();
    assert_eq!(lost.remedy.as_ref().unwrap().split('`').nth(1), Some("fwc operator add alice"));
    let health = client.get::<GetHealth>(&[], &Nothing {}).await.unwrap().body;
    assert_eq!(health.status, HealthStatus::Ready);
    unlock(&mut client, NEW).await.unwrap();
    assert_verifies(&mut client).await;
}

//= docs/spec/revocation.md#what-goes-with-it
//= docs/spec/authority.md#operators-keys
#[tokio::test]
async fn an_operator_is_revoked_by_name_with_every_key_and_forgotten_with_the_last_grant() {
    let World { daemon, mut operator, mut agent, grant, phrase, _folder, .. } = World::new().await;
    let first = keys(&mut operator).await[0].key_id;
    let newest = add(&mut operator, &adding(&phrase, "alice", true)).await.unwrap().key_id;
    let all = Some(OperatorRight::ALL.to_vec());
    let carol = types::AddOperator { rights: all, ..adding(&phrase, "carol", false) };
    add(&mut operator, &carol).await.unwrap();
    let mine = call("notes.get", json!({ "note": "mine" }), None);
    assert!(agent.send::<SimulateCall>(&[], &mine).await.unwrap().body.allowed, "what was granted stays");

    let mut client = daemon.client();
    unlock_as(&mut client, Some("carol"), NEW).await.unwrap();
    let revoked = revoke_alice(&mut client, false).await.unwrap();
    let taken: BTreeSet<_> = revoked.targets.iter().cloned().collect();
    assert_eq!(taken, [first, newest].map(|key| key.to_string()).into());
    assert_eq!((revoked.grants_ended, revoked.roles.len()), (1, 0));
    let denied = agent.send::<SimulateCall>(&[], &mine).await.unwrap().body;
    assert_eq!(denied.code, Some(Code::GrantIssuerInvalid), "the grant was signed by the earlier key");
    let standing = keys(&mut client).await.into_iter().filter(|it| it.operator.as_str() == "alice");
    assert!(standing.into_iter().all(|it| it.standing == KeyStanding::Revoked));

    let told = warnings(&mut client, WarningKind::Operator).await;
    assert!(told.len() == 1 && told[0].message.contains("alice"), "her grant is in its time: {told:?}");
    let id = grant.grant_id.to_string();
    revoke(&mut client, RevocationScope::Capability, &id, false).await.unwrap();
    assert_eq!(warnings(&mut client, WarningKind::Operator).await, [], "nothing rests on her any more");
    let status = client.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    let names: Vec<_> = status.authority.unwrap().operators.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["carol"]);
    assert_verifies(&mut client).await;
}

//= docs/spec/ceremony.md#recovery
#[tokio::test]
async fn the_words_store_the_owners_key_again_under_a_new_passphrase() {
    let (_guard, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut client = daemon.client();
    let phrase = ceremony(&mut client).await;
    let file = home.join("keys/owner.key");
    let before = fs::read(&file).unwrap();
    let restore = |phrase| types::RestoreOwner { phrase, key_source: passphrase(NEW) };
    let refused = client.send::<RestoreOwner>(&[], &restore(other_words())).await.unwrap_err();
    assert_eq!(refused.code, Code::PhraseOfOther);
    assert_eq!(fs::read(&file).unwrap(), before);
    fs::remove_file(&file).unwrap();
    client.send::<RestoreOwner>(&[], &restore(phrase)).await.unwrap();
    assert_eq!(warned(&mut client, WarningKind::Integrity).await, None);
    unlock(&mut client, PASSPHRASE).await.unwrap();
    let renew = |text: &str| types::RenewNode {
        owner_key_source: passphrase(text),
        lifetime_secs: Some(365 * 86_400 + 3_600),
    };
    let refused = client.send::<RenewNode>(&[], &renew(PASSPHRASE)).await.unwrap_err();
    assert!(refused.next.contains("fwc owner restore"), "{refused:?}");
    client.send::<RenewNode>(&[], &renew(NEW)).await.unwrap();
}

/// Far more steps than any of these acts has.
const MOST_STEPS: u32 = 40;

/// A home in which one act is tried again and again, whose daemon is killed before, amid and after the first step that the
/// act writes, the second and so on, until the act is over without having got to the step.
struct KilledAnywhere {
    home: PathBuf,
    program: PathBuf,
    daemon: Option<Daemon>,
    client: Client,
    phrase: Secret,
    /// How it is killed, last first.
    faults: Vec<&'static str>,
    step: u32,
    /// How many acts were whole after the kill, and of how many there was nothing.
    counts: (usize, usize),
    _folder: tempfile::TempDir,
}

impl KilledAnywhere {
    async fn new() -> Self {
        let (folder, home) = folder();
        let program = faulty_programs(folder.path()).join("fcp-host");
        let daemon = Daemon::start_program(&program, &home).await;
        let mut client = daemon.client();
        let phrase = ceremony(&mut client).await;
        let faults = vec!["kill-after", "kill-amid", "kill-before"];
        Self {
            home,
            program,
            daemon: Some(daemon),
            client,
            phrase,
            faults,
            step: 1,
            counts: (0, 0),
            _folder: folder,
        }
    }

    /// Whether there is another place to be killed at.
    fn goes_on(&self) -> bool {
        assert!(self.step < MOST_STEPS);
        let (whole, never) = self.counts;
        assert!(!self.faults.is_empty() || whole > 3 && never > 0, "{whole} {never}");
        !self.faults.is_empty()
    }

    /// The daemon's disk will fail at the step whose turn it is, from now on.
    fn arm(&self) {
        let fault = self.faults.last().unwrap();
        fs::write(self.home.with_extension("fault"), format!("{fault} {}", self.step)).unwrap();
    }

    /// Has the daemon killed, if it was not, and started again, without faults.
    async fn come_back(&mut self) {
        let _unused = fs::remove_file(self.home.with_extension("fault"));
        self.daemon.take().unwrap().kill();
        let daemon = Daemon::start_program(&self.program, &self.home).await;
        self.client = daemon.client();
        self.daemon = Some(daemon);
    }

    /// Takes note of what became of an act, and goes on to the next step, or, after the last one, to the next fault.
    fn became<T: Debug>(&mut self, whole: bool, answer: Result<T, ErrorBody>) {
        let place = format!("{:?} {}", self.faults.last(), self.step);
        assert!(whole || answer.is_err(), "{place}: what was answered stands");
        if whole {
            self.counts.0 += 1;
        } else {
            self.counts.1 += 1;
        }
        self.step += 1;
        if fs::remove_file(self.home.with_extension("fired")).is_err() {
            answer.unwrap();
            self.faults.pop();
            self.step = 1;
        }
    }
}

//= docs/spec/ceremony.md#operators
#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_that_is_killed_anywhere_is_whole_or_was_never_begun() {
    let mut killed = KilledAnywhere::new().await;
    while killed.goes_on() {
        let (stored, known) = (files(&killed.home), keys(&mut killed.client).await);
        killed.arm();
        let answer = add(&mut killed.client, &adding(&killed.phrase, "alice", true)).await;
        killed.come_back().await;
        let after = keys(&mut killed.client).await;
        let live = after.iter().filter(|it| it.standing == KeyStanding::Live).count();
        assert_eq!(live, 1, "one key of alice can act: {after:?}");
        assert!(after.iter().all(|it| it.stored), "{after:?}");
        let whole = after.len() != known.len();
        if !whole {
            assert_eq!((after, files(&killed.home)), (known, stored), "nothing is left of it");
        }
        killed.became(whole, answer);
    }
    unlock(&mut killed.client, NEW).await.unwrap();
    assert_verifies(&mut killed.client).await;
}

fn replacing(phrase: &Secret) -> types::ReplaceNode {
    types::ReplaceNode { phrase: phrase.clone(), lifetime_secs: None }
}

async fn problems(client: &mut Client, zone: Option<&str>) -> Vec<String> {
    let request =
        types::VerifyAudit { zone: zone.map(|zone| zone.parse().unwrap()), ..types::VerifyAudit::default() };
    let report = client.send::<VerifyAudit>(&[], &request).await.unwrap().body;
    report.problems.into_iter().map(|it| it.problem).collect()
}

//= docs/spec/audit.md#a-revoked-node
//= docs/spec/authority.md#another-key-of-a-node
#[tokio::test]
async fn the_words_give_a_revoked_node_other_keys_and_its_chains_go_on() {
    let World { daemon, mut operator, mut agent, bot, phrase, _folder, .. } = World::new().await;
    let status = operator.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    let before = status.authority.unwrap();
    let node = before.node.to_string();
    let early = operator.send::<ReplaceNode>(&[], &replacing(&phrase)).await.unwrap_err();
    assert_eq!(early.code, Code::Conflict, "a node that is not revoked has its keys");
    for (scope, target) in [
        (RevocationScope::NodeAttestation, node.clone()),
        (RevocationScope::IssuerKey, before.issuance_key.to_string()),
    ] {
        let refused = revoke(&mut operator, scope, &target, false).await.unwrap_err();
        assert_eq!(refused.code, Code::ConfirmationNeeded);
        assert!(refused.why.unwrap().contains("fwc node replace"));
    }
    let mine = call("notes.get", json!({ "note": "mine" }), None);
    for round in 0..2 {
        revoke(&mut operator, RevocationScope::NodeAttestation, &node, true).await.unwrap();
        assert_eq!(
            problems(&mut operator, None).await,
            [""; 0],
            "what was signed before stands, with the revocation"
        );
        let simulated = agent.send::<SimulateCall>(&[], &mine).await.unwrap().body;
        assert_eq!(simulated.code, Some(Code::NodeRevoked), "{simulated:?}");
        let told = warned(&mut operator, WarningKind::Revoked).await.unwrap();
        assert!(told.remedy.unwrap().contains("fwc node replace"));
        let health = operator.get::<GetHealth>(&[], &Nothing {}).await.unwrap().body;
        assert_eq!(health.status, HealthStatus::Degraded);
        let renew = types::RenewNode { owner_key_source: passphrase(PASSPHRASE), lifetime_secs: None };
        let refused = operator.send::<RenewNode>(&[], &renew).await.unwrap_err();
        assert_eq!(refused.code, Code::NodeRevoked, "{refused:?}");
        assert!(refused.next.contains("fwc node replace"));

        // What the revoked key appends counts for nothing.
        let wrong = operator.send::<ReplaceNode>(&[], &replacing(&other_words())).await.unwrap_err();
        assert_eq!(wrong.code, Code::PhraseOfOther);
        let found = problems(&mut operator, None).await;
        assert!(found.len() == 1 && found[0].contains("was revoked"), "{found:?}");
        assert_eq!(problems(&mut operator, Some("z:work")).await, [""; 0], "nothing was appended there");

        let replaced = operator.send::<ReplaceNode>(&[], &replacing(&phrase)).await.unwrap().body;
        assert_ne!(replaced.issuance_key, before.issuance_key);
        assert_eq!(problems(&mut operator, None).await, [""; 0], "round {round}");
        assert_eq!(problems(&mut operator, Some("z:work")).await, [""; 0], "round {round}");
        assert!(agent.send::<SimulateCall>(&[], &mine).await.unwrap().body.allowed, "round {round}");
        assert_eq!(warned(&mut operator, WarningKind::Revoked).await, None);
    }
    calls_go_on_after_a_kill(daemon, &bot, &mine).await;
}

//= docs/spec/authority.md#another-key-of-a-node
#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_of_a_nodes_keys_that_is_killed_anywhere_is_whole_or_was_never_begun() {
    let mut killed = KilledAnywhere::new().await;
    unlock(&mut killed.client, PASSPHRASE).await.unwrap();
    while killed.goes_on() {
        let status = killed.client.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
        let node = status.authority.unwrap().node.to_string();
        if warned(&mut killed.client, WarningKind::Revoked).await.is_none() {
            revoke(&mut killed.client, RevocationScope::NodeAttestation, &node, true).await.unwrap();
        }
        let stored = files(&killed.home);
        killed.arm();
        let answer = killed.client.send::<ReplaceNode>(&[], &replacing(&killed.phrase)).await;
        killed.come_back().await;
        unlock(&mut killed.client, PASSPHRASE).await.unwrap();
        let found = problems(&mut killed.client, None).await;
        let whole = warned(&mut killed.client, WarningKind::Revoked).await.is_none();
        if whole {
            assert_eq!(found, [""; 0], "every chain goes on");
        } else {
            assert_eq!(files(&killed.home), stored, "nothing is left of it");
            assert!(found[0].contains("was revoked"), "{found:?}");
        }
        killed.became(whole, answer);
    }
}

/// Everything verifies after a kill and a start, and the agent's call is allowed.
async fn calls_go_on_after_a_kill(daemon: Daemon, bot: &Bot, call: &types::Invoke) {
    let home = daemon.home.clone();
    daemon.kill();
    let daemon = Daemon::start(&home).await;
    let mut operator = daemon.client();
    unlock(&mut operator, PASSPHRASE).await.unwrap();
    assert_verifies(&mut operator).await;
    let mut agent = daemon.client();
    bot.open(&mut agent).await.unwrap();
    assert!(agent.send::<SimulateCall>(&[], call).await.unwrap().body.allowed);
}

fn rekeying(phrase: &Secret) -> types::RekeyZone {
    types::RekeyZone { phrase: phrase.clone() }
}

async fn rekey(client: &mut Client, phrase: &Secret) -> Result<types::ZoneRekeyed, ErrorBody> {
    client.send::<RekeyZone>(&["z:work"], &rekeying(phrase)).await.map(|reply| reply.body)
}

async fn work_zone(client: &mut Client) -> types::ZoneView {
    client.get::<GetZone>(&["z:work"], &Nothing {}).await.unwrap().body
}

//= docs/spec/revocation.md#a-zones-key
//= docs/spec/revocation.md#what-is-confirmed
//= docs/spec/authority.md#another-key-of-a-zone
#[tokio::test]
async fn the_words_give_a_zone_whose_key_is_revoked_another() {
    let World { daemon, mut operator, mut agent, bot, phrase, _folder, .. } = World::new().await;
    let early = rekey(&mut operator, &phrase).await.unwrap_err();
    assert_eq!(early.code, Code::Conflict, "a key that nobody revoked stays");
    let before = work_zone(&mut operator).await;
    let mine = call("notes.get", json!({ "note": "mine" }), None);
    for generation in 1..3 {
        let refused = revoke(&mut operator, RevocationScope::ZoneKey, "z:work", false).await.unwrap_err();
        assert_eq!(refused.code, Code::ConfirmationNeeded);
        assert!(refused.why.unwrap().contains("fwc zones rekey z:work"));
        let revoked = revoke(&mut operator, RevocationScope::ZoneKey, "z:work", true).await.unwrap();
        assert_eq!(revoked.revoked_since, None, "nothing did before");
        let simulated = agent.send::<SimulateCall>(&[], &mine).await.unwrap().body;
        assert_eq!(simulated.code, Some(Code::ZoneKeyRevoked), "{simulated:?}");
        let zones = operator.get::<ListZones>(&[], &Nothing {}).await.unwrap().body.zones;
        let revoked: Vec<_> = zones.iter().filter(|it| it.key_revoked).map(|it| it.zone.as_str()).collect();
        assert_eq!(revoked, ["z:work"]);
        let enrolled = Bot::new(&format!("late{generation}")).enrol(&mut operator).await.unwrap();
        assert!(enrolled.zone_key_revoked, "whoever enrols an agent there is told");
        let told = warned(&mut operator, WarningKind::Zone).await.unwrap();
        assert!(told.message.contains("z:work") && told.remedy.unwrap().contains("fwc zones rekey z:work"));

        let stored = files(&daemon.home);
        let wrong = rekey(&mut operator, &other_words()).await.unwrap_err();
        assert_eq!(wrong.code, Code::PhraseOfOther);
        assert_eq!(files(&daemon.home), stored, "what is refused writes nothing");
        let rekeyed = rekey(&mut operator, &phrase).await.unwrap();
        assert_eq!(rekeyed.key_generation, generation);
        let after = work_zone(&mut operator).await;
        assert_eq!((after.key_id, after.key_revoked), (Some(rekeyed.key_id), false));
        let agents = operator.get::<ListAgents>(&[], &Nothing {}).await.unwrap().body.agents;
        assert!(agents.iter().all(|agent| !agent.zone_key_revoked));
        assert_ne!(after.key_id, before.key_id);
        assert_eq!(warned(&mut operator, WarningKind::Zone).await, None);
        assert!(agent.send::<SimulateCall>(&[], &mine).await.unwrap().body.allowed);
        let again = rekey(&mut operator, &phrase).await.unwrap_err();
        assert_eq!(again.code, Code::Conflict, "nor does another key change without need");
        assert_verifies(&mut operator).await;
    }
    let earlier = before.key_id.unwrap().to_string();
    let known = revoke(&mut operator, RevocationScope::ZoneKey, &earlier, false).await.unwrap();
    assert!(known.known && known.revoked_since.is_some(), "an earlier key takes nothing, and needs no yes");
    calls_go_on_after_a_kill(daemon, &bot, &mine).await;
}

//= docs/spec/authority.md#another-key-of-a-zone
#[tokio::test(flavor = "multi_thread")]
async fn another_key_of_a_zone_that_is_killed_anywhere_is_whole_or_was_never_begun() {
    let mut killed = KilledAnywhere::new().await;
    unlock(&mut killed.client, PASSPHRASE).await.unwrap();
    while killed.goes_on() {
        if !work_zone(&mut killed.client).await.key_revoked {
            revoke(&mut killed.client, RevocationScope::ZoneKey, "z:work", true).await.unwrap();
        }
        let (stored, before) = (files(&killed.home), work_zone(&mut killed.client).await);
        killed.arm();
        let answer = rekey(&mut killed.client, &killed.phrase).await;
        killed.come_back().await;
        unlock(&mut killed.client, PASSPHRASE).await.unwrap();
        assert_verifies(&mut killed.client).await;
        let after = work_zone(&mut killed.client).await;
        let whole = after.key_id != before.key_id;
        if whole {
            let goes_on = (before.key_generation + 1, false);
            assert_eq!((after.key_generation, after.key_revoked), goes_on);
        } else {
            assert_eq!((after, files(&killed.home)), (before, stored), "nothing is left of it");
        }
        killed.became(whole, answer);
    }
}

//= docs/spec/authority.md#another-key-of-a-zone
//= docs/spec/home.md#keys
#[tokio::test]
async fn a_later_key_of_a_zone_that_is_gone_is_named_by_its_file() {
    let (_guard, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut client = daemon.client();
    let phrase = ceremony(&mut client).await;
    unlock(&mut client, PASSPHRASE).await.unwrap();
    revoke(&mut client, RevocationScope::ZoneKey, "z:work", true).await.unwrap();
    let rekeyed = rekey(&mut client, &phrase).await.unwrap();
    daemon.kill();
    let file = home.join(format!("keys/zone.z_work.{}.key", rekeyed.key_id));
    let bytes = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    for act in ["daemon", "examine"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_fcp-host")).arg(act).arg("--home").arg(&home).output().unwrap();
        let said = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap()).concat();
        assert!(said.contains(&format!("restore {} from", file.display())), "{act}: {said}");
    }
    fs::write(&file, bytes).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    Daemon::start(&home).await;
}
