use super::*;
use crate::address;

fn places() -> Arc<Places> {
    Arc::default()
}

fn is_evicted(place: &Place) -> bool {
    place.evicted.is_cancelled()
}

fn key(address: &str) -> AddressKey {
    address::key(address.parse().unwrap())
}

#[test]
fn the_oldest_that_has_proven_nothing_gives_way() {
    let places = places();
    let [proven, first, second] = std::array::from_fn(|_| places.take(3, Standing::Unlisted, None).unwrap());
    proven.prove();
    let third = places.take(3, Standing::Unlisted, None).unwrap();
    assert!(is_evicted(&first) && !is_evicted(&second) && !is_evicted(&proven));
    let fourth = places.take(3, Standing::Unlisted, None).unwrap();
    assert!(is_evicted(&second));
    third.prove();
    fourth.prove();
    assert!(places.take(3, Standing::Unlisted, None).is_none(), "nobody has to give way");
    assert!(![&proven, &third, &fourth].into_iter().any(is_evicted));
}

#[test]
fn a_place_is_given_back_once_whether_passed_on_or_not() {
    let places = places();
    let first = places.take(1, Standing::Unlisted, None).unwrap();
    let second = places.take(1, Standing::Unlisted, None).unwrap();
    first.prove();
    drop(first);
    assert_eq!(places.state().taken, 1);
    second.prove();
    assert!(places.take(1, Standing::Unlisted, None).is_none());
    drop(second);
    assert_eq!(places.state().taken, 0);
    assert!(places.take(1, Standing::Unlisted, None).is_some());
}

#[test]
fn the_newcomers_of_an_address_with_too_many_get_the_places_of_its_oldest() {
    let places = places();
    let other = places.take(100, Standing::Unlisted, Some(key("203.0.113.2"))).unwrap();
    let exempt = places.take(100, Standing::Unlisted, None).unwrap();
    let proven = places.take(100, Standing::Unlisted, Some(key("203.0.113.1"))).unwrap();
    proven.prove();
    let mut crowd: Vec<_> = (0..MAX_PER_ADDRESS)
        .map(|_| places.take(100, Standing::Unlisted, Some(key("203.0.113.1"))).unwrap())
        .collect();
    assert!(!crowd.iter().any(is_evicted));
    crowd.extend((0..2).map(|_| places.take(100, Standing::Unlisted, Some(key("203.0.113.1"))).unwrap()));
    let evicted: Vec<_> = crowd.iter().map(is_evicted).collect();
    assert_eq!(evicted.iter().position(|evicted| !evicted), Some(2));
    assert!(!evicted[2..].contains(&true));
    assert!(![&other, &exempt, &proven].into_iter().any(is_evicted));
    assert_eq!(places.state().taken, 3 + MAX_PER_ADDRESS);
    drop(crowd);
    assert_eq!(places.state().taken, 3);
    assert_eq!(places.state().by_address.len(), 1);
}

#[test]
fn who_is_unlisted_gives_way_before_who_is_listed() {
    let places = places();
    let listed = places.take(3, Standing::Listed, None).unwrap();
    let unlisted = places.take(3, Standing::Unlisted, None).unwrap();
    let newer = places.take(3, Standing::Unlisted, Some(key("203.0.113.1"))).unwrap();
    let newcomer = places.take(3, Standing::Listed, None).unwrap();
    assert!(is_evicted(&unlisted) && !is_evicted(&newer));
    let next = places.take(3, Standing::Listed, None).unwrap();
    assert!(is_evicted(&newer) && ![&listed, &newcomer].into_iter().any(is_evicted));
    let last = places.take(3, Standing::Unlisted, None).unwrap();
    assert!(is_evicted(&listed) && !is_evicted(&newcomer), "the oldest when there are no others");
    drop((listed, unlisted, newer, newcomer, next, last));
    assert!(places.state().taken == 0 && places.state().by_address.is_empty());
}

#[test]
fn fewer_places_than_are_taken_are_given_no_more_of_and_more_are_at_once() {
    let places = places();
    let first = places.take(2, Standing::Unlisted, None).unwrap();
    let second = places.take(2, Standing::Unlisted, None).unwrap();
    let third = places.take(1, Standing::Unlisted, None).unwrap();
    assert!(is_evicted(&first) && !is_evicted(&second) && places.state().taken == 2);
    second.prove();
    third.prove();
    assert!(places.take(1, Standing::Unlisted, None).is_none());
    assert!(places.take(3, Standing::Unlisted, None).is_some());
}
