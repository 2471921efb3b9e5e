//! The connector protocol, with the example connector on a thread and as a process.

#[path = "../examples/greeter.rs"]
#[expect(dead_code, unreachable_pub, reason = "the example's `main` is its own")]
mod greeter;

use fcp_sdk::core::error::Code;
use fcp_sdk::core::manifest::Method;
use fcp_sdk::testing::{Double, Exchange, Host, Invocation};
use greeter::Greeter;
use serde_json::{Value, json};

fn initialize() -> Value {
    json!({ "connector": "greeter", "zone": "z:work", "config": {}, "egress": false })
}

fn started() -> Host {
    let mut host = Host::start::<Greeter>(None).expect("the test sets up");
    host.initialize(initialize()).result();
    host
}

fn exchange(status: u16, headers: &[(&str, &str)], body: Value) -> Exchange {
    let headers: serde_json::Map<_, _> = headers.iter().map(|(n, v)| ((*n).to_owned(), json!(v))).collect();
    serde_json::from_value(json!({
        "method": Method::Get,
        "url": "https://facts.example.com/random",
        "auth": "key",
        "answer": { "status": status, "headers": headers, "json": body },
    }))
    .expect("the test sets up")
}

fn with_egress(exchanges: Vec<Exchange>) -> (Double, Host) {
    let (double, socket) = Double::start(exchanges).expect("the test sets up");
    let mut host = Host::start::<Greeter>(Some(socket)).expect("the test sets up");
    let mut params = initialize();
    params["egress"] = json!(true);
    host.initialize(params).result();
    (double, host)
}

#[test]
fn a_call_is_answered_with_output_effect_and_usage() {
    let mut host = started();
    let result = host.invoke("greeter.greet", json!({ "name": "Ada" })).result();
    assert_eq!(result["output"], json!({ "text": "Hello, Ada!" }));
    assert_eq!(result["effect"], "none");
    assert_eq!(result["usage"]["requests"], 0);
    assert!(host.finish());
}

#[test]
fn initialize_says_who_answers_and_refuses_what_does_not_fit() {
    let mut host = Host::start::<Greeter>(None).unwrap();
    assert_eq!(host.invoke("greeter.greet", json!({})).code(), Code::MalformedInput);
    for (field, value, code) in [
        ("protocol", json!("fcp-stdio/2"), Code::InputInvalid),
        ("connector", json!("other"), Code::ConnectorUnknown),
        ("zone", json!("z:owner"), Code::ConnectorNotInZone),
        ("config", json!({ "nope": 1 }), Code::ConfigInvalid),
        ("surplus", json!(1), Code::InputInvalid),
    ] {
        let mut params = initialize();
        params[field] = value;
        assert_eq!(host.initialize(params).code(), code, "{field}");
    }
    let answer = host.initialize(initialize()).result();
    assert_eq!((answer["connector"].as_str(), answer["version"].as_str()), (Some("greeter"), Some("1.0.0")));
    assert_eq!(answer["interface_hash"].as_str().map(str::len), Some(64));
    assert_eq!(host.initialize(initialize()).code(), Code::Conflict);
}

#[test]
fn broken_lines_get_the_json_rpc_code_and_harm_nothing() {
    let mut host = started();
    for (line, code) in [
        ("{", -32700),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"health\"}", -32700),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"health\",\"x\":1}", -32600),
        ("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"health\"}", -32600),
        ("[]", -32600),
    ] {
        host.send(line);
        let answer = host.receive();
        assert_eq!(answer["error"]["code"], code, "{line}");
        assert_eq!(answer["id"], Value::Null, "{line}");
    }
    host.send("");
    host.send("{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"nonsense\":1}}");
    assert_eq!(host.request("nope", json!({})).error()["code"], -32601);
    assert_eq!(host.request("invoke", json!({ "x": 1 })).error()["code"], -32602);
    assert_eq!(host.invoke("greeter.nope", json!({})).code(), Code::OperationUnknown);
    assert_eq!(host.invoke("greeter.greet", json!([])).code(), Code::InputInvalid);
    assert_eq!(host.request("health", json!({})).result(), json!({ "status": "ready" }));
}

//= docs/spec/stdio.md#framing
#[test]
fn calls_run_side_by_side_and_cancellation_reaches_the_right_one() {
    let mut host = started();
    let long = host.start_invoke(&Invocation::new("greeter.wait", json!({})));
    assert_eq!(host.wait_for_progress()["message"], "step 1");
    host.invoke("greeter.greet", json!({})).output();
    let other = host.start_invoke(&Invocation::new("greeter.wait", json!({})));
    host.cancel(long);
    assert_eq!(host.wait(long).code(), Code::Cancelled);
    host.cancel(other);
    assert_eq!(host.wait(other).code(), Code::Cancelled);
    assert!(host.finish());
}

#[test]
fn a_call_ends_with_its_deadline_and_a_read_has_no_effect() {
    let mut host = started();
    let mut invocation = Invocation::new("greeter.wait", json!({}));
    invocation.deadline_ms = 20;
    let id = host.start_invoke(&invocation);
    let error = host.wait(id).error();
    assert_eq!(error["data"]["code"], json!(Code::ConnectorTimeout));
    assert_eq!(error["data"]["effect"], "none");
}

#[test]
fn egress_gets_handle_and_slot_and_the_answer_comes_back() {
    let (double, mut host) = with_egress(vec![exchange(200, &[], json!("42"))]);
    let result = host.invoke("greeter.fact", json!({})).result();
    assert_eq!(result["output"]["text"], "\"42\"");
    assert_eq!(result["usage"], json!({ "requests": 1, "bytes_sent": 0, "bytes_received": 4 }));
    assert_eq!(double.mismatches(), []);
}

#[test]
fn a_refusal_by_egress_keeps_its_code_and_says_whether_anything_was_sent() {
    for (code, effect) in [(Code::EgressHostDenied, "none"), (Code::CredentialMissing, "none")] {
        let body = json!({ "code": code, "reason": "x", "message": "not today" });
        let header = code.to_string();
        let refusal = exchange(403, &[("x-fcp-egress-error", header.as_str())], body);
        let (_double, mut host) = with_egress(vec![refusal]);
        let error = host.invoke("greeter.fact", json!({})).error();
        assert_eq!(error["data"]["code"], json!(code));
        assert_eq!(
            (error["message"].as_str(), error["data"]["effect"].as_str()),
            (Some("not today"), Some(effect))
        );
    }
}

#[test]
fn without_egress_a_request_goes_nowhere() {
    assert_eq!(started().invoke("greeter.fact", json!({})).code(), Code::EgressUnavailable);
}

#[test]
fn the_double_notices_what_the_script_does_not_say() {
    let mut wrong = exchange(200, &[], json!(1));
    wrong.auth = Some("other".into());
    wrong.query.insert("page".into(), json!("2"));
    let (double, mut host) = with_egress(vec![wrong, exchange(200, &[], json!(1))]);
    assert_eq!(host.invoke("greeter.fact", json!({})).code(), Code::UpstreamFailed);
    let found: Vec<String> = double.mismatches().iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|text| text.contains("credential slot")), "{found:?}");
    assert!(found.iter().any(|text| text.contains("query")), "{found:?}");
    assert!(found.iter().any(|text| text.contains("never came")), "{found:?}");
}

#[test]
fn introspection_lists_the_manifest() {
    let mut host = started();
    let operations = host.request("introspect", json!({})).result()["operations"].take();
    let ids: Vec<_> = operations.as_array().unwrap().iter().filter_map(|op| op["id"].as_str()).collect();
    assert_eq!(ids, ["greeter.fact", "greeter.greet", "greeter.wait"]);
}

#[test]
fn shutdown_answers_and_ends_even_with_calls_in_progress() {
    let mut host = started();
    host.start_invoke(&Invocation::new("greeter.wait", json!({})));
    host.wait_for_progress();
    assert_eq!(host.request("shutdown", json!({})).result(), json!({}));
    assert!(host.finish());
}

#[test]
fn a_line_without_end_is_refused_within_bounds() {
    let mut host = started();
    // The connector may close its input while this is written; that is a refusal too.
    let line = "x".repeat(fcp_sdk::core::limits::MAX_LINE_BYTES + 1);
    let sent = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| host.send(&line)));
    drop(sent);
    assert!(!host.finish());
}
