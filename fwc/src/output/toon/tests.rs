//! Behaviour beyond the published cases.

use proptest::prelude::*;

use super::{Delimiter, Layout, Mode, ToonError, ToonRule, decode, encode};
use crate::output::json;
use crate::output::value::Value;
use crate::output::value_strategy::{sorted, value};

fn strict(document: &str) -> Result<Value, ToonError> {
    decode(document, 2, Mode::Strict, 1 << 20)
}

fn parsed(text: &str) -> Value {
    json::read(text.as_bytes(), 1 << 20).unwrap()
}

#[test]
fn an_error_names_line_and_column() {
    let at = |document| strict(document).map_err(|e| (e.rule, e.line, e.column)).unwrap_err();
    assert_eq!(at("a: 1\nb: \"x\\q\""), (ToonRule::InvalidEscape, 2, 4));
    assert_eq!(at("t[2]: a,b,c"), (ToonRule::CountMismatch, 1, 1));
    assert_eq!(at("t[1]{a,b}:\n  é,\"b"), (ToonRule::UnterminatedString, 2, 5));
    assert_eq!(at("a:\n  b: 1\n  b: 2"), (ToonRule::DuplicateKey, 3, 3));
}

#[test]
fn a_number_that_cannot_be_kept_exactly_is_refused() {
    for text in ["n: 18446744073709551617", "n: 0.1000000000000000055", "n: 1e400"] {
        assert_eq!(strict(text).map_err(|e| e.rule), Err(ToonRule::InexactNumber), "{text}");
    }
    assert_eq!(strict("n: 18446744073709551615"), Ok(parsed(r#"{"n":18446744073709551615}"#)));
}

#[test]
fn hidden_characters_are_escaped_and_come_back() {
    let value = Value::from("a\u{202e}b\u{9b}c\u{200b}");
    let document = encode(&value, Layout::default());
    assert_eq!(document, r#""a\u202eb\u009bc\u200b""#);
    assert_eq!(strict(&document), Ok(value));
}

#[test]
fn a_quoted_key_may_be_empty_or_end_with_a_space() {
    for key in ["", " ", "a "] {
        let document = format!("\"{key}\"[1]{{x}}:\n  1");
        assert_eq!(strict(&document), Ok(parsed(&format!(r#"{{"{key}":[{{"x":1}}]}}"#))), "{document}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = |levels: usize| -> String {
        (0..levels).map(|depth| format!("{}k:\n", "  ".repeat(depth))).collect()
    };
    assert!(strict(&deep(128)).is_ok());
    assert_eq!(strict(&deep(400)).map_err(|e| e.rule), Err(ToonRule::TooDeep));
    let fields = format!("t[1]{}x{}:\n  1", "{a".repeat(4000), "}".repeat(4000));
    assert_eq!(strict(&fields).map_err(|e| e.rule), Err(ToonRule::TooDeep));
}

#[test]
fn a_document_beyond_the_limit_is_refused() {
    assert_eq!(decode("abc", 2, Mode::Strict, 2).map_err(|e| e.rule), Err(ToonRule::TooLarge));
}

fn delimiter() -> impl Strategy<Value = Delimiter> {
    prop_oneof![Just(Delimiter::Comma), Just(Delimiter::Pipe), Just(Delimiter::Tab)]
}

proptest! {
    #[test]
    fn every_value_comes_back(value in value(), delimiter in delimiter(), indent in 1usize..5) {
        let document = encode(&value, Layout { indent, delimiter });
        let back = decode(&document, indent, Mode::Strict, 1 << 20);
        // A table writes the members of its rows in the order of the first one.
        prop_assert_eq!(back.map(sorted), Ok(sorted(value)), "{}", document);
    }

    #[test]
    fn any_text_is_read_or_refused(document in "[ \\t\\n\\r\"\\\\\\[\\]{}:|,#a0é1-]{0,60}") {
        for mode in [Mode::Strict, Mode::Lenient] {
            if let Ok(value) = decode(&document, 2, mode, 1 << 20) {
                let again = encode(&value, Layout::default());
                prop_assert_eq!(strict(&again).map(sorted), Ok(sorted(value)), "{}", again);
            }
        }
    }
}
