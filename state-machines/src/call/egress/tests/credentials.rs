//! Where a credential is written, and when its place is taken already.

use super::*;

//= docs/spec/egress.md#credentials
#[test]
fn a_credential_fills_the_header_or_parameter_of_its_injection() {
    let header = Injection::Header { name: "x-api-key".into(), prefix: String::new() };
    let query = |name: &str| Injection::Query { name: name.into() };
    assert_eq!(Injection::Bearer.header(), Some("authorization"));
    assert_eq!(Injection::Basic.header(), Some("authorization"));
    assert_eq!(header.header(), Some("x-api-key"));
    assert_eq!(query("key").header(), None);
    assert!(Injection::Bearer.is_valid() && Injection::Basic.is_valid());
    assert!(query("key").is_valid() && query("api[key]").is_valid());
    for bad in ["", "a b", "a\r\nb", "\u{e9}", "key\0"] {
        assert!(!query(bad).is_valid(), "{bad:?}");
    }
}

/// The URL's path and query with the secret in the parameter `name`.
fn filled(name: &str, url: &str) -> Result<String, Refusal> {
    let mut call = call();
    call.credentials[0].injection = Injection::Query { name: name.into() };
    let pinned = call.admit("GET", url)?.pin(&[PUBLIC])?;
    Ok(credential::decide(&call.credentials, "main", &pinned)?.path_and_query("s/t"))
}

//= docs/spec/egress.md#credentials
#[test]
fn a_parameter_is_added_once_whatever_its_name() {
    for (name, url, expected) in [
        ("key", "https://api.example.com/a", "/a?key=s%2Ft"),
        ("key", "https://api.example.com/a?b=key", "/a?b=key&key=s%2Ft"),
        ("key", "https://api.example.com/a?keys=1", "/a?keys=1&key=s%2Ft"),
        ("api[key]", "https://api.example.com/a?api=1", "/a?api=1&api%5Bkey%5D=s%2Ft"),
    ] {
        assert_eq!(filled(name, url).as_deref(), Ok(expected));
    }
    for (name, query) in [
        ("api[key]", "api[key]=1"),
        ("api[key]", "API%5bkey%5D"),
        ("a+b", "a+b=1"),
        ("a+b", "x;a%2Bb=1"),
        ("key", "%4b%65y=1"),
    ] {
        let url = alloc::format!("https://api.example.com/?{query}");
        assert_eq!(filled(name, &url), Err(Refusal::ParameterPresent), "{name} {query}");
    }
}
