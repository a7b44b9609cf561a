//! What every system of a benchmark is set up for: one webhook, its certificate, its CRM, and who may call it from where.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use telegram_webhook_sidecar_config::{Delivery, DeliveryMode, Limits, Rate, SourceAddress, WebhookConfig};
use telegram_webhook_tests::{
    cluster::{command, target_folder},
    pki::{Authority, Leaf},
    sidecar::{HOST, NAME, PATH, config},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

use super::{machine::Processors, tools::Binaries};

/// As long as the right one, and right for a while.
pub const WRONG_TOKEN: &str = "aToken-that_Telegram-was_told-0123456789abX";
/// Stands for Telegram's networks; clients are at 127.0.0.1.
pub const LISTED: (&str, &str) = ("127.0.0.0", "29");
/// Whom the sidecar bans; the others have it unlisted.
pub const BANNED: &str = "127.0.0.8/29";
/// Beyond what any system here can take: counted, never refused.
const UNLIMITED: Rate = Rate { requests: 1_000_000, window_seconds: 1 };
/// Ids that each run of a load has for itself.
const IDS_PER_RUN: u64 = 2_000_000;
const FIRST_ID: u64 = 1_000_000_000;

/// Everything that doesn't differ between the systems.
pub struct Site {
    pub folder: TempDir,
    /// Where states are: not among temporary files, which may be in memory.
    states: TempDir,
    pub certificate: Leaf,
    pub processors: Processors,
    pub binaries: Binaries,
    pub crm_port: u16,
    next_id: u64,
    priority: Priority,
    _crm: Child,
}

/// Who runs when others want the processor too.
#[derive(Clone, Copy, Debug)]
pub enum Priority {
    /// Others first.
    Idle,
    /// Everybody in turn.
    Ordinary,
    /// The benchmark, before all else: for a machine that is busy with other things.
    RealTime,
}

// === impl Site ===

impl Site {
    pub async fn new(binaries: Binaries, priority: Priority) -> anyhow::Result<Self> {
        let processors = Processors::claim()?;
        let folder = tempfile::tempdir().context("make a folder for temporary files")?;
        let authority = Authority::new()?;
        let certificate = authority.issue(HOST)?;
        for (name, content) in [
            ("ca.crt", authority.pem()),
            ("tls.crt", &certificate.chain),
            ("tls.key", &certificate.key),
            ("both.pem", &format!("{}{}", certificate.chain, certificate.key)),
        ] {
            fs::write(folder.path().join(name), content)?;
        }
        let mut crm = priority
            .command(&binaries.load)
            .arg("crm")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the CRM")?;
        let mut port = String::new();
        let output = crm.stdout.take().context("the CRM has no output")?;
        BufReader::new(output).read_line(&mut port).await?;
        let crm_port = port.trim().parse().context("the CRM tells no port")?;
        Ok(Self {
            folder,
            states: tempfile::tempdir_in(target_folder()?).context("make a folder for states")?,
            certificate,
            processors,
            binaries,
            crm_port,
            next_id: FIRST_ID,
            priority,
            _crm: crm,
        })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The first of the ids for a run: a second update with the same id would be a duplicate.
    pub fn first_id(&mut self) -> u64 {
        let first = self.next_id;
        self.next_id += IDS_PER_RUN;
        first
    }

    /// A folder for the state of one more sidecar.
    pub fn state(&self) -> anyhow::Result<TempDir> {
        tempfile::tempdir_in(self.states.path()).context("make a folder for a state")
    }

    /// How many updates the CRM has taken, of all systems together.
    pub async fn taken_by_crm(&self) -> anyhow::Result<u64> {
        let mut crm = TcpStream::connect(("127.0.0.1", self.crm_port)).await.context("ask the CRM")?;
        crm.write_all(b"GET / HTTP/1.1\r\nHost: crm\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        crm.read_to_string(&mut answer).await?;
        let taken = answer.rsplit("\r\n").next().and_then(|body| body.parse().ok());
        taken.with_context(|| format!("the CRM tells no number: {answer}"))
    }

    /// The sidecar's configuration: what it is by default, but for loads of a benchmark and the addresses of this machine.
    pub fn sidecar_config(&self) -> WebhookConfig {
        let (network, length) = LISTED;
        WebhookConfig {
            source_address: SourceAddress {
                ranges: vec![format!("{network}/{length}")],
                ..SourceAddress::default()
            },
            limits: Limits { authenticated: UNLIMITED, banned: vec![BANNED.to_owned()], ..Limits::default() },
            ..config(NAME, HOST, self.crm_port)
        }
    }

    /// The same, and nothing is stored: the answer waits for the CRM, as that of a proxy does.
    pub fn synchronous_config(&self) -> WebhookConfig {
        let delivery = Delivery { mode: DeliveryMode::Synchronous, ..Delivery::default() };
        WebhookConfig { delivery, ..self.sidecar_config() }
    }

    /// A command that is measured: on the server's processor. taskset and chrt become the program, so the pid is the program's.
    pub fn server(&self, program: &Path) -> Command {
        let mut command = self.priority.command(Path::new("taskset"));
        command.args(["--cpu-list", &self.processors.server.to_string()]).arg(program);
        command
    }

    /// A command that measures.
    pub fn client(&self, program: &Path) -> Command {
        self.priority.command(program)
    }

    /// A command of the load tool that measures, with whatever it needs to reach the server.
    pub fn load(&self, name: &[&str], address: SocketAddr, token: &str) -> Command {
        self.load_at(self.priority, name, address, token)
    }

    /// The same for a load that gives way to those that measure.
    pub fn background_load(&self, name: &[&str], address: SocketAddr, token: &str) -> Command {
        let priority = match self.priority {
            Priority::RealTime => Priority::Ordinary,
            Priority::Ordinary | Priority::Idle => Priority::Idle,
        };
        self.load_at(priority, name, address, token)
    }

    fn load_at(&self, priority: Priority, name: &[&str], address: SocketAddr, token: &str) -> Command {
        let mut load = priority.command(&self.binaries.load);
        load.args(name).args(["--address", &address.to_string(), "--host", HOST]);
        load.args(["--path", PATH, "--token", token]);
        load.arg("--authority").arg(self.file("ca.crt"));
        load
    }
}

// === impl Priority ===

impl Priority {
    pub fn new(real_time: bool) -> Self {
        if real_time { Self::RealTime } else { Self::Ordinary }
    }

    fn command(self, program: &Path) -> Command {
        let policy = match self {
            Self::Idle => ["--idle", "0"],
            Self::Ordinary => ["--other", "0"],
            Self::RealTime => ["--rr", "1"],
        };
        let mut command = Command::new("chrt");
        command.args(policy).arg(program);
        command
    }
}

/// Runs a load to its end; what it printed last.
pub async fn outcome<T: DeserializeOwned>(load: &mut Command) -> anyhow::Result<T> {
    let output = command::output_of(load).await?;
    let last = output.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("unexpected output of the load: {output}"))
}
