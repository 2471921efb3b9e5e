//! What participants send one another.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::{CeremonyId, FrostError, FrostFault};
use crate::cbor_map;
use crate::encoding::cbor::{FromCbor, ToCbor, decode, encode};

cbor_map! {
    /// The first message of a ceremony, to all: the polynomial that the sender will deal from.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Commitments {
        pub ceremony_id: CeremonyId,
        pub generation: u32,
        pub participant: u16,
        /// One point a coefficient; without the first, which is zero, when a key is refreshed.
        pub coefficients: Vec<[u8; 32]>,
        /// A Schnorr signature under the first coefficient; zeros when a key is refreshed.
        pub proof: [u8; 64],
    }
}

cbor_map! {
    /// A participant's nonces for one signature, as points.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct NonceCommitments {
        pub generation: u32,
        pub participant: u16,
        pub hiding: [u8; 32],
        pub binding: [u8; 32],
    }
}

cbor_map! {
    /// A participant's part of a signature.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct SignatureShare {
        pub generation: u32,
        pub participant: u16,
        pub share: [u8; 32],
    }
}

/// Canonical CBOR of a message.
pub(super) fn write(message: &impl ToCbor) -> Result<Vec<u8>, FrostError> {
    encode(message).map_err(|_| FrostError::Unusable)
}

/// Reads a message that `sender` sent.
pub(super) fn read<T: FromCbor>(sender: u8, bytes: &[u8]) -> Result<T, FrostError> {
    let message = decode(bytes).map_err(Into::into).and_then(T::from_cbor);
    message.map_err(|_| FrostError::misbehaved(sender, FrostFault::Malformed))
}

/// The second message of a ceremony, to one: a share of the sender's polynomial. It is packed by hand, so that no copy
/// of the share stays behind in a tree of data items.
pub(super) struct DealtShare {
    pub(super) ceremony_id: CeremonyId,
    pub(super) generation: u32,
    pub(super) from: u8,
    pub(super) to: u8,
    /// The hash of all commitments, as the sender heard them.
    pub(super) heard: [u8; 32],
    pub(super) share: Zeroizing<[u8; 32]>,
}

/// The version of [`DealtShare`]'s layout.
const DEALT_SHARE_VERSION: u8 = 1;

impl DealtShare {
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(
            [
                &[DEALT_SHARE_VERSION][..],
                &self.ceremony_id,
                &self.generation.to_le_bytes(),
                &[self.from, self.to],
                &self.heard,
                &*self.share,
            ]
            .concat(),
        )
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (ceremony_id, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let ([from, to], rest) = rest.split_first_chunk()?;
        let (heard, rest) = rest.split_first_chunk()?;
        let share: &[u8; 32] = rest.try_into().ok()?;
        (*version == DEALT_SHARE_VERSION).then(|| Self {
            ceremony_id: *ceremony_id,
            generation: u32::from_le_bytes(*generation),
            from: *from,
            to: *to,
            heard: *heard,
            share: Zeroizing::new(*share),
        })
    }
}
