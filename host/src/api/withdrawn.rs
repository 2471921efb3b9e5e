//! What took its force from something: the revocation that names it, who signed it, when, and why.

use fcp_api::types::ErrorBody;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, ObjectId, PrincipalId};
use fcp_proto_core::object::{AnyObject, OperationIntent, RevocationScope};
use fcp_state_machines::node::Node;

use crate::daemon::App;

/// Something that can be revoked, as its scope names it, and what it is called in a sentence.
#[derive(Clone, Debug)]
pub(super) struct Target {
    scope: RevocationScope,
    bytes: Vec<u8>,
    called: String,
}

impl Target {
    /// A grant, an approval or a token.
    pub(super) fn leave(kind: &str, id: &impl std::fmt::Display, bytes: &[u8]) -> Self {
        Self { scope: RevocationScope::Capability, bytes: bytes.to_vec(), called: format!("the {kind} {id}") }
    }

    fn key(whose: &str, key: KeyId) -> Self {
        Self {
            scope: RevocationScope::IssuerKey,
            bytes: key.as_bytes().to_vec(),
            called: format!("the key {key} {whose}"),
        }
    }
}

/// A grant, and the key that signed it.
pub(super) fn grant(node: &Node, id: &ObjectId) -> Vec<Target> {
    let signer = node.authority().grant_by_id(id).map(|known| known.signer);
    let key = signer.map(|key| Target::key(&format!("that signed the grant {id}"), key));
    [Target::leave("grant", id, id.as_bytes())].into_iter().chain(key).collect()
}

/// An approval, and the key that signed it.
pub(super) fn approval(node: &Node, id: &ObjectId) -> Vec<Target> {
    let signer = node.approvals().decision(id).map(|known| known.signer);
    let key = signer.map(|key| Target::key(&format!("that signed the approval {id}"), key));
    [Target::leave("approval", id, id.as_bytes())].into_iter().chain(key).collect()
}

/// All that a call rests on.
pub(super) fn of_call(node: &Node, intent: &OperationIntent) -> Vec<Target> {
    let token = Target::leave("token", &intent.token_id, intent.token_id.as_bytes());
    let grants = intent.grants.iter().flat_map(|id| grant(node, id));
    let approvals = intent.approvals.iter().flat_map(|id| approval(node, id));
    let digests = [intent.code_digest, intent.interface_hash].map(|digest| Target {
        scope: RevocationScope::ConnectorBinary,
        bytes: digest.as_bytes().to_vec(),
        called: format!("the connector {}", intent.connector),
    });
    [token]
        .into_iter()
        .chain(grants)
        .chain(approvals)
        .chain(keys(node, &intent.principal))
        .chain(digests)
        .collect()
}

/// The keys of a principal.
pub(super) fn keys(node: &Node, principal: &PrincipalId) -> Vec<Target> {
    node.authority().keys_of(principal).map(|key| Target::key(&format!("of {principal}"), key)).collect()
}

/// The revocations in force that name any of what `find` gives, each with a sentence.
///
/// # Errors
/// What of them cannot be read.
pub(super) async fn revoked(
    app: &App,
    find: impl FnOnce(&Node) -> Vec<Target> + Send + 'static,
) -> Result<Vec<(ObjectId, String)>, ErrorBody> {
    let found = app.query(move |node, now| {
        let hit = |target: Target| {
            let id = node.revocations().find(target.scope, &target.bytes, now.unix)?;
            Some((id, target.called))
        };
        find(node).into_iter().filter_map(hit).collect::<Vec<_>>()
    });
    let mut told = Vec::new();
    for (id, called) in found.await? {
        let AnyObject::Revocation(object) = app.load(id).await? else {
            return Err(ErrorBody::new(Code::StoreCorrupt).because(format!("{id} is no revocation")));
        };
        let (signer, fields) = (object.body.signer, object.body.fields);
        let who = app.query(move |node, _| signed_by(node, signer)).await?;
        let sentence =
            format!("{who} revoked {called} at {}, by {id}: {}", fields.effective_at, fields.reason);
        told.push((id, sentence));
    }
    Ok(told)
}

/// Who holds the key that signed something.
fn signed_by(node: &Node, key: KeyId) -> String {
    let authority = node.authority();
    if authority.owner().is_some_and(|owner| owner.public_key.key_id() == key) {
        return "the owner".into();
    }
    let operator = authority.operators().get(&key).map(|it| it.operator.to_string());
    let device = || authority.node(key).map(|it| format!("the node {}", it.node_id));
    operator.or_else(device).unwrap_or_else(|| format!("the key {key}"))
}
