//! Where the secret that opens a stored key comes from.

use alloc::string::String;
use core::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroize, Zeroizing};

use super::role::Wrapping;
use super::secret::{SecretBytes, SymmetricKey};
use crate::encoding::cbor::{FieldReader, FromCbor, MapBuilder, ShapeError, ToCbor, Value};
use crate::ids::NodeId;

/// Least memory of Argon2id, in KiB. Source: the OWASP password storage cheat sheet (19 MiB, two passes).
pub const MIN_MEMORY_KIB: u32 = 19 * 1024;

/// Most memory that a stored key may make us use, in KiB.
pub const MAX_MEMORY_KIB: u32 = 1024 * 1024;

/// Most passes over the memory. Chosen: with the bound on their product, opening ends within seconds.
pub const MAX_PASSES: u32 = 16;

/// Most lanes. Chosen.
pub const MAX_LANES: u32 = 16;

/// Most work, as memory in KiB times passes. Chosen: four passes over the largest memory.
pub const MAX_WORK: u64 = 4 * MAX_MEMORY_KIB as u64;

/// The cost of Argon2id (RFC 9106), always within the bounds above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Argon2Cost {
    /// RFC 9106 §4, second recommended option: 64 MiB, three passes, four lanes.
    pub const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

    /// The least that is accepted.
    pub const LEAST: Self = Self { memory_kib: MIN_MEMORY_KIB, passes: 2, lanes: 1 };

    /// The cost of `passes` over `memory_kib` KiB in `lanes` lanes.
    ///
    /// # Errors
    /// [`CostOutOfBounds`].
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, CostOutOfBounds> {
        let within = (MIN_MEMORY_KIB..=MAX_MEMORY_KIB).contains(&memory_kib)
            && (2..=MAX_PASSES).contains(&passes)
            && (1..=MAX_LANES).contains(&lanes)
            && u64::from(memory_kib) * u64::from(passes) <= MAX_WORK;
        if within { Ok(Self { memory_kib, passes, lanes }) } else { Err(CostOutOfBounds) }
    }

    /// The key that `passphrase` and `salt` give at this cost.
    ///
    /// # Errors
    /// [`StretchError`]; memory that cannot be had is an error, never an abort.
    pub fn stretch(
        self,
        passphrase: &SecretBytes,
        salt: &[u8; 16],
    ) -> Result<SymmetricKey<Wrapping>, StretchError> {
        if passphrase.is_empty() {
            return Err(StretchError::EmptyPassphrase);
        }
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|_| StretchError::Refused)?;
        let mut memory = alloc::vec::Vec::new();
        memory.try_reserve_exact(params.block_count()).map_err(|_| StretchError::OutOfMemory)?;
        memory.resize(params.block_count(), Block::new());
        let mut key = Zeroizing::new([0; 32]);
        let result = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
            passphrase.expose(),
            salt,
            &mut *key,
            &mut memory,
        );
        memory.iter_mut().for_each(Zeroize::zeroize);
        result.map_err(|_| StretchError::Refused)?;
        Ok(SymmetricKey::from_bytes(key))
    }
}

/// The cost is below what protects or above what a stored key may make us spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostOutOfBounds;

impl fmt::Display for CostOutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cost of Argon2id is out of bounds")
    }
}

impl core::error::Error for CostOutOfBounds {}

/// Why a passphrase gives no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StretchError {
    /// An empty passphrase protects nothing.
    EmptyPassphrase,
    /// The memory that the cost demands cannot be had.
    OutOfMemory,
    /// Argon2id refused its input.
    Refused,
}

impl fmt::Display for StretchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyPassphrase => "the passphrase is empty",
            Self::OutOfMemory => "not enough memory to stretch the passphrase",
            Self::Refused => "the passphrase cannot be stretched",
        })
    }
}

impl core::error::Error for StretchError {}

/// Where the wrapping key of a stored key comes from; stored with it and bound to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A passphrase, stretched by Argon2id.
    Passphrase {
        /// The cost of stretching.
        cost: Argon2Cost,
        /// The salt.
        salt: [u8; 16],
    },
    /// The operating system's keystore.
    OsKeystore {
        /// The entry's name.
        entry: String,
    },
    /// A credential that systemd hands to the service.
    SystemdCredential {
        /// The credential's name.
        name: String,
    },
    /// A file that only its user may read (mode 0600).
    File {
        /// The file's name in the home's key folder.
        name: String,
    },
    /// Another device of the owner, which releases it on request.
    OtherDevice {
        /// The device.
        node: NodeId,
    },
}

impl KeySource {
    /// What this source does not protect against, if that should be shown to the owner.
    pub const fn caveat(&self) -> Option<&'static str> {
        match self {
            Self::Passphrase { .. } | Self::OsKeystore { .. } | Self::OtherDevice { .. } => None,
            Self::SystemdCredential { .. } => Some("whoever may read the service's credentials has the key"),
            Self::File { .. } => {
                Some("every process of this user, and every backup of the file, has the key")
            }
        }
    }

    /// The kind in one word, as `status` shows it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Passphrase { .. } => "passphrase",
            Self::OsKeystore { .. } => "os_keystore",
            Self::SystemdCredential { .. } => "systemd_credential",
            Self::File { .. } => "file",
            Self::OtherDevice { .. } => "other_device",
        }
    }
}

impl ToCbor for KeySource {
    fn to_cbor(&self) -> Value<'_> {
        let mut map = MapBuilder::default();
        map.field("kind", self.kind());
        match self {
            Self::Passphrase { cost, salt } => {
                map.field("memory_kib", &cost.memory_kib);
                map.field("passes", &cost.passes);
                map.field("lanes", &cost.lanes);
                map.field("salt", salt);
            }
            Self::OsKeystore { entry } => map.field("entry", entry),
            Self::SystemdCredential { name } | Self::File { name } => map.field("name", name),
            Self::OtherDevice { node } => map.field("node", node),
        }
        map.finish()
    }
}

impl FromCbor for KeySource {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let mut fields = FieldReader::new(value)?;
        let source = match fields.field::<String>("kind")?.as_str() {
            "passphrase" => {
                let cost = Argon2Cost::new(
                    fields.field("memory_kib")?,
                    fields.field("passes")?,
                    fields.field("lanes")?,
                );
                Self::Passphrase {
                    cost: cost.map_err(|_| ShapeError::OutOfRange)?,
                    salt: fields.field("salt")?,
                }
            }
            "os_keystore" => Self::OsKeystore { entry: fields.field("entry")? },
            "systemd_credential" => Self::SystemdCredential { name: file_name(&mut fields)? },
            "file" => Self::File { name: file_name(&mut fields)? },
            "other_device" => Self::OtherDevice { node: fields.field("node")? },
            other => return Err(ShapeError::UnknownVariant(other.into())),
        };
        fields.finish()?;
        Ok(source)
    }
}

/// A name that stays inside its folder.
fn file_name(fields: &mut FieldReader<'_>) -> Result<String, ShapeError> {
    let name: String = fields.field("name")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > 255 || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(ShapeError::Invalid("a key source's name is letters, digits, `.`, `_` and `-`"));
    }
    Ok(name)
}
