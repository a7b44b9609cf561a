//! Keeps a queue connected: connects, makes what isn't there, reads the logs, subscribes to the queues; begins again when any of it fails.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use lapin::Event;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    connection,
    recorder::settled,
    shared::{Link, Shared, State},
    subscription::{self, Check},
};
use crate::queue::QueueError;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Within which all of the logs must have been read.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Doesn't return before the queue is closed.
pub async fn keep(shared: Arc<Shared>, closing: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    while !closing.is_cancelled() {
        let problem = tokio::select! {
            problem = run(&shared, &mut pause) => problem,
            () = closing.cancelled() => break,
        };
        shared.state.send_replace(State::Down(problem.clone()));
        lose_all(&shared);
        let bot_id = shared.bot_id;
        tracing::warn!(bot_id, error = %problem, ?pause, "no connection to RabbitMQ");
        tokio::select! {
            () = sleep(jittered(pause)) => {}
            () = closing.cancelled() => break,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    let last = shared.state.send_replace(State::Down(QueueError::Closed));
    lose_all(&shared);
    if let State::Up(link) = last {
        // gone is gone: the broker gives out again what isn't acknowledged
        drop(timeout(CLOSE_TIMEOUT, link.connection.close(200, "closed".into())).await);
    }
}

/// Between half of it and the whole, so that sidecars don't come all at once.
fn jittered(pause: Duration) -> Duration {
    let share = getrandom::u32().unwrap_or_default() % 512;
    pause / 2 + pause * share / 1024
}

/// What waits here comes again.
fn lose_all(shared: &Shared) {
    let mut board = shared.board();
    for partition in 0..shared.names.partitions {
        board.subscribed(partition);
    }
}

/// A connection's life; returns what ended it.
async fn run(shared: &Shared, pause: &mut Duration) -> QueueError {
    let connection = match connection::connect(&shared.settings).await {
        Ok(connection) => connection,
        Err(error) => return error,
    };
    let mut events = Box::pin(connection.events_listener());
    let set_up = async {
        let durable = shared.names.declare(&connection).await?;
        shared.durable.store(durable, Ordering::Relaxed);
        connection::publisher(&connection).await
    };
    let publisher = match set_up.await {
        Ok(publisher) => publisher,
        Err(error) => return error,
    };
    let (counters, counted): (Vec<_>, Vec<_>) =
        (0..shared.names.partitions).map(|_| mpsc::channel(1)).unzip();
    let link = Arc::new(Link::new(connection, publisher, counters));
    let (checks, checked) = mpsc::unbounded_channel();
    let mut subscriptions: FuturesUnordered<_> = (0..)
        .zip(counted)
        .map(|(partition, counted)| subscription::keep(shared, &link, partition, counted, &checks))
        .collect();
    *pause = FIRST_PAUSE;
    shared.state.send_replace(State::Up(Arc::clone(&link)));
    tracing::info!(bot_id = shared.bot_id, "connected to RabbitMQ");
    tokio::select! {
        error = follow_settled(shared, &link) => error,
        error = follow_dead(shared, &link) => error,
        error = check(shared, &link, checked) => error,
        Some(error) = subscriptions.next() => error,
        error = failure(&mut events) => error,
        error = shared.pulse.keep() => error,
        () = link.failed.cancelled() => QueueError::Unavailable("RabbitMQ closed a channel".to_owned()),
    }
}

async fn failure(events: &mut (impl futures::Stream<Item = Event> + Unpin)) -> QueueError {
    while let Some(event) = events.next().await {
        match event {
            // one of a channel alone is told to whoever uses the channel
            Event::Error(error) if !error.is_amqp_soft_error() => return error.into(),
            Event::ConnectionBlocked(reason) => {
                tracing::error!(reason, "RabbitMQ takes nothing more: it is out of memory or disk");
            }
            Event::ConnectionUnblocked => tracing::info!("RabbitMQ takes messages again"),
            _ => {}
        }
    }
    QueueError::Unavailable("the connection ended".to_owned())
}

async fn follow_settled(shared: &Shared, link: &Link) -> QueueError {
    let take = |entry| {
        let Some((keys, at)) = settled(&entry) else { return };
        let mut board = shared.board();
        for key in keys {
            board.known.settled(key, at);
        }
    };
    shared.settled.follow(&link.connection, take).await
}

async fn follow_dead(shared: &Shared, link: &Link) -> QueueError {
    let take = |entry| {
        let aside = shared.dead_letters().read(entry);
        if let Some((key, at)) = aside {
            shared.board().known.settled(key, at);
        }
    };
    shared.dead.follow(&link.connection, take).await
}

/// Opens each queue that this sidecar got, once all is known that others settled before.
async fn check(shared: &Shared, link: &Link, mut checks: mpsc::UnboundedReceiver<Check>) -> QueueError {
    let mut waiting = Vec::new();
    while checks.recv_many(&mut waiting, usize::MAX).await > 0 {
        if let Err(error) = read_all(shared, link).await {
            return error;
        }
        let mut board = shared.board();
        for Check { partition, subscription } in waiting.drain(..) {
            board.open(partition, subscription);
        }
        drop(board);
        shared.ready.notify_one();
    }
    QueueError::Unavailable("no queue is subscribed to".to_owned())
}

async fn read_all(shared: &Shared, link: &Link) -> Result<(), QueueError> {
    let marks = [shared.settled.mark(&link.publisher).await, shared.dead.mark(&link.publisher).await];
    for mark in marks {
        let read = link.check(mark)?;
        if timeout(READ_TIMEOUT, read).await.is_err() {
            shared.settled.rewind();
            shared.dead.rewind();
            return Err(QueueError::Unavailable(
                "RabbitMQ doesn't give out what its streams hold".to_owned(),
            ));
        }
    }
    Ok(())
}
