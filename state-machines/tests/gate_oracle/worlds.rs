//! Worlds to decide over: an allowed call, and up to three changes to it, all drawn from one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::crypto::role::Agent;
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::encoding::json::{self, Pointer};
use fcp_proto_core::ids::{ConnectorId, Digest, NodeId, ObjectId, OperationId, PrincipalId, TokenId, ZoneId};
use fcp_proto_core::manifest::Role;
use fcp_proto_core::object::{ApprovalDecision, ApprovalKind, Grant, Grantee, StandingApproval, ZonePolicy};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::argument::{ArgumentCheck, ArgumentRule, Presence};
use fcp_proto_core::token::claims::{Claims, TokenGrant};
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::token::resource::{Resource, ResourcePattern};
use fcp_proto_core::zone::{Approval, Idempotency, Label, Level, Risk, SafetyTier};
use fcp_state_machines::call::gate::{
    ApprovalFacts, ConnectorFacts, DenialFacts, Facts, FlowFacts, GrantFacts, HandleFacts, HolderFacts,
    InputFacts, IssuerFacts, KeyFacts, KeyStanding, LeaseFacts, OperationFacts, RateFacts, RevocationFacts,
    SignatureFacts, SlotFacts, TokenFacts, ZoneFacts,
};

use crate::mutations;

/// When every world's call is made.
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) const INPUT: &str =
    r#"{"body":"text","count":3,"repo":"acme/site","tags":["a","b"],"title":"hello"}"#;

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast and the same everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A world as drawn: the allowed call it starts from, and the changes with the seed of each.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) base: Base,
    pub(crate) changes: Vec<(usize, u64)>,
}

/// The allowed calls that worlds start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    SafeRead,
    RiskyWrite,
    PolicyApproval,
    InteractiveWrite,
    Elevation,
    Declassification,
    Handles,
    Keyed,
    Leased,
    SeveralGrants,
    Beforehand,
}

const BASES: [Base; 11] = [
    Base::SafeRead,
    Base::RiskyWrite,
    Base::PolicyApproval,
    Base::InteractiveWrite,
    Base::Elevation,
    Base::Declassification,
    Base::Handles,
    Base::Keyed,
    Base::Leased,
    Base::SeveralGrants,
    Base::Beforehand,
];

impl Plan {
    /// The world of `seed`.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let base = *dice.pick(&BASES);
        let many = *dice.pick(&[0, 0, 1, 1, 1, 1, 2, 2, 3]);
        let catalogue = mutations::catalogue();
        let changes = (0..many).map(|_| {
            let check = dice.below(catalogue.len());
            let change = dice.below(catalogue[check].1.len());
            (check * mutations::STRIDE + change, dice.next())
        });
        Self { base, changes: changes.collect() }
    }

    pub(crate) fn facts(&self) -> Facts {
        let mut facts = self.base.facts();
        for (change, seed) in &self.changes {
            (mutations::named(*change).1)(&mut facts, &mut Dice::new(*seed));
        }
        facts
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.changes.iter().map(|(change, _)| mutations::named(*change).0).collect()
    }

    /// The same plan with every change dropped that `still` does not need.
    pub(crate) fn shrink(mut self, still: impl Fn(&Self) -> bool) -> Self {
        while let Some(smaller) = (0..self.changes.len()).map(|at| self.without(at)).find(&still) {
            self = smaller;
        }
        self
    }

    fn without(&self, at: usize) -> Self {
        let mut smaller = self.clone();
        smaller.changes.remove(at);
        smaller
    }
}

impl Base {
    /// The facts of the allowed call.
    pub(crate) fn facts(self) -> Facts {
        let mut facts = risky_write();
        match self {
            Self::RiskyWrite => {}
            Self::SafeRead => {
                let operation = operation(&mut facts);
                (operation.tier, operation.risk) = (SafetyTier::Safe, Risk::Low);
                facts.revocation.head_age_secs = 5000;
                facts.flow.context = label(0, 40);
            }
            Self::PolicyApproval => {
                operation(&mut facts).approval = Approval::Policy;
                operation(&mut facts).tier = SafetyTier::Dangerous;
                facts.approvals = vec![approval(&facts, 1, &[ApprovalKind::Execution])];
            }
            Self::InteractiveWrite => {
                operation(&mut facts).approval = Approval::Interactive;
                facts.approvals = vec![
                    approval(&facts, 1, &[ApprovalKind::Execution]),
                    approval(&facts, 2, &[ApprovalKind::Execution, ApprovalKind::Elevation]),
                ];
            }
            Self::Elevation => {
                operation(&mut facts).approval = Approval::ElevationToken;
                facts.flow.context.integrity = level(20);
                let kinds = [ApprovalKind::Execution, ApprovalKind::Elevation];
                facts.approvals = vec![approval(&facts, 1, &kinds)];
            }
            Self::Declassification => {
                facts.flow.context.confidentiality = level(80);
                facts.approvals = vec![approval(&facts, 1, &[ApprovalKind::Declassification])];
            }
            Self::Handles => {
                facts.flow.handles = vec![
                    HandleFacts { at: pointer("/body"), label: label(0, 40) },
                    HandleFacts { at: pointer("/tags/0"), label: label(60, 20) },
                ];
            }
            Self::Keyed => {
                facts.key = key(&"k".repeat(255), KeyStanding::Fresh);
                operation(&mut facts).idempotency = Idempotency::Strict;
            }
            Self::Leased => facts.lease = LeaseFacts::Held { seq: 4, expires_at: at(31) },
            Self::SeveralGrants => {
                for n in [2, 3] {
                    let more = GrantFacts { calls_used: u64::from(n), ..grant_facts() };
                    facts.grants.insert(object(n), more);
                    claims(&mut facts).expect("a token").grant_object_ids.insert(object(n));
                }
            }
            Self::Beforehand => {
                operation(&mut facts).approval = Approval::Interactive;
                let known = facts.grants.get_mut(&object(1)).expect("the grant");
                known.grant.standing_approval = Some(standing(INPUT));
            }
        }
        facts
    }
}

fn risky_write() -> Facts {
    Facts {
        zone_id: zone("z:work"),
        principal_zone: zone("z:work"),
        principal: principal("scribe"),
        connector_id: connector("github"),
        operation_id: operation_id("github.issues.create"),
        key: None,
        input: Ok(input()),
        token: TokenFacts::Decoded {
            signature: SignatureFacts::Valid,
            claims: Box::new(token_claims()),
            issuer: Some(IssuerFacts { node_id: node("laptop"), issued_at: at(-1000), expires_at: at(1000) }),
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
        holder: HolderFacts::Proved(principal("scribe")),
        grants: BTreeMap::from([(object(1), grant_facts())]),
        zone: Some(ZoneFacts { integrity: level(60), confidentiality: level(60), policy: policy() }),
        connector: Some(ConnectorFacts {
            enabled: true,
            zones: [zone("z:work"), zone("z:private")].into(),
            interface_hash: Digest::from_bytes([1; 32]),
            code_digest: Digest::from_bytes([2; 32]),
            config_digest: Digest::from_bytes([6; 32]),
            operation: Some(declared()),
        }),
        schema: Ok(()),
        flow: FlowFacts {
            context: label(60, 40),
            handles: Vec::new(),
            label_digest: Digest::from_bytes([3; 32]),
        },
        approvals: Vec::new(),
        approvals_named: BTreeSet::new(),
        denials: Vec::new(),
        lease: LeaseFacts::NotNeeded,
        rates: RateFacts::Room,
    }
}

pub(crate) fn key(text: &str, standing: KeyStanding) -> Option<KeyFacts> {
    Some(KeyFacts { text: text.into(), standing })
}

fn input() -> InputFacts {
    InputFacts {
        json: json::parse(INPUT.as_bytes(), 1 << 16).expect("JSON"),
        canonical: INPUT.into(),
        call_digest: Digest::from_bytes([4; 32]),
        resources: vec![resource("github:issue/7"), resource("github:repo/acme/site")],
        credentials: ["github-token".parse().expect("a credential's name")].into(),
        slot: SlotFacts::Filled,
    }
}

fn declared() -> OperationFacts {
    OperationFacts {
        capability: "github.write".parse().expect("a capability"),
        risk: Risk::Medium,
        tier: SafetyTier::Risky,
        idempotency: Idempotency::BestEffort,
        approval: Approval::None,
        roles: BTreeMap::from([("body".into(), Role::Content), ("title".into(), Role::Control)]),
        audience: level(40),
        timeout_secs: 30,
    }
}

fn policy() -> ZonePolicy {
    ZonePolicy {
        version: 1,
        connectors: vec!["sqlite".into(), "git*".into()],
        denied_operations: vec!["github.repos.*".into()],
        max_risk: Risk::High,
        max_tier: SafetyTier::Critical,
        approval_from: SafetyTier::Dangerous,
        max_token_secs: 700,
        max_grant_secs: 2000,
        budgets: Vec::new(),
    }
}

static HOLDER: LazyLock<VerifyingKey<Agent>> =
    LazyLock::new(|| SigningKey::generate(&mut Entropy::from_seed(&[7; 32].into())).verifying_key());

pub(crate) fn token_claims() -> Claims {
    Claims {
        token_id: TokenId::from_bytes([5; 16]),
        principal_id: principal("scribe"),
        zone_id: zone("z:work"),
        issuer_node: node("laptop"),
        issued_at: at(-100),
        not_before: at(-100),
        expires: at(600),
        holder: (*HOLDER).into(),
        holder_node: None,
        connector_binary: None,
        instance_id: None,
        checkpoint: None,
        grant_object_ids: [object(1)].into(),
        grants: [token_grant("github.write", Some("github.issues.create"))].into(),
        constraints: narrow(),
    }
}

pub(crate) fn token_grant(capability: &str, operation: Option<&str>) -> TokenGrant {
    let capability = capability.parse().expect("a capability");
    TokenGrant { capability, operation: operation.map(operation_id) }
}

fn narrow() -> Constraints {
    Constraints {
        resource_allow: patterns(&["github:repo/acme/*", "github:issue/**"]),
        resource_deny: patterns(&["github:repo/acme/secret/**"]),
        credential_allow: ["github-token".parse().expect("a credential's name")].into(),
        arguments: vec![
            rule("/repo", Presence::Required, ArgumentCheck::Prefix("acme/".into())),
            rule("/title", Presence::Required, ArgumentCheck::OneOf(vec!["hello".into(), "bye".into()])),
            rule("/count", Presence::Optional, range(Some(1), Some(3))),
            rule("/tags", Presence::Optional, ArgumentCheck::MaxLength(2)),
        ],
        max_calls: Some(10),
        max_bytes: Some(5000),
        not_before: Some(at(-50)),
        expires: Some(at(500)),
    }
}

pub(crate) fn grant_facts() -> GrantFacts {
    let constraints = Constraints {
        resource_allow: patterns(&["github:repo/**", "github:issue/**"]),
        resource_deny: patterns(&["github:repo/acme/secret/key"]),
        credential_allow: ["github-token", "spare"].map(|it| it.parse().expect("a name")).into(),
        arguments: vec![
            rule("/repo", Presence::Required, ArgumentCheck::Prefix("a".into())),
            rule("/count", Presence::Optional, range(Some(0), Some(3))),
            rule("/tags", Presence::Optional, ArgumentCheck::MaxLength(3)),
            rule("/title", Presence::Optional, ArgumentCheck::MaxLength(5)),
        ],
        max_calls: Some(10),
        max_bytes: Some(5000),
        not_before: Some(at(-60)),
        expires: Some(at(500)),
    };
    GrantFacts {
        grant: Grant {
            grantee: Grantee::Principal(principal("scribe")),
            connector: connector("github"),
            capabilities: ["github.write", "github.read"].map(|it| it.parse().expect("a name")).into(),
            operations: ["github.issues.create", "github.issues.get"].map(operation_id).into(),
            constraints,
            not_before: at(-1000),
            expires_at: at(1000),
            request: None,
            standing_approval: None,
        },
        zone_id: zone("z:work"),
        signer_valid: true,
        approver_valid: true,
        revoked: false,
        names_principal: true,
        calls_used: 0,
        bytes_used: 0,
    }
}

/// A standing approval for this input, of the connector as it is.
pub(crate) fn standing(input: &str) -> StandingApproval {
    StandingApproval {
        interface_hash: Digest::from_bytes([1; 32]),
        code_digest: Digest::from_bytes([2; 32]),
        input_digest: Some(hash::digest(input.as_bytes())),
        config_digest: Some(Digest::from_bytes([6; 32])),
    }
}

/// A denial of a call with this input.
pub(crate) fn denial(input: &str) -> DenialFacts {
    let input_digest = Some(hash::digest(input.as_bytes()));
    DenialFacts { id: object(90), revoked: false, input_digest, expires_at: at(60) }
}

/// An approval of this very call.
pub(crate) fn approval(facts: &Facts, id: u8, kinds: &[ApprovalKind]) -> ApprovalFacts {
    ApprovalFacts {
        id: object(100 + id),
        signer_valid: true,
        revoked: false,
        decision: ApprovalDecision::Approve,
        kinds: kinds.iter().copied().collect(),
        call_digest: Digest::from_bytes([4; 32]),
        interface_hash: Digest::from_bytes([1; 32]),
        code_digest: Digest::from_bytes([2; 32]),
        label_digest: facts.flow.label_digest,
        expires_at: at(60),
        used: false,
    }
}

fn operation(facts: &mut Facts) -> &mut OperationFacts {
    facts.connector.as_mut().and_then(|it| it.operation.as_mut()).expect("a base has an operation")
}

pub(crate) fn claims(facts: &mut Facts) -> Option<&mut Claims> {
    if let TokenFacts::Decoded { claims, .. } = &mut facts.token { Some(claims) } else { None }
}

pub(crate) fn at(offset: i64) -> UnixTime {
    UnixTime::from_secs(NOW.saturating_add_signed(offset))
}

pub(crate) fn level(height: u8) -> Level {
    Level::new(height).expect("at most 100")
}

pub(crate) fn label(integrity: u8, confidentiality: u8) -> Label {
    Label { integrity: level(integrity), confidentiality: level(confidentiality), taints: BTreeSet::new() }
}

pub(crate) fn object(n: u8) -> ObjectId {
    ObjectId::from_bytes([n; 32])
}

pub(crate) fn zone(name: &str) -> ZoneId {
    name.parse().expect("a zone")
}

pub(crate) fn principal(name: &str) -> PrincipalId {
    name.parse().expect("a principal")
}

pub(crate) fn connector(name: &str) -> ConnectorId {
    name.parse().expect("a connector")
}

pub(crate) fn operation_id(name: &str) -> OperationId {
    name.parse().expect("an operation")
}

pub(crate) fn node(name: &str) -> NodeId {
    name.parse().expect("a node")
}

pub(crate) fn pointer(text: &str) -> Pointer {
    text.parse().expect("a pointer")
}

pub(crate) fn resource(text: &str) -> Resource {
    Resource::new(text).expect("a resource")
}

pub(crate) fn patterns(texts: &[&str]) -> Vec<ResourcePattern> {
    texts.iter().map(|text| text.parse().expect("a pattern")).collect()
}

pub(crate) fn rule(at: &str, presence: Presence, check: ArgumentCheck) -> ArgumentRule {
    ArgumentRule::new(pointer(at), presence, check).expect("a rule")
}

pub(crate) fn range(min: Option<i64>, max: Option<i64>) -> ArgumentCheck {
    ArgumentCheck::Range { min: min.map(Into::into), max: max.map(Into::into) }
}
