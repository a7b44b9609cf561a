use http_body_util::BodyExt as _;
use telegram_webhook_sidecar_config::{Ban, LoadedConfig, SourceVisible};

use super::*;
use crate::test_util::{policy, raw_config};

fn admin() -> Admin {
    let metrics = Metrics::new();
    Admin {
        policy: policy(&[raw_config("b"), raw_config("a")]),
        bans: Arc::new(Bans::new(metrics.clone())),
        metrics: metrics.clone(),
        readiness: Arc::default(),
        sources: Arc::new(Sources::new(metrics)),
    }
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
fn only_the_pod_itself_may_drain_it() {
    for peer in ["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"] {
        let admin = admin();
        assert_eq!(status(&admin, peer, &Method::POST, "/drain"), 403, "{peer}");
        assert!(!admin.readiness.is_draining());
    }
    for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        let admin = admin();
        assert_eq!(status(&admin, peer, &Method::POST, "/drain"), 200, "{peer}");
        assert!(admin.readiness.is_draining());
    }
}

#[test]
fn other_methods_and_paths_are_refused() {
    let admin = admin();
    assert_eq!(status(&admin, "127.0.0.1", &Method::GET, "/drain"), 405);
    assert!(!admin.readiness.is_draining());
    for path in ["/livez", "/readyz", "/metrics", "/config", "/bans"] {
        assert_eq!(status(&admin, "127.0.0.1", &Method::POST, path), 405, "{path}");
    }
    assert_eq!(status(&admin, "127.0.0.1", &Method::GET, "/"), 404);
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
    let body = admin.config().into_body().collect().await.unwrap().to_bytes();
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
