//! The bans that end, in bounded memory: in a full register the one that ends first gives way.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

use crate::address::AddressKey;

/// More than any one attacker has addresses of; about 8 MiB.
pub(super) const MAX: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Register {
    bans: HashMap<AddressKey, Ban>,
    /// In the order in which they end.
    ends: BTreeSet<(Instant, AddressKey)>,
}

/// Why and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ban {
    pub(super) failures: u32,
    pub(super) until: Instant,
    /// Whether this sidecar decided it.
    pub(super) own: bool,
}

// === impl Register ===

impl Register {
    pub(super) fn get(&self, client: AddressKey) -> Option<Ban> {
        self.bans.get(&client).copied()
    }

    /// Replaces a former ban of the client.
    pub(super) fn add(&mut self, client: AddressKey, ban: Ban) {
        self.remove(client);
        if self.bans.len() >= MAX
            && let Some((_, first)) = self.ends.pop_first()
        {
            self.bans.remove(&first);
        }
        self.bans.insert(client, ban);
        self.ends.insert((ban.until, client));
    }

    pub(super) fn remove(&mut self, client: AddressKey) -> Option<Ban> {
        let ban = self.bans.remove(&client)?;
        self.ends.remove(&(ban.until, client));
        Some(ban)
    }

    /// Drops those that are over. Each costs once what it cost to add.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.ends.first().is_some_and(|(until, _)| *until <= now)
            && let Some((_, client)) = self.ends.pop_first()
        {
            self.bans.remove(&client);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bans.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (AddressKey, Ban)> {
        self.bans.iter().map(|(client, ban)| (*client, *ban))
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use super::*;

    fn client(number: u32) -> AddressKey {
        AddressKey::V4(Ipv4Addr::from_bits(number))
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_full_register_the_ban_that_ends_first_gives_way() {
        let now = Instant::now();
        let ban = |seconds| Ban { failures: 1, until: now + Duration::from_secs(seconds), own: true };
        let mut register = Register::default();
        register.add(client(0), ban(2));
        register.add(client(1), ban(1));
        for number in 2..1_000_000 {
            register.add(client(number), ban(3));
        }
        assert_eq!((register.len(), register.ends.len()), (MAX, MAX));
        assert!(register.get(client(0)).is_none() && register.get(client(1)).is_none());
        assert!(register.get(client(999_999)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_ban_replaces_the_first_and_each_ends_in_its_time() {
        let now = Instant::now();
        let ban = |seconds| Ban { failures: 1, until: now + Duration::from_secs(seconds), own: true };
        let mut register = Register::default();
        register.add(client(0), ban(1));
        register.add(client(0), ban(3));
        register.add(client(1), ban(2));
        register.expire(now + Duration::from_secs(2));
        assert_eq!(register.iter().collect::<Vec<_>>(), [(client(0), ban(3))]);
        register.expire(now + Duration::from_secs(3));
        assert_eq!((register.len(), register.ends.len()), (0, 0));
    }
}
