//! `cargo xtask demo`: the product at work on a real cluster, from an empty machine to a table of what happened.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{bail, ensure};
use telegram_webhook_crds::{SIDECAR_CONTAINER, child_name};
use telegram_webhook_tests::{
    crm::Received,
    forgery::{self, Refusal},
    installation::{self, Installation},
    ledger::Ledger,
    scenario::{Scenario, WEBHOOK},
    wait,
};

use crate::progress::Progress;

/// Updates that the simulator sends.
const UPDATES: usize = 1000;
/// Chats that they come from.
const CHATS: usize = 50;
/// Time within which they must have arrived; it usually takes under 20 seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs the demo; `exit` takes everything down at once instead of waiting for Ctrl-C, which does so at any time.
pub async fn run(exit: bool) -> anyhow::Result<()> {
    let progress = Progress::new();
    let outcome = tokio::select! {
        outcome = show(&progress, exit) => outcome,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Into::into).and(Ok(None)),
    };
    progress.say("taking everything down");
    Installation::down(&progress.sayer(), &[installation::DEMO]).await?;
    let Some(Outcome { line, right, .. }) = outcome? else {
        // somebody who looked around has seen enough; a run that was to end by itself has not
        ensure!(!exit, "interrupted");
        return Ok(());
    };
    println!("{line}");
    ensure!(right, "the demo did not go as it should: see the table");
    Ok(())
}

/// Everything but the end. Without `exit` it waits for ever after the table.
async fn show(progress: &Progress, exit: bool) -> anyhow::Result<Option<Outcome>> {
    let installation = Installation::up(&progress.sayer()).await?;
    let outcome = play(&installation, progress).await?;
    if !exit {
        println!("{}\n\n{}", commands(&installation, &outcome.scenario), outcome.line);
        println!("\nEverything stays up until Ctrl-C.");
        std::future::pending::<()>().await;
    }
    Ok(Some(outcome))
}

struct Outcome {
    scenario: Scenario,
    line: String,
    right: bool,
}

async fn play(installation: &Installation, progress: &Progress) -> anyhow::Result<Outcome> {
    progress.say("starting a simulator of Telegram, with a bot");
    let scenario = Scenario::start(installation, installation::DEMO).await?;
    progress.say(
        "deploying a sample CRM and declaring its TelegramWebhook (tests/manifests/telegram-webhook.yaml)",
    );
    scenario.start_crm_and_webhook().await?;
    progress.say("the operator has injected the sidecar and registered the webhook");

    progress.say(&format!("sending {UPDATES} updates of {CHATS} chats"));
    let sent = scenario.send(UPDATES, CHATS).await?;
    progress.say("trying forged requests meanwhile");
    let mut connection = scenario.connect(WEBHOOK).await?;
    let refusals = forgery::try_all(&mut connection, &scenario.slot(WEBHOOK).await?).await?;
    let received = wait::until("the CRM to receive every update", PATIENCE, || async {
        let received = scenario.received().await?;
        let distinct = received.iter().filter(|received| sent.contains(&received.update_id)).count();
        if distinct < sent.len() {
            bail!("the CRM has {distinct} of {}", sent.len());
        }
        Ok(Some(received))
    })
    .await?;
    Ok(judge(scenario, &sent, &received, &refusals))
}

fn judge(scenario: Scenario, sent: &BTreeSet<i64>, received: &[Received], refusals: &[Refusal]) -> Outcome {
    let ledger = Ledger::new(sent, received);
    let accepted =
        refusals.iter().filter(|refusal| (200..300).contains(&refusal.got)).count() + ledger.foreign;
    println!("\n  {:<26} {:>8} {:>8}", "forged request", "expected", "answer");
    for refusal in refusals {
        let mark = if refusal.is_right() { "" } else { "  <- wrong" };
        println!("  {:<26} {:>8} {:>8}{mark}", refusal.what, refusal.expected, refusal.got);
    }
    println!("\n  {:<26} {:>8}", "updates sent", ledger.sent);
    println!("  {:<26} {:>8}", "received by the CRM", ledger.delivered);
    println!("  {:<26} {:>8}", "lost", ledger.lost);
    println!("  {:<26} {:>8}", "received twice", ledger.duplicated);
    println!("  {:<26} {:>8}", "out of order in its chat", ledger.out_of_order);
    println!("  {:<26} {:>8}\n", "never sent, yet received", ledger.foreign);
    let secret_seen = received.iter().any(|received| received.secret_header);
    Outcome {
        scenario,
        line: format!("demo: {ledger} forged_accepted={accepted}"),
        right: ledger.is_clean() && !secret_seen && refusals.iter().all(Refusal::is_right),
    }
}

/// Commands to look around with, while everything is up.
fn commands(installation: &Installation, scenario: &Scenario) -> String {
    let namespace = &scenario.namespace;
    format!(
        "Look around:
  export KUBECONFIG={kubeconfig} PATH={bin}:$PATH
  kubectl -n {namespace} get telegramwebhooks -o wide
  kubectl -n {namespace} describe telegramwebhook {WEBHOOK}
  kubectl -n {namespace} get pods,services,endpointslices
  kubectl -n {namespace} logs deployment/crm -c crm --tail 5
  kubectl -n {namespace} logs deployment/crm -c {SIDECAR_CONTAINER} --tail 5
  kubectl -n {namespace} get service {child}
  kubectl -n {operator} logs -l app.kubernetes.io/name=telegram-webhook-operator -c operator --prefix --tail 20
  kubectl get --raw /api/v1/namespaces/{namespace}/services/telegram:http/proxy/control/summary",
        kubeconfig = installation.cluster.kubeconfig().display(),
        bin = installation.cluster.bin().display(),
        child = child_name(WEBHOOK),
        operator = installation::NAMESPACE,
    )
}
