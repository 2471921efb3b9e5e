//! Directories that are not believed.

use fcp_proto_core::ids::ObjectId;

use super::*;
use crate::trust::quorum::ElectorateError;

type Bend = fn(&mut Directory);

fn refusal(directory: Directory, now: UnixTime) -> Option<DirectoryError> {
    let mut roster = Roster::restore(&owner(), Vec::new(), &ids());
    match roster.take(directory, &Chair::new(0).seat(), now, &mut Vec::new()) {
        Err(Refusal::Untrue(error)) => Some(error),
        Ok(_) | Err(Refusal::Busy) => None,
    }
}

/// A directory of other parts, whole and signed.
fn of(members: impl IntoIterator<Item = Member>, model: FaultModel, by: u8) -> Directory {
    let place = (&zone("z:owner"), &ids());
    let draft = Draft::new(Basis::Anew { epoch: 1 }, Vec::new(), members, model, place, at(0)).unwrap();
    signed(draft, &owner_key(by))
}

//= docs/spec/membership.md#directories
#[test]
fn what_the_owner_did_not_sign_as_one_is_not_believed() {
    let bent: [(Bend, DirectoryError); 7] = [
        (|it| it.membership.body.fields.epoch = 2, DirectoryError::NotTheOwners),
        (|it| it.membership.body.fields.nodes = names(0..4), DirectoryError::NotTheOwners),
        (|it| it.attestations[0].body.fields.expires_at = at(9_000_000), DirectoryError::NotTheOwners),
        (|it| it.enrolments[1].body.fields.stores_secret_shares = false, DirectoryError::NotTheOwners),
        (|it| it.membership.header.refs.push(ObjectId::from_bytes([1; 32])), DirectoryError::NotTheOwners),
        (|it| drop(it.attestations.pop()), DirectoryError::Parts),
        (|it| it.enrolments.swap(0, 1), DirectoryError::Parts),
    ];
    assert_eq!(refusal(first(3, FaultModel::Crash), at(0)), None);
    for (number, (bend, error)) in bent.into_iter().enumerate() {
        let mut directory = first(3, FaultModel::Crash);
        bend(&mut directory);
        assert_eq!(refusal(directory, at(0)), Some(error), "{number}");
    }
    assert_eq!(refusal(of([member(0)], FaultModel::Crash, 1), at(0)), Some(DirectoryError::NotTheOwners));
}

//= docs/spec/membership.md#directories
#[test]
fn an_older_part_that_the_owner_signed_too_does_not_stand_in_for_another() {
    let mut directory = first(3, FaultModel::Crash);
    let wider = DeviceEnrolment { allowed_zones: [zone("z:owner"), zone("z:work")].into(), ..enrolment(1) };
    directory.enrolments[1] = sign(wider, 0, &owner_key(0));
    assert_eq!(refusal(directory, at(0)), Some(DirectoryError::Parts));
}

//= docs/spec/membership.md#directories
#[test]
fn what_the_owner_signed_must_still_make_sense() {
    let model = FaultModel::Crash;
    let lacks = |i: usize| Some(DirectoryError::Incomplete(name(i)));
    let doubled = Member { attestation: member(1).attestation, enrolment: member(0).enrolment };
    assert_eq!(refusal(of([member(0), doubled], model, 0), at(0)), lacks(0));
    let mut other_key = member(1);
    let fields = DeviceEnrolment { signing_key: attestation(2).signing_key, ..enrolment(1) };
    other_key.enrolment = sign(fields, 0, &owner_key(0));
    assert_eq!(refusal(of([member(0), other_key], model, 0), at(0)), lacks(1));
    let mut shared = member(1);
    let fields = NodeAttestation { encryption_key: attestation(0).encryption_key, ..attestation(1) };
    shared.attestation = sign(fields, 0, &owner_key(0));
    assert_eq!(refusal(of([member(0), shared], model, 0), at(0)), Some(DirectoryError::SharedKey(name(1))));
    let few = DirectoryError::Electorate(ElectorateError::TooFewForByzantine(3));
    assert_eq!(refusal(first(3, FaultModel::Byzantine), at(0)), Some(few));
    assert_eq!(refusal(first(4, FaultModel::Byzantine), at(0)), None);
    let many = (0..=MAX_MEMBERS).map(member);
    assert_eq!(refusal(of(many, model, 0), at(0)), Some(DirectoryError::TooLarge));
}

//= docs/spec/membership.md#directories
#[test]
fn a_directory_from_the_future_waits_and_one_of_before_is_old() {
    let directory = first(3, FaultModel::Crash);
    let early = UnixTime::from_secs(START - MAX_AHEAD_SECS - 1);
    assert_eq!(refusal(directory.clone(), early), Some(DirectoryError::Ahead));
    assert_eq!(refusal(directory.clone(), UnixTime::from_secs(START - MAX_AHEAD_SECS)), None);
    let chair = Chair::new(0);
    let mut here = roster(&directory);
    report(&mut here, &chair, 0..3, at(1));
    let draft = here.draft(Vec::new(), &names([2]), &chair.seat(), at(1)).unwrap();
    adopt(&mut here, &chair, &signed(draft, &owner_key(0)), at(1));
    assert_eq!(here.take(directory, &chair.seat(), at(2), &mut Vec::new()), Ok(Taken::Old));
}

//= docs/spec/membership.md#opening
#[test]
fn an_epoch_that_does_not_follow_the_one_it_names_is_refused() {
    let place = (&zone("z:owner"), &ids());
    for (epoch, by, error) in
        [(2, 0, None), (3, 0, Some(DirectoryError::Epoch)), (2, 1, Some(DirectoryError::NotTheOwners))]
    {
        let before = of([member(0)], FaultModel::Crash, by).membership;
        let basis = Basis::Previous(Box::new(before));
        let members = [member(0), member(1)];
        let draft = Draft::new(basis, Vec::new(), members, FaultModel::Crash, place, at(0)).unwrap();
        let fields = Membership { epoch, ..draft.membership.clone() };
        let membership = Object::sign(draft.header.clone(), fields, &owner_key(0)).unwrap();
        assert_eq!(refusal(draft.signed(membership), at(0)), error, "{epoch}");
    }
    let zero = Draft::new(Basis::Anew { epoch: 0 }, Vec::new(), [member(0)], FaultModel::Crash, place, at(0));
    assert_eq!(refusal(signed(zero.unwrap(), &owner_key(0)), at(0)), Some(DirectoryError::Epoch));
    let far = Basis::Anew { epoch: u64::from(u32::MAX) + 1 };
    let drafted = Draft::new(far, Vec::new(), [member(0)], FaultModel::Crash, place, at(0));
    assert_eq!(drafted.map(drop), Err(DraftError::EpochsExhausted));
}

//= docs/spec/membership.md#opening
#[test]
fn an_epoch_whose_quorums_know_nothing_of_those_before_opens_late() {
    let place = (&zone("z:owner"), &ids());
    for (members, opens_at) in [(0..2, at(0)), (0..3, at(LEASES_OUTLIVE_SECS))] {
        let basis = Basis::Previous(Box::new(of([member(0)], FaultModel::Crash, 0).membership));
        let members = members.map(member);
        let draft = Draft::new(basis, Vec::new(), members, FaultModel::Crash, place, at(0)).unwrap();
        let chair = Chair::new(0);
        let roster = roster(&signed(draft, &owner_key(0)));
        assert_eq!(roster.term(&chair.seat(), at(1)).unwrap().opens_at, opens_at);
    }
}

//= docs/spec/membership.md#the-owners-line
#[test]
fn a_line_that_does_not_follow_is_refused() {
    let of = |home_id, epoch| OwnerSuccession { home_id, public_key: owner_key(1).verifying_key(), epoch };
    let line = Line::new(&owner());
    let home = owner().home_id;
    let good = sign(of(home, 5), 10, &owner_key(0));
    let extended = line.extended(core::slice::from_ref(&good)).unwrap();
    assert_eq!((extended.reign().epoch, extended.reign().since), (5, at(10)));
    let fault = |it: &Line, successions: &[_]| it.extended(successions).map(drop);
    assert_eq!(fault(&line, &[sign(of([1; 32], 5), 10, &owner_key(0))]), Err(LineError::NotTheOwners));
    assert_eq!(fault(&line, &[sign(of(home, 5), 10, &owner_key(1))]), Err(LineError::NotTheOwners));
    assert_eq!(fault(&line, &[sign(of(home, 0), 10, &owner_key(0))]), Err(LineError::NotAfter));
    assert_eq!(fault(&extended, &[]), Err(LineError::Contradiction));
    let again = sign(of(home, 5), 11, &owner_key(1));
    assert_eq!(fault(&line, &[good.clone(), again]), Err(LineError::NotAfter));
    let before = sign(of(home, 6), 9, &owner_key(1));
    assert_eq!(fault(&line, &[good.clone(), before]), Err(LineError::NotTheOwners), "dated before its reign");
    assert_eq!(fault(&line, &alloc::vec![good; MAX_SUCCESSIONS + 1]), Err(LineError::TooLong));
}
