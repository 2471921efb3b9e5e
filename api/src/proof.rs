//! What is signed to prove a key: one message for each purpose, so that no signature serves another.
//!
//! Each message is a domain text, then the canonical CBOR of an array. Spec: `docs/spec/api.md#proofs`.

use fcp_proto_core::encoding::cbor::{self, CborError, ToCbor, Value};
use fcp_proto_core::ids::{Digest, NodeId, PrincipalId, TokenId, ZoneId};

use crate::hex::Hex;

/// Domain of the message that opens an agent's session.
pub const SESSION_DOMAIN: &[u8] = b"FCP2-SESSION-V1";

/// Domain of the message that proves a new agent's key.
pub const ENROLMENT_DOMAIN: &[u8] = b"FCP2-ENROLMENT-V1";

/// Domain of the message that proves a token's holder for one call outside a session.
pub const HOLDER_DOMAIN: &[u8] = b"FCP2-HOLDER-V1";

/// What an agent signs with its key to open a session.
///
/// # Errors
/// As [`cbor::encode`].
pub fn session_message(
    node: &NodeId,
    challenge: &Hex<32>,
    agent: &PrincipalId,
) -> Result<Vec<u8>, CborError> {
    message(SESSION_DOMAIN, node, challenge, [agent.to_cbor()])
}

/// What a new agent signs with its key to be enrolled under it.
///
/// # Errors
/// As [`cbor::encode`].
pub fn enrolment_message(
    node: &NodeId,
    challenge: &Hex<32>,
    name: &PrincipalId,
    zone: &ZoneId,
    public_key: &Hex<32>,
) -> Result<Vec<u8>, CborError> {
    message(ENROLMENT_DOMAIN, node, challenge, [name.to_cbor(), zone.to_cbor(), bytes(&public_key.0)])
}

/// What a token's holder signs for one call.
///
/// # Errors
/// As [`cbor::encode`].
pub fn holder_message(
    node: &NodeId,
    challenge: &Hex<32>,
    call_digest: &Digest,
    token_id: &TokenId,
) -> Result<Vec<u8>, CborError> {
    message(HOLDER_DOMAIN, node, challenge, [call_digest.to_cbor(), token_id.to_cbor()])
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn message<const N: usize>(
    domain: &[u8],
    node: &NodeId,
    challenge: &Hex<32>,
    fields: [Value; N],
) -> Result<Vec<u8>, CborError> {
    let mut list = vec![node.to_cbor(), bytes(&challenge.0)];
    list.extend(fields);
    let mut message = domain.to_vec();
    message.extend(cbor::encode(&Value::Array(list))?);
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_differ_by_purpose_and_by_every_field() {
        let agent = |name: &str| PrincipalId::new(name).unwrap();
        let zone = |name: &str| ZoneId::new(name).unwrap();
        let (a, b) = (Hex([1; 32]), Hex([2; 32]));
        let (n, m) = (NodeId::new("n").unwrap(), NodeId::new("m").unwrap());
        let messages = [
            session_message(&n, &a, &agent("x")),
            session_message(&m, &a, &agent("x")),
            session_message(&n, &b, &agent("x")),
            session_message(&n, &a, &agent("y")),
            enrolment_message(&n, &a, &agent("x"), &zone("z:work"), &a),
            enrolment_message(&n, &b, &agent("x"), &zone("z:work"), &a),
            enrolment_message(&n, &a, &agent("y"), &zone("z:work"), &a),
            enrolment_message(&n, &a, &agent("x"), &zone("z:owner"), &a),
            enrolment_message(&n, &a, &agent("x"), &zone("z:work"), &b),
            holder_message(&n, &a, &Digest::from_bytes([1; 32]), &TokenId::from_bytes([1; 16])),
            holder_message(&n, &b, &Digest::from_bytes([1; 32]), &TokenId::from_bytes([1; 16])),
            holder_message(&n, &a, &Digest::from_bytes([2; 32]), &TokenId::from_bytes([1; 16])),
            holder_message(&n, &a, &Digest::from_bytes([1; 32]), &TokenId::from_bytes([2; 16])),
        ];
        let distinct: std::collections::BTreeSet<_> = messages.into_iter().map(Result::unwrap).collect();
        assert_eq!(distinct.len(), 13);
    }

    #[test]
    fn the_session_message_has_its_published_bytes() {
        let message =
            session_message(&NodeId::new("n1").unwrap(), &Hex([7; 32]), &PrincipalId::new("mail").unwrap())
                .unwrap();
        let mut expected = b"FCP2-SESSION-V1\x83\x62n1\x58\x20".to_vec();
        expected.extend([7; 32]);
        expected.extend(b"\x64mail");
        assert_eq!(message, expected);
    }
}
