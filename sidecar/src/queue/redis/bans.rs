//! Bans that the sidecars of a webhook share through Redis: a stream of what they decided.

use std::time::Duration;

use tokio::{sync::Mutex, time::sleep};

use super::{keys, server::Server};
use crate::{
    bans::exchange::{Exchange, MAX, News, SharedBan},
    config::RedisSettings,
    queue::{QueueError, from_millis, millis},
};

/// Within which the server must have answered: nobody waits for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// Entries that are read in one step.
const PAGE: usize = 512;

const EVENT: &str = "event";
const CLIENT: &str = "client";
const FAILURES: &str = "failures";
const UNTIL: &str = "until";

/// An entry's id, and its fields and their values in turn.
type Entry = (String, Vec<String>);

/// What the sidecars of a bot decided.
pub struct RedisBans {
    server: Server,
    stream: String,
    /// The entry that was read last.
    place: Mutex<String>,
}

// === impl RedisBans ===

impl RedisBans {
    /// Connects when it must.
    pub fn open(settings: RedisSettings, bot_id: i64) -> Self {
        let stream = keys::bans(&settings.key_prefix, bot_id);
        Self { server: Server::new(settings, ANSWER_WITHIN), stream, place: Mutex::new("0-0".to_owned()) }
    }

    async fn read(&self, take: &mut (impl FnMut(News) + Send)) -> Result<(), QueueError> {
        let mut place = self.place.lock().await;
        loop {
            let mut command = redis::cmd("XRANGE");
            command.arg(&self.stream).arg(format!("({place}")).arg("+").arg("COUNT").arg(PAGE);
            let page: Vec<Entry> = self.server.query(&command).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            place.clone_from(last);
            page.iter().filter_map(|(_, fields)| news(fields)).for_each(&mut *take);
        }
    }
}

impl Exchange for RedisBans {
    async fn tell(&self, news: &News) -> Result<(), QueueError> {
        let (event, client) = news.of();
        let mut command = redis::cmd("XADD");
        command.arg(&self.stream).arg("MAXLEN").arg("~").arg(MAX).arg("*");
        command.arg(EVENT).arg(event).arg(CLIENT).arg(client.to_string());
        if let News::Ban(SharedBan { failures, until, .. }) = news {
            command.arg(FAILURES).arg(*failures).arg(UNTIL).arg(millis(*until));
        }
        self.server.query::<String>(&command).await.map(drop)
    }

    async fn follow(&self, mut take: impl FnMut(News) + Send) -> QueueError {
        loop {
            if let Err(error) = self.read(&mut take).await {
                return error;
            }
            sleep(PERIOD).await;
        }
    }
}

fn news(fields: &[String]) -> Option<News> {
    let value = |name: &str| {
        let mut pairs = fields.chunks_exact(2).filter_map(|pair| Some((pair.first()?, pair.last()?)));
        pairs.find_map(|(found, value)| (found == name).then_some(value.as_str()))
    };
    News::read(value(EVENT)?, value(CLIENT)?, || {
        Some((value(FAILURES)?.parse().ok()?, from_millis(value(UNTIL)?.parse().ok()?)))
    })
}
