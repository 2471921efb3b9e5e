//! The OpenAPI document is valid, says everything the table does and nothing else, and its schemas hold.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use fcp_api::openapi::document;
use fcp_api::routes::{DOCUMENT_PATH, ROUTES};
use serde_json::{Value, json};

#[test]
fn the_document_has_every_route_and_no_other() {
    let document = document();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{path} {method}");
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let mut expected: BTreeSet<_> =
        ROUTES.iter().map(|route| (route.method.as_str().to_owned(), route.path.to_owned())).collect();
    expected.insert(("GET".into(), DOCUMENT_PATH.into()));
    assert_eq!(described, expected);
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
    let document = document();
    let mut referred = BTreeSet::new();
    references(&document, &mut referred);
    let defined: BTreeSet<String> =
        document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    assert!(referred.is_subset(&defined), "{:?}", referred.difference(&defined));
    assert!(defined.is_subset(&referred), "{:?}", defined.difference(&referred));
}

#[test]
fn every_schema_is_a_valid_json_schema() {
    let mut document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap().clone();
    for name in schemas.keys() {
        let mut schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        schema["components"] = document["components"].take();
        jsonschema::draft202012::new(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        document["components"] = schema["components"].take();
    }
}

#[test]
fn every_property_is_documented() {
    let document = document();
    let mut missing = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        undocumented(name, schema, &mut missing);
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn requests_are_closed_in_the_document_too() {
    let document = document();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let Some(reference) =
                operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()
            else {
                continue;
            };
            let name = reference.rsplit('/').next().unwrap();
            let schema = &document["components"]["schemas"][name];
            assert_eq!(schema["additionalProperties"], json!(false), "{name}");
        }
    }
}

#[test]
fn query_parameters_are_absent_rather_than_null() {
    for item in document()["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string() || parameter["in"] == "path", "{parameter}");
                assert!(!parameter.to_string().contains("\"null\""), "{parameter}");
            }
        }
    }
}

#[test]
fn paths_and_their_parameters_agree() {
    for (path, item) in document()["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named: Vec<_> = parameters.iter().filter(|p| p["in"] == "path").map(|p| &p["name"]).collect();
            let in_path: Vec<_> =
                path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')).collect();
            assert_eq!(named, in_path, "{path}");
        }
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value.as_str()) {
                    ("$ref", Some(target)) => {
                        found.insert(target.strip_prefix("#/components/schemas/").unwrap().to_owned());
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn undocumented(place: &str, schema: &Value, missing: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        // The tag of a variant is documented by the variant.
        let is_tag = property["enum"].as_array().is_some_and(|values| values.len() == 1);
        let says = |schema: &Value| schema["description"].is_string() || schema["$ref"].is_string();
        let documented =
            says(property) || is_tag || property["oneOf"].as_array().is_some_and(|any| any.iter().any(says));
        if !documented {
            missing.push(place.clone());
        }
        undocumented(&place, property, missing);
    }
    for variant in ["oneOf", "allOf", "anyOf"].iter().filter_map(|key| schema[key].as_array()).flatten() {
        undocumented(place, variant, missing);
    }
}
