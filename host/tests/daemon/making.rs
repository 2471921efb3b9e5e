//! From an empty folder to a home that serves.

use fcp_api::routes::{ConfirmCeremony, GetCeremony, GetHealth, GetStatus, IssueChallenge, ListZones};
use fcp_api::secret::Secret;
use fcp_api::types;
use fcp_api::types::{CeremonyPhase, HealthStatus, Nothing};
use fcp_proto_core::error::Code;

use crate::world::{Daemon, PASSPHRASE, begin, ceremony, folder, unlock, words};

#[tokio::test]
async fn a_new_home_demands_a_ceremony_and_serves_after_it() {
    let (_folder, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut client = daemon.client();
    let health = client.get::<GetHealth>(&[], &Nothing {}).await.unwrap().body;
    assert_eq!(health.status, HealthStatus::CeremonyRequired);
    let refused = client.send::<IssueChallenge>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(refused.code, Code::CeremonyRequired);

    let begun = begin(&mut client).await.unwrap();
    let mut wrong = words(&begun);
    wrong[0].word = Secret::new("wrong");
    let confirm = |words| types::ConfirmCeremony { ceremony_id: begun.ceremony_id, words };
    let refused = client.send::<ConfirmCeremony>(&[], &confirm(wrong)).await.unwrap_err();
    assert_eq!(refused.code, Code::InputInvalid);
    let view = client.get::<GetCeremony>(&[], &Nothing {}).await.unwrap().body;
    assert_eq!(view.phase, CeremonyPhase::Begun, "a slip does not end it");

    let done = client.send::<ConfirmCeremony>(&[], &confirm(words(&begun))).await.unwrap().body;
    assert_eq!(done.operator.as_str(), "alice");
    let status = client.get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    assert_eq!(status.ceremony, CeremonyPhase::Done);
    assert_eq!(status.authority.unwrap().owner_key, done.owner_key);
    assert_eq!(client.get::<ListZones>(&[], &Nothing {}).await.unwrap().body.zones.len(), 5);
    assert_eq!(begin(&mut client).await.unwrap_err().code, Code::CeremonyDone);
    let (ended, log) = daemon.stop();
    assert!(ended.success(), "{log}");
    assert!(!log.contains(PASSPHRASE) && !log.contains(begun.phrase.expose()), "secrets are not logged");
}

#[tokio::test]
async fn an_operator_is_unlocked_by_the_right_passphrase_on_one_connection() {
    let (_folder, home) = folder();
    let daemon = Daemon::start(&home).await;
    let mut client = daemon.client();
    ceremony(&mut client).await;
    assert_eq!(unlock(&mut client, "another passphrase").await.unwrap_err().code, Code::UnlockFailed);
    unlock(&mut client, PASSPHRASE).await.unwrap();
    client.get::<fcp_api::routes::ListCredentials>(&[], &Nothing {}).await.unwrap();

    let mut other = daemon.client();
    other.set_operator(Some(Secret::new("00".repeat(32))));
    let refused = other.get::<fcp_api::routes::ListCredentials>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(refused.code, Code::Unauthenticated);

    client.send::<fcp_api::routes::LockOperator>(&[], &Nothing {}).await.unwrap();
    let refused = client.get::<fcp_api::routes::ListCredentials>(&[], &Nothing {}).await.unwrap_err();
    assert_eq!(refused.code, Code::Unauthenticated);
}
