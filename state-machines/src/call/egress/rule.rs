//! What an operation declares: hosts, ports, methods, paths, limits. Source: docs/spec/egress.md#rules.

use core::fmt;
use core::str::FromStr;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use fcp_proto_core::ids::Digest;
use serde::{Deserialize, Serialize};

use super::address::Cidr;
use super::host::{Host, HostPattern};

/// One thing an operation may do on the network. A request must fit one rule in every part; an empty part fits none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressRule {
    /// The hosts.
    pub hosts: Vec<HostPattern>,
    /// The ports.
    pub ports: Vec<u16>,
    /// The methods.
    pub methods: Vec<Method>,
    /// The paths.
    pub paths: Vec<PathTemplate>,
    /// Sizes, counts and times.
    pub limits: Limits,
    /// SHA-256 over the `SubjectPublicKeyInfo` of the service's certificate; any one fits, none means not pinned.
    pub spki_pins: Vec<Digest>,
}

/// Sizes, counts and times of one request. None has a default: an operation that does not say is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub max_request_bytes: u64,
    /// Largest answer body, in bytes.
    pub max_response_bytes: u64,
    /// Redirects followed; with zero the answer that redirects is handed to the connector.
    pub max_redirects: u8,
    /// Most addresses a name may resolve to.
    pub dns_max_ips: u16,
    /// For resolution, connection and TLS handshake together, in milliseconds.
    pub connect_timeout_ms: u64,
    /// From the request's arrival to the answer's last byte, in milliseconds.
    pub total_timeout_ms: u64,
    /// Longest silence of the service, in milliseconds.
    pub idle_timeout_ms: u64,
}

impl Limits {
    /// Whether every limit that must bound something does.
    pub const fn is_complete(&self) -> bool {
        self.max_response_bytes > 0
            && self.dns_max_ips > 0
            && self.connect_timeout_ms > 0
            && self.total_timeout_ms > 0
            && self.idle_timeout_ms > 0
    }
}

/// An owner's recorded decision that one host may be reached at addresses the positive rule refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressException {
    /// The host, as the URL names it.
    pub host: HostPattern,
    /// Where its addresses must lie.
    pub cidr: Cidr,
    /// The port.
    pub port: u16,
    /// Whether http in the clear is permitted.
    pub transport: Transport,
    /// The certificate authority of the service, as PEM, trusted for this host and these addresses only.
    pub ca_pem: Option<String>,
}

impl EgressException {
    /// Whether the exception speaks of this host and port.
    pub fn names(&self, host: &Host, port: u16) -> bool {
        self.port == port && self.host.covers(host)
    }
}

/// What an exception demands of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Only https.
    Tls,
    /// Also http in the clear; credentials are still sent only by https.
    Plaintext,
}

/// The methods a rule can name; CONNECT, TRACE and inventions are absent on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Reads the head only.
    Head,
    /// Creates or acts.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
    /// Asks what is possible.
    Options,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 7] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// The method of this exact name; method names are case-sensitive (RFC 9110 §9.1).
    pub fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// A declared path: `/repos/{owner}/{repo}/contents/{path*}`. `{name}` fits one segment or the inside of one
/// (`/v1/{name}:run`), a final `{name*}` one or more. Templates are compared with the canonical path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathTemplate {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Parameter { prefix: String, suffix: String },
    Rest,
}

/// Why a text is not a path template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// It does not begin with a slash.
    NotAbsolute,
    /// A literal part is empty in the middle, a dot segment, or holds a character a canonical path cannot hold.
    Literal,
    /// Braces do not pair up, a name is empty or malformed, or one segment holds two parameters.
    Parameter,
    /// `{name*}` stands elsewhere than alone at the end.
    Rest,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "must begin with a slash",
            Self::Literal => "has a literal part that no canonical path holds",
            Self::Parameter => "has a malformed parameter",
            Self::Rest => "has a {name*} elsewhere than alone at the end",
        })
    }
}

impl core::error::Error for TemplateError {}

impl PathTemplate {
    /// Whether a canonical path fits.
    pub fn fits(&self, path: &str) -> bool {
        let Some(inner) = path.strip_prefix('/') else { return false };
        let mut parts = inner.split('/');
        for segment in &self.segments {
            let Some(part) = parts.next() else { return false };
            match segment {
                Segment::Literal(literal) if literal == part => {}
                Segment::Literal(_) => return false,
                Segment::Parameter { prefix, suffix } => {
                    let inner = part
                        .strip_prefix(prefix.as_str())
                        .and_then(|rest| rest.strip_suffix(suffix.as_str()));
                    if inner.is_none_or(str::is_empty) {
                        return false;
                    }
                }
                Segment::Rest => return !part.is_empty(),
            }
        }
        parts.next().is_none()
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for PathTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let inner = text.strip_prefix('/').ok_or(TemplateError::NotAbsolute)?;
        let parts: Vec<&str> = inner.split('/').collect();
        let last = parts.len() - 1;
        let segments = parts
            .iter()
            .enumerate()
            .map(|(index, part)| segment(part, index == last))
            .collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_string(), segments })
    }
}

impl TryFrom<String> for PathTemplate {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        text.parse()
    }
}

impl From<PathTemplate> for String {
    fn from(template: PathTemplate) -> Self {
        template.text
    }
}

fn segment(part: &str, is_last: bool) -> Result<Segment, TemplateError> {
    let Some(open) = part.find('{') else {
        check_literal(part)?;
        let misplaced = (part.is_empty() && !is_last) || matches!(part, "." | "..");
        return if misplaced { Err(TemplateError::Literal) } else { Ok(Segment::Literal(part.to_string())) };
    };
    let (prefix, rest) = part.split_at(open);
    let close = rest.find('}').ok_or(TemplateError::Parameter)?;
    let (name, suffix) = (&rest[1..close], &rest[close + 1..]);
    check_literal(prefix)?;
    check_literal(suffix)?;
    if let Some(name) = name.strip_suffix('*') {
        check_name(name)?;
        let alone = is_last && prefix.is_empty() && suffix.is_empty();
        return if alone { Ok(Segment::Rest) } else { Err(TemplateError::Rest) };
    }
    check_name(name)?;
    Ok(Segment::Parameter { prefix: prefix.to_string(), suffix: suffix.to_string() })
}

fn check_name(name: &str) -> Result<(), TemplateError> {
    let good =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if good { Ok(()) } else { Err(TemplateError::Parameter) }
}

fn check_literal(text: &str) -> Result<(), TemplateError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b);
    if text.contains(['{', '}']) {
        Err(TemplateError::Parameter)
    } else if text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(TemplateError::Literal)
    }
}
