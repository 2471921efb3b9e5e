//! The difference of two sets, from the cells of one and the keys of the other.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

use super::cell::{Cell, Side};
use super::encoder::Encoder;
use super::item::{ItemKey, Walk};
use crate::error::Code;

/// What two sets differ in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Keys of the set that the cells are of, and not of the other.
    pub there: BTreeSet<ItemKey>,
    /// Keys of the set here, and not of the one that the cells are of.
    pub here: BTreeSet<ItemKey>,
}

/// No set makes these cells: they contradict each other, or their maker lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable;

impl Undecodable {
    /// The registered code of this failure.
    pub const fn code(&self) -> Code {
        Code::PeerFrameInvalid
    }
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cells contradict each other")
    }
}

impl core::error::Error for Undecodable {}

/// Reads a difference.
///
/// Its work is bounded by the cells that it is given: each key is found once, and there are no more keys than cells.
#[derive(Clone, Debug)]
pub struct Decoder {
    here: Encoder,
    /// Cells of the set here that are to be subtracted next.
    ready: Vec<Cell>,
    cells: Vec<Cell>,
    /// Cells that are not zero.
    unresolved: usize,
    /// Keys that were found, and the next cell that each belongs to and that is not there yet.
    found: Vec<(ItemKey, Side, Walk)>,
    differences: Differences,
}

impl Decoder {
    /// A reader that has `here`, of which no cells were made yet.
    pub fn new(here: Encoder) -> Self {
        Self {
            here,
            ready: Vec::new(),
            cells: Vec::new(),
            unresolved: 0,
            found: Vec::new(),
            differences: Differences::default(),
        }
    }

    /// How many cells were taken.
    pub fn taken(&self) -> usize {
        self.cells.len()
    }

    /// Goes on with making the next `count` cells of the set here by at most `keys` keys, so that [`take`](Self::take) has
    /// less to do; whether they are made.
    pub fn prepare(&mut self, count: usize, keys: usize) -> bool {
        let missing = count.saturating_sub(self.ready.len());
        if missing > 0
            && let Some(cells) = self.here.work(missing, keys)
        {
            self.ready.extend(cells);
        }
        self.ready.len() >= count
    }

    /// Takes the next cells of the other set.
    ///
    /// # Errors
    /// [`Undecodable`]; the reader is then of no more use.
    //= docs/spec/sketches.md#reading
    pub fn take(&mut self, cells: &[Cell]) -> Result<(), Undecodable> {
        let begin = self.cells.len();
        while !self.prepare(cells.len(), usize::MAX) {}
        let here = self.ready.drain(..cells.len());
        self.cells.extend(cells.iter().zip(here).map(|(there, here)| there.minus(here)));
        for (key, side, walk) in &mut self.found {
            strike(&mut self.cells, *key, *side, walk, |_| ());
        }
        self.unresolved += self.cells[begin..].iter().filter(|cell| !cell.is_zero()).count();
        self.peel((begin..self.cells.len()).collect())
    }

    /// What the sets differ in, once that is certain.
    pub fn differences(&self) -> Option<&Differences> {
        (self.unresolved == 0 && !self.cells.is_empty()).then_some(&self.differences)
    }

    /// Takes single keys out of all their cells until none is left; `waiting` are the cells to look at.
    fn peel(&mut self, mut waiting: Vec<usize>) -> Result<(), Undecodable> {
        while let Some(index) = waiting.pop() {
            let Some((key, side)) = self.cells[index].single() else { continue };
            // More keys than cells, or one twice, come from cells that no set makes.
            if self.found.len() >= self.cells.len() || !self.note(key, side) {
                return Err(Undecodable);
            }
            let mut walk = key.walk();
            let unresolved = &mut self.unresolved;
            strike(&mut self.cells, key, side, &mut walk, |(index, was, is)| {
                *unresolved += usize::from(!is);
                *unresolved -= usize::from(!was);
                waiting.push(index);
            });
            // A cell that still holds something does not belong to the key that it claimed to hold alone.
            if !self.cells[index].is_zero() {
                return Err(Undecodable);
            }
            self.found.push((key, side, walk));
        }
        Ok(())
    }

    /// Notes a key that was found, unless it was found before.
    fn note(&mut self, key: ItemKey, side: Side) -> bool {
        let Differences { there, here } = &mut self.differences;
        let (to, other) = match side {
            Side::There => (there, here),
            Side::Here => (here, there),
        };
        !other.contains(&key) && to.insert(key)
    }
}

/// Takes a key out of the cells that are there, from where its walk stands; says of each which it is, and whether it was
/// and is zero.
fn strike(
    cells: &mut [Cell],
    key: ItemKey,
    side: Side,
    walk: &mut Walk,
    mut struck: impl FnMut((usize, bool, bool)),
) {
    let check = key.check();
    while let Some((index, cell)) =
        usize::try_from(walk.cell()).ok().and_then(|index| cells.get_mut(index).map(|cell| (index, cell)))
    {
        let was = cell.is_zero();
        match side {
            Side::There => cell.remove(key, check),
            Side::Here => cell.add(key, check),
        }
        struck((index, was, cell.is_zero()));
        walk.advance();
    }
}
