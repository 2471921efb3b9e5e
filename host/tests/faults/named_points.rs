//! A call that is interrupted at each point of its life, and what is known of it afterwards.

use fcp_api::client::Client;
use fcp_api::routes::Explain;
use fcp_api::types::Nothing;

use crate::accounts::{Caller, Told, account_for, ask, unsettled};
use crate::place::Place;
use crate::processes::{self, Victim};
use crate::service::{Hold, Stage};

/// What must be known of a call after a fault: how often it was made, and what its key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing was stored: it was not made, and is made when it is asked for again.
    NotBegun,
    /// Its intent was stored, and it never left.
    UnknownNotMade,
    /// Its intent was stored, it was made, and its receipt is missing.
    UnknownMade,
    /// Its receipt was stored.
    Made,
}

/// The steps of the disk in a call: its intent is written and flushed, then its receipt. What each fault leaves.
//= docs/spec/calls.md#order
const STEPS: [[(&str, Known); 4]; 4] = [
    [
        ("kill-before", Known::NotBegun),
        ("kill-amid", Known::NotBegun),
        ("kill-after", Known::UnknownNotMade),
        ("fail", Known::NotBegun),
    ],
    [
        ("kill-before", Known::UnknownNotMade),
        ("kill-amid", Known::UnknownNotMade),
        ("kill-after", Known::UnknownNotMade),
        ("fail", Known::UnknownNotMade),
    ],
    [
        ("kill-before", Known::UnknownMade),
        ("kill-amid", Known::UnknownMade),
        ("kill-after", Known::Made),
        ("fail", Known::UnknownMade),
    ],
    [
        ("kill-before", Known::Made),
        ("kill-amid", Known::Made),
        ("kill-after", Known::Made),
        ("fail", Known::Made),
    ],
];

//= docs/spec/idempotency.md#replay
#[tokio::test(flavor = "multi_thread")]
async fn after_a_fault_at_each_step_of_the_disk_a_call_is_known_for_what_it_is() {
    let mut place = Place::new(None).await;
    place.on_a_faulty_disk();
    place.restart().await;
    // One session for each daemon: that one ends is told to the disk too.
    let mut agent = place.session().await;
    for (step, faults) in STEPS.iter().enumerate() {
        for (fault, known) in faults {
            let name = format!("step-{step}-{fault}");
            place.arm(fault, u32::try_from(step).unwrap() + 1);
            let told = ask(&mut agent, &name).await;
            assert!(place.fired(), "{name}: a call has fewer steps");
            assert!(!matches!(told, Told::Made { .. }), "{name}: {told:?} although it was not durable");
            place.kill_daemon_if_it_lives().await;
            place.restart().await;
            agent = place.session().await;
            is_known(&mut place, &mut agent, &name, *known).await;
        }
    }
    place.arm("fail", u32::try_from(STEPS.len()).unwrap() + 1);
    assert!(matches!(ask(&mut agent, "whole").await, Told::Made { .. }));
    assert!(!place.fired(), "a call has more steps than are tried here");
    place.verify_audit().await;
}

/// Holds what is known against the service and settles it.
async fn is_known(place: &mut Place, agent: &mut Client, name: &str, known: Known) {
    let (effects, waiting) = match known {
        Known::NotBegun => (0, 0),
        Known::UnknownNotMade => (0, 1),
        Known::UnknownMade => (1, 1),
        Known::Made => (1, 0),
    };
    assert_eq!(place.service.effects(name), effects, "{name}");
    assert_eq!(unsettled(place).await.len(), waiting, "{name}");
    account_for(place, &mut Caller::Bot(agent), name, Told::Nothing).await;
    assert!(unsettled(place).await.is_empty());
    place.verify_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_while_the_service_works_no_call_is_doubled_or_lost() {
    let mut place = Place::new(None).await;
    place.add_typist().await;
    for stage in [Stage::BeforeEffect, Stage::AfterEffect] {
        for victim in [Victim::Daemon, Victim::Egress, Victim::Connector, Victim::CommandLine] {
            let name = format!("{stage:?}-{victim:?}");
            strike_amid(&mut place, &name, stage, victim, processes::kill).await;
            place.verify_audit().await;
        }
    }
    let family = place.family().await;
    place.daemon.take().unwrap().stop();
    processes::gone(&family).await;
}

/// Stopped, it is neither dead nor does it answer.
//= docs/spec/egress.md#control
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_egress_process_is_replaced_and_its_call_is_known_for_what_it_is() {
    let mut place = Place::new(None).await;
    strike_amid(&mut place, "stopped", Stage::AfterEffect, Victim::Egress, processes::freeze).await;
    place.verify_audit().await;
    let family = place.family().await;
    place.daemon.take().unwrap().stop();
    processes::gone(&family).await;
}

/// Strikes while the service holds the one call there is.
async fn strike_amid(place: &mut Place, name: &str, stage: Stage, victim: Victim, strike: fn(u32)) {
    let heard = place.service.heard();
    place.service.hold(Hold { from: heard + 1, stage });
    if victim == Victim::CommandLine {
        let words = crate::accounts::typed(name);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let mut typing = place.fwc(&words).spawn().unwrap();
        place.service.until_heard(heard + 1).await;
        typing.kill().unwrap();
        typing.wait().unwrap();
        place.service.release().await;
        // The daemon hears that the caller has gone, or not; either way it keeps the books.
        return account_for(place, &mut Caller::Typist, name, Told::Nothing).await;
    }
    let mut agent = place.session().await;
    let (asked, owned) = (place.service.until_heard(heard + 1), name.to_owned());
    let mut asking = tokio::spawn(async move { ask(&mut agent, &owned).await });
    tokio::select! {
        () = asked => {}
        told = &mut asking => panic!("{name}: answered before the service was asked: {told:?}"),
    }
    match victim {
        Victim::Daemon => place.kill_daemon().await,
        _ => strike(processes::find(place.daemon_id().await, victim).await),
    }
    let told = asking.await.unwrap();
    assert!(matches!(told, Told::Unknown { .. }), "{name}: {told:?}");
    if victim == Victim::Daemon {
        place.restart().await;
    }
    place.service.release().await;
    let waiting = unsettled(place).await;
    assert_eq!(waiting.len(), 1, "{name}");
    let call = waiting[0].call_id.to_string();
    let why = place.operator.get::<Explain>(&[&call], &Nothing {}).await.unwrap().body;
    assert!(why.story.iter().any(|it| it.starts_with("ledger.find is the read")), "{name}: {why:?}");
    assert!(
        why.next.is_some_and(|next| next.starts_with("fwc settle ") && next.ends_with(" --probe")),
        "{name}"
    );
    let mut agent = place.session().await;
    account_for(place, &mut Caller::Bot(&mut agent), name, told).await;
}
