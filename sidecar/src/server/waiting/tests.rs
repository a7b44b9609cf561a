use std::future::poll_fn;

use tokio::time::timeout;

use super::*;

const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// How many seconds it goes on waiting, and what that is called.
async fn seconds(waiting: &mut Waiting) -> (u64, &'static str) {
    let started = Instant::now();
    let end = poll_fn(|cx| waiting.poll_over(cx)).await;
    (started.elapsed().as_secs(), end.label())
}

/// Whether it goes on waiting for so long.
async fn lasts(waiting: &mut Waiting, seconds: u64) -> bool {
    timeout(Duration::from_secs(seconds), poll_fn(|cx| waiting.poll_over(cx))).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn the_time_for_a_head_runs_from_its_first_byte_to_its_request() {
    let progress = Progress::default();
    let mut waiting = Waiting::new(progress.clone(), IDLE_TIMEOUT);
    assert!(lasts(&mut waiting, 74).await);
    progress.read();
    assert!(lasts(&mut waiting, 9).await);
    // the handler waits for a body
    progress.request_began();
    progress.read();
    assert!(lasts(&mut waiting, 1000).await);
    progress.request_ended();
    assert!(lasts(&mut waiting, 74).await);
    progress.read();
    assert!(lasts(&mut waiting, 4).await);
    // each byte in time, but too many of them
    progress.read();
    assert_eq!(seconds(&mut waiting).await, (6, "head_timeout"));
}

#[tokio::test(start_paused = true)]
async fn every_request_starts_the_time_between_requests_anew() {
    let progress = Progress::default();
    let mut waiting = Waiting::new(progress.clone(), IDLE_TIMEOUT);
    for _ in 0..3 {
        assert!(lasts(&mut waiting, 61).await);
        // all of it between two looks
        progress.read();
        progress.request_began();
        progress.request_ended();
    }
    assert_eq!(seconds(&mut waiting).await, (75, "idle_timeout"));
}
