//! Credentials: secrets go into the vault and never come out; what may be known of them is on record.

use std::sync::Arc;

use fcp_api::routes::{ListCredentials, PutCredential, RemoveCredential, TestCredential};
use fcp_api::types::{
    self, CredentialList, CredentialMaterial, CredentialRemoved, CredentialTest, CredentialView, ErrorBody,
};
use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CredentialId, ObjectId};
use fcp_proto_core::manifest::{AuthKind, AuthSlot, HostRule};
use fcp_proto_core::object::{CallOutcome, CredentialRecord, CredentialTest as Leave};
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::call::egress::Target;
use fcp_state_machines::node::{Answer, CallAnswer, Credential, Request};

use super::ceremony::blocking;
use super::denial::failed;
use super::mount::{Ask, Serve};
use super::sign::{admit, signed, unexpected};
use crate::daemon::{App, Made, Unlocked, is_usable};
use crate::vault::{CredentialKey, OAuth2, Secret, Vault, VaultError};

fn view(
    credential: &Credential,
    made: Option<Made>,
    accepted_at: Option<UnixTime>,
) -> Option<CredentialView> {
    let record = &credential.record;
    Some(CredentialView {
        name: record.credential.clone(),
        connector: record.connector.clone(),
        slot: record.slot.clone(),
        kind: record.kind.parse().ok()?,
        zone: credential.zone.clone(),
        hosts: record.hosts.clone(),
        version: record.version,
        stored_at: made.map(|made| made.at).unwrap_or_default(),
        accepted_at,
        record_id: made.map(|made| made.id).unwrap_or_default(),
    })
}

async fn known(app: &App, name: CredentialId) -> Result<Credential, ErrorBody> {
    let found = app.query(move |node, _| {
        let found = node.catalog().credentials().find(|it| it.record.credential == name).cloned();
        found.ok_or_else(|| {
            let none = ErrorBody::new(Code::NotFound).because(format!("there is no credential {name}"));
            none.next("`fwc auth list` lists the credentials")
        })
    });
    found.await?
}

impl Serve for ListCredentials {
    async fn serve(ask: Ask<Self>) -> Result<CredentialList, ErrorBody> {
        let (made, accepted) = {
            let records = ask.app.records();
            (records.credentials.clone(), records.accepted.clone())
        };
        let credentials = ask.app.query(move |node, _| {
            let all = node.catalog().credentials();
            let of = |it: &Credential| {
                let name = &it.record.credential;
                view(it, made.get(name).copied(), accepted.get(name).copied())
            };
            all.filter_map(of).collect()
        });
        Ok(CredentialList { credentials: credentials.await? })
    }
}

/// The secret, if it is of the kind that the slot takes.
fn secret(slot: &AuthSlot, material: CredentialMaterial) -> Result<Secret, ErrorBody> {
    let bytes = |secret: fcp_api::secret::Secret| SecretBytes::from(secret.expose().to_owned());
    let secret = match (slot.kind, material) {
        (AuthKind::Bearer, CredentialMaterial::Bearer { token }) => Secret::Bearer(bytes(token)),
        (AuthKind::Header, CredentialMaterial::Header { value }) => Secret::Header(bytes(value)),
        (AuthKind::Basic, CredentialMaterial::Basic { username, password }) => {
            Secret::Basic { user: username.into(), password: bytes(password) }
        }
        (
            AuthKind::Oauth2,
            CredentialMaterial::Oauth2 { access_token, refresh_token, expires_at, client_id, client_secret },
        ) => Secret::OAuth2(Box::new(OAuth2 {
            access: bytes(access_token),
            refresh: refresh_token.map(bytes),
            expires_at,
            token_url: slot.token_url.clone().unwrap_or_default(),
            client_id: client_id.unwrap_or_default(),
            client_secret: client_secret.map(bytes),
        })),
        (kind, _) => {
            let why = format!("the slot takes a secret of the kind `{}`", kind.as_str());
            return Err(ErrorBody::new(Code::InputInvalid).because(why));
        }
    };
    secret.check().map_err(|error| ErrorBody::new(Code::InputInvalid).because(error.to_string()))?;
    if is_usable(&secret) {
        Ok(secret)
    } else {
        let why =
            "a secret has 8 bytes to 8 KiB: a shorter one would be found by chance in what a service answers";
        Err(ErrorBody::new(Code::InputInvalid).because(why).next("`fwc auth set` with the secret whole"))
    }
}

/// The hosts that the credential may be sent to, by name: what the operator signs must not move when the configuration
/// changes.
fn hosts(slot: &AuthSlot, config: &serde_json::Value) -> Result<Vec<String>, ErrorBody> {
    let invalid = |why: String| ErrorBody::new(Code::ConfigInvalid).because(why);
    let host = |rule: &HostRule| match rule {
        HostRule::Exact(_) | HostRule::Below(_) => Ok(String::from(rule.clone())),
        HostRule::Config(name) => {
            let url = config.get(name).and_then(serde_json::Value::as_str);
            let url = url.ok_or_else(|| invalid(format!("`{name}` is not set")))?;
            let target = Target::parse(url).map_err(|refusal| invalid(format!("`{name}`: {refusal}")))?;
            Ok(target.origin.host.to_string())
        }
    };
    slot.hosts.iter().map(host).collect()
}

fn vault_failed(error: &VaultError) -> ErrorBody {
    ErrorBody::new(error.code()).because(error.to_string())
}

/// The slot that a credential of this name would fill, and the hosts that it may be sent to.
async fn slot(
    app: &App,
    name: &CredentialId,
    body: &types::PutCredential,
) -> Result<(AuthSlot, Vec<String>), ErrorBody> {
    let (connector, slot_name, zone, wanted) =
        (body.connector.clone(), body.slot.clone(), body.zone.clone(), name.clone());
    let checked = app.query(move |node, _| {
        let installed = node.catalog().get(&connector).ok_or_else(|| {
            ErrorBody::new(Code::ConnectorUnknown).because(format!("{connector} is not installed"))
        })?;
        if !installed.install.zones.contains(&zone) {
            return Err(ErrorBody::new(Code::ConnectorNotInZone)
                .because(format!("{connector} is not bound to {zone}")));
        }
        let other = node.catalog().credentials().find(|it| it.record.credential == wanted);
        if other.is_some_and(|it| it.record.connector != connector || it.zone != zone) {
            let why = format!("the name {wanted} is a credential of another connector or zone");
            return Err(ErrorBody::new(Code::Conflict).because(why));
        }
        let slot = installed.manifest.auth.get(&slot_name).cloned().ok_or_else(|| {
            ErrorBody::new(Code::NotFound)
                .because(format!("{connector} has no slot {slot_name:?}"))
                .next(format!("`fwc show {connector}` lists the slots"))
        })?;
        let hosts = hosts(&slot, &installed.config)?;
        Ok((slot, hosts))
    });
    checked.await?
}

/// What became of a credential's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is durable.
    InForce,
    /// Nothing of it is or will be stored.
    Refused,
    /// Nobody knows before the journal is read again; then the vault is brought in line with it.
    Unknown,
}

impl Fate {
    //= docs/spec/vault.md#changes
    fn of<T>(admitted: &Result<T, ErrorBody>) -> Self {
        match admitted {
            Ok(_) => Self::InForce,
            Err(error) if matches!(error.code, Code::StoreFailed | Code::Draining) => Self::Unknown,
            Err(_) => Self::Refused,
        }
    }
}

impl Serve for PutCredential {
    async fn serve(ask: Ask<Self>) -> Result<CredentialView, ErrorBody> {
        let name: CredentialId = ask.path(0)?;
        let Ask { app, body, caller, now, .. } = ask;
        let operator = Arc::clone(caller.as_operator()?);
        whole(put(Arc::clone(&app), operator, name.clone(), body, now.unix)).await?;
        let stored = known(&app, name.clone()).await?;
        let made = app.records().credentials.get(&name).copied();
        view(&stored, made, None).ok_or_else(|| super::status::broken("a credential's kind is unknown"))
    }
}

/// Stores a secret and the record by which it is in force. The sealed secret is durable before its record: whenever this
/// stops, the old credential stands or the new one.
//= docs/spec/vault.md#changes
async fn put(
    app: Arc<App>,
    operator: Arc<Unlocked>,
    name: CredentialId,
    body: types::PutCredential,
    now: UnixTime,
) -> Result<(), ErrorBody> {
    let _one_change = app.serving()?.credentials.lock().await;
    let (slot, hosts) = slot(&app, &name, &body).await?;
    let types::PutCredential { connector, slot: slot_name, zone, material } = body;
    let (secret, kind) = (secret(&slot, material)?, slot.kind.as_str().to_owned());
    let key = CredentialKey { zone, connector: connector.clone(), name: name.clone() };
    let vault = Arc::clone(&app.serving()?.vault);
    let (store, sealed, sealed_slot) = (Arc::clone(&vault), key.clone(), slot_name.clone());
    let store = move || store.put(&sealed, &sealed_slot, &secret, now).map_err(|error| vault_failed(&error));
    let version = blocking(store).await?;
    let record = CredentialRecord {
        credential: name,
        connector,
        slot: slot_name,
        kind,
        hosts,
        version,
        removed: false,
    };
    let admitted = admit(&app, &operator, &key.zone, record).await.map(|_| ());
    settle(vault, key, version, Fate::of(&admitted)).await.and(admitted)
}

/// Removes the secret that its record has not put in force, or those before it.
async fn settle(vault: Arc<Vault>, key: CredentialKey, version: u64, fate: Fate) -> Result<(), ErrorBody> {
    blocking(move || {
        let settled = match fate {
            Fate::InForce => vault.settle(&key, version),
            Fate::Refused => vault.discard(&key, version),
            Fate::Unknown => Ok(()),
        };
        settled.map_err(|error| vault_failed(&error))
    })
    .await
}

impl Serve for RemoveCredential {
    async fn serve(ask: Ask<Self>) -> Result<CredentialRemoved, ErrorBody> {
        let name: CredentialId = ask.path(0)?;
        let Ask { app, caller, now, .. } = ask;
        let operator = caller.as_operator()?;
        let record_id = whole(remove(app, Arc::clone(operator), name.clone(), now.unix)).await?;
        Ok(CredentialRemoved { name, record_id })
    }
}

/// First nothing may use it any more, then it goes.
async fn remove(
    app: Arc<App>,
    operator: Arc<Unlocked>,
    name: CredentialId,
    now: UnixTime,
) -> Result<ObjectId, ErrorBody> {
    let vault = Arc::clone(&app.serving()?.vault);
    let _one_change = app.serving()?.credentials.lock().await;
    let Credential { zone, record } = known(&app, name.clone()).await?;
    let key = CredentialKey { zone: zone.clone(), connector: record.connector.clone(), name };
    let record_id = admit(&app, &operator, &zone, CredentialRecord { removed: true, ..record }).await?;
    blocking(move || match vault.remove(&key, now) {
        Ok(()) | Err(VaultError::Missing(_)) => Ok(()),
        Err(error) => Err(vault_failed(&error)),
    })
    .await?;
    Ok(record_id)
}

/// Does it to its end, though the caller may hang up in the middle.
async fn whole<T: Send + 'static>(
    change: impl Future<Output = Result<T, ErrorBody>> + Send + 'static,
) -> Result<T, ErrorBody> {
    tokio::spawn(change).await.map_err(|error| ErrorBody::new(Code::Internal).because(error.to_string()))?
}

impl Serve for TestCredential {
    async fn serve(ask: Ask<Self>) -> Result<CredentialTest, ErrorBody> {
        let name: CredentialId = ask.path(0)?;
        let Ask { app, caller, .. } = ask;
        let operator = caller.as_operator()?;
        let Credential { zone, record } = known(&app, name.clone()).await?;
        let connector = record.connector.clone();
        let health =
            app.query(move |node, _| node.catalog().get(&connector)?.manifest.lifecycle.health.clone());
        let probe = health.await?.map(|id| id.to_string()).unwrap_or_default();
        let fields = Leave { operator: operator.operator.clone(), credential: name.clone() };
        let test = Box::new(signed(&app, operator, &zone, fields).await?);
        let actor = operator.operator.as_str().to_owned();
        match app.ask(Request::TestCredential { test, actor }).await {
            Ok(Answer::Called(answer)) => tested(name, probe, answer),
            Ok(other) => Err(unexpected(&other)),
            Err(failure) if failure.code == Code::OperationUnknown => Err(failed(&failure).next(format!(
                "nothing harmless can be called by itself; let an agent call a read operation of {} with it",
                record.connector
            ))),
            Err(failure) => Err(failed(&failure)),
        }
    }
}

/// What the service said. Where it was not reached, nothing is said of the credential.
fn tested(name: CredentialId, probe: String, answer: CallAnswer) -> Result<CredentialTest, ErrorBody> {
    let receipt = format!("the receipt {} tells of the call", answer.receipt);
    match (answer.outcome, answer.error) {
        // The connector's own good word; nobody was asked.
        (CallOutcome::Succeeded, _) if answer.usage.requests == 0 => Err(ErrorBody::new(
            Code::ConnectorFailed,
        )
        .because(format!("the credential could not be tried: the connector made no request; {receipt}"))),
        (CallOutcome::Succeeded, _) => {
            Ok(CredentialTest { name, accepted: true, probe, detail: Some(receipt) })
        }
        (CallOutcome::Failed, Some((Code::UpstreamUnauthorized, message))) => {
            Ok(CredentialTest { name, accepted: false, probe, detail: Some(format!("{message}; {receipt}")) })
        }
        (CallOutcome::Failed | CallOutcome::Unknown, error) => {
            let (code, message) =
                error.unwrap_or_else(|| (Code::ConnectorFailed, Code::ConnectorFailed.meaning().to_owned()));
            Err(ErrorBody::new(code)
                .because(format!("the credential could not be tried: {message}; {receipt}")))
        }
    }
}
