//! What a revocation takes with what it names, and what rested on that.

use std::collections::BTreeSet;

use fcp_proto_core::ids::{KeyId, ObjectId, RoleId};
use fcp_proto_core::object::{ApprovalDecision, Grantee, RevocationScope};
use fcp_proto_core::time::Now;
use fcp_state_machines::node::Node;

use super::grants;

/// All that a revocation of `target` takes, which was named as `text`: the target first, then what goes with it.
//= docs/spec/revocation.md#what-goes-with-it
pub(super) fn all(
    node: &Node,
    scope: RevocationScope,
    text: &str,
    target: Vec<u8>,
    now: Now,
) -> Vec<Vec<u8>> {
    let more = match scope {
        // Whoever gives an id means that key; whoever gives a name, whoever bears it.
        RevocationScope::IssuerKey if text.parse::<KeyId>().is_err() => other_keys(node, &target, now),
        RevocationScope::Capability => approval_beside(node, &target, now).into_iter().collect(),
        RevocationScope::IssuerKey
        | RevocationScope::NodeAttestation
        | RevocationScope::ZoneKey
        | RevocationScope::ConnectorBinary => Vec::new(),
    };
    [target].into_iter().chain(more).collect()
}

/// The other keys of the operator whose key this is, also those that ended: what they granted is in force.
fn other_keys(node: &Node, target: &[u8], now: Now) -> Vec<Vec<u8>> {
    let operators = node.authority().operators();
    let Some(named) = key(target).and_then(|key| operators.get(&key)) else { return Vec::new() };
    let revoked =
        |key: &KeyId| node.revocations().is_revoked(RevocationScope::IssuerKey, key.as_bytes(), now.unix);
    let others = operators
        .iter()
        .filter(|(key, it)| it.operator == named.operator && key.as_bytes() != target && !revoked(key));
    others.map(|(key, _)| key.as_bytes().to_vec()).collect()
}

/// The approval of one call that was made with a standing grant and is not spent: whoever takes the grant back wants to be
/// asked from the next call on.
fn approval_beside(node: &Node, target: &[u8], now: Now) -> Option<Vec<u8>> {
    let grant = ObjectId::from_bytes(target.try_into().ok()?);
    let given = &node.authority().grant_by_id(&grant)?.grant;
    given.standing_approval.as_ref()?;
    let approval = node.approvals().request(&given.request?)?.decision?;
    let decided = node.approvals().decision(&approval)?;
    let usable = decided.token.decision == ApprovalDecision::Approve
        && decided.spent_by.is_none()
        && now.unix < decided.token.expires_at;
    usable.then(|| approval.as_bytes().to_vec())
}

/// The grants in their time that keys among the targets signed: how many, and to which roles.
pub(super) fn resting(
    node: &Node,
    scope: RevocationScope,
    targets: &[Vec<u8>],
    now: Now,
) -> (u64, Vec<RoleId>) {
    if scope != RevocationScope::IssuerKey {
        return (0, Vec::new());
    }
    let keys: BTreeSet<_> = targets.iter().filter_map(|target| key(target)).collect();
    let mut roles = BTreeSet::new();
    let mut count = 0;
    for known in grants::resting_on(node, &keys, now) {
        count += 1;
        if let Grantee::Role(role) = &known.grant.grantee {
            roles.insert(role.clone());
        }
    }
    (count, roles.into_iter().collect())
}

/// A target of the scope of keys, as a key.
pub(super) fn key(target: &[u8]) -> Option<KeyId> {
    target.try_into().ok().map(KeyId::from_bytes)
}
