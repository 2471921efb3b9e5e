//! Votes, certificates and forks, one rule at a time.

use fcp_proto_core::object::CheckpointProposal;

use super::*;

/// A member with all that a seat has.
struct Chair {
    me: NodeId,
    key: SigningKey<Node>,
    terms: Terms,
    facts: ZoneFacts,
    earlier: Vec<ZoneFacts>,
    zone: ZoneId,
    ids: ObjectIdKey,
    machine: Checkpoints,
    kept: Vec<Kept>,
}

impl Chair {
    fn new(i: usize, terms: Terms) -> Self {
        let machine = Checkpoints::restore(&zone(), Stored::default(), &ids());
        let (facts, zone, ids) = (facts(), zone(), ids());
        Self {
            me: node(i),
            key: key(i),
            terms,
            facts,
            earlier: Vec::new(),
            zone,
            ids,
            machine,
            kept: Vec::new(),
        }
    }

    /// What it sends once all that it writes is durable.
    fn act(
        &mut self,
        now: Now,
        act: impl FnOnce(&mut Checkpoints, &Seat<'_>, Now, &mut Vec<Output>),
    ) -> Vec<Message> {
        let seat = Seat {
            me: &self.me,
            key: &self.key,
            zone: &self.zone,
            ids: &self.ids,
            terms: &self.terms,
            subject: subject(),
            facts: &self.facts,
            earlier: &self.earlier,
        };
        let (mut out, mut sent) = (Vec::new(), Vec::new());
        act(&mut self.machine, &seat, now, &mut out);
        while !out.is_empty() {
            match out.remove(0) {
                Output::Persist { batch, kept } => {
                    self.kept.push(kept);
                    self.machine.handle_stored(batch, Completion::Durable, &mut out);
                }
                Output::Send { message, .. } => sent.push(message),
                Output::Tell(_) => {}
            }
        }
        sent
    }

    fn tell(&mut self, from: usize, message: Message) -> Vec<Message> {
        self.act(at(START), |it, seat, now, out| it.handle(&node(from), message, seat, now, out))
    }

    fn restart(&mut self) {
        let mut stored = Stored::default();
        for kept in &self.kept {
            if let Kept::Vote(vote) = kept {
                stored.votes.push((**vote).clone());
            }
        }
        self.machine = Checkpoints::restore(&zone(), stored, &ids());
    }
}

/// The first checkpoint, as member 0 composes it when it has seen its own head and `others`.
fn first(terms: &Terms, others: &[SignedHead]) -> Proposal {
    let mut chair = Chair::new(0, terms.clone());
    for head in [&head(0, 3, 0, START)].into_iter().chain(others) {
        let from = (0..4).find(|i| node(*i) == head.body.fields.node_id).unwrap();
        chair.tell(from, Message::Head(Box::new(head.clone())));
    }
    let (n, epoch) = (terms.current.keys().len(), terms.current.epoch());
    let lease = lease(0, n, epoch, 5);
    let mut sent = chair.act(at(START), |it, seat, now, out| {
        assert!(it.coordinate(lease, None, seat, now, out), "the first is due");
    });
    let Some(Message::Ask { round, .. }) = sent.pop() else { panic!("it asks") };
    let mut sent = Vec::new();
    for from in 0..terms.current.quorum() {
        let answer = Answer { round, tip: None, vote: None };
        sent = chair.tell(from, Message::Answer(Box::new(answer)));
    }
    let Some(Message::Propose(proposal)) = sent.pop() else { panic!("it proposes") };
    *proposal
}

/// The proposal changed and signed again by its coordinator.
fn changed(proposal: &Proposal, change: impl FnOnce(&mut CheckpointProposal)) -> Proposal {
    let mut fields = proposal.signed.body.fields.clone();
    change(&mut fields);
    let refs: alloc::collections::BTreeSet<_> = fields.checkpoint.named().collect();
    fields.checkpoint_header.refs = refs.into_iter().collect();
    let signed = Object::sign(proposal.signed.header.clone(), fields, &key(0)).unwrap();
    Proposal { signed: Box::new(signed), ..proposal.clone() }
}

/// What member 1 says to the proposal: nothing if it votes.
fn says(chair: &mut Chair, from: usize, proposal: &Proposal) -> Option<VoteRefusal> {
    let sent = chair.tell(from, Message::Propose(Box::new(proposal.clone())));
    let said = sent.into_iter().find_map(|message| {
        if let Message::Refuse { why, .. } = message {
            return Some(Some(why));
        }
        matches!(message, Message::Vote { .. }).then_some(None)
    });
    said.expect("a vote or a refusal")
}

fn fresh(proposal: &Proposal) -> Option<VoteRefusal> {
    says(&mut Chair::new(1, terms(3)), 0, proposal)
}

//= docs/spec/checkpoints.md#voting
#[test]
fn a_voter_refuses_what_is_not_proposed_as_it_must_be() {
    let good = first(&terms(3), &[]);
    assert_eq!(fresh(&good), None);
    assert_eq!(says(&mut Chair::new(1, terms(3)), 2, &good), Some(VoteRefusal::NotTheProposer));
    let mut forged = good.clone();
    forged.signed.body.fields.proposed_at = UnixTime::from_secs(START + 1);
    assert_eq!(fresh(&forged), Some(VoteRefusal::NotTheProposer));
    assert_eq!(fresh(&changed(&good, |it| it.checkpoint.as_of_epoch = 9)), Some(VoteRefusal::Epoch(EPOCH)));
    for apart in [16, 30] {
        let early = |it: &mut CheckpointProposal| {
            it.proposed_at = UnixTime::from_secs(START - apart);
            it.checkpoint_header.created_at = it.proposed_at;
        };
        assert_eq!(fresh(&changed(&good, early)), Some(VoteRefusal::Times));
    }
    let ahead = |it: &mut CheckpointProposal| it.proposed_at = UnixTime::from_secs(START + 11);
    assert_eq!(fresh(&changed(&good, ahead)), Some(VoteRefusal::Times));
    let later =
        |it: &mut CheckpointProposal| it.checkpoint_header.created_at = UnixTime::from_secs(START + 1);
    assert_eq!(fresh(&changed(&good, later)), Some(VoteRefusal::Times));
    let second = |it: &mut CheckpointProposal| {
        it.checkpoint.checkpoint_seq = 1;
        it.checkpoint.prev_checkpoint = Some(ObjectId::from_bytes([5; 32]));
    };
    assert_eq!(fresh(&changed(&good, second)), Some(VoteRefusal::NotNext));
}

//= docs/spec/checkpoints.md#voting
#[test]
fn a_voter_signs_only_what_it_knows_to_have_been_so() {
    let good = first(&terms(3), &[]);
    let other = ObjectId::from_bytes([9; 32]);
    let unknown = Some(VoteRefusal::UnknownFacts);
    assert_eq!(fresh(&changed(&good, |it| it.checkpoint.zone_definition_head = other)), unknown);
    assert_eq!(fresh(&changed(&good, |it| it.checkpoint.zone_policy_head = other)), unknown);
    assert_eq!(fresh(&changed(&good, |it| it.checkpoint.active_zone_key_manifest = Some(other))), unknown);
    let end = Some(ChainEnd { head: other, seq: 0 });
    assert_eq!(fresh(&changed(&good, |it| it.checkpoint.revocation = end)), unknown);
    assert_eq!(fresh(&changed(&good, |it| it.checkpoint.revocation_freshness_sla_secs = 1)), unknown);
    let mut changed_since = Chair::new(1, terms(3));
    changed_since.earlier = alloc::vec![facts()];
    changed_since.facts.policy = other;
    assert_eq!(says(&mut changed_since, 0, &good), None, "it was so when it was proposed");
}

//= docs/spec/checkpoints.md#voting
#[test]
fn a_chain_moves_only_to_where_its_node_signed_that_it_ends() {
    let good = first(&terms(3), &[head(2, 4, 0, START)]);
    assert_eq!(fresh(&good), None);
    let refused = |i| Some(VoteRefusal::Audit(node(i)));
    let mut bare = good.clone();
    bare.heads.clear();
    assert_eq!(fresh(&bare), refused(0));
    let invented = |it: &mut CheckpointProposal| {
        it.checkpoint.audit.insert(node(2), ChainEnd { head: ObjectId::from_bytes([8; 32]), seq: 9 });
    };
    assert_eq!(fresh(&changed(&good, invented)), refused(2));
    let mut knowing = Chair::new(1, terms(3));
    knowing.tell(2, Message::Head(Box::new(head(2, 4, 1, START))));
    assert_eq!(says(&mut knowing, 0, &good), refused(2), "it has seen another story");
    let again = knowing.tell(0, Message::Propose(Box::new(good)));
    let told = again.iter().any(|message| matches!(message, Message::Accuse(_)));
    assert!(told, "each refusal comes with the proof: an earlier one may be lost");
}

//= docs/spec/checkpoints.md#coordinator
#[test]
fn who_coordinates_holds_the_newest_lease_for_it() {
    let good = first(&terms(3), &[]);
    let with = |lease: Object<Certified<Lease>>| Proposal { lease: Box::new(lease), ..good.clone() };
    assert_eq!(fresh(&with(lease(0, 1, EPOCH, 5))), Some(VoteRefusal::NoLease), "one signature");
    assert_eq!(fresh(&with(lease(2, 3, EPOCH, 5))), Some(VoteRefusal::NoLease), "another's");
    assert_eq!(fresh(&with(lease(0, 3, EPOCH - 1, 5))), Some(VoteRefusal::NoLease), "of another epoch");
    let mut chair = Chair::new(1, terms(3));
    let ask = Message::Ask { round: 0, lease: Box::new(lease(2, 3, EPOCH, 6)) };
    assert!(matches!(chair.tell(2, ask)[..], [Message::Answer(_)]));
    assert_eq!(says(&mut chair, 0, &good), Some(VoteRefusal::Fenced((EPOCH << 32) + 6)));
    assert_eq!(says(&mut chair, 0, &with(lease(0, 3, EPOCH, 7))), None);
}

//= docs/spec/checkpoints.md#voting
//= docs/spec/checkpoints.md#restart
#[test]
fn a_voter_votes_for_one_checkpoint_in_one_place_even_after_a_restart() {
    let one = first(&terms(3), &[]);
    let other = first(&terms(3), &[head(2, 4, 0, START)]);
    let mut chair = Chair::new(1, terms(3));
    assert_eq!(says(&mut chair, 0, &one), None);
    assert_eq!(says(&mut chair, 0, &other), Some(VoteRefusal::Voted));
    assert_eq!(says(&mut chair, 0, &one), None, "the same again");
    chair.restart();
    assert_eq!(says(&mut chair, 0, &other), Some(VoteRefusal::Voted));
    chair.terms.past.insert(EPOCH, chair.terms.current.clone());
    chair.terms.current = electorate(3, EPOCH + 1, FaultModel::Crash);
    let next = first(&chair.terms, &[head(2, 4, 0, START)]);
    assert_eq!(says(&mut chair, 0, &next), None, "votes without a certificate lapse with their epoch");
}

//= docs/spec/checkpoints.md#voting
#[test]
fn no_vote_leaves_before_it_is_durable() {
    let mut chair = Chair::new(1, terms(3));
    let (good, mut out) = (first(&terms(3), &[]), Vec::new());
    chair.act(at(START), |it, seat, now, _| {
        it.handle(&node(0), Message::Propose(Box::new(good)), seat, now, &mut out);
    });
    assert!(out.iter().all(|it| matches!(it, Output::Persist { .. } | Output::Tell(_))), "{out:?}");
    let last = out.into_iter().rev().find_map(|it| {
        let Output::Persist { batch, kept } = it else { return None };
        matches!(kept, Kept::Vote(_)).then_some(batch)
    });
    let mut later = Vec::new();
    chair.machine.handle_stored(last.unwrap(), Completion::Failed, &mut later);
    assert_eq!(later, []);
}

/// The checkpoint of a proposal with the signatures of some.
fn signed(proposal: &Proposal, by: &[usize]) -> Checkpoint {
    let mut checkpoint = proposal.signed.body.fields.to_vote_on();
    for i in by {
        let vote = checkpoint.vote(&node(*i), UnixTime::from_secs(START), &key(*i)).unwrap();
        checkpoint.body.quorum_signatures.insert(vote).unwrap();
    }
    checkpoint
}

//= docs/spec/checkpoints.md#certified
#[test]
fn only_a_quorum_of_the_epochs_members_moves_the_chain() {
    let proposal = first(&terms(3), &[]);
    let seq = |checkpoint| {
        let mut chair = Chair::new(1, terms(3));
        chair.tell(0, Message::Certified(Box::new(checkpoint)));
        chair.machine.chain().tip().map(|tip| tip.checkpoint.body.fields.checkpoint_seq)
    };
    assert_eq!(seq(signed(&proposal, &[0, 2])), Some(0));
    assert_eq!(seq(signed(&proposal, &[0])), None);
    assert_eq!(seq(signed(&proposal, &[0, 7])), None, "a stranger");
    let next = changed(&proposal, |it| it.checkpoint.as_of_epoch = EPOCH + 1);
    assert_eq!(seq(signed(&next, &[0, 1, 2])), None, "an epoch to come");
}

//= docs/spec/checkpoints.md#certified
#[test]
fn a_member_that_was_away_follows_a_later_checkpoint_and_none_that_goes_back() {
    let proposal = first(&terms(3), &[head(2, 4, 0, START)]);
    let later = |seq: u64, audit: u64| {
        let jump = changed(&proposal, |it| {
            it.checkpoint.checkpoint_seq = seq;
            it.checkpoint.prev_checkpoint = Some(ObjectId::from_bytes([6; 32]));
            it.checkpoint.audit.insert(node(2), ChainEnd { head: ObjectId::from_bytes([8; 32]), seq: audit });
        });
        signed(&jump, &[0, 2])
    };
    let mut chair = Chair::new(1, terms(3));
    let mut tip_after = |checkpoint| {
        chair.tell(0, Message::Certified(Box::new(checkpoint)));
        chair.machine.chain().tip().map(|tip| tip.checkpoint.body.fields.checkpoint_seq)
    };
    assert_eq!(tip_after(signed(&proposal, &[0, 2])), Some(0));
    assert_eq!(tip_after(later(9, 3)), Some(0), "a chain is shorter there");
    assert_eq!(tip_after(later(9, 5)), Some(9));
    assert_eq!(tip_after(later(8, 6)), Some(9), "an old one");
}

//= docs/spec/checkpoints.md#forks
#[test]
fn two_in_one_place_halt_the_chain_name_who_signed_both_and_end_with_the_epoch() {
    let one = signed(&first(&terms(3), &[]), &[0, 2]);
    let other = signed(&first(&terms(3), &[head(2, 4, 0, START)]), &[1, 2]);
    let mut chair = Chair::new(1, terms(3));
    chair.tell(0, Message::Certified(Box::new(one.clone())));
    let sent = chair.tell(0, Message::Certified(Box::new(other.clone())));
    let Some(Message::Fork(fork)) = sent.into_iter().last() else { panic!("all are told") };
    assert_eq!(fork.double_signers(), [node(2)].into());
    let evidence = chair
        .kept
        .iter()
        .find_map(|kept| if let Kept::Fork(_, evidence) = kept { Some(evidence) } else { None });
    let named = |tip: &Tip| (tip.id, tip.checkpoint.clone());
    let (a, b) = (named(&fork.a), named(&fork.b));
    assert!(evidence.unwrap().is_proven_by((a.0, &a.1), (b.0, &b.1)));
    let next = first(&terms(3), &[]);
    assert_eq!(says(&mut chair, 0, &next), Some(VoteRefusal::Halted));
    let mut third = Chair::new(0, terms(3));
    third.tell(1, Message::Fork(fork));
    assert!(third.machine.chain().fork().is_some(), "everybody who has both halts");

    let mut stands = Vec::new();
    for chair in [&mut chair, &mut third] {
        assert!(chair.act(at(START), |it, seat, _, out| assert!(!it.resume(seat, out))).is_empty());
        chair.terms.past.insert(EPOCH, chair.terms.current.clone());
        chair.terms.current = electorate(3, EPOCH + 1, FaultModel::Crash);
        chair.act(at(START), |it, seat, _, out| assert!(it.resume(seat, out)));
        stands.push(chair.machine.chain().tip().unwrap().checkpoint.body.fields.clone());
    }
    assert_eq!(stands[0], stands[1], "the same one stands everywhere");
}

//= docs/spec/checkpoints.md#forks
#[test]
fn one_lying_member_of_four_certifies_no_second_checkpoint() {
    let byzantine = || Terms { current: electorate(4, EPOCH, FaultModel::Byzantine), past: BTreeMap::new() };
    let one = first(&byzantine(), &[]);
    let other = first(&byzantine(), &[head(2, 4, 0, START)]);
    // Member 0 coordinates both, and signs both.
    let mut honest: Vec<_> = (1..4).map(|i| Chair::new(i, byzantine())).collect();
    let votes = |honest: &mut [Chair], who: &[usize], proposal: &Proposal| {
        who.iter().filter(|i| says(&mut honest[**i], 0, proposal).is_none()).count() + 1
    };
    for split in [[0, 1], [1, 2], [0, 2]] {
        let certified = votes(&mut honest, &split, &one) >= 3;
        let rival = votes(&mut honest, &[0, 1, 2], &other) >= 3;
        assert!(!(certified && rival), "{split:?}");
    }
}

//= docs/spec/checkpoints.md#due
#[test]
fn a_checkpoint_is_due_by_time_growth_revocation_or_policy() {
    let mut chair = Chair::new(1, terms(1));
    chair.terms = terms(2);
    let base = signed(&first(&terms(2), &[]), &[0, 1]);
    chair.tell(0, Message::Certified(Box::new(base)));
    let round = |chair: &mut Chair, seconds: u64| {
        let lease = lease(1, 2, EPOCH, 9);
        let mut begun = false;
        let mut machine = chair.machine.clone();
        chair.act(at(seconds), |_, seat, now, out| begun = machine.coordinate(lease, None, seat, now, out));
        begun
    };
    assert!(!round(&mut chair, START + 60));
    assert!(round(&mut chair, START + 61));
    chair.facts.policy = ObjectId::from_bytes([4; 32]);
    assert!(round(&mut chair, START), "the policy changed");
    chair.facts = facts();
    chair.facts.revocation = Some(ChainEnd { head: ObjectId::from_bytes([4; 32]), seq: 0 });
    assert!(round(&mut chair, START), "something was revoked");
    chair.facts = facts();
    chair.tell(0, Message::Head(Box::new(head(0, 103, 0, START))));
    assert!(!round(&mut chair, START), "a hundred events");
    chair.tell(0, Message::Head(Box::new(head(0, 104, 0, START))));
    assert!(round(&mut chair, START), "and one more");
}
