//! What the home rests on and can no longer act: keys that are revoked or gone, with what puts another in their place.

use std::collections::BTreeSet;
use std::sync::Arc;

use fcp_api::types::{ErrorBody, Warning, WarningKind};
use fcp_proto_core::ids::{KeyId, PrincipalId, ZoneId};
use fcp_proto_core::time::Now;
use fcp_state_machines::node::Node;

use super::ceremony::blocking;
use crate::daemon::App;
use crate::keys::{missing_of_people, restore_alone};

/// What the owner should know of the keys that the home rests on.
///
/// # Errors
/// While there is no node, or it takes no more.
pub(super) async fn warnings(app: &Arc<App>) -> Result<Vec<Warning>, ErrorBody> {
    let (mut warnings, live) = app.query(|node, now| (revoked(node, now), live(node, now))).await?;
    let home = app.home.clone();
    // A key that people open is not needed to start; that it is gone is told before somebody needs it.
    //= docs/spec/home.md#keys
    let missing = blocking(move || Ok(missing_of_people(&home, &live))).await?;
    warnings.extend(missing.into_iter().map(|(file, anew)| Warning {
        kind: WarningKind::Integrity,
        message: format!("the key {} is missing, and nobody can sign with it", file.display()),
        remedy: Some(restore_alone(&file, &anew)),
    }));
    Ok(warnings)
}

fn live(node: &Node, now: Now) -> Vec<(PrincipalId, KeyId)> {
    let live = node.authority().live_operators(None, node.revocations(), now.unix);
    live.map(|(key, it)| (it.operator.clone(), key)).collect()
}

/// What is revoked of all that the home rests on.
pub(crate) fn revoked(node: &Node, now: Now) -> Vec<Warning> {
    let mut told = operators(node, now);
    told.extend(this_node(node, now));
    told.extend(zones(node, now));
    told
}

/// Zones in which no call is made any more.
//= docs/spec/revocation.md#a-zones-key
fn zones(node: &Node, now: Now) -> impl Iterator<Item = Warning> {
    let revoked = node.authority().zones().filter(move |(zone, _)| node.is_zone_revoked(zone, now.unix));
    revoked.map(|(zone, _)| Warning {
        kind: WarningKind::Zone,
        message: format!("the key of {zone} is revoked: no call is made in it until it has another"),
        remedy: Some(format!("{}, with the owner's 24 words", another_key(zone))),
    })
}

/// What gives a zone another key.
pub(super) fn another_key(zone: &ZoneId) -> String {
    format!("`fwc zones rekey {zone}` gives it another")
}

//= docs/spec/audit.md#a-revoked-node
fn this_node(node: &Node, now: Now) -> Option<Warning> {
    node.is_revoked(now.unix).then(|| Warning {
        kind: WarningKind::Revoked,
        message: format!(
            "this node, {}, is revoked: it makes no calls, and what it tells the audit counts for nothing until it has \
             another key",
            node.node_id()
        ),
        remedy: Some("`fwc node replace` attests other keys of it, with the owner's 24 words".into()),
    })
}

/// Operators without a key that can act; if there is no other, nobody can.
//= docs/spec/authority.md#operators-keys
fn operators(node: &Node, now: Now) -> Vec<Warning> {
    let names: BTreeSet<_> = node.authority().operators().values().map(|it| &it.operator).collect();
    let live: BTreeSet<_> = live(node, now).into_iter().map(|(name, _)| name).collect();
    let without = names.into_iter().filter(|name| !live.contains(*name));
    let told = |name: &PrincipalId| Warning {
        kind: if live.is_empty() { WarningKind::Revoked } else { WarningKind::Operator },
        message: format!(
            "the operator {name} has no key that can act: it is revoked, or its time is over{}",
            if live.is_empty() { "; nobody can act in this home" } else { "" }
        ),
        remedy: Some(format!("`fwc operator add {name}` makes another, with the owner's 24 words")),
    };
    without.map(told).collect()
}
