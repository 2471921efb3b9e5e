//! Points in time, lengths of time and sizes for people: the contract's numbers as people read them.

use fcp_proto_core::time::UnixTime;

use super::value::Value;

/// Members that hold a point in time besides those whose names end in `_at` or `_until`.
const NAMES: [&str; 5] = ["as_of", "at", "not_before", "since", "until"];

/// Members whose content is not the contract's but a service's, a connector's or an agent's: it stays as it is.
const FOREIGN: [&str; 8] =
    ["config", "detail", "hints", "input", "input_schema", "object", "output", "output_schema"];

/// The units of a length of time, as options take them, in seconds.
const LENGTHS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

/// The units of a size in bytes.
const SIZES: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

/// `value` with every number that the contract gives a unit written for people: points in time as RFC 3339 in UTC,
/// lengths of time as `1h 30m`, sizes as `1.5 MiB`, and every truth value as `yes` or `no`. Nothing is rounded but sizes,
/// to a tenth.
//= docs/spec/output.md#text-from-services
pub(super) fn for_people(value: &Value) -> Value {
    match value {
        Value::Null | Value::Number(_) | Value::String(_) => value.clone(),
        Value::Bool(truth) => Value::from(if *truth { "yes" } else { "no" }),
        Value::Array(items) => Value::Array(items.iter().map(for_people).collect()),
        Value::Object(object) => object.map_values(shown).into(),
    }
}

fn shown(key: &str, member: &Value) -> Value {
    if FOREIGN.contains(&key) {
        return member.clone();
    }
    match member {
        Value::Number(number) => {
            number.as_u64().and_then(|number| with_unit(key, number)).map_or(member.clone(), Value::from)
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            for_people(member)
        }
    }
}

/// `number` in words, if the name of its member says what it counts.
fn with_unit(key: &str, number: u64) -> Option<String> {
    if key.ends_with("_at") || key.ends_with("_until") || NAMES.contains(&key) {
        Some(UnixTime::from_secs(number).to_string())
    } else if key.ends_with("_secs") {
        Some(length(number))
    } else if key.ends_with("_ms") {
        Some(milliseconds(number))
    } else if key.ends_with("_bytes") {
        Some(size(number))
    } else {
        None
    }
}

fn length(secs: u64) -> String {
    let mut rest = secs;
    let mut parts = Vec::new();
    for (unit, name) in LENGTHS {
        if rest / unit > 0 {
            parts.push(format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

fn milliseconds(ms: u64) -> String {
    match (ms / 1_000, ms % 1_000) {
        (0, ms) => format!("{ms}ms"),
        (secs, 0) => length(secs),
        (secs, ms) => format!("{} {ms}ms", length(secs)),
    }
}

fn size(bytes: u64) -> String {
    let unit = SIZES.iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| {
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            let (whole, tenth) = (tenths / 10, tenths % 10);
            if tenth == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenth} {name}") }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_the_unit_of_their_name() {
        for (key, number, text) in [
            ("max_grant_secs", 2_592_000, "30d"),
            ("lifetime_secs", 5_400, "1h 30m"),
            ("period_secs", 0, "0s"),
            ("duration_ms", 7, "7ms"),
            ("timeout_ms", 30_000, "30s"),
            ("timeout_ms", 61_005, "1m 1s 5ms"),
            ("package_bytes", 1_023, "1023 B"),
            ("package_bytes", 64 << 20, "64 MiB"),
            ("package_bytes", 1_600, "1.5 KiB"),
            ("package_bytes", u64::MAX, "17179869183.9 GiB"),
            ("expires_at", 0, "1970-01-01T00:00:00Z"),
            ("attested_until", 0, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(with_unit(key, number).as_deref(), Some(text), "{key} {number}");
        }
        assert_eq!(with_unit("calls", 7), None);
    }
}
