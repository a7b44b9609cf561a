//! What the operator tells Telegram, when, and what it does when that goes wrong.

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use serde_json::json;
use telegram_webhook_tests::{
    installation,
    scenario::{PATIENCE, Scenario, WEBHOOK},
    telegram::faults::{ApiFault, ApiFaultKind},
    wait,
};

use crate::world::{scenario, search};

#[test]
fn the_webhook_is_registered_with_the_full_parameter_set() {
    scenario("registration", |scenario| async move {
        scenario.start_crm_and_webhook().await?;
        let slot = scenario.slot(WEBHOOK).await?;
        let calls = scenario.calls("setWebhook").await?;
        assert_eq!(calls.len(), 1, "{calls:#?}");
        let parameters = &calls[0].parameters;
        let expected = json!({
            "url": format!("https://{}{}", scenario.host(WEBHOOK), slot.path),
            "secret_token": slot.secret_token,
            "max_connections": "40",
            "allowed_updates": r#"["message","edited_message","callback_query"]"#,
        });
        assert_eq!(serde_json::to_value(parameters)?, expected);
        assert!(slot.path.starts_with("/telegram/") && slot.path.len() == "/telegram/".len() + 32);
        assert_eq!(slot.secret_token.len(), 43);
        Ok(scenario)
    });
}

#[test]
fn a_restarted_operator_does_not_register_again() {
    scenario("restart", |scenario| async move {
        scenario.start_crm_and_webhook().await?;
        for _ in 0..5 {
            search(&scenario).await?;
            restart_operator(&scenario).await?;
            // the new leader has looked when it has asked Telegram
            let before = scenario.calls("getWebhookInfo").await?.len();
            wait::until("the operator to look at the webhook again", PATIENCE, || async {
                Ok((scenario.calls("getWebhookInfo").await?.len() > before).then_some(()))
            })
            .await?;
        }
        assert_eq!(scenario.calls("setWebhook").await?.len(), 1);
        Ok(scenario)
    });
}

/// Deletes every pod of the operator and waits for the new ones.
async fn restart_operator(scenario: &Scenario) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(scenario.client.clone(), installation::NAMESPACE);
    let old: Vec<_> =
        pods.list(&ListParams::default()).await?.iter().map(kube::ResourceExt::name_any).collect();
    for pod in &old {
        pods.delete(pod, &DeleteParams::default()).await?;
    }
    wait::until("the operator's new pods", PATIENCE, || async {
        let now = pods.list(&ListParams::default()).await?;
        let ready = |pod: &Pod| {
            pod.status
                .iter()
                .flat_map(|status| status.conditions.iter().flatten())
                .any(|condition| condition.type_ == "Ready" && condition.status == "True")
        };
        let gone = now.iter().all(|pod| !old.contains(&pod.name_any()));
        Ok((gone && now.items.len() == old.len() && now.iter().all(ready)).then_some(()))
    })
    .await
}

#[test]
fn a_refused_call_that_erased_the_webhook_is_healed_within_seconds() {
    scenario("rejected", |scenario| async move {
        scenario.start_crm_and_webhook().await?;
        let before = scenario.telegram().webhook().await?;
        let fault = ApiFault {
            method: "setWebhook".to_owned(),
            kind: ApiFaultKind::Refused,
            count: 1,
            after_effect: false,
        };
        scenario.telegram().inject(&fault).await?;
        scenario.patch_spec(WEBHOOK, json!({"endpoint": {"maxConnections": 7}})).await?;
        wait::until("the refused call", PATIENCE, || async {
            Ok((scenario.calls("setWebhook").await?.len() >= 2).then_some(()))
        })
        .await?;
        let limit = std::time::Duration::from_secs(5);
        let after = wait::until("the webhook to be back", limit, || async {
            let webhook = scenario.telegram().webhook().await?;
            ensure!(!webhook.url.is_empty(), "there is no webhook");
            Ok(Some(webhook))
        })
        .await?;
        assert_eq!((after.url, after.secret_token), (before.url, before.secret_token));
        let reason = Some("RegistrationRefused");
        let condition = scenario.wait_for_condition(WEBHOOK, "WebhookRegistered", "False", reason).await?;
        assert!(
            condition.message.contains("the one that worked before is in place"),
            "{}",
            condition.message
        );
        scenario.patch_spec(WEBHOOK, json!({"endpoint": {"maxConnections": 8}})).await?;
        scenario.wait_for_condition(WEBHOOK, "Ready", "True", None).await?;
        assert_eq!(scenario.telegram().webhook().await?.max_connections, Some(8));
        Ok(scenario)
    });
}

#[test]
fn a_suspended_resource_is_left_alone() {
    scenario("suspended", |scenario| async move {
        scenario.start_crm_and_webhook().await?;
        scenario.patch_spec(WEBHOOK, json!({"suspend": true, "endpoint": {"maxConnections": 7}})).await?;
        scenario.wait_for_condition(WEBHOOK, "Ready", "False", Some("Suspended")).await?;
        assert_eq!(scenario.calls("setWebhook").await?.len(), 1);
        scenario.patch_spec(WEBHOOK, json!({"suspend": false})).await?;
        scenario.wait_for_condition(WEBHOOK, "Ready", "True", None).await?;
        let calls = scenario.calls("setWebhook").await?;
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[1].parameters["max_connections"], "7");
        Ok(scenario)
    });
}
