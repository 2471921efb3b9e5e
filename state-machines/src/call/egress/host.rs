//! Hosts: canonical names and address literals, and the patterns that declare them. Source: docs/spec/egress.md#hosts.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use alloc::string::{String, ToString};
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// A host in its only spelling: a lower-case ASCII name without a final dot, or an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// A domain name.
    Name(String),
    /// An address written out.
    Address(IpAddr),
}

impl Host {
    /// Reads the host part of a URL: a name, a dotted IPv4 address, or an IPv6 address in brackets.
    ///
    /// # Errors
    /// For every spelling that two programs could read differently.
    //= docs/spec/egress.md#hosts
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if let Some(inner) = text.strip_prefix('[') {
            return inner.strip_suffix(']').ok_or(Refusal::HostInvalid).and_then(ipv6);
        }
        if text.contains('%') {
            return Err(Refusal::HostPercentEncoded);
        }
        if !text.is_ascii() {
            return Err(Refusal::HostNotAscii);
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if ends_in_number(&name) {
            let address: Ipv4Addr = name.parse().map_err(|_| Refusal::AddressAmbiguous)?;
            return if text.ends_with('.') {
                Err(Refusal::AddressAmbiguous)
            } else {
                Ok(Self::Address(address.into()))
            };
        }
        check_name(&name)?;
        Ok(Self::Name(name))
    }

    /// Whether the name is one that only this machine or its local network gives a meaning to.
    pub fn is_local_name(&self) -> bool {
        match self {
            Self::Address(_) => false,
            Self::Name(name) => {
                !name.contains('.')
                    || SPECIAL_SUFFIXES.iter().any(|suffix| {
                        name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                    })
            }
        }
    }
}

/// As it stands in a URL: IPv6 addresses in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(v4)) => write!(f, "{v4}"),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

/// A declared host: itself, or every name below a domain (`*.example.com`, which is not `example.com`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostPattern {
    /// Exactly this host.
    Exact(Host),
    /// Every name that ends in a dot and this domain of at least two labels.
    Below(String),
}

impl HostPattern {
    /// Whether the pattern declares `host`.
    pub fn covers(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exact(declared), host) => declared == host,
            (Self::Below(domain), Host::Name(name)) => {
                name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            (Self::Below(_), Host::Address(_)) => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => write!(f, "{host}"),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl FromStr for HostPattern {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let Some(domain) = text.strip_prefix("*.") else { return Host::parse(text).map(Self::Exact) };
        match Host::parse(domain)? {
            Host::Name(name) if name.contains('.') => Ok(Self::Below(name)),
            Host::Name(_) | Host::Address(_) => Err(Refusal::HostInvalid),
        }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

fn ipv6(text: &str) -> Result<Host, Refusal> {
    if text.contains('%') {
        return Err(Refusal::ZoneIdentifier);
    }
    let address: Ipv6Addr = text.parse().map_err(|_| Refusal::HostInvalid)?;
    Ok(Host::Address(address.into()))
}

/// Whether some resolver could read the name as a number: its last label is digits, or hexadecimal after `0x`.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let digits = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    digits || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Labels of letters, digits, inner dashes and underscores; RFC 1035 lengths; the dash pair of RFC 5890 only as `xn--`.
fn check_name(name: &str) -> Result<(), Refusal> {
    let label_is_good = |label: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        let reserved = label.as_bytes().get(2..4) == Some(b"--") && !label.starts_with("xn--");
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
            && !reserved
    };
    if name.len() <= MAX_NAME_BYTES && name.split('.').all(label_is_good) {
        Ok(())
    } else {
        Err(Refusal::HostInvalid)
    }
}

/// Longest domain name without its final dot (RFC 1035 §2.3.4).
const MAX_NAME_BYTES: usize = 253;

/// Domains that never name a public host: RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476, ICANN's `.internal`,
/// and the aliases of loopback that systems ship.
const SPECIAL_SUFFIXES: &[&str] = &[
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "lan",
    "home.arpa",
    "onion",
    "test",
    "invalid",
    "example",
    "alt",
];
