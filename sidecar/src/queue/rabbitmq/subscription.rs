//! One of the queues of a bot, from our side: what comes of it goes to the board.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    types::FieldTable,
};
use telegram_webhook_sidecar_config::Consume;
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{
    board::Message,
    headers::Headers,
    known::Key,
    shared::{Link, Shared, Tag},
};
use crate::queue::{Lane, QueueError, Reason, Update};

/// Messages of a queue that are here at most, in hand or waiting. So many of one lane keep the other lanes of the queue waiting.
const PREFETCH: u16 = 128;
/// Pause before a queue is subscribed to again: its channel was closed, because an update was in hand for longer than the broker allows,
/// or the queue was deleted.
const PAUSE: Duration = Duration::from_millis(200);

/// A queue that this sidecar got, and doesn't yet know what others settled in it.
#[derive(Debug)]
pub struct Check {
    pub partition: u32,
    pub subscription: u64,
}

/// Subscribes again and again, until the connection is gone.
pub async fn keep(
    shared: &Shared,
    link: &Link,
    partition: u32,
    mut counted: mpsc::Receiver<oneshot::Sender<u64>>,
    checks: &mpsc::UnboundedSender<Check>,
) -> QueueError {
    loop {
        let ended = subscribe(shared, link, partition, &mut counted, checks).await;
        shared.board().subscribed(partition);
        let error = ended.err().unwrap_or(QueueError::Closed);
        if !link.connection.status().connected() {
            return error;
        }
        tracing::info!(queue = %shared.names.queue(partition), %error, "subscribing again");
        sleep(PAUSE).await;
        if let Err(error) = shared.names.declare_queue(&link.connection, partition).await {
            return error;
        }
    }
}

async fn subscribe(
    shared: &Shared,
    link: &Link,
    partition: u32,
    counted: &mut mpsc::Receiver<oneshot::Sender<u64>>,
    checks: &mpsc::UnboundedSender<Check>,
) -> Result<(), QueueError> {
    let queue = shared.names.queue(partition);
    let channel = link.connection.create_channel().await?;
    let subscription = shared.board().subscribed(partition);
    if shared.settings.consume == Consume::Queue {
        while let Some(answer) = counted.recv().await {
            answer.send(count(shared, &channel, partition).await?).ok();
        }
        return Ok(());
    }
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
    link.keep(partition, consumer.clone());
    let consumed =
        consume(shared, (&channel, consumer), Check { partition, subscription }, counted, checks).await;
    // mostly it is closed already
    drop(channel.close(200, "consumed".into()).await);
    consumed
}

/// Takes in what comes, until nothing more does.
async fn consume(
    shared: &Shared,
    (channel, consumer): (&Channel, Consumer),
    Check { partition, subscription }: Check,
    counted: &mut mpsc::Receiver<oneshot::Sender<u64>>,
    checks: &mpsc::UnboundedSender<Check>,
) -> Result<(), QueueError> {
    let mut consumer = pin!(consumer);
    let mut is_new = true;
    loop {
        let answer = tokio::select! {
            delivery = consumer.next() => {
                let Some(delivery) = delivery else { return Ok(()) };
                let delivery = delivery?;
                // somebody else may have had it, and what follows
                let shut = delivery.redelivered.then(|| shared.board().shut(partition)).flatten();
                if is_new || shut.is_some() {
                    is_new = false;
                    drop(checks.send(Check { partition, subscription }));
                }
                arrive(shared, partition, delivery).await?;
                continue;
            }
            Some(answer) = counted.recv() => answer,
        };
        // what was on its way when it was counted is here after the next answer
        count(shared, channel, partition).await?;
        let waiting = count(shared, channel, partition).await?;
        while let Some(Some(delivery)) = consumer.next().now_or_never() {
            if is_new {
                is_new = false;
                drop(checks.send(Check { partition, subscription }));
            }
            arrive(shared, partition, delivery?).await?;
        }
        answer.send(waiting).ok();
    }
}

/// What waits in a queue and isn't on its way to anybody.
async fn count(shared: &Shared, channel: &Channel, partition: u32) -> Result<u64, QueueError> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let queue = channel.queue_declare(shared.names.queue(partition), passive, FieldTable::default()).await?;
    Ok(queue.message_count().into())
}

async fn arrive(shared: &Shared, partition: u32, delivery: Delivery) -> Result<(), QueueError> {
    match message(delivery, partition) {
        Ok(message) => {
            let now = shared.now();
            let mut board = shared.board();
            board.known.stored(message.key, now);
            board.arrive(message);
            drop(board);
            shared.ready.notify_one();
            Ok(())
        }
        Err((body, tag)) => {
            let update = Update {
                update_id: None,
                lane: Lane::alone(0),
                received_at: shared.clock.now(),
                expires_at: None,
                body,
            };
            let reason = Reason::Malformed("not put into the queue by a sidecar".to_owned());
            shared.set_aside(&update, Key::of(&update.body), &reason).await?;
            tag.ack(BasicAckOptions::default()).await?;
            Ok(())
        }
    }
}

/// What came, as it waits here; or its body, if no sidecar put it there.
fn message(delivery: Delivery, partition: u32) -> Result<Message<Tag>, (Bytes, Tag)> {
    let headers = Headers::of(&delivery.properties);
    let returned = headers.as_count("x-delivery-count").unwrap_or_default();
    let deliveries = u32::try_from(returned).unwrap_or(u32::MAX).max(delivery.redelivered.into());
    let stored_at = headers.as_count("stored-at").unwrap_or_default();
    let replayed = headers.as_dead_letter_id("replay-of").map(Key::of_replayed);
    let body = Bytes::from(delivery.data);
    let Some(update) = headers.to_update(body.clone()) else { return Err((body, delivery.acker)) };
    let key = replayed.unwrap_or_else(|| Key::of(&body));
    Ok(Message { key, partition, stored_at, deliveries, update, tag: delivery.acker })
}
