//! Kills in the middle of many calls at once. A seed chooses who dies, when, and where the service stands then.

use fcp_proto_core::crypto::hash;
use tokio::task::JoinSet;

use crate::accounts::{Caller, Told, account_for, ask, said, typed, unsettled};
use crate::place::Place;
use crate::processes::{self, Victim};
use crate::service::{Hold, Stage};

/// How many ask at once, and how often each.
const CALLERS: u8 = 3;
const EACH: u8 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn thirty_kills_lose_and_double_nothing() {
    rounds(0..30).await;
}

/// `just kills`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes long; `just kills` runs it"]
async fn a_thousand_kills_lose_and_double_nothing() {
    rounds(1_000..2_000).await;
}

async fn rounds(seeds: std::ops::Range<u64>) {
    let mut place = Place::new(None).await;
    place.add_typist().await;
    for seed in seeds {
        println!("seed {seed}");
        round(&mut place, &Choice::of(seed), seed).await;
    }
    place.verify_audit().await;
    let family = place.family().await;
    place.daemon.take().unwrap().stop();
    processes::gone(&family).await;
}

/// What a seed chooses.
struct Choice {
    victim: Victim,
    hold: Option<Stage>,
    /// After so many requests.
    after: usize,
}

impl Choice {
    fn of(seed: u64) -> Self {
        let bytes = *hash::digest(&seed.to_le_bytes()).as_bytes();
        // In turn, so that a daemon is not asked to bear more crashes of its connector than it must.
        let victim = [Victim::Connector, Victim::CommandLine, Victim::Egress, Victim::Daemon];
        Self {
            victim: victim[usize::try_from(seed % 4).unwrap()],
            hold: [None, Some(Stage::BeforeEffect), Some(Stage::AfterEffect)][usize::from(bytes[0] % 3)],
            after: usize::from(bytes[1] % (CALLERS * EACH)),
        }
    }
}

async fn round(place: &mut Place, choice: &Choice, seed: u64) {
    let heard = place.service.heard();
    if let Some(stage) = choice.hold {
        place.service.hold(Hold { from: heard + choice.after + 1, stage });
    }
    let mut asking = JoinSet::new();
    for caller in 0..CALLERS {
        let mut agent = place.session().await;
        asking.spawn(async move {
            let mut told = Vec::new();
            for number in 0..EACH {
                let name = format!("{seed}-{caller}-{number}");
                let answer = ask(&mut agent, &name).await;
                told.push((name, answer));
            }
            told
        });
    }
    let by_hand = format!("{seed}-by-hand");
    let words = typed(&by_hand);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let mut typing = place.fwc(&words).spawn().unwrap();
    place.service.until_heard(heard + choice.after).await;
    match choice.victim {
        Victim::Daemon => place.kill_daemon().await,
        Victim::CommandLine => typing.kill().unwrap(),
        victim => processes::kill(processes::find(place.daemon_id().await, victim).await),
    }
    place.service.release().await;
    let told: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
    let typed = said(&typing.wait_with_output().unwrap());
    if choice.victim == Victim::Daemon {
        place.restart().await;
        place.verify_audit().await;
    }
    settle_all(place, choice, told, (by_hand, typed)).await;
}

async fn settle_all(place: &mut Place, choice: &Choice, told: Vec<(String, Told)>, typed: (String, Told)) {
    let mut agent = place.session().await;
    for (name, told) in told {
        let told = heard(choice, told);
        account_for(place, &mut Caller::Bot(&mut agent), &name, told).await;
    }
    let (name, told) = typed;
    account_for(place, &mut Caller::Typist, &name, heard(choice, told)).await;
    assert!(unsettled(place).await.is_empty(), "every unknown outcome belongs to a call that was asked for");
}

/// What a client says when its daemon is gone is its own guess.
fn heard(choice: &Choice, told: Told) -> Told {
    match told {
        Told::Unknown { .. } if choice.victim == Victim::Daemon => Told::Nothing,
        told => told,
    }
}
