//! Checkpoints: where all chains of a zone stand, certified by its members, who are each other's witnesses.
//!
//! Spec: docs/spec/checkpoints.md. One machine a zone on every member. Its parts: the [`Heads`] remember how far each
//! audit chain was seen to reach; the [`Chain`] has the newest certified checkpoint; a voter never votes for two in one
//! place; a coordinator, alone by its lease, collects the votes; and a member learns whether its own chain still reaches
//! as far as the others have seen.
//!
//! ```text
//!  node            witnesses        coordinator                      voters
//!   │ Head             │                 │ Ask                          │
//!   ├─────────────────►│ persist         ├─────────────────────────────►│
//!   │◄── Seen │ Behind ┤                 │◄──── Answer(newest, vote)    ┤
//!   │        Accuse ──►│ all             │ Propose(what is open, or new)│
//!                                        ├─────────────────────────────►│ persist the vote
//!                                        │◄──────────────── Vote │ Refuse┤ once it is durable
//!                                persist │ Certified                    │
//!                                        ├─────────────────────────────►│ persist, follow or halt
//! ```
//!
//! The driver delivers messages in any order, any number of times or never, each with the member that its session is
//! with; it answers [`Output::Persist`] through `handle_stored`. What it sends to a member may be meant for itself.

mod chain;
mod coordinator;
mod heads;
mod messages;
mod own;
mod proof;
#[cfg(test)]
mod tests;
mod voter;

pub use chain::{Chain, Checkpoint, CheckpointRefusal, Fork, Taken, Terms, Tip};
pub use heads::{Heads, RECENT_HEADS, Sighting};
pub use messages::{Answer, CastVote, Finding, Kept, Message, Output, Proposal, VoteRefusal};
pub use own::Place;
pub use proof::{Breach, HeadProof, SignedHead};

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::{Certified, ChainEnd, CheckpointFork, Lease, Object, ObjectIdKey, Signed};
use fcp_proto_core::time::{Now, UnixTime};

use self::coordinator::{Coordinator, due, header, send_all};
use self::messages::manual;
use self::own::Own;
use self::voter::Voter;
use crate::persist::{BatchToken, Completion};

/// How long a coordinator waits for a round, which after that may be begun anew.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Where a zone stands but for its audit chains, as one member knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneFacts {
    /// The zone's definition.
    pub definition: ObjectId,
    /// The zone's policy.
    pub policy: ObjectId,
    /// The manifest of the zone's key, if it has one.
    pub key_manifest: Option<ObjectId>,
    /// The end of the revocation chain, if anything is revoked.
    pub revocation: Option<ChainEnd>,
    /// How old what is known of revocations may be, in seconds.
    pub freshness_secs: u64,
}

/// Who this member is, and what it knows besides.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// This member.
    pub me: &'a NodeId,
    /// Its signing key.
    pub key: &'a SigningKey<Node>,
    /// The zone.
    pub zone: &'a ZoneId,
    /// What names the zone's objects.
    pub ids: &'a ObjectIdKey,
    /// The members.
    pub terms: &'a Terms,
    /// What the lease of a coordinator is over: the zone's first definition.
    pub subject: ObjectId,
    /// How the zone stands.
    pub facts: &'a ZoneFacts,
    /// How it stood since its last checkpoint, before the latest change.
    pub earlier: &'a [ZoneFacts],
}

impl Seat<'_> {
    /// All that was so since the last checkpoint.
    fn stood(&self) -> impl Iterator<Item = &ZoneFacts> {
        self.earlier.iter().chain([self.facts])
    }
}

/// What was durable at a restart, each in any order.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Heads of members' chains.
    pub heads: Vec<SignedHead>,
    /// Proofs against members.
    pub proofs: Vec<HeadProof>,
    /// Votes of this member.
    pub votes: Vec<CastVote>,
    /// Certified checkpoints.
    pub checkpoints: Vec<Checkpoint>,
}

/// One member's part in the checkpoints of one zone.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// The latest time that its wall clock read.
    clock: UnixTime,
    heads: Heads,
    own: Own,
    chain: Chain,
    voter: Voter,
    coordinator: Coordinator,
    /// What each write lets out once it is durable.
    unsent: BTreeMap<BatchToken, Vec<Output>>,
    next_batch: u64,
}

impl Checkpoints {
    /// The machine of a member that remembers what was durable.
    //= docs/spec/checkpoints.md#restart
    pub fn restore(zone: &ZoneId, mut stored: Stored, ids: &ObjectIdKey) -> Self {
        let (mut heads, mut chain, mut voter) =
            (Heads::new(zone.clone()), Chain::new(zone.clone()), Voter::default());
        stored.heads.sort_by_key(|head| head.body.fields.head_seq);
        stored.heads.iter().for_each(|head| heads.remember(head));
        stored.proofs.into_iter().for_each(|proof| _ = heads.halt(proof));
        stored.votes.into_iter().for_each(|vote| voter.remember(Box::new(vote)));
        stored.checkpoints.sort_by_key(|it| (it.body.fields.checkpoint_seq, it.body.fields.as_of_epoch));
        for checkpoint in stored.checkpoints {
            // What is older, or was refused when it came, is no part of the chain now either.
            let _ = chain.remember(checkpoint, ids);
        }
        Self {
            clock: UnixTime::default(),
            heads,
            own: Own::default(),
            chain,
            voter,
            coordinator: Coordinator::default(),
            unsent: BTreeMap::new(),
            next_batch: 0,
        }
    }

    /// What was seen of the members' audit chains.
    pub const fn heads(&self) -> &Heads {
        &self.heads
    }

    /// The chain of checkpoints.
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Whether this member's own audit chain reaches as far as the others have seen.
    pub fn place(&self, seat: &Seat<'_>) -> Place {
        self.own.place(seat.me, &seat.terms.current)
    }

    /// Tells all members that this member's own audit chain ends in `head`, which is durable: at a start, and then
    /// whenever it has grown.
    ///
    /// # Errors
    /// The head up to which the chain was seen to reach, if it must first be restored up to there.
    //= docs/spec/checkpoints.md#return
    pub fn announce(
        &mut self,
        head: &SignedHead,
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), Box<SignedHead>> {
        self.own.moved_to(head)?;
        send_all(seat, &Message::Head(Box::new(head.clone())), out);
        Ok(())
    }

    /// Begins a round under `lease`, which this member may use now, if a checkpoint is due, `asked` for, or begun.
    /// Whether a round was begun; call it again when [`PATIENCE`] has passed.
    //= docs/spec/checkpoints.md#coordinator
    pub fn coordinate(
        &mut self,
        lease: Object<Certified<Lease>>,
        asked: Option<String>,
        seat: &Seat<'_>,
        now: Now,
        out: &mut Vec<Output>,
    ) -> bool {
        self.clock = self.clock.max(now.unix);
        let mut reasons = due(self.chain.tip(), &self.heads, seat.facts, self.clock);
        reasons.extend(asked.map(|asked| manual(&asked)));
        let begun = self.voter.follows(&self.chain);
        (begun || !reasons.is_empty()) && self.coordinator.begin(lease, reasons, now.mono, seat, out)
    }

    /// Ends the halt by a fork, if the owner has raised the epoch. Whether it was ended.
    //= docs/spec/checkpoints.md#forks
    pub fn resume(&mut self, seat: &Seat<'_>, out: &mut Vec<Output>) -> bool {
        let resumed = self.chain.resume(seat.terms);
        if resumed {
            out.push(Output::Tell(Finding::Resumed { epoch: seat.terms.current.epoch() }));
        }
        resumed
    }

    /// Takes a message of a member. What others send has no effect.
    //= docs/spec/checkpoints.md#witnesses
    pub fn handle(
        &mut self,
        from: &NodeId,
        message: Message,
        seat: &Seat<'_>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        self.clock = self.clock.max(now.unix);
        if !seat.terms.current.has(from) {
            return;
        }
        match message {
            Message::Head(head) => self.on_head(from, &head, seat, out),
            Message::Seen { seq: _ } => self.own.on_seen(from),
            Message::Behind(head) => {
                if self.own.on_behind(&head, seat.me, &seat.key.verifying_key()) {
                    out.push(Output::Tell(Finding::RolledBack { seq: head.body.fields.head_seq }));
                }
            }
            Message::Accuse(proof) => self.on_accuse(*proof, seat, out),
            Message::Ask { round, lease } => self.on_ask(from, round, &lease, seat, out),
            Message::Answer(answer) => {
                if let Some(tip) = answer.tip.as_deref().filter(|tip| self.serves(tip, &answer)) {
                    self.take(tip, seat, out);
                }
                let known = (&self.chain, &self.heads);
                self.coordinator.on_answer(from, *answer, known, seat, self.clock, out);
            }
            Message::Propose(proposal) => self.on_propose(from, &proposal, seat, out),
            Message::Vote { round, signature } => {
                if let Some(checkpoint) = self.coordinator.on_vote(from, round, signature, seat) {
                    self.take(&checkpoint, seat, out);
                }
            }
            Message::Refuse { round, why: _ } => self.coordinator.on_refuse(from, round, seat),
            Message::Certified(checkpoint) => self.take(&checkpoint, seat, out),
            Message::Fork(fork) => {
                self.take(&fork.a.checkpoint, seat, out);
                self.take(&fork.b.checkpoint, seat, out);
            }
        }
    }

    /// Takes what became of the write `batch`. What depends on it leaves only once it is durable.
    pub fn handle_stored(&mut self, batch: BatchToken, completion: Completion, out: &mut Vec<Output>) {
        let Some(outputs) = self.unsent.remove(&batch) else { return };
        match completion {
            Completion::Durable => out.extend(outputs),
            Completion::Refused(_) | Completion::Failed => {}
        }
    }

    //= docs/spec/checkpoints.md#witnesses
    fn on_head(&mut self, from: &NodeId, head: &SignedHead, seat: &Seat<'_>, out: &mut Vec<Output>) {
        if head.body.fields.node_id != *from {
            return;
        }
        let answer = |message| Output::Send { to: from.clone(), message };
        match self.see(head, seat, out) {
            Sighting::Reaches => {
                let seen = answer(Message::Seen { seq: head.body.fields.head_seq });
                self.persist(Kept::Head(Box::new(head.clone())), [seen], out);
            }
            Sighting::Behind(newest) => out.push(answer(Message::Behind(newest))),
            Sighting::Halted(proof) => out.push(answer(Message::Accuse(Box::new(proof)))),
            Sighting::Contradicts(_) | Sighting::NotTheirs => {}
        }
    }

    /// Looks at a head; what contradicts another is told to all.
    fn see(&mut self, head: &SignedHead, seat: &Seat<'_>, out: &mut Vec<Output>) -> Sighting {
        let Some(key) = seat.terms.current.keys().get(&head.body.fields.node_id) else {
            return Sighting::NotTheirs;
        };
        let sighting = self.heads.see(head, key);
        if let Sighting::Contradicts(proof) = &sighting {
            self.spread(proof, seat, out);
        }
        sighting
    }

    //= docs/spec/checkpoints.md#proof
    fn on_accuse(&mut self, proof: HeadProof, seat: &Seat<'_>, out: &mut Vec<Output>) {
        let of_zone = proof.heads().into_iter().all(|head| head.header.zone_id == *seat.zone);
        let key = seat.terms.current.keys().get(proof.liar());
        let holds = of_zone && key.is_some_and(|key| proof.verify(key).is_some());
        if holds && self.heads.halt(proof.clone()) {
            self.spread(&proof, seat, out);
        }
    }

    fn spread(&mut self, proof: &HeadProof, seat: &Seat<'_>, out: &mut Vec<Output>) {
        let Some(breach) = proof.breach() else { return };
        out.push(Output::Tell(Finding::Halted { liar: proof.liar().clone(), breach }));
        let mut told = Vec::new();
        send_all(seat, &Message::Accuse(Box::new(proof.clone())), &mut told);
        self.persist(Kept::Proof(Box::new(proof.clone())), told, out);
    }

    //= docs/spec/checkpoints.md#coordinator
    fn on_ask(
        &mut self,
        from: &NodeId,
        round: u64,
        lease: &Object<Certified<Lease>>,
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) {
        if let Err(why) = self.voter.fence(from, lease, seat) {
            return out.push(Output::Send { to: from.clone(), message: Message::Refuse { round, why } });
        }
        let tip = self.chain.tip().map(|tip| tip.checkpoint.clone());
        let vote = self.voter.vote().cloned().map(Box::new);
        let message = Message::Answer(Box::new(Answer { round, tip, vote }));
        out.push(Output::Send { to: from.clone(), message });
    }

    /// Whether the checkpoint of an answer is later than this member's, or the one that a vote to be finished follows.
    fn serves(&self, tip: &Checkpoint, answer: &Answer) -> bool {
        let seq = tip.body.fields.checkpoint_seq;
        let later = self.chain.tip().is_none_or(|own| own.checkpoint.body.fields.checkpoint_seq < seq);
        let voted = answer.vote.as_ref().map(|vote| vote.checkpoint.body.fields.checkpoint_seq);
        later || voted.is_some_and(|voted| voted > seq)
    }

    //= docs/spec/checkpoints.md#voting
    fn on_propose(&mut self, from: &NodeId, proposal: &Proposal, seat: &Seat<'_>, out: &mut Vec<Output>) {
        if let Some(base) = &proposal.base {
            self.take(base, seat, out);
        }
        for head in proposal.heads.iter().take(seat.terms.current.keys().len()) {
            self.see(head, seat, out);
        }
        let known = (&self.chain, &self.heads);
        match self.voter.judge(from, proposal, known, seat, self.clock) {
            Err(why) => {
                // Who does not know of a halt proposes the chain again and again.
                if let VoteRefusal::Audit(node) = &why
                    && let Some(proof) = self.heads.proof(node)
                {
                    let message = Message::Accuse(Box::new(proof.clone()));
                    out.push(Output::Send { to: from.clone(), message });
                }
                let message = Message::Refuse { round: proposal.round, why };
                out.push(Output::Send { to: from.clone(), message });
            }
            Ok(vote) => {
                let signatures = vote.checkpoint.body.quorum_signatures.as_slice();
                let sent = signatures.first().map(|signature| Output::Send {
                    to: from.clone(),
                    message: Message::Vote { round: proposal.round, signature: signature.clone() },
                });
                self.persist(Kept::Vote(vote), sent, out);
            }
        }
    }

    /// Takes what may be a certificate, and tells all members of what is new.
    //= docs/spec/checkpoints.md#certified
    fn take(&mut self, checkpoint: &Checkpoint, seat: &Seat<'_>, out: &mut Vec<Output>) {
        let tip = self.chain.tip().map(|tip| &*tip.checkpoint);
        let variant = tip
            .is_some_and(|tip| tip.header == checkpoint.header && tip.body.fields == checkpoint.body.fields);
        if tip == Some(checkpoint) || (variant && self.voter.follows(&self.chain)) {
            return;
        }
        let mut told = Vec::new();
        match self.chain.take(checkpoint.clone(), seat.terms, seat.ids) {
            Ok(Taken::Newest) => {
                let seq = checkpoint.body.fields.checkpoint_seq;
                send_all(seat, &Message::Certified(Box::new(checkpoint.clone())), &mut told);
                told.push(Output::Tell(Finding::Certified { seq }));
                self.persist(Kept::Checkpoint(Box::new(checkpoint.clone())), told, out);
            }
            Ok(Taken::Same) => self.persist(Kept::Checkpoint(Box::new(checkpoint.clone())), told, out),
            Ok(Taken::Fork) => self.on_fork(seat, out),
            Ok(Taken::Old) | Err(_) => {}
        }
    }

    //= docs/spec/checkpoints.md#forks
    fn on_fork(&mut self, seat: &Seat<'_>, out: &mut Vec<Output>) {
        let Some(fork) = self.chain.fork().cloned() else { return };
        let refs = [fork.a.id, fork.b.id];
        let fields = fork.evidence(seat.me, self.clock);
        out.push(Output::Tell(Finding::Forked { seq: fields.conflicting_seq }));
        let header = header::<Signed<CheckpointFork>>(seat, self.clock).with_refs(refs);
        // Two ids and some names are far within the encoder's bounds; the halt does not wait for them.
        let Ok(signed) = Object::sign(header, fields, seat.key) else { return };
        let mut told = Vec::new();
        send_all(seat, &Message::Fork(Box::new(fork.clone())), &mut told);
        self.persist(Kept::Fork(Box::new(fork), Box::new(signed)), told, out);
    }

    fn persist(&mut self, kept: Kept, then: impl IntoIterator<Item = Output>, out: &mut Vec<Output>) {
        let batch = BatchToken(self.next_batch);
        self.next_batch += 1;
        self.unsent.insert(batch, then.into_iter().collect());
        out.push(Output::Persist { batch, kept });
    }
}
