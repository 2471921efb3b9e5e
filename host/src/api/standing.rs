//! What the home rests on and can no longer act: keys that are revoked or gone, with what puts another in their place.

use std::collections::BTreeSet;
use std::sync::Arc;

use fcp_api::types::{ErrorBody, Warning, WarningKind};
use fcp_proto_core::ids::{KeyId, PrincipalId, ZoneId};
use fcp_proto_core::object::OperatorRight;
use fcp_proto_core::time::Now;
use fcp_state_machines::node::Node;

use super::ceremony::blocking;
use super::grants;
use crate::daemon::App;
use crate::keys::{is_stored, missing_of_people, restore_alone};

/// What the owner should know of the keys that the home rests on.
///
/// # Errors
/// While there is no node, or it takes no more.
pub(super) async fn warnings(app: &Arc<App>) -> Result<Vec<Warning>, ErrorBody> {
    let (mut warnings, live) = app.query(|node, now| (revoked(node, now), live(node, now))).await?;
    let (home, keys) = (app.home.clone(), live.clone());
    let stored = blocking(move || {
        let stored = keys.into_iter().filter(|(name, key)| is_stored(&home, name, *key));
        Ok(stored.map(|(_, key)| key).collect())
    });
    let stored: BTreeSet<KeyId> = stored.await?;
    warnings.extend(app.query(move |node, now| unheld(node, &stored, now)).await?);
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

/// Operators without a key that can act, on whom something rests still: grants in their time, or the whole home if nobody
/// else can act. Of one who left and granted nothing nobody needs to hear.
//= docs/spec/authority.md#operators-keys
fn operators(node: &Node, now: Now) -> Vec<Warning> {
    let names: BTreeSet<_> = node.authority().operators().values().map(|it| &it.operator).collect();
    let live: BTreeSet<_> = live(node, now).into_iter().map(|(name, _)| name).collect();
    let without = names.into_iter().filter(|name| !live.contains(*name));
    let told = |name: &PrincipalId| {
        let keys: BTreeSet<_> = node.authority().keys_of(name).collect();
        let grants = grants::resting_on(node, &keys, now).count();
        let (kind, more) = match (live.is_empty(), grants) {
            (true, _) => (WarningKind::Revoked, "nobody can act in this home".to_owned()),
            (false, 0) => return None,
            (false, grants) => {
                (WarningKind::Operator, format!("{grants} grants that it signed are in their time"))
            }
        };
        let leave = if live.is_empty() {
            ""
        } else {
            "; of one who left, revoke the grants that `fwc grant list --live` names"
        };
        Some(Warning {
            kind,
            message: format!(
                "the operator {name} has no key that can act: it is revoked, or its time is over; {more}"
            ),
            remedy: Some(format!(
                "`fwc operator add {name}` makes another, with the owner's 24 words{leave}"
            )),
        })
    };
    without.filter_map(told).collect()
}

/// Rights that nobody can use though others can act: no operator's key that can act and is among those `stored` has them.
//= docs/spec/authority.md#operators-keys
pub(crate) fn unheld(node: &Node, stored: &BTreeSet<KeyId>, now: Now) -> Option<Warning> {
    let authority = node.authority();
    let live: Vec<_> = authority.live_operators(None, node.revocations(), now.unix).collect();
    let usable = live.iter().filter(|(key, _)| stored.contains(key));
    let held: BTreeSet<_> = usable.flat_map(|(_, it)| it.rights.iter().copied()).collect();
    let lost: Vec<_> = OperatorRight::ALL.iter().copied().filter(|right| !held.contains(right)).collect();
    if live.is_empty() || lost.is_empty() {
        return None;
    }
    let had = |name: &&PrincipalId| {
        let newest = authority.newest_delegation(name);
        newest.is_some_and(|(_, it)| lost.iter().all(|right| it.rights.contains(right)))
    };
    let former = authority.operators().values().map(|it| &it.operator).find(had);
    let command = match former {
        Some(name) if live.iter().any(|(_, it)| it.operator == *name) => {
            format!("`fwc operator add {name} --replace`")
        }
        Some(name) => format!("`fwc operator add {name}`"),
        None => {
            let rights: String = lost.iter().map(|right| format!(" --right {}", right.as_str())).collect();
            format!("`fwc operator add NAME{rights}`")
        }
    };
    Some(Warning {
        kind: WarningKind::Operator,
        message: format!("nobody can {}: no operator's key that can act here has the right", deeds(&lost)),
        remedy: Some(format!("{command} makes one that has it, with the owner's 24 words")),
    })
}

/// What rights permit, in words.
pub(super) fn deeds(rights: &[OperatorRight]) -> String {
    let deed = |right: &OperatorRight| match right {
        OperatorRight::Approve => "approve",
        OperatorRight::Grant => "grant",
        OperatorRight::Install => "install",
        OperatorRight::Auth => "store credentials",
        OperatorRight::Zones => "define zones",
        OperatorRight::Revoke => "revoke",
    };
    rights.iter().map(deed).collect::<Vec<_>>().join(", ")
}
