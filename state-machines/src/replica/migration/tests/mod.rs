//! Strict calls of a connector on a few members, with a service that counts what was done to it.

mod model;
mod paths;
mod world;

use alloc::collections::BTreeSet;

use fcp_proto_core::ids::{CallId, ConnectorId, Digest, OperationId, PrincipalId, TokenId};
use fcp_proto_core::object::{
    CallOutcome, Effect, Header, OperationReceipt, SettledBy, Settlement, SignedBody, Usage,
};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::zone::Label;

use super::*;
use crate::replica::chain::tests::{Chair, EPOCH, NOW, electorate, ids, key, lease, node, zone};

fn sign<T: SignedBody>(i: usize, fields: T) -> Object<Signed<T>> {
    let header = Header::new(&T::SCHEMA, &zone(), NOW, Label::default(), None);
    Object::sign(header, fields, &key(i)).unwrap()
}

fn numbered(number: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

/// A call that member `i` is about to make under the lease with `token`.
fn intent(i: usize, token: u64, number: u64) -> Object<Signed<OperationIntent>> {
    sign(
        i,
        OperationIntent {
            call_id: CallId::from_bytes(numbered(number)),
            request: ObjectId::from_bytes([1; 32]),
            call_digest: Digest::from_bytes([2; 32]),
            principal: PrincipalId::new("agent").unwrap(),
            connector: ConnectorId::new("fcp.notes").unwrap(),
            operation: OperationId::new("notes.add").unwrap(),
            token_id: TokenId::from_bytes([3; 16]),
            grants: BTreeSet::new(),
            approvals: BTreeSet::new(),
            standing_approval: None,
            idempotency_key: None,
            idempotency_expires_at: None,
            reservations: Vec::new(),
            input_label: Label::default(),
            revocation_seq: 0,
            interface_hash: Digest::from_bytes([4; 32]),
            code_digest: Digest::from_bytes([5; 32]),
            lease_seq: Some((EPOCH << 32) + token),
            planned_at: NOW,
            planned_by: node(i),
        },
    )
}

fn receipt(i: usize, intent: ObjectId) -> End {
    let fields = OperationReceipt {
        call_id: CallId::from_bytes([0; 16]),
        intent,
        outcome: CallOutcome::Succeeded,
        delivered: true,
        effect: Effect::Made,
        error: None,
        message: None,
        output_digest: None,
        result: None,
        output_label: Label::default(),
        usage: Usage { requests: 1, bytes_sent: 0, bytes_received: 0, duration_ms: 1 },
        executed_at: UnixTime::from_secs(5),
        executed_by: node(i),
    };
    End::Receipt(Box::new(sign(i, fields)))
}

fn settlement(i: usize, intent: ObjectId, effect: Effect) -> End {
    let (settled_by, settled_at) = (SettledBy::Probe, UnixTime::from_secs(6));
    End::Settlement(Box::new(sign(i, Settlement { intent, effect, settled_by, note: None, settled_at })))
}
