use alloc::vec;

use fcp_proto_core::symbol::PayloadId;

use super::*;
use crate::sync::placement::tests::{cut, name, subject, zone};

fn symbols(esis: impl IntoIterator<Item = u32>) -> Share {
    Share::Symbols(esis.into_iter().map(PayloadId::from_u32).collect())
}

/// What others have counts for nothing, and what this node does not know it does not deny.
//= docs/spec/storage.md#offline
#[test]
fn an_answer_says_exactly_what_is_here() {
    let mut inventory = Inventory::new(9);
    for (number, share) in
        [(1, Some(Share::Whole)), (2, Some(symbols(5..9))), (3, Some(symbols(0..3))), (4, None)]
    {
        inventory.learn(subject(number), cut(4)).unwrap();
        inventory.report(&subject(number), &name(1), Share::Whole).unwrap();
        if let Some(share) = share {
            inventory.report(&subject(number), &name(0), share).unwrap();
        }
    }
    let asked: vec::Vec<_> = [5, 4, 3, 2, 1, 1].map(|number| subject(number).object).into();
    let mut unsolved = Unsolved::default();
    let answer = |unsolved: &Unsolved| Answer::new(&inventory, unsolved, &name(0), &zone(), &asked).unwrap();
    let said = answer(&unsolved);
    let expected = [
        (1, Readiness::Now),
        (2, Readiness::Now),
        (3, Readiness::Lacks { symbols: 1 }),
        (4, Readiness::Lacks { symbols: 4 }),
        (5, Readiness::Unknown),
    ];
    assert_eq!(said.objects, expected.map(|(number, it)| (subject(number).object, it)).into());
    assert_eq!((said.ready, said.lacking()), (2, [3, 4, 5].map(|number| subject(number).object).into()));
    unsolved.note(subject(2), 4);
    assert_eq!(answer(&unsolved).objects[&subject(2).object], Readiness::Lacks { symbols: 1 });
    unsolved.forget(&subject(2));
    assert_eq!(answer(&unsolved).ready, 2);
}

/// An object of two blocks is not here while one of them is not.
#[test]
fn a_surplus_in_one_block_makes_up_for_nothing_in_another() {
    let mut inventory = Inventory::new(1);
    inventory.learn(subject(1), cut(1_033)).unwrap();
    inventory.report(&subject(1), &name(0), symbols(0..2_000)).unwrap();
    let answer =
        Answer::new(&inventory, &Unsolved::default(), &name(0), &zone(), &[subject(1).object]).unwrap();
    assert_eq!(answer.objects[&subject(1).object], Readiness::Lacks { symbols: 516 });
}

#[test]
fn a_question_is_bounded_and_so_is_what_did_not_decode() {
    let inventory = Inventory::new(1);
    let asked = |count| vec![subject(1).object; count];
    let ask = |count| Answer::new(&inventory, &Unsolved::default(), &name(0), &zone(), &asked(count));
    assert!(ask(MAX_ASKED).is_ok());
    assert_eq!(ask(MAX_ASKED + 1), Err(TooMany));
    let mut unsolved = Unsolved::default();
    for number in 0..2_000_u32 {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        unsolved.note(Subject { zone: zone(), object: ObjectId::from_bytes(bytes) }, 1);
    }
    assert_eq!(unsolved.0.len(), MAX_ASKED);
}
