use core::time::Duration;

use fcp_proto_core::frame::opening::Opening;
use fcp_proto_core::session::error::SessionError;
use fcp_proto_core::session::keys::KeyLimits;
use fcp_proto_core::session::message::{Ack, Hello};

use super::{Answer, Dial, NotOpened, Responder};
use crate::link::testing::{Node, at, nodes};

fn dial(nodes: &mut [Node; 2], seconds: u64) -> Dial {
    let peer = nodes[1].me.clone();
    Dial::new(peer, None, &mut nodes[0].local(at(seconds))).unwrap()
}

fn hello(dial: &mut Dial) -> Hello {
    match Opening::decode(&dial.next_message().unwrap()) {
        Ok(Opening::Hello(hello)) => hello,
        other => panic!("{other:?}"),
    }
}

fn ack(answer: Result<Answer, NotOpened>) -> Ack {
    match answer {
        Ok(Answer::Session(_, Opening::Ack(ack))) => ack,
        other => panic!("{other:?}"),
    }
}

fn pair() -> ([Node; 2], Responder) {
    let mut nodes = nodes(1, KeyLimits::default());
    let responder = Responder::new(at(0).mono, &mut nodes[1].entropy);
    (nodes, responder)
}

#[test]
fn a_hello_that_is_sent_again_is_a_fresh_one_and_waits_grow() {
    let (mut nodes, mut responder) = pair();
    let mut dial = dial(&mut nodes, 0);
    let first = hello(&mut dial);
    assert_eq!(dial.next_message(), None);
    dial.tick(&mut nodes[0].local(at(0))).unwrap();
    assert_eq!(dial.next_message(), None, "before its time");
    let mut times = deadlines(&mut dial, &mut nodes, 8);
    assert_eq!(times.split_off(3), [15, 31, 61, 91, 121]);
    assert_eq!(times, [1, 3, 7]);
    let last = hello(&mut dial);
    assert_ne!(last.nonce, first.nonce);
    let answer = ack(responder.hello(last, &mut nodes[1].local(at(121))));
    assert!(dial.ack(&answer, &nodes[0].local(at(121))).is_ok());
    assert_eq!(dial.ack(&answer, &nodes[0].local(at(121))).err(), Some(NotOpened::NothingAsked));
}

/// Lets `count` waits pass; when each ended, in seconds.
fn deadlines(dial: &mut Dial, nodes: &mut [Node; 2], count: usize) -> alloc::vec::Vec<u64> {
    (0..count)
        .map(|_| {
            let seconds = dial.deadline().as_nanos() / 1_000_000_000;
            dial.tick(&mut nodes[0].local(at(seconds))).unwrap();
            seconds
        })
        .collect()
}

//= docs/spec/mesh-sessions.md#cookies
#[test]
fn under_load_a_hello_comes_twice_before_its_signature_is_checked() {
    let (mut nodes, mut responder) = pair();
    let mut bad = hello(&mut dial(&mut nodes, 0));
    bad.timestamp = at(1).unix;
    for _ in 0..50 {
        let refused = responder.hello(bad.clone(), &mut nodes[1].local(at(0)));
        assert_eq!(refused.err(), Some(NotOpened::Session(SessionError::InvalidSignature)));
    }
    let mut dial = dial(&mut nodes, 0);
    let Ok(Answer::Retry(retry)) = responder.hello(hello(&mut dial), &mut nodes[1].local(at(0))) else {
        panic!("no retry under load")
    };
    dial.retry(&retry, &nodes[0].local(at(0))).unwrap();
    let with_cookie = hello(&mut dial);
    let answer = ack(responder.hello(with_cookie.clone(), &mut nodes[1].local(at(0))));
    assert!(dial.ack(&answer, &nodes[0].local(at(0))).is_ok());
    let again = responder.hello(with_cookie, &mut nodes[1].local(at(0)));
    assert_eq!(again.err(), Some(NotOpened::Session(SessionError::DuplicateHelloNonce)));
}

#[test]
fn cookies_do_not_buy_more_than_their_share() {
    let (mut nodes, mut responder) = pair();
    let mut bad = hello(&mut dial(&mut nodes, 0));
    bad.timestamp = at(1).unix;
    for _ in 0..50 {
        assert!(responder.hello(bad.clone(), &mut nodes[1].local(at(0))).is_err());
    }
    let Ok(Answer::Retry(retry)) = responder.hello(bad.clone(), &mut nodes[1].local(at(0))) else {
        panic!("no retry under load")
    };
    bad.cookie = Some(retry.cookie);
    for _ in 0..250 {
        let refused = responder.hello(bad.clone(), &mut nodes[1].local(at(0))).err();
        assert_eq!(refused, Some(NotOpened::Session(SessionError::InvalidSignature)));
    }
    let busy = responder.hello(bad.clone(), &mut nodes[1].local(at(0))).err();
    assert_eq!(busy, Some(NotOpened::Busy { retry_after: Duration::from_millis(4) }));
    assert_ne!(responder.hello(bad, &mut nodes[1].local(at(1))).err(), busy, "a second later there is room");
}

#[test]
fn strangers_spend_nothing_and_the_untrusted_get_nothing() {
    let (mut nodes, mut responder) = pair();
    let mut known = dial(&mut nodes, 0);
    let greeting = hello(&mut known);
    let alice = nodes[0].me.clone();
    let trusted = nodes[1].trusted.clone();
    nodes[1].trusted.0.remove(&alice);
    for _ in 0..1_000 {
        let refused = responder.hello(greeting.clone(), &mut nodes[1].local(at(0))).err();
        assert_eq!(refused, Some(NotOpened::NotTrusted));
    }
    nodes[1].trusted = trusted;
    let answer = ack(responder.hello(greeting.clone(), &mut nodes[1].local(at(0))));
    let bob = nodes[1].me.clone();
    let key = nodes[0].trusted.0.remove(&bob).unwrap();
    assert_eq!(known.ack(&answer, &nodes[0].local(at(0))).err(), Some(NotOpened::NotTrusted));
    nodes[0].trusted.0.insert(bob, key);
    assert!(known.ack(&answer, &nodes[0].local(at(0))).is_ok(), "the wish stood");
}

#[test]
fn an_answer_to_somebody_else_leaves_the_wish_standing() {
    let (mut nodes, mut responder) = pair();
    let (mut one, mut other) = (dial(&mut nodes, 0), dial(&mut nodes, 0));
    let answers = [hello(&mut one), hello(&mut other)]
        .map(|hello| ack(responder.hello(hello, &mut nodes[1].local(at(0)))));
    let refused = one.ack(&answers[1], &nodes[0].local(at(0))).err();
    assert_eq!(refused, Some(NotOpened::Session(SessionError::InvalidSignature)));
    assert!(one.ack(&answers[0], &nodes[0].local(at(0))).is_ok());
}

#[test]
fn a_hello_for_somebody_else_is_refused_before_anything_is_spent() {
    let (mut nodes, mut responder) = pair();
    let greeting = hello(&mut dial(&mut nodes, 0));
    let mirrored = Hello { to: greeting.from.clone(), ..greeting.clone() };
    let own = Hello { from: greeting.to.clone(), ..greeting };
    for hello in [mirrored, own] {
        let refused = responder.hello(hello, &mut nodes[1].local(at(0))).err();
        assert_eq!(refused, Some(NotOpened::Session(SessionError::WrongParties)));
    }
}
