//! Mistakes, refusals and silence: what is told, and that a working webhook is not touched.

use super::*;

#[tokio::test]
async fn a_mistake_is_told_and_the_working_webhook_is_not_touched() {
    let world = World::new().await;
    world.register().await;
    let url = world.telegram.url();
    world.telegram.calls();
    let expired = fixtures::certificate("hooks.example.com", Timestamp::now().as_second(), -30..-1);
    world.cluster.put(TLS_SECRET, &fixtures::tls_secret(&expired));
    assert!(matches!(world.pass().await, Err(Error::Validate(_))));
    assert_eq!(world.condition("Ready"), condition("False", "CertificateExpired"));
    assert_eq!(world.condition("Stalled"), condition("True", "CertificateExpired"));
    assert_eq!(world.condition("WebhookRegistered"), condition("True", "WebhookSet"));
    assert!(world.telegram.calls().is_empty());
    assert_eq!(world.telegram.url(), url);
}

#[tokio::test]
async fn a_silent_dns_takes_nothing_away_and_keeps_nothing_from_being_healed() {
    let world = World::new().await;
    world.register().await;
    let url = world.telegram.url();
    world.dns.set(DnsAnswer::NoAnswer);
    world.cluster.writes();
    world.pass().await.unwrap();
    assert!(world.cluster.writes().is_empty());
    world.telegram.state().info = crate::telegram::WebhookInfo::default();
    world.pass().await.unwrap();
    assert_eq!((world.telegram.url(), world.condition("Ready").0), (url, "True".into()));
}

#[tokio::test]
async fn a_silent_dns_keeps_telegram_from_being_told_a_new_host() {
    let world = World::new().await;
    world.dns.set(DnsAnswer::NoAnswer);
    world.add_pod();
    // at the first look there is no Service yet that the host could lead to
    world.pass().await.unwrap();
    world.pass().await.unwrap();
    world.deliver();
    assert!(matches!(world.pass().await, Err(Error::Validate(_))));
    assert_eq!(world.condition("Reconciling"), condition("True", "DnsUnavailable"));
    assert_eq!(world.condition("Stalled"), condition("", ""));
    assert_eq!(world.telegram.calls(), ["getMe"]);
    world.dns.set(DnsAnswer::NoSuchName);
    assert!(matches!(world.pass().await, Err(Error::Validate(_))));
    assert_eq!(world.condition("Ready"), condition("False", "HostNotResolved"));
}

#[tokio::test]
async fn a_rejected_token_changes_nothing_and_is_told() {
    let world = World::new().await;
    world.register().await;
    let token = fixtures::TOKEN.replace("123456", "654321");
    world.cluster.put(TOKEN_SECRET, &fixtures::token_secret(&token));
    world.telegram.state().get_me = Some(Err(ApiError::Unauthorized));
    world.cluster.writes();
    world.telegram.calls();
    for _ in 0..3 {
        assert!(matches!(world.pass().await, Err(Error::Register(_))));
    }
    assert_eq!(world.condition("TokenValid"), condition("False", "TokenRejected"));
    assert_eq!(world.condition("Stalled"), condition("True", "TokenRejected"));
    assert_eq!(world.telegram.calls(), ["getMe"]);
    let writes = world.cluster.writes();
    assert_eq!(writes.iter().filter(|write| write.contains("/status")).count(), 1);
    assert!(!writes.iter().any(|write| write.contains("/secrets")), "{writes:?}");
}

#[tokio::test]
async fn a_silent_telegram_keeps_no_children_from_being_made() {
    let world = World::new().await;
    world.telegram.state().get_me = Some(Err(ApiError::Timeout));
    world.pass().await.unwrap();
    assert!(matches!(world.pass().await, Err(Error::Register(_))));
    assert!(world.cluster.get(CHILD_SECRET).is_some());
    assert_eq!(world.condition("Reconciling"), condition("True", "BotApiUnavailable"));
}

#[tokio::test]
async fn what_telegram_refused_is_not_tried_again_after_a_restart() {
    let mut world = World::new().await;
    world.register().await;
    let url = world.telegram.url();
    let refusal = Answer::Erases(ApiError::BadRequest("bad webhook".into()));
    world.telegram.state().answers.push_back(refusal);
    let mut webhook = world.webhook();
    webhook.spec.endpoint.max_connections = 7;
    world.cluster.put(WEBHOOK, &webhook);
    assert!(matches!(world.pass().await, Err(Error::Register(_))));
    assert_eq!(world.condition("Stalled"), condition("True", "RegistrationRefused"));
    assert_eq!(world.telegram.url(), url);
    assert!(world.cluster.public_text().contains("RegistrationFailed"));
    world.telegram.calls();
    world.restart();
    assert!(matches!(world.pass().await, Err(Error::Register(_))));
    assert_eq!(world.telegram.calls(), ["getMe", "getWebhookInfo"]);
    // other parameters are another attempt
    webhook.spec.endpoint.max_connections = 8;
    webhook.status = world.webhook().status;
    world.cluster.put(WEBHOOK, &webhook);
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
}

#[tokio::test]
async fn a_hidden_source_is_told_with_its_fix_and_taken_back_once_it_is_seen() {
    let world = World::new().await;
    world.register().await;
    assert_eq!(world.condition("SourceVisible"), condition("", ""));
    world.cluster.see(json!({"visible": false, "listed": 0, "unlisted": 3, "unroutable": 3}));
    world.pass().await.unwrap();
    assert_eq!(world.condition("SourceVisible"), condition("False", "SourceHidden"));
    assert_eq!(world.condition("Ready"), condition("False", "SourceHidden"));
    assert_eq!(world.condition("WebhookRegistered"), condition("True", "WebhookSet"));
    assert!(world.cluster.public_text().contains("externalTrafficPolicy: Local"));
    // more of the same is nothing new
    world.cluster.see(json!({"visible": false, "listed": 0, "unlisted": 9, "unroutable": 9}));
    world.cluster.writes();
    world.pass().await.unwrap();
    assert!(world.cluster.writes().is_empty());
    world.cluster.see(json!({"visible": true, "listed": 1, "unlisted": 9, "unroutable": 9}));
    world.pass().await.unwrap();
    assert_eq!(world.condition("SourceVisible"), condition("True", "SourceListed"));
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
}

#[tokio::test]
async fn a_refusal_is_forgotten_once_telegram_accepts_something() {
    let world = World::new().await;
    world.register().await;
    let good = world.webhook();
    let refusal = Answer::Erases(ApiError::BadRequest("bad webhook".into()));
    world.telegram.state().answers.push_back(refusal);
    let mut webhook = world.webhook();
    webhook.spec.endpoint.max_connections = 7;
    world.cluster.put(WEBHOOK, &webhook);
    assert!(world.pass().await.is_err());
    assert!(world.stored().refused.is_some());
    world.cluster.put(WEBHOOK, &good);
    world.telegram.state().info = crate::telegram::WebhookInfo::default();
    world.pass().await.unwrap();
    assert_eq!(world.stored().refused, None);
}

#[tokio::test]
async fn a_refusal_is_forgotten_once_something_else_is_declared() {
    let world = World::new().await;
    world.register().await;
    let declare = |max_connections| {
        let mut webhook = world.webhook();
        webhook.spec.endpoint.max_connections = max_connections;
        world.cluster.put(WEBHOOK, &webhook);
    };
    let refusal = Answer::Erases(ApiError::BadRequest("bad webhook".into()));
    world.telegram.state().answers.push_back(refusal);
    declare(7);
    assert!(world.pass().await.is_err());
    // as long as it is declared, the refusal holds
    assert!(world.pass().await.is_err());
    assert!(world.stored().refused.is_some());
    declare(40);
    world.pass().await.unwrap();
    assert_eq!(world.stored().refused, None);
    declare(7);
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
}
