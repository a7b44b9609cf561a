//! How a test of the whole path begins and ends.

use std::future::Future;

use telegram_webhook_tests::{
    installation,
    leaks::{self, Search},
    scenario::{Scenario, WEBHOOK},
    shared,
};

/// Runs a test in the scenario called `name`: starts it, runs `body`, and searches all that was written so far for secrets.
/// After a failure the namespace stays for a look at it.
pub(crate) fn scenario<F, Fut>(name: &str, body: F)
where
    F: FnOnce(Scenario) -> Fut,
    Fut: Future<Output = anyhow::Result<Scenario>>,
{
    shared::with_installation(async |installation| {
        let scenario = body(Scenario::start(installation, name).await?).await?;
        search(&scenario).await?;
        scenario.remove().await
    });
}

/// Searches logs, events, statuses and metrics of the operator and of the scenario for every secret known so far.
pub(crate) async fn search(scenario: &Scenario) -> anyhow::Result<()> {
    leaks::remember("a bot's token", scenario.token.split_once(':').unwrap().1);
    if let Ok(slot) = scenario.slot(WEBHOOK).await {
        leaks::remember("a secret token", &slot.secret_token);
        leaks::remember("a path", slot.path.rsplit_once('/').unwrap().1);
    }
    let mut search = Search::default();
    search.operator(&scenario.client, installation::NAMESPACE).await?;
    search.scenario(&scenario.client, &scenario.namespace).await?;
    assert!(search.searched.len() > 3, "only looked at {:?}", search.searched);
    assert_eq!(search.found, Vec::<String>::new());
    Ok(())
}
