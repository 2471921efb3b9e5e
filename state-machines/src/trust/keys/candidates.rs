//! The commits of an epoch: how one is made, what makes one worth choosing, which is chosen.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use fcp_proto_core::encoding::cbor::{FromCbor, ToCbor, decode, encode};
use fcp_proto_core::ids::{Digest, NodeId};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::zone::ZoneKeyRing;

use super::group::{self, Change, Next};
use super::policy::is_ending;
use super::record::Candidate;
use super::{
    Commit, Due, GroupKeys, Handover, MAX_CANDIDATES, MAX_COMMIT_BYTES, MAX_GENERATIONS, MAX_MEMBERS,
    MAX_PACKAGE_BYTES, Output, Refusal, Roll, Said, Seat,
};

impl GroupKeys {
    /// Takes the package of a member that waits to be added, from that member.
    ///
    /// # Errors
    /// [`Refusal::Roster`] if it is another's, or of no member; [`Refusal::Mls`] if nobody could be added by it.
    //= docs/spec/zone-keys.md#newcomers
    pub fn handle_package(
        &mut self,
        from: &NodeId,
        package: Vec<u8>,
        seat: &Seat<'_>,
        entropy: &mut Entropy,
    ) -> Result<(), Refusal> {
        self.ready(seat.now)?;
        let membership = self.record.membership.as_ref().ok_or(Refusal::Outside)?;
        if package.len() > MAX_PACKAGE_BYTES {
            return Err(Refusal::TooLarge);
        }
        let owner = group::owner_of(&package, seat.roll);
        if owner.as_ref() != Some(from) || !seat.roll.members.contains(from) {
            return Err(Refusal::Roster);
        }
        if seat.roll.members.len() > MAX_MEMBERS {
            return Err(Refusal::Full);
        }
        // One that MLS refuses would make every later commit fail: it is tried first, and nothing comes of it.
        let removes = [from.clone()].into();
        let change =
            Change { removes: &removes, adds: &[&package], says: Vec::new(), hands_over: Vec::new() };
        membership.place.commit(change, &mut self.actor(seat, entropy))?;
        self.packages.insert(from.clone(), package);
        Ok(())
    }

    /// Why a commit is due, if one is: the most pressing reason.
    //= docs/spec/zone-keys.md#due
    pub fn due(&self, seat: &Seat<'_>) -> Option<Due> {
        let membership = self.record.membership.as_ref()?;
        let now = self.clock.max(seat.now);
        let old = membership.leaf_since.saturating_add(self.policy.update_secs) <= now;
        if !membership.roster.is_subset(&seat.roll.members) {
            Some(Due::Removal)
        } else if self.ring.as_ref()?.newest().is_ok_and(|(_, terms)| is_ending(terms, now)) {
            Some(Due::Ending)
        } else if self.packages.keys().any(|node| seat.roll.members.contains(node)) {
            Some(Due::Newcomer)
        } else {
            (old && self.record.generations.len() < MAX_GENERATIONS).then_some(Due::Update)
        }
    }

    /// Commits: removes who is no member, adds who waits, and renews the device's own part. It is offered once it is
    /// durable.
    ///
    /// # Errors
    /// [`Refusal::Twice`] while a commit of this device is to be chosen from; and as every write.
    //= docs/spec/zone-keys.md#commits
    pub fn propose(
        &mut self,
        seat: &Seat<'_>,
        entropy: &mut Entropy,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        self.ready(seat.now)?;
        let membership = self.record.membership.as_ref().ok_or(Refusal::Outside)?;
        self.room_for(seat.me, seat.roll.epoch)?;
        let packages: Vec<_> =
            self.packages.iter().filter(|(node, _)| seat.roll.members.contains(*node)).collect();
        let adds: Vec<&[u8]> = packages.iter().map(|(_, package)| package.as_slice()).collect();
        let gone: BTreeSet<_> = membership.roster.difference(&seat.roll.members).cloned().collect();
        let again = packages.iter().map(|(node, _)| (*node).clone());
        let removes: BTreeSet<_> = gone.iter().cloned().chain(again).collect();
        let said = self.say(seat.roll, !gone.is_empty());
        let (says, hands_over) = (to_bytes(&said)?, to_bytes(&self.hand_over(&said)?)?);
        let change = Change { removes: &removes, adds: &adds, says, hands_over };
        let (commit, secrets) = membership.place.commit(change, &mut self.actor(seat, entropy))?;
        if commit.len() > MAX_COMMIT_BYTES {
            return Err(Refusal::TooLarge);
        }
        let then = [Output::Offer(commit.clone())].into();
        let committer = seat.me.clone();
        self.keep(Candidate { commit, committer, said, secrets: Some(secrets) }, then, out)
    }

    /// Takes a commit that a member offers: it is a candidate once it is durable.
    ///
    /// # Errors
    /// Why it is none.
    //= docs/spec/zone-keys.md#candidates
    pub fn handle_commit(
        &mut self,
        commit: &Commit,
        seat: &Seat<'_>,
        entropy: &mut Entropy,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        self.ready(seat.now)?;
        let membership = self.record.membership.as_ref().ok_or(Refusal::Outside)?;
        if membership.candidates.iter().any(|it| it.commit == *commit) {
            return Ok(());
        }
        if Self::epoch_of(commit)? != membership.epoch {
            return Err(Refusal::Epoch(membership.epoch));
        }
        let next = membership.place.after(commit, None, &mut self.actor(seat, entropy))?;
        let said = self.judge(&next, seat.roll)?;
        self.room_for(&next.committer, seat.roll.epoch)?;
        let candidate = Candidate { commit: commit.clone(), committer: next.committer, said, secrets: None };
        self.keep(candidate, Vec::new(), out)
    }

    /// The commit that this device would have end the epoch. All who have the same candidates choose the same.
    //= docs/spec/zone-keys.md#candidates
    pub fn choice(&self, roll: &Roll) -> Option<&Commit> {
        self.candidates(roll).min_by_key(|commit| commit.id())
    }

    /// The candidate of a name, if it is durable here and could be chosen: whoever votes for it can take it.
    //= docs/spec/zone-keys.md#candidates
    pub fn candidate(&self, id: &Digest, roll: &Roll) -> Option<&Commit> {
        self.candidates(roll).find(|commit| commit.id().as_ref() == Some(id))
    }

    fn candidates(&self, roll: &Roll) -> impl Iterator<Item = &Commit> {
        let all = self.record.membership.iter().flat_map(|it| &it.candidates);
        all.filter(|it| it.said.membership_epoch == roll.epoch).map(|it| &it.commit)
    }

    /// The epoch that a commit ends, unless the commit is larger than one may be.
    pub(super) fn epoch_of(commit: &Commit) -> Result<u64, Refusal> {
        if commit.len() > MAX_COMMIT_BYTES {
            return Err(Refusal::TooLarge);
        }
        group::epoch_of(commit).ok_or(Refusal::Mls)
    }

    pub(super) fn said(bytes: &[u8]) -> Result<Said, Refusal> {
        from_bytes(bytes)
    }

    /// Whether the commit makes of the group what the membership says, on the terms that the mode says.
    fn judge(&self, next: &Next, roll: &Roll) -> Result<Said, Refusal> {
        let membership = self.record.membership.as_ref().ok_or(Refusal::Outside)?;
        let said = Self::said(&next.said)?;
        if said.membership_epoch != roll.epoch {
            return Err(Refusal::Membership(roll.epoch));
        }
        let stays: BTreeSet<_> = membership.roster.intersection(&roll.members).cloned().collect();
        if !next.roster.is_subset(&roll.members) || !stays.is_subset(&next.roster) {
            return Err(Refusal::Roster);
        }
        let removes = !membership.roster.is_subset(&next.roster);
        if said != self.say(roll, removes) {
            return Err(Refusal::Bounds);
        }
        Ok(said)
    }

    //= docs/spec/zone-keys.md#removal
    fn say(&self, roll: &Roll, removes: bool) -> Said {
        let Self { policy, .. } = self;
        Said {
            membership_epoch: roll.epoch,
            algorithm: policy.algorithm,
            max_key_secs: policy.bounds.max_key_secs,
            overlap_secs: if removes { 0 } else { policy.bounds.overlap_secs },
        }
    }

    //= docs/spec/zone-keys.md#newcomers
    fn hand_over(&self, said: &Said) -> Result<Handover, Refusal> {
        let (prev_zone_key_id, _) = self.ring.as_ref().map(ZoneKeyRing::newest).ok_or(Refusal::Outside)??;
        let object_id_key = self.record.object_id_key.clone().ok_or(Refusal::Outside)?;
        let all = &self.record.generations;
        let earlier = all[all.len().saturating_sub(self.policy.handed_over)..].to_vec();
        Ok(Handover { object_id_key, said: said.clone(), prev_zone_key_id, earlier })
    }

    /// Whether one more commit by `committer` under this membership may be kept.
    fn room_for(&self, committer: &NodeId, epoch: u64) -> Result<(), Refusal> {
        let all = self.record.membership.iter().flat_map(|it| &it.candidates);
        let mut of_this = all.clone().filter(|it| it.said.membership_epoch == epoch);
        if of_this.any(|it| it.committer == *committer) {
            return Err(Refusal::Twice);
        }
        if all.count() < MAX_CANDIDATES { Ok(()) } else { Err(Refusal::Full) }
    }

    fn keep(
        &mut self,
        candidate: Candidate,
        then: Vec<Output>,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let mut record = self.record.clone();
        record.membership.as_mut().ok_or(Refusal::Outside)?.candidates.push(candidate);
        self.persist(record, then, out)
    }

    /// The commits of this device that were made durable and may not have been offered: after a restart they are
    /// offered again.
    //= docs/spec/zone-keys.md#the-record
    pub fn offers(&self) -> impl Iterator<Item = &Commit> {
        let all = self.record.membership.iter().flat_map(|it| &it.candidates);
        all.filter(|it| it.secrets.is_some()).map(|it| &it.commit)
    }
}

pub(super) fn handover(bytes: &[u8]) -> Result<Handover, Refusal> {
    from_bytes(bytes)
}

fn to_bytes(value: &impl ToCbor) -> Result<Vec<u8>, Refusal> {
    encode(value).map_err(|_| Refusal::NotEncodable)
}

fn from_bytes<T: FromCbor>(bytes: &[u8]) -> Result<T, Refusal> {
    decode(bytes).ok().and_then(|value| T::from_cbor(value).ok()).ok_or(Refusal::Mls)
}
