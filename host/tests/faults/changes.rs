//! Changes of a home by its operator, with a disk that fails at each of their steps: what was acknowledged stands, what
//! was not can be made again, and the home serves.

use fcp_api::client::Client;
use fcp_api::routes::{
    ApproveRequest, FileRequest, GetConnector, ListApprovals, ListCredentials, ListGrants, Revoke,
};
use fcp_api::types::{self, ApprovalQuery, ApprovalStatus, ErrorBody, GrantQuery, Nothing};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::Digest;
use fcp_proto_core::object::RevocationScope;

use crate::accounts::{Told, ask, entry};
use crate::place::{LEDGER, Place};
use crate::service::SECRET;

//= docs/spec/calls.md#batches
/// What goes wrong at a step.
const FAULTS: [&str; 5] = ["kill-before", "kill-amid", "kill-after", "fail", "full"];

/// Far more steps than any change has.
const MOST_STEPS: u32 = 40;

#[derive(Clone, Copy, Debug)]
enum Change {
    Grant,
    Revoke,
    Approve,
    Credential,
    Install,
}

/// A change that is about to be made.
struct Planned {
    change: Change,
    /// A grant or a request, where the change is about one.
    target: String,
    /// What the operator approves.
    call_digest: Option<Digest>,
    /// How many there were, where the change makes one.
    before: u64,
}

impl Planned {
    async fn new(place: &mut Place, agent: &mut Client, change: Change, name: &str) -> Self {
        let mut call_digest = None;
        let target = match change {
            Change::Revoke => {
                let bot = place.bot.name.clone();
                place.grant(LEDGER, &bot).await.unwrap().grant_id.to_string()
            }
            Change::Approve => {
                let call = entry(LEDGER, "pay", name).call;
                let request = types::FileRequest { call, note: None, holder_proof: None };
                let filed = agent.send::<FileRequest>(&[], &request).await.unwrap().body;
                call_digest = Some(filed.call_digest);
                filed.request_id.to_string()
            }
            Change::Grant | Change::Credential | Change::Install => String::new(),
        };
        let before = count(place, change).await;
        Self { change, target, call_digest, before }
    }

    async fn make(&self, place: &mut Place) -> Result<(), ErrorBody> {
        match self.change {
            Change::Grant => {
                let bot = place.bot.name.clone();
                place.grant(LEDGER, &bot).await.map(|_| ())
            }
            Change::Revoke => {
                let revoke = types::Revoke {
                    scope: RevocationScope::Capability,
                    target: self.target.clone(),
                    reason: "a test".into(),
                    unknown: false,
                    confirmed: false,
                };
                place.operator.send::<Revoke>(&[], &revoke).await.map(|_| ())
            }
            Change::Approve => {
                let call_digest = self.call_digest.unwrap();
                let approve =
                    types::Approve { call_digest, kinds: None, lifetime_secs: None, grant: None, note: None };
                place.operator.send::<ApproveRequest>(&[&self.target], &approve).await.map(|_| ())
            }
            Change::Credential => place.put_credential(LEDGER, SECRET).await,
            Change::Install => place.install(LEDGER).await.map(|_| ()),
        }
    }

    async fn request(&self, place: &mut Place) -> types::ApprovalView {
        let query = ApprovalQuery::default();
        let listed = place.operator.get::<ListApprovals>(&[], &query).await.unwrap().body;
        listed.approvals.into_iter().find(|it| it.request_id.to_string() == self.target).unwrap()
    }

    /// Whether it is in force.
    async fn is_made(&self, place: &mut Place) -> bool {
        match self.change {
            Change::Revoke => {
                !grants(place).await.iter().any(|it| it.live && it.grant_id.to_string() == self.target)
            }
            Change::Approve => self.request(place).await.status == ApprovalStatus::Approved,
            change @ (Change::Grant | Change::Credential | Change::Install) => {
                count(place, change).await > self.before
            }
        }
    }
}

async fn grants(place: &mut Place) -> Vec<types::GrantView> {
    place.operator.get::<ListGrants>(&[], &GrantQuery::default()).await.unwrap().body.grants
}

/// Something that grows with a change that makes something.
async fn count(place: &mut Place, change: Change) -> u64 {
    match change {
        Change::Grant => u64::try_from(grants(place).await.len()).unwrap(),
        Change::Credential => {
            let stored = place.operator.get::<ListCredentials>(&[], &Nothing {}).await.unwrap().body;
            stored.credentials.iter().map(|it| it.version).sum()
        }
        Change::Install => {
            let installed = place.operator.get::<GetConnector>(&[LEDGER], &Nothing {}).await.unwrap().body;
            installed.connector.version.to_string().rsplit_once('.').unwrap().1.parse().unwrap()
        }
        Change::Revoke | Change::Approve => 0,
    }
}

async fn sweep(change: Change) {
    let mut place = Place::new(None).await;
    place.on_a_faulty_disk();
    place.restart().await;
    // One session for each daemon: that one ends is told to the disk too.
    let mut agent = place.session().await;
    for step in 1..MOST_STEPS {
        for fault in FAULTS {
            let name = format!("{change:?}-{step}-{fault}");
            let planned = Planned::new(&mut place, &mut agent, change, &name).await;
            place.arm(fault, step);
            let told = planned.make(&mut place).await;
            if !place.fired() {
                told.unwrap();
                assert!(step > 2, "{name}: a change is written and flushed");
                place.verify_audit().await;
                return;
            }
            agent = after_a_fault(&mut place, &planned, &name, fault, told).await;
        }
    }
    panic!("{change:?} has no end");
}

async fn after_a_fault(
    place: &mut Place,
    planned: &Planned,
    name: &str,
    fault: &str,
    told: Result<(), ErrorBody>,
) -> Client {
    let code = told.as_ref().err().map(|error| error.code);
    if fault == "full" {
        assert!(matches!(code, Some(Code::StoreFull | Code::StoreFailed)), "{name}: {told:?}");
    }
    if code == Some(Code::StoreFull) {
        //= docs/spec/revocation.md#effect
        // What takes something away is in force before it is durable; until the next start, if it never is.
        let at_once = matches!(planned.change, Change::Revoke);
        assert_eq!(planned.is_made(place).await, at_once, "{name}: {told:?}");
    }
    place.kill_daemon_if_it_lives().await;
    place.restart().await;
    if told.is_ok() {
        assert!(planned.is_made(place).await, "{name}: it was acknowledged and is lost");
    }
    if !planned.is_made(place).await {
        planned.make(place).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(planned.is_made(place).await, "{name}: it was made again and is not there");
    }
    let mut agent = place.session().await;
    let served = ask(&mut agent, name).await;
    assert!(matches!(served, Told::Made { .. }), "{name}: the home does not serve: {served:?}");
    place.verify_audit().await;
    agent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant() {
    sweep(Change::Grant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation() {
    sweep(Change::Revoke).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval() {
    sweep(Change::Approve).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_replaced() {
    sweep(Change::Credential).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation() {
    sweep(Change::Install).await;
}
