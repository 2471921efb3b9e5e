//! The data model.

use alloc::string::String;
use alloc::vec::Vec;

use super::CborError;
use super::encode::key_bytes;

/// One data item.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An integer from 0 to 2^64 − 1.
    Unsigned(u64),
    /// The integer −1 − n, from −1 to −2^64.
    Negative(u64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A UTF-8 text string.
    Text(String),
    /// A sequence.
    Array(Vec<Value>),
    /// A mapping in canonical key order.
    Map(Map),
    /// `true` or `false`.
    Bool(bool),
    /// The null value.
    Null,
    /// A number that is no integer of the model, or an integer written as a float; never NaN, infinite or −0.
    Float(f64),
}

impl Value {
    /// The integer `n`.
    pub fn integer(n: i64) -> Self {
        match u64::try_from(n) {
            Ok(n) => Self::Unsigned(n),
            // −1 − n cannot overflow for a negative n, and is its bitwise complement.
            Err(_) => Self::Negative(!n as u64),
        }
    }
}

/// A mapping whose entries are kept in ascending order of their encoded keys, without duplicates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(Vec<(Value, Value)>);

impl Map {
    /// The map of `entries`, in any order.
    ///
    /// # Errors
    /// [`CborError::DuplicateKey`], or what makes a key impossible to encode.
    pub fn new(entries: Vec<(Value, Value)>) -> Result<Self, CborError> {
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
    pub(crate) fn from_ordered(entries: Vec<(Value, Value)>) -> Self {
        Self(entries)
    }

    /// The entries in canonical order.
    pub fn entries(&self) -> &[(Value, Value)] {
        &self.0
    }

    /// The entries in canonical order, owned.
    pub fn into_entries(self) -> Vec<(Value, Value)> {
        self.0
    }

    /// The value under the text key `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find_map(|(k, v)| matches!(k, Value::Text(t) if t == key).then_some(v))
    }
}
