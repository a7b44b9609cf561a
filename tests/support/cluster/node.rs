//! Starts the node: its components in the order in which they need each other.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{Api, Client};

use super::{
    Progress, cgroup, command, config, connection, dns,
    image::{Image, Layout},
    images, machine,
    network::{self, NODE_ADDRESS},
    paths::{Paths, text},
    pki::{self, NODE},
    preflight,
    process::{self, Mounts},
};

const STORE: &str = "http://127.0.0.1:2379";

/// Starts everything and waits until the node is Ready and DNS answers.
pub async fn start(paths: &Paths, progress: Progress<'_>) -> Result<()> {
    progress("starting the node: network, certificates, configuration");
    fs::create_dir_all(&paths.state)?;
    network::create(paths).await?;
    cgroup::create()?;
    machine::prepare(paths)?;
    pki::write(paths)?;
    config::write(paths)?;

    progress("starting etcd, kube-apiserver and containerd");
    start_etcd(paths)?;
    start_api_server(paths)?;
    start_containerd(paths)?;
    load_own_images(paths).await?;
    let client = connection::client_of(&paths.kubeconfig()).await?;
    api_server_is_ready(paths, &client).await?;

    progress("starting kube-controller-manager, kube-scheduler, kubelet and kube-proxy");
    start_controllers(paths)?;
    start_kubelet(paths)?;
    start_proxy(paths)?;
    dns::install(&client).await?;
    node_is_ready(paths, &client).await?;

    progress("the node is Ready; waiting for DNS");
    dns::is_ready(&client).await
}

fn start_etcd(paths: &Paths) -> Result<()> {
    let program = paths.bin.join("etcd");
    let listen = format!("--listen-client-urls={STORE}");
    let advertise = format!("--advertise-client-urls={STORE}");
    let peers = "--listen-peer-urls=http://127.0.0.1:2380";
    process::start(
        paths,
        "etcd",
        &Mounts::Machine,
        &program,
        &["--data-dir=etcd", "--unsafe-no-fsync", &listen, &advertise, peers],
    )
}

fn start_api_server(paths: &Paths) -> Result<()> {
    let arguments = [
        &format!("--etcd-servers={STORE}"),
        &format!("--advertise-address={NODE_ADDRESS}"),
        "--bind-address=0.0.0.0",
        "--secure-port=6443",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--cert-dir=apiserver",
        "--tls-cert-file=pki/apiserver.crt",
        "--tls-private-key-file=pki/apiserver.key",
        "--client-ca-file=pki/ca.crt",
        "--service-account-key-file=pki/sa.pub",
        "--service-account-signing-key-file=pki/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-client-certificate=pki/admin.crt",
        "--kubelet-client-key=pki/admin.key",
        "--kubelet-certificate-authority=pki/ca.crt",
    ];
    process::start(paths, "kube-apiserver", &Mounts::Machine, &paths.bin.join("kube-apiserver"), &arguments)
}

fn start_containerd(paths: &Paths) -> Result<()> {
    let containerd = preflight::find("containerd").context("containerd is missing")?;
    let config = paths.state.join("containerd.toml");
    process::start(paths, "containerd", &Mounts::New, &containerd, &["--config", text(&config)?])
}

fn start_controllers(paths: &Paths) -> Result<()> {
    let manager = [
        "--kubeconfig=admin.conf",
        "--use-service-account-credentials=true",
        "--service-account-private-key-file=pki/sa.key",
        "--root-ca-file=pki/ca.crt",
        "--cert-dir=controller-manager",
        "--flex-volume-plugin-dir=controller-manager/volume-plugins",
        "--leader-elect=false",
        "--kube-api-qps=200", // the default makes its start wait for seconds
        "--kube-api-burst=400",
    ];
    process::start(
        paths,
        "kube-controller-manager",
        &Mounts::Machine,
        &paths.bin.join("kube-controller-manager"),
        &manager,
    )?;
    let scheduler = [
        "--kubeconfig=admin.conf",
        "--cert-dir=scheduler",
        "--leader-elect=false",
        "--kube-api-qps=200", // the default makes its start wait for seconds
        "--kube-api-burst=400",
    ];
    process::start(paths, "kube-scheduler", &Mounts::Machine, &paths.bin.join("kube-scheduler"), &scheduler)
}

fn start_kubelet(paths: &Paths) -> Result<()> {
    // Absolute: it starts outside of the state folder, in another mount namespace.
    let option = |name: &str, file: &str| format!("--{name}={}", paths.state.join(file).display());
    let arguments = [
        option("config", "kubelet.json"),
        option("kubeconfig", "kubelet.conf"),
        option("root-dir", "kubelet"),
        option("cert-dir", "kubelet/pki"),
        format!("--hostname-override={NODE}"),
        format!("--node-ip={NODE_ADDRESS}"),
    ];
    process::start(paths, "kubelet", &Mounts::Of("containerd"), &paths.bin.join("kubelet"), &arguments)
}

fn start_proxy(paths: &Paths) -> Result<()> {
    process::start(
        paths,
        "kube-proxy",
        &Mounts::Machine,
        &paths.bin.join("kube-proxy"),
        &["--config=kube-proxy.json"],
    )
}

/// The two images that the cluster itself needs.
async fn load_own_images(paths: &Paths) -> Result<()> {
    let busybox = preflight::find("busybox").context("busybox is missing")?;
    let sandbox = Layout::new().with_binary("busybox", &busybox).await?;
    let sandbox = Image::new(config::SANDBOX_IMAGE, sandbox, &["/busybox", "sleep", "2147483647"])?;
    let dns = Layout::new().with_binary("coredns", &paths.bin.join("coredns")).await?;
    let dns = Image::new(dns::IMAGE, dns, &["/coredns", "-conf", "/etc/coredns/Corefile"])?;

    let socket = paths.containerd_socket();
    command::wait_until("containerd answers", Duration::from_secs(30), async || {
        process::ensure_runs(paths, "containerd")?;
        let answer = command::run("ctr", &["--address", text(&socket)?, "version"]).await;
        Ok(answer.err().map(|error| format!("{error:#}")))
    })
    .await?;
    images::import(paths, &sandbox).await?;
    images::import(paths, &dns).await
}

async fn api_server_is_ready(paths: &Paths, client: &Client) -> Result<()> {
    command::wait_until("the API server is ready", Duration::from_mins(1), async || {
        process::ensure_runs(paths, "etcd")?;
        process::ensure_runs(paths, "kube-apiserver")?;
        Ok(connection::readiness(client).await.err().map(|error| format!("{error:#}")))
    })
    .await
}

/// Ready, with the account that every pod of the default namespace needs to be accepted.
async fn node_is_ready(paths: &Paths, client: &Client) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    command::wait_until("the node is Ready", Duration::from_mins(1), async || {
        for name in ["kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "containerd"] {
            process::ensure_runs(paths, name)?;
        }
        let Some(node) = nodes.get_opt(NODE).await? else {
            return Ok(Some("it has not registered".into()));
        };
        let has_account = accounts.get_opt("default").await?.is_some();
        Ok(not_ready_reason(&node)
            .or_else(|| (!has_account).then(|| "there is no service account yet".into())))
    })
    .await
}

/// Why a node is not Ready; `None` when it is.
pub fn not_ready_reason(node: &Node) -> Option<String> {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    match conditions.clone().find(|condition| condition.type_ == "Ready") {
        Some(ready) if ready.status == "True" => None,
        Some(ready) => Some(ready.message.clone().unwrap_or_else(|| "it says no reason".into())),
        None => Some("it has not reported yet".into()),
    }
}

/// All that decides how the node is started: a node that runs with another one is out of date.
pub fn version() -> [&'static str; 6] {
    [
        include_str!("node.rs"),
        include_str!("config.rs"),
        include_str!("network.rs"),
        include_str!("pki.rs"),
        include_str!("machine.rs"),
        include_str!("../../cluster/coredns/coredns.yaml"),
    ]
}
