//! Constraints, judged and compared a second time, from `docs/spec/tokens.md#constraints`;
//! separate code, not written blind (`docs/dev/oracle.md`).
//!
//! Patterns and rules are taken apart from their written form, so that nothing of the production code is used.

use std::collections::BTreeSet;

use fcp_proto_core::encoding::json::{self, Json, Pointer};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::CredentialId;
use fcp_proto_core::token::argument::ArgumentRule;
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::token::resource::{Resource, ResourcePattern};

/// What constraints are judged against.
pub(crate) struct Use<'a> {
    pub(crate) resources: &'a [Resource],
    pub(crate) credentials: &'a BTreeSet<CredentialId>,
    pub(crate) input: &'a Json,
    pub(crate) bytes: u64,
    pub(crate) calls_before: u64,
    pub(crate) bytes_before: u64,
    pub(crate) now: u64,
}

/// The code of the first constraint that does not hold.
pub(crate) fn permits(c: &Constraints, call: &Use<'_>) -> Result<(), Code> {
    let demand = |holds: bool, code: Code| if holds { Ok(()) } else { Err(code) };
    demand(*c != Constraints::default(), Code::ConstraintsEmpty)?;
    let begun = c.not_before.is_none_or(|from| from.as_secs() <= call.now);
    let ended = c.expires.is_some_and(|end| end.as_secs() <= call.now);
    demand(begun && !ended, Code::GrantExpired)?;
    demand(resources_permitted(c, call.resources), Code::ResourceNotAllowed)?;
    demand(call.credentials.iter().all(|it| c.credential_allow.contains(it)), Code::CredentialNotAllowed)?;
    demand(c.arguments.iter().all(|rule| rule_passed(rule, call.input)), Code::ArgumentNotAllowed)?;
    demand(c.max_calls.is_none_or(|most| call.calls_before < u64::from(most)), Code::CallLimitReached)?;
    let total = u128::from(call.bytes) + u128::from(call.bytes_before);
    demand(c.max_bytes.is_none_or(|most| total <= u128::from(most)), Code::ByteLimitReached)
}

/// Whether every call that `narrow` permits is one that `wide` permits, field by field.
pub(crate) fn within(narrow: &Constraints, wide: &Constraints) -> bool {
    if *narrow == Constraints::default() {
        return true;
    }
    if *wide == Constraints::default() {
        return false;
    }
    let times = wide.not_before.is_none_or(|w| narrow.not_before.is_some_and(|n| n >= w))
        && wide.expires.is_none_or(|w| narrow.expires.is_some_and(|n| n <= w));
    let numbers = wide.max_calls.is_none_or(|w| narrow.max_calls.is_some_and(|n| n <= w))
        && wide.max_bytes.is_none_or(|w| narrow.max_bytes.is_some_and(|n| n <= w));
    let credentials = narrow.credential_allow.iter().all(|it| wide.credential_allow.contains(it));
    let rules = wide
        .arguments
        .iter()
        .all(|demanded| narrow.arguments.iter().any(|present| rule_implies(present, demanded)));
    times && numbers && credentials && rules && resources_within(narrow, wide)
}

fn texts(patterns: &[ResourcePattern]) -> Vec<String> {
    patterns.iter().map(|pattern| String::from(pattern.clone())).collect()
}

/// A call that names no resource cannot be told apart from one that touches anything.
fn permits_unnamed(allow: &[String], deny: &[String]) -> bool {
    deny.is_empty() && (allow.is_empty() || allow.iter().any(|it| it == "*"))
}

fn resources_permitted(c: &Constraints, resources: &[Resource]) -> bool {
    let (allow, deny) = (texts(&c.resource_allow), texts(&c.resource_deny));
    if resources.is_empty() {
        return permits_unnamed(&allow, &deny);
    }
    resources.iter().all(|it| {
        allow.iter().any(|pattern| covers(pattern, it.as_str()))
            && !deny.iter().any(|pattern| covers(pattern, it.as_str()))
    })
}

fn resources_within(narrow: &Constraints, wide: &Constraints) -> bool {
    let (n_allow, n_deny) = (texts(&narrow.resource_allow), texts(&narrow.resource_deny));
    let (w_allow, w_deny) = (texts(&wide.resource_allow), texts(&wide.resource_deny));
    let unnamed = !permits_unnamed(&n_allow, &n_deny) || permits_unnamed(&w_allow, &w_deny);
    let allowed = n_allow.iter().all(|n| w_allow.iter().any(|w| covers(w, n)));
    let still_denied = w_deny.iter().all(|w| {
        n_deny.iter().any(|n| covers(n, w)) || n_allow.iter().all(|permitted| !overlap(permitted, w))
    });
    unnamed && allowed && still_denied
}

/// Scheme and segments; a resource is a pattern without wildcards.
fn parts(text: &str) -> (&str, Vec<&str>) {
    let (scheme, rest) = text.split_once(':').expect("a resource has a scheme");
    (scheme, rest.split('/').collect())
}

/// Whether `wide` fits each resource that `narrow` fits.
fn covers(wide: &str, narrow: &str) -> bool {
    if wide == "*" || narrow == "*" {
        return wide == "*";
    }
    let ((w_scheme, w), (n_scheme, n)) = (parts(wide), parts(narrow));
    w_scheme == n_scheme && covers_segments(&w, &n)
}

fn covers_segments(wide: &[&str], narrow: &[&str]) -> bool {
    match (wide, narrow) {
        (["**"], _) | ([], []) => true,
        ([], _) | (_, [] | ["**"]) => false,
        ([w, wide @ ..], [n, narrow @ ..]) => (*w == "*" || w == n) && covers_segments(wide, narrow),
    }
}

/// Whether some resource fits both.
fn overlap(one: &str, other: &str) -> bool {
    if one == "*" || other == "*" {
        return true;
    }
    let ((a_scheme, a), (b_scheme, b)) = (parts(one), parts(other));
    a_scheme == b_scheme && overlap_segments(&a, &b)
}

fn overlap_segments(a: &[&str], b: &[&str]) -> bool {
    match (a, b) {
        (["**"], _) | (_, ["**"]) | ([], []) => true,
        ([], _) | (_, []) => false,
        ([x, a @ ..], [y, b @ ..]) => (*x == "*" || *y == "*" || x == y) && overlap_segments(a, b),
    }
}

/// A rule in its written form.
fn written(rule: &ArgumentRule) -> Json {
    let text = serde_json::to_string(rule).expect("a rule has a written form");
    json::parse(text.as_bytes(), 1 << 20).expect("a rule's written form is JSON")
}

fn is_required(rule: &Json) -> bool {
    rule.get("presence").and_then(Json::as_str) == Some("required")
}

fn rule_passed(rule: &ArgumentRule, input: &Json) -> bool {
    let rule = written(rule);
    let pointer = rule.get("pointer").and_then(Json::as_str).expect("a rule has a pointer");
    match input.pointer(&Pointer::new(pointer).expect("a rule's pointer is one")) {
        Some(value) => check_passed(&rule, value),
        None => !is_required(&rule),
    }
}

fn check_passed(rule: &Json, value: &Json) -> bool {
    if let Some(values) = rule.get("one_of").and_then(Json::as_array) {
        return values.iter().any(|it| it == value);
    }
    if let Some(prefix) = rule.get("prefix").and_then(Json::as_str) {
        let climbs = |text: &str| text.split(['/', '\\']).any(|it| it == "." || it == "..");
        return value.as_str().is_some_and(|text| text.starts_with(prefix) && !climbs(text));
    }
    if let Some(most) = rule.get("max_length").and_then(Json::as_u64) {
        let text = value.as_str().map(|it| it.chars().count());
        let items = value.as_array().map(<[Json]>::len);
        let members = value.as_object().map(json::Object::len);
        return text.or(items).or(members).is_some_and(|length| length as u64 <= most);
    }
    let Some(number) = value.as_number() else { return false };
    bound(rule, "min").is_none_or(|min| min <= number) && bound(rule, "max").is_none_or(|max| number <= max)
}

fn bound(rule: &Json, name: &str) -> Option<json::Number> {
    rule.get(name).filter(|it| **it != Json::Null).and_then(Json::as_number)
}

/// Whether every input that passes `present` passes `demanded`.
fn rule_implies(present: &ArgumentRule, demanded: &ArgumentRule) -> bool {
    let (present, demanded) = (written(present), written(demanded));
    if present.get("pointer") != demanded.get("pointer") || (is_required(&demanded) && !is_required(&present))
    {
        return false;
    }
    if let Some(values) = present.get("one_of").and_then(Json::as_array) {
        return values.iter().all(|value| check_passed(&demanded, value));
    }
    let text = |rule: &Json| rule.get("prefix").and_then(Json::as_str).map(String::from);
    if let (Some(longer), Some(prefix)) = (text(&present), text(&demanded)) {
        return longer.starts_with(&prefix);
    }
    let length = |rule: &Json| rule.get("max_length").and_then(Json::as_u64);
    if let (Some(less), Some(most)) = (length(&present), length(&demanded)) {
        return less <= most;
    }
    let is_range = |rule: &Json| bound(rule, "min").is_some() || bound(rule, "max").is_some();
    is_range(&present)
        && is_range(&demanded)
        && bound(&demanded, "min").is_none_or(|w| bound(&present, "min").is_some_and(|n| n >= w))
        && bound(&demanded, "max").is_none_or(|w| bound(&present, "max").is_some_and(|n| n <= w))
}
