//! Secrets are bound to where they are, and their use is short.

use fcp_proto_core::crypto::role::Vault;
use fcp_proto_core::crypto::seal::SealContext;
use fcp_proto_core::crypto::secret::SymmetricKey;
use fcp_proto_core::ids::{SecretId, ZoneId};
use fcp_proto_core::object::{SecretAccessToken, SecretFormat, SecretObject, Signed, ThresholdSecretObject};
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
    refuses::<Shared>(|it| it.body.fields.k = 0);
    refuses::<Shared>(|it| it.body.fields.k = 4);
    refuses::<Shared>(|it| it.body.fields.n = 2);
    refuses::<Shared>(|it| it.body.fields.n = 256);
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
