//! `cargo xtask generate`: writes the files that are generated from the types. Tests fail when they are not up to date.

use std::path::Path;

use anyhow::Context as _;

/// Places of the generated definition, from the workspace's root.
const DEFINITIONS: &[&str] =
    &["crds/telegramwebhooks.yaml", "charts/telegram-webhook-operator/files/telegramwebhooks.yaml"];

/// Writes every generated file.
pub fn run() -> anyhow::Result<()> {
    let yaml = telegram_webhook_crds::crd_yaml().map_err(|error| anyhow::anyhow!("{error}"))?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for file in DEFINITIONS {
        std::fs::write(root.join(file), &yaml).with_context(|| format!("can't write {file}"))?;
        println!("wrote {file}");
    }
    Ok(())
}
