//! Operators: which of their keys can act, and what the owner's phrase does when none can.

use std::sync::Arc;

use fcp_api::routes::{AddOperator, GetOperator, ListOperators};
use fcp_api::types::{self, ErrorBody, KeyStanding, OperatorAdded, OperatorKeyView, OperatorList};
use fcp_proto_core::crypto::role::{Operator, Owner};
use fcp_proto_core::crypto::sign::{SigningKey, VerifyingKey};
use fcp_proto_core::crypto::source::Argon2Cost;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, PrincipalId};
use fcp_proto_core::object::{AnyObject, OperatorDelegation, OperatorRight, RevocationScope};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_runtime_tokio::drive::entropy;
use fcp_state_machines::node::Node;
use fcp_state_machines::trust::authority::OperatorStanding;

use super::ceremony::{blocking, defect, on_the_socket};
use super::mount::{Ask, Serve};
use super::owner::{OWNER, by_phrase, new_passphrase};
use super::sign::{admit_together, later_than, sign_with};
use crate::daemon::{App, owner_zone};

impl Serve for ListOperators {
    async fn serve(ask: Ask<Self>) -> Result<OperatorList, ErrorBody> {
        Ok(OperatorList { keys: views(&ask.app, None).await? })
    }
}

impl Serve for GetOperator {
    async fn serve(ask: Ask<Self>) -> Result<OperatorList, ErrorBody> {
        let name: PrincipalId = ask.path(0)?;
        let keys = views(&ask.app, Some(name.clone())).await?;
        if keys.is_empty() {
            let none = ErrorBody::new(Code::NotFound).because(format!("there is no operator {name}"));
            return Err(none.next("`fwc operator list` lists them"));
        }
        Ok(OperatorList { keys })
    }
}

/// The keys of operators, by name and newest first.
pub(super) async fn views(
    app: &Arc<App>,
    name: Option<PrincipalId>,
) -> Result<Vec<OperatorKeyView>, ErrorBody> {
    let known = app.query(move |node, now| {
        let operators = node.authority().operators().iter();
        let named = operators.filter(|(_, it)| name.as_ref().is_none_or(|name| it.operator == *name));
        named.map(|(key, it)| view(node, *key, it, now)).collect::<Vec<_>>()
    });
    let (mut views, inner) = (known.await?, Arc::clone(app));
    views.sort_by(|a, b| (&a.operator, b.not_before, a.key_id).cmp(&(&b.operator, a.not_before, b.key_id)));
    blocking(move || {
        for view in &mut views {
            let stored = inner.serving()?.keys.has_operator(&view.operator, view.key_id);
            // A file that cannot be read opens nothing either.
            view.stored = stored.unwrap_or(false);
        }
        Ok(views)
    })
    .await
}

fn view(node: &Node, key: KeyId, delegation: &OperatorDelegation, now: Now) -> OperatorKeyView {
    let revocations = node.revocations();
    let standing = match node.authority().standing(&key, delegation, revocations, now.unix) {
        OperatorStanding::Live => KeyStanding::Live,
        OperatorStanding::Waiting => KeyStanding::Waiting,
        OperatorStanding::Ended => KeyStanding::Ended,
        OperatorStanding::Revoked => KeyStanding::Revoked,
    };
    OperatorKeyView {
        operator: delegation.operator.clone(),
        key_id: key,
        standing,
        stored: false,
        rights: delegation.rights.iter().copied().collect(),
        not_before: delegation.not_before,
        expires_at: delegation.expires_at,
        revocation_id: revocations.find(RevocationScope::IssuerKey, key.as_bytes(), now.unix),
    }
}

/// What is known of an operator who gets another key.
struct Before {
    /// The keys that can act, which it takes the place of.
    live: Vec<OperatorDelegation>,
    /// What the newest key might do.
    rights: Option<Vec<OperatorRight>>,
}

/// What the owner wants, held against what there is: nothing is written for what is refused.
fn before(node: &Node, wanted: &types::AddOperator, now: Now) -> Result<Before, ErrorBody> {
    let authority = node.authority();
    let name = &wanted.operator;
    if authority.principal(name).is_some() {
        let taken = ErrorBody::new(Code::Conflict).because(format!("an agent is called {name}"));
        return Err(taken.next("choose another name; `fwc operator list` lists the operators"));
    }
    let live: Vec<_> = authority
        .live_operators(Some(name), node.revocations(), now.unix)
        .map(|(_, it)| it.clone())
        .collect();
    if !live.is_empty() && !wanted.replace {
        let there = ErrorBody::new(Code::Conflict).because(format!("{name} has a key that can act"));
        return Err(there.next(format!(
            "if it is lost, `fwc operator add {name} --replace` ends it; its grants and denials stay, its approvals end"
        )));
    }
    let newest = authority.newest_delegation(name);
    Ok(Before { live, rights: newest.map(|(_, it)| it.rights.iter().copied().collect()) })
}

impl Serve for AddOperator {
    async fn serve(ask: Ask<Self>) -> Result<OperatorAdded, ErrorBody> {
        on_the_socket(&ask)?;
        let Ask { app, body, peer, now, .. } = ask;
        let passphrase = new_passphrase(&body.key_source)?;
        let owner = by_phrase(&app, &peer, &body.phrase, now).await?;
        let _one_at_a_time = app.ceremony.lock().await;
        let wanted = body.clone();
        let Before { live, rights } = app.query(move |node, now| before(node, &wanted, now)).await??;
        let rights = body.rights.or(rights).filter(|rights| !rights.is_empty()).ok_or_else(|| {
            let none = format!("{} is new, and no right was named", body.operator);
            ErrorBody::new(Code::InputInvalid)
                .because(none)
                .next("name what it may do: --right grant, or --all-rights")
        })?;
        let (inner, name) = (Arc::clone(&app), body.operator.clone());
        let key: SigningKey<Operator> = blocking(move || {
            let mut fresh = entropy::fresh().map_err(|error| defect(&error))?;
            let keys = &inner.serving()?.keys;
            let stored = keys.add_operator(&name, &passphrase, Argon2Cost::RECOMMENDED, &mut fresh);
            stored.map_err(|error| ErrorBody::new(error.code()).because(error.to_string()))
        })
        .await?;
        let enrolled = Enrolled { operator: body.operator, rights, lifetime_secs: body.lifetime_secs, live };
        // Refused, or killed before it is durable, it leaves a key of nobody's, which the next start removes.
        delegate(&app, &owner, key.verifying_key(), enrolled).await
    }
}

/// What is delegated to a key that is stored.
struct Enrolled {
    operator: PrincipalId,
    rights: Vec<OperatorRight>,
    lifetime_secs: Option<u64>,
    /// The keys that end with it.
    live: Vec<OperatorDelegation>,
}

/// Has the owner delegate to a key, and end those that it takes the place of: all in one batch, or nothing.
//= docs/spec/ceremony.md#operators
async fn delegate(
    app: &App,
    owner: &SigningKey<Owner>,
    public_key: VerifyingKey<Operator>,
    enrolled: Enrolled,
) -> Result<OperatorAdded, ErrorBody> {
    let Enrolled { operator, rights, lifetime_secs, live } = enrolled;
    let ended: Vec<_> = live.iter().map(|it| it.public_key.key_id()).collect();
    // What they signed until now stays in force, so they are closed first and end in a later second than their last act.
    ended.iter().for_each(|key| app.operators.close_key(*key));
    if !ended.is_empty() {
        later_than(app, app.now().unix).await;
    }
    let (now, zone) = (app.now().unix, owner_zone());
    let mut objects: Vec<AnyObject> = Vec::new();
    for old in live {
        let old = OperatorDelegation { expires_at: Some(now), ..old };
        objects.push(sign_with(app, owner, None, &zone, old).await?.into());
    }
    let expires_at = lifetime_secs.map(|secs: u64| -> UnixTime { now.saturating_add(secs) });
    let delegation = OperatorDelegation {
        operator: operator.clone(),
        public_key,
        rights: rights.iter().copied().collect(),
        not_before: now,
        expires_at,
    };
    objects.push(sign_with(app, owner, None, &zone, delegation).await?.into());
    let admitted = admit_together(app, OWNER, objects).await?;
    // One that was opened meanwhile.
    ended.iter().for_each(|key| app.operators.close_key(*key));
    let delegation_id = admitted.last().copied().unwrap_or_default();
    let key_id = public_key.key_id();
    Ok(OperatorAdded { operator, key_id, delegation_id, rights, expires_at, ended })
}
