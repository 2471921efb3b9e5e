//! Conversions between all formats, and what they refuse.

use std::io::{self, Write};

use fcp_proto_core::error::{Code, ExitCode};
use proptest::prelude::*;

use super::{Form, run};
use crate::output::Failure;
use crate::output::json;
use crate::output::value::{Object, Value};
use crate::output::value_strategy::{scalar, sorted, string, value};

const FORMS: [Form; 4] = [Form::Json, Form::Jsonl, Form::Csv, Form::Toon];

fn convert(from: Form, to: Form, input: &[u8]) -> Result<String, Failure> {
    let mut out = Vec::new();
    run(from, to, &mut &*input, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn read(text: &str) -> Value {
    json::read(text.as_bytes(), 1 << 24).unwrap()
}

fn refusal(from: Form, input: &[u8]) -> (Code, String) {
    let failure = convert(from, Form::Json, input).unwrap_err();
    assert_eq!(failure.exit_code(), ExitCode::Validation);
    (failure.code, failure.why)
}

#[test]
fn each_form_becomes_each_other() {
    let texts = [
        "[{\"id\":1,\"name\":\"a,b\"},\n{\"id\":2,\"name\":\"c\"}]\n",
        "{\"id\":1,\"name\":\"a,b\"}\n{\"id\":2,\"name\":\"c\"}\n",
        "id,name\r\n1,\"a,b\"\r\n2,c\r\n",
        "[2]{id,name}:\n  1,\"a,b\"\n  2,c\n",
    ];
    for (from, input) in FORMS.into_iter().zip(texts) {
        for (to, output) in FORMS.into_iter().zip(texts) {
            let got = convert(from, to, input.as_bytes()).unwrap();
            if to == Form::Json {
                assert_eq!(read(&got), read(output), "{from:?} to {to:?}");
            } else {
                assert_eq!(got, output, "{from:?} to {to:?}");
            }
        }
    }
}

#[test]
fn empty_inputs() {
    assert_eq!(convert(Form::Jsonl, Form::Json, b"").unwrap(), "[]\n");
    assert_eq!(convert(Form::Csv, Form::Json, b"").unwrap(), "[]\n");
    assert_eq!(convert(Form::Csv, Form::Jsonl, b"a,b\r\n").unwrap(), "");
    assert_eq!(convert(Form::Toon, Form::Json, b"").unwrap(), "{}\n");
    assert_eq!(convert(Form::Json, Form::Csv, b"[]").unwrap(), "");
    assert_eq!(refusal(Form::Json, b"").0, Code::MalformedInput);
}

#[test]
fn order_of_members_is_kept() {
    let input = br#"{"z":1,"a":{"y":[{"q":1,"b":2}],"c":null}}"#;
    assert_eq!(convert(Form::Json, Form::Json, input).unwrap().trim_end().as_bytes(), input);
}

#[test]
fn a_duplicate_key_is_refused_everywhere() {
    for (form, input, place) in [
        (Form::Json, "{\"a\":1,\n \"a\":2}", "line 2, column 2"),
        (Form::Jsonl, "{}\n{\"a\":1,\"a\":2}", "line 2, column 8"),
        (Form::Csv, "a,b,a\n1,2,3\n", "line 1, column 1"),
        (Form::Toon, "a: 1\na: 2\n", "line 2, column 1"),
    ] {
        let (code, why) = refusal(form, input.as_bytes());
        assert_eq!(code, Code::DuplicateKey, "{form:?}");
        assert!(why.starts_with(place), "{form:?}: {why}");
    }
}

#[test]
fn defects_are_named_with_their_place() {
    for (form, input, start) in [
        (Form::Json, &b"{\"a\":1,}"[..], "line 1, column 8"),
        (Form::Json, b"[1] 2", "line 1, column 5"),
        (Form::Json, b"[\"\xff\"]", "line 1, column 3"),
        (Form::Jsonl, b"1\n\n[2\n3\n", "line 3, column 3"),
        (Form::Jsonl, b"1\n\"\xff\"\n", "line 2, column 2"),
        (Form::Csv, b"a,b\n1\n", "line 2, column 1"),
        (Form::Csv, b"a\n\"x\ny\n", "line 3, column 1"),
        (Form::Csv, b"a\n\"x\"y\n", "line 2, column 4"),
        (Form::Csv, b"a\nx\"y\n", "line 2, column 2"),
        (Form::Csv, b"a\nx\ry\n", "line 2, column 3"),
        (Form::Csv, b"a\nx\r", "line 2, column 1"),
        (Form::Csv, b"a\n\xff\n", "line 2, column 1"),
        (Form::Toon, b"a: 1\nb\n", "line 2, column 1"),
        (Form::Toon, b"a: 1\nb: \xff\n", "line 2, column 4"),
    ] {
        let (code, why) = refusal(form, input);
        assert_eq!(code, Code::MalformedInput, "{form:?} {why}");
        assert!(why.starts_with(start), "{form:?} {input:?}: {why}");
    }
}

#[test]
fn a_number_is_never_rounded() {
    for (form, input) in [(Form::Json, "18446744073709551617"), (Form::Toon, "n: 0.1000000000000000055")] {
        assert_eq!(refusal(form, input.as_bytes()).0, Code::InexactNumber);
    }
    let csv = convert(Form::Csv, Form::Jsonl, b"n\n18446744073709551617\n007\n1.50\n-0\n2.5\n").unwrap();
    assert_eq!(
        csv,
        "{\"n\":\"18446744073709551617\"}\n{\"n\":\"007\"}\n{\"n\":\"1.50\"}\n{\"n\":\"-0\"}\n{\"n\":2.5}\n"
    );
}

#[test]
fn csv_quotes_tell_text_from_values() {
    let json = br#"[{"a":"1","b":1,"c":"","d":null,"e":"true","f":true,"g":"x\r\ny","h":"\ufeff"}]"#;
    let csv = convert(Form::Json, Form::Csv, json).unwrap();
    assert_eq!(csv, "a,b,c,d,e,f,g,h\r\n\"1\",1,\"\",,\"true\",true,\"x\r\ny\",\"\u{feff}\"\r\n");
    assert_eq!(
        read(&convert(Form::Csv, Form::Json, csv.as_bytes()).unwrap()),
        read(std::str::from_utf8(json).unwrap())
    );
}

#[test]
fn csv_of_other_programs_is_read() {
    let input = "\u{feff}a,b\n\n\"x \"\"q\"\"\",y\n1,\n\n";
    assert_eq!(
        convert(Form::Csv, Form::Jsonl, input.as_bytes()).unwrap(),
        "{\"a\":\"x \\\"q\\\"\",\"b\":\"y\"}\n{\"a\":1,\"b\":null}\n"
    );
    assert_eq!(convert(Form::Csv, Form::Jsonl, b"a\n\nx").unwrap(), "{\"a\":null}\n{\"a\":\"x\"}\n");
}

#[test]
fn records_of_different_shapes_share_a_header() {
    let csv = convert(Form::Jsonl, Form::Csv, b"{\"a\":1}\n{\"b\":[1,{}]}\n").unwrap();
    assert_eq!(csv, "a,b\r\n1,\r\n,\"[1,{}]\"\r\n");
}

#[test]
fn what_has_no_csv_form_is_refused() {
    for input in ["[1]", "\"x\"", "[{}]", "[{\"a\":1},[]]"] {
        let failure = convert(Form::Json, Form::Csv, input.as_bytes()).unwrap_err();
        assert_eq!(
            (failure.code, failure.exit_code()),
            (Code::InputInvalid, ExitCode::Validation),
            "{input}"
        );
    }
}

#[test]
fn lines_and_depth_are_bounded() {
    let long = vec![b' '; fcp_proto_core::limits::MAX_LINE_BYTES + 1];
    assert_eq!(refusal(Form::Jsonl, &long).0, Code::InputTooLarge);
    assert_eq!(refusal(Form::Csv, &long).0, Code::InputTooLarge);
    let deep = "[".repeat(10_000);
    assert_eq!(refusal(Form::Json, deep.as_bytes()).0, Code::InputTooLarge);
    let edge = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert_eq!(refusal(Form::Json, edge.as_bytes()).0, Code::InputTooLarge);
}

#[test]
fn records_are_written_before_the_input_ends() {
    /// Gives one record, then fails: what was written must not have waited for the end.
    struct Broken(bool);
    impl io::Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(io::Error::other("gone"));
            }
            buffer[..8].copy_from_slice(b"{\"a\":1}\n");
            Ok(8)
        }
    }
    let mut out = Vec::new();
    let failure =
        run(Form::Jsonl, Form::Jsonl, &mut io::BufReader::new(Broken(false)), &mut out).unwrap_err();
    assert_eq!((failure.code, out.as_slice()), (Code::Internal, &b"{\"a\":1}\n"[..]));
}

#[test]
fn a_document_is_written_whole_or_not_at_all() {
    for (from, input) in [(Form::Jsonl, "1\n2\n{\n"), (Form::Csv, "a\n1\nb,c\n")] {
        for to in FORMS {
            let mut out = Vec::new();
            assert!(run(from, to, &mut input.as_bytes(), &mut out).is_err(), "{from:?} to {to:?}");
            let written = String::from_utf8(out).unwrap();
            assert_eq!(written.is_empty(), to != Form::Jsonl, "{from:?} to {to:?}: {written}");
            assert!(written.lines().all(|line| json::read(line.as_bytes(), 99).is_ok()), "{written}");
        }
    }
}

#[test]
fn a_failing_output_is_told_and_a_closed_one_is_not() {
    struct Failing(io::ErrorKind);
    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let to = |kind| run(Form::Json, Form::Toon, &mut &b"1"[..], &mut Failing(kind)).map_err(|f| f.code);
    assert_eq!(to(io::ErrorKind::BrokenPipe), Ok(()));
    assert_eq!(to(io::ErrorKind::StorageFull), Err(Code::StoreFull));
    assert_eq!(to(io::ErrorKind::PermissionDenied), Err(Code::Internal));
}

/// Records of scalars that all have the same keys.
fn records() -> impl Strategy<Value = Value> {
    (prop::collection::btree_set(string(), 1..4), 0usize..4).prop_flat_map(|(keys, count)| {
        prop::collection::vec(prop::collection::vec(scalar(), keys.len()), count).prop_map(move |rows| {
            let row =
                |cells: Vec<Value>| Object::new(keys.iter().cloned().zip(cells).collect()).unwrap().into();
            Value::Array(rows.into_iter().map(row).collect())
        })
    })
}

fn there_and_back(value: &Value, by: Form) -> Value {
    let other = convert(Form::Json, by, json::to_line(value).as_bytes()).unwrap();
    read(&convert(by, Form::Json, other.as_bytes()).unwrap())
}

proptest! {
    #[test]
    fn json_comes_back_from_toon(value in value()) {
        prop_assert_eq!(sorted(there_and_back(&value, Form::Toon)), sorted(value));
    }

    #[test]
    fn arrays_come_back_from_jsonl(items in prop::collection::vec(value(), 0..5)) {
        let array = Value::Array(items);
        prop_assert_eq!(there_and_back(&array, Form::Jsonl), array);
    }

    #[test]
    fn records_come_back_from_csv(records in records()) {
        prop_assert_eq!(there_and_back(&records, Form::Csv), records);
    }

    #[test]
    fn any_bytes_are_read_or_refused(input in prop::collection::vec(any::<u8>(), 0..40)) {
        for from in FORMS {
            for to in FORMS {
                if let Err(failure) = convert(from, to, &input) {
                    prop_assert_eq!(failure.exit_code(), ExitCode::Validation);
                }
            }
        }
    }
}
