//! The CRM of a run, in bad moods by turns: it keeps the ledger, refuses, takes its time, ends connections without an answer, and is
//! gone for a while.

mod connections;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use serde_json::Value;
use telegram_webhook_load::update;
use tokio::time::sleep;

use self::connections::Connections;
use super::{dice::Dice, ledger::Ledger};

/// Longest that it takes over an update when it is slow.
const SLOWEST: Duration = Duration::from_millis(300);
/// How often it refuses one update at most: fewer times than the sidecar tries.
const MAX_REFUSALS: u32 = 6;

/// Beyond all ids: tells a user's buttons from his chat.
const BUTTONS: u64 = 1 << 60;

/// How it takes updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// After a while.
    Slow,
    /// Half of them not, and says so.
    Failing,
    /// All of them not.
    Down,
    /// Half of them without an answer; some of these had their effect.
    Silent,
    /// Nobody is there.
    Gone,
}

/// The CRM, and the port that is its own even while it is gone.
pub struct Crm {
    shared: Arc<Shared>,
    connections: Connections,
}

struct Shared {
    mood: Mutex<Mood>,
    dice: Mutex<Dice>,
    ledger: Arc<Mutex<Ledger>>,
    refusals: Mutex<HashMap<u64, u32>>,
    /// How many deliveries of each chat are under way.
    under_way: Mutex<HashMap<u64, u32>>,
}

/// A delivery that is under way, until it is dropped.
struct UnderWay {
    shared: Arc<Shared>,
    chat: u64,
}

/// The connection is to end.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct NoAnswer;

/// What becomes of an update.
enum Decision {
    Accept { before: Duration, after: Duration },
    Refuse(StatusCode),
    Silence { effect: bool },
}

// === impl Crm ===

impl Crm {
    pub fn open(dice: Dice, ledger: Arc<Mutex<Ledger>>) -> anyhow::Result<Self> {
        let shared = Shared {
            mood: Mutex::new(Mood::Well),
            dice: Mutex::new(dice),
            ledger,
            refusals: Mutex::default(),
            under_way: Mutex::default(),
        };
        let mut crm = Self { shared: Arc::new(shared), connections: Connections::reserve()? };
        crm.listen()?;
        Ok(crm)
    }

    pub fn address(&self) -> SocketAddr {
        self.connections.address()
    }

    pub fn mood(&self) -> Mood {
        *lock(&self.shared.mood)
    }

    pub async fn set_mood(&mut self, mood: Mood) -> anyhow::Result<()> {
        let before = std::mem::replace(&mut *lock(&self.shared.mood), mood);
        match (before == Mood::Gone, mood == Mood::Gone) {
            (false, true) => self.hang_up().await,
            (true, false) => self.listen(),
            _ => Ok(()),
        }
    }

    /// Ends all connections, those that wait to be accepted too: whoever opened them is dead. What comes from now on comes from
    /// somebody else, who can't know what was answered.
    pub async fn forget_the_dead(&mut self) -> anyhow::Result<()> {
        if self.mood() == Mood::Gone {
            return Ok(());
        }
        self.hang_up().await?;
        self.listen()
    }

    async fn hang_up(&mut self) -> anyhow::Result<()> {
        self.connections.end().await?;
        lock(&self.shared.ledger).broken();
        Ok(())
    }

    fn listen(&mut self) -> anyhow::Result<()> {
        let shared = Arc::clone(&self.shared);
        self.connections.listen(move |request| answer(Arc::clone(&shared), request))
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, NoAnswer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    let Some((update, chat)) = read(&body) else {
        lock(&shared.ledger).altered();
        return Ok(plain(StatusCode::BAD_REQUEST));
    };
    let _under_way = UnderWay::new(&shared, chat);
    match shared.decide(update) {
        Decision::Accept { before, after } => {
            sleep(before).await;
            lock(&shared.ledger).delivered(update, chat, webhook_id(&head.headers));
            sleep(after).await;
            lock(&shared.ledger).answered(update);
            Ok(plain(StatusCode::OK))
        }
        Decision::Refuse(status) => Ok(plain(status)),
        Decision::Silence { effect } => {
            if effect {
                lock(&shared.ledger).delivered(update, chat, webhook_id(&head.headers));
            }
            Err(NoAnswer)
        }
    }
}

/// The update and what keeps it in order, if it is what was sent, byte for byte: a message its chat, a button its user's buttons.
fn read(body: &[u8]) -> Option<(u64, u64)> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let update = value.get("update_id")?.as_u64()?;
    if let Some(user) = value.pointer("/callback_query/from/id") {
        let user = user.as_u64()?;
        return (update::pressed(update, user).as_bytes() == body).then_some((update, BUTTONS | user));
    }
    let chat = value.pointer("/message/chat/id")?.as_u64()?;
    (update::body(update, chat).as_bytes() == body).then_some((update, chat))
}

fn webhook_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("webhook-id").and_then(|value| value.to_str().ok())
}

fn plain(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Shared ===

impl Shared {
    fn decide(&self, update: u64) -> Decision {
        let mood = *lock(&self.mood);
        let mut dice = lock(&self.dice);
        let at_once = Decision::Accept { before: Duration::ZERO, after: Duration::ZERO };
        let refuses = match mood {
            Mood::Down => true,
            Mood::Failing | Mood::Silent => dice.once_in(2),
            Mood::Well | Mood::Slow | Mood::Gone => false,
        };
        if mood == Mood::Slow {
            let before = dice.duration(Duration::ZERO, SLOWEST / 2);
            return Decision::Accept { before, after: dice.duration(Duration::ZERO, SLOWEST / 2) };
        }
        if !refuses || !self.may_refuse(update) {
            return at_once;
        }
        if mood == Mood::Silent {
            return Decision::Silence { effect: dice.once_in(2) };
        }
        let statuses = [
            StatusCode::INTERNAL_SERVER_ERROR,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        dice.pick(&statuses).map_or(at_once, |status| Decision::Refuse(*status))
    }

    /// Counts a refusal, unless there were enough.
    fn may_refuse(&self, update: u64) -> bool {
        let mut refusals = lock(&self.refusals);
        let refusals = refusals.entry(update).or_default();
        *refusals += 1;
        *refusals <= MAX_REFUSALS
    }
}

// === impl UnderWay ===

impl UnderWay {
    fn new(shared: &Arc<Shared>, chat: u64) -> Self {
        let mut under_way = lock(&shared.under_way);
        let count = under_way.entry(chat).or_default();
        if *count > 0 {
            lock(&shared.ledger).overlapping();
        }
        *count += 1;
        Self { shared: Arc::clone(shared), chat }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(count) = lock(&self.shared.under_way).get_mut(&self.chat) {
            *count -= 1;
        }
    }
}
