//! One path each: who may begin what, and what a sink takes.

use super::world::{Without, World};
use super::*;

const FLOOR: u64 = EPOCH << 32;

/// A sink, and what it answers once all that it writes is durable.
struct Plain {
    chair: Chair,
    machine: Migration,
}

impl Plain {
    fn new(i: usize) -> Self {
        let machine = Migration::restore(Stored::default(), &ids());
        Self { chair: Chair::new(i, electorate(0..3)), machine }
    }

    fn tell(&mut self, from: usize, message: Message) -> Vec<Output> {
        let mut out = Vec::new();
        self.machine.handle(&node(from), message, &self.chair.seat(), &mut out);
        self.store(out)
    }

    fn store(&mut self, out: Vec<Output>) -> Vec<Output> {
        let mut rest = Vec::new();
        for output in out {
            if let Output::Persist { batch, .. } = output {
                self.machine.handle_stored(batch, Completion::Durable, &mut rest);
            } else {
                rest.push(output);
            }
        }
        rest
    }

    /// What it refuses.
    fn refusal(&mut self, from: usize, message: Message) -> Option<Refusal> {
        self.tell(from, message).into_iter().find_map(|output| {
            let Output::Send { message: Message::Refuse(why), .. } = output else { return None };
            Some(why)
        })
    }
}

fn open(i: usize, token: u64, number: u64, low: u64) -> Open {
    let (intent, lease) = (intent(i, token, number), lease(i, token, 0..3));
    Open::sign(intent, lease, (number, low), (&key(i), &ids())).unwrap()
}

fn id(open: &Open) -> ObjectId {
    open.intent.store().unwrap().id(&ids()).unwrap()
}

fn tell(open: Open) -> Message {
    Message::Intent(Box::new(open))
}

fn ended(i: usize, token: u64, end: End) -> Message {
    Message::End(Box::new(Ended { end, lease: lease(i, token, 0..3) }))
}

/// A holder that serves under token 1.
fn serving() -> Plain {
    let mut plain = Plain::new(0);
    let mut out = Vec::new();
    assert!(plain.machine.hold(lease(0, 1, 0..3), &plain.chair.seat(), &mut out));
    for from in 0..2 {
        assert_eq!(plain.machine.serving(), None);
        plain.tell(from, Message::Answer { round: 0, open: Vec::new(), ended: Vec::new() });
    }
    assert_eq!(plain.machine.serving(), None, "the connector does not have its state yet");
    plain.machine.handle_ready(&mut out);
    assert_eq!(plain.machine.serving(), Some(FLOOR + 1));
    plain
}

//= docs/spec/replica.md#strict-calls
#[test]
fn a_strict_call_leaves_once_a_quorum_knows_of_it_and_once() {
    let mut plain = serving();
    let mut out = Vec::new();
    let begun = plain.machine.begin(intent(0, 1, 1), &plain.chair.seat(), &mut out).unwrap();
    assert_eq!(out.len(), 3, "all are told");
    assert_eq!(plain.tell(0, Message::Kept(begun)), []);
    assert_eq!(plain.tell(0, Message::Kept(begun)), [], "each counts once");
    assert!(!plain.machine.end(receipt(0, begun), &plain.chair.seat(), &mut out), "it may still be made");
    assert_eq!(plain.tell(1, Message::Kept(begun)), [Output::Dispatch(begun)]);
    assert_eq!(plain.tell(2, Message::Kept(begun)), []);
    assert!(plain.machine.end(receipt(0, begun), &plain.chair.seat(), &mut out));
    assert!(!plain.machine.end(receipt(0, begun), &plain.chair.seat(), &mut out), "one end");
    assert_eq!(plain.tell(0, Message::Closed(begun)), []);
    assert_eq!(plain.tell(2, Message::Closed(begun)), [Output::Ended(begun)]);
}

//= docs/spec/replica.md#strict-calls
#[test]
fn an_intent_that_is_not_of_this_lease_is_not_begun_and_there_is_a_bound() {
    let mut plain = serving();
    let mut begin = |intent| plain.machine.begin(intent, &plain.chair.seat(), &mut Vec::new()).map(drop);
    assert_eq!(begin(intent(1, 1, 1)), Err(CallError::Mismatch));
    assert_eq!(begin(intent(0, 2, 1)), Err(CallError::Mismatch));
    for number in 0..MAX_OPEN {
        assert_eq!(begin(intent(0, 1, number as u64)), Ok(()));
    }
    assert_eq!(begin(intent(0, 1, 999)), Err(CallError::Full));
    assert_eq!(
        plain.machine.begin(intent(0, 1, 0), &plain.chair.seat(), &mut Vec::new()),
        Err(CallError::Full)
    );
    plain.machine.stop();
    let refused = plain.machine.begin(intent(0, 1, 1_000), &plain.chair.seat(), &mut Vec::new());
    assert_eq!(refused, Err(CallError::NotServing));
}

//= docs/spec/replica.md#failover
#[test]
fn who_holds_next_settles_what_it_finds_before_it_serves() {
    let mut plain = Plain::new(1);
    let (left, over) = (open(0, 1, 4, 3), open(0, 1, 5, 3));
    let old = open(0, 1, 2, 0);
    let mut out = Vec::new();
    assert!(plain.machine.hold(lease(1, 2, 0..3), &plain.chair.seat(), &mut out));
    plain.machine.handle_ready(&mut out);
    let receipt = Ended { end: receipt(0, id(&over)), lease: lease(0, 1, 0..3) };
    let answer = Message::Answer { round: 0, open: [left.clone()].into(), ended: [receipt].into() };
    assert_eq!(plain.tell(0, answer), []);
    let answer = Message::Answer { round: 0, open: [over, old].into(), ended: Vec::new() };
    assert_eq!(plain.tell(2, answer), [Output::Settle(Box::new(left.clone()))], "what ended is known");
    assert_eq!(plain.machine.serving(), None);
    let end = settlement(1, id(&left), Effect::Made);
    assert!(plain.machine.end(end, &plain.chair.seat(), &mut out));
    assert_eq!(plain.tell(0, Message::Closed(id(&left))), []);
    assert_eq!(plain.tell(1, Message::Closed(id(&left))), [Output::Ended(id(&left)), Output::Serving]);
}

//= docs/spec/replica.md#failover
#[test]
fn an_answer_that_cannot_be_believed_does_not_count() {
    let mut forged = open(0, 1, 4, 3);
    forged.intent.body.fields.planned_at = UnixTime::from_secs(1);
    let mut uncertified = open(0, 1, 4, 3);
    uncertified.lease = lease(0, 1, 0..1);
    for open in [forged, uncertified] {
        let mut plain = Plain::new(1);
        let mut out = Vec::new();
        plain.machine.hold(lease(1, 2, 0..3), &plain.chair.seat(), &mut out);
        plain.machine.handle_ready(&mut out);
        plain.tell(0, Message::Answer { round: 0, open: [open].into(), ended: Vec::new() });
        let none = Message::Answer { round: 0, open: Vec::new(), ended: Vec::new() };
        assert_eq!(plain.tell(1, none.clone()), []);
        assert_eq!(plain.tell(2, none), [Output::Serving]);
    }
    // An end that its holder did not sign hides nothing.
    let left = open(0, 1, 4, 3);
    let ended = Ended { end: receipt(2, id(&left)), lease: lease(0, 1, 0..3) };
    let mut plain = Plain::new(1);
    plain.machine.hold(lease(1, 2, 0..3), &plain.chair.seat(), &mut Vec::new());
    plain.tell(0, Message::Answer { round: 0, open: [left.clone()].into(), ended: Vec::new() });
    let lie = Message::Answer { round: 0, open: Vec::new(), ended: [ended].into() };
    assert_eq!(plain.tell(2, lie), [Output::Settle(Box::new(left))]);
}

//= docs/spec/replica.md#strict-calls
//= docs/spec/replica.md#failover
#[test]
fn one_member_that_lies_of_the_numbers_hides_no_call() {
    let (left, other) = (open(0, 1, 4, 3), open(0, 1, 9, 3));
    let lies = [
        // All below the other had ended, this one too.
        Open { low: 9, ..other.clone() },
        // And with the signature over the numbers of another call.
        Open { low: 4, number: 4, signature: left.signature, ..other.clone() },
        Open { number: 8, ..other.clone() },
        Open { low: 0, ..other.clone() },
    ];
    for lie in lies {
        let mut plain = Plain::new(1);
        plain.machine.hold(lease(1, 2, 0..3), &plain.chair.seat(), &mut Vec::new());
        let told = |open: &Open| Message::Answer { round: 0, open: [open.clone()].into(), ended: Vec::new() };
        plain.tell(0, told(&left));
        assert_eq!(plain.tell(2, told(&lie)), [], "it does not count: {lie:?}");
        let none = Message::Answer { round: 0, open: Vec::new(), ended: Vec::new() };
        assert_eq!(plain.tell(1, none), [Output::Settle(Box::new(left.clone()))]);
        let mut sink = Plain::new(2);
        assert_eq!(sink.refusal(0, tell(lie)), Some(Refusal::Invalid));
    }
}

//= docs/spec/replica.md#strict-calls
#[test]
fn a_sink_takes_from_the_newest_holder_alone_what_it_signed() {
    let mut plain = Plain::new(2);
    let call = open(0, 1, 0, 0);
    assert_eq!(plain.refusal(1, tell(call.clone())), Some(Refusal::Invalid), "not its holder");
    let mut few = call.clone();
    few.lease = lease(0, 1, 0..1);
    assert_eq!(plain.refusal(0, tell(few)), Some(Refusal::Invalid));
    let mut unsigned = call.clone();
    unsigned.intent.body.fields.planned_at = UnixTime::from_secs(1);
    assert_eq!(plain.refusal(0, tell(unsigned)), Some(Refusal::Invalid));
    assert_eq!(plain.tell(0, tell(call.clone())).len(), 1);
    assert_eq!(plain.machine.open_intents().count(), 1);
    assert_eq!(plain.refusal(0, ended(0, 1, receipt(1, id(&call)))), Some(Refusal::Invalid));
    assert_eq!(plain.refusal(1, ended(0, 1, receipt(0, id(&call)))), Some(Refusal::Invalid));
    let ask = Message::Ask { round: 0, lease: Box::new(lease(1, 2, 0..3)) };
    assert_eq!(plain.refusal(0, ask.clone()), Some(Refusal::Invalid));
    assert_eq!(plain.refusal(1, ask), None);
    for late in [
        tell(open(0, 1, 1, 0)),
        ended(0, 1, receipt(0, id(&call))),
        Message::Ask { round: 1, lease: Box::new(lease(0, 1, 0..3)) },
    ] {
        assert_eq!(plain.refusal(0, late), Some(Refusal::Fenced(FLOOR + 2)), "it woke up too late");
    }
    assert_eq!(plain.machine.open_intents().count(), 1, "what has no end is not forgotten");
}

/// What the sink wants written for a message, and under which name.
fn written(plain: &mut Plain, from: usize, message: Message) -> (BatchToken, Kept) {
    let mut out = Vec::new();
    plain.machine.handle(&node(from), message, &plain.chair.seat(), &mut out);
    let [Output::Persist { batch, kept }] = &out[..] else { panic!("{out:?}") };
    (*batch, kept.clone())
}

//= docs/spec/replica.md#failover
#[test]
fn a_sink_that_starts_again_takes_nothing_more_of_an_earlier_holder() {
    let mut plain = Plain::new(2);
    let ask = Message::Ask { round: 0, lease: Box::new(lease(1, 2, 0..3)) };
    let (_, Kept::Fence(fence)) = written(&mut plain, 1, ask) else { panic!("a fence") };
    let again = |fences| Plain {
        machine: Migration::restore(Stored { fences, ..Stored::default() }, &ids()),
        ..Plain::new(2)
    };
    let late = || tell(open(0, 1, 0, 0));
    assert_eq!(again([*fence].into()).refusal(0, late()), Some(Refusal::Fenced(FLOOR + 2)));
    assert_eq!(again(Vec::new()).refusal(0, late()), None, "nothing else keeps it out");
}

//= docs/spec/replica.md#strict-calls
#[test]
fn a_write_that_failed_or_was_refused_lets_nothing_out() {
    for completion in [Completion::Failed, Completion::Refused(crate::persist::Refusal::Full)] {
        let mut plain = Plain::new(2);
        let (batch, _) = written(&mut plain, 0, tell(open(0, 1, 0, 0)));
        let mut out = Vec::new();
        plain.machine.handle_stored(batch, completion, &mut out);
        plain.machine.handle_stored(batch, Completion::Durable, &mut out);
        assert_eq!(out, [], "nor when it is said to be durable later");
    }
}

//= docs/spec/replica.md#strict-calls
#[test]
fn a_call_that_ended_is_not_opened_again_and_few_are_kept() {
    let mut plain = Plain::new(2);
    let call = open(0, 1, 0, 0);
    plain.tell(0, tell(call.clone()));
    plain.tell(0, ended(0, 1, receipt(0, id(&call))));
    assert_eq!(plain.machine.open_intents().count(), 0);
    assert_eq!(plain.refusal(0, tell(call)), Some(Refusal::Old));
    plain.tell(0, tell(open(0, 1, 1, 0)));
    plain.tell(0, tell(open(0, 1, 3, 3)));
    assert_eq!(plain.machine.open_intents().count(), 1, "what lies below has ended");
    assert_eq!(plain.refusal(0, tell(open(0, 1, 2, 0))), Some(Refusal::Old));
    for number in 4..MAX_OPEN as u64 + 3 {
        assert_eq!(plain.refusal(0, tell(open(0, 1, number, 3))), None);
    }
    assert_eq!(plain.refusal(0, tell(open(0, 1, 900, 3))), Some(Refusal::Full));
}

//= docs/spec/replica.md#planned-handoff
#[test]
fn a_holder_that_passes_on_begins_nothing_more_and_waits_for_its_calls() {
    let mut plain = serving();
    let mut out = Vec::new();
    let made = plain.machine.begin(intent(0, 1, 1), &plain.chair.seat(), &mut out).unwrap();
    let waits = plain.machine.begin(intent(0, 1, 2), &plain.chair.seat(), &mut out).unwrap();
    (0..2).for_each(|from| drop(plain.tell(from, Message::Kept(made))));
    out.clear();
    assert!(!plain.machine.drain(node(0), &plain.chair.seat(), &mut out), "to another");
    assert!(!plain.machine.drain(node(9), &plain.chair.seat(), &mut out), "to a member");
    assert!(plain.machine.drain(node(1), &plain.chair.seat(), &mut out));
    assert_eq!(out, [Output::Withdraw(waits)]);
    assert_eq!(plain.tell(1, Message::Kept(waits)), [], "what was withdrawn is not made");
    assert_eq!(plain.tell(0, Message::Kept(waits)), []);
    let refused = plain.machine.begin(intent(0, 1, 3), &plain.chair.seat(), &mut out);
    assert_eq!(refused, Err(CallError::NotServing));
    for call in [made, waits] {
        assert!(plain.machine.end(receipt(0, call), &plain.chair.seat(), &mut Vec::new()));
        plain.tell(0, Message::Closed(call));
    }
    assert_eq!(plain.tell(1, Message::Closed(made)), [Output::Ended(made)]);
    assert_eq!(plain.tell(1, Message::Closed(waits)), [Output::Ended(waits), Output::Checkpoint]);
    out.clear();
    plain.machine.handle_checkpointed(&mut out);
    assert_eq!(out, [Output::Release { to: node(1) }]);
    plain.machine.handle_checkpointed(&mut out);
    assert_eq!(out.len(), 1, "once");
}

//= docs/spec/replica.md#failover
#[test]
fn an_old_holder_that_wakes_up_makes_nothing_more() {
    let mut world = World::new(3, Without::Nothing);
    world.hold(0);
    world.settle();
    world.begin(0);
    let late = core::mem::take(&mut world.wire);
    world.expire();
    world.hold(1);
    world.settle();
    world.wire.extend(late);
    world.settle();
    assert_eq!((world.effects.len(), world.machine(0).serving()), (0, None));
    assert!(world.machine(1).serving().is_some());
    assert_eq!(world.check(), Ok(()));
}

//= docs/spec/replica.md#planned-handoff
#[test]
fn what_has_no_end_at_a_hurried_handoff_is_settled_by_the_next_holder() {
    let mut world = World::new(3, Without::Nothing);
    world.hold(0);
    world.settle();
    world.begin(0);
    world.settle();
    assert_eq!(world.effects.len(), 1);
    world.drain(0, 2);
    world.hold(1);
    assert_eq!(world.machine(1).serving(), None, "the lease is not given back");
    world.hurry(0);
    world.hold(1);
    world.settle();
    assert_eq!(world.machine(1).serving(), None, "nor meant for it");
    world.hold(2);
    world.settle();
    assert!(world.machine(2).serving().is_some());
    assert_eq!(world.check(), Ok(()), "its effect is known");
}
