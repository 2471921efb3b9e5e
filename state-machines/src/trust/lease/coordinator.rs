//! The coordinator: asks for promises, proposes above them, gathers votes. All it knows may be lost.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::{Certified, Lease, NodeSignature, Object};
use fcp_proto_core::time::{Instant, Now, UnixTime};

use super::{Denial, Message, Output, Promise, Proposal, Request, Subject, Term, VoteRefusal, token};
use crate::trust::quorum::Electorate;

/// How long a round keeps others from the subject at its coordinator (chosen: far above a round trip and a write).
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Rounds at once.
const MAX_ROUNDS: usize = 1_000;

/// One member's rounds.
#[derive(Clone, Debug, Default)]
pub struct Coordinator {
    rounds: BTreeMap<Subject, Round>,
    next_round: u64,
}

#[derive(Clone, Debug)]
struct Round {
    number: u64,
    began: Instant,
    requester: NodeId,
    request: Request,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    Asking(BTreeMap<NodeId, Option<Promise>>),
    Voting { lease: Box<Object<Certified<Lease>>>, refusals: BTreeSet<NodeId> },
}

/// What an input makes of a round.
enum Step {
    Wait,
    Propose(Proposal),
    Grant(Box<Object<Certified<Lease>>>),
    Deny(Denial),
}

impl Coordinator {
    /// Takes a message that a member sent to a coordinator; the others are none of its business.
    pub fn handle(&mut self, from: &NodeId, message: &Message, term: &Term, now: Now, out: &mut Vec<Output>) {
        let electorate = &term.electorate;
        if !electorate.has(from) {
            return;
        }
        match message {
            Message::Request(request) => self.on_request(from, request, electorate, now, out),
            Message::Answer { subject, round, promise } => {
                self.step(subject, *round, electorate, out, |it| {
                    it.on_answer(from, promise.clone(), electorate, now.unix)
                })
            }
            Message::Vote { subject, round, signature } => {
                self.step(subject, *round, electorate, out, |it| {
                    it.on_vote(from, signature.clone(), electorate)
                })
            }
            Message::Refuse { subject, round, why } => {
                self.step(subject, *round, electorate, out, |it| it.on_refuse(from, why.clone(), electorate));
            }
            Message::Ask { .. }
            | Message::Propose { .. }
            | Message::Grant(_)
            | Message::Deny { .. }
            | Message::Release { .. } => {}
        }
    }

    //= docs/spec/leases.md#coordinator
    fn on_request(
        &mut self,
        from: &NodeId,
        request: &Request,
        electorate: &Electorate,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let subject = &request.subject;
        self.rounds.retain(|_, round| now.mono.saturating_since(round.began) < PATIENCE);
        if self.rounds.contains_key(subject) || self.rounds.len() >= MAX_ROUNDS {
            let message = Message::Deny { subject: subject.clone(), why: Denial::Busy };
            return out.push(Output::Send { to: from.clone(), message });
        }
        let number = self.next_round;
        self.next_round += 1;
        let mut round = Round {
            number,
            began: now.mono,
            requester: from.clone(),
            request: request.clone(),
            phase: Phase::Asking(BTreeMap::new()),
        };
        if let Some(token) = request.renews {
            let proposal = round.propose(token, now.unix);
            self.rounds.insert(subject.clone(), round);
            return propose(number, &proposal, electorate, out);
        }
        self.rounds.insert(subject.clone(), round);
        for to in electorate.members() {
            let message = Message::Ask { subject: subject.clone(), round: number };
            out.push(Output::Send { to: to.clone(), message });
        }
    }

    fn step(
        &mut self,
        subject: &Subject,
        number: u64,
        electorate: &Electorate,
        out: &mut Vec<Output>,
        take: impl FnOnce(&mut Round) -> Step,
    ) {
        let Some(round) = self.rounds.get_mut(subject).filter(|round| round.number == number) else { return };
        let message = match take(round) {
            Step::Wait => return,
            Step::Propose(proposal) => return propose(number, &proposal, electorate, out),
            Step::Grant(lease) => Message::Grant(lease),
            Step::Deny(why) => Message::Deny { subject: subject.clone(), why },
        };
        out.push(Output::Send { to: round.requester.clone(), message });
        self.rounds.remove(subject);
    }
}

impl Round {
    fn on_answer(
        &mut self,
        from: &NodeId,
        promise: Option<Promise>,
        electorate: &Electorate,
        now: UnixTime,
    ) -> Step {
        let Phase::Asking(answers) = &mut self.phase else { return Step::Wait };
        answers.insert(from.clone(), promise);
        let blocking = |promise: &&Promise| promise.blocks(&self.requester, now);
        let blocked = answers.values().flatten().filter(blocking).count();
        if blocked > electorate.members().count() - electorate.quorum() {
            let newest = answers.values().flatten().filter(blocking).max_by_key(|promise| promise.token);
            return newest.map_or(Step::Wait, |promise| {
                Step::Deny(Denial::Held { holder: promise.holder.clone(), exp: promise.exp })
            });
        }
        if answers.len() - blocked < electorate.quorum() {
            return Step::Wait;
        }
        match token::next(electorate.epoch(), highest(answers.values().flatten(), electorate.liars())) {
            Some(token) => Step::Propose(self.propose(token, now)),
            None => Step::Deny(Denial::TokensExhausted),
        }
    }

    fn propose(&mut self, token: u64, now: UnixTime) -> Proposal {
        let proposal = Proposal {
            subject: self.request.subject.clone(),
            holder: self.requester.clone(),
            token,
            purpose: self.request.purpose,
            created_at: now,
            ttl_secs: self.request.ttl_secs,
        };
        let lease = Box::new(proposal.object());
        self.phase = Phase::Voting { lease, refusals: BTreeSet::new() };
        proposal
    }

    //= docs/spec/leases.md#the-certificate
    fn on_vote(&mut self, from: &NodeId, signature: NodeSignature, electorate: &Electorate) -> Step {
        let Phase::Voting { lease, .. } = &mut self.phase else { return Step::Wait };
        let mut alone = Object::uncertified(lease.header.clone(), lease.body.fields.clone());
        let by_sender = signature.node_id == *from;
        let verified = alone.body.quorum_signatures.insert(signature.clone()).is_ok()
            && alone.verify(electorate.keys(), 1).is_ok();
        if !by_sender || !verified || lease.body.quorum_signatures.insert(signature).is_err() {
            return Step::Wait;
        }
        let signatures = lease.body.quorum_signatures.as_slice();
        let holder = signatures.iter().any(|signature| signature.node_id == lease.body.fields.holder);
        if holder && signatures.len() >= electorate.quorum() {
            Step::Grant(lease.clone())
        } else {
            Step::Wait
        }
    }

    fn on_refuse(&mut self, from: &NodeId, why: VoteRefusal, electorate: &Electorate) -> Step {
        let Phase::Voting { refusals, .. } = &mut self.phase else { return Step::Wait };
        refusals.insert(from.clone());
        let hopeless = refusals.len() > electorate.members().count() - electorate.quorum();
        if hopeless || *from == self.requester { Step::Deny(Denial::Refused(why)) } else { Step::Wait }
    }
}

fn propose(round: u64, proposal: &Proposal, electorate: &Electorate, out: &mut Vec<Output>) {
    out.extend(electorate.members().map(|to| Output::Send {
        to: to.clone(),
        message: Message::Propose { round, proposal: proposal.clone() },
    }));
}

/// The highest token that not only liars can have named.
//= docs/spec/leases.md#coordinator
fn highest<'a>(promises: impl Iterator<Item = &'a Promise>, liars: usize) -> u64 {
    let mut tokens: Vec<u64> = promises.map(|promise| promise.token).collect();
    tokens.sort_unstable_by(|a, b| b.cmp(a));
    tokens.get(liars).copied().unwrap_or(0)
}
