//! testssl looks for weaknesses and grades them.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;
use telegram_webhook_tests::{cluster::command, tools};
use tokio::process::Command;

use crate::{HOST, Target, say};

const PACKAGES: &[(&str, &[&str])] = &[("testssl.sh", &["testssl"])];
/// What may be found: good news, news, a hint, and what the scanner could not try for a lack of its own.
const HARMLESS: [&str; 4] = ["OK", "INFO", "LOW", "WARN"];

/// One entry of its report.
#[derive(Deserialize, Debug)]
struct Finding {
    id: String,
    severity: String,
    #[serde(rename = "finding")]
    text: String,
}

#[tokio::test]
async fn nothing_above_low_is_found() -> anyhow::Result<()> {
    tools::require(PACKAGES, &say).await?;
    let target = Target::start().await?;
    let address = target.sidecar.webhook_address;
    say("testssl takes a minute or two");
    let mut testssl = Command::new("testssl");
    testssl
        .args(["--warnings", "off", "--color", "0", "--ip", &address.ip().to_string(), "--add-ca"])
        .arg(target.authority())
        .arg("--jsonfile")
        .arg(target.report())
        .arg(format!("{HOST}:{}", address.port()))
        .current_dir(target.dir.path());
    // its exit code tells how many of its functions found something, however harmless
    let text = String::from_utf8_lossy(&testssl.output().await?.stdout).into_owned();
    let report: Vec<Finding> = serde_json::from_slice(&fs::read(target.report())?)?;

    let mut counts = BTreeMap::new();
    for finding in &report {
        *counts.entry(finding.severity.as_str()).or_insert(0) += 1;
    }
    println!("testssl: {counts:?}");
    let named: Vec<_> = report.iter().filter(|found| !["OK", "INFO"].contains(&&*found.severity)).collect();
    for Finding { id, severity, text } in &named {
        println!("testssl: {severity} {id}: {text}");
    }
    let bad = named.into_iter().filter(|found| !HARMLESS.contains(&&*found.severity));
    let bad: Vec<_> = bad.map(|found| &found.id).collect();
    assert_eq!(bad, Vec::<&String>::new(), "{text}");

    let found = |id: &str| report.iter().find(|found| found.id == id).map(|found| &*found.text);
    // that it got to the end, and to the answers behind the handshake
    for (id, expected) in [
        ("TLS1_2", "offered"),
        ("TLS1_3", "offered with final"),
        ("cert_chain_of_trust", "passed."),
        ("HSTS_time", "365 days (=31536000 seconds) > 15552000 seconds"),
        ("RC4", "not vulnerable"),
    ] {
        assert_eq!(found(id), Some(expected), "{id}\n{}", command::last_lines(&text, 20));
    }
    // older versions don't grade
    if let Some(grade) = found("overall_grade") {
        println!("testssl: grade {grade}");
        assert_eq!(grade, "A+", "{text}");
    }
    Ok(())
}
