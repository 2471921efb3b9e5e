//! Every spelling of a host, and what a pattern declares.

use super::*;

//= docs/spec/egress.md#hosts
#[test]
fn a_host_has_one_spelling() {
    let label = "a".repeat(63);
    let longest = alloc::format!("{label}.{label}.{label}.{}", "a".repeat(61));
    for (text, canonical) in [
        ("API.Example.com.", "api.example.com"),
        ("a_b.example-1.com", "a_b.example-1.com"),
        ("xn--bcher-kva.example.com", "xn--bcher-kva.example.com"),
        ("93.184.216.34", "93.184.216.34"),
        ("[2001:DB8:0::1]", "[2001:db8::1]"),
        (&longest, &longest),
    ] {
        assert_eq!(Host::parse(text).map(|host| host.to_string()), Ok(canonical.to_string()));
    }
    assert_eq!(longest.len(), 253);
    assert_eq!(why(Host::parse(&alloc::format!("{longest}a"))), Some(Refusal::HostInvalid));
    assert_eq!(why(Host::parse(&alloc::format!("a{label}.example.com"))), Some(Refusal::HostInvalid));
}

//= docs/spec/egress.md#hosts
#[test]
fn a_spelling_that_programs_read_differently_is_refused_by_its_name() {
    for (text, refusal) in [
        ("", Refusal::HostInvalid),
        (".", Refusal::HostInvalid),
        (".example.com", Refusal::HostInvalid),
        ("a..example.com", Refusal::HostInvalid),
        ("example.com..", Refusal::HostInvalid),
        ("-a.example.com", Refusal::HostInvalid),
        ("a-.example.com", Refusal::HostInvalid),
        ("ab--c.example.com", Refusal::HostInvalid),
        ("a b.example.com", Refusal::HostInvalid),
        ("a*.example.com", Refusal::HostInvalid),
        ("a\\b.example.com", Refusal::HostInvalid),
        ("a]example.com", Refusal::HostInvalid),
        ("%61pi.example.com", Refusal::HostPercentEncoded),
        ("b\u{fc}cher.example.com", Refusal::HostNotAscii),
        ("api.example.com\u{3002}", Refusal::HostNotAscii),
        ("127.0.0.1.", Refusal::AddressAmbiguous),
        ("93.184.216.34.", Refusal::AddressAmbiguous),
        ("127.1", Refusal::AddressAmbiguous),
        ("a.0x7f", Refusal::AddressAmbiguous),
        ("0x", Refusal::AddressAmbiguous),
        ("[fe80::1%25eth0]", Refusal::ZoneIdentifier),
        ("[fe80::1%eth0]", Refusal::ZoneIdentifier),
        ("[::1", Refusal::HostInvalid),
        ("[::1]a", Refusal::HostInvalid),
        ("[127.0.0.1]", Refusal::HostInvalid),
        ("[]", Refusal::HostInvalid),
    ] {
        assert_eq!(why(Host::parse(text)), Some(refusal), "{text}");
    }
}

//= docs/spec/egress.md#hosts
#[test]
fn a_name_is_local_by_its_last_labels() {
    for local in ["nas", "LOCALHOST", "a.localhost", "printer.local.", "home.arpa", "a.home.arpa", "a.test"] {
        assert!(Host::parse(local).expect("host").is_local_name(), "{local}");
    }
    for public in
        ["api.example.com", "www.contest", "a.myhome.arpa", "test.example.com", "[::1]", "127.0.0.1"]
    {
        assert!(!Host::parse(public).expect("host").is_local_name(), "{public}");
    }
}

//= docs/spec/egress.md#hosts
#[test]
fn a_pattern_below_a_domain_holds_names_below_it_alone() {
    let below: HostPattern = "*.example.com".parse().expect("pattern");
    for (host, covered) in [
        ("a.example.com", true),
        ("a.b.EXAMPLE.com.", true),
        ("example.com", false),
        ("notexample.com", false),
        ("example.com.evil.net", false),
        ("a.example.net", false),
        ("93.184.216.34", false),
    ] {
        assert_eq!(below.covers(&Host::parse(host).expect("host")), covered, "{host}");
    }
    for wide in
        ["*.com", "*.localhost", "*.127.0.0.1", "*.[::1]", "*", "*.*.example.com", "a.*.com", "*.", ""]
    {
        assert!(wide.parse::<HostPattern>().is_err(), "{wide}");
    }
}
