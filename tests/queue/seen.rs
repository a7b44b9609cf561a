//! What several consumers saw together.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use telegram_webhook_sidecar::queue::Update;

/// What came of each chat. Clones share it.
#[derive(Clone, Default)]
pub struct Seen {
    chats: Arc<Mutex<BTreeMap<i64, Chat>>>,
}

#[derive(Default)]
struct Chat {
    updates: Vec<Option<i64>>,
    in_hand: bool,
}

// === impl Seen ===

impl Seen {
    /// Notes an update in hand; there must be no other of its chat.
    pub fn take(&self, update: &Update) {
        let mut chats = locked(&self.chats);
        let Chat { updates, in_hand } = chats.entry(update.lane.id).or_default();
        assert!(!mem::replace(in_hand, true), "two of chat {} in hand", update.lane.id);
        updates.push(update.update_id);
    }

    /// Before it is settled: after that, the next one may be in hand. Says how many came so far.
    pub fn put_down(&self, update: &Update) -> usize {
        let mut chats = locked(&self.chats);
        chats.entry(update.lane.id).or_default().in_hand = false;
        chats.values().map(|chat| chat.updates.len()).sum()
    }

    /// Of each chat came just these, in this order.
    pub fn assert_came(&self, expected: impl Fn(i64) -> Vec<Option<i64>>) {
        for (chat, Chat { updates, .. }) in &*locked(&self.chats) {
            assert_eq!(*updates, expected(*chat), "chat {chat}");
        }
    }
}

/// Also when the test has failed elsewhere.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
