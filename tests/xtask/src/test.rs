//! `cargo xtask test`: everything that must hold, in the order in which a fault is cheapest to find.

use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

use crate::{demo, progress::Progress, services};

/// One command of the run, what it shows, and how long it usually takes on two cores.
struct Step {
    what: &'static str,
    usually: &'static str,
    command: &'static [&'static str],
}

/// What needs no cluster.
const HERE: &[Step] = &[
    Step { what: "formatting", usually: "1 s", command: &["fmt", "--all", "--check"] },
    Step {
        what: "formatting of the fuzz targets",
        usually: "1 s",
        command: &["fmt", "--manifest-path", "sidecar/fuzz/Cargo.toml", "--check"],
    },
    Step {
        what: "lints",
        usually: "3 min cold, seconds warm",
        command: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
    },
    Step {
        what: "unit tests",
        usually: "4 min cold, seconds warm",
        command: &["test", "--workspace", "--lib", "--bins"],
    },
    Step {
        what: "the simulator against what was measured on Telegram's own delivery engine",
        usually: "1 min",
        command: &["test", "--workspace", "--test", "simulator"],
    },
    Step {
        what: "the sidecar as a black box, over real TLS",
        usually: "1 min",
        command: &["test", "--workspace", "--test", "sidecar"],
    },
    Step {
        what: "the sidecar's TLS as sslyze (Mozilla's intermediate) and testssl see it",
        usually: "2 min",
        command: &["test", "--workspace", "--test", "scanners", "--", "--nocapture"],
    },
    Step {
        what: "python-telegram-bot, aiogram, grammY and the libraries of Standard Webhooks behind the sidecar",
        usually: "1 min cold, 10 s warm",
        command: &["test", "--workspace", "--test", "frameworks", "--", "--nocapture"],
    },
    Step {
        what: "every queue's promises, on a real disk, a real Redis and a real RabbitMQ",
        usually: "3 min",
        command: &["test", "--workspace", "--test", "queue"],
    },
    Step {
        what: "kill -9 of the sidecar under load: every acknowledged update arrives, once and in order",
        usually: "20 s",
        command: &["xtask", "chaos", "queue", "--kills", "20"],
    },
    Step {
        what: "the same with a real Redis, which is killed too",
        usually: "30 s",
        command: &["xtask", "chaos", "queue", "--backend", "redis", "--kills", "6"],
    },
    Step {
        what: "the same with a real RabbitMQ, which is killed too",
        usually: "1 min",
        command: &["xtask", "chaos", "queue", "--backend", "rabbitmq", "--kills", "6"],
    },
    Step {
        what: "a day without a CRM, twice killed: all that came arrives afterwards, once and in order",
        usually: "20 s",
        command: &["xtask", "chaos", "day", "--updates", "5000"],
    },
    Step {
        what: "fuzzing of what strangers and people write, 20 s each",
        usually: "5 min cold, 1 min warm",
        command: &["xtask", "fuzz", "20"],
    },
];

/// What needs one. The scenarios wait for pods most of the time, so more of them run at once than there are cores.
const ON_THE_CLUSTER: &[Step] = &[
    Step {
        what: "the operator against a real API server",
        usually: "1 min",
        command: &["test", "--workspace", "--test", "operator", "--", "--test-threads=4"],
    },
    Step {
        what: "the whole path on a real cluster",
        usually: "4 min",
        command: &["test", "--workspace", "--test", "system", "--", "--test-threads=4"],
    },
];

/// Runs everything. The demo at the end takes the cluster down; after a failure it stays, for a look at it.
pub async fn run() -> anyhow::Result<()> {
    let progress = Progress::new();
    let outcome = steps(&progress).await;
    progress.say(match &outcome {
        Ok(()) => "everything passed",
        Err(_) => {
            "failed. If the cluster is up it stays for a look: cargo xtask cluster status, and down to end it"
        }
    });
    outcome
}

async fn steps(progress: &Progress) -> anyhow::Result<()> {
    services::install_brokers(progress).await?;
    for step in HERE {
        run_step(step, progress).await?;
    }
    single_tls_stack(progress).await?;
    deny(progress).await?;
    for step in ON_THE_CLUSTER {
        run_step(step, progress).await?;
    }
    progress.say("the demo");
    demo::run(true).await
}

async fn run_step(step: &Step, progress: &Progress) -> anyhow::Result<()> {
    let Step { what, usually, command } = step;
    progress.say(&format!("{what} (usually {usually}): cargo {}", command.join(" ")));
    let status = Command::new(env!("CARGO")).args(*command).status().await?;
    if !status.success() {
        bail!("{what}: cargo {} failed", command.join(" "));
    }
    Ok(())
}

/// No second crypto library may be compiled in, whichever feature asks for it.
async fn single_tls_stack(progress: &Progress) -> anyhow::Result<()> {
    progress.say("one TLS stack: rustls with aws-lc-rs");
    for banned in ["ring", "openssl-sys", "native-tls"] {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--workspace", "-e", "normal,build", "--target", "x86_64-unknown-linux-gnu"])
            .args(["-i", banned])
            .output()
            .await?;
        // cargo fails where the lock file has no such package, and prints nothing where it is not compiled in
        let unknown = String::from_utf8_lossy(&output.stderr).contains("did not match any packages");
        ensure!(
            output.stdout.is_empty() && (output.status.success() || unknown),
            "{banned} is compiled in, or cargo tree failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Licences, sources and doubled versions, where cargo-deny is installed.
async fn deny(progress: &Progress) -> anyhow::Result<()> {
    let installed = Command::new(env!("CARGO"))
        .args(["deny", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await
        .context("can't start cargo")?
        .success();
    if !installed {
        progress
            .say("licences not checked: cargo-deny is missing (cargo install --locked cargo-deny, 6 min)");
        return Ok(());
    }
    progress.say("licences, sources, doubled versions");
    // it looks at what is for other systems too, which nothing has downloaded so far
    let fetched = Command::new(env!("CARGO")).args(["fetch", "--locked"]).status().await?;
    ensure!(fetched.success(), "cargo fetch --locked failed");
    let status = Command::new(env!("CARGO"))
        .args(["deny", "--offline", "--config", ".deny.toml", "check", "bans", "licenses", "sources"])
        .status()
        .await?;
    if !status.success() {
        bail!("cargo deny found something: see .deny.toml");
    }
    Ok(())
}
