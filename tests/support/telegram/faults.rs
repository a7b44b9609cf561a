//! What a test lets go wrong: answers of the Bot API and deliveries.

use serde::{Deserialize, Serialize};

/// A fault of the Bot API, for the next calls of a method.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ApiFault {
    /// Method in any case of letters, or `*` for every one.
    pub method: String,
    /// What happens instead of the answer.
    pub kind: ApiFaultKind,
    /// How many calls it hits.
    #[serde(default = "once")]
    pub count: u64,
    /// Whether the method takes effect all the same, so that only its answer is lost.
    #[serde(default)]
    pub after_effect: bool,
}

/// What happens instead of an answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ApiFaultKind {
    /// 429 with `parameters.retry_after`.
    TooManyRequests { retry_after: u64 },
    /// This status with the API's own form of an error.
    Status { status: u16 },
    /// This status with an empty body.
    EmptyStatus { status: u16 },
    /// 502 with the HTML page of a front end.
    Html502,
    /// No answer for so many seconds, then the connection is closed.
    Timeout { seconds: u64 },
    /// The TCP connection is reset.
    Reset,
    /// For setWebhook: its parameters are taken for bad ones, with all that a real refusal does, which is to erase the
    /// webhook that was set.
    Refused,
}

/// A fault of deliveries, for the next so many.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryFault {
    /// `Connection refused`, nothing sent.
    Refuse,
    /// `Connection reset by peer`, nothing sent.
    Reset,
    /// The request is sent and answered, and the answer is lost: the update comes again.
    LoseAnswer,
}

fn once() -> u64 {
    1
}

impl ApiFault {
    fn hits(&self, method: &str) -> bool {
        self.count > 0 && (self.method == "*" || self.method.eq_ignore_ascii_case(method))
    }
}

/// Takes the fault that hits a call of this method.
pub fn take(faults: &mut Vec<ApiFault>, method: &str) -> Option<ApiFault> {
    let fault = faults.iter_mut().find(|fault| fault.hits(method))?;
    fault.count -= 1;
    let taken = fault.clone();
    faults.retain(|fault| fault.count > 0);
    Some(taken)
}
