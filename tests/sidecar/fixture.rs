//! A sidecar with one bot and its CRM, ready to be sent requests.

use telegram_webhook_sidecar_config::{
    ClientAddress, Filter, Limits, Slot, SourceAddress, Upstream, WebhookConfig,
};
use telegram_webhook_tests::{
    pki::{Authority, Leaf},
    sidecar::{ConfigFolder, Sidecar},
};

use crate::{
    client::{Answer, Connection},
    crm::Crm,
};

pub const HOST: &str = "hooks.example.com";
pub const PATH: &str = "/telegram/0123456789abcdef0123456789abcdef";
pub const TOKEN: &str = "aToken-that_Telegram-was_told-0123456789abc";
/// Folder of the fixture's webhook.
pub const NAME: &str = "support";
pub use telegram_webhook_tests::crm::SECRET_HEADER as TOKEN_HEADER;

/// Everything that a test needs.
pub struct Fixture {
    pub authority: Authority,
    pub certificate: Leaf,
    pub config: WebhookConfig,
    pub folder: ConfigFolder,
    pub crm: Crm,
    pub sidecar: Sidecar,
}

pub fn slot(id: i64, path: &str, token: &str) -> Slot {
    Slot { id, path: path.to_owned(), secret_token: token.to_owned() }
}

pub fn config(name: &str, host: &str, port: u16) -> WebhookConfig {
    WebhookConfig {
        webhook: format!("crm/{name}"),
        // each its own bot
        bot_id: name.bytes().map(i64::from).sum(),
        host: host.to_owned(),
        slots: vec![slot(1, PATH, TOKEN)],
        upstream: Upstream { port, path: "/webhooks/telegram".to_owned() },
        client_address: ClientAddress::default(),
        // where the tests come from
        source_address: SourceAddress { ranges: vec!["127.0.0.0/8".to_owned()], ..SourceAddress::default() },
        hmac: None,
        limits: Limits::default(),
        filter: Filter::default(),
    }
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

    /// Starts with a configuration that differs from the usual one.
    pub async fn start_with(change: impl FnOnce(&mut WebhookConfig)) -> anyhow::Result<Self> {
        let crm = Crm::start().await?;
        let authority = Authority::new()?;
        let certificate = authority.issue(HOST)?;
        let mut config = config(NAME, HOST, crm.port);
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

    /// Sends a request over a connection of its own.
    pub async fn ask(&self, request: impl AsRef<[u8]>) -> anyhow::Result<Answer> {
        self.connect().await?.ask(request).await
    }

    /// Asks the admin port.
    pub async fn admin(&self, method: &str, path: &str) -> anyhow::Result<Answer> {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        Connection::open_admin(&self.sidecar).await?.ask(request).await
    }

    /// The value of one series, 0 while it isn't there.
    pub async fn metric(&self, series: &str) -> anyhow::Result<u64> {
        let metrics = self.admin("GET", "/metrics").await?.body;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series));
        Ok(value.map_or(Ok(0), |value| value.trim().parse())?)
    }
}
