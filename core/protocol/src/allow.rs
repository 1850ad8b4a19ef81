//! Lists of addresses and networks: who may give orders through a socket (signals, tasks, calls of functions), who may
//! speak for others (PROXY headers). Asked by workers and gateways.

use std::net::IpAddr;

/// Addresses and networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Network>);

/// A network in CIDR notation; one address is a network of all its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    bits: u32,
}

/// Why a text is no network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AllowError {
    /// Before the slash there is no address.
    #[error("\"{0}\" is no address: give ADDRESS or ADDRESS/BITS, as 10.0.0.7 or 10.0.0.0/8")]
    Address(String),
    /// Behind the slash there is no length that fits.
    #[error("\"{text}\": the number behind the slash is from 0 to {most}")]
    Bits {
        /// the whole text
        text: String,
        /// how many bits such an address has
        most: u32,
    },
    /// Bits beyond the mask: somebody means something else than he wrote.
    #[error("\"{text}\": the address has bits outside of its mask: give {meant}")]
    Outside {
        /// the whole text
        text: String,
        /// the network it is in
        meant: String,
    },
}

impl AllowList {
    /// Adds `ADDRESS[/BITS]`, several by commas or spaces.
    ///
    /// # Errors
    /// See [`AllowError`]; then nothing of the text is added.
    pub fn add(&mut self, text: &str) -> Result<(), AllowError> {
        let parts = text.split([',', ' ', '\t']).filter(|part| !part.is_empty());
        let networks = parts.map(Network::parse).collect::<Result<Vec<_>, _>>()?;
        if networks.is_empty() {
            return Err(AllowError::Address(text.into()));
        }
        self.0.extend(networks);
        Ok(())
    }

    /// Whether nobody is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a peer may say who its client is: it is in the list, or there is none. A unix socket's peer always may.
    #[must_use]
    pub fn lets_speak(&self, peer: &str) -> bool {
        peer.is_empty() || self.is_empty() || self.names(peer)
    }

    /// Whether a peer may give orders: it is on this machine (a unix socket's peer has no address), or in the list.
    pub fn contains(&self, peer: &str) -> bool {
        if peer.is_empty() {
            return true;
        }
        let is_local = peer.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
        is_local || self.names(peer)
    }

    /// Whether the list itself names an address.
    pub fn names(&self, address: &str) -> bool {
        address.parse::<IpAddr>().is_ok_and(|ip| {
            let ip = ip.to_canonical();
            self.0.iter().any(|network| network.contains(ip))
        })
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, AllowError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| AllowError::Address(text.into()))?;
        let most = width(base);
        let bits = match bits {
            None => most,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|n| *n <= most)
                .ok_or_else(|| AllowError::Bits {
                    text: text.into(),
                    most,
                })?,
        };
        // ::ffff:10.0.0.0/104 is 10.0.0.0/8: peers are compared in their short form
        let network = match base.to_canonical() {
            short if short.is_ipv4() && base.is_ipv6() && bits >= 96 => Self {
                base: short,
                bits: bits - 96,
            },
            _ => Self { base, bits },
        };
        let first = network.first();
        if first != network.base {
            return Err(AllowError::Outside {
                text: text.into(),
                meant: format!("{first}/{}", network.bits),
            });
        }
        Ok(network)
    }

    /// The first address of the network.
    fn first(self) -> IpAddr {
        let mask = |width: u32| u128::MAX.checked_shl(width - self.bits).unwrap_or(0);
        match self.base {
            IpAddr::V4(ip) => IpAddr::V4((ip.to_bits() & mask(32) as u32).into()),
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & mask(128)).into()),
        }
    }

    fn contains(self, ip: IpAddr) -> bool {
        width(ip) == width(self.base) && Self { base: ip, ..self }.first() == self.base
    }
}

/// How many bits such an address has.
fn width(ip: IpAddr) -> u32 {
    if ip.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(text: &str) -> AllowList {
        let mut list = AllowList::default();
        list.add(text).unwrap();
        list
    }

    #[test]
    fn only_this_machine_may_without_a_list() {
        let nobody = AllowList::default();
        for here in ["", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(nobody.contains(here), "{here}");
        }
        for elsewhere in ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "bogus", "0.0.0.0"] {
            assert!(!nobody.contains(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn named_networks_may_and_their_neighbours_not() {
        let some = list("10.1.0.0/16, 192.168.7.9 fd00::/8,::ffff:172.16.0.0/108");
        for named in ["10.1.2.3", "::ffff:10.1.2.3", "192.168.7.9", "fd12::1", "172.31.0.1"] {
            assert!(some.contains(named), "{named}");
        }
        for other in ["10.2.0.0", "192.168.7.8", "fe00::1", "172.32.0.1", "bogus"] {
            assert!(!some.contains(other), "{other}");
        }
        assert!(list("0.0.0.0/0").contains("8.8.8.8") && !list("0.0.0.0/0").contains("fd00::1"));
        assert!(list("::/0").contains("fd00::1"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_its_fix() {
        let refused = |text: &str| AllowList::default().add(text).unwrap_err().to_string();
        assert!(refused("").contains("is no address"));
        assert!(refused("10.0.0").contains("is no address"));
        assert!(refused("10.0.0.0/33").contains("from 0 to 32"));
        assert!(refused("fd00::/x").contains("from 0 to 128"));
        assert!(refused("10.0.0.7/8").contains("give 10.0.0.0/8"));
        let mut whole = AllowList::default();
        assert!(whole.add("10.0.0.1,oops").is_err() && whole == AllowList::default());
    }

    proptest! {
        #[test]
        fn a_network_has_its_own_address_and_not_the_one_before_it(ip in any::<u32>(), bits in 1u32..=32) {
            let base = ip & u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            let text = |ip: u32| std::net::Ipv4Addr::from(ip).to_string();
            let some = list(&format!("{}/{bits}", text(base)));
            prop_assert!(some.contains(&text(ip)));
            let before = base.wrapping_sub(1);
            prop_assert!(!some.contains(&text(before)) || text(before).starts_with("127."));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-f:./, x]{0,30}") {
            let _ = AllowList::default().add(&text);
        }
    }
}
