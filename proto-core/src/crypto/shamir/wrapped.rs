//! Shares sealed to the devices that hold them.

use core::fmt;

use super::{HeldShare, Share};
use crate::cbor_map;
use crate::crypto::hpke::{BoxContext, HpkeBox, HpkeError, OpeningKey, PublicEncryptionKey, Purpose};
use crate::ids::{KeyId, NodeId, ZoneId};
use crate::random::Entropy;
use crate::time::UnixTime;

cbor_map! {
    /// A share for one device.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WrappedShare {
        /// The secret's name.
        pub secret_id: [u8; 16],
        /// The generation it was dealt in.
        pub generation: u32,
        /// The share's index.
        pub index: u16,
        /// The device.
        pub recipient: NodeId,
        /// The key of the device that it is sealed to.
        pub recipient_key_id: KeyId,
        /// When it was sealed.
        pub issued_at: UnixTime,
        /// The share's bytes, sealed.
        pub sealed: HpkeBox,
    }
}

/// Why a wrapped share does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrappedShareError {
    /// It is sealed to another key.
    OtherKey(KeyId),
    /// The box does not open.
    Box(HpkeError),
    /// The box holds no share, or one of another index.
    OtherShareInside,
}

impl fmt::Display for WrappedShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKey(key) => write!(f, "the share is sealed to the key {key}"),
            Self::Box(error) => error.fmt(f),
            Self::OtherShareInside => f.write_str("the box holds another share than it says"),
        }
    }
}

impl core::error::Error for WrappedShareError {}

impl WrappedShare {
    /// Seals `held`, of a secret of `zone_id`, to the key of a device.
    ///
    /// # Errors
    /// As [`HpkeBox::seal`].
    //= docs/spec/sealing.md#wrapped-shares
    pub fn seal(
        held: &HeldShare,
        zone_id: &ZoneId,
        (recipient, key): (&NodeId, &PublicEncryptionKey),
        issued_at: UnixTime,
        entropy: &mut Entropy,
    ) -> Result<Self, HpkeError> {
        let context = BoxContext { zone_id, recipient, purpose: Purpose::SecretShare, issued_at };
        Ok(Self {
            secret_id: held.secret_id,
            generation: held.generation,
            index: u16::from(held.share.index()),
            recipient: recipient.clone(),
            recipient_key_id: key.key_id(),
            issued_at,
            sealed: HpkeBox::seal(key, context, &held.share.to_bytes(), entropy)?,
        })
    }

    /// Opens the share with the device's key. Whether it is the share that was dealt is for the
    /// [dealing](super::Dealing::verify) to say.
    ///
    /// # Errors
    /// Why it does not open.
    //= docs/spec/sealing.md#wrapped-shares
    pub fn open<K: OpeningKey>(&self, zone_id: &ZoneId, key: &K) -> Result<HeldShare, WrappedShareError> {
        if self.recipient_key_id != key.key_id() {
            return Err(WrappedShareError::OtherKey(self.recipient_key_id));
        }
        let context = BoxContext {
            zone_id,
            recipient: &self.recipient,
            purpose: Purpose::SecretShare,
            issued_at: self.issued_at,
        };
        let bytes = self.sealed.open(key, context).map_err(WrappedShareError::Box)?;
        let share = Share::from_bytes(&bytes).map_err(|_| WrappedShareError::OtherShareInside)?;
        if u16::from(share.index()) != self.index {
            return Err(WrappedShareError::OtherShareInside);
        }
        Ok(HeldShare { secret_id: self.secret_id, generation: self.generation, share })
    }
}
