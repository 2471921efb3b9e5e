//! A runner with everything around it.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fcp_host::connectors::{
    Account, Chronicle, Installation, Launch, Limits, OffLimits, Opening, ProcessStatus, Program, Runner,
    RunnerConfig, Secrets, Telling,
};
use fcp_host::egress::{EgressClient, Environment, Resolver, Resolving, Secret, SecretValue};
use fcp_host::sandbox::Sandbox;
use fcp_proto_core::crypto::hash;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::manifest::Manifest;
use fcp_proto_core::object::{AuditEventKind, CredentialRecord};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::{Instant, Now, UnixTime};
use fcp_state_machines::call::egress::{EgressException, Transport};
use fcp_state_machines::node::Outcome;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::authority;
use crate::programs::programs;
use crate::service::{HOST, SECRET, Service};

/// How long anything may take before the test fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) runner: Runner,
    pub(crate) vault: Arc<Vault>,
    pub(crate) told: Arc<Told>,
    pub(crate) client: EgressClient,
    egress: tokio::task::AbortHandle,
    /// The last reference keeps the refreshed tokens' queue open.
    _refreshed: fcp_host::egress::Refreshed,
    /// Where its home is, which no connector is given.
    pub(crate) place: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let environment =
            Environment { resolver: Box::new(Loopback), unix_time: || UnixTime::from_secs(1_800_000_000) };
        let serving = tokio::spawn(fcp_host::egress::serve(theirs.into(), environment));
        let (egress, refreshed) = EgressClient::connect(ours.into()).unwrap();
        let place = tempfile::tempdir().unwrap();
        let home = fcp_host::home::Home::create(&place.path().join("home")).unwrap();
        let told = Arc::<Told>::default();
        let runner = Runner::new(RunnerConfig {
            sandbox: Sandbox::with_launcher(&programs().join("fcp-launcher")).unwrap(),
            engine: programs().join("fcp-connector-engine"),
            egress: egress.clone(),
            clock: now,
            entropy: Entropy::from_seed(&Zeroizing::new([7; 32])),
            chronicle: Arc::<Told>::clone(&told) as Arc<dyn Chronicle>,
            limits,
            off_limits: OffLimits::new(&home, programs().to_owned()),
        });
        let (client, egress) = (egress, serving.abort_handle());
        Self { runner, vault: Arc::default(), told, client, egress, _refreshed: refreshed, place }
    }

    pub(crate) fn launch(&self, installation: &Arc<Installation>) -> Launch {
        Launch {
            installation: Arc::clone(installation),
            secrets: Arc::<Vault>::clone(&self.vault) as Arc<dyn Secrets>,
            health_credential: Some(credential()),
            keys: BTreeSet::new(),
            progress: None,
        }
    }

    /// Makes the call number `n`.
    pub(crate) fn call(
        &self,
        n: u8,
        installation: &Arc<Installation>,
        operation: &str,
        input: &Value,
        timeout_ms: u64,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let declared = installation.manifest.operation(&operation.parse().unwrap()).unwrap();
        let credentials = declared.auth.iter().map(|_| credential()).collect();
        let dispatch =
            authority::dispatch(n, installation, operation, &input.to_string(), credentials, timeout_ms);
        let outcome = self.runner.dispatch(dispatch, self.launch(installation));
        async move { soon(outcome).await }
    }

    /// Waits until the only process is so.
    pub(crate) async fn until(&self, so: impl Fn(&ProcessStatus) -> bool) {
        soon(async {
            while !self.runner.status().await.iter().any(&so) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// Waits until the connector has this many calls.
    pub(crate) async fn until_running(&self, calls: usize) {
        self.until(|status| status.running == calls).await;
    }

    /// Ends egress as a crash would.
    pub(crate) fn kill_egress(&self) {
        self.egress.abort();
    }

    pub(crate) async fn end(self) {
        soon(self.runner.shutdown()).await;
    }
}

/// What comes within the patience of the tests.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes too long")
}

/// What the audit was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    accounts: Mutex<Vec<Account>>,
    /// Whether nothing can be stored.
    pub(crate) full: AtomicBool,
}

impl Told {
    pub(crate) fn of(&self, kind: AuditEventKind) -> Vec<Account> {
        let accounts = self.accounts.lock().unwrap();
        accounts.iter().filter(|account| account.kind == kind).cloned().collect()
    }

    /// Waits until the audit is told of this kind.
    pub(crate) async fn until(&self, kind: AuditEventKind) -> Account {
        soon(async {
            loop {
                if let Some(account) = self.of(kind).pop() {
                    return account;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }
}

impl Chronicle for Told {
    fn tell(&self, account: Account) -> Telling {
        if self.full.load(Ordering::SeqCst) {
            return Box::pin(async { Err((Code::StoreFull, "the disk is full".to_owned())) });
        }
        self.accounts.lock().unwrap().push(account);
        Box::pin(async { Ok(()) })
    }
}

/// A vault with one secret, which counts how often it was opened.
#[derive(Debug, Default)]
pub(crate) struct Vault {
    pub(crate) opened: AtomicU64,
}

impl Secrets for Vault {
    fn open<'a>(&'a self, _zone: &'a ZoneId, _credential: &'a CredentialRecord) -> Opening<'a> {
        Box::pin(async {
            self.opened.fetch_add(1, Ordering::SeqCst);
            Ok(SecretValue::Fixed(Secret::new(SECRET.to_owned())))
        })
    }
}

struct Loopback;

impl Resolver for Loopback {
    fn resolve<'a>(&'a self, _host: &'a str) -> Resolving<'a> {
        Box::pin(async { Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) })
    }
}

#[allow(clippy::disallowed_methods, reason = "the tests' only clock")]
fn now() -> Now {
    let mono = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let nanos = u64::try_from(mono.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(mono.tv_nsec).unwrap();
    Now { mono: Instant::from_nanos(nanos), unix: UnixTime::from_secs(1_800_000_000) }
}

pub(crate) fn credential() -> CredentialRecord {
    CredentialRecord {
        credential: "main".parse().unwrap(),
        connector: "notes".parse().unwrap(),
        slot: "token".into(),
        kind: "bearer".into(),
        hosts: vec![HOST.into()],
        version: 1,
        removed: false,
    }
}

/// The declarative connector of the service.
pub(crate) fn notes(service: &Service) -> Arc<Installation> {
    let manifest = Manifest::parse(include_bytes!("notes.toml")).unwrap();
    let config = json!({ "base_url": format!("https://{HOST}:{}/v1", service.port) });
    let exception = EgressException {
        host: HOST.parse().unwrap(),
        cidr: "127.0.0.0/8".parse().unwrap(),
        port: service.port,
        transport: Transport::Tls,
        ca_pem: Some(service.ca_pem.clone()),
    };
    let engine = programs().join("fcp-connector-engine");
    Arc::new(Installation {
        egress_exceptions: vec![exception],
        ..installation(manifest, &config, Program::Engine, &engine)
    })
}

/// The connector that does most things wrong; `start` says how it begins, `folder` what it may write.
pub(crate) fn unruly(start: &str, folder: Option<&Path>) -> Arc<Installation> {
    let writable = if folder.is_some() { "writable = [\"{config.folder}\"]" } else { "" };
    unruly_by(&include_str!("unruly.toml").replace("#writable", writable), start, folder)
}

/// The same with a health operation, and perhaps others with a network; it answers well whatever is asked.
pub(crate) fn assuring(health: &str, networked: &[&str]) -> Arc<Installation> {
    let safe = include_str!("unruly.toml").replace("medium", "low").replace("risky", "safe");
    let act = safe.split_once("[operations.").unwrap().1;
    let mut manifest = format!("{safe}\n[lifecycle]\nhealth = \"{health}\"\n");
    for operation in networked {
        let network = "hosts = [\"api.example.com\"]\nmethods = [\"GET\"]\npaths = [\"/\"]";
        let copy = act.replace("unruly.act", operation);
        manifest += &format!("\n[operations.{copy}\n[operations.\"{operation}\".network]\n{network}\n");
    }
    unruly_by(&manifest, "", None)
}

fn unruly_by(manifest: &str, start: &str, folder: Option<&Path>) -> Arc<Installation> {
    let manifest = Manifest::parse(manifest.as_bytes()).unwrap();
    let folder = folder.map_or("/nowhere", |path| path.to_str().unwrap());
    let interface = manifest.interface_hash().to_string();
    let config = json!({ "interface": interface, "start": start, "folder": folder });
    let program = programs().join("examples/unruly-connector");
    Arc::new(installation(manifest, &config, Program::File(program.clone()), &program))
}

/// A manifest with these settings, run by `program`, whose code is at `code`.
fn installation(manifest: Manifest, config: &Value, program: Program, code: &Path) -> Installation {
    let config = manifest.resolve_config(config).unwrap();
    let code_digest = hash::digest(&std::fs::read(code).unwrap());
    let package_digest = hash::digest(manifest.source());
    Installation {
        manifest,
        config,
        program,
        code_digest,
        package_digest,
        egress_exceptions: Vec::new(),
        sandbox_exceptions: BTreeSet::new(),
    }
}
