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
    let ours = ["x-fcp-", "proxy-", "x-forwarded-"].iter().any(|prefix| name.starts_with(prefix));
    if ours || HOP_BY_HOP.contains(&name) || REQUEST_STRIPPED.contains(&name) {
        Verdict::Strip
    } else {
        Verdict::Pass
    }
}

/// A header of a service's answer. Cookies are credentials, and a connector holds none; `x-fcp-*` is our own word.
pub fn response(name: &str) -> Verdict {
    let ours = name.starts_with("x-fcp-") || name.starts_with("proxy-");
    if ours || HOP_BY_HOP.contains(&name) || RESPONSE_STRIPPED.contains(&name) {
        Verdict::Strip
    } else {
        Verdict::Pass
    }
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
            let plain = !value.is_empty() && value.len() <= 19 && value.iter().all(u8::is_ascii_digit);
            if lengths > 1 || !plain {
                return Err(Refusal::FramingAmbiguous);
            }
        }
    }
    Ok(())
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
