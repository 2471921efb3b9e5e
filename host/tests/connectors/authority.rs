//! Authorized calls, made by the real gate: there is no other way to one.

use std::collections::{BTreeMap, BTreeSet};

use fcp_host::connectors::Installation;
use fcp_proto_core::crypto::role::Agent;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::json;
use fcp_proto_core::ids::{CallId, ObjectId, OperationId, PrincipalId, TokenId, ZoneId};
use fcp_proto_core::object::{CredentialRecord, Grant, Grantee, ZonePolicy};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::claims::{Claims, TokenGrant};
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::zone::{Label, Level, Risk, SafetyTier};
use fcp_state_machines::call::gate::{
    ConnectorFacts, Decision, Facts, FlowFacts, GrantFacts, HolderFacts, InputFacts, IssuerFacts, LeaseFacts,
    OperationFacts, RateFacts, RevocationFacts, SignatureFacts, SlotFacts, TokenFacts, ZoneFacts, decide,
};
use fcp_state_machines::node::Dispatch;
use zeroize::Zeroizing;

/// The wall clock of the decisions.
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
/// The revocation head that decisions see.
pub(crate) const HEAD: u64 = 10;
/// The token of the call number `n`.
pub(crate) fn token(n: u8) -> TokenId {
    TokenId::from_bytes([n; 16])
}

pub(crate) fn zone() -> ZoneId {
    ZoneId::new("z:work").unwrap()
}

/// A dispatch of `operation` with `input`, as the node emits it; `n` names call and token.
pub(crate) fn dispatch(
    n: u8,
    installation: &Installation,
    operation: &str,
    input: &str,
    credentials: Vec<CredentialRecord>,
    timeout_ms: u64,
) -> Dispatch {
    let facts = facts(n, installation, operation, input, &credentials);
    let authorized = match decide(&facts, NOW) {
        Decision::Authorized(authorized) => *authorized,
        other @ (Decision::Replay(_) | Decision::Denied(_)) => panic!("{other:?}"),
    };
    Dispatch {
        call_id: CallId::from_bytes([n; 16]),
        intent: ObjectId::from_bytes([n; 32]),
        authorized,
        credentials,
        timeout_ms,
        trace: None,
    }
}

fn facts(
    n: u8,
    installation: &Installation,
    operation: &str,
    input: &str,
    credentials: &[CredentialRecord],
) -> Facts {
    let id = OperationId::new(operation).unwrap();
    let declared = installation.manifest.operation(&id).unwrap();
    let principal = PrincipalId::new("agent").unwrap();
    let connector = installation.manifest.connector.id.clone();
    let grant_id = ObjectId::from_bytes([9; 32]);
    let json = json::parse(input.as_bytes(), 1 << 20).unwrap();
    let names: BTreeSet<_> = credentials.iter().map(|record| record.credential.clone()).collect();
    let constraints = Constraints {
        resource_allow: vec!["*".parse().unwrap()],
        credential_allow: names.clone(),
        ..Constraints::default()
    };
    let holder = SigningKey::<Agent>::generate(&mut Entropy::from_seed(&Zeroizing::new([n; 32])));
    let node = "node".parse().unwrap();
    let later = NOW.saturating_add(600);
    let claims = Claims {
        token_id: token(n),
        principal_id: principal.clone(),
        zone_id: zone(),
        issuer_node: node,
        issued_at: NOW,
        not_before: NOW,
        expires: later,
        holder: holder.verifying_key().into(),
        holder_node: None,
        connector_binary: None,
        instance_id: None,
        checkpoint: None,
        grant_object_ids: [grant_id].into(),
        grants: [TokenGrant { capability: declared.capability.clone(), operation: Some(id.clone()) }].into(),
        constraints: constraints.clone(),
    };
    Facts {
        zone_id: zone(),
        principal_zone: zone(),
        principal: principal.clone(),
        connector_id: connector,
        operation_id: id.clone(),
        key: None,
        input: Ok(InputFacts {
            canonical: json.to_canonical(),
            json,
            call_digest: fcp_proto_core::ids::Digest::from_bytes([n; 32]),
            resources: Vec::new(),
            credentials: names,
            slot: SlotFacts::Filled,
        }),
        token: TokenFacts::Decoded {
            signature: SignatureFacts::Valid,
            claims: Box::new(claims),
            issuer: Some(IssuerFacts { node_id: "node".parse().unwrap(), issued_at: NOW, expires_at: later }),
        },
        revocation: nothing_revoked(),
        holder: HolderFacts::Proved(principal),
        grants: BTreeMap::from([(grant_id, live_grant(installation, declared, &id, constraints))]),
        zone: Some(open_zone()),
        connector: Some(installed(installation, declared)),
        schema: Ok(()),
        flow: own_words(),
        approvals: Vec::new(),
        approvals_named: BTreeSet::new(),
        denials: Vec::new(),
        lease: LeaseFacts::NotNeeded,
        rates: RateFacts::Room,
    }
}

fn nothing_revoked() -> RevocationFacts {
    RevocationFacts {
        token: false,
        issuer_key: false,
        holder_key: false,
        node: false,
        connector: false,
        zone_key: false,
        head_age_secs: 0,
        head_seq: HEAD,
    }
}

fn open_zone() -> ZoneFacts {
    ZoneFacts {
        integrity: Level::WORK,
        confidentiality: Level::WORK,
        policy: ZonePolicy {
            version: 1,
            connectors: vec!["*".into()],
            denied_operations: Vec::new(),
            max_risk: Risk::Critical,
            max_tier: SafetyTier::Critical,
            approval_from: SafetyTier::Critical,
            max_token_secs: 3600,
            max_grant_secs: 3600,
            budgets: Vec::new(),
        },
    }
}

fn installed(installation: &Installation, declared: &fcp_proto_core::manifest::Operation) -> ConnectorFacts {
    ConnectorFacts {
        enabled: true,
        zones: [zone()].into(),
        interface_hash: installation.manifest.interface_hash(),
        code_digest: installation.code_digest,
        config_digest: fcp_proto_core::ids::Digest::default(),
        operation: Some(OperationFacts {
            capability: declared.capability.clone(),
            risk: declared.risk,
            tier: declared.safety,
            idempotency: declared.idempotency,
            approval: declared.approval,
            roles: declared.input.roles.clone(),
            audience: Level::OWNER,
            timeout_secs: 60,
        }),
    }
}

fn own_words() -> FlowFacts {
    FlowFacts {
        context: Label::trusted(Level::OWNER),
        handles: Vec::new(),
        label_digest: fcp_proto_core::ids::Digest::from_bytes([0; 32]),
    }
}

fn live_grant(
    installation: &Installation,
    declared: &fcp_proto_core::manifest::Operation,
    id: &OperationId,
    constraints: Constraints,
) -> GrantFacts {
    let grant = Grant {
        grantee: Grantee::Principal(PrincipalId::new("agent").unwrap()),
        connector: installation.manifest.connector.id.clone(),
        capabilities: [declared.capability.clone()].into(),
        operations: [id.clone()].into(),
        constraints,
        not_before: NOW,
        expires_at: NOW.saturating_add(600),
        request: None,
        standing_approval: None,
    };
    GrantFacts {
        grant,
        zone_id: zone(),
        signer_valid: true,
        approver_valid: true,
        revoked: false,
        names_principal: true,
        calls_used: 0,
        bytes_used: 0,
    }
}
