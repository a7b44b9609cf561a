//! The chart in a real helm.

use std::path::Path;

use telegram_webhook_tests::{
    installation::{Installation, chart},
    shared::with_installation,
};

/// Runs helm and returns its output.
async fn helm(installation: &Installation, arguments: &[&str]) -> Result<String, String> {
    let output = installation.cluster.helm().args(arguments).output().await.unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { Err(text) }
}

#[test]
fn the_chart_is_clean_for_helms_own_linter() {
    with_installation(async |installation| {
        let report = helm(installation, &["lint", "--strict", chart().to_str().unwrap()]).await.unwrap();
        assert!(report.contains("0 chart(s) failed"), "{report}");
        Ok(())
    });
}

#[test]
fn rendering_twice_gives_the_same_bytes() {
    with_installation(async |installation| {
        let chart = chart();
        let render = ["template", "release", chart.to_str().unwrap(), "--namespace", "somewhere"];
        let first = helm(installation, &render).await.unwrap();
        assert!(first.contains("kind: MutatingWebhookConfiguration"));
        assert!(first.contains("helm.sh/resource-policy: keep"), "the definition must survive an uninstall");
        assert_eq!(first, helm(installation, &render).await.unwrap());
        Ok(())
    });
}

#[test]
fn a_value_that_does_not_exist_is_refused() {
    with_installation(async |installation| {
        let render =
            ["template", "release", chart().to_str().unwrap(), "--set", "replicaz=3"].map(str::to_owned);
        let render: Vec<_> = render.iter().map(String::as_str).collect();
        let error = helm(installation, &render).await.unwrap_err();
        assert!(error.contains("replicaz"), "{error}");
        Ok(())
    });
}

#[test]
fn the_charts_definition_is_the_generated_one() {
    let generated = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/telegramwebhooks.yaml");
    let charts = chart().join("files/telegramwebhooks.yaml");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert!(read(&generated) == read(&charts), "run: cargo xtask generate");
}
