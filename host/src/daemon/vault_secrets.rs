//! Secrets from the vault to egress, and refreshed tokens back.

use std::fmt;
use std::sync::Arc;

use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::object::{AuditEventKind, CredentialRecord};
use fcp_runtime_tokio::drive::clock;

use super::connecting::named;
use crate::connectors::{Account, Chronicle, Opening, SecretError, Secrets};
use crate::egress::{EgressClient, OAuthToken, Refreshed, RefreshedToken, Secret as Sent, SecretValue};
use crate::vault::{CredentialKey, OAuth2, Secret, Vault};

/// Opens stored secrets for egress.
pub(super) struct VaultSecrets {
    vault: Arc<Vault>,
}

impl VaultSecrets {
    /// From this vault.
    pub(super) const fn new(vault: Arc<Vault>) -> Self {
        Self { vault }
    }
}

impl fmt::Debug for VaultSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultSecrets")
    }
}

impl Secrets for VaultSecrets {
    fn open<'a>(&'a self, zone: &'a ZoneId, credential: &'a CredentialRecord) -> Opening<'a> {
        let vault = Arc::clone(&self.vault);
        let key = CredentialKey {
            zone: zone.clone(),
            connector: credential.connector.clone(),
            name: credential.credential.clone(),
        };
        let record = credential.version;
        Box::pin(async move {
            let opened = tokio::task::spawn_blocking(move || vault.get(&key, record)).await;
            let failed = |code, message| SecretError { code, message };
            let opened = opened.map_err(|error| failed(Code::Internal, error.to_string()))?;
            let opened = opened.map_err(|error| failed(error.code(), error.to_string()))?;
            value(record, opened.metadata.version, &opened.secret).ok_or_else(|| {
                failed(Code::VaultInvalid, format!("the credential {} is no text", named(credential)))
            })
        })
    }
}

fn text(bytes: &SecretBytes) -> Option<Sent> {
    std::str::from_utf8(bytes.expose()).ok().map(|text| Sent::new(text.to_owned()))
}

/// A secret as egress takes it.
fn value(record: u64, version: u64, secret: &Secret) -> Option<SecretValue> {
    match secret {
        Secret::Bearer(bytes) | Secret::Header(bytes) => text(bytes).map(SecretValue::Fixed),
        Secret::Basic { user, password } => {
            let (user, password) = (text(user)?, text(password)?);
            Some(SecretValue::Fixed(Sent::new(format!("{}:{}", user.expose(), password.expose()))))
        }
        Secret::OAuth2(tokens) => Some(SecretValue::OAuth(OAuthToken {
            record,
            generation: version,
            access_token: text(&tokens.access)?,
            expires_at: tokens.expires_at,
            refresh_token: tokens.refresh.as_ref().map(text).map_or(Some(None), |it| it.map(Some))?,
            token_url: tokens.token_url.clone(),
            client_id: tokens.client_id.clone(),
            client_secret: tokens.client_secret.as_ref().map(text).map_or(Some(None), |it| it.map(Some))?,
        })),
    }
}

/// Stores refreshed tokens before they are used, until the egress process ends.
pub(super) async fn keep_refreshed(
    vault: Arc<Vault>,
    chronicle: Arc<dyn Chronicle>,
    client: EgressClient,
    mut refreshed: Refreshed,
) {
    while let Some(token) = refreshed.recv().await {
        let (vault, refresh, account) = (Arc::clone(&vault), token.refresh, account(&token));
        let stored = tokio::task::spawn_blocking(move || store(&vault, token)).await.unwrap_or_default();
        let telling = stored.map(|_| chronicle.tell(account));
        let client = client.clone();
        // Beside the next: no token waits for another's acknowledgement.
        tokio::spawn(async move {
            let told = match telling {
                Some(telling) => telling.await.is_ok(),
                None => false,
            };
            let stored = stored.filter(|_| told);
            if let Err(error) = client.acknowledge(refresh, stored).await {
                tracing::warn!(%error, "egress was not told of a stored token");
            }
        });
    }
}

/// What the audit is told before a refreshed token is used.
//= docs/spec/audit.md#connectors
fn account(token: &RefreshedToken) -> Account {
    Account {
        zone: token.zone.clone(),
        kind: AuditEventKind::SecretStored,
        connector: token.connector.clone(),
        operation: None,
        call: None,
        code: None,
        detail: format!("{}, refreshed", token.credential),
    }
}

/// The generation as which it is stored.
fn store(vault: &Vault, refreshed: RefreshedToken) -> Option<u64> {
    let RefreshedToken { connector, zone, credential, token, .. } = refreshed;
    let bytes = |secret: &Sent| SecretBytes::from(secret.expose().to_owned());
    let secret = Secret::OAuth2(Box::new(OAuth2 {
        access: bytes(&token.access_token),
        refresh: token.refresh_token.as_ref().map(bytes),
        expires_at: token.expires_at,
        token_url: token.token_url,
        client_id: token.client_id,
        client_secret: token.client_secret.as_ref().map(bytes),
    }));
    let key = CredentialKey { zone, connector, name: credential };
    let stored = vault.replace_if_version(&key, token.generation, &secret, clock::now().unix);
    stored.inspect_err(|error| tracing::error!(%error, "a refreshed token was not stored")).ok()
}
