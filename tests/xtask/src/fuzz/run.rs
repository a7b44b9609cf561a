//! One target: runs it, reads what it says, and makes its corpus small.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail, ensure};
use telegram_webhook_tests::cluster::{command, target_folder};
use tokio::process::Command;

/// An input that takes longer is a finding.
const TIMEOUT: &str = "-timeout=5";
/// A target that needs more memory, in MiB, is one too.
const MEMORY: &str = "-rss_limit_mb=512";
/// What is written back is for people to read through.
const MAX_FILES: usize = 100;
const MAX_BYTES: u64 = 200 << 10;

/// A target, built.
pub struct Target {
    pub name: String,
    binary: PathBuf,
    /// Inputs that people wrote.
    seeds: PathBuf,
    /// Inputs that runs have found, committed.
    kept: PathBuf,
    /// Inputs that runs on this machine have found.
    corpus: PathBuf,
    /// Where an input goes that breaks it.
    findings: PathBuf,
}

/// What came of a run.
pub enum Outcome {
    Clean { executions: u64, coverage: u64, files: String },
    Finding { reason: String, reproduce: String },
}

/// Everything that fuzzing writes is here.
pub fn folder() -> anyhow::Result<PathBuf> {
    Ok(target_folder()?.join("fuzz"))
}

// === impl Target ===

impl Target {
    pub fn new(name: &str, binaries: &Path, package: &Path) -> anyhow::Result<Self> {
        let target = Self {
            name: name.to_owned(),
            binary: binaries.join(name),
            seeds: package.join("seeds").join(name),
            kept: package.join("corpus").join(name),
            corpus: folder()?.join("corpus").join(name),
            findings: folder()?.join("findings").join(name),
        };
        for folder in [&target.kept, &target.corpus, &target.findings] {
            fs::create_dir_all(folder)?;
        }
        Ok(target)
    }

    /// Runs it for so many seconds, from all inputs that are known.
    pub async fn fuzz(&self, seconds: u64) -> anyhow::Result<Outcome> {
        let prefix = format!("-artifact_prefix={}/", self.findings.display());
        let output = self
            .command()
            .args([&self.corpus, &self.kept, &self.seeds])
            .args([TIMEOUT, MEMORY, "-print_final_stats=1", &prefix])
            .arg(format!("-max_total_time={seconds}"))
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return clean(&said)
                .with_context(|| format!("{}: {}", self.name, command::last_lines(&said, 10)));
        }
        let log = self.findings.join("log");
        fs::write(&log, said.as_bytes())?;
        let reason = ["panicked at", "ERROR: libFuzzer:"]
            .iter()
            .find_map(|sign| said.lines().find(|line| line.contains(sign)))
            .unwrap_or("it ended");
        let input =
            said.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path);
        let reproduce = match input {
            Some(input) => format!("{} {input}", self.binary.display()),
            None => "left no input".to_owned(),
        };
        Ok(Outcome::Finding { reason: format!("{reason} (all of it: {})", log.display()), reproduce })
    }

    /// Replaces the committed inputs, but for those of people, by the few that cover the most of all; says how many there are.
    pub async fn write_back(&self) -> anyhow::Result<String> {
        let merged = folder()?.join("merged").join(&self.name);
        if merged.exists() {
            fs::remove_dir_all(&merged)?;
        }
        fs::create_dir_all(&merged)?;
        let mut merge = self.command();
        merge.args(["-set_cover_merge=1", TIMEOUT]).args([&merged, &self.corpus, &self.kept, &self.seeds]);
        command::output_of(&mut merge).await?;
        let mut inputs = Vec::new();
        for input in fs::read_dir(&merged)? {
            let path = input?.path();
            let written = fs::metadata(&path)?;
            inputs.push((written.modified()?, written.len(), path));
        }
        // what covers the most is written first
        inputs.sort();
        ensure!(!inputs.is_empty(), "{}: nothing is left after merging", self.name);
        let (all, mut bytes) = (inputs.len(), 0);
        inputs.truncate(MAX_FILES);
        inputs.retain(|(_, length, _)| {
            bytes += length;
            bytes <= MAX_BYTES
        });
        fs::remove_dir_all(&self.kept)?;
        fs::create_dir_all(&self.kept)?;
        for (_, _, input) in &inputs {
            let name = input.file_name().context("an input has no name")?;
            fs::copy(input, self.kept.join(name))?;
        }
        Ok(format!("wrote {} of {all} inputs to {}", inputs.len(), self.kept.display()))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// Reads libFuzzer's last words.
fn clean(said: &str) -> anyhow::Result<Outcome> {
    let done = said.lines().rfind(|line| line.contains("\tDONE ")).context("it didn't come to an end")?;
    let words: Vec<_> = done.split_whitespace().collect();
    let after = |name: &str| words.iter().skip_while(|word| **word != name).nth(1).copied();
    let executions = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let coverage = after("cov:").context("no coverage: the target is not instrumented")?.parse()?;
    let Some(files) = after("corp:").and_then(|corpus| corpus.split('/').next()) else {
        bail!("no corpus");
    };
    Ok(Outcome::Clean {
        executions: executions.context("no number of executions")?.trim().parse()?,
        coverage,
        files: files.to_owned(),
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean { executions, coverage, files } => {
                write!(f, "{executions} executions, coverage {coverage}, corpus {files}, no finding")
            }
            Self::Finding { reason, reproduce } => write!(f, "FINDING: {reason}\n  reproduce: {reproduce}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_run_are_understood() {
        let said = "#2\tINITED cov: 11 ft: 11 corp: 1/1b exec/s: 0 rss: 27Mb\n\
            #5123\tDONE   cov: 845 ft: 2112 corp: 310/21Kb lim: 4096 exec/s: 512 rss: 60Mb\n\
            Done 5123 runs in 10 second(s)\nstat::number_of_executed_units: 5123\n";
        let outcome = clean(said).unwrap().to_string();
        assert_eq!(outcome, "5123 executions, coverage 845, corpus 310, no finding");
        assert!(clean("#2\tINITED cov: 11").is_err());
        assert!(clean("#5\tDONE   corp: 1/1b exec/s: 1\nstat::number_of_executed_units: 5\n").is_err());
    }
}
