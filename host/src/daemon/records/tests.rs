//! What the indexes make of objects that are durable.

use fcp_proto_core::crypto::role::Operator;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::{CallId, CredentialId, ObjectId};
use fcp_proto_core::object::{
    AnyObject, CallOutcome, CredentialRecord, Effect, Header, Object, OperationReceipt, SignedBody, Usage,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::Label;

use super::Records;

fn id(byte: u8) -> ObjectId {
    ObjectId::from_bytes([byte; 32])
}

fn call(byte: u8) -> CallId {
    CallId::from_bytes([byte; 16])
}

fn name() -> CredentialId {
    "me".parse().unwrap()
}

/// A version of the credential.
fn stored(version: u64) -> AnyObject {
    let key = SigningKey::<Operator>::generate(&mut Entropy::from_seed(&[1; 32].into()));
    let zone = "z:work".parse().unwrap();
    let schema = &<CredentialRecord as SignedBody>::SCHEMA;
    let header = Header::new(schema, &zone, UnixTime::from_secs(version), Label::default(), None);
    let fields = CredentialRecord {
        credential: name(),
        connector: "notes".parse().unwrap(),
        slot: "token".into(),
        kind: "bearer".into(),
        hosts: Vec::new(),
        version,
        removed: false,
    };
    Object::sign(header, fields, &key).unwrap().into()
}

/// How a call ended that asked its service `requests` times.
fn receipt(byte: u8, outcome: CallOutcome, requests: u64, at: u64) -> OperationReceipt {
    OperationReceipt {
        call_id: call(byte),
        intent: id(byte),
        outcome,
        delivered: true,
        effect: Effect::None,
        error: None,
        message: None,
        output_digest: None,
        result: None,
        output_label: Label::default(),
        usage: Usage { requests, bytes_sent: 0, bytes_received: 0, duration_ms: 0 },
        executed_at: UnixTime::from_secs(at),
        executed_by: "node-1".parse().unwrap(),
    }
}

#[test]
fn a_credential_was_accepted_if_a_service_answered_a_call_well_that_carried_this_version_of_it() {
    let mut records = Records::default();
    records.absorb(&[(id(200), stored(1))]);
    let carry = |records: &mut Records, byte| records.using.insert(call(byte), [name()].into());
    let accepted = |records: &Records| records.accepted.get(&name()).copied();
    for (byte, outcome, requests) in
        [(1, CallOutcome::Failed, 1), (2, CallOutcome::Unknown, 1), (3, CallOutcome::Succeeded, 0)]
    {
        carry(&mut records, byte);
        records.receipt(id(byte), &receipt(byte, outcome, requests, 10));
        assert_eq!(accepted(&records), None, "{outcome:?} after {requests} requests");
    }
    records.receipt(id(4), &receipt(4, CallOutcome::Succeeded, 1, 11));
    assert_eq!(accepted(&records), None, "it carried no credential");
    carry(&mut records, 5);
    records.receipt(id(5), &receipt(5, CallOutcome::Succeeded, 1, 12));
    assert_eq!(accepted(&records), Some(UnixTime::from_secs(12)));

    carry(&mut records, 6);
    records.absorb(&[(id(201), stored(2))]);
    assert_eq!(accepted(&records), None, "that was the secret before");
    records.receipt(id(6), &receipt(6, CallOutcome::Succeeded, 1, 13));
    assert_eq!(accepted(&records), None, "and so is what a call carried that began before");
}
