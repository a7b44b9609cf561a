//! What `cargo xtask cluster status` says.

use std::fmt;

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};

use super::{
    connection::{client_of, external_kubeconfig, readiness},
    node::not_ready_reason,
    paths::Paths,
    process,
};

/// What is known about the cluster now.
#[derive(Debug)]
pub struct Status {
    kubeconfig: String,
    is_ours: bool,
    /// The folder of kubectl and helm.
    bin: String,
    /// Name and pid; no pid for one that ended.
    processes: Vec<(String, Option<i32>)>,
    /// What the API server says, or why it does not.
    api_server: Result<String, String>,
    /// Name, and why it isn't Ready.
    nodes: Vec<(String, Option<String>)>,
}

impl Status {
    /// Looks at the cluster that tests would use.
    pub async fn read(paths: &Paths) -> Result<Self> {
        let external = external_kubeconfig(paths);
        let is_ours = external.is_none();
        let kubeconfig = external.unwrap_or_else(|| paths.kubeconfig());
        let mut status = Self {
            kubeconfig: kubeconfig.display().to_string(),
            is_ours,
            bin: paths.bin.display().to_string(),
            processes: Vec::new(),
            api_server: Err("it is not started".to_owned()),
            nodes: Vec::new(),
        };
        if is_ours {
            let alive = |identity: process::Identity| identity.is_alive().then(|| identity.pid());
            status.processes =
                process::recorded(paths).into_iter().map(|(name, id)| (name, alive(id))).collect();
            if status.processes.is_empty() {
                return Ok(status);
            }
        }
        match client_of(&kubeconfig).await {
            Ok(client) => status.ask(&client).await,
            Err(error) => status.api_server = Err(format!("{error:#}")),
        }
        Ok(status)
    }

    async fn ask(&mut self, client: &Client) {
        self.api_server = readiness(client).await.map_err(|error| format!("{error:#}"));
        if self.api_server.is_ok() {
            let nodes = Api::<Node>::all(client.clone()).list(&kube::api::ListParams::default()).await;
            let nodes = nodes.map(|nodes| nodes.items).unwrap_or_default();
            let described =
                |node: Node| (node.metadata.name.clone().unwrap_or_default(), not_ready_reason(&node));
            self.nodes = nodes.into_iter().map(described).collect();
        }
    }

    /// Whether every process runs, the API server answers and every node is Ready.
    pub fn is_healthy(&self) -> bool {
        self.api_server.is_ok()
            && self.processes.iter().all(|(_, pid)| pid.is_some())
            && !self.nodes.is_empty()
            && self.nodes.iter().all(|(_, reason)| reason.is_none())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ours && self.processes.is_empty() {
            return writeln!(out, "no cluster is up; start it with: cargo xtask cluster up");
        }
        if !self.is_ours {
            writeln!(
                out,
                "the cluster of KUBECONFIG={}, which is not ours to start or stop",
                self.kubeconfig
            )?;
        }
        for (name, pid) in &self.processes {
            match pid {
                Some(pid) => writeln!(out, "{name:<24} runs, pid {pid}")?,
                None => writeln!(out, "{name:<24} has ended")?,
            }
        }
        match &self.api_server {
            Ok(version) => writeln!(out, "{:<24} answers, Kubernetes {version}", "API server")?,
            Err(reason) => writeln!(out, "{:<24} does not answer: {reason}", "API server")?,
        }
        for (name, reason) in &self.nodes {
            let state =
                reason.as_ref().map_or_else(|| "Ready".to_owned(), |reason| format!("not Ready: {reason}"));
            writeln!(out, "{:<24} {state}", format!("node {name}"))?;
        }
        if self.is_ours {
            writeln!(out, "\nto use it:\n  export KUBECONFIG={} PATH={}:$PATH", self.kubeconfig, self.bin)?;
            writeln!(out, "  kubectl get pods --all-namespaces\nto end it:\n  cargo xtask cluster down")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> Status {
        Status {
            kubeconfig: "/target/cluster/state/admin.conf".into(),
            is_ours: true,
            bin: "/target/cluster/bin".into(),
            processes: vec![("etcd".into(), Some(7)), ("kubelet".into(), Some(8))],
            api_server: Ok("v1.36.3".into()),
            nodes: vec![("node1".into(), None)],
        }
    }

    #[test]
    fn a_running_cluster_is_described_with_how_to_use_it() {
        let status = running();
        assert!(status.is_healthy());
        let text = status.to_string();
        assert!(text.contains("kubelet                  runs, pid 8"), "{text}");
        assert!(
            text.contains(
                "export KUBECONFIG=/target/cluster/state/admin.conf PATH=/target/cluster/bin:$PATH"
            ),
            "{text}"
        );
    }

    #[test]
    fn one_ended_process_or_one_node_that_is_not_ready_is_not_healthy() {
        let ended = Status { processes: vec![("etcd".into(), None)], ..running() };
        assert!(!ended.is_healthy());
        let not_ready = Status { nodes: vec![("node1".into(), Some("no network".into()))], ..running() };
        assert!(!not_ready.is_healthy());
        assert!(
            not_ready.to_string().contains("node node1               not Ready: no network"),
            "{not_ready}"
        );
    }

    #[test]
    fn a_foreign_cluster_is_called_so() {
        let foreign = Status { is_ours: false, processes: Vec::new(), ..running() };
        assert!(foreign.is_healthy());
        assert!(foreign.to_string().contains("not ours to start or stop"));
        assert!(!foreign.to_string().contains("cluster down"));
    }
}
