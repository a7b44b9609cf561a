use super::*;
use crate::test_util::{policy, raw_config};

fn admin() -> Admin {
    Admin {
        policy: policy(&[raw_config("b"), raw_config("a")]),
        metrics: Metrics::new(),
        readiness: Arc::default(),
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
    for path in ["/livez", "/readyz", "/metrics", "/config"] {
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
