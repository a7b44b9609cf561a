//! The order of work of setWebhook and deleteWebhook (sections 0, 1.1 and 8).

use std::{net::IpAddr, time::Duration};

use telegram_webhook_tests::telegram::methods::Reaction;
use tokio::time::sleep;

use crate::{
    bench::{ADDRESS, Bench, TOKEN, URL},
    script::Action,
};

fn idle() -> Bench {
    Bench::idle(|_| Action::ok())
}

#[tokio::test(start_paused = true)]
async fn fact_0_1_a_failing_set_webhook_destroys_the_working_one() {
    let long = "s".repeat(257);
    let failing: [&[(&str, &str)]; 5] = [
        &[("url", "https://")],
        &[("url", URL), ("secret_token", "not allowed")],
        &[("url", URL), ("secret_token", &long)],
        &[("url", "http://hook.example.com/")],
        &[("url", "https://hook.example.com:444/")],
    ];
    for parameters in failing {
        let bench = Bench::start(|_| Action::ok()).await;
        sleep(Duration::from_secs(1)).await;
        let answer = bench.call("setWebhook", parameters).await;
        assert_eq!(answer.status, 400);
        assert_eq!(bench.info().await["url"], "", "{}", answer.description());
    }
}

#[tokio::test(start_paused = true)]
async fn fact_0_2_an_unreachable_server_is_accepted() {
    let bench = idle();
    *bench.network.refusal.lock().unwrap() = Some("Connection refused".to_owned());
    assert_eq!(bench.set(&[("url", URL)]).await, "Webhook was set");
}

#[tokio::test(start_paused = true)]
async fn fact_0_3_omitted_parameters_are_reset_and_only_allowed_updates_is_kept() {
    let all = [
        ("url", URL),
        ("secret_token", "secret"),
        ("max_connections", "7"),
        ("ip_address", "149.154.160.7"),
        ("allowed_updates", r#"["message"]"#),
    ];
    let bench = idle();
    bench.set(&all).await;
    let info = bench.info().await;
    assert_eq!((&info["max_connections"], &info["ip_address"]), (&7.into(), &"149.154.160.7".into()));
    bench.set(&[("url", URL)]).await;
    let info = bench.info().await;
    assert_eq!(info["max_connections"], 40);
    assert_eq!(info["ip_address"], ADDRESS);
    assert_eq!(info["allowed_updates"], serde_json::json!(["message"]));
    bench.enqueue(&[5]);
    bench.run_for(0.1).await;
    assert!(!bench.script.received()[0].head.contains("Secret-Token"));
}

#[tokio::test(start_paused = true)]
async fn fact_0_4_the_description_tells_a_repetition_from_a_change() {
    let base = [("url", URL), ("secret_token", "a"), ("max_connections", "5")];
    let changes: [(&str, &str); 4] = [
        ("secret_token", "b"),
        ("max_connections", "6"),
        ("ip_address", ADDRESS),
        ("url", "https://hook.example.com/hook2"),
    ];
    for (name, value) in changes {
        let bench = idle();
        assert_eq!(bench.set(&base).await, "Webhook was set");
        assert_eq!(bench.set(&base).await, "Webhook is already set");
        let changed: Vec<_> =
            base.iter().filter(|(known, _)| *known != name).copied().chain([(name, value)]).collect();
        assert_eq!(bench.set(&changed).await, "Webhook was set", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn fact_1_1_allowed_updates_is_changed_in_place_by_a_repetition() {
    let bench = Bench::start(|_| Action::ok()).await;
    let description = bench.set(&[("url", URL), ("allowed_updates", r#"["poll"]"#)]).await;
    assert_eq!(description, "Webhook is already set");
    assert_eq!(bench.info().await["allowed_updates"], serde_json::json!(["poll"]));
}

#[tokio::test(start_paused = true)]
async fn fact_1_1_more_than_one_call_a_second_is_refused_even_a_repetition_but_not_a_deletion() {
    let bench = Bench::start(|_| Action::ok()).await;
    let answer = bench.call("setWebhook", &[("url", URL)]).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.description(), "Too Many Requests: retry after 1");
    assert_eq!(answer.json()["parameters"]["retry_after"], 1);
    assert_eq!(answer.retry_after, Some(1));
    assert_eq!(bench.call("deleteWebhook", &[]).await.description(), "Webhook was deleted");
    assert_eq!(bench.call("setWebhook", &[("url", "")]).await.description(), "Webhook is already deleted");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.call("setWebhook", &[("url", URL)]).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn fact_1_1_delete_webhook_keeps_pending_updates_unless_told() {
    let bench = Bench::start(|_| Action::status("500 Internal Server Error")).await;
    bench.enqueue(&[1]);
    bench.call("deleteWebhook", &[]).await;
    assert_eq!(bench.pending(), 1);
    let answer = bench.call("deleteWebhook", &[("drop_pending_updates", "true")]).await;
    assert_eq!(answer.description(), "Webhook was deleted");
    assert_eq!(bench.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn fact_1_1_an_earlier_call_that_still_resolves_is_terminated_by_a_later_one() {
    let bench = std::sync::Arc::new(slow_names());
    let earlier = {
        let bench = std::sync::Arc::clone(&bench);
        tokio::spawn(async move { bench.call("setWebhook", &[("url", URL)]).await })
    };
    sleep(Duration::from_secs(1)).await;
    bench.simulator.call(TOKEN, "deleteWebhook", &[]).await;
    let answer = earlier.await.unwrap();
    assert_eq!(answer.status, 409);
    assert_eq!(answer.description(), "Conflict: terminated by other setWebhook");
}

/// A bench whose resolver takes five seconds.
fn slow_names() -> Bench {
    use futures::future::BoxFuture;
    use telegram_webhook_tests::telegram::{
        Options, Simulator,
        network::{Connection, Network, Target},
    };
    struct Slow(std::sync::Arc<crate::script::ScriptedNetwork>);
    impl Network for Slow {
        fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, String>> {
            Box::pin(async move {
                sleep(Duration::from_secs(5)).await;
                self.0.resolve(host).await
            })
        }
        fn connect<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Box<dyn Connection>, String>> {
            self.0.connect(target)
        }
    }
    let bench = idle();
    let simulator = Simulator::new(Options {
        network: std::sync::Arc::new(Slow(std::sync::Arc::clone(&bench.network))),
        ..Options::default()
    })
    .unwrap();
    let bot = simulator.add_bot(TOKEN, None).unwrap();
    Bench { simulator, bot, ..bench }
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_the_url_is_visible_while_verification_still_runs() {
    let bench = std::sync::Arc::new(slow_names());
    let running = {
        let bench = std::sync::Arc::clone(&bench);
        tokio::spawn(async move { bench.call("setWebhook", &[("url", URL)]).await })
    };
    sleep(Duration::from_secs(1)).await;
    let info = bench.info().await;
    assert_eq!((&info["url"], &info["ip_address"]), (&URL.into(), &"<unknown>".into()));
    assert_eq!(running.await.unwrap().description(), "Webhook was set");
}

#[tokio::test(start_paused = true)]
async fn fact_8_unknown_tokens_and_methods_are_told_apart() {
    let bench = idle();
    for (token, method, status, description) in [
        ("123456:another", "getMe", 401, "Unauthorized"),
        ("999:unknown", "getMe", 401, "Unauthorized"),
        ("0123:x", "getMe", 401, "Unauthorized: invalid token specified"),
        ("nocolon", "getMe", 401, "Unauthorized: invalid token specified"),
        (TOKEN, "noSuchMethod", 404, "Not Found: method not found"),
        (TOKEN, "GETME", 200, ""),
    ] {
        let Reaction::Answer(answer) = bench.simulator.call(token, method, &[]).await else {
            panic!("no answer")
        };
        assert_eq!((answer.status, answer.description().as_str()), (status, description));
    }
}
