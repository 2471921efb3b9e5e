//! The rules of a probe that settles. Spec: `docs/spec/manifest.md#settling`.

use alloc::format;
use alloc::string::String;

use serde_json::Value;

use super::request::check_body;
use super::schema::{property, required};
use super::{Broken, Checked, check_pointer, require};
use crate::manifest::settling::{Finding, Settling};
use crate::manifest::{Document, Operation};

//= docs/spec/manifest.md#settling
pub(super) fn check_settling(
    document: &Document,
    path: &str,
    operation: &Operation,
    settling: &Settling,
) -> Checked {
    let at = |field: &str| format!("{path}.{field}");
    require(path, !operation.is_read(), "must not stand with a safe operation, which does nothing")?;
    let probe = operation.probe.as_ref().and_then(|id| document.operations.get(id));
    let probe = probe.ok_or_else(|| Broken::new(path, "needs the operation's `probe`"))?;
    let same_account = probe.auth.is_none() || probe.auth == operation.auth;
    require(path, same_account, "needs a probe that uses the operation's own credential, or none")?;
    check_input(document, &at("input"), operation, probe, &settling.input)?;
    for (name, findings) in [("made", &settling.made), ("none", &settling.none)] {
        for finding in findings {
            check_finding(document, &at(name), operation, finding)?;
        }
        require(&at(name), findings.len() <= MAX_FINDINGS, "names too many findings")?;
    }
    let says = !settling.made.is_empty() || !settling.none.is_empty();
    require(path, says, "must say what is `made`, or what is `none`")?;
    let waits = settling.none_after_ms;
    let paired = waits.is_some() != settling.none.is_empty();
    require(&at("none_after_ms"), paired, "must stand with `none`, and only there")?;
    let bounded = waits.is_none_or(|waits| (1_000..=3_600_000).contains(&waits));
    require(&at("none_after_ms"), bounded, "must be 1000 to 3600000")
}

/// Whatever the probe needs is given, and nothing that it does not know.
fn check_input(
    document: &Document,
    path: &str,
    operation: &Operation,
    probe: &Operation,
    input: &Value,
) -> Checked {
    let fields = input.as_object().ok_or_else(|| Broken::new(path, "must be an object"))?;
    for name in fields.keys() {
        let known = property(&probe.input.schema, name).is_some();
        require(path, known, &format!("`{name}` is no property of the probe's input"))?;
    }
    for name in required(&probe.input.schema) {
        require(path, fields.contains_key(name), &format!("lacks `{name}`, which the probe needs"))?;
    }
    check_body(document, &operation.input.schema, path, input, 0)
}

fn check_finding(document: &Document, path: &str, operation: &Operation, finding: &Finding) -> Checked {
    check_pointer(path, &finding.at)?;
    let ((Some(value), None) | (None, Some(value))) = (&finding.has, &finding.lacks) else {
        return Err(Broken::new(path, String::from("needs one of `has` and `lacks` in each finding")));
    };
    check_body(document, &operation.input.schema, path, value, 0)
}

/// Findings of one list. Chosen: more than an answer has fields worth comparing.
const MAX_FINDINGS: usize = 16;
