use alloc::collections::{BTreeMap, BTreeSet};

use fcp_proto_core::symbol::PayloadId;
use proptest::prelude::*;

use super::*;

/// An object of `symbols` source symbols of 8 bytes.
fn cut(symbols: u64) -> TransmissionInformation {
    TransmissionInformation::new(symbols * 8, 8).unwrap()
}

fn share(esis: impl IntoIterator<Item = u32>) -> Share {
    Share::Symbols(esis.into_iter().map(PayloadId::from_u32).collect())
}

proptest! {
    /// Runs are a set: beside a plain one, whatever is added in whatever order, over the seams of blocks, too.
    #[test]
    fn a_set_of_runs_is_a_set(
        adds in prop::collection::vec((0_u8..3, prop::sample::select(vec![0, 1, 2, 3, 4, 0xff_fffd, 0xff_fffe, 0xff_ffff])), 0..24),
        split in 0_usize..24,
    ) {
        let ids = adds.iter().map(|(block, esi)| PayloadId::new(*block, *esi).unwrap());
        let model: BTreeSet<_> = ids.clone().collect();
        let mut set: SymbolSet = ids.clone().take(split).collect();
        set.extend(&ids.skip(split).collect());
        prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), model.clone());
        prop_assert_eq!(set.len(), model.len() as u64);
        for block in 0..3 {
            let inside = model.iter().filter(|id| id.block() == block);
            prop_assert_eq!(set.in_block(block) as usize, inside.count());
            let missing = set.first_missing(block).unwrap();
            prop_assert!(!set.contains(missing));
            prop_assert!((0..missing.esi()).all(|esi| set.contains(PayloadId::new(block, esi).unwrap())));
        }
        for run in set.runs() {
            prop_assert_eq!(run.first >> 24, run.last >> 24);
        }
    }

    /// What is counted by runs is what is counted one by one.
    //= docs/spec/storage.md#coverage
    #[test]
    fn coverage_is_that_of_a_plain_count(
        sources in 1_u64..2_200,
        held in prop::collection::vec(prop::collection::vec((0_u8..4, 0_u32..900), 0..60), 0..5),
        whole in 0_usize..8,
    ) {
        let information = cut(sources);
        let mut shares: Vec<_> = held
            .iter()
            .map(|ids| Share::Symbols(ids.iter().map(|(block, esi)| PayloadId::new(*block, *esi).unwrap()).collect()))
            .collect();
        if let Some(share) = shares.get_mut(whole) {
            *share = Share::Whole;
        }
        let coverage = Coverage::of(information, &shares);
        let mut expected = Coverage::BEST;
        for block in information.blocks() {
            let mut owners: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
            for (node, share) in shares.iter().enumerate() {
                for id in share.symbols(information).iter().filter(|id| id.block() == block.number) {
                    owners.entry(id.esi()).or_default().push(node);
                }
            }
            let alone = |node| owners.values().filter(|them| **them == [node]).count() as u32;
            let most = (0..shares.len()).map(alone).max().unwrap_or(0);
            let (distinct, k) = (owners.len() as u32, u32::from(block.source_symbols));
            let copies: usize = owners.values().map(Vec::len).sum();
            expected.distinct_bps = expected.distinct_bps.min(distinct * 10_000 / k);
            expected.copies_bps = expected.copies_bps.min(copies as u32 * 10_000 / k);
            expected.concentration_bps = expected.concentration_bps.max((most * 10_000).div_ceil(distinct.max(1)));
            expected.lacking += k.saturating_sub(distinct);
            expected.survives_a_loss &= distinct - most >= k;
        }
        prop_assert_eq!(coverage, expected);
    }
}

/// One symbol at three nodes is one symbol.
//= docs/spec/storage.md#coverage
#[test]
fn copies_of_one_symbol_are_not_an_object() {
    let coverage = Coverage::of(cut(2), &[share([0]), share([0]), share([0])]);
    assert!(!coverage.is_there());
    assert_eq!((coverage.distinct_bps, coverage.copies_bps, coverage.lacking), (5_000, 15_000, 1));
}

#[test]
fn the_loss_of_a_node_costs_what_only_that_node_has() {
    let spread = Coverage::of(cut(10), &[share(0..4), share(4..7), share(7..10)]);
    assert_eq!((spread.distinct_bps, spread.concentration_bps), (10_000, 4_000));
    assert!(!spread.survives_a_loss);
    let alone = Coverage::of(cut(10), &[Share::Whole]);
    assert_eq!((alone.concentration_bps, alone.survives_a_loss), (10_000, false));
    let twice = Coverage::of(cut(10), &[Share::Whole, Share::Whole]);
    assert_eq!((twice.distinct_bps, twice.copies_bps, twice.concentration_bps), (10_000, 20_000, 0));
    assert!(twice.survives_a_loss);
}

/// An object of two blocks is not there while one of them is not.
//= docs/spec/storage.md#coverage
#[test]
fn the_worst_block_counts() {
    let information = cut(1_033);
    let [first, second] = [0, 1].map(|number| information.block(number).unwrap());
    let surplus = (0..2 * u32::from(first.source_symbols)).map(|esi| PayloadId::new(0, esi).unwrap());
    let scarce = (1..u32::from(second.source_symbols)).map(|esi| PayloadId::new(1, esi).unwrap());
    let coverage = Coverage::of(information, &[Share::Symbols(surplus.chain(scarce).collect())]);
    assert_eq!(coverage.lacking, 1);
    assert!(coverage.distinct_bps < FULL_BPS);
}

/// Half a symbol more is a symbol more.
#[test]
fn a_target_is_rounded_up() {
    assert_eq!(symbols_for(10_001, 10), 11);
    assert_eq!(symbols_for(15_000, 1), 2);
    assert_eq!(symbols_for(10_000, 7), 7);
}
