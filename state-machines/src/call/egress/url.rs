//! The strict URL parser: one spelling in, one reading out, everything else refused. Source: docs/spec/egress.md#urls.
//!
//! It does not repair. What a browser would forgive (backslashes, missing slashes, tabs, user names, dot segments)
//! is exactly what lets two programs disagree about the host, so it is refused by name.

use core::fmt;

use alloc::format;
use alloc::string::{String, ToString};

use super::host::Host;
use super::refusal::Refusal;

/// The scheme of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// HTTP inside TLS.
    Https,
    /// HTTP in the clear, which only an owner's exception permits.
    Http,
}

impl Scheme {
    /// The port a URL without one means.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }

    /// Its name before `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

/// Where a request goes: what two URLs must share to be the same place (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The scheme.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port, also where the URL left it out.
    pub port: u16,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

impl Origin {
    /// The host, and the port where it is not the scheme's own: the value of the `Host` header.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A URL in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it goes.
    pub origin: Origin,
    /// The path, beginning with `/`, without dot segments, empty segments or encoded slashes.
    pub path: String,
    /// The query without its `?`.
    pub query: Option<String>,
}

impl Target {
    /// Reads an absolute URL.
    ///
    /// # Errors
    /// Names the first rule it breaks.
    pub fn parse(url: &str) -> Result<Self, Refusal> {
        check_characters(url)?;
        let (scheme, rest) = url.split_once("://").ok_or(Refusal::NotAbsolute)?;
        let scheme = parse_scheme(scheme)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (host, port) = parse_authority(authority, scheme)?;
        let (path, query) = parse_tail(tail)?;
        Ok(Self { origin: Origin { scheme, host, port }, path, query })
    }

    /// The URL that a `Location` header of an answer to this one names (RFC 3986 §5.2); its fragment is for browsers
    /// and falls away.
    ///
    /// # Errors
    /// Names the first rule that the URL breaks.
    //= docs/spec/egress.md#redirects
    pub fn join(&self, reference: &str) -> Result<Self, Refusal> {
        let reference = reference.split_once('#').map_or(reference, |(before, _)| before);
        let first = reference.find(['/', '?']).unwrap_or(reference.len());
        if reference.is_empty() {
            Ok(self.clone())
        } else if reference[..first].contains(':') {
            Self::parse(reference)
        } else if reference.starts_with("//") {
            Self::parse(&format!("{}:{reference}", self.origin.scheme.as_str()))
        } else if reference.starts_with('/') {
            Self::parse(&format!("{}{reference}", self.origin))
        } else if reference.starts_with('?') {
            Self::parse(&format!("{}{}{reference}", self.origin, self.path))
        } else {
            let directory = self.path.rfind('/').map_or("/", |slash| &self.path[..=slash]);
            Self::parse(&format!("{}{directory}{reference}", self.origin))
        }
    }

    /// Path and query as a request line carries them.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// Checks that a `Host` header, if the request has one, names the URL's own authority.
    ///
    /// # Errors
    /// If it names another.
    pub fn check_host_header(&self, value: &[u8]) -> Result<(), Refusal> {
        let text = core::str::from_utf8(value).map_err(|_| Refusal::HostMismatch)?;
        match parse_authority(text, self.origin.scheme) {
            Ok((host, port)) if host == self.origin.host && port == self.origin.port => Ok(()),
            Ok(_) | Err(_) => Err(Refusal::HostMismatch),
        }
    }

    /// The same URL with `name=value` added to the query, percent-encoded.
    pub(crate) fn with_parameter(&self, name: &str, value: &str) -> String {
        let separator = if self.query.is_some() { '&' } else { '?' };
        format!("{}{separator}{}={}", self.path_and_query(), percent_encode(name), percent_encode(value))
    }

    /// Whether the query has a parameter of this name, however it is spelled.
    pub(crate) fn has_parameter(&self, name: &str) -> bool {
        let query = self.query.as_deref().unwrap_or_default();
        query.split(['&', ';']).any(|pair| {
            let key = pair.split_once('=').map_or(pair, |(key, _)| key);
            percent_decode(key).eq_ignore_ascii_case(name.as_bytes())
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path_and_query())
    }
}

/// Every byte but letters, digits and `-._~` as `%XX`.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        push_encoded(&mut out, byte);
    }
    out
}

fn push_encoded(out: &mut String, byte: u8) {
    if is_unreserved(byte) {
        out.push(char::from(byte));
    } else {
        out.push('%');
        out.push(hex_digit(byte >> 4));
        out.push(hex_digit(byte & 15));
    }
}

fn percent_decode(text: &str) -> alloc::vec::Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = alloc::vec::Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let decoded = if byte == b'%' { hex_pair(bytes, at + 1) } else { None };
        out.push(decoded.unwrap_or(byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    out
}

/// Refuses what no URL holds and parsers treat differently.
fn check_characters(url: &str) -> Result<(), Refusal> {
    if url.len() > MAX_URL_BYTES {
        return Err(Refusal::UrlTooLong);
    }
    for c in url.chars() {
        match c {
            '\\' => return Err(Refusal::Backslash),
            '#' => return Err(Refusal::Fragment),
            '\0'..=' ' | '\x7f' => return Err(Refusal::ControlCharacter),
            _ => {}
        }
    }
    Ok(())
}

fn parse_scheme(scheme: &str) -> Result<Scheme, Refusal> {
    if scheme.eq_ignore_ascii_case("https") {
        Ok(Scheme::Https)
    } else if scheme.eq_ignore_ascii_case("http") {
        Ok(Scheme::Http)
    } else {
        Err(Refusal::SchemeDenied)
    }
}

fn parse_authority(authority: &str, scheme: Scheme) -> Result<(Host, u16), Refusal> {
    if authority.contains('@') {
        return Err(Refusal::UserInfo);
    }
    // A colon inside brackets belongs to the address.
    let after_host = authority.rfind(']').unwrap_or(0);
    let (host, port) = match authority[after_host..].find(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(after_host + colon);
            (host, parse_port(&port[1..])?)
        }
        None => (authority, scheme.default_port()),
    };
    Ok((Host::parse(host)?, port))
}

fn parse_port(text: &str) -> Result<u16, Refusal> {
    let plain = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().map_err(|_| Refusal::PortInvalid) } else { Err(Refusal::PortInvalid) }
}

/// What follows the authority: path and query.
fn parse_tail(tail: &str) -> Result<(String, Option<String>), Refusal> {
    let (path, query) = match tail.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (tail, None),
    };
    let path = if path.is_empty() { "/".to_string() } else { canonical(path, Part::Path)? };
    check_segments(&path)?;
    let query = query.map(|query| canonical(query, Part::Query)).transpose()?;
    Ok((path, query))
}

/// The two parts with their own alphabets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Query,
}

/// Decodes what needed no encoding, spells the rest in upper case, and refuses characters outside RFC 3986.
fn canonical(text: &str, part: Part) -> Result<String, Refusal> {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let decoded = hex_pair(bytes, at + 1).ok_or(Refusal::PercentInvalid)?;
            if part == Part::Path && matches!(decoded, b'/' | b'\\' | 0) {
                return Err(Refusal::EncodedSlash);
            }
            if part == Part::Path && decoded.is_ascii_control() {
                return Err(Refusal::ControlCharacter);
            }
            push_encoded(&mut out, decoded);
            at += 3;
            continue;
        }
        let allowed = match part {
            Part::Path => is_path_byte(byte) || byte == b'/',
            Part::Query => is_path_byte(byte) || matches!(byte, b'/' | b'?' | b'[' | b']'),
        };
        if !allowed {
            return Err(Refusal::CharacterDenied);
        }
        out.push(char::from(byte));
        at += 1;
    }
    Ok(out)
}

/// Refuses `.`, `..` (the path's percent-encoding is canonical by now, so also `%2e%2e`) and `//`.
fn check_segments(path: &str) -> Result<(), Refusal> {
    let inner = path.strip_prefix('/').ok_or(Refusal::NotAbsolute)?;
    let mut segments = inner.split('/').peekable();
    while let Some(segment) = segments.next() {
        // Matrix parameters hide dot segments from some servers' parsers but not from others'.
        let name = segment.split_once(';').map_or(segment, |(name, _)| name);
        if matches!(name, "." | "..") {
            return Err(Refusal::DotSegment);
        }
        if name.is_empty() && segments.peek().is_some() {
            return Err(Refusal::EmptySegment);
        }
    }
    Ok(())
}

fn hex_pair(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |index| bytes.get(index).and_then(|b| char::from(*b).to_digit(16));
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase()
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 §3.3 `pchar` without percent-encoding.
fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'!' | b'$' | b'&'..=b',' | b';' | b'=' | b':' | b'@')
}

/// Longest URL. Chosen: what common servers accept at most.
const MAX_URL_BYTES: usize = 16 * 1024;
