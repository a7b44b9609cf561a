//! What a sidecar finds that was killed between the two halves of a move.

use super::{
    log::{Log, Sequence, files::Disk},
    record::{Head, Letter},
    *,
};
use crate::queue::Selection;

/// A queue with an update of chat 7 and a dead letter of chat 8, and where both are.
async fn queue_with_both() -> (TempDir, u64, u64) {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir, Duration::ZERO).await;
    journal.append(update(8, 2)).await.unwrap();
    let lease = journal.next().await.unwrap();
    journal.settle(lease, Outcome::Dead(Reason::Refused(400))).await.unwrap();
    journal.append(update(7, 1)).await.unwrap();
    let lease = journal.next().await.unwrap();
    let sequence = lease.receipt.sequence;
    let [letter] = &letters(&journal).await[..] else { panic!("not one dead letter") };
    journal.close().await.unwrap();
    (dir, sequence, letter.id.major)
}

async fn letters(journal: &Journal) -> Vec<DeadLetter> {
    journal.dead_letters(&Selection::default(), None, 10).await.unwrap()
}

fn log_of(dir: &TempDir, name: &str, max_bytes: u64) -> Log<Disk> {
    let options = log::Options { segment_bytes: max_bytes / 8, max_bytes };
    Log::open(Disk::new(&dir.path().join(name)).unwrap(), options, |_, _| ()).unwrap()
}

async fn append(log: &Log<Disk>, head: Bytes, update: &Update) {
    log.append(head, update.body.clone()).unwrap().await.unwrap();
    log.close();
}

#[tokio::test]
async fn an_update_that_became_a_dead_letter_is_no_update_any_more() {
    let (dir, sequence, _) = queue_with_both().await;
    let (moved, other) = (update(7, 1), update(7, 3));
    let key = |update: &Update, journal: &Journal| journal.shared.id(&update.body).key;
    let journal = open(&dir, Duration::ZERO).await;
    let keys = [key(&moved, &journal), key(&other, &journal)];
    journal.close().await.unwrap();
    let letter_of = |update: &Update, key| {
        let head = Head::of(update, key, None);
        let reason = Reason::Refused(404);
        let letter = Letter { at: NOW, reason, origin: Some(sequence), chat: Some(7), head, body: b"" };
        letter.encode_head()
    };
    // one with the place of that update which is not that update takes nothing away
    append(&log_of(&dir, "dead", 8 << 20), letter_of(&other, keys[1]), &other).await;
    let journal = open(&dir, Duration::ZERO).await;
    assert_eq!(journal.depth().await.unwrap().updates, 1);
    journal.close().await.unwrap();
    append(&log_of(&dir, "dead", 8 << 20), letter_of(&moved, keys[0]), &moved).await;

    let journal = open(&dir, Duration::ZERO).await;
    let depth = journal.depth().await.unwrap();
    assert_eq!((depth.updates, depth.dead_letters), (0, 3));
    assert_eq!(journal.append(moved.clone()).await, Ok(Appended::Duplicate));
    let killed = left(&dir);
    // and stays so, when the letter is gone
    let log = log_of(&killed, "dead", 8 << 20);
    let last = letters(&journal).await.pop().unwrap();
    assert_eq!(last.update, moved);
    log.removed_durably(Sequence::from_number(last.id.major)).unwrap().await.unwrap();
    log.close();
    let journal = open(&killed, Duration::ZERO).await;
    let depth = journal.depth().await.unwrap();
    assert_eq!((depth.updates, depth.dead_letters), (0, 2));
}

#[tokio::test]
async fn a_dead_letter_that_became_an_update_is_no_letter_any_more() {
    let (dir, _, letter) = queue_with_both().await;
    let replayed = update(8, 2);
    let journal = open(&dir, Duration::ZERO).await;
    let key = journal.shared.id(&replayed.body).key;
    journal.close().await.unwrap();
    let head = Head::of(&replayed, key, Some(letter)).encode();
    append(&log_of(&dir, "queue", 56 << 20), head, &replayed).await;
    let journal = open(&dir, Duration::ZERO).await;
    let depth = journal.depth().await.unwrap();
    assert_eq!((depth.updates, depth.dead_letters), (2, 0));
    assert_eq!(deliver(&journal).await, update(7, 1));
    assert_eq!(deliver(&journal).await, replayed);
    let journal = open(&left(&dir), Duration::ZERO).await;
    assert_eq!(journal.depth().await.unwrap().dead_letters, 0);
}

#[tokio::test]
async fn a_move_goes_on_when_nobody_waits_for_it_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir, Duration::ZERO).await;
    journal.append(update(7, 1)).await.unwrap();
    journal.append(update(7, 2)).await.unwrap();
    let lease = journal.next().await.unwrap();
    {
        let mut parking = Box::pin(journal.settle(lease, Outcome::Dead(Reason::Refused(400))));
        assert!(futures::poll!(&mut parking).is_pending());
    }
    assert_eq!(deliver(&journal).await, update(7, 2));
    let id = letters(&journal).await[0].id;
    {
        let mut replaying = Box::pin(journal.replay(id));
        assert!(futures::poll!(&mut replaying).is_pending());
    }
    assert_eq!(deliver(&journal).await, update(7, 1));
    assert!(letters(&journal).await.is_empty());
}
