use std::time::Duration;

use super::*;

const LIFE: Duration = Duration::from_secs(5);

fn token(text: &str) -> Token {
    text.into()
}

fn id(millis: u64) -> EntryId {
    format!("{millis}-0").parse().unwrap()
}

fn lane(id: i64) -> Lane {
    Lane { family: 0, id }
}

fn read(hands: &mut Hands, stream: Stream, behind: u64, entries: &[(u64, i64)]) {
    let entries = entries.iter().map(|(millis, chat)| (id(*millis), Some(lane(*chat))));
    hands.read(stream, id(behind), entries.collect());
}

/// Those of two streams, of which both are held.
fn two_streams() -> Hands {
    let mut hands = Hands::default();
    hands.renewed(Instant::now() + LIFE, 2, vec![(0, token("1:a")), (1, token("2:a"))]);
    read(&mut hands, 0, 0, &[(10, 1), (11, 1), (12, 2)]);
    read(&mut hands, 1, 0, &[(9, 3), (13, 3)]);
    hands
}

fn take(hands: &mut Hands) -> Option<Offer> {
    hands.take(Instant::now())
}

fn ids(hands: &mut Hands) -> Vec<EntryId> {
    std::iter::from_fn(|| take(hands)).map(|offer| offer.id).collect()
}

#[tokio::test(start_paused = true)]
async fn the_oldest_of_the_lanes_comes_first_and_one_of_each_only() {
    let mut hands = two_streams();
    assert_eq!(ids(&mut hands), [id(9), id(10), id(12)]);
}

#[tokio::test(start_paused = true)]
async fn the_next_of_a_lane_comes_when_the_one_before_is_settled() {
    let mut hands = two_streams();
    let first = take(&mut hands).unwrap();
    hands.put_back(&first);
    assert_eq!(take(&mut hands), Some(first.clone()));
    hands.settled(&first);
    assert_eq!(ids(&mut hands), [id(10), id(12), id(13)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_given_out_when_the_lease_may_have_ended() {
    let mut hands = two_streams();
    let offer = take(&mut hands).unwrap();
    tokio::time::advance(LIFE).await;
    assert_eq!(take(&mut hands), None);
    assert!(!hands.holds(&offer, Instant::now()));
    hands.renewed(Instant::now() + LIFE, 2, vec![(0, token("1:a")), (1, token("2:a"))]);
    assert!(hands.holds(&offer, Instant::now()));
    assert_eq!(take(&mut hands).map(|offer| offer.id), Some(id(10)));
}

#[tokio::test(start_paused = true)]
async fn a_lane_in_hand_stays_so_though_its_stream_was_lost_and_won_again() {
    let mut hands = two_streams();
    let offer = take(&mut hands).unwrap();
    hands.renewed(Instant::now() + LIFE, 2, vec![(0, token("1:a")), (1, token("7:a"))]);
    assert!(!hands.holds(&offer, Instant::now()));
    read(&mut hands, 1, 0, &[(9, 3), (13, 3)]);
    assert_eq!(ids(&mut hands), [id(10), id(12)]);
    hands.put_back(&offer);
    assert_eq!(ids(&mut hands), [id(9)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_is_let_go_when_nothing_of_it_is_in_hand() {
    let mut hands = two_streams();
    let held = || vec![(0, token("1:a")), (1, token("2:a"))];
    let offer = take(&mut hands).unwrap();
    assert_eq!(offer.stream, 1);
    hands.renewed(Instant::now() + LIFE, 0, held());
    assert_eq!(take(&mut hands), None);
    assert_eq!(hands.let_go(), [0]);
    assert_eq!(hands.let_go(), Vec::<Stream>::new());
    hands.settled(&offer);
    assert_eq!(hands.let_go(), [1]);
    assert_eq!(take(&mut hands), None);
}

#[tokio::test(start_paused = true)]
async fn of_too_many_streams_the_idle_ones_go_and_come_back_when_there_is_room() {
    let mut hands = two_streams();
    let held = || vec![(0, token("1:a")), (1, token("2:a"))];
    let offer = take(&mut hands).unwrap();
    hands.renewed(Instant::now() + LIFE, 1, held());
    assert_eq!(take(&mut hands), None);
    hands.renewed(Instant::now() + LIFE, 2, held());
    assert_eq!(ids(&mut hands), [id(10), id(12)]);
    assert!(hands.holds(&offer, Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn what_is_read_again_is_known_once() {
    let mut hands = two_streams();
    let offer = take(&mut hands).unwrap();
    assert_eq!(hands.known(1), 2);
    hands.start_again(None);
    assert_eq!((hands.known(1), take(&mut hands)), (0, None));
    read(&mut hands, 1, 0, &[(9, 3), (13, 3)]);
    read(&mut hands, 1, 0, &[(9, 3), (13, 3)]);
    assert_eq!((hands.known(1), take(&mut hands)), (2, None));
    hands.settled(&offer);
    assert_eq!((hands.known(1), ids(&mut hands)), (1, vec![id(13)]));
}

#[tokio::test(start_paused = true)]
async fn what_was_read_behind_a_place_that_is_gone_is_of_no_use() {
    let mut hands = two_streams();
    hands.renewed(Instant::now() + LIFE, 2, vec![(0, token("3:a"))]);
    read(&mut hands, 0, 12, &[(14, 1)]);
    assert_eq!((hands.known(0), take(&mut hands)), (0, None));
    read(&mut hands, 0, 0, &[(10, 1), (14, 1)]);
    assert_eq!((hands.known(0), ids(&mut hands)), (2, vec![id(10)]));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_wrote_is_known_and_never_given_out() {
    let mut hands = two_streams();
    hands.read(0, id(12), vec![(id(14), None)]);
    assert_eq!((hands.known(0), ids(&mut hands)), (4, vec![id(9), id(10), id(12)]));
}
