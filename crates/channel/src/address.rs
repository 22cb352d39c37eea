//! Which addresses may be called. Judges the *resolved* address, so that a name pointing inwards is caught as well.
//!
//! Pure: looks nothing up. What carries another address inside (IPv4-mapped, NAT64, 6to4) is judged by what it carries.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use thiserror::Error;

/// Why an address is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blocked {
    /// Stands for "any address of this machine".
    Unspecified,
    /// This machine.
    Loopback,
    /// A private network.
    Private,
    /// Shared by a carrier's customers (CGNAT).
    Shared,
    /// Only valid on the local link.
    LinkLocal,
    /// Where clouds hand out an instance's credentials.
    Metadata,
    /// A group, not a machine.
    Multicast,
    /// Documentation, benchmarking, protocol assignments, and what is not in use.
    Reserved,
}

impl Blocked {
    /// For people: completes "is ...".
    pub const fn describe(self) -> &'static str {
        match self {
            Blocked::Unspecified => "the unspecified address",
            Blocked::Loopback => "a loopback address",
            Blocked::Private => "in a private network",
            Blocked::Shared => "in a carrier's shared network",
            Blocked::LinkLocal => "a link-local address",
            Blocked::Metadata => "a cloud's metadata service",
            Blocked::Multicast => "a multicast address",
            Blocked::Reserved => "in a reserved range",
        }
    }
}

/// Which of the otherwise blocked networks may be called (`[server] allow_private_networks`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedNetworks {
    /// These. A metadata service must be named by itself (`169.254.169.254/32`); a wider network does not open it.
    Listed(Vec<IpNet>),
    /// All but metadata services.
    All,
}

impl Default for AllowedNetworks {
    fn default() -> Self {
        AllowedNetworks::Listed(Vec::new())
    }
}

/// The text that is not a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a network; write one like 10.0.0.0/8 or fd00::/8, a single address, or `all`")]
pub struct BadNetworks(pub String);

impl FromStr for AllowedNetworks {
    type Err = BadNetworks;

    /// Reads `all`, or networks and addresses separated by commas.
    fn from_str(text: &str) -> Result<Self, BadNetworks> {
        if text.trim() == "all" {
            return Ok(AllowedNetworks::All);
        }
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(read_network).collect::<Result<_, _>>().map(AllowedNetworks::Listed)
    }
}

fn read_network(text: &str) -> Result<IpNet, BadNetworks> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address).ok_or_else(|| BadNetworks(text.to_owned()))
}

/// Judges addresses before they are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressGuard {
    allowed: AllowedNetworks,
}

impl AddressGuard {
    /// A guard that lets public addresses and `allowed` pass.
    pub fn new(allowed: AllowedNetworks) -> Self {
        AddressGuard { allowed }
    }

    /// Why this address must not be called; `None` where it may.
    pub fn check(&self, address: IpAddr) -> Option<Blocked> {
        let inner = embedded(address).map(IpAddr::V4);
        let why = inner.map_or_else(|| classify(address), classify)?;
        let judged = [Some(address), inner];
        let is_allowed = match (&self.allowed, why) {
            (AllowedNetworks::All, _) => why != Blocked::Metadata,
            (AllowedNetworks::Listed(networks), _) => {
                judged.into_iter().flatten().any(|ip| networks.iter().any(|net| opens(net, &ip, why)))
            }
        };
        (!is_allowed).then_some(why)
    }
}

fn opens(network: &IpNet, address: &IpAddr, why: Blocked) -> bool {
    network.contains(address) && (why != Blocked::Metadata || network.prefix_len() == network.max_prefix_len())
}

/// The IPv4 address that traffic to this address ends at, where it carries one.
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let [a, b, c, d, e, f, g, h] = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b, c, d, e, f) {
        // IPv4-mapped, IPv4-translated, NAT64.
        (0, 0, 0, 0, 0, 0xffff) | (0, 0, 0, 0, 0xffff, 0) | (0x64, 0xff9b, 0, 0, 0, 0) => Some(join(g, h)),
        // IPv4-compatible (long out of use), but for `::` and `::1`.
        (0, 0, 0, 0, 0, 0) if (g, h) > (0, 1) => Some(join(g, h)),
        // 6to4.
        (0x2002, ..) => Some(join(b, c)),
        _ => None,
    }
}

fn classify(address: IpAddr) -> Option<Blocked> {
    if METADATA.contains(&address) {
        return Some(Blocked::Metadata);
    }
    match address {
        IpAddr::V4(address) => {
            let bits = u32::from(address);
            V4.iter().find(|(net, len, _)| bits >> (32 - len) == u32::from(*net) >> (32 - len)).map(|(.., why)| *why)
        }
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            let inside =
                |(net, len, _): &&(Ipv6Addr, u32, Blocked)| bits >> (128 - len) == u128::from(*net) >> (128 - len);
            let named = V6.iter().find(inside).map(|(.., why)| *why);
            // Only 2000::/3 is given out for public use.
            named.or((bits >> 125 != 1).then_some(Blocked::Reserved))
        }
    }
}

const METADATA: [IpAddr; 9] = [
    v4(169, 254, 169, 254),
    v4(169, 254, 170, 2),
    v4(169, 254, 170, 23),
    v4(100, 100, 100, 200),
    v4(192, 0, 0, 192),
    v4(168, 63, 129, 16),
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]),
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23]),
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(s: [u16; 8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]))
}

/// IANA's special-purpose registry for IPv4, as far as it is not globally reachable.
const V4: [(Ipv4Addr, u32, Blocked); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, Blocked::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Blocked::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Blocked::Shared),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Blocked::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Blocked::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Blocked::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Blocked::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Blocked::Reserved),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Blocked::Reserved),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Blocked::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Blocked::Reserved),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Blocked::Reserved),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Blocked::Reserved),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Blocked::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Blocked::Reserved),
];

/// The same for IPv6; what lies outside 2000::/3 is reserved where it is not named here.
const V6: [(Ipv6Addr, u32, Blocked); 8] = [
    (Ipv6Addr::UNSPECIFIED, 128, Blocked::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, Blocked::Loopback),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Blocked::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, Blocked::LinkLocal),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, Blocked::Multicast),
    // Protocol assignments: Teredo, benchmarking, ORCHID and others.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Blocked::Reserved),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, Blocked::Reserved),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Blocked::Reserved),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &AddressGuard, address: &str) -> Option<Blocked> {
        guard.check(address.parse().unwrap())
    }

    fn allowing(networks: &str) -> AddressGuard {
        AddressGuard::new(networks.parse().unwrap())
    }

    #[test]
    fn every_blocked_network_is_blocked_from_its_first_address_to_its_last() {
        let guard = AddressGuard::default();
        let table = [
            ("0.0.0.0", "0.255.255.255", Blocked::Unspecified),
            ("10.0.0.0", "10.255.255.255", Blocked::Private),
            ("100.64.0.0", "100.127.255.255", Blocked::Shared),
            ("127.0.0.0", "127.255.255.255", Blocked::Loopback),
            ("169.254.0.0", "169.254.255.255", Blocked::LinkLocal),
            ("172.16.0.0", "172.31.255.255", Blocked::Private),
            ("192.0.0.0", "192.0.0.255", Blocked::Reserved),
            ("192.0.2.0", "192.0.2.255", Blocked::Reserved),
            ("192.88.99.0", "192.88.99.255", Blocked::Reserved),
            ("192.168.0.0", "192.168.255.255", Blocked::Private),
            ("198.18.0.0", "198.19.255.255", Blocked::Reserved),
            ("198.51.100.0", "198.51.100.255", Blocked::Reserved),
            ("203.0.113.0", "203.0.113.255", Blocked::Reserved),
            ("224.0.0.0", "239.255.255.255", Blocked::Multicast),
            ("240.0.0.0", "255.255.255.255", Blocked::Reserved),
            ("::", "::", Blocked::Unspecified),
            ("::1", "::1", Blocked::Loopback),
            ("100::", "100::ffff:ffff:ffff:ffff", Blocked::Reserved),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Blocked::Reserved),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Blocked::Reserved),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Blocked::Reserved),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Blocked::Reserved),
            ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Blocked::Reserved),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Blocked::Private),
            ("fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Blocked::Reserved),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Blocked::LinkLocal),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Blocked::Reserved),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Blocked::Multicast),
        ];
        for (first, last, why) in table {
            assert_eq!(check(&guard, first), Some(why), "{first}");
            assert_eq!(check(&guard, last), Some(why), "{last}");
        }
    }

    #[test]
    fn the_neighbours_of_blocked_networks_are_free() {
        let guard = AddressGuard::default();
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "8.8.8.8",
            "2000::",
            "2000:ffff::1",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2606:4700::1111",
            "3ffe:ffff::",
            "3fff:1000::",
            "2003::",
        ] {
            assert_eq!(check(&guard, address), None, "{address}");
        }
    }

    #[test]
    fn metadata_services_are_named_and_only_an_exact_network_opens_them() {
        for address in METADATA {
            assert_eq!(AddressGuard::default().check(address), Some(Blocked::Metadata), "{address}");
            assert_eq!(AddressGuard::new(AllowedNetworks::All).check(address), Some(Blocked::Metadata), "{address}");
            let exact = AllowedNetworks::Listed(vec![address.into()]);
            assert_eq!(AddressGuard::new(exact).check(address), None, "{address}");
        }
        assert_eq!(check(&allowing("169.254.0.0/16"), "169.254.169.254"), Some(Blocked::Metadata));
        assert_eq!(check(&allowing("169.254.0.0/16"), "169.254.1.1"), None);
        assert_eq!(check(&allowing("fc00::/7"), "fd00:ec2::254"), Some(Blocked::Metadata));
    }

    #[test]
    fn what_carries_another_address_is_judged_by_it() {
        let guard = AddressGuard::default();
        for (carried, why) in [
            ("127.0.0.1", Some(Blocked::Loopback)),
            ("10.1.2.3", Some(Blocked::Private)),
            ("169.254.169.254", Some(Blocked::Metadata)),
            ("0.0.0.0", Some(Blocked::Unspecified)),
            ("224.0.0.1", Some(Blocked::Multicast)),
            ("8.8.8.8", None),
        ] {
            let [a, b, c, d] = carried.parse::<Ipv4Addr>().unwrap().octets();
            for outer in [
                format!("::ffff:{carried}"),
                format!("::ffff:0:{carried}"),
                format!("64:ff9b::{carried}"),
                format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"),
            ] {
                assert_eq!(check(&guard, &outer), why, "{outer}");
            }
        }
        assert_eq!(check(&guard, "::10.0.0.1"), Some(Blocked::Private));
        assert_eq!(check(&guard, "::0.0.0.2"), Some(Blocked::Unspecified));
    }

    #[test]
    fn allowed_networks_open_themselves_and_nothing_else() {
        let guard = allowing("127.0.0.0/8, ::1, fd00::/8");
        for open in ["127.0.0.1", "127.255.0.9", "::1", "fd12::1", "::ffff:127.0.0.1", "8.8.8.8"] {
            assert_eq!(check(&guard, open), None, "{open}");
        }
        for shut in ["10.0.0.1", "fc00::1", "169.254.169.254", "::ffff:10.0.0.1"] {
            assert!(check(&guard, shut).is_some(), "{shut}");
        }
        for open in ["10.0.0.1", "127.0.0.1", "::1", "fe80::1"] {
            assert_eq!(check(&allowing("all"), open), None, "{open}");
        }
        assert_eq!(check(&allowing("::ffff:10.0.0.0/104"), "::ffff:10.0.0.1"), None);
    }

    #[test]
    fn networks_are_read_or_refused_by_name() {
        assert_eq!("".parse(), Ok(AllowedNetworks::default()));
        assert_eq!("10.0.0.0/8,nonsense".parse::<AllowedNetworks>(), Err(BadNetworks("nonsense".to_owned())));
        assert!("10.0.0.0/33".parse::<AllowedNetworks>().is_err());
    }
}
