//! Draining: how a pod that goes away hands over what it has stored, to the CRM, and of what others share what it has in hand.
//!
//! The sidecar's preStop hook is the `drain` command; a command and not an HTTP hook, because the kubelet would call from outside of
//! the pod. The hooks of the pod's other containers ask `/drained`, which answers when they may stop.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use http::Method;
use tokio::time::{sleep, timeout};

use super::{
    client::{AskError, ask},
    depth::{self, Entry, shown},
    queues::Queues,
};
use crate::app::Readiness;

pub(super) const PATH: &str = "/drain";
/// Parameter: how long the queues may take to get empty.
pub(super) const WAIT_SECONDS: &str = "wait_seconds";

/// Between two looks at the queues.
const PAUSE: Duration = Duration::from_millis(200);

/// So long the rest of the cluster may take to notice that the pod goes away; Telegram's updates come here until then.
const NOTICED_WITHIN: Duration = Duration::from_secs(3);
/// A hook that asks although nothing is drained belongs to a container that is restarted by itself.
const BEGINS_WITHIN: Duration = Duration::from_secs(2);

/// Waits until the queues are empty or left to others, no longer than `wait`, and takes no more updates from then on.
pub(super) async fn empty(readiness: Arc<Readiness>, queues: Arc<dyn Queues>, wait: Duration) {
    let emptied = async {
        sleep(NOTICED_WITHIN).await;
        queues.hand_over().await;
        while !depth::entries(&*queues).await.iter().all(Entry::is_empty) {
            sleep(PAUSE).await;
        }
    };
    if timeout(wait, emptied).await.is_ok() {
        tracing::info!("everything is delivered, or left to others");
    } else {
        tracing::warn!("draining took too long: not everything is delivered");
    }
    readiness.close();
    readiness.end_draining();
}

/// Waits until a container of the pod may stop.
pub(super) async fn over(readiness: &Readiness) -> &'static str {
    if timeout(BEGINS_WITHIN, readiness.draining()).await.is_err() {
        return "not draining";
    }
    readiness.drained().await;
    "drained"
}

/// What couldn't be waited for.
#[derive(Debug)]
pub struct Left(Result<Vec<Entry>, Option<AskError>>);

/// Tells the sidecar at `admin` to drain, and waits until it has delivered everything, but no longer than `wait`. What it hasn't
/// delivered by then is no error.
pub async fn request(admin: SocketAddr, wait: Duration) -> Result<Option<Left>, AskError> {
    if wait.is_zero() {
        ask(admin, Method::POST, PATH).await?;
        return Ok(None);
    }
    ask(admin, Method::POST, &format!("{PATH}?{WAIT_SECONDS}={}", wait.as_secs())).await?;
    Ok(emptied(wait, async || depth::list(admin).await).await.err())
}

async fn emptied(wait: Duration, look: impl AsyncFn() -> Result<Vec<Entry>, AskError>) -> Result<(), Left> {
    let mut left = Err(None);
    let empty = async {
        loop {
            left = match look().await {
                Ok(mut entries) => {
                    entries.retain(|entry| !entry.is_empty());
                    if entries.is_empty() {
                        return;
                    }
                    Ok(entries)
                }
                // it may be too busy to say
                Err(error) => Err(Some(error)),
            };
            sleep(PAUSE).await;
        }
    };
    timeout(wait, empty).await.map_err(|_| Left(left))
}

// === impl Left ===

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(entries) => write!(f, "not everything is delivered:\n{}", shown(entries)),
            Err(Some(error)) => write!(f, "not known whether everything is delivered: {error}"),
            Err(None) => f.write_str("not known whether everything is delivered: no answer came in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use telegram_webhook_sidecar_config::Consume;
    use tokio::time::Instant;

    use super::{
        super::{depth::Waiting, memory::Memory},
        *,
    };
    use crate::queue::QueueError;

    const WAIT: Duration = Duration::from_secs(10);

    fn entry(updates: u64) -> Entry {
        let waiting = Waiting { updates, oldest: None, dead_letters: 7, bytes: 100 };
        Entry { webhook: "crm/a".to_owned(), consume: Consume::Sidecar, waiting: Some(waiting), error: None }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_over_when_every_queue_is_empty_whatever_was_set_aside() {
        let looks = Cell::new(0);
        let look = async || {
            looks.set(looks.get() + 1);
            Ok(match looks.get() {
                1 => vec![entry(0), entry(2)],
                2 => return Err(AskError::Timeout(PAUSE)),
                _ => vec![entry(0), entry(0)],
            })
        };
        emptied(WAIT, look).await.unwrap();
        assert_eq!(looks.get(), 3);
        emptied(WAIT, async || Ok(Vec::new())).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_crm_takes_out_itself_is_not_waited_for() {
        let entries = || {
            let theirs = Entry { consume: Consume::Queue, ..entry(5) };
            let unknown = Entry { waiting: None, error: Some("away".to_owned()), ..theirs.clone() };
            vec![theirs, unknown, entry(0)]
        };
        let begun = Instant::now();
        emptied(WAIT, async || Ok(entries())).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(
            entries()[0].to_string(),
            "crm/a: 5 updates wait; 7 were set aside; 100 bytes; somebody else takes them out"
        );
        // nor by the sidecar itself, whose containers wait for that
        for (consume, expected) in [(Consume::Queue, NOTICED_WITHIN), (Consume::Sidecar, WAIT)] {
            let queues = Memory::of(&["crm/a"]);
            queues.with("crm/a", |stored| {
                stored.consume = consume;
                stored.broken = Some(QueueError::Unavailable("away".to_owned()));
            });
            let begun = Instant::now();
            empty(Arc::default(), Arc::new(queues), WAIT).await;
            assert_eq!(begun.elapsed(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_its_time_it_says_what_is_left() {
        let begun = Instant::now();
        let broken = || Entry { waiting: None, error: Some("the queue is broken: x".to_owned()), ..entry(0) };
        let left = emptied(WAIT, async || Ok(vec![entry(0), entry(2), broken()])).await.unwrap_err();
        assert_eq!(begun.elapsed(), WAIT);
        assert_eq!(
            left.to_string(),
            "not everything is delivered:\n\
             crm/a: 2 updates wait; 7 were set aside; 100 bytes\n\
             crm/a: the queue is broken: x"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn after_its_time_it_says_that_it_does_not_know() {
        let refused = emptied(WAIT, async || Err(AskError::Timeout(PAUSE))).await.unwrap_err();
        assert!(refused.to_string().ends_with("the admin port didn't answer within 200ms"), "{refused}");
        let silent = emptied(WAIT, std::future::pending).await.unwrap_err();
        assert!(silent.to_string().ends_with("no answer came in time"), "{silent}");
    }
}
