//! The sidecar's TLS as the world's scanners see it: the real binary, a certificate as a public authority would issue it.

mod sslyze;
mod testssl;

use std::{fs, path::PathBuf};

use telegram_webhook_sidecar_config::{
    ClientAddress, Filter, Limits, Slot, SourceAddress, Upstream, WebhookConfig,
};
use telegram_webhook_tests::{
    pki::Authority,
    sidecar::{ConfigFolder, Sidecar},
};
use tempfile::TempDir;

const HOST: &str = "hooks.example.com";

/// A sidecar to look at, and a folder for what a scanner needs and says.
struct Target {
    sidecar: Sidecar,
    dir: TempDir,
    _config: ConfigFolder,
}

impl Target {
    async fn start() -> anyhow::Result<Self> {
        let authority = Authority::new()?;
        let mut config = ConfigFolder::new()?;
        config.set("support", &webhook(), &authority.issue(HOST)?);
        config.publish()?;
        let target =
            Self { sidecar: Sidecar::start(&config).await?, dir: tempfile::tempdir()?, _config: config };
        fs::write(target.authority(), authority.pem())?;
        Ok(target)
    }

    /// The authority to trust, PEM.
    fn authority(&self) -> PathBuf {
        self.dir.path().join("authority.pem")
    }

    /// Where the scanner writes what it found.
    fn report(&self) -> PathBuf {
        self.dir.path().join("report.json")
    }
}

fn webhook() -> WebhookConfig {
    WebhookConfig {
        webhook: "crm/support".to_owned(),
        bot_id: 123_456,
        host: HOST.to_owned(),
        slots: vec![Slot { id: 1, path: "/telegram/path".to_owned(), secret_token: "token".to_owned() }],
        upstream: Upstream { port: 3000, path: "/webhooks/telegram".to_owned() },
        client_address: ClientAddress::default(),
        // where the scanners come from: a stranger would not be let far enough to find anything
        source_address: SourceAddress { ranges: vec!["127.0.0.0/8".to_owned()], ..SourceAddress::default() },
        hmac: None,
        limits: Limits::default(),
        filter: Filter::default(),
    }
}

fn say(what: &str) {
    eprintln!("{what}");
}
