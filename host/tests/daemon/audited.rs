//! Every route of the table, over a real daemon: what it does is in the audit as the table says, what it refuses has left
//! nothing else, and on a full disk it has no effect.

use std::fs;
use std::path::{Path, PathBuf};

use fcp_api::client::Client;
use fcp_api::routes::*;
use fcp_api::secret::Secret;
use fcp_api::types::{
    self, ApprovalQuery, CredentialMaterial, ErrorBody, ExceptionRule, Nothing, PolicyChange,
};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, OperationId};
use fcp_proto_core::manifest::Manifest;
use fcp_proto_core::manifest::package::Package;
use fcp_proto_core::object::{AuditEventKind as Kind, Effect, RevocationScope};
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::zone::SafetyTier;
use serde_json::json;

use crate::programs::programs;
use crate::trial::{OnFull, Trial};
use crate::world::{
    Bot, Daemon, PASSPHRASE, World, begin, call, ceremony, faulty_programs, folder, grant, install,
    other_words, passphrase, signed_for_development, unlock, unlock_as,
};

/// Between two looks.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(50);

/// Everybody who takes part.
struct Cast {
    trial: Trial,
    operator: Client,
    agent: Client,
    bot: Bot,
    daemon: Daemon,
    home: PathBuf,
    phrase: Secret,
    /// Connections stay open: that one ends is told too.
    kept: Vec<Client>,
    _folder: tempfile::TempDir,
}

/// A send that must be told of, tried on a full disk first.
macro_rules! act {
    ($cast:expr, $route:ident, $path:expr, $body:expr) => {
        act!($cast, operator, $route, $path, $body)
    };
    ($cast:expr, $who:ident, $route:ident, $path:expr, $body:expr) => {{
        let (trial, who, body) = (&mut $cast.trial, &mut $cast.$who, $body);
        let ask = async || who.send::<$route>($path, &body).await.map(|reply| reply.body);
        trial.act::<$route, _>(OnFull::Refuses, ask).await
    }};
}

/// A send that only takes away.
macro_rules! take {
    ($cast:expr, $route:ident, $path:expr, $body:expr) => {{
        let (trial, who, body) = (&mut $cast.trial, &mut $cast.operator, $body);
        let ask = async || who.send::<$route>($path, &body).await.map(|reply| reply.body);
        trial.act::<$route, _>(OnFull::TakesAway, ask).await
    }};
}

/// A send that is refused, of the agent unless another is named.
macro_rules! refuse {
    ($cast:expr, $route:ident, $path:expr, $body:expr) => {
        refuse!($cast, agent, $route, $path, $body)
    };
    ($cast:expr, $who:ident, $route:ident, $path:expr, $body:expr) => {{
        let (trial, who, body) = (&mut $cast.trial, &mut $cast.$who, $body);
        trial.refuse::<$route, _>(async || who.send::<$route>($path, &body).await).await
    }};
}

/// Something that stores nothing, and is answered.
macro_rules! look {
    ($cast:expr, $route:ident, $path:expr, $query:expr) => {{
        let (trial, who, query) = (&mut $cast.trial, &mut $cast.operator, $query);
        trial.look::<$route, _>(async || who.get::<$route>($path, &query).await).await.unwrap().body
    }};
    ($cast:expr, $who:ident, send $route:ident, $path:expr, $body:expr) => {{
        let (trial, who, body) = (&mut $cast.trial, &mut $cast.$who, $body);
        trial.look::<$route, _>(async || who.send::<$route>($path, &body).await).await.unwrap().body
    }};
}

//= docs/spec/audit.md#routes
//= docs/spec/audit.md#fail-closed
#[tokio::test(flavor = "multi_thread")]
async fn every_route_leaves_in_the_audit_what_the_table_says() {
    let mut cast = Cast::new().await;
    cast.people().await;
    cast.authority().await;
    cast.connectors().await;
    cast.requests().await;
    let (call_id, receipt) = cast.calls().await;
    cast.reads(&call_id, &receipt).await;
    cast.credentials().await;
    cast.end().await;
}

/// More refusals of one agent than are written one by one are counted, and nothing of the count is lost; the operator and
/// another agent are answered while it goes on.
//= docs/spec/audit.md#what-is-told
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_denials_is_told_as_a_count_and_honest_callers_are_served_meanwhile() {
    let world = World::new().await;
    let World { daemon, mut operator, mut agent, .. } = world;
    let honest = Bot::new("honest");
    honest.enrol(&mut operator).await.unwrap();
    grant(&mut operator, &honest).await.unwrap();
    let mut other = daemon.client();
    honest.open(&mut other).await.unwrap();
    let (begun, mut has_begun) = tokio::sync::watch::channel(0_u64);
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stop = std::sync::Arc::clone(&over);
    let flood = tokio::spawn(async move {
        let theirs = call("notes.get", json!({ "note": "theirs" }), None);
        while !stop.load(std::sync::atomic::Ordering::Relaxed) || *begun.borrow() < DENIALS {
            agent.send::<InvokeOperation>(&[], &theirs).await.unwrap_err();
            begun.send_modify(|count| *count += 1);
        }
        *begun.borrow()
    });
    // Counted, not timed: so many of their answers come while denials go on.
    for round in 1..=20 {
        has_begun.wait_for(|count| *count >= round * DENIALS / 40).await.unwrap();
        let own = call("notes.get", json!({ "note": "mine" }), None);
        assert!(other.send::<SimulateCall>(&[], &own).await.unwrap().body.allowed);
        operator.get::<GetStatus>(&[], &Nothing {}).await.unwrap();
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    let denied = flood.await.unwrap();
    let one_by_one = count(&mut operator, "z:work", Kind::CallDenied, |_| 1).await;
    assert!(one_by_one < denied, "{one_by_one} of {denied} were written one by one");
    let number = |detail: &str| detail.split(' ').next().unwrap().parse().unwrap();
    for _ in 0..600 {
        if one_by_one + count(&mut operator, "z:owner", Kind::CallsRefused, number).await == denied {
            return;
        }
        tokio::time::sleep(MOMENT).await;
    }
    panic!("{denied} were denied, {one_by_one} written, and the counts do not make up for the rest");
}

/// How many denials the flood has at least.
const DENIALS: u64 = 400;

/// The sum over what a chain tells of a kind.
async fn count(client: &mut Client, zone: &str, kind: Kind, number: fn(&str) -> u64) -> u64 {
    let zone = Some(zone.parse().unwrap());
    let query =
        types::AuditQuery { zone, kind: Some(kind), limit: Some(1000), ..types::AuditQuery::default() };
    let told = client.get::<ListAuditEvents>(&[], &query).await.unwrap().body.events;
    told.iter().map(|event| number(event.detail.as_deref().unwrap_or_default())).sum()
}

//= docs/spec/audit.md#what-is-told
#[tokio::test(flavor = "multi_thread")]
async fn other_settings_are_told_before_they_are_in_force_and_not_taken_untold() {
    let mut cast = Cast::new().await;
    let settings = cast.home.join("config.toml");
    let change = |secs: u32| {
        fs::write(&settings, format!("version = 1\n[limits]\ncall_secs = {secs}\n")).unwrap();
        fs::set_permissions(&settings, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    change(77);
    fs::write(cast.home.with_extension("fault"), "full 1").unwrap();
    cast.daemon.hang_up();
    cast.daemon.says("the audit could not be told").await;
    let told = kinds(&mut cast.operator, "z:owner").await;
    assert!(!told.contains(&Kind::SettingsChanged), "{told:?}");
    cast.daemon.hang_up();
    cast.daemon.says("the settings were read again").await;
    let query = types::AuditQuery {
        kind: Some(Kind::SettingsChanged),
        last: Some(9),
        ..types::AuditQuery::default()
    };
    let told = cast.operator.get::<ListAuditEvents>(&[], &query).await.unwrap().body.events;
    let details: Vec<_> = told.iter().filter_map(|event| event.detail.as_deref()).collect();
    assert_eq!(details, ["limits.call_secs"]);
}

impl Cast {
    async fn new() -> Self {
        let (folder, home) = folder();
        let programs = faulty_programs(folder.path());
        let daemon = Daemon::start_program(&programs.join("fcp-host"), &home).await;
        let mut operator = daemon.client();
        let before = journal(&home);
        begin(&mut operator).await.unwrap();
        assert!(journal(&home) == before, "a ceremony that only began is on no record");
        let phrase = ceremony(&mut operator).await;
        let mut eye = daemon.client();
        unlock(&mut eye, PASSPHRASE).await.unwrap();
        let told = kinds(&mut eye, "z:owner").await;
        assert_eq!(told.last(), Some(&Kind::OperatorUnlocked));
        let own: Vec<_> = ConfirmCeremony::ROUTE.told.kinds().chain([Kind::NodeStarted]).collect();
        assert!(told[..told.len() - 1].iter().all(|kind| own.contains(kind)), "{told:?}");
        let mut trial = Trial::new(eye, &home);
        trial.done.extend([BeginCeremony::ROUTE.name, ConfirmCeremony::ROUTE.name]);

        unlock(&mut operator, PASSPHRASE).await.unwrap();
        install(&mut operator, &home).await.unwrap();
        let bot = Bot::new("bot");
        bot.enrol(&mut operator).await.unwrap();
        grant(&mut operator, &bot).await.unwrap();
        let mut agent = daemon.client();
        bot.open(&mut agent).await.unwrap();
        Self { trial, operator, agent, bot, daemon, home, phrase, kept: Vec::new(), _folder: folder }
    }

    async fn people(&mut self) {
        let words = types::ConfirmCeremony { ceremony_id: hex(), words: Vec::new() };
        refuse!(self, operator, ConfirmCeremony, &[], words);
        look!(self, operator, send IssueChallenge, &[], Nothing {});
        let mut other = self.daemon.client();
        let unlocking = types::UnlockOperator { operator: None, key_source: passphrase(PASSPHRASE) };
        let ask = async || other.send::<UnlockOperator>(&[], &unlocking).await.map(|reply| reply.body);
        let opened = self.trial.act::<UnlockOperator, _>(OnFull::Refuses, ask).await;
        other.set_operator(Some(opened.bearer));
        let lock = async || other.send::<LockOperator>(&[], &Nothing {}).await;
        self.trial.look::<LockOperator, _>(lock).await.unwrap();
        let wrong = types::UnlockOperator { operator: None, key_source: passphrase("wrong") };
        refuse!(self, operator, UnlockOperator, &[], wrong);

        let helper = Bot::new("helper");
        let (trial, operator, agent) = (&mut self.trial, &mut self.operator, &mut self.agent);
        trial.act::<AddAgent, _>(OnFull::Refuses, async || helper.enrol(operator).await).await;
        trial.refuse::<AddAgent, _>(async || Bot::new("other").enrol(agent).await).await;
        let mut session = self.daemon.client();
        let opened =
            trial.act::<OpenSession, _>(OnFull::Refuses, async || helper.open(&mut session).await).await;
        let forger = Bot { name: helper.name.clone(), ..Bot::new("forger") };
        trial.refuse::<OpenSession, _>(async || forger.open(&mut other).await).await;
        trial.counted().await;
        let id = opened.session_id.to_string();
        take!(self, CloseSession, &[&id], Nothing {});
        refuse!(self, operator, CloseSession, &[&id], Nothing {});
        self.kept.extend([other, session]);

        let mint = |name| types::MintTokens { operations: vec![operation(name)] };
        let minted = act!(self, agent, MintTokens, &[], mint("notes.get"));
        refuse!(self, MintTokens, &[], mint("notes.none"));
        let token = minted.tokens[0].token.clone();
        look!(self, agent, send InspectToken, &[], types::InspectToken { token: token.clone() });
        let call = call("notes.get", json!({ "note": "mine" }), None).call;
        look!(self, agent, send PrepareCall, &[], types::PrepareCall { token, call });
    }

    async fn authority(&mut self) {
        let role = types::AddRole { name: "tidy".parse().unwrap(), description: "tidies up".into() };
        refuse!(self, AddRole, &[], role.clone());
        act!(self, AddRole, &[], role);
        refuse!(self, AssignRole, &["tidy", "bot"], Nothing {});
        act!(self, AssignRole, &["tidy", "bot"], Nothing {});
        refuse!(self, WithdrawRole, &["tidy", "bot"], types::Deny::default());
        act!(self, WithdrawRole, &["tidy", "bot"], types::Deny::default());
        look!(self, GetRole, &["tidy"], Nothing {});
        refuse!(self, RemoveRole, &["tidy"], types::Deny::default());
        act!(self, RemoveRole, &["tidy"], types::Deny::default());

        let zone = types::AddZone {
            zone: "z:project:apollo".parse().unwrap(),
            description: "a project".into(),
            integrity: 60,
            confidentiality: 60,
            policy: PolicyChange::default(),
        };
        refuse!(self, AddZone, &[], zone.clone());
        act!(self, AddZone, &[], zone);
        let policy = PolicyChange { max_tier: Some(SafetyTier::Safe), ..PolicyChange::default() };
        refuse!(self, ChangePolicy, &["z:project:apollo"], policy.clone());
        let policy = PolicyChange { max_tier: Some(SafetyTier::Risky), ..policy };
        act!(self, ChangePolicy, &["z:project:apollo"], policy);
        // Calls below are made without a person's word.
        let policy = PolicyChange { approval_from: Some(SafetyTier::Dangerous), ..PolicyChange::default() };
        act!(self, ChangePolicy, &["z:work"], policy);

        let add = |phrase: &Secret| types::AddOperator {
            phrase: phrase.clone(),
            operator: "carol".parse().unwrap(),
            key_source: passphrase(PASSPHRASE),
            rights: Some(vec![fcp_proto_core::object::OperatorRight::Approve]),
            lifetime_secs: None,
            replace: true,
        };
        let (words, foreign) = (self.phrase.clone(), other_words());
        refuse!(self, operator, AddOperator, &[], add(&foreign));
        act!(self, operator, AddOperator, &[], add(&words));
        look!(self, ListOperators, &[], Nothing {});
        look!(self, GetOperator, &["carol"], Nothing {});
        let restore = |phrase: &Secret| types::RestoreOwner {
            phrase: phrase.clone(),
            key_source: passphrase(PASSPHRASE),
        };
        refuse!(self, operator, RestoreOwner, &[], restore(&foreign));
        act!(self, operator, RestoreOwner, &[], restore(&words));

        let renew = |text, secs| types::RenewNode { owner_key_source: passphrase(text), lifetime_secs: secs };
        refuse!(self, operator, RenewNode, &[], renew("wrong", None));
        act!(self, RenewNode, &[], renew(PASSPHRASE, Some(365 * 86_400 + 3_600)));
        let open = types::OpenContext { agent: self.bot.name.clone(), reason: None };
        refuse!(self, OpenContext, &[], open.clone());
        act!(self, OpenContext, &[], open);

        let rule = ExceptionRule::Sandbox { property: "memory_bounded".into() };
        let lower = types::AddException {
            connector: id("notes"),
            rule,
            reason: "a test".into(),
            lifetime_secs: None,
        };
        refuse!(self, AddException, &[], lower.clone());
        let lowered = act!(self, AddException, &[], lower).exception_id.to_string();
        refuse!(self, RemoveException, &[&lowered], Nothing {});
        act!(self, RemoveException, &[&lowered], Nothing {});

        self.keys_of_the_words().await;

        let grant = grant_of(&self.bot, "notes", &["notes.get"]);
        refuse!(self, AddGrant, &[], grant.clone());
        let target = act!(self, AddGrant, &[], grant).grant_id.to_string();
        let scope = RevocationScope::Capability;
        let revoke =
            types::Revoke { scope, target, reason: "a test".into(), unknown: false, confirmed: false };
        refuse!(self, Revoke, &[], revoke.clone());
        take!(self, Revoke, &[], revoke);
    }

    /// What was revoked, and only the owner's words bring back.
    async fn keys_of_the_words(&mut self) {
        let (words, foreign) = (self.phrase.clone(), other_words());
        let replace = |phrase: &Secret| types::ReplaceNode { phrase: phrase.clone(), lifetime_secs: None };
        refuse!(self, operator, ReplaceNode, &[], replace(&foreign));
        let node = look!(self, GetStatus, &[], Nothing {}).authority.unwrap().node.to_string();
        let scope = RevocationScope::NodeAttestation;
        let revoke =
            types::Revoke { scope, target: node, reason: "a test".into(), unknown: false, confirmed: true };
        self.operator.send::<Revoke>(&[], &revoke).await.unwrap();
        act!(self, operator, ReplaceNode, &[], replace(&words));

        let rekey = |phrase: &Secret| types::RekeyZone { phrase: phrase.clone() };
        refuse!(self, operator, RekeyZone, &["z:work"], rekey(&foreign));
        let (scope, target) = (RevocationScope::ZoneKey, "z:work".to_owned());
        let revoke =
            types::Revoke { scope, target, reason: "a test".into(), unknown: false, confirmed: true };
        self.operator.send::<Revoke>(&[], &revoke).await.unwrap();
        act!(self, operator, RekeyZone, &["z:work"], rekey(&words));
    }

    async fn connectors(&mut self) {
        let place = self.home.with_extension("data");
        fs::create_dir(&place).unwrap();
        let request = unruly(&self.home, &place);
        refuse!(self, InstallConnector, &[], request.clone());
        act!(self, InstallConnector, &[], request);
        let state = types::SetState { reason: None };
        refuse!(self, DisableConnector, &["unruly"], state.clone());
        act!(self, DisableConnector, &["unruly"], state.clone());
        refuse!(self, EnableConnector, &["unruly"], state.clone());
        act!(self, EnableConnector, &["unruly"], state);
        act!(self, AddGrant, &[], grant_of(&self.bot, "unruly", &["unruly.act"]));
    }

    async fn requests(&mut self) {
        let file = |note: &str, operation: &str| types::FileRequest {
            call: call(operation, json!({ "note": "mine", "text": note }), Some(note)).call,
            note: None,
            holder_proof: None,
        };
        refuse!(self, FileRequest, &[], file("a", "notes.none"));
        let filed = act!(self, agent, FileRequest, &[], file("a", "notes.put"));
        let name = filed.request_id.to_string();
        let approve = types::Approve {
            call_digest: filed.call_digest,
            kinds: None,
            lifetime_secs: None,
            grant: None,
            note: None,
        };
        let standing = types::StandingGrant { constraints: None, lifetime_secs: 60, config_digest: None };
        look!(self, operator, send PreviewGrant, &[&name], standing);
        refuse!(self, ApproveRequest, &[&name], approve.clone());
        act!(self, ApproveRequest, &[&name], approve);
        let name = act!(self, agent, FileRequest, &[], file("b", "notes.put")).request_id.to_string();
        refuse!(self, DenyRequest, &[&name], types::Deny::default());
        act!(self, DenyRequest, &[&name], types::Deny::default());
        look!(self, GetApproval, &[&name], Nothing {});

        let wish = |connector: &str, secs| types::FileGrantRequest {
            connector: id(connector),
            operations: vec![operation("notes.get")],
            constraints: only("notes:note/yours"),
            lifetime_secs: secs,
            note: None,
        };
        refuse!(self, FileGrantRequest, &[], wish("absent", 60));
        let name = act!(self, agent, FileGrantRequest, &[], wish("notes", 60)).request_id.to_string();
        refuse!(self, ApproveGrantRequest, &[&name], types::ApproveGrant::default());
        act!(self, ApproveGrantRequest, &[&name], types::ApproveGrant::default());
        let name = act!(self, agent, FileGrantRequest, &[], wish("notes", 61)).request_id.to_string();
        refuse!(self, DenyGrantRequest, &[&name], types::Deny::default());
        act!(self, DenyGrantRequest, &[&name], types::Deny::default());
        look!(self, GetGrantRequest, &[&name], Nothing {});
    }

    /// Calls whose outcome is unknown: one that an operator settles, and one that a read settles.
    async fn unknown(&mut self) -> String {
        let lost = self.lose(None).await;
        let settle = types::Settle { happened: false, note: "it is not there".into() };
        refuse!(self, operator, SettleCall, &["00"], settle.clone());
        act!(self, SettleCall, &[&lost], settle);

        let lost = self.lose(Some(&lost)).await;
        let state = types::SetState { reason: None };
        act!(self, DisableConnector, &["unruly"], state.clone());
        let (trial, operator) = (&mut self.trial, &mut self.operator);
        let refused = trial.refuse::<ProbeCall, _>(async || probe(operator, &lost).await).await;
        assert_eq!(refused.code, Code::ConnectorDisabled, "{refused:?}");
        act!(self, EnableConnector, &["unruly"], state);
        let (trial, operator) = (&mut self.trial, &mut self.operator);
        let ask = async || probe(operator, &lost).await;
        let settled = trial.act::<ProbeCall, _>(OnFull::Refuses, ask).await;
        assert_eq!(settled.effect, Effect::Made);
        self.dispatched(Some(&lost)).await.to_string()
    }

    /// Makes a call that is never answered.
    async fn lose(&mut self, before: Option<&str>) -> String {
        let mut silent = doing("ignore", true);
        silent.options.deadline_ms = Some(500);
        let unknown = self.agent.send::<InvokeOperation>(&[], &silent).await.unwrap_err();
        assert_eq!(unknown.code, Code::OutcomeUnknown, "{unknown:?}");
        self.afresh().await;
        self.dispatched(before).await.to_string()
    }

    /// A call whose outcome is unknown, one that is cancelled, one that is refused, and one whose result is kept.
    async fn calls(&mut self) -> (String, String) {
        let last = self.unknown().await;
        let mut other = self.daemon.client();
        self.bot.open(&mut other).await.unwrap();
        let hanging = tokio::spawn(async move {
            let ended = other.send::<InvokeOperation>(&[], &doing("hang", false)).await;
            (other, ended)
        });
        let open = self.dispatched(Some(&last)).await.to_string();
        refuse!(self, operator, CancelCall, &["00000000000000000000000000000000"], Nothing {});
        take!(self, CancelCall, &[&open], Nothing {});
        let (other, ended) = hanging.await.unwrap();
        assert!(ended.is_err(), "{ended:?}");
        self.kept.push(other);
        self.afresh().await;

        refuse!(self, InvokeOperation, &[], call("notes.get", json!({ "note": "theirs" }), None));
        let made = act!(self, agent, InvokeOperation, &[], doing("answer", true));
        let handle = made.handle.unwrap().to_string();
        refuse!(self, agent, GetResult, &[&"00".repeat(32)], Nothing {});
        act!(self, agent, GetResult, &[&handle], Nothing {});
        (made.call_id.to_string(), made.receipt_id.to_string())
    }

    /// What was heard of a call that ended badly keeps its agent from the next.
    async fn afresh(&mut self) {
        let open = types::OpenContext { agent: self.bot.name.clone(), reason: None };
        self.operator.send::<OpenContext>(&[], &open).await.unwrap();
    }

    /// The newest call that went to a connector, once it is another than `before`.
    async fn dispatched(&mut self, before: Option<&str>) -> CallId {
        let query = types::AuditQuery {
            zone: Some("z:work".parse().unwrap()),
            kind: Some(Kind::CallDispatched),
            last: Some(1),
            ..types::AuditQuery::default()
        };
        for _ in 0..600 {
            let told = self.operator.get::<ListAuditEvents>(&[], &query).await.unwrap().body.events;
            if let Some(call) = told.first().and_then(|event| event.call_id)
                && before != Some(call.to_string().as_str())
            {
                return call;
            }
            tokio::time::sleep(MOMENT).await;
        }
        panic!("no other call went to a connector than {before:?}");
    }

    async fn reads(&mut self, call_id: &str, receipt: &str) {
        look!(self, GetHealth, &[], Nothing {});
        look!(self, GetStatus, &[], Nothing {});
        look!(self, GetCeremony, &[], Nothing {});
        look!(self, ListConnectors, &[], types::ConnectorQuery::default());
        look!(self, GetConnector, &["notes"], Nothing {});
        look!(self, ListOperations, &["notes"], Nothing {});
        look!(self, GetOperation, &["notes", "notes.get"], Nothing {});
        look!(self, ListCalls, &[], types::HistoryQuery::default());
        look!(self, GetCall, &[call_id], Nothing {});
        look!(self, ListReceipts, &[], types::ReceiptQuery::default());
        look!(self, GetReceipt, &[receipt], Nothing {});
        look!(self, ListApprovals, &[], ApprovalQuery::default());
        look!(self, WatchApprovals, &[], types::ApprovalWatchQuery::default());
        look!(self, ListAgents, &[], Nothing {});
        look!(self, GetAgent, &["bot"], Nothing {});
        look!(self, ListGrants, &[], types::GrantQuery::default());
        let grants = self.operator.get::<ListGrants>(&[], &types::GrantQuery::default()).await.unwrap().body;
        look!(self, GetGrant, &[&grants.grants[0].grant_id.to_string()], Nothing {});
        look!(self, ListRoles, &[], Nothing {});
        look!(self, ListRevocations, &[], types::Page::default());
        look!(self, GetContext, &[], types::ContextQuery { agent: Some(self.bot.name.clone()) });
        look!(self, ListZones, &[], Nothing {});
        look!(self, GetZone, &["z:work"], Nothing {});
        look!(self, ListCredentials, &[], Nothing {});
        look!(self, ListAuditEvents, &[], types::AuditQuery::default());
        look!(self, GetAuditHead, &[], types::AuditHeadQuery::default());
        look!(self, Explain, &[receipt], Nothing {});
        look!(self, ListExceptions, &[], Nothing {});
        let report = look!(self, agent, send VerifyAudit, &[], types::VerifyAudit::default());
        assert!(report.valid, "{report:?}");
        look!(self, agent, send SimulateCall, &[], doing("answer", false));
        let preflight = types::Preflight {
            connector: id("unruly"),
            operation: operation("unruly.act"),
            zone: None,
            holder_proof: None,
        };
        look!(self, agent, send PreflightOperation, &[], preflight);
        // What an agent reads joins no context but by a result, and is on no record.
        let (trial, agent) = (&mut self.trial, &mut self.agent);
        let own = async || agent.get::<GetReceipt>(&[receipt], &Nothing {}).await;
        trial.look::<GetReceipt, _>(own).await.unwrap();
    }

    async fn credentials(&mut self) {
        let put = types::PutCredential {
            connector: id("unruly"),
            slot: "token".into(),
            zone: "z:work".parse().unwrap(),
            material: CredentialMaterial::Bearer { token: Secret::new("a secret of a test") },
        };
        refuse!(self, PutCredential, &["main"], put.clone());
        // No call could be opened with it.
        let short = CredentialMaterial::Bearer { token: Secret::new("1234567") };
        refuse!(
            self,
            operator,
            PutCredential,
            &["main"],
            types::PutCredential { material: short, ..put.clone() }
        );
        act!(self, PutCredential, &["main"], put);
        refuse!(self, TestCredential, &["main"], Nothing {});
        // The connector asks nobody, so nothing is learnt of the credential: on record is the call all the same.
        let (trial, operator) = (&mut self.trial, &mut self.operator);
        let test = async || match test_credential(operator).await.unwrap_err() {
            refused if refused.code == Code::ConnectorFailed => Ok(()),
            refused => Err(refused),
        };
        trial.act::<TestCredential, _>(OnFull::Refuses, test).await;
        let state = types::SetState { reason: None };
        act!(self, DisableConnector, &["unruly"], state.clone());
        let (trial, operator) = (&mut self.trial, &mut self.operator);
        let refused = trial.refuse::<TestCredential, _>(async || test_credential(operator).await).await;
        assert_eq!(refused.code, Code::ConnectorDisabled);
        refuse!(self, RemoveCredential, &["main"], Nothing {});
        act!(self, RemoveCredential, &["main"], Nothing {});
        refuse!(self, RemoveConnector, &["notes"], state.clone());
        act!(self, RemoveConnector, &["notes"], state);
    }

    async fn end(mut self) {
        refuse!(self, Shutdown, &[], Nothing {});
        self.operator.send::<Shutdown>(&[], &Nothing {}).await.unwrap();
        let Self { mut trial, daemon, home, .. } = self;
        let (status, log) = daemon.wait();
        assert!(status.success(), "{log}");
        let daemon = Daemon::start(&home).await;
        let mut operator = daemon.client();
        unlock_as(&mut operator, Some("alice"), PASSPHRASE).await.unwrap();
        let told = kinds(&mut operator, "z:owner").await;
        assert!(told.ends_with(&[Kind::NodeStopped, Kind::NodeStarted, Kind::OperatorUnlocked]), "{told:?}");
        assert!(Shutdown::ROUTE.told.kinds().eq([Kind::NodeStopped]));
        trial.done.insert(Shutdown::ROUTE.name);
        trial.is_whole();
    }
}

async fn test_credential(operator: &mut Client) -> Result<types::CredentialTest, ErrorBody> {
    operator.send::<TestCredential>(&["main"], &Nothing {}).await.map(|reply| reply.body)
}

async fn probe(operator: &mut Client, call: &str) -> Result<types::Settled, ErrorBody> {
    operator.send::<ProbeCall>(&[call], &Nothing {}).await.map(|reply| reply.body)
}

/// What a chain tells, in order.
async fn kinds(client: &mut Client, zone: &str) -> Vec<Kind> {
    let query = types::AuditQuery {
        zone: Some(zone.parse().unwrap()),
        limit: Some(1000),
        ..types::AuditQuery::default()
    };
    let told = client.get::<ListAuditEvents>(&[], &query).await.unwrap().body.events;
    told.into_iter().map(|event| event.kind).collect()
}

/// Every byte of the journal's files up to the space set aside.
fn journal(home: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> =
        fs::read_dir(home.join("journal")).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn id(connector: &str) -> ConnectorId {
    ConnectorId::new(connector).unwrap()
}

fn operation(name: &str) -> OperationId {
    OperationId::new(name).unwrap()
}

fn only(resource: &str) -> Constraints {
    Constraints { resource_allow: vec![resource.parse().unwrap()], ..Constraints::default() }
}

fn hex<const N: usize>() -> fcp_api::hex::Hex<N> {
    fcp_api::hex::Hex([0; N])
}

fn grant_of(bot: &Bot, connector: &str, operations: &[&str]) -> types::AddGrant {
    types::AddGrant {
        agent: Some(bot.name.clone()),
        role: None,
        zone: bot.zone.clone(),
        connector: id(connector),
        operations: operations.iter().map(|name| operation(name)).collect(),
        constraints: only("*"),
        not_before: None,
        lifetime_secs: 3601,
    }
}

/// A call of the unruly connector.
fn doing(what: &str, keep: bool) -> types::Invoke {
    let mut act = call("unruly.act", json!({ "do": what }), None);
    act.call.connector = id("unruly");
    act.options.keep_result = keep;
    act
}

/// The unruly connector, which may write to `place`, with a slot for a credential and a check of it.
fn unruly(home: &Path, place: &Path) -> types::Install {
    let manifest =
        include_str!("../connectors/unruly.toml").replace("#writable", "writable = [\"{config.folder}\"]");
    // What it answers must not keep its agent from the next call.
    let manifest = manifest.replace("untrusted", "zone");
    let (head, act) = manifest.split_once("[operations.").unwrap();
    let look = act.replace("unruly.act", "unruly.look").replace("medium", "low").replace("risky", "safe");
    let ask = act.replace("unruly.act", "unruly.ask").replace("medium", "low").replace("risky", "safe");
    let ask = ask.replace("resources", "auth = \"token\"\nresources");
    let act = act.replace("resources", "probe = \"unruly.look\"\nresources");
    let manifest = format!(
        "{head}[auth.token]\nkind = \"bearer\"\ndescription = \"A token.\"\nhosts = [\"api.example.com\"]\n\n\
         [lifecycle]\nhealth = \"unruly.ask\"\nhealth_interval_s = 0\n\n[operations.{act}\n[operations.{ask}\n[operations.{look}\n\
         [operations.\"unruly.act\".settling]\ninput = {{ do = \"answer\" }}\nmade = [{{ at = \"/do\", has = \"answer\" }}]\n\
         [operations.\"unruly.ask\".network]\nhosts = [\"api.example.com\"]\nmethods = [\"GET\"]\npaths = [\"/\"]\n"
    );
    let interface = Manifest::parse(manifest.as_bytes()).unwrap().interface_hash().to_string();
    let code = fs::read(programs().join("examples/unruly-connector")).unwrap();
    let package = Package::build(manifest.as_bytes(), b"", Some(("x86_64-linux", code))).unwrap();
    let (bytes, path) = (signed_for_development(home, package), home.with_extension("unruly"));
    fs::write(&path, &bytes).unwrap();
    types::Install {
        package: types::PackageSource::Path { path: path.to_str().unwrap().into() },
        package_digest: hash::digest(&bytes),
        zones: Some(vec!["z:work".parse().unwrap()]),
        config: json!({ "interface": interface, "start": "", "folder": place }),
        dev: true,
    }
}
