//! Everything at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use telegram_webhook_sidecar::queue::{Appended, Outcome, Queue, Reason, Selection};
use telegram_webhook_tests::wait;
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Bench, PATIENCE, Room, ensure_empty, take},
    seen::locked,
    updates::update,
};

const CHATS: i64 = 5;
/// Of each life of the sidecar, and of each chat.
const EACH: i64 = 30;
const LIVES: i64 = 4;

/// What consumers saw.
#[derive(Default)]
struct Ledger {
    /// Of each chat the updates in the order in which they were first given out.
    given_out: BTreeMap<i64, Vec<i64>>,
    /// Of each chat what this life gave out last, and whether that was settled.
    last: BTreeMap<i64, (i64, bool)>,
    /// Chats of which an update is in hand.
    in_hand: BTreeSet<i64>,
    dead: BTreeSet<i64>,
    steps: u64,
}

/// What a consumer does with an update.
enum Fate {
    Dropped,
    Settled(Outcome),
}

// === impl Ledger ===

impl Ledger {
    /// Notes an update in hand, and decides what becomes of it: so much that all happens often.
    fn take(&mut self, chat: i64, id: i64) -> Fate {
        assert!(self.in_hand.insert(chat), "two of chat {chat} in hand");
        assert!(!self.dead.contains(&id), "{id} was set aside");
        // in one life a lane only goes on, and what was dropped comes before what is behind it
        match self.last.insert(chat, (id, false)) {
            Some((last, true)) => assert!(last < id, "{id} after {last}"),
            Some((last, false)) => assert_eq!(last, id),
            None => {}
        }
        let given_out = self.given_out.entry(chat).or_default();
        if !given_out.contains(&id) {
            given_out.push(id);
        }
        self.steps += 1;
        match self.steps % 7 {
            0 | 3 => Fate::Dropped,
            5 => Fate::Settled(Outcome::Dead(Reason::Refused(400))),
            _ => Fate::Settled(Outcome::Done),
        }
    }

    /// Before it is done: after it, the next one may be in hand.
    fn put_down(&mut self, chat: i64, id: i64, fate: &Fate) {
        self.in_hand.remove(&chat);
        if let Fate::Settled(outcome) = fate {
            self.last.insert(chat, (id, true));
            if matches!(outcome, Outcome::Dead(_)) {
                self.dead.insert(id);
            }
        }
    }
}

fn id_of(life: i64, chat: i64, number: i64) -> i64 {
    (life * EACH + number) * CHATS + chat
}

/// Takes, drops, settles and sets aside, until there is nothing to be taken any more and that is said.
async fn consume<Q: Queue>(
    queue: &Q,
    ledger: &Mutex<Ledger>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    while let Some(lease) = stop.run_until_cancelled(take(queue)).await {
        let lease = lease?;
        let (chat, id) = (lease.update.lane.id, lease.update.update_id.unwrap_or_default());
        let fate = locked(ledger).take(chat, id);
        tokio::task::yield_now().await;
        locked(ledger).put_down(chat, id, &fate);
        match fate {
            Fate::Dropped => drop(lease),
            Fate::Settled(outcome) => queue.settle(lease, outcome).await?,
        }
    }
    Ok(())
}

pub async fn whatever_is_dropped_or_killed_each_lane_is_whole_and_in_order<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let ledger: Arc<Mutex<Ledger>> = Arc::default();
    for life in 0..LIVES {
        locked(&ledger).last.clear();
        let queue = Arc::new(bench.open().await?);
        let stop = CancellationToken::new();
        let consumers: Vec<_> = (0..4)
            .map(|_| {
                let (queue, ledger, stop) = (Arc::clone(&queue), Arc::clone(&ledger), stop.clone());
                tokio::spawn(async move { consume(&*queue, &ledger, &stop).await })
            })
            .collect();
        let producers: Vec<_> = (0..CHATS)
            .map(|chat| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move {
                    for number in 0..EACH {
                        // Telegram sends an update again, and once more from another of its hosts
                        for copy in 0..=number % 3 {
                            let appended = queue.append(update(chat, id_of(life, chat, number))).await?;
                            assert!(copy == 0 || !B::TELLS_COPIES || appended == Appended::Duplicate);
                        }
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for producer in producers {
            producer.await??;
        }
        stop.cancel();
        for consumer in consumers {
            consumer.await??;
        }
        let queue = Arc::into_inner(queue).ok_or_else(|| anyhow::anyhow!("the queue is in use"))?;
        bench.crash(queue).await?;
    }
    let queue = bench.open().await?;
    locked(&ledger).last.clear();
    let stop = CancellationToken::new();
    let emptied = wait::until("all to be settled", PATIENCE, async || {
        let left = queue.depth().await?.updates;
        Ok((left == 0).then(|| stop.cancel()))
    });
    let (consumed, emptied) = tokio::join!(consume(&queue, &ledger, &stop), emptied);
    emptied.and(consumed)?;
    ensure_empty(&queue).await?;

    let letters = queue.dead_letters(&Selection::default(), None, usize::MAX).await?;
    let Ledger { given_out, dead, .. } = &*locked(&ledger);
    for chat in 0..CHATS {
        let lives = 0..LIVES;
        let expected = lives.flat_map(|life| (0..EACH).map(move |number| id_of(life, chat, number)));
        assert_eq!(given_out.get(&chat), Some(&expected.collect()), "chat {chat}");
    }
    assert_eq!(letters.len(), dead.len(), "each is set aside once");
    let set_aside: BTreeSet<_> = letters.iter().filter_map(|letter| letter.update.update_id).collect();
    assert_eq!(set_aside, *dead);
    Ok(())
}
