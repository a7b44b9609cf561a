//! What was set aside can be looked at, put back and forgotten.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use telegram_webhook_sidecar::queue::{
    Appended, Clock, DeadLetter, DeadLetterId, Lane, Outcome, Queue, Reason, Selection, Update,
};
use telegram_webhook_tests::wait;

use crate::{
    bench::{Bench, PATIENCE, Room, deliver_this, ensure_empty, take, take_this},
    updates::{store, update},
};

/// Stores and sets aside, each at a time of its own.
async fn set_aside<Q: Queue>(queue: &Q, updates: &[Update]) -> anyhow::Result<()> {
    let clock = Clock::new();
    for update in updates {
        store(queue, std::slice::from_ref(update)).await?;
        let lease = take_this(queue, update).await?;
        queue.settle(lease, Outcome::Dead(Reason::Refused(400))).await?;
        let settled = clock.now();
        wait::until("the clock", PATIENCE, async || {
            Ok((clock.now() > settled + Duration::from_millis(1)).then_some(()))
        })
        .await?;
    }
    Ok(())
}

async fn all<Q: Queue>(queue: &Q) -> anyhow::Result<Vec<DeadLetter>> {
    Ok(queue.dead_letters(&Selection::default(), None, 100).await?)
}

fn ids(letters: &[DeadLetter]) -> Vec<Option<i64>> {
    letters.iter().map(|letter| letter.update.update_id).collect()
}

pub async fn what_nobody_shall_see_is_set_aside_at_once<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let nameless = Update {
        update_id: None,
        lane: Lane { family: Lane::ALONE, id: -1 },
        body: Bytes::from_static(b"{\"update_id\":\xff"),
        ..update(7, 1)
    };
    let reason = Reason::Malformed("is not JSON".to_owned());
    assert_eq!(queue.bury(nameless.clone(), reason.clone()).await?, Appended::Stored);
    bench.crash(queue).await?;
    let queue = bench.open().await?;
    let letters = all(&queue).await?;
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0].update, &letters[0].reason), (&nameless, &reason));
    assert_eq!(queue.depth().await?.dead_letters, 1);
    let next = update(7, 2);
    store(&queue, std::slice::from_ref(&next)).await?;
    deliver_this(&queue, &next).await?;
    ensure_empty(&queue).await
}

pub async fn dead_letters_are_selected_and_come_in_pages<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let pressed = Update {
        lane: Lane { family: 1, id: 9 },
        body: Bytes::from_static(
            br#"{"update_id":5,"inline_query":{"id":"1","from":{"id":9,"is_bot":false},"query":"","offset":""}}"#,
        ),
        ..update(9, 5)
    };
    set_aside(&queue, &[update(7, 1), update(8, 2), update(7, 3), update(7, 4), pressed]).await?;
    let letters = all(&queue).await?;
    assert_eq!(ids(&letters), [Some(1), Some(2), Some(3), Some(4), Some(5)]);
    assert!(letters.is_sorted_by(|one, next| one.id < next.id && one.at <= next.at));

    let select = async |selection: Selection, after: Option<DeadLetterId>, limit: usize| {
        anyhow::Ok(ids(&queue.dead_letters(&selection, after, limit).await?))
    };
    let of_chat = |chat| Selection { chat: Some(chat), at: None };
    assert_eq!(select(of_chat(7), None, 2).await?, [Some(1), Some(3)]);
    assert_eq!(select(of_chat(7), Some(letters[2].id), 2).await?, [Some(4)]);
    assert_eq!(select(of_chat(9), None, 2).await?, [Some(5)], "by its user, where there is no chat");
    assert_eq!(select(of_chat(6), None, 2).await?, []);
    let within = Selection { chat: None, at: Some(letters[1].at..letters[3].at) };
    assert_eq!(select(within.clone(), None, 10).await?, [Some(2), Some(3)]);
    assert_eq!(select(Selection { chat: Some(7), ..within }, None, 10).await?, [Some(3)]);

    let (mut after, mut paged) = (None, Vec::new());
    while let [letter] = &queue.dead_letters(&Selection::default(), after, 1).await?[..] {
        after = Some(letter.id);
        paged.push(letter.clone());
    }
    assert_eq!(paged, letters);
    Ok(())
}

pub async fn a_replayed_update_joins_the_end_of_its_lane<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let (dead, waiting, last) = (update(7, 1), update(7, 2), update(7, 3));
    set_aside(&queue, std::slice::from_ref(&dead)).await?;
    store(&queue, std::slice::from_ref(&waiting)).await?;
    let [letter] = &all(&queue).await?[..] else { anyhow::bail!("not one dead letter") };
    let lease = take_this(&queue, &waiting).await?;
    // its bytes are known, which is no obstacle
    assert!(queue.replay(letter.id).await?);
    assert!(!queue.replay(letter.id).await?, "it is no dead letter any more");
    let unknown = DeadLetterId { major: letter.id.major + 1, minor: 0 };
    assert!(!queue.replay(unknown).await?);
    store(&queue, std::slice::from_ref(&last)).await?;
    queue.settle(lease, Outcome::Done).await?;
    deliver_this(&queue, &dead).await?;
    deliver_this(&queue, &last).await?;
    assert!(all(&queue).await?.is_empty());
    ensure_empty(&queue).await
}

pub async fn what_is_replayed_survives_a_crash_and_is_set_aside_no_more<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let updates = [update(7, 1), update(7, 2)];
    set_aside(&queue, &updates).await?;
    for letter in all(&queue).await? {
        assert!(queue.replay(letter.id).await?);
    }
    bench.crash(queue).await?;
    let queue = bench.open().await?;
    assert!(all(&queue).await?.is_empty());
    let lease = take(&queue).await?;
    assert_eq!(lease.update, updates[0]);
    // and may be set aside once more
    queue.settle(lease, Outcome::Dead(Reason::Refused(400))).await?;
    assert_eq!(ids(&all(&queue).await?), [Some(1)]);
    deliver_this(&queue, &updates[1]).await?;
    ensure_empty(&queue).await
}

pub async fn what_was_set_aside_before_a_time_can_be_forgotten<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    set_aside(&queue, &[update(7, 1), update(7, 2), update(7, 3)]).await?;
    let letters = all(&queue).await?;
    assert_eq!(queue.forget_dead_letters(SystemTime::UNIX_EPOCH).await?, 0);
    assert_eq!(queue.forget_dead_letters(letters[2].at).await?, 2);
    assert_eq!(ids(&all(&queue).await?), [Some(3)]);
    assert!(!queue.replay(letters[0].id).await?);
    queue.close().await?;
    drop(queue);
    let queue = bench.open().await?;
    assert_eq!(ids(&all(&queue).await?), [Some(3)]);
    ensure_empty(&queue).await
}
