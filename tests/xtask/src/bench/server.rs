//! The systems that are compared, each as one process on the server's processor.

use std::{
    fmt, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::Serialize;
use telegram_webhook_sidecar_config::WebhookConfig;
use telegram_webhook_tests::{
    cluster::{command, find_program},
    sidecar::{CRM_PATH, ConfigFolder, PATH, TOKEN},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, copy, sink},
    net::TcpStream,
    process::{Child, Command},
};

use super::site::{LISTED, Site};

/// Templates of the configurations.
const NGINX: &str = include_str!("../../bench/nginx.conf");
const HAPROXY: &str = include_str!("../../bench/haproxy.cfg");
const ENVOY: &str = include_str!("../../bench/envoy.yaml");
/// Time to start; none takes a second.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is kept of the output, to show why a system doesn't start.
const MAX_LOG: u64 = 16 << 10;

/// What may stand in front of a CRM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    Nginx,
    Haproxy,
    Envoy,
    Sidecar,
}

/// A running system; ends with the value.
pub struct Server {
    pub pid: u32,
    pub address: SocketAddr,
    child: Child,
    /// What the sidecar reads and writes.
    _files: Option<(ConfigFolder, TempDir)>,
}

// === impl System ===

impl System {
    pub const ALL: [Self; 4] = [Self::Nginx, Self::Haproxy, Self::Envoy, Self::Sidecar];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Sidecar => "sidecar",
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

// === impl Server ===

impl Server {
    /// Starts nginx, HAProxy or Envoy from its template, or the sidecar as [`Site::sidecar_config`] has it.
    pub async fn start(system: System, site: &Site, envoy: &Path) -> anyhow::Result<Self> {
        let address = free_address()?;
        let render = |name: &str, template: &str| -> anyhow::Result<PathBuf> {
            let file = site.file(name);
            fs::write(&file, fill(template, site, address)?)?;
            Ok(file)
        };
        let program = |name: &str| find_program(name).with_context(|| format!("{name} is missing"));
        let mut command;
        match system {
            System::Nginx => {
                command = site.server(&program("nginx")?);
                command.arg("-c").arg(render("nginx.conf", NGINX)?).arg("-e").arg("stderr");
            }
            System::Haproxy => {
                command = site.server(&program("haproxy")?);
                command.arg("-db").arg("-f").arg(render("haproxy.cfg", HAPROXY)?);
            }
            System::Envoy => {
                command = site.server(envoy);
                command.args(["--concurrency", "1", "--disable-hot-restart", "-l", "error"]);
                command.arg("-c").arg(render("envoy.yaml", ENVOY)?);
            }
            System::Sidecar => return Self::start_sidecar(site, &site.synchronous_config()).await,
        }
        Self::spawn(system, site, command, address, None).await
    }

    /// Starts the sidecar.
    pub async fn start_sidecar(site: &Site, config: &WebhookConfig) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut folder = ConfigFolder::new()?;
        folder.set("support", config, &site.certificate);
        folder.publish()?;
        let mut command = site.server(&site.binaries.sidecar);
        command.args(["run", "--listen", &address.to_string(), "--admin-listen", "127.0.0.1:0"]);
        let state = site.state()?;
        command.arg("--config-dir").arg(folder.path()).arg("--state-dir").arg(state.path());
        Self::spawn(System::Sidecar, site, command, address, Some((folder, state))).await
    }

    async fn spawn(
        system: System,
        site: &Site,
        mut command: Command,
        address: SocketAddr,
        files: Option<(ConfigFolder, TempDir)>,
    ) -> anyhow::Result<Self> {
        let log = site.file(&format!("{system}.log"));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {system}"))?;
        drain(child.stdout.take().context("no output")?, log.with_extension("out"));
        drain(child.stderr.take().context("no output")?, log.clone());
        let pid = child.id().with_context(|| format!("{system} ended at once"))?;
        let mut server = Self { pid, address, child, _files: files };
        if let Err(error) = server.wait_until_ready().await {
            let said = |file: &Path| fs::read_to_string(file).unwrap_or_default();
            bail!("{system} doesn't start: {error:#}\n{}{}", said(&log.with_extension("out")), said(&log));
        }
        Ok(server)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let (child, address) = (&mut self.child, self.address);
        command::wait_until("it listens", PATIENCE, async || {
            if let Some(status) = child.try_wait()? {
                bail!("ended: {status}");
            }
            Ok(TcpStream::connect(address).await.err().map(|error| error.to_string()))
        })
        .await
    }
}

fn fill(template: &str, site: &Site, address: SocketAddr) -> anyhow::Result<String> {
    let folder = site.folder.path().to_str().context("the folder for temporary files is not UTF-8")?;
    let (network, length) = LISTED;
    let filled = [
        ("@DIR@", folder),
        ("@PORT@", &address.port().to_string()),
        ("@PATH@", PATH),
        ("@TOKEN@", TOKEN),
        ("@LISTED@", &format!("{network}/{length}")),
        ("@LISTED_ADDRESS@", network),
        ("@LISTED_LENGTH@", length),
        ("@CRM_PORT@", &site.crm_port.to_string()),
        ("@CRM_PATH@", CRM_PATH),
    ]
    .into_iter()
    .fold(template.to_owned(), |text, (name, value)| text.replace(name, value));
    Ok(filled)
}

/// An address that nobody listens at now.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Reads an output as a collector of logs does, so that the writer pays for what it writes; the start is kept.
fn drain(output: impl AsyncRead + Unpin + Send + 'static, file: PathBuf) {
    tokio::spawn(async move {
        let mut output = output;
        let mut start = Vec::new();
        let mut head = (&mut output).take(MAX_LOG);
        // as it comes: a system that fails says little
        while let Ok(1..) = head.read_buf(&mut start).await {
            fs::write(&file, &start).ok();
        }
        copy(&mut output, &mut sink()).await.ok();
    });
}
