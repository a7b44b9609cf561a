//! The configuration: whatever can be read can be written and read back, says the same in a folder and in a file, is checked
//! without a panic; and no error quotes a secret.
#![no_main]

use std::{fmt, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::json;
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
    if let Ok(json) = serde_json::from_slice::<Json>(bytes) {
        let (mut quotable, mut secrets) = (Vec::new(), Vec::new());
        json.collect(&mut quotable, &mut secrets);
        for secret in secrets {
            let is_quotable = quotable.iter().any(|text| text.contains(secret));
            assert!(is_quotable || !said.contains(secret), "{said}");
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

/// JSON with all that it says, what it says twice too, which an error may be about.
enum Json {
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
    Other,
}

impl Json {
    /// Errors may quote names of fields, and expressions, which are no secrets and whose syntax errors show a piece of them.
    fn collect<'a>(&'a self, quotable: &mut Vec<&'a str>, secrets: &mut Vec<&'a str>) {
        match self {
            Self::Text(text) if text.starts_with(MARK) => secrets.push(text),
            Self::Array(values) => values.iter().for_each(|value| value.collect(quotable, secrets)),
            Self::Object(fields) => {
                for (name, value) in fields {
                    quotable.push(name);
                    if let ("expressions", Self::Array(expressions)) = (name.as_str(), value) {
                        quotable.extend(expressions.iter().filter_map(Self::text));
                    }
                    value.collect(quotable, secrets);
                }
            }
            Self::Text(_) | Self::Other => {}
        }
    }

    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Json::Object(fields))
    }
}
