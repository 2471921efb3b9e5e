//! A computation is resumed by who holds its lease, and makes no effect twice.

use fcp_proto_core::ids::Digest;
use fcp_proto_core::object::{
    Certified, ComputationCheckpoint, ComputationState, Lease, LeasePurpose, Object, ResumeError, Signed,
};

use super::{id, refuses, sample};

#[test]
fn a_checkpoint_refers_to_what_it_needs_and_chunks_only_what_is_large() {
    for place in 0..3 {
        refuses::<Signed<ComputationCheckpoint>>(|it| {
            it.header.refs.remove(place);
        });
    }
    let chunked = |total_bytes| ComputationState::Chunked {
        manifest: id(62),
        total_bytes,
        digest: Digest::from_bytes([1; 32]),
    };
    refuses::<Signed<ComputationCheckpoint>>(|it| it.body.fields.state = chunked(262_145));
    refuses::<Signed<ComputationCheckpoint>>(|it| {
        it.body.fields.state = chunked(262_144);
        it.header.refs.push(id(62));
    });
}

//= docs/spec/objects.md#computations
#[test]
fn it_is_resumed_under_its_own_lease_or_a_newer_one() {
    let resume = |change: &dyn Fn(&mut Object<Certified<Lease>>), lease_id, receipt| {
        let checkpoint = sample::<Signed<ComputationCheckpoint>>();
        let mut lease = sample::<Certified<Lease>>();
        lease.body.fields.subject_object_id = id(60);
        lease.body.fields.purpose = LeasePurpose::ComputationMigration;
        change(&mut lease);
        checkpoint.resumable_under(lease_id, &lease, receipt)
    };
    let receipt = Some(id(61));
    assert_eq!(resume(&|_| {}, id(41), receipt), Ok(()));
    assert_eq!(resume(&|it| it.body.fields.lease_seq = 8, id(42), receipt), Ok(()));
    assert_eq!(resume(&|_| {}, id(42), receipt), Err(ResumeError::Fenced), "another lease with its token");
    assert_eq!(resume(&|it| it.body.fields.lease_seq = 6, id(42), receipt), Err(ResumeError::Fenced));
    let mismatch = Err(ResumeError::LeaseMismatch);
    assert_eq!(resume(&|it| it.body.fields.subject_object_id = id(1), id(41), receipt), mismatch);
    assert_eq!(resume(&|it| it.body.fields.purpose = LeasePurpose::Migration, id(41), receipt), mismatch);
    let zone = || "z:private".parse().expect("a zone");
    assert_eq!(resume(&|it| it.header.zone_id = zone(), id(41), receipt), mismatch);
    assert_eq!(resume(&|_| {}, id(41), None), Err(ResumeError::ReceiptMismatch));
    assert_eq!(resume(&|_| {}, id(41), Some(id(1))), Err(ResumeError::ReceiptMismatch));
}
