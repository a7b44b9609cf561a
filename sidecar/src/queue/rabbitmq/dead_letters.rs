//! What was set aside: a log of what was, what was replayed and what was forgotten, of which each sidecar knows what is left of it. The
//! updates themselves stay in the log and are read when somebody wants to see them.

use std::{collections::BTreeMap, time::SystemTime};

use bytes::Bytes;

use super::{
    headers::Headers,
    known::{KEY_LENGTH, Key, Known},
    log::{EVENT, Entry},
};
use crate::queue::{DeadLetter, DeadLetterId, Reason, Selection, Update, from_millis, millis};

/// Entry of an update that was set aside.
pub const ASIDE: &str = "aside";
/// Entry that says which was replayed.
pub const REPLAYED: &str = "replayed";
/// Entry that says which are not to be seen any more.
pub const FORGOTTEN: &str = "forgotten";
const AT: &str = "at";
const KEY: &str = "key";
const ID: &str = "id";
const BEFORE: &str = "before";

/// What was set aside and is neither replayed nor forgotten.
#[derive(Debug, Default)]
pub struct DeadLetters {
    /// By their places in the log.
    letters: BTreeMap<u64, Letter>,
    /// What was set aside: an update is so once, however often that is said.
    keys: Known,
}

#[derive(Debug)]
struct Letter {
    at: SystemTime,
    chat: Option<i64>,
    bytes: u64,
}

// === impl DeadLetters ===

impl DeadLetters {
    /// Takes in an entry; the key and the time of what it says was set aside.
    pub fn read(&mut self, Entry { offset, headers, body }: Entry) -> Option<(Key, u64)> {
        match headers.as_text(EVENT)?.as_str() {
            ASIDE => {
                let (key, at) = (headers.as_key(KEY)?, headers.as_count(AT)?);
                let update = headers.to_update(Bytes::from(body))?;
                if self.keys.settled(key, at) {
                    let (chat, bytes) = (update.chat(), update.body.len() as u64);
                    self.letters.insert(offset, Letter { at: from_millis(at), chat, bytes });
                }
                Some((key, at))
            }
            REPLAYED => {
                self.letters.remove(&headers.as_dead_letter_id(ID)?.major);
                None
            }
            FORGOTTEN => {
                let before = from_millis(headers.as_count(BEFORE)?);
                self.letters.retain(|_, letter| letter.at >= before);
                None
            }
            _ => None,
        }
    }

    /// How many there are, and their bytes.
    pub fn size(&self) -> (u64, u64) {
        let bytes = self.letters.values().map(|letter| letter.bytes).sum();
        (self.letters.len() as u64, bytes)
    }

    pub fn contains(&self, id: DeadLetterId) -> bool {
        id.minor == 0 && self.letters.contains_key(&id.major)
    }

    /// Places of those selected that come after `after`.
    pub fn select(&self, selection: &Selection, after: Option<DeadLetterId>, limit: usize) -> Vec<u64> {
        let first = after.map_or(0, |after| after.major.saturating_add(1));
        let selected = self.letters.range(first..);
        let selected = selected.filter(|(_, letter)| selection.takes(letter.chat, letter.at));
        selected.map(|(offset, _)| *offset).take(limit).collect()
    }

    pub fn count_before(&self, before: SystemTime) -> u64 {
        self.letters.values().filter(|letter| letter.at < before).count() as u64
    }
}

/// What an entry says that was set aside.
pub fn letter(Entry { offset, headers, body }: Entry) -> Option<DeadLetter> {
    Some(DeadLetter {
        id: DeadLetterId { major: offset, minor: 0 },
        reason: headers.to_reason()?,
        at: from_millis(headers.as_count(AT)?),
        update: headers.to_update(Bytes::from(body))?,
    })
}

/// How an update is set aside.
pub fn aside(update: &Update, key: Key, reason: &Reason, at: SystemTime) -> Headers {
    let mut headers = Headers::of_update(update).of_reason(reason);
    headers.text(KEY, &hex::encode(key.0));
    headers.time(AT, millis(at));
    headers
}

pub fn replayed(id: DeadLetterId) -> Headers {
    let mut headers = Headers::default();
    headers.text(ID, &id.to_string());
    headers
}

pub fn forgotten(before: SystemTime) -> Headers {
    let mut headers = Headers::default();
    headers.time(BEFORE, millis(before));
    headers
}

// === impl Headers ===

impl Headers {
    fn as_key(&self, name: &str) -> Option<Key> {
        let mut key = [0; KEY_LENGTH];
        hex::decode_to_slice(self.as_text(name)?, &mut key).ok()?;
        Some(Key(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Lane;

    fn update(chat: i64) -> Update {
        let body = format!(
            r#"{{"update_id":1,"message":{{"message_id":1,"date":1,"chat":{{"id":{chat},"type":"private"}}}}}}"#
        );
        let lane = Lane { family: 0, id: chat };
        Update { update_id: Some(1), lane, received_at: from_millis(1), expires_at: None, body: body.into() }
    }

    fn entry(offset: u64, event: &str, mut headers: Headers, body: &[u8]) -> Entry {
        headers.text(EVENT, event);
        Entry { offset, headers, body: body.to_vec() }
    }

    fn aside_entry(offset: u64, chat: i64) -> Entry {
        let update = update(chat);
        let key = Key::of(&update.body);
        entry(offset, ASIDE, aside(&update, key, &Reason::Refused(400), from_millis(offset)), &update.body)
    }

    #[test]
    fn what_is_left_is_selected_in_order() {
        let mut letters = DeadLetters::default();
        for (offset, chat) in [(1, 8), (3, 10), (4, 11)] {
            letters.read(aside_entry(offset, chat));
        }
        assert_eq!(letters.select(&Selection::default(), None, 2), [1, 3]);
        let after = Some(DeadLetterId { major: 1, minor: 0 });
        assert_eq!(letters.select(&Selection::default(), after, 9), [3, 4]);
        let of_chat = Selection { chat: Some(10), at: None };
        assert_eq!(letters.select(&of_chat, None, 9), [3]);
        let id = DeadLetterId { major: 3, minor: 0 };
        letters.read(entry(5, REPLAYED, replayed(id), b""));
        assert!(!letters.contains(id));
        assert_eq!(letters.count_before(from_millis(4)), 1);
        letters.read(entry(6, FORGOTTEN, forgotten(from_millis(4)), b""));
        assert_eq!((letters.size().0, letters.select(&Selection::default(), None, 9)), (1, vec![4]));
    }

    #[test]
    fn an_update_is_set_aside_once() {
        let mut letters = DeadLetters::default();
        let first = letters.read(aside_entry(1, 7));
        assert_eq!(first, Some((Key::of(&update(7).body), 1)));
        assert!(letters.read(aside_entry(2, 7)).is_some());
        assert_eq!(letters.size().0, 1);
    }

    #[test]
    fn an_entry_becomes_what_was_set_aside() {
        let letter = letter(aside_entry(5, 7)).unwrap();
        assert_eq!((letter.id.major, letter.at, letter.reason), (5, from_millis(5), Reason::Refused(400)));
        assert_eq!(letter.update, update(7));
    }
}
