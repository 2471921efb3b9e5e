//! Numbers by their decimal value: `1`, `1.0` and `1e0` are one number with one text.

use alloc::format;
use alloc::string::{String, ToString};
use core::cmp::Ordering;
use core::fmt;

/// A number that is kept exactly: an integer from −2^63 to 2^64 − 1, or any other decimal that is the shortest text of
/// a finite double.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(Repr);

/// Disjoint by value: integers in range are never a `Float`, so derived equality is equality of values.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Repr {
    Unsigned(u64),
    Negative(i64),
    Float(f64),
}

/// A number that cannot be kept exactly, or is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InexactNumber;

impl fmt::Display for InexactNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number cannot be kept exactly")
    }
}

impl core::error::Error for InexactNumber {}

impl Number {
    /// The number that the decimal `text` (in the grammar of RFC 8259 §6) denotes.
    ///
    /// # Errors
    /// [`InexactNumber`] if it is neither an integer in range nor the shortest text of a double.
    pub fn from_decimal(text: &str) -> Result<Self, InexactNumber> {
        let decimal = Decimal::read(text).ok_or(InexactNumber)?;
        if let Some(integer) = decimal.to_integer() {
            return Ok(integer);
        }
        let nearest: f64 = text.parse().map_err(|_| InexactNumber)?;
        let exact = nearest.is_finite() && Decimal::read(&format!("{nearest:e}")) == Some(decimal);
        if exact { Ok(Self(Repr::Float(nearest))) } else { Err(InexactNumber) }
    }

    /// The value as an unsigned integer, if it is one in range.
    pub fn as_u64(self) -> Option<u64> {
        match self.0 {
            Repr::Unsigned(n) => Some(n),
            Repr::Negative(_) | Repr::Float(_) => None,
        }
    }

    /// The value as a signed integer, if it is one in range.
    pub fn as_i64(self) -> Option<i64> {
        match self.0 {
            Repr::Unsigned(n) => i64::try_from(n).ok(),
            Repr::Negative(n) => Some(n),
            Repr::Float(_) => None,
        }
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        match self.0 {
            Repr::Unsigned(n) => n as f64,
            Repr::Negative(n) => n as f64,
            Repr::Float(x) => x,
        }
    }

    /// Whether it is an integer from −2^63 to 2^64 − 1.
    pub fn is_integer(self) -> bool {
        self.integer().is_some()
    }

    fn integer(self) -> Option<i128> {
        match self.0 {
            Repr::Unsigned(n) => Some(i128::from(n)),
            Repr::Negative(n) => Some(i128::from(n)),
            Repr::Float(_) => None,
        }
    }
}

impl From<u64> for Number {
    fn from(n: u64) -> Self {
        Self(Repr::Unsigned(n))
    }
}

impl From<i64> for Number {
    fn from(n: i64) -> Self {
        Self(u64::try_from(n).map_or(Repr::Negative(n), Repr::Unsigned))
    }
}

/// The number whose shortest text is that of `x`.
impl TryFrom<f64> for Number {
    type Error = InexactNumber;

    fn try_from(x: f64) -> Result<Self, InexactNumber> {
        if x.is_finite() { Self::from_decimal(&format!("{x:e}")) } else { Err(InexactNumber) }
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By value, exactly.
impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.integer(), other.integer()) {
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(a), None) => integer_to_float(a, other.to_f64()),
            (None, Some(b)) => integer_to_float(b, self.to_f64()).reverse(),
            (None, None) => self.to_f64().total_cmp(&other.to_f64()),
        }
    }
}

/// The order of `n` and a double that is no integer in range; the cast truncates towards zero and saturates.
fn integer_to_float(n: i128, x: f64) -> Ordering {
    n.cmp(&(x as i128)).then(if x > 0.0 { Ordering::Less } else { Ordering::Greater })
}

/// Integers as digits; other numbers as ECMAScript's `Number::toString` (RFC 8785 §3.2.2.3).
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Repr::Unsigned(n) => n.fmt(f),
            Repr::Negative(n) => n.fmt(f),
            Repr::Float(x) => match Decimal::read(&format!("{x:e}")) {
                Some(decimal) => decimal.write(f),
                None => Err(fmt::Error),
            },
        }
    }
}

/// The value ±0.DIGITS × 10^point, with neither leading nor trailing zeros among the digits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    point: i64,
}

/// More significant digits than any integer in range (20) or shortest double (17) has.
const MAX_DIGITS: usize = 20;

impl Decimal {
    /// Reads `-?digits(.digits)?([eE][+-]?digits)?`; `None` if it has too many significant digits or too large an
    /// exponent to be exact.
    fn read(text: &str) -> Option<Self> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let leading = if whole.trim_start_matches('0').is_empty() {
            fraction.len() - fraction.trim_start_matches('0').len()
        } else {
            0
        };
        let digits: String = if leading == fraction.len() && whole.trim_start_matches('0').is_empty() {
            String::new()
        } else {
            significant(whole, fraction)?
        };
        if digits.is_empty() {
            return Some(Self { negative: false, digits, point: 0 });
        }
        let exponent: i64 = exponent.parse().ok().filter(|e| (-100_000_000..=100_000_000).contains(e))?;
        let whole_digits = i64::try_from(whole.trim_start_matches('0').len()).ok()?;
        let point = whole_digits - i64::try_from(leading).ok()? + exponent;
        Some(Self { negative, digits, point })
    }

    fn to_integer(&self) -> Option<Number> {
        let zeros = usize::try_from(self.point).ok()?.checked_sub(self.digits.len())?;
        if zeros > MAX_DIGITS {
            return None;
        }
        let magnitude: i128 = match format!("{}{}", self.digits, "0".repeat(zeros)).as_str() {
            "" => 0,
            digits => digits.parse().ok()?,
        };
        let value = if self.negative { -magnitude } else { magnitude };
        match u64::try_from(value) {
            Ok(n) => Some(Number::from(n)),
            Err(_) => i64::try_from(value).ok().map(Number::from),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, count) = (self.digits.as_str(), self.digits.len());
        if self.negative {
            f.write_str("-")?;
        }
        match usize::try_from(self.point) {
            Ok(point @ 1..=21) if count <= point => write!(f, "{digits}{}", "0".repeat(point - count)),
            Ok(point @ 1..=21) => write!(f, "{}.{}", &digits[..point], &digits[point..]),
            Ok(_) | Err(_) if (-5..=0).contains(&self.point) => {
                write!(f, "0.{}{digits}", "0".repeat(self.point.unsigned_abs() as usize))
            }
            Ok(_) | Err(_) => {
                let dot = if count > 1 { "." } else { "" };
                let sign = if self.point > 0 { "+" } else { "-" };
                write!(f, "{}{dot}{}e{sign}{}", &digits[..1], &digits[1..], (self.point - 1).unsigned_abs())
            }
        }
    }
}

/// The digits of `whole` and `fraction` without outer zeros; `None` if there are too many.
fn significant(whole: &str, fraction: &str) -> Option<String> {
    let fraction = fraction.trim_end_matches('0');
    let whole = whole.trim_start_matches('0');
    let (whole, fraction) = match (whole, fraction) {
        ("", fraction) => ("", fraction.trim_start_matches('0')),
        (whole, "") => (whole.trim_end_matches('0'), ""),
        both => both,
    };
    let all = [whole, fraction].concat();
    (all.len() <= MAX_DIGITS && all.bytes().all(|b| b.is_ascii_digit())).then(|| all.to_string())
}
