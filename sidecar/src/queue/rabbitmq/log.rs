//! A stream that every sidecar writes to and reads from its beginning, so that all of them know the same.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::StreamExt as _;
use lapin::{
    Channel, Connection, Consumer,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::sync::oneshot;

use super::{connection::publish, headers::Headers};
use crate::queue::QueueError;

/// Messages on their way to us.
const PREFETCH: u16 = 512;
/// Messages after which they are acknowledged, which makes room for others.
const ACKNOWLEDGED_AT_ONCE: u64 = 64;
/// Header that says what an entry is.
pub const EVENT: &str = "event";
/// Entry that says nothing: who sees it has seen all before it.
const MARKER: &str = "marker";

/// A stream, and how far it has been read.
#[derive(Debug)]
pub struct Log {
    name: ShortString,
    /// Tells our own entries from others'.
    writer: String,
    /// Numbers our entries.
    next: AtomicU64,
    /// Offset of the entry to be read next.
    position: AtomicU64,
    /// Of our entries those that haven't been read, and who waits for that.
    unread: Mutex<HashMap<u64, oneshot::Sender<()>>>,
}

/// Resolves when our entry has been read, and so all that was before it.
pub type Read = oneshot::Receiver<()>;

/// An entry.
#[derive(Debug)]
pub struct Entry {
    pub offset: u64,
    pub headers: Headers,
    pub body: Vec<u8>,
}

// === impl Log ===

impl Log {
    pub fn new(name: ShortString) -> Result<Self, getrandom::Error> {
        Ok(Self {
            name,
            writer: format!("{:016x}", getrandom::u64()?),
            next: AtomicU64::new(0),
            position: AtomicU64::new(0),
            unread: Mutex::default(),
        })
    }

    /// Adds an entry, durably.
    pub async fn write(
        &self,
        publisher: &Channel,
        event: &str,
        mut headers: Headers,
        body: &[u8],
    ) -> Result<Read, QueueError> {
        headers.text(EVENT, event);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, read) = oneshot::channel();
        self.unread().insert(number, sender);
        let properties = headers.into_properties(format!("{}-{number}", self.writer).into());
        let written = publish(publisher, self.name.clone(), properties, body).await;
        if written.is_err() {
            self.unread().remove(&number);
        }
        written.map(|()| read)
    }

    /// Adds an entry that is there to be read.
    pub async fn mark(&self, publisher: &Channel) -> Result<Read, QueueError> {
        self.write(publisher, MARKER, Headers::default(), b"").await
    }

    /// Reads on where reading ended, and doesn't return before it fails.
    pub async fn follow(&self, connection: &Connection, mut take: impl FnMut(Entry)) -> QueueError {
        match self.read_all(connection, &mut take).await {
            Ok(()) => QueueError::Unavailable(format!("the stream {} ended", self.name)),
            Err(error) => error,
        }
    }

    async fn read_all(
        &self,
        connection: &Connection,
        take: &mut impl FnMut(Entry),
    ) -> Result<(), QueueError> {
        let position = self.position.load(Ordering::Relaxed);
        let mut consumer = self.consume(connection, position, PREFETCH).await?;
        let mut unacknowledged = 0;
        while let Some(delivery) = consumer.next().await {
            let delivery = delivery?;
            unacknowledged += 1;
            if unacknowledged == ACKNOWLEDGED_AT_ONCE {
                delivery.acker.ack(BasicAckOptions { multiple: true }).await?;
                unacknowledged = 0;
            }
            let headers = Headers::of(&delivery.properties);
            let offset = offset(&headers)?;
            // the first ones may be of before the place that was asked for
            if offset < self.position.load(Ordering::Relaxed) {
                continue;
            }
            take(Entry { offset, headers, body: delivery.data });
            self.position.store(offset + 1, Ordering::Relaxed);
            let number = delivery.properties.message_id().as_ref().and_then(|id| self.number(id.as_str()));
            if let Some(read) = number.and_then(|number| self.unread().remove(&number)) {
                // whoever waited may have gone
                read.send(()).ok();
            }
        }
        Ok(())
    }

    /// The entries from `first` on, in order, for as long as `wanted` says so.
    pub async fn read_from(
        &self,
        connection: &Connection,
        first: u64,
        mut wanted: impl FnMut(Entry) -> bool,
    ) -> Result<(), QueueError> {
        let mut consumer = self.consume(connection, first, 1).await?;
        while let Some(delivery) = consumer.next().await {
            let delivery = delivery?;
            delivery.acker.ack(BasicAckOptions::default()).await?;
            let headers = Headers::of(&delivery.properties);
            let offset = offset(&headers)?;
            if offset >= first && !wanted(Entry { offset, headers, body: delivery.data }) {
                return Ok(());
            }
        }
        Err(QueueError::Unavailable(format!("the stream {} ended", self.name)))
    }

    async fn consume(&self, connection: &Connection, first: u64, prefetch: u16) -> lapin::Result<Consumer> {
        let channel = connection.create_channel().await?;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let offset = match i64::try_from(first) {
            Ok(first) if first > 0 => AMQPValue::LongLongInt(first),
            _ => AMQPValue::LongString("first".into()),
        };
        let mut arguments = FieldTable::default();
        arguments.insert("x-stream-offset".into(), offset);
        let options = BasicConsumeOptions::default();
        channel.basic_consume(self.name.clone(), "".into(), options, arguments).await
    }

    /// Reads from the beginning next time, because the stream may not be the one that it was.
    pub fn rewind(&self) {
        self.position.store(0, Ordering::Relaxed);
    }

    fn number(&self, message_id: &str) -> Option<u64> {
        message_id.strip_prefix(&self.writer)?.strip_prefix('-')?.parse().ok()
    }

    fn unread(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<()>>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn offset(headers: &Headers) -> Result<u64, QueueError> {
    headers
        .as_count("x-stream-offset")
        .ok_or_else(|| QueueError::Broken("a stream's entries have no offset: it is no stream".to_owned()))
}
