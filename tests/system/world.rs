//! How a test of the whole path begins and ends.

use std::future::Future;

use telegram_webhook_tests::{
    installation,
    leaks::{OPERATOR_CONTAINER, Search},
    scenario::Scenario,
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
    scenario.remember_secrets().await?;
    let mut search = Search::default();
    search.operator(&scenario.client, installation::NAMESPACE).await?;
    search.scenario(&scenario.client, &scenario.namespace).await?;
    let searched =
        |part: &str| search.searched.iter().any(|(what, length)| what.contains(part) && *length > 0);
    for part in [format!("log of {OPERATOR_CONTAINER}"), "metrics of".to_owned(), "an event".to_owned()] {
        assert!(searched(&part), "no {part} among {:?}", search.searched);
    }
    assert_eq!(search.found, Vec::<String>::new());
    Ok(())
}
