//! Value to bytes.

use alloc::vec::Vec;

use super::{CborError, ToCbor, Value};
use crate::limits::{MAX_DEPTH, MAX_OBJECT_BYTES};

/// Room for what most values are encoded in, so that a vector does not grow from nothing.
const ROOM: usize = 128;

/// The canonical encoding of `value`: a data item, or anything that has one.
///
/// # Errors
/// [`CborError::TooDeep`], [`CborError::TooLarge`] or [`CborError::NonFiniteFloat`].
pub fn encode(value: &(impl ToCbor + ?Sized)) -> Result<Vec<u8>, CborError> {
    encode_after(Vec::with_capacity(ROOM), value)
}

/// `prefix`, then the canonical encoding of `value`; the limit on size counts both.
///
/// # Errors
/// As [`encode`].
pub fn encode_after(prefix: Vec<u8>, value: &(impl ToCbor + ?Sized)) -> Result<Vec<u8>, CborError> {
    let mut out = prefix;
    value.append_to(&mut out, 0)?;
    Ok(out)
}

/// Appends `bytes` as a byte string.
///
/// # Errors
/// [`CborError::TooLarge`].
pub(crate) fn append_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), CborError> {
    string(2, bytes, out)
}

/// The encoding by which a map orders `key`; keys nest inside their map, so they start one level down.
pub(super) fn key_bytes(key: &Value<'_>) -> Result<Vec<u8>, CborError> {
    let mut out = Vec::new();
    append(key, &mut out, 1)?;
    Ok(out)
}

/// Appends the data item, which lies `depth` levels deep.
pub(super) fn append(value: &Value<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), CborError> {
    shallow(depth)?;
    match value {
        Value::Unsigned(n) => head(0, *n, out),
        Value::Negative(n) => head(1, *n, out),
        Value::Bytes(bytes) => string(2, bytes, out)?,
        Value::Text(text) => append_text(text, out)?,
        Value::Array(items) => append_array(items.iter(), out, depth)?,
        Value::Map(map) => {
            append_map_head(map.entries().len(), out, depth)?;
            for (key, item) in map.entries() {
                append(key, out, depth + 1)?;
                append(item, out, depth + 1)?;
            }
        }
        Value::Bool(false) => out.push(0xf4),
        Value::Bool(true) => out.push(0xf5),
        Value::Null => out.push(0xf6),
        Value::Float(x) => float(*x, out)?,
    }
    small(out)
}

/// Appends an array, which lies `depth` levels deep.
pub(super) fn append_array<'v, T: ToCbor + 'v>(
    items: impl ExactSizeIterator<Item = &'v T>,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), CborError> {
    shallow(depth)?;
    head(4, items.len() as u64, out);
    for item in items {
        item.append_to(out, depth + 1)?;
    }
    small(out)
}

/// Appends what a map of so many entries begins with, which lies `depth` levels deep.
pub(super) fn append_map_head(entries: usize, out: &mut Vec<u8>, depth: usize) -> Result<(), CborError> {
    shallow(depth)?;
    head(5, entries as u64, out);
    small(out)
}

/// Appends `text` as a text string.
pub(super) fn append_text(text: &str, out: &mut Vec<u8>) -> Result<(), CborError> {
    string(3, text.as_bytes(), out)
}

fn shallow(depth: usize) -> Result<(), CborError> {
    if depth > MAX_DEPTH { Err(CborError::TooDeep) } else { Ok(()) }
}

fn small(out: &[u8]) -> Result<(), CborError> {
    if out.len() > MAX_OBJECT_BYTES { Err(CborError::TooLarge) } else { Ok(()) }
}

/// Major type and argument in the shortest form (RFC 8949 §4.2.1).
fn head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    if let Ok(byte) = u8::try_from(argument) {
        if byte < 24 {
            out.push(major | byte);
        } else {
            out.extend([major | 24, byte]);
        }
    } else if let Ok(short) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend(short.to_be_bytes());
    } else if let Ok(word) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend(word.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend(argument.to_be_bytes());
    }
}

/// A string is refused before it is copied.
fn string(major: u8, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CborError> {
    if bytes.len() > MAX_OBJECT_BYTES {
        return Err(CborError::TooLarge);
    }
    head(major, bytes.len() as u64, out);
    out.extend(bytes);
    Ok(())
}

/// The narrowest float that holds `x` exactly; −0 is written as 0.
fn float(x: f64, out: &mut Vec<u8>) -> Result<(), CborError> {
    if !x.is_finite() {
        return Err(CborError::NonFiniteFloat);
    }
    let x = if x == 0.0 { 0.0 } else { x };
    let single = x as f32;
    if f64::from(single).to_bits() != x.to_bits() {
        out.push(0xfb);
        out.extend(x.to_be_bytes());
    } else if let Some(half) = half_bits(single) {
        out.push(0xf9);
        out.extend(half.to_be_bytes());
    } else {
        out.push(0xfa);
        out.extend(single.to_be_bytes());
    }
    Ok(())
}

/// The IEEE 754 half-precision bits of `x`, if it has them exactly.
pub(super) fn half_bits(x: f32) -> Option<u16> {
    let bits = x.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let exponent = ((bits >> 23) & 0xff) as i32 - 127;
    let mantissa = bits & 0x007f_ffff;
    match exponent {
        -127 if mantissa == 0 => Some(sign),
        -14..=15 if mantissa & 0x1fff == 0 => {
            Some(sign | (((exponent + 15) as u16) << 10) | (mantissa >> 13) as u16)
        }
        // Subnormal halves: the implicit bit becomes explicit and the value is a multiple of 2^-24.
        -24..=-15 => {
            let shift = (-1 - exponent) as u32;
            let full = mantissa | 0x0080_0000;
            (full & ((1 << shift) - 1) == 0).then(|| sign | (full >> shift) as u16)
        }
        _ => None,
    }
}
