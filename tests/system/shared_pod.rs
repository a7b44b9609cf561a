//! Several resources may select the same pod.

use anyhow::ensure;
use telegram_webhook_tests::{
    ledger::Ledger,
    scenario::{CRM, PATIENCE, TELEGRAM_WEBHOOK, WEBHOOK, bot_id, new_token, send},
    wait,
};

use crate::world::scenario;

#[test]
fn one_pod_receives_the_updates_of_two_bots() {
    scenario("shared", |scenario| async move {
        let second = "sales";
        let token = new_token()?;
        scenario.telegram().add_bot(&token, None).await?;
        scenario.put_token("sales-bot", &token).await?;
        scenario.put_certificate("sales-tls", &scenario.authority.issue(&scenario.host(second))?).await?;
        let manifest = TELEGRAM_WEBHOOK
            .replace("name: support-bot", "name: sales-bot")
            .replace("name: support}", "name: sales}")
            .replace("host: support-", "host: sales-")
            .replace("hooks-tls", "sales-tls");
        scenario.apply(TELEGRAM_WEBHOOK).await?;
        scenario.apply(&manifest).await?;
        scenario.apply(CRM).await?;
        for webhook in [WEBHOOK, second] {
            scenario.wait_for_condition(webhook, "Ready", "True", None).await?;
        }
        let support = scenario.send(20, 4).await?;
        let sales = send(&scenario.telegram().for_bot(bot_id(&token)), 20, 4).await?;
        for sent in [support, sales] {
            let ledger = wait::until("the updates of both bots", PATIENCE, || async {
                // the bots have chats of the same number, which are different lanes
                let mut received = scenario.received().await?;
                received.retain(|received| sent.contains(&received.update_id));
                let ledger = Ledger::new(&sent, &received);
                ensure!(ledger.lost == 0, "{ledger}");
                Ok(Some(ledger))
            })
            .await?;
            assert!(ledger.is_clean(), "{ledger:?}");
        }
        Ok(scenario)
    });
}
