use tokio::time::advance;

use super::*;

const CONCURRENCY: usize = 16;

/// A breaker whose waits are as long as they get.
struct Bench {
    breaker: Breaker,
    random: Random,
}

impl Bench {
    fn new() -> Self {
        Self { breaker: Breaker::new(), random: Random::of(|| u32::MAX) }
    }

    fn fail(&mut self, pass: Pass, update: u64) -> bool {
        self.fail_asking(pass, update, Duration::ZERO)
    }

    fn fail_asking(&mut self, pass: Pass, update: u64, asked: Duration) -> bool {
        self.breaker.failed(pass, update, false, asked, Instant::now(), &mut self.random)
    }

    fn admits(&self, under_way: usize) -> Option<Pass> {
        self.breaker.admits(Instant::now(), under_way, CONCURRENCY)
    }

    /// How many may be under way at a time.
    fn limit(&self) -> usize {
        (0..=CONCURRENCY).take_while(|under_way| self.admits(*under_way).is_some()).count()
    }

    fn open(&mut self) {
        for update in 0..4 {
            assert!(!self.fail(Pass::Free, update));
        }
        assert!(self.fail(Pass::Free, 4));
    }
}

#[tokio::test(start_paused = true)]
async fn it_opens_after_failures_of_several_updates_and_lets_one_at_a_time_try() {
    let mut bench = Bench::new();
    assert_eq!(bench.limit(), CONCURRENCY);
    bench.open();
    assert_eq!((bench.admits(0), bench.breaker.state()), (None, BreakerState::Open));
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        advance(Duration::from_millis(seconds * 1000 - 1)).await;
        assert_eq!(bench.admits(0), None, "{seconds}");
        advance(Duration::from_millis(1)).await;
        assert_eq!((bench.admits(0), bench.admits(1)), (Some(Pass::Probe), None));
        bench.breaker.begin(Pass::Probe);
        assert_eq!((bench.admits(0), bench.breaker.state()), (None, BreakerState::HalfOpen));
        assert!(bench.fail(Pass::Probe, 9));
    }
}

#[test]
fn a_success_in_between_begins_the_count_anew() {
    let mut bench = Bench::new();
    for round in 0..3 {
        for update in 0..4 {
            assert!(!bench.fail(Pass::Free, round + update));
        }
        assert!(!bench.breaker.is_content());
        assert!(!bench.breaker.succeeded());
        assert!(bench.breaker.is_content());
    }
}

#[test]
fn one_update_alone_opens_it_only_if_there_are_no_others() {
    let mut bench = Bench::new();
    for _ in 0..20 {
        assert!(!bench.fail(Pass::Free, 1));
    }
    let now = Instant::now();
    assert!(bench.breaker.failed(Pass::Free, 1, true, Duration::ZERO, now, &mut bench.random));
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_each_round_of_successes_doubles_what_passes() {
    let mut bench = Bench::new();
    bench.open();
    advance(LONGEST).await;
    bench.breaker.begin(Pass::Probe);
    assert!(bench.breaker.succeeded(), "by this it closes");
    for (limit, successes) in [(2, 2), (4, 4), (8, 8), (CONCURRENCY, 100), (CONCURRENCY, 1)] {
        assert_eq!(bench.limit(), limit);
        for _ in 0..successes {
            assert!(!bench.breaker.succeeded());
        }
    }
    // the next outage is a new one
    bench.open();
    advance(Duration::from_secs(1)).await;
    assert_eq!(bench.admits(0), Some(Pass::Probe));
}

#[tokio::test(start_paused = true)]
async fn a_failure_begins_a_round_anew() {
    let mut bench = Bench::new();
    bench.open();
    bench.breaker.succeeded();
    bench.breaker.succeeded();
    bench.fail(Pass::Free, 1);
    bench.breaker.succeeded();
    assert_eq!(bench.limit(), 2);
    bench.breaker.succeeded();
    assert_eq!(bench.limit(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_when_it_opened_can_only_close_it() {
    let mut bench = Bench::new();
    bench.open();
    let until = bench.breaker.opens_at();
    assert!(!bench.fail(Pass::Free, 7));
    assert_eq!(bench.breaker.opens_at(), until);
    advance(LONGEST).await;
    bench.breaker.begin(Pass::Probe);
    assert!(!bench.fail(Pass::Free, 8), "the one that is tried hasn't ended");
    assert_eq!(bench.breaker.state(), BreakerState::HalfOpen);
    assert!(bench.breaker.succeeded());
}

#[tokio::test(start_paused = true)]
async fn the_crm_may_ask_for_a_longer_pause_and_a_change_may_end_it() {
    let mut bench = Bench::new();
    for update in 0..5 {
        bench.fail_asking(Pass::Free, update, Duration::from_mins(2));
    }
    advance(Duration::from_secs(119)).await;
    assert_eq!(bench.admits(0), None);
    bench.breaker.reconsider(Instant::now());
    assert_eq!(bench.admits(0), Some(Pass::Probe));
}

#[tokio::test(start_paused = true)]
async fn its_pauses_differ() {
    let pause = |number: u32| {
        let mut bench = Bench { random: Random::of(move || number), ..Bench::new() };
        bench.open();
        bench.breaker.opens_at().unwrap() - Instant::now()
    };
    assert_eq!((pause(0).as_millis(), pause(u32::MAX).as_millis()), (500, 1000));
}
