//! Bans that the sidecars of a webhook share, so that whom one has banned finds no open door at the next.
//!
//! There is a log of what they decided, which each of them writes to and reads from: whoever starts later reads it from its beginning,
//! and what came last holds. Each decides by itself whether to follow what it hears (`Bans::hear`), because nobody else knows whom it must
//! never ban.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::SystemTime,
};

use crate::{
    address::{self, AddressKey},
    queue::QueueError,
};

/// Decisions that the log holds at least, which is as many as there are bans; beyond it the oldest are dropped.
pub const MAX: usize = super::register::MAX;

/// A log of decisions.
pub trait Exchange: Send + Sync + 'static {
    /// Adds to it.
    fn tell(&self, news: &News) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Hands over what is in it and what is added, oldest first, our own too, until that fails. Goes on where it ended when it is called
    /// again.
    fn follow(&self, take: impl FnMut(News) + Send) -> impl Future<Output = QueueError> + Send;
}

/// What a sidecar decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The client is banned; this replaces a former ban.
    Ban(SharedBan),
    /// The client is banned no more.
    Lift(AddressKey),
}

/// A ban, as sidecars tell each other of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedBan {
    pub client: AddressKey,
    pub failures: u32,
    /// To the millisecond.
    pub until: SystemTime,
}

/// How the log calls the two kinds of decisions.
pub const BAN: &str = "ban";
pub const LIFT: &str = "lift";

// === impl News ===

impl News {
    /// What it is, and whom it is about.
    pub fn of(&self) -> (&'static str, AddressKey) {
        match *self {
            Self::Ban(SharedBan { client, .. }) => (BAN, client),
            Self::Lift(client) => (LIFT, client),
        }
    }

    /// None of what another version may say.
    pub fn read(event: &str, client: &str, ban: impl FnOnce() -> Option<(u32, SystemTime)>) -> Option<Self> {
        let client = self::client(client)?;
        match event {
            BAN => ban().map(|(failures, until)| Self::Ban(SharedBan { client, failures, until })),
            LIFT => Some(Self::Lift(client)),
            _ => None,
        }
    }
}

/// The client that is written as [`AddressKey`] shows it.
fn client(text: &str) -> Option<AddressKey> {
    let address: IpAddr = text.strip_suffix("/64").unwrap_or(text).parse().ok()?;
    let client = address::key(address);
    (client.to_string() == text).then_some(client)
}

/// An address of the client; the first, where it has many.
pub(super) fn first_address(client: AddressKey) -> IpAddr {
    match client {
        AddressKey::V4(address) => address.into(),
        AddressKey::V6([a, b, c, d]) => Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_read_as_they_are_written() {
        for text in ["203.0.113.9", "2001:db8:1:2::/64"] {
            assert_eq!(client(text).map(|client| client.to_string()).as_deref(), Some(text));
            assert_eq!(client(text).map(first_address).map(address::key), client(text));
        }
        for text in ["", "203.0.113.9/64", "2001:db8::1", "2001:db8::1/64"] {
            assert_eq!(client(text), None, "{text}");
        }
    }

    #[test]
    fn what_another_version_may_say_is_no_news() {
        let ban = || Some((20, SystemTime::UNIX_EPOCH));
        assert!(
            News::read(BAN, "203.0.113.9", ban).is_some()
                && News::read(LIFT, "203.0.113.9", || None).is_some()
        );
        assert_eq!(News::read("warn", "203.0.113.9", ban), None);
        assert_eq!(News::read(BAN, "203.0.113.0/24", ban), None);
        assert_eq!(News::read(BAN, "203.0.113.9", || None), None);
    }
}
