//! What is found missing, and when it is asked for again.

use alloc::collections::BTreeMap;
use alloc::vec;

use fcp_proto_core::ids::SecretId;
use fcp_proto_core::time::{Instant, Now};

use super::*;

fn now(secs: u64) -> Now {
    Now { mono: Instant::from_nanos(secs * 1_000_000_000), unix: at(secs) }
}

fn custody(epoch: u64, holders: &BTreeSet<NodeId>) -> Custody {
    Custody {
        zone_keys: [(zone("z:work"), holders.clone()), (zone("z:owner"), BTreeSet::new())].into(),
        secrets: [(SecretId::from_bytes([4; 16]), holders.clone())].into(),
        owner_shares: holders.clone(),
        checkpoints: [(zone("z:work"), (epoch, true))].into(),
    }
}

fn missing(roster: &Roster, custody: &Custody, chair: &Chair) -> Vec<Step> {
    Upkeep::default().poll(roster, custody, &chair.seat(), now(5))
}

//= docs/spec/membership.md#removal
#[test]
fn a_removal_is_done_step_by_step_and_each_step_is_seen_in_what_is_durable() {
    let mut chair = Chair::new(0);
    let mut roster = roster(&first(3, FaultModel::Crash));
    report(&mut roster, &chair, 0..3, at(1));
    let mut custody = custody(1, &names(0..3));
    assert_eq!(missing(&roster, &custody, &chair), [], "all is as it should be");
    revoke(&mut chair.revoked, &removal(&attestation(1), "lost", at(2)));
    let (work, secret, among) = (zone("z:work"), SecretId::from_bytes([4; 16]), names([0, 2]));
    let all = [
        Step::Rotate { zone: work.clone(), without: names([1]) },
        Step::Leave(names([1])),
        Step::ReshareOwner { among: among.clone() },
        Step::Reshare { secret, among: among.clone() },
    ];
    assert_eq!(missing(&roster, &custody, &chair), all);
    custody.zone_keys.insert(work.clone(), names([0, 2]));
    assert_eq!(missing(&roster, &custody, &chair), all[1..]);
    let draft = roster.draft(Vec::new(), &names([]), &chair.seat(), at(3)).unwrap();
    adopt(&mut roster, &chair, &signed(draft, &owner_key(0)), at(3));
    assert_eq!(missing(&roster, &custody, &chair), all[2..]);
    custody.owner_shares = among.clone();
    assert_eq!(missing(&roster, &custody, &chair), all[3..]);
    custody.secrets = BTreeMap::from([(secret, among)]);
    assert_eq!(missing(&roster, &custody, &chair), [Step::Checkpoint(work.clone())], "it says so last");
    custody.checkpoints.insert(work, (2, true));
    assert_eq!(missing(&roster, &custody, &chair), []);
}

//= docs/spec/membership.md#upkeep
#[test]
fn a_newcomer_gets_the_keys_of_the_zones_that_it_may_hold_and_no_others() {
    let chair = Chair::new(0);
    let roster = roster(&first(2, FaultModel::Crash));
    let custody = custody(1, &names([0]));
    let sealed = Step::Seal { zone: zone("z:work"), to: name(1) };
    assert_eq!(missing(&roster, &custody, &chair), [sealed]);
}

//= docs/spec/membership.md#upkeep
#[test]
fn shares_are_not_dealt_to_nobody() {
    let mut lone = member(0);
    let fields = DeviceEnrolment { stores_secret_shares: false, ..enrolment(0) };
    lone.enrolment = sign(fields, 0, &owner_key(0));
    let place = (&zone("z:owner"), &ids());
    let draft =
        Draft::new(Basis::Anew { epoch: 1 }, vec![], [lone], FaultModel::Crash, place, at(0)).unwrap();
    let roster = roster(&signed(draft, &owner_key(0)));
    assert_eq!(missing(&roster, &custody(1, &names([0])), &Chair::new(0)), []);
}

//= docs/spec/membership.md#upkeep
#[test]
fn a_step_is_asked_for_again_after_a_while_and_few_at_a_time() {
    let chair = Chair::new(0);
    let roster = roster(&first(1, FaultModel::Crash));
    let mut custody = custody(1, &names([0]));
    for i in 0..40 {
        custody.secrets.insert(SecretId::from_bytes([100 + i; 16]), names([0, 5]));
    }
    let mut upkeep = Upkeep::default();
    let first = upkeep.poll(&roster, &custody, &chair.seat(), now(5));
    assert_eq!(first.len(), MAX_STEPS);
    assert_eq!(upkeep.poll(&roster, &custody, &chair.seat(), now(6)), [], "they are waited for");
    let Step::Reshare { secret, .. } = &first[0] else { panic!() };
    custody.secrets.insert(*secret, names([0]));
    assert_eq!(
        upkeep.poll(&roster, &custody, &chair.seat(), now(7)).len(),
        1,
        "one is done, the next is asked for"
    );
    assert_eq!(upkeep.poll_timeout(), Some(now(5).mono.saturating_add(PATIENCE)));
    assert_eq!(upkeep.poll(&roster, &custody, &chair.seat(), now(65)).len(), MAX_STEPS - 1);
}
