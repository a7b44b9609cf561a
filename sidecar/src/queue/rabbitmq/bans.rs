//! Bans that the sidecars of a webhook share through RabbitMQ: a stream of what they decided.

use lapin::{Channel, types::ShortString};
use tokio::sync::watch;

use super::{
    connection,
    headers::Headers,
    log::{EVENT, Entry, Log},
    topology,
};
use crate::{
    bans::exchange::{Exchange, News, SharedBan},
    config::RabbitMqSettings,
    queue::{QueueError, from_millis, millis},
};

const CLIENT: &str = "client";
const FAILURES: &str = "failures";
const UNTIL: &str = "until";

/// What the sidecars of a bot decided.
pub struct RabbitMqBans {
    settings: RabbitMqSettings,
    name: ShortString,
    log: Log,
    /// Where decisions are told, while there is a connection.
    publisher: watch::Sender<Option<Channel>>,
}

// === impl RabbitMqBans ===

impl RabbitMqBans {
    /// Connects when it is followed.
    pub fn open(settings: RabbitMqSettings, bot_id: i64) -> Result<Self, QueueError> {
        let name = topology::bans(&settings.name_prefix, bot_id);
        let no_random = |_| QueueError::Broken("the system has no random numbers".to_owned());
        let log = Log::new(name.clone()).map_err(no_random)?;
        Ok(Self { settings, name, log, publisher: watch::Sender::new(None) })
    }

    async fn read(&self, mut take: impl FnMut(News) + Send) -> Result<QueueError, QueueError> {
        let connection = connection::connect(&self.settings).await?;
        topology::declare_bans(&connection, self.name.clone()).await?;
        self.publisher.send_replace(Some(connection::publisher(&connection).await?));
        let heard = |entry| {
            if let Some(news) = news(&entry) {
                take(news);
            }
        };
        Ok(self.log.follow(&connection, heard).await)
    }
}

impl Exchange for RabbitMqBans {
    async fn tell(&self, news: &News) -> Result<(), QueueError> {
        let not_yet = || QueueError::Unavailable("there is no connection to RabbitMQ".to_owned());
        let publisher = self.publisher.borrow().clone().ok_or_else(not_yet)?;
        let (event, client) = news.of();
        let mut headers = Headers::default();
        headers.text(CLIENT, &client.to_string());
        if let News::Ban(SharedBan { failures, until, .. }) = news {
            headers.time(FAILURES, (*failures).into());
            headers.time(UNTIL, millis(*until));
        }
        self.log.write(&publisher, event, headers, b"").await.map(drop)
    }

    async fn follow(&self, take: impl FnMut(News) + Send) -> QueueError {
        let ended = self.read(take).await;
        self.publisher.send_replace(None);
        ended.unwrap_or_else(|error| error)
    }
}

fn news(Entry { headers, .. }: &Entry) -> Option<News> {
    News::read(&headers.as_text(EVENT)?, &headers.as_text(CLIENT)?, || {
        let failures = headers.as_count(FAILURES)?.try_into().ok()?;
        Some((failures, from_millis(headers.as_count(UNTIL)?)))
    })
}
