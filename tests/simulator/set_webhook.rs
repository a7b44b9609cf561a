//! setWebhook and deleteWebhook (sections 0, 1.1 and 1.2).

use std::{net::IpAddr, sync::atomic::Ordering, time::Duration};

use telegram_webhook_tests::telegram::{arguments::Arguments, methods::Reaction};
use tokio::time::sleep;

use crate::{
    bench::{ADDRESS, Bench, HOST, TOKEN, URL},
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
    assert_eq!(
        (&info["max_connections"], &info["ip_address"]),
        (&7.into(), &"149.154.160.7".into())
    );
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
        let changed: Vec<_> = base
            .iter()
            .filter(|(known, _)| *known != name)
            .copied()
            .chain([(name, value)])
            .collect();
        assert_eq!(bench.set(&changed).await, "Webhook was set", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn fact_1_1_allowed_updates_is_changed_in_place_by_a_repetition() {
    let bench = Bench::start(|_| Action::ok()).await;
    let description = bench
        .set(&[("url", URL), ("allowed_updates", r#"["poll"]"#)])
        .await;
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
    assert_eq!(
        bench.call("deleteWebhook", &[]).await.description(),
        "Webhook was deleted"
    );
    assert_eq!(
        bench.call("setWebhook", &[("url", "")]).await.description(),
        "Webhook is already deleted"
    );
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.call("setWebhook", &[("url", URL)]).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn fact_1_1_delete_webhook_keeps_pending_updates_unless_told() {
    let bench = Bench::start(|_| Action::status("500 Internal Server Error")).await;
    bench.enqueue(&[1]);
    bench.call("deleteWebhook", &[]).await;
    assert_eq!(bench.pending(), 1);
    let answer = bench
        .call("deleteWebhook", &[("drop_pending_updates", "true")])
        .await;
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
    Bench {
        simulator,
        bot,
        ..bench
    }
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
    assert_eq!(
        (&info["url"], &info["ip_address"]),
        (&URL.into(), &"<unknown>".into())
    );
    assert_eq!(running.await.unwrap().description(), "Webhook was set");
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_urls_are_refused_by_these_rules() {
    for (url, refusal) in [
        ("https://", "invalid webhook URL specified"),
        ("ftp://hook.example.com/", "invalid webhook URL specified"),
        ("https://hook.example.com:0/", "invalid webhook URL specified"),
        ("https://hook.example.com:99999/", "invalid webhook URL specified"),
        ("https://ho ok.example.com/", "invalid webhook URL specified"),
        ("https://ho\"ok.example.com/", "invalid webhook URL specified"),
        (
            "http://hook.example.com/",
            "bad webhook: An HTTPS URL must be provided for webhook",
        ),
        (
            "https://hook.example.com:8080/",
            "bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443",
        ),
        (
            "https://[2001:67c:4e8::1]/",
            "bad webhook: IPv6-only addresses are not allowed",
        ),
        (
            "https://192.168.1.5/",
            "bad webhook: IP address 192.168.1.5 is reserved",
        ),
        (
            "https://nowhere.example.com/",
            "bad webhook: Failed to resolve host: Name or service not known",
        ),
    ] {
        let bench = idle();
        assert_eq!(
            bench.set(&[("url", url)]).await,
            format!("Bad Request: {refusal}"),
            "{url}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_urls_are_accepted_by_these_rules() {
    for url in [
        "hook.example.com",
        "HTTPS://HOOK.EXAMPLE.COM/Path",
        "https://hook.example.com:88/",
        "https://hook.example.com:80",
        "https://hook.example.com:8443?a=b",
        "https://user:pass@hook.example.com/",
        "https://149.154.160.9/",
        "https://hook.example.com/path#fragment",
    ] {
        let bench = idle();
        assert_eq!(bench.set(&[("url", url)]).await, "Webhook was set", "{url}");
        assert_eq!(bench.info().await["url"], url, "shown as given");
    }
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_reserved_and_ipv6_only_names_are_refused_unless_local() {
    let addresses = [
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.1.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
    ];
    for address in addresses {
        let bench = idle();
        bench.network.name(HOST, &[address]);
        let refusal = format!("Bad Request: bad webhook: IP address {address} is reserved");
        assert_eq!(bench.set(&[("url", URL)]).await, refusal);
    }
    let bench = idle();
    bench.network.name(HOST, &["2001:67c:4e8::1"]);
    assert_eq!(
        bench.set(&[("url", URL)]).await,
        "Bad Request: bad webhook: IPv6-only addresses are not allowed"
    );
    let bench = idle();
    bench.network.name(HOST, &["2001:67c:4e8::1", "172.32.0.1"]);
    assert_eq!(
        bench.set(&[("url", URL)]).await,
        "Webhook was set",
        "IPv4 is chosen"
    );
}

#[tokio::test(start_paused = true)]
async fn fact_8_a_local_server_takes_plain_http_any_port_private_addresses_and_100_000_connections() {
    let bench = Bench::with_options(|_| Action::ok(), true);
    bench.network.name(HOST, &["10.1.2.3"]);
    let url = format!("http://{HOST}:12345/");
    assert_eq!(bench.set(&[("url", &url)]).await, "Webhook was set");
    assert_eq!(bench.info().await["max_connections"], 100);
    bench.set(&[("url", &url), ("max_connections", "5000000")]).await;
    assert_eq!(bench.info().await["max_connections"], 100_000);
    let target = bench.network.targets.lock().unwrap()[0].clone();
    assert!(target.tls.is_none());
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_max_connections_is_clamped_and_never_refused() {
    for (given, shown) in [
        ("", 40),
        ("0", 1),
        ("1", 1),
        ("100", 100),
        ("101", 100),
        ("many", 1),
        ("-5", 1),
    ] {
        let bench = idle();
        bench.set(&[("url", URL), ("max_connections", given)]).await;
        assert_eq!(bench.info().await["max_connections"], shown, "{given}");
    }
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_secret_tokens_have_up_to_256_letters_digits_dashes_and_underscores() {
    let long = "aZ0-_".repeat(51) + "x";
    assert_eq!(long.len(), 256);
    let too_long = format!("{long}x");
    for (secret, description) in [
        (long.as_str(), "Webhook was set"),
        (&too_long, "Bad Request: secret token is too long"),
        ("a b", "Bad Request: secret token contains unallowed characters"),
        ("a.b", "Bad Request: secret token contains unallowed characters"),
        ("é", "Bad Request: secret token contains unallowed characters"),
    ] {
        let bench = idle();
        assert_eq!(
            bench.set(&[("url", URL), ("secret_token", secret)]).await,
            description,
            "{secret}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_a_fixed_ip_address_is_never_looked_up_and_checked_late() {
    let bench = idle();
    let description = bench.set(&[("url", URL), ("ip_address", "not-an-address")]).await;
    assert_eq!(
        description,
        "Bad Request: bad webhook: Invalid IP address specified"
    );
    let description = bench.set(&[("url", URL), ("ip_address", "10.0.0.1")]).await;
    assert_eq!(
        description,
        "Bad Request: bad webhook: IP address 10.0.0.1 is reserved"
    );
    assert_eq!(
        bench.set(&[("url", URL), ("ip_address", "149.154.160.8")]).await,
        "Webhook was set"
    );
    assert_eq!(bench.network.lookups.load(Ordering::SeqCst), 0);
    let target = bench.network.targets.lock().unwrap()[0].clone();
    assert_eq!(
        (target.address.to_string().as_str(), target.host.as_str()),
        ("149.154.160.8:443", HOST)
    );
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_a_failed_lookup_is_remembered_for_5_minutes_and_a_found_name_for_29() {
    let bench = idle();
    bench.network.names.lock().unwrap().clear();
    let failure = "Bad Request: bad webhook: Failed to resolve host: Name or service not known";
    assert_eq!(bench.set(&[("url", URL)]).await, failure);
    bench.network.name(HOST, &[ADDRESS]);
    bench.run_for(290.0).await;
    assert_eq!(bench.set(&[("url", URL)]).await, failure, "still remembered");
    bench.run_for(15.0).await;
    assert_eq!(bench.set(&[("url", URL)]).await, "Webhook was set");
    assert_eq!(bench.network.lookups.load(Ordering::SeqCst), 2);
    bench.set(&[("url", URL), ("secret_token", "x")]).await;
    assert_eq!(bench.network.lookups.load(Ordering::SeqCst), 2);
}

fn with_certificate(pem: Vec<u8>) -> Arguments {
    let mut arguments = Arguments::from_pairs([("url", URL)]);
    arguments.add_file("certificate", pem);
    arguments
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_a_certificate_is_checked_for_size_and_pem_and_always_set_again() {
    let bench = idle();
    let too_big = bench
        .call_with("setWebhook", &with_certificate(vec![b'x'; (3 << 20) + 1]))
        .await;
    assert_eq!(
        too_big.description(),
        "Bad Request: certificate size is too big (3145729 bytes)"
    );
    bench.run_for(1.0).await;
    let rubbish = bench
        .call_with("setWebhook", &with_certificate(b"rubbish".to_vec()))
        .await;
    assert_eq!(
        rubbish.description(),
        "Bad Request: bad webhook: Failed to set custom certificate file"
    );
    let pem = rcgen::generate_simple_self_signed([HOST.to_owned()])
        .unwrap()
        .cert
        .pem();
    for _ in 0..2 {
        bench.run_for(1.0).await;
        let answer = bench
            .call_with("setWebhook", &with_certificate(pem.clone().into_bytes()))
            .await;
        assert_eq!(answer.description(), "Webhook was set");
        assert_eq!(bench.info().await["has_custom_certificate"], true);
    }
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_a_certificate_as_a_plain_string_is_ignored_and_attach_points_to_a_file() {
    let bench = idle();
    bench
        .set(&[("url", URL), ("certificate", "-----BEGIN CERTIFICATE-----")])
        .await;
    assert_eq!(bench.info().await["has_custom_certificate"], false);
    bench.run_for(1.0).await;
    let pem = rcgen::generate_simple_self_signed([HOST.to_owned()])
        .unwrap()
        .cert
        .pem();
    let mut arguments = Arguments::from_pairs([("url", URL), ("certificate", "attach://mine")]);
    arguments.add_file("mine", pem);
    bench.call_with("setWebhook", &arguments).await;
    assert_eq!(bench.info().await["has_custom_certificate"], true);
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
        assert_eq!(
            (answer.status, answer.description().as_str()),
            (status, description)
        );
    }
}
