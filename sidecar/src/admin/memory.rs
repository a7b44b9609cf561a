//! Queues in memory, for the tests of what asks them.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Mutex, MutexGuard},
};

use bytes::Bytes;
use telegram_webhook_sidecar_config::{BackendKind, Consume, DeliveryState};
use tokio::task::yield_now;

use super::queues::{Asked, Queues};
use crate::{
    ingress::update::parse,
    queue::{DeadLetter, DeadLetterId, Depth, Lane, QueueError, Reason, Selection, Update, from_millis},
};

/// Queues by the names of their webhooks.
#[derive(Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, Stored>>);

/// A queue, and what has been asked of it.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) letters: Vec<DeadLetter>,
    pub(super) consume: Consume,
    /// What waits, by the dead letters that it was.
    pub(super) replayed: Vec<DeadLetterId>,
    /// Whether the CRM refuses everything again at once.
    pub(super) refuses: bool,
    /// What fails after so many replays.
    pub(super) fails: Option<(usize, QueueError)>,
    /// Whether other sidecars share it.
    pub(super) shared: bool,
    /// What every question about the depth meets.
    pub(super) broken: Option<QueueError>,
    /// Pages that somebody is about to read.
    reading: usize,
    pub(super) most_reading: usize,
    pub(super) largest_page: usize,
}

// === impl Memory ===

impl Memory {
    pub(super) fn of(names: &[&str]) -> Self {
        Self(Mutex::new(names.iter().map(|name| ((*name).to_owned(), Stored::default())).collect()))
    }

    pub(super) fn with<T>(&self, webhook: &str, look: impl FnOnce(&mut Stored) -> T) -> T {
        look(self.stored().get_mut(webhook).unwrap())
    }

    fn stored(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        self.0.lock().unwrap()
    }
}

impl Queues for Memory {
    fn names(&self) -> Vec<String> {
        self.stored().keys().rev().cloned().collect()
    }

    fn consume(&self, webhook: &str) -> Consume {
        self.stored().get(webhook).map(|stored| stored.consume).unwrap_or_default()
    }

    fn depth<'a>(&'a self, webhook: &'a str) -> Asked<'a, Depth> {
        Box::pin(async move {
            match self.stored().get(webhook) {
                Some(Stored { broken: Some(error), .. }) => Err(error.clone()),
                Some(stored) => Ok(stored.depth()),
                None => Err(QueueError::Closed),
            }
        })
    }

    fn hand_over(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            for stored in self.stored().values_mut().filter(|stored| stored.shared) {
                stored.broken = Some(QueueError::Closed);
            }
        })
    }

    fn state<'a>(&'a self, webhook: &'a str) -> Asked<'a, DeliveryState> {
        Box::pin(async move {
            let Depth { updates: queued, dead_letters, .. } = self.depth(webhook).await?;
            Ok(DeliveryState {
                backend: BackendKind::Embedded,
                durable: true,
                crm_reachable: true,
                queued,
                oldest_seconds: 0,
                dead_letters,
            })
        })
    }

    fn dead_letters<'a>(
        &'a self,
        webhook: &'a str,
        selection: &'a Selection,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Asked<'a, Vec<DeadLetter>> {
        Box::pin(async move {
            self.with(webhook, |stored| {
                stored.reading += 1;
                stored.most_reading = stored.most_reading.max(stored.reading);
                stored.largest_page = stored.largest_page.max(limit);
            });
            yield_now().await;
            self.with(webhook, |stored| {
                stored.reading -= 1;
                let meant = stored.letters.iter().filter(|letter| is_meant(letter, selection, after));
                Ok(meant.take(limit).cloned().collect())
            })
        })
    }

    fn replay<'a>(&'a self, webhook: &'a str, id: DeadLetterId) -> Asked<'a, bool> {
        Box::pin(async move { self.with(webhook, |stored| stored.replay(id)) })
    }
}

// === impl Stored ===

impl Stored {
    /// Sets an update aside, a second after the one before.
    pub(super) fn bury(&mut self, reason: Reason, body: &str) -> DeadLetterId {
        let major = self.letters.last().map_or(1, |last| last.id.major + 1);
        let id = DeadLetterId { major, minor: 0 };
        let update_id = parse(body.as_bytes()).ok().map(|update| update.update_id);
        let update = Update {
            update_id,
            lane: Lane::alone(update_id.unwrap_or_default()),
            received_at: from_millis(500),
            expires_at: None,
            body: Bytes::from(body.to_owned()),
        };
        self.letters.push(DeadLetter { id, reason, at: from_millis(major * 1000), update });
        id
    }

    fn replay(&mut self, id: DeadLetterId) -> Result<bool, QueueError> {
        if let Some((_, error)) = self.fails.as_ref().filter(|(after, _)| self.replayed.len() >= *after) {
            return Err(error.clone());
        }
        let Some(found) = self.letters.iter().position(|letter| letter.id == id) else {
            return Ok(false);
        };
        self.replayed.push(id);
        if self.refuses {
            // behind the others, as whatever is set aside
            let letter = &self.letters[found];
            let (reason, body) = (letter.reason.clone(), letter.update.body.clone());
            self.bury(reason, &String::from_utf8_lossy(&body));
        }
        self.letters.remove(found);
        Ok(true)
    }

    fn depth(&self) -> Depth {
        let updates = self.replayed.len() as u64;
        Depth {
            updates,
            bytes: 100,
            oldest: (updates > 0).then_some(from_millis(500)),
            dead_letters: self.letters.len() as u64,
        }
    }
}

fn is_meant(letter: &DeadLetter, selection: &Selection, after: Option<DeadLetterId>) -> bool {
    let Selection { chat, at } = selection;
    let parsed = parse(&letter.update.body).ok();
    let of = parsed.and_then(|update| update.facts.chat.or(update.facts.user));
    after.is_none_or(|after| letter.id > after)
        && chat.is_none_or(|chat| of == Some(chat))
        && at.as_ref().is_none_or(|at| at.contains(&letter.at))
}
