//! The node's attestation: how long it lasts, making it longer with the owner's key, and other keys for a revoked node.

use std::sync::Arc;

use fcp_api::routes::{RenewNode, ReplaceNode};
use fcp_api::types::{ErrorBody, KeySourceRequest, NodeRenewed, NodeReplaced, Warning, WarningKind};
use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{AuditEventKind, NodeAttestation};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_runtime_tokio::drive::entropy;
use fcp_state_machines::node::{Answer, Node, Request};

use super::ceremony::{blocking, defect, on_the_socket};
use super::denial::failed;
use super::mount::{Ask, Serve};
use super::owner::{OWNER, by_phrase, owner_name};
use super::sign::{admit_object, later_than, sign_with, unexpected};
use crate::daemon::owner_zone;

/// How long a renewal lasts unless the owner says otherwise, in seconds: a year.
const LIFETIME_SECS: u64 = 365 * 86_400;

/// How long before its end a node's attestation is warned of, in seconds. Chosen: a month to find the owner.
const WARNED_SECS: u64 = 30 * 86_400;

/// The attestation of the node that serves.
pub(super) fn attestation(node: &Node) -> Option<&NodeAttestation> {
    node.authority().issuer(node.issuance_key())
}

/// What the owner should know of the attestation's end, when it is near or past.
//= docs/spec/authority.md#renewal
pub(super) fn warning(node: &Node, now: Now) -> Option<Warning> {
    let end = attestation(node)?.expires_at;
    let left = end.saturating_since(now.unix);
    let message = match left {
        0 => "the node's attestation has ended: it makes no calls".to_owned(),
        _ if left <= WARNED_SECS => {
            format!("the node's attestation ends in {} days; it makes no calls from then on", left / 86_400)
        }
        _ => return None,
    };
    Some(Warning { kind: WarningKind::Attestation, message, remedy: Some("`fwc node renew`".into()) })
}

impl Serve for RenewNode {
    async fn serve(ask: Ask<Self>) -> Result<NodeRenewed, ErrorBody> {
        let Ask { app, body, peer, now, .. } = ask;
        let known = app.query(|node, _| attestation(node).cloned()).await?;
        let known = known.ok_or_else(|| super::status::broken("the node has no attestation"))?;
        // The owner's passphrase is guessed at as slowly as an operator's.
        let owner = owner_name()?;
        let attempt = app.tries.begin(&owner, peer.origin, now).await;
        let attempt = attempt.map_err(super::sessions::try_later)?;
        let KeySourceRequest::Passphrase { passphrase } = body.owner_key_source;
        let inner = Arc::clone(&app);
        let opened = blocking(move || {
            let passphrase = SecretBytes::from(passphrase.expose().to_owned());
            let key = inner.serving()?.keys.unlock_owner(&passphrase);
            let key = key.map_err(|error| super::sessions::unlock_failed(&error, "fwc owner restore"))?;
            let fresh = entropy::fresh();
            let mut fresh =
                fresh.map_err(|error| ErrorBody::new(Code::Internal).because(error.to_string()))?;
            Ok((key, fresh.bytes()))
        });
        let (key, nonce) = match opened.await {
            Ok(opened) => opened,
            Err(refused) => {
                super::sessions::tell(&app, AuditEventKind::OperatorRefused, &owner).await?;
                return Err(refused);
            }
        };
        attempt.succeeded();
        let lifetime = body.lifetime_secs.unwrap_or(LIFETIME_SECS);
        let renewed = NodeAttestation { expires_at: now.unix.saturating_add(lifetime), nonce, ..known };
        let (node, attested_until) = (renewed.node_id.clone(), renewed.expires_at);
        let object = sign_with(&app, &key, None, &owner_zone(), renewed).await?;
        let attestation_id = admit_object(&app, OWNER, object.into()).await?;
        Ok(NodeRenewed { node, attestation_id, attested_until })
    }
}

impl Serve for ReplaceNode {
    async fn serve(ask: Ask<Self>) -> Result<NodeReplaced, ErrorBody> {
        on_the_socket(&ask)?;
        let Ask { app, body, peer, now, .. } = ask;
        let owner = by_phrase(&app, &peer, &body.phrase, now).await?;
        let _one_at_a_time = app.ceremony.lock().await;
        let (known, revoked_from) = app.query(replaceable).await??;
        let inner = Arc::clone(&app);
        let stored = blocking(move || {
            let mut fresh = entropy::fresh().map_err(|error| defect(&error))?;
            let stored = inner.serving()?.keys.add_node_keys(&mut fresh);
            let stored = stored.map_err(|error| ErrorBody::new(error.code()).because(error.to_string()))?;
            Ok((stored, fresh.bytes()))
        });
        let ((keys, encryption_key), nonce) = stored.await?;
        // A word of the second of the revocation would be revoked with it.
        if let Some(from) = revoked_from {
            later_than(&app, from).await;
        }
        let issued_at = app.now().unix;
        let word = NodeAttestation {
            signing_key: keys.signing.verifying_key(),
            issuance_key: keys.issuance.verifying_key(),
            encryption_key,
            issued_at,
            expires_at: issued_at.saturating_add(body.lifetime_secs.unwrap_or(LIFETIME_SECS)),
            nonce,
            ..known
        };
        let replaced = NodeReplaced {
            node: word.node_id.clone(),
            attestation_id: ObjectId::default(),
            signing_key: word.signing_key.key_id(),
            issuance_key: word.issuance_key.key_id(),
            attested_until: word.expires_at,
        };
        let attestation = Box::new(sign_with(&app, &owner, None, &owner_zone(), word).await?);
        let request = Request::ReplaceKeys { attestation, keys: Box::new(keys), actor: OWNER.into() };
        match app.ask(request).await {
            Ok(Answer::Admitted(attestation_id)) => Ok(NodeReplaced { attestation_id, ..replaced }),
            Ok(other) => Err(unexpected(&other)),
            Err(failure) => Err(failed(&failure)),
        }
    }
}

/// What is attested of the node, and from when it is revoked by its name.
fn replaceable(node: &Node, now: Now) -> Result<(NodeAttestation, Option<UnixTime>), ErrorBody> {
    let known = attestation(node).cloned();
    let known = known.ok_or_else(|| super::status::broken("the node has no attestation"))?;
    if !node.is_revoked(now.unix) {
        let why = format!("{} is not revoked", known.node_id);
        let next = "`fwc node renew` attests it longer; if its keys are in other hands, revoke it first";
        return Err(ErrorBody::new(Code::Conflict).because(why).next(next));
    }
    let from = node.revocations().node_revoked_from(&known.node_id, now.unix);
    Ok((known, from))
}
