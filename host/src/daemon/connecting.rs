//! Runs connectors for the node: what is installed, what its owner opened for it, and the secrets it may use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fcp_api::types::{ConnectorHealth, Warning, WarningKind};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, CredentialId, KeyId, ZoneId};
use fcp_proto_core::manifest::Runtime;
use fcp_proto_core::manifest::package::Package;
use fcp_proto_core::object::{CredentialRecord, RevocationObject};
use fcp_proto_core::time::Now;
use fcp_runtime_tokio::drive::{Outcomes, clock, entropy};
use fcp_state_machines::node::{Dispatch, Installed, Node, Outcome};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::app::App;
use super::chronicle::Chronicle;
use super::egress_process::{self, Alive, Follower};
use super::error::StartError;
use super::exceptions;
use super::health;
use super::reinstalling::accept_engine;
use super::runner::Runner;
use super::unrunnable::Unrunnable;
use super::vault_secrets::{VaultSecrets, keep_refreshed};
use crate::connectors::{
    self, Engine, Installation, Launch, Limits, OffLimits, ProcessStatus, Program, RunnerConfig,
};
use crate::egress::{EgressClient, Refreshed};
use crate::home::HealthCredential;
use crate::sandbox::Sandbox;
use crate::vault::Vault;

/// Runs connectors for the node.
pub struct Connecting {
    runner: connectors::Runner,
    secrets: Arc<VaultSecrets>,
    packages: PathBuf,
    engine: Engine,
    off_limits: OffLimits,
    outcomes: Outcomes,
    installed: Mutex<BTreeMap<ConnectorId, Result<Arc<Installation>, Unrunnable>>>,
    statuses: Arc<Mutex<Vec<ProcessStatus>>>,
    alive: Arc<Alive>,
    /// What the settings say of health.
    health: Vec<HealthCredential>,
    /// How many revocations and disablings are being carried out.
    closing: watch::Sender<usize>,
    stop: watch::Sender<bool>,
    keeping: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connecting")
    }
}

/// What follows the life of egress processes: the runner, and the vault for refreshed tokens.
struct Followers {
    runner: connectors::Runner,
    vault: Arc<Vault>,
    chronicle: Arc<Chronicle>,
}

impl Follower for Followers {
    fn replaced(&self, client: EgressClient) {
        self.runner.egress_replaced(client);
    }

    fn refreshing(&self, client: EgressClient, refreshed: Refreshed) -> JoinHandle<()> {
        let (vault, chronicle) = (Arc::clone(&self.vault), Arc::clone(&self.chronicle));
        tokio::spawn(keep_refreshed(vault, chronicle, client, refreshed))
    }
}

impl Connecting {
    /// Starts the egress process and makes a runner; needs a running runtime.
    ///
    /// # Errors
    /// The launcher is missing, or what the system answers.
    pub fn start(app: &App, vault: &Arc<Vault>, outcomes: Outcomes) -> Result<Arc<Self>, StartError> {
        let (programs, sandbox) = (app.programs(), sandbox(app)?);
        let egress = egress_process::start().map_err(|error| StartError::Runner {
            code: Code::EgressUnavailable,
            message: format!("the egress process does not start: {error}"),
        })?;
        let runner = connectors::Runner::new(RunnerConfig {
            sandbox,
            engine: programs.join("fcp-connector-engine"),
            egress: egress.client.clone(),
            clock: clock::now,
            entropy: entropy::fresh().map_err(StartError::Entropy)?,
            chronicle: Arc::<Chronicle>::clone(&app.chronicle) as Arc<dyn connectors::Chronicle>,
            limits: Limits { supervised: app.config().supervision.clone(), ..Limits::default() },
            off_limits: app.off_limits(),
        });
        let (alive, stop) = (Alive::new(), watch::Sender::new(false));
        let (vault_kept, chronicle) = (Arc::clone(vault), Arc::clone(&app.chronicle));
        let followers = Arc::new(Followers { runner: runner.clone(), vault: vault_kept, chronicle });
        let keeping =
            tokio::spawn(egress_process::keep(egress, Arc::clone(&alive), followers, stop.subscribe()));
        let statuses = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(watch_statuses(runner.clone(), Arc::clone(&statuses), stop.subscribe()));
        Ok(Arc::new(Self {
            runner,
            secrets: Arc::new(VaultSecrets::new(Arc::clone(vault))),
            packages: app.home.packages(),
            engine: Engine::new(programs.join("fcp-connector-engine")),
            off_limits: app.off_limits(),
            health: app.config().health.clone(),
            outcomes,
            installed: Mutex::new(BTreeMap::new()),
            statuses,
            alive,
            closing: watch::Sender::new(0),
            stop,
            keeping: Mutex::new(Some(keeping)),
        }))
    }

    /// Whether everything is there that running connectors needs, before anything is begun.
    ///
    /// # Errors
    /// The launcher is missing.
    pub fn check(app: &App) -> Result<(), StartError> {
        sandbox(app).map(|_| ())
    }

    /// Does what closes something; [`Runner::closed`] waits for it.
    fn while_closing(&self, work: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        closing.send_modify(|open| *open += 1);
        tokio::spawn(async move {
            work.await;
            closing.send_modify(|open| *open -= 1);
        });
    }

    fn installed(&self) -> MutexGuard<'_, BTreeMap<ConnectorId, Result<Arc<Installation>, Unrunnable>>> {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong with the engine that a declarative connector was installed with.
    //= docs/spec/connectors.md#the-engine
    fn check_engine(&self, installed: &Installed) -> Result<(), Unrunnable> {
        let install = &installed.install;
        if installed.manifest.connector.runtime != Runtime::Declarative {
            return Ok(());
        }
        let found = self.engine.digest().map_err(|error| format!("the engine: {error}"))?;
        if found == install.code_digest {
            return Ok(());
        }
        let message = format!(
            "the engine beside the daemon has the digest {found}, and {} was installed with {}",
            install.connector, install.code_digest
        );
        let remedy =
            format!("`{}` accepts the engine that is there now", accept_engine(&self.packages, install));
        Err(Unrunnable { code: Code::EngineChanged, message, remedy: Some(remedy) })
    }

    /// What is wrong with the paths that it was installed with.
    fn check_paths(&self, installed: &Installed) -> Result<(), Unrunnable> {
        let checked = connectors::check_paths(&installed.manifest, &installed.config, &self.off_limits);
        checked.map_err(|message| Unrunnable {
            code: Code::ConnectorUnavailable,
            message,
            remedy: Some("install it again with other paths: `fwc install PACKAGE --config JSON`".into()),
        })
    }

    /// What runs: the engine, or the code inside the package that is kept under its digest.
    fn program(&self, installed: &Installed) -> Result<Program, String> {
        match installed.manifest.connector.runtime {
            Runtime::Declarative => Ok(Program::Engine),
            Runtime::Native => {
                let path = self.packages.join(installed.install.package_digest.to_string());
                let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                let package =
                    Package::inspect(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
                Ok(Program::Bytes(package.code().into()))
            }
        }
    }

    fn read(&self, node: &Node, installed: &Installed, now: Now) -> Result<Installation, Unrunnable> {
        self.check_engine(installed)?;
        self.check_paths(installed)?;
        let lowered = exceptions::lowered(node, &installed.install.connector, now)?;
        Ok(Installation {
            manifest: installed.manifest.clone(),
            config: installed.config.clone(),
            program: self.program(installed)?,
            code_digest: installed.install.code_digest,
            package_digest: installed.install.package_digest,
            egress_exceptions: lowered.addresses,
            sandbox_exceptions: lowered.properties,
        })
    }

    /// Reads a connector anew, and remembers what came of it; nothing if it is not installed.
    fn refresh(&self, node: &Node, connector: &ConnectorId) -> Option<Result<Arc<Installation>, Unrunnable>> {
        let read = node.catalog().get(connector).map(|installed| {
            let read = self.read(node, installed, clock::now()).map(Arc::new);
            read.inspect_err(|error| {
                tracing::error!(%connector, code = %error.code, error = error.message, "a connector cannot be run")
            })
        });
        match &read {
            Some(read) => self.installed().insert(connector.clone(), read.clone()),
            None => self.installed().remove(connector),
        };
        read
    }

    /// What a connector is started with now: an exception that ran out since is no longer part of it, and what could
    /// not be read before may be in order again.
    fn current(&self, node: &Node, connector: &ConnectorId) -> Result<Arc<Installation>, Unrunnable> {
        let known = self.installed().get(connector).cloned();
        let engine = node.catalog().get(connector).map_or(Ok(()), |installed| self.check_engine(installed));
        let fresh = match (known, exceptions::lowered(node, connector, clock::now())) {
            (Some(Ok(known)), Ok(lowered))
                if engine.is_ok()
                    && known.egress_exceptions == lowered.addresses
                    && known.sandbox_exceptions == lowered.properties =>
            {
                Some(Ok(known))
            }
            (Some(_), _) => self.refresh(node, connector),
            (None, _) => None,
        };
        fresh.unwrap_or_else(|| Err(format!("{connector} is not installed").into()))
    }

    /// What a call is started with.
    fn launch(&self, node: &Node, dispatch: &Dispatch) -> Result<Launch, Unrunnable> {
        let authorized = &dispatch.authorized;
        let (connector, zone) = (authorized.connector(), authorized.zone());
        let installation = self.current(node, connector)?;
        let health_credential = self.health_credential(node, &installation, zone);
        let keys = keys(node, dispatch, zone);
        let secrets = Arc::clone(&self.secrets);
        Ok(Launch { installation, secrets, health_credential, keys, progress: None })
    }

    /// The credential that health is exercised with: the one that the settings name, else the zone's only one.
    //= docs/spec/connectors.md#health
    fn health_credential(
        &self,
        node: &Node,
        installation: &Installation,
        zone: &ZoneId,
    ) -> Option<CredentialRecord> {
        let manifest = &installation.manifest;
        let slot = manifest.operation(manifest.lifecycle.health.as_ref()?)?.auth.as_ref()?;
        let connector = &manifest.connector.id;
        let fit = node.catalog().credentials_for(connector, zone, slot);
        let named = self.health.iter().find(|it| it.connector == *connector && it.zone == *zone);
        chosen(&fit, named.map(|it| &it.credential)).cloned()
    }
}

/// The named one of the credentials that fit, and no other in its place; the only one if none is named.
fn chosen<'a>(
    fit: &[&'a fcp_state_machines::node::Credential],
    named: Option<&CredentialId>,
) -> Option<&'a CredentialRecord> {
    match (named, fit) {
        (Some(named), fit) => fit.iter().find(|it| it.record.credential == *named).map(|it| &it.record),
        (None, [only]) => Some(&only.record),
        (None, _) => None,
    }
}

/// Sandboxes by the launcher that lies beside this program.
fn sandbox(app: &App) -> Result<Sandbox, StartError> {
    Sandbox::with_launcher(&app.programs().join("fcp-launcher"))
        .map_err(|error| StartError::Runner { code: error.code(), message: error.to_string() })
}

/// The keys on which a call's authority rests.
fn keys(node: &Node, dispatch: &Dispatch, zone: &ZoneId) -> BTreeSet<KeyId> {
    let issuance = node.issuance_key();
    let attested = node.authority().issuer(issuance).map(|it| it.signing_key.key_id());
    let caller = node.authority().keys_of(dispatch.authorized.principal());
    let zone = node.zone_key(zone).map(fcp_proto_core::object::ObjectIdKey::key_id);
    [Some(issuance), attested, zone].into_iter().flatten().chain(caller).collect()
}

impl Runner for Connecting {
    fn dispatch(&self, node: &Node, dispatch: Dispatch) {
        let call = dispatch.call_id;
        match self.launch(node, &dispatch) {
            Err(Unrunnable { code, message, .. }) => {
                self.outcomes.report(call, Outcome::NotDelivered { code, message });
            }
            Ok(launch) => {
                let (outcome, outcomes) = (self.runner.dispatch(dispatch, launch), self.outcomes.clone());
                tokio::spawn(async move { outcomes.report(call, outcome.await) });
            }
        }
    }

    fn cancel(&self, call: CallId) {
        self.runner.cancel(call);
    }

    fn revoked(&self, node: &Node, revocation: &RevocationObject) {
        let (runner, revocation) = (self.runner.clone(), revocation.clone());
        let head_seq = node.revocations().head_seq();
        self.while_closing(async move { runner.revoked(&revocation, head_seq).await });
    }

    fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            let mut closing = self.closing.subscribe();
            // The sender lives in `self`, so the wait ends only by the count.
            closing.wait_for(|open| *open == 0).await.ok();
        })
    }

    fn reconfigured(&self, node: &Node, connector: &ConnectorId) {
        drop(self.refresh(node, connector));
        if node.catalog().get(connector).is_some_and(|installed| installed.enabled) {
            return self.runner.reconfigured(connector);
        }
        self.while_closing(self.runner.disabled(connector));
    }

    fn health(&self, installed: &Installed) -> Vec<ConnectorHealth> {
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let its_own = statuses.iter().filter(|status| status.connector == installed.install.connector);
        its_own.map(|status| health::of(status, installed, &self.packages)).collect()
    }

    fn look(&self, node: &Node) {
        let changed = |installed: &&Installed| {
            let engine = self.check_engine(installed).map_err(|error| error.code);
            match self.installed().get(&installed.install.connector) {
                Some(Ok(_)) => engine.is_err(),
                Some(Err(known)) => known.code == Code::EngineChanged && engine != Err(known.code),
                None => false,
            }
        };
        for installed in node.catalog().iter().filter(changed) {
            drop(self.refresh(node, &installed.install.connector));
        }
    }

    fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if !self.alive.get() {
            warnings.push(Warning {
                kind: WarningKind::Egress,
                message: "the egress process ended and is being started again".into(),
                remedy: Some("the daemon's log says why it ended".into()),
            });
        }
        let installed = self.installed();
        let unrunnable = installed.iter().filter_map(|(connector, it)| Some((connector, it.as_ref().err()?)));
        warnings.extend(unrunnable.map(|(connector, error)| error.warning(connector)));
        warnings
    }

    fn unrunnable(&self, connector: &ConnectorId) -> Option<(Code, Warning)> {
        let error = self.installed().get(connector)?.as_ref().err()?.clone();
        Some((error.code, error.warning(connector)))
    }

    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            self.runner.shutdown().await;
            self.stop.send_replace(true);
            let keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(keeping) = keeping
                && let Err(error) = keeping.await
            {
                tracing::error!(%error, "the egress process was not ended in order");
            }
        })
    }
}

/// Keeps what the runner says of its processes, for whoever asks how they are, and has it tell what egress has counted.
async fn watch_statuses(
    runner: connectors::Runner,
    statuses: Arc<Mutex<Vec<ProcessStatus>>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        runner.tell_strays().await;
        let now = runner.status().await;
        *statuses.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// A credential's record without anything secret, for messages.
pub(super) fn named(credential: &CredentialRecord) -> String {
    format!("{} of {}", credential.credential, credential.connector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fcp_state_machines::node::Credential;

    #[test]
    fn the_health_credential_is_the_named_or_the_only_one() {
        let credential = |name: &str| Credential {
            zone: "z:work".parse().unwrap(),
            record: CredentialRecord {
                credential: name.parse().unwrap(),
                connector: "github".parse().unwrap(),
                slot: "token".into(),
                kind: "bearer".into(),
                hosts: Vec::new(),
                version: 1,
                removed: false,
            },
        };
        let (one, other) = (credential("one"), credential("other"));
        let choice = |fit: &[&Credential], named: Option<&str>| {
            let named = named.map(|name| name.parse().unwrap());
            chosen(fit, named.as_ref()).map(|record| record.credential.to_string())
        };
        assert_eq!(choice(&[&one], None).as_deref(), Some("one"));
        assert_eq!(choice(&[&one, &other], None), None, "nobody said which");
        assert_eq!(choice(&[&one, &other], Some("other")).as_deref(), Some("other"));
        assert_eq!(choice(&[&one], Some("other")), None, "no other takes its place");
        assert_eq!(choice(&[], None), None);
    }
}
