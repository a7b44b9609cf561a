//! Runs a command to its end and explains a failure; waits for conditions.

use std::{ffi::OsString, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::{process::Command, time::Instant};

/// Standard output of `program arguments...`; a failure names the command and ends with what it wrote to standard error.
pub async fn run(program: impl AsRef<Path>, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).env("PATH", search_path());
    output_of(&mut command).await
}

/// PATH, and where Debian keeps the administrator's programs: root's PATH may lack it.
pub fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin");
    path
}

/// As [`run`], for a command with an environment or folder of its own.
pub async fn output_of(command: &mut Command) -> Result<String> {
    let described = describe(command.as_std());
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("`{described}` does not start"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{described}` failed ({}): {}", output.status, last_lines(&stderr, 15));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn describe(command: &std::process::Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The last `count` lines of `text`: where a program says why it failed.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}

/// Asks `condition` until it holds; gives up after `limit` or as soon as it fails for good.
///
/// `condition` returns `Ok(None)` when it holds, `Ok(Some(reason))` when it does not hold yet.
pub async fn wait_until(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Result<Option<String>>,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    while let Some(reason) = condition().await? {
        if Instant::now() >= deadline {
            bail!("{what}: not so after {} s ({reason})", limit.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_names_the_command_and_what_it_said() {
        let error = run("sh", &["-c", "echo no such thing >&2; exit 3"]).await.unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("no such thing") && error.contains('3'), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = run("no-such-program", &[]).await.unwrap_err().to_string();
        assert!(error.contains("`no-such-program` does not start"), "{error}");
    }

    #[tokio::test]
    async fn waiting_ends_with_the_last_reason() {
        let wait =
            wait_until("the node is Ready", Duration::ZERO, async || Ok(Some("it says NotReady".into())));
        let error = wait.await.unwrap_err().to_string();
        assert_eq!(error, "the node is Ready: not so after 0 s (it says NotReady)");
    }
}
