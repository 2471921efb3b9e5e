//! Typed values as data items: structs are maps with text keys, and a map with an unknown or missing key is refused.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::encode::{append, append_array};
use super::{CborError, Map, Value};
use crate::ids::IdError;
use crate::time::UnixTime;

/// Why a data item is not the expected type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// The bytes are not canonical CBOR.
    Cbor(CborError),
    /// Another kind of data item stands here; names the expected one.
    WrongType(&'static str),
    /// A number outside its field's range.
    OutOfRange,
    /// A byte string of another length.
    WrongLength,
    /// A required field is absent; names it.
    MissingField(&'static str),
    /// A field that the type does not have; names it.
    UnknownField(String),
    /// A text that names no variant of its enum.
    UnknownVariant(String),
    /// An identifier that breaks its grammar.
    Id(IdError),
    /// A rule of the type that its parts break together; names the rule.
    Invalid(&'static str),
    /// The payload is shorter than a schema's hash.
    SchemaMissing,
    /// The payload begins with another schema's hash.
    SchemaMismatch,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cbor(error) => write!(f, "not canonical CBOR: {error}"),
            Self::WrongType(expected) => write!(f, "expected {expected}"),
            Self::OutOfRange => f.write_str("a number is out of range"),
            Self::WrongLength => f.write_str("a byte string has the wrong length"),
            Self::MissingField(name) => write!(f, "the field `{name}` is missing"),
            Self::UnknownField(name) => write!(f, "the field `{name}` is unknown"),
            Self::UnknownVariant(name) => write!(f, "`{name}` is none of the allowed values"),
            Self::Id(error) => write!(f, "an identifier {error}"),
            Self::Invalid(rule) => f.write_str(rule),
            Self::SchemaMissing => f.write_str("the payload does not begin with a schema"),
            Self::SchemaMismatch => f.write_str("the payload belongs to another schema"),
        }
    }
}

impl core::error::Error for ShapeError {}

impl From<CborError> for ShapeError {
    fn from(error: CborError) -> Self {
        Self::Cbor(error)
    }
}

/// A type with one canonical data item a value.
pub trait ToCbor {
    /// The data item for this value.
    fn to_cbor(&self) -> Value<'_>;

    /// Whether a map leaves out the field whose value this is.
    fn is_absent(&self) -> bool {
        false
    }

    /// What stands in a map's field of this type; `None` leaves the field out.
    fn to_field(&self) -> Option<Value<'_>> {
        (!self.is_absent()).then(|| self.to_cbor())
    }

    /// Appends the encoding of the data item, which lies `depth` levels deep. Types of many parts are written part by part
    /// instead of becoming an item first.
    ///
    /// # Errors
    /// As [`encode`](super::encode).
    fn append_to(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), CborError> {
        append(&self.to_cbor(), out, depth)
    }
}

/// A type that can be read back from its data item.
pub trait FromCbor: Sized {
    /// The value that `value` stands for.
    ///
    /// # Errors
    /// What makes `value` no item of this type.
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError>;

    /// Reads a map's field named `name`, which may be absent.
    ///
    /// # Errors
    /// [`ShapeError::MissingField`] for all but optional fields, else as [`FromCbor::from_cbor`].
    fn from_field(name: &'static str, field: Option<Value<'_>>) -> Result<Self, ShapeError> {
        field.ok_or(ShapeError::MissingField(name)).and_then(Self::from_cbor)
    }
}

/// Bytes of any length as a CBOR byte string.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteString(pub Vec<u8>);

impl ToCbor for ByteString {
    fn to_cbor(&self) -> Value<'_> {
        Value::Bytes(Cow::Borrowed(&self.0))
    }
}

impl FromCbor for ByteString {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let Value::Bytes(bytes) = value else { return Err(ShapeError::WrongType("a byte string")) };
        Ok(Self(bytes.into_owned()))
    }
}

impl<const N: usize> ToCbor for [u8; N] {
    fn to_cbor(&self) -> Value<'_> {
        Value::Bytes(Cow::Borrowed(self))
    }
}

impl<const N: usize> FromCbor for [u8; N] {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let Value::Bytes(bytes) = value else { return Err(ShapeError::WrongType("a byte string")) };
        Self::try_from(&*bytes).map_err(|_| ShapeError::WrongLength)
    }
}

impl ToCbor for Value<'_> {
    fn to_cbor(&self) -> Value<'_> {
        self.clone()
    }

    fn append_to(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), CborError> {
        append(self, out, depth)
    }
}

impl FromCbor for Value<'static> {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        Ok(value.into_owned())
    }
}

impl ToCbor for str {
    fn to_cbor(&self) -> Value<'_> {
        Value::Text(Cow::Borrowed(self))
    }
}

impl ToCbor for String {
    fn to_cbor(&self) -> Value<'_> {
        self.as_str().to_cbor()
    }
}

impl FromCbor for String {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let Value::Text(text) = value else { return Err(ShapeError::WrongType("a text string")) };
        Ok(text.into_owned())
    }
}

impl ToCbor for bool {
    fn to_cbor(&self) -> Value<'_> {
        Value::Bool(*self)
    }
}

impl FromCbor for bool {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let Value::Bool(bit) = value else { return Err(ShapeError::WrongType("true or false")) };
        Ok(bit)
    }
}

macro_rules! unsigned {
    ($($int:ty),*) => {$(
        impl ToCbor for $int {
            fn to_cbor(&self) -> Value<'_> {
                Value::Unsigned(u64::from(*self))
            }
        }

        impl FromCbor for $int {
            fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
                match value {
                    Value::Unsigned(n) => Self::try_from(n).map_err(|_| ShapeError::OutOfRange),
                    _ => Err(ShapeError::WrongType("an unsigned integer")),
                }
            }
        }
    )*};
}

// `u8` is left out so that a list of small numbers cannot be mistaken for a byte string.
unsigned!(u16, u32, u64);

impl ToCbor for UnixTime {
    fn to_cbor(&self) -> Value<'_> {
        Value::Unsigned(self.as_secs())
    }
}

impl FromCbor for UnixTime {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        u64::from_cbor(value).map(Self::from_secs)
    }
}

impl<T: ToCbor> ToCbor for Vec<T> {
    fn to_cbor(&self) -> Value<'_> {
        Value::Array(self.iter().map(ToCbor::to_cbor).collect())
    }

    fn append_to(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), CborError> {
        append_array(self.iter(), out, depth)
    }
}

impl<T: FromCbor> FromCbor for Vec<T> {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let Value::Array(items) = value else { return Err(ShapeError::WrongType("an array")) };
        items.into_iter().map(T::from_cbor).collect()
    }
}

/// Sets are arrays in strictly ascending order, so that one set has one encoding.
//= docs/spec/encoding.md#sets
impl<T: ToCbor> ToCbor for alloc::collections::BTreeSet<T> {
    fn to_cbor(&self) -> Value<'_> {
        Value::Array(self.iter().map(ToCbor::to_cbor).collect())
    }

    fn append_to(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), CborError> {
        append_array(self.iter(), out, depth)
    }
}

impl<T: FromCbor + Ord> FromCbor for alloc::collections::BTreeSet<T> {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let items = Vec::<T>::from_cbor(value)?;
        if items.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(ShapeError::Invalid("a set must be in ascending order without duplicates"));
        }
        Ok(items.into_iter().collect())
    }
}

/// Keys of a map are as unique as their encodings, whatever order a map keeps in memory.
impl<K: ToCbor, V: ToCbor> ToCbor for alloc::collections::BTreeMap<K, V> {
    fn to_cbor(&self) -> Value<'_> {
        let entries = self.iter().map(|(key, value)| (key.to_cbor(), value.to_cbor()));
        Value::Map(Map::new(entries.collect()).unwrap_or_default())
    }
}

impl<K: FromCbor + Ord, V: FromCbor> FromCbor for alloc::collections::BTreeMap<K, V> {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let Value::Map(map) = value else { return Err(ShapeError::WrongType("a map")) };
        map.into_entries()
            .into_iter()
            .map(|(key, value)| Ok((K::from_cbor(key)?, V::from_cbor(value)?)))
            .collect()
    }
}

impl<T: ToCbor> ToCbor for Box<T> {
    fn to_cbor(&self) -> Value<'_> {
        T::to_cbor(self)
    }

    fn append_to(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), CborError> {
        T::append_to(self, out, depth)
    }
}

impl<T: FromCbor> FromCbor for Box<T> {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        T::from_cbor(value).map(Self::new)
    }
}

impl<T: ToCbor> ToCbor for Option<T> {
    fn to_cbor(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToCbor::to_cbor)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn append_to(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), CborError> {
        match self {
            Some(value) => value.append_to(out, depth),
            None => append(&Value::Null, out, depth),
        }
    }
}

impl<T: FromCbor> FromCbor for Option<T> {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        if value == Value::Null { Ok(None) } else { T::from_cbor(value).map(Some) }
    }

    /// An absent option has one form, which is absence: an explicit null is refused.
    fn from_field(_name: &'static str, field: Option<Value<'_>>) -> Result<Self, ShapeError> {
        field.map(T::from_cbor).transpose()
    }
}

/// Defines a struct together with its one data item: a map from field names to values, absent options left out.
///
/// `=> rule` after the struct names a function that a value must pass to be read: `fn(&Self) -> Result<(), ShapeError>`.
#[macro_export]
macro_rules! cbor_map {
    (
        $(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident : $type:ty),* $(,)? }
        $(=> $rule:path)?
    ) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$field_meta])* pub $field: $type),* }

        impl $crate::encoding::cbor::ToCbor for $name {
            fn to_cbor(&self) -> $crate::encoding::cbor::Value<'_> {
                let fields = [$(stringify!($field)),*].len();
                let mut map = $crate::encoding::cbor::MapBuilder::with_capacity(fields);
                $(map.field(stringify!($field), &self.$field);)*
                map.finish()
            }

            fn append_to(
                &self,
                out: &mut $crate::encoding::cbor::Output,
                depth: usize,
            ) -> Result<(), $crate::encoding::cbor::CborError> {
                const NAMES: &[&str] = &[$(stringify!($field)),*];
                const ORDER: [usize; NAMES.len()] = $crate::encoding::cbor::order_of(NAMES);
                let fields: [&dyn $crate::encoding::cbor::ToCbor; NAMES.len()] = [$(&self.$field),*];
                let in_order = ORDER.map(|at| (NAMES[at], fields[at]));
                $crate::encoding::cbor::append_fields(&in_order, out, depth)
            }
        }

        impl $crate::encoding::cbor::FromCbor for $name {
            fn from_cbor(
                value: $crate::encoding::cbor::Value<'_>,
            ) -> Result<Self, $crate::encoding::cbor::ShapeError> {
                let mut fields = $crate::encoding::cbor::FieldReader::new(value)?;
                let this = Self { $($field: fields.field(stringify!($field))?),* };
                fields.finish()?;
                $($rule(&this)?;)?
                Ok(this)
            }
        }
    };
}

/// Defines an enum whose variants are maps that name themselves under `type`.
#[macro_export]
macro_rules! cbor_tagged {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $text:literal {
            $($(#[$field_meta:meta])* $field:ident : $type:ty),* $(,)?
        }),* $(,)?
    }) => {
        $(#[$meta])*
        $vis enum $name {
            $($(#[$variant_meta])* $variant { $($(#[$field_meta])* $field: $type),* }),*
        }

        impl $crate::encoding::cbor::ToCbor for $name {
            fn to_cbor(&self) -> $crate::encoding::cbor::Value<'_> {
                let mut map = $crate::encoding::cbor::MapBuilder::default();
                match self {
                    $(Self::$variant { $($field),* } => {
                        map.field("type", $text);
                        $(map.field(stringify!($field), $field);)*
                    })*
                }
                map.finish()
            }
        }

        impl $crate::encoding::cbor::FromCbor for $name {
            fn from_cbor(
                value: $crate::encoding::cbor::Value<'_>,
            ) -> Result<Self, $crate::encoding::cbor::ShapeError> {
                let mut fields = $crate::encoding::cbor::FieldReader::new(value)?;
                let kind: ::alloc::string::String = fields.field("type")?;
                let this = match kind.as_str() {
                    $($text => Self::$variant { $($field: fields.field(stringify!($field))?),* },)*
                    _ => return Err($crate::encoding::cbor::ShapeError::UnknownVariant(kind)),
                };
                fields.finish()?;
                Ok(this)
            }
        }
    };
}

/// Defines an enum whose variants are texts, in CBOR and in JSON, with [`as_str`](#method.as_str) and `FromStr`.
#[macro_export]
macro_rules! cbor_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        $vis enum $name { $($(#[$variant_meta])* #[serde(rename = $text)] $variant),* }

        impl $name {
            /// All variants, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The text that stands for this variant on disk, on the wire and in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::core::str::FromStr for $name {
            type Err = $crate::encoding::cbor::ShapeError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err($crate::encoding::cbor::ShapeError::UnknownVariant(other.into())),
                }
            }
        }

        impl $crate::encoding::cbor::ToCbor for $name {
            fn to_cbor(&self) -> $crate::encoding::cbor::Value<'_> {
                $crate::encoding::cbor::Value::Text(self.as_str().into())
            }
        }

        impl $crate::encoding::cbor::FromCbor for $name {
            fn from_cbor(
                value: $crate::encoding::cbor::Value<'_>,
            ) -> Result<Self, $crate::encoding::cbor::ShapeError> {
                <::alloc::string::String as $crate::encoding::cbor::FromCbor>::from_cbor(value)?.parse()
            }
        }
    };
}
