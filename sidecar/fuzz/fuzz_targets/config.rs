//! The configuration: whatever can be read can be written and read back, says the same in a folder and in a file, is checked
//! without a panic; and no error quotes a secret.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use telegram_webhook_sidecar::config::{Policy, Snapshot};
use telegram_webhook_sidecar_config::{WebhookConfig, parse_file};

/// What begins with this in a seed is a secret.
const MARK: &str = "SECRET";

/// A chain and its key, PEM.
static CERTIFICATE: LazyLock<(String, String)> = LazyLock::new(|| {
    let issued = rcgen::generate_simple_self_signed(["hooks.example.com".to_owned()]);
    let rcgen::CertifiedKey { cert, signing_key } = issued.expect("a certificate");
    (cert.pem(), signing_key.serialize_pem())
});

fuzz_target!(|bytes: &[u8]| {
    let mut said = String::new();
    match WebhookConfig::parse(bytes) {
        Ok(config) => survives(&config),
        Err(error) => said.push_str(&error.to_string()),
    }
    let (chain, key) = &*CERTIFICATE;
    let snapshot = Snapshot::of_webhook("a", bytes, chain.as_bytes(), key.as_bytes());
    if let Err(problems) = Policy::check(snapshot) {
        said.push_str(&problems.to_string());
    }
    match parse_file(bytes) {
        Ok(webhooks) => {
            for webhook in webhooks {
                match webhook.content {
                    Ok(content) => survives(&content.config),
                    Err(error) => said.push_str(&error.to_string()),
                }
            }
        }
        Err(error) => said.push_str(&error.to_string()),
    }
    if let Ok(value) = serde_json::from_slice(bytes) {
        let (mut names, mut secrets) = (Vec::new(), Vec::new());
        collect(&value, &mut names, &mut secrets);
        for secret in secrets {
            let is_name = names.iter().any(|name| name.contains(secret));
            assert!(is_name || !said.contains(secret), "{said}");
        }
    }
});

/// Writes and reads it, in both forms.
fn survives(config: &WebhookConfig) {
    let again = WebhookConfig::parse(&config.to_bytes()).expect("what was written is read");
    assert_eq!(&again, config);
    let mut webhook = serde_json::to_value(config).expect("a configuration is JSON");
    webhook["tls"] = json!({"certificateFile": "c", "keyFile": "k"});
    let file = json!({"webhooks": [webhook.clone(), webhook.clone()]}).to_string();
    for webhook in parse_file(file.as_bytes()).expect("a file of webhooks") {
        assert_eq!(&webhook.content.expect("a webhook").config, config);
    }
}

fn collect<'a>(value: &'a Value, names: &mut Vec<&'a str>, secrets: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if text.starts_with(MARK) => secrets.push(text),
        Value::Array(values) => values.iter().for_each(|value| collect(value, names, secrets)),
        Value::Object(fields) => {
            names.extend(fields.keys().map(String::as_str));
            fields.values().for_each(|value| collect(value, names, secrets));
        }
        _ => {}
    }
}
