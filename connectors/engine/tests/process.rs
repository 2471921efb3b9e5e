//! The real engine as a process: pipes for the protocol, descriptor 3 for egress.

use fcp_sdk::testing::{Double, Host};
use serde_json::json;

const GITHUB: &str = include_str!("../../github/manifest.toml");

#[test]
fn a_process_without_network_answers_through_descriptor_3() {
    let exchange = json!({
        "method": "GET",
        "url": "https://api.github.com/user",
        "auth": "token",
        "headers": {
            "accept": "application/vnd.github+json",
            "user-agent": "fcp-connector",
            "x-github-api-version": "2022-11-28",
        },
        "answer": { "json": { "login": "octocat" } },
    });
    let (double, socket) = Double::start(vec![serde_json::from_value(exchange).unwrap()]).unwrap();
    let mut host = Host::spawn(env!("CARGO_BIN_EXE_fcp-connector-engine"), Some(socket)).unwrap();
    let params = json!({ "connector": "github", "zone": "z:work", "egress": true, "manifest": GITHUB });
    assert_eq!(host.initialize(params).result()["connector"], "github");
    let result = host.invoke("github.user.get", json!({})).result();
    assert_eq!(result["output"], json!({ "login": "octocat" }));
    assert_eq!(double.mismatches(), []);
    assert_eq!(host.request("health", json!({})).result()["status"], "ready");
    assert_eq!(host.request("shutdown", json!({})).result(), json!({}));
    assert!(host.finish());
}

#[test]
fn a_process_ends_well_when_its_host_goes() {
    let mut host = Host::spawn(env!("CARGO_BIN_EXE_fcp-connector-engine"), None).unwrap();
    let params = json!({ "connector": "github", "zone": "z:work", "manifest": GITHUB });
    host.initialize(params).result();
    assert!(host.finish());
}
