//! Which cluster is used, how to talk to it, and whether it answers.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::{network::NODE_ADDRESS, paths::Paths};

/// What `KUBECONFIG` names, unless it is our own cluster's.
pub fn external_kubeconfig(paths: &Paths) -> Option<PathBuf> {
    let named = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()).map(PathBuf::from)?;
    (named != paths.kubeconfig()).then_some(named)
}

/// A client with the rights of the kubeconfig's current context.
pub async fn client_of(kubeconfig: &Path) -> Result<Client> {
    let read = || format!("the kubeconfig {} can't be used", kubeconfig.display());
    let file = Kubeconfig::read_from(kubeconfig).with_context(read)?;
    let mut config =
        Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.with_context(read)?;
    config.connect_timeout = Some(Duration::from_secs(5));
    if config.cluster_url.host() == Some(NODE_ADDRESS) {
        config.proxy_url = None; // no proxy reaches our own node
    }
    Client::try_from(config).with_context(read)
}

/// The API server's version once it is ready to serve.
pub async fn readiness(client: &Client) -> Result<String> {
    let request = http::Request::get("/readyz").body(Vec::new())?;
    let ask = async {
        client.request_text(request).await.map_err(failed_checks)?;
        Ok(client.apiserver_version().await?.git_version)
    };
    tokio::time::timeout(Duration::from_secs(5), ask).await.context("no answer within 5 s")?
}

/// An API server that is not ready lists every check, the good ones too.
fn failed_checks(error: kube::Error) -> anyhow::Error {
    let kube::Error::Api(status) = &error else {
        return error.into();
    };
    let failed: Vec<_> = status.message.lines().filter(|line| line.starts_with("[-]")).collect();
    if failed.is_empty() { error.into() } else { anyhow!("not ready: {}", failed.join(", ")) }
}

/// One provider for the whole program; it may be there already.
pub fn install_crypto_provider() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
}
