//! A checkpoint is whole, follows the one before, and has no rival.

use fcp_proto_core::object::{
    Certified, ChainEnd, CheckpointError, CheckpointFork, CheckpointProposal, CheckpointTrigger, Object,
    Signed, ZoneCheckpoint,
};

use super::{after, at, certified, id, members, node, refuses, sample};

type Checkpoint = Object<Certified<ZoneCheckpoint>>;

//= docs/spec/objects.md#checkpoints
//= docs/spec/objects.md#layout
#[test]
fn a_checkpoint_refers_to_exactly_what_it_names() {
    for place in 0..sample::<Certified<ZoneCheckpoint>>().header.refs.len() {
        refuses::<Certified<ZoneCheckpoint>>(|it| {
            it.header.refs.remove(place);
        });
    }
    refuses::<Certified<ZoneCheckpoint>>(|it| it.header.refs.push(id(99)));
    refuses::<Certified<ZoneCheckpoint>>(|it| it.header.refs.push(it.header.refs[0]));
    let reversed = after::<Certified<ZoneCheckpoint>>(|it| it.header.refs.reverse());
    assert_eq!(reversed, Ok(()), "in any order");
}

#[test]
fn the_first_has_no_predecessor_and_every_other_has() {
    refuses::<Certified<ZoneCheckpoint>>(|it| it.body.fields.checkpoint_seq = 0);
    refuses::<Certified<ZoneCheckpoint>>(|it| {
        it.body.fields.prev_checkpoint = None;
        it.header.refs.retain(|it| *it != id(20));
    });
    refuses::<Certified<ZoneCheckpoint>>(|it| {
        it.body.fields.audit.clear();
        it.header.refs.retain(|it| ![id(21), id(22)].contains(it));
    });
}

/// The sample, and one that follows it.
fn next() -> (Checkpoint, Checkpoint) {
    let last = sample::<Certified<ZoneCheckpoint>>();
    let mut next = last.clone();
    next.body.fields.checkpoint_seq = 2;
    next.body.fields.prev_checkpoint = Some(id(90));
    next.header.created_at = at(60);
    (last, next)
}

fn follows(change: impl FnOnce(&mut Checkpoint)) -> Result<(), CheckpointError> {
    let (last, mut next) = next();
    change(&mut next);
    next.follows(id(90), &last)
}

//= docs/spec/objects.md#checkpoints
#[test]
fn a_checkpoint_follows_the_one_that_it_names() {
    assert_eq!(follows(|_| {}), Ok(()));
    let zone = "z:private".parse().expect("a zone");
    assert_eq!(follows(|it| it.header.zone_id = zone), Err(CheckpointError::ZoneMismatch));
    assert_eq!(follows(|it| it.body.fields.checkpoint_seq = 1), Err(CheckpointError::OutOfSequence));
    assert_eq!(follows(|it| it.body.fields.checkpoint_seq = 3), Err(CheckpointError::OutOfSequence));
    assert_eq!(
        follows(|it| it.body.fields.prev_checkpoint = Some(id(91))),
        Err(CheckpointError::WrongPredecessor)
    );
}

//= docs/spec/objects.md#checkpoints
#[test]
fn nothing_goes_back() {
    let back = Err(CheckpointError::WentBack);
    let end = |head, seq| ChainEnd { head: id(head), seq };
    assert_eq!(follows(|it| it.body.fields.revocation = None), back);
    assert_eq!(follows(|it| it.body.fields.revocation = Some(end(4, 1))), back);
    assert_eq!(
        follows(|it| it.body.fields.revocation = Some(end(4, 2))),
        back,
        "another link in the same place"
    );
    assert_eq!(follows(|it| it.body.fields.revocation = Some(end(4, 3))), Ok(()));
    assert_eq!(follows(|it| it.body.fields.audit.retain(|name, _| *name != node("desktop"))), back);
    assert_eq!(follows(|it| it.body.fields.audit.extend([(node("desktop"), end(5, 6))])), back);
    assert_eq!(follows(|it| it.body.fields.audit.extend([(node("phone"), end(5, 0))])), Ok(()));
    assert_eq!(follows(|it| it.body.fields.as_of_epoch = 0), back);
    let before = fcp_proto_core::time::UnixTime::from_secs(super::MADE - 1);
    assert_eq!(follows(|it| it.header.created_at = before), back);
}

//= docs/spec/objects.md#checkpoints
#[test]
fn two_checkpoints_in_one_place_are_a_fork_and_name_who_signed_both() {
    let one = certified(&sample::<Certified<ZoneCheckpoint>>(), &[("laptop", 3), ("desktop", 11)]);
    let mut rival = one.clone();
    rival.body.fields.as_of_epoch = 2;
    let rival = certified(&rival, &[("desktop", 11), ("phone", 12)]);
    assert_eq!(one.forks_from(&rival), Some([node("desktop")].into()));
    assert_eq!(one.forks_from(&certified(&one, &[("phone", 12)])), None, "the same, signed by others");
    let (last, next) = next();
    assert_eq!(last.forks_from(&next), None, "another place");
    let mut elsewhere = rival.clone();
    elsewhere.header.zone_id = "z:private".parse().expect("a zone");
    assert_eq!(one.forks_from(&elsewhere), None, "another zone");
    let evidence = sample::<Signed<CheckpointFork>>().body.fields;
    assert_eq!(evidence.double_signers(), [node("laptop")].into());
}

//= docs/spec/objects.md#checkpoints
#[test]
fn evidence_of_a_fork_is_proven_by_the_two_that_it_names() {
    let proven = |change: &dyn Fn(&mut CheckpointFork), seq: u64| {
        let mut evidence = sample::<Signed<CheckpointFork>>();
        change(&mut evidence.body.fields);
        let mut one = sample::<Certified<ZoneCheckpoint>>();
        one.body.fields.checkpoint_seq = seq;
        let mut rival = one.clone();
        rival.body.fields.as_of_epoch = 2;
        let one = certified(&one, &[("laptop", 3), ("desktop", 11)]);
        let rival = certified(&rival, &[("laptop", 3), ("phone", 12)]);
        evidence.is_proven_by((id(30), &one), (id(31), &rival))
    };
    assert!(proven(&|_| {}, 1));
    assert!(!proven(&|_| {}, 2), "another place");
    assert!(!proven(&|it| it.checkpoint_a = id(1), 1), "another checkpoint");
    assert!(!proven(&|it| it.signers_b.clear(), 1), "other signers");
    let one = certified(&sample::<Certified<ZoneCheckpoint>>(), &[("laptop", 3), ("desktop", 11)]);
    let same = certified(&one, &[("laptop", 3), ("phone", 12)]);
    let evidence = sample::<Signed<CheckpointFork>>();
    assert!(!evidence.is_proven_by((id(30), &one), (id(31), &same)), "no contradiction");
}

#[test]
fn evidence_of_a_fork_names_two() {
    refuses::<Signed<CheckpointFork>>(|it| it.body.fields.checkpoint_b = it.body.fields.checkpoint_a);
    refuses::<Signed<CheckpointFork>>(|it| {
        it.header.refs.pop();
    });
}

//= docs/spec/objects.md#checkpoints
#[test]
fn a_proposal_has_reasons_and_a_whole_checkpoint() {
    let replaced = |trigger: CheckpointTrigger| {
        refuses::<Signed<CheckpointProposal>>(|it| it.body.fields.triggers = vec![trigger])
    };
    replaced(CheckpointTrigger::TimeElapsed { elapsed_secs: 60, threshold_secs: 60 });
    replaced(CheckpointTrigger::AuditChainGrowth { new_events: 100, threshold: 100 });
    replaced(CheckpointTrigger::RevocationChainGrowth { new_events: 0 });
    replaced(CheckpointTrigger::PolicyChange { old_policy_head: id(1), new_policy_head: id(1) });
    refuses::<Signed<CheckpointProposal>>(|it| it.body.fields.triggers.clear());
    refuses::<Signed<CheckpointProposal>>(|it| {
        it.body.fields.checkpoint_header.refs.pop();
    });
    refuses::<Signed<CheckpointProposal>>(|it| {
        it.body.fields.checkpoint_header.zone_id = "z:private".parse().expect("a zone")
    });
    refuses::<Signed<CheckpointProposal>>(|it| {
        it.body.fields.checkpoint_header.schema.version = "9.0.0".into()
    });
}

#[test]
fn what_is_voted_on_is_what_is_certified() {
    let proposal = sample::<Signed<CheckpointProposal>>().body.fields;
    let checkpoint = certified(&proposal.to_vote_on(), &[("laptop", 3), ("phone", 12)]);
    assert_eq!(checkpoint.verify(&members(), 2), Ok(()));
    assert_eq!(checkpoint.body.fields, sample::<Certified<ZoneCheckpoint>>().body.fields);
}
