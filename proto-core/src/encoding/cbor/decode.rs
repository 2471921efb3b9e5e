//! Bytes to value, accepting nothing but the canonical encoding.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::encode::half_bits;
use super::{CborError, Map, Value};
use crate::limits::{MAX_DEPTH, MAX_OBJECT_BYTES};

/// The value whose canonical encoding is exactly `input`, in which its strings lie.
///
/// Memory is bounded by one [`Value`] (32 bytes on a machine of 64 bits) for each byte of `input`: what is reserved on the
/// word of a length is never more in all than could still come.
///
/// # Errors
/// The first rule that `input` breaks.
//= docs/spec/encoding.md#canonical-cbor
pub fn decode(input: &[u8]) -> Result<Value<'_>, CborError> {
    if input.len() > MAX_OBJECT_BYTES {
        return Err(CborError::TooLarge);
    }
    let mut reader = Reader { rest: input, unreserved: input.len() };
    let value = reader.value(0)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(CborError::TrailingBytes) }
}

/// The byte string that `input` begins with, where it lies, and what follows; none if it does not begin with one.
pub(crate) fn split_bytes(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader { rest: input, unreserved: 0 };
    let initial = reader.byte().ok()?;
    let bytes = if initial >> 5 == 2 { reader.string(initial & 0x1f).ok()? } else { return None };
    Some((bytes, reader.rest))
}

struct Reader<'a> {
    rest: &'a [u8],
    /// Items for which no room was made yet. Every item takes a byte, so an input has no more of them than bytes, and whoever
    /// promises items on every level and sends none gains nothing by it.
    unreserved: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value<'a>, CborError> {
        if depth > MAX_DEPTH {
            return Err(CborError::TooDeep);
        }
        let initial = self.byte()?;
        let info = initial & 0x1f;
        match initial >> 5 {
            0 => Ok(Value::Unsigned(self.argument(info)?)),
            1 => Ok(Value::Negative(self.argument(info)?)),
            2 => Ok(Value::Bytes(Cow::Borrowed(self.string(info)?))),
            3 => self.text(info),
            4 => self.array(info, depth),
            5 => self.map(info, depth),
            6 => Err(CborError::UnsupportedTag),
            _ => self.simple(info),
        }
    }

    fn byte(&mut self) -> Result<u8, CborError> {
        self.chunk().map(|[byte]| byte)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let (chunk, rest) = self.rest.split_first_chunk().ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(*chunk)
    }

    /// The argument of a head, refused unless it needed all the bytes it was given.
    fn argument(&mut self, info: u8) -> Result<u64, CborError> {
        let (argument, least) = match info {
            0..=23 => return Ok(u64::from(info)),
            24 => (u64::from(self.byte()?), 24),
            25 => (u64::from(u16::from_be_bytes(self.chunk()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.chunk()?)), 1 << 16),
            27 => (u64::from_be_bytes(self.chunk()?), 1 << 32),
            28..=30 => return Err(CborError::ReservedHead),
            _ => return Err(CborError::IndefiniteLength),
        };
        if argument < least { Err(CborError::NonShortest) } else { Ok(argument) }
    }

    fn length(&mut self, info: u8) -> Result<usize, CborError> {
        usize::try_from(self.argument(info)?).map_err(|_| CborError::Truncated)
    }

    fn string(&mut self, info: u8) -> Result<&'a [u8], CborError> {
        let length = self.length(info)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn text(&mut self, info: u8) -> Result<Value<'a>, CborError> {
        let text = core::str::from_utf8(self.string(info)?).map_err(|_| CborError::InvalidUtf8)?;
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn array(&mut self, info: u8, depth: usize) -> Result<Value<'a>, CborError> {
        let length = self.length(info)?;
        self.promise(length, 1)?;
        let mut items = Vec::with_capacity(self.room(length));
        for _ in 0..length {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, info: u8, depth: usize) -> Result<Value<'a>, CborError> {
        let length = self.length(info)?;
        self.promise(length, 2)?;
        let mut entries = Vec::with_capacity(self.room(2 * length) / 2);
        let mut previous: Option<&[u8]> = None;
        for _ in 0..length {
            let before = self.rest;
            let key = self.value(depth + 1)?;
            let bytes = &before[..before.len() - self.rest.len()];
            previous.map_or(Ok(()), |previous| in_order(previous, bytes))?;
            previous = Some(bytes);
            entries.push((key, self.value(depth + 1)?));
        }
        Ok(Value::Map(Map::from_ordered(entries)))
    }

    /// For how many of `items` to make room before they are read; for all of them, unless some were promised in vain.
    fn room(&mut self, items: usize) -> usize {
        let room = items.min(self.unreserved);
        self.unreserved -= room;
        room
    }

    /// Every item takes a byte, so a count beyond the rest of the input is refused before the first item is read.
    fn promise(&self, count: usize, bytes_each: usize) -> Result<(), CborError> {
        let least = count.checked_mul(bytes_each).ok_or(CborError::Truncated)?;
        if least > self.rest.len() { Err(CborError::Truncated) } else { Ok(()) }
    }

    fn simple(&mut self, info: u8) -> Result<Value<'a>, CborError> {
        match info {
            20 => Ok(Value::Bool(false)),
            21 => Ok(Value::Bool(true)),
            22 => Ok(Value::Null),
            25..=27 => self.float(info),
            28..=30 => Err(CborError::ReservedHead),
            31 => Err(CborError::IndefiniteLength),
            _ => Err(CborError::UnsupportedSimple),
        }
    }

    /// A float of 16, 32 or 64 bits (`info` 25 to 27); it is canonical if no narrower one has its value.
    fn float(&mut self, info: u8) -> Result<Value<'a>, CborError> {
        let (x, shortest) = match info {
            25 => (half_value(u16::from_be_bytes(self.chunk()?)), true),
            26 => {
                let single = f32::from_be_bytes(self.chunk()?);
                (f64::from(single), half_bits(single).is_none())
            }
            _ => {
                let double = f64::from_be_bytes(self.chunk()?);
                (double, f64::from(double as f32).to_bits() != double.to_bits())
            }
        };
        if !x.is_finite() {
            Err(CborError::NonFiniteFloat)
        } else if x == 0.0 && x.is_sign_negative() {
            Err(CborError::NegativeZero)
        } else if shortest {
            Ok(Value::Float(x))
        } else {
            Err(CborError::NonShortest)
        }
    }
}

fn in_order(before: &[u8], key: &[u8]) -> Result<(), CborError> {
    match before.cmp(key) {
        core::cmp::Ordering::Less => Ok(()),
        core::cmp::Ordering::Equal => Err(CborError::DuplicateKey),
        core::cmp::Ordering::Greater => Err(CborError::KeyOrder),
    }
}

/// The number that the half-precision `bits` stand for (IEEE 754 §3.4).
fn half_value(bits: u16) -> f64 {
    let magnitude = match (bits >> 10 & 0x1f, f64::from(bits & 0x3ff)) {
        (0, mantissa) => mantissa / 16_777_216.0,
        (0x1f, 0.0) => f64::INFINITY,
        (0x1f, _) => f64::NAN,
        (exponent, mantissa) => {
            (1.0 + mantissa / 1_024.0) * f64::from_bits((1_008 + u64::from(exponent)) << 52)
        }
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}
