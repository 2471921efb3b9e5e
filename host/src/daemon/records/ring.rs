//! A list that keeps its newest items, each with a number that never changes.

use std::collections::VecDeque;

/// A list that keeps its newest items.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    first: u64,
    items: VecDeque<T>,
    most: usize,
}

impl<T> Ring<T> {
    /// An empty list of at most `most` items.
    pub(crate) const fn new(most: usize) -> Self {
        Self { first: 0, items: VecDeque::new(), most }
    }

    /// Adds an item; its number, and the item that gave way.
    pub(crate) fn push(&mut self, item: T) -> (u64, Option<T>) {
        let number = self.first + self.items.len() as u64;
        self.items.push_back(item);
        let gone = (self.items.len() > self.most).then(|| self.items.pop_front()).flatten();
        self.first += u64::from(gone.is_some());
        (number, gone)
    }

    /// The newest first, those below `before` if it is given.
    pub(crate) fn newest(&self, before: Option<u64>) -> impl Iterator<Item = (u64, &T)> {
        let end = before.unwrap_or(u64::MAX).min(self.next());
        let kept = usize::try_from(end.saturating_sub(self.first)).unwrap_or(0);
        (self.first..end).rev().zip(self.items.iter().take(kept).rev())
    }

    /// In order, from a number on.
    pub(crate) fn from(&self, number: u64) -> impl Iterator<Item = (u64, &T)> {
        let skip = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        (self.first..).zip(&self.items).skip(skip)
    }

    /// The number that the next item gets.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.items.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_while_the_oldest_give_way() {
        let mut ring = Ring::new(3);
        for item in 'a'..='e' {
            ring.push(item);
        }
        assert_eq!(ring.newest(None).collect::<Vec<_>>(), [(4, &'e'), (3, &'d'), (2, &'c')]);
        assert_eq!(ring.newest(Some(4)).collect::<Vec<_>>(), [(3, &'d'), (2, &'c')]);
        assert_eq!(ring.newest(Some(1)).count(), 0);
        assert_eq!(ring.from(3).collect::<Vec<_>>(), [(3, &'d'), (4, &'e')]);
        assert_eq!(ring.from(0).next(), Some((2, &'c')));
        assert_eq!(ring.next(), 5);
    }
}
