//! A JSON Schema as a person reads it: a line a field, with what must stand there.

use serde::Serialize;
use serde_json::{Map, Value};

/// One field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Field {
    /// Where it is: `title`, `labels[]` for each item of a list, `author.name` for a field within a field.
    field: String,
    /// What it is; empty if anything may stand there.
    #[serde(rename = "type")]
    kind: String,
    /// Whether it must be there.
    needed: bool,
    /// What must hold of it.
    rules: String,
    /// What it is for.
    description: String,
}

/// The fields of `schema`, those that must be there first. Nothing that the schema says is left out.
pub(crate) fn of(schema: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    walk("", false, schema, &mut fields);
    fields
}

/// Lists what stands at `path`: itself, if anything is to be said of it, and what is in it.
fn walk(path: &str, needed: bool, schema: &Value, fields: &mut Vec<Field>) {
    let none = Map::new();
    let said = schema.as_object().unwrap_or(&none);
    let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let members = said.get("properties").and_then(Value::as_object);
    let items = said.get("items").filter(|items| items.is_object());
    let rules = rules(said);
    // The whole of an object says nothing beside its fields.
    if !path.is_empty() || members.is_none() || !rules.is_empty() {
        let field = if path.is_empty() { "(all of it)".to_owned() } else { path.to_owned() };
        let description = text("description");
        fields.push(Field { field, kind: kind(said), needed, rules, description });
    }
    let must = |name: &str| {
        let listed = said.get("required").and_then(Value::as_array);
        listed.is_some_and(|listed| listed.iter().any(|it| it == name))
    };
    let mut members: Vec<_> = members.into_iter().flatten().collect();
    members.sort_by_key(|(name, _)| !must(name));
    for (name, member) in members {
        let within = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        walk(&within, must(name), member, fields);
    }
    // Items that are of a type and nothing else stand in the type of their list.
    if let Some(items) = items.filter(|items| items.as_object().is_some_and(|items| items.len() > 1)) {
        walk(&format!("{path}[]"), false, items, fields);
    }
}

/// The type in a word or two.
fn kind(said: &Map<String, Value>) -> String {
    let own = match said.get("type") {
        Some(Value::String(one)) => one.clone(),
        Some(Value::Array(several)) => {
            several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        Some(_) | None => String::new(),
    };
    match said.get("items").and_then(Value::as_object).map(kind) {
        Some(items) if own == "array" && !items.is_empty() => format!("array of {items}"),
        Some(_) | None => own,
    }
}

/// What must hold besides the type, in words; a keyword without words of its own is shown as it is.
fn rules(said: &Map<String, Value>) -> String {
    let mut rules = Vec::new();
    for (least, most, unit) in [
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " fields"),
    ] {
        rules.extend(match (said.get(least), said.get(most)) {
            (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
            (Some(least), None) => Some(format!("at least {least}{unit}")),
            (None, Some(most)) => Some(format!("at most {most}{unit}")),
            (None, None) => None,
        });
    }
    rules.extend(said.iter().filter_map(|(name, value)| rule(name, value)));
    rules.join("; ")
}

/// A rule that one keyword makes; none if it is told elsewhere.
fn rule(name: &str, value: &Value) -> Option<String> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match name {
        "type" | "description" | "title" | "required" | "minimum" | "maximum" | "minLength" | "maxLength"
        | "minItems" | "maxItems" | "minProperties" | "maxProperties" => None,
        "properties" | "items" if value.is_object() => None,
        "additionalProperties" if value == &Value::Bool(false) => None,
        "enum" => {
            let values: Vec<_> = value.as_array().into_iter().flatten().map(word).collect();
            Some(format!("one of {}", values.join(", ")))
        }
        "pattern" => Some(format!("matches {}", word(value))),
        "format" | "const" | "default" => Some(format!("{name} {}", word(value))),
        other => Some(format!("{other} {value}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(schema: &Value) -> Vec<String> {
        let line = |it: &Field| {
            let needed = if it.needed { "needed" } else { "-" };
            format!("{}|{}|{needed}|{}|{}", it.field, it.kind, it.rules, it.description)
        };
        of(schema).iter().map(line).collect()
    }

    #[test]
    fn a_schema_is_a_line_a_field_the_needed_ones_first() {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["title", "author"],
            "properties": {
                "author": { "type": "object", "properties": { "name": { "type": ["string", "null"] } } },
                "labels": { "type": "array", "maxItems": 20, "items": { "type": "string", "minLength": 1 } },
                "numbers": { "type": "array", "items": { "type": "integer" } },
                "state": { "enum": ["open", "closed"], "default": "open" },
                "title": { "type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a", "description": "One line." },
            },
        });
        assert_eq!(
            lines(&schema),
            [
                "author|object|needed||",
                "author.name|string or null|-||",
                "title|string|needed|1 to 9 characters; matches ^a|One line.",
                "labels|array of string|-|at most 20 items|",
                "labels[]|string|-|at least 1 characters|",
                "numbers|array of integer|-||",
                "state||-|default open; one of open, closed|",
            ]
        );
    }

    #[test]
    fn what_has_no_words_is_shown_as_it_is() {
        assert_eq!(lines(&json!(true)), ["(all of it)||-||"]);
        assert_eq!(lines(&json!({ "type": "string" })), ["(all of it)|string|-||"]);
        let odd = json!({ "properties": { "a": { "anyOf": [{ "const": 1 }], "additionalProperties": { "type": "string" } } },
            "minProperties": 1, "$defs": {} });
        assert_eq!(
            lines(&odd),
            [
                "(all of it)||-|at least 1 fields; $defs {}|",
                "a||-|additionalProperties {\"type\":\"string\"}; anyOf [{\"const\":1}]|",
            ]
        );
    }
}
