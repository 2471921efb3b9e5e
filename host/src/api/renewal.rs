//! The node's attestation: how long it lasts, and making it longer with the owner's key.

use std::sync::Arc;

use fcp_api::routes::RenewNode;
use fcp_api::types::{ErrorBody, KeySourceRequest, NodeRenewed, Warning, WarningKind};
use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::PrincipalId;
use fcp_proto_core::object::{AuditEventKind, NodeAttestation};
use fcp_proto_core::time::Now;
use fcp_runtime_tokio::drive::entropy;
use fcp_state_machines::node::Node;

use super::ceremony::blocking;
use super::mount::{Ask, Serve};
use super::sign::{admit_object, sign_with};
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
        let owner = PrincipalId::new("owner")
            .map_err(|error| ErrorBody::new(Code::Internal).because(error.to_string()))?;
        let attempt = app.tries.begin(&owner, peer.origin, now).await;
        let attempt = attempt.map_err(super::sessions::try_later)?;
        let KeySourceRequest::Passphrase { passphrase } = body.owner_key_source;
        let inner = Arc::clone(&app);
        let opened = blocking(move || {
            let passphrase = SecretBytes::from(passphrase.expose().to_owned());
            let key = inner.serving()?.keys.unlock_owner(&passphrase);
            let key = key.map_err(|error| super::sessions::unlock_failed(&error))?;
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
        let attestation_id = admit_object(&app, "owner", object.into()).await?;
        Ok(NodeRenewed { node, attestation_id, attested_until })
    }
}
