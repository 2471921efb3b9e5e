use alloc::vec;

use fcp_proto_core::encoding::cbor::ByteString;

use super::*;

const SCOPE: RevocationScope = RevocationScope::Capability;

fn revocation(from: u64, until: Option<u64>) -> RevocationObject {
    RevocationObject {
        scope: SCOPE,
        targets: vec![ByteString(vec![1; 16])],
        reason: "lost".into(),
        effective_at: UnixTime::from_secs(from),
        expires_at: until.map(UnixTime::from_secs),
    }
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds)
}

//= docs/spec/revocation.md#scopes
#[test]
fn a_target_is_revoked_within_its_span_and_scope_alone() {
    let mut all = Revocations::default();
    all.apply(ObjectId::from_bytes([7; 32]), &revocation(10, Some(20)));
    let revoked = |scope, target: &[u8], now| all.is_revoked(scope, target, at(now));
    assert_eq!([9, 10, 19, 20].map(|now| revoked(SCOPE, &[1; 16], now)), [false, true, true, false]);
    assert!(!revoked(SCOPE, &[2; 16], 15));
    assert!(!revoked(RevocationScope::IssuerKey, &[1; 16], 15));
}

//= docs/spec/revocation.md#scopes
#[test]
fn a_shorter_revocation_never_ends_a_longer_one() {
    let mut all = Revocations::default();
    all.apply(ObjectId::from_bytes([7; 32]), &revocation(10, None));
    all.apply(ObjectId::from_bytes([8; 32]), &revocation(5, Some(12)));
    assert!([6, 11, 13, 1_000_000].iter().all(|now| all.is_revoked(SCOPE, &[1; 16], at(*now))));
}

//= docs/spec/revocation.md#the-chain
//= docs/spec/revocation.md#freshness
#[test]
fn links_must_follow_and_heads_certify_only_what_they_cover() {
    let mut all = Revocations::default();
    assert_eq!(all.head_age_secs(at(5)), u64::MAX);
    let first = all.event(ObjectId::from_bytes([7; 32]), at(1));
    all.apply_head(&all.head(at(1)));
    assert_eq!(all.apply_event(ObjectId::from_bytes([1; 32]), &first), Ok(()));
    assert_eq!(all.apply_event(ObjectId::from_bytes([2; 32]), &first), Err(BrokenLink::WrongPredecessor));
    let mut second = all.event(ObjectId::from_bytes([8; 32]), at(2));
    second.seq += 1;
    assert_eq!(all.apply_event(ObjectId::from_bytes([2; 32]), &second), Err(BrokenLink::OutOfSequence));

    let stale = RevocationHead { head_event: None, head_seq: 0, as_of: at(9) };
    all.apply_head(&stale);
    assert_eq!(all.head_age_secs(at(11)), 10, "a head that does not cover the last link certifies nothing");
    all.apply_head(&all.head(at(10)));
    assert_eq!((all.head_age_secs(at(11)), all.head_seq()), (1, 1));
    let third = all.event(ObjectId::from_bytes([9; 32]), at(3));
    assert_eq!(all.apply_event(ObjectId::from_bytes([2; 32]), &third), Ok(()));
    assert_eq!(all.head_seq(), 2, "what a decision is sealed to grows with each link");
}
