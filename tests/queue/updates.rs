//! Updates to store.

use bytes::Bytes;
use telegram_webhook_sidecar::queue::{Appended, Clock, Lane, Queue, Update};

/// A message in a private chat, received now.
pub fn update(chat: i64, update_id: i64) -> Update {
    with_text(chat, update_id, "hello")
}

/// One of the same id with another text is another update.
pub fn with_text(chat: i64, update_id: i64, text: &str) -> Update {
    let body = format!(
        r#"{{"update_id":{update_id},"message":{{"message_id":1,"date":1,"chat":{{"id":{chat},"type":"private"}},"text":"{text}"}}}}"#
    );
    Update {
        update_id: Some(update_id),
        lane: Lane { family: 0, id: chat },
        received_at: Clock::new().now(),
        expires_at: None,
        body: Bytes::from(body),
    }
}

/// So many of one chat.
pub fn updates(chat: i64, count: i64) -> Vec<Update> {
    (0..count).map(|id| update(chat, 1_000 * chat + id)).collect()
}

/// Stores what isn't stored yet.
pub async fn store<Q: Queue>(queue: &Q, updates: &[Update]) -> anyhow::Result<()> {
    for update in updates {
        let appended = queue.append(update.clone()).await?;
        anyhow::ensure!(appended == Appended::Stored, "update {:?}: {appended:?}", update.update_id);
    }
    Ok(())
}
