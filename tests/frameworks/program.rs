//! A framework or a library at work: a program of `programs/` as a process, which listens at a port of its own and says in lines of
//! JSON what it gets.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;
use telegram_webhook_tests::{sidecar::DEADLINE, tools};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::watch,
    time::timeout,
};

/// Debian packages that run JavaScript and install it.
const NODE: &[(&str, &[&str])] = &[("nodejs", &["node"]), ("npm", &["npm"])];

/// Several frameworks may be started at once, and each imports a lot.
const START: Duration = Duration::from_mins(2);

/// What runs, and what it needs of its registry.
#[derive(Clone, Copy)]
pub enum Source {
    Python { program: &'static str, requirement: &'static str },
    Node { program: &'static str, requirement: &'static str },
}

/// A running program; it ends with the value.
pub struct Program {
    pub port: u16,
    said: watch::Receiver<Vec<Value>>,
    _process: Child,
}

// === impl Source ===

impl Source {
    async fn command(self) -> anyhow::Result<Command> {
        match self {
            Self::Python { program, requirement } => {
                let programs = tools::python(requirement, &say).await?;
                let mut command = Command::new(programs.join("python"));
                command.arg(path(program));
                Ok(command)
            }
            Self::Node { program, requirement } => {
                tools::require(NODE, &say).await?;
                let mut command = Command::new("node");
                command.arg(path(program)).env("NODE_PATH", tools::node(requirement, &say).await?);
                Ok(command)
            }
        }
    }
}

// === impl Program ===

impl Program {
    /// Installs it where it isn't, starts it, and waits until it listens.
    pub async fn start(source: Source, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut process = source
            .command()
            .await?
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().context("no standard output")?;
        let (sender, mut said) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // a framework may have something to say for people
                match serde_json::from_str(&line) {
                    Ok(value) => sender.send_modify(|said: &mut Vec<Value>| said.push(value)),
                    Err(_) => eprintln!("{line}"),
                }
            }
        });
        let first = timeout(START, said.wait_for(|said| !said.is_empty())).await;
        let first = first.context("it doesn't start")?.context("it ended")?.first().cloned();
        let port = first.as_ref().and_then(|said| said["port"].as_u64()).context("it says no port")?;
        Ok(Self { port: u16::try_from(port)?, said, _process: process })
    }

    /// What it has got so far.
    pub fn got(&self) -> Vec<Value> {
        self.said.borrow().iter().skip(1).cloned().collect()
    }

    /// Waits until it has got so many, or more.
    pub async fn has_got(&self, number: usize) -> anyhow::Result<Vec<Value>> {
        let mut said = self.said.clone();
        match timeout(DEADLINE, said.wait_for(|said| said.len() > number)).await {
            Ok(said) => drop(said.context("it ended")?),
            Err(_) => anyhow::bail!("{number} expected: {:#?}", self.got()),
        }
        Ok(self.got())
    }
}

fn path(program: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("frameworks/programs").join(program)
}

fn say(what: &str) {
    eprintln!("{what}");
}
