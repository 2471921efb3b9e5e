//! Shares that can be told right from wrong.
//!
//! What is shared is the secret followed by a random blind, so that every share ends in bytes that nobody can guess who
//! does not hold it. That lets a plain hash of each share stand in the open: it names a wrong share, and tells nothing
//! about a right one, however easy the secret would be to guess.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{ShamirError, Share, combine, split};
use crate::crypto::hash::Hasher;
use crate::crypto::secret::SecretBytes;
use crate::encoding::cbor::{FieldReader, FromCbor, MapBuilder, ShapeError, ToCbor, Value};
use crate::random::Entropy;

/// Longest secret that is shared, in bytes. Chosen: a share fits into a box of any kind, with room to spare.
pub const MAX_SHARED_SECRET_BYTES: usize = 32 * 1024;

/// The length of the blind. Chosen: as the hash.
const BLIND_BYTES: usize = 32;

/// The domain of a share's hash.
const SHARE_DOMAIN: &str = "FCP2-SHARE-V1";

/// The domain of the hash of what is shared.
const SECRET_DOMAIN: &str = "FCP2-SHARED-SECRET-V1";

/// What one dealing is about; every hash covers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DealingTerms {
    /// The secret's name.
    pub secret_id: [u8; 16],
    /// Rises by one whenever the secret, or its shares, are dealt anew.
    pub generation: u32,
    /// How many shares give the secret; at least 1.
    pub threshold: u8,
    /// How many shares there are.
    pub total: u8,
}

/// What everybody may know of one dealing, and needs in order to judge its shares. It proves nothing by itself: it
/// stands in an object that the dealer signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dealing {
    pub(super) terms: DealingTerms,
    pub(super) share_hashes: Vec<[u8; 32]>,
    pub(super) secret_hash: [u8; 32],
}

/// A share together with the dealing that it says it is of.
#[derive(Debug, PartialEq, Eq)]
pub struct HeldShare {
    /// The secret's name.
    pub secret_id: [u8; 16],
    /// The generation it was dealt in.
    pub generation: u32,
    /// The share.
    pub share: Share,
}

/// What is wrong with one share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareFault {
    /// It is of another secret.
    OtherSecret,
    /// It is of this other generation.
    OtherGeneration(u32),
    /// The dealing has no share of this index.
    NoSuchIndex,
    /// Another share of this index is there.
    Duplicate,
    /// It is not the share that was dealt.
    Altered,
}

/// Why shares give no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CombineError {
    /// These shares are wrong, each for its reason.
    Faulty(Vec<(u8, ShareFault)>),
    /// All shares are right, and more are needed.
    TooFew {
        /// How many there are.
        have: usize,
        /// How many are needed.
        need: u8,
    },
    /// Every share is the one that was dealt, and yet they do not give the secret: the dealer dealt wrongly.
    DealtWrongly,
}

impl fmt::Display for ShareFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherSecret => f.write_str("is of another secret"),
            Self::OtherGeneration(generation) => write!(f, "is of generation {generation}"),
            Self::NoSuchIndex => f.write_str("was never dealt"),
            Self::Duplicate => f.write_str("is there twice"),
            Self::Altered => f.write_str("is not the one that was dealt"),
        }
    }
}

impl fmt::Display for CombineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faulty(faults) => {
                for (at, (index, fault)) in faults.iter().enumerate() {
                    write!(f, "{}share {index} {fault}", if at == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::TooFew { have, need } => write!(f, "{have} of {need} shares are there"),
            Self::DealtWrongly => f.write_str("the shares were dealt wrongly"),
        }
    }
}

impl core::error::Error for ShareFault {}
impl core::error::Error for CombineError {}

impl Dealing {
    /// Deals `secret` on `terms`: what may be published, and the shares with the indices from 1.
    ///
    /// # Errors
    /// What is wrong with the numbers or the secret.
    //= docs/spec/sealing.md#share-authentication
    pub fn deal(
        secret: &SecretBytes,
        terms: DealingTerms,
        entropy: &mut Entropy,
    ) -> Result<(Self, Vec<HeldShare>), ShamirError> {
        if secret.is_empty() {
            return Err(ShamirError::EmptySecret);
        }
        if secret.expose().len() > MAX_SHARED_SECRET_BYTES {
            return Err(ShamirError::SecretTooLong);
        }
        let mut blind = Zeroizing::new([0; BLIND_BYTES]);
        entropy.fill(&mut *blind);
        let blinded = Zeroizing::new([secret.expose(), &*blind].concat());
        let shares = split(&blinded, terms.threshold, terms.total, entropy)?;
        let share_hashes = shares.iter().map(|share| terms.hash_share(share)).collect();
        let held = |share| HeldShare { secret_id: terms.secret_id, generation: terms.generation, share };
        let dealing = Self { terms, share_hashes, secret_hash: terms.hash_secret(&blinded) };
        Ok((dealing, shares.into_iter().map(held).collect()))
    }

    /// What the dealing is about.
    pub const fn terms(&self) -> &DealingTerms {
        &self.terms
    }

    /// Checks one share.
    ///
    /// # Errors
    /// What is wrong with it.
    //= docs/spec/sealing.md#share-authentication
    pub fn verify(&self, held: &HeldShare) -> Result<(), ShareFault> {
        if held.secret_id != self.terms.secret_id {
            return Err(ShareFault::OtherSecret);
        }
        if held.generation != self.terms.generation {
            return Err(ShareFault::OtherGeneration(held.generation));
        }
        let place = usize::from(held.share.index).checked_sub(1);
        let hash = place.and_then(|at| self.share_hashes.get(at)).ok_or(ShareFault::NoSuchIndex)?;
        let right = self.terms.hash_share(&held.share).ct_eq(hash);
        if bool::from(right) { Ok(()) } else { Err(ShareFault::Altered) }
    }

    /// Gives back the secret, if every one of `shares` is right and they are enough.
    ///
    /// # Errors
    /// Which shares are wrong and why, or what else is missing.
    //= docs/spec/sealing.md#share-authentication
    pub fn combine(&self, shares: Vec<HeldShare>) -> Result<SecretBytes, CombineError> {
        let mut indices = BTreeSet::new();
        let judge = |held: &HeldShare| match self.verify(held) {
            Ok(()) if !indices.insert(held.share.index) => Some((held.share.index, ShareFault::Duplicate)),
            Ok(()) => None,
            Err(fault) => Some((held.share.index, fault)),
        };
        let faults: Vec<_> = shares.iter().filter_map(judge).collect();
        if !faults.is_empty() {
            return Err(CombineError::Faulty(faults));
        }
        let (have, need) = (shares.len(), self.terms.threshold);
        if have < usize::from(need) {
            return Err(CombineError::TooFew { have, need });
        }
        let shares: Vec<Share> = shares.into_iter().map(|held| held.share).collect();
        self.unblind(combine(&shares).map_err(|_| CombineError::DealtWrongly)?)
    }

    /// The secret without its blind, if both are what was shared.
    fn unblind(&self, mut blinded: Zeroizing<Vec<u8>>) -> Result<SecretBytes, CombineError> {
        let secret_bytes = blinded.len().checked_sub(BLIND_BYTES).ok_or(CombineError::DealtWrongly)?;
        if !bool::from(self.terms.hash_secret(&blinded).ct_eq(&self.secret_hash)) {
            return Err(CombineError::DealtWrongly);
        }
        drop(Zeroizing::new(blinded.split_off(secret_bytes)));
        Ok(SecretBytes::new(core::mem::take(&mut *blinded)))
    }
}

impl DealingTerms {
    fn hasher(&self, domain: &str) -> Hasher {
        Hasher::new(domain)
            .with(&self.secret_id)
            .with(&self.generation.to_le_bytes())
            .with(&[self.threshold, self.total])
    }

    fn hash_share(&self, share: &Share) -> [u8; 32] {
        self.hasher(SHARE_DOMAIN).with(&[share.index]).with(&share.data).finish()
    }

    fn hash_secret(&self, blinded: &[u8]) -> [u8; 32] {
        self.hasher(SECRET_DOMAIN).with(blinded).finish()
    }
}

impl ToCbor for Dealing {
    fn to_cbor(&self) -> Value<'_> {
        let mut map = MapBuilder::default();
        map.field("secret_id", &self.terms.secret_id);
        map.field("generation", &self.terms.generation);
        map.item("threshold", Value::Unsigned(self.terms.threshold.into()));
        map.item("total", Value::Unsigned(self.terms.total.into()));
        map.field("share_hashes", &self.share_hashes);
        map.field("secret_hash", &self.secret_hash);
        map.finish()
    }
}

impl FromCbor for Dealing {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let mut fields = FieldReader::new(value)?;
        let small = |n: u16| u8::try_from(n).map_err(|_| ShapeError::OutOfRange);
        let dealing = Self {
            terms: DealingTerms {
                secret_id: fields.field("secret_id")?,
                generation: fields.field("generation")?,
                threshold: small(fields.field("threshold")?)?,
                total: small(fields.field("total")?)?,
            },
            share_hashes: fields.field("share_hashes")?,
            secret_hash: fields.field("secret_hash")?,
        };
        fields.finish()?;
        let DealingTerms { threshold, total, .. } = dealing.terms;
        if threshold == 0 || threshold > total || dealing.share_hashes.len() != usize::from(total) {
            return Err(ShapeError::Invalid("a dealing has one hash a share, and needs 1 to all of them"));
        }
        Ok(dealing)
    }
}
