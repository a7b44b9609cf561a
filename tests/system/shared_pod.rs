//! Several resources may select the same pod, and one of them in trouble leaves the others alone.

use http::Method;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use telegram_webhook_crds::TelegramWebhook;
use telegram_webhook_tests::{
    crm::SECRET_HEADER,
    scenario::{CRM, PATIENCE, Scenario, TELEGRAM_WEBHOOK, WEBHOOK, bot_id, new_token, send},
    wait,
};

use crate::world::{scenario, search};

/// Name of the second resource.
const SECOND: &str = "sales";

/// Declares a second bot for the same CRM, and makes it known at Telegram; returns its token.
async fn second_bot(scenario: &Scenario) -> anyhow::Result<String> {
    let token = new_token()?;
    scenario.telegram().add_bot(&token, None).await?;
    scenario.put_token("sales-bot", &token).await?;
    scenario.put_certificate("sales-tls", &scenario.authority.issue(&scenario.host(SECOND))?).await?;
    let manifest = TELEGRAM_WEBHOOK
        .replace("name: support-bot", "name: sales-bot")
        .replace("name: support}", "name: sales}")
        .replace("host: support-", "host: sales-")
        .replace("hooks-tls", "sales-tls");
    scenario.apply(&manifest).await?;
    Ok(token)
}

/// Deletes the CRM's pod and waits until another one has taken its place.
async fn replace_pod(scenario: &Scenario) -> anyhow::Result<()> {
    let pods = scenario.api::<Pod>();
    let old = scenario.crm_pod().await?;
    // its log goes with it
    search(scenario).await?;
    pods.delete(&old, &DeleteParams::default()).await?;
    // what it takes in while it drains its CRM gets, whose log goes with it too
    wait::until("the pod to be gone", PATIENCE, || async {
        Ok(pods.get_opt(&old).await?.is_none().then_some(()))
    })
    .await?;
    scenario.wait_for_deployment("crm").await
}

#[test]
fn one_pod_receives_the_updates_of_two_bots() {
    scenario("shared", |scenario| async move {
        let token = second_bot(&scenario).await?;
        scenario.apply(TELEGRAM_WEBHOOK).await?;
        scenario.apply(CRM).await?;
        for webhook in [WEBHOOK, SECOND] {
            scenario.wait_for_condition(webhook, "Ready", "True", None).await?;
        }
        let support = scenario.send(20, 4).await?;
        let sales = send(&scenario.telegram().for_bot(bot_id(&token)), 20, 4).await?;
        // the bots have chats of the same number, which are different lanes
        for sent in [support, sales] {
            let ledger = scenario.deliver(&sent).await?;
            assert!(ledger.is_clean(), "{ledger:?}");
        }
        Ok(scenario)
    });
}

#[test]
fn a_bot_in_trouble_leaves_the_others_of_its_pod_alone() {
    scenario("neighbours", |scenario| async move {
        second_bot(&scenario).await?;
        scenario.start_crm_and_webhook().await?;
        scenario.wait_for_condition(SECOND, "Ready", "True", None).await?;

        // one is deleted: it is no longer served, though its certificate is still there, and the pod's volume follows the other
        let deleted = scenario.slot(SECOND).await?;
        scenario.api::<TelegramWebhook>().delete(SECOND, &DeleteParams::default()).await?;
        wait::until("the deleted bot's path to be unknown", PATIENCE, || async {
            let headers = [(SECRET_HEADER, deleted.secret_token.as_str())];
            let mut connection = scenario.connect(WEBHOOK).await?;
            let answer = connection.send(Method::POST, &deleted.path, &headers, r#"{"update_id":1}"#).await?;
            Ok((answer.status().as_u16() == 404).then_some(()))
        })
        .await?;
        let renewed = scenario.authority.issue(&scenario.host(WEBHOOK))?;
        scenario.put_certificate("hooks-tls", &renewed).await?;
        wait::until("the renewed certificate", PATIENCE, || async {
            let served = scenario.connect(WEBHOOK).await?.certificate;
            Ok((served == *renewed.certificate).then_some(()))
        })
        .await?;

        // one can't be registered and has no Secret of its own: new pods start all the same
        scenario.apply(&TELEGRAM_WEBHOOK.replace("name: support}", "name: second}")).await?;
        scenario.wait_for_condition("second", "Ready", "False", Some("DuplicateBot")).await?;
        replace_pod(&scenario).await?;
        scenario.wait_for_condition(WEBHOOK, "Ready", "True", None).await?;
        let ledger = scenario.deliver(&scenario.send(8, 4).await?).await?;
        assert_eq!((ledger.lost, ledger.out_of_order), (0, 0), "{ledger:?}");
        Ok(scenario)
    });
}
