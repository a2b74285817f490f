//! Which addresses may be dialled.
//!
//! A host name is only as trustworthy as whoever answers for it, so every resolved address is
//! classified before it is used. IPv6 has many ways to write an IPv4 address; all of them classify
//! as the address inside, since some router or translator will deliver them there.
//!
//! INVARIANT: [`Class::Metadata`] is refused whatever a grant says. [`Class::Special`] is refused
//! unless a grant names the address. In IPv6 only 2000::/3 can be public: what IANA has not handed
//! out needs a grant too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// What an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The public internet.
    Public,
    /// Somewhere only an operator's grant may lead.
    Special(Special),
    /// A cloud's metadata or credential service: it answers to whoever can reach it, with the
    /// credentials of the machine.
    Metadata,
}

/// Why an address is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// 0.0.0.0/8 and `::`: this host.
    ThisNetwork,
    /// 127.0.0.0/8 and `::1`.
    Loopback,
    /// RFC 1918 and fc00::/7.
    Private,
    /// 100.64.0.0/10, shared by carriers.
    Shared,
    /// 169.254.0.0/16 and fe80::/10.
    LinkLocal,
    /// Addresses for examples.
    Documentation,
    /// 198.18.0.0/15 and 2001:2::/48.
    Benchmark,
    /// 224.0.0.0/4 and ff00::/8.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// Assigned to protocols, or to nobody.
    Reserved,
}

impl Class {
    /// The name in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Metadata => "metadata",
            Self::Special(special) => special.as_str(),
        }
    }
}

impl Special {
    /// The name in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ThisNetwork => "this network",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Shared => "shared",
            Self::LinkLocal => "link-local",
            Self::Documentation => "documentation",
            Self::Benchmark => "benchmark",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Reserved => "reserved",
        }
    }
}

/// An address that may be dialled. Only [`check`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked(IpAddr);

impl Checked {
    /// The address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.0
    }
}

/// Checks one address against the networks that a grant names.
///
/// # Errors
/// The [`Class`] because of which the address is refused.
pub fn check(address: IpAddr, granted: &[IpNet]) -> Result<Checked, Class> {
    let named = || granted.iter().any(|net| net.contains(&address) || holds_inner(net, address));
    match classify(address) {
        Class::Public => Ok(Checked(address)),
        Class::Special(_) if named() => Ok(Checked(address)),
        refused @ (Class::Special(_) | Class::Metadata) => Err(refused),
    }
}

fn holds_inner(net: &IpNet, address: IpAddr) -> bool {
    let IpAddr::V6(outer) = address else { return false };
    embedded(outer).is_some_and(|inner| net.contains(&IpAddr::V4(inner)))
}

/// What `address` leads to.
#[must_use]
pub fn classify(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

/// Metadata and credential services that live at link-local, shared or public addresses: AWS (also
/// of its containers and pods), Google, Azure, Oracle, Alibaba, Tencent, Scaleway.
fn is_metadata_v4(octets: [u8; 4]) -> bool {
    match octets {
        [169, 254, 169 | 170, _] => true,
        [169, 254, 42, 42] | [169, 254, 0, 23] => true,
        [192, 0, 0, 192] | [100, 100, 100, 200] | [168, 63, 129, 16] => true,
        [_, _, _, _] => false,
    }
}

fn classify_v4(address: Ipv4Addr) -> Class {
    let octets = address.octets();
    if is_metadata_v4(octets) {
        return Class::Metadata;
    }
    let special = match octets {
        [0, ..] => Special::ThisNetwork,
        [127, ..] => Special::Loopback,
        [10, ..] | [192, 168, ..] => Special::Private,
        [172, second, ..] if second & 0xf0 == 16 => Special::Private,
        [100, second, ..] if second & 0xc0 == 64 => Special::Shared,
        [169, 254, ..] => Special::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Special::Documentation,
        [198, 18 | 19, ..] => Special::Benchmark,
        [192, 0, 0, _] | [192, 88, 99, _] => Special::Reserved,
        [255, 255, 255, 255] => Special::Broadcast,
        [first, ..] if first & 0xf0 == 224 => Special::Multicast,
        [first, ..] if first & 0xf0 == 240 => Special::Reserved,
        [_, _, _, _] => return Class::Public,
    };
    Class::Special(special)
}

fn is_metadata_v6(segments: [u16; 8]) -> bool {
    match segments {
        // fd00:ec2::/32: AWS puts its instance and pod services there.
        [0xfd00, 0x0ec2, ..] => true,
        [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => true,
        [0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042] => true,
        [..] => false,
    }
}

fn classify_v6(address: Ipv6Addr) -> Class {
    let segments = address.segments();
    if is_metadata_v6(segments) {
        return Class::Metadata;
    }
    if let Some(inner) = embedded(address) {
        return classify_v4(inner);
    }
    let special = match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Special::ThisNetwork,
        [0, 0, 0, 0, 0, 0, 0, 1] => Special::Loopback,
        [first, ..] if first & 0xfe00 == 0xfc00 => Special::Private,
        [first, ..] if first & 0xffc0 == 0xfe80 => Special::LinkLocal,
        [first, ..] if first & 0xff00 == 0xff00 => Special::Multicast,
        [0x2001, 0x0db8, ..] => Special::Documentation,
        [0x3fff, second, ..] if second & 0xf000 == 0 => Special::Documentation,
        [0x2001, 0x0002, 0, ..] => Special::Benchmark,
        // 2001::/23: Teredo, ORCHID and other protocols.
        [0x2001, second, ..] if second & 0xfe00 == 0 => Special::Reserved,
        [first, ..] if first & 0xe000 == 0x2000 => return Class::Public,
        [..] => Special::Reserved,
    };
    Class::Special(special)
}

/// The IPv4 address to which an IPv6 address will be translated, if it is of a form that is:
/// mapped, compatible, translated (SIIT), NAT64 (well-known and local prefix), 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // `::` and `::1` look like compatible addresses and are not.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => join(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => join(high, low),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => join(high, low),
        // 64:ff9b:1::/48 of RFC 8215, with the address in the last 32 bits.
        [0x0064, 0xff9b, 1, _, _, _, high, low] => join(high, low),
        [0x2002, high, low, ..] => join(high, low),
        [..] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn class(text: &str) -> Class {
        classify(text.parse().unwrap())
    }

    #[test]
    fn every_range_classifies_at_both_its_ends() {
        use Class::{Metadata as M, Public as P, Special as S};
        use Special as K;
        let table: &[(Class, &[&str])] = &[
            (S(K::ThisNetwork), &["0.0.0.0", "0.255.255.255", "::"]),
            (S(K::Loopback), &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"]),
            (S(K::Private), &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255"]),
            (S(K::Private), &["192.168.0.0", "192.168.255.255", "fc00::", "fdff:ffff::1"]),
            (S(K::Shared), &["100.64.0.0", "100.127.255.255"]),
            (S(K::LinkLocal), &["169.254.0.0", "169.254.255.255", "fe80::", "febf::1"]),
            (S(K::Documentation), &["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::"]),
            (S(K::Documentation), &["3fff::", "3fff:fff:ffff::"]),
            (S(K::Benchmark), &["198.18.0.0", "198.19.255.255", "2001:2::1"]),
            (S(K::Multicast), &["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1"]),
            (S(K::Broadcast), &["255.255.255.255"]),
            (S(K::Reserved), &["240.0.0.0", "255.255.255.254", "192.0.0.0", "192.88.99.1"]),
            (S(K::Reserved), &["2001::", "2001:1ff:ffff::", "4000::", "fec0::1", "100::1"]),
            (S(K::Reserved), &["64:ff9b:2::1", "5f00::1", "fe00::1"]),
            (M, &["169.254.169.254", "169.254.169.253", "169.254.170.2", "169.254.170.23"]),
            (M, &["169.254.42.42", "169.254.0.23", "192.0.0.192", "100.100.100.200"]),
            (M, &["168.63.129.16", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"]),
            (M, &["fd00:42::42"]),
            (P, &["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0"]),
            (P, &["126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0"]),
            (P, &["172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0"]),
            (P, &["192.0.1.0", "192.0.3.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"]),
            (P, &["168.63.129.17", "2001:200::1", "2600::1", "2003::1", "3ffe::1", "3fff:1000::"]),
        ];
        for (expected, texts) in table {
            for text in *texts {
                assert_eq!(class(text), *expected, "{text}");
            }
        }
    }

    /// Every way to write `inner` as an IPv6 address.
    fn disguises(inner: Ipv4Addr) -> Vec<Ipv6Addr> {
        let [a, b, c, d] = inner.octets().map(u16::from);
        let (high, low) = (a << 8 | b, c << 8 | d);
        vec![
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 1, 7, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        ]
    }

    #[test]
    fn metadata_is_refused_in_every_disguise_though_everything_is_granted() {
        let all = ["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        for text in ["169.254.169.254", "192.0.0.192", "100.100.100.200", "168.63.129.16"] {
            let inner: Ipv4Addr = text.parse().unwrap();
            assert_eq!(check(IpAddr::V4(inner), &all), Err(Class::Metadata), "{text}");
            for outer in disguises(inner) {
                assert_eq!(check(IpAddr::V6(outer), &all), Err(Class::Metadata), "{outer}");
            }
        }
        assert_eq!(check("fd00:ec2::254".parse().unwrap(), &all), Err(Class::Metadata));
    }

    #[test]
    fn a_grant_of_the_inner_address_covers_its_disguises_and_no_other_address() {
        let granted = ["127.0.0.0/8".parse().unwrap()];
        for outer in disguises(Ipv4Addr::LOCALHOST).into_iter().map(IpAddr::V6) {
            assert!(check(outer, &granted).is_ok(), "{outer}");
            assert_eq!(check(outer, &[]), Err(Class::Special(Special::Loopback)), "{outer}");
        }
        for other in ["10.0.0.1", "::1", "0.0.0.0"] {
            assert!(check(other.parse().unwrap(), &granted).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_disguise_classifies_as_the_address_inside(bits: u32) {
            let inner = Ipv4Addr::from_bits(bits);
            // ::0.0.0.0 and ::0.0.0.1 are IPv6's own unspecified and loopback addresses.
            prop_assume!(bits > 1);
            for outer in disguises(inner) {
                prop_assert_eq!(classify(IpAddr::V6(outer)), classify(IpAddr::V4(inner)));
            }
        }
    }
}
