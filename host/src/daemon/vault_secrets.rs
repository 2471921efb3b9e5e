//! Secrets from the vault to egress, and refreshed tokens back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::object::{AuditEventKind, CredentialRecord};
use fcp_runtime_tokio::drive::clock;
use tokio::task::{JoinError, JoinSet};

use super::connecting::named;
use crate::connectors::{Account, Chronicle, Opening, SecretError, Secrets};
use crate::egress::{EgressClient, OAuthToken, Refreshed, RefreshedToken, Secret as Sent, SecretValue};
use crate::vault::{CredentialKey, Metadata, OAuth2, Opened, Secret, Vault, VaultError};

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
            let failed = |code, message| SecretError { code, message };
            let opened = opened(&vault, &key, record).await;
            let opened = opened.map_err(|error| failed(Code::Internal, error.to_string()))?;
            let opened = opened.map_err(|error| failed(error.code(), error.to_string()))?;
            value(record, opened.metadata.version, &opened.secret).ok_or_else(|| {
                failed(Code::VaultInvalid, format!("the credential {} is no text", named(credential)))
            })
        })
    }
}

/// Opens a credential. What the audit is just being told of is waited for a little.
//= docs/spec/vault.md#refreshed-tokens
async fn opened(
    vault: &Arc<Vault>,
    key: &CredentialKey,
    record: u64,
) -> Result<Result<Opened, VaultError>, JoinError> {
    let mut tries = TELLING_TRIES;
    loop {
        let (disk, of) = (Arc::clone(vault), key.clone());
        let opened = tokio::task::spawn_blocking(move || disk.get(&of, record)).await?;
        let is_being_told = matches!(opened, Err(VaultError::Withheld(_))) && !vault.is_withheld(key, record);
        if !is_being_told || tries == 0 {
            return Ok(opened);
        }
        tries -= 1;
        tokio::time::sleep(TELLING_STEP).await;
    }
}

/// How often, and how long each time, a call waits for the audit to be told. Chosen: many times a flush of a slow disk.
const TELLING_TRIES: u32 = 100;
const TELLING_STEP: Duration = Duration::from_millis(20);

fn text(bytes: &SecretBytes) -> Option<Sent> {
    std::str::from_utf8(bytes.expose()).ok().map(|text| Sent::new(text.to_owned()))
}

/// Whether a call could be opened with the secret.
pub(crate) fn is_usable(secret: &Secret) -> bool {
    value(0, 0, secret).is_some_and(|value| value.is_usable())
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

/// Stores refreshed tokens before they are used, until the egress process ends and all of them are stored.
pub(super) async fn keep_refreshed(
    vault: Arc<Vault>,
    chronicle: Arc<dyn Chronicle>,
    client: EgressClient,
    mut refreshed: Refreshed,
) {
    let mut keeping = JoinSet::new();
    while let Some(token) = refreshed.recv().await {
        let (vault, chronicle, client) = (Arc::clone(&vault), Arc::clone(&chronicle), client.clone());
        // Beside the next: no token waits for another's.
        keeping.spawn(async move {
            let refresh = token.refresh;
            let stored = keep(vault, &*chronicle, token).await;
            if let Err(error) = client.acknowledge(refresh, stored).await {
                tracing::warn!(%error, "egress was not told of a stored token");
            }
        });
        while keeping.try_join_next().is_some() {}
    }
    while keeping.join_next().await.is_some() {}
}

/// The generation as which a token is stored, once it is and the audit was told.
async fn keep(vault: Arc<Vault>, chronicle: &dyn Chronicle, refreshed: RefreshedToken) -> Option<u64> {
    let RefreshedToken { connector, zone, credential, token, .. } = refreshed;
    let (key, record) = (CredentialKey { zone, connector, name: credential }, token.record);
    let mut stored = store(&vault, &key, token).await;
    if let Some(version) = stored
        && !give_out(&vault, chronicle, &key, record, version).await
    {
        stored = None;
    }
    vault.give_again(&key, record);
    stored
}

/// Gives out what an earlier daemon stored and could not tell the audit of any more.
//= docs/spec/vault.md#refreshed-tokens
pub(super) async fn give_out_untold(vault: Arc<Vault>, chronicle: Arc<dyn Chronicle>) {
    let disk = Arc::clone(&vault);
    let listing = tokio::task::spawn_blocking(move || disk.list()).await;
    let Ok(Ok(listing)) = listing else {
        tracing::error!("the vault cannot be listed: what the audit was not told of is given to nobody");
        return;
    };
    for Metadata { key, version, record, .. } in listing.credentials.into_iter().filter(|it| it.untold) {
        let record = record.unwrap_or(version);
        give_out(&vault, &*chronicle, &key, record, version).await;
        vault.give_again(&key, record);
    }
}

/// Tells the audit of a stored token and then gives it out; whether it was.
async fn give_out(
    vault: &Arc<Vault>,
    chronicle: &dyn Chronicle,
    key: &CredentialKey,
    record: u64,
    version: u64,
) -> bool {
    if !tell(vault, chronicle, key, record).await {
        return false;
    }
    let (disk, of) = (Arc::clone(vault), key.clone());
    let told = until_the_disk_takes_it(vault, key, record, move || disk.told(&of, version)).await;
    told.is_some()
}

/// What the audit is told before a refreshed token is used.
fn account(key: &CredentialKey) -> Account {
    Account {
        zone: key.zone.clone(),
        kind: AuditEventKind::SecretStored,
        connector: key.connector.clone(),
        operation: None,
        call: None,
        code: None,
        detail: format!("{}, refreshed", key.name),
    }
}

/// Tells the audit of a stored token; it is given to nobody while that cannot be. Whether it was told.
//= docs/spec/audit.md#connectors
async fn tell(vault: &Vault, chronicle: &dyn Chronicle, key: &CredentialKey, record: u64) -> bool {
    let mut pause = FIRST_PAUSE;
    loop {
        match chronicle.tell(account(key)).await {
            Ok(()) => return true,
            Err((code @ (Code::Draining | Code::CeremonyRequired), message)) => {
                tracing::error!(credential = %key, %code, message, "nobody is left to be told of a refreshed token");
                return false;
            }
            Err((code, message)) => {
                tracing::error!(credential = %key, %code, message, "a refreshed token waits until the audit is told");
                vault.withhold(key, record);
            }
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// The generation as which a token is stored, once it is: the service has taken the one before, so it is tried until the
/// disk takes it or another secret has come in its place. Meanwhile it is withheld.
//= docs/spec/vault.md#refreshed-tokens
async fn store(vault: &Arc<Vault>, key: &CredentialKey, token: OAuthToken) -> Option<u64> {
    let (record, expected) = (token.record, token.generation);
    let secret = secret(token);
    let (disk, of) = (Arc::clone(vault), key.clone());
    let replace = move || disk.replace_if_version(&of, expected, &secret, clock::now().unix);
    until_the_disk_takes_it(vault, key, record, replace).await
}

/// What a change of the vault answers once the disk takes it; absent if it is never to be made. Until then the credential is
/// withheld.
async fn until_the_disk_takes_it<T: Send + 'static>(
    vault: &Vault,
    key: &CredentialKey,
    record: u64,
    change: impl Fn() -> Result<T, VaultError> + Send + Sync + 'static,
) -> Option<T> {
    let change = Arc::new(change);
    let mut pause = FIRST_PAUSE;
    loop {
        let change = Arc::clone(&change);
        match tokio::task::spawn_blocking(move || change()).await {
            Ok(Ok(made)) => return Some(made),
            Ok(Err(error)) if error.passes() => {
                tracing::error!(credential = %key, %error, "a refreshed token waits for the disk");
                vault.withhold(key, record);
            }
            Ok(Err(error)) => {
                tracing::error!(credential = %key, %error, "a refreshed token is not stored any more");
                return None;
            }
            Err(error) => {
                tracing::error!(credential = %key, %error, "a refreshed token may not be stored");
                return None;
            }
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// A token as the vault takes it.
fn secret(token: OAuthToken) -> Secret {
    let bytes = |secret: &Sent| SecretBytes::from(secret.expose().to_owned());
    Secret::OAuth2(Box::new(OAuth2 {
        access: bytes(&token.access_token),
        refresh: token.refresh_token.as_ref().map(bytes),
        expires_at: token.expires_at,
        token_url: token.token_url,
        client_id: token.client_id,
        client_secret: token.client_secret.as_ref().map(bytes),
    }))
}

/// Between the first two tries to store a token; each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause. Chosen: soon enough after a disk has got room, and no load on one that has none.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::connectors::Telling;
    use crate::home::faulty::{Fault, Faulty};
    use crate::vault::tests::{key, vault_on};

    fn refreshed(text: &str) -> RefreshedToken {
        let CredentialKey { zone, connector, name } = key("z:work", "github", "main");
        RefreshedToken {
            refresh: 1,
            connector,
            zone,
            credential: name,
            token: OAuthToken {
                record: 1,
                generation: 1,
                access_token: Sent::new(text.to_owned()),
                expires_at: None,
                refresh_token: Some(Sent::new("refresh".into())),
                token_url: "https://login.example.com/token".into(),
                client_id: "client".into(),
                client_secret: None,
            },
        }
    }

    /// Chains that take nothing so many times, and answer as they are to.
    #[derive(Debug)]
    struct Chains {
        refusals: AtomicU32,
        answer: Code,
    }

    impl Chains {
        const fn refusing(times: u32, answer: Code) -> Self {
            Self { refusals: AtomicU32::new(times), answer }
        }
    }

    impl Chronicle for Chains {
        fn tell(&self, account: Account) -> Telling {
            assert_eq!((account.kind, &*account.detail), (AuditEventKind::SecretStored, "main, refreshed"));
            let left = self.refusals.load(Ordering::SeqCst).checked_sub(1);
            let answer = match left {
                Some(left) => {
                    self.refusals.store(left, Ordering::SeqCst);
                    Err((self.answer, "refused".to_owned()))
                }
                None => Ok(()),
            };
            Box::pin(async { answer })
        }
    }

    static TOLD: Chains = Chains::refusing(0, Code::StoreFull);

    /// It is in the vault at once, for the service has taken the one before, and is nobody's until the audit knows of it.
    //= docs/spec/audit.md#connectors
    #[tokio::test]
    async fn a_refreshed_token_is_given_to_nobody_before_the_audit_is_told() {
        let key = key("z:work", "github", "main");
        let disk = Faulty::sound();
        let (_folder, vault) = vault_on(&disk, &key, &secret(refreshed("old").token)).unwrap();
        let vault = Arc::new(vault);
        let chains = Arc::new(Chains::refusing(u32::MAX, Code::StoreFull));
        let (kept, told) = (Arc::clone(&vault), Arc::clone(&chains));
        let keeping = tokio::spawn(async move { keep(kept, &*told, refreshed("new")).await });
        while vault.withheld().is_empty() {
            tokio::time::sleep(FIRST_PAUSE).await;
        }
        assert_eq!(vault.get(&key, 1).unwrap_err().code(), Code::CredentialRefreshFailed);
        assert!(!keeping.is_finished());
        chains.refusals.store(0, Ordering::SeqCst);
        assert_eq!(keeping.await.unwrap(), Some(2));
        assert_eq!(vault.get(&key, 1).unwrap().secret, secret(refreshed("new").token));
    }

    //= docs/spec/audit.md#connectors
    #[tokio::test]
    async fn a_node_that_stops_is_not_waited_for_and_egress_does_not_use_what_it_was_not_told() {
        let key = key("z:work", "github", "main");
        let disk = Faulty::sound();
        let (_folder, vault) = vault_on(&disk, &key, &secret(refreshed("old").token)).unwrap();
        let vault = Arc::new(vault);
        let chains = Chains::refusing(1, Code::Draining);
        assert_eq!(keep(Arc::clone(&vault), &chains, refreshed("new")).await, None);
        assert_eq!(vault.get(&key, 1).unwrap_err(), VaultError::Withheld(key.clone()), "nor does the next");
        let chains = Arc::new(Chains::refusing(1, Code::StoreFull));
        give_out_untold(Arc::clone(&vault), chains).await;
        assert_eq!(vault.get(&key, 1).unwrap().secret, secret(refreshed("new").token), "it is not lost");
        assert!(vault.withheld().is_empty());
    }

    /// Another call that begins between the storing and the telling.
    //= docs/spec/vault.md#refreshed-tokens
    #[tokio::test]
    async fn a_call_waits_for_the_audit_to_be_told_and_not_for_a_disk_that_refuses() {
        let key = key("z:work", "github", "main");
        let disk = Faulty::sound();
        let (_folder, vault) = vault_on(&disk, &key, &secret(refreshed("old").token)).unwrap();
        let vault = Arc::new(vault);
        let version = vault.replace_if_version(&key, 1, &secret(refreshed("new").token), clock::now().unix);
        let (opener, of) = (Arc::clone(&vault), key.clone());
        let call = tokio::spawn(async move { opened(&opener, &of, 1).await.unwrap() });
        tokio::time::sleep(TELLING_STEP).await;
        assert!(!call.is_finished());
        assert!(give_out(&vault, &TOLD, &key, 1, version.unwrap()).await);
        assert_eq!(call.await.unwrap().unwrap().secret, secret(refreshed("new").token));

        vault.replace_if_version(&key, 2, &secret(refreshed("newer").token), clock::now().unix).unwrap();
        vault.withhold(&key, 1);
        assert_eq!(opened(&vault, &key, 1).await.unwrap().unwrap_err(), VaultError::Withheld(key));
    }

    //= docs/spec/vault.md#refreshed-tokens
    #[tokio::test]
    async fn a_refreshed_token_outlives_every_fault_of_the_disk() {
        let key = key("z:work", "github", "main");
        for at in 0.. {
            let disk = Faulty::new(at, Fault::Once);
            let Some((folder, vault)) = vault_on(&disk, &key, &secret(refreshed("old").token)) else {
                continue;
            };
            let vault = Arc::new(vault);
            let stored = keep(Arc::clone(&vault), &TOLD, refreshed("new")).await;
            assert_eq!(stored, Some(2), "step {at}");
            assert!(vault.withheld().is_empty());
            let opened = vault.get(&key, 1).unwrap();
            assert_eq!((opened.metadata.version, opened.secret), (2, secret(refreshed("new").token)));
            drop(folder);
            if !disk.happened() {
                return;
            }
        }
    }

    /// Whoever used the old one would spend it twice; a secret that an operator puts in its place is another.
    //= docs/spec/vault.md#refreshed-tokens
    #[tokio::test]
    async fn what_waits_for_the_disk_is_given_to_nobody_until_it_is_replaced() {
        let key = key("z:work", "github", "main");
        let disk = Faulty::sound();
        let (_folder, vault) = vault_on(&disk, &key, &secret(refreshed("old").token)).unwrap();
        let vault = Arc::new(vault);
        disk.refuse(true);
        let storing = tokio::spawn(keep(Arc::clone(&vault), &TOLD, refreshed("new")));
        while vault.withheld().is_empty() {
            tokio::time::sleep(FIRST_PAUSE).await;
        }
        assert_eq!(vault.get(&key, 1).unwrap_err().code(), Code::CredentialRefreshFailed);
        disk.refuse(false);
        let version =
            vault.put(&key, "token", &secret(refreshed("signed in").token), clock::now().unix).unwrap();
        assert_eq!(
            storing.await.unwrap(),
            Some(version + 1),
            "the record of the new one may still be refused"
        );
        vault.settle(&key, version).unwrap();
        assert_eq!(vault.get(&key, version).unwrap().secret, secret(refreshed("signed in").token));
    }
}
