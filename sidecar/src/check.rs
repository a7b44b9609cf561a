//! `check`: says whether a configuration can be used, without using it.

use std::io::{self, Write};

use crate::config::{Policy, Problems, Source};

/// Reads the configuration; what is wrong with any of it is an error here, even where a running sidecar would go on without it.
pub fn check(source: &Source) -> Result<Policy, Problems> {
    Policy::check(source.read())
}

/// Tells what a good configuration sets up, and none of its secrets.
pub fn write_summary(policy: &Policy, mut out: impl Write) -> io::Result<()> {
    writeln!(out, "ok")?;
    for webhook in policy.webhooks() {
        writeln!(out, "{}: {} -> {}", webhook.name, webhook.host.as_ref(), webhook.upstream)?;
    }
    Ok(())
}

/// Tells what can be used, but not as it is meant.
pub fn write_warnings(policy: &Policy, mut out: impl Write) -> io::Result<()> {
    let mut doubts = policy.webhooks().iter().flat_map(|webhook| webhook.doubts());
    doubts.try_for_each(|doubt| writeln!(out, "warning: {doubt}"))
}

/// Tells what is wrong, one line each.
pub fn write_problems(problems: &Problems, mut out: impl Write) -> io::Result<()> {
    problems.iter().try_for_each(|problem| writeln!(out, "{problem}"))
}
