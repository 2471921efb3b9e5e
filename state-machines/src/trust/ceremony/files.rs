//! The files of the key folder: their names, and how each is wrapped.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use fcp_proto_core::crypto::derive;
use fcp_proto_core::crypto::role::Wrapping;
use fcp_proto_core::crypto::secret::SymmetricKey;
use fcp_proto_core::crypto::source::KeySource;
use fcp_proto_core::crypto::wrap::{WrappableKey, WrappedKey};
use fcp_proto_core::encoding::cbor::encode;
use fcp_proto_core::ids::{KeyId, PrincipalId, ZoneId};
use fcp_proto_core::random::Entropy;

use super::BeginError;

/// The file of the owner's key.
pub const OWNER_KEY: &str = "owner.key";
/// The file of the node's signing key.
pub const SIGNING_KEY: &str = "node-signing.key";
/// The file of the node's issuance key.
pub const ISSUANCE_KEY: &str = "node-issuance.key";
/// The file of the node's encryption key.
pub const ENCRYPTION_KEY: &str = "node-encryption.key";
/// The file of the vault's key.
pub const VAULT_KEY: &str = "vault.key";

/// The file of an operator's key.
pub fn operator_key_file(operator: &PrincipalId) -> String {
    format!("operator.{operator}.key")
}

/// The file of a key that takes the place of the one that a ceremony, or another enrolment, stored in `first`. It bears the
/// key's own id, so that no file is ever written over.
//= docs/spec/home.md#keys
pub fn later_key_file(first: &str, key: KeyId) -> String {
    format!("{}.{key}.key", first.strip_suffix(".key").unwrap_or(first))
}

/// The file of a zone's object-id key; zones have no `_`, so two zones never share a file.
pub fn zone_key_file(zone: &ZoneId) -> String {
    format!("zone.{}.key", zone.as_str().replace(':', "_"))
}

/// The zone whose object-id key a file of this name keeps, and which key it is if not the zone's first: zones have no `.`.
pub fn zone_of_key_file(name: &str) -> Option<(ZoneId, Option<KeyId>)> {
    let name = name.strip_prefix("zone.")?.strip_suffix(".key")?;
    let (zone, later) = match name.split_once('.') {
        Some((zone, key)) => (zone, Some(key.parse().ok()?)),
        None => (name, None),
    };
    Some((ZoneId::new(zone.replace('_', ":")).ok()?, later))
}

/// The key under which the file `name` is wrapped: derived from the node's secret, so that no file passes for another.
pub fn file_wrapping_key(secret: &SymmetricKey<Wrapping>, name: &str) -> SymmetricKey<Wrapping> {
    let info = [b"FCP2-KEY-FILE-V1/", name.as_bytes()].concat();
    SymmetricKey::from_bytes(derive::subkey(secret.expose(), &info))
}

/// Wraps a key for the file `name`.
///
/// # Errors
/// None in practice: the source is no passphrase and the record is small.
pub fn wrap_for_file<K: WrappableKey>(
    key: &K,
    name: &str,
    secret: &SymmetricKey<Wrapping>,
    source: KeySource,
    entropy: &mut Entropy,
) -> Result<Vec<u8>, BeginError> {
    let wrapped = WrappedKey::with_key(key, &file_wrapping_key(secret, name), source, entropy)?;
    Ok(encode(&wrapped)?)
}
