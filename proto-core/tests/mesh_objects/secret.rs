//! Secrets are bound to where they are, and their use is short.

use fcp_proto_core::crypto::agree::EncryptionKey;
use fcp_proto_core::crypto::hpke::HpkeError;
use fcp_proto_core::crypto::role::Vault;
use fcp_proto_core::crypto::seal::SealContext;
use fcp_proto_core::crypto::secret::{SecretBytes, SymmetricKey};
use fcp_proto_core::crypto::shamir::{Dealing, DealingTerms, SealedShareError};
use fcp_proto_core::crypto::wrap::WrappableKey;
use fcp_proto_core::ids::{SecretId, ZoneId};
use fcp_proto_core::object::{
    SecretAccessToken, SecretFormat, SecretObject, Signed, ThresholdSecretObject, WrappedShareError,
};
use fcp_proto_core::random::Entropy;
use zeroize::Zeroizing;

use super::{after, at, node, refuses, sample};

//= docs/spec/objects.md#secrets
#[test]
fn a_secret_opens_in_its_place_and_nowhere_else() {
    let secret = sample::<Signed<SecretObject>>();
    let key = SymmetricKey::<Vault>::from_bytes(Zeroizing::new([51; 32]));
    let open = |id: SecretId, zone: &ZoneId| {
        let binding = SecretObject::binding(&id, zone);
        let context = SealContext { purpose: SecretObject::PURPOSE, binding: &binding };
        secret.body.fields.sealed.open(&key, context).map(|bytes| bytes.to_vec())
    };
    let id = secret.body.fields.secret_id;
    assert_eq!(open(id, &secret.header.zone_id).as_deref(), Ok(&b"a secret"[..]));
    assert!(open(SecretId::from_bytes([1; 16]), &secret.header.zone_id).is_err());
    assert!(open(id, &"z:private".parse().expect("a zone")).is_err());
}

//= docs/spec/objects.md#secrets
#[test]
fn thresholds_and_shares_fit_together() {
    type Shared = Signed<ThresholdSecretObject>;
    for total in [2, 4] {
        let terms = DealingTerms { total, ..*sample::<Shared>().body.fields.dealing.terms() };
        let mut entropy = Entropy::from_seed(&Zeroizing::new([9; 32]));
        let (dealing, _) = Dealing::deal(&SecretBytes::new(vec![1]), terms, &mut entropy).expect("a dealing");
        refuses::<Shared>(|it| it.body.fields.dealing = dealing);
    }
    refuses::<Shared>(|it| drop(it.body.fields.wrapped_shares.remove(&node("phone"))));
    for index in [0, 1, 4] {
        refuses::<Shared>(|it| {
            it.body.fields.wrapped_shares.get_mut(&node("phone")).expect("its share").index = index;
        });
    }
    refuses::<Shared>(|it| it.body.fields.rotation.overlap_secs = 7_776_001);
    let share = |index, threshold, total| SecretFormat::ThresholdShare { index, threshold, total };
    for bad in [share(0, 2, 3), share(4, 2, 3), share(1, 4, 3), share(1, 0, 3), share(1, 2, 256)] {
        refuses::<Signed<SecretObject>>(|it| it.body.fields.format = bad);
    }
    assert_eq!(after::<Signed<SecretObject>>(|it| it.body.fields.format = SecretFormat::Raw {}), Ok(()));
}

/// The encryption key of a device of the vectors.
fn encryption_key(byte: u8) -> EncryptionKey {
    EncryptionKey::from_secret(Zeroizing::new([byte; 32]))
}

//= docs/spec/objects.md#secrets
//= docs/spec/sealing.md#sealed-shares
#[test]
fn each_device_opens_its_own_share_and_two_of_three_give_the_secret() {
    let shared = sample::<Signed<ThresholdSecretObject>>();
    let (laptop, phone) = (node("laptop"), node("phone"));
    let shares = [(&laptop, 0x41), (&phone, 0x43)]
        .map(|(node, key)| shared.open_share(node, &encryption_key(key)).expect("its share"));
    let secret = shared.body.fields.dealing.combine(shares.into()).expect("the secret");
    assert_eq!(secret.expose(), b"a shared secret");

    let other = encryption_key(0x42);
    assert_eq!(shared.open_share(&node("tablet"), &other), Err(WrappedShareError::NotARecipient));
    let mut swapped = shared.clone();
    let named = swapped.body.fields.wrapped_shares.get_mut(&laptop).expect("its share");
    assert_eq!(shared.open_share(&laptop, &other), Err(WrappedShareError::OtherKey(named.recipient_key_id)));
    named.index = 2;
    assert_eq!(swapped.open_share(&laptop, &encryption_key(0x41)), Err(WrappedShareError::OtherIndex(1)));
    let (taken, mut moved) = (shared.body.fields.wrapped_shares[&phone].clone(), shared.clone());
    moved.body.fields.wrapped_shares.insert(laptop.clone(), taken);
    let elsewhere = moved.open_share(&laptop, &encryption_key(0x43));
    assert_eq!(elsewhere, Err(WrappedShareError::Sealed(SealedShareError::Box(HpkeError::NotOpened))));
}

//= docs/spec/objects.md#secrets
#[test]
fn the_right_to_use_a_secret_is_short_and_counted() {
    refuses::<Signed<SecretAccessToken>>(|it| it.body.fields.expires_at = at(301));
    refuses::<Signed<SecretAccessToken>>(|it| it.body.fields.expires_at = at(0));
    let token = sample::<Signed<SecretAccessToken>>().body.fields;
    assert!(token.permits(at(0), 0) && token.permits(at(299), 0));
    assert!(!token.permits(at(300), 0), "over");
    assert!(!token.permits(at(0), 1), "used up");
    let early = fcp_proto_core::time::UnixTime::from_secs(super::MADE - 1);
    assert!(!token.permits(early, 0), "not yet");
}
