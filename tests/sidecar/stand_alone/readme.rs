//! sidecar/README.md is true: its example can be used, its table has every field with its default.

use std::{collections::BTreeMap, fs};

use anyhow::Context as _;
use serde_json::{Value, json};
use telegram_webhook_sidecar_config::{
    ClientAddress, Delivery, Filter, Hmac, HmacEncoding, Limits, Secret, SourceAddress, WebhookConfig,
};
use telegram_webhook_tests::pki::Authority;

use super::check;
use crate::fixture::{HOST, config};

const README: &str = include_str!("../../../sidecar/README.md");

/// Rows of the table of fields: type and default by field.
fn rows() -> BTreeMap<String, (String, String)> {
    let rows = README.lines().skip_while(|line| !line.starts_with("| field |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    cells.map(|cells| (cells[1].trim_matches('`').to_owned(), (cells[2].clone(), cells[3].clone()))).collect()
}

/// Every field with its value; of a list of objects the fields of its first one.
fn leaves(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(&path, value, found);
            }
        }
        Value::Array(values) if values.first().is_some_and(Value::is_object) => {
            leaves(&format!("{path}[]"), &values[0], found);
        }
        value => {
            found.insert(path.to_owned(), value.clone());
        }
    }
}

/// Every field of the file's webhooks, in one of the two shapes that `hmac` has.
fn fields(hmac: Hmac) -> anyhow::Result<BTreeMap<String, Value>> {
    let config = WebhookConfig {
        client_address: ClientAddress::default(),
        source_address: SourceAddress::default(),
        hmac: Some(hmac),
        limits: Limits::default(),
        upstream: serde_json::from_value(json!({"port": 3000}))?,
        filter: Filter::default(),
        delivery: Delivery { secret_token: Some(Secret(String::new())), ..Delivery::default() },
        ..config("support", HOST, 3000)
    };
    let mut webhook = serde_json::to_value(config)?;
    webhook["tls"] = json!({"certificateFile": "", "keyFile": ""});
    let mut found = BTreeMap::new();
    leaves("", &webhook, &mut found);
    Ok(found)
}

#[tokio::test]
async fn the_example_can_be_used() -> anyhow::Result<()> {
    let example = README.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    let dir = tempfile::tempdir()?;
    let leaf = Authority::new()?.issue(HOST)?;
    fs::write(dir.path().join("webhooks.json"), example.context("no example")?)?;
    fs::write(dir.path().join("hooks.crt"), leaf.chain)?;
    fs::write(dir.path().join("hooks.key"), leaf.key)?;
    let said = check("--config", &dir.path().join("webhooks.json")).await?;
    assert_eq!((said.code, &*said.error), (Some(0), ""));
    assert_eq!(said.out, format!("ok\ncrm/support: {HOST} -> http://127.0.0.1:3000/webhooks/telegram\n"));
    Ok(())
}

#[test]
fn the_table_has_every_field_and_its_default() -> anyhow::Result<()> {
    let mut found = fields(Hmac::StandardWebhooks { secret: String::new(), tolerance_seconds: 300 })?;
    let (header, secret) = (String::new(), String::new());
    found.append(&mut fields(Hmac::Body { header, encoding: HmacEncoding::Hex, secret })?);
    let mut rows = rows();
    for object in ["hmac", "limits.ban"] {
        assert!(rows.remove(object).is_some(), "{object} is not in the table");
    }
    assert_eq!(rows.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    assert_eq!(rows.remove("delivery.secretToken").map(|row| row.1).as_deref(), Some("none"));
    found.remove("delivery.secretToken");
    let defaults = [
        "delivery.",
        "upstream.path",
        "clientAddress.",
        "sourceAddress.",
        "limits.",
        "filter.",
        "hmac.toleranceSeconds",
    ];
    for (field, value) in found {
        let has_default = defaults.iter().any(|prefix| field.starts_with(prefix));
        let expected = if has_default { format!("`{value}`") } else { "required".to_owned() };
        assert_eq!(rows[&field].1, expected, "{field}");
    }
    Ok(())
}
