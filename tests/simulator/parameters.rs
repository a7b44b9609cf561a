//! The parameters of setWebhook, one by one (section 1.2).

use std::sync::atomic::Ordering;

use telegram_webhook_tests::telegram::arguments::Arguments;

use crate::{
    bench::{ADDRESS, Bench, HOST, URL},
    script::Action,
};

fn idle() -> Bench {
    Bench::idle(|_| Action::ok())
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
        ("http://hook.example.com/", "bad webhook: An HTTPS URL must be provided for webhook"),
        (
            "https://hook.example.com:8080/",
            "bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443",
        ),
        ("https://[2001:67c:4e8::1]/", "bad webhook: IPv6-only addresses are not allowed"),
        ("https://192.168.1.5/", "bad webhook: IP address 192.168.1.5 is reserved"),
        ("https://nowhere.example.com/", "bad webhook: Failed to resolve host: Name or service not known"),
    ] {
        let bench = idle();
        assert_eq!(bench.set(&[("url", url)]).await, format!("Bad Request: {refusal}"), "{url}");
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
async fn fact_1_2_an_international_name_is_looked_up_and_verified_in_ascii() {
    let bench = idle();
    bench.network.name("xn--e1afmkfd.example", &[ADDRESS]);
    assert_eq!(bench.set(&[("url", "https://Пример.example/")]).await, "Webhook was set");
    let target = bench.network.targets.lock().unwrap()[0].clone();
    assert_eq!(target.host, "xn--e1afmkfd.example");
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
    assert_eq!(bench.set(&[("url", URL)]).await, "Webhook was set", "IPv4 is chosen");
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
    for (given, shown) in [("", 40), ("0", 1), ("1", 1), ("100", 100), ("101", 100), ("many", 1), ("-5", 1)] {
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
        assert_eq!(bench.set(&[("url", URL), ("secret_token", secret)]).await, description, "{secret}");
    }
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_a_fixed_ip_address_is_never_looked_up_and_checked_late() {
    let bench = idle();
    let description = bench.set(&[("url", URL), ("ip_address", "not-an-address")]).await;
    assert_eq!(description, "Bad Request: bad webhook: Invalid IP address specified");
    let description = bench.set(&[("url", URL), ("ip_address", "10.0.0.1")]).await;
    assert_eq!(description, "Bad Request: bad webhook: IP address 10.0.0.1 is reserved");
    assert_eq!(bench.set(&[("url", URL), ("ip_address", "149.154.160.8")]).await, "Webhook was set");
    assert_eq!(bench.network.lookups.load(Ordering::SeqCst), 0);
    let target = bench.network.targets.lock().unwrap()[0].clone();
    assert_eq!((target.address.to_string().as_str(), target.host.as_str()), ("149.154.160.8:443", HOST));
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
    let too_big = bench.call_with("setWebhook", &with_certificate(vec![b'x'; (3 << 20) + 1])).await;
    assert_eq!(too_big.description(), "Bad Request: certificate size is too big (3145729 bytes)");
    bench.run_for(1.0).await;
    let rubbish = bench.call_with("setWebhook", &with_certificate(b"rubbish".to_vec())).await;
    assert_eq!(rubbish.description(), "Bad Request: bad webhook: Failed to set custom certificate file");
    let pem = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap().cert.pem();
    for _ in 0..2 {
        bench.run_for(1.0).await;
        let answer = bench.call_with("setWebhook", &with_certificate(pem.clone().into_bytes())).await;
        assert_eq!(answer.description(), "Webhook was set");
        assert_eq!(bench.info().await["has_custom_certificate"], true);
    }
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_a_certificate_as_a_plain_string_is_ignored_and_attach_points_to_a_file() {
    let bench = idle();
    bench.set(&[("url", URL), ("certificate", "-----BEGIN CERTIFICATE-----")]).await;
    assert_eq!(bench.info().await["has_custom_certificate"], false);
    bench.run_for(1.0).await;
    let pem = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap().cert.pem();
    let mut arguments = Arguments::from_pairs([("url", URL), ("certificate", "attach://mine")]);
    arguments.add_file("mine", pem);
    bench.call_with("setWebhook", &arguments).await;
    assert_eq!(bench.info().await["has_custom_certificate"], true);
}
