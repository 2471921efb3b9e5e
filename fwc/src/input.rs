//! The input of a call, from the command line, a file or standard input; read strictly before anything is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use fcp_api::types::HandleInput;
use fcp_proto_core::encoding::json;
use fcp_proto_core::error::Code;
use fcp_proto_core::limits::MAX_INPUT_BYTES;
use serde_json::Value;

use crate::{Failure, Result, file_failure, usage, user_file};

/// Where the input comes from; an empty object when nothing is said.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct InputArgs {
    /// The input as JSON
    #[arg(long, value_name = "JSON", conflicts_with_all = ["file", "stdin"])]
    pub(crate) input: Option<String>,
    /// A file that holds the input as JSON
    #[arg(long, value_name = "PATH", conflicts_with = "stdin")]
    pub(crate) file: Option<PathBuf>,
    /// Reads the input as JSON from standard input
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Sets a field, such as `labels.0=bug`: JSON if the value is JSON, text otherwise
    #[arg(long, value_name = "PATH=VALUE")]
    pub(crate) set: Vec<String>,
    /// Sets a field to a text, whatever it looks like
    #[arg(long, value_name = "PATH=TEXT")]
    pub(crate) set_text: Vec<String>,
    /// Fills a field from a kept result without reading it: `body=HANDLE` or `body=HANDLE#/pointer`
    #[arg(long, value_name = "PATH=HANDLE")]
    pub(crate) set_handle: Vec<String>,
}

impl InputArgs {
    /// Whether anything was said.
    pub(crate) const fn is_given(&self) -> bool {
        self.input.is_some()
            || self.file.is_some()
            || self.stdin
            || !self.set.is_empty()
            || !self.set_text.is_empty()
            || !self.set_handle.is_empty()
    }

    /// The input and the fields that kept results fill.
    ///
    /// # Errors
    /// What is wrong with the input, and where.
    pub(crate) fn read(&self) -> Result<(Value, BTreeMap<String, HandleInput>)> {
        let (mut input, mut places) = (self.base()?, Places::default());
        for assignment in &self.set {
            let (path, text) = split(assignment)?;
            places.take(path)?;
            set(&mut input, path, guess(text)?)?;
        }
        for assignment in &self.set_text {
            let (path, text) = split(assignment)?;
            places.take(path)?;
            set(&mut input, path, Value::from(text))?;
        }
        let mut handles = BTreeMap::new();
        for assignment in &self.set_handle {
            let (path, handle) = split(assignment)?;
            handles.insert(places.take(path)?, read_handle(handle)?);
        }
        Ok((input, handles))
    }

    fn base(&self) -> Result<Value> {
        let bytes = match (&self.input, &self.file, self.stdin) {
            (Some(text), _, _) => text.clone().into_bytes(),
            (None, Some(path), _) => {
                read_bounded(user_file::open(path)?).map_err(|error| file_failure("read", path, &error))?
            }
            (None, None, true) => read_bounded(std::io::stdin().lock()).map_err(|error| {
                Failure::new(Code::MalformedInput).because(format!("cannot read standard input: {error}"))
            })?,
            (None, None, false) => return Ok(Value::Object(serde_json::Map::new())),
        };
        let input = json::parse(&bytes, MAX_INPUT_BYTES);
        input
            .map(Value::from)
            .map_err(|error| Failure::new(error.code()).because(format!("the input: {error}")))
    }
}

/// The places of the input that the command line says something of, as pointers.
#[derive(Default)]
struct Places(BTreeSet<String>);

impl Places {
    /// The pointer of `path`.
    ///
    /// # Errors
    /// [`Code::DuplicateKey`] if something was said of the place already, or of one within it: the last word would win in
    /// silence, and the reader of the line, who may be the person who approves it, sees the first.
    //= docs/spec/output.md#input-of-a-call
    fn take(&mut self, path: &str) -> Result<String> {
        let pointer = pointer(path);
        let within = format!("{pointer}/");
        let is_taken = self.0.contains(&pointer)
            || self.0.range(within.clone()..).next().is_some_and(|place| place.starts_with(&within));
        if is_taken {
            return Err(Failure::new(Code::DuplicateKey)
                .because(format!("the options set {path:?} twice, or something within it before"))
                .next(format!("set {path:?} once")));
        }
        self.0.insert(pointer.clone());
        Ok(pointer)
    }
}

/// Reads at most one byte more than an input may have, so that a larger one is refused by the parser.
fn read_bounded(source: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_INPUT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn split(assignment: &str) -> Result<(&str, &str)> {
    assignment
        .split_once('=')
        .filter(|(path, _)| !path.is_empty())
        .ok_or_else(|| usage(format!("{assignment:?} is not PATH=VALUE")))
}

/// JSON if it is JSON, text if it is not; what is JSON in form and refused for its content is refused here too.
fn guess(text: &str) -> Result<Value> {
    match json::parse(text.as_bytes(), MAX_INPUT_BYTES) {
        Ok(value) => Ok(value.into()),
        Err(error) if error.code() == Code::MalformedInput => Ok(Value::from(text)),
        Err(error) => Err(Failure::new(error.code()).because(format!("the value {text}: {error}"))),
    }
}

/// Puts `value` at the dotted `path`; numbers count the items of lists, and only the next free place may be new.
fn set(target: &mut Value, path: &str, value: Value) -> Result<()> {
    let mut place = target;
    for step in path.split('.') {
        if step.is_empty() {
            return Err(usage(format!("{path:?} has an empty step")));
        }
        if place.is_null() {
            *place =
                if step == "0" { Value::Array(Vec::new()) } else { Value::Object(serde_json::Map::new()) };
        }
        place = step_into(place, step)
            .ok_or_else(|| usage(format!("{path:?} does not fit the input: there is no place {step:?}")))?;
    }
    *place = value;
    Ok(())
}

/// The place `step` within `place`, made if it is a new field or the next item.
fn step_into<'a>(place: &'a mut Value, step: &str) -> Option<&'a mut Value> {
    match place {
        Value::Object(object) => Some(object.entry(step).or_insert(Value::Null)),
        Value::Array(items) => {
            // Written in one way alone, as in a pointer, so that two paths are never one place.
            let index = step.parse::<usize>().ok().filter(|index| index.to_string() == *step)?;
            if index == items.len() {
                items.push(Value::Null);
            }
            items.get_mut(index)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// The RFC 6901 pointer of a dotted path.
fn pointer(path: &str) -> String {
    path.split('.').map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
}

fn read_handle(text: &str) -> Result<HandleInput> {
    let (handle, pointer) = match text.split_once('#') {
        Some((handle, pointer)) => (handle, Some(pointer.to_owned())),
        None => (text, None),
    };
    let handle = handle
        .parse()
        .map_err(|error| Failure::new(Code::InvalidName).because(format!("the handle {handle:?} {error}")))?;
    Ok(HandleInput { handle, pointer })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(input: Option<&str>, set: &[&str], set_text: &[&str]) -> Result<Value> {
        let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        let args = InputArgs {
            input: input.map(Into::into),
            set: texts(set),
            set_text: texts(set_text),
            ..InputArgs::default()
        };
        args.read().map(|(value, _)| value)
    }

    #[test]
    fn fields_are_set_as_json_or_text() {
        let set = ["a=1", "b=two", "c.d=[1,2]", "c.e.0=x", "c.e.1=true", "f=\"3\"", "g="];
        let expected =
            json!({"a": 1, "b": "two", "c": {"d": [1, 2], "e": ["x", true]}, "f": "3", "g": "", "h": "1"});
        assert_eq!(read(None, &set, &["h=1"]).unwrap(), expected);
        assert_eq!(
            read(Some(r#"{"a":{"b":[1]}}"#), &["a.b.0=2", "a.b.1=3"], &[]).unwrap(),
            json!({"a": {"b": [2, 3]}})
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (input, set, code) in [
            (Some("{"), "a=1", Code::MalformedInput),
            (Some(r#"{"a":1,"a":2}"#), "b=1", Code::DuplicateKey),
            (Some(r#"{"a":1e400}"#), "b=1", Code::InexactNumber),
            (None, r#"a={"x":1,"x":2}"#, Code::DuplicateKey),
            (None, "a=1e400", Code::InexactNumber),
            (Some(r#"{"a":1}"#), "a.b=1", Code::UsageError),
            (Some(r#"{"a":[]}"#), "a.1=1", Code::UsageError),
            (Some(r#"{"a":[]}"#), "a.x=1", Code::UsageError),
            (None, "a", Code::UsageError),
            (None, "=1", Code::UsageError),
            (None, "a..b=1", Code::UsageError),
        ] {
            assert_eq!(read(input, &[set], &[]).unwrap_err().code, code, "{input:?} {set}");
        }
    }

    //= docs/spec/output.md#input-of-a-call
    #[test]
    fn a_place_is_set_once() {
        let handle = "ab".repeat(32);
        let args = |set: &[&str], set_text: &[&str], set_handle: &[&str]| {
            let texts = |list: &[&str]| list.iter().map(|&text| text.replace("HANDLE", &handle)).collect();
            let args = InputArgs {
                set: texts(set),
                set_text: texts(set_text),
                set_handle: texts(set_handle),
                ..InputArgs::default()
            };
            args.read()
        };
        for (set, set_text, set_handle, named) in [
            (&["a=1", "a=2"][..], &[][..], &[][..], "\"a\""),
            (&["a=1"], &["a=2"], &[], "\"a\""),
            (&["a.b=1", "a={\"c\":2}"], &[], &[], "\"a\""),
            (&["a=1"], &[], &["a=HANDLE"], "\"a\""),
            (&[], &[], &["b.c=HANDLE", "b.c=HANDLE"], "\"b.c\""),
        ] {
            let failure = args(set, set_text, set_handle).unwrap_err();
            assert_eq!(failure.code, Code::DuplicateKey, "{set:?} {set_text:?} {set_handle:?}");
            assert!(failure.why.unwrap().contains(named) && failure.next.contains(named), "{set:?}");
        }
        assert_eq!(
            args(&["a=[1]", "a.00=2"], &[], &[]).unwrap_err().code,
            Code::UsageError,
            "`a.0` otherwise"
        );
        let built = args(&["a={\"b\":1}", "a.c=2", "a!=3"], &["a.d=x"], &["a.e=HANDLE"]).unwrap();
        assert_eq!(built.0, json!({"a": {"b": 1, "c": 2, "d": "x"}, "a!": 3}), "what was set is added to");
        assert_eq!(read(Some(r#"{"a":1}"#), &["a=2"], &[]).unwrap(), json!({"a": 2}), "one word for each");
    }

    #[test]
    fn handles_fill_fields_by_pointer() {
        let handle = "ab".repeat(32);
        let args = InputArgs {
            set_handle: vec![format!("body.te~xt/1={handle}#/items/0"), format!("whole={handle}")],
            ..InputArgs::default()
        };
        let (_, handles) = args.read().unwrap();
        assert_eq!(handles["/body/te~0xt~11"].pointer.as_deref(), Some("/items/0"));
        assert_eq!(handles["/whole"].handle.to_string(), handle);
        let args = InputArgs { set_handle: vec!["a=xyz".into()], ..InputArgs::default() };
        assert_eq!(args.read().unwrap_err().code, Code::InvalidName);
    }
}
