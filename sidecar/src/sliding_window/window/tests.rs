use proptest::prelude::*;

use super::*;

const NANOSECOND: Duration = Duration::from_nanos(1);

fn rate(requests: u32, window_seconds: u32) -> Rate {
    Rate { requests, window_seconds }
}

/// The times at which a request was let through, all of them.
#[derive(Default)]
struct Log(Vec<Duration>);

impl Log {
    /// How many of them are younger than that.
    fn younger_than(&self, age: Duration, now: Duration) -> usize {
        self.0.iter().filter(|time| **time + age > now).count()
    }
}

fn requests() -> impl Strategy<Value = (Rate, Vec<Duration>)> {
    let rates = prop_oneof![(1_u32..20, 1_u32..5), (1_u32..20, 3000_u32..=3600)];
    rates.prop_flat_map(|(requests, seconds)| {
        let window = u64::from(seconds) * 1_000_000_000;
        // many at once, some in between, and pauses longer than a window
        let pause = prop_oneof![
            4 => Just(0),
            4 => 0..window / 8,
            2 => (0_u64..20).prop_map(move |slices| slices * window / 8),
            1 => 0..window * 3
        ];
        let times = prop::collection::vec(pause, 1..200).prop_map(|pauses| {
            let times = pauses.iter().scan(0, |now, pause| {
                *now += pause;
                Some(Duration::from_nanos(*now))
            });
            times.collect()
        });
        (Just(rate(requests, seconds)), times)
    })
}

proptest! {
    #[test]
    fn no_window_ever_holds_more_than_the_limit_and_none_is_refused_for_longer_than_an_eighth(
        (rate, times) in requests()
    ) {
        let (mut window, mut log) = (Window::new(rate.window_seconds), Log::default());
        let length = Duration::from_secs(rate.window_seconds.into());
        let limit = rate.requests as usize;
        for now in times {
            if window.take(rate, now).is_ok() {
                log.0.push(now);
                // a window that ends with a request that was let through: if any holds too many, then one of these
                prop_assert!(log.younger_than(length, now) <= limit);
            } else {
                prop_assert!(log.younger_than(length + length / 8, now) >= limit, "refused for too long");
            }
        }
    }

    #[test]
    fn whoever_waits_as_told_is_let_through_and_whoever_comes_earlier_is_not((rate, times) in requests()) {
        let mut window = Window::new(rate.window_seconds);
        let length = Duration::from_secs(rate.window_seconds.into());
        for now in times {
            if let Err(wait) = window.take(rate, now) {
                prop_assert!(wait > Duration::ZERO && wait <= length + length / 8);
                let [mut earlier, mut as_told] = [window; 2];
                prop_assert_eq!(earlier.take(rate, (now + wait).saturating_sub(NANOSECOND)), Err(NANOSECOND));
                prop_assert_eq!(as_told.take(rate, now + wait), Ok(()));
            }
        }
    }
}

#[test]
fn a_large_limit_is_reached_exactly() {
    let rate = rate(100_000, 3600);
    let mut window = Window::new(rate.window_seconds);
    let day = Duration::from_hours(24);
    for request in 0..100_000 {
        let within_an_hour = Duration::from_millis(request * 35);
        assert_eq!(window.take(rate, day + within_an_hour), Ok(()), "{request}");
    }
    assert!(window.take(rate, day + Duration::from_secs(3599)).is_err());
}

#[test]
fn a_window_of_another_length_starts_anew_and_one_of_another_limit_goes_on() {
    let mut window = Window::new(1);
    assert_eq!(window.take(rate(2, 1), Duration::ZERO), Ok(()));
    assert_eq!(window.take(rate(2, 1), Duration::ZERO), Ok(()));
    // two are one too many now: the second of them has to grow old too
    assert_eq!(window.take(rate(1, 1), Duration::from_millis(500)), Err(Duration::from_millis(625)));
    assert_eq!(window.take(rate(3, 1), Duration::from_millis(500)), Ok(()));
    assert!(window.take(rate(3, 1), Duration::from_millis(500)).is_err());
    assert_eq!(window.take(rate(3, 2), Duration::from_millis(500)), Ok(()));
}

#[test]
fn a_clock_that_was_read_earlier_counts_as_now() {
    let rate = rate(1, 1);
    let mut window = Window::new(1);
    assert_eq!(window.take(rate, Duration::from_secs(100)), Ok(()));
    let earlier = Duration::from_millis(99_800);
    assert_eq!(window.take(rate, earlier), Err(Duration::from_millis(1325)));
}

#[test]
fn where_nothing_is_allowed_nothing_ever_will_be() {
    assert_eq!(
        Window::new(1).take(rate(0, 1), Duration::from_secs(9)),
        Err(Duration::MAX.saturating_sub(Duration::from_secs(9)))
    );
}

#[test]
fn all_are_counted_when_none_is_refused() {
    let mut window = Window::new(8);
    let counts = [0, 0, 1000, 8999, 9000].map(|now| window.count(8, Duration::from_millis(now)));
    assert_eq!(counts, [1, 2, 3, 4, 3]);
}

#[test]
fn it_is_small() {
    assert_eq!(size_of::<Window>(), 44);
}
