//! Hashes, keys, signatures, sealed boxes, wrapped keys and the recovery phrase.
//!
//! Keys carry their role in their type, so that a key of one role cannot be used as another. Secrets are wiped when
//! dropped, are never printed and are not cloned. Spec: `docs/spec/keys.md`.

pub mod agree;
pub mod derive;
pub mod hash;
pub mod phrase;
pub mod proof;
pub mod provider;
pub mod role;
pub mod seal;
pub mod secret;
pub mod sign;
pub mod source;
#[cfg(test)]
mod tests;
pub mod wrap;
