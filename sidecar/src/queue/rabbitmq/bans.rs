//! Bans that sidecars share through RabbitMQ: a stream of what was banned and lifted, for all pods that use the same virtual host and name
//! prefix.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lapin::{Channel, Connection, types::ShortString};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    connection,
    headers::Headers,
    log::{EVENT, Entry, Log},
    topology,
};
use crate::{
    address::AddressKey,
    bans::exchange::{self, Exchange, SharedBan},
    config::RabbitMqSettings,
    queue::{Clock, QueueError, from_millis, millis},
};

/// Pause before the next attempt to connect: nobody waits for it.
const PAUSE: Duration = Duration::from_secs(2);
/// As many as a sidecar remembers.
const MAX: usize = 1 << 16;
const BAN: &str = "ban";
const LIFT: &str = "lift";

/// What sidecars banned.
pub struct RabbitMqBans {
    shared: Arc<Shared>,
    _ended_when_dropped: DropGuard,
}

struct Shared {
    settings: RabbitMqSettings,
    name: ShortString,
    clock: Clock,
    log: Log,
    known: Mutex<Known>,
    /// Where bans are told, or why they can't be.
    publisher: watch::Sender<Result<Channel, QueueError>>,
}

struct Known {
    bans: BTreeMap<AddressKey, SharedBan>,
    /// Since somebody asked, if anybody did.
    is_changed: bool,
}

// === impl RabbitMqBans ===

impl RabbitMqBans {
    pub fn open(settings: RabbitMqSettings, clock: Clock) -> Result<Self, QueueError> {
        let name = ShortString::from(format!("{}.bans", settings.name_prefix));
        let no_random = |_| QueueError::Broken("the system has no random numbers".to_owned());
        let not_yet = QueueError::Unavailable("RabbitMQ has not answered yet".to_owned());
        let shared = Arc::new(Shared {
            log: Log::new(name.clone()).map_err(no_random)?,
            publisher: watch::Sender::new(Err(not_yet)),
            known: Mutex::new(Known { bans: BTreeMap::new(), is_changed: true }),
            settings,
            name,
            clock,
        });
        let ended = CancellationToken::new();
        let keeping = Arc::clone(&shared);
        tokio::spawn(ended.clone().run_until_cancelled_owned(async move { keeping.keep().await }));
        Ok(Self { shared, _ended_when_dropped: ended.drop_guard() })
    }

    async fn tell(&self, event: &str, headers: Headers) -> Result<(), QueueError> {
        let publisher = self.shared.publisher.borrow().clone()?;
        self.shared.log.write(&publisher, event, headers, b"").await.map(drop)
    }
}

impl Exchange for RabbitMqBans {
    type Error = QueueError;

    async fn ban(&self, ban: SharedBan) -> Result<(), QueueError> {
        let SharedBan { client, failures, until } = ban;
        let mut headers = of_client(client);
        headers.time("failures", failures.into());
        headers.time("until", millis(until));
        self.tell(BAN, headers).await
    }

    async fn lift(&self, client: AddressKey) -> Result<(), QueueError> {
        self.tell(LIFT, of_client(client)).await
    }

    async fn changed(&self) -> Result<Option<Vec<SharedBan>>, QueueError> {
        let now = self.shared.clock.now();
        let mut known = self.shared.known();
        if !std::mem::take(&mut known.is_changed) {
            return Ok(None);
        }
        let in_force = known.bans.values().filter(|ban| ban.until > now).cloned();
        Ok(Some(in_force.collect()))
    }
}

fn of_client(client: AddressKey) -> Headers {
    let mut headers = Headers::default();
    headers.text("client", &client.to_string());
    headers
}

// === impl Shared ===

impl Shared {
    async fn keep(&self) {
        loop {
            let problem = match self.connect().await {
                Ok((connection, publisher)) => {
                    drop(self.publisher.send_replace(Ok(publisher)));
                    self.log.follow(&connection, |entry| self.read(&entry)).await
                }
                Err(error) => error,
            };
            tracing::warn!(error = %problem, "no bans are shared");
            drop(self.publisher.send_replace(Err(problem)));
            sleep(PAUSE).await;
        }
    }

    async fn connect(&self) -> Result<(Connection, Channel), QueueError> {
        let connection = connection::connect(&self.settings).await?;
        topology::declare_bans(&connection, self.name.clone()).await?;
        let publisher = connection::publisher(&connection).await?;
        Ok((connection, publisher))
    }

    fn read(&self, entry: &Entry) {
        let now = self.clock.now();
        let mut known = self.known();
        if known.apply(entry) {
            known.is_changed = true;
            known.bans.retain(|_, ban| ban.until > now);
        }
        while known.bans.len() > MAX {
            // the one that ends first gives way
            let first = known.bans.values().min_by_key(|ban| ban.until).map(|ban| ban.client);
            first.and_then(|client| known.bans.remove(&client));
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Known ===

impl Known {
    /// True if the entry says something; what a later version may write otherwise is none of ours.
    fn apply(&mut self, Entry { headers, .. }: &Entry) -> bool {
        let said = || {
            let client = exchange::client(&headers.as_text("client")?)?;
            Some((headers.as_text(EVENT)?, client))
        };
        let Some((event, client)) = said() else { return false };
        match event.as_str() {
            BAN => {
                let failures = headers.as_count("failures").and_then(|failures| failures.try_into().ok());
                let (Some(failures), Some(until)) = (failures, headers.as_count("until")) else {
                    return false;
                };
                self.bans.insert(client, SharedBan { client, failures, until: from_millis(until) });
                true
            }
            LIFT => {
                self.bans.remove(&client);
                true
            }
            _ => false,
        }
    }
}
