//! Calls of unknown outcome that the service itself settles, by the read that their operation declares.

use std::time::Duration;

use fcp_api::client::Client;
use fcp_api::routes::{Explain, ProbeCall};
use fcp_api::types::{ErrorBody, Nothing, Settled};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::Effect;

use crate::accounts::{Told, ask, unsettled};
use crate::place::Place;

/// The daemon is killed at this step of the disk in the call `name`, and started again.
async fn interrupted(place: &mut Place, fault: &str, step: u32, name: &str) -> Client {
    let mut agent = place.session().await;
    place.arm(fault, step);
    let told = ask(&mut agent, name).await;
    assert!(place.fired() && !matches!(told, Told::Made { .. }), "{name}: {told:?}");
    place.kill_daemon_if_it_lives().await;
    place.restart().await;
    assert_eq!(unsettled(place).await.len(), 1, "{name}");
    place.session().await
}

/// Has the operator ask the service about the one call that waits.
async fn probe(place: &mut Place) -> Result<Settled, ErrorBody> {
    let call = unsettled(place).await[0].call_id.to_string();
    place.operator.send::<ProbeCall>(&[&call], &Nothing {}).await.map(|reply| reply.body)
}

/// Asks until the answer is clear: that nothing is there proves something only after a while.
async fn settled(place: &mut Place) -> Settled {
    for _ in 0..600 {
        match probe(place).await {
            Ok(settled) => return settled,
            Err(error) => assert_eq!(error.code, Code::OutcomeUnknown, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the read settles nothing");
}

//= docs/spec/calls.md#probing
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_learns_from_the_service_what_its_call_did() {
    let mut place = Place::new(None).await;
    place.on_a_faulty_disk();
    place.restart().await;

    // Its intent was stored, and it never left.
    let mut agent = interrupted(&mut place, "kill-after", 1, "not-done").await;
    assert_eq!(settled(&mut place).await.effect, Effect::None);
    assert_eq!(place.service.effects("not-done"), 0);
    assert!(matches!(ask(&mut agent, "not-done").await, Told::Made { replayed: false, .. }));
    assert_eq!(place.service.effects("not-done"), 1);

    // It was made, and its receipt is missing.
    let mut agent = interrupted(&mut place, "kill-before", 3, "done").await;
    let made = settled(&mut place).await;
    assert_eq!(made.effect, Effect::Made);
    assert!(made.probe_receipt_id.is_some());
    assert!(matches!(ask(&mut agent, "done").await, Told::Made { replayed: true, .. }));
    assert_eq!(place.service.effects("done"), 1);
    assert!(unsettled(&mut place).await.is_empty());
    place.verify_audit().await;
}

//= docs/spec/calls.md#probing
#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_says_vaguely_stays_unknown() {
    let mut place = Place::new(None).await;
    place.on_a_faulty_disk();
    place.restart().await;
    interrupted(&mut place, "kill-before", 3, "odd").await;
    place.service.be_vague(true);
    // However often it is asked within one second.
    for _ in 0..2 {
        assert_eq!(probe(&mut place).await.unwrap_err().code, Code::OutcomeUnknown);
    }
    let refused = probe(&mut place).await.unwrap_err();
    assert_eq!(refused.code, Code::OutcomeUnknown, "{refused:?}");
    let why = refused.why.unwrap();
    assert!(why.contains("says neither") && refused.next.contains("--happened"), "{why}");
    let waiting = unsettled(&mut place).await;
    assert_eq!(waiting.len(), 1);
    let call = waiting[0].call_id.to_string();
    let told = place.operator.get::<Explain>(&[&call], &Nothing {}).await.unwrap().body;
    assert!(told.next.is_some_and(|next| next.ends_with("--probe")));
    place.service.be_vague(false);
    assert_eq!(settled(&mut place).await.effect, Effect::Made);
    place.verify_audit().await;
}
