//! Frameworks as CRMs of a queue. Each checks the secret of its own; while that is wrong nothing is lost.

use std::collections::BTreeMap;

use serde_json::Value;
use telegram_webhook_sidecar_config::{Delivery, DeliveryMode, Secret};

use crate::{
    bench::{BOT_TOKEN, Bench, Telegram},
    program::{Program, Source},
    updates::{self, Update},
};

pub const AIOGRAM: Source = Source::Python { program: "aiogram_bot.py", requirement: "aiogram==3.31.0" };
pub const GRAMMY: Source = Source::Node { program: "grammy_bot.cjs", requirement: "grammy@1.46.0" };
const PYTHON_TELEGRAM_BOT: Source =
    Source::Python { program: "python_telegram_bot.py", requirement: "python-telegram-bot[webhooks]==22.8" };

/// What the frameworks expect in `X-Telegram-Bot-Api-Secret-Token`.
pub const SECRET: &str = "what-the-framework-was_told";
const PEOPLE: [i64; 3] = [5001, 5002, 5003];

#[tokio::test]
async fn python_telegram_bot_gets_all_once_and_in_order_after_a_wrong_secret_was_put_right()
-> anyhow::Result<()> {
    check(PYTHON_TELEGRAM_BOT, 403).await
}

#[tokio::test]
async fn aiogram_gets_all_once_and_in_order_after_a_wrong_secret_was_put_right() -> anyhow::Result<()> {
    check(AIOGRAM, 401).await
}

#[tokio::test]
async fn grammy_gets_all_once_and_in_order_after_a_wrong_secret_was_put_right() -> anyhow::Result<()> {
    check(GRAMMY, 401).await
}

async fn check(framework: Source, refusal: u16) -> anyhow::Result<()> {
    let telegram = Telegram::start().await?;
    let program = Program::start(framework, &[BOT_TOKEN, SECRET, &telegram.api]).await?;
    let mut bench = Bench::start(telegram, program.port, queued("another")).await?;

    // Telegram is content, the framework is not, and nobody blames the updates
    let mut made: Vec<_> = [1, 2].iter().flat_map(|number| updates::round(*number, &PEOPLE)).collect();
    let mut ids = bench.telegram.make(&made)?;
    bench.telegram.has_delivered(ids.len()).await?;
    bench.was_refused_with(refusal).await?;
    bench.shows("breaker_state", None, 2).await?;
    bench.shows("queue_updates", None, u64::try_from(ids.len())?).await?;
    bench.shows("dead_letters", None, 0).await?;
    assert_eq!(program.got(), Vec::<Value>::new());

    bench.reconfigure(queued(SECRET)).await?;
    program.has_got(ids.len()).await?;
    let next = updates::round(3, &PEOPLE);
    ids.extend(bench.telegram.make(&next)?);
    made.extend(next);
    program.has_got(ids.len()).await?;

    bench.shows("queue_updates", None, 0).await?;
    bench.shows("dead_letters", None, 0).await?;
    bench.shows("deliveries_total", Some(("outcome", "delivered")), u64::try_from(ids.len())?).await?;
    assert_orderly(&program.got(), &made, &ids);
    assert_eq!(bench.telegram.calls("setWebhook"), 1, "the framework leaves the webhook alone");
    assert!(bench.telegram.calls("getMe") > 0, "the framework asks who it is");
    Ok(())
}

fn queued(secret: &str) -> Delivery {
    let secret_token = Some(Secret(secret.to_owned()));
    Delivery { mode: DeliveryMode::Queued, secret_token, ..Delivery::default() }
}

/// Everything came once; what Telegram keeps in order came in that order.
fn assert_orderly(got: &[Value], made: &[Update], ids: &[i64]) {
    let mut lane_of = BTreeMap::new();
    let mut expected = BTreeMap::<_, Vec<_>>::new();
    for (Update { kind, person, shows, .. }, id) in made.iter().zip(ids) {
        let lane = (*person, *kind == "callback_query");
        lane_of.insert(*id, lane);
        expected.entry(lane).or_default().push((*id, shows.as_str()));
    }
    let mut seen = BTreeMap::<_, Vec<_>>::new();
    for update in got {
        let id = update["update_id"].as_i64().unwrap_or_default();
        // one that nobody made is in no lane
        seen.entry(lane_of.get(&id).copied().unwrap_or_default())
            .or_default()
            .push((id, update["saw"].as_str().unwrap_or_default()));
    }
    assert_eq!(seen, expected);
}
