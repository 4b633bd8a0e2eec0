//! From which addresses a rule lets clients in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressMatch {
    /// Every address.
    All,
    /// Any address of this machine.
    SameHost,
    /// Any address in a network that this machine is in.
    SameNet,
    /// A network: an address belongs to it if it equals the first under the bits of the second, which is of the
    /// same family.
    Network(IpAddr, IpAddr),
}

/// One address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The address.
    pub address: IpAddr,
    /// The leading bits that its network shares; at most 32 or 128.
    pub prefix: u8,
}

impl AddressMatch {
    /// Whether the address is one of these. An IPv4 client of an IPv6 socket counts as IPv4.
    pub fn matches(&self, address: IpAddr, interfaces: &[Interface]) -> bool {
        let address = address.to_canonical();
        match self {
            Self::All => true,
            Self::SameHost => interfaces.iter().any(|own| own.address.to_canonical() == address),
            Self::SameNet => interfaces.iter().any(|own| {
                let own_address = own.address.to_canonical();
                mask(own_address, own.prefix).is_some_and(|mask| within(address, own_address, mask))
            }),
            Self::Network(network, mask) => within(address, *network, *mask),
        }
    }

    /// Reads `10.0.0.0/8`; `None` if it is not that.
    pub(crate) fn cidr(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self::Network(address, mask(address, prefix.parse().ok()?)?))
    }
}

/// The mask of this many leading bits for the family of an address.
fn mask(family: IpAddr, prefix: u8) -> Option<IpAddr> {
    let prefix = u32::from(prefix);
    match family {
        IpAddr::V4(_) if prefix <= 32 => {
            let bits = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            Some(IpAddr::V4(Ipv4Addr::from_bits(bits)))
        }
        IpAddr::V6(_) if prefix <= 128 => {
            let bits = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            Some(IpAddr::V6(Ipv6Addr::from_bits(bits)))
        }
        _ => None,
    }
}

fn within(address: IpAddr, network: IpAddr, mask: IpAddr) -> bool {
    match (address, network, mask) {
        (IpAddr::V4(address), IpAddr::V4(network), IpAddr::V4(mask)) => {
            (address.to_bits() ^ network.to_bits()) & mask.to_bits() == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network), IpAddr::V6(mask)) => {
            (address.to_bits() ^ network.to_bits()) & mask.to_bits() == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_the_addresses_that_share_its_leading_bits() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("192.168.1.7/32", "192.168.1.7", true),
            ("192.168.1.7/32", "192.168.1.8", false),
            ("::/0", "::1", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
        ];
        for (network, address, expected) in cases {
            let network = AddressMatch::cidr(network).unwrap();
            assert_eq!(network.matches(ip(address), &[]), expected, "{network:?} {address}");
        }
        for text in ["10.0.0.0", "10.0.0.0/33", "::/129", "10/8", "a/8", "10.0.0.0/", "10.0.0.0/+8"]
        {
            assert_eq!(AddressMatch::cidr(text), None, "{text}");
        }
    }

    #[test]
    fn samehost_and_samenet_look_at_the_machines_own_addresses() {
        let own = [
            Interface { address: ip("192.168.1.7"), prefix: 24 },
            Interface { address: ip("fe80::7"), prefix: 64 },
        ];
        assert!(AddressMatch::SameHost.matches(ip("192.168.1.7"), &own));
        assert!(!AddressMatch::SameHost.matches(ip("192.168.1.8"), &own));
        assert!(AddressMatch::SameNet.matches(ip("192.168.1.8"), &own));
        assert!(AddressMatch::SameNet.matches(ip("fe80::1:2"), &own));
        assert!(!AddressMatch::SameNet.matches(ip("192.168.2.8"), &own));
        assert!(!AddressMatch::SameNet.matches(ip("192.168.1.8"), &[]));
    }
}
