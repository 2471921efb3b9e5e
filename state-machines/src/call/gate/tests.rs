//! Each reason to refuse, by the least change to an allowed call; the order of the checks; what approvals are needed.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use alloc::{format, vec};

use fcp_proto_core::crypto::hash;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{Digest, ObjectId, TokenId};
use fcp_proto_core::manifest::Role;
use fcp_proto_core::object::{
    ApprovalDecision, ApprovalKind, GateCheck, Grant, Grantee, StandingApproval, ZonePolicy,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::argument::{ArgumentCheck, ArgumentRule, Presence};
use fcp_proto_core::token::claims::{Claims, TokenGrant};
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::token::resource::Resource;
use fcp_proto_core::zone::{Approval, Idempotency, Label, Level, Risk, SafetyTier, Taint};

use super::*;

const NOW: UnixTime = UnixTime::from_secs(10_000);
const GRANT: ObjectId = ObjectId::from_bytes([1; 32]);
const INPUT: &str = r#"{"body":"text","repo":"acme/site"}"#;

/// A least change to an allowed call.
type Change = fn(&mut Facts);

/// A name, or whatever else is spelled as a text.
fn name<T: core::str::FromStr<Err: core::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a well-formed text")
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds)
}

fn constraints() -> Constraints {
    Constraints {
        resource_allow: vec![name("github:repo/**")],
        credential_allow: [name("github-token")].into(),
        max_calls: Some(10),
        max_bytes: Some(1000),
        ..Constraints::default()
    }
}

fn claims() -> Claims {
    Claims {
        token_id: TokenId::from_bytes([5; 16]),
        principal_id: name("scribe"),
        zone_id: name("z:work"),
        issuer_node: name("laptop"),
        issued_at: at(9_900),
        not_before: at(9_900),
        expires: at(10_500),
        holder: SigningKey::generate(&mut Entropy::from_seed(&[7; 32].into())).verifying_key().into(),
        holder_node: None,
        connector_binary: None,
        instance_id: None,
        checkpoint: None,
        grant_object_ids: [GRANT].into(),
        grants: [TokenGrant {
            capability: name("github.write"),
            operation: Some(name("github.issues.create")),
        }]
        .into(),
        constraints: constraints(),
    }
}

fn grant() -> GrantFacts {
    GrantFacts {
        grant: Grant {
            grantee: Grantee::Principal(name("scribe")),
            connector: name("github"),
            capabilities: [name("github.write")].into(),
            operations: [name("github.issues.create")].into(),
            constraints: constraints(),
            not_before: at(9_000),
            expires_at: at(11_000),
            request: None,
            standing_approval: None,
        },
        zone_id: name("z:work"),
        signer_valid: true,
        approver_valid: true,
        revoked: false,
        names_principal: true,
        calls_used: 0,
        bytes_used: 0,
    }
}

fn connector() -> ConnectorFacts {
    ConnectorFacts {
        enabled: true,
        zones: [name("z:work")].into(),
        interface_hash: Digest::from_bytes([1; 32]),
        code_digest: Digest::from_bytes([2; 32]),
        config_digest: Digest::from_bytes([6; 32]),
        operation: Some(OperationFacts {
            capability: name("github.write"),
            risk: Risk::Medium,
            tier: SafetyTier::Risky,
            idempotency: Idempotency::BestEffort,
            approval: Approval::Interactive,
            roles: BTreeMap::from([("body".into(), Role::Content)]),
            audience: Level::WORK,
            timeout_secs: 30,
        }),
    }
}

fn zone() -> ZoneFacts {
    let policy = ZonePolicy {
        version: 1,
        connectors: vec!["git*".into()],
        denied_operations: vec!["github.repos.*".into()],
        max_risk: Risk::High,
        max_tier: SafetyTier::Dangerous,
        approval_from: SafetyTier::Dangerous,
        max_token_secs: 600,
        max_grant_secs: 2_000,
        budgets: Vec::new(),
    };
    ZoneFacts { integrity: Level::WORK, confidentiality: Level::WORK, policy }
}

fn approval() -> ApprovalFacts {
    ApprovalFacts {
        id: ObjectId::from_bytes([9; 32]),
        signer_valid: true,
        revoked: false,
        decision: ApprovalDecision::Approve,
        kinds: [ApprovalKind::Execution].into(),
        call_digest: Digest::from_bytes([4; 32]),
        interface_hash: Digest::from_bytes([1; 32]),
        code_digest: Digest::from_bytes([2; 32]),
        label_digest: Digest::from_bytes([3; 32]),
        expires_at: at(10_001),
        used: false,
    }
}

fn key(text: &str, standing: KeyStanding) -> Option<KeyFacts> {
    Some(KeyFacts { text: text.into(), standing })
}

fn key_of(facts: &mut Facts) -> &mut KeyFacts {
    facts.key.as_mut().expect("a key")
}

/// An interactive write with a key, an approval and a lease: every check has something to look at.
fn allowed() -> Facts {
    let issuer = IssuerFacts { node_id: name("laptop"), issued_at: at(10_000), expires_at: at(10_001) };
    Facts {
        zone_id: name("z:work"),
        principal_zone: name("z:work"),
        principal: name("scribe"),
        connector_id: name("github"),
        operation_id: name("github.issues.create"),
        key: key("key", KeyStanding::Fresh),
        input: Ok(InputFacts {
            json: json::parse(INPUT.as_bytes(), 1024).expect("JSON"),
            canonical: INPUT.into(),
            call_digest: Digest::from_bytes([4; 32]),
            resources: vec![Resource::new("github:repo/acme/site").expect("a resource")],
            credentials: [name("github-token")].into(),
            slot: SlotFacts::Filled,
        }),
        token: TokenFacts::Decoded {
            signature: SignatureFacts::Valid,
            claims: Box::new(claims()),
            issuer: Some(issuer),
        },
        revocation: RevocationFacts {
            token: false,
            issuer_key: false,
            holder_key: false,
            node: false,
            connector: false,
            zone_key: false,
            head_age_secs: 300,
            head_seq: 9,
        },
        holder: HolderFacts::Proved(name("scribe")),
        grants: BTreeMap::from([(GRANT, grant())]),
        zone: Some(zone()),
        connector: Some(connector()),
        schema: Ok(()),
        flow: FlowFacts {
            context: Label::trusted(Level::WORK),
            handles: Vec::new(),
            label_digest: Digest::from_bytes([3; 32]),
        },
        approvals: vec![approval()],
        approvals_named: BTreeSet::new(),
        denials: Vec::new(),
        lease: LeaseFacts::Held { seq: 7, expires_at: at(10_031) },
        rates: RateFacts::Room,
    }
}

fn token(facts: &mut Facts) -> &mut Claims {
    let TokenFacts::Decoded { claims, .. } = &mut facts.token else { panic!("a decoded token") };
    claims
}

fn granted(facts: &mut Facts) -> &mut GrantFacts {
    facts.grants.get_mut(&GRANT).expect("the grant")
}

fn input(facts: &mut Facts) -> &mut InputFacts {
    facts.input.as_mut().expect("an input")
}

fn policy(facts: &mut Facts) -> &mut ZonePolicy {
    &mut facts.zone.as_mut().expect("a zone").policy
}

fn installed(facts: &mut Facts) -> &mut ConnectorFacts {
    facts.connector.as_mut().expect("a connector")
}

fn operation(facts: &mut Facts) -> &mut OperationFacts {
    installed(facts).operation.as_mut().expect("an operation")
}

fn refusal(facts: &Facts) -> Option<(GateCheck, Code)> {
    match decide(facts, NOW) {
        Decision::Denied(denial) => Some((denial.check, denial.code)),
        Decision::Authorized(_) | Decision::Replay(_) => None,
    }
}

/// Each change alone is refused by `check` with its code.
fn refused(check: GateCheck, changes: &[(&str, Code, Change)]) {
    for (what, code, change) in changes {
        let mut facts = allowed();
        change(&mut facts);
        assert_eq!(refusal(&facts), Some((check, *code)), "{what}");
    }
}

#[test]
fn the_allowed_call_is_authorized_as_it_stands() {
    let Decision::Authorized(authorized) = decide(&allowed(), NOW) else { panic!("it is allowed") };
    assert_eq!(authorized.input(), INPUT);
    assert_eq!(authorized.approvals(), &[ObjectId::from_bytes([9; 32])].into());
    assert_eq!(authorized.kinds(), &[ApprovalKind::Execution].into());
    assert_eq!(authorized.lease_seq(), &Some(7));
    let seal = Seal {
        revocation_seq: 9,
        checked_at: NOW,
        token_id: TokenId::from_bytes([5; 16]),
        token_secs: 600,
        token_ends: at(10_001),
        constraints_end: None,
        approvals_end: Some(approval().expires_at),
        levels: (zone().integrity, zone().confidentiality),
    };
    assert_eq!(authorized.seal(), &seal);
}

#[test]
fn decode() {
    refused(
        GateCheck::Decode,
        &[
            ("no JSON", Code::MalformedInput, |f| f.input = Err(Code::MalformedInput)),
            ("an empty key", Code::OutOfRange, |f| f.key = key("", KeyStanding::Fresh)),
            ("a key of 256 bytes", Code::OutOfRange, |f| f.key = key(&"k".repeat(256), KeyStanding::Fresh)),
            ("a key with a space", Code::OutOfRange, |f| f.key = key("a b", KeyStanding::Fresh)),
            ("a key beyond ASCII", Code::OutOfRange, |f| f.key = key("é", KeyStanding::Fresh)),
        ],
    );
}

#[test]
fn token_signature() {
    refused(
        GateCheck::TokenSignature,
        &[
            ("no token", Code::TokenMalformed, |f| f.token = TokenFacts::Malformed(Code::TokenMalformed)),
            ("an unknown key", Code::TokenIssuerUnknown, |f| f.token = TokenFacts::UnknownKey),
            ("a bad signature", Code::TokenSignatureInvalid, |f| {
                if let TokenFacts::Decoded { signature, .. } = &mut f.token {
                    *signature = SignatureFacts::Invalid;
                }
            }),
        ],
    );
}

#[test]
//= docs/spec/api.md#calls
fn why_a_token_is_not_believed_says_more_than_its_code() {
    let unbelieved = [
        TokenFacts::UnknownKey,
        TokenFacts::Malformed(Code::TokenMalformed),
        TokenFacts::Malformed(Code::TokenSignatureInvalid),
        TokenFacts::Malformed(Code::TokenAudienceMismatch),
    ];
    for token in unbelieved {
        let facts = Facts { token, ..allowed() };
        let Decision::Denied(denial) = decide(&facts, NOW) else { panic!("it is refused") };
        assert!(!denial.rule.is_empty() && denial.rule != denial.code.meaning(), "{denial:?}");
    }
}

#[test]
fn without_a_token_the_proof_decides_over_the_answer() {
    let mut facts = Facts { token: TokenFacts::Absent, ..allowed() };
    assert_eq!(refusal(&facts), Some((GateCheck::Grants, Code::OperationNotGranted)));
    for holder in [HolderFacts::Missing, HolderFacts::Invalid, HolderFacts::Proved(name("other"))] {
        facts.holder = holder;
        granted(&mut facts).revoked = true;
        assert_eq!(refusal(&facts), Some((GateCheck::Holder, Code::HolderProofMissing)));
    }
}

#[test]
fn without_a_token_the_fault_of_the_grant_is_told() {
    let cases: [(Code, Change); 8] = [
        (Code::GrantRevoked, |f| granted(f).revoked = true),
        (Code::GrantIssuerInvalid, |f| granted(f).signer_valid = false),
        (Code::GrantPrincipalMismatch, |f| granted(f).names_principal = false),
        (Code::GrantZoneMismatch, |f| granted(f).zone_id = name("z:owner")),
        (Code::GrantExpired, |f| granted(f).grant.expires_at = NOW),
        (Code::GrantExceeded, |f| granted(f).grant.capabilities.clear()),
        (Code::OperationNotGranted, |f| {
            granted(f).revoked = true;
            granted(f).grant.operations.clear();
        }),
        (Code::OperationNotGranted, |f| {
            granted(f).revoked = true;
            granted(f).grant.connector = name("slack");
        }),
    ];
    for (code, change) in cases {
        let mut facts = Facts { token: TokenFacts::Absent, ..allowed() };
        change(&mut facts);
        assert_eq!(refusal(&facts), Some((GateCheck::Grants, code)));
    }
}

fn issuer(facts: &mut Facts) -> &mut Option<IssuerFacts> {
    let TokenFacts::Decoded { issuer, .. } = &mut facts.token else { panic!("a decoded token") };
    issuer
}

#[test]
fn token_binding() {
    refused(
        GateCheck::TokenBinding,
        &[
            ("another zone", Code::TokenZoneMismatch, |f| token(f).zone_id = name("z:owner")),
            ("no attestation", Code::TokenIssuerUnknown, |f| *issuer(f) = None),
            ("another node's", Code::TokenIssuerUnknown, |f| token(f).issuer_node = name("phone")),
            ("not yet attested", Code::TokenIssuerUnknown, |f| {
                issuer(f).as_mut().expect("one").issued_at = at(10_001);
            }),
            ("no longer attested", Code::TokenIssuerUnknown, |f| {
                issuer(f).as_mut().expect("one").expires_at = NOW;
            }),
            ("it is over", Code::TokenExpired, |f| token(f).expires = NOW),
            ("it begins in 301 s", Code::TokenNotYetValid, |f| token(f).not_before = at(10_301)),
        ],
    );
}

//= docs/spec/revocation.md#freshness
#[test]
fn revocation() {
    refused(
        GateCheck::Revocation,
        &[
            ("the token", Code::TokenRevoked, |f| f.revocation.token = true),
            ("the issuing key", Code::IssuerKeyRevoked, |f| f.revocation.issuer_key = true),
            ("the principal's key", Code::IssuerKeyRevoked, |f| f.revocation.holder_key = true),
            ("the node", Code::NodeRevoked, |f| f.revocation.node = true),
            ("the connector", Code::ConnectorRevoked, |f| f.revocation.connector = true),
            ("the zone's key", Code::ZoneKeyRevoked, |f| f.revocation.zone_key = true),
            ("a head of 301 s", Code::RevocationStale, |f| f.revocation.head_age_secs = 301),
            ("nothing known, a head of 301 s", Code::RevocationStale, |f| {
                f.revocation.head_age_secs = 301;
                f.connector = None;
            }),
        ],
    );
    let mut facts = allowed();
    operation(&mut facts).tier = SafetyTier::Safe;
    facts.revocation.head_age_secs = u64::MAX;
    assert_eq!(refusal(&facts), None, "a safe operation needs no freshness");
}

#[test]
fn holder() {
    refused(
        GateCheck::Holder,
        &[
            ("no proof", Code::HolderProofMissing, |f| f.holder = HolderFacts::Missing),
            ("a bad proof", Code::HolderProofInvalid, |f| f.holder = HolderFacts::Invalid),
            ("another's call", Code::HolderMismatch, |f| f.principal = name("other")),
            ("another's token", Code::HolderMismatch, |f| token(f).principal_id = name("other")),
        ],
    );
}

#[test]
fn grants() {
    refused(
        GateCheck::Grants,
        &[
            ("it names none", Code::GrantMissing, |f| token(f).grant_object_ids.clear()),
            ("it is unknown", Code::GrantMissing, |f| f.grants.clear()),
            ("revoked", Code::GrantRevoked, |f| granted(f).revoked = true),
            ("badly signed", Code::GrantIssuerInvalid, |f| granted(f).signer_valid = false),
            ("another's", Code::GrantPrincipalMismatch, |f| granted(f).names_principal = false),
            ("another zone's", Code::GrantZoneMismatch, |f| granted(f).zone_id = name("z:owner")),
            ("not begun", Code::GrantExpired, |f| granted(f).grant.not_before = at(10_001)),
            ("over", Code::GrantExpired, |f| granted(f).grant.expires_at = NOW),
            ("another connector's", Code::OperationNotGranted, |f| {
                granted(f).grant.connector = name("slack");
            }),
            ("no such capability", Code::GrantExceeded, |f| granted(f).grant.capabilities.clear()),
            ("no such operation", Code::GrantExceeded, |f| granted(f).grant.operations.clear()),
            ("a whole capability", Code::GrantExceeded, |f| {
                token(f).grants = [TokenGrant { capability: name("github.write"), operation: None }].into();
            }),
            ("wider constraints", Code::GrantExceeded, |f| token(f).constraints.max_calls = Some(11)),
            ("a longer life", Code::GrantExceeded, |f| granted(f).grant.expires_at = at(10_499)),
            ("another operation", Code::OperationNotGranted, |f| {
                f.operation_id = name("github.issues.close");
            }),
        ],
    );
}

#[test]
fn zone_policy() {
    refused(
        GateCheck::ZonePolicy,
        &[
            ("no zone", Code::ZoneUnknown, |f| f.zone = None),
            ("enrolled elsewhere", Code::ZoneMismatch, |f| f.principal_zone = name("z:owner")),
            ("no connectors", Code::ZonePolicyDenied, |f| policy(f).connectors.clear()),
            ("a beginning without a star", Code::ZonePolicyDenied, |f| {
                policy(f).connectors = vec!["git".into()];
            }),
            ("denied", Code::ZonePolicyDenied, |f| {
                policy(f).denied_operations = vec!["github.issues.*".into()];
            }),
            ("the token's life", Code::ZonePolicyDenied, |f| policy(f).max_token_secs = 599),
            ("the grant's life", Code::ZonePolicyDenied, |f| policy(f).max_grant_secs = 1_999),
            ("forbidden", Code::OperationForbidden, |f| operation(f).tier = SafetyTier::Forbidden),
            ("its risk", Code::RiskAboveCeiling, |f| operation(f).risk = Risk::Critical),
            ("its tier", Code::RiskAboveCeiling, |f| operation(f).tier = SafetyTier::Critical),
        ],
    );
}

#[test]
fn binding() {
    refused(
        GateCheck::Binding,
        &[
            ("no connector", Code::ConnectorUnknown, |f| f.connector = None),
            ("disabled", Code::ConnectorDisabled, |f| installed(f).enabled = false),
            ("not in the zone", Code::ConnectorNotInZone, |f| installed(f).zones.clear()),
            ("no operation", Code::OperationUnknown, |f| installed(f).operation = None),
            ("its capability", Code::CapabilityMissing, |f| {
                operation(f).capability = name("github.admin");
            }),
        ],
    );
}

#[test]
fn idempotency() {
    refused(
        GateCheck::Idempotency,
        &[
            ("no key", Code::IdempotencyKeyRequired, |f| {
                operation(f).idempotency = Idempotency::Strict;
                f.key = None;
            }),
            ("another call's", Code::IdempotencyConflict, |f| f.key = key("key", KeyStanding::OtherCall)),
            ("under way", Code::CallInProgress, |f| f.key = key("key", KeyStanding::InProgress)),
            ("no room for it", Code::Exhausted, |f| {
                key_of(f).standing = KeyStanding::NoRoom { retry_after_ms: Some(1) };
            }),
            ("unknown", Code::OutcomeUnknown, |f| f.key = key("key", KeyStanding::Unknown(GRANT))),
        ],
    );
    let full = Facts { key: key("key", KeyStanding::NoRoom { retry_after_ms: Some(7) }), ..allowed() };
    let Decision::Denied(denial) = decide(&full, NOW) else { panic!("it is denied") };
    assert_eq!(denial.retry_after_ms, Some(7));
    let replayed =
        Facts { key: key("key", KeyStanding::Completed(GRANT)), schema: Err("/".into()), ..allowed() };
    assert_eq!(decide(&replayed, NOW), Decision::Replay(GRANT), "no later check is made");
}

/// The constraints of the token and of its grant.
fn bound(facts: &mut Facts, change: impl Fn(&mut Constraints)) {
    change(&mut token(facts).constraints);
    change(&mut granted(facts).grant.constraints);
}

#[test]
fn schema_and_constraints() {
    refused(GateCheck::Schema, &[("a field", Code::InputInvalid, |f| f.schema = Err("/body".into()))]);
    let mut learns_nothing = allowed();
    input(&mut learns_nothing).slot = SlotFacts::Empty("token".into());
    input(&mut learns_nothing).credentials = [name("another")].into();
    let Decision::Denied(denial) = decide(&learns_nothing, NOW) else { panic!("it is denied") };
    assert_eq!(denial.code, Code::CredentialNotAllowed, "whether it exists is not told");
    refused(
        GateCheck::Constraints,
        &[
            ("no credential", Code::CredentialMissing, |f| {
                input(f).slot = SlotFacts::Empty("token".into());
            }),
            ("none that is allowed", Code::CredentialNotAllowed, |f| {
                input(f).credentials.clear();
                input(f).slot = SlotFacts::NotAllowed("token".into());
            }),
            ("several credentials", Code::Ambiguous, |f| {
                input(f).slot = SlotFacts::Several("token".into());
            }),
            ("empty", Code::ConstraintsEmpty, |f| token(f).constraints = Constraints::default()),
            ("not begun", Code::GrantExpired, |f| token(f).constraints.not_before = Some(at(10_001))),
            ("over", Code::GrantExpired, |f| token(f).constraints.expires = Some(NOW)),
            ("a resource", Code::ResourceNotAllowed, |f| {
                token(f).constraints.resource_deny = vec![name("github:repo/acme/*")];
            }),
            ("no resource", Code::ResourceNotAllowed, |f| input(f).resources.clear()),
            ("a credential", Code::CredentialNotAllowed, |f| token(f).constraints.credential_allow.clear()),
            ("an argument", Code::ArgumentNotAllowed, |f| {
                let check = ArgumentCheck::Prefix("other/".into());
                let rule = ArgumentRule::new(name("/repo"), Presence::Required, check).expect("a rule");
                bound(f, |it| it.arguments = vec![rule.clone()]);
            }),
            ("ten calls", Code::CallLimitReached, |f| granted(f).calls_used = 10),
            ("a byte too many", Code::ByteLimitReached, |f| {
                granted(f).bytes_used = 1_001 - INPUT.len() as u64;
            }),
        ],
    );
}

fn handle(pointer: &str, integrity: Level, confidentiality: Level) -> HandleFacts {
    let label = Label { integrity, confidentiality, taints: BTreeSet::new() };
    HandleFacts { at: name(pointer), label }
}

//= docs/spec/labels.md#labels
#[test]
fn flow() {
    refused(
        GateCheck::Flow,
        &[
            ("a critical taint below 60", Code::TaintViolation, |f| {
                f.flow.context.integrity = Level::COMMUNITY;
                f.flow.context.taints.insert(Taint::PublicInput);
            }),
            ("a critical taint before a dangerous operation", Code::TaintViolation, |f| {
                operation(f).tier = SafetyTier::Dangerous;
                f.flow.context.taints.insert(Taint::CrossZoneUnapproved);
            }),
            ("a weak driver", Code::IntegrityTooLow, |f| f.flow.context.integrity = Level::COMMUNITY),
            ("a weak result in control", Code::IntegrityTooLow, |f| {
                f.flow.handles = vec![handle("/repo", Level::NONE, Level::NONE)];
            }),
            ("above the zone", Code::ConfidentialityTooHigh, |f| {
                f.flow.context.confidentiality = Level::PRIVATE;
            }),
            ("above the audience", Code::ConfidentialityTooHigh, |f| {
                operation(f).audience = Level::PUBLIC;
                f.flow.context.confidentiality = Level::COMMUNITY;
            }),
            ("a secret result that is the whole input of a read", Code::ConfidentialityTooHigh, |f| {
                operation(f).tier = SafetyTier::Safe;
                operation(f).audience = Level::PUBLIC;
                f.flow.handles = vec![handle("", Level::WORK, Level::WORK)];
            }),
        ],
    );
    let mut facts = allowed();
    facts.flow.handles = vec![handle("/body", Level::NONE, Level::NONE)];
    assert_eq!(refusal(&facts), None, "content drives nothing");
    operation(&mut facts).tier = SafetyTier::Safe;
    operation(&mut facts).audience = Level::PUBLIC;
    facts.flow.handles = vec![handle("/repo", Level::WORK, Level::WORK)];
    assert_eq!(refusal(&facts), None, "control is not published by a read");
}

//= docs/spec/gate.md#13-approval
#[test]
fn approvals() {
    refused(
        GateCheck::Approval,
        &[
            ("none", Code::ApprovalRequired, |f| f.approvals.clear()),
            ("of another kind", Code::ApprovalRequired, |f| {
                f.approvals[0].kinds = [ApprovalKind::Elevation].into();
            }),
            ("badly signed", Code::ApprovalInvalid, |f| f.approvals[0].signer_valid = false),
            ("revoked", Code::ApprovalInvalid, |f| f.approvals[0].revoked = true),
            ("a no", Code::ApprovalDenied, |f| f.approvals[0].decision = ApprovalDecision::Deny),
            ("another call", Code::ApprovalMismatch, |f| f.approvals[0].call_digest = Digest::default()),
            ("another interface", Code::ApprovalMismatch, |f| {
                f.approvals[0].interface_hash = Digest::default();
            }),
            ("other code", Code::ApprovalMismatch, |f| f.approvals[0].code_digest = Digest::default()),
            ("other labels", Code::ApprovalMismatch, |f| f.approvals[0].label_digest = Digest::default()),
            ("over", Code::ApprovalExpired, |f| f.approvals[0].expires_at = NOW),
            ("spent", Code::ApprovalUsed, |f| f.approvals[0].used = true),
        ],
    );
}

//= docs/spec/gate.md#13-approval
#[test]
fn exactly_the_approvals_that_are_named_are_spent() {
    let other = ApprovalFacts { id: ObjectId::from_bytes([77; 32]), ..approval() };
    let mut facts = Facts { approvals: vec![approval(), other.clone()], ..allowed() };
    facts.approvals_named = [other.id].into();
    let Decision::Authorized(authorized) = decide(&facts, NOW) else { panic!("it serves") };
    assert_eq!(*authorized.approvals(), [other.id].into(), "and not the first of those that would serve");
    facts.approvals_named = [approval().id, other.id].into();
    assert_eq!(refusal(&facts).map(|it| it.1), Some(Code::Conflict), "one is not needed");
    facts.approvals_named = [other.id].into();
    facts.approvals[1].used = true;
    assert_eq!(refusal(&facts).map(|it| it.1), Some(Code::ApprovalUsed), "another is no substitute");
    facts.approvals.truncate(1);
    assert_eq!(refusal(&facts).map(|it| it.1), Some(Code::ApprovalMismatch), "nobody knows it");
    operation(&mut facts).approval = Approval::None;
    assert_eq!(refusal(&facts).map(|it| it.1), Some(Code::ApprovalMismatch), "also where none is needed");
    facts.approvals_named = [approval().id].into();
    assert_eq!(refusal(&facts).map(|it| it.1), Some(Code::Conflict), "it would be wasted");
}

/// A standing approval for this input, of the connector as it is.
fn beforehand() -> StandingApproval {
    StandingApproval {
        interface_hash: Digest::from_bytes([1; 32]),
        code_digest: Digest::from_bytes([2; 32]),
        input_digest: Some(hash::digest(INPUT.as_bytes())),
        config_digest: Some(Digest::from_bytes([6; 32])),
    }
}

/// The allowed call, on a grant with a standing approval in the place of an approval of its own.
fn spared() -> Facts {
    let mut facts = Facts { approvals: Vec::new(), ..allowed() };
    granted(&mut facts).grant.standing_approval = Some(beforehand());
    facts
}

fn given(facts: &mut Facts) -> &mut StandingApproval {
    granted(facts).grant.standing_approval.as_mut().expect("a standing approval")
}

//= docs/spec/gate.md#standing-approvals
#[test]
fn a_standing_approval_spares_an_approval_and_is_named() {
    let Decision::Authorized(authorized) = decide(&spared(), NOW) else { panic!("it is spared one") };
    assert_eq!(authorized.standing_approval(), &Some(GRANT));
    assert_eq!(authorized.kinds(), &[ApprovalKind::Execution].into(), "a person agreed");
    assert_eq!(authorized.approvals(), &[].into(), "nothing is spent");
    let mut wide = spared();
    given(&mut wide).input_digest = None;
    input(&mut wide).canonical = "{}".into();
    assert_eq!(refusal(&wide), None, "whatever the bounds permit");
    let mut earlier = spared();
    given(&mut earlier).config_digest = None;
    installed(&mut earlier).config_digest = Digest::default();
    assert_eq!(refusal(&earlier), None, "one that was given before configurations were bound");
    let mut free = spared();
    operation(&mut free).approval = Approval::None;
    let Decision::Authorized(authorized) = decide(&free, NOW) else { panic!("nobody has to agree") };
    assert_eq!(authorized.standing_approval(), &None, "it spared nothing");
}

//= docs/spec/gate.md#standing-approvals
#[test]
fn a_standing_approval_spares_nothing_that_it_was_not_given_for() {
    let cases: [(&str, Change); 8] = [
        ("another configuration", |f| installed(f).config_digest = Digest::default()),
        ("none was given", |f| granted(f).grant.standing_approval = None),
        ("whoever gave it may not approve", |f| granted(f).approver_valid = false),
        ("another interface", |f| given(f).interface_hash = Digest::default()),
        ("other code", |f| given(f).code_digest = Digest::default()),
        ("another input", |f| given(f).input_digest = Some(Digest::default())),
        ("the input was changed", |f| input(f).canonical.push(' ')),
        ("a grant that the token does not name", |f| {
            let other = ObjectId::from_bytes([2; 32]);
            let known = granted(f).clone();
            f.grants.insert(other, known);
            granted(f).grant.standing_approval = None;
        }),
    ];
    for (what, change) in cases {
        let mut facts = spared();
        change(&mut facts);
        assert_eq!(refusal(&facts), Some((GateCheck::Approval, Code::ApprovalRequired)), "{what}");
    }
}

/// A person's no to the allowed call.
fn denial() -> DenialFacts {
    DenialFacts {
        id: ObjectId::from_bytes([8; 32]),
        revoked: false,
        input_digest: Some(hash::digest(INPUT.as_bytes())),
        expires_at: at(10_001),
    }
}

//= docs/spec/gate.md#denials
#[test]
fn a_standing_approval_spares_no_input_that_a_person_denied() {
    let denial = denial();
    let with = |denial| refusal(&Facts { denials: vec![denial], ..spared() });
    let asked = Some((GateCheck::Approval, Code::ApprovalRequired));
    assert_eq!(with(denial), asked, "under whatever idempotency key");
    assert_eq!(with(DenialFacts { input_digest: None, ..denial }), asked, "it may have been this input");
    for void in [
        DenialFacts { input_digest: Some(Digest::default()), ..denial },
        DenialFacts { revoked: true, ..denial },
        DenialFacts { expires_at: NOW, ..denial },
    ] {
        assert_eq!(with(void), None, "a no that does not count: {void:?}");
    }
    let own = Facts { approvals: vec![approval()], denials: vec![denial], ..spared() };
    assert_eq!(refusal(&own), None, "a person agreed to this very call since");
}

//= docs/spec/gate.md#standing-approvals
#[test]
fn a_standing_approval_never_stands_for_elevation_or_declassification() {
    use ApprovalKind::{Declassification, Elevation, Execution};
    let cases: [(Change, Code, ApprovalKind); 2] = [
        (|f| f.flow.context.integrity = Level::NONE, Code::IntegrityTooLow, Elevation),
        (|f| f.flow.context.confidentiality = Level::PRIVATE, Code::ConfidentialityTooHigh, Declassification),
    ];
    for (change, code, kind) in cases {
        let mut facts = spared();
        change(&mut facts);
        assert_eq!(refusal(&facts), Some((GateCheck::Flow, code)));
        facts.approvals = vec![ApprovalFacts { kinds: [kind].into(), ..approval() }];
        let asked = Some((GateCheck::Approval, Code::ApprovalRequired));
        assert_eq!(refusal(&facts), asked, "then the call itself is asked for, too");
        facts.approvals[0].kinds.insert(Execution);
        assert_eq!(refusal(&facts), None);
    }
}

//= docs/spec/gate.md#standing-approvals
#[test]
fn an_approval_of_the_very_call_comes_before_a_standing_one() {
    let own = Facts { approvals: vec![approval()], ..spared() };
    let Decision::Authorized(authorized) = decide(&own, NOW) else { panic!("it has both") };
    assert_eq!((authorized.standing_approval(), authorized.approvals().len()), (&None, 1));
    let used = Facts { approvals: vec![ApprovalFacts { used: true, ..approval() }], ..spared() };
    assert_eq!(refusal(&used), None, "the one of its own was for one call");
    let named = Facts { approvals_named: [approval().id].into(), ..used };
    assert_eq!(refusal(&named).map(|it| it.1), Some(Code::ApprovalUsed), "what is named is no guess");
    let elevation = ApprovalFacts { kinds: [ApprovalKind::Elevation].into(), ..approval() };
    let named =
        Facts { approvals: vec![elevation.clone()], approvals_named: [elevation.id].into(), ..spared() };
    assert_eq!(refusal(&named).map(|it| it.1), Some(Code::ApprovalRequired), "only those count then");
}

//= docs/spec/gate.md#standing-approvals
#[test]
fn a_refusal_says_why_a_standing_approval_is_of_no_use() {
    let told = |facts: &Facts| {
        let Decision::Denied(denial) = decide(facts, NOW) else { panic!("it is refused") };
        denial
    };
    let mut facts = spared();
    given(&mut facts).code_digest = Digest::default();
    let denial = told(&facts);
    assert!(
        denial.rule.contains(&format!("{GRANT}")) && denial.rule.contains("no longer"),
        "{}",
        denial.rule
    );

    let near = ObjectId::from_bytes([200; 32]);
    let known = granted(&mut facts).clone();
    facts.grants.insert(near, known);
    token(&mut facts).grant_object_ids.insert(near);
    given(&mut facts).input_digest = Some(Digest::default());
    let denial = told(&facts);
    assert!(denial.rule.contains(&format!("{near}")), "one for another input is not told: {}", denial.rule);
    assert_eq!(denial.standing, Some(StandingFault::Connector));

    facts.approvals = vec![ApprovalFacts { signer_valid: false, ..approval() }];
    let denial = told(&facts);
    let own = format!("{}", approval().id);
    assert!(
        denial.rule.contains(&own),
        "what was decided over this very call is told first: {}",
        denial.rule
    );
    assert_eq!((denial.code, denial.standing), (Code::ApprovalInvalid, None));
}

#[test]
fn bounds_and_rates_go_on_under_a_standing_approval() {
    let mut facts = spared();
    granted(&mut facts).calls_used = 10;
    assert_eq!(refusal(&facts), Some((GateCheck::Constraints, Code::CallLimitReached)));
    let rates = RateFacts::BudgetExceeded { budget: "daily".into() };
    assert_eq!(refusal(&Facts { rates, ..spared() }), Some((GateCheck::Rates, Code::BudgetExceeded)));
}

//= docs/spec/gate.md#15-rates
#[test]
fn lease_and_rates() {
    refused(
        GateCheck::Lease,
        &[
            ("not held", Code::LeaseRequired, |f| f.lease = LeaseFacts::Missing),
            ("superseded", Code::LeaseSuperseded, |f| f.lease = LeaseFacts::Superseded),
            ("too short", Code::LeaseExpired, |f| {
                f.lease = LeaseFacts::Held { seq: 7, expires_at: at(10_030) };
            }),
        ],
    );
    refused(
        GateCheck::Rates,
        &[
            ("a budget", Code::BudgetExceeded, |f| {
                f.rates = RateFacts::BudgetExceeded { budget: "daily".into() };
            }),
            ("the node", Code::Exhausted, |f| f.rates = RateFacts::Exhausted { rule: "full".into() }),
        ],
    );
    for wait in [Some(250), None] {
        let limited = RateFacts::Limited { pool: "pool api".into(), retry_after_ms: wait };
        let Decision::Denied(denial) = decide(&Facts { rates: limited, ..allowed() }, NOW) else {
            panic!("it is denied")
        };
        assert_eq!((denial.check, denial.code), (GateCheck::Rates, Code::RateLimited));
        assert_eq!(denial.retry_after_ms, wait, "a wait is told as it is known");
        assert_eq!(denial.rule.contains("none by waiting"), wait.is_none(), "{}", denial.rule);
    }
}

/// One fault a check, in the order of the checks; none hides the fault of another.
const FAULTS: [(GateCheck, Change); 15] = [
    (GateCheck::Decode, |f| key_of(f).text.clear()),
    (GateCheck::TokenSignature, |f| {
        if let TokenFacts::Decoded { signature, .. } = &mut f.token {
            *signature = SignatureFacts::Invalid;
        }
    }),
    (GateCheck::TokenBinding, |f| *issuer(f) = None),
    (GateCheck::Revocation, |f| f.revocation.zone_key = true),
    (GateCheck::Holder, |f| f.holder = HolderFacts::Missing),
    (GateCheck::Grants, |f| granted(f).revoked = true),
    (GateCheck::ZonePolicy, |f| policy(f).connectors.clear()),
    (GateCheck::Binding, |f| installed(f).enabled = false),
    (GateCheck::Idempotency, |f| key_of(f).standing = KeyStanding::OtherCall),
    (GateCheck::Schema, |f| f.schema = Err("/body".into())),
    (GateCheck::Constraints, |f| input(f).resources.clear()),
    (GateCheck::Flow, |f| f.flow.context.integrity = Level::NONE),
    (GateCheck::Approval, |f| f.approvals.clear()),
    (GateCheck::Lease, |f| f.lease = LeaseFacts::Missing),
    (GateCheck::Rates, |f| f.rates = RateFacts::BudgetExceeded { budget: "daily".into() }),
];

//= docs/spec/gate.md#the-gate
#[test]
fn of_two_faults_the_earlier_check_names_its_own() {
    for (n, (earlier, first)) in FAULTS.iter().enumerate() {
        for (later, second) in &FAULTS[n + 1..] {
            let mut facts = allowed();
            first(&mut facts);
            second(&mut facts);
            let check = refusal(&facts).map(|(check, _)| check);
            assert_eq!(check, Some(*earlier), "{earlier} and {later}");
        }
    }
}

//= docs/spec/gate.md#the-gate
#[test]
fn refusals_are_written_from_the_holder_on() {
    for (check, _) in FAULTS {
        let denial = Denial::new(check, Code::NotPermitted, format!("{check}"));
        assert_eq!(denial.is_receipted(), check >= GateCheck::Holder);
    }
}

#[test]
fn approvals_needed_are_those_that_would_let_the_call_pass() {
    use ApprovalKind::{Declassification, Elevation, Execution};
    let mut facts = Facts { approvals: Vec::new(), ..allowed() };
    assert_eq!(approvals_needed(&facts), [Execution].into());
    facts.flow.context =
        Label { integrity: Level::NONE, confidentiality: Level::PRIVATE, ..Label::default() };
    let needed = approvals_needed(&facts);
    assert_eq!(needed, [Execution, Elevation, Declassification].into());
    facts.approvals = vec![ApprovalFacts { kinds: needed.clone(), ..approval() }];
    let Decision::Authorized(authorized) = decide(&facts, NOW) else { panic!("they suffice") };
    assert_eq!(authorized.kinds(), &needed, "the audit tells of each");
    for kind in needed {
        let mut fewer = facts.clone();
        fewer.approvals[0].kinds.remove(&kind);
        assert!(refusal(&fewer).is_some(), "without {kind}");
    }
    let mut free = allowed();
    for author in [Approval::None, Approval::Policy] {
        (operation(&mut free).approval, operation(&mut free).tier) = (author, SafetyTier::Risky);
        assert_eq!(approvals_needed(&free), [].into());
        operation(&mut free).tier = SafetyTier::Dangerous;
        assert_eq!(approvals_needed(&free), [Execution].into(), "the policy asks from this tier on");
    }
    assert_eq!(approvals_needed(&Facts { connector: None, ..free }), [].into());
}

/// What the allowed call rests on, as it is when it is about to leave.
fn standing() -> StandingFacts {
    let facts = allowed();
    StandingFacts {
        grants: facts.grants,
        principal_zone: Some(facts.principal_zone),
        zone: facts.zone,
        connector: facts.connector,
        credentials_stored: true,
        denials: Vec::new(),
    }
}

//= docs/spec/gate.md#deciding-and-spending
#[test]
fn what_changed_since_the_decision_stops_the_call() {
    type Meanwhile = fn(&mut StandingFacts);
    fn policy_of(it: &mut StandingFacts) -> &mut ZonePolicy {
        &mut it.zone.as_mut().expect("a zone").policy
    }
    fn connector_of(it: &mut StandingFacts) -> &mut ConnectorFacts {
        it.connector.as_mut().expect("a connector")
    }
    fn grant_of(it: &mut StandingFacts) -> &mut GrantFacts {
        it.grants.get_mut(&GRANT).expect("a grant")
    }
    let cases: [(Code, Meanwhile); 20] = [
        (Code::GrantMissing, |it| it.grants.clear()),
        (Code::GrantRevoked, |it| grant_of(it).revoked = true),
        (Code::GrantIssuerInvalid, |it| grant_of(it).signer_valid = false),
        (Code::GrantPrincipalMismatch, |it| grant_of(it).names_principal = false),
        (Code::GrantExpired, |it| grant_of(it).grant.expires_at = NOW),
        (Code::ZoneUnknown, |it| it.zone = None),
        (Code::ZoneMismatch, |it| it.principal_zone = Some(name("z:private"))),
        (Code::ZoneMismatch, |it| it.principal_zone = None),
        (Code::ZonePolicyDenied, |it| policy_of(it).connectors.clear()),
        (Code::ZonePolicyDenied, |it| policy_of(it).denied_operations = vec!["github.issues.*".into()]),
        (Code::ZonePolicyDenied, |it| policy_of(it).max_token_secs = 599),
        (Code::ZonePolicyDenied, |it| policy_of(it).max_grant_secs = 1_999),
        (Code::RiskAboveCeiling, |it| policy_of(it).max_tier = SafetyTier::Safe),
        (Code::ZonePolicyDenied, |it| it.zone.as_mut().expect("a zone").integrity = Level::OWNER),
        (Code::ConnectorUnknown, |it| it.connector = None),
        (Code::ConnectorDisabled, |it| connector_of(it).enabled = false),
        (Code::ConnectorNotInZone, |it| connector_of(it).zones.clear()),
        (Code::Conflict, |it| connector_of(it).code_digest = Digest::from_bytes([9; 32])),
        (Code::Conflict, |it| connector_of(it).interface_hash = Digest::from_bytes([9; 32])),
        (Code::CredentialMissing, |it| it.credentials_stored = false),
    ];
    let Decision::Authorized(authorized) = decide(&allowed(), NOW) else { panic!("it is allowed") };
    assert_eq!(recheck(&authorized, &standing(), NOW), Ok(()));
    for (code, meanwhile) in cases {
        let mut facts = standing();
        meanwhile(&mut facts);
        let denied = recheck(&authorized, &facts, NOW).map_err(|denial| denial.code);
        assert_eq!(denied, Err(code));
    }
}

//= docs/spec/gate.md#deciding-and-spending
#[test]
fn a_standing_approval_is_looked_at_again_before_its_call_leaves() {
    let Decision::Authorized(authorized) = decide(&spared(), NOW) else { panic!("it is spared one") };
    let standing = StandingFacts { grants: spared().grants, ..standing() };
    assert_eq!(recheck(&authorized, &standing, NOW), Ok(()));
    let denied = |facts: &StandingFacts| recheck(&authorized, facts, NOW).map_err(|denial| denial.code);
    let mut silenced = standing.clone();
    silenced.grants.get_mut(&GRANT).expect("the grant").approver_valid = false;
    assert_eq!(denied(&silenced), Err(Code::ApprovalInvalid), "whoever signed it may not approve any more");
    let mut elsewhere = standing.clone();
    elsewhere.connector.as_mut().expect("a connector").config_digest = Digest::default();
    assert_eq!(denied(&elsewhere), Err(Code::Conflict), "the connector was configured anew");
    let denial = denial();
    let counts = |denial| denied(&StandingFacts { denials: vec![denial], ..standing.clone() });
    assert_eq!(counts(denial), Err(Code::ApprovalDenied), "a person denied it meanwhile");
    assert_eq!(counts(DenialFacts { input_digest: None, ..denial }), Err(Code::ApprovalDenied));
    for other in [
        DenialFacts { input_digest: Some(Digest::default()), ..denial },
        DenialFacts { revoked: true, ..denial },
        DenialFacts { expires_at: NOW, ..denial },
    ] {
        assert_eq!(counts(other), Ok(()), "{other:?} is not of this call, or does not count");
    }
}

//= docs/spec/gate.md#deciding-and-spending
#[test]
fn an_approval_that_ends_meanwhile_stops_the_call() {
    let end = NOW.saturating_add(1);
    let mut facts = allowed();
    facts.approvals = vec![ApprovalFacts { expires_at: end, ..approval() }];
    let TokenFacts::Decoded { issuer: Some(issuer), .. } = &mut facts.token else { panic!("it has a token") };
    issuer.expires_at = at(10_600);
    let Decision::Authorized(authorized) = decide(&facts, NOW) else { panic!("it is allowed") };
    assert_eq!(recheck(&authorized, &standing(), NOW), Ok(()));
    let denied = recheck(&authorized, &standing(), end).map_err(|denial| (denial.check, denial.code));
    assert_eq!(denied, Err((GateCheck::Approval, Code::ApprovalExpired)));
    // One that the call did not need has no say.
    operation(&mut facts).approval = Approval::None;
    let Decision::Authorized(authorized) = decide(&facts, NOW) else { panic!("it is allowed") };
    let facts = StandingFacts { connector: facts.connector, ..standing() };
    assert_eq!(recheck(&authorized, &facts, end), Ok(()));
}

//= docs/spec/gate.md#deciding-and-spending
#[test]
fn a_standing_approval_whose_signer_may_not_approve_any_more_stops_the_call() {
    let Decision::Authorized(authorized) = decide(&spared(), NOW) else { panic!("it is spared one") };
    let mut facts = StandingFacts { grants: spared().grants, ..standing() };
    assert_eq!(recheck(&authorized, &facts, NOW), Ok(()));
    facts.grants.get_mut(&GRANT).expect("a grant").approver_valid = false;
    let denied = recheck(&authorized, &facts, NOW).map_err(|denial| (denial.check, denial.code));
    assert_eq!(denied, Err((GateCheck::Approval, Code::ApprovalInvalid)));
    // A call that rests on none does not ask.
    let Decision::Authorized(authorized) = decide(&allowed(), NOW) else { panic!("it is allowed") };
    assert_eq!(recheck(&authorized, &facts, NOW), Ok(()));
}

//= docs/spec/authority.md#grants
#[test]
fn what_a_grant_could_not_serve_is_found_without_a_token() {
    type Prospect = (GrantFacts, Facts);
    type Amiss = fn(&mut Prospect);
    let cases: [(Code, Amiss); 17] = [
        (Code::IssuerKeyRevoked, |it| it.1.revocation.issuer_key = true),
        (Code::IssuerKeyRevoked, |it| it.1.revocation.holder_key = true),
        (Code::NodeRevoked, |it| it.1.revocation.node = true),
        (Code::ConnectorRevoked, |it| it.1.revocation.connector = true),
        (Code::ZoneKeyRevoked, |it| it.1.revocation.zone_key = true),
        (Code::CredentialMissing, |it| input(&mut it.1).slot = SlotFacts::Empty("token".into())),
        (Code::CredentialNotAllowed, |it| input(&mut it.1).slot = SlotFacts::NotAllowed("token".into())),
        (Code::CallLimitReached, |it| it.0.calls_used = 10),
        (Code::GrantIssuerInvalid, |it| it.0.signer_valid = false),
        (Code::GrantExpired, |it| it.0.grant.expires_at = NOW),
        (Code::ZoneUnknown, |it| it.1.zone = None),
        (Code::ZoneMismatch, |it| it.1.principal_zone = name("z:private")),
        (Code::ZonePolicyDenied, |it| policy(&mut it.1).connectors.clear()),
        (Code::RiskAboveCeiling, |it| policy(&mut it.1).max_tier = SafetyTier::Safe),
        (Code::ConnectorDisabled, |it| installed(&mut it.1).enabled = false),
        (Code::ConnectorNotInZone, |it| installed(&mut it.1).zones.clear()),
        (Code::GrantExceeded, |it| it.0.grant.capabilities.clear()),
    ];
    let judge = |(grant, facts): &Prospect| {
        let prospect = ProspectFacts {
            grant_id: &GRANT,
            grant,
            principal: &facts.principal,
            principal_zone: &facts.principal_zone,
            operation_id: &facts.operation_id,
            zone: facts.zone.as_ref(),
            connector: facts.connector.as_ref(),
            revocation: &facts.revocation,
            slot: &facts.input.as_ref().expect("an input").slot,
        };
        could_serve(&prospect, NOW).map_err(|denial| denial.code)
    };
    assert_eq!(judge(&(grant(), allowed())), Ok(()));
    for (code, amiss) in cases {
        let mut prospect = (grant(), allowed());
        amiss(&mut prospect);
        assert_eq!(judge(&prospect), Err(code));
    }
}

#[test]
fn an_approval_that_is_demanded_meanwhile_stops_the_call() {
    let mut free = allowed();
    operation(&mut free).approval = Approval::None;
    policy(&mut free).approval_from = SafetyTier::Critical;
    let Decision::Authorized(authorized) = decide(&free, NOW) else { panic!("it is allowed") };
    let mut facts = StandingFacts { zone: free.zone, connector: free.connector, ..standing() };
    assert_eq!(recheck(&authorized, &facts, NOW), Ok(()));
    facts.zone.as_mut().expect("a zone").policy.approval_from = SafetyTier::Safe;
    let denied = recheck(&authorized, &facts, NOW).map_err(|denial| denial.code);
    assert_eq!(denied, Err(Code::ApprovalRequired));
}
