//! A sidecar with one bot and its CRM, ready to be sent requests.

use anyhow::bail;
use telegram_webhook_sidecar_config::{AddressSource, ClientAddress, DeliveryMode, WebhookConfig};
use telegram_webhook_tests::{
    pki::{Authority, Leaf},
    sidecar::{ConfigFolder, DEADLINE, Sidecar},
    wait,
};

pub use telegram_webhook_tests::{
    crm::SECRET_HEADER as TOKEN_HEADER,
    sidecar::{HOST, NAME, PATH, TOKEN, WEBHOOK, config, slot},
};

use crate::{
    client::{Answer, Connection},
    crm::Crm,
    series,
};

/// Everything that a test needs.
pub struct Fixture {
    pub authority: Authority,
    pub certificate: Leaf,
    pub config: WebhookConfig,
    pub folder: ConfigFolder,
    pub crm: Crm,
    pub sidecar: Sidecar,
}

/// The tests are the proxy in front, and tell in this way whose a connection or a request is.
pub fn behind_a_proxy(source: AddressSource) -> ClientAddress {
    ClientAddress { source, trusted_proxies: vec!["127.0.0.0/8".to_owned()] }
}

/// How a proxy says whose a connection is, by version 1 of its protocol.
pub fn announcement(client: &str) -> String {
    let (family, server) = if client.contains(':') { ("TCP6", "::1") } else { ("TCP4", "127.0.0.1") };
    format!("PROXY {family} {client} {server} 40000 443\r\n")
}

/// An update that the default filter lets through.
pub const UPDATE: &str = r#"{"update_id":1,
"message":{"message_id":1,"from":{"id":5,"is_bot":false},"chat":{"id":5,"type":"private"},"date":1,"text":"hello"}}"#;

/// One of another id.
pub fn update(id: i64) -> String {
    UPDATE.replacen('1', &id.to_string(), 1)
}

/// A request as Telegram's own sender writes it.
pub fn request(path: &str, token: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{TOKEN_HEADER}: {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: keep-alive\r\nAccept-Encoding: gzip, deflate\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

// === impl Fixture ===

impl Fixture {
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(|_| {}).await
    }

    /// Starts with a configuration that differs from the usual one. In that the answer tells what became of an update at the CRM:
    /// nothing is stored.
    pub async fn start_with(change: impl FnOnce(&mut WebhookConfig)) -> anyhow::Result<Self> {
        let crm = Crm::start().await?;
        let authority = Authority::new()?;
        let certificate = authority.issue(HOST)?;
        let mut config = config(NAME, HOST, crm.port);
        config.delivery.mode = DeliveryMode::Synchronous;
        change(&mut config);
        let mut folder = ConfigFolder::new()?;
        folder.set(NAME, &config, &certificate);
        folder.publish()?;
        let sidecar = Sidecar::start(&folder).await?;
        Ok(Self { authority, certificate, config, folder, crm, sidecar })
    }

    /// Replaces the configuration and waits until it is in use.
    pub async fn reconfigure(&mut self) -> anyhow::Result<()> {
        self.folder.set(NAME, &self.config, &self.certificate);
        self.publish("configuration loaded").await?;
        Ok(())
    }

    /// Publishes what was set in the folder, and waits for what the sidecar says about it.
    pub async fn publish(&mut self, message: &str) -> anyhow::Result<String> {
        let before = self.sidecar.log().len();
        self.folder.publish()?;
        self.sidecar.logged(before, message).await
    }

    pub async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.sidecar, &self.authority, HOST).await
    }

    /// Connects as a proxy does that says first whose connection it is.
    pub async fn connect_announced(&self, announcement: impl AsRef<[u8]>) -> anyhow::Result<Connection> {
        Connection::open_announced(&self.sidecar, &self.authority, HOST, announcement).await
    }

    /// The same for this client.
    pub async fn connect_from(&self, client: &str) -> anyhow::Result<Connection> {
        self.connect_announced(announcement(client)).await
    }

    /// Sends a request over a connection of its own.
    pub async fn ask(&self, request: impl AsRef<[u8]>) -> anyhow::Result<Answer> {
        self.connect().await?.ask(request).await
    }

    /// Asks the admin port.
    pub async fn admin(&self, method: &str, path: &str) -> anyhow::Result<Answer> {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        Connection::open_admin(&self.sidecar).await?.ask(request).await
    }

    /// The value of one series. One with labels is not there before it counts, and is 0.
    pub async fn metric(&self, series: &str) -> anyhow::Result<u64> {
        let metrics = self.admin("GET", "/metrics").await?.body;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        match value {
            Some(value) => Ok(value.parse()?),
            None if series.contains('{') => Ok(0),
            None => bail!("no series {series}"),
        }
    }

    /// How many requests came to this outcome, of those that carried the token of slot 1.
    pub async fn requests(&self, outcome: &str) -> anyhow::Result<u64> {
        self.metric(&series::requests(outcome)).await
    }

    /// How many connections ended in this way.
    pub async fn ended(&self, outcome: &str) -> anyhow::Result<u64> {
        self.metric(&series::ended(outcome)).await
    }

    /// Waits until a series has a value that is wanted.
    pub async fn wait_for_metric(&self, series: &str, is_wanted: impl Fn(u64) -> bool) -> anyhow::Result<()> {
        wait::until(series, DEADLINE, async || Ok(is_wanted(self.metric(series).await?).then_some(()))).await
    }

    /// Waits until so many connections, or more, have ended in this way.
    pub async fn wait_for_ended(&self, outcome: &str, times: u64) -> anyhow::Result<()> {
        self.wait_for_metric(&series::ended(outcome), |ended| ended >= times).await
    }
}
