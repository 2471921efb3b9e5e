//! Revocations: the very next call sees them.

use std::collections::BTreeSet;
use std::sync::Arc;

use fcp_api::routes::{ListRevocations, Revoke};
use fcp_api::types::{ErrorBody, KeyStanding, OperatorKeyView, RevocationView, Revocations, Revoked};
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{Digest, KeyId, NodeId, ObjectId, PrincipalId, TokenId, ZoneId};
use fcp_proto_core::manifest::Runtime;
use fcp_proto_core::object::{AnyObject, RevocationObject, RevocationScope};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_state_machines::node::{Installed, Node};

use super::history::{cut, page};
use super::mount::{Ask, Serve};
use super::operators;
use super::sign::admit;
use super::standing::{another_key, deeds};
use super::taken;
use crate::daemon::{App, RevocationEntry, owner_zone};

/// A target as its scope names it.
fn target(node: &Node, scope: RevocationScope, text: &str, now: Now) -> Result<Vec<u8>, ErrorBody> {
    let invalid =
        |wanted: &str| ErrorBody::new(Code::InputInvalid).because(format!("{text:?} is not {wanted}"));
    match scope {
        RevocationScope::Capability => {
            let token = text.parse::<TokenId>().map(|id| id.as_bytes().to_vec());
            let grant = text.parse::<ObjectId>().map(|id| id.as_bytes().to_vec());
            token.or(grant).map_err(|_| invalid("the id of a token, a grant or an approval"))
        }
        RevocationScope::IssuerKey => {
            if let Ok(key) = text.parse::<KeyId>() {
                return Ok(key.as_bytes().to_vec());
            }
            let authority = node.authority();
            let agent = text.parse().ok().and_then(|name| authority.principal(&name)).map(|it| it.key_id);
            let operator = text.parse().ok().and_then(|name| of_operator(node, &name, now));
            agent.or(operator).map(|key| key.as_bytes().to_vec()).ok_or_else(|| {
                ErrorBody::new(Code::NotFound)
                    .because(format!("{text:?} is neither a key nor an agent or operator"))
                    .next("`fwc agent list` names the agents and their keys, `fwc operator list` the operators'")
            })
        }
        RevocationScope::NodeAttestation => NodeId::new(text)
            .map(|node| node.as_str().as_bytes().to_vec())
            .map_err(|_| invalid("a node's name")),
        RevocationScope::ZoneKey => {
            let named = text.parse().ok().and_then(|zone| node.zone_key(&zone)).map(|key| key.key_id());
            let key = named.or_else(|| text.parse().ok());
            key.map(|key| key.as_bytes().to_vec()).ok_or_else(|| invalid("a zone or the id of a zone's key"))
        }
        RevocationScope::ConnectorBinary => {
            if let Ok(digest) = text.parse::<Digest>() {
                return Ok(digest.as_bytes().to_vec());
            }
            let installed = text.parse().ok().and_then(|connector| node.catalog().get(&connector));
            installed
                .map(|it| own_binary(it).as_bytes().to_vec())
                .ok_or_else(|| invalid("a connector or a digest"))
        }
    }
}

/// The digest that a connector's name stands for: what runs for it alone. All that are declarative run one engine.
//= docs/spec/revocation.md#a-connector-by-its-name
fn own_binary(installed: &Installed) -> Digest {
    match installed.manifest.connector.runtime {
        Runtime::Declarative => installed.install.package_digest,
        Runtime::Native => installed.install.code_digest,
    }
}

/// What a revocation takes of the installed connectors, in words.
fn binaries(node: &Node, scope: RevocationScope, target: &[u8]) -> Vec<String> {
    let digest = <[u8; 32]>::try_from(target).map(Digest::from_bytes);
    match (scope, digest) {
        (RevocationScope::ConnectorBinary, Ok(digest)) => node.catalog().named_by(&digest),
        (_, Ok(_) | Err(_)) => Vec::new(),
    }
}

/// The first key that an operator's name stands for: the one that can act, else the newest. The others go with it.
fn of_operator(node: &Node, name: &PrincipalId, now: Now) -> Option<KeyId> {
    let live = node.authority().live_operators(Some(name), node.revocations(), now.unix);
    live.map(|(key, _)| key).last().or_else(|| node.authority().newest_delegation(name).map(|(key, _)| key))
}

/// What a revocation takes that only the owner's words bring back, or of several connectors, in words; nothing if it takes
/// nothing such.
//= docs/spec/revocation.md#what-is-confirmed
async fn to_confirm(
    app: &Arc<App>,
    scope: RevocationScope,
    targets: &[Vec<u8>],
) -> Result<Option<String>, ErrorBody> {
    let named = targets.to_vec();
    let takes_node = app.query(move |node, now| is_this_node(node, scope, &named, now)).await?;
    if let Some(name) = takes_node {
        return Ok(Some(format!(
            "it is this node, {name}: no call is made here then, until `fwc node replace` attests other keys of it with \
             the owner's 24 words"
        )));
    }
    if scope == RevocationScope::ZoneKey {
        let named = targets.to_vec();
        let zone = app.query(move |node, now| named.iter().find_map(|it| zone_taken(node, it, now))).await?;
        return Ok(zone.map(|zone| {
            format!(
                "it is the key of {zone}: no call is made in it then, until {}, with the owner's 24 words",
                another_key(&zone)
            )
        }));
    }
    if scope == RevocationScope::ConnectorBinary {
        let named = targets.to_vec();
        let all =
            move |node: &Node| named.iter().flat_map(|it| binaries(node, scope, it)).collect::<Vec<_>>();
        let taken = app.query(move |node, _| all(node)).await?;
        return Ok((taken.len() > 1).then(|| {
            format!("it is {}: no call of any of these connectors is made then", taken.join(", "))
        }));
    }
    let RevocationScope::IssuerKey = scope else { return Ok(None) };
    Ok(last_of_rights(&operators::views(app, None).await?, targets))
}

/// What nobody can do once these keys are revoked, in words, if there is anything: rights that no other key here has.
fn last_of_rights(keys: &[OperatorKeyView], targets: &[Vec<u8>]) -> Option<String> {
    let can_act = |it: &&OperatorKeyView| it.standing == KeyStanding::Live && it.stored;
    let (taken, left): (Vec<_>, Vec<_>) = keys
        .iter()
        .filter(can_act)
        .partition(|it| targets.iter().any(|target| it.key_id.as_bytes() == target.as_slice()));
    let rights =
        |keys: &[&OperatorKeyView]| keys.iter().flat_map(|it| it.rights.clone()).collect::<BTreeSet<_>>();
    let lost: Vec<_> = rights(&taken).difference(&rights(&left)).copied().collect();
    let operator = &taken.first()?.operator;
    (!lost.is_empty()).then(|| {
        format!(
            "no other operator's key that can act here has these rights: nobody can {} then, until `fwc operator add \
             {operator}` makes another with the owner's 24 words",
            deeds(&lost)
        )
    })
}

/// The name of this node, if the revocation would take it and nothing did before.
fn is_this_node(node: &Node, scope: RevocationScope, targets: &[Vec<u8>], now: Now) -> Option<NodeId> {
    let named = |bytes: &[u8]| targets.iter().any(|target| target == bytes);
    let takes = match scope {
        RevocationScope::NodeAttestation => named(node.node_id().as_str().as_bytes()),
        RevocationScope::IssuerKey => {
            [node.signing_key(), node.issuance_key()].iter().any(|key| named(key.as_bytes()))
        }
        RevocationScope::Capability | RevocationScope::ZoneKey | RevocationScope::ConnectorBinary => false,
    };
    (takes && !node.is_revoked(now.unix)).then(|| node.node_id().clone())
}

/// The zone whose present key the revocation would take, if nothing did before.
fn zone_taken(node: &Node, target: &[u8], now: Now) -> Option<ZoneId> {
    let zones = node.authority().zones().map(|(zone, _)| zone);
    let of = |zone: &&ZoneId| node.zone_key(zone).is_some_and(|key| key.key_id().as_bytes() == target);
    zones.filter(|zone| !node.is_zone_revoked(zone, now.unix)).find(of).cloned()
}

/// Whether anything here is what the revocation names. What ended long ago only the journal knows.
///
/// # Errors
/// [`Code::InputInvalid`] for an object that cannot be revoked.
//= docs/spec/revocation.md#what-is-not-known
async fn stored(app: &App, scope: RevocationScope, target: &[u8]) -> Result<bool, ErrorBody> {
    let RevocationScope::Capability = scope else { return Ok(false) };
    let Ok(id) = <[u8; 32]>::try_from(target) else { return Ok(false) };
    match app.load(ObjectId::from_bytes(id)).await {
        Ok(
            AnyObject::Grant(_)
            | AnyObject::ApprovalToken(_)
            | AnyObject::CredentialTest(_)
            | AnyObject::OutcomeProbe(_),
        ) => Ok(true),
        Ok(other) => {
            let why = format!("it is a record of the type {}, which gives no leave", other.header().schema);
            Err(ErrorBody::new(Code::InputInvalid).because(why))
        }
        Err(error) if error.code == Code::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// How many sessions end with a revocation: those whose principal's key it names.
fn sessions_hit(node: &Node, scope: RevocationScope, target: &[u8]) -> u64 {
    let hit = |session: &&fcp_state_machines::node::Session| {
        let principal = node.authority().principal(&session.principal);
        scope == RevocationScope::IssuerKey && principal.is_some_and(|it| it.key_id.as_bytes() == target)
    };
    node.sessions().iter().filter(hit).count() as u64
}

/// Since when all of these are revoked, if they are.
fn revoked_since(node: &Node, scope: RevocationScope, targets: &[Vec<u8>], now: Now) -> Option<UnixTime> {
    let since = targets.iter().map(|target| node.revocations().since(scope, target, now.unix));
    since.collect::<Option<Vec<_>>>()?.into_iter().max()
}

impl Serve for Revoke {
    async fn serve(ask: Ask<Self>) -> Result<Revoked, ErrorBody> {
        let Ask { app, body, caller, now, .. } = ask;
        let operator = caller.as_operator()?;
        let (scope, text) = (body.scope, body.target.clone());
        let found = app.query(move |node, now| {
            let target = target(node, scope, &text, now)?;
            let sessions = sessions_hit(node, scope, &target);
            let known = node.knows(scope, &target, now.unix);
            let targets = taken::all(node, scope, &text, target.clone(), now);
            let resting = taken::resting(node, scope, &targets, now);
            let binaries = binaries(node, scope, &target);
            let since = revoked_since(node, scope, &targets, now);
            Ok::<_, ErrorBody>((target, targets, sessions, known, resting, binaries, since))
        });
        let (target, targets, sessions_ended, known, (grants_ended, roles), binaries, revoked_since) =
            found.await??;
        let known = known || stored(&app, scope, &target).await?;
        if !known && !body.unknown {
            let why = format!("nothing here is called {:?} in the scope {scope}", body.target);
            let lists = match scope {
                RevocationScope::Capability => "`fwc grant list` and `fwc approvals list` have",
                RevocationScope::IssuerKey => "`fwc agent list` and `fwc operator list` have",
                RevocationScope::NodeAttestation => "`fwc status` has",
                RevocationScope::ZoneKey => "`fwc zones list` has",
                RevocationScope::ConnectorBinary => "`fwc list` has",
            };
            let next = format!(
                "check it: {lists} those there are; what only another device knows is revoked with --unknown"
            );
            return Err(ErrorBody::new(Code::NotFound).because(why).next(next));
        }
        if !body.confirmed
            && let Some(why) = to_confirm(&app, scope, &targets).await?
        {
            return Err(ErrorBody::new(Code::ConfirmationNeeded).because(why));
        }
        let keys: Vec<_> = targets.iter().filter_map(|target| taken::key(target)).collect();
        let targets: Vec<_> = targets.into_iter().map(ByteString).collect();
        let shown = targets.iter().map(|target| shown(scope, target)).collect();
        let fields = RevocationObject {
            scope,
            targets,
            reason: body.reason,
            effective_at: now.unix,
            expires_at: None,
        };
        let revocation_id = admit(&app, operator, &owner_zone(), fields).await?;
        if scope == RevocationScope::IssuerKey {
            keys.iter().for_each(|key| app.operators.close_key(*key));
        }
        app.serving()?.runner.closed().await;
        let records = app.records();
        let entry = records.revocations.iter().rfind(|entry| entry.id == revocation_id);
        let seq =
            entry.map(|entry| entry.seq).ok_or_else(|| super::status::broken("a revocation has no link"))?;
        let calls_ended = records.calls_ended.get(&seq).copied().unwrap_or(0);
        let targets = shown;
        Ok(Revoked {
            revocation_id,
            seq,
            calls_ended,
            sessions_ended,
            known,
            targets,
            grants_ended,
            roles,
            binaries,
            revoked_since,
        })
    }
}

fn shown(scope: RevocationScope, target: &ByteString) -> String {
    match scope {
        RevocationScope::NodeAttestation => String::from_utf8_lossy(&target.0).into_owned(),
        RevocationScope::Capability
        | RevocationScope::IssuerKey
        | RevocationScope::ZoneKey
        | RevocationScope::ConnectorBinary => target.0.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

impl Serve for ListRevocations {
    async fn serve(ask: Ask<Self>) -> Result<Revocations, ErrorBody> {
        let (before, limit) = page(ask.query.after.as_deref(), ask.query.limit)?;
        let (entries, next) = {
            let records = ask.app.records();
            let numbered = records.revocations.iter().rev().map(|entry| (entry.seq, *entry));
            let fits = |(seq, _): &(u64, RevocationEntry)| before.is_none_or(|before| *seq < before);
            cut(numbered.filter(fits), limit, |entry| entry)
        };
        let mut revocations = Vec::with_capacity(entries.len());
        for entry in entries {
            let AnyObject::Revocation(object) = ask.app.load(entry.id).await? else {
                return Err(
                    ErrorBody::new(Code::StoreCorrupt).because(format!("{} is no revocation", entry.id))
                );
            };
            let fields = object.body.fields;
            revocations.push(RevocationView {
                revocation_id: entry.id,
                seq: entry.seq,
                scope: fields.scope,
                targets: fields.targets.iter().map(|target| shown(fields.scope, target)).collect(),
                reason: fields.reason,
                effective_at: fields.effective_at,
                expires_at: fields.expires_at,
                signed_by: object.body.signer,
            });
        }
        let (head_seq, as_of) = ask
            .app
            .query(|node, now| {
                let age = node.revocations().head_age_secs(now.unix);
                (node.revocations().head_seq(), now.unix.saturating_sub(age))
            })
            .await?;
        Ok(Revocations { revocations, head_seq, as_of, next })
    }
}
