use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use telegram_webhook_sidecar_config::{Ban as RawBan, WebhookConfig};

use super::*;
use crate::{
    metrics::Metrics,
    queue::QueueError,
    test_util::{policy, raw_config},
};

const STRANGER: &str = "198.51.100.7";

/// A log that can be out of reach.
#[derive(Default)]
struct Log {
    entries: Mutex<Vec<News>>,
    is_down: AtomicBool,
}

/// A sidecar's way to it.
struct Way {
    log: Arc<Log>,
    place: Mutex<usize>,
}

impl Log {
    fn check(&self) -> Result<(), QueueError> {
        let down = self.is_down.load(Ordering::Relaxed);
        if down { Err(QueueError::Unavailable("pulled".to_owned())) } else { Ok(()) }
    }

    fn told(&self) -> usize {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Exchange for Way {
    async fn tell(&self, news: &News) -> Result<(), QueueError> {
        self.log.check()?;
        self.log.entries.lock().unwrap().push(*news);
        Ok(())
    }

    async fn follow(&self, mut take: impl FnMut(News) + Send) -> QueueError {
        loop {
            if let Err(error) = self.log.check() {
                return error;
            }
            {
                let entries = self.log.entries.lock().unwrap();
                let mut place = self.place.lock().unwrap();
                entries[*place..].iter().copied().for_each(&mut take);
                *place = entries.len();
            }
            sleep(PAUSE).await;
        }
    }
}

fn config() -> WebhookConfig {
    let mut config = raw_config("a");
    config.limits.ban = Some(RawBan { failures: 1, window_seconds: 60, duration_seconds: 3600 });
    config
}

/// The bans of a sidecar that shares them.
fn sidecar(log: &Arc<Log>, policy: &CurrentPolicy) -> Arc<Bans> {
    let bans = Arc::new(Bans::new(Metrics::new()));
    let way = Way { log: Arc::clone(log), place: Mutex::default() };
    tokio::spawn(share(way, Arc::clone(&bans), Arc::clone(policy), CancellationToken::new()));
    bans
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn banned(bans: &Bans) -> Vec<String> {
    bans.list().iter().map(|ban| ban.client.to_string()).collect()
}

/// Longer than anything here takes.
async fn a_while() {
    sleep(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn what_one_bans_or_lifts_all_do_also_who_comes_later() {
    let (log, policy) = (Arc::default(), policy(&[config()]));
    let [one, other] = [sidecar(&log, &policy), sidecar(&log, &policy)];
    a_while().await;
    one.failed(&policy.load(), ip(STRANGER));
    a_while().await;
    assert!(other.contains(&policy.load(), ip(STRANGER)));
    let later = sidecar(&log, &policy);
    a_while().await;
    assert_eq!((banned(&later), banned(&one)), (vec![STRANGER.to_owned()], vec![STRANGER.to_owned()]));
    later.lift(&policy.load(), ip(STRANGER)).unwrap();
    a_while().await;
    assert!([one, other, later].iter().all(|bans| bans.list().is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_ban_ends_for_all_at_the_same_time_and_none_lasts_for_ever() {
    let (log, policy) = (Arc::default(), policy(&[config()]));
    let [one, other] = [sidecar(&log, &policy), sidecar(&log, &policy)];
    a_while().await;
    one.failed(&policy.load(), ip(STRANGER));
    a_while().await;
    sleep(Duration::from_secs(3600 - 10 - 1)).await;
    assert!(other.contains(&policy.load(), ip(STRANGER)));
    sleep(Duration::from_secs(2)).await;
    assert!(other.list().is_empty() && one.list().is_empty());
    let News::Ban(ban) = log.entries.lock().unwrap()[0] else { panic!("a ban was told") };
    log.entries
        .lock()
        .unwrap()
        .push(News::Ban(crate::bans::SharedBan { until: ban.until + Duration::from_hours(24 * 365), ..ban }));
    a_while().await;
    let lasts = other.list()[0].until.duration_since(jiff::Timestamp::now()).as_hours();
    assert!((30 * 24 - 2..=30 * 24).contains(&lasts), "{lasts}");
}

#[tokio::test(start_paused = true)]
async fn whom_a_sidecar_never_bans_it_does_not_ban_because_others_do() {
    let log = Arc::default();
    // the others know nothing of these
    let mut relayed = config();
    relayed.source_address.ranges = vec!["198.51.100.0/24".to_owned()];
    let [policy_of_all, relayed] = [policy(&[config()]), policy(&[relayed])];
    let [one, other] = [sidecar(&log, &policy_of_all), sidecar(&log, &relayed)];
    a_while().await;
    other.authenticated(&relayed.load(), ip("203.0.113.9"));
    one.failed(&policy_of_all.load(), ip("203.0.113.9"));
    one.failed(&policy_of_all.load(), ip(STRANGER));
    one.failed(&policy_of_all.load(), ip("192.0.2.1"));
    for address in ["149.154.167.220", "127.0.0.1", "10.0.0.1", "fd00::1"] {
        let client = crate::address::key(ip(address));
        let until = one.clock.now() + Duration::from_hours(1);
        let ban = crate::bans::SharedBan { client, failures: 1, until };
        log.entries.lock().unwrap().push(News::Ban(ban));
    }
    a_while().await;
    assert_eq!(banned(&one), ["192.0.2.1", STRANGER, "203.0.113.9"]);
    assert_eq!(banned(&other), ["192.0.2.1"]);
    let mut nobody = config();
    nobody.limits.ban = None;
    let lenient = sidecar(&log, &policy(&[nobody]));
    a_while().await;
    assert_eq!(banned(&lenient), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn out_of_reach_each_bans_for_itself_and_tells_it_later() {
    let (log, policy): (Arc<Log>, _) = (Arc::default(), policy(&[config()]));
    let [one, other] = [sidecar(&log, &policy), sidecar(&log, &policy)];
    a_while().await;
    log.is_down.store(true, Ordering::Relaxed);
    // more than are kept, one of them lifted, and one that is over by then
    let address =
        |number: usize| -> IpAddr { format!("198.51.{}.{}", number / 250, number % 250).parse().unwrap() };
    for number in 0..2 * MAX_UNTOLD {
        one.failed(&policy.load(), address(number));
    }
    one.lift(&policy.load(), address(5)).unwrap();
    a_while().await;
    assert_eq!((one.list().len(), other.list().len()), (2 * MAX_UNTOLD - 1, 0));
    log.is_down.store(false, Ordering::Relaxed);
    a_while().await;
    assert_eq!(banned(&other), banned(&one));

    log.is_down.store(true, Ordering::Relaxed);
    let told = log.told();
    one.failed(&policy.load(), ip("192.0.2.1"));
    sleep(Duration::from_hours(2)).await;
    log.is_down.store(false, Ordering::Relaxed);
    a_while().await;
    assert_eq!(log.told(), told, "what is over is not told");
}
