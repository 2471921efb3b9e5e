//! What is there without anybody else: object by object, and no guess.
//!
//! Spec: docs/spec/storage.md.

#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{NodeId, ObjectId, ZoneId};

use super::coverage::Share;
use super::inventory::Inventory;
use crate::trust::lease::Subject;

/// Objects that one question may be about.
pub const MAX_ASKED: usize = 1_024;

/// Whether an object can be had from this node alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is here whole, or every block has as many distinct symbols as source symbols.
    Now,
    /// So many more distinct symbols are needed, in the blocks that lack them.
    Lacks {
        /// How many.
        symbols: u32,
    },
    /// This node knows nothing of such an object: it may exist or not.
    Unknown,
}

/// What is there of several objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of each that was asked for, in order, once.
    pub objects: BTreeMap<ObjectId, Readiness>,
    /// How many can be had now.
    pub ready: usize,
}

/// More objects were asked for than [`MAX_ASKED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// Decodes that came to nothing although there were enough symbols: the number of symbols with which that was tried last.
/// With as many as source symbols, one in about 256 does not decode, and needs another.
#[derive(Clone, Debug, Default)]
pub struct Unsolved(BTreeMap<Subject, u64>);

impl Unsolved {
    /// A decode from `symbols` distinct symbols came to nothing. At most [`MAX_ASKED`] are remembered; further ones make room
    /// at the cost of the first.
    pub fn note(&mut self, subject: Subject, symbols: u64) {
        if self.0.len() >= MAX_ASKED && !self.0.contains_key(&subject) {
            self.0.pop_first();
        }
        self.0.insert(subject, symbols);
    }

    /// A decode succeeded, or the object is gone.
    pub fn forget(&mut self, subject: &Subject) {
        self.0.remove(subject);
    }
}

impl Answer {
    /// What the node `me` can give of `objects` in a zone, from what it has itself.
    ///
    /// # Errors
    /// [`TooMany`].
    //= docs/spec/storage.md#offline
    pub fn new(
        inventory: &Inventory,
        unsolved: &Unsolved,
        me: &NodeId,
        zone: &ZoneId,
        objects: &[ObjectId],
    ) -> Result<Self, TooMany> {
        if objects.len() > MAX_ASKED {
            return Err(TooMany);
        }
        let of = |object: &ObjectId| {
            let subject = Subject { zone: zone.clone(), object: *object };
            (*object, readiness(inventory, unsolved, me, &subject))
        };
        let objects: BTreeMap<_, _> = objects.iter().map(of).collect();
        let ready = objects.values().filter(|it| **it == Readiness::Now).count();
        Ok(Self { objects, ready })
    }

    /// What is not there.
    pub fn lacking(&self) -> Vec<ObjectId> {
        let lacking = self.objects.iter().filter(|(_, it)| **it != Readiness::Now);
        lacking.map(|(object, _)| *object).collect()
    }
}

fn readiness(inventory: &Inventory, unsolved: &Unsolved, me: &NodeId, subject: &Subject) -> Readiness {
    let Some(item) = inventory.item(subject) else { return Readiness::Unknown };
    match item.shares.get(me) {
        Some(Share::Whole) => Readiness::Now,
        None => Readiness::Lacks { symbols: item.information.source_symbols() },
        Some(share @ Share::Symbols(symbols)) => match share.lacking(item.information) {
            // What did not decode needs another symbol at least.
            0 if unsolved.0.get(subject).is_some_and(|tried| symbols.len() <= *tried) => {
                Readiness::Lacks { symbols: 1 }
            }
            0 => Readiness::Now,
            symbols => Readiness::Lacks { symbols },
        },
    }
}

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more objects than one question may be about")
    }
}

impl core::error::Error for TooMany {}

impl TooMany {
    /// Its place in the registry.
    pub const fn code(&self) -> Code {
        Code::InputTooLarge
    }
}
