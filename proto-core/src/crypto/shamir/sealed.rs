//! Shares sealed to the devices that hold them.

use core::fmt;

use super::{Dealing, HeldShare, ShamirError, Share, ShareFault};
use crate::crypto::hpke::{BoxContext, HpkeBox, HpkeError, OpeningKey, PublicEncryptionKey, Purpose};
use crate::ids::{NodeId, ZoneId};
use crate::random::Entropy;
use crate::time::UnixTime;

/// For whom a share is sealed, and when.
#[derive(Clone, Copy, Debug)]
pub struct ShareRecipient<'a> {
    /// The zone that the secret belongs to.
    pub zone_id: &'a ZoneId,
    /// The device.
    pub node_id: &'a NodeId,
    /// When it was sealed.
    pub issued_at: UnixTime,
}

/// Why a sealed share gives no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedShareError {
    /// The box does not open.
    Box(HpkeError),
    /// The box holds something else.
    NoShare(ShamirError),
    /// The share of this index is wrong.
    Fault(u8, ShareFault),
}

impl fmt::Display for SealedShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Box(error) => error.fmt(f),
            Self::NoShare(error) => error.fmt(f),
            Self::Fault(index, fault) => write!(f, "share {index} {fault}"),
        }
    }
}

impl core::error::Error for SealedShareError {}

impl ShareRecipient<'_> {
    const fn context(&self) -> BoxContext<'_> {
        BoxContext {
            zone_id: self.zone_id,
            recipient: self.node_id,
            purpose: Purpose::SecretShare,
            issued_at: self.issued_at,
        }
    }
}

impl HeldShare {
    /// Seals the share to the key of a device.
    ///
    /// # Errors
    /// As [`HpkeBox::seal`].
    //= docs/spec/sealing.md#sealed-shares
    pub fn seal(
        &self,
        key: &PublicEncryptionKey,
        to: ShareRecipient<'_>,
        entropy: &mut Entropy,
    ) -> Result<HpkeBox, HpkeError> {
        HpkeBox::seal(key, to.context(), &self.share.to_bytes(), entropy)
    }
}

impl Dealing {
    /// Opens a share of this dealing with the device's key, and checks that it is the one that was dealt.
    ///
    /// # Errors
    /// Why it is not.
    //= docs/spec/sealing.md#sealed-shares
    pub fn open_share<K: OpeningKey>(
        &self,
        sealed: &HpkeBox,
        key: &K,
        to: ShareRecipient<'_>,
    ) -> Result<HeldShare, SealedShareError> {
        let bytes = sealed.open(key, to.context()).map_err(SealedShareError::Box)?;
        let share = Share::from_bytes(&bytes).map_err(SealedShareError::NoShare)?;
        let (secret_id, generation) = (self.terms().secret_id, self.terms().generation);
        let held = HeldShare { secret_id, generation, share };
        match self.verify(&held) {
            Ok(()) => Ok(held),
            Err(fault) => Err(SealedShareError::Fault(held.share.index(), fault)),
        }
    }
}
