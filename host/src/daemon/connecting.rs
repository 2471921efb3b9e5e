//! Runs connectors for the node: what is installed, what its owner opened for it, and the secrets it may use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fcp_api::types::{ConnectorHealth, ExceptionRule, RunStatus, Warning, WarningKind};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, KeyId, ZoneId};
use fcp_proto_core::manifest::Runtime;
use fcp_proto_core::manifest::package::Package;
use fcp_proto_core::object::{CredentialRecord, RevocationObject};
use fcp_proto_core::time::Now;
use fcp_runtime_tokio::drive::{Outcomes, clock, entropy};
use fcp_state_machines::call::egress::{EgressException, Transport};
use fcp_state_machines::call::supervisor::StateName;
use fcp_state_machines::node::{Dispatch, Installed, Node, Outcome};
use tokio::sync::watch;

use super::app::App;
use super::egress_process::{self, Alive, Follower};
use super::error::StartError;
use super::runner::Runner;
use super::vault_secrets::{VaultSecrets, keep_refreshed};
use crate::connectors::{self, Installation, Launch, Limits, ProcessStatus, Program, RunnerConfig};
use crate::egress::{EgressClient, Refreshed};
use crate::sandbox::{Property, Sandbox};
use crate::vault::Vault;

/// Runs connectors for the node.
pub struct Connecting {
    runner: connectors::Runner,
    secrets: Arc<VaultSecrets>,
    packages: PathBuf,
    outcomes: Outcomes,
    installed: Mutex<BTreeMap<ConnectorId, Result<Arc<Installation>, String>>>,
    statuses: Arc<Mutex<Vec<ProcessStatus>>>,
    alive: Arc<Alive>,
    /// How many revocations are being carried out.
    closing: watch::Sender<usize>,
    stop: watch::Sender<bool>,
    keeping: Mutex<Option<tokio::task::JoinHandle<()>>>,
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
}

impl Follower for Followers {
    fn replaced(&self, client: EgressClient) {
        self.runner.egress_replaced(client);
    }

    fn refreshing(&self, client: EgressClient, refreshed: Refreshed) {
        tokio::spawn(keep_refreshed(Arc::clone(&self.vault), client, refreshed));
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
            limits: Limits::default(),
        });
        let (alive, stop) = (Alive::new(), watch::Sender::new(false));
        let followers = Arc::new(Followers { runner: runner.clone(), vault: Arc::clone(vault) });
        let keeping =
            tokio::spawn(egress_process::keep(egress, Arc::clone(&alive), followers, stop.subscribe()));
        let statuses = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(watch_statuses(runner.clone(), Arc::clone(&statuses), stop.subscribe()));
        Ok(Arc::new(Self {
            runner,
            secrets: Arc::new(VaultSecrets::new(Arc::clone(vault))),
            packages: app.home.packages(),
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

    fn installed(&self) -> MutexGuard<'_, BTreeMap<ConnectorId, Result<Arc<Installation>, String>>> {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn read(&self, node: &Node, installed: &Installed, now: Now) -> Result<Installation, String> {
        let (egress_exceptions, sandbox_exceptions) = exceptions(node, &installed.install.connector, now);
        Ok(Installation {
            manifest: installed.manifest.clone(),
            config: installed.config.clone(),
            program: self.program(installed)?,
            code_digest: installed.install.code_digest,
            package_digest: installed.install.package_digest,
            egress_exceptions,
            sandbox_exceptions,
            health_credential: None,
        })
    }

    /// What a call is started with. An exception that ran out since is no longer part of it.
    fn launch(&self, node: &Node, dispatch: &Dispatch) -> Result<Launch, String> {
        let authorized = &dispatch.authorized;
        let connector = authorized.connector();
        let known = self.installed().get(connector).cloned();
        let mut installation = known.ok_or_else(|| format!("{connector} is not installed"))??;
        let (egress_exceptions, sandbox_exceptions) = exceptions(node, connector, clock::now());
        if installation.egress_exceptions != egress_exceptions
            || installation.sandbox_exceptions != sandbox_exceptions
        {
            let changed = Installation { egress_exceptions, sandbox_exceptions, ..(*installation).clone() };
            installation = Arc::new(changed);
            self.installed().insert(connector.clone(), Ok(Arc::clone(&installation)));
        }
        let keys = keys(node, dispatch, authorized.zone());
        let secrets = Arc::clone(&self.secrets);
        Ok(Launch { installation, secrets, keys, progress: None })
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

/// What the owner opened for a connector, as far as it can be read; what cannot be opens nothing.
fn exceptions(node: &Node, connector: &ConnectorId, now: Now) -> (Vec<EgressException>, BTreeSet<Property>) {
    let (mut addresses, mut properties) = (Vec::new(), BTreeSet::new());
    for (id, exception) in node.catalog().exceptions(connector, now.unix) {
        let rule = serde_json::from_str(&exception.rule).map_err(|error| error.to_string());
        match rule.and_then(Opened::read) {
            Ok(Opened::Address(address)) => addresses.push(*address),
            Ok(Opened::Property(property)) => {
                properties.insert(property);
            }
            Err(error) => tracing::error!(%id, error, "an exception cannot be read and opens nothing"),
        }
    }
    (addresses, properties)
}

/// What one exception opens.
pub(crate) enum Opened {
    /// A host at addresses that are refused otherwise.
    Address(Box<EgressException>),
    /// A property that the sandbox may lack.
    Property(Property),
}

impl Opened {
    /// What the rule opens.
    ///
    /// # Errors
    /// Why it opens nothing.
    pub(crate) fn read(rule: ExceptionRule) -> Result<Self, String> {
        match rule {
            ExceptionRule::Egress { host, network, port, ca_file } => {
                let read =
                    |file: String| std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"));
                Ok(Self::Address(Box::new(EgressException {
                    host: host.parse().map_err(|_| format!("{host:?} is no host"))?,
                    cidr: network.parse().map_err(|_| format!("{network:?} is no network"))?,
                    port,
                    transport: Transport::Tls,
                    ca_pem: ca_file.map(read).transpose()?,
                })))
            }
            ExceptionRule::Sandbox { property } => {
                let known = Property::ALL.iter().find(|known| known.name() == property);
                known.map(|known| Self::Property(*known)).ok_or_else(|| {
                    let names: Vec<_> = Property::ALL.iter().map(|known| known.name()).collect();
                    format!("the sandbox has no property {property:?}; it has {}", names.join(", "))
                })
            }
        }
    }
}

impl Runner for Connecting {
    fn dispatch(&self, node: &Node, dispatch: Dispatch) {
        let call = dispatch.call_id;
        match self.launch(node, &dispatch) {
            Err(message) => {
                self.outcomes
                    .report(call, Outcome::NotDelivered { code: Code::ConnectorUnavailable, message });
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
        let closing = self.closing.clone();
        closing.send_modify(|open| *open += 1);
        tokio::spawn(async move {
            runner.revoked(&revocation, head_seq).await;
            closing.send_modify(|open| *open -= 1);
        });
    }

    fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            let mut closing = self.closing.subscribe();
            // The sender lives in `self`, so the wait ends only by the count.
            closing.wait_for(|open| *open == 0).await.ok();
        })
    }

    fn reconfigured(&self, node: &Node, connector: &ConnectorId) {
        let read = node.catalog().get(connector).map(|installed| {
            let read = self.read(node, installed, clock::now()).map(Arc::new);
            read.inspect_err(|error| tracing::error!(%connector, error, "a connector cannot be run"))
        });
        match read {
            Some(read) => self.installed().insert(connector.clone(), read),
            None => self.installed().remove(connector),
        };
        self.runner.reconfigured(connector);
    }

    fn health(&self, connector: &ConnectorId) -> Vec<ConnectorHealth> {
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.iter().filter(|status| status.connector == *connector).map(health).collect()
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
        for (connector, installation) in &*self.installed() {
            if let Err(error) = installation {
                warnings.push(Warning {
                    kind: WarningKind::Connector,
                    message: format!("{connector} cannot be run: {error}"),
                    remedy: Some(format!("install {connector} again")),
                });
            }
        }
        warnings
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

fn health(status: &ProcessStatus) -> ConnectorHealth {
    let run = match status.state {
        StateName::Stopped => RunStatus::Idle,
        StateName::Starting => RunStatus::Starting,
        StateName::Ready => RunStatus::Ready,
        StateName::Degraded | StateName::Draining => RunStatus::Degraded,
        StateName::BackingOff => RunStatus::BackingOff,
        StateName::CrashLooped => RunStatus::CrashLoop,
        StateName::Disabled => RunStatus::Disabled,
    };
    let found = status.health.as_ref();
    ConnectorHealth {
        zone: status.zone.clone(),
        status: run,
        detail: status.trouble.clone().or_else(|| found.and_then(|it| it.detail.clone())),
        checked_at: found.map(|it| it.checked_at),
        restarts: status.restarts,
    }
}

/// Keeps what the runner says of its processes, for whoever asks how they are.
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
        let now = runner.status().await;
        *statuses.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// A credential's record without anything secret, for messages.
pub(super) fn named(credential: &CredentialRecord) -> String {
    format!("{} of {}", credential.credential, credential.connector)
}
