//! Who the members are: enrolment, removal, takeover and recovery.
//!
//! Spec: docs/spec/membership.md. A [`Directory`] says it whole, signed by the owner; a [`Roster`] on every node takes
//! the newest, and answers whose word counts, who may hold what and whose tokens are good. What must follow from it
//! (keys rotated, secrets dealt anew) is not remembered but seen: [`Upkeep`] compares what is with what should be.
//!
//! ```text
//!  new device        owner's device                     members
//!    │ Application        │                                │
//!    ├───────────────────►│ a person accepts, the owner signs a Draft
//!    │                    │ Directory                      │
//!    │◄───────────────────┼───────────────────────────────►│ persist, vote in no earlier epoch
//!    │                    │◄──────────────── Have(epoch, …)┤ once it is durable
//!    │                    │ Upkeep: rotate, share anew, checkpoint
//! ```

mod directory;
mod draft;
mod enrol;
mod line;
#[cfg(test)]
mod tests;
mod upkeep;

pub use directory::{Device, Directory, DirectoryError, LEASES_OUTLIVE_SECS, MAX_AHEAD_SECS, MAX_MEMBERS};
pub use draft::{Basis, Draft, DraftError, Member, recovery_epoch, removal};
pub use enrol::{Application, ApplicationError, Applications, INVITATION, MAX_INVITATIONS};
pub use line::{Line, LineError, MAX_SUCCESSIONS, Reign};
pub use upkeep::{Custody, MAX_STEPS, PATIENCE, Step, Upkeep};

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use fcp_proto_core::ids::{KeyId, NodeId, ZoneId};
use fcp_proto_core::object::ObjectIdKey;
use fcp_proto_core::time::UnixTime;

use self::directory::Roll;
use super::authority::Owner;
use super::lease::{Term, Voter};
use super::quorum::Electorate;
use super::revocation::Revocations;
use crate::persist::{BatchToken, Completion};

/// Earlier epochs whose members are remembered, to judge what they certified.
pub const MAX_PAST: usize = 64;

/// Who this node is, and what it knows besides.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// This node.
    pub me: &'a NodeId,
    /// What names the objects of the owner's zone.
    pub ids: &'a ObjectIdKey,
    /// What is revoked.
    pub revoked: &'a Revocations,
    /// What this node voted for.
    pub voter: &'a Voter,
}

/// A message between two nodes; who sent it, the session knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The sender has this epoch, durable, and votes in no earlier one.
    Have {
        /// The epoch; 0 if it has none.
        epoch: u64,
        /// When the last lease of an earlier epoch that it voted for is over.
        quiet_at: UnixTime,
    },
    /// Who the members are.
    Directory(Box<Directory>),
}

/// What the roster wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this durable, also on a full disk, then call `handle_stored`. All that were stored from the newest epoch are
    /// kept; of earlier ones nothing need be.
    Persist {
        /// Names the write.
        batch: BatchToken,
        /// What.
        directory: Box<Directory>,
    },
    /// Send this.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Tell in the audit chain: this epoch is in force here.
    Adopted(u64),
    /// Tell in the audit chain: since this epoch this node is no member. It gives up what it holds.
    Left(u64),
    /// Tell in the audit chain: the owner's key signed two memberships of this epoch. Nothing is decided until the next.
    Contradiction(u64),
}

/// What a directory was to the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A newer one: it is being stored.
    Newer,
    /// The one that is in force.
    Same,
    /// An older one.
    Old,
    /// Another one of the same epoch: both are kept, and neither is followed.
    Contradiction,
}

/// Why a directory is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another one is being stored.
    Busy,
    /// It is not true.
    Untrue(DirectoryError),
}

/// What one node knows of who the members are.
#[derive(Clone, Debug)]
pub struct Roster {
    /// The latest time that its wall clock read, or the owner signed.
    clock: UnixTime,
    line: Line,
    current: Option<(Directory, Roll)>,
    past: BTreeMap<u64, Electorate>,
    storing: Option<(BatchToken, Box<(Directory, Roll)>)>,
    /// What members said they have: the epoch, and when earlier leases are over.
    reports: BTreeMap<NodeId, (u64, UnixTime)>,
    /// The epoch that two memberships were signed for.
    halted: Option<u64>,
    next_batch: u64,
}

impl Roster {
    /// The roster of a node of this owner's home that remembers what was durable.
    //= docs/spec/membership.md#restart
    pub fn restore(owner: &Owner, mut stored: Vec<Directory>, ids: &ObjectIdKey) -> Self {
        let mut roster = Self {
            clock: UnixTime::default(),
            line: Line::new(owner),
            current: None,
            past: BTreeMap::new(),
            storing: None,
            reports: BTreeMap::new(),
            halted: None,
            next_batch: 0,
        };
        stored.sort_by_key(Directory::epoch);
        for directory in stored {
            let made_at = directory.membership.header.created_at;
            // What was true when it was stored is true; what cannot be read so any more is no member's.
            let Ok(roll) = directory.verify(&roster.line, ids, made_at) else { continue };
            match roster.place(&directory) {
                Taken::Newer => roster.install(directory, roll),
                Taken::Contradiction => roster.halted = Some(directory.epoch()),
                Taken::Same | Taken::Old => {}
            }
        }
        roster
    }

    /// The epoch in force; 0 if there is none.
    pub fn epoch(&self) -> u64 {
        self.current.as_ref().map_or(0, |(directory, _)| directory.epoch())
    }

    /// The directory in force.
    pub fn directory(&self) -> Option<&Directory> {
        self.current.as_ref().map(|(directory, _)| directory)
    }

    /// The owner's line, as far as the directory in force leads.
    pub const fn line(&self) -> &Line {
        &self.line
    }

    /// The members of earlier epochs that this node was told of.
    pub const fn past(&self) -> &BTreeMap<u64, Electorate> {
        &self.past
    }

    /// Whose word counts in which epoch, for what this node decides with them: none while it is not a member whose word
    /// counts, while a newer membership is being stored, or while two contradict each other.
    //= docs/spec/membership.md#eligibility
    //= docs/spec/membership.md#what-holds
    //= docs/spec/membership.md#contradictions
    pub fn term(&self, seat: &Seat<'_>, now: UnixTime) -> Option<Term> {
        if self.halted.is_some() || self.storing.is_some() {
            return None;
        }
        let (_, roll) = self.current.as_ref()?;
        let mut electorate = roll.electorate.clone();
        for node in roll.devices.keys() {
            if self.device(node, seat.revoked, now).is_none() {
                electorate.bar(node);
            }
        }
        electorate.has(seat.me).then_some(Term { electorate, opens_at: roll.opens_at })
    }

    /// A member that may hold, sign and be asked: by the directory in force and by one that is being stored.
    //= docs/spec/membership.md#eligibility
    //= docs/spec/membership.md#what-holds
    pub fn device(&self, node: &NodeId, revoked: &Revocations, now: UnixTime) -> Option<&Device> {
        let now = now.max(self.clock);
        let stays = self.storing.as_ref().is_none_or(|(_, next)| next.1.devices.contains_key(node));
        let (_, roll) = self.current.as_ref()?;
        roll.devices.get(node).filter(|device| stays && device.is_eligible(revoked, now))
    }

    /// Whether `node` may be given objects of `zone`.
    //= docs/spec/membership.md#eligibility
    pub fn may_hold(&self, node: &NodeId, zone: &ZoneId, revoked: &Revocations, now: UnixTime) -> bool {
        let now = now.max(self.clock);
        self.device(node, revoked, now).is_some_and(|device| device.enrolment.permits(zone, now))
    }

    /// Whether symbols of `zone` are put on `node` and taken from it.
    //= docs/spec/membership.md#eligibility
    pub fn may_store(&self, node: &NodeId, zone: &ZoneId, revoked: &Revocations, now: UnixTime) -> bool {
        let stores = |device: &Device| device.enrolment.stores_symbols.contains(zone);
        self.may_hold(node, zone, revoked, now) && self.device(node, revoked, now).is_some_and(stores)
    }

    /// The member whose tokens this issuance key signs.
    //= docs/spec/membership.md#eligibility
    pub fn issuer(&self, key: KeyId, revoked: &Revocations, now: UnixTime) -> Option<&NodeId> {
        let (_, roll) = self.current.as_ref()?;
        let (node, _) = roll.devices.iter().find(|(_, it)| it.attestation.issuance_key.key_id() == key)?;
        self.device(node, revoked, now).map(|_| node)
    }

    /// When the next membership may be signed: when a quorum of the members has this one, and the leases of earlier
    /// epochs that it voted for are over. None while no quorum has told.
    //= docs/spec/membership.md#one-after-the-other
    pub fn settles_at(&self) -> Option<UnixTime> {
        let (directory, roll) = self.current.as_ref()?;
        let told = |node: &NodeId| self.reports.get(node).filter(|(epoch, _)| *epoch == directory.epoch());
        let mut quiet: Vec<_> = roll.devices.keys().filter_map(told).map(|(_, quiet_at)| *quiet_at).collect();
        quiet.sort_unstable();
        quiet.get(roll.electorate.quorum() - 1).copied()
    }

    /// Tells all members which epoch this node has: at a start, now and then, and to `newcomer`, who may be none yet.
    pub fn greet(&self, newcomer: Option<&NodeId>, seat: &Seat<'_>, out: &mut Vec<Output>) {
        let members = self.current.iter().flat_map(|(_, roll)| roll.devices.keys());
        let epoch = self.epoch();
        let message = Message::Have { epoch, quiet_at: seat.voter.quiet_at(epoch) };
        let to_each = |to: &NodeId| Output::Send { to: to.clone(), message: message.clone() };
        out.extend(members.chain(newcomer).filter(|to| *to != seat.me).map(to_each));
    }

    /// Takes a message of a node.
    pub fn handle(
        &mut self,
        from: &NodeId,
        message: Message,
        seat: &Seat<'_>,
        now: UnixTime,
        out: &mut Vec<Output>,
    ) {
        match message {
            Message::Have { epoch, quiet_at } => self.on_have(from, epoch, quiet_at, seat, now, out),
            Message::Directory(directory) => {
                // Why one is not taken is its sender's concern: the owner's word needs no answer.
                let _ = self.take(*directory, seat, now, out);
            }
        }
    }

    fn on_have(
        &mut self,
        from: &NodeId,
        epoch: u64,
        quiet_at: UnixTime,
        seat: &Seat<'_>,
        now: UnixTime,
        out: &mut Vec<Output>,
    ) {
        let Some((directory, _)) = &self.current else { return };
        if self.device(from, seat.revoked, now).is_none() {
            return;
        }
        let (mine, to) = (directory.epoch(), from.clone());
        if epoch < mine {
            out.push(Output::Send { to, message: Message::Directory(Box::new(directory.clone())) });
        } else if epoch > mine {
            let message = Message::Have { epoch: mine, quiet_at: seat.voter.quiet_at(mine) };
            out.push(Output::Send { to, message });
        } else {
            // What it voted for before cannot become more, and nobody votes for longer leases.
            let latest = now.max(self.clock).saturating_add(LEASES_OUTLIVE_SECS);
            self.reports.entry(to).or_insert((epoch, quiet_at.min(latest)));
        }
    }

    /// Takes a directory, whoever brings it. It is in force once it is durable; whom it leaves out is out at once.
    ///
    /// # Errors
    /// Why it is not taken.
    //= docs/spec/membership.md#taking-a-directory
    pub fn take(
        &mut self,
        directory: Directory,
        seat: &Seat<'_>,
        now: UnixTime,
        out: &mut Vec<Output>,
    ) -> Result<Taken, Refusal> {
        if self.storing.is_some() {
            return Err(Refusal::Busy);
        }
        let clock = now.max(self.clock);
        let taken = self.place(&directory);
        match taken {
            Taken::Same => self.greet(None, seat, out),
            Taken::Old => {}
            Taken::Newer | Taken::Contradiction => {
                let roll = directory.verify(&self.line, seat.ids, clock).map_err(Refusal::Untrue)?;
                if taken == Taken::Contradiction && self.halted.is_some() {
                    return Ok(taken);
                }
                self.clock = clock;
                let batch = BatchToken(self.next_batch);
                self.next_batch += 1;
                self.storing = Some((batch, Box::new((directory.clone(), roll))));
                out.push(Output::Persist { batch, directory: Box::new(directory) });
            }
        }
        Ok(taken)
    }

    /// What a directory is to the one in force, if it is true.
    //= docs/spec/membership.md#what-holds
    //= docs/spec/membership.md#contradictions
    fn place(&self, directory: &Directory) -> Taken {
        let Some((current, _)) = &self.current else { return Taken::Newer };
        let (this, other) = (&directory.membership, &current.membership);
        match directory.epoch().cmp(&current.epoch()) {
            core::cmp::Ordering::Less => Taken::Old,
            core::cmp::Ordering::Greater => Taken::Newer,
            core::cmp::Ordering::Equal => {
                let same = this.header == other.header && this.body.fields == other.body.fields;
                if same { Taken::Same } else { Taken::Contradiction }
            }
        }
    }

    /// Takes what became of the write `batch`.
    //= docs/spec/membership.md#taking-a-directory
    pub fn handle_stored(
        &mut self,
        batch: BatchToken,
        completion: Completion,
        seat: &Seat<'_>,
        out: &mut Vec<Output>,
    ) {
        let Some((_, stored)) = self.storing.take_if(|(storing, _)| *storing == batch) else { return };
        match completion {
            Completion::Refused(_) => return,
            // Nobody knows which one is on the disk: nothing is decided before the restart.
            Completion::Failed => return self.storing = Some((batch, stored)),
            Completion::Durable => {}
        }
        let (directory, roll) = *stored;
        let epoch = directory.epoch();
        if self.place(&directory) == Taken::Contradiction {
            self.halted = Some(epoch);
            return out.push(Output::Contradiction(epoch));
        }
        let member = roll.devices.contains_key(seat.me);
        self.install(directory, roll);
        if member {
            self.reports.insert(seat.me.clone(), (epoch, seat.voter.quiet_at(epoch)));
            out.push(Output::Adopted(epoch));
            self.greet(None, seat, out);
        } else {
            out.push(Output::Left(epoch));
        }
    }

    fn install(&mut self, directory: Directory, roll: Roll) {
        self.clock = self.clock.max(directory.membership.header.created_at.saturating_sub(MAX_AHEAD_SECS));
        self.line = roll.line.clone();
        self.halted = None;
        self.reports.clear();
        if let Some((before, roll)) = self.current.replace((directory, roll)) {
            self.past.insert(before.epoch(), roll.electorate);
        }
        while self.past.len() > MAX_PAST {
            self.past.pop_first();
        }
    }
}
