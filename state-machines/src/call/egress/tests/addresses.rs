//! What is in a block, and how a block is written.

use super::*;

//= docs/spec/egress.md#addresses
#[test]
fn a_block_holds_what_begins_with_its_bits() {
    for (block, inside, outside) in [
        ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
        ("0.0.0.0/0", "255.255.255.255", "::"),
        ("127.0.0.1/32", "127.0.0.1", "127.0.0.0"),
        ("fd00::/8", "fdff:ffff::1", "fe00::"),
        ("fd00::/8", "fd12::", "::"),
        ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
        ("::/0", "ffff::", "0.0.0.0"),
        ("::1/128", "::1", "::2"),
    ] {
        let parsed: Cidr = block.parse().expect("cidr");
        assert!(parsed.contains(inside.parse().expect("address")), "{inside} is in {block}");
        assert!(!parsed.contains(outside.parse().expect("address")), "{outside} is not in {block}");
    }
}

#[test]
fn the_length_of_a_block_is_a_short_number() {
    for length in ["", " 8", "0008", "-1", "256", "8/8", "x"] {
        assert_eq!(alloc::format!("10.0.0.0/{length}").parse::<Cidr>(), Err(InvalidCidr), "{length:?}");
    }
}
