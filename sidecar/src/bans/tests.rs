use std::net::Ipv4Addr;

use telegram_webhook_sidecar_config::{Ban as RawBan, WebhookConfig};
use tokio::time::advance;

use super::*;
use crate::{
    config::CurrentPolicy,
    ingress::rate_limit::RateLimits,
    test_util::{policy, raw_config},
};

const STRANGER: &str = "198.51.100.7";

fn config(failures: u32, window_seconds: u64, duration_seconds: u64) -> WebhookConfig {
    let mut config = raw_config("a");
    config.limits.ban = Some(RawBan { failures, window_seconds, duration_seconds });
    config
}

fn policy_of(config: WebhookConfig) -> CurrentPolicy {
    policy(&[config])
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn bans() -> Bans {
    Bans::new(Metrics::new())
}

fn has_metric(bans: &Bans, line: &str) -> bool {
    let metrics = bans.metrics.encode().unwrap();
    metrics.lines().any(|found| found == format!("telegram_webhook_sidecar_{line}"))
}

#[tokio::test(start_paused = true)]
async fn too_many_failures_ban_a_client_for_the_time_that_is_set() {
    let (bans, policy) = (bans(), policy_of(config(3, 60, 3600)).load_full());
    for _ in 0..2 {
        bans.failed(&policy, ip(STRANGER));
        assert!(!bans.contains(&policy, ip(STRANGER)));
    }
    bans.failed(&policy, ip(STRANGER));
    assert!(bans.contains(&policy, ip(STRANGER)));
    assert!(!bans.contains(&policy, ip("198.51.100.8")));
    assert!(has_metric(&bans, "bans_total 1") && has_metric(&bans, "bans_active 1"));

    advance(Duration::from_millis(3_599_999)).await;
    assert!(bans.contains(&policy, ip(STRANGER)));
    advance(Duration::from_millis(1)).await;
    assert!(!bans.contains(&policy, ip(STRANGER)));
    bans.refresh();
    assert!(has_metric(&bans, "bans_total 1") && has_metric(&bans, "bans_active 0"));
}

#[tokio::test(start_paused = true)]
async fn failures_are_forgotten_with_time_and_after_a_ban() {
    let (bans, policy) = (bans(), policy_of(config(3, 60, 1)).load_full());
    for _ in 0..10 {
        bans.failed(&policy, ip(STRANGER));
        bans.failed(&policy, ip(STRANGER));
        // a window and an eighth of it
        advance(Duration::from_millis(67_500)).await;
    }
    assert!(!bans.contains(&policy, ip(STRANGER)));
    for _ in 0..3 {
        bans.failed(&policy, ip(STRANGER));
    }
    assert!(bans.contains(&policy, ip(STRANGER)));
    advance(Duration::from_secs(1)).await;
    bans.failed(&policy, ip(STRANGER));
    bans.failed(&policy, ip(STRANGER));
    assert!(!bans.contains(&policy, ip(STRANGER)), "counted from nothing");
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_client_is_banned_with_all_addresses_it_can_choose() {
    let (bans, policy) = (bans(), policy_of(config(2, 60, 60)).load_full());
    bans.failed(&policy, ip("2a00:1:2:3::1"));
    bans.failed(&policy, ip("2a00:1:2:3:4::2"));
    assert!(bans.contains(&policy, ip("2a00:1:2:3:5::3")));
    assert!(!bans.contains(&policy, ip("2a00:1:2:4::1")));
    assert_eq!(bans.list()[0].client.to_string(), "2a00:1:2:3::/64");
}

#[tokio::test(start_paused = true)]
async fn neither_listed_addresses_nor_those_of_our_own_networks_are_ever_banned() {
    let (bans, policy) = (bans(), policy_of(config(1, 60, 60)).load_full());
    for address in ["10.0.0.1", "100.64.0.1", "169.254.1.1", "192.168.0.1", "fd00::1", "::ffff:10.0.0.1"] {
        bans.failed(&policy, ip(address));
        assert!(!bans.contains(&policy, ip(address)), "{address}");
    }
    // who was banned before it was listed
    bans.failed(&policy, ip(STRANGER));
    let mut listing = config(1, 60, 60);
    listing.source_address.ranges = vec!["198.51.100.0/24".to_owned()];
    let listing = policy_of(listing).load_full();
    assert!(bans.contains(&policy, ip(STRANGER)) && !bans.contains(&listing, ip(STRANGER)));
}

#[tokio::test(start_paused = true)]
async fn the_rule_in_use_is_the_one_of_the_policy_and_without_one_nobody_is_banned() {
    let bans = bans();
    let policies = [config(3, 60, 60), config(2, 60, 60)].map(|config| policy_of(config).load_full());
    let mut without = config(1, 1, 1);
    without.limits.ban = None;
    let without = policy_of(without).load_full();
    for _ in 0..5 {
        bans.failed(&without, ip(STRANGER));
    }
    bans.failed(&policies[0], ip(STRANGER));
    assert!(!bans.contains(&policies[0], ip(STRANGER)));
    bans.failed(&policies[1], ip(STRANGER));
    assert!(bans.contains(&policies[1], ip(STRANGER)));
}

#[tokio::test(start_paused = true)]
async fn a_ban_is_listed_and_lifted_and_one_of_the_configuration_is_lifted_there_only() {
    let mut config = config(1, 60, 60);
    config.limits.banned = vec!["203.0.113.0/24".to_owned()];
    let (bans, policy) = (bans(), policy_of(config).load_full());
    bans.failed(&policy, ip(STRANGER));
    bans.failed(&policy, ip("192.0.2.1"));
    let listed = bans.list();
    let clients: Vec<_> = listed.iter().map(|banned| banned.client.to_string()).collect();
    assert_eq!(clients, ["192.0.2.1", STRANGER]);
    let lasts = listed[0].until.duration_since(Timestamp::now()).as_secs();
    assert!((58..=60).contains(&lasts) && listed[0].failures == 1, "{listed:?}");

    assert_eq!(bans.lift(&policy, ip(STRANGER)), Ok(()));
    assert!(!bans.contains(&policy, ip(STRANGER)) && bans.contains(&policy, ip("192.0.2.1")));
    assert_eq!(bans.lift(&policy, ip(STRANGER)), Err(NotLifted::NotBanned));

    assert!(bans.contains(&policy, ip("203.0.113.9")));
    let permanent = NotLifted::Permanent { webhook: "crm/a".to_owned() };
    assert_eq!(bans.lift(&policy, ip("203.0.113.9")), Err(permanent));
}

#[tokio::test(start_paused = true)]
async fn a_ban_that_is_over_is_neither_listed_nor_lifted() {
    let (bans, policy) = (bans(), policy_of(config(1, 60, 60)).load_full());
    bans.failed(&policy, ip(STRANGER));
    advance(Duration::from_mins(1)).await;
    assert_eq!(bans.list(), []);
    assert_eq!(bans.lift(&policy, ip(STRANGER)), Err(NotLifted::NotBanned));
}

#[tokio::test(start_paused = true)]
async fn a_million_strangers_take_less_than_32_mebibytes() {
    let (bans, limits) = (bans(), RateLimits::new());
    let policy = policy_of(config(2, 60, 60)).load_full();
    for number in 0..1_000_000_u32 {
        let client = Ipv4Addr::from_bits(0x0100_0000 + number).into();
        bans.failed(&policy, client);
        assert!(limits.unauthenticated(client, policy.stranger_rules().rate).is_ok());
    }
    // and all the bans that there can be: a hash table is at least half full of what it can hold, which is seven eighths of its
    // size, and so is each node of a tree
    let (in_table, in_tree) = (size_of::<(AddressKey, Ban)>() + 1, size_of::<(Instant, AddressKey)>());
    let register = register::MAX * 2 * (in_table * 8 / 7 + in_tree);
    let used = bans.failures.memory() + limits.memory() + register;
    assert!(used < 32 << 20, "{used}");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_authenticated_requests_come_from_is_not_banned_for_an_hour() {
    let (bans, policy) = (bans(), policy_of(config(2, 60, 60)).load_full());
    bans.authenticated(&policy, ip("2a00:1:2:3::1"));
    advance(Duration::from_mins(30)).await;
    bans.authenticated(&policy, ip("2a00:1:2:3::1"));
    advance(Duration::from_millis(3_599_999)).await;
    for _ in 0..10 {
        bans.failed(&policy, ip("2a00:1:2:3::2"));
        bans.failed(&policy, ip(STRANGER));
    }
    assert!(!bans.contains(&policy, ip("2a00:1:2:3::1")) && bans.contains(&policy, ip(STRANGER)));
    advance(Duration::from_millis(1)).await;
    bans.failed(&policy, ip("2a00:1:2:3::2"));
    assert!(bans.contains(&policy, ip("2a00:1:2:3::1")), "a scanner's alone by now");
}
