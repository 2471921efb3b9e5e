use alloc::vec;
use core::time::Duration;

use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::object::{Body, Header, Object, ObjectIdKey, RawChunk};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::{Label, Level};

use super::*;
use crate::sync::placement::tests::{name, zone};

const LIMITS: QuarantineLimits =
    QuarantineLimits { bytes: 10_000, objects: 4, time: Duration::from_secs(100) };

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn object(content: u8, refs: &[&IdentifiedObject]) -> IdentifiedObject {
    let label = Label::trusted(Level::WORK);
    let header = Header::new(&RawChunk::SCHEMA, &zone(), UnixTime::from_secs(1), label, None);
    let header = header.with_refs(refs.iter().map(|object| object.id()));
    let stored = Object { header, body: RawChunk { bytes: ByteString(vec![content; 8]) } }.store().unwrap();
    IdentifiedObject::new(stored, &ObjectIdKey::from_bytes([9; 32].into())).unwrap()
}

fn nowhere(_: &ObjectId) -> bool {
    false
}

/// A grandchild and a child come first and wait; their parent, which was asked for, lets out the one, and that the other.
//= docs/spec/storage.md#intake
#[test]
fn what_nothing_refers_to_waits_and_is_let_out_by_what_does() {
    let mut intake = Intake::new(LIMITS);
    let grandchild = object(1, &[]);
    let child = object(2, &[&grandchild]);
    let parent = object(3, &[&child]);
    let mut out = Vec::new();
    for waits in [&grandchild, &child] {
        assert_eq!(intake.arrived(waits, &name(1), at(0), &mut out), Verdict::Quarantined);
        assert!(intake.is_quarantined(&zone(), &waits.id(), at(0)));
    }
    intake.want(subject_of(&parent), &mut out);
    assert_eq!(intake.arrived(&parent, &name(1), at(1), &mut out), Verdict::Admitted);
    assert_eq!(out, []);
    intake.admitted(&parent, nowhere, at(1), &mut out);
    assert_eq!(out, [Output::Admit(subject_of(&child))]);
    assert!(!intake.is_quarantined(&zone(), &child.id(), at(1)));
    intake.admitted(&child, nowhere, at(1), &mut out);
    assert_eq!(out[1..], [Output::Admit(subject_of(&grandchild))]);
    // And nothing is dropped afterwards that was admitted.
    intake.expire(at(1_000), &mut out);
    assert_eq!(out.len(), 2);
}

/// What is referred to before it comes does not wait, and what is here already is not expected again.
#[test]
fn what_is_expected_does_not_wait() {
    let mut intake = Intake::new(LIMITS);
    let (here, lacking) = (object(1, &[]), object(2, &[]));
    let parent = object(3, &[&here, &lacking]);
    let mut out = Vec::new();
    intake.admitted(&parent, |id| *id == here.id(), at(0), &mut out);
    assert_eq!(intake.arrived(&lacking, &name(1), at(0), &mut out), Verdict::Admitted);
    assert_eq!(intake.arrived(&lacking, &name(1), at(0), &mut out), Verdict::Quarantined, "once");
    assert_eq!(intake.arrived(&here, &name(1), at(0), &mut out), Verdict::Quarantined);
    intake.unwant(&subject_of(&lacking));
    assert_eq!(out, []);
}

/// A pin lets out what waits; when it comes again it is not taken into quarantine and dropped.
#[test]
fn a_pin_lets_out_what_waits() {
    let mut intake = Intake::new(LIMITS);
    let wanted = object(1, &[]);
    let mut out = Vec::new();
    assert_eq!(intake.arrived(&wanted, &name(1), at(0), &mut out), Verdict::Quarantined);
    intake.want(subject_of(&wanted), &mut out);
    assert_eq!(out, [Output::Admit(subject_of(&wanted))]);
    intake.expire(at(1_000), &mut out);
    assert_eq!(out.len(), 1);
}

/// A flood of one peer pushes out what that peer sent, and nothing of another's; what waited long enough goes.
#[test]
fn a_flood_costs_whoever_makes_it() {
    let mut intake = Intake::new(LIMITS);
    let mut out = Vec::new();
    let honest = object(0, &[]);
    intake.arrived(&honest, &name(1), at(0), &mut out);
    for content in 1..50 {
        intake.arrived(&object(content, &[]), &name(2), at(1), &mut out);
    }
    assert!(intake.is_quarantined(&zone(), &honest.id(), at(1)));
    assert_eq!(out.len(), 46);
    assert_eq!(intake.deadline(), Some(at(100)));
    intake.expire(at(101), &mut out);
    assert!(out.contains(&Output::Drop(subject_of(&honest))));
}
