//! The data model.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::CborError;
use super::encode::key_bytes;

/// One data item. Its strings lie where it was read from, or in the value that it stands for, until somebody keeps them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// An integer from 0 to 2^64 − 1.
    Unsigned(u64),
    /// The integer −1 − n, from −1 to −2^64.
    Negative(u64),
    /// A byte string.
    Bytes(Cow<'a, [u8]>),
    /// A UTF-8 text string.
    Text(Cow<'a, str>),
    /// A sequence.
    Array(Vec<Value<'a>>),
    /// A mapping in canonical key order.
    Map(Map<'a>),
    /// `true` or `false`.
    Bool(bool),
    /// The null value.
    Null,
    /// A number that is no integer of the model, or an integer written as a float; never NaN, infinite or −0.
    Float(f64),
}

impl Value<'_> {
    /// The integer `n`.
    pub fn integer(n: i64) -> Self {
        match u64::try_from(n) {
            Ok(n) => Self::Unsigned(n),
            // −1 − n cannot overflow for a negative n, and is its bitwise complement.
            Err(_) => Self::Negative(!n as u64),
        }
    }

    /// The same, with strings of its own.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Unsigned(n) => Value::Unsigned(n),
            Self::Negative(n) => Value::Negative(n),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Self::Map(Map(entries)) => {
                let owned = entries.into_iter().map(|(key, item)| (key.into_owned(), item.into_owned()));
                Value::Map(Map(owned.collect()))
            }
            Self::Bool(bit) => Value::Bool(bit),
            Self::Null => Value::Null,
            Self::Float(x) => Value::Float(x),
        }
    }
}

/// A mapping whose entries are kept in ascending order of their encoded keys, without duplicates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map<'a>(Vec<(Value<'a>, Value<'a>)>);

impl<'a> Map<'a> {
    /// The map of `entries`, in any order.
    ///
    /// # Errors
    /// [`CborError::DuplicateKey`], or what makes a key impossible to encode.
    pub fn new(entries: Vec<(Value<'a>, Value<'a>)>) -> Result<Self, CborError> {
        let mut keyed = Vec::with_capacity(entries.len());
        for entry in entries {
            keyed.push((key_bytes(&entry.0)?, entry));
        }
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        if keyed.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(CborError::DuplicateKey);
        }
        Ok(Self(keyed.into_iter().map(|(_, entry)| entry).collect()))
    }

    /// A map of entries that the caller has already put in the order of their encoded keys, without duplicates.
    pub(crate) fn from_ordered(entries: Vec<(Value<'a>, Value<'a>)>) -> Self {
        Self(entries)
    }

    /// The entries in canonical order.
    pub fn entries(&self) -> &[(Value<'a>, Value<'a>)] {
        &self.0
    }

    /// The entries in canonical order, owned.
    pub fn into_entries(self) -> Vec<(Value<'a>, Value<'a>)> {
        self.0
    }

    /// The value under the text key `key`.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.0.iter().find_map(|(k, v)| matches!(k, Value::Text(t) if t == key).then_some(v))
    }
}
