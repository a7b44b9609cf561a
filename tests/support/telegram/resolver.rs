//! The server's cache of names and its checks of addresses (reference/telegram.md section 1.2).

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ipnet::Ipv4Net;
use tokio::time::Instant;

use super::network::Network;

const KEEP_SUCCESS: Duration = Duration::from_mins(29);
const KEEP_FAILURE: Duration = Duration::from_mins(5);
const RESERVED: [&str; 14] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
];

/// Why an address can't be used; the text follows `Bad Request: bad webhook: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("Invalid IP address specified")]
    Invalid,
    #[error("IPv6-only addresses are not allowed")]
    Ipv6Only,
    #[error("IP address {0} is reserved")]
    Reserved(Ipv4Addr),
    #[error("Failed to resolve host: {0}")]
    Unresolved(String),
}

/// What was found, and until when that holds.
type Cache = HashMap<String, (Instant, Result<IpAddr, AddressError>)>;

/// Looks names up, and remembers what it found or didn't find.
#[derive(Debug, Default)]
pub struct Resolver {
    cache: Mutex<Cache>,
}

impl Resolver {
    /// The address of a host.
    pub async fn resolve(&self, network: &dyn Network, host: &str) -> Result<IpAddr, AddressError> {
        if let Ok(literal) = host.trim_matches(['[', ']']).parse() {
            return Ok(literal);
        }
        let now = Instant::now();
        if let Some((until, known)) = self.lock().get(host)
            && now < *until
        {
            return known.clone();
        }
        let found = match network.resolve(host).await {
            Ok(addresses) => addresses
                .iter()
                .find(|address| address.is_ipv4())
                .or_else(|| addresses.first())
                .copied()
                .ok_or_else(|| AddressError::Unresolved("No address associated with hostname".to_owned())),
            Err(reason) => Err(AddressError::Unresolved(reason)),
        };
        let keep = if found.is_ok() { KEEP_SUCCESS } else { KEEP_FAILURE };
        self.lock().insert(host.to_owned(), (now + keep, found.clone()));
        found
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the server may connect there. With `--local` it may connect anywhere.
pub fn check(address: IpAddr, local: bool) -> Result<IpAddr, AddressError> {
    match address {
        _ if local => Ok(address),
        IpAddr::V6(_) => Err(AddressError::Ipv6Only),
        IpAddr::V4(v4) if is_reserved(v4) => Err(AddressError::Reserved(v4)),
        IpAddr::V4(_) => Ok(address),
    }
}

fn is_reserved(address: Ipv4Addr) -> bool {
    RESERVED.iter().filter_map(|range| range.parse::<Ipv4Net>().ok()).any(|range| range.contains(&address))
}
