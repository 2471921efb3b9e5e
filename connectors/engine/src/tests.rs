//! Every case of every bundled declarative connector, against the double.

use std::collections::BTreeSet;

use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::{Cases, Manifest};
use fcp_sdk::testing::{Host, run_cases};
use serde_json::json;

use crate::Engine;

fn check(manifest: &str, cases: &str) {
    let manifest = Manifest::parse(manifest.as_bytes()).unwrap_or_else(|error| panic!("manifest: {error}"));
    let cases = Cases::parse(cases.as_bytes()).unwrap_or_else(|error| panic!("cases: {error}"));
    let failures: Vec<String> =
        run_cases::<Engine>(&manifest, &cases).iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    check_network(&manifest, &cases);
    check_schemas(&manifest, Some(&cases));
    let with = |wanted: fn(&fcp_proto_core::manifest::Case) -> bool| -> BTreeSet<_> {
        cases.cases.iter().filter(|case| wanted(case)).map(|case| case.operation.clone()).collect()
    };
    let succeeding = with(|case| case.expect.output.is_some());
    let lacking: Vec<_> = manifest.operations.keys().filter(|id| !succeeding.contains(*id)).collect();
    assert!(lacking.is_empty(), "no case shows success of {lacking:?}");
    assert!(with(|case| case.expect.error.is_some()).len() >= 2, "too few cases show errors");
}

/// What a case sends must be what egress would let through.
fn check_network(manifest: &Manifest, cases: &Cases) {
    for case in &cases.cases {
        let network =
            manifest.operation(&case.operation).and_then(|operation| operation.network.as_ref()).unwrap();
        for exchange in &case.exchanges {
            assert!(network.methods.contains(&exchange.method), "{}", case.name);
            let path = exchange.url.splitn(4, '/').nth(3).unwrap();
            let fits = |prefix: &str| {
                let path = path.strip_prefix(prefix).map(|rest| format!("/{rest}"));
                path.is_some_and(|path| network.paths.iter().any(|pattern| pattern.matches(&path)))
            };
            assert!(["", "api/", "api/v3/"].into_iter().any(fits), "{}: {}", case.name, exchange.url);
        }
    }
}

/// What an agent needs to use an operation well: when, how, and what each field of the input is.
fn check_advice(manifest: &Manifest) {
    for (id, operation) in &manifest.operations {
        assert!(!operation.hints.when_to_use.is_empty(), "{id} does not say when to use it");
        assert!(!operation.hints.examples.is_empty(), "{id} has no example");
        let fields = operation.input.schema["properties"].as_object().into_iter().flatten();
        let silent: Vec<_> = fields.filter(|(_, it)| it["description"].as_str().is_none()).collect();
        assert!(silent.is_empty(), "{id} does not describe {silent:?}");
        for related in &operation.hints.related {
            assert!(manifest.operations.contains_key(related), "{id} names {related}, which is not there");
        }
    }
}

/// Schemas must be schemas, and what is shown as an example or expected by a case must follow them.
fn check_schemas(manifest: &Manifest, cases: Option<&Cases>) {
    for (id, operation) in &manifest.operations {
        let compile = |schema| {
            jsonschema::draft202012::new(schema).unwrap_or_else(|error| panic!("{id}: the schema: {error}"))
        };
        let (input, output) = (compile(&operation.input.schema), compile(&operation.output.schema));
        for example in &operation.hints.examples {
            input.validate(example).unwrap_or_else(|error| panic!("{id}: example {example}: {error}"));
        }
        for case in cases.iter().flat_map(|cases| &cases.cases).filter(|case| case.operation == *id) {
            let name = &case.name;
            input.validate(&case.input).unwrap_or_else(|error| panic!("{id}, {name}: input: {error}"));
            if let Some(expected) = &case.expect.output {
                output.validate(expected).unwrap_or_else(|error| panic!("{id}, {name}: output: {error}"));
            }
        }
    }
}

#[test]
fn the_coded_connectors_have_valid_schemas_too() {
    for manifest in
        [include_str!("../../sqlite/manifest.toml"), include_str!("../../filesystem/manifest.toml")]
    {
        let manifest = Manifest::parse(manifest.as_bytes()).unwrap();
        check_schemas(&manifest, None);
        check_advice(&manifest);
    }
}

macro_rules! connectors {
    ($($name:ident >= $operations:literal),+) => {$(
        #[test]
        fn $name() {
            let manifest = include_str!(concat!("../../", stringify!($name), "/manifest.toml"));
            check(manifest, include_str!(concat!("../../", stringify!($name), "/cases.toml")));
            let manifest = Manifest::parse(manifest.as_bytes()).unwrap();
            assert!(manifest.operations.len() >= $operations);
            check_advice(&manifest);
        }
    )+};
}

connectors!(github >= 12, notion >= 8, slack >= 8);

//= docs/spec/manifest.md#http
#[test]
fn what_the_bundled_connectors_do_not_use() {
    check(include_str!("../features/manifest.toml"), include_str!("../features/cases.toml"));
}

//= docs/spec/manifest.md#cases
#[test]
fn a_case_that_does_not_hold_is_reported() {
    let manifest = Manifest::parse(include_bytes!("../features/manifest.toml")).unwrap();
    let cases = include_str!("../features/cases.toml");
    for (from, to) in [
        ("https://api.example.com/lines", "https://api.example.com/line"),
        ("fixed = \"a b\"", "fixed = \"a c\""),
        ("body_base64 = \"AP8=\"", "body_base64 = \"AP9=\""),
        ("auth = \"token\"", "auth = \"other\""),
        ("chunks = 3", "chunks = 4"),
        ("effect = \"made\"", "effect = \"unknown\""),
        ("idempotency-key = \"k-9\"", "idempotency-key = \"k-8\""),
        ("where = \"{", "elsewhere = \"{"),
        ("truncated = true", "truncated = false"),
        ("error = \"FCP-7109\"", "error = \"FCP-7003\""),
        ("message = \"bad id\"", "message = \"good id\""),
    ] {
        assert!(cases.contains(from), "no case holds {from}");
        let cases = Cases::parse(cases.replacen(from, to, 1).as_bytes()).unwrap();
        assert_eq!(run_cases::<Engine>(&manifest, &cases).len(), 1, "{from} → {to}");
    }
}

mod behaviour {
    use super::*;

    #[test]
    fn the_engine_runs_only_declarative_manifests() {
        let initialize = |manifest: Option<&str>| {
            let mut host = Host::start::<Engine>(None).unwrap();
            let mut params = json!({ "connector": "github", "zone": "z:work" });
            if let Some(manifest) = manifest {
                params["manifest"] = json!(manifest);
            }
            host.initialize(params)
        };
        let github = include_str!("../../github/manifest.toml");
        assert!(initialize(Some(github)).0.is_ok());
        assert_eq!(initialize(None).code(), Code::ManifestInvalid);
        assert_eq!(initialize(Some("[manifest]")).code(), Code::ManifestInvalid);
        let native = github.replace("runtime = \"declarative\"", "runtime = \"native\"");
        assert_eq!(initialize(Some(&native)).code(), Code::ManifestInvalid);
    }
}
