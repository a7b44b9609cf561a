//! The real sidecar binary as a child process, with a configuration folder that behaves like the kubelet's and certificates
//! of an authority of our own.

mod folder;
mod webhook;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{OnceCell, watch},
    time::timeout,
};

use crate::binaries;

pub use self::{
    folder::ConfigFolder,
    webhook::{CRM_PATH, HOST, NAME, PATH, TOKEN, WEBHOOK, config, slot},
};

/// Far beyond what anything here takes: reached only when something is broken.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Short enough for a test to wait for, long enough for requests that do end.
const SHUTDOWN_DEADLINE_SECONDS: &str = "3";

/// A running sidecar; ends with the value.
pub struct Sidecar {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
    /// Its state, unless it is the test's to keep.
    _state: Option<TempDir>,
    pub webhook_address: SocketAddr,
    pub admin_address: SocketAddr,
}

/// How a sidecar that did not start ended.
pub struct Ended {
    pub status: ExitStatus,
    pub lines: Vec<String>,
}

/// A child and the lines that it writes.
type Spawned = (Child, watch::Receiver<Vec<String>>);

/// Options that name the configuration.
const FOLDER: &str = "--config-dir";
const FILE: &str = "--config";

/// Name of the binary.
const BINARY: &str = "telegram-webhook-sidecar";

/// Path of the binary, built at the first call.
pub async fn binary() -> anyhow::Result<&'static Path> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let path = BUILT
        .get_or_try_init(|| async {
            let mut built = binaries::build(&[BINARY]).await?;
            built.remove(BINARY).context("cargo built no sidecar")
        })
        .await?;
    Ok(path)
}

// === impl Sidecar ===

impl Sidecar {
    /// Starts with the folder's configuration and waits until it listens.
    pub async fn start(folder: &ConfigFolder) -> anyhow::Result<Self> {
        Self::start_at(folder.path()).await
    }

    /// The same with any folder.
    pub async fn start_at(folder: &Path) -> anyhow::Result<Self> {
        Self::start_on_its_own(FOLDER, folder).await
    }

    /// The same with a file in place of the folder.
    pub async fn start_with_file(file: &Path) -> anyhow::Result<Self> {
        Self::start_on_its_own(FILE, file).await
    }

    /// The same with a state folder that outlives it.
    pub async fn start_with_state(folder: &Path, state: &Path) -> anyhow::Result<Self> {
        Self::listening(spawn(FOLDER, folder, state, &[]).await?).await
    }

    /// Starts with the folder's configuration one that stores and delivers nothing.
    pub async fn start_store_only(folder: &ConfigFolder) -> anyhow::Result<Self> {
        let state = tempfile::tempdir()?;
        let spawned = spawn(FOLDER, folder.path(), state.path(), &["--store-only"]).await?;
        Ok(Self { _state: Some(state), ..Self::listening(spawned).await? })
    }

    async fn start_on_its_own(option: &str, config: &Path) -> anyhow::Result<Self> {
        let state = tempfile::tempdir()?;
        let sidecar = Self::listening(spawn(option, config, state.path(), &[]).await?).await?;
        Ok(Self { _state: Some(state), ..sidecar })
    }

    async fn listening((mut child, lines): Spawned) -> anyhow::Result<Self> {
        let listening = match wait_for_message(lines.clone(), 0, "listening").await {
            Ok(line) => line,
            Err(error) => {
                let status = child.try_wait();
                bail!("{error:#}; status {status:?}; log {:#?}", *lines.borrow());
            }
        };
        let address = |field: &str| -> anyhow::Result<SocketAddr> {
            let line: Value = serde_json::from_str(&listening)?;
            let address = line.pointer(field).and_then(Value::as_str);
            Ok(address.context("no address in the log")?.parse()?)
        };
        Ok(Self {
            webhook_address: address("/fields/webhook_address")?,
            admin_address: address("/fields/admin_address")?,
            child,
            lines,
            _state: None,
        })
    }

    /// Starts with a folder that it is expected to refuse and waits for its end.
    pub async fn start_in_vain(folder: &Path) -> anyhow::Result<Ended> {
        Self::start_in_vain_with_state(folder, tempfile::tempdir()?.path()).await
    }

    /// The same with a file in place of the folder.
    pub async fn start_with_file_in_vain(file: &Path) -> anyhow::Result<Ended> {
        Ended::of(spawn(FILE, file, tempfile::tempdir()?.path(), &[]).await?).await
    }

    /// The same with any state folder.
    pub async fn start_in_vain_with_state(folder: &Path, state: &Path) -> anyhow::Result<Ended> {
        Ended::of(spawn(FOLDER, folder, state, &[]).await?).await
    }

    /// All that it has written so far.
    pub fn log(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// Waits for a log line with this message, among those after the first `skip` lines.
    pub async fn logged(&self, skip: usize, message: &str) -> anyhow::Result<String> {
        wait_for_message(self.lines.clone(), skip, message).await
    }

    /// Waits for any other log line.
    pub async fn logged_where(&self, what: &str, is_wanted: impl Fn(&str) -> bool) -> anyhow::Result<String> {
        wait_for_line(self.lines.clone(), 0, what, is_wanted).await
    }

    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.child.id().context("it has ended already")?;
        let pid = Pid::from_raw(i32::try_from(id)?).context("no process has the id 0")?;
        kill_process(pid, signal).context("send a signal")
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let status = timeout(DEADLINE, self.child.wait()).await.context("it goes on")?;
        Ok(status?)
    }
}

// === impl Ended ===

impl Ended {
    async fn of((mut child, lines): Spawned) -> anyhow::Result<Self> {
        let status = timeout(DEADLINE, child.wait()).await.context("it goes on")??;
        let mut all = lines;
        // the sender is gone when both outputs are read to their end
        while all.changed().await.is_ok() {}
        let lines = all.borrow().clone();
        Ok(Self { status, lines })
    }
}

async fn spawn(option: &str, config: &Path, state: &Path, more: &[&str]) -> anyhow::Result<Spawned> {
    let mut child = Command::new(binary().await?)
        .args(["run", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .args(["--shutdown-deadline-seconds", SHUTDOWN_DEADLINE_SECONDS])
        .args(["--poll-interval-ms", "20", option])
        .arg(config)
        .arg("--state-dir")
        .arg(state)
        .args(more)
        // all there is to log: the tests search it for secrets
        .env("RUST_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("start the sidecar")?;
    let (lines, receiver) = watch::channel(Vec::new());
    follow(child.stdout.take().context("no standard output")?, lines.clone());
    follow(child.stderr.take().context("no standard error")?, lines);
    Ok((child, receiver))
}

fn follow(output: impl AsyncRead + Unpin + Send + 'static, lines: watch::Sender<Vec<String>>) {
    let mut reader = BufReader::new(output).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = reader.next_line().await {
            lines.send_modify(|lines| lines.push(line));
        }
    });
}

async fn wait_for_message(
    lines: watch::Receiver<Vec<String>>,
    skip: usize,
    wanted: &str,
) -> anyhow::Result<String> {
    wait_for_line(lines, skip, wanted, |line| message(line) == wanted).await
}

async fn wait_for_line(
    mut lines: watch::Receiver<Vec<String>>,
    skip: usize,
    what: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> anyhow::Result<String> {
    let mut seen = skip;
    let mut found = None;
    let look = lines.wait_for(|lines| {
        found = lines.iter().skip(seen).find(|line| is_wanted(line)).cloned();
        seen = seen.max(lines.len());
        found.is_some()
    });
    timeout(DEADLINE, look)
        .await
        .with_context(|| format!("no log line {what:?}"))?
        .with_context(|| format!("the log ended without {what:?}"))?;
    found.context("the line is gone")
}

/// Message of a JSON log line, empty for any other line.
fn message(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let message = line.pointer("/fields/message").and_then(Value::as_str);
    message.unwrap_or_default().to_owned()
}
