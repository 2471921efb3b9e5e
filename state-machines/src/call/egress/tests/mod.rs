use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use fcp_proto_core::ids::{CallId, ConnectorId, CredentialId, OperationId, ZoneId};
use proptest::prelude::*;
use serde_json::Value;

use super::credential::{self, CredentialGrant, Injection};
use super::*;

mod addresses;
mod credentials;
mod framing;
mod hosts;
mod opening;
mod places;
mod refusals;
mod rules;
mod seals;
mod urls;

/// The vectors in one form, decided by the rules without a connector.
const VECTORS: [&str; 2] = [
    include_str!("../../../../../vectors/egress/sample.json"),
    include_str!("../../../../../vectors/egress/classes.json"),
];

fn patterns(case: &Value) -> Option<Vec<HostPattern>> {
    let hosts = case.get("allowed_hosts")?.as_array().expect("hosts");
    Some(hosts.iter().map(|host| host.as_str().expect("text").parse().expect("pattern")).collect())
}

/// The first answer the vector gives for a host; a name it does not know resolves to a public address, so that a
/// denial cannot be owed to the resolver.
fn resolve(case: &Value, host: &Host) -> Vec<IpAddr> {
    let Host::Name(name) = host else { return vec![] };
    match case.get("dns").and_then(|dns| dns.get(name)) {
        Some(answers) => answers[0]
            .as_array()
            .expect("list")
            .iter()
            .map(|a| a.as_str().expect("text").parse().expect("address"))
            .collect(),
        None => vec![PUBLIC],
    }
}

fn explained(case: &Value) -> Result<Target, Refusal> {
    let allowed = patterns(case);
    let mut url = case["url"].as_str().expect("url").to_string();
    if let Some(raw) = case.get("raw") {
        let mut words = raw["request_line"].as_str().expect("line").split(' ');
        let method = words.next().expect("method");
        Method::from_wire(method).ok_or(Refusal::MethodNotDeclared)?;
        url = words.next().expect("target").to_string();
        let target = Target::parse(&url)?;
        target.check_host_header(raw["host"].as_str().expect("host").as_bytes())?;
    }
    let mut target = explain::url(&url, allowed.as_deref())?;
    check_resolved(case, &target)?;
    if let Some(redirect) = case.get("redirect") {
        let from = target.origin.scheme;
        target =
            explain::redirect(&target, redirect["location"].as_str().expect("location"), allowed.as_deref())?;
        if from == Scheme::Https && target.origin.scheme == Scheme::Http {
            return Err(Refusal::RedirectDowngrade);
        }
        if target.origin.port != target.origin.scheme.default_port() {
            return Err(Refusal::PortNotDeclared);
        }
        check_resolved(case, &target)?;
    }
    Ok(target)
}

fn check_resolved(case: &Value, target: &Target) -> Result<(), Refusal> {
    match target.origin.host {
        Host::Address(_) => Ok(()),
        Host::Name(_) => explain::addresses(&resolve(case, &target.origin.host)),
    }
}

#[test]
fn every_vector_is_decided_as_it_says() {
    let mut failures = Vec::new();
    let mut decided = 0;
    for text in VECTORS {
        let file: Value = serde_json::from_str(text).expect("vectors are JSON");
        for case in file["cases"].as_array().expect("cases") {
            decided += 1;
            let outcome = if case["reason"] == "more answers than eight" {
                // The bound belongs to an operation's rule, so the call decides this one.
                let target = call().admit("GET", "https://api.example.com/").expect("admitted");
                target.pin(&resolve(case, &Host::Name("a.example.org".into()))).map(drop)
            } else {
                explained(case).map(drop)
            };
            if outcome.is_ok() != (case["expect"] == "allow") {
                failures.push((case["id"].to_string(), outcome));
            }
        }
    }
    assert!(decided > 300, "only {decided} vectors");
    assert!(failures.is_empty(), "{failures:?}");
}

/// The vectors asked through an open call that declares the public hosts: what the rules without a connector refuse,
/// a connector's rules refuse too.
#[test]
fn a_call_admits_no_vector_that_the_rules_refuse() {
    for text in VECTORS {
        let file: Value = serde_json::from_str(text).expect("vectors are JSON");
        for case in file["cases"].as_array().expect("cases").iter().filter(|case| case["expect"] == "deny") {
            let mut call = call();
            if let Ok(target) = Target::parse(case["url"].as_str().expect("url")) {
                call.rules[0].hosts.push(HostPattern::Exact(target.origin.host));
            }
            let admitted = call.admit("GET", case["url"].as_str().expect("url"));
            let pinned = admitted.and_then(|admitted| match admitted.literal() {
                Some(address) => admitted.pin(&[address]),
                None => {
                    let answers = resolve(case, &admitted.target().origin.host.clone());
                    admitted.pin(&answers)
                }
            });
            let Ok(pinned) = pinned else { continue };
            let declared_elsewhere = case.get("allowed_hosts").is_some();
            assert!(declared_elsewhere, "{case} reaches {:?}", pinned.addresses());
        }
    }
}

const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));

fn call() -> OpenCall {
    OpenCall {
        handle: EgressHandle::from_bytes([7; 32]),
        call: CallId::from_bytes([1; 16]),
        connector: ConnectorId::new("github").expect("id"),
        zone: ZoneId::new("z:work").expect("id"),
        operation: OperationId::new("github.issues.list").expect("id"),
        rules: vec![EgressRule {
            hosts: vec!["api.example.com".parse().expect("host"), "*.cdn.example.com".parse().expect("host")],
            ports: vec![443],
            methods: vec![Method::Get, Method::Post],
            paths: ["/", "/{rest*}"].map(|path| path.parse().expect("path")).to_vec(),
            limits: Limits {
                max_request_bytes: 1024,
                max_response_bytes: 1024,
                max_redirects: 2,
                dns_max_ips: 8,
                connect_timeout_ms: 1_000,
                total_timeout_ms: 1_000,
                idle_timeout_ms: 1_000,
            },
            spki_pins: vec![],
        }],
        exceptions: vec![],
        credentials: vec![CredentialGrant {
            slot: "main".into(),
            credential: CredentialId::new("work").expect("id"),
            injection: Injection::Bearer,
            allowed_hosts: vec!["api.example.com".parse().expect("host")],
        }],
        deadline_ms: 1_000,
        seal: 5,
    }
}

fn exception(host: &str, cidr: &str, port: u16, transport: Transport) -> EgressException {
    EgressException {
        host: host.parse().expect("host"),
        cidr: cidr.parse().expect("cidr"),
        port,
        transport,
        ca_pem: None,
    }
}

fn why<T>(result: Result<T, Refusal>) -> Option<Refusal> {
    result.err()
}

#[test]
fn a_request_must_fit_one_rule_in_every_part() {
    let mut call = call();
    call.rules[0].paths = vec!["/repos/{owner}/{repo}/issues".parse().expect("path")];
    let url = "https://api.example.com/repos/a/b/issues?page=2";
    assert!(call.admit("GET", url).is_ok());
    for (method, url, refusal) in [
        ("DELETE", url, Refusal::MethodNotDeclared),
        ("get", url, Refusal::MethodNotDeclared),
        ("CONNECT", url, Refusal::MethodNotDeclared),
        ("GET", "https://api.example.com/repos/a/b", Refusal::PathNotDeclared),
        ("GET", "https://api.example.com/repos/a/b/issues/", Refusal::PathNotDeclared),
        ("GET", "https://api.example.com/repos/a/b/issues/1", Refusal::PathNotDeclared),
        ("GET", "https://api.example.com:8443/repos/a/b/issues", Refusal::PortNotDeclared),
        ("GET", "https://other.example.com/repos/a/b/issues", Refusal::HostNotDeclared),
        ("GET", "http://api.example.com/repos/a/b/issues", Refusal::PlaintextDenied),
    ] {
        assert_eq!(why(call.admit(method, url)), Some(refusal), "{method} {url}");
    }
}

#[test]
fn two_rules_never_lend_each_other_a_part() {
    let mut call = call();
    let mut second = call.rules[0].clone();
    call.rules[0].methods = vec![Method::Get];
    second.methods = vec![Method::Delete];
    second.paths = vec!["/own/{id}".parse().expect("path")];
    call.rules.push(second);
    assert!(call.admit("DELETE", "https://api.example.com/own/1").is_ok());
    assert_eq!(why(call.admit("DELETE", "https://api.example.com/x/1")), Some(Refusal::MethodNotDeclared));
}

#[test]
fn empty_parts_admit_nothing() {
    type Emptier = fn(&mut OpenCall);
    let emptiers: [Emptier; 5] = [
        |call| call.rules.clear(),
        |call| call.rules[0].hosts.clear(),
        |call| call.rules[0].ports.clear(),
        |call| call.rules[0].methods.clear(),
        |call| call.rules[0].paths.clear(),
    ];
    for empty in emptiers {
        let mut call = call();
        assert!(call.admit("GET", "https://api.example.com/").is_ok());
        empty(&mut call);
        assert!(call.admit("GET", "https://api.example.com/").is_err());
    }
}

#[test]
fn a_limit_of_zero_is_an_incomplete_declaration() {
    type Zeroer = fn(&mut Limits);
    let zeroers: [Zeroer; 5] = [
        |limits| limits.max_response_bytes = 0,
        |limits| limits.dns_max_ips = 0,
        |limits| limits.connect_timeout_ms = 0,
        |limits| limits.total_timeout_ms = 0,
        |limits| limits.idle_timeout_ms = 0,
    ];
    assert_eq!(call().check(), Ok(()));
    for zero in zeroers {
        let mut call = call();
        zero(&mut call.rules[0].limits);
        assert_eq!(call.check(), Err(OpenRefusal::LimitMissing));
    }
}

#[test]
fn templates_fit_whole_paths() {
    for (template, fitting, other) in [
        ("/", vec!["/"], vec!["/a", ""]),
        ("/a/{b}", vec!["/a/x", "/a/%20"], vec!["/a", "/a/", "/a/x/y", "/b/x"]),
        ("/a/{b}:run", vec!["/a/x:run"], vec!["/a/x", "/a/:run"]),
        ("/a/v{b}.json", vec!["/a/v1.json"], vec!["/a/v.json", "/a/1.json"]),
        ("/a/{b*}", vec!["/a/x", "/a/x/y", "/a/x/"], vec!["/a", "/a/"]),
    ] {
        let parsed: PathTemplate = template.parse().expect("template");
        assert!(fitting.iter().all(|path| parsed.fits(path)), "{template}");
        assert!(!other.iter().any(|path| parsed.fits(path)), "{template}");
    }
    for bad in [
        "", "a", "/a//b", "/../a", "/{", "/{}", "/{a}{b}", "/{a*}/b", "/x{a*}", "/a b", "/a?b", "/}",
        "/{a b}",
    ] {
        assert!(bad.parse::<PathTemplate>().is_err(), "{bad}");
    }
}

#[test]
fn one_refused_answer_refuses_all() {
    let admit = || call().admit("GET", "https://api.example.com/").expect("admitted");
    assert!(admit().pin(&[PUBLIC]).is_ok());
    let private = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
    assert_eq!(why(admit().pin(&[PUBLIC, private])), Some(Refusal::AddressDenied(AddressClass::Private)));
    assert_eq!(why(admit().pin(&[])), Some(Refusal::NoAddresses));
    let many: Vec<_> = (0..9).map(|last| IpAddr::V4(Ipv4Addr::new(93, 184, 216, last))).collect();
    assert!(admit().pin(&many[..8]).is_ok());
    assert_eq!(why(admit().pin(&many)), Some(Refusal::TooManyAddresses));
    assert!(admit().pin(&[PUBLIC; 20]).is_ok(), "the same address counts once");
}

#[test]
fn an_exception_opens_its_host_block_and_port_only() {
    let mut call = call();
    call.rules[0]
        .hosts
        .extend(["127.0.0.1", "nas.local"].map(|host| host.parse::<HostPattern>().expect("host")));
    call.rules[0].ports.extend([8443, 8080]);
    call.exceptions = vec![
        exception("127.0.0.1", "127.0.0.0/8", 8443, Transport::Tls),
        exception("nas.local", "192.168.7.0/24", 8080, Transport::Plaintext),
    ];
    let pin = |url: &str, address: &str| {
        call.admit("GET", url).and_then(|admitted| admitted.pin(&[address.parse().expect("address")]))
    };
    assert!(pin("https://127.0.0.1:8443/", "127.0.0.1").is_ok());
    assert!(pin("http://nas.local:8080/", "192.168.7.9").is_ok());
    for (url, address, refusal) in [
        ("http://127.0.0.1:8443/", "127.0.0.1", Refusal::PlaintextDenied),
        ("https://127.0.0.1/", "127.0.0.1", Refusal::AddressDenied(AddressClass::Loopback)),
        ("https://127.0.0.2:8443/", "127.0.0.2", Refusal::AddressDenied(AddressClass::Loopback)),
        ("http://nas.local:8080/", "192.168.8.9", Refusal::AddressDenied(AddressClass::Private)),
        ("http://nas.local:8080/", "93.184.216.34", Refusal::PlaintextDenied),
        ("https://nas.local/", "192.168.7.9", Refusal::LocalName),
        ("https://api.example.com/", "192.168.7.9", Refusal::AddressDenied(AddressClass::Private)),
    ] {
        assert_eq!(why(pin(url, address)), Some(refusal), "{url} {address}");
    }
}

#[test]
fn redirects_are_decided_as_new_requests() {
    let call = call();
    let from = |method| call.admit(method, "https://api.example.com/a/b").expect("admitted");
    let go = |method, status, location| call.redirect(&from(method), status, location, 0);
    assert_eq!(why(go("GET", 302, "../c")), Some(Refusal::Redirect(Box::new(Refusal::DotSegment))));
    let (next, carry) = go("GET", 302, "c?x=1").expect("admitted");
    assert_eq!((next.target().to_string().as_str(), carry), ("https://api.example.com/a/c?x=1", Carry::Keep));
    let (next, carry) = go("POST", 303, "https://x.cdn.example.com/d").expect("admitted");
    assert_eq!((next.method(), carry), (Method::Get, Carry::Drop));
    assert_eq!(why(go("POST", 307, "/c")), Some(Refusal::RedirectBody));
    assert_eq!(why(go("POST", 302, "/c")), Some(Refusal::RedirectBody));
    assert_eq!(why(go("GET", 302, "http://api.example.com/")), Some(Refusal::RedirectDowngrade));
    let loopback = Refusal::Redirect(Box::new(Refusal::AddressDenied(AddressClass::Loopback)));
    assert_eq!(why(go("GET", 302, "https://127.0.0.1/")), Some(loopback));
    let other = Refusal::Redirect(Box::new(Refusal::HostNotDeclared));
    assert_eq!(why(go("GET", 302, "//evil.example.net/")), Some(other));
    assert_eq!(why(call.redirect(&from("GET"), 302, "/c", 2)), Some(Refusal::RedirectLimit));
}

#[test]
fn a_credential_goes_only_where_its_own_hosts_permit() {
    let call = call();
    let pin = |url| call.admit("GET", url).and_then(|admitted| admitted.pin(&[PUBLIC])).expect("pinned");
    let own = pin("https://api.example.com/");
    let cdn = pin("https://x.cdn.example.com/");
    assert!(credential::decide(&call.credentials, "main", &own).is_ok());
    assert_eq!(why(credential::decide(&call.credentials, "other", &own)), Some(Refusal::SlotUnknown));
    assert_eq!(why(credential::decide(&call.credentials, "main", &cdn)), Some(Refusal::CredentialHostDenied));
    let mut hostless = call.credentials.clone();
    hostless[0].allowed_hosts.clear();
    assert_eq!(why(credential::decide(&hostless, "main", &own)), Some(Refusal::CredentialHostDenied));
}

#[test]
fn a_credential_is_never_sent_in_the_clear() {
    let mut call = call();
    call.rules[0].ports = vec![8080];
    call.exceptions = vec![exception("api.example.com", "10.0.0.0/8", 8080, Transport::Plaintext)];
    let admitted = call.admit("GET", "http://api.example.com:8080/").expect("admitted");
    let pinned = admitted.pin(&["10.0.0.1".parse().expect("address")]).expect("pinned");
    assert_eq!(why(credential::decide(&call.credentials, "main", &pinned)), Some(Refusal::CredentialInClear));
}

#[test]
fn a_query_credential_is_encoded_and_never_doubled() {
    let mut call = call();
    call.credentials[0].injection = Injection::Query { name: "api_key".into() };
    let pin = |url| call.admit("GET", url).and_then(|admitted| admitted.pin(&[PUBLIC])).expect("pinned");
    let pinned = pin("https://api.example.com/a?b=1");
    let injectable = credential::decide(&call.credentials, "main", &pinned).expect("decided");
    assert_eq!(injectable.path_and_query("a&b=c/d"), "/a?b=1&api_key=a%26b%3Dc%2Fd");
    for url in [
        "https://api.example.com/?api_key=x",
        "https://api.example.com/?a=1&%61pi_key",
        "https://api.example.com/?a;API_KEY=1",
    ] {
        assert_eq!(
            why(credential::decide(&call.credentials, "main", &pin(url))),
            Some(Refusal::ParameterPresent),
            "{url}"
        );
    }
}

#[test]
fn injections_that_would_break_the_request_are_refused() {
    let header = |name: &str, prefix: &str| Injection::Header { name: name.into(), prefix: prefix.into() };
    assert!(header("x-api-key", "Token ").is_valid());
    for bad in [
        header("host", ""),
        header("content-length", ""),
        header("X-Api", ""),
        header("a b", ""),
        header("", ""),
        header("x-api-key", "a\r\nb: c"),
        header("x-fcp-credential", ""),
    ] {
        assert!(!bad.is_valid(), "{bad:?}");
    }
}

#[test]
fn headers_of_identity_routing_and_framing_never_pass() {
    for name in [
        "authorization",
        "proxy-authorization",
        "proxy-connection",
        "cookie",
        "host",
        "x-fcp-egress-handle",
        "x-fcp-credential",
        "connection",
        "te",
        "upgrade",
        "transfer-encoding",
        "content-length",
        "accept-encoding",
        "x-http-method-override",
        "x-forwarded-for",
        "forwarded",
    ] {
        assert_eq!(headers::request(name), headers::Verdict::Strip, "{name}");
    }
    // A server that hands headers on as variables reads these as those above.
    for name in ["x_http_method_override", "x_forwarded-for", "proxy_x", "x_fcp_credential", "content_length"]
    {
        assert_eq!(headers::request(name), headers::Verdict::Strip, "{name}");
    }
    assert!(headers::reads_as("x_api-key", "x-api_key"));
    assert!(!headers::reads_as("x-api-key", "x-api-keys") && !headers::reads_as("x-api-keys", "x-api-key"));
    for name in ["accept", "content-type", "user-agent", "x-github-api-version", "if-none-match"] {
        assert_eq!(headers::request(name), headers::Verdict::Pass, "{name}");
    }
    for name in ["set-cookie", "x-fcp-egress-error", "connection", "alt-svc"] {
        assert_eq!(headers::response(name), headers::Verdict::Strip, "{name}");
    }
    assert_eq!(headers::response("link"), headers::Verdict::Pass);
}

#[test]
fn a_length_has_one_reading() {
    let check = |headers: &[(&str, &str)]| {
        headers::check_framing(headers.iter().map(|(name, value)| (*name, value.as_bytes())))
    };
    assert!(check(&[("accept", "x"), ("content-length", "12")]).is_ok());
    for bad in [
        vec![("transfer-encoding", "chunked")],
        vec![("content-length", "1"), ("content-length", "1")],
        vec![("content-length", "1, 1")],
        vec![("content-length", "+1")],
        vec![("content-length", "")],
    ] {
        assert_eq!(check(&bad), Err(Refusal::FramingAmbiguous), "{bad:?}");
    }
    let encoding = |value: &str| headers::check_encoding([value.as_bytes()].into_iter());
    assert!(encoding("identity").is_ok() && encoding("gzip").is_err() && encoding("identity, br").is_err());
}

#[test]
fn an_answer_has_one_length_and_no_coding_but_chunks() {
    let check = |headers: &[(&str, &str)]| {
        headers::check_answer_framing(headers.iter().map(|(name, value)| (*name, value.as_bytes())))
    };
    for sound in
        [vec![], vec![("content-length", "12")], vec![("transfer-encoding", "Chunked"), ("link", "x")]]
    {
        assert_eq!(check(&sound), Ok(()), "{sound:?}");
    }
    for coding in ["gzip, chunked", "gzip", "chunked, chunked", "identity", ""] {
        assert_eq!(check(&[("transfer-encoding", coding)]), Err(Refusal::EncodedAnswer), "{coding}");
    }
    for two in [
        vec![("transfer-encoding", "chunked"), ("content-length", "1")],
        vec![("content-length", "1"), ("transfer-encoding", "chunked")],
        vec![("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        vec![("content-length", "1"), ("content-length", "1")],
        vec![("content-length", "1, 1")],
        vec![("content-length", "-1")],
        vec![("content-length", "")],
    ] {
        assert_eq!(check(&two), Err(Refusal::UpstreamBroken), "{two:?}");
    }
}

#[test]
fn a_revocation_overtakes_what_was_sealed_before_it() {
    let call = call();
    let scopes = [
        Scope::Everything,
        Scope::Zone(call.zone.clone()),
        Scope::Connector(call.connector.clone()),
        Scope::Credential {
            connector: call.connector.clone(),
            zone: call.zone.clone(),
            credential: call.credentials[0].credential.clone(),
        },
        Scope::Handle(call.handle),
    ];
    for scope in scopes {
        let mut seals = Seals::default();
        assert!(seals.stands(&call, 5));
        seals.revoke(scope.clone(), 5);
        assert!(seals.stands(&call, 5), "sealed at the head that holds the revocation");
        seals.revoke(scope.clone(), 6);
        assert!(!seals.stands(&call, 5), "{scope:?}");
        seals.revoke(scope.clone(), 3);
        assert!(!seals.stands(&call, 5), "the number never goes back");
        assert!(seals.stands(&call, 6), "sealed anew");
    }
    let mut seals = Seals::default();
    seals.revoke(Scope::Connector(ConnectorId::new("slack").expect("id")), 9);
    seals.revoke(Scope::Zone(ZoneId::new("z:private").expect("id")), 9);
    seals.revoke(Scope::Handle(EgressHandle::from_bytes([8; 32])), 9);
    assert!(seals.stands(&call, 5));
}

#[test]
fn every_refusal_says_why_and_its_name_is_its_tag() {
    let refusals = [
        Refusal::HandleInvalid,
        Refusal::AddressDenied(AddressClass::Loopback),
        Refusal::Redirect(Box::new(Refusal::UserInfo)),
    ];
    for refusal in refusals {
        let json = serde_json::to_value(&refusal).expect("json");
        let key = json.as_object().and_then(|object| object.keys().next()).map(String::as_str);
        let tag = json.as_str().or(key).expect("tag").to_string();
        assert_eq!(tag, refusal.name());
        assert_eq!(serde_json::from_value::<Refusal>(json).expect("reads back"), refusal);
        assert!(!refusal.to_string().is_empty() && refusal.code().number() >= 7100);
    }
    assert_eq!(Refusal::AddressDenied(AddressClass::Loopback).to_string().matches("loopback").count(), 1);
}

#[test]
fn a_handle_shows_nothing_in_debug() {
    let shown = alloc::format!("{:?}", call());
    assert!(!shown.contains("0707"), "{shown}");
}

#[test]
fn blocks_are_canonical() {
    for good in ["10.0.0.0/8", "0.0.0.0/0", "127.0.0.1/32", "fd00::/8", "::/0", "::1/128"] {
        assert_eq!(good.parse::<Cidr>().map(|cidr| cidr.to_string()), Ok(good.to_string()));
    }
    for bad in
        ["10.0.0.1/8", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::1/64", "::/129", "x/8", ""]
    {
        assert_eq!(bad.parse::<Cidr>(), Err(InvalidCidr), "{bad}");
    }
    let v4: Cidr = "0.0.0.0/0".parse().expect("cidr");
    assert!(v4.contains(PUBLIC) && !v4.contains("::1".parse().expect("address")));
}

proptest! {
    /// The standard library's own predicates, and the block IANA allocates global unicast from, as a second opinion.
    #[test]
    fn nothing_the_standard_library_calls_special_passes_v4(bits: u32, narrow in 0usize..12) {
        let bases = [bits, bits & 0x00ff_ffff | 10 << 24, bits & 0x00ff_ffff | 127 << 24, bits & 0xf_ffff | 0xac10_0000,
            bits & 0xffff | 0xc0a8_0000, bits & 0xffff | 0xa9fe_0000, bits & 0x3f_ffff | 0x6440_0000, bits & 0xff | 0xc000_0200,
            bits | 0xe000_0000, bits & 0x00ff_ffff, bits & 0x1_ffff | 0xc612_0000, u32::MAX];
        let v4 = Ipv4Addr::from_bits(bases[narrow]);
        let o = v4.octets();
        let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast() || v4.is_documentation()
            || v4.is_multicast() || v4.is_unspecified() || o[0] == 0 || o[0] >= 240
            || (o[0] == 100 && o[1] & 0xc0 == 64) || (o[0] == 198 && o[1] & 0xfe == 18) || o[..3] == [192, 0, 0];
        let class = classify(v4.into());
        prop_assert!(!special || class != AddressClass::GlobalUnicast, "{v4}");
        for embedded in [v4.to_ipv6_mapped(), v4.to_ipv6_compatible()] {
            prop_assert_ne!(classify(embedded.into()), AddressClass::GlobalUnicast);
        }
    }

    #[test]
    fn nothing_the_standard_library_calls_special_passes_v6(bits: u128, lead in proptest::option::of(0u16..=u16::MAX)) {
        let bits = lead.map_or(bits, |lead| bits & (u128::MAX >> 16) | u128::from(lead) << 112);
        let v6 = Ipv6Addr::from_bits(bits);
        let passes = classify(v6.into()) == AddressClass::GlobalUnicast;
        let s = v6.segments();
        let special = v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unique_local()
            || v6.is_unicast_link_local() || v6.to_ipv4().is_some() || s[0] & 0xe000 != 0x2000 || s[0] == 0x2002
            || (s[0] == 0x2001 && (s[1] < 0x200 || s[1] == 0xdb8));
        prop_assert!(!special || !passes, "{v6}");
    }

    #[test]
    fn the_parser_never_panics_and_its_output_is_a_fixed_point(text in "\\PC{0,60}", tail in "[a-z0-9%./:@\\[\\]?#\\\\]{0,40}") {
        for url in [text.clone(), alloc::format!("https://{tail}"), alloc::format!("https://a.example.org/{tail}")] {
            if let Ok(target) = Target::parse(&url) {
                let again: String = target.to_string();
                prop_assert_eq!(Target::parse(&again), Ok(target));
            }
        }
    }
}

//= docs/spec/egress.md#addresses
#[test]
fn a_block_that_leaves_nothing_of_the_rule_is_too_wide() {
    let is_too_wide = |text: &str| text.parse::<Cidr>().expect("cidr").is_too_wide();
    for wide in [
        "0.0.0.0/0",
        "0.0.0.0/1",
        "128.0.0.0/1",
        "0.0.0.0/8",
        "10.0.0.0/7",
        "8.0.0.0/5",
        "203.0.0.0/15",
        "100.0.0.0/8",
        "::/0",
        "2000::/3",
        "::/1",
        "::/96",
        "::/127",
        "::ffff:0:0/96",
        "::ffff:0.0.0.0/127",
        "64:ff9b::/96",
        "64:ff9b:1::/64",
        "2002::/16",
        "2002::/24",
        "2001::/32",
        "2600::/16",
        "fc00::/6",
        "f000::/4",
    ] {
        assert!(is_too_wide(wide), "{wide}");
    }
    for narrow in [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "10.0.0.7/32",
        "203.0.0.0/16",
        "8.8.8.8/32",
        "0.0.0.0/32",
        "fc00::/7",
        "fd00:1::/48",
        "fe80::/10",
        "2600:1234::/32",
        "::1/128",
        "::ffff:10.0.0.7/128",
    ] {
        assert!(!is_too_wide(narrow), "{narrow}");
    }
}
