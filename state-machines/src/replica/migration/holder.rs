//! The holder: settles what it finds, and then makes calls that a quorum knows of.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::ids::{NodeId, ObjectId};
use fcp_proto_core::object::{Certified, Lease, Object, OperationIntent, Signed};

use super::messages::{End, Ended, Message, Open, Output, Refusal};
use crate::replica::chain::Seat;

/// Strict calls without an end at one time (chosen: one connector does not make more at once).
pub const MAX_OPEN: usize = 128;

/// One member's holding, in this run alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Holder {
    held: Option<Held>,
    next_round: u64,
}

#[derive(Clone, Debug)]
struct Held {
    round: u64,
    lease: Box<Object<Certified<Lease>>>,
    phase: Phase,
    state_ready: bool,
    calls: BTreeMap<ObjectId, Call>,
    next_number: u64,
}

#[derive(Clone, Debug)]
enum Phase {
    /// What the members answered.
    Reading(BTreeMap<NodeId, (Vec<Open>, Vec<Ended>)>),
    /// What was found is being settled.
    Settling,
    Serving,
    /// No further call is begun.
    Draining(NodeId),
    /// The state is being written for the next holder.
    Checkpointing(NodeId),
}

/// A call without an end.
#[derive(Clone, Debug)]
struct Call {
    /// Its number, if it is this holder's.
    number: Option<u64>,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    /// These have its intent.
    Intended(Box<Open>, BTreeSet<NodeId>),
    /// It may have been made.
    Made,
    /// It is not to be made.
    Withdrawn,
    /// It ended, and these know.
    Ending(Box<Ended>, BTreeSet<NodeId>),
}

/// Why a strict call is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// This member does not hold, has not settled what it found, or passes the connector on.
    NotServing,
    /// The intent is not this member's, for this connector, under the lease that it holds.
    Mismatch,
    /// Too many calls have no end.
    Full,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotServing => "this node does not make strict calls of this connector now",
            Self::Mismatch => "the intent does not belong to this node's lease",
            Self::Full => "too many strict calls have no end",
        })
    }
}

impl core::error::Error for CallError {}

impl Holder {
    /// Begins to hold; the round of the question, unless it was answered under this very token.
    pub(super) fn hold(&mut self, lease: Object<Certified<Lease>>) -> Option<u64> {
        let same = |held: &&Held| held.token() == lease.body.fields.lease_seq;
        if self.held.as_ref().filter(same).is_some_and(|held| !matches!(held.phase, Phase::Reading(_))) {
            return None;
        }
        let round = self.next_round;
        self.next_round = round.wrapping_add(1);
        let phase = Phase::Reading(BTreeMap::new());
        let (lease, calls) = (Box::new(lease), BTreeMap::new());
        self.held = Some(Held { round, lease, phase, state_ready: false, calls, next_number: 0 });
        Some(round)
    }

    /// What was sent and has no answer of a quorum yet.
    //= docs/spec/replica.md#strict-calls
    pub(super) fn unanswered(&self) -> Vec<Message> {
        let Some(held) = &self.held else { return Vec::new() };
        let asked = matches!(held.phase, Phase::Reading(_));
        let ask = Message::Ask { round: held.round, lease: held.lease.clone() };
        let of_calls = held.calls.values().filter_map(|call| match &call.stage {
            Stage::Intended(open, _) => Some(Message::Intent(open.clone())),
            Stage::Ending(ended, _) => Some(Message::End(ended.clone())),
            Stage::Made | Stage::Withdrawn => None,
        });
        asked.then_some(ask).into_iter().chain(of_calls).collect()
    }

    pub(super) fn serving(&self) -> Option<u64> {
        let held = self.held.as_ref().filter(|held| matches!(held.phase, Phase::Serving))?;
        Some(held.token())
    }

    pub(super) fn state_ready(&mut self, out: &mut Vec<Output>) {
        if let Some(held) = &mut self.held {
            held.state_ready = true;
            held.advance(out);
        }
    }

    /// Takes an answer. When a quorum has answered, what has no end at any of them, and is known to have ended at none,
    /// is to be settled.
    //= docs/spec/replica.md#failover
    pub(super) fn on_answer(
        &mut self,
        from: &NodeId,
        round: u64,
        (open, ended): (Vec<Open>, Vec<Ended>),
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) {
        let Some(held) = self.held.as_mut().filter(|held| held.round == round) else { return };
        let Phase::Reading(answers) = &mut held.phase else { return };
        let name = |open: &Open| open.verify(&seat.once_granted(&open.lease)?.1, seat);
        if open.len() > MAX_OPEN || open.iter().any(|it| name(it).is_none()) {
            return;
        }
        answers.insert(from.clone(), (open, ended));
        if answers.len() < seat.electorate.quorum() {
            return;
        }
        let proven = |it: &&Ended| seat.once_granted(&it.lease).is_some_and(|(_, key)| it.end.is_by(&key));
        let ended = answers.values().flat_map(|(_, ended)| ended).filter(proven);
        let over: BTreeSet<_> = ended.map(|it| it.end.intent()).collect();
        let mut lows: BTreeMap<u64, u64> = BTreeMap::new();
        for it in answers.values().flat_map(|(open, _)| open) {
            let low = lows.entry(it.token()).or_default();
            *low = it.low.max(*low);
        }
        let mut found = BTreeMap::new();
        for it in answers.values().flat_map(|(open, _)| open).filter(|it| it.number >= lows[&it.token()]) {
            if let Some(id) = name(it).filter(|id| !over.contains(id)) {
                found.insert(id, it.clone());
            }
        }
        held.phase = Phase::Settling;
        for (id, it) in found {
            held.calls.insert(id, Call { number: None, stage: Stage::Made });
            out.push(Output::Settle(Box::new(it)));
        }
        held.advance(out);
    }

    //= docs/spec/replica.md#strict-calls
    pub(super) fn begin(
        &mut self,
        intent: Object<Signed<OperationIntent>>,
        seat: &Seat<'_>,
    ) -> Result<(ObjectId, Open), CallError> {
        let held = self.held.as_mut().filter(|held| matches!(held.phase, Phase::Serving));
        let held = held.ok_or(CallError::NotServing)?;
        if held.calls.len() >= MAX_OPEN {
            return Err(CallError::Full);
        }
        let number = held.next_number;
        let low = held.calls.values().filter_map(|call| call.number).min().unwrap_or(number);
        let lease = (*held.lease).clone();
        let open =
            Open::sign(intent, lease, (number, low), (seat.key, seat.ids)).ok_or(CallError::Mismatch)?;
        let id = open.verify(&seat.key.verifying_key(), seat).ok_or(CallError::Mismatch)?;
        if held.calls.contains_key(&id) {
            return Err(CallError::Mismatch);
        }
        held.next_number += 1;
        let stage = Stage::Intended(Box::new(open.clone()), BTreeSet::new());
        held.calls.insert(id, Call { number: Some(number), stage });
        Ok((id, open))
    }

    /// Counts a sink that has an intent. Once a quorum has, the call is to be made.
    //= docs/spec/replica.md#strict-calls
    pub(super) fn on_kept(&mut self, from: &NodeId, id: ObjectId, seat: &Seat<'_>, out: &mut Vec<Output>) {
        let Some(call) = self.held.as_mut().and_then(|held| held.calls.get_mut(&id)) else { return };
        let Stage::Intended(_, kept) = &mut call.stage else { return };
        kept.insert(from.clone());
        if kept.len() >= seat.electorate.quorum() {
            call.stage = Stage::Made;
            out.push(Output::Dispatch(id));
        }
    }

    pub(super) fn end(&mut self, end: End) -> Option<Ended> {
        let held = self.held.as_mut()?;
        let call = held.calls.get_mut(&end.intent())?;
        match call.stage {
            // What may still be dispatched has no end, and what has one has no other.
            Stage::Intended(..) | Stage::Ending(..) => None,
            Stage::Made | Stage::Withdrawn => {
                let ended = Ended { end, lease: (*held.lease).clone() };
                call.stage = Stage::Ending(Box::new(ended.clone()), BTreeSet::new());
                Some(ended)
            }
        }
    }

    /// Counts a sink that has the end of a call. Once a quorum has, it is over.
    //= docs/spec/replica.md#strict-calls
    pub(super) fn on_closed(&mut self, from: &NodeId, id: ObjectId, seat: &Seat<'_>, out: &mut Vec<Output>) {
        let Some(held) = self.held.as_mut() else { return };
        let Some(Call { stage: Stage::Ending(_, known), .. }) = held.calls.get_mut(&id) else { return };
        known.insert(from.clone());
        if known.len() >= seat.electorate.quorum() {
            held.calls.remove(&id);
            out.push(Output::Ended(id));
            held.advance(out);
        }
    }

    //= docs/spec/replica.md#planned-handoff
    pub(super) fn drain(&mut self, to: NodeId, out: &mut Vec<Output>) -> bool {
        let Some(held) = self.held.as_mut().filter(|held| matches!(held.phase, Phase::Serving)) else {
            return false;
        };
        held.phase = Phase::Draining(to);
        for (id, call) in &mut held.calls {
            if matches!(call.stage, Stage::Intended(..)) {
                call.stage = Stage::Withdrawn;
                out.push(Output::Withdraw(*id));
            }
        }
        held.advance(out);
        true
    }

    pub(super) fn hurry(&mut self, out: &mut Vec<Output>) {
        let Some(held) = &mut self.held else { return };
        if let Phase::Draining(to) = &held.phase {
            held.phase = Phase::Checkpointing(to.clone());
            out.push(Output::Checkpoint);
        }
    }

    //= docs/spec/replica.md#planned-handoff
    pub(super) fn checkpointed(&mut self) -> Option<NodeId> {
        let held = self.held.take_if(|held| matches!(held.phase, Phase::Checkpointing(_)))?;
        match held.phase {
            Phase::Checkpointing(to) => Some(to),
            Phase::Reading(_) | Phase::Settling | Phase::Serving | Phase::Draining(_) => None,
        }
    }

    /// Who is fenced has nothing more to begin.
    //= docs/spec/replica.md#fencing
    pub(super) fn on_refuse(&mut self, why: &Refusal, out: &mut Vec<Output>) {
        match why {
            Refusal::Fenced(token) => {
                if self.held.take_if(|held| held.token() < *token).is_some() {
                    out.push(Output::Fenced(*token));
                }
            }
            Refusal::Invalid | Refusal::Old | Refusal::Full => {}
        }
    }
}

impl Held {
    const fn token(&self) -> u64 {
        self.lease.body.fields.lease_seq
    }

    /// Goes on where nothing is left to wait for.
    fn advance(&mut self, out: &mut Vec<Output>) {
        match &self.phase {
            Phase::Settling if self.calls.is_empty() && self.state_ready => {
                self.phase = Phase::Serving;
                out.push(Output::Serving);
            }
            Phase::Draining(to) if self.calls.is_empty() => {
                self.phase = Phase::Checkpointing(to.clone());
                out.push(Output::Checkpoint);
            }
            Phase::Reading(_)
            | Phase::Settling
            | Phase::Serving
            | Phase::Draining(_)
            | Phase::Checkpointing(_) => {}
        }
    }
}
