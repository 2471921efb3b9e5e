//! The catalogue of changes, by the check whose facts they touch. Many stand exactly on a boundary.

use fcp_proto_core::encoding::json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::Digest;
use fcp_proto_core::manifest::Role;
use fcp_proto_core::object::{ApprovalDecision, ApprovalKind, GateCheck, ZonePolicy};
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::argument::{ArgumentCheck, ArgumentRule, Presence};
use fcp_proto_core::token::claims::Claims;
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::zone::{Approval, Idempotency, Label, Risk, SafetyTier, Taint};
use fcp_state_machines::call::gate::{
    ApprovalFacts, Facts, GrantFacts, HandleFacts, HolderFacts, InputFacts, IssuerFacts, KeyStanding,
    LeaseFacts, OperationFacts, RateFacts, SignatureFacts, SlotFacts, TokenFacts, ZoneFacts,
};

use crate::worlds::{
    Dice, INPUT, approval, at, claims, connector, denial, key, label, level, node, object, operation_id,
    patterns, pointer, principal, range, resource, rule, standing, token_grant, zone,
};

/// A change and its name.
pub(crate) type Change = (&'static str, fn(&mut Facts, &mut Dice));

/// Room for the changes of one check, in the number of a change.
pub(crate) const STRIDE: usize = 100;

/// All changes, by check; the checks with the most to get wrong, and those that few worlds reach, stand here twice.
pub(crate) const fn catalogue() -> &'static [(GateCheck, &'static [Change])] {
    &[
        (GateCheck::Decode, DECODE),
        (GateCheck::TokenSignature, TOKEN_SIGNATURE),
        (GateCheck::TokenBinding, TOKEN_BINDING),
        (GateCheck::Revocation, REVOCATION),
        (GateCheck::Holder, HOLDER),
        (GateCheck::Grants, GRANTS),
        (GateCheck::ZonePolicy, ZONE_POLICY),
        (GateCheck::Binding, BINDING),
        (GateCheck::Idempotency, IDEMPOTENCY),
        (GateCheck::Schema, SCHEMA),
        (GateCheck::Constraints, CONSTRAINTS),
        (GateCheck::Flow, FLOW),
        (GateCheck::Approval, APPROVAL),
        (GateCheck::Lease, LEASE),
        (GateCheck::Rates, RATES),
        (GateCheck::Constraints, CONSTRAINTS),
        (GateCheck::Flow, FLOW),
        (GateCheck::Approval, APPROVAL),
        (GateCheck::Grants, GRANTS),
    ]
}

/// The change of that number.
pub(crate) fn named(change: usize) -> Change {
    catalogue()[change / STRIDE].1[change % STRIDE]
}

// What a change may reach; each does nothing where an earlier change took it away.

fn token(f: &mut Facts, change: impl FnOnce(&mut Claims)) {
    if let Some(it) = claims(f) {
        change(it);
    }
}

fn issuer(f: &mut Facts, change: impl FnOnce(&mut IssuerFacts)) {
    if let TokenFacts::Decoded { issuer: Some(issuer), .. } = &mut f.token {
        change(issuer);
    }
}

fn grant(f: &mut Facts, d: &mut Dice, change: impl FnOnce(&mut GrantFacts)) {
    let at = d.below(f.grants.len().max(1));
    if let Some(it) = f.grants.values_mut().nth(at) {
        change(it);
    }
}

fn zoned(f: &mut Facts, change: impl FnOnce(&mut ZoneFacts)) {
    if let Some(it) = &mut f.zone {
        change(it);
    }
}

fn policy(f: &mut Facts, change: impl FnOnce(&mut ZonePolicy)) {
    zoned(f, |zone| change(&mut zone.policy));
}

fn operation(f: &mut Facts, change: impl FnOnce(&mut OperationFacts)) {
    if let Some(it) = f.connector.as_mut().and_then(|it| it.operation.as_mut()) {
        change(it);
    }
}

fn input(f: &mut Facts, change: impl FnOnce(&mut InputFacts)) {
    if let Ok(it) = &mut f.input {
        change(it);
    }
}

fn one_approval(f: &mut Facts, d: &mut Dice, change: impl FnOnce(&mut ApprovalFacts)) {
    let at = d.below(f.approvals.len().max(1));
    if let Some(it) = f.approvals.get_mut(at) {
        change(it);
    }
}

// Values to draw from.

fn near(d: &mut Dice, offset: i64) -> UnixTime {
    at(offset + *d.pick(&[-1, 0, 1]))
}

fn a_tier(d: &mut Dice) -> SafetyTier {
    use SafetyTier::{Critical, Dangerous, Forbidden, Risky, Safe};
    *d.pick(&[Safe, Risky, Risky, Dangerous, Dangerous, Critical, Forbidden])
}

fn a_risk(d: &mut Dice) -> Risk {
    *d.pick(&[Risk::Low, Risk::Medium, Risk::High, Risk::Critical])
}

fn a_label(d: &mut Dice) -> Label {
    const HEIGHTS: [u8; 10] = [0, 20, 39, 40, 41, 59, 60, 61, 80, 100];
    let mut label = label(*d.pick(&HEIGHTS), *d.pick(&HEIGHTS));
    const TAINTS: [Taint; 8] = [
        Taint::PublicInput,
        Taint::UnverifiedLink,
        Taint::UntrustedTransform,
        Taint::WebhookInjected,
        Taint::UserGenerated,
        Taint::PotentiallyMalicious,
        Taint::AiGenerated,
        Taint::CrossZoneUnapproved,
    ];
    label.taints = (0..d.below(3)).map(|_| *d.pick(&TAINTS)).collect();
    label
}

fn a_digest(d: &mut Dice) -> Digest {
    Digest::from_bytes([*d.pick(&[1, 2, 3, 4, 9]); 32])
}

fn a_kind(d: &mut Dice) -> ApprovalKind {
    *d.pick(&[ApprovalKind::Execution, ApprovalKind::Elevation, ApprovalKind::Declassification])
}

const PATTERNS: [&str; 14] = [
    "*",
    "github:**",
    "github:repo/**",
    "github:repo/acme/**",
    "github:repo/acme/*",
    "github:repo/*/site",
    "github:repo/acme/site",
    "github:repo/acme",
    "github:repo/acme/secret/**",
    "github:issue/*",
    "github:issue/7",
    "github:issue/**",
    "sqlite:**",
    "github:*/7",
];

fn some_patterns(d: &mut Dice) -> Vec<fcp_proto_core::token::resource::ResourcePattern> {
    let texts: Vec<_> = (0..d.below(3)).map(|_| *d.pick(&PATTERNS)).collect();
    patterns(&texts)
}

fn a_rule(d: &mut Dice) -> ArgumentRule {
    let check = match d.below(8) {
        0 => ArgumentCheck::OneOf(vec!["hello".into(), "acme/site".into()]),
        1 => ArgumentCheck::OneOf(vec![3_u64.into(), true.into()]),
        2 => range(Some(3), None),
        3 => range(Some(-1), Some(*d.pick(&[2, 3, 4]))),
        4 => range(None, Some(*d.pick(&[2, 3]))),
        5 => ArgumentCheck::Prefix((*d.pick(&["", "a", "acme/", "acme/site", "acme/x", "he"])).into()),
        6 => ArgumentCheck::MaxLength(*d.pick(&[1, 2, 3, 5])),
        _ => ArgumentCheck::MaxLength(*d.pick(&[4, 8, 9, 10])),
    };
    let pointer =
        *d.pick(&["", "/repo", "/title", "/count", "/tags", "/tags/1", "/tags/2", "/body", "/absent"]);
    rule(pointer, *d.pick(&[Presence::Required, Presence::Optional]), check)
}

/// Changes one field of the constraints.
fn rebound(c: &mut Constraints, d: &mut Dice) {
    match d.below(13) {
        0 => c.resource_allow = some_patterns(d),
        1 => c.resource_deny = some_patterns(d),
        2 => c.credential_allow.clear(),
        3 => c.credential_allow.extend(["spare", "other"].map(|it| it.parse().expect("a name"))),
        4 => c.arguments.clear(),
        5 => c.arguments = vec![a_rule(d)],
        6 => c.arguments.push(a_rule(d)),
        7 => c.max_calls = *d.pick(&[None, Some(1), Some(9), Some(10), Some(11)]),
        8 => c.max_bytes = *d.pick(&[None, Some(70), Some(77), Some(4999), Some(5000), Some(5001)]),
        9 => {
            c.not_before =
                *d.pick(&[None, Some(at(-60)), Some(at(-61)), Some(at(-1)), Some(at(0)), Some(at(1))])
        }
        10 => {
            c.expires =
                *d.pick(&[None, Some(at(0)), Some(at(1)), Some(at(499)), Some(at(500)), Some(at(501))])
        }
        11 => *c = Constraints::default(),
        _ => {
            let at = d.below(c.arguments.len().max(1));
            if at < c.arguments.len() {
                c.arguments.remove(at);
            }
        }
    }
}

const DECODE: &[Change] = &[
    ("the input does not decode", |f, d| {
        use Code::{DuplicateKey, InexactNumber, InputTooLarge, MalformedInput};
        f.input = Err(*d.pick(&[MalformedInput, DuplicateKey, InexactNumber, InputTooLarge]));
    }),
    ("the key has a length at its limits", |f, d| {
        f.key = key(&"k".repeat(*d.pick(&[0, 0, 1, 255, 256, 256])), KeyStanding::Fresh);
    }),
    ("the key's characters stand at their limits", |f, d| {
        let text = d.pick(&["!", "~", " ", "a b", "\u{7f}", "\u{1f}", "é", "k\n"]);
        f.key = key(text, KeyStanding::Fresh);
    }),
    ("a key that is none, with something under it", |f, d| f.key = key("", a_standing(d))),
];

const TOKEN_SIGNATURE: &[Change] = &[
    ("no token", |f, _| f.token = TokenFacts::Absent),
    ("no token and no proof", |f, d| {
        f.token = TokenFacts::Absent;
        f.holder = d
            .pick(&[HolderFacts::Missing, HolderFacts::Invalid, HolderFacts::Proved(principal("other"))])
            .clone();
    }),
    ("the token is malformed", |f, d| {
        f.token = TokenFacts::Malformed(*d.pick(&[
            Code::TokenMalformed,
            Code::TokenAudienceMismatch,
            Code::TokenSignatureInvalid,
        ]));
    }),
    ("the token's key is unknown", |f, _| f.token = TokenFacts::UnknownKey),
    ("the signature is invalid", |f, _| {
        if let TokenFacts::Decoded { signature, .. } = &mut f.token {
            *signature = SignatureFacts::Invalid;
        }
    }),
];

const TOKEN_BINDING: &[Change] = &[
    ("the token is for another zone", |f, _| token(f, |it| it.zone_id = zone("z:private"))),
    ("the call is made in another zone", |f, _| f.zone_id = zone("z:private")),
    ("no attestation", |f, _| {
        if let TokenFacts::Decoded { issuer, .. } = &mut f.token {
            *issuer = None;
        }
    }),
    ("the attestation is of another node", |f, _| issuer(f, |it| it.node_id = node("phone"))),
    ("the token names another node", |f, _| token(f, |it| it.issuer_node = node("phone"))),
    ("the attestation begins about now", |f, d| issuer(f, |it| it.issued_at = near(d, 0))),
    ("the attestation ends about now", |f, d| issuer(f, |it| it.expires_at = near(d, 0))),
    ("the token ends about now", |f, d| token(f, |it| it.expires = near(d, 0))),
    ("the token begins about 300 s from now", |f, d| token(f, |it| it.not_before = near(d, 300))),
];

const REVOCATION: &[Change] = &[
    ("the token is revoked", |f, _| f.revocation.token = true),
    ("the issuing key is revoked", |f, _| f.revocation.issuer_key = true),
    ("the holder's key is revoked", |f, _| f.revocation.holder_key = true),
    ("the node is revoked", |f, _| f.revocation.node = true),
    ("the connector is revoked", |f, _| f.revocation.connector = true),
    ("the zone's key is revoked", |f, _| f.revocation.zone_key = true),
    ("the head is about 300 s old", |f, d| f.revocation.head_age_secs = *d.pick(&[0, 299, 301, 302, 9999])),
    ("the head is old and the operation unknown", |f, d| {
        f.revocation.head_age_secs = *d.pick(&[300, 301]);
        f.connector.iter_mut().for_each(|it| it.operation = None);
    }),
    ("the head is old and the connector unknown", |f, d| {
        f.revocation.head_age_secs = *d.pick(&[300, 301]);
        f.connector = None;
    }),
];

const HOLDER: &[Change] = &[
    ("no proof", |f, _| f.holder = HolderFacts::Missing),
    ("the proof is invalid", |f, _| f.holder = HolderFacts::Invalid),
    ("another has proved its key", |f, _| f.holder = HolderFacts::Proved(principal("other"))),
    ("the token is another's", |f, _| token(f, |it| it.principal_id = principal("other"))),
    ("the call is another's", |f, _| f.principal = principal("other")),
    ("token and proof are another's", |f, _| {
        f.holder = HolderFacts::Proved(principal("other"));
        token(f, |it| it.principal_id = principal("other"));
    }),
    ("call and proof are another's", |f, _| {
        f.holder = HolderFacts::Proved(principal("other"));
        f.principal = principal("other");
    }),
];

const GRANTS: &[Change] = &[
    ("the token names no grant", |f, _| token(f, |it| it.grant_object_ids.clear())),
    ("the token names one more grant", |f, d| {
        token(f, |it| it.grant_object_ids.extend([object(*d.pick(&[0, 200]))]));
    }),
    ("all grants are unknown", |f, _| f.grants.clear()),
    ("a grant is revoked", |f, d| grant(f, d, |it| it.revoked = true)),
    ("nobody who may grant signed a grant", |f, d| grant(f, d, |it| it.signer_valid = false)),
    ("a grant is for another", |f, d| grant(f, d, |it| it.names_principal = false)),
    ("a grant is for another zone", |f, d| grant(f, d, |it| it.zone_id = zone("z:private"))),
    ("a grant begins about now", |f, d| {
        let begin = near(d, 0);
        grant(f, d, |it| it.grant.not_before = begin);
    }),
    ("a grant ends about now", |f, d| {
        let end = near(d, 0);
        grant(f, d, |it| it.grant.expires_at = end);
    }),
    ("a grant ends about when the token does", |f, d| {
        let end = near(d, 600);
        grant(f, d, |it| it.grant.expires_at = end);
    }),
    ("a grant is for another connector", |f, d| grant(f, d, |it| it.grant.connector = connector("slack"))),
    ("a grant gives less", |f, d| {
        let which = d.below(3);
        grant(f, d, |it| {
            if which != 0 {
                it.grant.operations = [operation_id("github.issues.get")].into();
            }
            if which != 1 {
                it.grant.capabilities = ["github.read".parse().expect("a capability")].into();
            }
        });
    }),
    ("a grant gives nothing", |f, d| grant(f, d, |it| it.grant.operations.clear())),
    ("the token carries a whole capability", |f, _| {
        token(f, |it| it.grants = [token_grant("github.write", None)].into());
    }),
    ("the token carries one more", |f, d| {
        let more = [
            token_grant("github.read", Some("github.issues.get")),
            token_grant("github.read", Some("github.issues.create")),
            token_grant("github.admin", Some("github.issues.get")),
            token_grant("github.read", Some("github.repos.delete")),
            token_grant("github.read", None),
            token_grant("github.write", Some("github.repos.delete")),
            token_grant("github.zeal", Some("github.issues.create")),
        ];
        token(f, |it| it.grants.extend([d.pick(&more).clone()]));
    }),
    ("the token carries another operation", |f, _| {
        token(f, |it| it.grants = [token_grant("github.write", Some("github.issues.get"))].into());
    }),
    ("the call is for another operation", |f, _| f.operation_id = operation_id("github.issues.get")),
    ("a grant's constraints differ", |f, d| {
        let seed = d.next();
        grant(f, d, |it| rebound(&mut it.grant.constraints, &mut Dice::new(seed)));
    }),
    ("a grant's constraints differ twice", |f, d| {
        let mut of_change = Dice::new(d.next());
        grant(f, d, |it| {
            rebound(&mut it.grant.constraints, &mut of_change);
            rebound(&mut it.grant.constraints, &mut of_change);
        });
    }),
];

const ZONE_POLICY: &[Change] = &[
    ("the zone is unknown", |f, _| f.zone = None),
    ("the principal is of another zone", |f, _| f.principal_zone = zone("z:private")),
    ("the policy's connectors differ", |f, d| {
        let lists: [&[&str]; 8] =
            [&[], &["*"], &["github"], &["github*"], &["git"], &["githubx"], &["githubx*"], &["*hub"]];
        let list = d.pick(&lists).iter().map(|it| (*it).into()).collect();
        policy(f, |it| it.connectors = list);
    }),
    ("the policy's denied operations differ", |f, d| {
        let lists: [&[&str]; 8] = [
            &[],
            &["*"],
            &["github.issues.create"],
            &["github.issues.create*"],
            &["github.issues.*"],
            &["github.issues.creat"],
            &["slack.*", "git*"],
            &["*.create"],
        ];
        let list = d.pick(&lists).iter().map(|it| (*it).into()).collect();
        policy(f, |it| it.denied_operations = list);
    }),
    ("the token's life is about the most", |f, d| {
        policy(f, |it| it.max_token_secs = *d.pick(&[699, 700, 701]))
    }),
    ("a grant's life is about the most", |f, d| {
        policy(f, |it| it.max_grant_secs = *d.pick(&[1999, 2000, 2001]))
    }),
    ("a grant lives longer", |f, d| grant(f, d, |it| it.grant.not_before = at(-1001))),
    ("the token was issued earlier", |f, d| token(f, |it| it.issued_at = near(d, -100))),
    ("the ceiling of risk differs", |f, d| policy(f, |it| it.max_risk = a_risk(d))),
    ("the ceiling of tier differs", |f, d| policy(f, |it| it.max_tier = a_tier(d))),
    ("the operation's risk differs", |f, d| operation(f, |it| it.risk = a_risk(d))),
    ("the operation's tier differs", |f, d| operation(f, |it| it.tier = a_tier(d))),
    ("the operation is forbidden, and the ceiling too", |f, _| {
        operation(f, |it| it.tier = SafetyTier::Forbidden);
        policy(f, |it| it.max_tier = SafetyTier::Forbidden);
    }),
];

const BINDING: &[Change] = &[
    ("the connector is unknown", |f, _| f.connector = None),
    ("the connector is disabled", |f, _| f.connector.iter_mut().for_each(|it| it.enabled = false)),
    ("the connector is bound to no zone", |f, _| f.connector.iter_mut().for_each(|it| it.zones.clear())),
    ("the connector is bound to another zone", |f, _| {
        f.connector.iter_mut().for_each(|it| it.zones = [zone("z:private")].into());
    }),
    ("the operation is unknown", |f, _| f.connector.iter_mut().for_each(|it| it.operation = None)),
    ("the operation needs another capability", |f, _| {
        operation(f, |it| it.capability = "github.read".parse().expect("a capability"));
    }),
    ("capability and operation stand in two entries", |f, _| {
        operation(f, |it| it.capability = "github.read".parse().expect("a capability"));
        token(f, |it| it.grants.extend([token_grant("github.read", Some("github.issues.get"))]));
    }),
];

const IDEMPOTENCY: &[Change] = &[
    ("a strict operation without a key", |f, _| {
        operation(f, |it| it.idempotency = Idempotency::Strict);
        f.key = None;
    }),
    ("idempotency differs", |f, d| {
        use Idempotency::{BestEffort, None, Strict};
        operation(f, |it| it.idempotency = *d.pick(&[None, BestEffort, Strict]));
    }),
    ("no key", |f, _| f.key = None),
    ("a new key", |f, _| f.key = key("new", KeyStanding::Fresh)),
    ("a key that was used", |f, d| {
        f.key = key("used", a_standing(d));
    }),
];

fn a_standing(d: &mut Dice) -> KeyStanding {
    use KeyStanding::{Completed, InProgress, NoRoom, OtherCall, Unknown};
    let retry_after_ms = *d.pick(&[None, Some(0), Some(1_000)]);
    d.pick(&[Completed(object(77)), OtherCall, InProgress, Unknown(object(78)), NoRoom { retry_after_ms }])
        .clone()
}

const SCHEMA: &[Change] = &[("the input does not fit the schema", |f, _| f.schema = Err("/title".into()))];

const CONSTRAINTS: &[Change] = &[
    ("the token's constraints are empty", |f, _| token(f, |it| it.constraints = Constraints::default())),
    ("the token's constraints differ", |f, d| token(f, |it| rebound(&mut it.constraints, d))),
    ("all constraints differ alike", |f, d| {
        let seed = d.next();
        token(f, |it| rebound(&mut it.constraints, &mut Dice::new(seed)));
        for known in f.grants.values_mut() {
            known.grant.constraints = claims_of(&f.token);
        }
    }),
    ("token and grants have one random constraint", |f, d| {
        let mut c = Constraints::default();
        rebound(&mut c, d);
        rebound(&mut c, d);
        token(f, |it| it.constraints = c.clone());
        f.grants.values_mut().for_each(|it| it.grant.constraints = c.clone());
    }),
    ("the call touches other resources", |f, d| {
        const NAMES: [&str; 8] = [
            "github:repo/acme/site",
            "github:repo/acme",
            "github:repo/acme/secret",
            "github:repo/acme/secret/key",
            "github:repo/other/site",
            "github:issue/7/comments/3",
            "sqlite:repo/acme/site",
            "github:org/acme",
        ];
        let mut names: Vec<_> = (0..d.below(3)).map(|_| resource(d.pick::<&str>(&NAMES))).collect();
        names.sort();
        input(f, |it| it.resources = names);
    }),
    ("the call names no resource", |f, d| {
        input(f, |it| it.resources.clear());
        let (allow, deny) = (patterns(&["*"]), some_patterns(d));
        token(f, |it| {
            it.constraints.resource_allow = allow.clone();
            it.constraints.resource_deny = deny.clone();
        });
        for known in f.grants.values_mut() {
            known.grant.constraints.resource_allow = allow.clone();
            known.grant.constraints.resource_deny = deny.clone();
        }
    }),
    ("token and grant ask for other beginnings", |f, d| {
        const BEGINNINGS: [&str; 6] = ["", "a", "acme/", "acme/s", "acme/site", "b"];
        let mut begins = |it: &mut Constraints| {
            let check = ArgumentCheck::Prefix((*d.pick(&BEGINNINGS)).into());
            it.arguments = vec![rule("/repo", Presence::Required, check)];
        };
        f.grants.values_mut().for_each(|it| begins(&mut it.grant.constraints));
        token(f, |it| begins(&mut it.constraints));
    }),
    ("the call uses other credentials", |f, d| {
        let sets: [&[&str]; 4] = [&[], &["spare"], &["github-token", "spare"], &["github"]];
        let set = d.pick(&sets).iter().map(|it| it.parse().expect("a name")).collect();
        input(f, |it| it.credentials = set);
    }),
    ("the credential that is needed is not there", |f, d| {
        let slots = [SlotFacts::Empty, SlotFacts::Several, SlotFacts::NotAllowed];
        let slot = d.pick(&slots)("token".into());
        input(f, |it| it.slot = slot);
    }),
    ("a credential that is named is not there", |f, d| {
        let named = *d.pick(&["github-token", "spare", "github"]);
        input(f, |it| {
            it.credentials = [named.parse().expect("a name")].into();
            it.slot = SlotFacts::Empty("token".into());
        });
    }),
    ("the input differs", |f, d| {
        let text = *d.pick(&[
            r#"{"count":4,"repo":"acme/site","title":"hello"}"#,
            r#"{"count":3.0,"repo":"acme/site","title":"hello"}"#,
            r#"{"count":1,"repo":"acme/../x","title":"bye"}"#,
            r#"{"count":0,"repo":"acme/x","title":"bye"}"#,
            r#"{"repo":"acme/x\\..","title":"hello"}"#,
            r#"{"repo":"acme/...","tags":["a","b","c"],"title":"hello"}"#,
            r#"{"repo":"acme/é","tags":"éé","title":"hello"}"#,
            r#"{"repo":"acme/x","title":"Hello"}"#,
            r#"{"repo":null,"title":"hello"}"#,
            r#"{"count":null,"repo":"acme/x","title":"hello"}"#,
            r#"{"repo":"acme/x"}"#,
            r#"{"body":null,"repo":"acme/x","title":"hello"}"#,
            r#"{"repo":"acme/x","tags":{"a":1,"b":2},"title":"hello"}"#,
            r#"["body"]"#,
        ]);
        input(f, |it| {
            it.json = json::parse(text.as_bytes(), 1 << 16).expect("JSON");
            it.canonical = it.json.to_canonical();
        });
    }),
    ("a grant's calls are about used up", |f, d| {
        let used = *d.pick(&[9, 10, 11]);
        grant(f, d, |it| it.calls_used = used);
    }),
    ("a grant's bytes are about used up", |f, d| {
        let left = f.input.as_ref().map_or(0, |it| it.canonical.len() as u64);
        let used = *d.pick(&[5000 - left - 1, 5000 - left, 5000 - left + 1, 5000, u64::MAX]);
        grant(f, d, |it| it.bytes_used = used);
    }),
    ("the constraints begin about now", |f, d| token(f, |it| it.constraints.not_before = Some(near(d, 0)))),
    ("the constraints end about now", |f, d| token(f, |it| it.constraints.expires = Some(near(d, 0)))),
];

fn claims_of(token: &TokenFacts) -> Constraints {
    if let TokenFacts::Decoded { claims, .. } = token {
        claims.constraints.clone()
    } else {
        Constraints::default()
    }
}

const FLOW: &[Change] = &[
    ("the context's label differs", |f, d| f.flow.context = a_label(d)),
    ("the context is tainted", |f, d| f.flow.context.taints.extend(a_label(d).taints)),
    ("the context's integrity differs", |f, d| f.flow.context.integrity = a_label(d).integrity),
    ("the context's confidentiality differs", |f, d| {
        f.flow.context.confidentiality = a_label(d).confidentiality;
    }),
    ("a kept result stands in the input", |f, d| {
        let places = ["", "", "/body", "/body", "/body/text", "/repo", "/title", "/tags/1"];
        let at = pointer(d.pick::<&str>(&places));
        f.flow.handles.push(HandleFacts { at, label: a_label(d) });
    }),
    ("the whole input is a kept result of a public context", |f, d| {
        f.flow.context = label(60, 0);
        f.flow.handles.push(HandleFacts { at: pointer(""), label: a_label(d) });
    }),
    ("the operation is safe and a result is kept", |f, d| {
        operation(f, |it| it.tier = SafetyTier::Safe);
        f.flow.context = label(60, *d.pick(&[0, 40, 41, 60]));
        let at = pointer(d.pick::<&str>(&["", "/body", "/repo"]));
        f.flow.handles.push(HandleFacts { at, label: label(0, *d.pick(&[40, 41, 60, 61])) });
    }),
    ("the roles differ", |f, d| {
        use Role::{Content, Control};
        operation(f, |it| match d.below(4) {
            0 => it.roles.clear(),
            1 => it.roles.extend([("repo".into(), Content), ("tags".into(), Content)]),
            2 => it.roles.extend([("body".into(), Control)]),
            _ => it.roles.extend([("absent".into(), Content), ("body".into(), Control)]),
        });
    }),
    ("the audience differs", |f, d| {
        operation(f, |it| it.audience = level(*d.pick(&[0, 39, 40, 41, 60, 100])))
    }),
    ("the zone's levels differ", |f, d| {
        zoned(f, |it| {
            it.integrity = level(*d.pick(&[0, 59, 60, 61, 80]));
            it.confidentiality = level(*d.pick(&[20, 39, 40, 41, 60]));
        });
    }),
    ("elevation or declassification is approved", |f, d| {
        let kinds = match d.below(3) {
            0 => vec![ApprovalKind::Elevation],
            1 => vec![ApprovalKind::Declassification],
            _ => vec![ApprovalKind::Elevation, ApprovalKind::Declassification],
        };
        let more = approval(f, 50, &kinds);
        f.approvals.push(more);
    }),
    ("a critical taint drives a tier", |f, d| {
        let tier = a_tier(d);
        operation(f, |it| it.tier = tier);
        f.flow.context = a_label(d);
        let critical = [Taint::PublicInput, Taint::PotentiallyMalicious, Taint::CrossZoneUnapproved];
        f.flow.context.taints.insert(*d.pick(&critical));
        f.flow.context.integrity = level(*d.pick(&[59, 60, 61]));
        zoned(f, |it| it.integrity = level(*d.pick(&[20, 60])));
    }),
];

const APPROVAL: &[Change] = &[
    ("approval differs", |f, d| {
        use Approval::{ElevationToken, Interactive, None, Policy};
        operation(f, |it| it.approval = *d.pick(&[None, Policy, Policy, Interactive, ElevationToken]));
    }),
    ("the policy asks for approval from another tier on", |f, d| {
        operation(f, |it| it.approval = *d.pick(&[Approval::None, Approval::Policy]));
        policy(f, |it| it.approval_from = a_tier(d));
    }),
    ("no approvals", |f, _| f.approvals.clear()),
    ("approval is demanded and one is given", |f, _| {
        operation(f, |it| it.approval = Approval::Interactive);
        let more = approval(f, 60, &[ApprovalKind::Execution]);
        f.approvals.push(more);
    }),
    ("a better approval comes first", |f, d| {
        let kinds = [a_kind(d), a_kind(d)];
        let more = approval(f, 61, &kinds);
        f.approvals.insert(0, more);
    }),
    ("an approval without kinds", |f, d| one_approval(f, d, |it| it.kinds.clear())),
    ("an approval of another kind", |f, d| {
        let kind = a_kind(d);
        one_approval(f, d, |it| it.kinds = [kind].into());
    }),
    ("one approval is wanting", |f, d| {
        operation(f, |it| it.approval = Approval::Interactive);
        let mut more = approval(f, 62, &[ApprovalKind::Execution, ApprovalKind::Elevation]);
        spoil(&mut more, d);
        if d.one_in(2) {
            spoil(&mut more, d);
        }
        f.approvals = vec![more];
    }),
    ("the call names approvals", |f, d| {
        let named = f.approvals.iter().filter(|_| d.one_in(2)).map(|it| it.id);
        f.approvals_named = named.collect();
    }),
    ("the call names an approval of a kind", |f, d| {
        operation(f, |it| it.approval = Approval::Interactive);
        let kind = a_kind(d);
        let more = approval(f, 63, &[kind]);
        f.approvals_named.insert(more.id);
        f.approvals.push(more);
    }),
    ("the call names an approval that is not of it", |f, _| {
        let other = approval(f, 64, &[ApprovalKind::Execution]);
        f.approvals_named.insert(other.id);
    }),
    ("all approvals are wanting", |f, d| f.approvals.iter_mut().for_each(|it| spoil(it, d))),
    ("one of the approvals is wanting", |f, d| {
        let seed = d.next();
        one_approval(f, d, |it| spoil(it, &mut Dice::new(seed)));
    }),
    ("a grant has a standing approval", |f, d| {
        operation(f, |it| it.approval = Approval::Interactive);
        if d.one_in(2) {
            f.approvals.clear();
        }
        let mut given = standing(INPUT);
        match d.below(8) {
            0 => given.interface_hash = a_digest(d),
            1 => given.code_digest = a_digest(d),
            2 => given = standing("{}"),
            3 => given.input_digest = None,
            4 => given.config_digest = Some(a_digest(d)),
            5 => given.config_digest = None,
            _ => {}
        }
        if d.one_in(4) {
            f.connector.iter_mut().for_each(|it| it.config_digest = a_digest(d));
        }
        let valid = !d.one_in(4);
        grant(f, d, |it| (it.grant.standing_approval, it.approver_valid) = (Some(given), valid));
    }),
    ("every grant has a standing approval", |f, d| {
        operation(f, |it| it.approval = Approval::Interactive);
        f.approvals.clear();
        for known in f.grants.values_mut() {
            known.approver_valid = d.one_in(2);
            known.grant.standing_approval = Some(standing(d.pick::<&str>(&[INPUT, INPUT, "[]"])));
        }
    }),
    ("whoever granted may not approve", |f, d| grant(f, d, |it| it.approver_valid = false)),
    ("a person denied the call", |f, d| {
        let mut denied = approval(f, 65, &[a_kind(d)]);
        denied.decision = ApprovalDecision::Deny;
        if d.one_in(2) {
            spoil(&mut denied, d);
        }
        f.approvals = vec![denied];
    }),
    ("a person denied calls of the operation", |f, d| {
        operation(f, |it| it.approval = Approval::Interactive);
        grant(f, d, |it| it.grant.standing_approval = Some(standing(INPUT)));
        let some = (0..=d.below(2)).map(|_| {
            let mut it = denial(d.pick::<&str>(&[INPUT, INPUT, "{}"]));
            match d.below(5) {
                0 => it.revoked = true,
                1 => it.expires_at = near(d, 0),
                2 => it.input_digest = None,
                _ => {}
            }
            it
        });
        f.denials = some.collect();
    }),
    ("there is a standing approval, and the flow needs a person", |f, d| {
        operation(f, |it| it.approval = Approval::Interactive);
        grant(f, d, |it| it.grant.standing_approval = Some(standing(INPUT)));
        f.flow.context = label(*d.pick(&[20, 60]), *d.pick(&[40, 80]));
        let kinds = [ApprovalKind::Elevation, ApprovalKind::Declassification];
        f.approvals = vec![approval(f, 66, &kinds)];
    }),
    ("the input is another", |f, _| input(f, |it| it.canonical.push(' '))),
    ("the call changed since", |f, d| {
        operation(f, |it| it.approval = Approval::Interactive);
        match d.below(4) {
            0 => input(f, |it| it.call_digest = a_digest(d)),
            1 => f.flow.label_digest = a_digest(d),
            2 => f.connector.iter_mut().for_each(|it| it.interface_hash = a_digest(d)),
            _ => f.connector.iter_mut().for_each(|it| it.code_digest = a_digest(d)),
        }
    }),
];

/// Gives an approval a fault, or brings it to the edge of one.
fn spoil(it: &mut ApprovalFacts, d: &mut Dice) {
    match d.below(10) {
        0 => it.signer_valid = false,
        1 => it.revoked = true,
        2 => it.decision = ApprovalDecision::Deny,
        3 => it.call_digest = a_digest(d),
        4 => it.interface_hash = a_digest(d),
        5 => it.code_digest = a_digest(d),
        6 => it.label_digest = a_digest(d),
        7 => it.expires_at = near(d, 0),
        8 => it.used = true,
        _ => (it.used, it.expires_at) = (true, near(d, 0)),
    }
}

const LEASE: &[Change] = &[
    ("the lease is missing", |f, _| f.lease = LeaseFacts::Missing),
    ("the lease is superseded", |f, _| f.lease = LeaseFacts::Superseded),
    ("the lease ends about when the call must", |f, d| {
        f.lease = LeaseFacts::Held { seq: 1, expires_at: near(d, 30) };
    }),
    ("the call may take longer", |f, d| {
        operation(f, |it| it.timeout_secs = *d.pick(&[0, 29, 30, 31, 32, u64::MAX]));
    }),
];

const RATES: &[Change] = &[
    ("a pool has no room", |f, d| {
        let retry_after_ms = *d.pick(&[None, Some(0), Some(250), Some(u64::MAX)]);
        f.rates = RateFacts::Limited { pool: "pool api".into(), retry_after_ms };
    }),
    ("the node has no room", |f, _| f.rates = RateFacts::Exhausted { rule: "full".into() }),
    ("a budget is used up", |f, _| f.rates = RateFacts::BudgetExceeded { budget: "daily".into() }),
];
