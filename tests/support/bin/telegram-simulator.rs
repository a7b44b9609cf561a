//! A simulator of Telegram's Bot API server: its webhook methods and its delivery engine. The control API and what it can
//! do are described in `tests/support/telegram.rs`.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use anyhow::Context as _;
use clap::Parser;
use telegram_webhook_tests::telegram::{Options, Simulator};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

/// A simulator of Telegram's Bot API server.
#[derive(Parser)]
struct Args {
    /// Where the Bot API and the control API are served, over plain HTTP
    #[arg(long, default_value = "0.0.0.0:8081")]
    api_address: SocketAddr,
    /// As the real server's flag: webhooks may have any port, plain HTTP and private addresses
    #[arg(long)]
    local: bool,
    /// PEM file with the roots that deliveries trust instead of the system's
    #[arg(long, value_name = "PEM")]
    ca_file: Option<PathBuf>,
    /// A bot; repeatable. More can be added through the control API
    #[arg(long = "bot", value_name = "TOKEN[=USERNAME]")]
    bots: Vec<BotArg>,
}

#[derive(Clone)]
struct BotArg {
    token: String,
    username: Option<String>,
}

impl FromStr for BotArg {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (token, username) = match text.split_once('=') {
            Some((token, username)) => (token, Some(username.to_owned())),
            None => (text, None),
        };
        Ok(Self { token: token.to_owned(), username })
    }
}

impl fmt::Debug for BotArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotArg").field("username", &self.username).finish_non_exhaustive()
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // fails only when a provider is installed already
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .init();

    let simulator =
        Simulator::new(Options { local: args.local, ca_file: args.ca_file, ..Options::default() })?;
    for bot in &args.bots {
        let bot = simulator.add_bot(&bot.token, bot.username.as_deref()).context("--bot")?;
        tracing::info!(bot_id = bot.id, username = bot.username, "bot");
    }
    let listener = TcpListener::bind(args.api_address)
        .await
        .with_context(|| format!("can't listen at {}", args.api_address))?;
    tracing::info!(address = %listener.local_addr()?, "serving the Bot API and the control API");

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        served = simulator.serve(listener) => match served? {},
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
