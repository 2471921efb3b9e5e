//! The state of a connector on three members, played by a schedule: what is lost, doubled and late, who dies, who
//! believes itself the writer. And replicas that merge changes in the order of a schedule.

use std::collections::{BTreeMap, VecDeque};

use fcp_proto_core::encoding::cbor::{ByteString, FromCbor, ToCbor, Value, decode, encode};
use fcp_proto_core::ids::{ConnectorId, ObjectId};
use fcp_proto_core::object::{LeasePurpose, StateOwner};
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::persist::{BatchToken, Completion};
use fcp_state_machines::replica::chain::{Kept, Message, Output, Seat, StateChain, Stored};
use fcp_state_machines::replica::crdt::{HybridClock, LwwMap, Merge, OrSet, PnCounter, apply};

use crate::mesh::{MEMBERS, Mesh, START, Wire, disturb};

/// Steps of a schedule that are played.
const MAX_STEPS: usize = 100;

/// Whatever happens, what is committed comes from what was, and nobody pauses.
pub(crate) fn schedule(input: &[u8]) {
    let mut play = Play::new();
    for [what, how] in input.as_chunks().0.iter().take(MAX_STEPS) {
        play.step(*what, usize::from(*how));
    }
    play.settle();
    let before = play.committed;
    play.open(0);
    play.settle();
    play.write(0);
    play.settle();
    assert!(play.committed != before, "nobody can write any more");
}

struct Member {
    machine: StateChain,
    disk: Vec<Kept>,
    writes: VecDeque<(BatchToken, Kept)>,
}

struct Play {
    mesh: Mesh,
    owner: StateOwner,
    members: Vec<Member>,
    wire: Wire<Message>,
    value: u64,
    /// The state before each one that was sent.
    before: BTreeMap<ObjectId, Option<ObjectId>>,
    committed: Option<ObjectId>,
}

impl Play {
    fn new() -> Self {
        let mesh = Mesh::new();
        let machine = || StateChain::restore(Stored::default(), &mesh.ids);
        let member = |_| Member { machine: machine(), disk: Vec::new(), writes: VecDeque::new() };
        let members = (0..MEMBERS).map(member).collect();
        let owner =
            StateOwner { connector_id: ConnectorId::new("fcp.notes").expect("a name"), instance_id: None };
        Self { mesh, owner, members, wire: Wire::new(), value: 0, before: BTreeMap::new(), committed: None }
    }

    fn step(&mut self, what: u8, how: usize) {
        match what % 6 {
            0 | 1 => (0..=how % 32).for_each(|_| self.deliver()),
            2 => disturb(&mut self.wire, how),
            3 => self.crash(how % MEMBERS),
            4 => self.open(how % MEMBERS),
            _ => self.write(how % MEMBERS),
        }
    }

    fn deliver(&mut self) {
        for i in 0..MEMBERS {
            while let Some((batch, kept)) = self.members[i].writes.pop_front() {
                self.members[i].disk.push(kept);
                self.act(i, |it, _, out| it.handle_stored(batch, Completion::Durable, out));
            }
        }
        let Some((from, to, message)) = self.wire.pop_front() else { return };
        let from = self.mesh.names[from].clone();
        self.act(to, |it, seat, out| it.handle(&from, message, seat, now(), out));
    }

    fn settle(&mut self) {
        while !self.wire.is_empty() || self.members.iter().any(|member| !member.writes.is_empty()) {
            self.deliver();
        }
    }

    /// What a member has not written is gone.
    fn crash(&mut self, i: usize) {
        let member = &mut self.members[i];
        member.writes.clear();
        let mut stored = Stored::default();
        for kept in member.disk.clone() {
            match kept {
                Kept::Fence(lease) => stored.fences.push(*lease),
                Kept::State(written) => stored.states.push(*written),
                Kept::Snapshot(_) => (),
                Kept::Fork(_) | Kept::Decision(_) => unreachable!("nobody forks a state here"),
            }
        }
        member.machine = StateChain::restore(stored, &self.mesh.ids);
    }

    fn open(&mut self, i: usize) {
        let lease = self.mesh.lease(i, LeasePurpose::ConnectorStateWrite);
        let opened = self.act(i, |it, seat, out| it.open(lease, seat, out));
        assert_eq!(opened, Ok(()), "nothing is paused");
    }

    /// Who is not ready writes nothing.
    fn write(&mut self, i: usize) {
        self.value += 1;
        let value = encode(&Value::Unsigned(self.value)).expect("small");
        let _ = self.act(i, |it, seat, out| it.write(value, now(), seat, out));
    }

    fn act<T>(&mut self, i: usize, act: impl FnOnce(&mut StateChain, &Seat<'_>, &mut Vec<Output>) -> T) -> T {
        let seat = Seat {
            me: &self.mesh.names[i],
            key: &self.mesh.keys[i],
            zone: &self.mesh.zone,
            ids: &self.mesh.ids,
            electorate: &self.mesh.electorate,
            past: &self.mesh.past,
            owner: &self.owner,
            root: self.mesh.subject,
        };
        let mut out = Vec::new();
        let result = act(&mut self.members[i].machine, &seat, &mut out);
        for output in out {
            match output {
                Output::Send { to, message } => {
                    self.note(&message);
                    self.wire.push_back((i, self.mesh.number(&to), message));
                }
                Output::Persist { batch, kept } => self.members[i].writes.push_back((batch, kept)),
                Output::Forked(_) => panic!("nobody wrote two"),
                Output::Ready | Output::Committed(_) | Output::Forget(_) | Output::Resumed(_) => (),
            }
        }
        result
    }

    fn note(&mut self, message: &Message) {
        if let Message::State(written) = message {
            let id = written.id(&self.mesh.ids).expect("small");
            self.before.insert(id, written.state.body.fields.prev);
        }
        if let Message::Committed(id) = message {
            let last = self.committed;
            if last.is_none_or(|last| self.comes_from(*id, last)) {
                self.committed = Some(*id);
            } else {
                assert!(last.is_some_and(|last| self.comes_from(last, *id)), "what was committed is lost");
            }
        }
    }

    fn comes_from(&self, id: ObjectId, origin: ObjectId) -> bool {
        let mut at = Some(id);
        while let Some(known) = at.filter(|at| *at != origin) {
            at = self.before.get(&known).copied().flatten();
        }
        at.is_some()
    }
}

fn now() -> UnixTime {
    UnixTime::from_secs(START)
}

/// What a replica has.
#[derive(Clone, Default, PartialEq, Debug)]
struct Replica(LwwMap, OrSet, PnCounter);

impl Replica {
    fn take(&mut self, change: &Self) {
        apply(&mut self.0, &change.0).expect("few keys");
        apply(&mut self.1, &change.1).expect("few stamps");
        apply(&mut self.2, &change.2).expect("few members");
    }
}

/// Replicas that took the same changes, in whatever order, are equal, and so is what they are read back from.
pub(crate) fn merging(input: &[u8]) {
    let names = Mesh::new().names;
    let mut replicas = vec![Replica::default(); MEMBERS];
    let mut clocks: Vec<_> = names.iter().cloned().map(HybridClock::new).collect();
    let mut changes: Vec<Replica> = Vec::new();
    for [what, how] in input.as_chunks().0.iter().take(MAX_STEPS) {
        let (who, key) = (usize::from(*what) % MEMBERS, format!("{}", how % 4));
        let (replica, clock) = (&mut replicas[who], &mut clocks[who]);
        let mut stamp = || clock.stamp(UnixTime::from_secs(u64::from(how >> 4)));
        let mut change = Replica::default();
        match (what / 4) % 6 {
            0 => change.0 = replica.0.write(&key, Some(ByteString(vec![*how])), stamp()).expect("room"),
            1 => change.0 = replica.0.write(&key, None, stamp()).expect("room"),
            2 => change.1 = replica.1.add(&key, stamp()).expect("room"),
            3 => change.1 = replica.1.remove(&key).expect("room"),
            4 => change.2 = replica.2.take(&names[who], u64::from(*how)).expect("room"),
            _ => {
                let Some(known) = changes.get(usize::from(*how) % changes.len().max(1)) else { continue };
                known.0.stamps().chain(known.1.stamps()).for_each(|stamp| clock.observe(stamp));
                replica.take(known);
                continue;
            }
        }
        changes.push(change);
    }
    changes.iter().for_each(|change| replicas[0].take(change));
    changes.iter().rev().for_each(|change| replicas[1].take(change));
    let (first, second) = (replicas[0].clone(), replicas[1].clone());
    replicas[2].take(&first);
    replicas[2].take(&second);
    assert!(first == second && second == replicas[2], "the same changes, and other states");
    assert_eq!(read_back(&first.0), first.0);
    assert_eq!(read_back(&first.1), first.1);
    assert_eq!(read_back(&first.2), first.2);
}

fn read_back<S: ToCbor + FromCbor>(state: &S) -> S {
    let bytes = encode(state).expect("small");
    S::from_cbor(decode(&bytes).expect("canonical")).expect("of its type")
}
