//! Bans that several sidecars share, so that whom one has banned finds no open door at the next.

use std::{net::IpAddr, time::SystemTime};

use crate::address::{self, AddressKey};

/// Tells other sidecars of bans, and hears of theirs.
pub trait Exchange: Send + Sync + 'static {
    type Error: std::error::Error + Send + Sync + 'static;

    /// Tells of a ban; it replaces a former one of the client.
    fn ban(&self, ban: SharedBan) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Tells that a client is banned no more.
    fn lift(&self, client: AddressKey) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// All bans that are in force, of this sidecar and the others, if anything has changed since this was last asked.
    fn changed(&self) -> impl Future<Output = Result<Option<Vec<SharedBan>>, Self::Error>> + Send;
}

/// A ban, as sidecars tell each other of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedBan {
    pub client: AddressKey,
    pub failures: u32,
    /// To the millisecond.
    pub until: SystemTime,
}

/// The client that is written as [`AddressKey`] shows it.
pub fn client(text: &str) -> Option<AddressKey> {
    let address: IpAddr = text.strip_suffix("/64").unwrap_or(text).parse().ok()?;
    let client = address::key(address);
    (client.to_string() == text).then_some(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_read_as_they_are_written() {
        for text in ["203.0.113.9", "2001:db8:1:2::/64"] {
            assert_eq!(client(text).map(|client| client.to_string()).as_deref(), Some(text));
        }
        for text in ["", "203.0.113.9/64", "2001:db8::1", "2001:db8::1/64"] {
            assert_eq!(client(text), None, "{text}");
        }
    }
}
