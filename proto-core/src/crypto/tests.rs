use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::phrase::{PhraseError, RecoveryPhrase};
use super::proof::{CallProof, EnrolmentProof, SessionProof};
use super::role::{Agent, Issuance, KeyRole, Node, Operator, Vault, Wrapping};
use super::seal::{SealContext, SealError, SealedBox};
use super::secret::{SecretBytes, SymmetricKey};
use super::sign::{KeyError, Signature, SignatureInvalid, SigningKey, VerifyingKey, signing_bytes};
use super::source::{Argon2Cost, KeySource};
use super::wrap::{WrapError, WrappedKey};
use super::{derive, hash};
use crate::encoding::cbor::{self, FromCbor, Map, ShapeError, ToCbor, Value};
use crate::ids::{Digest, NodeId, PrincipalId, TokenId, ZoneId};
use crate::random::Entropy;

fn entropy() -> Entropy {
    Entropy::from_seed(&Zeroizing::new([9; 32]))
}

fn secret(text: &str) -> SecretBytes {
    SecretBytes::from(String::from(text))
}

//= docs/spec/keys.md#signatures
#[test]
fn signatures_bind_message_key_and_schema() {
    let mut entropy = entropy();
    let (key, other) =
        (SigningKey::<Node>::generate(&mut entropy), SigningKey::<Node>::generate(&mut entropy));
    let signature = key.sign(b"message");
    assert_eq!(key.verifying_key().verify(b"message", &signature), Ok(()));
    assert_eq!(key.verifying_key().verify(b"messagE", &signature), Err(SignatureInvalid));
    assert_eq!(other.verifying_key().verify(b"message", &signature), Err(SignatureInvalid));
    let value = Value::Unsigned(1);
    let signature = key.sign_object("a/1", &value).expect("small");
    assert_eq!(key.verifying_key().verify_object("a/1", &value, &signature), Ok(()));
    assert_eq!(key.verifying_key().verify_object("b/1", &value, &signature), Err(SignatureInvalid));
    for at in 0..64 {
        let mut bytes = *signature.as_bytes();
        bytes[at] ^= 1;
        let bent = Signature::from_bytes(bytes);
        assert_eq!(key.verifying_key().verify_object("a/1", &value, &bent), Err(SignatureInvalid), "{at}");
    }
}

//= docs/spec/keys.md#signatures
#[test]
fn malleable_signatures_are_refused() {
    let key = SigningKey::<Node>::generate(&mut entropy());
    let mut bytes = *key.sign(b"m").as_bytes();
    // The group order (RFC 8032 §5.1), added to the scalar: the same scalar modulo the order.
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").expect("hex");
    let mut carry = 0;
    for (byte, add) in bytes[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(key.verifying_key().verify(b"m", &Signature::from_bytes(bytes)), Err(SignatureInvalid));
}

//= docs/spec/keys.md#signatures
#[test]
fn weak_and_odd_public_keys_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    assert_eq!(VerifyingKey::<Node>::from_bytes(&identity), Err(KeyError::WeakPoint));
    assert_eq!(VerifyingKey::<Node>::from_bytes(&[0; 32]), Err(KeyError::WeakPoint));
    let mut not_a_point = [0; 32];
    not_a_point[0] = 2;
    assert_eq!(VerifyingKey::<Node>::from_bytes(&not_a_point), Err(KeyError::NotAPoint));
    // y = p + 3 is 3 written a second way.
    let mut above_the_prime = [0xff; 32];
    (above_the_prime[0], above_the_prime[31]) = (0xf0, 0x7f);
    let mut canonical = [0; 32];
    canonical[0] = 3;
    assert!(VerifyingKey::<Node>::from_bytes(&canonical).is_ok());
    assert_eq!(VerifyingKey::<Node>::from_bytes(&above_the_prime), Err(KeyError::NotAPoint));
    assert_eq!("00".parse::<VerifyingKey<Node>>(), Err(KeyError::NotHex));
}

#[test]
fn keys_and_signatures_keep_their_text_and_cbor_forms() {
    let key = SigningKey::<Issuance>::generate(&mut entropy());
    let public = key.verifying_key();
    assert_eq!(public.to_string().parse(), Ok(public));
    assert_eq!(VerifyingKey::from_cbor(public.to_cbor()), Ok(public));
    let text = serde_json::to_string(&public).expect("a text");
    assert_eq!(serde_json::from_str::<VerifyingKey<Issuance>>(&text).expect("a key"), public);
    let signature = key.sign(b"x");
    assert_eq!(Signature::from_cbor(signature.to_cbor()), Ok(signature));
    assert_eq!(Signature::try_from(signature.to_string()), Ok(signature));
}

#[test]
fn signing_bytes_begin_with_the_golden_prefix() {
    assert_eq!(hex::encode(hash::schema_prefix("fcp.core.CapabilityObject/1.0.0")), "28cb6f0e02d0c489");
    let bytes = signing_bytes("fcp.core.CapabilityObject/1.0.0", &Value::Null).expect("small");
    assert_eq!(
        bytes,
        [&b"FCP2-SIGN-V1"[..], &[0x28, 0xcb, 0x6f, 0x0e, 0x02, 0xd0, 0xc4, 0x89, 0xf6]].concat()
    );
}

#[test]
fn secrets_are_not_printed() {
    let mut entropy = entropy();
    let (signing, sealing) =
        (SigningKey::<Agent>::generate(&mut entropy), SymmetricKey::<Vault>::generate(&mut entropy));
    let phrase = RecoveryPhrase::generate(&mut entropy);
    let shown = format!("{signing:?} {sealing:?} {phrase:?} {:?}", secret("hunter2"));
    for hidden in [hex::encode(signing.expose_seed()), hex::encode(sealing.expose()), "hunter2".into()] {
        assert!(!shown.contains(&hidden), "{shown}");
    }
    assert!(!phrase.words().split(' ').any(|word| shown.contains(word)), "{shown}");
}

#[test]
fn framed_parts_do_not_run_together() {
    let hash = |a: &[u8], b: &[u8]| hash::Hasher::new("D").with_framed(a).with_framed(b).finish();
    assert_ne!(hash(b"ab", b"c"), hash(b"a", b"bc"));
    assert_ne!(hash::Hasher::keyed(&[1; 32], "D").finish(), hash::Hasher::keyed(&[2; 32], "D").finish());
}

//= docs/spec/keys.md#sealed-boxes
#[test]
fn boxes_open_only_with_their_key_and_context_and_unaltered() {
    let mut entropy = entropy();
    let (key, other) =
        (SymmetricKey::<Vault>::generate(&mut entropy), SymmetricKey::<Vault>::generate(&mut entropy));
    let context = SealContext { purpose: "test", binding: b"a" };
    let sealed = SealedBox::seal(&key, context, b"plain", &mut entropy).expect("small");
    let stored = cbor::encode(&sealed).expect("small");
    let read = SealedBox::from_cbor(cbor::decode(&stored).expect("canonical")).expect("a box");
    assert_eq!(read.open(&key, context).map(|p| p.to_vec()), Ok(b"plain".to_vec()));
    assert_eq!(read.open(&other, context), Err(SealError::OtherKey));
    for wrong in [
        SealContext { purpose: "tes", binding: b"ta" },
        SealContext { purpose: "test", binding: b"b" },
        SealContext { purpose: "", binding: b"" },
    ] {
        assert_eq!(read.open(&key, wrong), Err(SealError::NotAuthentic));
    }
    for at in 0..read.ciphertext.0.len() {
        let mut bent = read.clone();
        bent.ciphertext.0[at] ^= 1;
        assert_eq!(bent.open(&key, context), Err(SealError::NotAuthentic));
    }
    let mut bent = read.clone();
    bent.nonce[0] ^= 1;
    assert_eq!(bent.open(&key, context), Err(SealError::NotAuthentic));
    bent.version = 2;
    assert_eq!(bent.open(&key, context), Err(SealError::Version));
    let again = SealedBox::seal(&key, context, b"plain", &mut entropy).expect("small");
    assert_ne!((again.nonce, again.ciphertext), (read.nonce, read.ciphertext));
}

//= docs/spec/keys.md#keys-at-rest
//= docs/spec/keys.md#roles
#[test]
fn a_wrapped_key_opens_by_its_passphrase_and_says_why_not() {
    let mut entropy = entropy();
    let key = SigningKey::<Operator>::generate(&mut entropy);
    let wrapped =
        WrappedKey::with_passphrase(&key, &secret("right"), Argon2Cost::LEAST, &mut entropy).expect("wraps");
    let stored = cbor::encode(&wrapped).expect("small");
    let read = WrappedKey::from_cbor(cbor::decode(&stored).expect("canonical")).expect("a record");
    assert_eq!(read.open_with_passphrase::<SigningKey<Operator>>(&secret("right")), Ok(key));
    assert_eq!(
        read.open_with_passphrase::<SigningKey<Operator>>(&secret("wrong")),
        Err(WrapError::NotOpened)
    );
    assert_eq!(
        read.open_with_passphrase::<SigningKey<Agent>>(&secret("right")),
        Err(WrapError::RoleMismatch(KeyRole::Operator))
    );
    let wrapping = SymmetricKey::<Wrapping>::generate(&mut entropy);
    assert_eq!(read.open_with_key::<SigningKey<Operator>>(&wrapping), Err(WrapError::NotOpened));
    let empty = WrappedKey::with_passphrase(&wrapping, &secret(""), Argon2Cost::LEAST, &mut entropy);
    assert!(matches!(empty, Err(WrapError::Stretch(_))));
}

//= docs/spec/keys.md#keys-at-rest
#[test]
fn the_record_of_a_wrapped_key_cannot_be_altered() {
    let mut entropy = entropy();
    let (key, wrapping) =
        (SymmetricKey::<Vault>::generate(&mut entropy), SymmetricKey::generate(&mut entropy));
    let file = KeySource::File { name: "vault.key".into() };
    let wrapped = WrappedKey::with_key(&key, &wrapping, file, &mut entropy).expect("wraps");
    assert_eq!(wrapped.open_with_key(&wrapping).as_ref(), Ok(&key));
    let open = |record: &WrappedKey| record.open_with_key::<SymmetricKey<Vault>>(&wrapping);
    let mut bent = wrapped.clone();
    bent.source = KeySource::OsKeystore { entry: "vault.key".into() };
    assert_eq!(open(&bent), Err(WrapError::NotOpened));
    bent = wrapped.clone();
    bent.key_id = SymmetricKey::<Vault>::generate(&mut entropy).key_id();
    assert_eq!(open(&bent), Err(WrapError::NotOpened));
    bent = wrapped.clone();
    bent.role = KeyRole::Wrapping;
    assert_eq!(bent.open_with_key::<SymmetricKey<Wrapping>>(&wrapping), Err(WrapError::NotOpened));
    bent = wrapped;
    bent.version = 2;
    assert_eq!(open(&bent), Err(WrapError::Version));
}

//= docs/spec/keys.md#keys-at-rest
#[test]
fn hostile_costs_are_refused_before_any_work() {
    let source = |memory: u32, passes: u32, lanes: u32| {
        let fields = [("memory_kib", memory), ("passes", passes), ("lanes", lanes)];
        let mut entries: Vec<_> = fields
            .into_iter()
            .map(|(k, v)| (Value::Text(String::from(k).into()), v.to_cbor().into_owned()))
            .collect();
        entries.push((Value::Text("kind".into()), Value::Text("passphrase".into())));
        entries.push((Value::Text("salt".into()), [0u8; 16].to_cbor()));
        KeySource::from_cbor(Value::Map(Map::new(entries).expect("distinct")))
    };
    assert!(source(64 * 1024, 3, 4).is_ok() && source(1024 * 1024, 4, 1).is_ok());
    for (memory, passes, lanes) in [
        (u32::MAX, 2, 1),
        (1024 * 1024 + 1, 2, 1),
        (1024 * 1024, 5, 1),
        (65536, 17, 1),
        (65536, 3, 17),
        (8, 2, 1),
        (65536, 1, 1),
        (65536, 3, 0),
    ] {
        assert_eq!(source(memory, passes, lanes), Err(ShapeError::OutOfRange), "{memory} {passes} {lanes}");
    }
}

#[test]
fn sources_keep_their_form_and_names_stay_in_their_folder() {
    for source in [
        KeySource::Passphrase { cost: Argon2Cost::RECOMMENDED, salt: [3; 16] },
        KeySource::OsKeystore { entry: "fcp/operator".into() },
        KeySource::SystemdCredential { name: "fcp-node".into() },
        KeySource::File { name: "node.key".into() },
        KeySource::OtherDevice { node: NodeId::new("laptop").expect("an id") },
    ] {
        assert_eq!(KeySource::from_cbor(source.to_cbor()), Ok(source));
    }
    for name in ["", "../x", "/etc/x", ".hidden", "a b"] {
        let escaping = KeySource::File { name: name.into() };
        assert!(KeySource::from_cbor(escaping.to_cbor()).is_err(), "{name}");
    }
    assert!(KeySource::File { name: "x".into() }.caveat().is_some());
}

//= docs/spec/keys.md#the-recovery-phrase
#[test]
fn the_phrase_reads_back_and_names_what_is_wrong() {
    let phrase = RecoveryPhrase::generate(&mut entropy());
    let words = phrase.words();
    assert_eq!(words.split(' ').count(), 24);
    let shouted = words.to_uppercase().replace(' ', "\n  ");
    let again = RecoveryPhrase::parse(&shouted).expect("the same words");
    assert_eq!(again.owner_key(), phrase.owner_key());
    let error = |text: &str| RecoveryPhrase::parse(text).err();
    assert_eq!(error("abandon"), Some(PhraseError::WordCount(1)));
    assert_eq!(error(&["abandon"; 12].join(" ")), Some(PhraseError::WordCount(12)));
    assert_eq!(error(&["abandon"; 24].join(" ")), Some(PhraseError::Checksum));
    let mut list: Vec<&str> = words.split(' ').collect();
    list[6] = "abandonn";
    assert_eq!(error(&list.join(" ")), Some(PhraseError::UnknownWord(7)));
}

#[test]
fn subkeys_differ_by_info_and_output_is_bounded() {
    assert_ne!(derive::subkey(&[1; 32], b"a"), derive::subkey(&[1; 32], b"b"));
    assert!(derive::hkdf_sha256(b"", b"x", b"", &mut [0; 8_160]).is_ok());
    assert!(derive::hkdf_sha256(b"", b"x", b"", &mut [0; 8_161]).is_err());
}

//= docs/spec/keys.md#proofs-of-possession
//= docs/spec/keys.md#roles
#[test]
fn a_call_proof_serves_one_call_one_token_one_node_one_zone_and_one_challenge() {
    let mut entropy = entropy();
    let key = SigningKey::<Agent>::generate(&mut entropy);
    let proof = CallProof {
        call_digest: Digest::from_bytes([1; 32]),
        token_id: TokenId::from_bytes([2; 16]),
        node_id: NodeId::new("laptop").expect("an id"),
        audience: ZoneId::new("z:work").expect("a zone"),
        challenge: [3; 32],
    };
    let signature = proof.sign(&key).expect("small");
    assert_eq!(proof.verify(&key.verifying_key(), &signature), Ok(()));
    let changes: [fn(&mut CallProof); 5] = [
        |p| p.call_digest = Digest::from_bytes([9; 32]),
        |p| p.token_id = TokenId::from_bytes([9; 16]),
        |p| p.node_id = NodeId::new("phone").expect("an id"),
        |p| p.audience = ZoneId::new("z:owner").expect("a zone"),
        |p| p.challenge = [9; 32],
    ];
    for change in changes {
        let mut other = proof.clone();
        change(&mut other);
        assert_eq!(other.verify(&key.verifying_key(), &signature), Err(SignatureInvalid));
    }
    // The same secret in another role is another signer.
    let as_operator = SigningKey::<Operator>::from_seed(&Zeroizing::new(*key.expose_seed()));
    assert_eq!(proof.verify(&as_operator.verifying_key(), &signature), Err(SignatureInvalid));
}

#[test]
fn a_session_proof_serves_one_connection() {
    let key = SigningKey::<Agent>::generate(&mut entropy());
    let mut proof = SessionProof {
        principal_id: PrincipalId::new("coder").expect("an id"),
        node_id: NodeId::new("laptop").expect("an id"),
        channel_binding: [1; 32],
        challenge: [2; 32],
    };
    let signature = proof.sign(&key).expect("small");
    assert_eq!(proof.verify(&key.verifying_key(), &signature), Ok(()));
    proof.channel_binding = [7; 32];
    assert_eq!(proof.verify(&key.verifying_key(), &signature), Err(SignatureInvalid));
}

#[test]
fn an_enrolment_proof_serves_one_name_in_one_zone() {
    let key = SigningKey::<Agent>::generate(&mut entropy());
    let proof = EnrolmentProof {
        principal_id: PrincipalId::new("coder").expect("an id"),
        zone_id: ZoneId::new("z:work").expect("a zone"),
        node_id: NodeId::new("laptop").expect("an id"),
        challenge: [2; 32],
    };
    let signature = proof.sign(&key).expect("small");
    assert_eq!(proof.verify(&key.verifying_key(), &signature), Ok(()));
    let changes: [fn(&mut EnrolmentProof); 4] = [
        |proof| proof.principal_id = PrincipalId::new("other").expect("an id"),
        |proof| proof.zone_id = ZoneId::new("z:owner").expect("a zone"),
        |proof| proof.node_id = NodeId::new("desktop").expect("an id"),
        |proof| proof.challenge = [3; 32],
    ];
    for change in changes {
        let mut other = proof.clone();
        change(&mut other);
        assert_eq!(other.verify(&key.verifying_key(), &signature), Err(SignatureInvalid));
    }
}
