use bytes::Bytes;

use super::*;
use crate::queue::from_millis;

fn message(chat: i64, number: u64) -> Message<u64> {
    let body = Bytes::from(format!("{chat}:{number}"));
    let lane = Lane { family: 0, id: chat };
    let update = Update {
        update_id: None,
        lane,
        received_at: from_millis(number),
        expires_at: None,
        body: body.clone(),
    };
    Message { key: Key::of(&body), partition: 0, stored_at: number, deliveries: 0, update, tag: number }
}

fn board(messages: &[(i64, u64)]) -> Board<u64> {
    let mut board = Board::new(1);
    let subscription = board.subscribed(0);
    board.open(0, subscription);
    for (chat, number) in messages {
        board.arrive(message(*chat, *number));
    }
    board
}

/// Takes what is given out next, which must be of that number.
fn take(board: &mut Board<u64>, number: u64) -> Hand {
    let given = board.take(0, |_, tag| panic!("{tag} is gone")).unwrap();
    assert_eq!(given.update.received_at, from_millis(number));
    given.hand
}

fn takes_nothing(board: &mut Board<u64>) {
    let given = board.take(0, |_, tag| panic!("{tag} is gone"));
    assert!(given.is_none(), "{given:?}");
}

#[test]
fn of_a_lane_one_is_given_out_and_of_lanes_the_oldest() {
    let mut board = board(&[(7, 1), (7, 2), (8, 5), (9, 4)]);
    let first = take(&mut board, 1);
    take(&mut board, 4);
    take(&mut board, 5);
    takes_nothing(&mut board);
    assert_eq!(board.depth(0), (4, 12, Some(from_millis(1))));
    assert_eq!(board.finish(first), Some(1));
    takes_nothing(&mut board);
    assert_eq!((board.finish(first), board.release(first), board.release(first)), (None, None, None), "once");
    take(&mut board, 2);
}

#[test]
fn what_is_given_back_is_the_first_of_its_lane() {
    let mut board = board(&[(7, 1), (7, 2)]);
    let hand = take(&mut board, 1);
    board.give_back(hand);
    let given = board.take(0, |_, _| {}).unwrap();
    assert_eq!((given.update.received_at, given.deliveries), (from_millis(1), 1));
    // the hand of before has nothing to give any more
    board.give_back(Hand { number: 99, ..hand });
    takes_nothing(&mut board);
}

#[test]
fn a_copy_of_what_is_settled_is_gone() {
    let mut board = board(&[(7, 1), (7, 2)]);
    board.arrive(Message { tag: 3, ..message(7, 1) });
    board.known.settled(message(7, 2).key, 0);
    let hand = take(&mut board, 1);
    board.known.settled(hand.key, 0);
    board.release(hand);
    assert_eq!(board.depth(0).0, 0);
    let mut gone = Vec::new();
    assert!(board.take(0, |_, tag| gone.push(tag)).is_none());
    assert_eq!(gone, [2, 3]);
    assert!(board.lanes.is_empty() && board.ready.is_empty());
}

#[test]
fn what_is_in_hand_when_its_queue_is_lost_keeps_its_lane() {
    let mut board = board(&[(7, 1), (7, 2)]);
    let hand = take(&mut board, 1);
    let subscription = board.subscribed(0);
    board.open(0, subscription);
    assert_eq!(board.depth(0).0, 0, "both come again");
    assert!(!board.holds(hand, 0), "to whomever");
    board.arrive(Message { tag: 11, deliveries: 1, ..message(7, 1) });
    board.arrive(Message { tag: 12, deliveries: 1, ..message(7, 2) });
    takes_nothing(&mut board);
    assert!(board.holds(hand, 0), "to us");
    board.shut(0);
    assert!(!board.holds(hand, 0), "somebody may have settled it meanwhile");
    board.open(0, subscription);
    board.known.settled(hand.key, 0);
    assert!(!board.holds(hand, 0), "somebody did");
    assert_eq!(board.release(hand), Some(11));
    take(&mut board, 2);
}

#[test]
fn what_was_lost_and_is_given_back_waits_for_its_message() {
    let mut board = board(&[(7, 1)]);
    let hand = take(&mut board, 1);
    let subscription = board.subscribed(0);
    board.open(0, subscription);
    board.give_back(hand);
    takes_nothing(&mut board);
    board.arrive(Message { deliveries: 1, ..message(7, 1) });
    let hand = take(&mut board, 1);
    board.subscribed(0);
    assert_eq!(board.release(hand), None);
    assert!(board.lanes.is_empty());
}

#[test]
fn nothing_is_given_out_of_a_queue_before_it_is_opened() {
    let mut board = board(&[]);
    let subscription = board.subscribed(0);
    board.arrive(message(7, 1));
    takes_nothing(&mut board);
    board.open(0, subscription - 1);
    takes_nothing(&mut board);
    board.open(0, subscription);
    assert_eq!(board.shut(0), Some(subscription));
    assert_eq!(board.shut(0), None);
    takes_nothing(&mut board);
    board.open(0, subscription);
    take(&mut board, 1);
}
