//! Schema names, and the hash that opens every body.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use crate::cbor_map;
use crate::ids::Digest;

/// The domain of [`SchemaId::hash`].
const SCHEMA_DOMAIN: &[u8] = b"FCP2-SCHEMA-V1";

/// A schema as code names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The family, such as `fcp.grant`.
    pub namespace: &'static str,
    /// The type, such as `Grant`.
    pub name: &'static str,
    /// The semantic version of the body's shape.
    pub version: &'static str,
}

impl Schema {
    /// The schema as a header carries it.
    pub fn id(&self) -> SchemaId {
        SchemaId {
            namespace: self.namespace.to_string(),
            name: self.name.to_string(),
            version: self.version.to_string(),
        }
    }
}

cbor_map! {
    /// A schema as a header carries it.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct SchemaId {
        /// The family.
        pub namespace: String,
        /// The type.
        pub name: String,
        /// The semantic version.
        pub version: String,
    }
}

impl SchemaId {
    /// BLAKE3-256 over the domain and each part behind its length (u64, little-endian).
    //= docs/spec/objects.md#schema-hash
    pub fn hash(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(SCHEMA_DOMAIN);
        for part in [&self.namespace, &self.name, &self.version] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }

    /// The text that signatures bind: `namespace.name/version`.
    pub fn signing_text(&self) -> String {
        format!("{}.{}/{}", self.namespace, self.name, self.version)
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}@{}", self.namespace, self.name, self.version)
    }
}
