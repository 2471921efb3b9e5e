//! Generations: how what was removed is forgotten at last.

use super::{ChangeError, Merge};

/// A state that remembers what was removed from it.
pub trait Collect: Merge {
    /// Forgets what was removed.
    fn collect(&mut self);
}

/// A state and how often it was collected. Of two, the later generation has all that counts: it was collected when
/// every member had told that it has all of the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generations<S> {
    number: u64,
    state: S,
}

impl<S: Collect> Generations<S> {
    /// `state` in the generation `number`.
    pub const fn new(number: u64, state: S) -> Self {
        Self { number, state }
    }

    /// The generation.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The state.
    pub const fn state(&self) -> &S {
        &self.state
    }

    /// The state, to be changed by this member itself.
    pub const fn state_mut(&mut self) -> &mut S {
        &mut self.state
    }

    /// Takes a change that was made to the generation `number`.
    ///
    /// # Errors
    /// [`ChangeError::Generation`] if that is not this one; else as [`apply`](super::apply).
    //= docs/spec/replica.md#generations
    pub fn apply(&mut self, number: u64, change: &S) -> Result<(), ChangeError> {
        if number != self.number {
            return Err(ChangeError::Generation(number));
        }
        super::apply(&mut self.state, change)
    }

    /// Takes all that `other` has, unless it is of an earlier generation.
    //= docs/spec/replica.md#generations
    pub fn merge(&mut self, other: &Self) {
        match self.number.cmp(&other.number) {
            core::cmp::Ordering::Less => *self = other.clone(),
            core::cmp::Ordering::Equal => self.state.merge(&other.state),
            core::cmp::Ordering::Greater => {}
        }
    }
}

impl<S: Collect + PartialEq> Generations<S> {
    /// Begins the next generation without what was removed, if `told`, what every other member told that it has, is
    /// this very state. Only the holder of the lease over the state may. Whether it was begun.
    //= docs/spec/replica.md#generations
    pub fn collect<'a>(&mut self, told: impl IntoIterator<Item = &'a Self>) -> bool
    where
        S: 'a,
    {
        let Some(next) = self.number.checked_add(1) else { return false };
        if told.into_iter().any(|other| other != self) {
            return false;
        }
        self.number = next;
        self.state.collect();
        true
    }
}
