//! What becomes a dead letter, and what becomes of dead letters.
//!
//! What moves from one log to the other is written there, and removed here only when that is durable. Whoever opens the queue in
//! between sees both: the later one says what it was, and holds. So nothing may be done with the later one before the earlier one is
//! gone durably, and a move that has begun goes on when nobody waits for it any more.

use std::sync::Arc;

use super::{
    giving::Receipt,
    letters::Listed,
    log::{LogError, Sequence},
    record::{Head, Letter},
    state::{Claim, Settled, Shared, Source, on_disk, uninterrupted},
};
use crate::{
    dedup::Id,
    queue::{
        Appended, DeadLetter, DeadLetterId, Lease, QueueError, RETENTION, Reason, Selection, Update,
        from_millis, millis,
    },
};

/// Sets an update aside that is in hand.
pub(super) async fn park(
    shared: &Arc<Shared>,
    lease: Lease<Receipt>,
    reason: Reason,
) -> Result<(), QueueError> {
    drop(shared.open()?);
    let shared = Arc::clone(shared);
    uninterrupted(async move {
        let Lease { update, receipt, .. } = lease;
        let Some(head) = receipt.head else { return Ok(()) };
        let origin = receipt.sequence;
        let listed = write(&shared, &update, head, reason, Some(origin)).await?;
        match shared.queue.removed_durably(Sequence::from_number(origin)) {
            // the letter is durable: after an error here the next one who opens the queue removes what it was
            Ok(removed) => drop(removed.await),
            Err(error) => tracing::debug!(%error, "what was set aside is still in the queue"),
        }
        let (sequence, listed) = listed;
        shared.lock().letters.put(sequence, listed);
        match receipt.settle(true) {
            // it was settled while the queue was being closed
            Ok(()) | Err(QueueError::Closed) => Ok(()),
            error => error,
        }
    })
    .await
}

/// Sets an update aside that was never in the queue.
pub(super) async fn bury(
    shared: &Arc<Shared>,
    update: Update,
    reason: Reason,
) -> Result<Appended, QueueError> {
    let id = shared.id(&update.body);
    loop {
        let claim = shared.open()?.claim(id);
        match claim {
            Claim::Known => return Ok(Appended::Duplicate),
            Claim::UnderWay(mut ended) => drop(ended.changed().await),
            Claim::Ours => {
                return uninterrupted(bury_claimed(Arc::clone(shared), id, update, reason)).await;
            }
        }
    }
}

async fn bury_claimed(
    shared: Arc<Shared>,
    id: Id,
    update: Update,
    reason: Reason,
) -> Result<Appended, QueueError> {
    let head = Head::of(&update, id.key, None);
    let written = write(&shared, &update, head, reason, None).await;
    shared.end_claim(id, written.is_ok());
    let (sequence, listed) = written?;
    shared.lock().letters.put(sequence, listed);
    Ok(Appended::Stored)
}

/// Writes a letter, durably.
async fn write(
    shared: &Shared,
    update: &Update,
    head: Head,
    reason: Reason,
    origin: Option<u64>,
) -> Result<(u64, Listed), QueueError> {
    let (at, chat) = (millis(shared.clock.now()), update.chat());
    // what an update was before it was set aside again is of no use any more
    let head = Head { replayed: None, ..head };
    let letter = Letter { at, reason, origin, chat, head, body: &[] };
    let receipt = shared.dead.append(letter.encode_head(), update.body.clone()).map_err(full_of_letters)?;
    let sequence = receipt.sequence().number();
    receipt.await.map_err(full_of_letters)?;
    Ok((sequence, Listed { at, chat }))
}

fn full_of_letters(error: LogError) -> QueueError {
    match error {
        LogError::Full => QueueError::Full("dead letters take their whole share of maxBytes".to_owned()),
        error => error.into(),
    }
}

pub(super) async fn list(
    shared: &Arc<Shared>,
    selection: &Selection,
    after: Option<DeadLetterId>,
    limit: usize,
) -> Result<Vec<DeadLetter>, QueueError> {
    let sequences = shared.open()?.letters.select(selection, after, limit);
    on_disk(shared, move |shared| {
        let mut letters = Vec::with_capacity(sequences.len());
        for sequence in sequences {
            match read(shared, sequence) {
                Ok((letter, _)) => letters.push(letter),
                // replayed or forgotten meanwhile
                Err(_) if !shared.lock().letters.contains(sequence) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(letters)
    })
    .await
}

fn read(shared: &Shared, sequence: u64) -> Result<(DeadLetter, Head), QueueError> {
    let bytes = shared.dead.read(Sequence::from_number(sequence))?;
    let letter = Letter::decode(&bytes)
        .map_err(|error| QueueError::Broken(format!("a dead letter of the embedded queue {error}")))?;
    let Letter { at, reason, head, body, .. } = letter;
    let id = DeadLetterId { major: sequence, minor: 0 };
    let update = head.update(bytes.slice_ref(body));
    Ok((DeadLetter { id, reason, at: from_millis(at), update }, head))
}

/// Puts a dead letter at the end of its lane.
pub(super) async fn replay(shared: &Arc<Shared>, id: DeadLetterId) -> Result<bool, QueueError> {
    let DeadLetterId { major: sequence, minor: 0 } = id else { return Ok(false) };
    let Some(listed) = shared.open()?.letters.take(sequence) else { return Ok(false) };
    let shared = Arc::clone(shared);
    uninterrupted(async move {
        let replayed = replay_taken(&shared, sequence).await;
        if replayed.is_err() {
            shared.lock().letters.put(sequence, listed);
        }
        replayed.map(|()| true)
    })
    .await
}

async fn replay_taken(shared: &Arc<Shared>, letter: u64) -> Result<(), QueueError> {
    let (DeadLetter { update, .. }, head) = on_disk(shared, move |shared| read(shared, letter)).await?;
    let head = Head { replayed: Some(letter), ..head };
    let receipt = shared.queue.append(head.encode(), update.body)?;
    let sequence = receipt.sequence().number();
    receipt.await?;
    match shared.dead.removed_durably(Sequence::from_number(letter)) {
        // the update is durable: after an error here the next one who opens the queue removes the letter
        Ok(removed) => drop(removed.await),
        Err(error) => tracing::debug!(%error, "what was replayed is still set aside"),
    }
    // it may be older than what is known by itself
    shared.end_claim(Id { bot: shared.bot_id, key: head.key }, true);
    let is_ready = shared.lock().lanes.push(head.lane, sequence, head.received_at, 0);
    if is_ready {
        shared.ready.notify_one();
    }
    Ok(())
}

/// Forgets dead letters. Telegram may send those again that are young: they stay known.
pub(super) async fn forget(shared: &Arc<Shared>, before: std::time::SystemTime) -> Result<u64, QueueError> {
    let taken = shared.open()?.letters.take_before(before);
    on_disk(shared, move |shared| {
        let now = shared.clock.now();
        for (sequence, Listed { at, .. }) in &taken {
            if from_millis(*at) + RETENTION > now {
                let (_, Head { key, .. }) = read(shared, *sequence)?;
                shared.note_settled(&mut shared.lock(), Settled { key, from: Source::Dead(*sequence) });
            } else {
                shared.dead.remove(Sequence::from_number(*sequence))?;
            }
        }
        Ok(taken.len() as u64)
    })
    .await
}
