//! Which calls rest on what was revoked. Source: docs/spec/connectors.md#revocation.

use std::collections::BTreeSet;

use fcp_proto_core::ids::{ConnectorId, Digest, KeyId, ObjectId, TokenId, ZoneId};
use fcp_proto_core::object::{RevocationObject, RevocationScope};
use fcp_state_machines::node::Dispatch;

use super::launch::{Installation, Launch};

/// What a call rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Footing {
    pub(super) connector: ConnectorId,
    pub(super) zone: ZoneId,
    /// The token, of a call that a principal made.
    pub(super) token: Option<TokenId>,
    pub(super) grants: BTreeSet<ObjectId>,
    /// The keys; empty means that nobody knows them.
    pub(super) keys: BTreeSet<KeyId>,
    /// Digests of code, package and interface.
    pub(super) binaries: [Digest; 3],
    /// The revocation head that the decision saw.
    pub(super) seal: u64,
}

/// Whether a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The revocation does not speak of it.
    Stands,
    /// It must end.
    Falls,
}

impl Footing {
    pub(super) fn of(dispatch: &Dispatch, launch: &Launch) -> Self {
        let call = &dispatch.authorized;
        Self {
            connector: call.connector().clone(),
            zone: call.zone().clone(),
            token: Some(call.seal().token_id),
            grants: call.grants().clone(),
            keys: launch.keys.clone(),
            binaries: binaries(&launch.installation),
            seal: call.seal().revocation_seq,
        }
    }

    /// Of a health check, which is the host's own.
    pub(super) fn of_health(installation: &Installation, zone: &ZoneId, seal: u64) -> Self {
        Self {
            connector: installation.manifest.connector.id.clone(),
            zone: zone.clone(),
            token: None,
            grants: BTreeSet::new(),
            keys: BTreeSet::new(),
            binaries: binaries(installation),
            seal,
        }
    }
}

/// The digests by which a revocation can name an installation.
pub(super) fn binaries(installation: &Installation) -> [Digest; 3] {
    [installation.code_digest, installation.package_digest, installation.manifest.interface_hash()]
}

/// Whether a revocation speaks of what a call rests on. In doubt it does.
pub(super) fn verdict(footing: &Footing, revocation: &RevocationObject) -> Verdict {
    let names = |bytes: &[u8]| revocation.targets.iter().any(|target| target.0 == bytes);
    let falls = match revocation.scope {
        RevocationScope::Capability => {
            footing.token.is_some_and(|token| names(token.as_bytes()))
                || footing.grants.iter().any(|grant| names(grant.as_bytes()))
        }
        RevocationScope::IssuerKey | RevocationScope::ZoneKey => {
            footing.keys.is_empty() || footing.keys.iter().any(|key| names(key.as_bytes()))
        }
        // A call runs on the node that dispatched it, on a token that a node issued: either may be the revoked one.
        RevocationScope::NodeAttestation => true,
        RevocationScope::ConnectorBinary => names_binary(&footing.binaries, revocation),
    };
    if falls { Verdict::Falls } else { Verdict::Stands }
}

/// Whether a revocation names one of these digests.
pub(super) fn names_binary(binaries: &[Digest; 3], revocation: &RevocationObject) -> bool {
    revocation.scope == RevocationScope::ConnectorBinary
        && revocation.targets.iter().any(|target| binaries.iter().any(|digest| target.0 == digest.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fcp_proto_core::encoding::cbor::ByteString;
    use fcp_proto_core::time::UnixTime;

    fn footing(keys: &[[u8; 8]]) -> Footing {
        Footing {
            connector: "notes".parse().unwrap(),
            zone: "z:work".parse().unwrap(),
            token: Some(TokenId::from_bytes([1; 16])),
            grants: [ObjectId::from_bytes([2; 32])].into(),
            keys: keys.iter().map(|key| KeyId::from_bytes(*key)).collect(),
            binaries: [3, 4, 5].map(|byte| Digest::from_bytes([byte; 32])),
            seal: 1,
        }
    }

    fn falls(footing: &Footing, scope: RevocationScope, target: &[u8]) -> bool {
        let revocation = RevocationObject {
            scope,
            targets: vec![ByteString(vec![9]), ByteString(target.to_vec())],
            reason: String::new(),
            effective_at: UnixTime::from_secs(0),
            expires_at: None,
        };
        verdict(footing, &revocation) == Verdict::Falls
    }

    #[test]
    fn only_what_a_call_rests_on_ends_it() {
        let call = footing(&[[6; 8]]);
        assert!(falls(&call, RevocationScope::Capability, &[1; 16]));
        assert!(falls(&call, RevocationScope::Capability, &[2; 32]));
        assert!(!falls(&call, RevocationScope::Capability, &[7; 16]));
        for digest in 3..=5 {
            assert!(falls(&call, RevocationScope::ConnectorBinary, &[digest; 32]));
        }
        assert!(!falls(&call, RevocationScope::ConnectorBinary, &[1; 32]));
        for scope in [RevocationScope::IssuerKey, RevocationScope::ZoneKey] {
            assert!(falls(&call, scope, &[6; 8]));
            assert!(!falls(&call, scope, &[7; 8]));
        }
    }

    #[test]
    fn in_doubt_a_call_ends() {
        assert!(falls(&footing(&[]), RevocationScope::IssuerKey, &[7; 8]));
        assert!(falls(&footing(&[[6; 8]]), RevocationScope::NodeAttestation, b"node"));
    }
}
