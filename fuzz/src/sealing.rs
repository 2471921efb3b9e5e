//! Boxes to a device, shares, zone key manifests and the messages of threshold signatures.

use std::collections::BTreeMap;

use fcp_proto_core::crypto::frost::{KeyShare, SigningRequest, begin_keygen, commit};
use fcp_proto_core::crypto::shamir::Share;
use fcp_proto_core::object::{Object, Signed, StoredObject, ZoneKeyManifest};
use fcp_proto_core::random::Entropy;
use zeroize::Zeroizing;

/// A share's bytes read back.
pub(crate) fn share(input: &[u8]) {
    if let Ok(share) = Share::from_bytes(input) {
        assert_eq!(share.to_bytes().as_slice(), input);
    }
}

/// What is read as a share of a key is written as the same bytes.
pub(crate) fn key_share(input: &[u8]) {
    if let Ok(share) = KeyShare::from_bytes(input) {
        assert_eq!(share.to_bytes().expect("small").as_slice(), input);
    }
}

/// What is read as a request for a signature is written as the same bytes.
pub(crate) fn signing_request(input: &[u8]) {
    if let Ok(request) = SigningRequest::from_bytes(input) {
        assert_eq!(request.to_bytes().as_deref(), Ok(input));
    }
}

/// What is read as a manifest is stored as the same bytes.
pub(crate) fn key_manifest(input: &[u8]) {
    let Ok(stored) = StoredObject::from_bytes(input) else { return };
    let opened: Result<Object<Signed<ZoneKeyManifest>>, _> = stored.open();
    if let Ok(manifest) = opened {
        let again = manifest.store().expect("what was read is small enough").to_bytes();
        assert_eq!(again.as_deref(), Ok(input));
    }
}

/// Whatever another participant sends is refused or taken, never more. The first byte chooses the step.
pub(crate) fn frost_message(input: &[u8]) {
    let Some((step, message)) = input.split_first() else { return };
    let from = |index, bytes: &[u8]| BTreeMap::from([(index, bytes.to_vec())]);
    let secret_from = |index, bytes: &[u8]| BTreeMap::from([(index, Zeroizing::new(bytes.to_vec()))]);
    let entropy = &mut Entropy::from_seed(&Zeroizing::new([1; 32]));
    let (own, own_message) = begin_keygen([7; 32], (2, 2), 1, entropy).expect("a quorum");
    let (other, other_message) = begin_keygen([7; 32], (2, 2), 2, entropy).expect("a quorum");
    if step % 4 == 0 {
        let _ = own.receive(&from(2, message));
        return;
    }
    let (own, to_other) = own.receive(&from(2, &other_message)).expect("honest");
    let (other, to_own) = other.receive(&from(1, &own_message)).expect("honest");
    if step % 4 == 1 {
        let _ = own.receive(&secret_from(2, message));
        return;
    }
    let own = own.receive(&secret_from(2, &to_own[&1])).expect("honest");
    let other = other.receive(&secret_from(1, &to_other[&2])).expect("honest");
    let (nonces, own_commitments) = commit(&own, entropy).expect("commits");
    let (_, other_commitments) = commit(&other, entropy).expect("commits");
    let second = if step % 4 == 2 { message.to_vec() } else { other_commitments };
    let commitments = BTreeMap::from([(1, own_commitments), (2, second)]);
    if let Ok(request) = SigningRequest::new(own.group(), b"message".to_vec(), &commitments) {
        let answer = own.sign(&request, nonces).expect("its own nonces");
        let _ = request.aggregate(own.group(), &BTreeMap::from([(1, answer), (2, message.to_vec())]));
    }
}
