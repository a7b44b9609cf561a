//! sslyze compares with Mozilla's recommendation, <https://ssl-config.mozilla.org>.

use std::fs;

use anyhow::Context as _;
use serde_json::Value;
use telegram_webhook_tests::{cluster::command, tools};
use tokio::process::Command;

use crate::{HOST, Target, say};

const SSLYZE: &str = "sslyze==6.3.1";
/// In its report, of each scan that the comparison needs.
const COMPLETED: &str = "COMPLETED";

#[tokio::test]
async fn the_server_complies_with_mozillas_intermediate_configuration() -> anyhow::Result<()> {
    let programs = tools::python(SSLYZE, &say).await?;
    let target = Target::start().await?;
    let address = target.sidecar.webhook_address;
    let mut sslyze = Command::new(programs.join("python"));
    sslyze
        .args(["-m", "sslyze", "--mozilla_config", "intermediate", "--certinfo_ca_file"])
        .arg(target.authority())
        .arg("--json_out")
        .arg(target.report())
        .arg(format!("{HOST}:{}{{{}}}", address.port(), address.ip()));
    let output = sslyze.output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{}", command::last_lines(&text, 8));
    // it fails where the server doesn't comply
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(&format!("{HOST}:{}: OK - Compliant", address.port())), "{text}");

    // it also is quiet about what it could not look at
    let report: Value = serde_json::from_slice(&fs::read(target.report())?)?;
    let result = &report["server_scan_results"][0]["scan_result"];
    for scan in ["certificate_info", "tls_1_2_cipher_suites", "tls_1_3_cipher_suites", "elliptic_curves"] {
        assert_eq!(result[scan]["status"], COMPLETED, "{scan}");
    }
    let deployments = result["certificate_info"]["result"]["certificate_deployments"].as_array();
    let chain =
        &deployments.and_then(|all| all.first()).context("no certificate")?["verified_certificate_chain"];
    assert!(chain.is_array(), "the chain leads to our authority");
    Ok(())
}
