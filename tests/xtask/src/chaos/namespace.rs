//! A network namespace for a whole run: a cut in it is none in the machine's network, and ends with the run.

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// Says that we are in it.
const INSIDE: &str = "TGWH_CHAOS_NAMESPACE";
/// With a way to itself, and to nobody else.
const ENTER: &str = r#"ip link set lo up && exec "$@""#;

/// Runs the same command once more in a namespace of its own, unless that is where it runs already; whether it did.
pub async fn enter() -> anyhow::Result<bool> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(false);
    }
    ensure!(rustix::process::geteuid().is_root(), "a network to cut is made by root only");
    let program = std::env::current_exe().context("which program is this?")?;
    let status = Command::new("unshare")
        .args(["--net", "sh", "-c", ENTER, "sh"])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .kill_on_drop(true)
        .status()
        .await
        .context("start unshare")?;
    ensure!(status.success(), "the run failed");
    Ok(true)
}
