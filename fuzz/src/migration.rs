//! Strict calls of a connector on three members, played by a schedule: what is lost, doubled and late, who dies, whose
//! lease ends or is passed on; and a service that remembers what was done to it.

use std::collections::{BTreeSet, VecDeque};

use fcp_proto_core::ids::{CallId, ConnectorId, Digest, ObjectId, OperationId, PrincipalId, TokenId};
use fcp_proto_core::object::{
    Effect, Header, LeasePurpose, Object, OperationIntent, SettledBy, Settlement, Signed, SignedBody,
    StateOwner,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::Label;
use fcp_state_machines::persist::{BatchToken, Completion};
use fcp_state_machines::replica::chain::Seat;
use fcp_state_machines::replica::migration::{End, Kept, Message, Migration, Output, Stored};

use crate::mesh::{MEMBERS, Mesh, START, Wire, disturb};

/// Steps of a schedule that are played.
const MAX_STEPS: usize = 100;

/// Whatever happens, no call is made twice or after its end; and in the end somebody can make calls.
pub(crate) fn schedule(input: &[u8]) {
    let mut play = Play::new();
    for [what, how] in input.as_chunks().0.iter().take(MAX_STEPS) {
        play.step(*what, usize::from(*how));
    }
    play.wire.clear();
    play.tenure = None;
    play.hold(0);
    while !play.wire.is_empty() {
        play.deliver();
    }
    assert!(play.members[0].machine.serving().is_some(), "nobody can make calls any more");
}

struct Member {
    machine: Migration,
    disk: Vec<Kept>,
    writes: VecDeque<(BatchToken, Kept)>,
}

struct Play {
    mesh: Mesh,
    owner: StateOwner,
    members: Vec<Member>,
    wire: Wire<Message>,
    /// Who has the lease, and its token.
    tenure: Option<(usize, u64)>,
    begun: u64,
    effects: Vec<ObjectId>,
    ended: BTreeSet<ObjectId>,
}

impl Play {
    fn new() -> Self {
        let mesh = Mesh::new();
        let member = |_| Member {
            machine: Migration::restore(Stored::default(), &mesh.ids),
            disk: Vec::new(),
            writes: VecDeque::new(),
        };
        let connector_id = ConnectorId::new("fcp.notes").expect("a connector");
        Self {
            members: (0..MEMBERS).map(member).collect(),
            owner: StateOwner { connector_id, instance_id: None },
            mesh,
            wire: Wire::new(),
            tenure: None,
            begun: 0,
            effects: Vec::new(),
            ended: BTreeSet::new(),
        }
    }

    fn step(&mut self, what: u8, how: usize) {
        let who = how % MEMBERS;
        match what % 8 {
            0 | 1 => (0..=how % 32).for_each(|_| self.deliver()),
            2 => disturb(&mut self.wire, how),
            3 => self.crash(who),
            4 => self.hold(who),
            5 => self.begin(),
            6 => self.act(who, |it, seat, out| it.remind(seat, out)),
            _ => self.pass_on(how),
        }
    }

    /// All writes succeed, and the next message arrives.
    fn deliver(&mut self) {
        for i in 0..MEMBERS {
            while let Some((batch, kept)) = self.members[i].writes.pop_front() {
                self.members[i].disk.push(kept);
                self.act(i, |it, _, out| it.handle_stored(batch, Completion::Durable, out));
            }
        }
        let Some((from, to, message)) = self.wire.pop_front() else { return };
        let from = self.mesh.names[from].clone();
        self.act(to, |it, seat, out| it.handle(&from, message, seat, out));
    }

    /// What a member has not written is gone.
    fn crash(&mut self, i: usize) {
        let member = &mut self.members[i];
        member.writes.clear();
        let mut stored = Stored::default();
        for kept in member.disk.clone() {
            match kept {
                Kept::Fence(lease) => stored.fences.push(*lease),
                Kept::Intent(open) => stored.intents.push(*open),
                Kept::End(ended) => stored.ends.push(*ended),
            }
        }
        member.machine = Migration::restore(stored, &self.mesh.ids);
    }

    /// The lease of whoever has it is over, and this member gets the next.
    fn hold(&mut self, i: usize) {
        let lease = self.mesh.lease(i, LeasePurpose::ConnectorStateWrite);
        self.tenure = Some((i, lease.body.fields.lease_seq));
        let holds = self.act(i, |it, seat, out| it.hold(lease, seat, out));
        assert!(holds, "it is its own lease");
        self.act(i, |it, _, out| it.handle_ready(out));
    }

    fn begin(&mut self) {
        let Some((i, token)) = self.tenure else { return };
        self.begun += 1;
        let mut call = [0; 16];
        call[..8].copy_from_slice(&self.begun.to_le_bytes());
        let intent = OperationIntent {
            call_id: CallId::from_bytes(call),
            request: ObjectId::from_bytes([1; 32]),
            call_digest: Digest::from_bytes([2; 32]),
            principal: PrincipalId::new("agent").expect("a name"),
            connector: self.owner.connector_id.clone(),
            operation: OperationId::new("notes.add").expect("an operation"),
            token_id: TokenId::from_bytes([3; 16]),
            grants: BTreeSet::new(),
            approvals: BTreeSet::new(),
            standing_approval: None,
            idempotency_key: None,
            idempotency_expires_at: None,
            reservations: Vec::new(),
            input_label: Label::default(),
            revocation_seq: 0,
            interface_hash: Digest::from_bytes([4; 32]),
            code_digest: Digest::from_bytes([5; 32]),
            lease_seq: Some(token),
            planned_at: UnixTime::from_secs(START),
            planned_by: self.mesh.names[i].clone(),
        };
        let intent = self.sign(i, intent);
        // Who does not serve begins nothing.
        let _ = self.act(i, |it, seat, out| it.begin(intent, seat, out));
    }

    fn pass_on(&mut self, how: usize) {
        let Some((i, _)) = self.tenure else { return };
        let to = self.mesh.names[how % MEMBERS].clone();
        self.act(i, |it, seat, out| it.drain(to, seat, out));
        if how >= 128 {
            self.act(i, |it, _, out| it.hurry(out));
        }
    }

    /// What a member finds out of a call, or saw of its own.
    fn end(&mut self, i: usize, intent: ObjectId) {
        let made = self.effects.contains(&intent);
        self.ended.insert(intent);
        let settlement = Settlement {
            intent,
            effect: if made { Effect::Made } else { Effect::None },
            settled_by: SettledBy::Probe,
            note: None,
            settled_at: UnixTime::from_secs(START),
        };
        let end = End::Settlement(Box::new(self.sign(i, settlement)));
        self.act(i, |it, seat, out| it.end(end, seat, out));
    }

    /// The call leaves, if this member has the lease.
    fn dispatch(&mut self, i: usize, id: ObjectId) {
        if self.tenure.is_none_or(|(holder, _)| holder != i) {
            return;
        }
        assert!(!self.ended.contains(&id), "a call is made after its end");
        assert!(!self.effects.contains(&id), "a call is made twice");
        self.effects.push(id);
        if self.effects.len().is_multiple_of(2) {
            self.end(i, id);
        }
    }

    fn sign<T: SignedBody>(&self, i: usize, fields: T) -> Object<Signed<T>> {
        let at = UnixTime::from_secs(START);
        let header = Header::new(&T::SCHEMA, &self.mesh.zone, at, Label::default(), None);
        Object::sign(header, fields, &self.mesh.keys[i]).expect("small")
    }

    fn take(&mut self, i: usize, output: Output) {
        match output {
            Output::Persist { batch, kept } => self.members[i].writes.push_back((batch, kept)),
            Output::Send { to, message } => {
                let to = self.mesh.number(&to);
                self.wire.push_back((i, to, message));
            }
            Output::Settle(open) => {
                let stored = open.intent.store().expect("small");
                self.end(i, stored.id(&self.mesh.ids).expect("small"));
            }
            Output::Serving => {
                let known = self.effects.iter().all(|id| self.ended.contains(id));
                assert!(known, "somebody serves and does not know what became of a call");
            }
            Output::Dispatch(id) => self.dispatch(i, id),
            Output::Withdraw(id) => self.end(i, id),
            Output::Checkpoint => self.act(i, |it, _, out| it.handle_checkpointed(out)),
            Output::Release { .. } => drop(self.tenure.take_if(|(holder, _)| *holder == i)),
            Output::Ended(_) | Output::Fenced(_) => (),
        }
    }

    fn act<T>(&mut self, i: usize, act: impl FnOnce(&mut Migration, &Seat<'_>, &mut Vec<Output>) -> T) -> T {
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
            self.take(i, output);
        }
        result
    }
}
