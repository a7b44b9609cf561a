//! Frameworks that call a method in their answer, which goes on to Telegram where it may.

use telegram_webhook_sidecar_config::{Delivery, DeliveryMode, Secret};
use telegram_webhook_tests::sidecar::TOKEN;

use crate::{
    bench::{BOT_TOKEN, Bench, Telegram},
    program::{Program, Source},
    queued::{AIOGRAM, GRAMMY, SECRET},
    updates::message,
};

#[tokio::test]
async fn a_method_that_grammy_calls_in_its_answer_reaches_telegram_where_it_is_allowed() -> anyhow::Result<()>
{
    let (mut bench, program) = start(GRAMMY).await?;
    let updates = [message(5001, 1, "answer me"), message(5001, 2, "leave me")];
    let ids = bench.telegram.make(&updates)?;
    bench.telegram.has_delivered(2).await?;
    // to Telegram both are fine
    let answered = (ids[0], "sendmessage".to_owned(), true);
    assert_eq!(bench.telegram.replies(), std::slice::from_ref(&answered));
    let arguments = bench.telegram.bot.lock().record.replies[0].arguments.clone();
    assert_eq!((&arguments["chat_id"], &arguments["text"]), (&"5001".into(), &"here you are".into()));

    bench.reconfigure(synchronous(&["sendMessage", "leaveChat"])).await?;
    let again = bench.telegram.make(&[message(5001, 3, "leave me")])?;
    bench.telegram.has_delivered(3).await?;
    assert_eq!(bench.telegram.replies(), [answered, (again[0], "leavechat".to_owned(), true)]);
    assert_eq!(program.has_got(3).await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn aiogram_answers_with_a_form_which_does_not_pass() -> anyhow::Result<()> {
    let (bench, program) = start(AIOGRAM).await?;
    bench.telegram.make(&[message(5001, 1, "answer me")])?;
    bench.telegram.has_delivered(1).await?;
    assert_eq!(program.has_got(1).await?[0]["saw"], "message: answer me");
    assert_eq!(bench.telegram.replies(), []);

    // it did answer: Telegram itself would have read it
    let telegram = Telegram::start().await?;
    let program = Program::start(AIOGRAM, &[BOT_TOKEN, TOKEN, &telegram.api]).await?;
    telegram.send_to(&format!("http://127.0.0.1:{}/webhooks/telegram", program.port)).await?;
    let ids = telegram.make(&[message(5001, 1, "answer me")])?;
    telegram.has_delivered(1).await?;
    assert_eq!(telegram.replies(), [(ids[0], "sendmessage".to_owned(), true)]);
    Ok(())
}

async fn start(framework: Source) -> anyhow::Result<(Bench, Program)> {
    let telegram = Telegram::start().await?;
    let program = Program::start(framework, &[BOT_TOKEN, SECRET, &telegram.api]).await?;
    let bench = Bench::start(telegram, program.port, synchronous(&["sendMessage"])).await?;
    Ok((bench, program))
}

fn synchronous(methods: &[&str]) -> Delivery {
    Delivery {
        mode: DeliveryMode::Synchronous,
        reply_methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        secret_token: Some(Secret(SECRET.to_owned())),
        ..Delivery::default()
    }
}
