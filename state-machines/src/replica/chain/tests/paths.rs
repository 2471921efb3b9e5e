//! What a sink takes, what pauses it, and what a writer may do, one rule at a time.

use fcp_proto_core::encoding::cbor::{self, Bounded, ByteString, Value};
use fcp_proto_core::object::{Header, Signed, StateObject, StateSnapshot};

use super::world::{Without, World};
use super::*;

/// A state that member `i` writes after `before` under the lease with `token`.
fn written(i: usize, token: u64, before: Option<&Written>, value: u64) -> Written {
    let chair = Chair::new(i, electorate(0..3));
    let (mut machine, mut out) = (StateChain::restore(Stored::default(), &ids()), Vec::new());
    machine.open(lease(i, token, 0..3), &chair.seat(), &mut out).unwrap();
    for from in 0..2 {
        let answer = Message::Answer { round: 0, newest: before.cloned().map(Box::new) };
        machine.handle(&node(from), answer, &chair.seat(), NOW, &mut out);
    }
    if before.is_none() {
        let value = cbor::encode(&Value::Unsigned(value)).unwrap();
        machine.write(value, NOW, &chair.seat(), &mut out).unwrap();
    }
    let state = out.into_iter().find_map(|output| {
        let Output::Send { message: Message::State(state), .. } = output else { return None };
        Some(*state)
    });
    state.expect("it writes")
}

/// The state changed and signed again by member `i`.
fn changed(state: &Written, i: usize, change: impl FnOnce(&mut StateObject)) -> Written {
    let mut fields = state.state.body.fields.clone();
    change(&mut fields);
    let refs = fields.prev.into_iter().chain([fields.lease_object_id]).collect();
    let header = Header { refs, ..state.state.header.clone() };
    Written { state: Object::sign(header, fields, &key(i)).unwrap(), lease: state.lease.clone() }
}

/// A sink and what it answers once all that it writes is durable.
struct Plain {
    chair: Chair,
    machine: StateChain,
}

impl Plain {
    fn new() -> Self {
        Self {
            chair: Chair::new(2, electorate(0..3)),
            machine: StateChain::restore(Stored::default(), &ids()),
        }
    }

    fn tell(&mut self, from: usize, message: Message) -> Vec<Message> {
        let (mut out, mut sent) = (Vec::new(), Vec::new());
        self.machine.handle(&node(from), message, &self.chair.seat(), NOW, &mut out);
        while !out.is_empty() {
            match out.remove(0) {
                Output::Persist { batch, .. } => {
                    self.machine.handle_stored(batch, Completion::Durable, &mut out);
                }
                Output::Send { message, .. } => sent.push(message),
                Output::Ready
                | Output::Committed(_)
                | Output::Forget(_)
                | Output::Forked(_)
                | Output::Resumed(_) => {}
            }
        }
        sent
    }

    fn state(&mut self, state: &Written) -> Vec<Message> {
        self.tell(0, Message::State(Box::new(state.clone())))
    }

    /// Why the state is refused.
    fn refuses(&mut self, state: &Written) -> Option<Refusal> {
        self.state(state)
            .into_iter()
            .find_map(|message| if let Message::Refuse(why) = message { Some(why) } else { None })
    }
}

fn id(state: &Written) -> ObjectId {
    state.id(&ids()).unwrap()
}

//= docs/spec/replica.md#fencing
#[test]
fn a_state_counts_only_under_a_certified_lease_over_it_by_its_holder() {
    let good = written(0, 1, None, 5);
    let refused = |state: &Written| Plain::new().refuses(state);
    assert_eq!(Plain::new().state(&good), [Message::Stored(id(&good))]);
    let invalid = Some(Refusal::Invalid);
    assert_eq!(refused(&changed(&good, 1, |_| {})), invalid, "signed by another");
    let mut bent = good.clone();
    bent.state.body.fields.updated_at = UnixTime::from_secs(1);
    assert_eq!(refused(&bent), invalid, "changed after it was signed");
    let uncertified = Written { lease: lease(0, 1, 0..1), ..good.clone() };
    assert_eq!(refused(&uncertified), invalid, "one signature");
    let other = Written { lease: lease(0, 2, 0..3), ..good.clone() };
    assert_eq!(refused(&other), invalid, "another lease than it names");
    let connector = changed(&good, 0, |it| it.owner.instance_id = Some("second".into()));
    assert_eq!(refused(&connector), invalid, "another's state");
}

//= docs/spec/replica.md#sinks
#[test]
fn an_earlier_writer_is_fenced_at_every_sink() {
    let (old, new) = (written(0, 1, None, 5), written(1, 2, None, 6));
    let mut sink = Plain::new();
    let ask = Message::Ask { round: 0, lease: Box::new(lease(1, 2, 0..3)) };
    assert_eq!(sink.tell(1, ask.clone()), [Message::Answer { round: 0, newest: None }]);
    assert_eq!(sink.refuses(&old), Some(Refusal::Fenced((EPOCH << 32) + 2)));
    assert_eq!(sink.state(&new), [Message::Stored(id(&new))]);
    let late = Message::Ask { round: 0, lease: Box::new(lease(0, 1, 0..3)) };
    assert_eq!(sink.tell(0, late), [Message::Refuse(Refusal::Fenced((EPOCH << 32) + 2))]);
    assert_eq!(sink.tell(0, ask), [Message::Refuse(Refusal::Invalid)], "another's lease");
}

//= docs/spec/replica.md#sinks
#[test]
fn an_unfinished_state_gives_way_to_a_later_writer_and_a_committed_one_does_not() {
    let (old, new) = (written(0, 1, None, 5), written(1, 2, None, 6));
    let mut sink = Plain::new();
    sink.state(&old);
    assert_eq!(sink.state(&new), [Message::Stored(id(&new))]);
    assert_eq!(sink.machine.newest(), Some(&new));
    assert_eq!(sink.state(&new), [Message::Stored(id(&new))], "told again");

    let mut sink = Plain::new();
    sink.state(&old);
    sink.tell(0, Message::Committed(id(&old)));
    sink.state(&new);
    let fork = sink.machine.fork().expect("something that was committed would be lost");
    assert!(fork.verify(&sink.chair.seat()).is_some());
}

//= docs/spec/replica.md#sinks
#[test]
fn two_unfinished_states_of_two_writers_give_way_and_two_of_one_do_not() {
    let first = written(0, 1, None, 5);
    let [second, fourth] = [2, 4].map(|token| written(1, token, Some(&first), 0));
    let third = written(2, 3, Some(&second), 0);
    let mut sink = Plain::new();
    for state in [&first, &second, &third] {
        sink.state(state);
    }
    assert_eq!(
        sink.state(&fourth),
        [Message::Stored(id(&fourth))],
        "nobody else has the second and the third"
    );
    assert_eq!(sink.machine.newest(), Some(&fourth));

    let own = changed(&second, 1, |it| (it.seq, it.prev) = (2, Some(id(&second))));
    let mut sink = Plain::new();
    for state in [&first, &second, &own, &fourth] {
        sink.state(state);
    }
    assert!(sink.machine.fork().is_some(), "the writer went on, so its first state was committed");
}

//= docs/spec/replica.md#sinks
#[test]
fn a_state_that_skips_the_one_before_pauses_and_one_far_ahead_is_taken() {
    let first = written(0, 1, None, 5);
    let next = written(1, 2, Some(&first), 0);
    assert_eq!(
        next.state.body.fields.prev,
        Some(id(&first)),
        "the newest is written again under the new lease"
    );
    let mut sink = Plain::new();
    sink.state(&first);
    let old = sink.state(&next);
    assert_eq!(old, [Message::Stored(id(&next))]);
    let skips = changed(&next, 1, |it| (it.seq, it.prev) = (2, Some(root())));
    sink.state(&skips);
    assert!(sink.machine.fork().is_some());
    let mut away = Plain::new();
    away.state(&first);
    let far = changed(&next, 1, |it| (it.seq, it.prev) = (9, Some(root())));
    assert_eq!(away.state(&far), [Message::Stored(id(&far))], "it was away");
}

//= docs/spec/replica.md#forks
//= docs/spec/replica.md#decision
#[test]
fn two_states_of_one_writer_pause_every_member_until_a_decision() {
    let mut world = World::new(3, Without::Nothing);
    world.open(0);
    world.settle();
    world.write(0);
    world.settle();
    world.fork(0);
    world.settle();
    assert_eq!(world.check(), Ok(()));
    assert_eq!(world.paused(), [0, 1, 2].into(), "everywhere");
    world.crash(1);
    assert_eq!(world.paused(), [0, 1, 2].into(), "a restart ends no pause");
    world.open(1);
    world.settle();
    assert!(!world.ready(1), "nobody writes meanwhile");
    world.decide();
    world.settle();
    assert_eq!(world.paused(), [].into());
    let stands = world.committed().unwrap();
    (0..3).for_each(|i| assert_eq!(id(world.machine(i).newest().unwrap()), stands));
    world.open(2);
    world.settle();
    world.write(2);
    world.settle();
    assert_eq!(world.check(), Ok(()));
    assert!(world.committed() != Some(stands), "it goes on from what stands");
    world.crash(0);
    assert_eq!(world.machine(0).newest(), world.machine(2).newest(), "and a restart keeps what came after");
}

//= docs/spec/replica.md#decision
#[test]
fn what_was_decided_against_does_not_come_back() {
    let one = written(0, 1, None, 5);
    let other = changed(&one, 0, |it| it.updated_at = UnixTime::from_secs(7));
    let fork = StateFork { one: Box::new(one.clone()), other: Box::new(other.clone()) };
    let mut sink = Plain::new();
    sink.tell(1, Message::Fork(Box::new(fork.clone())));
    assert_eq!(sink.refuses(&one), Some(Refusal::Paused));
    let mut out = Vec::new();
    assert!(!sink.machine.resume(root(), &ids(), &mut out), "none of the two");
    assert!(sink.machine.resume(id(&one), &ids(), &mut out));
    assert_eq!(sink.refuses(&other), Some(Refusal::Discarded));
    sink.tell(1, Message::Fork(Box::new(fork)));
    assert!(sink.machine.fork().is_none(), "it is decided");
    let fenced = Some(Refusal::Fenced((EPOCH << 32) + 2));
    assert_eq!(sink.refuses(&one), fenced, "whoever writes on needs a new lease");
}

//= docs/spec/replica.md#forks
#[test]
fn what_is_no_contradiction_pauses_nobody() {
    let one = written(0, 1, None, 5);
    let next = written(1, 2, Some(&one), 0);
    let pauses = |one: &Written, other: &Written| {
        let mut sink = Plain::new();
        let fork = StateFork { one: Box::new(one.clone()), other: Box::new(other.clone()) };
        sink.tell(1, Message::Fork(Box::new(fork)));
        sink.machine.fork().is_some()
    };
    assert!(pauses(&one, &changed(&one, 0, |it| it.updated_at = UnixTime::from_secs(7))));
    assert!(!pauses(&one, &one), "the same");
    assert!(!pauses(&one, &next), "one after the other");
    assert!(!pauses(&one, &changed(&one, 1, |it| it.updated_at = UnixTime::from_secs(7))), "a forgery");
}

/// Before a quorum has the newest state under this lease, another could be the newest.
//= docs/spec/replica.md#opening
#[test]
fn a_writer_is_ready_once_a_quorum_has_the_newest_state_again() {
    let (chair, old) = (Chair::new(0, electorate(0..3)), written(1, 1, None, 5));
    let (mut machine, mut out) = (StateChain::restore(Stored::default(), &ids()), Vec::new());
    machine.open(lease(0, 2, 0..3), &chair.seat(), &mut out).unwrap();
    for (from, newest) in [(1, Some(Box::new(old.clone()))), (2, None)] {
        machine.handle(&node(from), Message::Answer { round: 0, newest }, &chair.seat(), NOW, &mut out);
    }
    let again = out.iter().find_map(|output| {
        let Output::Send { message: Message::State(state), .. } = output else { return None };
        Some((**state).clone())
    });
    let again = again.expect("it writes");
    let (fields, before) = (&again.state.body.fields, &old.state.body.fields);
    assert_eq!((&fields.state_cbor, fields.prev), (&before.state_cbor, Some(id(&old))));
    assert_eq!(again.token(), (EPOCH << 32) + 2);
    for from in 1..3 {
        assert!(!out.contains(&Output::Ready), "{from} does not have it yet");
        machine.handle(&node(from), Message::Stored(id(&again)), &chair.seat(), NOW, &mut out);
    }
    assert!(out.contains(&Output::Ready));
}

//= docs/spec/replica.md#writing
#[test]
fn a_writer_writes_one_after_the_other_and_only_when_it_has_opened() {
    let chair = Chair::new(0, electorate(0..3));
    let (mut machine, mut out) = (StateChain::restore(Stored::default(), &ids()), Vec::new());
    let five = || cbor::encode(&Value::Unsigned(5)).unwrap();
    let write = |machine: &mut StateChain, bytes| machine.write(bytes, NOW, &chair.seat(), &mut Vec::new());
    assert_eq!(write(&mut machine, five()), Err(WriteError::NotOpen));
    let theirs = machine.open(lease(1, 1, 0..3), &chair.seat(), &mut out);
    assert_eq!(theirs, Err(WriteError::NotOpen), "another's lease");
    machine.open(lease(0, 1, 0..3), &chair.seat(), &mut out).unwrap();
    assert_eq!(write(&mut machine, five()), Err(WriteError::NotOpen), "nobody has answered");
    for from in 0..2 {
        machine.handle(&node(from), Message::Answer { round: 0, newest: None }, &chair.seat(), NOW, &mut out);
    }
    assert_eq!(write(&mut machine, vec![0x18, 0x01]), Err(WriteError::Shape));
    assert_eq!(write(&mut machine, vec![0x40; 70_000]), Err(WriteError::Shape));
    assert_eq!(write(&mut machine, five()), Ok(()));
    assert_eq!(write(&mut machine, five()), Err(WriteError::Busy));
    machine.handle(&node(1), Message::Refuse(Refusal::Fenced(u64::MAX)), &chair.seat(), NOW, &mut out);
    assert_eq!(write(&mut machine, five()), Err(WriteError::NotOpen), "another writes now");
}

//= docs/spec/replica.md#snapshots
#[test]
fn a_snapshot_lets_go_only_of_what_is_committed_and_the_same() {
    let first = written(0, 1, None, 5);
    let chair = Chair::new(0, electorate(0..3));
    let forgets = |committed: bool, snapshot: Option<Object<Signed<StateSnapshot>>>| {
        let mut sink = Plain::new();
        sink.state(&first);
        if committed {
            sink.tell(0, Message::Committed(id(&first)));
        }
        let (seat, mut out) = (sink.chair.seat(), Vec::new());
        sink.machine.handle(&node(0), Message::Snapshot(Box::new(snapshot.unwrap())), &seat, NOW, &mut out);
        let [Output::Persist { batch, .. }] = out[..] else { return vec![] };
        out.clear();
        sink.machine.handle_stored(batch, Completion::Durable, &mut out);
        out
    };
    let good = || writer::snapshot(&first, id(&first), NOW, &chair.seat());
    assert_eq!(forgets(true, good()), [Output::Forget(0)]);
    assert_eq!(forgets(false, good()), []);
    assert_eq!(forgets(true, writer::snapshot(&first, root(), NOW, &chair.seat())), [], "of another state");
    let lie = changed(&first, 0, |it| {
        it.state_cbor = Bounded::new(ByteString(vec![9])).unwrap();
    });
    assert_eq!(forgets(true, writer::snapshot(&lie, id(&first), NOW, &chair.seat())), [], "another content");
    let theirs = Chair::new(1, electorate(0..3));
    let forged = writer::snapshot(&first, id(&first), NOW, &theirs.seat());
    assert_eq!(forgets(true, forged), [], "another's signature");
}

#[test]
fn a_snapshot_is_due_after_as_many_states_as_the_chapter_says() {
    let mut world = World::new(1, Without::Nothing);
    world.open(0);
    world.settle();
    for _ in 1..SNAPSHOT_STATES {
        world.write(0);
        world.settle();
    }
    assert_eq!(world.snapshots(0), 0);
    world.write(0);
    world.settle();
    assert_eq!(world.snapshots(0), 1);
}

//= docs/spec/replica.md#earlier-epochs
#[test]
fn what_was_written_in_an_earlier_epoch_is_read_and_nothing_more_is_taken_of_it() {
    let old = written(0, 1, None, 7);
    let mut chair = Chair::new(1, electorate(0..3));
    let members =
        Membership { epoch: EPOCH + 1, nodes: (1..4).map(node).collect(), fault_model: FaultModel::Crash };
    let keys = (1..4).map(|i| (node(i), key(i).verifying_key())).collect();
    let now = Electorate::new(&members, &keys).unwrap();
    let before = core::mem::replace(&mut chair.electorate, now);
    assert_eq!(old.verify(&chair.seat()), None, "nobody knows who gave that lease");
    chair.past.insert(EPOCH, before);
    assert!(old.verify(&chair.seat()).is_some(), "the lease was theirs to give, though its holder has left");
    let (mut machine, mut out) = (StateChain::restore(Stored::default(), &ids()), Vec::new());
    machine.handle(&node(2), Message::State(Box::new(old.clone())), &chair.seat(), NOW, &mut out);
    assert!(matches!(out[..], [Output::Send { message: Message::Refuse(Refusal::Invalid), .. }]));
    let late = lease(1, 2, 0..3);
    assert_eq!(machine.open(late, &chair.seat(), &mut out), Err(WriteError::NotOpen));
}
