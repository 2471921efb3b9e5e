//! The recovery phrase, boxes to a device, shares, zone key manifests and the messages of threshold signatures.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fcp_proto_core::crypto::frost::{Committed, KeyShare, SigningRequest, begin_keygen, commit};
use fcp_proto_core::crypto::hpke::{
    BoxContext, HpkeBox, HpkeError, KemAlgorithm, PublicEncryptionKey, Purpose,
};
use fcp_proto_core::crypto::phrase::RecoveryPhrase;
use fcp_proto_core::crypto::shamir::Share;
use fcp_proto_core::encoding::cbor::{FromCbor, ToCbor};
use fcp_proto_core::ids::{NodeId, ZoneId};
use fcp_proto_core::object::{Object, Signed, StoredObject, ZoneKeyManifest};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use zeroize::Zeroizing;

/// What is read as a phrase is written as its words, in small letters and with one space between them.
pub(crate) fn recovery_phrase(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    if let Ok(phrase) = RecoveryPhrase::parse(text) {
        let words: Vec<_> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
        assert_eq!(*phrase.words(), words.join(" "));
    }
}

/// What is read as a device's key is that key, and either a box is sealed to it or it is known to be of small order.
pub(crate) fn public_encryption_key(input: &[u8]) {
    for kem in [KemAlgorithm::X25519, KemAlgorithm::XWing] {
        let Ok(key) = PublicEncryptionKey::from_bytes(kem, input) else { continue };
        assert_eq!((key.kem(), key.as_bytes()), (kem, input));
        let (zone_id, recipient) =
            (&ZoneId::new("z:work").expect("a zone"), &NodeId::new("desk").expect("a node"));
        let context =
            BoxContext { zone_id, recipient, purpose: Purpose::ZoneKey, issued_at: UnixTime::from_secs(1) };
        let entropy = &mut Entropy::from_seed(&Zeroizing::new([6; 32]));
        match HpkeBox::seal(&key, context, &[1; 32], entropy) {
            Ok(sealed) => assert_eq!(HpkeBox::from_cbor(sealed.to_cbor()).as_ref(), Ok(&sealed)),
            Err(error) => assert_eq!(error, HpkeError::RecipientKey),
        }
    }
}

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
    match step % 4 {
        0 => drop(begin(1).0.receive(&BTreeMap::from([(2, message.to_vec())]))),
        1 => {
            let (own, _) = begin(1).0.receive(&BTreeMap::from([(2, begin(2).1)])).expect("honest");
            drop(own.receive(&BTreeMap::from([(2, Zeroizing::new(message.to_vec()))])));
        }
        2 => sign_with(Some(message), message),
        _ => sign_with(None, message),
    }
}

/// Signs together with a participant whose share is right, and whose messages are the given ones.
fn sign_with(commitments: Option<&[u8]>, answer: &[u8]) {
    static SHARES: LazyLock<[KeyShare; 2]> = LazyLock::new(keygen);
    let [own, other] = &*SHARES;
    let entropy = &mut Entropy::from_seed(&Zeroizing::new([3; 32]));
    let (nonces, first) = commit(own, entropy).expect("commits");
    let second = match commitments {
        Some(given) => given.to_vec(),
        None => commit(other, entropy).expect("commits").1,
    };
    let commitments = BTreeMap::from([(1, first), (2, second)]);
    if let Ok(request) = SigningRequest::new(own.group(), b"message".to_vec(), &commitments) {
        let own_answer = own.sign(&request, nonces).expect("its own nonces");
        drop(request.aggregate(own.group(), &BTreeMap::from([(1, own_answer), (2, answer.to_vec())])));
    }
}

fn begin(participant: u8) -> (Committed, Vec<u8>) {
    let mut entropy = Entropy::from_seed(&Zeroizing::new([participant; 32]));
    begin_keygen([7; 32], (2, 2), participant, &mut entropy).expect("a quorum")
}

fn keygen() -> [KeyShare; 2] {
    let ((own, own_message), (other, other_message)) = (begin(1), begin(2));
    let (own, to_other) = own.receive(&BTreeMap::from([(2, other_message)])).expect("honest");
    let (other, to_own) = other.receive(&BTreeMap::from([(1, own_message)])).expect("honest");
    let own = own.receive(&BTreeMap::from([(2, to_own[&1].clone())])).expect("honest");
    let other = other.receive(&BTreeMap::from([(1, to_other[&2].clone())])).expect("honest");
    [own, other]
}
