//! The transition table, the verdicts, the bounds, expiry, replay, and random histories against a naive model.

extern crate std;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const INTENT: ObjectId = ObjectId::from_bytes([1; 32]);
const OTHER: ObjectId = ObjectId::from_bytes([2; 32]);
const RECEIPT: ObjectId = ObjectId::from_bytes([3; 32]);
const CALL: Digest = Digest::from_bytes([4; 32]);
const OTHER_CALL: Digest = Digest::from_bytes([5; 32]);

fn at(secs: u64) -> Now {
    Now { unix: UnixTime::from_secs(secs), ..Now::default() }
}

fn scope_of(principal: &str, key: &str) -> Scope {
    Scope {
        principal: PrincipalId::new(principal).unwrap(),
        zone: ZoneId::new("z:work").unwrap(),
        connector: ConnectorId::new("github").unwrap(),
        operation: OperationId::new("github.issues.create").unwrap(),
        key: IdempotencyKey::new(key).unwrap(),
    }
}

fn full(retry_after_secs: Option<u64>) -> Result<Fresh, Standing> {
    Err(Standing::Full { retry_after_secs })
}

fn scope() -> Scope {
    scope_of("ada", "k1")
}

fn fresh(index: &Index, scope: Scope, call: Digest, now: Now) -> Fresh {
    index.check(scope, call, now).unwrap()
}

fn small() -> Config {
    Config { keep_secs: 100, max_entries: 3, max_of_principal: 2 }
}

fn begun() -> Index {
    let mut index = Index::new(small());
    let fresh = fresh(&index, scope(), CALL, at(10));
    index.begin(fresh, INTENT, at(10)).unwrap();
    index
}

fn completed() -> Index {
    let mut index = begun();
    index.complete(&scope(), INTENT, RECEIPT, at(10)).unwrap();
    index
}

fn unknown() -> Index {
    let mut index = begun();
    index.mark_unknown(&scope(), INTENT).unwrap();
    index
}

fn name(index: &Index) -> &'static str {
    match index.get(&scope()) {
        None => "absent",
        Some(Entry::InProgress(_)) => "in progress",
        Some(Entry::Completed(_)) => "completed",
        Some(Entry::Unknown(_)) => "unknown",
    }
}

fn apply(index: &mut Index, event: &str) -> String {
    let key = scope();
    let result = match event {
        "begin, same call" | "begin, other call" => {
            let call = if event == "begin, same call" { CALL } else { OTHER_CALL };
            return match index.begin(Fresh { scope: key, call_digest: call }, INTENT, at(10)) {
                Ok(()) => "ok".into(),
                Err(standing) => format!("{standing:?}").split(' ').next().unwrap().into(),
            };
        }
        "complete" => index.complete(&key, INTENT, RECEIPT, at(10)),
        "complete, other intent" => index.complete(&key, OTHER, RECEIPT, at(10)),
        "mark unknown" => index.mark_unknown(&key, INTENT),
        "release" => index.release(&key, INTENT),
        "settle: made" => index.settle(&key, INTENT, Settlement::Made { receipt: RECEIPT }, at(10)),
        "settle: not made" => index.settle(&key, INTENT, Settlement::NotMade, at(10)),
        "settle, other intent" => index.settle(&key, OTHER, Settlement::NotMade, at(10)),
        "expire, before its time" => {
            index.expire(at(109));
            Ok(())
        }
        "expire" => {
            index.expire(at(110));
            Ok(())
        }
        other => panic!("{other}"),
    };
    match result {
        Ok(()) => "ok".into(),
        Err(misuse) => format!("{misuse:?}"),
    }
}

//= docs/spec/idempotency.md#states
#[test]
fn transition_table() {
    let empty = || Index::new(small());
    type Start = fn() -> Index;
    let starts: [(&str, Start); 4] =
        [("absent", empty), ("in progress", begun), ("completed", completed), ("unknown", unknown)];
    let events = [
        "begin, same call",
        "begin, other call",
        "complete",
        "complete, other intent",
        "mark unknown",
        "release",
        "settle: made",
        "settle: not made",
        "settle, other intent",
        "expire, before its time",
        "expire",
    ];
    let mut table = String::new();
    for (state, start) in starts {
        for event in events {
            let mut index = start();
            assert_eq!(name(&index), state);
            let result = apply(&mut index, event);
            table += &format!("{state:<12} × {event:<24} → {:<12} {result}\n", name(&index));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn every_verdict_has_its_code() {
    let table = [
        (Index::new(small()), CALL, None),
        (begun(), CALL, Some(Code::CallInProgress)),
        (begun(), OTHER_CALL, Some(Code::IdempotencyConflict)),
        (unknown(), CALL, Some(Code::OutcomeUnknown)),
        (unknown(), OTHER_CALL, Some(Code::IdempotencyConflict)),
        (completed(), CALL, None),
        (completed(), OTHER_CALL, Some(Code::IdempotencyConflict)),
    ];
    for (index, call, code) in table {
        assert_eq!(index.check(scope(), call, at(10)).err().and_then(|standing| standing.code()), code);
    }
    assert_eq!(completed().check(scope(), CALL, at(10)), Err(Standing::Replay { receipt: RECEIPT }));
}

#[test]
fn each_part_of_the_scope_separates_keys() {
    let index = begun();
    let base = scope();
    let others = [
        Scope { principal: PrincipalId::new("eve").unwrap(), ..base.clone() },
        Scope { zone: ZoneId::new("z:private").unwrap(), ..base.clone() },
        Scope { connector: ConnectorId::new("slack").unwrap(), ..base.clone() },
        Scope { operation: OperationId::new("github.issues.list").unwrap(), ..base.clone() },
        Scope { key: IdempotencyKey::new("k2").unwrap(), ..base },
    ];
    for other in others {
        assert!(index.check(other, CALL, at(10)).is_ok());
    }
}

#[test]
fn two_proofs_for_one_key_begin_one_call() {
    let mut index = Index::new(small());
    let (first, second) = (fresh(&index, scope(), CALL, at(0)), fresh(&index, scope(), CALL, at(0)));
    assert_eq!(index.begin(first, INTENT, at(0)), Ok(()));
    assert_eq!(index.begin(second, OTHER, at(0)), Err(Standing::InProgress { intent: INTENT }));
}

//= docs/spec/idempotency.md#expiry
#[test]
fn only_what_is_completed_expires_and_an_old_clock_does_not_revive_it() {
    let mut index = completed();
    assert!(matches!(index.check(scope(), CALL, at(109)), Err(Standing::Replay { .. })));
    assert!(index.check(scope(), OTHER_CALL, at(110)).is_ok(), "expired without a sweep");
    index.expire(at(110));
    assert!(index.is_empty());
    for index in [begun(), unknown()] {
        assert!(index.check(scope(), CALL, at(u64::MAX)).is_err());
    }
    let mut index = completed();
    let other = fresh(&index, scope_of("eve", "k"), CALL, at(110));
    index.begin(other, OTHER, at(110)).unwrap();
    assert!(index.check(scope(), CALL, at(20)).is_ok(), "110 was seen already");
}

//= docs/spec/idempotency.md#bounds
#[test]
fn one_principal_cannot_fill_the_index_and_expired_entries_make_room() {
    let mut index = completed();
    let second = fresh(&index, scope_of("ada", "k2"), CALL, at(10));
    index.begin(second, OTHER, at(10)).unwrap();
    assert_eq!(index.check(scope_of("ada", "k3"), CALL, at(10)), full(Some(100)));
    let eve = fresh(&index, scope_of("eve", "k"), CALL, at(10));
    index.begin(eve, OTHER, at(10)).unwrap();
    assert_eq!(index.check(scope_of("bob", "k"), CALL, at(10)), full(Some(100)), "three in all");
    let bob = fresh(&index, scope_of("bob", "k"), CALL, at(110));
    index.begin(bob, OTHER, at(110)).unwrap();
    assert_eq!(index.len(), 3, "the completed one made room");
    let zoe = index.check(scope_of("zoe", "k"), CALL, at(110));
    assert_eq!(zoe, full(None), "no time makes room where nothing expires");
}

//= docs/spec/idempotency.md#bounds
#[test]
fn at_its_own_bound_a_principals_expired_keys_go_and_are_counted_no_more() {
    let mut index = begun();
    assert!(!index.is_empty());
    let second = fresh(&index, scope_of("ada", "k2"), CALL, at(10));
    index.begin(second, OTHER, at(10)).unwrap();
    index.complete(&scope_of("ada", "k2"), OTHER, RECEIPT, at(10)).unwrap();
    index.complete(&scope(), INTENT, RECEIPT, at(30)).unwrap();
    let third = scope_of("ada", "k3");
    assert_eq!(
        index.check(third.clone(), CALL, at(40)),
        full(Some(70)),
        "the sooner end, not the first key's"
    );
    let begun = fresh(&index, third, CALL, at(110));
    index.begin(begun, OTHER, at(110)).unwrap();
    assert_eq!(index.len(), 2, "though in all there was room for one more");
    let mut done = completed();
    done.expire(at(110));
    assert!(done.is_empty() && done.of_principal.is_empty(), "nobody is counted without a key");
}

//= docs/spec/idempotency.md#replay
#[test]
fn a_restart_rebuilds_the_index_and_an_intent_without_receipt_is_unknown() {
    let mut index = Index::new(small());
    index.replay_intent(scope(), INTENT, CALL);
    index.replay_intent(scope_of("ada", "k2"), OTHER, CALL);
    index.replay_intent(scope_of("ada", "k3"), INTENT, CALL);
    index.replay_receipt(&scope_of("ada", "k2"), RECEIPT, CALL, UnixTime::from_secs(10));
    assert_eq!(index.replay_release(&scope_of("ada", "k3"), OTHER), Err(Misuse::OtherIntent));
    assert_eq!(index.replay_release(&scope_of("ada", "k3"), INTENT), Ok(()));
    assert_eq!(index.check(scope(), CALL, at(20)), Err(Standing::Unknown { intent: INTENT }));
    assert_eq!(index.check(scope_of("ada", "k2"), CALL, at(20)), Err(Standing::Replay { receipt: RECEIPT }));
    assert_eq!(index.unknown().map(|(_, intent)| intent).collect::<Vec<_>>(), [INTENT]);
    assert_eq!(index.len(), 2);
    index.settle(&scope(), INTENT, Settlement::NotMade, at(20)).unwrap();
    assert!(index.check(scope(), CALL, at(20)).is_ok());
    assert!(index.check(scope_of("ada", "k2"), CALL, at(110)).is_ok());
}

#[test]
fn keys_follow_their_grammar() {
    assert!(IdempotencyKey::new("a".repeat(255)).is_ok());
    for (text, why) in [
        (String::new(), KeyError::Empty),
        ("a".repeat(256), KeyError::TooLong),
        ("a b".into(), KeyError::InvalidChar),
        ("é".into(), KeyError::InvalidChar),
        ("a\n".into(), KeyError::InvalidChar),
    ] {
        assert_eq!(IdempotencyKey::new(text), Err(why));
    }
}

/// One step of a random history.
#[derive(Clone, Copy, Debug)]
enum Step {
    Call { key: u8, call: u8 },
    Answer { key: u8 },
    Lose { key: u8 },
    NeverSent { key: u8 },
    Probe { key: u8, made: bool },
    Wait { secs: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..3, 0_u8..2).prop_map(|(key, call)| Step::Call { key, call }),
        2 => (0_u8..3).prop_map(|key| Step::Answer { key }),
        1 => (0_u8..3).prop_map(|key| Step::Lose { key }),
        1 => (0_u8..3).prop_map(|key| Step::NeverSent { key }),
        1 => (0_u8..3, any::<bool>()).prop_map(|(key, made)| Step::Probe { key, made }),
        1 => (0_u64..80).prop_map(|secs| Step::Wait { secs }),
    ]
}

proptest! {
    /// While a key is kept there is at most one effect for it, and a count of entries that matches the entries.
    #[test]
    fn a_key_makes_at_most_one_effect_while_it_is_kept(steps in prop::collection::vec(step(), 1..80)) {
        let mut index = Index::new(Config { keep_secs: 100, max_entries: 10, max_of_principal: 10 });
        let mut effects: BTreeMap<u8, u64> = BTreeMap::new();
        let mut clock = 0;
        let key_of = |key: u8| scope_of("ada", &format!("k{key}"));
        for (number, step) in steps.into_iter().enumerate() {
            let intent = |index: &Index, key| index.get(&key_of(key)).and_then(Entry::intent).unwrap_or(OTHER);
            match step {
                Step::Call { key, call } => {
                    let verdict = index.check(key_of(key), Digest::from_bytes([call; 32]), at(clock));
                    if let Ok(fresh) = verdict {
                        let last = effects.get(&key).copied();
                        prop_assert!(last.is_none_or(|last| clock >= last + 100), "a second effect");
                        let id = ObjectId::from_bytes([u8::try_from(number).unwrap(); 32]);
                        prop_assert_eq!(index.begin(fresh, id, at(clock)), Ok(()));
                    }
                }
                Step::Answer { key } => {
                    if index.complete(&key_of(key), intent(&index, key), RECEIPT, at(clock)).is_ok() {
                        effects.insert(key, clock);
                    }
                }
                Step::Lose { key } => { let _ = index.mark_unknown(&key_of(key), intent(&index, key)); }
                Step::NeverSent { key } => { let _ = index.release(&key_of(key), intent(&index, key)); }
                Step::Probe { key, made } => {
                    let how = if made { Settlement::Made { receipt: RECEIPT } } else { Settlement::NotMade };
                    if index.settle(&key_of(key), intent(&index, key), how, at(clock)).is_ok() && made {
                        effects.insert(key, clock);
                    }
                }
                Step::Wait { secs } => { clock += secs; index.expire(at(clock)); }
            }
            prop_assert_eq!(index.of_principal.values().sum::<usize>(), index.len());
        }
    }
}
