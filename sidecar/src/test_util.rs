//! What the unit tests of several modules build on: valid files, and a policy made of them.

use std::{fs, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use telegram_webhook_sidecar_config::{
    CONFIG_FILE, ClientAddress, Delivery, DeliveryMode, Filter, Limits, Slot, SourceAddress, TLS_CERT_FILE,
    TLS_KEY_FILE, Upstream, WebhookConfig,
};

use crate::config::{CurrentPolicy, Policy, Snapshot};

/// A valid configuration whose secrets are made of its name.
pub(crate) fn raw_config(name: &str) -> WebhookConfig {
    WebhookConfig {
        webhook: format!("crm/{name}"),
        bot_id: name.bytes().map(i64::from).sum(),
        host: format!("{name}.example.com"),
        slots: vec![slot(1, &format!("/path-{name}"), &format!("token-{name}"))],
        upstream: Upstream { port: 3000, path: "/updates".to_owned() },
        client_address: ClientAddress::default(),
        // where the tests come from
        source_address: SourceAddress { ranges: vec!["127.0.0.0/8".to_owned()], ..SourceAddress::default() },
        hmac: None,
        limits: Limits::default(),
        filter: Filter::default(),
        delivery: Delivery { mode: DeliveryMode::Synchronous, ..Delivery::default() },
    }
}

pub(crate) fn slot(id: i64, path: &str, token: &str) -> Slot {
    Slot { id, path: path.to_owned(), secret_token: token.to_owned() }
}

/// Writes the three files of a webhook, with a new certificate.
pub(crate) fn write_webhook(root: &Path, folder: &str, config: &WebhookConfig) {
    let dir = root.join(folder);
    fs::create_dir_all(&dir).unwrap();
    let issued = rcgen::generate_simple_self_signed([config.host.clone()]);
    let rcgen::CertifiedKey { cert, signing_key } = issued.unwrap();
    fs::write(dir.join(CONFIG_FILE), config.to_bytes()).unwrap();
    fs::write(dir.join(TLS_CERT_FILE), cert.pem()).unwrap();
    fs::write(dir.join(TLS_KEY_FILE), signing_key.serialize_pem()).unwrap();
}

/// A policy of several webhooks, each in the folder that its name says.
pub(crate) fn policy(configs: &[WebhookConfig]) -> CurrentPolicy {
    let dir = tempfile::tempdir().unwrap();
    for config in configs {
        let folder = config.webhook.replace('/', "-");
        write_webhook(dir.path(), &folder, config);
    }
    let (policy, problems) = Policy::default().followed_by(Snapshot::read(dir.path()));
    assert_eq!(problems.len(), 0, "{problems:?}");
    Arc::new(ArcSwap::from_pointee(policy))
}
