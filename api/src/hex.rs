//! Fixed bytes that travel as lower-case hexadecimal: keys, challenges, signatures, session ids.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// `N` bytes, written as `2N` lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex<const N: usize>(pub [u8; N]);

/// The text is not the right number of lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHex;

impl fmt::Display for NotHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the right number of lower-case hexadecimal digits")
    }
}

impl core::error::Error for NotHex {}

impl<const N: usize> FromStr for Hex<N> {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(NotHex);
        }
        let mut bytes = [0; N];
        ::hex::decode_to_slice(text, &mut bytes).map_err(|_| NotHex)?;
        Ok(Self(bytes))
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hex({self})")
    }
}

impl<const N: usize> TryFrom<String> for Hex<N> {
    type Error = NotHex;

    fn try_from(text: String) -> Result<Self, NotHex> {
        text.parse()
    }
}

impl<const N: usize> From<Hex<N>> for String {
    fn from(hex: Hex<N>) -> Self {
        hex.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_spelling_is_read() {
        let hex = Hex([0, 0x1f, 0xff]);
        assert_eq!(hex.to_string(), "001fff");
        assert_eq!("001fff".parse(), Ok(hex));
        for bad in ["001FFF", "001ff", "001fff00", "", "zz1fff", " 01fff"] {
            assert_eq!(bad.parse::<Hex<3>>(), Err(NotHex), "{bad:?}");
        }
    }
}
