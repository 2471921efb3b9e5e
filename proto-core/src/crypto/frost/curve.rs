//! The library's types from our bytes and back, and its errors with the culprit's index.

use alloc::vec::Vec;

use frost_ed25519 as frost;
use frost_ed25519::rand_core::{CryptoRng, Error as RandomError, RngCore};
use frost_ed25519::{Ed25519ScalarField, Ed25519Sha512, Field, Group, Identifier};

use super::{FrostError, FrostFault};
use crate::random::Entropy;

/// The group of the curve's prime order.
type Curve = <Ed25519Sha512 as frost::Ciphersuite>::Group;

/// The library's name of a participant.
pub(super) fn identifier(index: u8) -> Result<Identifier, FrostError> {
    Identifier::try_from(u16::from(index)).map_err(|_| FrostError::Quorum)
}

/// The 32 bytes of one of the library's scalars or points.
pub(super) fn bytes32(bytes: Vec<u8>) -> Result<[u8; 32], FrostError> {
    bytes.try_into().map_err(|_| FrostError::Unusable)
}

/// The library's error in our words; `otherwise` where it blames nobody.
pub(super) fn blame(error: &frost::Error, otherwise: FrostError) -> FrostError {
    // Three of the library's errors have culprits.
    let fault = if matches!(error, frost::Error::InvalidProofOfKnowledge { .. }) {
        FrostFault::ProofOfKnowledge
    } else if matches!(error, frost::Error::InvalidSecretShare { .. }) {
        FrostFault::DealtShare
    } else {
        FrostFault::SignatureShare
    };
    // A participant's name is its index as a little-endian scalar.
    let culprits: Vec<u8> =
        error.culprits().iter().filter_map(|id| id.serialize().first().copied()).collect();
    if culprits.is_empty() { otherwise } else { FrostError::Misbehaved { fault, culprits } }
}

/// Whether `share` is the value at `index` of a polynomial through zero whose other coefficients are committed to.
///
/// The library checks this when a key is refreshed, too, but does not say who dealt the wrong share.
pub(super) fn lies_on_zero_polynomial(share: &[u8; 32], index: u8, commitments: &[[u8; 32]]) -> bool {
    let Ok(share) = Ed25519ScalarField::deserialize(share) else { return false };
    let Some(at) = scalar(index) else { return false };
    let mut sum = Curve::identity();
    for commitment in commitments.iter().rev() {
        let Ok(coefficient) = Curve::deserialize(commitment) else { return false };
        sum = (sum + coefficient) * at;
    }
    Curve::generator() * share == sum
}

/// The value at zero of the polynomial of least degree that has these values, points at indices that differ.
pub(super) fn at_zero(values: &[(u8, &[u8; 32])]) -> Option<[u8; 32]> {
    let mut sum = Curve::identity();
    for (index, value) in values {
        let own = scalar(*index)?;
        let (mut over, mut under) = (Ed25519ScalarField::one(), Ed25519ScalarField::one());
        for other in values.iter().map(|(other, _)| other).filter(|other| *other != index) {
            let other = scalar(*other)?;
            over *= other;
            under *= other - own;
        }
        let weight = over * Ed25519ScalarField::invert(&under).ok()?;
        sum += Curve::deserialize(value).ok()? * weight;
    }
    Curve::serialize(&sum).ok()
}

/// A participant's index as a scalar, which is little-endian.
fn scalar(index: u8) -> Option<<Ed25519ScalarField as Field>::Scalar> {
    let mut bytes = [0; 32];
    bytes[0] = index;
    Ed25519ScalarField::deserialize(&bytes).ok()
}

/// Our entropy as the generator that the library asks for.
pub(super) struct Draws<'a>(pub(super) &'a mut Entropy);

impl RngCore for Draws<'_> {
    fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.0.bytes())
    }

    fn next_u64(&mut self) -> u64 {
        u64::from_le_bytes(self.0.bytes())
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), RandomError> {
        self.0.fill(buffer);
        Ok(())
    }
}

impl CryptoRng for Draws<'_> {}
