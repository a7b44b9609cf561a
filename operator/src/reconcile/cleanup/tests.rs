use telegram_webhook_sidecar_config::{
    ClientAddress, Delivery, Filter, Limits, Slot, SourceAddress, Upstream, WebhookConfig,
};

use super::*;
use crate::fixtures::{
    self,
    telegram::{FakeTelegram, bot},
};

fn having(url: &str) -> FakeTelegram {
    let telegram = FakeTelegram::default();
    telegram.state().info.url = url.to_owned();
    telegram
}

fn failing(error: ApiError) -> FakeTelegram {
    let telegram = FakeTelegram::default();
    telegram.state().info_error = Some(error);
    telegram
}

fn has_deleted(telegram: &FakeTelegram) -> bool {
    telegram.calls().contains(&"deleteWebhook")
}

fn proof() -> Proof {
    let stored = Stored {
        config: WebhookConfig {
            webhook: "crm/support".into(),
            bot_id: 123_456,
            host: "hooks.example.com".into(),
            slots: vec![Slot { id: 1, path: "/telegram/aaaa".into(), secret_token: "s".into() }],
            upstream: Upstream { port: 3000, path: "/".into() },
            client_address: ClientAddress::default(),
            source_address: SourceAddress::default(),
            hmac: None,
            limits: Limits::default(),
            filter: Filter::default(),
            delivery: Delivery::default(),
        },
        accepted: None,
        refused: None,
        superseded: None,
        former_key: None,
        digest: String::new(),
    };
    Proof { stored: Some(stored), url_digest: None }
}

#[tokio::test]
async fn without_the_secret_the_status_says_which_webhook_is_ours() {
    let url = "https://hooks.example.com/telegram/cccc";
    let noted = || Proof { stored: None, url_digest: Some(url_digest(url)) };
    let telegram = having(url);
    assert_eq!(remove(&telegram, &bot(), &noted()).await.unwrap(), Farewell::Deleted);
    let telegram = having("https://hooks.example.com/telegram/aaaa");
    assert_eq!(remove(&telegram, &bot(), &noted()).await.unwrap(), Farewell::NotOurs);
}

#[tokio::test]
async fn our_own_webhook_is_removed() {
    for url in ["https://hooks.example.com/telegram/aaaa", "https://hooks.example.com:8443/telegram/aaaa"] {
        let telegram = having(url);
        let farewell = remove(&telegram, &bot(), &proof()).await.unwrap();
        assert_eq!((farewell, has_deleted(&telegram)), (Farewell::Deleted, true));
    }
}

#[tokio::test]
async fn a_webhook_of_somebody_else_is_left_alone() {
    for url in [
        "https://hooks.example.com/telegram/bbbb",
        "https://elsewhere.example.com/telegram/aaaa",
        "https://hooks.example.com/telegram/aaaa/more",
        "not a url",
    ] {
        let telegram = having(url);
        let farewell = remove(&telegram, &bot(), &proof()).await.unwrap();
        assert_eq!((farewell, has_deleted(&telegram)), (Farewell::NotOurs, false), "{url}");
    }
}

#[tokio::test]
async fn nothing_is_removed_where_nothing_is_set() {
    let telegram = having("");
    assert_eq!(remove(&telegram, &bot(), &proof()).await.unwrap(), Farewell::NothingSet);
    assert!(!has_deleted(&telegram));
}

#[tokio::test]
async fn a_rejected_token_does_not_hold_the_deletion_up() {
    for error in [ApiError::Unauthorized, ApiError::NotFound] {
        let telegram = failing(error);
        let farewell = remove(&telegram, &bot(), &proof()).await.unwrap();
        assert!(matches!(farewell, Farewell::Left(_)), "{farewell:?}");
    }
}

#[tokio::test]
async fn an_unreachable_telegram_is_tried_again() {
    for error in [
        ApiError::Timeout,
        ApiError::Transport,
        ApiError::Server(502),
        ApiError::TooManyRequests(Duration::from_secs(1)),
    ] {
        let telegram = failing(error);
        assert!(remove(&telegram, &bot(), &proof()).await.is_err());
    }
}

#[test]
fn the_deadline_counts_from_the_deletion() {
    let mut webhook = fixtures::webhook();
    let deleted = Timestamp::from_second(1_000_000).unwrap();
    webhook.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(deleted));
    let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
    let deadline = Duration::from_mins(1);
    assert!(!overdue(&webhook, deadline, at(0)));
    assert!(!overdue(&webhook, deadline, at(59)));
    assert!(overdue(&webhook, deadline, at(60)));
}
