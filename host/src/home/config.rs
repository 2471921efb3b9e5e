//! `config.toml`: the settings of the daemon, strict and versioned.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fcp_proto_core::ids::{ConnectorId, CredentialId, ZoneId};
use fcp_proto_core::manifest::Restart;
use fcp_state_machines::call::supervisor;
use fcp_state_machines::node::CallLimits;
use serde::Deserialize;

use super::config_check::{self, ConfigError};

/// The file that a new home gets: every setting with its default, commented out.
pub(super) const DEFAULT_FILE: &str = include_str!("config.default.toml");

/// The version of the schema.
pub(super) const VERSION: u64 = 1;

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The version of the schema; the only setting that must be there.
    pub version: u64,
    /// Where the daemon listens.
    #[serde(default)]
    pub listen: Listen,
    /// What it logs.
    #[serde(default)]
    pub log: Log,
    /// How long things last.
    #[serde(default)]
    pub sessions: Sessions,
    /// How much it takes on.
    #[serde(default)]
    pub limits: Limits,
    /// With which credentials health is exercised.
    #[serde(default)]
    pub health: Vec<HealthCredential>,
    /// How connectors are kept running.
    #[serde(default)]
    pub supervision: Vec<Supervision>,
}

/// What to do about a table for a connector that is not installed.
pub const IDLE_TABLE_REMEDY: &str = "install the connector, or correct its name in config.toml";

impl Config {
    /// What is to be told of tables for connectors that are not there. They may come later, so nothing is refused.
    //= docs/spec/home.md#configtoml
    pub fn idle_tables(&self, is_installed: impl Fn(&ConnectorId) -> bool) -> Vec<String> {
        let supervision = self.supervision.iter().map(|it| ("supervision", &it.connector));
        let health = self.health.iter().map(|it| ("health", &it.connector));
        let named: BTreeSet<_> = supervision.chain(health).filter(|(_, id)| !is_installed(id)).collect();
        let told = |(table, connector)| {
            format!(
                "config.toml has a table `[[{table}]]` for the connector {connector}, which is not installed"
            )
        };
        named.into_iter().map(told).collect()
    }
}

/// How the processes of a connector are kept running, where the owner wants another way than the default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervision {
    /// The connector.
    pub connector: ConnectorId,
    /// When a process is started again without a call; what the manifest says when absent.
    pub restart: Option<Restart>,
    /// The delay after the first failure, in milliseconds.
    pub backoff_first_ms: Option<u64>,
    /// The longest delay, in milliseconds.
    pub backoff_max_ms: Option<u64>,
    /// How many failures within the window are a crash loop.
    pub crash_limit: Option<u64>,
    /// The window, in seconds.
    pub crash_window_secs: Option<u64>,
}

impl Supervision {
    /// The supervisor's settings as the owner wants them; what is left out stays.
    //= docs/spec/supervisor.md#choices
    pub fn over(&self, given: supervisor::Config) -> supervisor::Config {
        let millis = |given: Duration, own: Option<u64>| own.map_or(given, Duration::from_millis);
        supervisor::Config {
            restart: self.restart.unwrap_or(given.restart),
            backoff_first: millis(given.backoff_first, self.backoff_first_ms),
            backoff_max: millis(given.backoff_max, self.backoff_max_ms),
            crash_limit: self.crash_limit.and_then(|it| it.try_into().ok()).unwrap_or(given.crash_limit),
            crash_window: self.crash_window_secs.map_or(given.crash_window, Duration::from_secs),
            ..given
        }
    }
}

/// The credential with which a connector's health is exercised in a zone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCredential {
    /// The connector.
    pub connector: ConnectorId,
    /// The zone.
    pub zone: ZoneId,
    /// The credential's name.
    pub credential: CredentialId,
}

/// Where the daemon listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// The home's own socket, `run/fcp.sock`, as settings of earlier releases may name it; no other is taken.
    pub socket: Option<PathBuf>,
    /// A loopback address to listen on besides; off when absent.
    pub tcp: Option<SocketAddr>,
    /// The file (0600) with the bearer token that callers over TCP must show; from the root.
    pub tcp_token_file: Option<PathBuf>,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least grave that is logged.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
    /// How large the log's file may grow, in MiB, before a new one is begun.
    pub file_mib: u64,
    /// How many earlier files are kept.
    pub kept_files: u64,
}

impl Default for Log {
    /// Chosen: weeks of an owner's agents at `info`, in little room.
    fn default() -> Self {
        Self { level: LogLevel::default(), format: LogFormat::default(), file_mib: 10, kept_files: 3 }
    }
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// How it happens.
    Debug,
    /// Every step.
    Trace,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// How long things last.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// How long an agent's session lasts, in seconds.
    pub session_secs: u64,
    /// How long an operator's key stays unlocked on its connection, in seconds.
    pub unlock_secs: u64,
}

/// How much the daemon takes on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections to the API at once.
    pub connections: u64,
    /// Sessions at once.
    pub sessions: u64,
    /// Calls under way at once.
    pub calls: u64,
    /// Longest time a call may take, in seconds.
    pub call_secs: u64,
    /// Longest time a stopping daemon waits for the calls under way, in seconds.
    pub drain_secs: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: VERSION,
            listen: Listen::default(),
            log: Log::default(),
            sessions: Sessions::default(),
            limits: Limits::default(),
            health: Vec::new(),
            supervision: Vec::new(),
        }
    }
}

impl Default for Sessions {
    /// Chosen: a working day for agents; minutes for operators, whose keys decide.
    fn default() -> Self {
        Self { session_secs: 8 * 3_600, unlock_secs: 600 }
    }
}

impl Limits {
    /// What bounds calls, for the node that counts them.
    pub const fn of_calls(&self) -> CallLimits {
        CallLimits { calls: self.calls, call_secs: self.call_secs }
    }
}

impl Default for Limits {
    /// Chosen: what one owner's agents use, with room.
    fn default() -> Self {
        Self { connections: 256, sessions: 256, calls: 64, call_secs: 300, drain_secs: 30 }
    }
}

/// When a change of the settings takes force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// At once.
    Now,
    /// When the daemon is started again.
    AtRestart,
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which, such as `limits.calls`.
    pub field: &'static str,
    /// What it was.
    pub from: String,
    /// What it is to be.
    pub to: String,
    /// When it takes force.
    pub applies: Applies,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and field.
    //= docs/spec/home.md#configtoml
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        config_check::parse(bytes)
    }

    /// Refuses another socket than the home's own, where every client looks for it.
    ///
    /// # Errors
    /// What is wrong with `listen.socket` in `bytes`, which these settings were read from.
    //= docs/spec/home.md#configtoml
    pub(super) fn check_socket(&self, bytes: &[u8], own: &Path) -> Result<(), ConfigError> {
        match &self.listen.socket {
            Some(socket) if socket != own => Err(config_check::other_socket(bytes, own)),
            Some(_) | None => Ok(()),
        }
    }

    /// What differs in `new`, for a reload: SIGHUP applies what it can and names the rest.
    pub fn changes(&self, new: &Self) -> Vec<Change> {
        let old = self.settings();
        let pairs = old.into_iter().zip(new.settings());
        pairs
            .filter(|((_, _, from), (_, _, to))| from != to)
            .map(|((field, applies, from), (_, _, to))| Change { field, from, to, applies })
            .collect()
    }

    /// Every setting with its name, when a change takes force, and its value.
    fn settings(&self) -> [(&'static str, Applies, String); 15] {
        let Self { version: _, listen, log, sessions, limits, health, supervision } = self;
        let health: Vec<String> =
            health.iter().map(|it| format!("{} in {}: {}", it.connector, it.zone, it.credential)).collect();
        let supervision: Vec<String> = supervision.iter().map(|it| format!("{it:?}")).collect();
        let path =
            |path: &Option<PathBuf>| path.as_ref().map_or("default".into(), |p| p.display().to_string());
        [
            ("listen.tcp", Applies::AtRestart, listen.tcp.map_or("off".into(), |tcp| tcp.to_string())),
            ("listen.tcp_token_file", Applies::AtRestart, path(&listen.tcp_token_file)),
            ("log.level", Applies::Now, format!("{:?}", log.level)),
            ("log.format", Applies::Now, format!("{:?}", log.format)),
            ("log.file_mib", Applies::Now, log.file_mib.to_string()),
            ("log.kept_files", Applies::Now, log.kept_files.to_string()),
            ("sessions.session_secs", Applies::AtRestart, sessions.session_secs.to_string()),
            ("sessions.unlock_secs", Applies::Now, sessions.unlock_secs.to_string()),
            ("limits.connections", Applies::Now, limits.connections.to_string()),
            ("limits.sessions", Applies::Now, limits.sessions.to_string()),
            ("limits.calls", Applies::Now, limits.calls.to_string()),
            ("limits.call_secs", Applies::Now, limits.call_secs.to_string()),
            ("limits.drain_secs", Applies::Now, limits.drain_secs.to_string()),
            ("health", Applies::AtRestart, health.join(", ")),
            ("supervision", Applies::AtRestart, supervision.join(", ")),
        ]
    }
}
