//! Tells whoever waits for it that an update has left the queue.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::sync::oneshot;

/// Most that wait for the updates of a bot: more than Telegram has connections. Who comes then doesn't wait.
const MAX_WAITING: usize = 512;

/// Who waits for what becomes of updates. Clones share them.
#[derive(Clone, Default)]
pub struct Settlements {
    // few: a search is faster than a hash
    waiting: Arc<Mutex<Vec<Waiter>>>,
}

/// The id of an update, and who waits for it.
type Waiter = (i64, oneshot::Sender<()>);

/// Ends when the update has left the queue, with true; with false where nobody will tell.
pub struct Settled {
    told: Option<oneshot::Receiver<()>>,
    settlements: Settlements,
}

// === impl Settlements ===

impl Settlements {
    /// Waits for an update from now on: asked before the update is stored, it misses nothing.
    pub fn settled(&self, update_id: i64) -> Settled {
        let mut waiting = self.lock();
        let told = (waiting.len() < MAX_WAITING).then(|| {
            let (tell, told) = oneshot::channel();
            waiting.push((update_id, tell));
            told
        });
        drop(waiting);
        Settled { told, settlements: self.clone() }
    }

    pub(super) fn settle(&self, update_id: i64) {
        let mut waiting = self.lock();
        for (_, tell) in waiting.extract_if(.., |(id, _)| *id == update_id) {
            // who has gone doesn't hear it
            tell.send(()).unwrap_or_default();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Settled ===

impl Future for Settled {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        match &mut self.told {
            Some(told) => Pin::new(told).poll(cx).map(|told| told.is_ok()),
            None => Poll::Ready(false),
        }
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        if let Some(mut told) = self.told.take()
            && told.try_recv() == Err(oneshot::error::TryRecvError::Empty)
        {
            drop(told);
            self.settlements.lock().retain(|(_, tell)| !tell.is_closed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_wait_for_an_update_are_told_and_no_others() {
        let settlements = Settlements::default();
        let (one, two, other) = (settlements.settled(1), settlements.settled(1), settlements.settled(2));
        settlements.settle(1);
        assert!(one.await && two.await);
        assert!(futures::poll!(Box::pin(other)).is_pending());
    }

    #[tokio::test]
    async fn nothing_stays_of_who_waits_no_more() {
        let settlements = Settlements::default();
        drop((settlements.settled(1), settlements.settled(2)));
        let waiting = settlements.settled(3);
        assert_eq!(settlements.lock().len(), 1);
        settlements.settle(3);
        drop(waiting);
        settlements.settle(4);
        assert_eq!(settlements.lock().len(), 0);
    }

    #[tokio::test]
    async fn one_too_many_does_not_wait() {
        let settlements = Settlements::default();
        let waiting: Vec<_> = (0..512).map(|id| settlements.settled(id)).collect();
        assert!(!settlements.settled(512).await);
        drop(waiting);
        assert!(futures::poll!(Box::pin(settlements.settled(512))).is_pending());
    }
}
