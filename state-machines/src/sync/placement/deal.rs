//! Symbols dealt out until a policy is kept.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::symbol::PayloadId;

use super::Kept;
use super::device::{Device, Domain};
use crate::sync::coverage::{BlockCount, FULL_BPS, SymbolSet, symbols_for};

/// The most symbols that one deal gives out; what is lacking then is dealt next time.
pub const MAX_DEALT: u32 = 100;

/// Who is to be given what, and what of the policy stays unmet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deal {
    /// Symbols that nobody has yet, each for one node.
    pub gives: BTreeMap<NodeId, SymbolSet>,
    /// What cannot be met with the devices that can be reached and have room.
    pub unmet: BTreeSet<Unmet>,
    /// Whether more is lacking than one deal may give out.
    pub more: bool,
}

/// A part of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unmet {
    /// The fewest nodes.
    Nodes,
    /// The fewest domains.
    Domains,
    /// That it is there after the loss of any one node, which every policy of more than one node asks for.
    Loss,
    /// The coverage.
    Coverage,
    /// The largest part that one node alone may have.
    Concentration,
}

impl Deal {
    /// What is to be dealt out so that the policy is kept.
    //= docs/spec/storage.md#dealing
    pub fn new(kept: &Kept<'_>) -> Self {
        let mut table = Table::new(kept);
        for _ in 0..MAX_DEALT {
            if !table.deal_one() {
                return table.deal;
            }
        }
        table.deal.more = table.lacks().is_some();
        table.deal
    }

    /// How many symbols are dealt.
    pub fn symbols(&self) -> u64 {
        self.gives.values().map(SymbolSet::len).sum()
    }
}

/// What is on the table while symbols are dealt.
struct Table<'a> {
    kept: Kept<'a>,
    /// Those who have something, and those who could.
    seats: Vec<Seat<'a>>,
    /// How many seats are dealt to: those who have something, and the first of those who could.
    open: usize,
    blocks: Vec<Pile>,
    /// Every symbol that anybody is known to have: also who does not count, because they may come back.
    known: SymbolSet,
    deal: Deal,
}

struct Seat<'a> {
    node: &'a NodeId,
    device: &'a Device,
    holds: bool,
    /// Whether it can be given something.
    can_take: bool,
    free_bytes: u64,
}

/// One block's symbols.
struct Pile {
    number: u8,
    sources: u32,
    target: u32,
    /// The exclusive symbols by seat.
    count: BlockCount,
}

impl<'a> Table<'a> {
    fn new(kept: &Kept<'a>) -> Self {
        let mut seats: Vec<_> =
            kept.counted().map(|(node, device, _)| Seat::new(node, device, true)).collect();
        let candidates = kept.candidates();
        for seat in &mut seats {
            seat.can_take = candidates.iter().any(|(node, _)| *node == seat.node);
        }
        let holders = seats.len();
        let others = candidates.iter().filter(|(node, _)| !seats.iter().any(|seat| seat.node == *node));
        let others: Vec<_> = others.map(|(node, device)| Seat::new(node, device, false)).collect();
        seats.extend(others);
        let width = kept.policy.width().max(holders).min(seats.len());
        let mut table = Self {
            kept: *kept,
            blocks: Vec::new(),
            open: width,
            seats,
            known: SymbolSet::default(),
            deal: Deal::default(),
        };
        table.lay_out();
        table
    }

    fn lay_out(&mut self) {
        let information = self.kept.information;
        let mut shares: Vec<_> =
            self.kept.counted().map(|(_, _, share)| share.symbols(information)).collect();
        shares.resize(self.seats.len(), Cow::Owned(SymbolSet::default()));
        for share in self.kept.shares.values() {
            self.known.extend(&share.symbols(information));
        }
        self.blocks = information
            .blocks()
            .map(|block| Pile {
                number: block.number,
                sources: block.source_symbols.into(),
                target: symbols_for(self.kept.policy.target_coverage_bps, block.source_symbols),
                count: BlockCount::of(block.number, &shares),
            })
            .collect();
    }

    /// Deals one symbol; says whether there was one to deal.
    fn deal_one(&mut self) -> bool {
        while let Some((lack, block)) = self.lacks() {
            match self.seat_for(lack, block) {
                Some(seat) => return self.give(seat, block),
                None => _ = self.deal.unmet.insert(lack),
            }
        }
        false
    }

    /// The first part of the policy that is not met and was not given up, and the block that is worst off.
    fn lacks(&self) -> Option<(Unmet, usize)> {
        let policy = self.kept.policy;
        let holders = || self.seats.iter().filter(|seat| seat.holds);
        let fragile = |pile: &Pile| !pile.count.survives_a_loss(pile.sources);
        let short = |pile: &Pile| pile.count.distinct < pile.target;
        let heavy = |pile: &Pile| pile.count.concentration_bps() > u32::from(policy.max_node_fraction_bps);
        let any = Some(self.worst());
        [
            (Unmet::Nodes, any.filter(|_| holders().count() < usize::from(policy.min_nodes))),
            (Unmet::Domains, any.filter(|_| self.domains().len() < usize::from(policy.min_domains))),
            (Unmet::Loss, self.blocks.iter().position(fragile).filter(|_| policy.min_nodes > 1)),
            (Unmet::Coverage, self.blocks.iter().position(short)),
            (Unmet::Concentration, self.blocks.iter().position(heavy)),
        ]
        .into_iter()
        .filter(|(lack, _)| !self.deal.unmet.contains(lack))
        .find_map(|(lack, block)| block.map(|block| (lack, block)))
    }

    /// The block with the fewest symbols for what it should have.
    fn worst(&self) -> usize {
        let rest = |pile: &Pile| i64::from(pile.count.distinct) - i64::from(pile.target);
        (0..self.blocks.len()).min_by_key(|index| self.blocks.get(*index).map_or(0, rest)).unwrap_or(0)
    }

    fn seat_for(&mut self, lack: Unmet, block: usize) -> Option<usize> {
        match lack {
            Unmet::Nodes => self.newcomer(),
            Unmet::Domains => self.newcomer().filter(|seat| self.is_elsewhere(*seat)),
            Unmet::Loss => {
                self.lightest(block).filter(|seat| self.is_lighter(*seat, block) || self.is_shared())
            }
            Unmet::Coverage => self.lightest(block),
            Unmet::Concentration if self.is_spreadable() => {
                self.lightest(block).filter(|seat| self.is_lighter(*seat, block))
            }
            Unmet::Concentration => None,
        }
    }

    /// The first who has nothing yet; one of a new domain, if there are too few domains and there is one.
    fn newcomer(&self) -> Option<usize> {
        let seats = self.seats.iter().enumerate();
        let new = seats.filter(|(_, seat)| !seat.holds && self.has_room(seat)).map(|(index, _)| index);
        let wants_domain = self.domains().len() < usize::from(self.kept.policy.min_domains);
        new.min_by_key(|seat| (wants_domain && !self.is_elsewhere(*seat), *seat))
    }

    fn domains(&self) -> BTreeSet<Domain<'a>> {
        self.seats.iter().filter(|seat| seat.holds).map(|seat| seat.device.domain()).collect()
    }

    /// Whether nobody of the seat's domain has anything.
    fn is_elsewhere(&self, seat: usize) -> bool {
        self.seats.get(seat).is_some_and(|seat| !self.domains().contains(&seat.device.domain()))
    }

    /// Whether another seat has more of the block to itself.
    fn is_lighter(&self, seat: usize, block: usize) -> bool {
        let alone = self.blocks.get(block).map_or(&[][..], |pile| &pile.count.exclusive);
        alone.get(seat) < alone.iter().max()
    }

    /// Whoever has the least of a block to itself, the first of them; one more seat is opened when those that are open
    /// have no room.
    fn lightest(&mut self, block: usize) -> Option<usize> {
        loop {
            let alone = |index: &usize| {
                let count = self.blocks.get(block).and_then(|pile| pile.count.exclusive.get(*index));
                count.copied().unwrap_or(0)
            };
            let open = self.seats.iter().take(self.open).enumerate();
            let takes = open.filter(|(_, seat)| self.has_room(seat)).map(|(index, _)| index);
            if let Some(seat) = takes.min_by_key(alone) {
                return Some(seat);
            }
            if self.open >= self.seats.len() {
                return None;
            }
            self.open += 1;
        }
    }

    /// Whether more than one can be given something: then what one has alone is soon not the most any more.
    fn is_shared(&self) -> bool {
        self.seats.iter().filter(|seat| self.has_room(seat)).count() > 1
    }

    /// Whether so many nodes can share the symbols that none has too many.
    fn is_spreadable(&self) -> bool {
        let seats = self.seats.iter().filter(|seat| seat.holds || self.has_room(seat)).count() as u64;
        seats * u64::from(self.kept.policy.max_node_fraction_bps) >= u64::from(FULL_BPS)
    }

    fn has_room(&self, seat: &Seat<'_>) -> bool {
        seat.can_take && seat.free_bytes >= self.kept.information.symbol_size() as u64
    }

    fn give(&mut self, index: usize, block: usize) -> bool {
        let (Some(seat), Some(pile)) = (self.seats.get_mut(index), self.blocks.get_mut(block)) else {
            return false;
        };
        let Some(symbol): Option<PayloadId> = self.known.first_missing(pile.number) else { return false };
        self.known.insert(symbol);
        self.deal.gives.entry(seat.node.clone()).or_default().insert(symbol);
        seat.holds = true;
        seat.free_bytes = seat.free_bytes.saturating_sub(self.kept.information.symbol_size() as u64);
        pile.count.distinct = pile.count.distinct.saturating_add(1);
        if let Some(alone) = pile.count.exclusive.get_mut(index) {
            *alone = alone.saturating_add(1);
        }
        true
    }
}

impl<'a> Seat<'a> {
    const fn new(node: &'a NodeId, device: &'a Device, holds: bool) -> Self {
        Self { node, device, holds, can_take: true, free_bytes: device.free_bytes }
    }
}
