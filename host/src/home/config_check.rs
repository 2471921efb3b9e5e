//! What makes settings wrong, named by line and field.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::path::Path;

use fcp_proto_core::encoding::named;
use fcp_proto_core::error::Code;
use fcp_state_machines::call::supervisor;
use serde::Deserialize;

use super::config::{Config, Supervision, VERSION};

/// The first thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The line, counted from 1.
    pub line: usize,
    /// The setting, such as `limits.calls`, if the line is one.
    pub field: Option<String>,
    /// What is wrong with it.
    pub reason: String,
    /// Whether a newer release wrote the file.
    pub too_new: bool,
}

impl ConfigError {
    /// The registered code of this failure.
    pub const fn code(&self) -> Code {
        if self.too_new { Code::HomeTooNew } else { Code::ConfigInvalid }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "config.toml, line {}", self.line)?;
        if let Some(field) = &self.field {
            write!(f, ", `{field}`")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// The version alone, which every later schema keeps.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

/// Reads and checks.
pub(super) fn parse(bytes: &[u8]) -> Result<Config, ConfigError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        ConfigError { line, field: None, reason: "not UTF-8".into(), too_new: false }
    })?;
    let Versioned { version } = read(text)?;
    if version != VERSION {
        let reason = format!("this release reads version {VERSION}, not {version}");
        return Err(ConfigError { too_new: version > VERSION, ..at_field(text, "version", reason) });
    }
    let config = read(text)?;
    check(&config).map_err(|(field, reason)| at_field(text, field, reason))?;
    for (nth, supervision) in config.supervision.iter().enumerate() {
        check_supervision(&config.supervision[..nth], supervision)
            .map_err(|(field, reason)| in_table(text, field, nth, reason))?;
    }
    Ok(config)
}

/// Reads TOML; what it says of tables must be said with their names.
fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ConfigError> {
    toml::Deserializer::parse(text).and_then(named::read).map_err(|error| from_toml(text, &error))
}

/// The field that breaks a rule, and the rule.
type Checked = Result<(), (&'static str, String)>;

/// Rules that the types do not say.
fn check(config: &Config) -> Checked {
    let Config { version: _, listen, log, sessions, limits, health, supervision: _ } = config;
    let ranges: [(&str, u64, RangeInclusive<u64>); 9] = [
        ("log.file_mib", log.file_mib, 1..=1_024),
        ("log.kept_files", log.kept_files, 0..=100),
        ("sessions.session_secs", sessions.session_secs, 60..=86_400),
        ("sessions.unlock_secs", sessions.unlock_secs, 30..=3_600),
        ("limits.connections", limits.connections, 1..=10_000),
        ("limits.sessions", limits.sessions, 1..=10_000),
        ("limits.calls", limits.calls, 1..=10_000),
        ("limits.call_secs", limits.call_secs, 1..=3_600),
        ("limits.drain_secs", limits.drain_secs, 0..=600),
    ];
    ranges.into_iter().try_for_each(within)?;
    let places: BTreeSet<_> = health.iter().map(|it| (&it.connector, &it.zone)).collect();
    if places.len() != health.len() {
        return Err(("health", "one credential for a connector in a zone".into()));
    }
    let from_root = |path: &Option<std::path::PathBuf>| path.as_deref().is_none_or(Path::is_absolute);
    if !from_root(&listen.tcp_token_file) {
        return Err(("listen.tcp_token_file", "a path from the root".into()));
    }
    match (listen.tcp, &listen.tcp_token_file) {
        (Some(tcp), _) if !tcp.ip().is_loopback() => {
            Err(("listen.tcp", "only a loopback address, such as 127.0.0.1, may be listened on".into()))
        }
        (Some(_), None) => Err(("listen.tcp", "needs `listen.tcp_token_file`".into())),
        (None, Some(_)) => Err(("listen.tcp_token_file", "has no use without `listen.tcp`".into())),
        (Some(_), Some(_)) | (None, None) => Ok(()),
    }
}

fn within((field, value, range): (&'static str, u64, RangeInclusive<u64>)) -> Checked {
    if range.contains(&value) {
        return Ok(());
    }
    Err((field, format!("a number from {} to {}", range.start(), range.end())))
}

//= docs/spec/supervisor.md#choices
fn check_supervision(before: &[Supervision], own: &Supervision) -> Checked {
    if before.iter().any(|it| it.connector == own.connector) {
        return Err(("supervision.connector", "there is a table for this connector already".into()));
    }
    let given = [
        ("supervision.backoff_first_ms", own.backoff_first_ms, 10..=600_000),
        ("supervision.backoff_max_ms", own.backoff_max_ms, 10..=3_600_000),
        ("supervision.crash_limit", own.crash_limit, 1..=100),
        ("supervision.crash_window_secs", own.crash_window_secs, 1..=86_400),
    ];
    given
        .into_iter()
        .filter_map(|(field, value, range)| Some((field, value?, range)))
        .try_for_each(within)?;
    let merged = own.over(supervisor::Config::default());
    if merged.backoff_first > merged.backoff_max {
        return Err(("supervision.backoff_max_ms", "at least the first delay".into()));
    }
    Ok(())
}

/// The fault of settings that name another socket than the home's `own`.
pub(super) fn other_socket(bytes: &[u8], own: &Path) -> ConfigError {
    let text = String::from_utf8_lossy(bytes);
    let reason = format!("the daemon listens on {} and nowhere else: leave the setting out", own.display());
    at_field(&text, "listen.socket", reason)
}

/// What the TOML reader says, with the place it says.
fn from_toml(text: &str, error: &toml::de::Error) -> ConfigError {
    let Range { start, .. } = error.span().unwrap_or(0..0);
    let line = text.as_bytes()[..start.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
    let field = settings(text).find(|(at, _)| *at == line).map(|(_, field)| field);
    ConfigError { line, field, reason: error.message().into(), too_new: false }
}

/// The place of a setting that is wrong in itself.
fn at_field(text: &str, field: &str, reason: String) -> ConfigError {
    let line = settings(text).find(|(_, name)| name == field).map_or(1, |(line, _)| line);
    ConfigError { line, field: Some(field.into()), reason, too_new: false }
}

/// As [`at_field`], in the one of several tables of a name, counted from 0; the table's place if the field is left out.
fn in_table(text: &str, field: &str, nth: usize, reason: String) -> ConfigError {
    let table = field.split('.').next().unwrap_or_default();
    let mut lines = settings(text).skip_while({
        let mut seen = 0;
        move |(_, name)| {
            seen += usize::from(name == table);
            seen <= nth
        }
    });
    let head = lines.next().map_or(1, |(line, _)| line);
    let own = lines.take_while(|(_, name)| name != table).find(|(_, name)| name == field);
    ConfigError {
        line: own.map_or(head, |(line, _)| line),
        field: Some(field.into()),
        reason,
        too_new: false,
    }
}

/// The settings of a text with their lines, as its tables and keys name them.
fn settings(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut table = String::new();
    text.lines().enumerate().filter_map(move |(at, line)| {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let name = header.trim_start_matches('[').split(']').next();
            table = name.unwrap_or_default().trim().to_owned();
            return Some((at + 1, table.clone()));
        }
        let key = line.split_once('=')?.0.trim();
        if line.starts_with('#') {
            return None;
        }
        let name = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
        Some((at + 1, name))
    })
}
