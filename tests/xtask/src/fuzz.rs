//! `cargo xtask fuzz`: libFuzzer on what strangers and people write: the targets of sidecar/fuzz.
//!
//! With the stable toolchain: libFuzzer's instrumentation is a pass of LLVM that any rustc has, and its runtime is compiled by
//! `libfuzzer-sys`. Only the sanitizers need a nightly; they would look for misused memory, and our code forbids `unsafe`.

mod run;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use futures::{StreamExt as _, stream};
use telegram_webhook_tests::{cluster::command, tools};
use tokio::process::Command;

use self::run::{Outcome, Target};
use crate::progress::Progress;

/// What libfuzzer-sys is compiled with.
const PACKAGES: &[(&str, &[&str])] = &[("g++", &["c++"])];
const PACKAGE: &str = "sidecar/fuzz";
/// What cargo-fuzz passes, without a sanitizer.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 --cfg fuzzing";
/// A target has one thread; more of them than there are cores would find less.
const AT_ONCE: usize = 2;

#[derive(Debug, Args)]
pub struct Arguments {
    /// How long to fuzz each target
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only these; all of them by default
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Replace the inputs in sidecar/fuzz/corpus by the few that cover the most of all that was found so far
    #[arg(long)]
    grow: bool,
}

/// Fuzzes and prints a line per target; a finding is a failure.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let progress = Progress::new();
    let Arguments { seconds, targets, grow } = arguments;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let known = target_names(&workspace.join(PACKAGE))?;
    for target in &targets {
        ensure!(known.contains(target), "no target {target}; there are {}", known.join(", "));
    }
    let names = if targets.is_empty() { known } else { targets };
    tools::require(PACKAGES, &progress.sayer()).await?;
    progress.say("building the targets with libFuzzer's instrumentation (4 min cold, seconds warm)");
    let binaries = build(&workspace, &names).await?;
    progress.say(&format!("fuzzing {}, {seconds} s each", names.join(", ")));
    let targets = names.iter().map(|name| Target::new(name, &binaries, &workspace.join(PACKAGE)));
    let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
    let outcomes = stream::iter(&targets).map(|target| target.fuzz(seconds)).buffered(AT_ONCE);
    let outcomes = outcomes.collect::<Vec<_>>().await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    for (target, outcome) in targets.iter().zip(&outcomes) {
        println!("fuzz: {:<16} {outcome}", target.name);
    }
    let findings = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Finding { .. })).count();
    ensure!(findings == 0, "{findings} targets with a finding");
    if grow {
        for target in &targets {
            progress.say(&format!("{}: {}", target.name, target.write_back().await?));
        }
    }
    Ok(())
}

/// Names of the targets, sorted.
fn target_names(package: &Path) -> anyhow::Result<Vec<String>> {
    let files = fs::read_dir(package.join("fuzz_targets")).context("no fuzz targets")?;
    let paths = files.map(|file| Ok(file?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    let names = paths.iter().filter_map(|path| path.file_stem()?.to_str().map(str::to_owned));
    let mut names: Vec<_> = names.collect();
    names.sort();
    Ok(names)
}

/// Builds the targets; returns the folder that they are in.
async fn build(workspace: &Path, names: &[String]) -> anyhow::Result<PathBuf> {
    let version = command::run("rustc", &["-vV"]).await?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc has no host")?;
    let folder = run::folder()?.join("build");
    let mut cargo = Command::new(env!("CARGO"));
    // naming the target keeps the flags from build scripts and macros
    cargo
        .args(["build", "--release", "--locked", "--target", host, "--manifest-path"])
        .arg(workspace.join(PACKAGE).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", RUSTFLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    for name in names {
        cargo.args(["--bin", name]);
    }
    ensure!(cargo.status().await?.success(), "the fuzz targets don't build");
    Ok(folder.join(host).join("release"))
}
