//! Hashes, keys, signatures, sealed boxes, wrapped keys, shared secrets and the recovery phrase.
//!
//! Keys carry their role in their type, so that a key of one role cannot be used as another. Secrets are wiped when
//! dropped, are never printed and are not cloned. Spec: `docs/spec/keys.md` and
//! `docs/spec/sealing.md`.

pub mod agree;
pub mod derive;
pub mod encoded_key;
pub mod frost;
pub mod hash;
pub mod hpke;
pub mod mls;
pub mod phrase;
pub mod proof;
pub mod provider;
pub mod role;
pub mod seal;
pub mod secret;
pub mod shamir;
pub mod sign;
pub mod source;
#[cfg(test)]
mod tests;
pub mod wrap;
