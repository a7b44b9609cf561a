//! The product installed on a cluster as a user would: images built and loaded, chart installed with helm.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kube::Client;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, Progress, command::output_of, images},
    namespace, scenario,
};

/// Namespace that the operator is installed in: not the one that the README proposes, so that helm refuses to touch an
/// installation that is there already.
pub const NAMESPACE: &str = "tgwh-operator";
/// Name of the Helm release.
pub const RELEASE: &str = "telegram-webhook-operator";
/// Name of the demo's scenario.
pub const DEMO: &str = "demo";
/// Every scenario that a run may start. The operator accepts no Bot API server that its flags don't name, so they are all
/// named at installation.
pub const SCENARIOS: &[&str] = &[
    DEMO,
    "delivery",
    "registration",
    "admission",
    "outage",
    "restart",
    "retain",
    "delete",
    "foreground",
    "unreachable",
    "tokenless",
    "rejected",
    "renewal",
    "mistakes",
    "shared",
    "neighbours",
    "suspended",
    "fallback",
    "rolling",
    "rolling-redis",
    "rolling-rabbitmq",
];

/// The product installed on a cluster.
pub struct Installation {
    /// The cluster.
    pub cluster: Cluster,
    /// Name of the image with the simulator and the sample CRM.
    pub test_tools_image: String,
}

impl Installation {
    /// Brings the cluster up, builds and loads the images, installs or upgrades the chart. Does only what is not done yet.
    pub async fn up(say: Progress<'_>) -> anyhow::Result<Self> {
        let cluster = Cluster::up(say).await?;
        say("building the binaries and images (usually 5 min cold, 10 s warm)");
        let mut loaded = Vec::new();
        for image in images::of_workspace(say).await? {
            loaded.push((
                image.name().to_owned(),
                image.digest().to_owned(),
                cluster.load_image(&image).await?,
            ));
        }
        let find = |name: &str| {
            let found = loaded.iter().find(|(wanted, ..)| wanted == name);
            found.with_context(|| format!("the image {name} was not built"))
        };
        say("installing the chart (usually 10 s)");
        let (_, digest, operator) = find(images::OPERATOR)?;
        let (.., sidecar) = find(images::SIDECAR)?;
        install(&cluster, &values(operator, digest, sidecar)?).await?;
        let (.., test_tools) = find(images::TEST_TOOLS)?;
        Ok(Self { test_tools_image: test_tools.clone(), cluster })
    }

    /// A client of the cluster, with all rights.
    pub fn client(&self) -> Client {
        self.cluster.client()
    }

    /// Removes what was made: the whole cluster if it is ours, else the given scenarios and the release with its namespace. The
    /// CustomResourceDefinition stays, as the chart has it.
    pub async fn down(say: Progress<'_>, scenarios: &[&str]) -> anyhow::Result<()> {
        if !Cluster::is_external()? {
            return Cluster::down(say).await;
        }
        let cluster = Cluster::up(say).await?;
        let client = cluster.client();
        // the operator goes last: it takes the resources' finalizers away
        for name in scenarios {
            say(&format!("removing the namespace {}", scenario::namespace_of(name)));
            namespace::remove_and_wait(&client, &scenario::namespace_of(name)).await?;
        }
        if !namespace::is_ours(&client, NAMESPACE).await? {
            return Ok(());
        }
        let mut helm = cluster.helm();
        helm.args(["uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--ignore-not-found"]);
        output_of(&mut helm).await?;
        namespace::remove_and_wait(&client, NAMESPACE).await
    }
}

/// The chart's folder.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/telegram-webhook-operator")
}

/// Values for a test: our images, every scenario's simulator allowed, changed Secrets noticed soon.
fn values(operator: &str, operator_digest: &str, sidecar: &str) -> anyhow::Result<Value> {
    let image = |name: &str| -> anyhow::Result<Value> {
        let (repository, tag) =
            name.rsplit_once(':').with_context(|| format!("the image {name} has no tag"))?;
        Ok(json!({"repository": repository, "tag": tag}))
    };
    let api_servers: Vec<_> = SCENARIOS.iter().map(|name| scenario::api_server(name)).collect();
    Ok(json!({
        "image": image(operator)?,
        "sidecar": {"image": image(sidecar)?},
        "operator": {"localApiServers": api_servers, "resyncSeconds": 5, "cleanupDeadlineSeconds": 10},
        // the tag stays the same when the content changes
        "podAnnotations": {"telegram-webhook.dev/test-image": operator_digest},
    }))
}

async fn install(cluster: &Cluster, values: &Value) -> anyhow::Result<()> {
    namespace::ensure_ours(&cluster.client(), NAMESPACE).await?;
    let file = tempfile::NamedTempFile::with_suffix(".json")?;
    std::fs::write(file.path(), serde_json::to_vec(values)?)?;
    let mut helm = cluster.helm();
    helm.args(["upgrade", "--install", RELEASE]).arg(chart()).arg("--values").arg(file.path()).args([
        "--namespace",
        NAMESPACE,
        "--wait",
        "--timeout",
        "120s",
    ]);
    let installed = output_of(&mut helm).await.map(drop);
    installed.context("can't install the chart; is the operator installed on this cluster already?")
}
