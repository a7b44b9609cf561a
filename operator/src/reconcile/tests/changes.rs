//! What becomes of a working webhook while its resource, its pods or its children change.

use telegram_webhook_crds::UpdateType;

use super::*;

#[tokio::test]
async fn a_child_that_somebody_changed_is_mended() {
    let world = World::new().await;
    world.register().await;
    let mut service = world.cluster.get(CHILD_SERVICE).unwrap();
    service["spec"]["selector"]["stray"] = json!("label");
    world.cluster.put(CHILD_SERVICE, &service);
    world.cluster.writes();
    world.pass().await.unwrap();
    assert_eq!(world.cluster.writes(), [format!("PATCH {CHILD_SERVICE}")]);
}

#[tokio::test]
async fn what_others_add_to_a_child_is_neither_fought_nor_claimed() {
    let world = World::new().await;
    world.add_pod();
    world.pass().await.unwrap();
    world.pass().await.unwrap();
    let second_owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "00000000-0000-0000-0000-000000000009"});
    for child in [CHILD_SECRET, CHILD_SERVICE] {
        let mut object = world.cluster.get(child).unwrap();
        object["metadata"]["ownerReferences"].as_array_mut().unwrap().push(second_owner.clone());
        object["metadata"]["annotations"] = json!({"foreign": "annotation"});
        if child == CHILD_SECRET {
            object["data"]["foreign"] = json!("a2V5");
        }
        world.cluster.put(child, &object);
    }
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    let applied = world.cluster.last_apply(CHILD_SECRET);
    assert!(applied["data"]["registered.json"].is_string());
    assert_eq!(
        (&applied["data"]["foreign"], &applied["metadata"]["annotations"]),
        (&Value::Null, &Value::Null)
    );
    world.cluster.writes();
    world.pass().await.unwrap();
    assert!(world.cluster.writes().is_empty());
}

#[tokio::test]
async fn a_new_selector_leads_telegram_nowhere_until_its_pods_have_the_secrets() {
    let world = World::new().await;
    world.register().await;
    let selector = || world.cluster.get(CHILD_SERVICE).unwrap()["spec"]["selector"]["app"].clone();
    let mut webhook = world.webhook();
    webhook.spec.workload.selector.match_labels.insert("app".into(), "elsewhere".into());
    world.cluster.put(WEBHOOK, &webhook);
    // nothing has the new labels
    world.cluster.remove(POD);
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("False", "NoPodsSelected"));
    assert_eq!(selector(), "helpdesk");
    // a pod has them, but not the secrets
    world.add_pod();
    world.cluster.undeliver("crm/support");
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("False", "SecretsNotLoaded"));
    assert_eq!(selector(), "helpdesk");
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    assert_eq!(selector(), "elsewhere");
}

#[tokio::test]
async fn pods_that_were_injected_for_other_resources_have_to_be_restarted() {
    let world = World::new().await;
    world.add_pod_reading(&["sales-telegram-webhook", "sales-tls"]);
    world.pass().await.unwrap();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("False", "SidecarOutdated"));
    assert!(world.cluster.public_text().contains("restart their workload"));
    world.add_pod();
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
}

#[tokio::test]
async fn an_erased_webhook_is_put_back_even_while_pods_lack_what_is_wanted() {
    let world = World::new().await;
    world.register().await;
    let (url, told) = (world.telegram.url(), world.telegram.secrets_set());
    // the Service still leads to pods that work
    world.add_pod_reading(&["sales-telegram-webhook", "sales-tls"]);
    world.cluster.undeliver("crm/support");
    let ending = condition("False", "SidecarOutdated");
    let erase = || world.telegram.state().info = crate::telegram::WebhookInfo::default();
    erase();
    // a failed look changes nothing
    world.telegram.state().info_error = Some(ApiError::Timeout);
    world.pass().await.unwrap();
    assert_eq!((world.telegram.url(), world.condition("Ready")), (String::new(), ending.clone()));
    world.pass().await.unwrap();
    assert_eq!((world.telegram.url(), world.condition("Ready")), (url.clone(), ending.clone()));
    assert_eq!(world.telegram.secrets_set(), [told[0].as_str(), told[0].as_str()]);
    assert_eq!(world.condition("WebhookRegistered"), condition("True", "WebhookSet"));
    // neither is what another holder of the token has set taken from them
    "https://elsewhere.example.com/".clone_into(&mut world.telegram.state().info.url);
    world.pass().await.unwrap();
    assert_eq!((world.telegram.secrets_set().len(), world.condition("Ready")), (2, ending.clone()));
    assert_eq!(world.condition("WebhookRegistered"), condition("False", "RegistrationUnconfirmed"));
    erase();
    world.pass().await.unwrap();
    assert_eq!(world.condition("WebhookRegistered"), condition("True", "WebhookSet"));
    // a former slot is put back too, while a new one is on its way
    erase();
    let mut webhook = world.webhook();
    webhook.spec.endpoint.path_prefix = "/hooks".into();
    world.cluster.put(WEBHOOK, &webhook);
    world.pass().await.unwrap();
    assert_eq!((world.telegram.url(), world.condition("Ready")), (url, ending));
}

#[tokio::test]
async fn what_another_bot_or_server_was_told_is_not_put_back() {
    let world = World::new().await;
    world.register().await;
    world.cluster.undeliver("crm/support");
    let token = fixtures::TOKEN.replace("123456", "654321");
    world.cluster.put(TOKEN_SECRET, &fixtures::token_secret(&token));
    world.telegram.state().get_me = Some(Ok(crate::telegram::BotUser { id: 654_321, username: None }));
    world.telegram.state().info = crate::telegram::WebhookInfo::default();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("False", "SecretsNotLoaded"));
    assert_eq!(world.telegram.url(), "");
}

#[tokio::test]
async fn telegram_is_told_nothing_new_while_the_sidecars_serve_another_certificate() {
    let world = World::new().await;
    world.register().await;
    world.telegram.calls();
    let pair = fixtures::certificate("hooks.example.com", Timestamp::now().as_second(), -1..60);
    world.cluster.put(TLS_SECRET, &fixtures::tls_secret(&pair));
    // an ordinary renewal changes nothing
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    let mut webhook = world.webhook();
    webhook.spec.endpoint.max_connections = 7;
    world.cluster.put(WEBHOOK, &webhook);
    world.pass().await.unwrap();
    assert_eq!(world.condition("WebhookRegistered"), condition("False", "CertificateNotLoaded"));
    assert!(!world.telegram.calls().contains(&"setWebhook"));
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    assert!(world.telegram.calls().contains(&"setWebhook"));
}

#[tokio::test]
async fn the_port_that_telegram_uses_is_kept_until_it_has_been_told_another() {
    let world = World::new().await;
    world.register().await;
    let ports = || {
        let ports = world.cluster.get(CHILD_SERVICE).unwrap()["spec"]["ports"].clone();
        ports.as_array().unwrap().iter().map(|port| port["port"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let mut webhook = world.webhook();
    webhook.spec.endpoint.port = 8443;
    world.cluster.put(WEBHOOK, &webhook);
    let refusal = Answer::Untouched(ApiError::Server(502));
    world.telegram.state().answers.push_back(refusal);
    assert!(world.pass().await.is_err());
    assert_eq!(ports(), [8443, 443]);
    world.pass().await.unwrap();
    assert!(world.telegram.url().starts_with("https://hooks.example.com:8443/"));
    world.pass().await.unwrap();
    assert_eq!(ports(), [8443]);
}

#[tokio::test]
async fn a_new_path_is_served_beside_the_former_one_until_telegram_has_settled_on_it() {
    let world = World::new().await;
    world.register().await;
    let slots = || world.stored().config.slots.iter().map(|slot| slot.id).collect::<Vec<_>>();
    let mut webhook = world.webhook();
    webhook.spec.endpoint.path_prefix = "/hooks".into();
    world.cluster.put(WEBHOOK, &webhook);
    world.pass().await.unwrap();
    assert_eq!(slots(), [2, 1]);
    world.deliver();
    world.pass().await.unwrap();
    assert!(world.telegram.url().starts_with("https://hooks.example.com/hooks/"));
    assert_eq!(slots(), [2, 1]);
    world.pass().await.unwrap();
    assert_eq!(slots(), [2, 1]);
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    let mut webhook = world.webhook();
    let registration = webhook.status.as_mut().unwrap().registration.as_mut().unwrap();
    registration.registered_at.0 -= build::OVERLAP;
    world.cluster.put(WEBHOOK, &webhook);
    world.pass().await.unwrap();
    assert_eq!(slots(), [2]);
    // the sidecars may take their time to forget the former slot
    world.cluster.writes();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    assert!(world.cluster.writes().is_empty());
    world.telegram.calls();
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    assert_eq!(world.telegram.calls(), ["getWebhookInfo"]);
}

#[tokio::test]
async fn another_filter_reaches_the_sidecars_before_telegram_and_keeps_url_and_secret() {
    let world = World::new().await;
    world.register().await;
    let before = world.telegram.state().set.last().cloned().unwrap();
    let mut webhook = world.webhook();
    webhook.spec.filter.update_types.push(UpdateType::Poll);
    world.cluster.put(WEBHOOK, &webhook);
    world.telegram.calls();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("False", "SecretsNotLoaded"));
    assert!(!world.telegram.calls().contains(&"setWebhook"));
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    let after = world.telegram.state().set.last().cloned().unwrap();
    assert_eq!(after.allowed_updates, ["message", "edited_message", "callback_query", "poll"]);
    assert_eq!((after.url, after.secret_token), (before.url, before.secret_token));
    assert_eq!(world.stored().config.slots.len(), 1);
    // an order is no change
    let mut webhook = world.webhook();
    webhook.spec.filter.update_types.reverse();
    world.cluster.put(WEBHOOK, &webhook);
    world.cluster.writes();
    world.pass().await.unwrap();
    assert!(world.cluster.writes().is_empty());
}

#[tokio::test]
async fn a_relays_key_is_fetched_by_name_and_a_new_one_goes_to_the_sidecars() {
    let hmac = "verification: {hmac: {scheme: Body, header: X-Signature, encoding: Hex, secretRef: {name: relay, key: secret}}}";
    let world = World::with(&[("  workload:", &format!("  {hmac}\n  workload:"))]).await;
    world.add_pod();
    world.pass().await.unwrap();
    assert!(world.pass().await.is_err());
    assert_eq!(world.condition("Ready"), condition("False", "HmacSecretNotFound"));
    assert!(world.cluster.get(CHILD_SECRET).is_none());
    let key = |key: &str| world.cluster.put(HMAC_SECRET, &fixtures::hmac_secret(key.as_bytes()));
    key("FIRST-KEY-OF-THE-RELAY");
    world.pass().await.unwrap();
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    key("SECOND-KEY-OF-THE-RELAY");
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("False", "SecretsNotLoaded"));
    let config = String::from_utf8(world.stored().config.to_bytes()).unwrap();
    assert!(config.contains("SECOND-KEY-OF-THE-RELAY"));
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    assert!(!world.cluster.public_text().contains("KEY-OF-THE-RELAY"));
}

#[tokio::test]
async fn a_lost_secret_means_a_new_slot_under_the_next_number() {
    let world = World::new().await;
    world.register().await;
    let lost = world.stored().config.slots[0].clone();
    world.cluster.remove(CHILD_SECRET);
    world.pass().await.unwrap();
    let new = world.stored().config.slots[0].clone();
    assert_eq!(new.id, 2);
    assert!(new.path != lost.path && new.secret_token != lost.secret_token);
    assert_eq!(world.condition("Ready"), condition("False", "SecretsNotLoaded"));
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.webhook().status.unwrap().registration.unwrap().slot, 2);
}
