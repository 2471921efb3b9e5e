//! What stands around the operations: configuration, rate pools, sandbox and lifecycle.
//! Spec: `docs/spec/manifest.md#configuration`, `#rates`, `#sandbox`, `#lifecycle`.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::vocabulary::Restart;
use crate::cbor_enum;
use crate::ids::OperationId;

cbor_enum! {
    /// What a configuration value is.
    pub enum ConfigType {
        /// Text.
        Text = "string",
        /// An absolute `https` URL without user, query and fragment.
        Url = "url",
        /// An absolute path.
        Path = "path",
        /// Absolute paths.
        PathList = "path_list",
        /// Texts.
        TextList = "string_list",
        /// An integer.
        Integer = "integer",
        /// `true` or `false`.
        Boolean = "boolean",
    }
}

/// One value that the owner may or must set when the connector is bound to a zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigField {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ConfigType,
    /// What it does, in one sentence.
    pub description: String,
    /// Its value unless the owner sets one; without a default the owner must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// Why given values are no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The configuration is no object.
    NotAnObject,
    /// A value that the manifest does not declare; names it.
    Unknown(String),
    /// A value that must be set and is not; names it.
    Missing(String),
    /// A value of another type; names it and the type.
    WrongType(String, ConfigType),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("the configuration must be an object"),
            Self::Unknown(name) => write!(f, "the connector has no configuration value `{name}`"),
            Self::Missing(name) => write!(f, "the configuration value `{name}` must be set"),
            Self::WrongType(name, kind) => {
                write!(f, "the configuration value `{name}` must be a valid {kind}")
            }
        }
    }
}

impl core::error::Error for ConfigError {}

/// The complete configuration: `given` checked against the declared `fields`, defaults filled in.
///
/// # Errors
/// Names the first value that is unknown, missing or of another type.
//= docs/spec/manifest.md#configuration
pub fn resolve_config(fields: &BTreeMap<String, ConfigField>, given: &Value) -> Result<Value, ConfigError> {
    let given = given.as_object().ok_or(ConfigError::NotAnObject)?;
    if let Some(name) = given.keys().find(|name| !fields.contains_key(*name)) {
        return Err(ConfigError::Unknown(name.clone()));
    }
    let mut resolved = Map::new();
    for (name, field) in fields {
        let value =
            given.get(name).or(field.default.as_ref()).ok_or_else(|| ConfigError::Missing(name.clone()))?;
        if !field.kind.accepts(value) {
            return Err(ConfigError::WrongType(name.clone(), field.kind));
        }
        resolved.insert(name.clone(), value.clone());
    }
    Ok(Value::Object(resolved))
}

impl ConfigType {
    /// Whether `value` is of this type.
    pub fn accepts(self, value: &Value) -> bool {
        let each = |test: fn(&str) -> bool| {
            value.as_array().is_some_and(|items| items.iter().all(|item| item.as_str().is_some_and(test)))
        };
        match self {
            Self::Text => value.is_string(),
            Self::Url => value.as_str().is_some_and(is_base_url),
            Self::Path => value.as_str().is_some_and(is_absolute_path),
            Self::PathList => each(is_absolute_path),
            Self::TextList => each(|_| true),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

cbor_enum! {
    /// How a rate is counted.
    #[derive(Default)]
    pub enum RateAlgorithm {
        /// Tokens refill evenly up to the burst.
        #[default]
        TokenBucket = "token_bucket",
        /// No window of the given length holds more than the given number.
        SlidingWindow = "sliding_window",
        /// Calls leave evenly, the queue being as long as the burst.
        LeakyBucket = "leaky_bucket",
    }
}

cbor_enum! {
    /// Who shares a rate pool.
    #[derive(Default)]
    pub enum RateScope {
        /// All calls of the connector in a zone.
        #[default]
        Connector = "connector",
        /// All calls that use one credential.
        Credential = "credential",
        /// All calls of one principal.
        Principal = "principal",
    }
}

/// The `[rate_limits]` table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    /// The pools.
    #[serde(default)]
    pub pools: Vec<RatePool>,
}

/// A number of calls that operations share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatePool {
    /// Its name, which operations refer to.
    pub id: String,
    /// Calls a window.
    pub requests: u32,
    /// The window, in milliseconds.
    pub window_ms: u32,
    /// Calls at once; as many as `requests` unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// How it is counted.
    #[serde(default)]
    pub algorithm: RateAlgorithm,
    /// Who shares it.
    #[serde(default)]
    pub scope: RateScope,
}

cbor_enum! {
    /// How tight the sandbox is.
    pub enum SandboxProfile {
        /// No file but those declared, no child, no exec.
        Strict = "strict",
        /// As strict, and weakening is refused.
        StrictPlus = "strict_plus",
        /// Child processes are allowed within the declared number.
        Moderate = "moderate",
        /// For development; the owner must record it.
        Permissive = "permissive",
    }
}

/// What the connector's process may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sandbox {
    /// How tight.
    pub profile: SandboxProfile,
    /// Memory, in MiB.
    pub memory_mb: u32,
    /// Share of one core, in percent.
    pub cpu_percent: u32,
    /// Longest time without an answer before the process is stopped, in milliseconds.
    pub wall_clock_ms: u32,
    /// What it may read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_only: Vec<PathSource>,
    /// What it may read and write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writable: Vec<PathSource>,
    /// Most processes and threads.
    #[serde(default = "default_processes")]
    pub processes: u32,
    /// Most open descriptors.
    #[serde(default = "default_descriptors")]
    pub descriptors: u32,
}

/// Where a path comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PathSource {
    /// The configuration value of this name (a `path` or `path_list`): `{config.name}`.
    Config(String),
    /// The directory that holds the configured path, as SQLite needs it for its journal: `{config.name}/..`.
    ConfigParent(String),
    /// This absolute path.
    Absolute(String),
}

/// Why a text names no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathSourceError;

impl fmt::Display for PathSourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is neither an absolute path without `..` nor `{config.name}` nor `{config.name}/..`")
    }
}

impl core::error::Error for PathSourceError {}

impl FromStr for PathSource {
    type Err = PathSourceError;

    fn from_str(text: &str) -> Result<Self, PathSourceError> {
        if let Some(rest) = text.strip_prefix("{config.") {
            let (name, tail) = rest.split_once('}').ok_or(PathSourceError)?;
            return match tail {
                _ if !super::is_name(name) => Err(PathSourceError),
                "" => Ok(Self::Config(name.to_string())),
                "/.." => Ok(Self::ConfigParent(name.to_string())),
                _ => Err(PathSourceError),
            };
        }
        if is_absolute_path(text) { Ok(Self::Absolute(text.to_string())) } else { Err(PathSourceError) }
    }
}

impl TryFrom<String> for PathSource {
    type Error = PathSourceError;

    fn try_from(text: String) -> Result<Self, PathSourceError> {
        text.parse()
    }
}

impl From<PathSource> for String {
    fn from(source: PathSource) -> Self {
        match source {
            PathSource::Config(name) => "{config.".to_string() + &name + "}",
            PathSource::ConfigParent(name) => "{config.".to_string() + &name + "}/..",
            PathSource::Absolute(path) => path,
        }
    }
}

impl PathSource {
    /// The paths that it stands for under a resolved configuration.
    pub fn resolve(&self, config: &Value) -> Vec<String> {
        let configured = |name: &str| -> Vec<String> {
            match config.get(name) {
                Some(Value::String(path)) => alloc::vec![path.clone()],
                Some(Value::Array(paths)) => {
                    paths.iter().filter_map(Value::as_str).map(String::from).collect()
                }
                Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
            }
        };
        match self {
            Self::Config(name) => configured(name),
            Self::ConfigParent(name) => configured(name).iter().map(|path| parent(path)).collect(),
            Self::Absolute(path) => alloc::vec![path.clone()],
        }
    }
}

/// How the daemon supervises the connector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifecycle {
    /// A read operation with an empty input whose success proves the path to the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<OperationId>,
    /// Seconds between health checks; 0 checks only on demand.
    #[serde(default)]
    pub health_interval_s: u32,
    /// When its process is started again without a call; the supervisor's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
}

/// Whether `text` is an `https` URL with a host, without user, query and fragment.
fn is_base_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'@' | b'?' | b'#' | b'\\' | b'{' | b'}');
    !authority.is_empty() && rest.bytes().all(plain)
}

/// Whether `text` is an absolute path without dot segments and NUL.
fn is_absolute_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains('\0') && text.split('/').all(|part| part != ".." && part != ".")
}

fn parent(path: &str) -> String {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some((parent, _)) if !parent.is_empty() => parent.to_string(),
        Some(_) | None => "/".to_string(),
    }
}

/// One: the connector itself; the engine and the SDK run on the current thread.
const fn default_processes() -> u32 {
    1
}

/// 64.
const fn default_descriptors() -> u32 {
    64
}
