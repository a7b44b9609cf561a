//! Programs that tests use and this workspace doesn't build: Debian packages, and what the Python index and npm have.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use tokio::sync::Mutex;

use crate::cluster::{self, Progress, command, find_program, install_packages, missing_packages_of};

/// Installs those packages of which a program is missing; returns their names.
pub async fn require<'a>(
    packages: &[(&'a str, &[&str])],
    progress: Progress<'_>,
) -> anyhow::Result<Vec<&'a str>> {
    let missing = missing_packages_of(packages, |name| find_program(name).is_some());
    if missing.is_empty() {
        return Ok(missing);
    }
    if !rustix::process::geteuid().is_root() || find_program("apt-get").is_none() {
        bail!("Debian packages are missing: apt-get install {}", missing.join(" "));
    }
    install_packages(&missing, progress).await?;
    Ok(missing)
}

/// One at a time: tests of a process run side by side.
static INSTALLING: Mutex<()> = Mutex::const_new(());

/// The folder with the programs of a tool such as `sslyze==6.3.1`, installed under `target/tools` at the first call.
pub async fn python(requirement: &str, progress: Progress<'_>) -> anyhow::Result<PathBuf> {
    let folder = installed(requirement, async |folder| {
        // Debian's python3 alone makes no virtual environment
        if command::run("python3", &["-c", "import ensurepip, venv"]).await.is_err() {
            install_packages(&["python3-venv"], progress).await?;
        }
        progress(&format!("installing {requirement} from the Python index (1 min)"));
        command::run("python3", &["-m", "venv", "--clear", text(folder)?]).await?;
        let python = folder.join("bin/python");
        command::run(python, &["-m", "pip", "--quiet", "install", requirement]).await.map(drop)
    });
    Ok(folder.await?.join("bin"))
}

/// The `node_modules` with a package such as `grammy@1.46.0` of npm, installed in the same way.
pub async fn node(requirement: &str, progress: Progress<'_>) -> anyhow::Result<PathBuf> {
    let folder = installed(requirement, async |folder| {
        progress(&format!("installing {requirement} from npm (10 s)"));
        fs::create_dir_all(folder)?;
        // without one of its own it would look for one above
        fs::write(folder.join("package.json"), "{}")?;
        let options = ["install", "--no-audit", "--no-fund", "--prefix", text(folder)?, requirement];
        command::run("npm", &options).await.map(drop)
    });
    Ok(folder.await?.join("node_modules"))
}

/// The folder of a requirement, filled at the first call.
async fn installed(
    requirement: &str,
    install: impl AsyncFnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let folder = cluster::target_folder()?.join("tools").join(requirement);
    // written last: a folder without it is what an interrupted run left
    let complete = folder.join("complete");
    let _guard = INSTALLING.lock().await;
    if !complete.exists() {
        install(&folder).await?;
        fs::write(complete, "")?;
    }
    Ok(folder)
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the path of the target folder is not UTF-8")
}
