//! Real redis-servers on free ports, each with a folder of its own.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::ports;
use crate::{pki::Authority, wait};
use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Longest that a server takes to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// The user that may do what the sidecar's manual asks for, and no more.
pub const USER: &str = "sidecar";
/// What that user may do.
pub const MAY: &str = "~telegram-webhook:* +@stream +@hash +@sortedset +@connection +incr +time +evalsha +script|load \
                   +memory|usage +config|get +role +cluster|slots";

/// A redis-server, or a sentinel.
pub struct RedisServer {
    // ended before its folder is removed
    process: Child,
    dir: TempDir,
    port: u16,
    is_sentinel: bool,
}

// === impl RedisServer ===

impl RedisServer {
    /// One that keeps what it acknowledges, with more lines in its configuration file.
    pub async fn start(lines: &str) -> anyhow::Result<Self> {
        Self::start_durable(tempfile::tempdir()?, lines).await
    }

    /// The same in a folder of our choice: temporary files may be in memory.
    pub async fn start_under(folder: &Path) -> anyhow::Result<Self> {
        Self::start_durable(tempfile::tempdir_in(folder)?, "").await
    }

    async fn start_durable(dir: TempDir, lines: &str) -> anyhow::Result<Self> {
        let [port] = ports::free()?;
        let lines = format!("port {port}\nappendonly yes\nappendfsync always\nsave \"\"\n{lines}");
        Self::start_in(dir, port, &lines, false).await
    }

    /// One that speaks TLS alone, with a certificate for `name`, and lets [`USER`] in with the password.
    pub async fn start_guarded(authority: &Authority, name: &str, password: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let leaf = authority.issue(name)?;
        let [port] = ports::free()?;
        let mut lines =
            format!("port 0\ntls-port {port}\ntls-auth-clients no\nappendonly yes\nappendfsync always\n");
        for (setting, pem) in [
            ("tls-cert-file", leaf.chain.as_str()),
            ("tls-key-file", &leaf.key),
            ("tls-ca-cert-file", authority.pem()),
        ] {
            let path = dir.path().join(setting);
            fs::write(&path, pem)?;
            writeln!(lines, "{setting} {}", path.display())?;
        }
        writeln!(
            lines,
            "user {USER} on >{password} {MAY}\nuser default off\nuser admin on nopass ~* &* +@all"
        )?;
        Self::start_in(dir, port, &lines, false).await
    }

    /// One that watches over another, by a name.
    pub async fn start_sentinel(service: &str, watched: &Self) -> anyhow::Result<Self> {
        let [port] = ports::free()?;
        let lines = format!(
            "port {port}\nsentinel monitor {service} 127.0.0.1 {} 1\nsentinel down-after-milliseconds {service} 500\n\
             sentinel failover-timeout {service} 5000\n",
            watched.port
        );
        Self::start_in(tempfile::tempdir()?, port, &lines, true).await
    }

    async fn start_in(dir: TempDir, port: u16, lines: &str, is_sentinel: bool) -> anyhow::Result<Self> {
        let socket = dir.path().join("socket");
        let lines = format!(
            "{lines}\nbind 127.0.0.1\ndir {}\nunixsocket {}\ndaemonize no\nlogfile log\n",
            dir.path().display(),
            socket.display()
        );
        fs::write(dir.path().join("redis.conf"), lines)?;
        let process = run(&dir, is_sentinel)?;
        let server = Self { process, dir, port, is_sentinel };
        server.ready().await?;
        Ok(server)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Of its process.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().context("redis-server has ended")
    }

    /// Ends it as kill -9 does.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }

    /// Starts it again where it was.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = run(&self.dir, self.is_sentinel)?;
        self.ready().await
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let ready = wait::until("redis-server to answer", PATIENCE, async || {
            let answer = self.command(&["PING"]).await?;
            Ok((answer == "PONG").then_some(()))
        });
        ready.await.with_context(|| fs::read_to_string(self.dir.path().join("log")).unwrap_or_default())
    }

    /// What it answers to somebody who may do everything.
    pub async fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("redis-cli");
        command.arg("-s").arg(self.socket()).arg("--no-auth-warning");
        let conf = fs::read_to_string(self.dir.path().join("redis.conf"))?;
        if conf.contains("user admin") {
            command.args(["--user", "admin", "--pass", "any"]);
        }
        let output = command.args(words).output().await?;
        let answer = String::from_utf8(output.stdout)?.trim_end().to_owned();
        ensure!(output.status.success(), "{words:?}: {answer} {}", String::from_utf8_lossy(&output.stderr));
        Ok(answer)
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }
}

fn run(dir: &TempDir, is_sentinel: bool) -> anyhow::Result<Child> {
    let mut command = Command::new("redis-server");
    command.arg(dir.path().join("redis.conf")).args(is_sentinel.then_some("--sentinel")).kill_on_drop(true);
    command.spawn().context("redis-server can't be started: apt-get install redis-server")
}
