//! Worlds with real tokens: minted, signed, damaged and read back as a node reads them.

use std::collections::BTreeMap;

use fcp_proto_core::crypto::role::Issuance;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::encoding::cbor::{self, Map, Value};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::KeyId;
use fcp_proto_core::object::GateCheck;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::Token;
use fcp_proto_core::token::claims::{Claims, Label};
use fcp_proto_core::token::constraints::Constraints;
use fcp_state_machines::call::gate::{IssuerFacts, SignatureFacts, TokenFacts};

use crate::reference::{Verdict, reference};
use crate::worlds::{Base, Dice, NOW, at, node, object, principal, token_claims, token_grant, zone};

/// The keys of a home: of two attested nodes, and of a stranger.
struct Keys {
    laptop: SigningKey<Issuance>,
    phone: SigningKey<Issuance>,
    stranger: SigningKey<Issuance>,
    attested: BTreeMap<KeyId, (VerifyingKey<Issuance>, IssuerFacts)>,
}

impl Keys {
    fn new() -> Self {
        let mut entropy = Entropy::from_seed(&[9; 32].into());
        let mut key = || SigningKey::generate(&mut entropy);
        let (laptop, phone, stranger) = (key(), key(), key());
        let issuer = |name| IssuerFacts { node_id: node(name), issued_at: at(-1000), expires_at: at(1000) };
        let attested = [(&laptop, "laptop"), (&phone, "phone")]
            .map(|(key, name)| (key.key_id(), (key.verifying_key(), issuer(name))));
        Self { attested: attested.into(), laptop, phone, stranger }
    }

    /// What a node makes of the bytes of a token: the key by its id, the signature, then the claims.
    fn read(&self, bytes: &[u8]) -> TokenFacts {
        let token = match Token::decode(bytes) {
            Ok(token) => token,
            Err(error) => return TokenFacts::Malformed(error.code()),
        };
        let Some((key, issuer)) = self.attested.get(&token.key_id()) else { return TokenFacts::UnknownKey };
        match token.verify(key) {
            Ok(token) => TokenFacts::Decoded {
                signature: SignatureFacts::Valid,
                claims: Box::new(token.claims().clone()),
                issuer: Some(issuer.clone()),
            },
            Err(error) => TokenFacts::Malformed(error.code()),
        }
    }
}

fn mint(claims: Claims, key: &SigningKey<Issuance>) -> Vec<u8> {
    Token::mint(claims, key).expect("claims that can be minted").as_bytes().to_vec()
}

/// A token by hand (RFC 9052 section 4.4), so that it can say what no issuer would.
fn forge(payload: &Value, kid: KeyId, key: &SigningKey<Issuance>) -> Vec<u8> {
    let encode = |value: &Value| cbor::encode(value).expect("an encoding");
    let map = |entries| Value::Map(Map::new(entries).expect("a map"));
    let protected = Value::Bytes(
        encode(&map(vec![
            (Value::integer(1), Value::integer(-8)),
            (Value::integer(4), Value::Bytes(kid.as_bytes().to_vec().into())),
        ]))
        .into(),
    );
    let payload = Value::Bytes(encode(payload).into());
    let nothing = Value::Bytes(Vec::new().into());
    let message =
        Value::Array(vec![Value::Text("Signature1".into()), protected.clone(), nothing, payload.clone()]);
    let signature = Value::Bytes(key.sign(&encode(&message)).as_bytes().to_vec().into());
    encode(&Value::Array(vec![protected, map(Vec::new()), payload, signature]))
}

/// The payload of the claims with one claim put in the place of what stood there.
fn payload_with<'a>(claims: &'a Claims, label: i64, value: Value<'a>) -> Value<'a> {
    let Value::Map(map) = claims.to_payload().expect("a payload") else { panic!("claims are a map") };
    let mut entries = map.into_entries();
    entries.retain(|(key, _)| *key != Value::integer(label));
    entries.push((Value::integer(label), value));
    Value::Map(Map::new(entries).expect("a map"))
}

/// What must come of a token.
#[derive(Debug)]
enum Expected {
    Allowed,
    Denied(GateCheck, Code),
    /// By check 2, whatever the code: where a bit falls decides over it.
    Unbelieved,
}

type Case = fn(&Keys, &mut Dice) -> (Vec<u8>, Expected);

fn denied(check: GateCheck, code: Code) -> Expected {
    Expected::Denied(check, code)
}

/// A token whose claims were changed before an honest signature.
fn changed(keys: &Keys, change: impl FnOnce(&mut Claims)) -> Vec<u8> {
    let mut claims = token_claims();
    change(&mut claims);
    mint(claims, &keys.laptop)
}

fn forged(keys: &Keys, label: i64, value: Value) -> Vec<u8> {
    forge(&payload_with(&token_claims(), label, value), keys.laptop.key_id(), &keys.laptop)
}

const CASES: &[(&str, Case)] = &[
    ("genuine", |keys, _| (mint(token_claims(), &keys.laptop), Expected::Allowed)),
    ("genuine, tagged", |keys, _| {
        ([vec![0xd2], mint(token_claims(), &keys.laptop)].concat(), Expected::Allowed)
    }),
    ("a bit is flipped", |keys, dice| {
        let mut bytes = mint(token_claims(), &keys.laptop);
        let at = dice.below(bytes.len());
        bytes[at] ^= 1 << dice.below(8);
        (bytes, Expected::Unbelieved)
    }),
    ("it is cut short", |keys, dice| {
        let mut bytes = mint(token_claims(), &keys.laptop);
        bytes.truncate(dice.below(bytes.len()));
        (bytes, denied(GateCheck::TokenSignature, Code::TokenMalformed))
    }),
    ("bytes follow it", |keys, dice| {
        let mut bytes = mint(token_claims(), &keys.laptop);
        bytes.extend(dice.next().to_le_bytes());
        (bytes, denied(GateCheck::TokenSignature, Code::TokenMalformed))
    }),
    ("a stranger signed it", |keys, _| {
        (mint(token_claims(), &keys.stranger), denied(GateCheck::TokenSignature, Code::TokenIssuerUnknown))
    }),
    ("a stranger signed it under a known key's id", |keys, _| {
        let claims = token_claims();
        let payload = claims.to_payload().expect("a payload");
        (
            forge(&payload, keys.laptop.key_id(), &keys.stranger),
            denied(GateCheck::TokenSignature, Code::TokenSignatureInvalid),
        )
    }),
    ("another node signed it", |keys, _| {
        (mint(token_claims(), &keys.phone), denied(GateCheck::TokenBinding, Code::TokenIssuerUnknown))
    }),
    ("it is for another zone", |keys, _| {
        (
            changed(keys, |it| it.zone_id = zone("z:private")),
            denied(GateCheck::TokenBinding, Code::TokenZoneMismatch),
        )
    }),
    ("its audience is another zone than its own", |keys, dice| {
        let label = *dice.pick(&[Label::Audience, Label::ZoneId]) as i64;
        (
            forged(keys, label, Value::Text("z:private".into())),
            denied(GateCheck::TokenSignature, Code::TokenAudienceMismatch),
        )
    }),
    ("its subject is another than its principal", |keys, dice| {
        let label = *dice.pick(&[Label::Subject, Label::PrincipalId]) as i64;
        (
            forged(keys, label, Value::Text("other".into())),
            denied(GateCheck::TokenSignature, Code::TokenMalformed),
        )
    }),
    ("it has a claim that nobody checks", |keys, dice| {
        let label = *dice.pick(&[1, 9, -65537, -65539, -65541, -65542]);
        (forged(keys, label, Value::Unsigned(1)), denied(GateCheck::TokenSignature, Code::TokenMalformed))
    }),
    ("it is over", |keys, dice| {
        let end = -i64::try_from(dice.below(99)).expect("a small number");
        (changed(keys, |it| it.expires = at(end)), denied(GateCheck::TokenBinding, Code::TokenExpired))
    }),
    ("it ends next second", |keys, _| (changed(keys, |it| it.expires = at(1)), Expected::Allowed)),
    ("it begins as late as clocks may differ", |keys, _| {
        (changed(keys, |it| it.not_before = at(300)), Expected::Allowed)
    }),
    ("it begins later", |keys, dice| {
        let begin = 301 + i64::try_from(dice.below(290)).expect("a small number");
        (
            changed(keys, |it| it.not_before = at(begin)),
            denied(GateCheck::TokenBinding, Code::TokenNotYetValid),
        )
    }),
    ("it is another's", |keys, _| {
        (
            changed(keys, |it| it.principal_id = principal("other")),
            denied(GateCheck::Holder, Code::HolderMismatch),
        )
    }),
    ("it names an unknown grant", |keys, _| {
        (
            changed(keys, |it| it.grant_object_ids = [object(66)].into()),
            denied(GateCheck::Grants, Code::GrantMissing),
        )
    }),
    ("it claims more than the grant", |keys, _| {
        (
            changed(keys, |it| it.grants.extend([token_grant("github.admin", Some("github.repos.delete"))])),
            denied(GateCheck::Grants, Code::GrantExceeded),
        )
    }),
    ("its constraints are empty", |keys, _| {
        (
            changed(keys, |it| it.constraints = Constraints::default()),
            denied(GateCheck::Constraints, Code::ConstraintsEmpty),
        )
    }),
];

#[test]
fn a_forged_envelope_is_the_minted_one() {
    let keys = Keys::new();
    let claims = token_claims();
    let payload = claims.to_payload().expect("a payload");
    let minted = mint(token_claims(), &keys.laptop);
    assert_eq!(forge(&payload, keys.laptop.key_id(), &keys.laptop), minted);
}

#[test]
fn a_thousand_real_tokens_come_out_as_they_must() {
    let (keys, now) = (Keys::new(), UnixTime::from_secs(NOW));
    for number in 0..1000 {
        let mut dice = Dice::new(number);
        let (name, case) = CASES[usize::try_from(number).expect("small") % CASES.len()];
        let (bytes, expected) = case(&keys, &mut dice);
        let mut facts = Base::RiskyWrite.facts();
        facts.token = keys.read(&bytes);
        let verdict = crate::gate(&facts, now);
        let as_expected = match expected {
            Expected::Allowed => verdict == Verdict::Allow([].into(), None),
            Expected::Denied(check, code) => verdict == Verdict::Deny(check, code, None),
            Expected::Unbelieved => matches!(verdict, Verdict::Deny(GateCheck::TokenSignature, ..)),
        };
        assert!(as_expected, "token {number}, {name}: {verdict:?} instead of {expected:?}");
        assert_eq!(verdict, reference(&facts, now), "token {number}, {name}");
    }
}
