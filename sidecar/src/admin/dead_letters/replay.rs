//! Delivers again what was set aside, a page at a time.
//!
//! Looks first how far that goes: what is replayed may be set aside again, behind the others, and would never come to an end.

use serde::{Deserialize, Serialize};

use super::{DeadLetters, PAGE, Trouble};
use crate::queue::{DeadLetterId, QueueError, Selection};

/// Most ids that an answer names.
const MAX_NAMED: usize = 1000;

/// What was put into its queue again, or would be.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub dry_run: bool,
    pub count: u64,
    /// Which those are, oldest first; beyond 1000 of them the first 1000.
    pub ids: Vec<String>,
}

/// How far a replay came that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("replayed {count} of {of}{}: {error}", .last.map(|last| format!(", up to {last}")).unwrap_or_default())]
pub(super) struct Halfway {
    pub(super) count: u64,
    pub(super) of: u64,
    pub(super) last: Option<DeadLetterId>,
    pub(super) error: QueueError,
}

/// Counts dead letters, in bounded memory.
#[derive(Default)]
struct Tally {
    count: u64,
    named: Vec<DeadLetterId>,
    last: Option<DeadLetterId>,
}

// === impl DeadLetters ===

impl DeadLetters {
    /// False if there is no such thing.
    pub(super) async fn replay_one(
        &self,
        webhook: &str,
        id: DeadLetterId,
        dry_run: bool,
    ) -> Result<bool, QueueError> {
        if !dry_run {
            return self.queues.replay(webhook, id).await;
        }
        let everything = Selection::default();
        let found = self.pages_from(webhook, &everything, id).next(1, |letter| letter.id).await?;
        Ok(found == [id])
    }

    pub(super) async fn replay_selected(
        &self,
        webhook: &str,
        selection: &Selection,
        dry_run: bool,
    ) -> Result<Replay, Trouble> {
        let found = self.found(webhook, selection).await?;
        let done = match found.last.filter(|_| !dry_run) {
            None => found,
            Some(end) => {
                let mut done = Tally::default();
                if let Err(error) = self.replay_until(webhook, selection, end, &mut done).await {
                    let Tally { count, last, .. } = done;
                    tracing::warn!(webhook, count, of = found.count, %error, "dead letters replayed in part");
                    return Err(Halfway { count, of: found.count, last, error }.into());
                }
                done
            }
        };
        let ids = done.named.iter().map(ToString::to_string).collect();
        Ok(Replay { dry_run, count: done.count, ids })
    }

    async fn found(&self, webhook: &str, selection: &Selection) -> Result<Tally, QueueError> {
        let mut tally = Tally::default();
        let mut pages = self.pages(webhook, selection);
        loop {
            let page = pages.next(PAGE, |letter| letter.id).await?;
            if page.is_empty() {
                return Ok(tally);
            }
            for id in page {
                tally.add(id);
            }
        }
    }

    async fn replay_until(
        &self,
        webhook: &str,
        selection: &Selection,
        end: DeadLetterId,
        done: &mut Tally,
    ) -> Result<(), QueueError> {
        let mut pages = self.pages(webhook, selection);
        loop {
            let page = pages.next(PAGE, |letter| letter.id).await?;
            if page.is_empty() {
                return Ok(());
            }
            for id in page {
                if id > end {
                    return Ok(());
                }
                // else somebody else has replayed it since, or it was too old
                if self.queues.replay(webhook, id).await? {
                    done.add(id);
                }
            }
        }
    }
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, id: DeadLetterId) {
        self.count += 1;
        self.last = Some(id);
        if self.named.len() < MAX_NAMED {
            self.named.push(id);
        }
    }
}
