//! The vocabulary between the machines and durable storage: what a machine hands over, and what comes back.
//!
//! **Persist before effect.** A machine that is about to let something be seen (a dispatch, a reply, a vote, a use of
//! a lease) first emits the [`Batch`] that records it, and emits the effect only after that batch's
//! [`Completion::Durable`]:
//!
//! 1. Batches become durable in the order in which they were emitted, each one whole or not at all.
//! 2. Each batch gets exactly one completion, in the order of emission.
//! 3. [`Completion::Refused`] means that nothing of the batch is or will be stored: whatever depended on it is
//!    abandoned, and later batches go on.
//! 4. [`Completion::Failed`] means that nobody knows how much reached the disk. The store is sealed: this batch and
//!    every later one fails until the process restarts and recovers. A failed flush is never repeated, because the
//!    operating system may have dropped the data and report success the second time.
//!
//! **Load on demand.** Machines keep indexes, not bodies. A body is asked for with a [`LoadToken`] and arrives as
//! [`Loaded`].
//!
//! Source: docs/spec/journal.md.

use alloc::vec::Vec;

use fcp_proto_core::ids::ObjectId;

/// Names one batch among those a machine has emitted and not yet seen completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchToken(pub u64);

/// Names one load among those a machine has asked for and not yet seen answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoadToken(pub u64);

/// One stored object, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The object's id, by which it is loaded. Storing an id again replaces what a load returns.
    pub id: ObjectId,
    /// The whole stored object: header, schema and body. Storage does not look inside.
    pub bytes: Vec<u8>,
}

/// What becomes durable together: all of its records or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Whether the batch may use the reserved space.
    pub class: Class,
    /// Space for batches to come, and space that earlier ones set aside for this one.
    pub space: Space,
    /// The records, in order. An empty batch is a barrier: it is durable when everything before it is.
    pub records: Vec<Record>,
}

/// Space that one batch sets aside and a later one uses: who begins what must be told to its end has the room for the
/// end before it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes to set aside for batches to come, beyond the reserve; without them the batch is refused.
    pub claims: u64,
    /// Bytes that earlier batches claimed: this batch may use them, and gives them back.
    pub releases: u64,
}

/// Whether a batch is admitted when the disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Refused when it would eat into the reserved space.
    Normal,
    /// Revocation, cancellation, shutdown, receipts that found no other room, and the audit of those: may use the
    /// reserved space, and none that others have claimed.
    Reserved,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Completion {
    /// The batch, and every durable batch before it, survives a crash.
    Durable,
    /// Nothing of the batch was stored; the store goes on.
    Refused(Refusal),
    /// It is not known whether the batch was stored; the store is sealed until restart.
    Failed,
}

/// Why a batch was not stored, although the store works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There is no room on the disk for this class.
    Full,
    /// The batch exceeds the largest number of records or bytes of one batch.
    TooLarge,
}

/// What a load found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// The object, checked against the checksum it was stored with.
    Found(Record),
    /// No object with this id was ever stored here.
    Absent,
    /// The object was stored, and cannot be read back whole.
    Unreadable,
}
