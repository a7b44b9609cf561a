//! The official libraries of Standard Webhooks check what the sidecar signs.

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use telegram_webhook_sidecar_config::{Delivery, DeliveryMode, Secret};
use telegram_webhook_tests::{sidecar::DEADLINE, wait};

use crate::{
    bench::{Bench, Telegram},
    program::{Program, Source},
    updates::message,
};

#[tokio::test]
async fn the_python_library_accepts_each_key_of_a_rotation_and_no_changed_body() -> anyhow::Result<()> {
    let requirement = "standardwebhooks==1.1.0";
    check(Source::Python { program: "standard_webhooks.py", requirement }).await
}

#[tokio::test]
async fn the_javascript_library_accepts_each_key_of_a_rotation_and_no_changed_body() -> anyhow::Result<()> {
    let requirement = "standardwebhooks@1.1.1";
    check(Source::Node { program: "standard_webhooks.cjs", requirement }).await
}

async fn check(library: Source) -> anyhow::Result<()> {
    // the third is nobody's
    let [old, new, other] = [24, 32, 64].map(key);
    let program = Program::start(library, &[&old, &new, &other]).await?;
    let telegram = Telegram::start().await?;
    let mut bench = Bench::start(telegram, program.port, signed(&[])).await?;
    for keys in [vec![&old], vec![&new, &old], vec![&new]] {
        bench.reconfigure(signed(&keys)).await?;
        let genuine = json!([&old, &new, &other].map(|key| keys.contains(&key)));
        // what is loaded is in use a moment later
        wait::until("the keys to be in use", DEADLINE, async || {
            let number = program.got().len() + 1;
            let made = message(5001, i64::try_from(number)?, "hello \u{1f44b} & <\u{fc}>");
            let ids = bench.telegram.make(&[made])?;
            let got = program.has_got(number).await?;
            let last = got.last().context("nothing")?;
            assert_eq!(last["id"], format!("{}-{}", bench.config.bot_id, ids[0]));
            assert_eq!(last["changed"], json!([false, false, false]));
            ensure!(last["genuine"] == genuine, "{last}, in place of {genuine}");
            Ok(Some(()))
        })
        .await?;
    }
    Ok(())
}

/// A key of so many bytes, as it is written.
fn key(length: u8) -> String {
    let bytes: Vec<_> = (0..length).map(|byte| byte.wrapping_mul(length)).collect();
    format!("whsec_{}", STANDARD.encode(bytes))
}

fn signed(keys: &[&String]) -> Delivery {
    let signing_keys = keys.iter().map(|key| Secret((*key).clone())).collect();
    Delivery { mode: DeliveryMode::Queued, signing_keys, ..Delivery::default() }
}
