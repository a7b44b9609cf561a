//! The queues and streams of a bot: their names, what they are told, and which lane is in which.

use std::time::Duration;

use lapin::{
    Connection,
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable, ShortString},
};
use telegram_webhook_sidecar_config::bounds::MAX_RABBITMQ_DEAD_LETTER_RETENTION_HOURS;
use tokio::time::sleep;

use super::connection::{is_conflict, is_missing};
use crate::{
    config::RabbitMqSettings,
    queue::{Lane, QueueError},
};

/// How long a log is kept in which it says what is settled: as long as copies can come.
const SETTLED_AGE: &str = "25h";
/// Its size at most, three times what [`crate::queue::MAX_KNOWN`] keys take: a sidecar that starts reads it from its beginning.
const SETTLED_BYTES: i64 = 64 << 20;
/// How many days what was set aside can be looked at, at most; sooner it is forgotten by [`crate::queue::Queue::forget_dead_letters`].
const DEAD_DAYS: u64 = MAX_RABBITMQ_DEAD_LETTER_RETENTION_HOURS.div_ceil(24);
/// How long it is said who was banned: longer than a ban can last.
const BANS_AGE: &str = "31D";
/// Its size at most: as many as a sidecar remembers, and more.
const BANS_BYTES: i64 = 32 << 20;
/// Most messages of a queue.
const MAX_LENGTH: &str = "x-max-length";
/// A log is cut off by whole files of that size.
const SEGMENT_BYTES: i64 = 16 << 20;
/// RabbitMQ 4 throws a message away that was given out 20 times, unless it is told otherwise: this often.
const DELIVERY_LIMIT: i64 = 1_000_000_000;
/// RabbitMQ 3.12 and later take back what isn't acknowledged for that long, in milliseconds, instead of for half an hour.
const CONSUMER_TIMEOUT: i64 = 7 * 24 * 3600 * 1000;

/// A node writes down within two seconds that it has a new queue, though it says so before: if it is killed meanwhile, the queue is
/// gone, with all in it that was confirmed.
const UNTIL_DURABLE: Duration = Duration::from_secs(3);

/// What a bot's queues and streams are called.
#[derive(Debug, Clone)]
pub struct Names {
    prefix: String,
    pub partitions: u32,
    /// Updates of each queue.
    max_length: i64,
}

// === impl Names ===

impl Names {
    pub fn new(settings: &RabbitMqSettings, bot_id: i64) -> Self {
        let RabbitMqSettings { name_prefix, partitions, max_updates, .. } = settings;
        Self {
            prefix: format!("{name_prefix}.{bot_id}"),
            partitions: *partitions,
            max_length: max_updates.div_ceil((*partitions).into()).try_into().unwrap_or(i64::MAX),
        }
    }

    /// One of the queues in which updates wait.
    pub fn queue(&self, partition: u32) -> ShortString {
        format!("{}.{partition}", self.prefix).into()
    }

    /// The stream that says what is settled.
    pub fn settled(&self) -> ShortString {
        format!("{}.settled", self.prefix).into()
    }

    /// The stream that says what was set aside, replayed and forgotten.
    pub fn dead(&self) -> ShortString {
        format!("{}.dead", self.prefix).into()
    }

    /// The queue of a lane: the same for every sidecar of every version, because order is only kept within a queue.
    pub fn partition(&self, Lane { family, id }: Lane) -> u32 {
        crc32fast::hash(format!("{family}:{id}").as_bytes()) % self.partitions
    }

    /// Makes all that isn't there, durably, and says whether the queues keep what they confirm.
    pub async fn declare(&self, connection: &Connection) -> Result<bool, QueueError> {
        let are_there = self.check_partitions(connection).await?;
        let settled = [
            ("x-max-age", text(SETTLED_AGE)),
            ("x-max-length-bytes", AMQPValue::LongLongInt(SETTLED_BYTES)),
            ("x-stream-max-segment-size-bytes", AMQPValue::LongLongInt(SEGMENT_BYTES)),
            ("x-queue-type", text("stream")),
        ];
        declare(connection, self.settled(), settled.into_iter()).await?;
        let dead = [
            ("x-max-age", text(&format!("{DEAD_DAYS}D"))),
            ("x-stream-max-segment-size-bytes", AMQPValue::LongLongInt(SEGMENT_BYTES)),
            ("x-queue-type", text("stream")),
        ];
        declare(connection, self.dead(), dead.into_iter()).await?;
        let mut durable = true;
        // the first comes last: where it is, all are
        for partition in (0..self.partitions).rev() {
            durable &= self.declare_queue(connection, partition).await?;
        }
        if !are_there {
            sleep(UNTIL_DURABLE).await;
        }
        Ok(durable)
    }

    /// Makes one of the queues, if it isn't there, and says whether it is replicated, on disks, and drops nothing by itself.
    pub async fn declare_queue(&self, connection: &Connection, partition: u32) -> Result<bool, QueueError> {
        let arguments = [
            ("x-queue-type", text("quorum")),
            ("x-single-active-consumer", AMQPValue::Boolean(true)),
            (MAX_LENGTH, AMQPValue::LongLongInt(self.max_length)),
            ("x-overflow", text("reject-publish")),
            ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT)),
            ("x-consumer-timeout", AMQPValue::LongLongInt(CONSUMER_TIMEOUT)),
        ];
        declare(connection, self.queue(partition), arguments.into_iter()).await
    }

    /// Whether the queues are there. With another number of them the updates of a lane would be in two, in no order.
    async fn check_partitions(&self, connection: &Connection) -> Result<bool, QueueError> {
        let there = async |partition| exists(connection, self.queue(partition)).await;
        let Self { prefix, partitions, .. } = self;
        let are_there = there(0).await?;
        if there(*partitions).await? || are_there && !there(partitions - 1).await? {
            return Err(QueueError::Broken(format!(
                "the queues {prefix}.0 and so on are not {partitions}: set partitions to their number, or let them run empty and delete them"
            )));
        }
        Ok(are_there)
    }
}

/// The stream that says whom the sidecars of a bot banned.
pub fn bans(prefix: &str, bot_id: i64) -> ShortString {
    format!("{prefix}.{bot_id}.bans").into()
}

/// Makes the stream of bans, if it isn't there.
pub async fn declare_bans(connection: &Connection, name: ShortString) -> Result<(), QueueError> {
    let arguments = [
        ("x-max-age", text(BANS_AGE)),
        ("x-max-length-bytes", AMQPValue::LongLongInt(BANS_BYTES)),
        ("x-stream-max-segment-size-bytes", AMQPValue::LongLongInt(SEGMENT_BYTES / 4)),
        ("x-queue-type", text("stream")),
    ];
    declare(connection, name, arguments.into_iter()).await.map(drop)
}

/// Whether it is there as it should be, but for its length.
async fn declare(
    connection: &Connection,
    name: ShortString,
    arguments: impl Iterator<Item = (&'static str, AMQPValue)>,
) -> Result<bool, QueueError> {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    let Err(difference) = try_declare(connection, &name, table.clone()).await? else { return Ok(true) };
    // of several differences the broker tells one, this one before others that matter
    let is_as_it_should_be = match other_length(&difference) {
        Some(length) => {
            table.insert(MAX_LENGTH.into(), AMQPValue::LongLongInt(length));
            try_declare(connection, &name, table).await?.is_ok()
        }
        None => false,
    };
    tracing::warn!(
        queue = %name,
        durable = is_as_it_should_be,
        "the queue was made with other settings and keeps those: delete it when it is empty"
    );
    Ok(is_as_it_should_be)
}

/// What the broker says of the difference, where it is there with other settings.
async fn try_declare(
    connection: &Connection,
    name: &ShortString,
    table: FieldTable,
) -> Result<Result<(), String>, QueueError> {
    let channel = connection.create_channel().await?;
    match channel.queue_declare(name.clone(), QueueDeclareOptions::durable(), table).await {
        Ok(_) => Ok(Ok(())),
        Err(error) if is_conflict(&error) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// The length that a queue has, where that is said to be another: who changes `maxUpdates` loses nothing by it.
fn other_length(difference: &str) -> Option<i64> {
    let (_, difference) = difference.split_once("inequivalent arg 'x-max-length' ")?;
    let (_, current) = difference.split_once("but current is")?;
    current.split('\'').nth(1)?.parse().ok()
}

async fn exists(connection: &Connection, name: ShortString) -> Result<bool, QueueError> {
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    match channel.queue_declare(name, passive, FieldTable::default()).await {
        Ok(_) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_in_the_same_queue_for_ever() {
        let names = Names { prefix: "p.1".to_owned(), partitions: 16, max_length: 1 };
        // other numbers would take updates of a lane to two queues during an update of the sidecars
        let lanes = [(0, 7), (0, -100_123), (3, 7), (Lane::ALONE, 5)];
        let partitions = lanes.map(|(family, id)| names.partition(Lane { family, id }));
        assert_eq!(partitions, PARTITIONS);
        assert_eq!(names.queue(5).as_str(), "p.1.5");
    }

    #[test]
    fn another_length_is_told_from_what_loses_updates() {
        let told = |what: &str| format!("PRECONDITION_FAILED - inequivalent arg '{what}'");
        for (said, expected) in [
            ("x-max-length' for queue 'p.1.0' in vhost '/': received '50' but current is '6250", Some(6250)),
            (
                "x-max-length' for queue 'a' in vhost '/': received the value '5' of type 'long' but current is the value '6' of type 'signedint",
                Some(6),
            ),
            ("x-max-length' for queue 'a' in vhost '/': received '50' but current is none", None),
            ("x-max-length-bytes' for queue 'a' in vhost '/': received none but current is '6", None),
            (
                "x-overflow' for queue 'a' in vhost '/': received 'reject-publish' but current is 'drop-head",
                None,
            ),
            ("durable' for queue 'a' in vhost '/': received 'true' but current is 'false", None),
        ] {
            assert_eq!(other_length(&told(said)), expected, "{said}");
        }
    }

    /// By `binascii.crc32` of Python.
    const PARTITIONS: [u32; 4] = [4, 10, 13, 9];
}
