//! Identifiers: canonical names, zones, object ids and key ids.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::{MAX_ID_BYTES, MAX_ZONE_ID_BYTES};

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdError {
    /// No character at all.
    Empty,
    /// Longer than its kind allows.
    TooLong,
    /// A character outside ASCII.
    NonAscii,
    /// An upper-case letter.
    UppercaseNotAllowed,
    /// The first character is not a lower-case letter or a digit.
    InvalidStartChar,
    /// A character outside the alphabet of its kind.
    InvalidChar,
    /// A zone without the prefix `z:`.
    MissingPrefix,
    /// A zone with two colons in a row or one at its end.
    EmptySegment,
    /// A zone whose name begins with `proj-`, which is how project zones are spelled as network tags.
    ReservedPrefix,
    /// A project zone whose project begins or ends with `-`, or holds a colon.
    InvalidProject,
    /// Not the right number of hexadecimal digits.
    NotHex,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::TooLong => "is too long",
            Self::NonAscii => "holds a character outside ASCII",
            Self::UppercaseNotAllowed => "holds an upper-case letter",
            Self::InvalidStartChar => "must begin with a lower-case letter or a digit",
            Self::InvalidChar => "holds a character that is not allowed",
            Self::MissingPrefix => "must begin with \"z:\"",
            Self::EmptySegment => "has an empty segment",
            Self::ReservedPrefix => "uses the reserved prefix \"proj-\"",
            Self::InvalidProject => "names a project that is not letters, digits and inner dashes",
            Self::NotHex => "is not the right number of hexadecimal digits",
        })
    }
}

impl core::error::Error for IdError {}

/// Defines a text identifier with its own validation, ordered and hashed as its text.
macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident, $check:path) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier spelled `text`.
            ///
            /// # Errors
            /// Names the first rule of the identifier's grammar that `text` breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                $check(&text).map(|()| Self(text))
            }

            /// The identifier's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl crate::encoding::cbor::ToCbor for $name {
            fn to_cbor(&self) -> crate::encoding::cbor::Value<'_> {
                crate::encoding::cbor::Value::Text(self.0.as_str().into())
            }
        }

        impl crate::encoding::cbor::FromCbor for $name {
            fn from_cbor(value: crate::encoding::cbor::Value) -> Result<Self, crate::encoding::cbor::ShapeError> {
                let text = String::from_cbor(value)?;
                Self::new(text).map_err(crate::encoding::cbor::ShapeError::Id)
            }
        }
    };
}

text_id!(
    /// A connector, such as `github`.
    ConnectorId,
    canonical
);
text_id!(
    /// An operation of a connector, such as `issues.list`.
    OperationId,
    canonical
);
text_id!(
    /// A capability that operations demand and grants give, such as `github.issues.read`.
    CapabilityId,
    canonical
);
text_id!(
    /// One who holds a key: the owner, an operator or an agent.
    PrincipalId,
    canonical
);
text_id!(
    /// A device of the owner.
    NodeId,
    canonical
);
text_id!(
    /// A role that principals can be assigned.
    RoleId,
    canonical
);
text_id!(
    /// A stored credential: the account's name within its connector and zone.
    CredentialId,
    canonical
);
text_id!(
    /// A zone, such as `z:work` or `z:project:apollo`.
    ZoneId,
    zone
);

impl ZoneId {
    /// The text after `z:project:`, if this is a project zone.
    pub fn project(&self) -> Option<&str> {
        self.0.strip_prefix("z:project:")
    }
}

/// Grammar of canonical identifiers: `[a-z0-9][a-z0-9._:-]*`, at most 128 bytes.
//= docs/spec/values.md#identifiers
fn canonical(text: &str) -> Result<(), IdError> {
    check_size(text, MAX_ID_BYTES)?;
    if !text.bytes().next().is_some_and(is_lower_alphanumeric) {
        return Err(IdError::InvalidStartChar);
    }
    let allowed = |b| is_lower_alphanumeric(b) || matches!(b, b'.' | b'_' | b':' | b'-');
    if text.bytes().all(allowed) { Ok(()) } else { Err(IdError::InvalidChar) }
}

/// Grammar of zones: `z:` and non-empty segments of `[a-z0-9-]`, at most 64 bytes.
//= docs/spec/values.md#identifiers
fn zone(text: &str) -> Result<(), IdError> {
    check_size(text, MAX_ZONE_ID_BYTES)?;
    let name = text.strip_prefix("z:").ok_or(IdError::MissingPrefix)?;
    if name.split(':').any(str::is_empty) {
        return Err(IdError::EmptySegment);
    }
    if name.starts_with("proj-") {
        return Err(IdError::ReservedPrefix);
    }
    if !name.bytes().all(|b| is_lower_alphanumeric(b) || matches!(b, b':' | b'-')) {
        return Err(IdError::InvalidChar);
    }
    match name.strip_prefix("project:") {
        Some(project) if project.starts_with('-') || project.ends_with('-') || project.contains(':') => {
            Err(IdError::InvalidProject)
        }
        Some(_) | None => Ok(()),
    }
}

fn check_size(text: &str, max: usize) -> Result<(), IdError> {
    if text.is_empty() {
        Err(IdError::Empty)
    } else if text.len() > max {
        Err(IdError::TooLong)
    } else if !text.is_ascii() {
        Err(IdError::NonAscii)
    } else if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Err(IdError::UppercaseNotAllowed)
    } else {
        Ok(())
    }
}

fn is_lower_alphanumeric(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

/// Defines an identifier of fixed bytes, written as lower-case hexadecimal.
macro_rules! byte_id {
    ($(#[$meta:meta])* $name:ident, $len:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $len]);

        impl $name {
            /// The identifier made of `bytes`.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The identifier's bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError::NotHex)?;
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl crate::encoding::cbor::ToCbor for $name {
            fn to_cbor(&self) -> crate::encoding::cbor::Value<'_> {
                crate::encoding::cbor::Value::Bytes(self.0.as_slice().into())
            }
        }

        impl crate::encoding::cbor::FromCbor for $name {
            fn from_cbor(value: crate::encoding::cbor::Value) -> Result<Self, crate::encoding::cbor::ShapeError> {
                <[u8; $len]>::from_cbor(value).map(Self)
            }
        }
    };
}

byte_id!(
    /// The keyed BLAKE3 hash that names a stored object within its zone.
    ObjectId,
    32
);
byte_id!(
    /// BLAKE3-256 over plain content: a code image, a manifest, an interface, a call.
    Digest,
    32
);
byte_id!(
    /// The first eight bytes of a public key's hash (COSE `kid`).
    KeyId,
    8
);
byte_id!(
    /// A capability token's identity (CWT `cti`).
    TokenId,
    16
);
byte_id!(
    /// One call, chosen by the daemon when it admits the request.
    CallId,
    16
);
byte_id!(
    /// One generation of keys between two nodes, chosen by the node that answers the handshake or the rekey.
    MeshSessionId,
    16
);
byte_id!(
    /// A number used once by a node in a handshake or a rekey.
    SessionNonce,
    16
);

byte_id!(
    /// A secret that the mesh keeps, chosen at random.
    SecretId,
    16
);

#[cfg(test)]
mod tests {
    use super::*;

    //= docs/spec/values.md#identifiers
    #[test]
    fn canonical_ids_follow_the_grammar() {
        for good in ["a", "github", "issues.list", "fcp.x:utility:1.0.0", "0-_.:"] {
            assert_eq!(ConnectorId::new(good).map(|id| id.to_string()), Ok(good.into()));
        }
        let long = "a".repeat(129);
        for (bad, why) in [
            ("", IdError::Empty),
            (long.as_str(), IdError::TooLong),
            ("é", IdError::NonAscii),
            ("Git", IdError::UppercaseNotAllowed),
            ("-a", IdError::InvalidStartChar),
            ("a b", IdError::InvalidChar),
        ] {
            assert_eq!(ConnectorId::new(bad), Err(why), "{bad:?}");
        }
    }

    //= docs/spec/values.md#identifiers
    #[test]
    fn zones_follow_the_grammar() {
        for good in ["z:owner", "z:project:apollo-2", "z:a:b"] {
            assert!(ZoneId::new(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("owner", IdError::MissingPrefix),
            ("z:", IdError::EmptySegment),
            ("z:a::b", IdError::EmptySegment),
            ("z:proj-x", IdError::ReservedPrefix),
            ("z:a.b", IdError::InvalidChar),
            ("z:project:-x", IdError::InvalidProject),
            ("z:project:x:y", IdError::InvalidProject),
            ("Z:owner", IdError::UppercaseNotAllowed),
        ] {
            assert_eq!(ZoneId::new(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn byte_ids_round_trip_as_hex() {
        let id = KeyId::from_bytes([1, 2, 3, 4, 5, 6, 7, 255]);
        assert_eq!(id.to_string(), "01020304050607ff");
        assert_eq!("01020304050607ff".parse(), Ok(id));
        assert_eq!("0102".parse::<KeyId>(), Err(IdError::NotHex));
    }
}
