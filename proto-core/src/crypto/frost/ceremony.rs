//! Key generation and refresh: every participant deals a random polynomial to all, and keeps the sum of what it is dealt.
//!
//! In a key generation the polynomials' constants add up to the key, which nobody ever has. In a refresh they are zero,
//! so the key stays and all shares change. A ceremony ends at the first fault; nothing of it may be used again.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use frost_ed25519::keys::dkg::{self, round1, round2};
use frost_ed25519::keys::{SigningShare, VerifiableSecretSharingCommitment, refresh};
use frost_ed25519::{Identifier, Signature};
use zeroize::Zeroizing;

use super::curve::{Draws, blame, bytes32, identifier, lies_on_zero_polynomial};
use super::message::{Commitments, DealtShare, read, write};
use super::share::is_quorum;
use super::{CeremonyId, FrostError, FrostFault, GroupKey, KeyShare, Received, SecretMessage};
use crate::crypto::hash::Hasher;
use crate::random::Entropy;

/// The domain of the hash over all commitments.
const HEARD_DOMAIN: &str = "FCP2-FROST-HEARD-V1";

/// What a first message of a refresh has for its proof: there is no secret to know.
const NO_PROOF: [u8; 64] = [0; 64];

/// What a ceremony is about.
struct Plan {
    ceremony_id: CeremonyId,
    /// Of the key that comes out.
    generation: u32,
    threshold: u8,
    participants: BTreeSet<u8>,
    own: u8,
    /// The share to be refreshed, if this is no key generation.
    old: Option<KeyShare>,
}

/// A participant that has sent its commitments and waits for all others'.
pub struct Committed {
    plan: Plan,
    own_message: Vec<u8>,
    secret: round1::SecretPackage,
}

/// A participant that has dealt its shares and waits for all others'.
pub struct Dealt {
    plan: Plan,
    heard: [u8; 32],
    commitments: Received<Commitments>,
    packages: BTreeMap<Identifier, round1::Package>,
    secret: round2::SecretPackage,
}

/// Begins the generation of a key among the participants 1 to `total`: the state, and the message to all others.
///
/// # Errors
/// [`FrostError::Quorum`].
//= docs/spec/sealing.md#key-generation
pub fn begin_keygen(
    ceremony_id: CeremonyId,
    (threshold, total): (u8, u8),
    own: u8,
    entropy: &mut Entropy,
) -> Result<(Committed, Vec<u8>), FrostError> {
    let participants = (1..=total).collect();
    let plan = Plan { ceremony_id, generation: 0, threshold, participants, own, old: None };
    plan.begin(entropy)
}

/// Begins the refresh of `share` among `participants`, who may be fewer than have shares now: whoever is left out has no
/// share of the next generation. The caller keeps `share` until the new one is stored.
///
/// # Errors
/// [`FrostError::Quorum`] or [`FrostError::Uninvited`].
//= docs/spec/sealing.md#refresh
pub fn begin_refresh(
    ceremony_id: CeremonyId,
    share: &KeyShare,
    participants: BTreeSet<u8>,
    entropy: &mut Entropy,
) -> Result<(Committed, Vec<u8>), FrostError> {
    let group = share.group();
    if let Some(stranger) = participants.iter().find(|index| !group.has(**index)) {
        return Err(FrostError::Uninvited(*stranger));
    }
    let generation = group.generation().checked_add(1).ok_or(FrostError::OtherGeneration)?;
    let (threshold, own) = (group.threshold(), share.participant());
    let old = Some(share.duplicate());
    Plan { ceremony_id, generation, threshold, participants, own, old }.begin(entropy)
}

impl Plan {
    fn begin(self, entropy: &mut Entropy) -> Result<(Committed, Vec<u8>), FrostError> {
        if !is_quorum(self.threshold, self.participants.len()) || !self.participants.contains(&self.own) {
            return Err(FrostError::Quorum);
        }
        let (own, threshold) = (identifier(self.own)?, u16::from(self.threshold));
        let total = u16::try_from(self.participants.len()).map_err(|_| FrostError::Quorum)?;
        let (secret, package) = match &self.old {
            None => dkg::part1(own, total, threshold, Draws(entropy)),
            Some(_) => refresh::refresh_dkg_part1(own, total, threshold, Draws(entropy)),
        }
        .map_err(|_| FrostError::Quorum)?;
        let message = write(&self.describe(&package)?)?;
        Ok((Committed { plan: self, own_message: message.clone(), secret }, message))
    }

    fn describe(&self, package: &round1::Package) -> Result<Commitments, FrostError> {
        let points = package.commitment().serialize().map_err(|_| FrostError::Unusable)?;
        let proof = match &self.old {
            None => package.proof_of_knowledge().serialize().map_err(|_| FrostError::Unusable)?,
            Some(_) => NO_PROOF.to_vec(),
        };
        Ok(Commitments {
            ceremony_id: self.ceremony_id,
            generation: self.generation,
            participant: u16::from(self.own),
            coefficients: points.into_iter().map(bytes32).collect::<Result<_, _>>()?,
            proof: proof.try_into().map_err(|_| FrostError::Unusable)?,
        })
    }

    /// One message of every other participant, and none of anybody else.
    fn expect<T>(&self, messages: &Received<T>) -> Result<(), FrostError> {
        let invited = |index: &u8| *index != self.own && self.participants.contains(index);
        if let Some(stranger) = messages.keys().find(|index| !invited(index)) {
            return Err(FrostError::Uninvited(*stranger));
        }
        let absent = |index: &&u8| **index != self.own && !messages.contains_key(*index);
        self.participants.iter().find(absent).map_or(Ok(()), |index| Err(FrostError::Missing(*index)))
    }

    //= docs/spec/sealing.md#threshold-signatures
    fn read_commitments(&self, sender: u8, bytes: &[u8]) -> Result<Commitments, FrostError> {
        let message: Commitments = read(sender, bytes)?;
        let constant = usize::from(self.old.is_none());
        let is_proof = self.old.is_none() || message.proof == NO_PROOF;
        let fault = if (message.ceremony_id, message.generation) != (self.ceremony_id, self.generation) {
            FrostFault::OtherCeremony
        } else if message.participant != u16::from(sender) {
            FrostFault::Misaddressed
        } else if message.coefficients.len() != usize::from(self.threshold) - 1 + constant || !is_proof {
            FrostFault::Malformed
        } else {
            return Ok(message);
        };
        Err(FrostError::misbehaved(sender, fault))
    }

    fn to_package(&self, sender: u8, message: &Commitments) -> Result<round1::Package, FrostError> {
        let malformed = |_| FrostError::misbehaved(sender, FrostFault::Malformed);
        let commitment = VerifiableSecretSharingCommitment::deserialize(message.coefficients.iter());
        let proof = if self.old.is_none() { message.proof } else { unread_proof() };
        let proof = Signature::deserialize(&proof).map_err(malformed)?;
        Ok(round1::Package::new(commitment.map_err(malformed)?, proof))
    }

    fn deal(&self, to: u8, heard: [u8; 32], share: &SigningShare) -> Result<SecretMessage, FrostError> {
        let message = DealtShare {
            ceremony_id: self.ceremony_id,
            generation: self.generation,
            from: self.own,
            to,
            heard,
            share: secret32(share)?,
        };
        Ok(message.to_bytes())
    }

    /// The hash over what everybody said to all. Whoever heard something else has another one.
    fn hash_heard(&self, own_message: &[u8], messages: &Received<Vec<u8>>) -> [u8; 32] {
        let count = [self.threshold, u8::try_from(self.participants.len()).unwrap_or(u8::MAX)];
        let start = Hasher::new(HEARD_DOMAIN)
            .with(&self.ceremony_id)
            .with(&self.generation.to_le_bytes())
            .with(&count);
        let all =
            self.participants.iter().map(|index| messages.get(index).map_or(own_message, Vec::as_slice));
        all.fold(start, Hasher::with_framed).finish()
    }
}

impl Committed {
    /// Takes all others' commitments, and deals a share to each.
    ///
    /// The shares are secret. Each must reach its recipient alone, by a sealed box for
    /// [`Purpose::OwnerShare`](crate::crypto::hpke::Purpose::OwnerShare).
    ///
    /// # Errors
    /// Who is missing, or misbehaved and how.
    //= docs/spec/sealing.md#key-generation
    pub fn receive(
        self,
        messages: &Received<Vec<u8>>,
    ) -> Result<(Dealt, Received<SecretMessage>), FrostError> {
        let plan = self.plan;
        plan.expect(messages)?;
        let (mut commitments, mut packages) = (BTreeMap::new(), BTreeMap::new());
        for (sender, bytes) in messages {
            let message = plan.read_commitments(*sender, bytes)?;
            packages.insert(identifier(*sender)?, plan.to_package(*sender, &message)?);
            commitments.insert(*sender, message);
        }
        let (secret, dealt) = match &plan.old {
            None => dkg::part2(self.secret, &packages),
            Some(_) => refresh::refresh_dkg_part2(self.secret, &packages),
        }
        .map_err(|error| blame(&error, FrostError::Unusable))?;
        let heard = plan.hash_heard(&self.own_message, messages);
        let mut shares = BTreeMap::new();
        for to in messages.keys() {
            let share = dealt.get(&identifier(*to)?).ok_or(FrostError::Unusable)?;
            shares.insert(*to, plan.deal(*to, heard, share.signing_share())?);
        }
        Ok((Dealt { plan, heard, commitments, packages, secret }, shares))
    }
}

impl Dealt {
    /// Takes all others' shares, which gives the participant's own share of the key.
    ///
    /// No signature may be made, and no old share deleted, before every participant has confirmed the same
    /// [group key](KeyShare::group).
    ///
    /// # Errors
    /// Who is missing, or misbehaved and how.
    //= docs/spec/sealing.md#key-generation
    pub fn receive(self, messages: &Received<SecretMessage>) -> Result<KeyShare, FrostError> {
        self.plan.expect(messages)?;
        let mut shares = BTreeMap::new();
        for (sender, bytes) in messages {
            shares.insert(identifier(*sender)?, self.read_share(*sender, bytes)?);
        }
        let (own, public) = match &self.plan.old {
            None => dkg::part3(&self.secret, &self.packages, &shares),
            Some(old) => {
                self.check_refreshed(&shares)?;
                let (group, own) = (old.group().to_package()?, old.to_package()?);
                refresh::refresh_dkg_shares(&self.secret, &self.packages, &shares, group, own)
            }
        }
        .map_err(|error| blame(&error, FrostError::Unusable))?;
        let Plan { generation, threshold, participants, own: index, .. } = self.plan;
        let group = GroupKey::from_package(generation, threshold, participants.into_iter(), &public)?;
        KeyShare::new(index, secret32(own.signing_share())?, group).map_err(|_| FrostError::Unusable)
    }

    fn read_share(&self, sender: u8, bytes: &[u8]) -> Result<round2::Package, FrostError> {
        let blame = |fault| FrostError::misbehaved(sender, fault);
        let message = DealtShare::from_bytes(bytes).ok_or(blame(FrostFault::Malformed))?;
        if (message.ceremony_id, message.generation) != (self.plan.ceremony_id, self.plan.generation) {
            return Err(blame(FrostFault::OtherCeremony));
        }
        if (message.from, message.to) != (sender, self.plan.own) {
            return Err(blame(FrostFault::Misaddressed));
        }
        if message.heard != self.heard {
            return Err(FrostError::HeardOtherwise(sender));
        }
        let share = SigningShare::deserialize(&*message.share).map_err(|_| blame(FrostFault::Malformed))?;
        Ok(round2::Package::new(share))
    }

    /// The library checks the shares of a refresh, too, but does not say who dealt a wrong one.
    fn check_refreshed(&self, shares: &BTreeMap<Identifier, round2::Package>) -> Result<(), FrostError> {
        for (sender, committed) in &self.commitments {
            let dealt = shares.get(&identifier(*sender)?).ok_or(FrostError::Missing(*sender))?;
            let share = secret32(dealt.signing_share())?;
            if !lies_on_zero_polynomial(&share, self.plan.own, &committed.coefficients) {
                return Err(FrostError::misbehaved(*sender, FrostFault::DealtShare));
            }
        }
        Ok(())
    }
}

/// What the library reads as a proof and, in a refresh, never looks at: the base point, and zero.
fn unread_proof() -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].fill(0x66);
    bytes[0] = 0x58;
    bytes
}

fn secret32(share: &SigningShare) -> Result<Zeroizing<[u8; 32]>, FrostError> {
    let bytes = Zeroizing::new(share.serialize());
    bytes.as_slice().try_into().map(Zeroizing::new).map_err(|_| FrostError::Unusable)
}

impl fmt::Debug for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Committed({}, ..)", self.plan.own)
    }
}

impl fmt::Debug for Dealt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dealt({}, ..)", self.plan.own)
    }
}
