//! A list of what principals did that keeps the newest of each, however much one of them does.

use std::collections::{BTreeMap, VecDeque};

use fcp_proto_core::ids::PrincipalId;

/// A list that keeps the newest items of every principal. When it is full, the oldest item of whoever has the most gives
/// way: of `n` principals each keeps its newest `most / n` at least.
//= docs/spec/api.md#lists
#[derive(Debug)]
pub(crate) struct Shares<T> {
    items: BTreeMap<u64, T>,
    /// The numbers of each principal's items, the oldest first; none is empty.
    of: BTreeMap<PrincipalId, VecDeque<u64>>,
    next: u64,
    most: usize,
}

impl<T> Shares<T> {
    /// An empty list of at most `most` items.
    pub(crate) const fn new(most: usize) -> Self {
        Self { items: BTreeMap::new(), of: BTreeMap::new(), next: 0, most }
    }

    /// Adds an item; its number, which never changes, and the item that gave way.
    pub(crate) fn push(&mut self, principal: &PrincipalId, item: T) -> (u64, Option<T>) {
        let number = self.next;
        self.next += 1;
        self.items.insert(number, item);
        match self.of.get_mut(principal) {
            Some(numbers) => numbers.push_back(number),
            None => drop(self.of.insert(principal.clone(), VecDeque::from([number]))),
        }
        let gone = (self.items.len() > self.most).then(|| self.give_way()).flatten();
        (number, gone)
    }

    /// Takes out the oldest item of whoever has the most; of several such, of the one whose oldest is the oldest.
    fn give_way(&mut self) -> Option<T> {
        let share =
            |numbers: &VecDeque<u64>| (numbers.len(), numbers.front().copied().map(std::cmp::Reverse));
        let (principal, numbers) = self.of.iter_mut().max_by_key(|(_, numbers)| share(numbers))?;
        let number = numbers.pop_front()?;
        if numbers.is_empty() {
            let principal = principal.clone();
            self.of.remove(&principal);
        }
        self.items.remove(&number)
    }

    /// The item with that number, if it is still kept.
    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.items.get(&number)
    }

    /// As [`Shares::get`], to change it.
    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.items.get_mut(&number)
    }

    /// The newest first, those below `before` if it is given.
    pub(crate) fn newest(&self, before: Option<u64>) -> impl Iterator<Item = (u64, &T)> {
        self.items.range(..before.unwrap_or(u64::MAX)).rev().map(|(number, item)| (*number, item))
    }

    /// All that is kept, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(name: &str) -> PrincipalId {
        PrincipalId::new(name).unwrap()
    }

    #[test]
    fn numbers_stay_while_the_oldest_give_way() {
        let (mut shares, alone) = (Shares::new(3), principal("alone"));
        for item in 'a'..='e' {
            shares.push(&alone, item);
        }
        assert_eq!(shares.newest(None).collect::<Vec<_>>(), [(4, &'e'), (3, &'d'), (2, &'c')]);
        assert_eq!(shares.newest(Some(4)).collect::<Vec<_>>(), [(3, &'d'), (2, &'c')]);
        assert_eq!(shares.newest(Some(1)).count(), 0);
        assert_eq!((shares.get(1), shares.get(2), shares.get(5)), (None, Some(&'c'), None));
    }

    //= docs/spec/api.md#lists
    #[test]
    fn nobody_pushes_out_what_others_did_within_their_share() {
        let (mut shares, quiet, noisy) = (Shares::new(9), principal("quiet"), principal("noisy"));
        for item in 0..3 {
            shares.push(&quiet, ("quiet", item));
        }
        for item in 0..1_000 {
            shares.push(&noisy, ("noisy", item));
        }
        let of = |shares: &Shares<(&'static str, u32)>, who| {
            shares.iter().filter(|(whose, _)| *whose == who).map(|(_, item)| *item).collect::<Vec<_>>()
        };
        assert_eq!(of(&shares, "quiet"), [0, 1, 2]);
        assert_eq!(of(&shares, "noisy"), [994, 995, 996, 997, 998, 999]);
        // A third takes from whoever has the most, down to equal shares; then each pushes out its own.
        for item in 0..100 {
            shares.push(&principal("third"), ("third", item));
        }
        assert_eq!(of(&shares, "quiet"), [0, 1, 2]);
        assert_eq!(of(&shares, "noisy"), [997, 998, 999]);
        assert_eq!(of(&shares, "third"), [97, 98, 99]);
    }

    #[test]
    fn many_newcomers_never_exceed_the_bound() {
        let mut shares = Shares::new(10);
        for number in 0..100 {
            let (_, gone) = shares.push(&principal(&format!("p{number}")), number);
            assert_eq!(gone, (number >= 10).then(|| number - 10));
            assert!(shares.items.len() <= 10 && shares.of.len() <= 10);
        }
    }
}
