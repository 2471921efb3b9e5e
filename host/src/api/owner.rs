//! The owner, by the 24 words: what only the owner does when keys are lost or revoked.
//!
//! The words and the key that they stand for are in memory for the one act, and wiped with it.

use std::sync::Arc;

use fcp_api::routes::RestoreOwner;
use fcp_api::secret::Secret;
use fcp_api::types::{ErrorBody, KeySourceRequest, OwnerRestored};
use fcp_proto_core::crypto::phrase::RecoveryPhrase;
use fcp_proto_core::crypto::role::Owner;
use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::crypto::source::Argon2Cost;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::PrincipalId;
use fcp_proto_core::object::AuditEventKind;
use fcp_proto_core::time::Now;
use fcp_runtime_tokio::drive::entropy;
use fcp_state_machines::node::Request;
use fcp_state_machines::trust::audit::Entry;
use fcp_state_machines::trust::ceremony::MIN_PASSPHRASE_BYTES;

use super::ceremony::{blocking, defect, on_the_socket};
use super::connection::Peer;
use super::denial::failed;
use super::mount::{Ask, Serve};
use super::sessions::{tell, try_later};
use crate::daemon::{App, owner_zone};

/// Under which name the owner acts in the audit.
pub(super) const OWNER: &str = "owner";

/// The owner's key, of the words. Other words than this home's are tried as slowly as passphrases, and told.
///
/// # Errors
/// [`Code::PhraseInvalid`] for what is no phrase, [`Code::PhraseOfOther`] for another home's.
//= docs/spec/ceremony.md#recovery
pub(super) async fn by_phrase(
    app: &App,
    peer: &Peer,
    phrase: &Secret,
    now: Now,
) -> Result<SigningKey<Owner>, ErrorBody> {
    let key = RecoveryPhrase::parse(phrase.expose())
        .map_err(|error| ErrorBody::new(Code::PhraseInvalid).because(error.to_string()))?
        .owner_key();
    let name = owner_name()?;
    let attempt = app.tries.begin(&name, peer.origin, now).await.map_err(try_later)?;
    let owner = app.query(|node, _| node.authority().owner()).await?;
    if owner.is_none_or(|owner| owner.public_key != key.verifying_key()) {
        tell(app, AuditEventKind::OperatorRefused, &name).await?;
        return Err(ErrorBody::new(Code::PhraseOfOther)
            .because("the owner's key of this home is not that of the words"));
    }
    attempt.succeeded();
    Ok(key)
}

/// The owner as somebody whose secrets are guessed at.
///
/// # Errors
/// None: the name is well-formed.
pub(super) fn owner_name() -> Result<PrincipalId, ErrorBody> {
    PrincipalId::new(OWNER).map_err(|error| defect(&error))
}

/// A passphrase that a key may be kept under.
///
/// # Errors
/// [`Code::InputInvalid`] for a short one.
//= docs/spec/ceremony.md#phases
pub(super) fn new_passphrase(source: &KeySourceRequest) -> Result<SecretBytes, ErrorBody> {
    let KeySourceRequest::Passphrase { passphrase } = source;
    if passphrase.expose().len() < MIN_PASSPHRASE_BYTES {
        let why = format!("a passphrase has at least {MIN_PASSPHRASE_BYTES} bytes");
        return Err(ErrorBody::new(Code::InputInvalid).because(why).next("choose a longer one"));
    }
    Ok(SecretBytes::from(passphrase.expose().to_owned()))
}

impl Serve for RestoreOwner {
    async fn serve(ask: Ask<Self>) -> Result<OwnerRestored, ErrorBody> {
        on_the_socket(&ask)?;
        let Ask { app, body, peer, now, .. } = ask;
        let passphrase = new_passphrase(&body.key_source)?;
        let key = by_phrase(&app, &peer, &body.phrase, now).await?;
        let owner_key = key.key_id();
        // Told before anything is written: no record, no effect.
        let entry = Entry::new(AuditEventKind::AuthorityChanged, OWNER);
        let entry = Box::new(entry.saying("the owner's key is stored under a new passphrase"));
        let told = app.ask(Request::Record { zone: owner_zone(), entry }).await;
        told.map_err(|failure| failed(&failure))?;
        let inner = Arc::clone(&app);
        blocking(move || {
            let mut fresh = entropy::fresh().map_err(|error| defect(&error))?;
            let keys = &inner.serving()?.keys;
            let stored =
                keys.restore_owner(&key, owner_key, &passphrase, Argon2Cost::RECOMMENDED, &mut fresh);
            stored.map_err(|error| ErrorBody::new(error.code()).because(error.to_string()))
        })
        .await?;
        Ok(OwnerRestored { owner_key })
    }
}
