use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::cbor_map;
use crate::limits::MAX_OBJECT_BYTES;

fn value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Value::Unsigned),
        any::<u64>().prop_map(Value::Negative),
        any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
        any::<String>().prop_map(|text| Value::Text(text.into())),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| Value::Float(x + 0.0)),
        any::<i16>().prop_map(|x| Value::Float(f64::from(x) / 4.0)),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::vec((inner.clone(), inner), 0..8)
                .prop_filter_map("distinct keys", |entries| Map::new(entries).ok().map(Value::Map)),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(v in value()) {
        let bytes = encode(&v)?;
        prop_assert_eq!(decode(&bytes)?, v);
    }

    #[test]
    fn what_is_accepted_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(v) = decode(&bytes) {
            prop_assert_eq!(encode(&v)?, bytes);
        }
    }

    #[test]
    fn an_independent_decoder_reads_our_bytes(v in value()) {
        let theirs: Result<ciborium::Value, _> = ciborium::from_reader(&encode(&v)?[..]);
        prop_assert!(theirs.is_ok());
    }
}

//= docs/spec/encoding.md#canonical-cbor
#[test]
fn each_departure_from_the_canonical_form_has_its_own_error() {
    for (bytes, error) in [
        (&[][..], CborError::Truncated),
        (&[0x18], CborError::Truncated),
        (&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], CborError::Truncated),
        (&[0x00, 0x00], CborError::TrailingBytes),
        (&[0x18, 0x17], CborError::NonShortest),
        (&[0x19, 0x00, 0xff], CborError::NonShortest),
        (&[0x58, 0x00], CborError::NonShortest),
        (&[0xfa, 0x00, 0x00, 0x00, 0x00], CborError::NonShortest),
        (&[0x9f, 0xff], CborError::IndefiniteLength),
        (&[0xff], CborError::IndefiniteLength),
        (&[0x1c], CborError::ReservedHead),
        (&[0xc0, 0x00], CborError::UnsupportedTag),
        (&[0xf7], CborError::UnsupportedSimple),
        (&[0xf8, 0x20], CborError::UnsupportedSimple),
        (&[0xf9, 0x7e, 0x00], CborError::NonFiniteFloat),
        (&[0xf9, 0x7c, 0x00], CborError::NonFiniteFloat),
        (&[0xf9, 0x80, 0x00], CborError::NegativeZero),
        (&[0xfa, 0x80, 0x00, 0x00, 0x00], CborError::NegativeZero),
        (&[0x61, 0xff], CborError::InvalidUtf8),
        (&[0xa2, 0x61, b'b', 0, 0x61, b'a', 0], CborError::KeyOrder),
        (&[0xa2, 0x61, b'a', 0, 0x61, b'a', 0], CborError::DuplicateKey),
    ] {
        assert_eq!(decode(bytes), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn keys_are_ordered_by_their_encoded_bytes() {
    let keys = [Value::Unsigned(100), Value::Negative(0), Value::Unsigned(10)];
    let map = Map::new(keys.into_iter().map(|key| (key, Value::Null)).collect()).expect("distinct keys");
    assert_eq!(encode(&Value::Map(map)), Ok(vec![0xa3, 0x0a, 0xf6, 0x18, 100, 0xf6, 0x20, 0xf6]));
}

//= docs/spec/encoding.md#canonical-cbor
#[test]
fn depth_is_bounded_in_both_directions() {
    let nested = |depth| (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    assert!(encode(&nested(128)).is_ok());
    assert_eq!(encode(&nested(129)), Err(CborError::TooDeep));
    let mut bytes = vec![0x81; 129];
    bytes.push(0xf6);
    assert_eq!(decode(&bytes), Err(CborError::TooDeep));
    assert!(decode(&bytes[1..]).is_ok());
}

#[test]
fn every_half_precision_number_survives() {
    for bits in 0..=u16::MAX {
        let bytes = [&[0xf9][..], &bits.to_be_bytes()].concat();
        match decode(&bytes) {
            Ok(v) => assert_eq!(encode(&v).as_deref(), Ok(&bytes[..])),
            Err(error) if bits == 0x8000 => assert_eq!(error, CborError::NegativeZero),
            Err(error) => assert_eq!(error, CborError::NonFiniteFloat, "{bits:04x}"),
        }
    }
}

cbor_map! {
    /// A struct for the tests.
    #[derive(Clone, Debug, PartialEq)]
    struct Sample {
        /// A required field.
        pub number: u32,
        /// An optional field.
        pub name: Option<String>,
    }
}

#[test]
fn structs_refuse_unknown_missing_and_null_fields() {
    let text = |t: &'static str| Value::Text(t.into());
    let read = |entries| Sample::from_cbor(Value::Map(Map::new(entries).expect("distinct keys")));
    let number = (text("number"), Value::Unsigned(7));
    assert_eq!(read(vec![number.clone()]), Ok(Sample { number: 7, name: None }));
    assert_eq!(read(vec![]), Err(ShapeError::MissingField("number")));
    assert_eq!(
        read(vec![number.clone(), (text("extra"), Value::Null)]),
        Err(ShapeError::UnknownField("extra".into()))
    );
    assert_eq!(read(vec![number, (text("name"), Value::Null)]), Err(ShapeError::WrongType("a text string")));
    let big = vec![(text("number"), Value::Unsigned(1 << 40))];
    assert_eq!(read(big), Err(ShapeError::OutOfRange));
}

cbor_map! {
    /// Fields of every kind whose order in the encoding is not that of the declaration.
    #[derive(Clone, Debug, PartialEq)]
    struct Mixed {
        /// Behind the shorter names.
        pub longest: Value<'static>,
        /// Left out if absent.
        pub maybe: Option<Sample>,
        /// A list of structs.
        pub all: Vec<Sample>,
        /// As long as the one before it, and smaller.
        pub aim: BTreeSet<String>,
        /// In a box.
        pub own: Box<Sample>,
    }
}

fn sample() -> impl Strategy<Value = Sample> {
    (any::<u32>(), any::<Option<String>>()).prop_map(|(number, name)| Sample { number, name })
}

fn mixed() -> impl Strategy<Value = Mixed> {
    let list = prop::collection::vec(sample(), 0..4);
    let set = prop::collection::btree_set(any::<String>(), 0..4);
    (value(), prop::option::of(sample()), list, set, sample())
        .prop_map(|(longest, maybe, all, aim, own)| Mixed { longest, maybe, all, aim, own: Box::new(own) })
}

proptest! {
    #[test]
    //= docs/spec/encoding.md#structs
    fn a_struct_written_part_by_part_is_its_item(mixed in mixed()) {
        let bytes = encode(&mixed)?;
        prop_assert_eq!(&bytes, &encode(&mixed.to_cbor())?);
        prop_assert_eq!(Mixed::from_cbor(decode(&bytes)?), Ok(mixed));
    }
}

#[test]
fn a_struct_has_the_bounds_of_its_item() {
    let own = Box::new(Sample { number: 1, name: None });
    let holding =
        |longest| Mixed { longest, maybe: None, all: vec![], aim: BTreeSet::new(), own: own.clone() };
    let nested = |depth| holding((0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner])));
    assert!(encode(&nested(127)).is_ok());
    assert_eq!(encode(&nested(128)), Err(CborError::TooDeep));
    let sized = |bytes| holding(Value::Bytes(vec![0; bytes].into()));
    let rest = encode(&sized(1 << 16)).expect("small").len() - (1 << 16);
    assert_eq!(encode(&sized(MAX_OBJECT_BYTES - rest)).map(|it| it.len()), Ok(MAX_OBJECT_BYTES));
    assert_eq!(encode(&sized(MAX_OBJECT_BYTES - rest + 1)), Err(CborError::TooLarge));
    assert_eq!(encode(&holding(Value::Float(f64::NAN))), Err(CborError::NonFiniteFloat));
}
