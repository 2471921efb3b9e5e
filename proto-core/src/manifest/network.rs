//! Where an operation may send, and how credentials are presented. Spec: `docs/spec/manifest.md#network`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::http::Method;
use crate::cbor_enum;

/// The network constraints of one operation. Every list is an allow-list, and an empty one allows nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Hosts.
    pub hosts: Vec<HostRule>,
    /// Ports; 443 unless said otherwise. A host taken from the configuration brings its own port.
    #[serde(default = "https_port")]
    pub ports: Vec<u16>,
    /// Methods; a declarative operation's own unless said otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
    /// Paths below the base URL's path; a declarative operation's own unless said otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathPattern>,
    /// Largest answer, in bytes.
    #[serde(default = "default_max_response_bytes")]
    pub max_response_bytes: u64,
    /// Longest wait for a connection, in milliseconds.
    #[serde(default = "default_connect_timeout_ms")]
    pub connect_timeout_ms: u32,
    /// Longest exchange, in milliseconds.
    #[serde(default = "default_total_timeout_ms")]
    pub total_timeout_ms: u32,
    /// Most redirects followed.
    #[serde(default)]
    pub max_redirects: u8,
    /// Most addresses a name may resolve to.
    #[serde(default = "default_dns_max_ips")]
    pub dns_max_ips: u8,
    /// SHA-256 of acceptable public keys (SPKI), as `sha256:` and 64 hexadecimal digits; empty pins nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spki_pins: Vec<String>,
}

/// A host that may be reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostRule {
    /// Exactly this name, lower case, without a trailing dot.
    Exact(String),
    /// Any name directly or deeper below this one: `*.example.com`.
    Below(String),
    /// The host and port of the URL that the configuration names: `{config.base_url}`.
    Config(String),
}

/// Why a text is no host rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRuleError;

impl fmt::Display for HostRuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not a lower-case host name of two labels or more, `*.name` or `{config.name}`")
    }
}

impl core::error::Error for HostRuleError {}

impl HostRule {
    /// Whether the canonical `host` is allowed; a rule that names the configuration must be resolved before.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Below(suffix) => host
                .strip_suffix(suffix.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty()),
            Self::Config(_) => false,
        }
    }
}

impl FromStr for HostRule {
    type Err = HostRuleError;

    fn from_str(text: &str) -> Result<Self, HostRuleError> {
        if let Some(name) = text.strip_prefix("{config.").and_then(|rest| rest.strip_suffix('}')) {
            return if super::is_name(name) {
                Ok(Self::Config(name.to_string()))
            } else {
                Err(HostRuleError)
            };
        }
        let (name, below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        if !is_host_name(name) {
            return Err(HostRuleError);
        }
        Ok(if below { Self::Below(name.to_string()) } else { Self::Exact(name.to_string()) })
    }
}

impl TryFrom<String> for HostRule {
    type Error = HostRuleError;

    fn try_from(text: String) -> Result<Self, HostRuleError> {
        text.parse()
    }
}

impl From<HostRule> for String {
    fn from(rule: HostRule) -> Self {
        match rule {
            HostRule::Exact(name) => name,
            HostRule::Below(name) => "*.".to_string() + &name,
            HostRule::Config(name) => "{config.".to_string() + &name + "}",
        }
    }
}

/// Where an operation may send under one configuration: hosts and paths as a request's URL has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Host names or addresses, or `*.name`.
    pub hosts: Vec<String>,
    /// Ports.
    pub ports: Vec<u16>,
    /// Path patterns from the root, the base URL's path included; `{name}` and a last `{name*}` as in [`PathPattern`].
    pub paths: Vec<String>,
}

impl Network {
    /// The destination under the resolved configuration `config`; `base_url` is the declarative connector's.
    pub(super) fn destination(&self, base_url: Option<&str>, config: &Value) -> Destination {
        let places = resolve_hosts(&self.hosts, config);
        let all_configured = self.hosts.iter().all(|rule| matches!(rule, HostRule::Config(_)));
        let mut ports = if all_configured { Vec::new() } else { self.ports.clone() };
        ports.extend(places.iter().filter_map(|(_, port)| *port));
        ports.sort_unstable();
        ports.dedup();
        let prefix = base_url.and_then(split_url).map_or("", |(_, _, path)| path.trim_end_matches('/'));
        Destination {
            hosts: places.into_iter().map(|(host, _)| host).collect(),
            ports,
            paths: self.paths.iter().map(|path| prefix.to_string() + &path.to_string()).collect(),
        }
    }
}

/// The hosts of `rules`, those of the configuration with the port of their URL; a rule whose value is no URL gives none.
pub(super) fn resolve_hosts(rules: &[HostRule], config: &Value) -> Vec<(String, Option<u16>)> {
    let resolve = |rule: &HostRule| match rule {
        HostRule::Exact(name) => Some((name.clone(), None)),
        HostRule::Below(name) => Some(("*.".to_string() + name, None)),
        HostRule::Config(name) => {
            let (host, port, _) = split_url(config.get(name)?.as_str()?)?;
            Some((host.to_string(), Some(port)))
        }
    };
    rules.iter().filter_map(resolve).collect()
}

/// Host, port and path of an `https` URL without user, query and fragment.
fn split_url(url: &str) -> Option<(&str, u16, &str)> {
    let rest = url.strip_prefix("https://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // The colons of a bracketed IPv6 address are none of the port's.
    let after_host = authority.find(']').map_or(0, |at| at + 1);
    match authority[after_host..].split_once(':') {
        None => Some((authority, 443, path)),
        Some((tail, port)) => Some((&authority[..after_host + tail.len()], port.parse().ok()?, path)),
    }
}

/// A set of paths: literal segments, `{name}` for any one segment, and a last `{name*}` for any rest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Segment {
    /// This text, as it is sent.
    Literal(String),
    /// Any one segment, not empty.
    One,
    /// One segment or more.
    Rest,
}

/// Why a text is no path pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathPatternError;

impl fmt::Display for PathPatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not a path of plain segments, `{name}` and a last `{name*}`, beginning with a slash")
    }
}

impl core::error::Error for PathPatternError {}

impl PathPattern {
    pub(super) const fn from_segments(segments: Vec<Segment>) -> Self {
        Self(segments)
    }

    /// Whether the path as sent (percent-encoded, without query) is in the set. Dot segments, also encoded
    /// ones, are in none.
    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut segments = path.split('/');
        for expected in &self.0 {
            let Some(segment) = segments.next() else { return false };
            match expected {
                Segment::Literal(text) if text == segment => {}
                Segment::Literal(_) => return false,
                Segment::One if is_plain_segment(segment) => {}
                Segment::One => return false,
                Segment::Rest => return is_plain_segment(segment) && segments.all(is_plain_segment),
            }
        }
        segments.next().is_none()
    }
}

impl FromStr for PathPattern {
    type Err = PathPatternError;

    fn from_str(text: &str) -> Result<Self, PathPatternError> {
        let path = text.strip_prefix('/').ok_or(PathPatternError)?;
        let mut segments = Vec::new();
        for segment in path.split('/') {
            segments.push(match segment {
                _ if matches!(segments.last(), Some(Segment::Rest)) => return Err(PathPatternError),
                text if parameter(text)
                    .is_some_and(|name| name.strip_suffix('*').is_some_and(super::is_name)) =>
                {
                    Segment::Rest
                }
                text if parameter(text).is_some_and(super::is_name) => Segment::One,
                text if text.bytes().all(is_path_byte) && !is_dots(text) => {
                    Segment::Literal(text.to_string())
                }
                _ => return Err(PathPatternError),
            });
        }
        Ok(Self(segments))
    }
}

impl TryFrom<String> for PathPattern {
    type Error = PathPatternError;

    fn try_from(text: String) -> Result<Self, PathPatternError> {
        text.parse()
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.0 {
            f.write_str("/")?;
            f.write_str(match segment {
                Segment::Literal(text) => text,
                Segment::One => "{segment}",
                Segment::Rest => "{rest*}",
            })?;
        }
        Ok(())
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> Self {
        pattern.to_string()
    }
}

cbor_enum! {
    /// How a stored credential is presented.
    pub enum AuthKind {
        /// `Authorization: Bearer SECRET`.
        Bearer = "bearer",
        /// A header of the manifest's choice.
        Header = "header",
        /// `Authorization: Basic`, the secret being `user:password`.
        Basic = "basic",
        /// `Authorization: Bearer`, the token refreshed at `token_url`.
        Oauth2 = "oauth2",
    }
}

/// A credential that the owner stores and egress injects; the connector never sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSlot {
    /// How it is presented.
    pub kind: AuthKind,
    /// What the owner has to provide, in one sentence.
    pub description: String,
    /// The only hosts it is ever sent to.
    pub hosts: Vec<HostRule>,
    /// The header's name (kind `header`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Text before the secret in the header's value (kind `header`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Where the token is refreshed (kind `oauth2`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// Scopes to ask for (kind `oauth2`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// Whether `name` is a canonical DNS name of at least two labels, and no address in disguise.
pub(super) fn is_host_name(name: &str) -> bool {
    let labels: Vec<_> = name.split('.').collect();
    let plain = |label: &&str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    // A last label that begins with a digit would be read as an IPv4 address (WHATWG URL, "ends in a number").
    let named = labels.last().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_lowercase()));
    labels.len() >= 2 && name.len() <= 253 && named && labels.iter().all(plain)
}

/// What stands between the braces of a pattern's segment.
fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

pub(super) fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'+' | b'=' | b',')
}

/// Whether a segment as sent is neither empty nor a dot segment in any spelling.
fn is_plain_segment(segment: &str) -> bool {
    let spelled = segment.replace("%2e", ".").replace("%2E", ".");
    !spelled.is_empty() && !is_dots(&spelled)
}

pub(super) fn is_dots(segment: &str) -> bool {
    segment == "." || segment == ".."
}

fn https_port() -> Vec<u16> {
    alloc::vec![443]
}

/// 10 MiB.
const fn default_max_response_bytes() -> u64 {
    10 * 1024 * 1024
}

/// 10 s.
const fn default_connect_timeout_ms() -> u32 {
    10_000
}

/// 30 s, as long as a call.
const fn default_total_timeout_ms() -> u32 {
    30_000
}

/// 16.
const fn default_dns_max_ips() -> u8 {
    16
}
