use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::argument::{ArgumentCheck, ArgumentRule, Presence};
use super::claims::{CLAIMS_VERSION, Label, SeenCheckpoint, TokenGrant, Validity};
use super::constraints::{CallFacts, ConstraintDenial, Constraints};
use super::resource::{Resource, ResourceError, ResourcePattern};
use super::*;
use crate::crypto::role::Agent;
use crate::encoding::cbor::{FromCbor, Map, ShapeError, ToCbor, Value};
use crate::encoding::json::{Json, Number, Pointer};
use crate::ids::{CapabilityId, CredentialId, NodeId, ObjectId, OperationId, PrincipalId, TokenId, ZoneId};
use crate::limits::MAX_INPUT_BYTES;
use crate::random::Entropy;
use crate::time::UnixTime;

fn issuer() -> SigningKey<Issuance> {
    SigningKey::from_seed(&Zeroizing::new([1; 32]))
}

fn claims() -> Claims {
    Claims {
        token_id: TokenId::from_bytes([7; 16]),
        principal_id: PrincipalId::new("coder").expect("an id"),
        zone_id: ZoneId::new("z:work").expect("a zone"),
        issuer_node: NodeId::new("laptop").expect("an id"),
        issued_at: UnixTime::from_secs(1_000),
        not_before: UnixTime::from_secs(1_000),
        expires: UnixTime::from_secs(2_000),
        holder: SigningKey::<Agent>::from_seed(&Zeroizing::new([2; 32])).verifying_key().into(),
        holder_node: None,
        connector_binary: None,
        instance_id: None,
        checkpoint: Some(SeenCheckpoint { id: ObjectId::from_bytes([5; 32]), sequence: 9 }),
        grant_object_ids: [ObjectId::from_bytes([3; 32])].into(),
        grants: [TokenGrant {
            capability: CapabilityId::new("github.issues.read").expect("an id"),
            operation: Some(OperationId::new("github.issues.list").expect("an id")),
        }]
        .into(),
        constraints: Constraints {
            resource_allow: vec![ResourcePattern::new("github:repo/acme/*").expect("a pattern")],
            ..Constraints::default()
        },
    }
}

/// A token whose payload is `payload`, signed as any issuer could.
fn signed(payload: &Value) -> Vec<u8> {
    signed_bytes(cbor::encode(payload).expect("small"))
}

fn signed_bytes(payload: Vec<u8>) -> Vec<u8> {
    let key_id = issuer().key_id();
    CoseSign1Builder::new()
        .protected(
            HeaderBuilder::new().algorithm(Algorithm::EdDSA).key_id(key_id.as_bytes().to_vec()).build(),
        )
        .payload(payload)
        .create_signature(&[], |message| issuer().sign(message).as_bytes().to_vec())
        .build()
        .to_vec()
        .expect("encodes")
}

fn verify(bytes: &[u8]) -> Result<Claims, TokenError> {
    Token::decode(bytes)?.verify(&issuer().verifying_key()).map(|token| token.claims().clone())
}

/// The claims' map with one label changed or removed.
fn altered(label: Label, value: Option<Value<'static>>) -> Value<'static> {
    let claims = claims();
    let Ok(Value::Map(map)) = claims.to_payload().map(Value::into_owned) else { panic!("claims are a map") };
    let key = Value::integer(label as i64);
    let mut entries = map.into_entries();
    entries.retain(|(own, _)| *own != key);
    entries.extend(value.map(|value| (key, value)));
    Value::Map(Map::new(entries).expect("distinct labels"))
}

//= docs/spec/tokens.md#envelope
#[test]
fn a_minted_token_verifies_and_says_what_was_claimed() {
    let token = Token::mint(claims(), &issuer()).expect("mints");
    assert_eq!(verify(token.as_bytes()), Ok(claims()));
    let tagged = [&[0xd2], token.as_bytes()].concat();
    assert_eq!(verify(&tagged), Ok(claims()));
    let read = Token::from_text(&token.to_text()).expect("base64");
    assert_eq!(read.key_id(), issuer().key_id());
    assert_eq!(token.as_bytes(), signed(&claims().to_payload().expect("valid")));
    // The envelope and the protected header, as any COSE library writes them.
    assert_eq!(hex::encode(&token.as_bytes()[..7]), "844da201270448");
    let shown = claims().to_string();
    assert!(
        shown.contains("allow resource github:repo/acme/*") && shown.contains("principal  coder"),
        "{shown}"
    );
}

#[test]
fn no_bit_of_a_token_can_be_changed() {
    let token = Token::mint(claims(), &issuer()).expect("mints");
    for at in 0..token.as_bytes().len() * 8 {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        assert!(verify(&bytes).is_err(), "bit {at}");
    }
    for end in 0..token.as_bytes().len() {
        assert!(verify(&token.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn another_key_is_not_the_issuer() {
    let token = Token::mint(claims(), &issuer()).expect("mints");
    let other = SigningKey::<Issuance>::from_seed(&Zeroizing::new([9; 32]));
    let read = Token::decode(token.as_bytes()).expect("well-formed");
    assert_eq!(read.verify(&other.verifying_key()).err(), Some(TokenError::KeyMismatch));
}

/// A token with these headers and our payload, properly signed.
fn with_headers(protected: &Value, unprotected: Value) -> Vec<u8> {
    let protected = cbor::encode(protected).expect("small");
    let payload = cbor::encode(&claims().to_payload().expect("valid")).expect("small");
    let message = Value::Array(vec![
        Value::Text("Signature1".into()),
        Value::Bytes(protected.clone().into()),
        Value::Bytes(Vec::new().into()),
        Value::Bytes(payload.clone().into()),
    ]);
    let signature = issuer().sign(&cbor::encode(&message).expect("small"));
    let parts =
        vec![Value::Bytes(protected.into()), unprotected, Value::Bytes(payload.into()), signature.to_cbor()];
    cbor::encode(&Value::Array(parts)).expect("small")
}

//= docs/spec/tokens.md#envelope
#[test]
fn headers_outside_the_policy_are_refused_even_if_signed() {
    let map = |entries: Vec<(i64, Value<'static>)>| {
        let entries = entries.into_iter().map(|(k, v)| (Value::integer(k), v)).collect();
        Value::Map(Map::new(entries).expect("distinct"))
    };
    let (alg, kid) = ((1, Value::integer(-8)), (4, issuer().key_id().to_cbor().into_owned()));
    let none = || map(vec![]);
    let crit = |labels: Vec<i64>| (2, Value::Array(labels.into_iter().map(Value::integer).collect()));
    let good = |extra: Vec<(i64, Value<'static>)>| map([vec![alg.clone(), kid.clone()], extra].concat());
    assert_eq!(verify(&with_headers(&good(vec![]), none())), Ok(claims()));
    assert_eq!(verify(&with_headers(&good(vec![crit(vec![1, 4])]), none())), Ok(claims()));
    for (protected, unprotected, error) in [
        (map(vec![alg.clone()]), none(), TokenError::MissingHeader("kid")),
        (map(vec![kid.clone()]), none(), TokenError::MissingHeader("alg")),
        (map(vec![(1, Value::integer(-7)), kid.clone()]), none(), TokenError::Algorithm),
        (map(vec![alg.clone(), (4, Value::Bytes(vec![1; 7].into()))]), none(), TokenError::HeaderPolicy),
        (good(vec![crit(vec![1, 3])]), none(), TokenError::HeaderPolicy),
        (good(vec![(3, Value::Unsigned(0))]), none(), TokenError::HeaderPolicy),
        (good(vec![(99, Value::Null)]), none(), TokenError::HeaderPolicy),
        (good(vec![]), map(vec![kid.clone()]), TokenError::HeaderPolicy),
        (good(vec![]), map(vec![alg.clone()]), TokenError::HeaderPolicy),
        (good(vec![]), map(vec![crit(vec![1])]), TokenError::HeaderPolicy),
        (good(vec![]), map(vec![(99, Value::Null)]), TokenError::HeaderPolicy),
    ] {
        assert_eq!(verify(&with_headers(&protected, unprotected)), Err(error), "{protected:?}");
    }
}

#[test]
fn malformed_envelopes_are_named() {
    let error = |bytes: &[u8]| Token::decode(bytes).err();
    assert_eq!(error(&vec![0; MAX_TOKEN_BYTES + 1]), Some(TokenError::TooLarge));
    assert_eq!(error(b""), Some(TokenError::Cbor(CborError::Truncated)));
    assert_eq!(error(&[0x80]), Some(TokenError::NotSign1));
    assert_eq!(error(&[0xd2, 0xd2, 0x80]), Some(TokenError::Cbor(CborError::UnsupportedTag)));
    assert_eq!(Token::from_text("!").err(), Some(TokenError::NotBase64));
    let trailing = [Token::mint(claims(), &issuer()).expect("mints").as_bytes(), &[0]].concat();
    assert_eq!(error(&trailing), Some(TokenError::Cbor(CborError::TrailingBytes)));
}

//= docs/spec/tokens.md#envelope
#[test]
fn nobody_looks_into_a_payload_before_it_is_verified() {
    // Canonical around a payload that is not: 23 in two bytes.
    let mut bytes = signed_bytes(vec![0x18, 0x17]);
    assert_eq!(verify(&bytes), Err(TokenError::Cbor(CborError::NonShortest)));
    *bytes.last_mut().expect("a signature") ^= 1;
    assert_eq!(verify(&bytes), Err(TokenError::SignatureInvalid));
}

//= docs/spec/tokens.md#claims
#[test]
fn every_required_claim_is_required_and_every_other_is_known() {
    use Label::{
        Audience, CheckpointId, CheckpointSequence, Confirmation, Expires, GrantObjectIds, Grants, IssuedAt,
        IssuerNode, NotBefore, PrincipalId, SchemaVersion, Subject, ZoneId,
    };
    for label in [
        Subject,
        Audience,
        Expires,
        NotBefore,
        IssuedAt,
        Label::TokenId,
        Confirmation,
        ZoneId,
        PrincipalId,
        IssuerNode,
        GrantObjectIds,
        Label::Constraints,
        Grants,
        SchemaVersion,
        CheckpointId,
        CheckpointSequence,
    ] {
        let error = TokenError::Claims(ClaimsError::Missing(label));
        assert_eq!(verify(&signed(&altered(label, None))), Err(error));
    }
    let text = |t: &str| Some(Value::Text(String::from(t).into()));
    let empty = || Some(Value::Array(vec![]));
    for (label, value, error) in [
        (ZoneId, text("z:owner"), ClaimsError::Disagree(Audience, ZoneId)),
        (Subject, text("other"), ClaimsError::Disagree(Subject, PrincipalId)),
        (Grants, empty(), ClaimsError::Empty(Grants)),
        (GrantObjectIds, empty(), ClaimsError::Empty(GrantObjectIds)),
        (SchemaVersion, Some(Value::Unsigned(2)), ClaimsError::Version(2)),
        (NotBefore, Some(Value::Unsigned(2_000)), ClaimsError::TimesOutOfOrder),
        (
            Expires,
            Some(Value::integer(-1)),
            ClaimsError::Invalid(Expires, ShapeError::WrongType("an unsigned integer")),
        ),
        (
            Label::TokenId,
            Some(Value::Bytes(vec![1; 15].into())),
            ClaimsError::Invalid(Label::TokenId, ShapeError::WrongLength),
        ),
        (
            Label::ParentToken,
            Some(Value::Bytes(vec![1].into())),
            ClaimsError::Unsupported(Label::ParentToken),
        ),
        (Label::DelegationDepth, Some(Value::Unsigned(1)), ClaimsError::Unsupported(Label::DelegationDepth)),
        (Label::Operations, empty(), ClaimsError::Unsupported(Label::Operations)),
        (Label::Issuer, text("x"), ClaimsError::Unsupported(Label::Issuer)),
    ] {
        assert_eq!(verify(&signed(&altered(label, value))), Err(TokenError::Claims(error)));
    }
    let valid = claims();
    let Value::Map(map) = valid.to_payload().expect("valid") else { panic!("a map") };
    let entries = [map.into_entries(), vec![(Value::Unsigned(99), Value::Null)]].concat();
    let unknown = signed(&Value::Map(Map::new(entries).expect("distinct")));
    assert_eq!(verify(&unknown), Err(TokenError::Claims(ClaimsError::Unknown(99))));
    assert_eq!(verify(&signed(&Value::Null)), Err(TokenError::Claims(ClaimsError::NotAMap)));
    assert_eq!(CLAIMS_VERSION, 1);
}

#[test]
fn minting_refuses_what_reading_would_refuse() {
    let mut wrong = claims();
    wrong.grants.clear();
    let error = Token::mint(wrong, &issuer()).err();
    assert_eq!(error, Some(TokenError::Claims(ClaimsError::Empty(Label::Grants))));
}

#[test]
fn a_token_is_valid_from_five_minutes_before_nbf_until_exp() {
    let at = |seconds| claims().validity_at(UnixTime::from_secs(seconds));
    assert_eq!(
        [at(0), at(699), at(700), at(1_999), at(2_000), at(u64::MAX)],
        [
            Validity::NotYet,
            Validity::NotYet,
            Validity::Valid,
            Validity::Valid,
            Validity::Expired,
            Validity::Expired
        ]
    );
}

#[test]
fn a_grant_without_operation_is_for_every_operation_of_its_capability() {
    let (read, write) =
        (CapabilityId::new("x.read").expect("an id"), CapabilityId::new("x.write").expect("an id"));
    let (list, get) = (OperationId::new("x.list").expect("an id"), OperationId::new("x.get").expect("an id"));
    let mut claims = claims();
    claims.grants = [TokenGrant { capability: read.clone(), operation: Some(list.clone()) }].into();
    assert!(claims.carries(&read, &list) && !claims.carries(&read, &get) && !claims.carries(&write, &list));
    claims.grants = [TokenGrant { capability: read.clone(), operation: None }].into();
    assert!(claims.carries(&read, &get) && !claims.carries(&write, &get));
}

fn pattern(text: &str) -> ResourcePattern {
    ResourcePattern::new(text).expect("a pattern")
}

fn resource(text: &str) -> Resource {
    Resource::new(text).expect("a resource")
}

#[test]
fn patterns_fit_by_whole_segments() {
    for (text, fits, misses) in [
        ("*", vec!["a:b", "x:y/z"], vec![]),
        ("a:b/c", vec!["a:b/c"], vec!["a:b", "a:b/c/d", "b:b/c", "a:b/cc"]),
        ("a:b/*", vec!["a:b/c"], vec!["a:b", "a:b/c/d"]),
        ("a:b/**", vec!["a:b", "a:b/c", "a:b/c/d"], vec!["a:bb", "a:c/b"]),
        ("a:**", vec!["a:b", "a:b/c"], vec!["b:a"]),
        ("a:*/c", vec!["a:b/c"], vec!["a:b/d"]),
    ] {
        assert_eq!(pattern(text).to_string(), text);
        assert_eq!(ResourcePattern::from_cbor(pattern(text).to_cbor()), Ok(pattern(text)));
        assert!(fits.iter().all(|r| pattern(text).fits(&resource(r))), "{text}");
        assert!(!misses.iter().any(|r| pattern(text).fits(&resource(r))), "{text}");
    }
    for (text, error) in [
        ("a", ResourceError::MissingScheme),
        (":a", ResourceError::MissingScheme),
        ("*:a", ResourceError::MissingScheme),
        ("a:", ResourceError::InvalidSegment),
        ("a:b//c", ResourceError::InvalidSegment),
        ("a:b/../c", ResourceError::InvalidSegment),
        ("a:b/.", ResourceError::InvalidSegment),
        ("a:b/c*", ResourceError::InvalidWildcard),
        ("a:**/b", ResourceError::InvalidWildcard),
        ("a:b\\c", ResourceError::InvalidCharacter),
        ("a:b c", ResourceError::InvalidCharacter),
        ("a:é", ResourceError::InvalidCharacter),
    ] {
        assert_eq!(ResourcePattern::new(text).err(), Some(error), "{text}");
    }
    assert_eq!(Resource::new("a:*"), Err(ResourceError::InvalidWildcard));
    assert_eq!(Resource::new(&["a:", &"b".repeat(1023)].concat()), Err(ResourceError::TooLong));
}

#[test]
fn each_bound_denies_with_its_reason() {
    let input = json("{\"n\":5,\"path\":\"docs/x\"}");
    let work = CredentialId::new("work").expect("an id");
    let (resources, credentials) = ([resource("a:b/c")], [work.clone()]);
    let call = CallFacts {
        resources: &resources,
        credentials: &credentials,
        input: &input,
        bytes: 10,
        calls_used: 1,
        bytes_used: 90,
        now: UnixTime::from_secs(50),
    };
    let base = Constraints {
        resource_allow: vec![pattern("a:b/*")],
        credential_allow: [work.clone()].into(),
        ..Constraints::default()
    };
    assert_eq!(base.permits(&call), Ok(()));
    assert_eq!(Constraints::default().permits(&call), Err(ConstraintDenial::Empty));
    let change = |alter: fn(&mut Constraints)| {
        let mut constraints = base.clone();
        alter(&mut constraints);
        constraints.permits(&call)
    };
    let denied = resource("a:b/c");
    assert_eq!(
        change(|c| c.resource_allow.clear()),
        Err(ConstraintDenial::ResourceNotAllowed(denied.clone()))
    );
    assert_eq!(
        change(|c| c.resource_deny = vec![pattern("a:**")]),
        Err(ConstraintDenial::ResourceDenied(denied))
    );
    assert_eq!(change(|c| c.credential_allow.clear()), Err(ConstraintDenial::CredentialNotAllowed(work)));
    assert_eq!(change(|c| c.max_calls = Some(1)), Err(ConstraintDenial::CallLimit));
    assert_eq!(change(|c| c.max_calls = Some(2)), Ok(()));
    assert_eq!(change(|c| c.max_bytes = Some(99)), Err(ConstraintDenial::ByteLimit));
    assert_eq!(change(|c| c.max_bytes = Some(100)), Ok(()));
    assert_eq!(change(|c| c.not_before = Some(UnixTime::from_secs(51))), Err(ConstraintDenial::NotYetValid));
    assert_eq!(change(|c| c.expires = Some(UnixTime::from_secs(50))), Err(ConstraintDenial::Expired));
    let prefix = |prefix: &str| ArgumentCheck::Prefix(prefix.into());
    let rule =
        |pointer: &str, check| ArgumentRule::new(at(pointer), Presence::Required, check).expect("a rule");
    let mut constraints = base.clone();
    constraints.arguments =
        vec![rule("/path", prefix("docs/")), rule("/n", ArgumentCheck::OneOf(vec![Json::from(4u64)]))];
    assert_eq!(constraints.permits(&call), Err(ConstraintDenial::ArgumentNotAllowed(at("/n"))));
    let unnamed = CallFacts { resources: &[], ..call };
    assert_eq!(base.permits(&unnamed), Err(ConstraintDenial::ResourceMissing));
}

fn at(text: &str) -> Pointer {
    Pointer::new(text).expect("a pointer")
}

fn json(text: &str) -> Json {
    crate::encoding::json::parse(text.as_bytes(), MAX_INPUT_BYTES).expect("valid")
}

#[test]
fn argument_rules_judge_what_stands_at_their_pointer() {
    for (rule, input, passes) in [
        (r#"{"pointer":"/a","one_of":["x",1,null]}"#, r#"{"a":1.0}"#, true),
        (r#"{"pointer":"/a","one_of":["x",1]}"#, r#"{"a":"1"}"#, false),
        (r#"{"pointer":"/a","one_of":["x"]}"#, "{}", false),
        (r#"{"pointer":"/a","presence":"optional","one_of":["x"]}"#, "{}", true),
        (r#"{"pointer":"/a","presence":"optional","one_of":["x"]}"#, r#"{"a":null}"#, false),
        (r#"{"pointer":"/a","min":1,"max":2.5}"#, r#"{"a":2.5}"#, true),
        (r#"{"pointer":"/a","min":1}"#, r#"{"a":0.99}"#, false),
        (r#"{"pointer":"/a","max":1}"#, r#"{"a":"0"}"#, false),
        (r#"{"pointer":"/a","prefix":"docs/"}"#, r#"{"a":"docs/x"}"#, true),
        (r#"{"pointer":"/a","prefix":"docs/"}"#, r#"{"a":"docs/../x"}"#, false),
        (r#"{"pointer":"/a","prefix":"docs/"}"#, r#"{"a":"docs/..\\x"}"#, false),
        (r#"{"pointer":"/a","max_length":2}"#, r#"{"a":"éé"}"#, true),
        (r#"{"pointer":"/a","max_length":1}"#, r#"{"a":[1,2]}"#, false),
        (r#"{"pointer":"/a","max_length":9}"#, r#"{"a":1}"#, false),
    ] {
        let rule: ArgumentRule = serde_json::from_str(rule).expect("a rule");
        assert_eq!(rule.permits(&json(input)), passes, "{rule} {input}");
        assert_eq!(ArgumentRule::from_cbor(rule.to_cbor()), Ok(rule));
    }
    for bad in [
        r#"{"pointer":"/a"}"#,
        r#"{"pointer":"a","prefix":"x"}"#,
        r#"{"pointer":"/a","prefix":"x","max_length":1}"#,
        r#"{"pointer":"/a","one_of":[]}"#,
        r#"{"pointer":"/a","one_of":[[]]}"#,
        r#"{"pointer":"/a","min":"1"}"#,
        r#"{"pointer":"/a","prefix":"x","extra":1}"#,
    ] {
        assert!(serde_json::from_str::<ArgumentRule>(bad).is_err(), "{bad}");
    }
}

#[test]
fn constraints_have_one_encoding() {
    let empty = Constraints::default();
    assert_eq!(cbor::encode(&empty), Ok(vec![0xa0]));
    let explicit =
        Value::Map(Map::new(vec![(Value::Text("arguments".into()), Value::Array(vec![]))]).expect("one"));
    assert_eq!(Constraints::from_cbor(explicit), Err(ShapeError::Invalid("an empty list is left out")));
    assert!(serde_json::from_str::<Constraints>("{\"max_call\":1}").is_err());
    assert_eq!(serde_json::to_string(&empty).expect("encodes"), "{}");
}

//= docs/spec/tokens.md#containment
#[test]
fn containment_says_yes_and_no() {
    let read = |text: &str| serde_json::from_str::<Constraints>(text).expect("constraints");
    for (wide, narrow, contained) in [
        (r#"{"resource_allow":["a:x/**"]}"#, r#"{"resource_allow":["a:x/*","a:x/y/z"]}"#, true),
        (r#"{"resource_allow":["a:x/*"]}"#, r#"{"resource_allow":["a:x/**"]}"#, false),
        (r#"{"resource_allow":["*"]}"#, r#"{"max_calls":1}"#, true),
        (r#"{"resource_allow":["a:x"]}"#, r#"{"max_calls":1}"#, false),
        (r#"{"resource_allow":["*"],"resource_deny":["a:x/**"]}"#, r#"{"resource_allow":["a:y"]}"#, true),
        (r#"{"resource_allow":["*"],"resource_deny":["a:x/**"]}"#, r#"{"resource_allow":["a:*"]}"#, false),
        (r#"{"credential_allow":["k","l"]}"#, r#"{"credential_allow":["k"]}"#, true),
        (r#"{"credential_allow":["k"]}"#, r#"{"credential_allow":["k","l"]}"#, false),
        (r#"{"max_calls":3}"#, r#"{"max_calls":2,"max_bytes":9}"#, true),
        (r#"{"max_bytes":3}"#, r#"{"max_calls":2}"#, false),
        (r#"{"expires":10}"#, r#"{"expires":9,"not_before":1}"#, true),
        (r#"{"not_before":10}"#, r#"{"not_before":9}"#, false),
        (
            r#"{"arguments":[{"pointer":"/a","min":1,"max":5}]}"#,
            r#"{"arguments":[{"pointer":"/a","one_of":[1,5]}]}"#,
            true,
        ),
        (
            r#"{"arguments":[{"pointer":"/a","min":1,"max":5}]}"#,
            r#"{"arguments":[{"pointer":"/a","presence":"optional","one_of":[1,5]}]}"#,
            false,
        ),
        (
            r#"{"arguments":[{"pointer":"/a","prefix":"docs/"}]}"#,
            r#"{"arguments":[{"pointer":"/a","prefix":"docs/x"},{"pointer":"/b","max":1}]}"#,
            true,
        ),
        (
            r#"{"arguments":[{"pointer":"/a","prefix":"docs/"}]}"#,
            r#"{"arguments":[{"pointer":"/a","prefix":"doc"}]}"#,
            false,
        ),
    ] {
        assert_eq!(read(wide).contains(&read(narrow)), contained, "{wide} {narrow}");
    }
}

fn arb_pattern() -> impl Strategy<Value = ResourcePattern> {
    let segment = prop_oneof![Just("x"), Just("y"), Just("*")];
    let tail = prop_oneof![Just(""), Just("/**")];
    let scheme = prop_oneof![4 => Just("a"), 1 => Just("b")];
    let made = (scheme, prop::collection::vec(segment, 1..3), tail)
        .prop_map(|(scheme, segments, tail)| pattern(&[scheme, ":", &segments.join("/"), tail].concat()));
    prop_oneof![1 => Just(pattern("*")), 1 => Just(pattern("a:**")), 8 => made]
}

fn arb_resource() -> impl Strategy<Value = Resource> {
    let segment = prop_oneof![Just("x"), Just("y")];
    (prop_oneof![4 => Just("a"), 1 => Just("b")], prop::collection::vec(segment, 1..4))
        .prop_map(|(scheme, segments)| resource(&[scheme, ":", &segments.join("/")].concat()))
}

fn arb_value() -> impl Strategy<Value = Json> {
    prop_oneof![
        (0i64..4).prop_map(Json::from),
        (0i8..8).prop_filter_map("exact", |n| Number::try_from(f64::from(n) / 2.0).ok().map(Json::from)),
        "[ab/.]{0,3}".prop_map(Json::from),
        Just(Json::Null),
    ]
}

fn arb_rule() -> impl Strategy<Value = ArgumentRule> {
    let bound = || prop::option::of((0i64..4).prop_map(Json::from));
    let check = prop_oneof![
        prop::collection::vec(arb_value(), 1..3).prop_map(ArgumentCheck::OneOf),
        (bound(), bound()).prop_map(|(min, max)| ArgumentCheck::Range { min, max }),
        "[ab/]{0,2}".prop_map(ArgumentCheck::Prefix),
        (0u64..4).prop_map(ArgumentCheck::MaxLength),
    ];
    let presence = prop_oneof![Just(Presence::Required), Just(Presence::Optional)];
    let pointer = prop_oneof![Just("/p"), Just("/q")];
    (pointer, presence, check)
        .prop_filter_map("a rule", |(p, presence, check)| ArgumentRule::new(at(p), presence, check).ok())
}

prop_compose! {
    fn arb_constraints()(
        resource_allow in prop::collection::vec(arb_pattern(), 0..3),
        resource_deny in prop::collection::vec(arb_pattern(), 0..2),
        credential_allow in prop::collection::btree_set(prop_oneof![Just("k"), Just("l")], 0..3),
        arguments in prop::collection::vec(arb_rule(), 0..3),
        max_calls in prop::option::of(0u32..4),
        max_bytes in prop::option::of(0u64..4),
        not_before in prop::option::of((0u64..4).prop_map(UnixTime::from_secs)),
        expires in prop::option::of((0u64..6).prop_map(UnixTime::from_secs)),
    ) -> Constraints {
        let credential_allow = credential_allow.into_iter().map(|id| CredentialId::new(id).expect("an id")).collect();
        Constraints { resource_allow, resource_deny, credential_allow, arguments, max_calls, max_bytes, not_before, expires }
    }
}

/// Constraints made narrower in a few ways, so that containment is not rare.
fn narrowed(mut wide: Constraints, choice: u8, other: Constraints) -> Constraints {
    if choice & 1 != 0 {
        wide.resource_deny.extend(other.resource_deny);
    }
    if choice & 2 != 0 {
        wide.arguments.extend(other.arguments);
    }
    if choice & 4 != 0 {
        wide.max_calls = wide.max_calls.min(other.max_calls).or(other.max_calls);
    }
    if choice & 8 != 0 {
        wide.resource_allow = other.resource_allow;
    }
    if choice & 16 != 0 {
        wide.not_before = other.not_before;
    }
    if choice & 32 != 0 {
        wide.credential_allow = other.credential_allow;
    }
    wide
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    //= docs/spec/tokens.md#containment
    #[test]
    fn what_contained_constraints_permit_the_containing_ones_permit(
        wide in arb_constraints(),
        (choice, other) in (any::<u8>(), arb_constraints()),
        resources in prop::collection::vec(arb_resource(), 0..3),
        credentials in prop::collection::vec(prop_oneof![Just("k"), Just("l")], 0..2),
        arguments in (prop::option::of(arb_value()), prop::option::of(arb_value())),
        (bytes, calls_used, bytes_used, now) in (0u64..3, 0u64..3, 0u64..3, 0u64..6),
    ) {
        let narrow = narrowed(wide.clone(), choice, other);
        let (p, q) = arguments;
        let members = p.map(|p| ("p", p)).into_iter().chain(q.map(|q| ("q", q)));
        let input = Json::object(members).expect("distinct keys");
        let credentials: Vec<_> = credentials.into_iter().map(|id| CredentialId::new(id).expect("an id")).collect();
        let call = CallFacts {
            resources: &resources, credentials: &credentials, input: &input,
            bytes, calls_used, bytes_used, now: UnixTime::from_secs(now),
        };
        if wide.contains(&narrow) && narrow.permits(&call).is_ok() {
            prop_assert_eq!(wide.permits(&call), Ok(()));
        }
    }

    #[test]
    fn containment_is_reflexive_and_nothing_contains_more_than_nothing(a in arb_constraints()) {
        prop_assert!(a.contains(&a));
        prop_assert!(a.contains(&Constraints::default()));
        prop_assert_eq!(Constraints::default().contains(&a), a.is_empty());
    }

    #[test]
    fn constraints_read_back_from_cbor_and_json(a in arb_constraints()) {
        let bytes = cbor::encode(&a)?;
        prop_assert_eq!(Constraints::from_cbor(cbor::decode(&bytes)?)?, a.clone());
        let text = serde_json::to_string(&a)?;
        prop_assert_eq!(serde_json::from_str::<Constraints>(&text)?, a);
    }

    #[test]
    fn contained_patterns_fit_less_and_disjoint_ones_share_nothing(
        a in arb_pattern(), b in arb_pattern(), r in arb_resource()
    ) {
        if a.contains(&b) && b.fits(&r) {
            prop_assert!(a.fits(&r));
        }
        prop_assert!(!(a.is_disjoint(&b) && a.fits(&r) && b.fits(&r)));
        prop_assert_eq!(a.is_disjoint(&b), b.is_disjoint(&a));
    }

    #[test]
    fn any_bytes_are_a_token_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
        prop_assert!(verify(&bytes).is_err());
    }

    #[test]
    fn any_holder_key_survives(seed in any::<[u8; 32]>()) {
        let mut entropy = Entropy::from_seed(&Zeroizing::new(seed));
        let mut own = claims();
        own.holder = SigningKey::<Agent>::generate(&mut entropy).verifying_key().into();
        let payload = own.to_payload()?;
        prop_assert_eq!(Claims::from_payload(payload)?, own);
    }
}
