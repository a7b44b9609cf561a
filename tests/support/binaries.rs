//! The workspace's binaries, built with the cargo that runs us, so that nobody tests an old one.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::process::Command;

/// Builds the binaries of these names; returns the path of each.
pub async fn build(names: &[&str]) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    cargo_build(&[], names).await
}

/// Builds one binary as the images hold it: optimised, with the features of its own package only, which has the same name.
pub async fn build_release(name: &str) -> anyhow::Result<PathBuf> {
    let mut built = cargo_build(&["--release", "--package", name], &[name]).await?;
    built.remove(name).with_context(|| format!("cargo built no {name}"))
}

async fn cargo_build(options: &[&str], names: &[&str]) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // cargo shows its progress on standard error
    command.args(["build", "--message-format", "json-render-diagnostics"]).args(options);
    for name in names {
        command.args(["--bin", name]);
    }
    let output = command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("cargo does not start")?;
    ensure!(output.status.success(), "cargo build of {} failed", names.join(", "));
    let built: BTreeMap<_, _> = output.stdout.split(|byte| *byte == b'\n').filter_map(executable).collect();
    for name in names {
        ensure!(built.contains_key(*name), "cargo built no {name}");
    }
    Ok(built)
}

/// Name and path of the executable that a line of cargo's messages speaks of.
fn executable(line: &[u8]) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_slice(line).ok()?;
    let path = message.get("executable")?.as_str()?;
    let name = message.pointer("/target/name")?.as_str()?;
    Some((name.to_owned(), PathBuf::from(path)))
}
