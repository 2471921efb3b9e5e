//! Which headers pass, in both directions. Source: docs/spec/egress.md#headers. Names are in lower case.

use super::refusal::Refusal;

/// What happens to a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is handed on.
    Pass,
    /// It is removed.
    Strip,
}

/// A header of a connector's request. What states identity, routing, framing or another method is ours to say.
pub fn request(name: &str) -> Verdict {
    let ours = ["x-fcp-", "proxy-", "x-forwarded-"].iter().any(|prefix| begins_as(name, prefix));
    if ours || listed(HOP_BY_HOP, name) || listed(REQUEST_STRIPPED, name) {
        Verdict::Strip
    } else {
        Verdict::Pass
    }
}

/// A header of a service's answer. Cookies are credentials, and a connector holds none; `x-fcp-*` is our own word.
pub fn response(name: &str) -> Verdict {
    let ours = ["x-fcp-", "proxy-"].iter().any(|prefix| begins_as(name, prefix));
    if ours || listed(HOP_BY_HOP, name) || listed(RESPONSE_STRIPPED, name) {
        Verdict::Strip
    } else {
        Verdict::Pass
    }
}

/// Whether a server may read both names as the same: one that hands headers on as variables knows no dash
/// (RFC 3875 §4.1.18).
//= docs/spec/egress.md#headers
pub fn reads_as(name: &str, other: &str) -> bool {
    name.len() == other.len() && begins_as(name, other)
}

fn begins_as(name: &str, prefix: &str) -> bool {
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(|(a, b)| dashed(a) == dashed(b))
}

fn listed(names: &[&str], name: &str) -> bool {
    names.iter().any(|other| reads_as(name, other))
}

/// Whether a credential may be written into a header of this name.
pub fn may_carry_credential(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
    let is_name = !name.is_empty() && name.bytes().all(token);
    is_name
        && (name == "authorization" || request(name) == Verdict::Pass)
        && !matches!(name, "content-type" | "accept")
}

/// Checks that the request's length can be read in one way only.
///
/// # Errors
/// If a transfer encoding is stated, or a content length twice or not as a plain number.
pub fn check_framing<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<(), Refusal> {
    let mut lengths = 0;
    for (name, value) in headers {
        if name == "transfer-encoding" {
            return Err(Refusal::FramingAmbiguous);
        }
        if name == "content-length" {
            lengths += 1;
            if lengths > 1 || !is_length(value) {
                return Err(Refusal::FramingAmbiguous);
            }
        }
    }
    Ok(())
}

/// Checks that an answer's length can be read in one way only, and that nothing but its division into chunks was done to
/// its body on the way.
///
/// # Errors
/// If a transfer coding other than one `chunked` is stated, a length twice or not as a plain number, or both.
//= docs/spec/egress.md#headers
pub fn check_answer_framing<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<(), Refusal> {
    let mut framings = 0;
    for (name, value) in headers {
        let sound = match name {
            "transfer-encoding" if !value.eq_ignore_ascii_case(b"chunked") => {
                return Err(Refusal::EncodedAnswer);
            }
            "transfer-encoding" => true,
            "content-length" => is_length(value),
            _ => continue,
        };
        framings += 1;
        if framings > 1 || !sound {
            return Err(Refusal::UpstreamBroken);
        }
    }
    Ok(())
}

fn is_length(value: &[u8]) -> bool {
    !value.is_empty() && value.len() <= 19 && value.iter().all(u8::is_ascii_digit)
}

/// Whether an answer's body stands as it is, by the values of its `Content-Encoding` headers.
///
/// # Errors
/// If a coding is named: what is compressed cannot be searched for the credential.
pub fn check_encoding<'a>(mut codings: impl Iterator<Item = &'a [u8]>) -> Result<(), Refusal> {
    let plain = |value: &[u8]| value.is_empty() || value.eq_ignore_ascii_case(b"identity");
    if codings.all(plain) { Ok(()) } else { Err(Refusal::EncodedAnswer) }
}

/// RFC 9110 §7.6.1 and its predecessors.
const HOP_BY_HOP: &[&str] =
    &["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"];

/// Ours to say: identity, routing, framing, compression; and what makes a server run another method or path.
const REQUEST_STRIPPED: &[&str] = &[
    "authorization",
    "cookie",
    "cookie2",
    "host",
    "content-length",
    "accept-encoding",
    "expect",
    "forwarded",
    "via",
    "x-real-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-original-host",
    "x-rewrite-url",
    "x-host",
];

/// Cookies, and what only speaks to the connection we ended.
const RESPONSE_STRIPPED: &[&str] = &["set-cookie", "set-cookie2", "alt-svc", "content-length"];
