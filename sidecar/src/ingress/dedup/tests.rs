//! What is remembered, for how long, and who gets to deliver. How it survives a restart: `tests/durability.rs`.

mod durability;
mod model;

use std::time::UNIX_EPOCH;

use tempfile::TempDir;
use tokio::{sync::oneshot, task::yield_now, time::Instant};

use super::*;
use crate::queue::RETENTION;

const BOT: i64 = 123_456;
const PATIENCE: Duration = Duration::from_secs(5);

/// A memory in a folder of its own, with room for so many updates.
struct Memory {
    dir: TempDir,
    dedup: Dedup,
}

impl Memory {
    fn new(max_live: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let dedup = open(dir.path(), max_live, 0);
        Self { dir, dedup }
    }

    /// What a process that was killed and started again remembers.
    fn restart(self, max_live: usize, now: u64) -> Self {
        let Self { dir, dedup } = self;
        drop(dedup);
        let dedup = open(dir.path(), max_live, now);
        Self { dir, dedup }
    }

    fn attempt(&self, bot: i64, body: &str) -> Result<Attempt, Reject> {
        self.dedup.attempt(self.dedup.shared.hash_key.id(bot, body.as_bytes()))
    }

    /// Takes an update that isn't under way from beginning to end; false if it was accepted before.
    fn deliver(&self, bot: i64, body: &str, now: u64) -> bool {
        let Ok(Attempt::Ours(claim)) = self.attempt(bot, body) else {
            return false;
        };
        claim.done(at(now));
        true
    }
}

fn open(dir: &Path, max_live: usize, now: u64) -> Dedup {
    Dedup::open_with(dir, Metrics::new(), at(now), max_live).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn update(id: u32) -> String {
    format!("{{\"update_id\":{id}}}")
}

fn label(result: Result<Claim, Reject>) -> &'static str {
    result.err().map_or("claimed", |reject| reject.meaning().label)
}

#[test]
fn an_update_is_accepted_once() {
    let memory = Memory::new(10);
    assert!(memory.deliver(BOT, &update(1), 0));
    assert!(!memory.deliver(BOT, &update(1), 1));
}

#[test]
fn another_bot_another_body_or_a_lower_id_is_another_update() {
    let memory = Memory::new(10);
    for (bot, body) in [
        (BOT, "{\"update_id\":2000000000}"),
        (BOT, "{\"update_id\":5}"),
        (BOT, "{\"update_id\":5,\"message\":{}}"),
        (BOT + 1, "{\"update_id\":5}"),
        (BOT, ""),
    ] {
        assert!(memory.deliver(bot, body, 0), "{bot} {body}");
        assert!(!memory.deliver(bot, body, 0), "{bot} {body}");
    }
}

#[test]
fn an_update_that_failed_may_come_again() {
    let memory = Memory::new(10);
    let Ok(Attempt::Ours(claim)) = memory.attempt(BOT, "{}") else { panic!("not ours") };
    drop(claim);
    assert!(memory.deliver(BOT, "{}", 0));
}

#[test]
fn an_update_is_remembered_for_a_day_at_least() {
    let memory = Memory::new(10);
    let day = 24 * 3600;
    memory.deliver(BOT, &update(1), 0);
    memory.deliver(BOT, &update(2), day);
    assert!(!memory.deliver(BOT, &update(1), day));
    memory.deliver(BOT, &update(3), RETENTION.as_secs());
    assert!(!memory.deliver(BOT, &update(2), RETENTION.as_secs()));
    assert!(memory.deliver(BOT, &update(1), RETENTION.as_secs()), "and no longer than needed");
}

#[test]
fn beyond_the_limit_the_oldest_is_forgotten_of_that_bot_alone() {
    let memory = Memory::new(3);
    memory.deliver(BOT + 1, &update(1), 0);
    for id in [9, 8, 7, 6] {
        memory.deliver(BOT, &update(id), 1);
    }
    for id in [6, 7, 8] {
        assert!(!memory.deliver(BOT, &update(id), 2), "{id}");
    }
    assert!(memory.deliver(BOT, &update(9), 2));
    assert!(!memory.deliver(BOT + 1, &update(1), 2));
}

#[test]
fn a_clock_that_is_put_back_makes_nothing_be_forgotten_early() {
    let memory = Memory::new(10);
    memory.deliver(BOT, &update(1), 1_000_000);
    memory.deliver(BOT, &update(2), 1000);
    memory.deliver(BOT, &update(3), 1001);
    assert!([1, 2, 3].iter().all(|id| !memory.deliver(BOT, &update(*id), 1001)));
}

#[tokio::test(start_paused = true)]
async fn a_copy_waits_for_the_first_and_is_a_duplicate_once_that_is_accepted() {
    let Memory { dedup, dir: _dir } = Memory::new(10);
    let first = dedup.claim(BOT, b"{}", PATIENCE).await.unwrap();
    let copies: Vec<_> = (0..3)
        .map(|_| {
            let dedup = dedup.clone();
            tokio::spawn(async move { label(dedup.claim(BOT, b"{}", PATIENCE).await) })
        })
        .collect();
    yield_now().await;
    assert!(copies.iter().all(|copy| !copy.is_finished()));
    first.done(at(0));
    for copy in copies {
        assert_eq!(copy.await.unwrap(), "duplicate");
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_first_fails_one_copy_takes_its_place_and_the_others_wait_for_that() {
    let Memory { dedup, dir: _dir } = Memory::new(10);
    let first = dedup.claim(BOT, b"{}", PATIENCE).await.unwrap();
    let (sender, mut claims) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..3 {
        let (dedup, sender) = (dedup.clone(), sender.clone());
        tokio::spawn(async move { sender.send(dedup.claim(BOT, b"{}", PATIENCE).await) });
    }
    yield_now().await;
    drop(first);
    let second = claims.recv().await.unwrap().unwrap();
    yield_now().await;
    assert!(claims.is_empty());
    second.done(at(0));
    for _ in 0..2 {
        assert_eq!(label(claims.recv().await.unwrap()), "duplicate");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_waits_no_longer_than_its_patience_and_never_beyond_the_limit() {
    let Memory { dedup, dir: _dir } = Memory::new(10);
    let _first = dedup.claim(BOT, b"{}", PATIENCE).await.unwrap();
    for (patience, waited) in [(PATIENCE, PATIENCE), (Duration::from_mins(1), MAX_PATIENCE)] {
        let started = Instant::now();
        assert_eq!(label(dedup.claim(BOT, b"{}", patience).await), "in_progress");
        assert_eq!(started.elapsed().as_secs(), waited.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_stops_waiting_leaves_the_update_to_the_others() {
    let Memory { dedup, dir: _dir } = Memory::new(10);
    let first = dedup.claim(BOT, b"{}", PATIENCE).await.unwrap();
    let (told, gone) = oneshot::channel::<()>();
    let impatient = tokio::spawn({
        let dedup = dedup.clone();
        async move {
            let _told = told;
            label(dedup.claim(BOT, b"{}", PATIENCE).await)
        }
    });
    yield_now().await;
    impatient.abort();
    gone.await.unwrap_err();
    drop(first);
    assert_eq!(label(dedup.claim(BOT, b"{}", PATIENCE).await), "claimed");
}

#[test]
fn debug_output_says_nothing_of_the_body() {
    let memory = Memory::new(1);
    let Ok(Attempt::Ours(claim)) = memory.attempt(BOT, "aMessage") else { panic!("not ours") };
    let shown = format!("{claim:?}");
    assert!(shown.contains("123456") && !shown.contains("aMessage"), "{shown}");
}

#[test]
fn a_clock_that_was_ahead_makes_nothing_be_forgotten_early() {
    let memory = Memory::new(10);
    memory.deliver(BOT, &update(1), 1000);
    let ahead = memory.restart(10, 1_000_000);
    ahead.deliver(BOT, &update(2), 1_000_000);
    let memory = ahead.restart(10, 1001);
    assert!([1, 2].iter().all(|id| !memory.deliver(BOT, &update(*id), 1001)));
}
