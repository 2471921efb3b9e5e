//! Which addresses a connection may be made to. Source: docs/spec/egress.md#addresses.
//!
//! The rule is positive: [`classify`] answers [`AddressClass::GlobalUnicast`] only for what no row of the tables
//! below names and, for IPv6, only inside 2000::/3, the block IANA allocates global unicast addresses from.
//! Forms that carry an IPv4 address inside an IPv6 one are refused whatever they carry: the network between could
//! translate them to a place the check never saw.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use alloc::string::{String, ToString};
use serde::{Deserialize, Serialize};

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressClass {
    /// A public host: the only class that passes without an exception.
    GlobalUnicast,
    /// "This network" and the unspecified address, which Linux connects to loopback.
    Unspecified,
    /// This machine.
    Loopback,
    /// A private network.
    Private,
    /// Carrier-grade NAT, which tailnets use too.
    SharedAddressSpace,
    /// The local link, where cloud metadata services live.
    LinkLocal,
    /// The retired site-local block of IPv6.
    SiteLocal,
    /// A cloud platform's own service behind a public-looking address.
    CloudPlatform,
    /// Documentation examples.
    Documentation,
    /// Benchmarks of network devices.
    Benchmarking,
    /// Protocol assignments, anycast sinks and other special purposes.
    SpecialPurpose,
    /// Multicast groups.
    Multicast,
    /// The limited broadcast address.
    Broadcast,
    /// Reserved or not allocated to hosts.
    Reserved,
    /// An IPv6 form that carries an IPv4 address.
    EmbeddedIpv4,
}

impl AddressClass {
    /// Its name in words, as an explanation prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GlobalUnicast => "global unicast",
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::SharedAddressSpace => "shared address space (CGNAT, tailnet)",
            Self::LinkLocal => "link-local (cloud metadata)",
            Self::SiteLocal => "site-local",
            Self::CloudPlatform => "cloud platform service",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::SpecialPurpose => "special purpose",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Reserved => "reserved",
            Self::EmbeddedIpv4 => "IPv4 inside IPv6",
        }
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The class of `address`.
//= docs/spec/egress.md#addresses
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

/// A block of addresses, written `10.0.0.0/8`; the bits beyond the length must be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    base: IpAddr,
    length: u8,
}

/// The text is not a canonical block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCidr;

impl fmt::Display for InvalidCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a block of addresses such as 10.0.0.0/8 with no bit set beyond its length")
    }
}

impl core::error::Error for InvalidCidr {}

impl Cidr {
    /// The block of the first `length` bits of `base`.
    ///
    /// # Errors
    /// If the length is too large or a bit beyond it is set.
    pub fn new(base: IpAddr, length: u8) -> Result<Self, InvalidCidr> {
        let bits = if base.is_ipv4() { 32 } else { 128 };
        if length > bits || number(base) & !mask(bits, length) != 0 {
            return Err(InvalidCidr);
        }
        Ok(Self { base, length })
    }

    /// Whether `address` is in the block; the families never mix.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = if self.base.is_ipv4() { 32 } else { 128 };
        self.base.is_ipv4() == address.is_ipv4()
            && number(address) & mask(bits, self.length) == number(self.base) & mask(bits, self.length)
    }
}

impl Cidr {
    /// Whether the block is wider than any one network, so that an exception for it would leave nothing of the rule: one
    /// of a network's own kind may be open whole, any other is at most 2^16 addresses of IPv4 or one site of IPv6, and of
    /// forms that carry IPv4 inside only single addresses, for a block of them is as wide as IPv4.
    //= docs/spec/egress.md#addresses
    pub fn is_too_wide(&self) -> bool {
        let (bits, usual) = if self.base.is_ipv4() { (32, 16) } else { (128, 32) };
        if self.length == bits {
            return false;
        }
        let base = number(self.base);
        let shares = |row: u128, length: u8| base & mask(bits, length) == row & mask(bits, length);
        let mut rows = special(self.base.is_ipv4());
        let carries_ipv4 = rows.clone().any(|(row, length, class)| {
            class == AddressClass::EmbeddedIpv4 && shares(row, length.min(self.length))
        });
        let is_one_network = rows
            .any(|(row, length, class)| is_a_network(class) && length <= self.length && shares(row, length));
        carries_ipv4 || !(is_one_network || self.length >= usual)
    }
}

/// Whether addresses of this class make up networks of their owners' own.
const fn is_a_network(class: AddressClass) -> bool {
    match class {
        AddressClass::Loopback
        | AddressClass::Private
        | AddressClass::SharedAddressSpace
        | AddressClass::LinkLocal
        | AddressClass::SiteLocal => true,
        AddressClass::GlobalUnicast
        | AddressClass::Unspecified
        | AddressClass::CloudPlatform
        | AddressClass::Documentation
        | AddressClass::Benchmarking
        | AddressClass::SpecialPurpose
        | AddressClass::Multicast
        | AddressClass::Broadcast
        | AddressClass::Reserved
        | AddressClass::EmbeddedIpv4 => false,
    }
}

/// The rows of a family's table: first address, length, class.
fn special(v4: bool) -> impl Iterator<Item = (u128, u8, AddressClass)> + Clone {
    let four = SPECIAL_V4.iter().filter(move |_| v4).map(|(base, length, class)| {
        (u128::from(u32::from_be_bytes(*base)), u8::try_from(*length).unwrap_or(u8::MAX), *class)
    });
    let six = SPECIAL_V6
        .iter()
        .filter(move |_| !v4)
        .map(|(base, length, class)| (*base, u8::try_from(*length).unwrap_or(u8::MAX), *class));
    four.chain(six)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        let (base, length) = text.split_once('/').ok_or(InvalidCidr)?;
        if length.len() > 3 || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidCidr);
        }
        let base = base.parse().map_err(|_| InvalidCidr)?;
        Self::new(base, length.parse().map_err(|_| InvalidCidr)?)
    }
}

impl TryFrom<String> for Cidr {
    type Error = InvalidCidr;

    fn try_from(text: String) -> Result<Self, InvalidCidr> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// All bits set but the last `bits - length`.
fn mask(bits: u8, length: u8) -> u128 {
    let free = u32::from(bits.saturating_sub(length));
    u128::MAX.checked_shl(free).unwrap_or(0)
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    let bits = address.to_bits();
    SPECIAL_V4
        .iter()
        .find(|(base, length, _)| {
            let [a, b, c, d] = *base;
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            bits & mask == u32::from_be_bytes([a, b, c, d])
        })
        .map_or(AddressClass::GlobalUnicast, |(_, _, class)| *class)
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    let bits = address.to_bits();
    let row = SPECIAL_V6.iter().find(|(base, length, _)| {
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        bits & mask == *base
    });
    match row {
        Some((_, _, class)) => *class,
        None if bits >> 125 != 0b001 => AddressClass::Reserved,
        None if is_isatap(address) => AddressClass::EmbeddedIpv4,
        None => AddressClass::GlobalUnicast,
    }
}

/// Interface identifiers `::5efe:a.b.c.d` and `::200:5efe:a.b.c.d` tunnel to the IPv4 address they end in (RFC 5214).
fn is_isatap(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    matches!(segments[4], 0 | 0x200) && segments[5] == 0x5efe
}

/// IANA IPv4 Special-Purpose Address Registry, and what cloud platforms put behind public addresses. More specific
/// rows come first.
const SPECIAL_V4: &[([u8; 4], u32, AddressClass)] = &[
    ([255, 255, 255, 255], 32, AddressClass::Broadcast), // RFC 919
    ([168, 63, 129, 16], 32, AddressClass::CloudPlatform), // Azure's host service, by its documentation
    ([0, 0, 0, 0], 8, AddressClass::Unspecified),        // RFC 791, RFC 1122
    ([10, 0, 0, 0], 8, AddressClass::Private),           // RFC 1918
    ([100, 64, 0, 0], 10, AddressClass::SharedAddressSpace), // RFC 6598
    ([127, 0, 0, 0], 8, AddressClass::Loopback),         // RFC 1122
    ([169, 254, 0, 0], 16, AddressClass::LinkLocal),     // RFC 3927
    ([172, 16, 0, 0], 12, AddressClass::Private),        // RFC 1918
    ([192, 0, 0, 0], 24, AddressClass::SpecialPurpose),  // RFC 6890 and its assignments
    ([192, 0, 2, 0], 24, AddressClass::Documentation),   // RFC 5737
    ([192, 31, 196, 0], 24, AddressClass::SpecialPurpose), // RFC 7535, AS112
    ([192, 52, 193, 0], 24, AddressClass::SpecialPurpose), // RFC 7450, AMT
    ([192, 88, 99, 0], 24, AddressClass::SpecialPurpose), // RFC 7526, retired 6to4 relays
    ([192, 168, 0, 0], 16, AddressClass::Private),       // RFC 1918
    ([192, 175, 48, 0], 24, AddressClass::SpecialPurpose), // RFC 7534, AS112
    ([198, 18, 0, 0], 15, AddressClass::Benchmarking),   // RFC 2544
    ([198, 51, 100, 0], 24, AddressClass::Documentation), // RFC 5737
    ([203, 0, 113, 0], 24, AddressClass::Documentation), // RFC 5737
    ([224, 0, 0, 0], 4, AddressClass::Multicast),        // RFC 5771
    ([240, 0, 0, 0], 4, AddressClass::Reserved),         // RFC 1112
];

/// IANA IPv6 Special-Purpose Address Registry. Outside 2000::/3 nothing passes; the rows there only name the class.
const SPECIAL_V6: &[(u128, u32, AddressClass)] = &[
    (0, 128, AddressClass::Unspecified),                             // RFC 4291
    (1, 128, AddressClass::Loopback),                                // RFC 4291
    (0xffff << 32, 96, AddressClass::EmbeddedIpv4),                  // RFC 4291, mapped
    (0xffff << 48, 96, AddressClass::EmbeddedIpv4),                  // RFC 2765, translated
    (0, 96, AddressClass::EmbeddedIpv4),                             // RFC 4291, compatible
    (0x0064_ff9b << 96, 96, AddressClass::EmbeddedIpv4),             // RFC 6052, NAT64
    (0x0064_ff9b_0001 << 80, 48, AddressClass::EmbeddedIpv4),        // RFC 8215, local NAT64
    (0x0100 << 112, 64, AddressClass::SpecialPurpose),               // RFC 6666, discard
    (0x0100_0000_0000_0001 << 64, 64, AddressClass::SpecialPurpose), // RFC 9780, dummy prefix
    (0x2001 << 112, 32, AddressClass::EmbeddedIpv4),                 // RFC 4380, Teredo
    (0x2001_0002 << 96, 48, AddressClass::Benchmarking),             // RFC 5180
    (0x2001 << 112, 23, AddressClass::SpecialPurpose),               // RFC 2928 and its assignments
    (0x2001_0db8 << 96, 32, AddressClass::Documentation),            // RFC 3849
    (0x2002 << 112, 16, AddressClass::EmbeddedIpv4),                 // RFC 3056, 6to4
    (0x2620_004f_8000 << 80, 48, AddressClass::SpecialPurpose),      // RFC 7534, AS112
    (0x3ffe << 112, 16, AddressClass::Reserved),                     // RFC 3701, retired 6bone
    (0x3fff << 112, 20, AddressClass::Documentation),                // RFC 9637
    (0x5f00 << 112, 16, AddressClass::SpecialPurpose),               // RFC 9602, segment identifiers
    (0xfc00 << 112, 7, AddressClass::Private),                       // RFC 4193, unique local
    (0xfe80 << 112, 10, AddressClass::LinkLocal),                    // RFC 4291
    (0xfec0 << 112, 10, AddressClass::SiteLocal),                    // RFC 3879
    (0xff00 << 112, 8, AddressClass::Multicast),                     // RFC 4291
];
