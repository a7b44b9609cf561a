//! What happened: every update with its tries, every API call with its parameters, every webhook reply.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::reply::Reply;

/// The life of one update.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    pub update_id: i64,
    /// Second key of the body.
    pub kind: String,
    /// Lane that orders it; 0 is a lane of its own.
    pub lane: i64,
    /// Unix time.
    pub enqueued_at: f64,
    pub outcome: Outcome,
    pub attempts: Vec<Attempt>,
}

/// Where an update ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Still in the queue.
    Pending,
    /// A 2xx.
    Delivered,
    /// Thrown away when its life was over.
    Dropped,
    /// Fetched and confirmed with getUpdates.
    Fetched,
    /// Removed by `drop_pending_updates` or logOut.
    Cleared,
}

/// One try.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// Unix time of the sending.
    pub at: f64,
    /// Number of the connection it went over.
    pub connection: u64,
    /// Unix time of the answer or failure; none while in flight or when the webhook was replaced meanwhile.
    pub finished_at: Option<f64>,
    /// Status of the answer.
    pub status: Option<i32>,
    /// Reason phrase of the answer.
    pub reason: Option<String>,
    /// Why it counts as failed.
    pub error: Option<String>,
}

/// Numbers over all deliveries.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Summary {
    pub enqueued: u64,
    pub delivered: u64,
    pub pending: u64,
    pub dropped: u64,
    pub fetched: u64,
    pub cleared: u64,
    pub attempts: u64,
    /// How often each status came; failures without a status are `none`.
    pub statuses: BTreeMap<String, u64>,
}

/// Who called.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// A call over HTTP.
    Client,
    /// Another holder of the token, played by the control API.
    Hijacker,
}

/// A call of a Bot API method. Holds secrets of the bot under test, never the token.
#[derive(Clone, Serialize, Deserialize)]
pub struct ApiCall {
    /// Unix time of the answer.
    pub at: f64,
    pub method: String,
    pub by: Caller,
    /// As passed, `secret_token` included.
    pub parameters: Map<String, Value>,
    /// Name and size of each uploaded file.
    pub files: BTreeMap<String, usize>,
    /// Status of the answer; none when the call was left without one.
    pub status: Option<u16>,
    pub description: String,
    /// The injected fault that hit it.
    pub fault: Option<String>,
}

// The parameters hold the secret token and the webhook's path.
impl fmt::Debug for ApiCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiCall")
            .field("at", &self.at)
            .field("method", &self.method)
            .field("by", &self.by)
            .field("status", &self.status)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

/// Everything recorded for a bot.
#[derive(Default)]
pub struct Record {
    pub deliveries: BTreeMap<i64, Delivery>,
    pub calls: Vec<ApiCall>,
    pub replies: Vec<Reply>,
}

impl Record {
    /// An update was queued.
    pub fn enqueued(&mut self, update_id: i64, kind: String, lane: i64, at: f64) {
        self.deliveries.insert(
            update_id,
            Delivery {
                update_id,
                kind,
                lane,
                enqueued_at: at,
                outcome: Outcome::Pending,
                attempts: Vec::new(),
            },
        );
    }

    /// A try began.
    pub fn sent(&mut self, update_id: i64, connection: u64, at: f64) {
        if let Some(delivery) = self.deliveries.get_mut(&update_id) {
            delivery.attempts.push(Attempt {
                at,
                connection,
                finished_at: None,
                status: None,
                reason: None,
                error: None,
            });
        }
    }

    /// The last try of an update, to be completed.
    pub fn last_attempt(&mut self, update_id: i64) -> Option<&mut Attempt> {
        self.deliveries.get_mut(&update_id)?.attempts.last_mut()
    }

    /// Updates left the queue.
    pub fn ended(&mut self, update_ids: impl IntoIterator<Item = i64>, outcome: Outcome) {
        for id in update_ids {
            if let Some(delivery) = self.deliveries.get_mut(&id) {
                delivery.outcome = outcome;
            }
        }
    }

    /// Counts them all.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for delivery in self.deliveries.values() {
            summary.enqueued += 1;
            *match delivery.outcome {
                Outcome::Pending => &mut summary.pending,
                Outcome::Delivered => &mut summary.delivered,
                Outcome::Dropped => &mut summary.dropped,
                Outcome::Fetched => &mut summary.fetched,
                Outcome::Cleared => &mut summary.cleared,
            } += 1;
            for attempt in &delivery.attempts {
                summary.attempts += 1;
                if attempt.finished_at.is_some() {
                    let status =
                        attempt.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
                    *summary.statuses.entry(status).or_default() += 1;
                }
            }
        }
        summary
    }
}
