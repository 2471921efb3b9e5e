//! The calls that are open now, and the revocations that end them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use fcp_proto_core::ids::{ConnectorId, CredentialId, ZoneId};
use fcp_state_machines::call::egress::{EgressHandle, OpenCall, OpenRefusal, Refusal, Scope, Seals};
use tokio::sync::watch;
use tokio::time::Instant;

use super::control::{CallReport, Effect, Identity, OpenWithSecrets, SecretValue, Strays};
use super::oauth::Refreshable;
use super::secret::Secret;
use super::upstream;

/// Why a call ended, seen by everything that works for it.
type Ending = watch::Receiver<Option<Refusal>>;

/// A call that is open, or that a revocation ended and the daemon has not closed yet.
pub(crate) struct LiveCall {
    pub(crate) open: OpenCall,
    pub(crate) deadline: Instant,
    state: Mutex<CallState>,
    ending: watch::Sender<Option<Refusal>>,
}

struct CallState {
    seal: u64,
    secrets: BTreeMap<String, CallSecret>,
    resolved: BTreeMap<String, Vec<IpAddr>>,
    report: CallReport,
}

/// A secret as the call uses it.
#[derive(Clone)]
pub(crate) enum CallSecret {
    Fixed(Secret),
    OAuth(Arc<Refreshable>),
}

impl LiveCall {
    /// The secret in a slot, until the call ends.
    pub(crate) fn secret(&self, slot: &str) -> Result<CallSecret, Refusal> {
        lock(&self.state).secrets.get(slot).cloned().ok_or(Refusal::CallClosed)
    }

    /// Every secret that no answer may repeat.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let state = lock(&self.state);
        let secrets = state.secrets.values().flat_map(|secret| match secret {
            CallSecret::Fixed(secret) => vec![secret.clone()],
            CallSecret::OAuth(shared) => shared.secrets(),
        });
        secrets.collect()
    }

    /// What a name resolved to the first time this call asked.
    pub(crate) fn resolved(&self, name: &str) -> Option<Vec<IpAddr>> {
        lock(&self.state).resolved.get(name).cloned()
    }

    /// Keeps what a name resolved to; a concurrent request's earlier answer stands.
    pub(crate) fn keep_resolved(&self, name: &str, answers: Vec<IpAddr>) -> Vec<IpAddr> {
        lock(&self.state).resolved.entry(name.to_owned()).or_insert(answers).clone()
    }

    /// Changes the report.
    pub(crate) fn record(&self, change: impl FnOnce(&mut CallReport)) {
        change(&mut lock(&self.state).report);
    }

    /// Whether a byte may have been sent.
    pub(crate) fn effect(&self) -> Effect {
        lock(&self.state).report.effect
    }

    /// Ends the call: wipes its secrets, stops its requests, and returns when the last has let go of its connection.
    async fn end(&self, why: Refusal) {
        lock(&self.state).secrets.clear();
        self.ending.send_replace(Some(why));
        self.ending.closed().await;
    }

    fn report(&self) -> CallReport {
        lock(&self.state).report.clone()
    }
}

/// A credential of a connector in a zone, by one of its signed records.
pub(crate) type TokenKey = (ConnectorId, ZoneId, CredentialId, u64);

/// All open calls.
#[derive(Default)]
pub(crate) struct Calls(Mutex<Table>);

#[derive(Default)]
struct Table {
    calls: BTreeMap<EgressHandle, Arc<LiveCall>>,
    seals: Seals,
    tokens: BTreeMap<TokenKey, Weak<Refreshable>>,
    /// Requests that named none of their connector's calls; one entry for each connector that is attached.
    strays: BTreeMap<(ConnectorId, ZoneId), u64>,
}

impl Calls {
    /// Opens a call.
    pub(crate) fn open(&self, message: OpenWithSecrets) -> Result<(), OpenRefusal> {
        let OpenWithSecrets { open, secrets } = message;
        open.check()?;
        let authorities = open.exceptions.iter().filter_map(|exception| exception.ca_pem.as_deref());
        if upstream::root_store(authorities).is_err() {
            return Err(OpenRefusal::AuthorityInvalid);
        }
        let mut table = lock(&self.0);
        if table.calls.len() >= MAX_OPEN_CALLS {
            return Err(OpenRefusal::Saturated);
        }
        if table.calls.contains_key(&open.handle) {
            return Err(OpenRefusal::HandleTwice);
        }
        if !table.seals.stands(&open, open.seal) {
            return Err(OpenRefusal::Revoked);
        }
        let slots = secrets.len();
        let mut kept = BTreeMap::new();
        for secret in secrets {
            let grant = open.credentials.iter().find(|grant| grant.slot == secret.slot);
            let grant = grant.ok_or(OpenRefusal::SecretMissing)?;
            let whose = (&open.connector, &open.zone, &grant.credential);
            kept.insert(secret.slot, table.admit_secret(whose, secret.secret)?);
        }
        if kept.len() != open.credentials.len() || slots != kept.len() {
            return Err(OpenRefusal::SecretMissing);
        }
        table.calls.insert(open.handle, Arc::new(live(open, kept)));
        Ok(())
    }

    /// The call a handle names, for the connection of its own connector and zone, with the news of its end.
    //= docs/spec/egress.md#connection
    pub(crate) fn find(
        &self,
        handle: &EgressHandle,
        identity: &Identity,
    ) -> Result<(Arc<LiveCall>, Ending), Refusal> {
        let table = lock(&self.0);
        let call = table.calls.get(handle).ok_or(Refusal::HandleInvalid)?;
        if call.open.connector != identity.connector || call.open.zone != identity.zone {
            return Err(Refusal::HandleInvalid);
        }
        let ending = call.ending.subscribe();
        if ending.borrow().is_some() {
            return Err(Refusal::HandleInvalid);
        }
        Ok((Arc::clone(call), ending))
    }

    /// Counts a request that named none of its connector's calls.
    //= docs/spec/egress.md#connection
    pub(crate) fn count_stray(&self, identity: &Identity) {
        let key = (identity.connector.clone(), identity.zone.clone());
        let mut table = lock(&self.0);
        let count = table.strays.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    /// What was counted since this was asked last.
    pub(crate) fn take_strays(&self) -> Vec<Strays> {
        let taken = std::mem::take(&mut lock(&self.0).strays).into_iter();
        taken
            .map(|((connector, zone), requests)| Strays { identity: Identity { connector, zone }, requests })
            .collect()
    }

    /// Whether no revocation has overtaken the call. Asked right before a credential is injected.
    pub(crate) fn stands(&self, call: &LiveCall) -> Result<(), Refusal> {
        let seal = lock(&call.state).seal;
        let ended = call.ending.borrow().clone();
        match ended {
            Some(why) => Err(why),
            None if lock(&self.0).seals.stands(&call.open, seal) => Ok(()),
            None => Err(Refusal::Revoked),
        }
    }

    /// Closes a call and reports on it.
    pub(crate) async fn close(&self, handle: &EgressHandle) -> Option<CallReport> {
        let call = {
            let mut table = lock(&self.0);
            table.seals.forget(handle);
            table.calls.remove(handle)?
        };
        call.end(Refusal::CallClosed).await;
        Some(call.report())
    }

    /// Ends what a revocation overtakes, before it returns. The calls stay known until they are closed.
    pub(crate) async fn revoke(&self, scope: Scope, sequence: u64) -> Vec<EgressHandle> {
        let overtaken: Vec<_> = {
            let mut table = lock(&self.0);
            table.seals.revoke(scope, sequence);
            let falls = |call: &&Arc<LiveCall>| !table.seals.stands(&call.open, lock(&call.state).seal);
            table.calls.values().filter(falls).cloned().collect()
        };
        for call in &overtaken {
            call.end(Refusal::Revoked).await;
        }
        overtaken.iter().map(|call| call.open.handle).collect()
    }

    /// Carries a call over to a newer revocation head. What has ended stays ended.
    pub(crate) fn reseal(&self, handle: &EgressHandle, seal: u64) -> bool {
        let table = lock(&self.0);
        let Some(call) = table.calls.get(handle).filter(|call| call.ending.borrow().is_none()) else {
            return false;
        };
        let mut state = lock(&call.state);
        state.seal = state.seal.max(seal);
        true
    }

    /// How many calls are open.
    pub(crate) fn count(&self) -> usize {
        lock(&self.0).calls.len()
    }
}

impl Table {
    /// Checks a secret; calls that use the same OAuth credential share it, so that it is refreshed once.
    fn admit_secret(
        &mut self,
        (connector, zone, credential): (&ConnectorId, &ZoneId, &CredentialId),
        value: SecretValue,
    ) -> Result<CallSecret, OpenRefusal> {
        if !value.is_usable() {
            return Err(OpenRefusal::SecretUnusable);
        }
        match value {
            SecretValue::Fixed(secret) => Ok(CallSecret::Fixed(secret)),
            SecretValue::OAuth(token) => {
                self.tokens.retain(|_, token| token.strong_count() > 0);
                let key = (connector.clone(), zone.clone(), credential.clone(), token.record);
                let shared = self.tokens.get(&key).and_then(Weak::upgrade);
                let shared = shared.filter(|shared| shared.generation() >= token.generation);
                let shared = shared.unwrap_or_else(|| Arc::new(Refreshable::new(key.clone(), token)));
                self.tokens.insert(key, Arc::downgrade(&shared));
                Ok(CallSecret::OAuth(shared))
            }
        }
    }
}

fn live(open: OpenCall, secrets: BTreeMap<String, CallSecret>) -> LiveCall {
    let report = CallReport {
        call: open.call,
        effect: Effect::None,
        requests: 0,
        bytes_sent: 0,
        bytes_received: 0,
        hosts: Vec::new(),
        statuses: Vec::new(),
        refusals: Vec::new(),
    };
    let state = CallState { seal: open.seal, secrets, resolved: BTreeMap::new(), report };
    LiveCall {
        // A deadline beyond what the clock can hold is no deadline the daemon meant.
        deadline: Instant::now() + Duration::from_millis(open.deadline_ms.min(MAX_DEADLINE_MS)),
        open,
        state: Mutex::new(state),
        ending: watch::Sender::new(None),
    }
}

/// Locks; a poisoned lock is taken over, since no critical section here leaves a value half-changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Most calls open at once. Chosen: far above what one node dispatches.
const MAX_OPEN_CALLS: usize = 4096;

/// Longest life of a call: one day.
const MAX_DEADLINE_MS: u64 = 86_400_000;
