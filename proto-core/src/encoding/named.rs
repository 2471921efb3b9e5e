//! Typed values whose structs are read from named fields alone.
//!
//! Readers that are derived take a sequence for a struct too, its items in the order of the declaration. Texts from
//! outside name their fields: a value that says nothing of what it means is refused, however deep it stands. What is
//! meant to be a sequence, such as a list or a tuple, stays one. Spec: `docs/spec/encoding.md`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

/// Reads a value, every struct in it from named fields.
///
/// # Errors
/// What the deserializer or the type refuses, and a sequence where a struct should stand.
//= docs/spec/encoding.md#strict-json
pub fn read<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(Named(deserializer))
}

/// What is read, down to its leaves, with structs from named fields: a deserializer, a seed, or access to parts.
struct Named<T>(T);

/// A visitor whose parts are read as [`Named`].
struct Visit<V> {
    visitor: V,
    sequence: Sequence,
}

/// Whether a sequence may stand here.
#[derive(Clone, Copy)]
enum Sequence {
    Allowed,
    Refused,
}

impl<V> Visit<V> {
    /// Of anything but a struct.
    const fn any(visitor: V) -> Self {
        Self { visitor, sequence: Sequence::Allowed }
    }

    /// Of a struct.
    const fn fields(visitor: V) -> Self {
        Self { visitor, sequence: Sequence::Refused }
    }
}

/// How derived readers of enums whose tag is one of the fields call what they expect: serde's fixed words, because they
/// ask for anything at all.
const TAGGED: &str = "internally tagged enum";

struct Expected<'a, V>(&'a V);

impl<'de, V: Visitor<'de>> fmt::Display for Expected<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}

macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*) $visit:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($argument,)* Visit::$visit(visitor))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Named<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        if Expected(&visitor).to_string().starts_with(TAGGED) {
            self.0.deserialize_any(Visit::fields(visitor))
        } else {
            self.0.deserialize_any(Visit::any(visitor))
        }
    }

    forward! {
        deserialize_bool() any;
        deserialize_i8() any;
        deserialize_i16() any;
        deserialize_i32() any;
        deserialize_i64() any;
        deserialize_i128() any;
        deserialize_u8() any;
        deserialize_u16() any;
        deserialize_u32() any;
        deserialize_u64() any;
        deserialize_u128() any;
        deserialize_f32() any;
        deserialize_f64() any;
        deserialize_char() any;
        deserialize_str() any;
        deserialize_string() any;
        deserialize_bytes() any;
        deserialize_byte_buf() any;
        deserialize_option() any;
        deserialize_unit() any;
        deserialize_unit_struct(name: &'static str) any;
        deserialize_newtype_struct(name: &'static str) any;
        deserialize_seq() any;
        deserialize_tuple(length: usize) any;
        deserialize_tuple_struct(name: &'static str, length: usize) any;
        deserialize_map() any;
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) fields;
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) any;
        deserialize_identifier() any;
        deserialize_ignored_any() any;
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident($type:ty);)*) => {
        $(fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Visit<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    visit! {
        visit_bool(bool);
        visit_i64(i64);
        visit_i128(i128);
        visit_u64(u64);
        visit_u128(u128);
        visit_f64(f64);
        visit_char(char);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Named(inner))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Named(inner))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        match self.sequence {
            Sequence::Allowed => self.visitor.visit_seq(Named(items)),
            Sequence::Refused => Err(A::Error::invalid_type(Unexpected::Seq, &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Named(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Named(variant))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Named<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Named(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Named<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Named(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Named<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Named(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Named<A> {
    type Error = A::Error;
    type Variant = Named<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Named<A::Variant>), A::Error> {
        self.0.variant_seed(seed).map(|(variant, content)| (variant, Named(content)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Named<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Named(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(length, Visit::any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Visit::fields(visitor))
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Point {
        x: u8,
        #[serde(default)]
        y: u8,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Wrapped(Point);

    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Outside {
        Struct { at: u8 },
        Newtype(Point),
        Tuple(u8, Point),
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        At { x: u8 },
    }

    /// Whether `text` is read as a `T`, and whether serde would read it as it stands.
    fn reads<T: serde::de::DeserializeOwned>(text: &str) -> (bool, bool) {
        let mut json = serde_json::Deserializer::from_str(text);
        (read::<T, _>(&mut json).is_ok(), serde_json::from_str::<T>(text).is_ok())
    }

    #[test]
    //= docs/spec/encoding.md#strict-json
    fn no_sequence_stands_for_a_struct_however_deep() {
        let refused = (false, true);
        assert_eq!(reads::<Point>("[1,2]"), refused);
        assert_eq!(reads::<Option<Point>>("[1,2]"), refused);
        assert_eq!(reads::<Wrapped>("[1,2]"), refused);
        assert_eq!(reads::<Vec<Point>>("[[1,2]]"), refused);
        assert_eq!(reads::<BTreeMap<String, Point>>(r#"{"a":[1,2]}"#), refused);
        assert_eq!(reads::<(u8, Point)>("[1,[1,2]]"), refused);
        assert_eq!(reads::<Outside>(r#"{"Struct":[1]}"#), refused);
        assert_eq!(reads::<Outside>(r#"{"Newtype":[1,2]}"#), refused);
        assert_eq!(reads::<Outside>(r#"{"Tuple":[1,[1,2]]}"#), refused);
        assert_eq!(reads::<Tagged>(r#"["At",1]"#), refused);
    }

    #[test]
    fn what_names_its_fields_and_what_is_a_sequence_is_read() {
        let taken = (true, true);
        assert_eq!(reads::<Point>(r#"{"x":1}"#), taken);
        assert_eq!(reads::<Option<Wrapped>>(r#"{"x":1,"y":2}"#), taken);
        assert_eq!(reads::<Option<Point>>("null"), taken);
        assert_eq!(reads::<(u8, Vec<Point>)>(r#"[1,[{"x":1}]]"#), taken);
        assert_eq!(reads::<Outside>(r#"{"Tuple":[1,{"x":1}]}"#), taken);
        assert_eq!(reads::<Outside>(r#"{"Struct":{"at":1}}"#), taken);
        assert_eq!(reads::<Tagged>(r#"{"kind":"At","x":1}"#), taken);
        assert_eq!(reads::<serde_json::Value>(r#"[[1],{"a":[-2,0.5]}]"#), taken);
    }

    #[test]
    fn the_refusal_says_what_stands_there_and_what_should() {
        let mut json = serde_json::Deserializer::from_str("[1,2]");
        let refused = read::<Point, _>(&mut json).unwrap_err();
        assert!(
            format!("{refused}").starts_with("invalid type: sequence, expected struct Point"),
            "{refused}"
        );
    }
}
