//! The voter: never two holders at overlapping times, never a token twice.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{Certified, Lease, Object};
use fcp_proto_core::time::{Now, UnixTime};

use super::token::{self, MAX_TOKEN_JUMP, epoch_of};
use super::{
    CLOCK_BOUND_SECS, Freed, MAX_TTL_SECS, MIN_TTL_SECS, Message, Output, PATIENCE, Promise, Proposal,
    Subject, Term, VoteRefusal,
};
use crate::persist::{BatchToken, Completion};

/// Subjects that a voter keeps promises over (chosen: some 20 MiB; what is full refuses, and forgets nothing).
pub const MAX_SUBJECTS: usize = 100_000;

/// One member's votes.
#[derive(Clone, Debug)]
pub struct Voter {
    me: NodeId,
    clock: UnixTime,
    promises: BTreeMap<Subject, Promise>,
    unsent: BTreeMap<BatchToken, (NodeId, Message)>,
    next_batch: u64,
}

impl Voter {
    /// The voter of the member `me`, which remembers all of the stored leases that it signed, in any order.
    //= docs/spec/leases.md#restart
    pub fn restore<'a>(me: NodeId, stored: impl IntoIterator<Item = &'a Object<Certified<Lease>>>) -> Self {
        let mut promises: BTreeMap<Subject, Promise> = BTreeMap::new();
        let own = |lease: &&Object<Certified<Lease>>| {
            lease.body.quorum_signatures.as_slice().iter().any(|by| by.node_id == me)
        };
        for lease in stored.into_iter().filter(own) {
            let fields = &lease.body.fields;
            let subject = Subject { zone: lease.header.zone_id.clone(), object: fields.subject_object_id };
            let promise = Promise {
                token: fields.lease_seq,
                holder: fields.holder.clone(),
                purpose: fields.purpose,
                exp: fields.exp,
                freed: Freed::No,
            };
            let newer = |known: &Promise| (promise.token, promise.exp) > (known.token, known.exp);
            if promises.get(&subject).is_none_or(newer) {
                promises.insert(subject, promise);
            }
        }
        Self { me, clock: UnixTime::default(), promises, unsent: BTreeMap::new(), next_batch: 0 }
    }

    /// The newest promise over `subject`.
    pub fn promise(&self, subject: &Subject) -> Option<&Promise> {
        self.promises.get(subject)
    }

    /// When the last lease that it voted for before `epoch` is over; what was given back is taken for held.
    //= docs/spec/membership.md#one-after-the-other
    pub fn quiet_at(&self, epoch: u64) -> UnixTime {
        let earlier = self.promises.values().filter(|promise| epoch_of(promise.token) < epoch);
        let ends = earlier.map(|promise| promise.exp.saturating_add(CLOCK_BOUND_SECS));
        ends.max().unwrap_or_default()
    }

    /// Takes a message that a member sent to a voter; the others are none of its business.
    pub fn handle(
        &mut self,
        from: &NodeId,
        message: &Message,
        seat: (&Term, &SigningKey<Node>),
        now: Now,
        out: &mut Vec<Output>,
    ) {
        self.clock = self.clock.max(now.unix);
        match message {
            Message::Ask { subject, round } => {
                let promise = self.promises.get(subject).cloned();
                let message = Message::Answer { subject: subject.clone(), round: *round, promise };
                out.push(Output::Send { to: from.clone(), message });
            }
            Message::Propose { round, proposal } => self.on_propose(from, *round, proposal, seat, out),
            Message::Release { subject, token, successor } => {
                self.on_release(from, subject, *token, successor.as_ref());
            }
            Message::Request(_)
            | Message::Answer { .. }
            | Message::Vote { .. }
            | Message::Refuse { .. }
            | Message::Grant(_)
            | Message::Deny { .. } => {}
        }
    }

    /// Takes what became of the write `batch`. A vote leaves only once it is durable.
    //= docs/spec/leases.md#voting
    pub fn handle_stored(&mut self, batch: BatchToken, completion: Completion, out: &mut Vec<Output>) {
        let Some((to, message)) = self.unsent.remove(&batch) else { return };
        match completion {
            Completion::Durable => out.push(Output::Send { to, message }),
            Completion::Refused(_) | Completion::Failed => {}
        }
    }

    fn on_propose(
        &mut self,
        from: &NodeId,
        round: u64,
        proposal: &Proposal,
        (term, key): (&Term, &SigningKey<Node>),
        out: &mut Vec<Output>,
    ) {
        let subject = proposal.subject.clone();
        if let Err(why) = self.judge(from, proposal, term) {
            let message = Message::Refuse { subject, round, why };
            return out.push(Output::Send { to: from.clone(), message });
        }
        let mut lease = proposal.object();
        // A lease is far within the encoder's bounds; one without an encoding would get no vote.
        let Ok(signature) = lease.vote(&self.me, self.clock, key) else { return };
        if lease.body.quorum_signatures.insert(signature.clone()).is_err() {
            return;
        }
        self.promises.insert(subject.clone(), Promise::to(proposal));
        let batch = BatchToken(self.next_batch);
        self.next_batch += 1;
        // A repeated proposal is written again: that it was promised before does not say that the promise is durable.
        self.unsent.insert(batch, (from.clone(), Message::Vote { subject, round, signature }));
        out.push(Output::Persist { batch, lease: Box::new(lease) });
    }

    fn judge(&self, from: &NodeId, proposal: &Proposal, term: &Term) -> Result<(), VoteRefusal> {
        let epoch = term.electorate.epoch();
        if !term.electorate.has(from) || !term.electorate.has(&proposal.holder) {
            return Err(VoteRefusal::NotAMember);
        }
        let Some(floor) = token::floor(epoch) else { return Err(VoteRefusal::Epoch(epoch)) };
        if epoch_of(proposal.token) != epoch || proposal.token == floor || self.clock < term.opens_at {
            return Err(VoteRefusal::Epoch(epoch));
        }
        if !self.times_hold(proposal) {
            return Err(VoteRefusal::Times);
        }
        let known = self.promises.get(&proposal.subject);
        let highest = known.map_or(floor, |promise| promise.token.max(floor));
        if proposal.token - floor > (highest - floor).saturating_add(MAX_TOKEN_JUMP) {
            return Err(VoteRefusal::TokenJump);
        }
        match known {
            None if self.promises.len() >= MAX_SUBJECTS => Err(VoteRefusal::Full),
            None => Ok(()),
            Some(promise) => judge_against(promise, proposal, self.clock),
        }
    }

    //= docs/spec/leases.md#clocks
    fn times_hold(&self, proposal: &Proposal) -> bool {
        let latest = self.clock.saturating_add(2 * CLOCK_BOUND_SECS);
        let earliest = self.clock.saturating_sub(2 * CLOCK_BOUND_SECS + PATIENCE.as_secs());
        (MIN_TTL_SECS..=MAX_TTL_SECS).contains(&proposal.ttl_secs)
            && (earliest..=latest).contains(&proposal.created_at)
    }

    // Forgotten in a crash, and so without a write: what was freed is then held to its end.
    //= docs/spec/leases.md#release-and-handoff
    fn on_release(&mut self, from: &NodeId, subject: &Subject, token: u64, successor: Option<&NodeId>) {
        let Some(promise) = self.promises.get_mut(subject) else { return };
        if promise.holder == *from && promise.token <= token && promise.freed == Freed::No {
            promise.freed = successor.map_or(Freed::ToAnybody, |node| Freed::To(node.clone()));
        }
    }
}

impl Promise {
    fn to(proposal: &Proposal) -> Self {
        Self {
            token: proposal.token,
            holder: proposal.holder.clone(),
            purpose: proposal.purpose,
            exp: proposal.exp(),
            freed: Freed::No,
        }
    }
}

//= docs/spec/leases.md#voting
//= docs/spec/leases.md#what-holds
//= docs/spec/leases.md#renewal
fn judge_against(promise: &Promise, proposal: &Proposal, now: UnixTime) -> Result<(), VoteRefusal> {
    if proposal.token < promise.token
        || (proposal.token == promise.token && proposal.holder != promise.holder)
    {
        return Err(VoteRefusal::Stale { promised: promise.token });
    }
    if proposal.token == promise.token {
        let same = proposal.purpose == promise.purpose && proposal.exp() >= promise.exp;
        let live = promise.freed == Freed::No && !promise.is_over(now);
        return if same && live { Ok(()) } else { Err(VoteRefusal::NotRenewable) };
    }
    if promise.blocks(&proposal.holder, now) {
        return Err(VoteRefusal::Held { holder: promise.holder.clone(), exp: promise.exp });
    }
    Ok(())
}
