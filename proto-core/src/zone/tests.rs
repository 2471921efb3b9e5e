use super::{Label, Level, Provenance, Taint, default_level};
use crate::encoding::cbor::{FromCbor, ToCbor, Value};
use crate::ids::ZoneId;
use proptest::prelude::*;

fn label() -> impl Strategy<Value = Label> {
    (0..=100u8, 0..=100u8, proptest::collection::btree_set(0..8usize, 0..8)).prop_map(|(i, c, taints)| {
        Label {
            integrity: Level::new(i).unwrap(),
            confidentiality: Level::new(c).unwrap(),
            taints: taints.into_iter().map(|at| Taint::ALL[at]).collect(),
        }
    })
}

proptest! {
    #[test]
    fn merge_is_a_semilattice(a in label(), b in label(), c in label()) {
        prop_assert_eq!(a.merge(&b), b.merge(&a));
        prop_assert_eq!(a.merge(&b).merge(&c), a.merge(&b.merge(&c)));
        prop_assert_eq!(a.merge(&a), a.clone());
        prop_assert!(a.flows_as(&a.merge(&b)), "a source may always stand for the mixture");
    }

    #[test]
    fn labels_and_provenance_read_back(a in label()) {
        prop_assert_eq!(Label::from_cbor(a.to_cbor()), Ok(a.clone()));
        let made = Provenance::new(ZoneId::new("z:work").unwrap(), a.clone(), None);
        prop_assert_eq!(made.label(), a);
        prop_assert_eq!(Provenance::from_cbor(made.to_cbor()), Ok(made));
    }
}

#[test]
fn unknown_zones_have_the_least_level() {
    let level = |zone: &str| default_level(&ZoneId::new(zone).unwrap());
    assert_eq!(level("z:private"), Level::PRIVATE);
    assert_eq!(level("z:project:apollo"), Level::PUBLIC);
}

//= docs/spec/labels.md#labels
#[test]
fn levels_end_at_one_hundred_and_taints_are_sorted() {
    assert!(Level::from_cbor(Value::Unsigned(101)).is_err());
    let twice = Value::Array([Taint::PublicInput; 2].iter().map(ToCbor::to_cbor).collect());
    assert!(<alloc::collections::BTreeSet<Taint>>::from_cbor(twice).is_err());
}
