//! The names of a bot's keys. The bot's id in braces puts them all on one node of a cluster, so that one script can change several.

use crate::queue::Lane;

/// Streams of a bot. As many sidecars can share its updates; the same number for all, because a lane's updates are in one stream.
pub(super) const STREAMS: u8 = 16;

/// One of a bot's streams.
pub(super) type Stream = u8;

/// The names of a bot's keys.
#[derive(Debug)]
pub(super) struct Keys {
    /// Digests of updates that were stored, by time.
    pub(super) known: String,
    /// How often an update in hand was given out.
    pub(super) given_out: String,
    /// What was set aside.
    pub(super) dead_letters: String,
    /// Sidecars that live, by when they are taken for dead.
    pub(super) consumers: String,
    /// Who holds which stream.
    pub(super) leases: String,
    /// Counts the leases.
    pub(super) fence: String,
    streams: Vec<String>,
}

/// The stream of what the sidecars of a bot decided about clients.
pub(super) fn bans(prefix: &str, bot_id: i64) -> String {
    key(prefix, bot_id, "bans")
}

fn key(prefix: &str, bot_id: i64, name: &str) -> String {
    format!("{prefix}{{{bot_id}}}:{name}")
}

// === impl Keys ===

impl Keys {
    pub(super) fn new(prefix: &str, bot_id: i64) -> Self {
        let key = |name: &str| self::key(prefix, bot_id, name);
        Self {
            known: key("known"),
            given_out: key("given-out"),
            dead_letters: key("dead-letters"),
            consumers: key("consumers"),
            leases: key("leases"),
            fence: key("fence"),
            streams: (0..STREAMS).map(|stream| key(&format!("updates:{stream}"))).collect(),
        }
    }

    pub(super) fn streams(&self) -> &[String] {
        &self.streams
    }

    pub(super) fn stream(&self, stream: Stream) -> &str {
        self.streams.get(usize::from(stream)).map_or("", String::as_str)
    }
}

/// The stream that holds a lane: the same for every sidecar, of whatever version.
pub(super) fn stream_of(lane: Lane) -> Stream {
    let Lane { family, id } = lane;
    let mut hash = crc32fast::Hasher::new();
    hash.update(&[family]);
    hash.update(&id.to_le_bytes());
    let [low, ..] = hash.finalize().to_le_bytes();
    low % STREAMS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_bot_are_in_one_slot() {
        let keys = Keys::new("tg:", 7);
        let all =
            [&keys.known, &keys.given_out, &keys.dead_letters, &keys.consumers, &keys.leases, &keys.fence];
        for key in all.into_iter().chain(keys.streams()) {
            assert!(key.starts_with("tg:{7}:"), "{key}");
        }
        assert_eq!(keys.stream(3), "tg:{7}:updates:3");
    }

    #[test]
    fn a_lane_stays_where_it_is() {
        let stream = |family, id| stream_of(Lane { family, id });
        // what earlier versions stored is found by later ones
        assert_eq!([stream(0, 1), stream(0, 2), stream(0, -7), stream(3, 5)], [0, 3, 12, 15]);
        let mut counts = [0; STREAMS as usize];
        for id in 0..1_600 {
            counts[usize::from(stream(0, id))] += 1;
        }
        assert!(counts.iter().all(|count| (50..200).contains(count)), "{counts:?}");
    }
}
