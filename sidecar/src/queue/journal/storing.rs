//! How an update gets into the queue.

use std::sync::Arc;

use super::{
    log::{LogError, Receipt},
    record::Head,
    state::{Claim, Shared},
};
use crate::{
    dedup::Id,
    queue::{Appended, QueueError, Update},
};

/// An update that is handed to the log. What becomes of it is noted also when nobody waits for it any more.
struct Storing {
    shared: Arc<Shared>,
    id: Id,
    /// None when it has been noted.
    receipt: Option<Receipt>,
}

enum Begun {
    Ours(Storing),
    Known,
    UnderWay(tokio::sync::watch::Receiver<()>),
}

/// Stores an update, unless it is known. A copy of one that is being stored waits for what becomes of that, and takes its place if
/// it isn't stored.
pub(super) async fn append(shared: &Arc<Shared>, update: Update) -> Result<Appended, QueueError> {
    if update.body.len() > shared.longest_body {
        return Err(LogError::TooLong.into());
    }
    let id = shared.id(&update.body);
    let head = Head::of(&update, id.key, None);
    loop {
        match begin(shared, id, head, &update)? {
            Begun::Ours(storing) => return storing.end().await.map(|()| Appended::Stored),
            Begun::Known => return Ok(Appended::Duplicate),
            // nothing is ever sent: it ends with an error, when the sender is gone
            Begun::UnderWay(mut ended) => drop(ended.changed().await),
        }
    }
}

/// Under one lock, so that the order of sequences is that of `under_way`.
fn begin(shared: &Arc<Shared>, id: Id, head: Head, update: &Update) -> Result<Begun, QueueError> {
    let encoded = head.encode();
    let mut state = shared.open()?;
    match state.claim(id) {
        Claim::Known => return Ok(Begun::Known),
        Claim::UnderWay(ended) => return Ok(Begun::UnderWay(ended)),
        Claim::Ours => {}
    }
    match shared.queue.gather(encoded, update.body.clone()) {
        Ok(receipt) => {
            let sequence = receipt.sequence().number();
            state.under_way.push(sequence, head.lane, head.received_at);
            state.recent.put(sequence, head, update.body.clone());
            Ok(Begun::Ours(Storing { shared: Arc::clone(shared), id, receipt: Some(receipt) }))
        }
        Err(error) => {
            state.claims.end(id.key);
            Err(error.into())
        }
    }
}

// === impl Storing ===

impl Storing {
    async fn end(mut self) -> Result<(), QueueError> {
        let Some(receipt) = &mut self.receipt else { return Ok(()) };
        let result = concluded(&self.shared, self.id, receipt).await;
        self.receipt = None;
        Ok(result?)
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        let Some(mut receipt) = self.receipt.take() else { return };
        // without a runtime this is the end of the process
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (shared, id) = (Arc::clone(&self.shared), self.id);
            // not one of these again: a runtime that ends drops what it is given, which would begin this anew for ever
            drop(runtime.spawn(async move { concluded(&shared, id, &mut receipt).await }));
        }
    }
}

/// Waits for what becomes of an update, and notes it.
async fn concluded(shared: &Shared, id: Id, receipt: &mut Receipt) -> Result<(), LogError> {
    let result = (&mut *receipt).await;
    shared.conclude(receipt.sequence().number(), id, result.is_ok());
    result
}
