//! Proofs of possession, and boxes under a symmetric key.

use fcp_proto_core::crypto::proof::{EnrolmentProof, SessionProof};
use fcp_proto_core::crypto::role::{Agent, HolderRole, Operator, Owner, Vault};
use fcp_proto_core::crypto::seal::{SealContext, SealError, SealedBox};
use fcp_proto_core::crypto::secret::SymmetricKey;
use fcp_proto_core::crypto::sign::{Signature, SigningKey};
use fcp_proto_core::encoding::cbor::{self, FromCbor, ToCbor};
use zeroize::Zeroizing;

use super::{Case, Check};

/// The files of `vectors/keys` that are read here.
pub(crate) const FILES: [(&str, Check); 3] = [
    ("keys/proofs.json", proof),
    ("keys/sealed_box.json", sealed_box),
    ("keys/sealed_box_reject.json", sealed_box_reject),
];

fn proof(case: &Case<'_>) {
    match case.text("role") {
        "owner" => proof_of::<Owner>(case),
        "operator" => proof_of::<Operator>(case),
        "agent" => proof_of::<Agent>(case),
        other => panic!("{}: {other}", case.place),
    }
}

fn proof_of<R: HolderRole>(case: &Case<'_>) {
    let key = SigningKey::<R>::from_seed(&Zeroizing::new(case.array("seed")));
    let signature = Signature::from_bytes(case.array("signature"));
    let principal_id = case.text("principal").parse().expect("a principal");
    let node_id = case.text("node").parse().expect("a node");
    let challenge = case.array("challenge");
    let (signed, verified) = match case.text("kind") {
        "session" => {
            let channel_binding = case.array("channel_binding");
            let proof = SessionProof { principal_id, node_id, channel_binding, challenge };
            (proof.sign(&key), proof.verify(&key.verifying_key(), &signature))
        }
        "enrolment" => {
            let zone_id = case.text("zone").parse().expect("a zone");
            let proof = EnrolmentProof { principal_id, zone_id, node_id, challenge };
            (proof.sign(&key), proof.verify(&key.verifying_key(), &signature))
        }
        other => panic!("{}: {other}", case.place),
    };
    assert_eq!((signed, verified), (Ok(signature), Ok(())), "{}", case.place);
    // The signature is of these bytes.
    assert_eq!(key.sign(&case.bytes("bytes")), signature, "{}", case.place);
}

fn sealed_box(case: &Case<'_>) {
    assert_eq!(open(case).map(|content| content.to_vec()), Ok(case.bytes("content")), "{}", case.place);
}

fn sealed_box_reject(case: &Case<'_>) {
    let error = open(case).map(drop).map_err(|error| format!("{error:?}"));
    assert_eq!(error, Err(case.text("error").into()), "{}", case.place);
}

fn open(case: &Case<'_>) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let bytes = case.bytes("box");
    let sealed = SealedBox::from_cbor(cbor::decode(&bytes).expect("canonical")).expect("a box");
    assert_eq!(cbor::encode(&sealed.to_cbor()), Ok(bytes), "{}", case.place);
    let key = SymmetricKey::<Vault>::from_bytes(Zeroizing::new(case.array("key")));
    sealed.open(&key, SealContext { purpose: case.text("purpose"), binding: &case.bytes("binding") })
}
