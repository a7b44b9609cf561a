use std::{net::Ipv4Addr, time::Duration};

use http_body_util::BodyExt as _;
use telegram_webhook_sidecar_config::{Ban, LoadedConfig, SourceVisible};
use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{memory::Memory, *};
use crate::{
    queue::{QueueError, Reason},
    server::Server,
    test_util::{policy, raw_config},
};

fn admin() -> Admin {
    admin_of(Arc::new(Memory::default()))
}

fn admin_of(queues: Arc<dyn Queues>) -> Admin {
    let metrics = Metrics::new();
    Admin {
        dead_letters: DeadLetters::new(Arc::clone(&queues)),
        queues,
        policy: policy(&[raw_config("b"), raw_config("a")]),
        bans: Arc::new(Bans::new(metrics.clone())),
        metrics: metrics.clone(),
        readiness: Arc::default(),
        sources: Arc::new(Sources::new(metrics)),
    }
}

/// Serves these queues at an admin port, for as long as the test's runtime is there.
pub(super) async fn serve(queues: Arc<dyn Queues>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let idle_timeout = Duration::from_secs(5);
    let server = Server { listener, tls: None, handler: admin_of(queues), idle_timeout, metrics: None };
    tokio::spawn(server.run(CancellationToken::new()));
    address
}

fn status(admin: &Admin, peer: &str, method: &Method, path: &str) -> u16 {
    let peer = SocketAddr::new(peer.parse().unwrap(), 1);
    admin.answer(peer, method, path).status().as_u16()
}

#[test]
fn it_is_ready_from_listening_until_draining() {
    let admin = admin();
    let ready = || status(&admin, "10.0.0.1", &Method::GET, "/readyz");
    assert_eq!(ready(), 503);
    admin.readiness.start_listening();
    assert_eq!(ready(), 200);
    admin.readiness.start_draining();
    assert_eq!(ready(), 503);
    assert_eq!(status(&admin, "10.0.0.1", &Method::GET, "/livez"), 200);
}

#[test]
fn it_is_not_ready_once_a_queue_is_broken() {
    let admin = admin();
    admin.readiness.start_listening();
    admin.readiness.broken("queue broken");
    assert_eq!(admin.readiness.check(), Err("queue broken"));
    assert_eq!(status(&admin, "10.0.0.1", &Method::GET, "/readyz"), 503);
    admin.readiness.start_draining();
    assert_eq!(admin.readiness.check(), Err("draining"));
}

async fn asked(admin: &Admin, peer: &str, method: &Method, path: &str, query: Option<&str>) -> u16 {
    let peer = SocketAddr::new(peer.parse().unwrap(), 1);
    admin.respond(peer, method, path, query).await.status().as_u16()
}

/// What a container is told that asks whether it may stop, and waits no longer than any would.
async fn over(admin: &Admin) -> &'static str {
    let told = timeout(Duration::from_mins(10), drain::over(&admin.readiness)).await;
    told.expect("it is told in time")
}

#[tokio::test(start_paused = true)]
async fn only_the_pod_itself_may_drain_it() {
    for peer in ["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"] {
        let admin = admin();
        assert_eq!(asked(&admin, peer, &Method::POST, "/drain", None).await, 403, "{peer}");
        assert!(!admin.readiness.is_draining());
    }
    for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        let admin = admin();
        assert_eq!(asked(&admin, peer, &Method::POST, "/drain", None).await, 200, "{peer}");
        assert!(admin.readiness.is_draining() && !admin.readiness.is_closed());
        assert_eq!(over(&admin).await, "drained");
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_may_stop_when_the_queues_are_empty_and_the_cluster_has_noticed() {
    let memory = Arc::new(Memory::of(&["crm/a"]));
    let admin = admin_of(Arc::clone(&memory) as _);
    let begun = Instant::now();
    assert_eq!(over(&admin).await, "not draining");
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    for wrong in ["wait_seconds=x", "wait=1"] {
        assert_eq!(asked(&admin, "::1", &Method::POST, "/drain", Some(wrong)).await, 400);
        assert!(!admin.readiness.is_draining());
    }
    let begun = Instant::now();
    assert_eq!(asked(&admin, "::1", &Method::POST, "/drain", Some("wait_seconds=20")).await, 200);
    assert!(!admin.readiness.is_closed());
    assert_eq!(over(&admin).await, "drained");
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    assert!(admin.readiness.is_closed());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_what_others_share_once_it_is_left_to_them() {
    let memory = two_queues(2);
    memory.with("crm/a", |stored| stored.shared = true);
    memory.with("crm/b", |stored| stored.broken = None);
    let admin = admin_of(Arc::clone(&memory) as Arc<dyn Queues>);
    let begun = Instant::now();
    assert_eq!(asked(&admin, "::1", &Method::POST, "/drain", Some("wait_seconds=20")).await, 200);
    assert!(memory.depth("crm/a").await.is_ok(), "until it is noticed that the pod goes away");
    assert_eq!(drain::over(&admin.readiness).await, "drained");
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    assert_eq!(memory.depth("crm/a").await, Err(QueueError::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_container_may_stop_at_the_deadline_whatever_is_left() {
    let memory = Arc::new(Memory::of(&["crm/a"]));
    memory.with("crm/a", |stored| stored.broken = Some(QueueError::Broken("x".to_owned())));
    let admin = admin_of(memory);
    let begun = Instant::now();
    assert_eq!(asked(&admin, "::1", &Method::POST, "/drain", Some("wait_seconds=15")).await, 200);
    assert_eq!(over(&admin).await, "drained");
    assert_eq!(begun.elapsed(), Duration::from_secs(15));
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let admin = admin();
    assert_eq!(asked(&admin, "127.0.0.1", &Method::GET, "/drain", None).await, 405);
    assert!(!admin.readiness.is_draining());
    for path in ["/livez", "/readyz", "/metrics", "/config", "/bans", "/queue", "/drained"] {
        assert_eq!(asked(&admin, "127.0.0.1", &Method::POST, path, None).await, 405, "{path}");
    }
    assert_eq!(asked(&admin, "127.0.0.1", &Method::GET, "/", None).await, 404);
}

#[test]
fn the_webhooks_in_use_are_listed_by_name() {
    let loaded = admin().policy.load().loaded();
    let names: Vec<_> = loaded.webhooks.iter().map(|webhook| &*webhook.webhook).collect();
    assert_eq!(names, ["crm/a", "crm/b"]);
}

#[tokio::test]
async fn a_webhook_is_listed_with_where_its_requests_come_from_once_it_had_one() {
    let admin = admin();
    let policy = admin.policy.load_full();
    admin.sources.note(&policy.webhooks()[1], "10.0.0.1".parse().unwrap());
    let body = admin.config().await.into_body().collect().await.unwrap().to_bytes();
    let loaded: LoadedConfig = serde_json::from_slice(&body).unwrap();
    let seen = SourceVisible { visible: false, listed: 0, unlisted: 1, unroutable: 1 };
    assert_eq!(
        loaded.webhooks.iter().map(|webhook| webhook.source_visible).collect::<Vec<_>>(),
        [None, Some(seen)]
    );
}

fn banning_admin() -> Admin {
    let mut config = raw_config("a");
    config.limits.ban = Some(Ban { failures: 1, window_seconds: 60, duration_seconds: 60 });
    config.limits.banned = vec!["203.0.113.0/24".to_owned(), "2001:db8::/32".to_owned()];
    Admin { policy: policy(&[config]), ..admin() }
}

fn bans(admin: &Admin) -> Vec<bans::Entry> {
    bans::entries(&admin.policy.load(), &admin.bans)
}

#[tokio::test(start_paused = true)]
async fn the_bans_are_listed_those_of_the_configuration_first() {
    let admin = banning_admin();
    for client in ["198.51.100.7", "2a00:1:2:3::4"] {
        admin.bans.failed(&admin.policy.load(), client.parse().unwrap());
    }
    let shown: Vec<_> = bans(&admin).iter().map(|entry| (entry.address.clone(), entry.to_string())).collect();
    let (addresses, lines): (Vec<_>, Vec<_>) = shown.into_iter().unzip();
    assert_eq!(addresses, ["203.0.113.0/24", "2001:db8::/32", "198.51.100.7", "2a00:1:2:3::/64"]);
    assert_eq!(lines[1], "2001:db8::/32 for ever, by limits.banned of crm/a");
    assert!(lines[2].starts_with("198.51.100.7 until 20"), "{lines:?}");
    assert!(lines[2].ends_with("Z, after 1 requests that failed to authenticate"), "{lines:?}");
    assert_eq!(bans::shown(&bans(&admin)), lines.join("\n"));
    assert_eq!(bans::shown(&[]), "nobody is banned");
    assert_eq!(status(&admin, "10.0.0.1", &Method::GET, "/bans"), 200);
    assert_eq!(status(&admin, "10.0.0.1", &Method::POST, "/bans"), 405);
}

#[tokio::test(start_paused = true)]
async fn a_ban_is_lifted_from_within_the_pod_by_what_it_is_listed_as_or_an_address_within() {
    let admin = banning_admin();
    let lift = |peer, path: &str| status(&admin, peer, &Method::DELETE, path);
    for (client, path) in [
        ("198.51.100.7", "/bans/198.51.100.7"),
        ("2a00:1:2:3::4", "/bans/2a00:1:2:3::/64"),
        ("2a00:1:2:3::4", "/bans/2a00:1:2:3::5"),
    ] {
        admin.bans.failed(&admin.policy.load(), client.parse().unwrap());
        assert_eq!(lift("10.0.0.1", path), 403);
        assert_eq!(bans(&admin).len(), 3, "{path}");
        assert_eq!(lift("127.0.0.1", path), 200);
        assert_eq!(bans(&admin).len(), 2, "{path}");
        assert_eq!(lift("127.0.0.1", path), 404);
    }
    for permanent in ["/bans/203.0.113.9", "/bans/2001:db8::/64"] {
        assert_eq!(lift("127.0.0.1", permanent), 409, "{permanent}");
    }
    for nonsense in ["/bans/", "/bans/x", "/bans/203.0.113.0/24", "/bans/2001:db8::/32"] {
        assert_eq!(lift("127.0.0.1", nonsense), 400, "{nonsense}");
    }
    assert_eq!(lift("127.0.0.1", "/bansai"), 404);
    assert_eq!(status(&admin, "127.0.0.1", &Method::GET, "/bans/198.51.100.7"), 405);
}

/// Two queues: one with as many updates waiting, and a broken one.
fn two_queues(updates: usize) -> Arc<Memory> {
    let memory = Memory::of(&["crm/a", "crm/b"]);
    memory.with("crm/a", |stored| {
        let id = stored.bury(Reason::Refused(400), "{}");
        stored.replayed = vec![id; updates];
    });
    memory.with("crm/b", |stored| stored.broken = Some(QueueError::Broken("x".to_owned())));
    Arc::new(memory)
}

#[tokio::test]
async fn anybody_may_see_what_waits_in_the_queues() {
    let admin = admin_of(two_queues(2));
    let other = "10.0.0.1:1".parse().unwrap();
    let answer = admin.respond(other, &Method::GET, "/queue", None).await;
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&body).unwrap(),
        serde_json::json!([
            {
                "webhook": "crm/a", "consume": "Sidecar", "updates": 2, "oldest": "1970-01-01T00:00:00.5Z",
                "dead_letters": 1, "bytes": 100,
            },
            {"webhook": "crm/b", "consume": "Sidecar", "error": "the queue is broken: x"},
        ])
    );
    assert_eq!(admin.respond(other, &Method::POST, "/queue", None).await.status(), 405);
}

#[tokio::test]
async fn the_queue_command_says_a_line_for_each() {
    let shown = depth::shown(&depth::list(serve(two_queues(2)).await).await.unwrap());
    assert_eq!(
        shown,
        "crm/a: 2 updates wait, the oldest since 1970-01-01T00:00:00.5Z; 1 were set aside; 100 bytes\n\
         crm/b: the queue is broken: x"
    );
    let none = depth::list(serve(Arc::new(Memory::default())).await).await.unwrap();
    assert_eq!(depth::shown(&none), "nothing is stored: there is no queue");
}

#[tokio::test]
async fn draining_waits_for_what_is_stored_and_only_where_it_is_told_to() {
    let memory = two_queues(1);
    memory.with("crm/b", |stored| stored.broken = None);
    let address = serve(Arc::clone(&memory) as Arc<dyn Queues>).await;
    assert!(drain::request(address, Duration::ZERO).await.unwrap().is_none());
    let short = async {
        let left = drain::request(address, Duration::from_secs(1)).await.unwrap().unwrap().to_string();
        assert!(left.contains("crm/a: 1 updates wait") && !left.contains("crm/b"), "{left}");
        memory.with("crm/a", |stored| stored.replayed.clear());
    };
    let (left, ()) = tokio::join!(drain::request(address, Duration::from_hours(1)), short);
    assert!(left.unwrap().is_none());
}
