//! The coordinator: asks, proposes, collects. It may forget everything at any time.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{
    Body, CHECKPOINT_AUDIT_EVENTS, CHECKPOINT_INTERVAL_SECS, Certified, ChainEnd, CheckpointProposal,
    CheckpointTrigger, Header, Lease, NodeSignature, Object, Signed, ZoneCheckpoint,
};
use fcp_proto_core::time::{Instant, UnixTime};
use fcp_proto_core::zone::{Label, default_level};

use super::chain::{Chain, Checkpoint, Tip};
use super::heads::{Heads, end};
use super::messages::{Answer, CastVote, Message, Output, Proposal, manual};
use super::proof::SignedHead;
use super::{PATIENCE, Seat, ZoneFacts};

/// One member's round over the checkpoints of one zone.
#[derive(Clone, Debug, Default)]
pub(super) struct Coordinator {
    round: Option<Round>,
    next_round: u64,
}

#[derive(Clone, Debug)]
struct Round {
    number: u64,
    began: Instant,
    lease: Box<Object<Certified<Lease>>>,
    reasons: Vec<CheckpointTrigger>,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// What the members answered.
    Asking(BTreeMap<NodeId, Option<Box<CastVote>>>),
    /// What is voted on, with the signatures so far, and who refused.
    Voting { checkpoint: Box<Checkpoint>, refused: BTreeSet<NodeId> },
}

impl Coordinator {
    /// Begins a round, unless one is on.
    pub(super) fn begin(
        &mut self,
        lease: Object<Certified<Lease>>,
        reasons: Vec<CheckpointTrigger>,
        mono: Instant,
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) -> bool {
        let on = |round: &Round| mono.saturating_since(round.began) < PATIENCE;
        if self.round.as_ref().is_some_and(on) {
            return false;
        }
        let number = self.next_round;
        self.next_round = number.wrapping_add(1);
        let phase = Phase::Asking(BTreeMap::new());
        let lease = Box::new(lease);
        send_all(seat, &Message::Ask { round: number, lease: lease.clone() }, out);
        self.round = Some(Round { number, began: mono, lease, reasons, phase });
        true
    }

    /// Takes an answer, whose certificate the chain has taken already.
    pub(super) fn on_answer(
        &mut self,
        from: &NodeId,
        answer: Answer,
        (chain, heads): (&Chain, &Heads),
        seat: &Seat<'_>,
        clock: UnixTime,
        out: &mut Vec<Output>,
    ) {
        let Some(round) = self.round.as_mut().filter(|round| round.number == answer.round) else { return };
        let Phase::Asking(answers) = &mut round.phase else { return };
        answers.insert(from.clone(), answer.vote);
        if answers.len() < seat.terms.current.quorum() {
            return;
        }
        let adopted = adoptable(answers, chain, seat);
        if adopted.is_none() && round.reasons.is_empty() {
            self.round = None;
            return;
        }
        let (checkpoint, evidence) = adopted.unwrap_or_else(|| compose(chain, heads, seat, clock));
        match propose(round, checkpoint, evidence, chain, seat, clock) {
            Some(proposal) => send_all(seat, &Message::Propose(Box::new(proposal)), out),
            None => self.round = None,
        }
    }

    /// Takes a signature. The certificate, once a quorum has signed.
    //= docs/spec/checkpoints.md#certified
    pub(super) fn on_vote(
        &mut self,
        from: &NodeId,
        number: u64,
        signature: NodeSignature,
        seat: &Seat<'_>,
    ) -> Option<Checkpoint> {
        let round = self.round.as_mut().filter(|round| round.number == number)?;
        let Phase::Voting { checkpoint, .. } = &mut round.phase else { return None };
        let mut alone = Object::uncertified(checkpoint.header.clone(), checkpoint.body.fields.clone());
        let electorate = &seat.terms.current;
        let verified = signature.node_id == *from
            && alone.body.quorum_signatures.insert(signature.clone()).is_ok()
            && alone.verify(electorate.keys(), 1).is_ok();
        if !verified || checkpoint.body.quorum_signatures.insert(signature).is_err() {
            return None;
        }
        let enough = checkpoint.body.quorum_signatures.as_slice().len() >= electorate.quorum();
        let certified = enough.then(|| (**checkpoint).clone());
        if enough {
            self.round = None;
        }
        certified
    }

    /// Takes a refusal; the round is over if no quorum is left.
    pub(super) fn on_refuse(&mut self, from: &NodeId, number: u64, seat: &Seat<'_>) {
        let Some(round) = self.round.as_mut().filter(|round| round.number == number) else { return };
        let Phase::Voting { refused, .. } = &mut round.phase else { return };
        refused.insert(from.clone());
        let electorate = &seat.terms.current;
        if refused.len() > electorate.members().count() - electorate.quorum() {
            self.round = None;
        }
    }
}

/// Why a checkpoint is due after `tip`.
//= docs/spec/checkpoints.md#due
pub(super) fn due(
    tip: Option<&Tip>,
    heads: &Heads,
    facts: &ZoneFacts,
    clock: UnixTime,
) -> Vec<CheckpointTrigger> {
    let Some(tip) = tip else { return alloc::vec![manual("the first")] };
    let last = &tip.checkpoint.body.fields;
    let links = |end: &Option<ChainEnd>| end.as_ref().map_or(0, |end| end.seq.saturating_add(1));
    let grew = |(node, head): (&NodeId, &SignedHead)| {
        let next = head.body.fields.head_seq.saturating_add(1);
        next.saturating_sub(last.audit.get(node).map_or(0, |end| end.seq.saturating_add(1)))
    };
    let triggers = [
        CheckpointTrigger::TimeElapsed {
            elapsed_secs: clock.saturating_since(tip.checkpoint.header.created_at),
            threshold_secs: CHECKPOINT_INTERVAL_SECS,
        },
        CheckpointTrigger::AuditChainGrowth {
            new_events: heads.newest_of_all().map(grew).fold(0, u64::saturating_add),
            threshold: CHECKPOINT_AUDIT_EVENTS,
        },
        CheckpointTrigger::RevocationChainGrowth {
            new_events: links(&facts.revocation).saturating_sub(links(&last.revocation)),
        },
        CheckpointTrigger::PolicyChange {
            old_policy_head: last.zone_policy_head,
            new_policy_head: facts.policy,
        },
    ];
    triggers.into_iter().filter(CheckpointTrigger::is_due).collect()
}

/// What was voted for in the next place and is not certified yet: it is finished before anything else is begun.
//= docs/spec/checkpoints.md#coordinator
fn adoptable(
    answers: &BTreeMap<NodeId, Option<Box<CastVote>>>,
    chain: &Chain,
    seat: &Seat<'_>,
) -> Option<(Checkpoint, Vec<SignedHead>)> {
    let next = |vote: &&CastVote| {
        let checkpoint = &vote.checkpoint;
        let follows = match chain.tip() {
            Some(tip) => checkpoint.follows(tip.id, &tip.checkpoint).is_ok(),
            None => checkpoint.body.fields.checkpoint_seq == 0,
        };
        follows && checkpoint.body.fields.as_of_epoch == seat.terms.current.epoch()
    };
    let own = |(node, vote): (&NodeId, &Option<Box<CastVote>>)| {
        let vote = vote.clone()?;
        let signed = vote.checkpoint.body.quorum_signatures.as_slice();
        let by_sender = signed.len() == 1 && signed.iter().all(|by| by.node_id == *node);
        let verified = by_sender && vote.checkpoint.verify(seat.terms.current.keys(), 1).is_ok();
        verified.then_some(vote)
    };
    let votes: Vec<_> = answers.iter().filter_map(own).collect();
    let open: Vec<&CastVote> = votes.iter().map(|vote| &**vote).filter(next).collect();
    let content = |vote: &CastVote| (vote.checkpoint.header.clone(), vote.checkpoint.body.fields.clone());
    let votes_for = |it: &&&CastVote| open.iter().filter(|other| content(other) == content(it)).count();
    let most = open.iter().max_by_key(votes_for)?;
    let (header, fields) = content(most);
    Some((Object::uncertified(header, fields), most.heads.clone()))
}

/// Where the zone stands now, for all that this member knows.
fn compose(chain: &Chain, heads: &Heads, seat: &Seat<'_>, clock: UnixTime) -> (Checkpoint, Vec<SignedHead>) {
    let last = chain.tip().map(|tip| &tip.checkpoint.body.fields);
    let mut audit = last.map_or_else(BTreeMap::new, |last| last.audit.clone());
    let mut evidence = Vec::new();
    for (node, head) in heads.newest_of_all() {
        let further = audit.get(node).is_none_or(|end| end.seq < head.body.fields.head_seq);
        if further && seat.terms.current.has(node) {
            audit.insert(node.clone(), end(head));
            evidence.push(head.clone());
        }
    }
    let facts = seat.facts;
    let fields = ZoneCheckpoint {
        checkpoint_seq: last.map_or(0, |last| last.checkpoint_seq.saturating_add(1)),
        prev_checkpoint: chain.tip().map(|tip| tip.id),
        revocation: facts.revocation.clone(),
        audit,
        zone_definition_head: facts.definition,
        zone_policy_head: facts.policy,
        active_zone_key_manifest: facts.key_manifest,
        as_of_epoch: seat.terms.current.epoch(),
        revocation_freshness_sla_secs: facts.freshness_secs,
    };
    let created_at = chain.tip().map_or(clock, |tip| clock.max(tip.checkpoint.header.created_at));
    let refs: BTreeSet<_> = fields.named().collect();
    let header = header::<Certified<ZoneCheckpoint>>(seat, created_at).with_refs(refs);
    (Object::uncertified(header, fields), evidence)
}

fn propose(
    round: &mut Round,
    checkpoint: Checkpoint,
    heads: Vec<SignedHead>,
    chain: &Chain,
    seat: &Seat<'_>,
    clock: UnixTime,
) -> Option<Proposal> {
    let triggers =
        if round.reasons.is_empty() { alloc::vec![manual("begun")] } else { round.reasons.clone() };
    let fields = CheckpointProposal {
        checkpoint_header: Box::new(checkpoint.header.clone()),
        checkpoint: checkpoint.body.fields.clone(),
        coordinator: seat.me.clone(),
        proposed_at: clock.max(checkpoint.header.created_at),
        triggers,
    };
    let header = header::<Signed<CheckpointProposal>>(seat, clock);
    let signed = Object::sign(header, fields, seat.key).ok()?;
    round.phase = Phase::Voting { checkpoint: Box::new(checkpoint), refused: BTreeSet::new() };
    Some(Proposal {
        round: round.number,
        lease: round.lease.clone(),
        base: chain.tip().map(|tip| tip.checkpoint.clone()),
        signed: Box::new(signed),
        heads,
    })
}

/// The header of an object that members make about their zone.
pub(super) fn header<T: Body>(seat: &Seat<'_>, at: UnixTime) -> Header {
    let level = default_level(seat.zone);
    let label = Label { confidentiality: level, ..Label::trusted(level) };
    Header::new(&T::SCHEMA, seat.zone, at, label, None)
}

/// Sends `message` to every member, this one included.
pub(super) fn send_all(seat: &Seat<'_>, message: &Message, out: &mut Vec<Output>) {
    let to_each = |to: &NodeId| Output::Send { to: to.clone(), message: message.clone() };
    out.extend(seat.terms.current.members().map(to_each));
}
