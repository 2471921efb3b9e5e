//! What a ceremony leaves behind: the group's public key, and a secret share for each participant.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use frost_ed25519::keys::{KeyPackage, PublicKeyPackage, SigningShare, VerifyingShare};
use zeroize::Zeroizing;

use super::FrostError;
use super::curve::{at_zero, bytes32, identifier};
use crate::cbor_map;
use crate::crypto::role::Owner;
use crate::crypto::sign::VerifyingKey;
use crate::encoding::cbor::{FieldReader, FromCbor, MapBuilder, ShapeError, ToCbor, Value, decode, encode};

/// The version of a stored share's layout.
const KEY_SHARE_VERSION: u8 = 1;

/// What everybody may know of a shared key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupKey {
    generation: u32,
    threshold: u8,
    verifying_key: VerifyingKey<Owner>,
    verifying_shares: BTreeMap<u8, [u8; 32]>,
}

impl GroupKey {
    /// Zero for a fresh key; a refresh raises it by one. Shares of different generations do not fit together.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// How many participants make a signature.
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The key under which the group's signatures verify.
    pub const fn verifying_key(&self) -> &VerifyingKey<Owner> {
        &self.verifying_key
    }

    /// Who has a share.
    pub fn participants(&self) -> impl ExactSizeIterator<Item = u8> {
        self.verifying_shares.keys().copied()
    }

    pub(super) fn has(&self, participant: u8) -> bool {
        self.verifying_shares.contains_key(&participant)
    }

    pub(super) fn from_package(
        generation: u32,
        threshold: u8,
        participants: impl Iterator<Item = u8>,
        package: &PublicKeyPackage,
    ) -> Result<Self, FrostError> {
        let mut verifying_shares = BTreeMap::new();
        for participant in participants {
            let share = package.verifying_shares().get(&identifier(participant)?);
            let bytes = share.and_then(|share| share.serialize().ok()).ok_or(FrostError::Unusable)?;
            verifying_shares.insert(participant, bytes32(bytes)?);
        }
        let key = package.verifying_key().serialize().map_err(|_| FrostError::Unusable)?;
        let verifying_key = VerifyingKey::from_bytes(&bytes32(key)?).map_err(|_| FrostError::Unusable)?;
        Ok(Self { generation, threshold, verifying_key, verifying_shares })
    }

    pub(super) fn to_package(&self) -> Result<PublicKeyPackage, FrostError> {
        let mut shares = BTreeMap::new();
        for participant in self.verifying_shares.keys() {
            shares.insert(identifier(*participant)?, self.verifying_share(*participant)?);
        }
        Ok(PublicKeyPackage::new(shares, self.library_key()?, Some(self.threshold.into())))
    }

    /// The key that as many shares as make a signature have between them.
    fn key_of_shares(&self) -> Option<[u8; 32]> {
        let shares = self.verifying_shares.iter().map(|(index, share)| (*index, share));
        at_zero(&shares.take(self.threshold.into()).collect::<Vec<_>>())
    }

    fn verifying_share(&self, participant: u8) -> Result<VerifyingShare, FrostError> {
        let bytes = self.verifying_shares.get(&participant).ok_or(FrostError::Malformed)?;
        VerifyingShare::deserialize(bytes).map_err(|_| FrostError::Malformed)
    }

    fn library_key(&self) -> Result<frost_ed25519::VerifyingKey, FrostError> {
        frost_ed25519::VerifyingKey::deserialize(self.verifying_key.as_bytes())
            .map_err(|_| FrostError::Malformed)
    }
}

cbor_map! {
    /// One participant's share as a point.
    struct VerifyingShareEntry {
        pub participant: u16,
        pub share: [u8; 32],
    }
}

impl ToCbor for GroupKey {
    fn to_cbor(&self) -> Value<'_> {
        let shares = self.verifying_shares.iter().map(|(participant, share)| {
            let entry = VerifyingShareEntry { participant: (*participant).into(), share: *share };
            entry.to_cbor().into_owned()
        });
        let mut map = MapBuilder::default();
        map.field("generation", &self.generation);
        map.item("threshold", Value::Unsigned(self.threshold.into()));
        map.field("verifying_key", &self.verifying_key);
        map.item("verifying_shares", Value::Array(shares.collect()));
        map.finish()
    }
}

impl FromCbor for GroupKey {
    fn from_cbor(value: Value<'_>) -> Result<Self, ShapeError> {
        let small = |n: u16| u8::try_from(n).map_err(|_| ShapeError::OutOfRange);
        let mut fields = FieldReader::new(value)?;
        let generation = fields.field("generation")?;
        let threshold = small(fields.field("threshold")?)?;
        let verifying_key = fields.field("verifying_key")?;
        let entries: Vec<VerifyingShareEntry> = fields.field("verifying_shares")?;
        fields.finish()?;
        if entries.windows(2).any(|pair| pair[0].participant >= pair[1].participant) {
            return Err(ShapeError::Invalid("participants must be in ascending order without duplicates"));
        }
        let shares = entries.into_iter().map(|entry| Ok((small(entry.participant)?, entry.share)));
        let verifying_shares = shares.collect::<Result<BTreeMap<u8, _>, ShapeError>>()?;
        if verifying_shares.contains_key(&0) || !is_quorum(threshold, verifying_shares.len()) {
            return Err(ShapeError::Invalid("a threshold is 2 to the number of participants, from 1 to 255"));
        }
        let group = Self { generation, threshold, verifying_key, verifying_shares };
        group.to_package().map_err(|_| ShapeError::Invalid("a verifying share is no point"))?;
        if group.key_of_shares().as_ref() != Some(group.verifying_key.as_bytes()) {
            return Err(ShapeError::Invalid("the verifying shares are of another key"));
        }
        Ok(group)
    }
}

/// Whether `threshold` of `total` can be shared at all.
pub(super) fn is_quorum(threshold: u8, total: usize) -> bool {
    threshold >= 2 && usize::from(threshold) <= total && total <= usize::from(u8::MAX)
}

/// One participant's secret share of a key.
pub struct KeyShare {
    participant: u8,
    secret: Zeroizing<[u8; 32]>,
    group: GroupKey,
}

impl KeyShare {
    /// The share that `bytes` encode.
    ///
    /// # Errors
    /// [`FrostError::Malformed`], also if the secret is not the one that the group key knows of this participant.
    //= docs/spec/sealing.md#stored-key-shares
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrostError> {
        let parts = || {
            let ([version, participant], rest) = bytes.split_first_chunk()?;
            let (secret, group) = rest.split_first_chunk::<32>()?;
            (*version == KEY_SHARE_VERSION).then_some((*participant, secret, group))
        };
        let (participant, secret, group) = parts().ok_or(FrostError::Malformed)?;
        let group = decode(group).map_err(Into::into).and_then(GroupKey::from_cbor);
        let group = group.map_err(|_| FrostError::Malformed)?;
        Self::new(participant, Zeroizing::new(*secret), group)
    }

    /// The share as bytes: a version, the participant, the secret scalar, and the canonical CBOR of the group key.
    ///
    /// # Errors
    /// None in practice: a group key is small.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, FrostError> {
        let group = encode(&self.group).map_err(|_| FrostError::Unusable)?;
        Ok(Zeroizing::new([&[KEY_SHARE_VERSION, self.participant][..], &*self.secret, &group].concat()))
    }

    /// Whose share it is.
    pub const fn participant(&self) -> u8 {
        self.participant
    }

    /// The key that it is a share of.
    pub const fn group(&self) -> &GroupKey {
        &self.group
    }

    pub(super) fn new(
        participant: u8,
        secret: Zeroizing<[u8; 32]>,
        group: GroupKey,
    ) -> Result<Self, FrostError> {
        let share = Self { participant, secret, group };
        let expected = share.group.verifying_share(participant)?;
        if VerifyingShare::from(share.signing_share()?) == expected {
            Ok(share)
        } else {
            Err(FrostError::Malformed)
        }
    }

    /// The secret scalar.
    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// A second copy for a ceremony to add to, while the caller keeps the first until the new one is stored.
    pub(super) fn duplicate(&self) -> Self {
        Self { participant: self.participant, secret: self.secret.clone(), group: self.group.clone() }
    }

    pub(super) fn signing_share(&self) -> Result<SigningShare, FrostError> {
        SigningShare::deserialize(&*self.secret).map_err(|_| FrostError::Malformed)
    }

    pub(super) fn to_package(&self) -> Result<KeyPackage, FrostError> {
        Ok(KeyPackage::new(
            identifier(self.participant)?,
            self.signing_share()?,
            self.group.verifying_share(self.participant)?,
            self.group.library_key()?,
            self.group.threshold.into(),
        ))
    }
}

impl fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyShare({} of {}, ..)", self.participant, self.group.verifying_key.key_id())
    }
}
