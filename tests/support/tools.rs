//! Programs that tests use and this workspace doesn't build: Debian packages, and tools of the Python index.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};

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

/// The folder with the programs of a tool such as `sslyze==6.3.1`, installed under `target/tools` at the first call.
pub async fn python(requirement: &str, progress: Progress<'_>) -> anyhow::Result<PathBuf> {
    let folder = cluster::target_folder()?.join("tools").join(requirement);
    let programs = folder.join("bin");
    // written last: a folder without it is what an interrupted run left
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(programs);
    }
    // Debian's python3 alone makes no virtual environment
    if command::run("python3", &["-c", "import ensurepip, venv"]).await.is_err() {
        install_packages(&["python3-venv"], progress).await?;
    }
    progress(&format!("installing {requirement} from the Python index (1 min)"));
    let text = folder.to_str().context("the path of the target folder is not UTF-8")?;
    command::run("python3", &["-m", "venv", "--clear", text]).await?;
    command::run(programs.join("python"), &["-m", "pip", "--quiet", "install", requirement]).await?;
    fs::write(complete, "")?;
    Ok(programs)
}
