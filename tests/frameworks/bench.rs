//! Telegram in front, a sidecar, and the program behind it.

use std::{fs, sync::Arc};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use telegram_webhook_sidecar_config::{Delivery, WebhookConfig};
use telegram_webhook_tests::{
    pki::{Authority, Leaf},
    sidecar::{ConfigFolder, DEADLINE, NAME, PATH, Sidecar, TOKEN, WEBHOOK, config},
    telegram::{
        Options, Simulator,
        bot::Bot,
        control::{Enqueue, RawUpdate},
        kinds::Kind,
        methods::Reaction,
    },
    wait,
};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::updates::Update;

/// The bot's token, which every framework wants to have.
pub const BOT_TOKEN: &str = "700700:a-token-that-opens-nothing";
const BOT_ID: i64 = 700_700;
/// A name that leads to the sidecar without any server of names.
const HOST: &str = "localhost";

/// Telegram and its Bot API.
pub struct Telegram {
    pub bot: Arc<Bot>,
    /// Where the Bot API is.
    pub api: String,
    simulator: Simulator,
    authority: Authority,
    _serving: AbortOnDropHandle<()>,
}

/// All that stands in front of a program.
pub struct Bench {
    pub telegram: Telegram,
    pub config: WebhookConfig,
    pub sidecar: Sidecar,
    folder: ConfigFolder,
    certificate: Leaf,
}

// === impl Telegram ===

impl Telegram {
    pub async fn start() -> anyhow::Result<Self> {
        // fails only when another test has installed it
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let authority = Authority::new()?;
        let trusted = tempfile::NamedTempFile::new()?;
        fs::write(&trusted, authority.pem())?;
        let options = Options { local: true, ca_file: Some(trusted.path().to_owned()), ..Options::default() };
        let simulator = Simulator::new(options)?;
        let bot = simulator.add_bot(BOT_TOKEN, None)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = format!("http://{}", listener.local_addr()?);
        let serve = simulator.clone().serve(listener);
        let serving = AbortOnDropHandle::new(tokio::spawn(async { drop(serve.await) }));
        Ok(Self { bot, api, simulator, authority, _serving: serving })
    }

    /// Sets the webhook, as the operator does.
    pub async fn send_to(&self, url: &str) -> anyhow::Result<()> {
        let parameters = [("url", url), ("secret_token", TOKEN)];
        match self.simulator.call(BOT_TOKEN, "setWebhook", &parameters).await {
            Reaction::Answer(answer) if answer.status == 200 => Ok(()),
            other => bail!("setWebhook: {other:?}"),
        }
    }

    /// Makes updates; their ids.
    pub fn make(&self, updates: &[Update]) -> anyhow::Result<Vec<i64>> {
        let mut ids = Vec::new();
        for Update { kind, value, person, .. } in updates {
            let lane = Kind::from_name(kind).context("no such kind")?.lane(*person, *person, 0);
            let raw = RawUpdate {
                kind: (*kind).to_owned(),
                value: value.to_string(),
                value_hex: None,
                lane,
                life_seconds: 600,
            };
            let made =
                self.simulator.enqueue(&self.bot, &Enqueue { raw: Some(raw), ..Enqueue::default() })?;
            ensure!(made.discarded == 0, "Telegram sends no {kind}");
            ids.extend(made.update_ids);
        }
        Ok(ids)
    }

    /// Waits until so many updates, all there are, have been answered with 2xx.
    pub async fn has_delivered(&self, number: usize) -> anyhow::Result<()> {
        let delivered = async || {
            let summary = self.bot.lock().record.summary();
            ensure!(summary.delivered == u64::try_from(number)?, "{summary:?}");
            Ok(Some(()))
        };
        wait::until("Telegram to be rid of its updates", DEADLINE, delivered).await
    }

    /// Bot API calls that it found in answers, by their update: the method, and whether it was one to execute.
    pub fn replies(&self) -> Vec<(i64, String, bool)> {
        let replies = self.bot.lock().record.replies.clone();
        replies.into_iter().map(|reply| (reply.update_id, reply.method, reply.executed)).collect()
    }

    /// How often a method of the Bot API was called over HTTP or by [`Telegram::send_to`].
    pub fn calls(&self, method: &str) -> usize {
        self.bot.lock().record.calls.iter().filter(|call| call.method == method).count()
    }
}

// === impl Bench ===

impl Bench {
    /// Starts a sidecar in front of this port, and lets Telegram send there.
    pub async fn start(telegram: Telegram, port: u16, delivery: Delivery) -> anyhow::Result<Self> {
        let certificate = telegram.authority.issue(HOST)?;
        let config = WebhookConfig { bot_id: BOT_ID, delivery, ..config(NAME, HOST, port) };
        let mut folder = ConfigFolder::new()?;
        folder.set(NAME, &config, &certificate);
        folder.publish()?;
        let sidecar = Sidecar::start(&folder).await?;
        telegram.send_to(&format!("https://{HOST}:{}{PATH}", sidecar.webhook_address.port())).await?;
        Ok(Self { telegram, config, sidecar, folder, certificate })
    }

    /// Replaces what is said of deliveries, and waits until that is in use.
    pub async fn reconfigure(&mut self, delivery: Delivery) -> anyhow::Result<()> {
        self.config.delivery = delivery;
        self.folder.set(NAME, &self.config, &self.certificate);
        let before = self.sidecar.log().len();
        self.folder.publish()?;
        self.sidecar.logged(before, "configuration loaded").await.map(drop)
    }

    /// Waits until a series of the webhook has this value, and says what it has.
    pub async fn shows(&self, name: &str, label: Option<(&str, &str)>, value: u64) -> anyhow::Result<()> {
        let label = label.map(|(name, value)| format!(",{name}=\"{value}\"")).unwrap_or_default();
        let series = format!("telegram_webhook_sidecar_{name}{{webhook=\"{WEBHOOK}\"{label}}} ");
        wait::until(&series, DEADLINE, async || {
            let metrics = self.metrics().await?;
            let found = metrics.lines().find_map(|line| line.strip_prefix(&series));
            ensure!(found == Some(value.to_string().as_str()), "{found:?} in place of {value}");
            Ok(Some(()))
        })
        .await
    }

    /// Waits until the CRM has answered an attempt with this status.
    pub async fn was_refused_with(&self, status: u16) -> anyhow::Result<()> {
        let answered = format!("the CRM answered {status}\"");
        let is_wanted = |line: &str| line.contains("\"attempt failed\"") && line.contains(&answered);
        self.sidecar.logged_where(&answered, is_wanted).await.map(drop)
    }

    async fn metrics(&self) -> anyhow::Result<String> {
        let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.get(format!("http://{}/metrics", self.sidecar.admin_address).parse()?).await?;
        Ok(String::from_utf8(answer.into_body().collect().await?.to_bytes().to_vec())?)
    }
}
