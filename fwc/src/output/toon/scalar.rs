//! Scalars and keys: when they are quoted, how they are escaped, and how they are read (§4, §7).

use std::borrow::Cow;

use fcp_proto_core::encoding::json::Number;

use super::{Delimiter, ToonRule};
use crate::output::json;
use crate::output::text::is_hidden;
use crate::output::value::Value;

/// Appends the scalar `value`; arrays and objects have no text here and are never passed.
pub(super) fn write(value: &Value, delimiter: Delimiter, out: &mut String) {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => out.push_str("null"),
        Value::Bool(bit) => out.push_str(if *bit { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) if needs_quotes(text, delimiter) => write_quoted(text, out),
        Value::String(text) => out.push_str(text),
    }
}

/// Appends `key`, quoted unless it is an ASCII identifier with dots (§7.3).
pub(super) fn write_key(key: &str, out: &mut String) {
    let plain = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if plain { out.push_str(key) } else { write_quoted(key, out) }
}

/// Whether `text` would be read as something else without quotes (§7.2), or shows what should be escaped.
fn needs_quotes(text: &str, delimiter: Delimiter) -> bool {
    text.is_empty()
        || text.starts_with([' ', '-', '#'])
        || text.ends_with(' ')
        || matches!(text, "true" | "false" | "null")
        || is_like_number(text)
        || text.chars().any(|c| {
            matches!(c, ':' | '"' | '\\' | '[' | ']' | '{' | '}') || c == delimiter.char() || is_hidden(c)
        })
}

/// Whether `text` is digits with an optional sign, fraction and exponent; wider than the grammar of numbers, because
/// other readers take `+1` and `05` for numbers.
fn is_like_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    [whole, fraction, exponent].iter().all(|part| is_digits(part))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn write_quoted(text: &str, out: &mut String) {
    // Beyond the basic plane there is no escape; such a character stays as it is.
    json::quote(text, |c| is_hidden(c) && u32::from(c) <= 0xffff, out);
}

/// The value of a token without surrounding spaces.
pub(super) fn read(token: &str) -> Result<Value, ToonRule> {
    if token.starts_with('"') {
        return match read_quoted(token)? {
            (text, "") => Ok(Value::String(text)),
            (_, _) => Err(ToonRule::AfterQuote),
        };
    }
    match token {
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        "null" => Ok(Value::Null),
        number if is_number(number) => {
            Number::from_decimal(number).map(Value::Number).map_err(|_| ToonRule::InexactNumber)
        }
        text => Ok(Value::from(text)),
    }
}

/// The text of the quoted token that `input` begins with, and what follows it.
pub(super) fn read_quoted(input: &str) -> Result<(String, &str), ToonRule> {
    let end = closing_quote(input).ok_or(ToonRule::UnterminatedString)?;
    Ok((unescape(&input[1..end])?.into_owned(), &input[end + 1..]))
}

/// Where the quote is that closes the one `input` begins with.
pub(super) fn closing_quote(input: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in input.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> Result<Cow<'_, str>, ToonRule> {
    if !text.contains('\\') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (c, length) = match escape.as_bytes().first() {
            Some(b'\\') => ('\\', 1),
            Some(b'"') => ('"', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(b'u') => (read_unit(escape).ok_or(ToonRule::InvalidEscape)?, 5),
            Some(_) | None => return Err(ToonRule::InvalidEscape),
        };
        out.push(c);
        rest = &escape[length..];
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// The character of `uXXXX`, which is no surrogate.
fn read_unit(escape: &str) -> Option<char> {
    let digits = escape.get(1..5).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    char::from_u32(u32::from_str_radix(digits, 16).ok()?)
}

/// The grammar of JSON numbers (§4).
fn is_number(token: &str) -> bool {
    let unsigned = token.strip_prefix('-').unwrap_or(token);
    let leading_zero =
        unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.as_bytes()[1].is_ascii_digit();
    !token.starts_with('+') && !leading_zero && is_like_number(unsigned) && !unsigned.starts_with(['+', '-'])
}
