//! The queues that are open, as the admin port asks them: whatever their backends are, by the names of their webhooks.

use std::pin::Pin;

use telegram_webhook_sidecar_config::{Consume, DeliveryState};

use super::query::QueryError;
use crate::queue::{DeadLetter, DeadLetterId, Depth, QueueError, Selection};

/// What a queue will answer.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, QueueError>> + Send + 'a>>;

/// The open queues. Where there is none of a name, or no longer, the answer is [`QueueError::Closed`]; else it is that of the method of
/// [`crate::queue::Queue`] with the same name.
pub trait Queues: Send + Sync + 'static {
    /// Names of the webhooks.
    fn names(&self) -> Vec<String>;

    /// Who takes updates out; what is usual where there is no such queue.
    fn consume(&self, webhook: &str) -> Consume;

    fn depth<'a>(&'a self, webhook: &'a str) -> Asked<'a, Depth>;

    /// Finishes what is in hand of those queues that other sidecars share, leaves them the rest, and takes nothing more for these queues.
    fn hand_over(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// How delivery goes.
    fn state<'a>(&'a self, webhook: &'a str) -> Asked<'a, DeliveryState>;

    fn dead_letters<'a>(
        &'a self,
        webhook: &'a str,
        selection: &'a Selection,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Asked<'a, Vec<DeadLetter>>;

    fn replay<'a>(&'a self, webhook: &'a str, id: DeadLetterId) -> Asked<'a, bool>;
}

/// Why it isn't known which queue is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChooseError {
    #[error("nothing is stored: there is no queue")]
    None,
    #[error("webhook: there is no queue of {wanted}; there are those of: {}", .there.join(", "))]
    Unknown { wanted: String, there: Vec<String> },
    #[error(transparent)]
    Several(QueryError),
}

/// The webhook whose queue is meant; it need not be named where there is one.
pub(super) fn choose(queues: &dyn Queues, wanted: Option<&str>) -> Result<String, ChooseError> {
    let mut there = queues.names();
    there.sort_unstable();
    let found = match wanted {
        Some(wanted) => there.iter().position(|name| name == wanted),
        None => (there.len() == 1).then_some(0),
    };
    match (found, wanted) {
        (Some(found), _) => Ok(there.swap_remove(found)),
        _ if there.is_empty() => Err(ChooseError::None),
        (None, Some(wanted)) => Err(ChooseError::Unknown { wanted: wanted.to_owned(), there }),
        (None, None) => {
            let reason = format!("must say which, because there are several: {}", there.join(", "));
            Err(ChooseError::Several(QueryError::new("webhook", reason)))
        }
    }
}
