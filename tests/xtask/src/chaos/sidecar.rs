//! The sidecar as something to be killed: the same configuration and the same state each time, another port.

mod output;

use std::{
    ffi::OsString,
    io,
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use futures::future::BoxFuture;
use telegram_webhook_tests::sidecar::ConfigFolder;
use tokio::{
    process::{Child, Command},
    sync::watch,
    time::{Instant, timeout},
};

use self::output::Output;
use super::queue::Victim;

/// Far beyond what a start takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A sidecar that is killed and started again; ends with the value.
pub struct Sidecar {
    binary: PathBuf,
    config: ConfigFolder,
    state: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    child: Option<Child>,
    output: Output,
    address: watch::Sender<Option<SocketAddr>>,
    admin: Option<SocketAddr>,
    starts: Vec<Duration>,
}

/// It didn't start.
#[derive(Debug, thiserror::Error)]
#[error("the sidecar ended at its start: {0}")]
pub struct DidNotStart(ExitStatus);

// === impl Sidecar ===

impl Sidecar {
    /// Not started yet.
    pub fn new(binary: PathBuf, config: ConfigFolder, state: PathBuf) -> Self {
        let (address, _) = watch::channel(None);
        Self {
            binary,
            config,
            state,
            environment: Vec::new(),
            child: None,
            output: Output::default(),
            address,
            admin: None,
            starts: Vec::new(),
        }
    }

    /// With more in its environment from the next start on.
    pub fn set_environment(&mut self, variables: impl IntoIterator<Item = (&'static str, OsString)>) {
        self.environment.extend(variables);
    }

    /// Where it listens, while it does.
    pub fn address(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.address.subscribe()
    }

    /// Its admin port, once it has listened.
    pub fn admin(&self) -> anyhow::Result<SocketAddr> {
        self.admin.context("the sidecar doesn't listen")
    }

    /// Of the process, while there is one.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// How long the starts have taken.
    pub fn starts(&self) -> &[Duration] {
        &self.starts
    }

    /// What it said last, to show why something is wrong.
    pub fn last_words(&self) -> String {
        self.output.last_lines()
    }

    /// Starts, and doesn't wait until it listens.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "the sidecar runs already");
        let mut child = Command::new(&self.binary)
            .args(["run", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--config-dir"])
            .arg(self.config.path())
            .arg("--state-dir")
            .arg(&self.state)
            .env("RUST_LOG", "info")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the sidecar")?;
        self.output.follow(&mut child)?;
        self.child = Some(child);
        Ok(())
    }

    async fn until_it_listens(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let child = self.child.as_mut().context("the sidecar doesn't run")?;
        let mut listening = self.output.listening();
        let listening = tokio::select! {
            listening = listening.wait_for(Option::is_some) => *listening?,
            ended = child.wait() => {
                self.child = None;
                return Err(DidNotStart(ended?).into());
            }
        };
        self.starts.push(begun.elapsed());
        self.admin = listening.map(|listening| listening.admin);
        self.address.send_replace(listening.map(|listening| listening.webhook));
        Ok(())
    }

    /// Fails if it has ended, which it never does by itself, or broken down in part.
    pub fn ensure_well(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().transpose()) {
            bail!("the sidecar ended by itself: {}\n{}", status?, self.last_words());
        }
        ensure!(!self.output.panicked(), "the sidecar panicked\n{}", self.last_words());
        Ok(())
    }
}

impl Victim for Sidecar {
    fn kill(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            self.address.send_replace(None);
            let Some(mut child) = self.child.take() else { return Ok(()) };
            match child.start_kill() {
                // it was faster
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                sent => sent.context("kill the sidecar")?,
            }
            child.wait().await?;
            Ok(())
        })
    }

    fn start(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            self.spawn()?;
            timeout(PATIENCE, self.until_it_listens())
                .await
                .with_context(|| format!("the sidecar doesn't listen\n{}", self.last_words()))?
        })
    }
}
