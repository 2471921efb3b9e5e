//! What is still to be done for the mesh to be as its membership says.
//!
//! No list of steps is kept: each is seen to be missing in what is durable, and seen to be done. So it may be begun, cut
//! off, begun again and finished by any device that the owner uses, and what was done twice was harmless.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use fcp_proto_core::ids::{NodeId, SecretId, ZoneId};
use fcp_proto_core::time::{Instant, Now};

use super::{Roster, Seat};

/// How long a step is waited for before it is asked for again.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Steps that are asked for at one time.
pub const MAX_STEPS: usize = 16;

/// Who has what, by the newest objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Custody {
    /// To whom each zone's key in use is sealed.
    pub zone_keys: BTreeMap<ZoneId, BTreeSet<NodeId>>,
    /// Who has a share of each shared secret, in its newest dealing.
    pub secrets: BTreeMap<SecretId, BTreeSet<NodeId>>,
    /// Who has a share of the owner's key, in its newest dealing; empty if it is not shared.
    pub owner_shares: BTreeSet<NodeId>,
    /// The epoch of each zone's newest checkpoint, and whether it names the key in use; 0 if there is none.
    pub checkpoints: BTreeMap<ZoneId, (u64, bool)>,
}

/// What is to be done. Doing it again does no harm.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The owner signs a membership without these, who are revoked.
    Leave(BTreeSet<NodeId>),
    /// The zone gets a new key, sealed to none of these.
    Rotate {
        /// The zone.
        zone: ZoneId,
        /// Who has the key in use and must not have the next.
        without: BTreeSet<NodeId>,
    },
    /// The key in use of the zone is sealed to this member as well.
    Seal {
        /// The zone.
        zone: ZoneId,
        /// The member.
        to: NodeId,
    },
    /// The secret is dealt anew among these.
    Reshare {
        /// The secret.
        secret: SecretId,
        /// Who keeps shares.
        among: BTreeSet<NodeId>,
    },
    /// The owner's key is dealt anew among these.
    ReshareOwner {
        /// Who keeps shares.
        among: BTreeSet<NodeId>,
    },
    /// The zone's members certify where it stands now.
    Checkpoint(ZoneId),
}

/// Asks for what is missing, until it is not.
#[derive(Clone, Debug, Default)]
pub struct Upkeep {
    asked: BTreeMap<Step, Instant>,
}

impl Upkeep {
    /// What is to be begun now: what is missing and was not asked for a while, few at a time.
    //= docs/spec/membership.md#upkeep
    pub fn poll(&mut self, roster: &Roster, custody: &Custody, seat: &Seat<'_>, now: Now) -> Vec<Step> {
        let missing = missing(roster, custody, seat, now);
        self.asked.retain(|step, until| missing.contains(step) && now.mono < *until);
        let room = MAX_STEPS.saturating_sub(self.asked.len());
        let due: Vec<_> =
            missing.into_iter().filter(|step| !self.asked.contains_key(step)).take(room).collect();
        let until = now.mono.saturating_add(PATIENCE);
        self.asked.extend(due.iter().map(|step| (step.clone(), until)));
        due
    }

    /// When to ask again, if anything is waited for.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.asked.values().min().copied()
    }
}

/// All that is missing, in the order in which it matters. None while the membership is not settled here.
//= docs/spec/membership.md#upkeep
fn missing(roster: &Roster, custody: &Custody, seat: &Seat<'_>, now: Now) -> Vec<Step> {
    let Some((_, roll)) = roster.current.as_ref().filter(|_| roster.storing.is_none()) else {
        return Vec::new();
    };
    let at = now.unix.max(roster.clock);
    let mut steps = Vec::new();
    let revoked = |node: &&NodeId| roll.devices[*node].is_revoked(seat.revoked, at);
    let leaving: BTreeSet<_> = roll.devices.keys().filter(revoked).cloned().collect();
    for (zone, holders) in &custody.zone_keys {
        let without: BTreeSet<_> =
            holders.iter().filter(|it| !roster.may_hold(it, zone, seat.revoked, at)).cloned().collect();
        if !without.is_empty() {
            steps.push(Step::Rotate { zone: zone.clone(), without });
        }
    }
    if !leaving.is_empty() {
        steps.push(Step::Leave(leaving.clone()));
    }
    let keeps = |node: &&NodeId| {
        roster.device(node, seat.revoked, at).is_some_and(|it| it.enrolment.stores_secret_shares)
    };
    let keepers: BTreeSet<_> = roll.devices.keys().filter(keeps).cloned().collect();
    // Nobody to keep the shares is no reason to lose those that there are.
    let reshares = !keepers.is_empty();
    if reshares && !custody.owner_shares.is_subset(&keepers) {
        steps.push(Step::ReshareOwner { among: keepers.clone() });
    }
    for (secret, holders) in &custody.secrets {
        if reshares && !holders.is_subset(&keepers) {
            steps.push(Step::Reshare { secret: *secret, among: keepers.clone() });
        }
    }
    for (zone, holders) in &custody.zone_keys {
        let lacks = |it: &&NodeId| !holders.contains(*it) && roster.may_hold(it, zone, seat.revoked, at);
        steps.extend(
            roll.devices.keys().filter(lacks).map(|to| Step::Seal { zone: zone.clone(), to: to.clone() }),
        );
    }
    if steps.is_empty() {
        let behind = |(epoch, names_key): &(u64, bool)| *epoch < roster.epoch() || !names_key;
        let due = custody.checkpoints.iter().filter(|(_, it)| behind(it));
        steps.extend(due.map(|(zone, _)| Step::Checkpoint(zone.clone())));
    }
    steps
}
