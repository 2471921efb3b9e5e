//! Addresses that URLs write out, and whose certificate authority is trusted where.

use super::*;

//= docs/spec/egress.md#order
#[test]
fn an_address_instead_of_a_name_needs_an_exception_that_holds_it() {
    let mut call = call();
    call.rules[0].hosts.push(HostPattern::Exact(Host::Address(PUBLIC)));
    let url = "https://93.184.216.34/";
    assert_eq!(why(call.admit("GET", url)), Some(Refusal::AddressLiteral));
    let private = Refusal::AddressDenied(AddressClass::Private);
    assert_eq!(why(call.admit("GET", "https://10.0.0.1/")), Some(private));

    call.exceptions = vec![exception("93.184.216.34", "10.0.0.0/8", 443, Transport::Tls)];
    let admitted = call.admit("GET", url).expect("its host and port are named");
    assert_eq!(admitted.literal(), Some(PUBLIC));
    assert_eq!(why(admitted.pin(&[PUBLIC])), Some(Refusal::AddressLiteral), "outside the exception's block");
    call.exceptions[0].cidr = "93.184.216.34/32".parse().expect("cidr");
    assert!(call.admit("GET", url).and_then(|admitted| admitted.pin(&[PUBLIC])).is_ok());
    let named = call.admit("GET", "https://api.example.com/").expect("admitted");
    assert_eq!(named.literal(), None);
}

//= docs/spec/egress.md#addresses
#[test]
fn an_authority_is_trusted_at_the_addresses_of_its_exception_only() {
    let mut call = call();
    let with = |cidr, pem: Option<&str>| EgressException {
        ca_pem: pem.map(String::from),
        ..exception("api.example.com", cidr, 443, Transport::Tls)
    };
    call.exceptions =
        vec![with("10.0.0.0/8", Some("ten")), with("10.1.0.0/16", Some("one")), with("192.168.0.0/16", None)];
    let inside = |text: &str| text.parse::<IpAddr>().expect("address");
    let all = ["10.0.0.1", "10.1.0.1", "192.168.0.1"].map(inside);
    let pinned = call.admit("GET", "https://api.example.com/").and_then(|it| it.pin(&all)).expect("pinned");
    for (address, expected) in [
        ("10.0.0.1", vec!["ten"]),
        ("10.1.0.1", vec!["ten", "one"]),
        ("192.168.0.1", vec![]),
        ("11.0.0.1", vec![]),
    ] {
        assert_eq!(pinned.authorities(inside(address)).collect::<Vec<_>>(), expected, "{address}");
    }
}
