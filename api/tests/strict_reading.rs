//! Bodies and queries are read strictly: each way to be wrong has its code, and nothing is read by halves.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

use fcp_api::body::{read_request, write};
use fcp_api::query;
use fcp_api::types::{
    AddGrant, Approve, HistoryQuery, Install, Invoke, KeySourceRequest, Nothing, Page, Reply, Status,
    UnlockOperator,
};
use fcp_api::types::{Health, HealthStatus, Meta, MetaStatus, Source};
use fcp_proto_core::error::Code;
use fcp_proto_core::time::UnixTime;
use serde_json::{Value, json};

fn code_of<T: serde::de::DeserializeOwned>(body: &str) -> Code {
    match read_request::<T>(body.as_bytes(), 4096) {
        Ok(_) => panic!("was read: {body}"),
        Err(error) => {
            assert!(error.why.is_some(), "{body}");
            error.code
        }
    }
}

#[test]
fn each_way_to_be_wrong_has_its_code() {
    let call = r#""call":{"connector":"github","operation":"github.issues.list","input":{}}"#;
    assert!(read_request::<Invoke>(format!("{{{call}}}").as_bytes(), 4096).is_ok());
    for (body, code) in [
        (format!("{{{call},\"extra\":1}}"), Code::UnknownField),
        (format!("{{{call},{call}}}"), Code::DuplicateKey),
        ("{}".into(), Code::MissingField),
        ("".into(), Code::MissingField),
        ("[]".into(), Code::InputInvalid),
        ("null".into(), Code::InputInvalid),
        (format!("{{{call}"), Code::MalformedInput),
        (format!("{{{call}}} x"), Code::MalformedInput),
        (format!("{{{}}}", call.replace("github\"", "GitHub\"")), Code::InputInvalid),
        (format!("{{{}}}", call.replace("{}}", "{\"n\":1e400}}")), Code::InexactNumber),
        (format!("{{{}}}", call.replace("{}}", "{\"a\":1,\"a\":1}}")), Code::DuplicateKey),
        (format!("{{{call},\"options\":{{\"keep\":true}}}}"), Code::UnknownField),
        (format!("{{{call},\"options\":{{\"keep_result\":1}}}}"), Code::InputInvalid),
        (format!("{{{call},\"options\":{{\"approval_ids\":[\"00\"]}}}}"), Code::InputInvalid),
        (format!("{{\"pad\":\"{}\"}}", "x".repeat(5000)), Code::InputTooLarge),
    ] {
        assert_eq!(code_of::<Invoke>(&body), code, "{body}");
    }
}

#[test]
fn nested_requests_are_closed_as_well() {
    let digest = "0".repeat(64);
    let unlock = json!({"key_source": {"kind": "passphrase", "passphrase": "x", "hint": "y"}});
    assert_eq!(code_of::<UnlockOperator>(&unlock.to_string()), Code::UnknownField);
    let unlock = json!({"key_source": {"kind": "retina", "passphrase": "x"}});
    assert_eq!(code_of::<UnlockOperator>(&unlock.to_string()), Code::InputInvalid);
    let approve = json!({"call_digest": digest, "grant": {"lifetime_secs": 60, "for": "all"}});
    assert_eq!(code_of::<Approve>(&approve.to_string()), Code::UnknownField);
    let approve = json!({"call_digest": digest, "grant": {"lifetime_secs": -1}});
    assert_eq!(code_of::<Approve>(&approve.to_string()), Code::InputInvalid);
    let install =
        json!({"package": {"from": "path", "path": "/p", "url": "x"}, "package_digest": digest, "zones": []});
    assert_eq!(code_of::<Install>(&install.to_string()), Code::UnknownField);
    let mut grant = json!({
        "agent": "a", "zone": "z:work", "connector": "c", "operations": ["c.x"], "lifetime_secs": 1,
        "constraints": {"arguments": [{"pointer": "/q", "one_off": []}]},
    });
    assert_eq!(code_of::<AddGrant>(&grant.to_string()), Code::UnknownField);
    grant["constraints"] = json!({"resources": ["*"]});
    assert_eq!(code_of::<AddGrant>(&grant.to_string()), Code::UnknownField);
    grant["constraints"] = Value::Null;
    assert_eq!(code_of::<AddGrant>(&grant.to_string()), Code::InputInvalid);
}

#[test]
fn an_absent_body_is_an_empty_object() {
    assert_eq!(read_request::<Nothing>(b"", 10).unwrap(), Nothing {});
    assert_eq!(code_of::<Nothing>("{\"a\":1}"), Code::UnknownField);
}

#[test]
fn secrets_are_redacted_when_a_request_is_printed() {
    let source = KeySourceRequest::Passphrase { passphrase: fcp_api::secret::Secret::new("hunter2") };
    assert!(!format!("{source:?}").contains("hunter2"));
    assert!(std::str::from_utf8(&write(&source).unwrap()).unwrap().contains("hunter2"));
}

#[test]
fn queries_are_read_strictly() {
    let query: HistoryQuery =
        query::read("agent=mail&limit=5&outcome=unknown&since=7&code=FCP-3101").unwrap();
    assert_eq!(query.agent.unwrap().as_str(), "mail");
    assert_eq!((query.limit, query.since), (Some(5), Some(UnixTime::from_secs(7))));
    assert_eq!(query.code, Some(Code::ApprovalRequired));
    for (text, code) in [
        ("agnt=mail", Code::UnknownField),
        ("agent=a&agent=b", Code::DuplicateKey),
        ("agent=a&%61gent=b", Code::DuplicateKey),
        ("limit=x", Code::InputInvalid),
        ("limit=-1", Code::InputInvalid),
        ("limit=4294967296", Code::InputInvalid),
        ("limit=", Code::InputInvalid),
        ("agent=A", Code::InputInvalid),
        ("outcome=perhaps", Code::InputInvalid),
        ("after=%f", Code::MalformedInput),
        ("after=%ff", Code::MalformedInput),
    ] {
        assert_eq!(query::read::<HistoryQuery>(text).unwrap_err().code, code, "{text}");
    }
    let long = format!("after={}", "x".repeat(query::MAX_QUERY_BYTES));
    assert_eq!(query::read::<Page>(&long).unwrap_err().code, Code::InputTooLarge);
}

#[test]
fn queries_survive_writing_and_reading() {
    let page = Page { after: Some("a b&c=d%é+/".into()), limit: Some(3) };
    assert_eq!(query::read::<Page>(&query::write(&page).unwrap()).unwrap(), page);
    assert_eq!(query::write(&Page::default()).unwrap(), "");
}

#[test]
fn answers_may_gain_fields_but_must_say_where_they_come_from() {
    let health = Health {
        status: HealthStatus::Ready,
        version: "1".into(),
        api: vec!["v1".into()],
        pid: 1,
        problems: vec![],
    };
    let mut meta = Meta::new(Source::NodeLocal, UnixTime::from_secs(3));
    meta.status = Some(MetaStatus::NotModified);
    let reply = Reply { body: health, meta };
    let mut value = serde_json::to_value(&reply).unwrap();
    assert_eq!(value["meta"], json!({"source": "node-local", "at": 3, "status": 304}));
    value["news"] = json!(1);
    let again: Reply<Health> = read_request(value.to_string().as_bytes(), 4096).unwrap();
    assert_eq!(again, reply);
    value.as_object_mut().unwrap().remove("meta");
    assert_eq!(code_of::<Reply<Health>>(&value.to_string()), Code::MissingField);
    assert_eq!(code_of::<Reply<Status>>("{}"), Code::MissingField);
}
