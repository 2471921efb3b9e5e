//! A JSON value whose objects keep the order of their members, because people read what is printed and because columns
//! of CSV and TOON have an order. Numbers are the exact ones of strict JSON.

use std::collections::BTreeMap;

use fcp_proto_core::encoding::json::Number;

/// One value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, kept exactly.
    Number(Number),
    /// A string.
    String(String),
    /// A sequence.
    Array(Vec<Value>),
    /// A mapping with unique keys, in their order.
    Object(Object),
}

impl Value {
    /// Whether this is neither array nor object.
    pub(crate) fn is_scalar(&self) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => true,
            Self::Array(_) | Self::Object(_) => false,
        }
    }

    /// The members, if this is an object.
    pub(crate) fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The items, if this is an array.
    pub(crate) fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The same value with every string and key replaced by what `change` makes of it.
    pub(crate) fn map_text(&self, change: &impl Fn(&str) -> String) -> Self {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => self.clone(),
            Self::String(text) => Self::String(change(text)),
            Self::Array(items) => Self::Array(items.iter().map(|item| item.map_text(change)).collect()),
            Self::Object(object) => {
                Self::Object(Object(object.iter().map(|(k, v)| (change(k), v.map_text(change))).collect()))
            }
        }
    }

    /// The same value with what `change` makes of the member `name` of this object, or of each object of this array.
    #[must_use]
    pub(crate) fn map_member(self, name: &str, change: &impl Fn(Self) -> Self) -> Self {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => self,
            Self::Array(items) => {
                Self::Array(items.into_iter().map(|item| item.map_member(name, change)).collect())
            }
            Self::Object(object) => {
                let member = |(key, value): (String, Self)| {
                    let value = if key == name { change(value) } else { value };
                    (key, value)
                };
                Self::Object(Object(object.0.into_iter().map(member).collect()))
            }
        }
    }
}

impl From<bool> for Value {
    fn from(bit: bool) -> Self {
        Self::Bool(bit)
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Self::Number(n.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::Array(items)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

/// Members come in the order that `serde_json` holds them, which is that of their keys.
impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(bit) => Self::Bool(bit),
            serde_json::Value::Number(number) => {
                let text = number.to_string();
                // What cannot be kept exactly is shown as it was written.
                Number::from_decimal(&text).map_or(Self::String(text), Self::Number)
            }
            serde_json::Value::String(text) => Self::String(text),
            serde_json::Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            serde_json::Value::Object(members) => {
                Self::Object(Object(members.into_iter().map(|(key, value)| (key, value.into())).collect()))
            }
        }
    }
}

/// Members with unique keys, in the order in which they were put in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object(Vec<(String, Value)>);

impl Object {
    /// The object of `entries`.
    ///
    /// # Errors
    /// The index of the first entry whose key stands before it already.
    pub(crate) fn new(entries: Vec<(String, Value)>) -> Result<Self, usize> {
        let mut seen = std::collections::BTreeSet::new();
        match entries.iter().position(|(key, _)| !seen.insert(key)) {
            Some(at) => Err(at),
            None => Ok(Self(entries)),
        }
    }

    /// The object of `entries`; of equal keys the last value counts, at the place of the first.
    pub(crate) fn last_wins(entries: Vec<(String, Value)>) -> Self {
        let mut places = BTreeMap::new();
        let mut members: Vec<(String, Value)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            match places.get(&key) {
                Some(at) => members[*at] = (key, value),
                None => {
                    places.insert(key.clone(), members.len());
                    members.push((key, value));
                }
            }
        }
        Self(members)
    }

    /// This object with `key` set to `value`, at the end if it is new.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        match self.0.iter_mut().find(|(own, _)| own == key) {
            Some(member) => member.1 = value.into(),
            None => self.0.push((key.to_owned(), value.into())),
        }
        self
    }

    /// The value under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// The members by their keys, for whoever looks for many of them.
    pub(crate) fn index(&self) -> Index<'_> {
        let mut members: Vec<(&str, &Value)> = self.iter().collect();
        members.sort_unstable_by_key(|(key, _)| *key);
        Index(members)
    }

    /// The same members with what `change` makes of their values.
    #[must_use]
    pub(crate) fn map_values(&self, change: impl Fn(&str, &Value) -> Value) -> Self {
        Self(self.0.iter().map(|(key, value)| (key.clone(), change(key, value))).collect())
    }

    /// The members in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The members of an object in the order of their keys. Looking for each of a hundred thousand members one after the other
/// takes a program as long as a person would not wait.
#[derive(Clone, Debug)]
pub(crate) struct Index<'a>(Vec<(&'a str, &'a Value)>);

impl<'a> Index<'a> {
    /// The value under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        let at = self.0.binary_search_by_key(&key, |(own, _)| own).ok()?;
        self.0.get(at).map(|(_, value)| *value)
    }
}
