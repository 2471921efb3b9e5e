//! A home with a connector of the service, agents that may use it, and a daemon that dies and comes back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fcp_api::client::Client;
use fcp_api::routes::{
    AddException, AddGrant, ChangePolicy, GetHealth, InstallConnector, PutCredential, VerifyAudit,
};
use fcp_api::secret::Secret;
use fcp_api::types::{self, CredentialMaterial, ErrorBody, ExceptionRule, Nothing, PolicyChange};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::ids::{ConnectorId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::manifest::package::Package;
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::zone::SafetyTier;
use serde_json::json;

use crate::copy::copy;
use crate::daemon::{Bot, Daemon, PASSPHRASE, ceremony, signed_for_development, unlock};
use crate::processes::{self, Process};
use crate::programs::programs;
use crate::service::{SECRET, Service};

/// The connector that every home has.
pub const LEDGER: &str = "ledger";
/// The agent of the command line.
pub const CLI_AGENT: &str = "typist";

pub struct Place {
    pub service: Service,
    pub home: PathBuf,
    pub daemon: Option<Daemon>,
    pub operator: Client,
    pub bot: Bot,
    /// How many installations were asked for.
    installations: u64,
    /// What stands besides in the `[lifecycle]` of the manifest.
    pub lifecycle: &'static str,
    /// Where the programs lie that the daemon consists of.
    programs: PathBuf,
    /// Removed with the place.
    folder: tempfile::TempDir,
}

impl Place {
    /// A home in a new folder below `below`, or where temporary files lie.
    pub async fn new(below: Option<&Path>) -> Self {
        let mut named = tempfile::Builder::new();
        named.prefix("fcp");
        let folder = below.map_or_else(|| named.tempdir(), |below| named.tempdir_in(below)).unwrap();
        let (service, home) = (Service::start().await, folder.path().join("home"));
        let daemon = Daemon::start_program(&programs().join("fcp-host"), &home).await;
        let operator = daemon.client();
        let programs = programs().to_owned();
        let mut place = Self {
            service,
            home,
            daemon: Some(daemon),
            operator,
            bot: Bot::new("bot"),
            installations: 0,
            lifecycle: "",
            programs,
            folder,
        };
        place.furnish().await;
        place
    }

    async fn furnish(&mut self) {
        ceremony(&mut self.operator).await;
        self.unlock().await;
        let ca_file = self.beside("ca.pem");
        fs::write(&ca_file, &self.service.ca_pem).unwrap();
        fs::set_permissions(&ca_file, fs::Permissions::from_mode(0o600)).unwrap();
        self.bot.enrol(&mut self.operator).await.unwrap();
        self.ask_about_little().await;
        self.furnish_connector(LEDGER).await;
        fs::write(self.beside("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        fs::set_permissions(self.beside("passphrase"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Calls that change something are made without a person's word, unless their operation demands one.
    async fn ask_about_little(&mut self) {
        let policy = PolicyChange { approval_from: Some(SafetyTier::Dangerous), ..PolicyChange::default() };
        self.operator.send::<ChangePolicy>(&["z:work"], &policy).await.unwrap();
    }

    /// A connector of the service under this name, with all that the bot needs to call it.
    pub async fn furnish_connector(&mut self, id: &str) {
        self.install(id).await.unwrap();
        let rule = ExceptionRule::Egress {
            host: "127.0.0.1".into(),
            network: "127.0.0.1/32".into(),
            port: self.service.port,
            ca_file: Some(self.beside("ca.pem").to_str().unwrap().into()),
            ca_digest: None,
        };
        let lower = types::AddException {
            connector: connector(id),
            rule,
            reason: "a test".into(),
            lifetime_secs: None,
        };
        self.operator.send::<AddException>(&[], &lower).await.unwrap();
        self.put_credential(id, SECRET).await.unwrap();
        let bot = self.bot.name.clone();
        self.grant(id, &bot).await.unwrap();
    }

    /// An agent of the command line, with its key in the home and the bot's grant.
    pub async fn add_typist(&mut self) {
        let added = self.fwc(&["agent", "add", CLI_AGENT, "--zone", "z:work"]).output().unwrap();
        assert!(added.status.success(), "{added:?}");
        self.grant(LEDGER, &PrincipalId::new(CLI_AGENT).unwrap()).await.unwrap();
    }

    /// A path beside the home.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `fwc` in this home, with these words.
    pub fn fwc(&self, words: &[&str]) -> Command {
        let mut command = Command::new(programs().join("fwc"));
        command.args(["--json"]).args(words).env_clear();
        command.env("FCP_HOME", &self.home).env("FCP_PASSPHRASE_FILE", self.beside("passphrase"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    pub async fn unlock(&mut self) {
        unlock(&mut self.operator, PASSPHRASE).await.unwrap();
    }

    /// Installs the connector, each time in a later version.
    pub async fn install(&mut self, id: &str) -> Result<types::Installed, ErrorBody> {
        self.installations += 1;
        let version = format!("version = \"1.0.{}\"", self.installations);
        let manifest = include_str!("ledger.toml").replace("version = \"1.0.0\"", &version);
        let manifest = manifest.replace(LEDGER, id);
        let manifest = manifest.replace("[lifecycle]", &format!("[lifecycle]\n{}", self.lifecycle));
        let built = Package::build(manifest.as_bytes(), b"", None).unwrap();
        let package = signed_for_development(&self.home, built);
        let path = self.beside("ledger.fcp");
        fs::write(&path, &package).unwrap();
        let request = types::Install {
            package: types::PackageSource::Path { path: path.to_str().unwrap().into() },
            package_digest: hash::digest(&package),
            zones: Some(vec![zone()]),
            config: json!({ "base_url": self.service.base_url() }),
            dev: true,
        };
        self.operator.send::<InstallConnector>(&[], &request).await.map(|reply| reply.body)
    }

    pub async fn put_credential(&mut self, id: &str, token: &str) -> Result<(), ErrorBody> {
        let request = types::PutCredential {
            connector: connector(id),
            slot: "token".into(),
            zone: zone(),
            material: CredentialMaterial::Bearer { token: Secret::new(token) },
        };
        self.operator.send::<PutCredential>(&[id], &request).await.map(|_| ())
    }

    pub async fn grant(&mut self, id: &str, agent: &PrincipalId) -> Result<types::GrantView, ErrorBody> {
        let request = types::AddGrant {
            agent: Some(agent.clone()),
            role: None,
            zone: zone(),
            connector: connector(id),
            operations: ["add", "pay"].map(|name| operation(id, name)).into(),
            constraints: Constraints {
                resource_allow: vec!["*".parse().unwrap()],
                credential_allow: [id.parse().unwrap()].into(),
                ..Constraints::default()
            },
            not_before: None,
            lifetime_secs: 3600,
        };
        self.operator.send::<AddGrant>(&[], &request).await.map(|reply| reply.body)
    }

    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// The daemon's process.
    pub async fn daemon_id(&self) -> u32 {
        u32::try_from(self.daemon().client().daemon_pid().await.unwrap()).unwrap()
    }

    /// A session of the bot on a connection of its own.
    pub async fn session(&self) -> Client {
        let mut client = self.daemon().client();
        self.bot.open(&mut client).await.unwrap();
        client
    }

    /// Starts another daemon, after the last has ended, and unlocks it.
    pub async fn restart(&mut self) {
        self.daemon = None;
        let daemon = Daemon::start_program(&self.programs.join(HOST), &self.home).await;
        self.operator = daemon.client();
        self.daemon = Some(daemon);
        self.unlock().await;
    }

    /// Kills the daemon and waits until all that it had started is gone.
    pub async fn kill_daemon(&mut self) {
        let id = self.daemon_id().await;
        // Frozen, it starts nothing between the look and the blow.
        processes::freeze(id);
        let family = processes::descendants(id);
        self.daemon.take().unwrap().kill();
        processes::gone(&family).await;
    }

    /// As [`Place::kill_daemon`], also where the fault has done it.
    pub async fn kill_daemon_if_it_lives(&mut self) {
        if self.answers().await {
            self.kill_daemon().await;
        }
    }

    /// All that the daemon has started.
    pub async fn family(&self) -> std::collections::BTreeSet<Process> {
        processes::descendants(self.daemon_id().await)
    }

    /// From the next start on the daemon's journal lies on a disk that fails when it is told to: [`Place::arm`].
    pub fn on_a_faulty_disk(&mut self) {
        self.programs = faulty_programs(self.folder.path());
    }

    /// As [`arm`].
    pub fn arm(&self, fault: &str, step: u32) {
        arm(&self.home, fault, step);
    }

    /// As [`called_off`].
    pub fn fired(&self) -> bool {
        called_off(&self.home)
    }

    /// Whether the daemon answers.
    pub async fn answers(&self) -> bool {
        self.daemon().client().get::<GetHealth>(&[], &Nothing {}).await.is_ok()
    }

    /// Every chain holds.
    pub async fn verify_audit(&mut self) {
        let report =
            self.operator.send::<VerifyAudit>(&[], &types::VerifyAudit::default()).await.unwrap().body;
        assert!(report.valid && report.events > 5, "{report:?}");
    }
}

pub fn connector(id: &str) -> ConnectorId {
    ConnectorId::new(id).unwrap()
}

pub fn operation(connector: &str, name: &str) -> OperationId {
    OperationId::new(format!("{connector}.{name}")).unwrap()
}

pub fn zone() -> ZoneId {
    ZoneId::new("z:work").unwrap()
}

/// A folder below `folder` with the daemon's programs, whose disk fails when it is told to: [`arm`].
pub fn faulty_programs(folder: &Path) -> PathBuf {
    let (own, built) = (folder.join("programs"), programs());
    fs::create_dir(&own).unwrap();
    copy(built.join("examples/faulty-host"), own.join(HOST));
    for name in ["fcp-launcher", "fcp-connector-engine"] {
        copy(built.join(name), own.join(name));
    }
    own
}

/// The disk will fail so at its `step`-th step from now on, counted from 1.
pub fn arm(home: &Path, fault: &str, step: u32) {
    let order = home.with_extension("fault");
    // Whole at once: the disk looks for it.
    fs::write(order.with_extension("new"), format!("{fault} {step}")).unwrap();
    fs::rename(order.with_extension("new"), order).unwrap();
}

/// Whether the fault came since this was asked last. What did not come any more is called off.
pub fn called_off(home: &Path) -> bool {
    // It was taken, unless nothing was written since.
    let _called_off = fs::remove_file(home.with_extension("fault"));
    fs::remove_file(home.with_extension("fired")).is_ok()
}

/// The daemon's program.
const HOST: &str = "fcp-host";
