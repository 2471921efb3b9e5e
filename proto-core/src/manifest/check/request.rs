//! The rules of requests: what the engine may be told to send.

use alloc::format;
use alloc::string::ToString;

use serde_json::Value;

use super::schema::property;
use super::{Broken, Checked, check_header, check_pointer, check_template, require};
use crate::manifest::http::{BodyFormat, HttpDefaults, PageKind, Pagination, ParameterPlace, Request};
use crate::manifest::network::{is_dots, is_path_byte};
use crate::manifest::settings::ConfigType;
use crate::manifest::template::{Part, Source, Template};
use crate::manifest::{Document, Method, Operation};

pub(super) fn check_http_defaults(document: &Document, http: &HttpDefaults) -> Checked {
    let base = http.base_url.lone_field();
    let from_config = base.is_some_and(|field| {
        field.source == Source::Config
            && matches!(field.path.as_slice(), [name] if document.config.get(name).is_some_and(|c| c.kind == ConfigType::Url))
    });
    let literal = match http.base_url.parts() {
        [Part::Literal(url)] => ConfigType::Url.accepts(&Value::String(url.clone())),
        _ => false,
    };
    let rule = "must be an https URL or a configuration value of type url";
    require("http.base_url", from_config || literal, rule)?;
    for (name, value) in &http.headers {
        check_header("http.headers", name)?;
        let no_input = value.fields().all(|field| field.source == Source::Config);
        require("http.headers", no_input, "may use the configuration only")?;
        check_template(document, None, "http.headers", value)?;
    }
    require("http.retry.attempts", (1..=5).contains(&http.retry.attempts), "must be 1 to 5")?;
    let statuses = http.retry.statuses.iter().all(|status| (400..=599).contains(status));
    require("http.retry.statuses", statuses, "must be 400 to 599")?;
    require("http.retry.max_delay_ms", http.retry.max_delay_ms <= 60_000, "must be at most 60000")?;
    for status in http.errors.status.keys() {
        let known = status.len() == 3 && status.parse::<u16>().is_ok_and(|n| (300..=599).contains(&n));
        require("http.errors.status", known, "must be keyed by statuses from 300 to 599")?;
    }
    for pointer in [&http.errors.message, &http.errors.code, &http.errors.ok].into_iter().flatten() {
        check_pointer("http.errors", pointer)?;
    }
    Ok(())
}

pub(super) fn check_request(
    document: &Document,
    path: &str,
    operation: &Operation,
    request: &Request,
) -> Checked {
    let path = format!("{path}.http");
    let schema = Some(&operation.input.schema);
    require(&path, operation.network.is_some(), "needs a `network` table, here or for all operations")?;
    let rooted = matches!(request.path.parts().first(), Some(Part::Literal(text)) if text.starts_with('/'));
    require(&format!("{path}.path"), rooted, "must begin with a slash")?;
    for part in request.path.parts() {
        if let Part::Literal(literal) = part {
            let plain = literal.bytes().all(|b| b == b'/' || is_path_byte(b));
            let dots = literal.split('/').any(is_dots);
            require(&format!("{path}.path"), plain && !dots, "holds a character that a path may not hold")?;
        }
    }
    check_template(document, schema, &format!("{path}.path"), &request.path)?;
    for template in request.query.values() {
        check_template(document, schema, &format!("{path}.query"), template)?;
    }
    for (name, template) in &request.headers {
        check_header(&format!("{path}.headers"), name)?;
        check_template(document, schema, &format!("{path}.headers"), template)?;
    }
    if let Some(name) = &request.idempotency_header {
        check_header(&format!("{path}.idempotency_header"), name)?;
    }
    let bodiless = matches!(request.method, Method::Get | Method::Head);
    require(
        &format!("{path}.body"),
        !(bodiless && request.body.is_some()),
        "must not stand with GET or HEAD",
    )?;
    if let Some(body) = &request.body {
        check_body(document, &operation.input.schema, &format!("{path}.body"), body, 0)?;
        check_body_format(&format!("{path}.body"), body, request.body_format)?;
    }
    let pointers =
        request.output.fields.values().chain(request.output.beside.values()).chain(&request.output.root);
    for pointer in pointers {
        check_pointer(&format!("{path}.output"), pointer)?;
    }
    match &request.pagination {
        Some(pagination) => check_pagination(&format!("{path}.pagination"), operation, request, pagination),
        None => Ok(()),
    }
}

fn check_body_format(path: &str, body: &Value, format: BodyFormat) -> Checked {
    match format {
        BodyFormat::Json => Ok(()),
        BodyFormat::Form => {
            let flat = body.as_object().is_some_and(|fields| fields.values().all(Value::is_string));
            require(path, flat, "must be an object of templates to be sent as a form")
        }
        BodyFormat::Binary => {
            let template = body.as_str().and_then(|text| text.parse::<Template>().ok());
            let lone = template.is_some_and(|template| template.lone_field().is_some());
            require(path, lone, "must be one placeholder to be sent as bytes")
        }
    }
}

pub(super) fn check_body(
    document: &Document,
    schema: &Value,
    path: &str,
    body: &Value,
    depth: usize,
) -> Checked {
    require(path, depth < 32, "is nested too deeply")?;
    match body {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(text) => {
            let template = text.parse::<Template>().map_err(|error| Broken::new(path, error.to_string()))?;
            check_template(document, Some(schema), path, &template)
        }
        Value::Array(items) => {
            items.iter().try_for_each(|item| check_body(document, schema, path, item, depth + 1))
        }
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            require(path, !name.starts_with("$__toml"), "holds a date-time, which JSON does not have")?;
            check_body(document, schema, path, value, depth + 1)
        }),
    }
}

fn check_pagination(
    path: &str,
    operation: &Operation,
    request: &Request,
    pagination: &Pagination,
) -> Checked {
    let at = |field: &str| format!("{path}.{field}");
    let linked = pagination.kind == PageKind::Link;
    require(&at("param"), linked == pagination.param.is_none(), "is needed unless the kind is `link`")?;
    let is_cursor = pagination.kind == PageKind::Cursor;
    require(
        &at("cursor"),
        is_cursor == pagination.cursor.is_some(),
        "must stand with kind `cursor`, and only there",
    )?;
    let in_body = pagination.place == ParameterPlace::Body;
    let has_body = request.body.as_ref().is_some_and(Value::is_object);
    require(&at("place"), !in_body || has_body, "needs a body that is an object")?;
    require(&at("size"), (1..=1_000).contains(&pagination.size), "must be 1 to 1000")?;
    require(&at("default_items"), (1..=10_000).contains(&pagination.default_items), "must be 1 to 10000")?;
    require(&at("max_pages"), (1..=100).contains(&pagination.max_pages), "must be 1 to 100")?;
    if let Some(field) = &pagination.limit_field {
        let declared = property(&operation.input.schema, field).and_then(|schema| schema.get("type"));
        let integer = declared == Some(&Value::String("integer".to_string()));
        require(&at("limit_field"), integer, "must be an integer property of the input's schema")?;
    }
    check_pointer(&at("items"), &pagination.items)?;
    for pointer in [&pagination.cursor, &pagination.more].into_iter().flatten() {
        check_pointer(path, pointer)?;
    }
    Ok(())
}
