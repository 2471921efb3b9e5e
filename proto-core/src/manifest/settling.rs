//! How the answer of a read says what a call of unknown outcome did. Spec: `docs/spec/manifest.md#settling`.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::filling::fill;
use super::template::RenderError;

/// How an operation's [`probe`](super::Operation::probe) is asked, and how its answer is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settling {
    /// The probe's input: an object of templates over the input of the call in doubt.
    pub input: Value,
    /// If all these hold, the call did what was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<Finding>,
    /// If all these hold, the call did nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub none: Vec<Finding>,
    /// Milliseconds after the call's end before which `none` proves nothing, since its request may still be on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none_after_ms: Option<u32>,
}

/// Something that an answer says: of `has` and `lacks` one stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Where: a JSON pointer in which `*` is every element.
    pub at: String,
    /// A value there is this, a template over the input of the call in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has: Option<Value>,
    /// No value there is this, and each could be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<Value>,
}

/// The question about one call: what to ask, and what its answer would mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Inquiry {
    /// The probe's input.
    pub input: Value,
    made: Vec<Finding>,
    none: Vec<Finding>,
}

/// What an answer says of the call in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finds {
    /// It did what was asked.
    Made,
    /// It did nothing.
    None,
    /// Neither, or both.
    Unclear,
}

impl Settling {
    /// The question about the call that was made with `input`.
    ///
    /// # Errors
    /// Names the field that cannot stand where a template puts it.
    //= docs/spec/manifest.md#settling
    pub fn inquiry(&self, input: &Value, config: &Value) -> Result<Inquiry, RenderError> {
        let asked = fill(&self.input, input, config)?.unwrap_or(Value::Null);
        let made = self.made.iter().map(|finding| finding.about(input, config));
        let none = self.none.iter().map(|finding| finding.about(input, config));
        // What is looked for must all be known: a finding that is left out would say too much.
        let complete = |all: Vec<Option<Finding>>| all.into_iter().collect::<Option<Vec<_>>>();
        Ok(Inquiry {
            input: asked,
            made: complete(made.collect::<Result<_, _>>()?).unwrap_or_default(),
            none: complete(none.collect::<Result<_, _>>()?).unwrap_or_default(),
        })
    }
}

impl Finding {
    /// The finding with its value filled in; `None` if the input lacks it.
    fn about(&self, input: &Value, config: &Value) -> Result<Option<Self>, RenderError> {
        let filled = |value: &Option<Value>| match value {
            Some(template) => Ok(fill(template, input, config)?),
            None => Ok(None),
        };
        let finding = Self { at: self.at.clone(), has: filled(&self.has)?, lacks: filled(&self.lacks)? };
        Ok((finding.has.is_some() != finding.lacks.is_some()).then_some(finding))
    }

    fn holds(&self, answer: &Value) -> bool {
        let Some(found) = values_at(answer, &self.at) else { return false };
        match (&self.has, &self.lacks) {
            (Some(wanted), None) => found.iter().any(|value| same(value, wanted)),
            // A value of another type is not the one that would be there: it says nothing.
            (None, Some(wanted)) => {
                found.iter().all(|value| comparable(value, wanted) && !same(value, wanted))
            }
            (Some(_), Some(_)) | (None, None) => false,
        }
    }
}

impl Inquiry {
    /// What `answer` says.
    //= docs/spec/manifest.md#settling
    pub fn judge(&self, answer: &Value) -> Finds {
        let all = |findings: &[Finding]| {
            !findings.is_empty() && findings.iter().all(|finding| finding.holds(answer))
        };
        match (all(&self.made), all(&self.none)) {
            (true, false) => Finds::Made,
            (false, true) => Finds::None,
            (true, true) | (false, false) => Finds::Unclear,
        }
    }
}

/// The values at a pointer, every element of the arrays that a `*` meets; `None` if any of them is not there.
fn values_at<'a>(answer: &'a Value, pointer: &str) -> Option<Vec<&'a Value>> {
    let mut found = Vec::from([answer]);
    for segment in pointer.split('/').skip(1) {
        let mut next = Vec::new();
        for value in found {
            match (segment, value) {
                ("*", Value::Array(items)) => next.extend(items),
                ("*", _) => return None,
                (name, value) => next.push(member(value, name)?),
            }
        }
        found = next;
    }
    Some(found)
}

fn member<'a>(value: &'a Value, segment: &str) -> Option<&'a Value> {
    let found = match value {
        Value::Object(fields) => fields.get(&segment.replace("~1", "/").replace("~0", "~")),
        Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    found.filter(|value| !value.is_null())
}

/// Whether two values are of one JSON type.
fn comparable(left: &Value, right: &Value) -> bool {
    mem::discriminant(left) == mem::discriminant(right)
}

/// Whether two values are the same; 1 and 1.0 are.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (left, right) => left == right,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    fn settling() -> Settling {
        serde_json::from_value(json!({
            "input": { "page": 1, "of": "{kind}" },
            "made": [{ "at": "/entries/*/text", "has": "{text}" }],
            "none": [
                { "at": "/entries/*/text", "lacks": "{text}" },
                { "at": "/truncated", "has": false },
            ],
            "none_after_ms": 1000,
        }))
        .unwrap()
    }

    fn judged(answer: &Value) -> Finds {
        let asked = settling().inquiry(&json!({ "text": "one", "kind": "a" }), &Value::Null).unwrap();
        assert_eq!(asked.input, json!({ "page": 1, "of": "a" }));
        asked.judge(answer)
    }

    //= docs/spec/manifest.md#settling
    #[test]
    fn an_answer_is_judged_by_what_it_has_and_lacks() {
        let entries = |texts: &[&str], cut: bool| {
            let entries: Vec<_> = texts.iter().map(|text| json!({ "text": text })).collect();
            json!({ "entries": entries, "truncated": cut })
        };
        assert_eq!(judged(&entries(&["two", "one"], false)), Finds::Made);
        assert_eq!(judged(&entries(&["one"], true)), Finds::Made);
        assert_eq!(judged(&entries(&["two"], false)), Finds::None);
        assert_eq!(judged(&entries(&[], false)), Finds::None);
        assert_eq!(judged(&entries(&["two"], true)), Finds::Unclear, "more was left");
    }

    //= docs/spec/manifest.md#settling
    #[test]
    fn what_an_answer_does_not_say_proves_nothing() {
        for answer in [
            json!({}),
            json!({ "truncated": false }),
            json!({ "entries": {}, "truncated": false }),
            json!({ "entries": [{}], "truncated": false }),
            json!({ "entries": [{ "text": null }], "truncated": false }),
            json!({ "entries": [{ "text": 1 }], "truncated": false }),
            json!({ "entries": [] }),
            Value::Null,
        ] {
            assert_eq!(judged(&answer), Finds::Unclear, "{answer}");
        }
    }

    #[test]
    fn findings_about_a_field_that_the_call_lacks_hold_never() {
        let asked = settling().inquiry(&json!({ "kind": "a" }), &Value::Null).unwrap();
        let answer = json!({ "entries": [], "truncated": false });
        assert_eq!(asked.judge(&answer), Finds::Unclear);
    }

    #[test]
    fn an_answer_that_says_both_says_nothing() {
        let both = json!([{ "at": "/is", "has": true }]);
        let settling = json!({ "input": {}, "made": both, "none": both, "none_after_ms": 1000 });
        let settling: Settling = serde_json::from_value(settling).unwrap();
        let asked = settling.inquiry(&json!({}), &Value::Null).unwrap();
        assert_eq!(asked.judge(&json!({ "is": true })), Finds::Unclear);
    }

    #[test]
    fn numbers_are_compared_by_their_value() {
        let settling =
            json!({ "input": {}, "none": [{ "at": "/n", "lacks": "{n}" }], "none_after_ms": 1000 });
        let settling: Settling = serde_json::from_value(settling).unwrap();
        let asked = settling.inquiry(&json!({ "n": 1 }), &Value::Null).unwrap();
        assert_eq!(asked.judge(&json!({ "n": 1.0 })), Finds::Unclear);
        assert_eq!(asked.judge(&json!({ "n": 2 })), Finds::None);
    }
}
