//! One spelling of each URL, why another is refused, and what a location names.

use super::*;

/// The longest URL, as a number of bytes.
const LONGEST: usize = 16 * 1024;

fn target(url: &str) -> Target {
    Target::parse(url).expect(url)
}

//= docs/spec/egress.md#urls
#[test]
fn a_url_has_one_canonical_form() {
    for (url, canonical) in [
        ("HTTPS://API.Example.com.:443", "https://api.example.com/"),
        ("https://api.example.com:8443?a=b", "https://api.example.com:8443/?a=b"),
        ("http://api.example.com:80/", "http://api.example.com/"),
        ("http://api.example.com:443/", "http://api.example.com:443/"),
        ("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443/"),
        ("https://api.example.com/%7ea%2Db%3f%c3%a9/", "https://api.example.com/~a-b%3F%C3%A9/"),
        ("https://api.example.com/?%7e%2f%61[]=%0a?%5c", "https://api.example.com/?~%2Fa[]=%0A?%5C"),
    ] {
        assert_eq!(target(url).to_string(), canonical);
    }
}

//= docs/spec/egress.md#urls
#[test]
fn a_url_that_breaks_a_rule_is_refused_by_its_name() {
    for (url, refusal) in [
        ("api.example.com/", Refusal::NotAbsolute),
        ("https:/api.example.com/", Refusal::NotAbsolute),
        ("ftp://api.example.com/", Refusal::SchemeDenied),
        ("https:///a", Refusal::HostInvalid),
        ("https://:443/", Refusal::HostInvalid),
        ("https://user@api.example.com/", Refusal::UserInfo),
        ("https://user:8443@api.example.com/", Refusal::UserInfo),
        ("https://@api.example.com/", Refusal::UserInfo),
        ("https://api.example.com:/", Refusal::PortInvalid),
        ("https://api.example.com:0/", Refusal::PortInvalid),
        ("https://api.example.com:0443/", Refusal::PortInvalid),
        ("https://api.example.com:+443/", Refusal::PortInvalid),
        ("https://api.example.com:65536/", Refusal::PortInvalid),
        ("https://api.example.com\\@evil.net/", Refusal::Backslash),
        ("https://api.example.com/a\\b", Refusal::Backslash),
        ("https://api.example.com/#a", Refusal::Fragment),
        ("https://api.example.com/a b", Refusal::ControlCharacter),
        ("https://api.example.com/a\tb", Refusal::ControlCharacter),
        ("https://api.example.com/a\0b", Refusal::ControlCharacter),
        ("https://api.example.com/a\x7fb", Refusal::ControlCharacter),
        ("https://api.example.com/a%0ab", Refusal::ControlCharacter),
        ("https://api.example.com/a%7Fb", Refusal::ControlCharacter),
        ("https://api.example.com/a%2fb", Refusal::EncodedSlash),
        ("https://api.example.com/a%5Cb", Refusal::EncodedSlash),
        ("https://api.example.com/a%00b", Refusal::EncodedSlash),
        ("https://api.example.com/a%2", Refusal::PercentInvalid),
        ("https://api.example.com/?a=%g0", Refusal::PercentInvalid),
        ("https://api.example.com/a[b", Refusal::CharacterDenied),
        ("https://api.example.com/\u{e9}", Refusal::CharacterDenied),
        ("https://api.example.com/?a=|", Refusal::CharacterDenied),
        ("https://api.example.com/a/%2E%2e/b", Refusal::DotSegment),
        ("https://api.example.com/a/..;x/b", Refusal::DotSegment),
        ("https://api.example.com/./b", Refusal::DotSegment),
        ("https://api.example.com//b", Refusal::EmptySegment),
        ("https://api.example.com/a/;x/b", Refusal::EmptySegment),
    ] {
        assert_eq!(why(Target::parse(url)), Some(refusal), "{url:?}");
    }
}

//= docs/spec/egress.md#urls
#[test]
fn a_url_has_a_greatest_length_also_where_a_location_makes_it_up() {
    let start = "https://api.example.com/";
    let longest = alloc::format!("{start}{}", "a".repeat(LONGEST - start.len()));
    assert!(Target::parse(&longest).is_ok());
    assert_eq!(why(Target::parse(&alloc::format!("{longest}a"))), Some(Refusal::UrlTooLong));
    let path = "a".repeat(LONGEST - start.len());
    for (from, location) in [(start, path.clone()), (start, alloc::format!("/{path}"))] {
        assert!(target(from).join(&location).is_ok());
        assert_eq!(why(target(from).join(&alloc::format!("{location}a"))), Some(Refusal::UrlTooLong));
    }
    assert_eq!(why(target(&longest).join("?")), Some(Refusal::UrlTooLong));
}

//= docs/spec/egress.md#redirects
#[test]
fn a_location_is_read_relative_to_the_url_it_answers() {
    let from = target("https://api.example.com:8443/a/b?c=d");
    for (location, names) in [
        ("", "https://api.example.com:8443/a/b?c=d"),
        ("#top", "https://api.example.com:8443/a/b?c=d"),
        ("?", "https://api.example.com:8443/a/b?"),
        ("?e=f#top", "https://api.example.com:8443/a/b?e=f"),
        ("?e=/x:y", "https://api.example.com:8443/a/b?e=/x:y"),
        ("e", "https://api.example.com:8443/a/e"),
        ("e/f:g", "https://api.example.com:8443/a/e/f:g"),
        ("@evil.net", "https://api.example.com:8443/a/@evil.net"),
        ("/e", "https://api.example.com:8443/e"),
        ("/", "https://api.example.com:8443/"),
        ("//b.example.com/e", "https://b.example.com/e"),
        ("http://b.example.com", "http://b.example.com/"),
    ] {
        assert_eq!(from.join(location).map(|target| target.to_string()), Ok(names.to_string()), "{location}");
    }
    for (location, refusal) in [
        ("\\\\evil.net/", Refusal::Backslash),
        ("/a b", Refusal::ControlCharacter),
        ("../e", Refusal::DotSegment),
        ("///evil.net", Refusal::HostInvalid),
        ("//user@evil.net/", Refusal::UserInfo),
        ("https:e", Refusal::NotAbsolute),
        ("javascript:e", Refusal::NotAbsolute),
    ] {
        assert_eq!(why(from.join(location)), Some(refusal), "{location}");
    }
}
