//! Revocations that bite: what rests on something revoked ends, and is told what that was.

use alloc::string::String;
use alloc::vec::Vec;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, KeyId, ObjectId, PrincipalId, TokenId, ZoneId};
use fcp_proto_core::object::{ConnectorInstall, GateCheck, RevocationObject, RevocationScope};
use fcp_proto_core::time::UnixTime;

use super::calls::Call;
use super::catalog::binary_parts;
use super::{Failure, Installed, Node, Output, ZoneKeys};
use crate::call::gate::{Denial, Facts, TokenFacts};

/// Something that can be revoked, and what it is called.
type Target = (RevocationScope, Vec<u8>, String);

/// What a call, or one that could be made, rests on besides its grants and approvals.
pub(super) struct Rests<'a> {
    /// Absent of what concerns none.
    pub connector: Option<&'a ConnectorId>,
    pub zone: &'a ZoneId,
    pub principal: &'a PrincipalId,
    /// Absent before one is chosen.
    pub token: Option<&'a TokenId>,
}

impl<'a> Rests<'a> {
    pub(super) fn of(facts: &'a Facts) -> Self {
        let token = match &facts.token {
            TokenFacts::Decoded { claims, .. } => Some(&claims.token_id),
            TokenFacts::Absent | TokenFacts::Malformed(_) | TokenFacts::UnknownKey => None,
        };
        let Facts { connector_id, zone_id, principal, .. } = facts;
        Self { connector: Some(connector_id), zone: zone_id, principal, token }
    }
}

impl Node {
    /// Whether a connector's code, package or interface is revoked.
    pub fn connector_revoked(&self, connector: &ConnectorId, now: UnixTime) -> bool {
        self.catalog.get(connector).is_some_and(|it| self.binary_revoked(&it.install, now).is_some())
    }

    /// What of an installation is revoked, if anything is, and by which revocation; in words.
    //= docs/spec/revocation.md#effect
    pub fn binary_revoked(&self, install: &ConnectorInstall, now: UnixTime) -> Option<String> {
        binary_parts(install).iter().find_map(|(part, digest)| {
            let scope = RevocationScope::ConnectorBinary;
            let revocation = self.revocations.find(scope, digest.as_bytes(), now)?;
            let ConnectorInstall { connector, version, .. } = install;
            Some(alloc::format!("the {part} {digest} of {connector} {version} is revoked, by {revocation}"))
        })
    }

    /// What rests on something revoked ends at once.
    //= docs/spec/revocation.md#effect
    pub(super) fn drop_revoked(&mut self, revocation: &RevocationObject, now: UnixTime) {
        if revocation.scope == RevocationScope::Capability {
            for target in &revocation.targets {
                if let Ok(bytes) = <[u8; 32]>::try_from(target.0.as_slice()) {
                    self.sessions.forget_grant(&ObjectId::from_bytes(bytes));
                }
            }
        }
        let (authority, revocations) = (&self.authority, &self.revocations);
        self.sessions.retain(now, |session| {
            authority.principal(&session.principal).is_none_or(|known| {
                revocations.is_revoked(RevocationScope::IssuerKey, known.key_id.as_bytes(), now)
            })
        });
        let doomed: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, call)| call.is_dispatched() && self.revoked_now(call, now).is_some())
            .map(|(id, _)| *id)
            .collect();
        self.outputs.extend(doomed.into_iter().map(Output::Cancel));
    }

    /// Whether this node knows what a revocation would name. Of grants, approvals and tokens it forgets those that ended.
    //= docs/spec/revocation.md#what-is-not-known
    pub fn knows(&self, scope: RevocationScope, target: &[u8], now: UnixTime) -> bool {
        let names = |id: &ObjectId| id.as_bytes() == target;
        match scope {
            RevocationScope::Capability => {
                self.minted.knows(target, now)
                    || self.authority.grants().any(|(id, _)| names(id))
                    || self.approvals.decisions().any(|(id, _)| names(id))
            }
            RevocationScope::IssuerKey => self.known_keys().any(|key| key.as_bytes() == target),
            RevocationScope::NodeAttestation => {
                self.authority.nodes().any(|node| node.as_str().as_bytes() == target)
            }
            RevocationScope::ZoneKey => {
                let mut keys = self.keys.zones.values().flat_map(ZoneKeys::all);
                keys.any(|key| key.key_id().as_bytes() == target)
            }
            RevocationScope::ConnectorBinary => {
                let digests = |it: &Installed| self.catalog.digests(&it.install.connector);
                self.catalog.iter().flat_map(digests).any(|digest| digest.as_bytes() == target)
            }
        }
    }

    /// The keys that sign in this home: the owner's, operators', agents' and nodes'.
    fn known_keys(&self) -> impl Iterator<Item = KeyId> {
        let owner = self.authority.owner().map(|owner| owner.public_key.key_id());
        let nodes =
            self.authority.attestations().flat_map(|(signing, node)| [*signing, node.issuance_key.key_id()]);
        let operators = self.authority.operators().keys().copied();
        let agents = self.authority.principals().map(|known| known.key_id);
        owner.into_iter().chain(nodes).chain(operators).chain(agents)
    }

    /// Why a call may no longer go on, if it may not.
    pub(super) fn revoked_now(&self, call: &Call, now: UnixTime) -> Option<Code> {
        let revoked = |scope, target: &[u8]| self.revocations.is_revoked(scope, target, now);
        let object = |id: &ObjectId| revoked(RevocationScope::Capability, id.as_bytes());
        let key = |key: KeyId| revoked(RevocationScope::IssuerKey, key.as_bytes());
        if revoked(RevocationScope::Capability, call.token_id().as_bytes()) {
            return Some(Code::TokenRevoked);
        }
        if call.grants().iter().any(object) {
            return Some(Code::GrantRevoked);
        }
        let granted = |id| self.authority.grant_by_id(id).is_some_and(|grant| key(grant.signer));
        if call.grants().iter().any(granted) || call.word().is_some_and(|word| key(word.known.signer)) {
            return Some(Code::GrantIssuerInvalid);
        }
        let approved = |id| object(id) || self.approvals.decision(id).is_some_and(|it| key(it.signer));
        if call.approvals().iter().any(approved) {
            return Some(Code::ApprovalInvalid);
        }
        if key(self.keys.issuance.key_id()) {
            return Some(Code::IssuerKeyRevoked);
        }
        // Another key that was enrolled since did not make this call.
        if call.holder_keys().iter().all(|holder| key(*holder)) {
            return Some(Code::IssuerKeyRevoked);
        }
        self.reader_revoked(call.principal(), call.zone(), now)
            .or_else(|| self.connector_revoked(call.connector(), now).then_some(Code::ConnectorRevoked))
    }

    /// Whether this node is revoked, with the keys that it has.
    pub fn is_revoked(&self, now: UnixTime) -> bool {
        let word = self.authority.issuer(self.keys.issuance.key_id());
        word.is_some_and(|word| self.authority.is_attestation_revoked(word, &self.revocations, now))
    }

    /// Refuses a principal that may no longer see anything here.
    pub(super) fn check_reader(
        &self,
        reader: &PrincipalId,
        zone: &ZoneId,
        now: UnixTime,
    ) -> Result<(), Failure> {
        let Some(code) = self.reader_revoked(reader, zone, now) else { return Ok(()) };
        let rests = Rests { connector: None, zone, principal: reader, token: None };
        let told = self.what_is_revoked(code, &rests, now);
        Err(Failure::new(code, told.unwrap_or_else(|| code.meaning().into())))
    }

    /// That the key of a principal is revoked, if it is: in which scope and since when.
    pub fn principal_revoked(&self, principal: &PrincipalId, now: UnixTime) -> Option<String> {
        let key = self.authority.principal(principal)?.key_id;
        let called = alloc::format!("the key of {principal}");
        self.told_revoked(&(RevocationScope::IssuerKey, key.as_bytes().to_vec(), called), now)
    }

    /// Has a denial for something revoked say what that is, in which scope and since when. Why, only operators are told: the
    /// reason is one's own words.
    //= docs/spec/revocation.md#what-is-told
    pub(super) fn say_what_is_revoked(&self, denial: &mut Denial, rests: &Rests<'_>, now: UnixTime) {
        if denial.check == GateCheck::Revocation
            && let Some(told) = self.what_is_revoked(denial.code, rests, now)
        {
            denial.rule = told;
        }
    }

    /// What a refusal with this code is about.
    fn what_is_revoked(&self, code: Code, rests: &Rests<'_>, now: UnixTime) -> Option<String> {
        self.revocable(code, rests).iter().find_map(|target| self.told_revoked(target, now))
    }

    fn told_revoked(&self, (scope, target, called): &Target, now: UnixTime) -> Option<String> {
        let since = self.revocations.since(*scope, target, now)?;
        Some(alloc::format!("{called} is revoked in the scope {scope} since {since}"))
    }

    /// All that a refusal with this code can be about.
    #[allow(clippy::wildcard_enum_match_arm, reason = "no other code is about what a revocation names")]
    fn revocable(&self, code: Code, rests: &Rests<'_>) -> Vec<Target> {
        let key = |key: KeyId, called: String| (RevocationScope::IssuerKey, key.as_bytes().to_vec(), called);
        match code {
            Code::TokenRevoked => {
                let named = |id: &TokenId| {
                    (RevocationScope::Capability, id.as_bytes().to_vec(), alloc::format!("the token {id}"))
                };
                rests.token.map(named).into_iter().collect()
            }
            Code::IssuerKeyRevoked => {
                let own = self.authority.keys_of(rests.principal);
                let own = own.map(|it| key(it, alloc::format!("the key of {}", rests.principal)));
                own.chain([key(self.keys.issuance.key_id(), "the key that issues tokens here".into())])
                    .collect()
            }
            Code::NodeRevoked => {
                let (name, called) = (self.node_id.as_str(), alloc::format!("the node {}", self.node_id));
                Vec::from([(RevocationScope::NodeAttestation, name.as_bytes().to_vec(), called)])
            }
            Code::ConnectorRevoked => {
                let installed = rests.connector.and_then(|connector| self.catalog.get(connector));
                let named = |installed: &Installed| {
                    let ConnectorInstall { connector, version, .. } = &installed.install;
                    binary_parts(&installed.install).map(|(part, digest)| {
                        let called = alloc::format!("the {part} {digest} of {connector} {version}");
                        (RevocationScope::ConnectorBinary, digest.as_bytes().to_vec(), called)
                    })
                };
                installed.into_iter().flat_map(named).collect()
            }
            Code::ZoneKeyRevoked => {
                let called = alloc::format!("the key of {}", rests.zone);
                let key = self.zone_key(rests.zone).map(|key| key.key_id());
                key.map(|key| (RevocationScope::ZoneKey, key.as_bytes().to_vec(), called))
                    .into_iter()
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// Why a principal may no longer see anything here, if it may not.
    pub(super) fn reader_revoked(&self, reader: &PrincipalId, zone: &ZoneId, now: UnixTime) -> Option<Code> {
        let revoked = |scope, target: &[u8]| self.revocations.is_revoked(scope, target, now);
        let mut keys = self.authority.keys_of(reader);
        if keys.all(|key| revoked(RevocationScope::IssuerKey, key.as_bytes())) {
            return Some(Code::IssuerKeyRevoked);
        }
        if self.is_revoked(now) {
            return Some(Code::NodeRevoked);
        }
        self.is_zone_revoked(zone, now).then_some(Code::ZoneKeyRevoked)
    }

    /// Whether the key of a zone that serves is revoked.
    pub fn is_zone_revoked(&self, zone: &ZoneId, now: UnixTime) -> bool {
        self.zone_key(zone).is_some_and(|key| self.is_zone_key_revoked(key.key_id(), now))
    }

    /// Whether a key of a zone is revoked.
    pub(super) fn is_zone_key_revoked(&self, key: KeyId, now: UnixTime) -> bool {
        self.revocations.is_revoked(RevocationScope::ZoneKey, key.as_bytes(), now)
    }
}
