//! The voter: one checkpoint in one place, and nothing that it does not know.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{Certified, ChainEnd, Lease, LeasePurpose, Object, ZoneCheckpoint};
use fcp_proto_core::time::UnixTime;

use super::chain::{Chain, Checkpoint};
use super::heads::{Heads, end};
use super::messages::{CastVote, Proposal, VoteRefusal};
use super::proof::{SignedHead, is_signed_by};
use super::{PATIENCE, Seat};
use crate::trust::lease::CLOCK_BOUND_SECS;

/// One member's votes over the checkpoints of one zone.
#[derive(Clone, Debug, Default)]
pub(super) struct Voter {
    vote: Option<Box<CastVote>>,
    /// The highest fencing token of a coordinator. Forgotten in a crash: it spares votes, and makes none safe.
    fence: u64,
}

impl Voter {
    /// Takes a vote that was made durable before a restart.
    //= docs/spec/checkpoints.md#restart
    pub(super) fn remember(&mut self, vote: Box<CastVote>) {
        let place = |vote: &CastVote| {
            let fields = &vote.checkpoint.body.fields;
            (fields.checkpoint_seq, fields.as_of_epoch)
        };
        if self.vote.as_ref().is_none_or(|known| place(known) < place(&vote)) {
            self.vote = Some(vote);
        }
    }

    pub(super) fn vote(&self) -> Option<&CastVote> {
        self.vote.as_deref()
    }

    /// Whether the next checkpoint was voted for, so that what it follows must stay what it is.
    pub(super) fn follows(&self, chain: &Chain) -> bool {
        let next = |seq: u64| chain.tip().is_some_and(|tip| tip.checkpoint.body.fields.checkpoint_seq < seq);
        self.vote.as_ref().is_some_and(|vote| next(vote.checkpoint.body.fields.checkpoint_seq))
    }

    /// Takes the lease of a coordinator: from now on none before it is voted for.
    //= docs/spec/checkpoints.md#coordinator
    pub(super) fn fence(
        &mut self,
        from: &NodeId,
        lease: &Object<Certified<Lease>>,
        seat: &Seat<'_>,
    ) -> Result<(), VoteRefusal> {
        let proven = seat.terms.current.certify(lease.clone()).map_err(|_| VoteRefusal::NoLease)?;
        let fields = proven.fields();
        let right = lease.header.zone_id == *seat.zone
            && fields.subject_object_id == seat.subject
            && fields.purpose == LeasePurpose::CoordinatorElection
            && fields.holder == *from;
        if !right {
            return Err(VoteRefusal::NoLease);
        }
        if fields.lease_seq < self.fence {
            return Err(VoteRefusal::Fenced(self.fence));
        }
        self.fence = fields.lease_seq;
        Ok(())
    }

    /// The checkpoint to vote for, with the vote, which must be durable before it leaves.
    //= docs/spec/checkpoints.md#voting
    pub(super) fn judge(
        &mut self,
        from: &NodeId,
        proposal: &Proposal,
        (chain, heads): (&Chain, &Heads),
        seat: &Seat<'_>,
        clock: UnixTime,
    ) -> Result<Box<CastVote>, VoteRefusal> {
        let checkpoint = proposal.signed.body.fields.to_vote_on();
        self.admit(from, proposal, &checkpoint, chain, seat)?;
        times_hold(proposal, &checkpoint, clock)?;
        follows_tip(&checkpoint, chain)?;
        self.votes_once(&checkpoint)?;
        facts_hold(&checkpoint.body.fields, seat)?;
        audit_holds(&checkpoint.body.fields, &proposal.heads, (chain, heads), seat)?;
        self.sign(checkpoint, proposal, seat, clock)
    }

    fn admit(
        &mut self,
        from: &NodeId,
        proposal: &Proposal,
        checkpoint: &Checkpoint,
        chain: &Chain,
        seat: &Seat<'_>,
    ) -> Result<(), VoteRefusal> {
        let (signed, electorate) = (&proposal.signed, &seat.terms.current);
        let by_sender = signed.body.fields.coordinator == *from
            && electorate.keys().get(from).is_some_and(|key| is_signed_by(signed, key));
        if !by_sender {
            return Err(VoteRefusal::NotTheProposer);
        }
        if chain.fork().is_some() {
            return Err(VoteRefusal::Halted);
        }
        if checkpoint.header.zone_id != *seat.zone || checkpoint.body.fields.as_of_epoch != electorate.epoch()
        {
            return Err(VoteRefusal::Epoch(electorate.epoch()));
        }
        self.fence(from, &proposal.lease, seat)
    }

    //= docs/spec/checkpoints.md#voting
    //= docs/spec/checkpoints.md#what-holds
    fn votes_once(&self, checkpoint: &Checkpoint) -> Result<(), VoteRefusal> {
        let Some(vote) = &self.vote else { return Ok(()) };
        let (voted, this) = (&vote.checkpoint.body.fields, &checkpoint.body.fields);
        let lapsed = voted.as_of_epoch < this.as_of_epoch;
        if lapsed || voted.checkpoint_seq < this.checkpoint_seq {
            return Ok(());
        }
        let same = vote.checkpoint.header == checkpoint.header && voted == this;
        if same { Ok(()) } else { Err(VoteRefusal::Voted) }
    }

    fn sign(
        &mut self,
        mut checkpoint: Checkpoint,
        proposal: &Proposal,
        seat: &Seat<'_>,
        clock: UnixTime,
    ) -> Result<Box<CastVote>, VoteRefusal> {
        // A checkpoint that came as a proposal has an encoding; one without would get no vote.
        let signature = checkpoint.vote(seat.me, clock, seat.key).map_err(|_| VoteRefusal::NotNext)?;
        checkpoint.body.quorum_signatures.insert(signature).map_err(|_| VoteRefusal::Voted)?;
        let vote = Box::new(CastVote { checkpoint: Box::new(checkpoint), heads: proposal.heads.clone() });
        self.vote = Some(vote.clone());
        Ok(vote)
    }
}

//= docs/spec/checkpoints.md#voting
fn times_hold(proposal: &Proposal, checkpoint: &Checkpoint, clock: UnixTime) -> Result<(), VoteRefusal> {
    let proposed = proposal.signed.body.fields.proposed_at;
    let latest = clock.saturating_add(2 * CLOCK_BOUND_SECS);
    let earliest = clock.saturating_sub(2 * CLOCK_BOUND_SECS + PATIENCE.as_secs());
    let holds = (earliest..=latest).contains(&proposed) && checkpoint.header.created_at <= proposed;
    if holds { Ok(()) } else { Err(VoteRefusal::Times) }
}

fn follows_tip(checkpoint: &Checkpoint, chain: &Chain) -> Result<(), VoteRefusal> {
    let next = match chain.tip() {
        Some(tip) => checkpoint.follows(tip.id, &tip.checkpoint).is_ok(),
        None => checkpoint.body.fields.checkpoint_seq == 0,
    };
    if next { Ok(()) } else { Err(VoteRefusal::NotNext) }
}

/// Each thing that is named was so for this member at some time since the last checkpoint.
//= docs/spec/checkpoints.md#voting
fn facts_hold(named: &ZoneCheckpoint, seat: &Seat<'_>) -> Result<(), VoteRefusal> {
    let known = seat.stood().any(|it| it.definition == named.zone_definition_head)
        && seat.stood().any(|it| it.policy == named.zone_policy_head)
        && seat.stood().any(|it| it.key_manifest == named.active_zone_key_manifest)
        && seat.stood().any(|it| it.revocation == named.revocation)
        && seat.stood().any(|it| it.freshness_secs == named.revocation_freshness_sla_secs);
    if known { Ok(()) } else { Err(VoteRefusal::UnknownFacts) }
}

/// Each chain ends where it ended in the last checkpoint, or where its node signed that it ends.
//= docs/spec/checkpoints.md#voting
fn audit_holds(
    named: &ZoneCheckpoint,
    evidence: &[SignedHead],
    (chain, heads): (&Chain, &Heads),
    seat: &Seat<'_>,
) -> Result<(), VoteRefusal> {
    let none = BTreeMap::new();
    let before = chain.tip().map_or(&none, |tip| &tip.checkpoint.body.fields.audit);
    let moved = |(node, to): &(&NodeId, &ChainEnd)| before.get(*node) != Some(*to);
    for (node, to) in named.audit.iter().filter(moved) {
        let key = seat.terms.current.keys().get(node);
        let signed = |head: &&SignedHead| {
            head.body.fields.node_id == *node
                && head.header.zone_id == *seat.zone
                && end(head) == *to
                && key.is_some_and(|key| is_signed_by(head, key))
        };
        if heads.proof(node).is_some() || !evidence.iter().any(|head| signed(&head)) {
            return Err(VoteRefusal::Audit(node.clone()));
        }
    }
    Ok(())
}
