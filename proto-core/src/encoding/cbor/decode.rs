//! Bytes to value, accepting nothing but the canonical encoding.

use alloc::string::String;
use alloc::vec::Vec;

use super::encode::half_bits;
use super::{CborError, Map, Value};
use crate::limits::{MAX_DEPTH, MAX_OBJECT_BYTES};

/// The value whose canonical encoding is exactly `input`.
///
/// Memory is bounded by a small multiple of `input`, since nothing is reserved on the word of a length.
///
/// # Errors
/// The first rule that `input` breaks.
//= docs/spec/encoding.md#canonical-cbor
pub fn decode(input: &[u8]) -> Result<Value, CborError> {
    if input.len() > MAX_OBJECT_BYTES {
        return Err(CborError::TooLarge);
    }
    let mut reader = Reader { input, at: 0 };
    let value = reader.value(0)?;
    if reader.at == input.len() { Ok(value) } else { Err(CborError::TrailingBytes) }
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, CborError> {
        if depth > MAX_DEPTH {
            return Err(CborError::TooDeep);
        }
        let initial = self.take(1)?[0];
        let info = initial & 0x1f;
        match initial >> 5 {
            0 => self.argument(info).map(Value::Unsigned),
            1 => self.argument(info).map(Value::Negative),
            2 => self.string(info).map(|bytes| Value::Bytes(bytes.to_vec())),
            3 => self.text(info),
            4 => self.array(info, depth),
            5 => self.map(info, depth),
            6 => Err(CborError::UnsupportedTag),
            _ => self.simple(info),
        }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], CborError> {
        let end = self.at.checked_add(count).ok_or(CborError::Truncated)?;
        let bytes = self.input.get(self.at..end).ok_or(CborError::Truncated)?;
        self.at = end;
        Ok(bytes)
    }

    /// The argument of a head, refused unless it needed all the bytes it was given.
    fn argument(&mut self, info: u8) -> Result<u64, CborError> {
        let (width, least) = match info {
            0..=23 => return Ok(u64::from(info)),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            28..=30 => return Err(CborError::ReservedHead),
            _ => return Err(CborError::IndefiniteLength),
        };
        let argument = self.take(width)?.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        if argument < least { Err(CborError::NonShortest) } else { Ok(argument) }
    }

    fn length(&mut self, info: u8) -> Result<usize, CborError> {
        usize::try_from(self.argument(info)?).map_err(|_| CborError::Truncated)
    }

    fn string(&mut self, info: u8) -> Result<&[u8], CborError> {
        let length = self.length(info)?;
        self.take(length)
    }

    fn text(&mut self, info: u8) -> Result<Value, CborError> {
        let text = core::str::from_utf8(self.string(info)?).map_err(|_| CborError::InvalidUtf8)?;
        Ok(Value::Text(String::from(text)))
    }

    fn array(&mut self, info: u8, depth: usize) -> Result<Value, CborError> {
        let length = self.length(info)?;
        self.promise(length, 1)?;
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, info: u8, depth: usize) -> Result<Value, CborError> {
        let length = self.length(info)?;
        self.promise(length, 2)?;
        let mut entries = Vec::new();
        let mut previous: Option<(usize, usize)> = None;
        for _ in 0..length {
            let start = self.at;
            let key = self.value(depth + 1)?;
            let span = (start, self.at);
            if let Some(before) = previous {
                self.in_order(before, span)?;
            }
            previous = Some(span);
            entries.push((key, self.value(depth + 1)?));
        }
        Ok(Value::Map(Map::from_ordered(entries)))
    }

    /// Every item takes a byte, so a count beyond the rest of the input is refused before the first item is read.
    fn promise(&self, count: usize, bytes_each: usize) -> Result<(), CborError> {
        let least = count.checked_mul(bytes_each).ok_or(CborError::Truncated)?;
        if least > self.input.len() - self.at { Err(CborError::Truncated) } else { Ok(()) }
    }

    fn in_order(&self, before: (usize, usize), key: (usize, usize)) -> Result<(), CborError> {
        match self.input[before.0..before.1].cmp(&self.input[key.0..key.1]) {
            core::cmp::Ordering::Less => Ok(()),
            core::cmp::Ordering::Equal => Err(CborError::DuplicateKey),
            core::cmp::Ordering::Greater => Err(CborError::KeyOrder),
        }
    }

    fn simple(&mut self, info: u8) -> Result<Value, CborError> {
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

    /// A float is canonical if no narrower one has its value.
    fn float(&mut self, info: u8) -> Result<Value, CborError> {
        let (x, shortest) = match *self.take(1 << (info - 24))? {
            [a, b] => (half_value(u16::from_be_bytes([a, b])), true),
            [a, b, c, d] => {
                let single = f32::from_be_bytes([a, b, c, d]);
                (f64::from(single), half_bits(single).is_none())
            }
            [a, b, c, d, e, f, g, h] => {
                let double = f64::from_be_bytes([a, b, c, d, e, f, g, h]);
                (double, f64::from(double as f32).to_bits() != double.to_bits())
            }
            _ => return Err(CborError::Truncated),
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
