//! The cluster's DNS server: CoreDNS in a pod, behind the Service that every pod has as its name server.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client};

use super::command;
use crate::manifest;

/// The image built from the coredns binary; the manifest names it too.
pub const IMAGE: &str = "localhost/coredns:test";

/// Creates its pod, Service, rights and configuration.
pub async fn install(client: &Client) -> Result<()> {
    manifest::apply(client, include_str!("../../cluster/coredns/coredns.yaml"), "kube-system").await
}

/// Waits until it answers.
pub async fn is_ready(client: &Client) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "kube-system");
    command::wait_until("the DNS server is ready", Duration::from_mins(1), async || {
        let status = deployments.get("coredns").await?.status.unwrap_or_default();
        let ready = status.ready_replicas.unwrap_or(0);
        Ok((ready < 1).then(|| format!("{ready} of its replicas are ready")))
    })
    .await
}
