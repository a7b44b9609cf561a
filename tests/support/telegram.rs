//! A simulator of Telegram's Bot API server: its webhook methods and its delivery engine, written to what the real
//! one was read and measured to do. In-process through [`Simulator`], or as the binary `telegram-simulator`.
//!
//! Bot API: `/bot<token>/<method>` with `getMe`, `setWebhook`, `deleteWebhook`, `getWebhookInfo`, `getUpdates`, `close`,
//! `logOut`. Control API, JSON; `?bot=<id>` chooses one of several bots:
//!
//! ```text
//! GET  /control/bots                          [{"id":1,"username":"bot1_bot","revoked":false}]
//! POST /control/bots                          {"token":"1:a","username":"support_bot"}
//! POST /control/updates                       {"count":1000,"chats":[1,2],"kinds":["message"],"text":"update {i}"}; see [`control::Enqueue`]
//! GET  /control/deliveries?outcome=&from=&limit=   every update with its tries; outcome: pending, delivered, dropped, fetched, cleared
//! GET  /control/refusals                      the deliveries with a failed try
//! GET  /control/summary                       numbers over all deliveries
//! GET  /control/calls?method=setWebhook       Bot API calls with their parameters, never the token
//! GET  /control/webhook                       the slot, secret token included
//! GET  /control/replies                       Bot API calls found in 2xx answers, executed or ignored
//! POST /control/faults                        {"method":"setWebhook","kind":{"type":"html502"},"count":2,"after_effect":true}
//!        kinds: too_many_requests{retry_after} status{status} empty_status{status} html502 timeout{seconds} reset
//! GET  /control/faults, POST /control/faults/clear
//! POST /control/delivery                      {"paused":true} or {"fault":"lose_answer","count":3} (refuse, reset, lose_answer)
//!                                             or {"next_update_id":5}
//! POST /control/token                         {"action":"revoke"} or {"action":"restore"}
//! POST /control/hijack                        {"method":"setWebhook","parameters":{"url":"..."},"certificate":"PEM"}
//! POST /control/names/forget                 looks every host up anew, before its 29 minutes (5 after a failure) are over
//! POST /control/reset                         forgets everything but the tokens
//! ```

pub mod answer;
mod api;
pub mod arguments;
mod backoff;
pub mod bot;
pub mod builders;
mod clock;
mod connection;
pub mod control;
mod engine;
pub mod faults;
mod get_updates;
mod growth;
mod info;
pub mod json_text;
pub mod kinds;
mod lanes;
pub mod methods;
pub mod network;
pub mod queue;
pub mod record;
mod registry;
pub mod reply;
mod request;
mod resolver;
mod response;
mod set_webhook;
mod tls;
mod webhook_url;

use std::{
    convert::Infallible,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use tokio::net::TcpListener;

pub use tls::TrustError;

use arguments::Arguments;
use bot::{Bot, Server};
use builders::Subject;
use clock::Clock;
use control::{BotView, Enqueue, Enqueued};
use kinds::Kind;
use methods::Reaction;
use network::{Network, RealNetwork};
use queue::NewUpdate;
use record::Caller;
use registry::{MalformedToken, Registry};
use resolver::Resolver;

/// How a simulator is started.
pub struct Options {
    /// As the real server's flag: any port, plain HTTP and private addresses for webhooks.
    pub local: bool,
    /// PEM roots for deliveries instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Names and connections.
    pub network: Arc<dyn Network>,
}

impl Default for Options {
    fn default() -> Self {
        Self { local: false, ca_file: None, network: Arc::new(RealNetwork) }
    }
}

/// Updates that can't be made as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnqueueError {
    #[error("unknown kind of update {0:?}")]
    UnknownKind(String),
    #[error("chats and kinds must not be empty")]
    Empty,
    #[error("value_hex is not hex")]
    Hex,
}

/// A Bot API server in this process.
#[derive(Clone)]
pub struct Simulator {
    registry: Arc<Registry>,
    server: Arc<Server>,
    /// Numbers of messages, polls and queries.
    next_number: Arc<AtomicI64>,
}

impl Simulator {
    /// A server without bots; it ends with its runtime.
    pub fn new(options: Options) -> Result<Self, TrustError> {
        let server = Arc::new(Server {
            clock: Clock::start(),
            local: options.local,
            network: options.network,
            resolver: Resolver::default(),
            roots: tls::roots(options.ca_file.as_deref())?,
        });
        Ok(Self {
            registry: Arc::new(Registry::new(Arc::clone(&server))),
            server,
            next_number: Arc::new(AtomicI64::new(1)),
        })
    }

    /// Makes a token known.
    pub fn add_bot(&self, token: &str, username: Option<&str>) -> Result<Arc<Bot>, MalformedToken> {
        self.registry.add(token, username)
    }

    /// Serves both APIs over plain HTTP until the future is dropped.
    pub async fn serve(self, listener: TcpListener) -> io::Result<Infallible> {
        api::serve(self, listener).await
    }

    /// Calls a Bot API method without HTTP, as a test with a paused clock must.
    pub async fn call(&self, token: &str, method: &str, parameters: &[(&str, &str)]) -> Reaction {
        let arguments = Arguments::from_pairs(parameters.iter().copied());
        self.call_with(token, method, &arguments).await
    }

    /// The same with files.
    pub async fn call_with(&self, token: &str, method: &str, arguments: &Arguments) -> Reaction {
        match self.registry.authenticate(token) {
            Ok(bot) => methods::call(&bot, method, arguments, Caller::Client).await,
            Err(unauthorized) => Reaction::Answer(unauthorized),
        }
    }

    /// Makes updates as Telegram would; numbers of those that the bot receives.
    pub fn enqueue(&self, bot: &Bot, request: &Enqueue) -> Result<Enqueued, EnqueueError> {
        let updates = match &request.raw {
            Some(_) => std::iter::repeat_with(|| self.raw_update(request))
                .take(request.count)
                .collect::<Result<Vec<_>, _>>()?,
            None => self.built_updates(request)?,
        };
        let made = updates.len();
        let update_ids: Vec<i64> =
            updates.into_iter().filter_map(|(kind, update)| bot.enqueue(kind, &update).ok()).collect();
        bot.notify();
        Ok(Enqueued { discarded: made - update_ids.len(), update_ids })
    }

    fn built_updates(&self, request: &Enqueue) -> Result<Vec<(Option<Kind>, NewUpdate)>, EnqueueError> {
        let kinds = request
            .kinds
            .iter()
            .map(|name| Kind::from_name(name).ok_or_else(|| EnqueueError::UnknownKind(name.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        if kinds.is_empty() || request.chats.is_empty() {
            return Err(EnqueueError::Empty);
        }
        let chats = request.chats.iter().cycle();
        let rounds = (0..request.count).map(|number| number / request.chats.len());
        Ok(chats
            .zip(rounds)
            .enumerate()
            .filter_map(|(number, (chat, round))| {
                let kind = *kinds.get(round % kinds.len())?;
                let subject = Subject {
                    chat: *chat,
                    user: request.user.unwrap_or_else(|| chat.abs()),
                    text: request.text.replace("{i}", &number.to_string()),
                    date: request.date.unwrap_or_else(|| self.server.clock.unix_seconds()),
                    number: self.next_number.fetch_add(1, Ordering::Relaxed),
                    life: request.life_seconds,
                };
                Some((Some(kind), builders::build(kind, &subject)))
            })
            .collect())
    }

    fn raw_update(&self, request: &Enqueue) -> Result<(Option<Kind>, NewUpdate), EnqueueError> {
        let raw = request.raw.as_ref().ok_or(EnqueueError::Empty)?;
        let mut stored = format!("{}:", json_text::quoted(&raw.kind)).into_bytes();
        match &raw.value_hex {
            Some(value) => stored.extend(hex::decode(value).map_err(|_| EnqueueError::Hex)?),
            None => stored.extend_from_slice(raw.value.as_bytes()),
        }
        let update = NewUpdate {
            kind: raw.kind.clone(),
            stored,
            lane: raw.lane,
            expires_at: builders::expiry(self.server.clock.unix_seconds(), raw.life_seconds),
        };
        Ok((Kind::from_name(&raw.kind), update))
    }

    /// All bots.
    pub fn bots(&self) -> Vec<BotView> {
        self.registry
            .bots()
            .into_iter()
            .map(|(bot, revoked)| BotView { id: bot.id, username: bot.username.clone(), revoked })
            .collect()
    }

    /// Revokes every token of a bot, which erases its webhook, or makes them valid again.
    pub async fn set_revoked(&self, bot_id: i64, revoked: bool) {
        self.registry.set_revoked(bot_id, revoked);
        if let Some(bot) = self.registry.bot(Some(bot_id)).filter(|_| revoked) {
            methods::erase_webhook(&bot).await;
        }
    }

    /// Looks every name up anew.
    pub fn forget_names(&self) {
        self.server.resolver.clear();
    }

    /// Forgets everything but the bots: webhooks, updates, faults, history, names.
    pub async fn reset(&self) {
        for (bot, _) in self.registry.bots() {
            self.registry.set_revoked(bot.id, false);
            methods::reset(&bot).await;
        }
        self.forget_names();
    }

    /// The bots and their tokens.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}
