//! Secrets shared among devices: any `threshold` of `total` shares give the secret, fewer say nothing about it.
//!
//! [`split`] and [`combine`] are Shamir's scheme alone, byte by byte; what they give back is only as good as every share.
//! A [`Dealing`] adds what tells a wrong share from a right one. Spec: `docs/spec/sealing.md#shared-secrets`.

mod dealing;
mod field;
mod sealed;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use self::dealing::{
    CombineError, Dealing, DealingTerms, HeldShare, MAX_SHARED_SECRET_BYTES, ShareFault,
};
use self::field::{invert, multiply};
pub use self::sealed::{SealedShareError, ShareRecipient};
use crate::random::Entropy;

/// One share: the values of all polynomials at `index`.
pub struct Share {
    index: u8,
    data: Zeroizing<Vec<u8>>,
}

/// Why a secret cannot be split or combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShamirError {
    /// No share at all would be needed.
    ThresholdTooSmall,
    /// More shares would be needed than there are.
    ThresholdExceedsTotal,
    /// There is nothing to share.
    EmptySecret,
    /// The secret is longer than what is shared.
    SecretTooLong,
    /// Two shares with this index.
    DuplicateIndex(u8),
    /// The index zero, where the secret itself stands.
    ReservedIndex,
    /// Shares of different lengths, or none.
    MismatchedLengths,
}

impl fmt::Display for ShamirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThresholdTooSmall => f.write_str("at least one share must be needed"),
            Self::ThresholdExceedsTotal => f.write_str("more shares would be needed than there are"),
            Self::EmptySecret => f.write_str("there is nothing to share"),
            Self::SecretTooLong => f.write_str("the secret is too long to be shared"),
            Self::DuplicateIndex(index) => write!(f, "share {index} is there twice"),
            Self::ReservedIndex => f.write_str("no share has the index 0"),
            Self::MismatchedLengths => f.write_str("the shares differ in length, or there are none"),
        }
    }
}

impl core::error::Error for ShamirError {}

impl Share {
    /// The share that `bytes` encode: the index, then as many bytes as the secret has.
    ///
    /// # Errors
    /// [`ShamirError::ReservedIndex`], or [`ShamirError::EmptySecret`] if nothing follows the index.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ShamirError> {
        match bytes.split_first() {
            Some((0, _)) => Err(ShamirError::ReservedIndex),
            Some((index, data)) if !data.is_empty() => {
                Ok(Self { index: *index, data: Zeroizing::new(data.to_vec()) })
            }
            Some(_) | None => Err(ShamirError::EmptySecret),
        }
    }

    /// The share as bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + self.data.len()));
        bytes.push(self.index);
        bytes.extend_from_slice(&self.data);
        bytes
    }

    /// Where the polynomials were evaluated; never zero.
    pub const fn index(&self) -> u8 {
        self.index
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && bool::from(self.data.ct_eq(&other.data))
    }
}

impl Eq for Share {}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({}, ..)", self.index)
    }
}

/// Splits `secret` into `total` shares with the indices from 1, any `threshold` of which give it back.
///
/// # Errors
/// What is wrong with the numbers or the secret.
//= docs/spec/sealing.md#shares
pub fn split(
    secret: &[u8],
    threshold: u8,
    total: u8,
    entropy: &mut Entropy,
) -> Result<Vec<Share>, ShamirError> {
    if threshold == 0 {
        return Err(ShamirError::ThresholdTooSmall);
    }
    if threshold > total {
        return Err(ShamirError::ThresholdExceedsTotal);
    }
    if secret.is_empty() {
        return Err(ShamirError::EmptySecret);
    }
    let mut coefficients = Zeroizing::new(vec![0; secret.len() * usize::from(threshold - 1)]);
    entropy.fill(&mut coefficients);
    Ok((1..=total).map(|index| evaluate(secret, &coefficients, index)).collect())
}

/// Gives back the secret that lies at zero on the polynomials through *all* of `shares`. Shares say neither how many are
/// needed nor whether they are right: with too few, or a wrong one, the result is noise.
///
/// # Errors
/// What is wrong with the indices or lengths.
//= docs/spec/sealing.md#shares
pub fn combine(shares: &[Share]) -> Result<Zeroizing<Vec<u8>>, ShamirError> {
    let mut indices = BTreeSet::new();
    if let Some(twice) = shares.iter().find(|share| !indices.insert(share.index)) {
        return Err(ShamirError::DuplicateIndex(twice.index));
    }
    let length = shares.first().map_or(0, |share| share.data.len());
    if length == 0 || shares.iter().any(|share| share.data.len() != length) {
        return Err(ShamirError::MismatchedLengths);
    }
    let mut secret = Zeroizing::new(vec![0; length]);
    for share in shares {
        let weight = weight_at_zero(share.index, &indices);
        for (sum, value) in secret.iter_mut().zip(&*share.data) {
            *sum ^= multiply(weight, *value);
        }
    }
    Ok(secret)
}

/// The share at `index`; `coefficients` holds, for one power after another, a byte for each byte of the secret.
fn evaluate(secret: &[u8], coefficients: &[u8], index: u8) -> Share {
    let mut data = Zeroizing::new(vec![0; secret.len()]);
    for row in coefficients.rchunks_exact(secret.len()).chain([secret]) {
        for (value, coefficient) in data.iter_mut().zip(row) {
            *value = multiply(*value, index) ^ coefficient;
        }
    }
    Share { index, data }
}

/// Lagrange's coefficient at zero of the share at `index`.
fn weight_at_zero(index: u8, indices: &BTreeSet<u8>) -> u8 {
    let others = indices.iter().filter(|other| **other != index);
    others.fold(1, |weight, other| multiply(weight, multiply(*other, invert(other ^ index))))
}
