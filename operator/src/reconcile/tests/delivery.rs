//! The queue, the Secrets that the CRM knows too, and what the sidecars tell of both.

use telegram_webhook_sidecar_config::Backend;

use super::*;
use crate::place::{INJECTED_ANNOTATION, Injected};

#[tokio::test]
async fn the_key_that_deliveries_are_signed_with_is_made_once_and_replaced_when_it_is_deleted() {
    let world = World::new().await;
    world.register().await;
    let made = world.cluster.get(SIGNING_SECRET).unwrap()["data"]["key"].clone();
    let used = || world.stored().config.delivery.signing_keys;
    let first = used();
    assert_eq!(first.len(), 1);
    // the child Secret, the Secret with the key and the Service have one owner
    assert_eq!(
        world.cluster.get(SIGNING_SECRET).unwrap()["metadata"]["ownerReferences"][0]["name"],
        "support"
    );
    world.cluster.writes();
    world.pass().await.unwrap();
    assert!(world.cluster.writes().is_empty());
    world.cluster.remove(SIGNING_SECRET);
    world.pass().await.unwrap();
    assert_ne!(world.cluster.get(SIGNING_SECRET).unwrap()["data"]["key"], made);
    assert_eq!((used().len(), &used()[1]), (2, &first[0]));
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    assert!(!world.cluster.public_text().contains("whsec_"));
}

#[tokio::test]
async fn a_secret_that_is_not_ours_is_not_taken_for_the_signing_key() {
    let world = World::new().await;
    world.register().await;
    let stranger = fixtures::secret("support-telegram-webhook-signing", &[("key", b"whsec_STRANGER")]);
    world.cluster.put(SIGNING_SECRET, &stranger);
    assert!(world.pass().await.is_err());
    assert_eq!(world.condition("Ready"), condition("False", "ChildNotOurs"));
    assert!(
        world.webhook().status.unwrap().conditions[0].message.contains("support-telegram-webhook-signing")
    );
}

#[tokio::test]
async fn what_the_crm_knows_too_is_fetched_by_name_and_a_change_goes_to_the_sidecars() {
    let delivery = "delivery: {secretTokenSecretRef: {name: relay, key: secret}, signingSecretRef: {name: signing, key: secret}}";
    let world = World::with(&[("  workload:", &format!("  {delivery}\n  workload:"))]).await;
    let signing = "/api/v1/namespaces/crm/secrets/signing";
    let put =
        |path: &str, text: &str| world.cluster.put(path, &fixtures::delivery_secret("s", text.as_bytes()));
    world.add_pod();
    world.pass().await.unwrap();
    assert!(world.pass().await.is_err());
    assert_eq!(world.condition("Ready"), condition("False", "DeliverySecretNotFound"));
    put(HMAC_SECRET, "FIRST-TOKEN\n");
    put(signing, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    world.pass().await.unwrap();
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    assert!(world.cluster.get(SIGNING_SECRET).is_none());
    put(HMAC_SECRET, "SECOND-TOKEN");
    put(signing, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("False", "SecretsNotLoaded"));
    let delivery = world.stored().config.delivery;
    assert_eq!(delivery.secret_token.unwrap().0, "SECOND-TOKEN");
    let keys: Vec<_> = delivery.signing_keys.iter().map(|key| key.0.as_str()).collect();
    assert_eq!(keys, ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
    let text = world.cluster.public_text();
    assert!(!text.contains("-TOKEN") && !text.contains("whsec_"), "{text}");
}

#[tokio::test]
async fn a_queue_gets_no_more_room_than_the_pods_that_run_have() {
    let world =
        World::with(&[("  workload:", "  delivery: {backend: {embedded: {size: 64Mi}}}\n  workload:")]).await;
    let annotate = || {
        let injected = Injected::new(&[&world.webhook()], None).annotation();
        let mut pod = world.cluster.get(POD).unwrap();
        pod["metadata"]["annotations"] = json!({INJECTED_ANNOTATION: injected});
        world.cluster.put(POD, &pod);
    };
    world.add_pod();
    annotate();
    world.register_pod().await;
    let size = |bytes: &str| {
        let mut webhook = world.webhook();
        webhook.spec.delivery.backend.as_mut().unwrap().embedded.as_mut().unwrap().size = bytes.into();
        world.cluster.put(WEBHOOK, &webhook);
    };
    let backend = || world.stored().config.delivery.backend;
    size("1Gi");
    world.pass().await.unwrap();
    assert_eq!(backend(), Backend::Embedded { max_bytes: 64 << 20 });
    assert_eq!(world.condition("SidecarsReady"), condition("False", "SidecarOutdated"));
    // its pods are made anew
    annotate();
    world.pass().await.unwrap();
    assert_eq!(backend(), Backend::Embedded { max_bytes: 1 << 30 });
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("SidecarsReady"), condition("True", "PodsReady"));
}

#[tokio::test]
async fn trouble_with_the_crm_is_a_condition_and_an_event_and_leaves_the_webhook_ready() {
    let world = World::new().await;
    world.register().await;
    assert_eq!(world.condition("DeliveryHealthy"), condition("", ""));
    let state = |crm_reachable: bool, oldest_seconds: u64| json!({"backend": "Embedded", "durable": true, "crmReachable": crm_reachable, "queued": 7, "oldestSeconds": oldest_seconds, "deadLetters": 0});
    let events = || world.cluster.writes().iter().filter(|write| write.contains("/events")).count();
    world.cluster.tell(state(true, 0));
    world.pass().await.unwrap();
    assert_eq!(world.condition("DeliveryHealthy"), condition("True", "UpdatesDelivered"));
    world.cluster.writes();
    world.cluster.tell(state(false, 400));
    world.pass().await.unwrap();
    assert_eq!(world.condition("DeliveryHealthy"), condition("False", "CrmNotTaking"));
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    assert_eq!(events(), 1);
    world.cluster.tell(state(false, 460));
    world.pass().await.unwrap();
    assert!(world.cluster.writes().is_empty());
    world.cluster.tell(Value::Null);
    world.pass().await.unwrap();
    assert_eq!(world.condition("DeliveryHealthy"), condition("", ""));
}

#[tokio::test]
async fn a_brokers_password_is_fetched_by_name_and_a_new_one_goes_to_the_sidecars() {
    let backend =
        "delivery: {backend: {redis: {addresses: ['redis:6379'], credentialsSecretRef: {name: signing}}}}";
    let world = World::with(&[("  workload:", &format!("  {backend}\n  workload:"))]).await;
    let password = |text: &str| {
        let mut secret = fixtures::delivery_secret("signing", b"");
        secret.data = fixtures::secret("signing", &[("password", text.as_bytes())]).data;
        world.cluster.put("/api/v1/namespaces/crm/secrets/signing", &secret);
    };
    password("FIRST-PASSWORD");
    world.register().await;
    password("SECOND-PASSWORD");
    world.pass().await.unwrap();
    let config = String::from_utf8(world.stored().config.to_bytes()).unwrap();
    assert!(config.contains("SECOND-PASSWORD"));
    assert!(!world.cluster.public_text().contains("-PASSWORD"));
}
