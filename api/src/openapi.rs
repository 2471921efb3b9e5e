//! The OpenAPI 3.1 document, made of the route table and the types' schemas.

use std::collections::BTreeMap;

use fcp_proto_core::error::Code;
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::headers;
use crate::routes::{Access, DOCUMENT_PATH, ROUTES, Route, Shape};
use crate::types::{Denial, ErrorBody, Meta, Nothing};

/// The document. Building it costs a few milliseconds; the daemon builds it once.
pub fn document() -> Value {
    let mut schemas = Schemas::default();
    schemas.add(Shape::of::<ErrorBody>());
    schemas.add(Shape::of::<Denial>());
    schemas.add(Shape::of::<Meta>());
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        let operation = operation(route, &mut schemas);
        paths.entry(route.path).or_default().insert(route.method.as_str().to_lowercase(), operation);
    }
    paths.entry(DOCUMENT_PATH).or_default().insert("get".into(), document_operation());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "FCP daemon",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Served on the unix socket run/fcp.sock of the home, and by choice over TCP. Requests refuse \
                unknown fields, duplicate keys and inexact numbers; answers may gain fields.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The daemon's socket." }],
        "paths": paths,
        "components": {
            "schemas": schemas.0,
            "securitySchemes": {
                "session": {
                    "type": "apiKey", "in": "header", "name": headers::SESSION,
                    "description": "An agent's session, opened with its key.",
                },
                "operator": {
                    "type": "http", "scheme": "bearer",
                    "description": "An operator's key, unlocked for minutes.",
                },
            },
        },
    })
}

/// The schemas of the document by name.
#[derive(Default)]
struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl Schemas {
    /// Adds a body and all its parts, and returns the reference to it.
    fn add(&mut self, shape: Shape) -> Value {
        let name = (shape.name)().into_owned();
        let mut parts = vec![(name.clone(), (shape.schema)())];
        (shape.parts)(&mut parts);
        self.0.extend(parts);
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }
}

fn operation(route: &Route, schemas: &mut Schemas) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.about,
        "tags": [tag(route.path)],
        "security": security(route.access),
        "parameters": parameters(route, schemas),
        "responses": {
            "200": { "description": "Done.", "content": json_content(answer(route, schemas)) },
            "default": {
                "description": "Not done; the code says why.",
                "content": json_content(json!({ "$ref": "#/components/schemas/ErrorBody" })),
            },
        },
    });
    if let Access::OperatorWith(right) = route.access {
        operation["x-fcp-operator-right"] = json!(right.as_str());
    }
    if !is_nothing(route.request) {
        let schema = schemas.add(route.request);
        operation["requestBody"] = json!({ "required": true, "content": json_content(schema) });
    }
    operation
}

fn answer(route: &Route, schemas: &mut Schemas) -> Value {
    let meta = json!({
        "type": "object",
        "required": ["meta"],
        "properties": { "meta": { "$ref": "#/components/schemas/Meta" } },
    });
    if is_nothing(route.answer) { meta } else { json!({ "allOf": [schemas.add(route.answer), meta] }) }
}

fn parameters(route: &Route, schemas: &mut Schemas) -> Vec<Value> {
    let mut parameters: Vec<Value> = route
        .parameters()
        .map(|name| {
            let schema = path_schema(name).map_or_else(|| json!({ "type": "string" }), |s| schemas.add(s));
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    if is_nothing(route.query) {
        return parameters;
    }
    let mut parts = Vec::new();
    (route.query.parts)(&mut parts);
    schemas.0.extend(parts);
    let schema = serde_json::to_value((route.query.schema)()).unwrap_or_default();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let schema = without_null(schema);
        parameters.push(json!({
            "name": name,
            "in": "query",
            "required": required.contains(&name.as_str()),
            "description": schema["description"],
            "schema": schema,
        }));
    }
    parameters
}

/// The schema of a parameter that is left out where a body's field could be null.
fn without_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(types) = schema["type"].as_array_mut() {
        types.retain(|name| name != "null");
    }
    let not_null =
        schema["oneOf"].as_array().and_then(|any| any.iter().find(|s| s["type"] != "null")).cloned();
    not_null.unwrap_or(schema)
}

/// The schema of a path parameter, by its name; `None` only for `id`, which may name anything.
pub(crate) fn path_schema(name: &str) -> Option<Shape> {
    use crate::schema as s;
    match name {
        "connector" => Some(Shape::of::<s::ConnectorId>()),
        "operation" => Some(Shape::of::<s::OperationId>()),
        "role" => Some(Shape::of::<s::RoleId>()),
        "agent" | "operator" => Some(Shape::of::<s::PrincipalId>()),
        "zone" => Some(Shape::of::<s::ZoneId>()),
        "credential" => Some(Shape::of::<s::CredentialId>()),
        "call_id" => Some(Shape::of::<s::CallId>()),
        "session_id" => Some(Shape::of::<s::SessionId>()),
        "receipt_id" | "request_id" | "handle" => Some(Shape::of::<s::ObjectId>()),
        _ => None,
    }
}

fn security(access: Access) -> Value {
    match access {
        Access::Public => json!([]),
        Access::Session => json!([{ "session": [] }]),
        // The proof of a token's holder stands in the body.
        Access::Holder => json!([{ "session": [] }, {}]),
        Access::Caller => json!([{ "session": [] }, { "operator": [] }]),
        Access::Operator | Access::OperatorWith(_) => json!([{ "operator": [] }]),
    }
}

fn document_operation() -> Value {
    json!({
        "operationId": "GetDocument",
        "summary": "This document.",
        "tags": ["openapi"],
        "security": [],
        "responses": {
            "200": { "description": "Done.", "content": json_content(json!({ "type": "object" })) },
            "default": {
                "description": "Not done; the code says why.",
                "content": json_content(json!({ "$ref": "#/components/schemas/ErrorBody" })),
            },
        },
        "x-fcp-errors": Code::ALL.iter().map(|code| json!({
            "code": code.to_string(), "name": code.name(), "status": code.http_status(),
            "retryable": code.retryable(), "meaning": code.meaning(), "next": code.next_step(),
        })).collect::<Vec<_>>(),
    })
}

fn json_content(schema: Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn tag(path: &str) -> &str {
    path.split('/').nth(2).unwrap_or_default().split('.').next().unwrap_or_default()
}

fn is_nothing(shape: Shape) -> bool {
    (shape.name)() == (Shape::of::<Nothing>().name)()
}
