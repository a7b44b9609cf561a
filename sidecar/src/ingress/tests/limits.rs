//! Requests beyond a limit, and of clients that are banned.

use telegram_webhook_sidecar_config::{Ban, Rate, WebhookConfig};
use tokio::time::advance;

use super::*;

const STRANGER: &str = "198.51.100.7";

/// A webhook that takes requests from anywhere, with limits of its own.
fn ingress_with(change: impl FnOnce(&mut WebhookConfig)) -> Ingress {
    let mut a = raw_config("a");
    a.source_address.ranges = vec!["192.0.2.0/24".to_owned()];
    a.source_address.mode = AddressMode::Shadow;
    a.limits.unauthenticated = Rate { requests: 2, window_seconds: 8 };
    a.limits.ban = None;
    change(&mut a);
    Ingress { policy: policy(&[a]), ..ingress() }
}

fn ban(failures: u32) -> Ban {
    Ban { failures, window_seconds: 60, duration_seconds: 60 }
}

fn from(client: &str) -> Peer {
    Peer::new(SocketAddr::new(client.parse().unwrap(), 1))
}

/// Sends a request of this client and answers with its status, `Retry-After` and `Connection`.
async fn ask(
    ingress: &Ingress,
    client: &str,
    path: &str,
    token: &str,
) -> (u16, Option<String>, Option<String>) {
    let response = ingress.answer(&from(client), post(path, &[token])).await;
    let header = |name| Some(response.headers().get(name)?.to_str().unwrap().to_owned());
    (response.status().as_u16(), header(header::RETRY_AFTER), header(header::CONNECTION))
}

async fn status(ingress: &Ingress, client: &str, path: &str, token: &str) -> u16 {
    ask(ingress, client, path, token).await.0
}

fn retry_after(seconds: &str) -> (u16, Option<String>, Option<String>) {
    (429, Some(seconds.to_owned()), None)
}

#[tokio::test(start_paused = true)]
async fn whoever_fails_too_often_is_told_when_to_come_again() {
    let ingress = ingress_with(|_| {});
    assert_eq!(status(&ingress, STRANGER, "/", "").await, 404);
    assert_eq!(status(&ingress, STRANGER, "/path-a", "wrong").await, 401);
    assert_eq!(ask(&ingress, STRANGER, "/path-a", "wrong").await, retry_after("9"));
    assert!(counted(&ingress, "crm/a", "rate_limited_unauthenticated"));
    advance(Duration::from_millis(8999)).await;
    assert_eq!(ask(&ingress, STRANGER, "/", "").await, retry_after("1"));
    advance(Duration::from_millis(1)).await;
    assert_eq!(status(&ingress, STRANGER, "/", "").await, 404);
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_budget_refuses_neither_who_authenticates_nor_anybody_else() {
    let ingress = ingress_with(|config| config.limits.max_body_bytes = 1);
    for _ in 0..5 {
        status(&ingress, STRANGER, "/", "").await;
    }
    assert_eq!(status(&ingress, STRANGER, "/", "").await, 429);
    assert_eq!(status(&ingress, "198.51.100.8", "/", "").await, 404);
    // authenticated: it gets as far as the body
    let mut request = post("/path-a", &["token-a"]);
    request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("2"));
    assert_eq!(ingress.answer(&from(STRANGER), request).await.status(), 413);
}

#[tokio::test(start_paused = true)]
async fn listed_addresses_fail_as_often_as_they_like_and_those_of_our_own_networks_are_limited_only() {
    let ingress = ingress_with(|config| config.limits.ban = Some(ban(3)));
    for listed in ["192.0.2.1", "149.154.167.220", "91.108.4.1"] {
        for _ in 0..30 {
            assert_eq!(status(&ingress, listed, "/path-a", "wrong").await, 401, "{listed}");
        }
    }
    for _ in 0..30 {
        status(&ingress, "10.0.0.1", "/path-a", "wrong").await;
    }
    assert_eq!(status(&ingress, "10.0.0.1", "/path-a", "wrong").await, 429);
    assert!(ingress.admits("10.0.0.1".parse().unwrap()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn whoever_fails_far_too_often_is_banned_with_the_right_token_too() {
    let ingress = ingress_with(|config| config.limits.ban = Some(ban(4)));
    // what is refused for its number is a failure too
    for expected in [401, 401, 429, 429] {
        assert_eq!(status(&ingress, STRANGER, "/path-a", "wrong").await, expected);
    }
    let answer = ask(&ingress, STRANGER, "/path-a", "token-a").await;
    assert_eq!(answer, (403, None, Some("close".to_owned())));
    assert!(counted(&ingress, "", "banned"));
    assert_eq!(ingress.admits(STRANGER.parse().unwrap()), Err(Turned::Banned));
    assert_eq!(status(&ingress, "198.51.100.8", "/", "").await, 404);

    advance(Duration::from_mins(1)).await;
    assert_eq!(ingress.admits(STRANGER.parse().unwrap()), Ok(Standing::Unlisted));
    assert_eq!(status(&ingress, STRANGER, "/", "").await, 404);
}

#[tokio::test(start_paused = true)]
async fn a_scanner_that_shares_the_address_of_who_delivers_is_limited_and_gets_nobody_banned() {
    let ingress = ingress_with(|config| config.limits.ban = Some(ban(4)));
    assert_eq!(status(&ingress, STRANGER, "/path-a", "token-a").await, 200);
    for _ in 0..30 {
        status(&ingress, STRANGER, "/", "").await;
    }
    assert_eq!(status(&ingress, STRANGER, "/", "").await, 429);
    assert_eq!(status(&ingress, STRANGER, "/path-a", "token-a").await, 200);
    assert_eq!(ingress.admits(STRANGER.parse().unwrap()), Ok(Standing::Unlisted));
}

#[tokio::test(start_paused = true)]
async fn a_token_without_the_relays_signature_saves_nobody_from_a_ban() {
    let ingress = ingress_with(|config| {
        config.limits.ban = Some(ban(4));
        config.hmac = Some(Hmac::Body {
            header: "x-signature".to_owned(),
            encoding: HmacEncoding::Hex,
            secret: "a secret of a relay".to_owned(),
        });
    });
    assert_eq!(status(&ingress, STRANGER, "/path-a", "token-a").await, 401);
    for _ in 0..4 {
        status(&ingress, STRANGER, "/", "").await;
    }
    assert_eq!(ingress.admits(STRANGER.parse().unwrap()), Err(Turned::Banned));
}

#[tokio::test]
async fn a_client_behind_a_proxy_does_not_take_its_connection_along() {
    let ingress = ingress_with(|config| config.limits.banned = vec!["198.51.100.0/24".to_owned()]);
    let policy = ingress.policy.load();
    let seen = Seen::from(STRANGER.parse().unwrap());
    let close_of = |peer: &str| match ingress.refuse_banned(&policy, &from(peer), &seen) {
        Err(Reject::Banned { close }) => close,
        other => panic!("{other:?}"),
    };
    assert_eq!([STRANGER, "10.0.0.1"].map(close_of), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn authenticated_requests_beyond_their_budget_are_asked_to_come_again_soon() {
    let ingress = ingress_with(|config| {
        config.limits.authenticated = Rate { requests: 1, window_seconds: 3600 };
        config.limits.ban = Some(ban(1));
    });
    // no update, which is all the same to the budget
    assert_eq!(status(&ingress, "192.0.2.1", "/path-a", "token-a").await, 200);
    assert_eq!(ask(&ingress, "192.0.2.1", "/path-a", "token-a").await, retry_after("5"));
    assert_eq!(status(&ingress, "192.0.2.2", "/path-a", "token-a").await, 200);
    // nobody is banned for it
    assert_eq!(status(&ingress, STRANGER, "/path-a", "token-a").await, 200);
    assert_eq!(status(&ingress, STRANGER, "/path-a", "token-a").await, 429);
    assert!(ingress.admits(STRANGER.parse().unwrap()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_new_version_of_the_policy_takes_over_what_was_counted() {
    let limits =
        |requests| move |config: &mut WebhookConfig| config.limits.unauthenticated.requests = requests;
    let ingress = ingress_with(limits(1));
    assert_eq!(status(&ingress, STRANGER, "/", "").await, 404);
    assert_eq!(status(&ingress, STRANGER, "/", "").await, 429);
    ingress.policy.store(ingress_with(limits(2)).policy.load_full());
    assert_eq!(status(&ingress, STRANGER, "/", "").await, 404);
    assert_eq!(status(&ingress, STRANGER, "/", "").await, 429);
}
