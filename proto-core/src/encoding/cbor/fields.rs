//! The fields of a struct: one by one into its map and out of it.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::encode::{append_map_head, append_text};
use super::{CborError, FromCbor, Map, ShapeError, ToCbor, Value};

/// The places of `names` in the order of their encodings: texts begin with their length.
pub const fn order_of<const N: usize>(names: &[&str]) -> [usize; N] {
    let mut order = [0; N];
    let mut sorted = 0;
    while sorted < N {
        let mut at = sorted;
        while at > 0 && precedes(names[sorted], names[order[at - 1]]) {
            order[at] = order[at - 1];
            at -= 1;
        }
        order[at] = sorted;
        sorted += 1;
    }
    order
}

const fn precedes(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return one.len() < other.len();
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return one[at] < other[at];
        }
        at += 1;
    }
    false
}

/// Appends the map of `fields`, which are in the order of their encoded names, without those that are absent.
///
/// # Errors
/// As [`encode`](super::encode).
//= docs/spec/encoding.md#structs
pub fn append_fields(
    fields: &[(&str, &dyn ToCbor)],
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), CborError> {
    let present = || fields.iter().filter(|(_, value)| !value.is_absent());
    append_map_head(present().count(), out, depth)?;
    for (name, value) in present() {
        append_text(name, out)?;
        value.append_to(out, depth + 1)?;
    }
    Ok(())
}

/// Collects the fields of a struct, in the order of their encoded names.
#[derive(Debug, Default)]
pub struct MapBuilder<'a>(Vec<(Value<'a>, Value<'a>)>);

impl<'a> MapBuilder<'a> {
    /// A builder with room for `fields` fields.
    pub fn with_capacity(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    /// A builder that begins with the fields of `map`; any other item counts as an empty map.
    pub fn from_map(map: Value<'a>) -> Self {
        let Value::Map(map) = map else { return Self::default() };
        let mut entries = map.into_entries();
        entries.retain(|(name, _)| matches!(name, Value::Text(_)));
        Self(entries)
    }

    /// Adds the field `name`, unless it is an absent option.
    pub fn field(&mut self, name: &'static str, value: &'a (impl ToCbor + ?Sized)) {
        if let Some(value) = value.to_field() {
            self.item(name, value);
        }
    }

    /// Adds the field `name` with a data item.
    ///
    /// A name added twice keeps its first value; field names are literals of this crate and never collide.
    pub fn item(&mut self, name: &'static str, item: Value<'a>) {
        let name = Value::Text(Cow::Borrowed(name));
        if let Err(place) = self.0.binary_search_by(|(other, _)| rank(other).cmp(&rank(&name))) {
            self.0.insert(place, (name, item));
        }
    }

    /// The map of all added fields.
    pub fn finish(self) -> Value<'a> {
        Value::Map(Map::from_ordered(self.0))
    }
}

/// The order of the encodings of texts: these begin with the length.
fn rank<'v>(name: &'v Value<'_>) -> Option<(usize, &'v str)> {
    if let Value::Text(text) = name { Some((text.len(), &**text)) } else { None }
}

/// Takes the fields of a struct out of its map, one by one.
//= docs/spec/encoding.md#structs
#[derive(Debug)]
pub struct FieldReader<'a>(Vec<(Value<'a>, Value<'a>)>);

impl<'a> FieldReader<'a> {
    /// A reader over `value`.
    ///
    /// # Errors
    /// [`ShapeError::WrongType`] if it is no map.
    pub fn new(value: Value<'a>) -> Result<Self, ShapeError> {
        let Value::Map(map) = value else { return Err(ShapeError::WrongType("a map")) };
        Ok(Self(map.into_entries()))
    }

    /// Takes the field `name`.
    ///
    /// # Errors
    /// As [`FromCbor::from_field`].
    pub fn field<T: FromCbor>(&mut self, name: &'static str) -> Result<T, ShapeError> {
        let at = self.0.iter().position(|(key, _)| matches!(key, Value::Text(text) if text == name));
        T::from_field(name, at.map(|at| self.0.remove(at).1))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`ShapeError::UnknownField`] if a field was not taken.
    pub fn finish(self) -> Result<(), ShapeError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((Value::Text(name), _)) => Err(ShapeError::UnknownField(name.into_owned())),
            Some(_) => Err(ShapeError::WrongType("a map with text keys")),
        }
    }

    /// What was not taken, for a type that is embedded in the same map.
    pub fn rest(self) -> Value<'a> {
        Value::Map(Map::from_ordered(self.0))
    }
}
