//! Two rounds to one signature: each signer commits to nonces, then answers a request that names everybody's.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use frost_core::round1::Nonce;
use frost_ed25519::rand_core::{CryptoRng, RngCore};
use frost_ed25519::round1::{self, NonceCommitment, SigningCommitments};
use frost_ed25519::{
    CheaterDetection, Ciphersuite, Ed25519ScalarField, Ed25519Sha512, Field, SigningPackage,
    aggregate_custom, round2,
};
use zeroize::Zeroizing;

use super::curve::{Draws, blame, bytes32, identifier};
use super::message::{NonceCommitments, SignatureShare, read, write};
use super::{FrostError, FrostFault, GroupKey, KeyShare, Received};
use crate::cbor_map;
use crate::crypto::sign::Signature;
use crate::encoding::cbor::{ByteString, FromCbor, decode};
use crate::random::Entropy;

/// A signer's secret nonces for one signature.
///
/// Two answers with the same nonces give the share away. So they can be neither copied nor stored: [`KeyShare::sign`]
/// takes them, and what is lost at a restart is drawn anew.
pub struct SigningNonces {
    nonces: round1::SigningNonces,
    generation: u32,
    participant: u8,
}

impl fmt::Debug for SigningNonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningNonces({}, ..)", self.participant)
    }
}

/// Draws the nonces for one signature: the secret, and the message to the coordinator.
///
/// # Errors
/// None in practice: a share that was read can commit.
//= docs/spec/sealing.md#signing
pub fn commit(share: &KeyShare, entropy: &mut Entropy) -> Result<(SigningNonces, Vec<u8>), FrostError> {
    commit_with(share, &mut Draws(entropy))
}

/// [`commit`] with any generator, so that tests can give the randomness of the published vectors.
pub(super) fn commit_with(
    share: &KeyShare,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<(SigningNonces, Vec<u8>), FrostError> {
    let nonces = round1::SigningNonces::from_nonces(draw(share, rng)?, draw(share, rng)?);
    let commitments = nonces.commitments();
    let point =
        |point: &NonceCommitment| point.serialize().map_err(|_| FrostError::Unusable).and_then(bytes32);
    let generation = share.group().generation();
    let message = NonceCommitments {
        generation,
        participant: u16::from(share.participant()),
        hiding: point(commitments.hiding())?,
        binding: point(commitments.binding())?,
    };
    Ok((SigningNonces { nonces, generation, participant: share.participant() }, write(&message)?))
}

/// A nonce: a hash of fresh randomness and the share, so that it is secret although the randomness be known (RFC 9591
/// section 4.1). The library's own function leaves copies of the share in memory that nobody wipes.
pub(super) fn draw(
    share: &KeyShare,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Nonce<Ed25519Sha512>, FrostError> {
    let mut input = Zeroizing::new([0; 64]);
    let (random, secret) = input.split_at_mut(32);
    rng.fill_bytes(random);
    secret.copy_from_slice(share.secret());
    let scalar = Zeroizing::new(Ed25519Sha512::H3(&*input));
    let scalar = Zeroizing::new(Ed25519ScalarField::serialize(&scalar));
    Nonce::deserialize(&*scalar).map_err(|_| FrostError::Unusable)
}

/// What the signers of one signature are asked to sign, and with which nonces each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningRequest {
    generation: u32,
    message: Vec<u8>,
    commitments: BTreeMap<u8, NonceCommitments>,
}

cbor_map! {
    /// The request as it is sent.
    struct RequestForm {
        pub generation: u32,
        pub message: ByteString,
        pub commitments: Vec<NonceCommitments>,
    }
}

impl SigningRequest {
    /// Asks those who sent `commitments` for a signature over `message`.
    ///
    /// # Errors
    /// [`FrostError::Quorum`] if they are too few; else who misbehaved and how.
    //= docs/spec/sealing.md#signing
    pub fn new(
        group: &GroupKey,
        message: Vec<u8>,
        commitments: &Received<Vec<u8>>,
    ) -> Result<Self, FrostError> {
        let mut read_all = BTreeMap::new();
        for (sender, bytes) in commitments {
            read_all.insert(*sender, read::<NonceCommitments>(*sender, bytes)?);
        }
        let request = Self { generation: group.generation(), message, commitments: read_all };
        request.check(group)?;
        Ok(request)
    }

    /// The request that `bytes` encode.
    ///
    /// # Errors
    /// [`FrostError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrostError> {
        let form = decode(bytes).map_err(Into::into).and_then(RequestForm::from_cbor);
        let RequestForm { generation, message, commitments } = form.map_err(|_| FrostError::Malformed)?;
        let ascending = commitments.windows(2).all(|pair| pair[0].participant < pair[1].participant);
        let indexed =
            commitments.into_iter().map(|entry| Some((u8::try_from(entry.participant).ok()?, entry)));
        let commitments = indexed.collect::<Option<BTreeMap<_, _>>>().filter(|_| ascending);
        let commitments = commitments.ok_or(FrostError::Malformed)?;
        Ok(Self { generation, message: message.0, commitments })
    }

    /// The request as bytes.
    ///
    /// # Errors
    /// [`FrostError::Unusable`] if the message is beyond what an object may have.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FrostError> {
        write(&RequestForm {
            generation: self.generation,
            message: ByteString(self.message.clone()),
            commitments: self.commitments.values().cloned().collect(),
        })
    }

    /// What is to be signed. A signer looks at it before it answers.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Puts the signers' answers together to a signature that verifies under the group's key.
    ///
    /// # Errors
    /// Who is missing, or misbehaved and how; all who sent a wrong share are named.
    //= docs/spec/sealing.md#signing
    pub fn aggregate(&self, group: &GroupKey, shares: &Received<Vec<u8>>) -> Result<Signature, FrostError> {
        let package = self.check(group)?;
        if let Some(stranger) = shares.keys().find(|index| !self.commitments.contains_key(index)) {
            return Err(FrostError::Uninvited(*stranger));
        }
        if let Some(absent) = self.commitments.keys().find(|index| !shares.contains_key(index)) {
            return Err(FrostError::Missing(*absent));
        }
        let mut read_all = BTreeMap::new();
        for (sender, bytes) in shares {
            read_all.insert(identifier(*sender)?, self.read_share(*sender, bytes)?);
        }
        let signature =
            aggregate_custom(&package, &read_all, &group.to_package()?, CheaterDetection::AllCheaters)
                .map_err(|error| blame(&error, FrostError::Unusable))?;
        let bytes = signature.serialize().map_err(|_| FrostError::Unusable)?;
        let signature = Signature::from_bytes(bytes.try_into().map_err(|_| FrostError::Unusable)?);
        let verified = group.verifying_key().verify(&self.message, &signature);
        verified.map(|()| signature).map_err(|_| FrostError::Unusable)
    }

    //= docs/spec/sealing.md#threshold-signatures
    fn read_share(&self, sender: u8, bytes: &[u8]) -> Result<round2::SignatureShare, FrostError> {
        let blame = |fault| FrostError::misbehaved(sender, fault);
        let answer: SignatureShare = read(sender, bytes)?;
        if answer.generation != self.generation {
            return Err(blame(FrostFault::OtherCeremony));
        }
        if answer.participant != u16::from(sender) {
            return Err(blame(FrostFault::Misaddressed));
        }
        round2::SignatureShare::deserialize(&answer.share).map_err(|_| blame(FrostFault::Malformed))
    }

    /// The library's form of the request, if it is one that the group can answer.
    fn check(&self, group: &GroupKey) -> Result<SigningPackage, FrostError> {
        if self.generation != group.generation() {
            return Err(FrostError::OtherGeneration);
        }
        if self.commitments.len() < usize::from(group.threshold()) {
            return Err(FrostError::Quorum);
        }
        let mut commitments = BTreeMap::new();
        for (sender, entry) in &self.commitments {
            if !group.has(*sender) {
                return Err(FrostError::Uninvited(*sender));
            }
            commitments.insert(identifier(*sender)?, entry.read(*sender, self.generation)?);
        }
        Ok(SigningPackage::new(commitments, &self.message))
    }
}

impl NonceCommitments {
    fn read(&self, sender: u8, generation: u32) -> Result<SigningCommitments, FrostError> {
        if self.generation != generation {
            return Err(FrostError::misbehaved(sender, FrostFault::OtherCeremony));
        }
        if self.participant != u16::from(sender) {
            return Err(FrostError::misbehaved(sender, FrostFault::Misaddressed));
        }
        let point = |bytes: &[u8; 32]| {
            NonceCommitment::deserialize(bytes)
                .map_err(|_| FrostError::misbehaved(sender, FrostFault::Malformed))
        };
        Ok(SigningCommitments::new(point(&self.hiding)?, point(&self.binding)?))
    }
}

impl KeyShare {
    /// Answers `request` with this participant's part of the signature.
    ///
    /// # Errors
    /// [`FrostError::OtherGeneration`], [`FrostError::OtherNonces`], or what is wrong with the request. The nonces are
    /// spent either way.
    //= docs/spec/sealing.md#signing
    pub fn sign(&self, request: &SigningRequest, nonces: SigningNonces) -> Result<Vec<u8>, FrostError> {
        if (nonces.generation, nonces.participant) != (self.group().generation(), self.participant()) {
            return Err(FrostError::OtherNonces);
        }
        let package = request.check(self.group()).map_err(blame_nobody)?;
        let own = identifier(self.participant())?;
        if package.signing_commitment(&own).as_ref() != Some(nonces.nonces.commitments()) {
            return Err(FrostError::OtherNonces);
        }
        let share = round2::sign(&package, &nonces.nonces, &self.to_package()?)
            .map_err(|error| blame(&error, FrostError::Unusable))?;
        write(&SignatureShare {
            generation: request.generation,
            participant: u16::from(self.participant()),
            share: bytes32(share.serialize())?,
        })
    }
}

/// Commitments in a request are what the coordinator says that others sent, so they are not theirs to answer for.
fn blame_nobody(error: FrostError) -> FrostError {
    match error {
        FrostError::Misbehaved { .. } => FrostError::Malformed,
        FrostError::Quorum
        | FrostError::Missing(_)
        | FrostError::Uninvited(_)
        | FrostError::HeardOtherwise(_)
        | FrostError::Malformed
        | FrostError::OtherGeneration
        | FrostError::OtherNonces
        | FrostError::Unusable => error,
    }
}
