use std::time::Duration;

use http::Request;
use telegram_webhook_sidecar_config::{AddressMode, SourceVisible, WebhookConfig};
use tokio::time::advance;

use super::*;
use crate::{
    config::CurrentPolicy,
    metrics::Metrics,
    test_util::{policy, raw_config},
};

const LISTED: &str = "149.154.167.200";
const STRANGER: &str = "203.0.113.9";
const HOP: &str = "10.0.0.1";

fn config(name: &str, mode: AddressMode, range: &str) -> WebhookConfig {
    let mut config = raw_config(name);
    config.source_address.mode = mode;
    config.source_address.ranges = vec![range.to_owned()];
    config
}

/// A port with one webhook, and what has been seen there.
fn one(mode: AddressMode) -> (CurrentPolicy, Metrics, Sources) {
    let metrics = Metrics::new();
    (policy(&[config("a", mode, "149.154.160.0/20")]), metrics.clone(), Sources::new(metrics))
}

fn head(path: &str, token: &str) -> Parts {
    Request::post(path).header(authenticate::TOKEN_HEADER, token).body(()).unwrap().into_parts().0
}

/// Goes through both rules. Whether the request was refused as a genuine one; none if it wasn't refused.
fn refused(policy: &CurrentPolicy, sources: &Sources, client: &str, path: &str, token: &str) -> Option<bool> {
    let (policy, head) = (policy.load(), head(path, token));
    let mut seen = Seen::from(client.parse().unwrap());
    let refusal = port(sources, &policy, &head, &mut seen).err().or_else(|| {
        let route = route::find(&policy, &head.uri).unwrap();
        webhook(sources, &route, &head, &mut seen).err()
    });
    match refusal? {
        Reject::AddressNotAllowed { genuine } => Some(genuine),
        other => panic!("{other:?}"),
    }
}

fn seen(visible: bool, listed: u64, unlisted: u64, unroutable: u64) -> SourceVisible {
    SourceVisible { visible, listed, unlisted, unroutable }
}

#[test]
fn only_enforcing_refuses_and_then_only_what_is_unlisted() {
    for (mode, expected) in
        [(AddressMode::Enforce, Some(true)), (AddressMode::Shadow, None), (AddressMode::Off, None)]
    {
        let (policy, _, sources) = one(mode);
        assert_eq!(refused(&policy, &sources, STRANGER, "/path-a", "token-a"), expected, "{mode:?}");
        assert_eq!(refused(&policy, &sources, LISTED, "/path-a", "token-a"), None, "{mode:?}");
    }
}

#[test]
fn before_the_route_any_webhook_permits_and_after_it_only_its_own() {
    let policy = policy(&[
        config("a", AddressMode::Enforce, "149.154.160.0/20"),
        config("b", AddressMode::Enforce, "198.51.100.0/24"),
    ]);
    let sources = Sources::new(Metrics::new());
    for (client, path, token, expected) in [
        (LISTED, "/path-a", "token-a", None),
        (LISTED, "/path-b", "token-b", Some(true)),
        (LISTED, "/path-b", "wrong", Some(false)),
        ("198.51.100.1", "/path-b", "token-b", None),
        ("198.51.100.1", "/path-a", "token-a", Some(true)),
        (STRANGER, "/path-a", "token-a", Some(true)),
        (STRANGER, "/path-a", "token-b", Some(false)),
        (STRANGER, "/path", "token-a", Some(false)),
    ] {
        assert_eq!(refused(&policy, &sources, client, path, token), expected, "{client} {path} {token}");
    }
}

#[test]
fn a_refused_request_is_named_and_counted_only_if_it_carries_path_and_token() {
    let (policy, metrics, sources) = one(AddressMode::Enforce);
    for (path, token) in [("/path-a", "wrong"), ("/path", "token-a")] {
        assert_eq!(refused(&policy, &sources, STRANGER, path, token), Some(false));
        assert_eq!(sources.seen("crm/a"), None);
    }
    assert_eq!(refused(&policy, &sources, STRANGER, "/path-a", "token-a"), Some(true));
    assert_eq!(refused(&policy, &sources, HOP, "/path-a", "token-a"), Some(true));
    assert_eq!(sources.seen("crm/a"), Some(seen(false, 0, 2, 1)));
    let encoded = metrics.encode().unwrap();
    for series in [
        "source_address_total{webhook=\"crm/a\",verdict=\"unlisted\",mode=\"Enforce\"} 2\n",
        "source_visible{webhook=\"crm/a\"} 0\n",
    ] {
        assert!(encoded.contains(series), "{encoded}");
    }

    let head = head("/path-a", "token-a");
    let mut found = Seen::from(STRANGER.parse().unwrap());
    port(&sources, &policy.load(), &head, &mut found).unwrap_err();
    assert_eq!((found.webhook_name(), found.slot), ("crm/a", Some(1)));
}

#[tokio::test(start_paused = true)]
async fn telegram_is_visible_while_its_addresses_are_seen() {
    for mode in [AddressMode::Enforce, AddressMode::Shadow] {
        let (policy, metrics, sources) = one(mode);
        let webhook = Arc::clone(&policy.load().webhooks()[0]);
        let note = |client: &str| sources.note(&webhook, client.parse().unwrap());
        let shown = |visible: u8| {
            metrics.encode().unwrap().contains(&format!("source_visible{{webhook=\"crm/a\"}} {visible}\n"))
        };
        assert!(!shown(0) && !shown(1), "nothing is known yet");
        note(HOP);
        assert_eq!(sources.seen("crm/a"), Some(seen(false, 0, 1, 1)));
        assert!(shown(0));
        note(LISTED);
        // somebody else has the token
        note(STRANGER);
        assert_eq!(sources.seen("crm/a"), Some(seen(true, 1, 2, 1)));
        assert!(shown(1));
        advance(Duration::from_mins(10)).await;
        note(STRANGER);
        assert_eq!(sources.seen("crm/a"), Some(seen(false, 1, 3, 1)));
        assert!(shown(0));
    }
}

#[test]
fn nobody_looks_where_it_is_off() {
    let (policy, metrics, sources) = one(AddressMode::Off);
    sources.note(&policy.load().webhooks()[0], STRANGER.parse().unwrap());
    assert_eq!(sources.seen("crm/a"), None);
    assert!(!metrics.encode().unwrap().contains("source_address_total{"));
}
