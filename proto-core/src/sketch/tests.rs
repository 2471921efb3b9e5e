use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{CELL_BYTES, Cell, Decoder, Differences, Encoder, ItemKey, Salt, Undecodable};
use crate::ids::ObjectId;
use crate::random::Entropy;

fn keys(count: usize, random: &mut Entropy) -> BTreeSet<ItemKey> {
    (0..count).map(|_| ItemKey(u64::from_le_bytes(random.bytes()))).collect()
}

fn entropy(seed: u8) -> Entropy {
    Entropy::from_seed(&Zeroizing::new([seed; 32]))
}

/// Reads the difference in steps of `step` cells; what it is, and how many cells it took.
fn reconcile(there: &BTreeSet<ItemKey>, here: &BTreeSet<ItemKey>, step: usize) -> (Differences, usize) {
    let mut encoder = Encoder::new(there.iter().copied());
    let mut decoder = Decoder::new(Encoder::new(here.iter().copied()));
    for _ in 0..10 * (there.len() + here.len() + 10) {
        decoder.take(&encoder.next_cells(step)).unwrap();
        if let Some(differences) = decoder.differences() {
            return (differences.clone(), decoder.taken());
        }
    }
    panic!("no difference after {} cells", decoder.taken());
}

proptest! {
    #[test]
    fn the_difference_is_that_of_the_sets(
        shared in 0_usize..300,
        there in 0_usize..60,
        here in 0_usize..60,
        step in 1_usize..40,
        seed: u8,
    ) {
        let mut random = entropy(seed);
        let (common, only_there, only_here) =
            (keys(shared, &mut random), keys(there, &mut random), keys(here, &mut random));
        let with = |only: &BTreeSet<ItemKey>| common.union(only).copied().collect::<BTreeSet<_>>();
        let (differences, _) = reconcile(&with(&only_there), &with(&only_here), step);
        prop_assert_eq!(differences, Differences { there: only_there, here: only_here });
    }

    //= docs/spec/sketches.md#reading
    #[test]
    fn cells_that_nobody_made_end_in_bounded_work(bytes in proptest::collection::vec(any::<[u8; CELL_BYTES]>(), 1..80)) {
        let cells: Vec<Cell> = bytes.iter().map(Cell::from_bytes).collect();
        let mut decoder = Decoder::new(Encoder::new(keys(20, &mut entropy(1))));
        let _ = decoder.take(&cells);
        if let Some(found) = decoder.differences() {
            prop_assert!(found.there.len() + found.here.len() <= cells.len());
        }
    }
}

#[test]
fn equal_sets_need_one_cell_and_one_difference_is_seen_in_the_first() {
    let set = keys(1_000, &mut entropy(2));
    assert_eq!(reconcile(&set, &set, 1), (Differences::default(), 1));
    let mut more = set.clone();
    more.insert(ItemKey(7));
    let there = Differences { there: BTreeSet::from([ItemKey(7)]), ..Differences::default() };
    assert_eq!(reconcile(&more, &set, 1), (there, 1));
}

/// The paper's 1.35 for large differences, and the 1.72 of its worst case, with room for chance.
#[test]
fn cells_grow_with_the_difference_and_not_with_the_sets() {
    let mut random = entropy(3);
    let shared = keys(20_000, &mut random);
    for (difference, most) in [(10, 2.6), (100, 1.9), (1_000, 1.6), (4_000, 1.5)] {
        let mut there = shared.clone();
        there.extend(keys(difference / 2, &mut random));
        let mut here = shared.clone();
        here.extend(keys(difference - difference / 2, &mut random));
        let (_, cells) = reconcile(&there, &here, 1);
        let share = cells as f64 / difference as f64;
        assert!(share < most, "{difference}: {share} cells each");
    }
}

#[test]
fn a_cell_is_twelve_bytes_and_reads_back() {
    let cells = Encoder::new(keys(300, &mut entropy(4))).next_cells(50);
    for cell in cells {
        assert_eq!(Cell::from_bytes(&cell.to_bytes()), cell);
    }
    let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    assert_eq!(Cell::from_bytes(&bytes).to_bytes(), bytes);
}

//= docs/spec/sketches.md#reading
#[test]
fn a_key_where_it_does_not_belong_is_a_lie_that_is_noticed() {
    let key = ItemKey(5);
    let foreign = (1..).find(|cell| !visits(key, *cell)).unwrap();
    let mut cells = Encoder::new([key]).next_cells(foreign as usize + 1);
    cells[foreign as usize].add(key, key.check());
    let mut decoder = Decoder::new(Encoder::default());
    assert_eq!(decoder.take(&cells), Err(Undecodable));
}

fn visits(key: ItemKey, cell: u64) -> bool {
    let mut walk = key.walk();
    while walk.cell() < cell {
        walk.advance();
    }
    walk.cell() == cell
}

#[test]
fn keys_depend_on_salt_and_name() {
    let [a, b] = [1, 2].map(|byte| ObjectId::from_bytes([byte; 32]));
    let [salt, other] = [3, 4].map(|byte| Salt::from_bytes([byte; 32]));
    assert_eq!(salt.key(&a), salt.key(&a));
    assert_ne!(salt.key(&a), salt.key(&b));
    assert_ne!(salt.key(&a), other.key(&a));
    assert_eq!(alloc::format!("{salt:?}"), "Salt(..)");
}

#[test]
fn walks_visit_the_cells_as_often_as_they_should() {
    let mut random = entropy(5);
    let mut visits = [0_u32; 40];
    for key in keys(20_000, &mut random) {
        let mut walk = key.walk();
        while walk.cell() < 40 {
            visits[walk.cell() as usize] += 1;
            walk.advance();
        }
    }
    for (cell, count) in visits.into_iter().enumerate() {
        let expected = 20_000.0 / (1.0 + cell as f64 / 2.0);
        assert!((f64::from(count) / expected - 1.0).abs() < 0.15, "cell {cell}: {count} of {expected}");
    }
}
