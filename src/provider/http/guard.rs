//! Which addresses requests may go to whose URL is in a row, of webhooks and push messages. Whoever may write rows
//! chooses it, so without this they could reach
//! what only this machine reaches: a metadata service, a database's console, a neighbour in the network.
//!
//! A name is resolved here, the addresses are checked, and the connection is made to those that were checked: a
//! second resolution could give others.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What is allowed in addition to public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    hosts: Vec<String>,
    networks: Vec<Network>,
}

/// An address and how many of its first bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

/// A text that is no list of hosts and networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "host names, addresses and networks, like `jobs.internal, 10.1.0.0/16`; {0:?} is none of these"
)]
pub struct AllowedError(String);

impl FromStr for Allowed {
    type Err = AllowedError;

    /// Entries are separated by commas or white space.
    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let mut allowed = Self::default();
        let entries = text.split(|c: char| c == ',' || c.is_whitespace());
        for entry in entries.filter(|entry| !entry.is_empty()) {
            if let Some(network) = Network::parse(entry) {
                allowed.networks.push(network);
            } else if is_host(entry) {
                allowed.hosts.push(plain(entry));
            } else {
                return Err(AllowedError(entry.to_owned()));
            }
        }
        Ok(allowed)
    }
}

/// As it is parsed.
impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks.iter().map(ToString::to_string);
        let all: Vec<_> = self.hosts.iter().cloned().chain(networks).collect();
        f.write_str(&all.join(", "))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Not what would be a URL, a port or a mistyped address.
fn is_host(text: &str) -> bool {
    let is_inside = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    text.bytes().all(is_inside) && text.bytes().any(|b| b.is_ascii_alphabetic())
}

/// In lower case and without the dot of the root.
fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most)?,
            None => most,
        };
        Some(Self { address, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= self.bits
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

/// A request is not made because of where it would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its host has only addresses of this machine or of private networks; if it may be called, add it to \
     PUNCTUAL_WEBHOOK_ALLOW, or for push messages to PUNCTUAL_PUSH_ALLOW"
)]
pub(in crate::provider) struct NotAllowed;

impl Allowed {
    /// Whether it leaves nothing out, which is hardly meant.
    pub fn has_everything(&self) -> bool {
        self.networks.iter().any(|network| network.bits == 0)
    }

    fn has_host(&self, host: &str) -> bool {
        !self.hosts.is_empty() && self.hosts.contains(&plain(host))
    }

    fn has(&self, address: IpAddr) -> bool {
        let plain = unmapped(address);
        is_public(plain) || self.networks.iter().any(|network| network.contains(plain))
    }

    /// Checks a URL whose host is an address: that is not resolved.
    pub(in crate::provider) fn check(&self, url: &Url) -> Result<(), NotAllowed> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if self.has(address) {
            Ok(())
        } else {
            Err(NotAllowed)
        }
    }
}

/// Resolves names to addresses that are allowed.
pub(super) struct Resolver(pub(super) Arc<Allowed>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            // The port of the URL takes the place of this one.
            let found = tokio::net::lookup_host((host, 0)).await?;
            let any = allowed.has_host(host);
            let usable = found.filter(|found| any || allowed.has(found.ip()));
            let usable: Vec<SocketAddr> = usable.collect();
            if usable.is_empty() {
                return Err(NotAllowed.into());
            }
            let addrs: Addrs = Box::new(usable.into_iter());
            Ok(addrs)
        })
    }
}

/// The prefixes before an IPv4 address: `::ffff:0:0/96`, IPv4 written as IPv6, and `64:ff9b::/96`, which NAT64
/// translates (RFC 6052).
const V4_INSIDE: [u128; 2] = [0xffff, 0x64_ff9b << 64];

/// 6to4 (RFC 3056): the address follows the prefix.
const SIX_TO_FOUR: u128 = 0x2002;

/// The IPv4 address that an IPv6 address has inside, where a connection to it goes there; else itself.
fn unmapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let bits = v6.to_bits();
    let v4 = |bits: u128| {
        let low = u32::try_from(bits & u128::from(u32::MAX));
        IpAddr::V4(Ipv4Addr::from_bits(low.unwrap_or_default()))
    };
    if V4_INSIDE.contains(&(bits >> 32)) {
        v4(bits)
    } else if bits >> 112 == SIX_TO_FOUR {
        v4(bits >> 80)
    } else {
        address
    }
}

/// Whether an address is one of the internet, by the registries of special addresses of IANA. What is not known to
/// be one is none.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Networks of IPv4 that are not the internet: the first address, and how many bits count.
const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    // This network.
    (Ipv4Addr::UNSPECIFIED, 8),
    // Private.
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Shared by customers of a provider.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback.
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, where clouds have their metadata.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Of protocols.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // The former 6to4 relays.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    // Measurements between networks.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Documentation.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast; reserved, with broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.into_iter().any(|(first, bits)| {
        let address = IpAddr::V4(address);
        let first = IpAddr::V4(first);
        Network {
            address: first,
            bits,
        }
        .contains(address)
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // 2000::/3 is all that is given to the internet.
    let special = match (a, b) {
        // Of protocols (Teredo too), and documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0x0fff) => true,
        _ => false,
    };
    (0x2000..=0x3fff).contains(&a) && !special
}

#[cfg(test)]
mod tests;
