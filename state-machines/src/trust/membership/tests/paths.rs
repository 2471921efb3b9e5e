//! What happens to devices, one path each.

use alloc::vec;

use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::object::RevocationScope;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::{Instant, Now};

use super::*;
use crate::trust::lease::epoch_of;

fn voters(roster: &Roster, chair: &Chair, now: UnixTime) -> BTreeSet<NodeId> {
    roster
        .term(&chair.seat(), now)
        .map(|term| term.electorate.members().cloned().collect())
        .unwrap_or_default()
}

//= docs/spec/membership.md#taking-a-directory
#[test]
fn a_directory_is_in_force_once_it_is_durable_and_says_so_to_all() {
    let chair = Chair::new(0);
    let mut roster = Roster::restore(&owner(), Vec::new(), &ids());
    assert_eq!(roster.term(&chair.seat(), at(0)), None, "nobody's word counts before there are members");
    let mut out = Vec::new();
    let directory = first(3, FaultModel::Crash);
    assert_eq!(roster.take(directory.clone(), &chair.seat(), at(1), &mut out), Ok(Taken::Newer));
    assert_eq!((roster.epoch(), roster.term(&chair.seat(), at(1))), (0, None));
    assert_eq!(out.len(), 1, "nothing is said before it is durable");
    out.clear();
    roster.handle_stored(BatchToken(0), Completion::Durable, &chair.seat(), &mut out);
    assert_eq!(voters(&roster, &chair, at(1)), names(0..3));
    assert_eq!(out[0], Output::Adopted(1));
    let told: Vec<_> = out.iter().filter(|it| matches!(it, Output::Send { .. })).collect();
    assert_eq!(told.len(), 2, "both others are told");
    assert_eq!(roster.take(directory, &chair.seat(), at(2), &mut Vec::new()), Ok(Taken::Same));
}

//= docs/spec/membership.md#taking-a-directory
#[test]
fn a_write_that_is_refused_changes_nothing_and_one_that_fails_stops_all_decisions() {
    let chair = Chair::new(0);
    let mut roster = roster(&first(3, FaultModel::Crash));
    report(&mut roster, &chair, 1..3, at(1));
    let draft = roster.draft(vec![member(3)], &names([]), &chair.seat(), at(1)).unwrap();
    let next = signed(draft, &owner_key(0));
    for (completion, decides) in
        [(Completion::Refused(crate::persist::Refusal::Full), true), (Completion::Failed, false)]
    {
        let mut out = Vec::new();
        roster.take(next.clone(), &chair.seat(), at(2), &mut out).unwrap();
        assert_eq!(roster.term(&chair.seat(), at(2)), None, "no votes while it is being stored");
        let Output::Persist { batch, .. } = out.remove(0) else { panic!() };
        roster.handle_stored(batch, completion, &chair.seat(), &mut out);
        assert_eq!((roster.epoch(), roster.term(&chair.seat(), at(2)).is_some()), (1, decides));
        assert_eq!(out, []);
    }
}

//= docs/spec/membership.md#enrolment
#[test]
fn a_device_comes_in_by_an_invitation_that_it_alone_uses_and_once() {
    let (chair, roster) = (Chair::new(0), roster(&first(1, FaultModel::Crash)));
    let mut entropy = Entropy::from_seed(&Zeroizing::new([3; 32]));
    let now = |secs| Now { mono: Instant::from_nanos(secs * 1_000_000_000), unix: at(secs) };
    let mut desk = Applications::default();
    let invitation = desk.invite(now(0), &mut entropy).unwrap();
    let of = |i: usize, invitation| {
        let NodeAttestation { node_id, signing_key, encryption_key, issuance_key, .. } = attestation(i);
        Application { node_id, signing_key, encryption_key, issuance_key, invitation }
    };
    let apply = |desk: &mut Applications, i, application, secs| {
        desk.apply(&attestation(i).signing_key, application, &roster, &chair.seat(), now(secs))
    };
    assert_eq!(apply(&mut desk, 1, of(1, [0; 32]), 1), Err(ApplicationError::NotInvited));
    assert_eq!(apply(&mut desk, 2, of(1, invitation), 1), Err(ApplicationError::OtherKey));
    assert_eq!(apply(&mut desk, 0, of(0, invitation), 1), Err(ApplicationError::Taken));
    assert_eq!(apply(&mut desk, 1, of(1, invitation), 1), Ok(()));
    assert_eq!(apply(&mut desk, 1, of(1, invitation), 2), Ok(()), "again is the same");
    assert_eq!(apply(&mut desk, 2, of(2, invitation), 2), Err(ApplicationError::Used));
    assert_eq!(desk.waiting().count(), 1);
    let accepted = desk.accept(&invitation, core::time::Duration::from_secs(60), now(3)).unwrap();
    assert_eq!((&accepted.node_id, accepted.nonce), (&name(1), invitation));
    assert_eq!(accepted.expires_at, at(63));
    assert_eq!(apply(&mut desk, 1, of(1, invitation), 4), Err(ApplicationError::NotInvited), "used up");
    let late = desk.invite(now(4), &mut entropy).unwrap();
    assert_eq!(apply(&mut desk, 1, of(1, late), 604), Err(ApplicationError::NotInvited), "over");
    for _ in 0..MAX_INVITATIONS {
        assert!(desk.invite(now(700), &mut entropy).is_some());
    }
    assert_eq!(desk.invite(now(700), &mut entropy), None);
}

//= docs/spec/membership.md#enrolment
#[test]
fn a_device_that_came_in_during_a_partition_is_taken_after_it_and_not_before() {
    let (a, c, d) = (Chair::new(0), Chair::new(2), Chair::new(3));
    let (mut one, mut cut) = (roster(&first(3, FaultModel::Crash)), roster(&first(3, FaultModel::Crash)));
    report(&mut one, &a, [1], at(1));
    report(&mut one, &a, [0], at(1));
    let draft = one.draft(vec![member(3)], &names([]), &a.seat(), at(1)).unwrap();
    let next = signed(draft, &owner_key(0));
    adopt(&mut one, &a, &next, at(2));
    assert!(!voters(&cut, &c, at(3)).contains(&name(3)), "nobody told it");
    let mut out = Vec::new();
    cut.handle(&name(3), Message::Have { epoch: 2, quiet_at: at(0) }, &c.seat(), at(3), &mut out);
    assert_eq!(out, [], "who is no member is told nothing");
    one.handle(&name(2), Message::Have { epoch: 1, quiet_at: at(0) }, &a.seat(), at(4), &mut out);
    let [Output::Send { message: Message::Directory(told), .. }] = &out[..] else { panic!("{out:?}") };
    adopt(&mut cut, &c, told, at(4));
    assert_eq!(voters(&cut, &c, at(4)), names(0..4));
    let mut newcomer = Roster::restore(&owner(), Vec::new(), &ids());
    adopt(&mut newcomer, &d, &next, at(4));
    let term = newcomer.term(&d.seat(), at(4)).unwrap();
    assert_eq!(term.opens_at, at(1), "it knows what was before, and waits for nothing");
}

//= docs/spec/membership.md#removal
#[test]
fn from_the_revocation_on_a_device_signs_holds_and_gives_nothing() {
    let mut chair = Chair::new(0);
    let roster = roster(&first(3, FaultModel::Crash));
    let key = attestation(1).issuance_key.key_id();
    let stands = |chair: &Chair| {
        let of = &chair.revoked;
        [
            voters(&roster, chair, at(5)).contains(&name(1)),
            roster.may_hold(&name(1), &zone("z:work"), of, at(5)),
            roster.may_store(&name(1), &zone("z:work"), of, at(5)),
            roster.issuer(key, of, at(5)).is_some(),
        ]
    };
    assert_eq!(stands(&chair), [true; 4]);
    revoke(&mut chair.revoked, &removal(&attestation(1), "lost", at(4)));
    assert_eq!(stands(&chair), [false; 4]);
    let term = roster.term(&chair.seat(), at(5)).unwrap();
    assert_eq!((term.electorate.size(), term.electorate.quorum()), (3, 2), "the others are no fewer");
    assert!(
        !roster.may_store(&name(0), &zone("z:private"), &chair.revoked, at(5)),
        "not what it does not store"
    );
}

//= docs/spec/membership.md#removal
#[test]
fn each_revocation_of_a_removal_suffices() {
    let roster = roster(&first(3, FaultModel::Crash));
    for revocation in removal(&attestation(1), "lost", at(4)) {
        for target in revocation.targets.clone() {
            let mut chair = Chair::new(0);
            let one = RevocationObject { targets: vec![target], ..revocation.clone() };
            revoke(&mut chair.revoked, &[one]);
            assert!(!voters(&roster, &chair, at(5)).contains(&name(1)));
        }
    }
}

//= docs/spec/membership.md#removal
#[test]
fn what_was_removed_does_not_come_back() {
    let mut chair = Chair::new(0);
    let mut roster = roster(&first(3, FaultModel::Crash));
    report(&mut roster, &chair, 0..3, at(1));
    revoke(&mut chair.revoked, &removal(&attestation(1), "lost", at(4)));
    let back = roster.draft(vec![member(1)], &names([]), &chair.seat(), at(5));
    assert_eq!(back, Err(DraftError::Revoked(name(1))));
    let draft = roster.draft(Vec::new(), &names([]), &chair.seat(), at(5)).unwrap();
    assert_eq!(draft.membership.nodes, names([0, 2]), "every next membership is without it");
    let mut other = attestation(1);
    other.node_id = name(7);
    let renamed = Member { attestation: sign(other, 5, &owner_key(0)), enrolment: member(1).enrolment };
    let back = roster.draft(vec![renamed], &names([]), &chair.seat(), at(5));
    assert_eq!(back, Err(DraftError::Revoked(name(7))), "its keys neither");
}

//= docs/spec/membership.md#taking-a-directory
#[test]
fn whom_a_directory_leaves_out_is_out_before_it_is_durable_and_told_so() {
    let (chair, gone) = (Chair::new(0), Chair::new(2));
    let mut here = roster(&first(3, FaultModel::Crash));
    report(&mut here, &chair, 0..3, at(1));
    let draft = here.draft(Vec::new(), &names([2]), &chair.seat(), at(2)).unwrap();
    let next = signed(draft, &owner_key(0));
    here.take(next.clone(), &chair.seat(), at(2), &mut Vec::new()).unwrap();
    assert!(here.device(&name(2), &chair.revoked, at(2)).is_none());
    assert!(here.device(&name(1), &chair.revoked, at(2)).is_some());
    let mut there = roster(&first(3, FaultModel::Crash));
    assert_eq!(adopt(&mut there, &gone, &next, at(3)), [Output::Left(2)]);
    assert_eq!(there.term(&gone.seat(), at(3)), None, "it votes no more");
}

//= docs/spec/membership.md#eligibility
#[test]
fn what_is_over_does_not_revive_when_a_clock_is_set_back() {
    let mut short = member(1);
    let fields = DeviceEnrolment { expires_at: Some(at(100)), ..enrolment(1) };
    short.enrolment = sign(fields, 0, &owner_key(0));
    let place = (&zone("z:owner"), &ids());
    let basis = Basis::Anew { epoch: 1 };
    let draft = Draft::new(basis, Vec::new(), [member(0), short], FaultModel::Crash, place, at(0)).unwrap();
    let chair = Chair::new(0);
    let mut roster = roster(&signed(draft, &owner_key(0)));
    assert_eq!(voters(&roster, &chair, at(99)), names(0..2));
    assert_eq!(voters(&roster, &chair, at(100)), names([0]));
    report(&mut roster, &chair, 0..2, at(99));
    let next = roster.draft(vec![member(2)], &names([]), &chair.seat(), at(100));
    adopt(&mut roster, &chair, &signed(next.unwrap(), &owner_key(0)), at(100));
    assert!(!voters(&roster, &chair, at(50)).contains(&name(1)));
}

//= docs/spec/membership.md#one-after-the-other
#[test]
fn the_next_change_waits_for_a_quorum_and_for_the_leases_of_before() {
    let mut chair = Chair::new(0);
    chair.vote(0, 0, at(500));
    let mut roster = Roster::restore(&owner(), Vec::new(), &ids());
    adopt(&mut roster, &chair, &first(3, FaultModel::Crash), at(1));
    let draft =
        |roster: &Roster, secs| roster.draft(Vec::new(), &names([2]), &chair.seat(), at(secs)).map(drop);
    assert_eq!(draft(&roster, 2), Err(DraftError::NotSpread));
    let lie = Message::Have { epoch: 1, quiet_at: UnixTime::from_secs(u64::MAX) };
    roster.handle(&name(1), lie, &chair.seat(), at(2), &mut Vec::new());
    assert_eq!(draft(&roster, 2), Err(DraftError::NotBefore(at(2 + LEASES_OUTLIVE_SECS))), "bounded");
    report(&mut roster, &chair, [2], at(3));
    assert_eq!(draft(&roster, 499), Err(DraftError::NotBefore(at(500))), "two of three are enough");
    assert_eq!(draft(&roster, 500), Ok(()));
    let many = (3..6).map(member).collect();
    let drafted = roster.draft(many, &names([]), &chair.seat(), at(500));
    assert_eq!(drafted.map(drop), Err(DraftError::NoOverlap), "few at a time");
    let next = roster.draft(Vec::new(), &names([2]), &chair.seat(), at(500)).unwrap();
    adopt(&mut roster, &chair, &signed(next, &owner_key(0)), at(501));
    let again = |roster: &Roster| roster.draft(vec![member(3)], &names([]), &chair.seat(), at(502)).map(drop);
    assert_eq!(
        again(&roster),
        Err(DraftError::NotSpread),
        "what was told of the last one is not of this one"
    );
    report(&mut roster, &chair, [1], at(502));
    assert_eq!(again(&roster), Ok(()));
}

//= docs/spec/membership.md#takeover
#[test]
fn of_two_the_one_that_is_left_goes_on_by_the_owners_word_when_old_leases_are_over() {
    let chair = Chair::new(0);
    let mut roster = roster(&first(2, FaultModel::Crash));
    report(&mut roster, &chair, [0], at(1));
    let refused = roster.draft(Vec::new(), &names([1]), &chair.seat(), at(10));
    assert_eq!(refused.map(drop), Err(DraftError::NotSpread));
    let draft = roster.take_over(None, Vec::new(), &names([1]), &chair.seat(), at(10)).unwrap();
    adopt(&mut roster, &chair, &signed(draft, &owner_key(0)), at(11));
    let term = roster.term(&chair.seat(), at(11)).unwrap();
    assert_eq!((term.electorate.epoch(), term.electorate.quorum()), (2, 1));
    assert_eq!(term.opens_at, at(10 + LEASES_OUTLIVE_SECS));
}

/// The owner's next key, and a directory of these members by it.
fn succession(roster: &Roster, chair: &Chair, i: u8, members: Vec<Member>, secs: u64) -> Directory {
    let fields = OwnerSuccession {
        home_id: owner().home_id,
        public_key: owner_key(i).verifying_key(),
        epoch: roster.epoch() + 1,
    };
    let succession = sign(fields, secs, &owner_key(i - 1));
    let draft = roster.take_over(Some(succession), members, &names([]), &chair.seat(), at(secs)).unwrap();
    signed(draft, &owner_key(i))
}

//= docs/spec/membership.md#the-owners-line
#[test]
fn with_the_owners_next_key_all_that_the_last_one_signed_ends() {
    let chair = Chair::new(0);
    let mut roster = roster(&first(3, FaultModel::Crash));
    let (old, new) = (owner_key(0), owner_key(1));
    let next = succession(&roster, &chair, 1, vec![member_of(0, 20, &new), member_of(1, 20, &new)], 20);
    adopt(&mut roster, &chair, &next, at(21));
    assert_eq!(voters(&roster, &chair, at(21)), names(0..2), "whom the next key did not sign is out");
    assert_eq!(roster.issuer(attestation(2).issuance_key.key_id(), &chair.revoked, at(21)), None);
    assert_eq!(roster.line().reign().key, new.verifying_key());
    for (secs, by, counts) in [(0, &old, false), (30, &old, false), (19, &new, false), (20, &new, true)] {
        assert_eq!(roster.line().signed(&sign(attestation(5), secs, by)), counts, "{secs}");
    }
    // The key of before signs a later epoch.
    let mut stolen = first(3, FaultModel::Crash);
    stolen.membership.body.fields.epoch = 9;
    let header = stolen.membership.header.clone();
    stolen.membership = Object::sign(header, stolen.membership.body.fields.clone(), &old).unwrap();
    let refused = roster.take(stolen, &chair.seat(), at(22), &mut Vec::new());
    assert_eq!(refused, Err(Refusal::Untrue(DirectoryError::Line(LineError::Contradiction))));
    // Who missed it all takes the newest alone.
    let later = succession(&roster, &chair, 2, vec![member_of(0, 40, &owner_key(2))], 40);
    let mut late = Roster::restore(&owner(), vec![first(3, FaultModel::Crash)], &ids());
    adopt(&mut late, &chair, &later, at(41));
    assert_eq!(late.line().successions().len(), 2);
}

//= docs/spec/membership.md#cold-recovery
#[test]
fn a_mesh_that_is_made_anew_from_the_phrase_voids_what_was_and_keeps_what_is_revoked() {
    let chair = Chair::new(4);
    let epoch = recovery_epoch(at(500));
    let (phrase, next) = (owner_key(0), owner_key(1));
    let fields = OwnerSuccession { home_id: owner().home_id, public_key: next.verifying_key(), epoch };
    let line = vec![sign(fields, 500, &phrase)];
    let place = (&zone("z:owner"), &ids());
    let (basis, device) = (Basis::Anew { epoch }, member_of(4, 500, &next));
    let draft = Draft::new(basis, line, [device], FaultModel::Crash, place, at(500)).unwrap();
    let recovered = signed(draft, &next);
    let mut here = Roster::restore(&owner(), Vec::new(), &ids());
    adopt(&mut here, &chair, &recovered, at(500));
    let term = here.term(&chair.seat(), at(500)).unwrap();
    assert_eq!(term.opens_at, at(500 + LEASES_OUTLIVE_SECS), "nobody knows what leases there are");
    let old_token = (7_u64 << 32) + 99;
    assert!(epoch_of(old_token) < epoch && epoch <= u64::from(u32::MAX), "above what was counted");
    assert_eq!(here.issuer(attestation(0).issuance_key.key_id(), &chair.revoked, at(501)), None);

    // A device of before comes back: it takes the new line, what it knows to be revoked is added, and it comes in anew.
    let (mut returning, mut back) = (roster(&first(3, FaultModel::Crash)), Chair::new(1));
    let token = ByteString(vec![8; 16]);
    let told = RevocationObject {
        scope: RevocationScope::Capability,
        targets: vec![token.clone()],
        reason: "stolen".into(),
        effective_at: at(3),
        expires_at: None,
    };
    revoke(&mut back.revoked, core::slice::from_ref(&told));
    assert_eq!(adopt(&mut returning, &back, &recovered, at(600)), [Output::Left(epoch)]);
    assert!(returning.issuer(attestation(0).issuance_key.key_id(), &back.revoked, at(601)).is_none());
    let mut merged = Chair::new(4);
    revoke(&mut merged.revoked, &[told]);
    assert!(merged.revoked.is_revoked(RevocationScope::Capability, &token.0, at(601)));
    let draft = here.draft(vec![member_of(1, 600, &next)], &names([]), &merged.seat(), at(4_200)).unwrap();
    assert_eq!(draft.membership.nodes, names([1, 4]));
}

//= docs/spec/membership.md#contradictions
#[test]
fn two_memberships_of_one_epoch_stop_all_decisions_until_the_next_also_across_a_restart() {
    let chair = Chair::new(0);
    let mut here = roster(&first(3, FaultModel::Crash));
    report(&mut here, &chair, 0..3, at(1));
    let make = |without| {
        let draft = here.draft(Vec::new(), &names([without]), &chair.seat(), at(2)).unwrap();
        signed(draft, &owner_key(0))
    };
    let (one, other) = (make(1), make(2));
    let mut out = Vec::new();
    adopt(&mut here, &chair, &one, at(3));
    assert_eq!(here.take(other.clone(), &chair.seat(), at(3), &mut out), Ok(Taken::Contradiction));
    let Output::Persist { batch, .. } = out.remove(0) else { panic!() };
    here.handle_stored(batch, Completion::Durable, &chair.seat(), &mut out);
    assert_eq!(out, [Output::Contradiction(2)]);
    assert_eq!(here.term(&chair.seat(), at(4)), None);
    let mut again = Roster::restore(&owner(), vec![other, one], &ids());
    assert_eq!(again.term(&chair.seat(), at(4)), None, "a restart ends nothing");
    let refused = again.draft(Vec::new(), &names([]), &chair.seat(), at(4)).map(drop);
    assert_eq!(refused, Err(DraftError::NotInForce));
    let next = again.take_over(None, Vec::new(), &names([]), &chair.seat(), at(4)).unwrap();
    adopt(&mut again, &chair, &signed(next, &owner_key(0)), at(5));
    assert_eq!(again.term(&chair.seat(), at(5)).unwrap().opens_at, at(4 + LEASES_OUTLIVE_SECS));
}
