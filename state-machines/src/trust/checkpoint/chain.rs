//! The chain of certified checkpoints: the newest one, and whether two were certified in one place.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

use fcp_proto_core::encoding::cbor::{self};
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};
use fcp_proto_core::object::{Certified, CheckpointFork, Object, ObjectIdKey, ZoneCheckpoint};
use fcp_proto_core::time::UnixTime;

use crate::trust::quorum::{Electorate, QuorumError};

/// A checkpoint with the signatures that it has.
pub type Checkpoint = Object<Certified<ZoneCheckpoint>>;

/// Whose signatures count: those of the epoch that is, and those of epochs that were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The members now.
    pub current: Electorate,
    /// The members of epochs before, as far as they are known.
    pub past: BTreeMap<u64, Electorate>,
}

impl Terms {
    /// The members of `epoch`, if it is not one to come.
    fn of(&self, epoch: u64) -> Option<&Electorate> {
        if epoch == self.current.epoch() { Some(&self.current) } else { self.past.get(&epoch) }
    }
}

/// A certified checkpoint and its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its identity.
    pub id: ObjectId,
    /// The checkpoint.
    pub checkpoint: Box<Checkpoint>,
}

/// Two certified checkpoints in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The one, by the lower identity.
    pub a: Tip,
    /// The other.
    pub b: Tip,
}

/// What a certified checkpoint was to the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The newest one now.
    Newest,
    /// The newest one already, perhaps by other signatures.
    Same,
    /// An older one than the newest.
    Old,
    /// It contradicts the newest one.
    Fork,
}

/// Why a checkpoint is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointRefusal {
    /// It is of another zone.
    Zone,
    /// It is of an epoch whose members are not known.
    Epoch(u64),
    /// The members of its epoch do not stand behind it.
    Quorum(QuorumError),
    /// A chain, the epoch or the time goes back in it.
    WentBack,
    /// The chain is halted by a fork.
    Halted,
    /// It has no encoding, and so no identity.
    NotEncodable,
}

/// The newest certified checkpoint of one zone.
#[derive(Clone, Debug)]
pub struct Chain {
    zone: ZoneId,
    tip: Option<Tip>,
    fork: Option<Box<Fork>>,
}

impl Chain {
    /// The chain of `zone`, without a checkpoint.
    pub const fn new(zone: ZoneId) -> Self {
        Self { zone, tip: None, fork: None }
    }

    /// The newest checkpoint.
    pub const fn tip(&self) -> Option<&Tip> {
        self.tip.as_ref()
    }

    /// The two that halt the chain.
    pub fn fork(&self) -> Option<&Fork> {
        self.fork.as_deref()
    }

    /// Takes a certificate.
    ///
    /// # Errors
    /// Why it is not taken.
    //= docs/spec/checkpoints.md#certified
    pub fn take(
        &mut self,
        checkpoint: Checkpoint,
        terms: &Terms,
        ids: &ObjectIdKey,
    ) -> Result<Taken, CheckpointRefusal> {
        if self.fork.is_some() {
            return Err(CheckpointRefusal::Halted);
        }
        if checkpoint.header.zone_id != self.zone {
            return Err(CheckpointRefusal::Zone);
        }
        let epoch = checkpoint.body.fields.as_of_epoch;
        let electorate = terms.of(epoch).ok_or(CheckpointRefusal::Epoch(epoch))?;
        let proven = electorate.certify(checkpoint).map_err(CheckpointRefusal::Quorum)?;
        self.remember(proven.into_object(), ids)
    }

    /// Takes what was certified and made durable before a restart.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn remember(
        &mut self,
        checkpoint: Checkpoint,
        ids: &ObjectIdKey,
    ) -> Result<Taken, CheckpointRefusal> {
        let stored = checkpoint.store().map_err(|_| CheckpointRefusal::NotEncodable)?;
        let id = stored.id(ids).map_err(|_| CheckpointRefusal::NotEncodable)?;
        let next = Tip { id, checkpoint: Box::new(checkpoint) };
        let taken = match &self.tip {
            None => Taken::Newest,
            Some(tip) => judge(&tip.checkpoint, &next.checkpoint)?,
        };
        match taken {
            Taken::Newest | Taken::Same => self.tip = Some(next),
            Taken::Old => {}
            Taken::Fork => self.fork = self.tip.clone().map(|tip| Box::new(Fork::between(tip, next))),
        }
        Ok(taken)
    }

    /// Ends the halt once the owner has raised the epoch above that of the fork: of the two, the one with the lower
    /// encoding stands, on every node. Whether it was ended.
    //= docs/spec/checkpoints.md#forks
    pub fn resume(&mut self, terms: &Terms) -> bool {
        let Some(fork) = self.fork.take_if(|fork| fork.epoch() < terms.current.epoch()) else { return false };
        let content = |tip: &Tip| {
            let unsigned =
                Object::uncertified(tip.checkpoint.header.clone(), tip.checkpoint.body.fields.clone());
            unsigned.store().ok().and_then(|stored| cbor::encode(&stored).ok())
        };
        let stands = if content(&fork.a) <= content(&fork.b) { fork.a } else { fork.b };
        self.tip = Some(stands);
        true
    }
}

impl Fork {
    fn between(one: Tip, other: Tip) -> Self {
        if one.id < other.id { Self { a: one, b: other } } else { Self { a: other, b: one } }
    }

    fn epoch(&self) -> u64 {
        self.a.checkpoint.body.fields.as_of_epoch.max(self.b.checkpoint.body.fields.as_of_epoch)
    }

    /// Who signed both: the liars.
    pub fn double_signers(&self) -> BTreeSet<NodeId> {
        self.a.checkpoint.forks_from(&self.b.checkpoint).unwrap_or_default()
    }

    /// The evidence of it, found by `detected_by`; it has yet to be signed.
    //= docs/spec/checkpoints.md#forks
    pub fn evidence(&self, detected_by: &NodeId, detected_at: UnixTime) -> CheckpointFork {
        let signers = |tip: &Tip| {
            let signatures = tip.checkpoint.body.quorum_signatures.as_slice();
            signatures.iter().map(|by| by.node_id.clone()).collect()
        };
        CheckpointFork {
            conflicting_seq: self.a.checkpoint.body.fields.checkpoint_seq,
            checkpoint_a: self.a.id,
            checkpoint_b: self.b.id,
            signers_a: signers(&self.a),
            signers_b: signers(&self.b),
            detected_at,
            detected_by: detected_by.clone(),
        }
    }
}

/// What `next` is to a chain that ends in `tip`; both are certified.
//= docs/spec/checkpoints.md#certified
fn judge(tip: &Checkpoint, next: &Checkpoint) -> Result<Taken, CheckpointRefusal> {
    let (last, this) = (&tip.body.fields, &next.body.fields);
    if this.checkpoint_seq < last.checkpoint_seq {
        return Ok(Taken::Old);
    }
    if this.checkpoint_seq > last.checkpoint_seq {
        return if next.goes_back_from(tip) { Err(CheckpointRefusal::WentBack) } else { Ok(Taken::Newest) };
    }
    if next.forks_from(tip).is_none() {
        return Ok(Taken::Same);
    }
    // What an epoch left open, the owner closed by ending it: the later epoch's stands.
    match this.as_of_epoch.cmp(&last.as_of_epoch) {
        core::cmp::Ordering::Greater => Ok(Taken::Newest),
        core::cmp::Ordering::Less => Ok(Taken::Old),
        core::cmp::Ordering::Equal => Ok(Taken::Fork),
    }
}
