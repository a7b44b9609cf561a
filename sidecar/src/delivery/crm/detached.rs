//! Work that outlives whoever waits for it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;
use tokio_util::task::{TaskTracker, task_tracker::TrackedFuture};

/// Work that is done by its caller's task for as long as that waits, which saves a task and the way there and back, and by a task
/// of its own from when the caller is gone. Dropping it before its first poll starts it too.
///
/// Asked again after its end, it says nothing more.
pub(super) struct Detached<F: Future<Output: Send> + Send + 'static> {
    /// Counted from the beginning, so that whoever waits for the tracker can't miss the moment in which it changes hands.
    work: Option<Pin<Box<TrackedFuture<F>>>>,
}

// === impl Detached ===

impl<F: Future<Output: Send> + Send + 'static> Detached<F> {
    pub(super) fn new(work: F, tasks: &TaskTracker) -> Self {
        Self { work: Some(Box::pin(tasks.track_future(work))) }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Detached<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // taken out meanwhile: what panics must not go on elsewhere
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let result = work.as_mut().poll(cx);
        if result.is_pending() {
            self.work = Some(work);
        }
        result
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Detached<F> {
    fn drop(&mut self) {
        // without a runtime the process is ending
        if let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}
