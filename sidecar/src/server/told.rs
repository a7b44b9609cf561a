//! Learns of a token's end at little cost.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Ends with its token. The token's own future goes through its list of those who wait, under a lock, whenever it is polled, and a
/// connection's task polls all that it waits for several times per request; here the list is looked at once per task.
pub(super) struct Told {
    token: CancellationToken,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whom the token is going to wake.
    task: Option<Waker>,
}

// === impl Told ===

impl Told {
    pub(super) fn new(token: CancellationToken) -> Self {
        Self { cancelled: Box::pin(token.clone().cancelled_owned()), token, task: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            return if self.token.is_cancelled() { Poll::Ready(()) } else { Poll::Pending };
        }
        self.task = Some(cx.waker().clone());
        self.cancelled.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whichever_task_asked_last_is_woken() {
        let token = CancellationToken::new();
        let mut told = Told::new(token.clone());
        assert!(futures::poll!(poll_fn(|cx| told.poll(cx))).is_pending());
        assert!(futures::poll!(poll_fn(|cx| told.poll(cx))).is_pending());
        let other = tokio::spawn(async move { poll_fn(|cx| told.poll(cx)).await });
        tokio::task::yield_now().await;
        token.cancel();
        timeout(Duration::from_secs(1), other).await.unwrap().unwrap();
    }
}
