//! What was set aside: `/dead-letters` of the admin port, and the `dead-letters` command that asks there.
//!
//! The list has ids and no text, because anybody in the cluster may look at it. What an update holds only the pod itself gets to see,
//! and only the pod itself says what is delivered again.

pub mod command;
mod entry;
mod query;
mod replay;

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use tokio::sync::Mutex;

pub use self::{entry::Entry, replay::Replay};
use self::{
    query::{ListQuery, ReplayQuery, WEBHOOK, Which},
    replay::Halfway,
};
use super::{
    is_within, json, not_allowed,
    query::{Query, QueryError},
    queues::{ChooseError, Queues, choose},
    text, with_body,
};
use crate::queue::{DeadLetter, DeadLetterId, QueueError, Selection};

/// Where the dead letters are; an id and what is wanted of it follow.
pub(super) const PATH: &str = "/dead-letters";
/// Most that are in memory at a time, bodies and all.
const PAGE: usize = 16;
/// An update as it came, which may be anything.
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// What the admin port shows of the dead letters of all queues.
pub struct DeadLetters {
    queues: Arc<dyn Queues>,
    /// Whoever has it may have updates in memory: however many ask, it is one page.
    turn: Mutex<()>,
}

/// What is asked for, by its path.
enum Route<'a> {
    List,
    Replay,
    Update(&'a str),
}

/// Why there is no answer but an error.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Choose(#[from] ChooseError),
    #[error("{webhook} has no dead letter {id}")]
    NotThere { webhook: String, id: DeadLetterId },
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Halfway(#[from] Halfway),
}

/// Dead letters of a webhook, oldest first, as many at a time as may be in memory.
struct Pages<'a> {
    letters: &'a DeadLetters,
    webhook: &'a str,
    selection: &'a Selection,
    after: Option<DeadLetterId>,
}

// === impl DeadLetters ===

impl DeadLetters {
    pub fn new(queues: Arc<dyn Queues>) -> Self {
        Self { queues, turn: Mutex::default() }
    }

    /// None where the path is another's.
    pub(super) async fn answer(
        &self,
        peer: SocketAddr,
        method: &Method,
        path: &str,
        query: Option<&str>,
    ) -> Option<Response<Full<Bytes>>> {
        let route = Route::of(path)?;
        let looks = matches!(*method, Method::GET | Method::HEAD);
        let answer = match route {
            Route::List if looks => self.list(query).await,
            Route::Update(_) | Route::Replay if !is_within(peer) => {
                return Some(text(StatusCode::FORBIDDEN, "only from the same machine or pod"));
            }
            Route::Update(id) if looks => self.update(id, query).await,
            Route::Replay if method == Method::POST => self.replay(query).await,
            Route::Replay => return Some(not_allowed(HeaderValue::from_static("POST"))),
            Route::List | Route::Update(_) => {
                return Some(not_allowed(HeaderValue::from_static("GET, HEAD")));
            }
        };
        Some(answer.unwrap_or_else(|trouble| text(trouble.status(), trouble.to_string())))
    }

    async fn list(&self, query: Option<&str>) -> Result<Response<Full<Bytes>>, Trouble> {
        let ListQuery { webhook, selection, after, limit } = ListQuery::read(query)?;
        let webhook = choose(&*self.queues, webhook.as_deref())?;
        let mut pages = Pages { after, ..self.pages(&webhook, &selection) };
        let mut entries = Vec::new();
        while entries.len() < limit {
            let page = pages.next(limit - entries.len(), Entry::of).await?;
            if page.is_empty() {
                break;
            }
            entries.extend(page);
        }
        Ok(json(&entries))
    }

    async fn update(&self, id: &str, query: Option<&str>) -> Result<Response<Full<Bytes>>, Trouble> {
        let id: DeadLetterId = id.parse().map_err(|reason| QueryError::new("id", reason))?;
        let query = Query::read(query, &[WEBHOOK])?;
        let webhook = choose(&*self.queues, query.text(WEBHOOK))?;
        let everything = Selection::default();
        let mut pages = self.pages_from(&webhook, &everything, id);
        let found = pages.next(1, |letter| (letter.id, letter.update.body.clone())).await?.pop();
        match found {
            Some((found, body)) if found == id => {
                tracing::info!(webhook, %id, "dead letter shown");
                Ok(with_body(StatusCode::OK, BYTES, body))
            }
            _ => Err(Trouble::NotThere { webhook, id }),
        }
    }

    async fn replay(&self, query: Option<&str>) -> Result<Response<Full<Bytes>>, Trouble> {
        let ReplayQuery { webhook, which, dry_run } = ReplayQuery::read(query)?;
        let webhook = choose(&*self.queues, webhook.as_deref())?;
        let replayed = match which {
            Which::One(id) if self.replay_one(&webhook, id, dry_run).await? => {
                Replay { count: 1, ids: vec![id.to_string()], dry_run }
            }
            Which::One(id) => return Err(Trouble::NotThere { webhook, id }),
            Which::Selected(selection) => self.replay_selected(&webhook, &selection, dry_run).await?,
        };
        if !dry_run {
            tracing::info!(webhook, count = replayed.count, "dead letters replayed");
        }
        Ok(json(&replayed))
    }

    fn pages<'a>(&'a self, webhook: &'a str, selection: &'a Selection) -> Pages<'a> {
        Pages { letters: self, webhook, selection, after: None }
    }

    /// From an id on, whether there is such a dead letter or not.
    fn pages_from<'a>(&'a self, webhook: &'a str, selection: &'a Selection, id: DeadLetterId) -> Pages<'a> {
        let DeadLetterId { major, minor } = id;
        let before = match (minor.checked_sub(1), major.checked_sub(1)) {
            (Some(minor), _) => Some(DeadLetterId { major, minor }),
            (None, Some(major)) => Some(DeadLetterId { major, minor: u64::MAX }),
            (None, None) => None,
        };
        Pages { after: before, ..self.pages(webhook, selection) }
    }
}

// === impl Pages ===

impl Pages<'_> {
    /// The next ones, at most `limit`, as `view` sees them; none is the end.
    async fn next<T>(&mut self, limit: usize, view: impl Fn(&DeadLetter) -> T) -> Result<Vec<T>, QueueError> {
        let Self { letters, webhook, selection, after } = self;
        let _turn = letters.turn.lock().await;
        let page = letters.queues.dead_letters(webhook, selection, *after, limit.min(PAGE)).await?;
        *after = page.last().map_or(*after, |last| Some(last.id));
        Ok(page.iter().map(view).collect())
    }
}

// === impl Route ===

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Option<Self> {
        match path.strip_prefix(PATH)? {
            "" => Some(Self::List),
            "/replay" => Some(Self::Replay),
            rest => rest.strip_prefix('/')?.strip_suffix("/update").map(Self::Update),
        }
    }
}

// === impl Trouble ===

impl Trouble {
    fn status(&self) -> StatusCode {
        match self {
            Self::Query(_) | Self::Choose(ChooseError::Several(_)) => StatusCode::BAD_REQUEST,
            Self::Choose(ChooseError::None | ChooseError::Unknown { .. }) | Self::NotThere { .. } => {
                StatusCode::NOT_FOUND
            }
            Self::Queue(error) | Self::Halfway(Halfway { error, .. }) => match error {
                QueueError::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
                QueueError::Full(_) | QueueError::Unavailable(_) | QueueError::Closed => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
