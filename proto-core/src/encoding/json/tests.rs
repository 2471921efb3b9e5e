use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::encoding::cbor::{self, FromCbor};
use crate::limits::MAX_INPUT_BYTES;

fn read(text: &str) -> Result<Json, JsonError> {
    parse(text.as_bytes(), MAX_INPUT_BYTES)
}

fn rule(text: &str) -> Option<JsonRule> {
    read(text).err().map(|error| error.rule)
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_filter_map("exact", |x| Number::try_from(x).ok().map(Json::from)),
        any::<i16>().prop_filter_map("exact", |n| Number::try_from(f64::from(n) / 8.0).ok().map(Json::from)),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_filter_map("distinct keys", |entries| Json::object(entries).ok()),
        ]
    })
}

/// Whether both are one value; `serde_json` as built here may read a fraction one unit of least precision off.
fn same(theirs: &serde_json::Value, ours: &Json) -> bool {
    match (theirs, ours) {
        (serde_json::Value::Number(a), Json::Number(b)) if !b.is_integer() || a.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.to_f64());
            (a - b).abs() <= (b.abs() * 1e-15).max(1e-300)
        }
        (serde_json::Value::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (serde_json::Value::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (scalar, ours) => Json::try_from(scalar.clone()).as_ref() == Ok(ours),
    }
}

proptest! {
    #[test]
    fn canonical_text_reads_back_and_is_a_fixed_point(value in json()) {
        let text = value.to_canonical();
        let again = read(&text)?;
        prop_assert_eq!(&again, &value);
        prop_assert_eq!(again.to_canonical(), text);
    }

    #[test]
    fn an_independent_parser_reads_our_text_as_the_same_value(value in json()) {
        let theirs: serde_json::Value = serde_json::from_str(&value.to_canonical())?;
        prop_assert!(same(&theirs, &value), "{theirs} {value}");
    }

    #[test]
    fn what_we_accept_an_independent_parser_accepts_as_the_same_value(
        text in r#"[\[\]{}:,"0-9eE.\-+ \\ntrufalsb]{0,24}"#
    ) {
        if let Ok(ours) = read(&text) {
            let theirs: serde_json::Value = serde_json::from_str(&text)?;
            prop_assert!(same(&theirs, &ours), "{theirs} {ours}");
        }
    }

    #[test]
    fn every_finite_double_is_kept(bits in any::<u64>()) {
        let x = f64::from_bits(bits);
        if x.is_finite() {
            let number = read(&format!("{x:e}"))?.as_number().expect("a number");
            prop_assert_eq!(number.to_f64(), x);
            prop_assert_eq!(number.to_string().parse::<f64>()?, x);
        }
    }

    #[test]
    fn any_bytes_give_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Err(error) = parse(&bytes, MAX_INPUT_BYTES) {
            prop_assert!(error.offset <= bytes.len() && error.line >= 1 && error.column >= 1);
        }
    }

    #[test]
    fn cbor_carries_every_value(value in json()) {
        let bytes = cbor::encode(&value)?;
        prop_assert_eq!(Json::from_cbor(cbor::decode(&bytes)?)?, value);
    }

    #[test]
    fn numbers_are_ordered_as_their_doubles_are(a in -1.0e3..1.0e3f64, b in any::<i8>()) {
        let (x, y) = (Number::try_from(a)?, Number::from(i64::from(b)));
        prop_assert_eq!(Some(x.cmp(&y)), a.partial_cmp(&f64::from(b)));
        prop_assert_eq!(y.cmp(&x), x.cmp(&y).reverse());
    }
}

#[test]
fn each_broken_rule_is_named() {
    for (text, broken) in [
        ("", JsonRule::UnexpectedEnd),
        ("[1", JsonRule::UnexpectedEnd),
        ("\"a", JsonRule::UnexpectedEnd),
        ("[1,]", JsonRule::ExpectedValue),
        ("nul ", JsonRule::ExpectedValue),
        ("\u{feff}1", JsonRule::ExpectedValue),
        ("NaN", JsonRule::ExpectedValue),
        ("+1", JsonRule::ExpectedValue),
        ("'a'", JsonRule::ExpectedValue),
        ("{a:1}", JsonRule::ExpectedKey),
        ("{\"a\":1,}", JsonRule::ExpectedKey),
        ("{\"a\" 1}", JsonRule::ExpectedColon),
        ("[1 2]", JsonRule::ExpectedCommaOrEnd),
        ("01", JsonRule::InvalidNumber),
        ("-x", JsonRule::InvalidNumber),
        ("1.x", JsonRule::InvalidNumber),
        ("1ex", JsonRule::InvalidNumber),
        ("\"\\x\"", JsonRule::InvalidEscape),
        ("\"\\u12g4\"", JsonRule::InvalidEscape),
        ("\"\\ud800\"", JsonRule::LoneSurrogate),
        ("\"\\udc00\"", JsonRule::LoneSurrogate),
        ("\"\\ud800\\u0041\"", JsonRule::LoneSurrogate),
        ("\"a\nb\"", JsonRule::ControlCharacter),
        ("1 2", JsonRule::TrailingBytes),
        ("{\"a\":1,\"\\u0061\":2}", JsonRule::DuplicateKey),
        ("18446744073709551616", JsonRule::InexactNumber),
        ("-9223372036854775809", JsonRule::InexactNumber),
        ("0.1000000000000000055511151231257827", JsonRule::InexactNumber),
        ("1e400", JsonRule::InexactNumber),
        ("1e-400", JsonRule::InexactNumber),
        ("1e99999999999999999999", JsonRule::InexactNumber),
    ] {
        assert_eq!(rule(text), Some(broken), "{text}");
    }
    assert_eq!(parse(b"\"\xff\"", 9).map_err(|error| error.rule), Err(JsonRule::InvalidUtf8));
}

#[test]
fn equal_numbers_have_one_form() {
    for (text, canonical) in [
        ("-0", "0"),
        ("0.000e5", "0"),
        ("1.0", "1"),
        ("10e-1", "1"),
        ("1e19", "10000000000000000000"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("100000000000000000000", "100000000000000000000"),
        ("1E21", "1e+21"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("-12.50", "-12.5"),
        ("123456789.125e-20", "1.23456789125e-12"),
    ] {
        assert_eq!(read(text).map(|v| v.to_canonical()), Ok(canonical.into()), "{text}");
    }
}

#[test]
fn canonical_text_sorts_keys_by_code_point_and_escapes_only_what_must_be() {
    let value = read(r#" { "\ufb33" : 1 , "\ud83d\ude00" : [ ] , "a\/\u0007\n" : "\u00e9\u007f" } "#);
    let canonical = "{\"a/\\u0007\\n\":\"é\u{7f}\",\"\u{fb33}\":1,\"😀\":[]}";
    assert_eq!(value.map(|v| v.to_canonical()), Ok(canonical.into()));
}

#[test]
fn errors_say_where() {
    let error = read("{\n  \"é\": 1,\n  \"é\": 2\n}").expect_err("a duplicate");
    assert_eq!((error.rule, error.offset, error.line, error.column), (JsonRule::DuplicateKey, 15, 3, 3));
    assert_eq!(error.to_string(), "line 3, column 3: this key occurs twice in its object");
    assert_eq!(read("\"é\" x").map_err(|error| error.column), Err(5));
}

#[test]
fn size_depth_and_count_are_bounded() {
    assert_eq!(parse(b"[1]", 2).map_err(|e| e.code()), Err(Code::InputTooLarge));
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(129)).is_ok());
    assert_eq!(rule(&nested(130)), Some(JsonRule::TooDeep));
    assert_eq!(rule(&nested(1_000_000)), Some(JsonRule::TooDeep));
    let many = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
    assert!(read(&many(MAX_VALUES)).is_ok());
    assert_eq!(rule(&many(MAX_VALUES + 1)), Some(JsonRule::TooManyValues));
}

#[test]
fn pointers_follow_rfc_6901_section_5() {
    let value = read(r#"{"foo":["bar","baz"],"":0,"a/b":1,"m~n":8," ":7}"#).expect("valid");
    for (text, found) in [
        ("/foo", Some("[\"bar\",\"baz\"]")),
        ("/foo/0", Some("\"bar\"")),
        ("/", Some("0")),
        ("/a~1b", Some("1")),
        ("/m~0n", Some("8")),
        ("/ ", Some("7")),
        ("/foo/00", None),
        ("/foo/-", None),
        ("/foo/2", None),
        ("/foo/0/x", None),
        ("/absent", None),
    ] {
        let pointer = Pointer::new(text).expect("a pointer");
        assert_eq!(value.pointer(&pointer).map(Json::to_canonical).as_deref(), found, "{text}");
    }
    assert_eq!(value.pointer(&Pointer::new("").expect("the root")), Some(&value));
    assert_eq!(Pointer::new("foo"), Err(PointerError::MissingSlash));
    assert_eq!(Pointer::new("/~2"), Err(PointerError::InvalidEscape));
    assert_eq!(Pointer::new("/~"), Err(PointerError::InvalidEscape));
}

#[test]
fn what_is_no_json_is_refused_from_cbor() {
    for item in [
        cbor::Value::Bytes(vec![1].into()),
        cbor::Value::Negative(u64::MAX),
        cbor::Value::Map(
            cbor::Map::new(vec![(cbor::Value::Unsigned(1), cbor::Value::Null)]).expect("one key"),
        ),
    ] {
        assert!(Json::from_cbor(item.clone()).is_err(), "{item:?}");
    }
}

#[test]
fn typed_reading_refuses_duplicates_that_serde_would_not() {
    let typed = |text: &str| parse_as::<alloc::collections::BTreeMap<String, u32>>(text.as_bytes(), 99);
    assert_eq!(typed("{\"a\":1}").expect("valid").get("a"), Some(&1));
    assert_eq!(typed("{\"a\":1,\"a\":2}").map_err(|e| e.code()), Err(Code::DuplicateKey));
    assert_eq!(typed("{\"a\":\"x\"}").map_err(|e| e.code()), Err(Code::InputInvalid));
    let serialized = serde_json::to_string(&read("{\"b\":[null,1.5,-1],\"a\":true}").expect("valid"));
    assert_eq!(serialized.ok().as_deref(), Some("{\"a\":true,\"b\":[null,1.5,-1]}"));
}

#[test]
fn objects_insert_and_remove_in_order() {
    let mut object = Object::default();
    assert!(object.insert("b", Json::Null).is_none() && object.insert("a", Json::from(1u64)).is_none());
    assert_eq!(object.insert("b", Json::from(true)), Some(Json::Null));
    let keys: Vec<&str> = object.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["a", "b"]);
    assert_eq!((object.remove("a"), object.remove("a"), object.len()), (Some(Json::from(1u64)), None, 1));
    assert_eq!(Json::object([("k", Json::Null), ("k", Json::Null)]), Err(DuplicateKey("k".into())));
}
