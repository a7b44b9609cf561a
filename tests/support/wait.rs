//! Waits for a condition by asking again and again, and says what it last saw when it gives up.

use std::{future::Future, time::Duration};

use anyhow::bail;
use tokio::time::{Instant, sleep};

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(200);

/// Asks `look` until it returns `Ok(Some(value))`. `Ok(None)` and errors mean "not yet"; after `limit` the last error, or
/// that there was none, is part of the failure.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut look: F) -> anyhow::Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<Option<T>>>,
{
    let deadline = Instant::now() + limit;
    loop {
        let last = match look().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if Instant::now() >= deadline {
            match last {
                Some(error) => bail!("gave up after {limit:?} waiting for {what}: {error:#}"),
                None => bail!("gave up after {limit:?} waiting for {what}"),
            }
        }
        sleep(INTERVAL).await;
    }
}
