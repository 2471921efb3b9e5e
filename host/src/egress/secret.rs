//! Secret texts: wiped when dropped, never shown.

use core::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret. It crosses the private control socket in clear and nothing else; `Debug` shows none of it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// How long it takes says nothing but the length.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl Secret {
    /// Takes ownership of the text; it is wiped when dropped.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it can be put into a header and searched for in an answer without finding it everywhere.
    pub fn is_usable(&self) -> bool {
        (MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&self.0.len())
            && self.0.bytes().all(|b| (b' '..=b'~').contains(&b))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SecretVisitor)
    }
}

struct SecretVisitor;

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }
}

/// Shortest secret. Chosen: below this, honest answers would be cut for holding it by chance.
const MIN_SECRET_BYTES: usize = 8;

/// Longest secret. Chosen: the largest header common servers take.
const MAX_SECRET_BYTES: usize = 8 * 1024;
