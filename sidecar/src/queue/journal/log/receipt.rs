//! How whoever hands a record over learns that it is durable.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use super::{LogError, Sequence};

/// Resolves when what it is about is durable. It is written whether anybody waits or not.
#[derive(Debug)]
pub struct Receipt {
    pub(super) sequence: Sequence,
    pub(super) done: oneshot::Receiver<Result<(), LogError>>,
}

// === impl Receipt ===

impl Receipt {
    /// Of the record that was appended or removed.
    pub const fn sequence(&self) -> Sequence {
        self.sequence
    }
}

impl Future for Receipt {
    type Output = Result<(), LogError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let done = Pin::new(&mut self.done).poll(context);
        done.map(|result| result.unwrap_or_else(|_| Err(LogError::Broken("the writer is gone".to_owned()))))
    }
}
