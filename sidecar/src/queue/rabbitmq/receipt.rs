//! An update in somebody's hands: settled, or given back when it is dropped.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::timeout};

use super::{board::Hand, known::Key, recorder::Record, shared::Shared};
use crate::queue::Hold;

/// Within which it must be written down that an update is settled, before its lane goes on without that.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// An update in somebody's hands.
pub struct RabbitMqReceipt {
    hand: Hand,
    /// None once it is settled.
    shared: Option<Arc<Shared>>,
}

// === impl RabbitMqReceipt ===

impl RabbitMqReceipt {
    pub(super) fn new(hand: Hand, shared: Arc<Shared>) -> Self {
        Self { hand, shared: Some(shared) }
    }

    pub(super) fn key(&self) -> Key {
        self.hand.key
    }

    /// Ends the life of the update. With `key` that is written down before the next one of its lane is given out, if the broker can be
    /// reached: so that a crash brings back one of a lane at most.
    pub(super) async fn settle(mut self, key: Option<Key>) {
        let Some(shared) = &self.shared else { return };
        let tag = {
            let mut board = shared.board();
            board.known.settled(self.hand.key, shared.now());
            board.finish(self.hand)
        };
        let (written, is_written) = oneshot::channel();
        shared.finish(Record { key, tag, written: Some(written) });
        // otherwise it is written later
        drop(timeout(WRITE_TIMEOUT, is_written).await);
        let again = shared.board().release(self.hand);
        if let Some(tag) = again {
            shared.finish(Record { key, tag: Some(tag), written: None });
        }
        shared.ready.notify_one();
        self.shared = None;
    }
}

impl Hold for RabbitMqReceipt {
    fn holds(&self) -> bool {
        self.shared
            .as_ref()
            .is_some_and(|shared| shared.pulse.is_regular() && shared.board().holds(self.hand, shared.now()))
    }
}

impl Drop for RabbitMqReceipt {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else { return };
        shared.board().give_back(self.hand);
        shared.ready.notify_one();
    }
}

impl fmt::Debug for RabbitMqReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMqReceipt").field("hand", &self.hand).finish_non_exhaustive()
    }
}
