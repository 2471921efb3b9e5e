//! Checkpoints among three members, played by a schedule: what is lost, doubled and late, who dies, who tells two stories.

use std::collections::{BTreeMap, VecDeque};

use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{AuditHead, Header, LeasePurpose, Object, SignedBody};
use fcp_proto_core::time::{Instant, Now, UnixTime};
use fcp_proto_core::zone::{Label, Level};
use fcp_state_machines::persist::{BatchToken, Completion};
use fcp_state_machines::trust::checkpoint::{
    Checkpoint, Checkpoints, Kept, Message, Output, Seat, SignedHead, Stored, Terms, ZoneFacts,
};

use crate::mesh::{MEMBERS, Mesh, START, Wire, disturb};

/// Steps of a schedule that are played.
const MAX_STEPS: usize = 100;

/// Whatever happens, no place has two, no chain goes back, and nobody honest is held for a liar.
pub(crate) fn schedule(input: &[u8]) {
    let mut play = Play::new();
    for [what, how] in input.as_chunks().0.iter().take(MAX_STEPS) {
        play.step(*what, usize::from(*how));
        play.check();
    }
}

struct Member {
    machine: Checkpoints,
    disk: Vec<Kept>,
    writes: VecDeque<(BatchToken, Kept)>,
    events: u64,
}

struct Play {
    mesh: Mesh,
    terms: Terms,
    facts: ZoneFacts,
    members: Vec<Member>,
    wire: Wire<Message>,
    seconds: u64,
    certified: BTreeMap<u64, Checkpoint>,
    /// The first member told two stories.
    lied: bool,
}

impl Play {
    fn new() -> Self {
        let mesh = Mesh::new();
        let member = |_| Member {
            machine: Checkpoints::restore(&mesh.zone, Stored::default(), &mesh.ids),
            disk: Vec::new(),
            writes: VecDeque::new(),
            events: 0,
        };
        let members = (0..MEMBERS).map(member).collect();
        let facts = ZoneFacts {
            definition: mesh.subject,
            policy: ObjectId::from_bytes([2; 32]),
            key_manifest: None,
            revocation: None,
            freshness_secs: 300,
        };
        let terms = Terms { current: mesh.electorate.clone(), past: BTreeMap::new() };
        let (wire, certified) = (Wire::new(), BTreeMap::new());
        Self { mesh, terms, facts, members, wire, seconds: START, certified, lied: false }
    }

    fn step(&mut self, what: u8, how: usize) {
        let who = how % MEMBERS;
        match what % 8 {
            0 | 1 => (0..=how % 32).for_each(|_| self.deliver()),
            2 => disturb(&mut self.wire, how),
            3 => self.crash(who),
            4 => self.append(who),
            5 => self.coordinate(who),
            6 => self.seconds += how as u64,
            _ => self.lie(how),
        }
    }

    /// A member's writes succeed, and the next message arrives.
    fn deliver(&mut self) {
        for i in 0..MEMBERS {
            while let Some((batch, kept)) = self.members[i].writes.pop_front() {
                self.members[i].disk.push(kept);
                self.act(i, |it, _, _, out| it.handle_stored(batch, Completion::Durable, out));
            }
        }
        let Some((from, to, message)) = self.wire.pop_front() else { return };
        let from = self.mesh.names[from].clone();
        self.act(to, |it, seat, now, out| it.handle(&from, message, seat, now, out));
    }

    /// What a member has not written is gone.
    fn crash(&mut self, i: usize) {
        let member = &mut self.members[i];
        member.writes.clear();
        let mut stored = Stored::default();
        for kept in member.disk.clone() {
            match kept {
                Kept::Head(head) => stored.heads.push(*head),
                Kept::Proof(proof) => stored.proofs.push(*proof),
                Kept::Vote(vote) => stored.votes.push(*vote),
                Kept::Checkpoint(checkpoint) => stored.checkpoints.push(*checkpoint),
                Kept::Fork(..) => unreachable!("nobody forks checkpoints here"),
            }
        }
        member.machine = Checkpoints::restore(&self.mesh.zone, stored, &self.mesh.ids);
    }

    fn append(&mut self, i: usize) {
        let head = self.head(i, self.members[i].events, 0);
        self.members[i].events += 1;
        let told = self.act(i, |it, seat, _, out| it.announce(&head, seat, out));
        assert!(told.is_ok(), "nobody was restored from an old copy");
    }

    /// The first member signs another event in a place that it has used.
    fn lie(&mut self, how: usize) {
        let Some(seq) = self.members[0].events.checked_sub(1) else { return };
        self.lied = true;
        let other = self.head(0, seq, 1);
        self.wire.push_back((0, how % MEMBERS, Message::Head(Box::new(other))));
    }

    fn coordinate(&mut self, i: usize) {
        let lease = self.mesh.lease(i, LeasePurpose::CoordinatorElection);
        self.act(i, |it, seat, now, out| it.coordinate(lease, None, seat, now, out));
    }

    fn head(&self, i: usize, seq: u64, story: u8) -> SignedHead {
        let mut event = [story; 32];
        event[..8].copy_from_slice(&seq.to_le_bytes());
        event[8] = i as u8;
        let fields = AuditHead {
            node_id: self.mesh.names[i].clone(),
            head_event: ObjectId::from_bytes(event),
            head_seq: seq,
        };
        let (at, label) = (UnixTime::from_secs(self.seconds), Label::trusted(Level::WORK));
        let header = Header::new(&AuditHead::SCHEMA, &self.mesh.zone, at, label, None);
        Object::sign(header, fields, &self.mesh.keys[i]).expect("small")
    }

    fn check(&self) {
        for (last, next) in self.certified.values().zip(self.certified.values().skip(1)) {
            assert!(!next.goes_back_from(last), "a chain went back");
        }
        for member in &self.members {
            for (i, name) in self.mesh.names.iter().enumerate() {
                let held = member.machine.heads().proof(name).is_some();
                assert!(!held || (i == 0 && self.lied), "an honest member is held for a liar");
            }
        }
    }

    fn act<T>(
        &mut self,
        i: usize,
        act: impl FnOnce(&mut Checkpoints, &Seat<'_>, Now, &mut Vec<Output>) -> T,
    ) -> T {
        let since = (self.seconds - START) * 1_000_000_000;
        let now = Now { mono: Instant::from_nanos(since), unix: UnixTime::from_secs(self.seconds) };
        let seat = Seat {
            me: &self.mesh.names[i],
            key: &self.mesh.keys[i],
            zone: &self.mesh.zone,
            ids: &self.mesh.ids,
            terms: &self.terms,
            subject: self.mesh.subject,
            facts: &self.facts,
            earlier: &[],
        };
        let mut out = Vec::new();
        let result = act(&mut self.members[i].machine, &seat, now, &mut out);
        for output in out {
            match output {
                Output::Send { to, message } => {
                    if let Message::Certified(checkpoint) = &message {
                        let seq = checkpoint.body.fields.checkpoint_seq;
                        let first = self.certified.entry(seq).or_insert_with(|| (**checkpoint).clone());
                        assert!(first.forks_from(checkpoint).is_none(), "one place has two");
                    }
                    self.wire.push_back((i, self.mesh.number(&to), message));
                }
                Output::Persist { batch, kept } => self.members[i].writes.push_back((batch, kept)),
                Output::Tell(_) => (),
            }
        }
        result
    }
}
