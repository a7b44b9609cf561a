//! The configuration files of containerd, its network plugin, the kubelet and kube-proxy.
//!
//! Whatever a component would write elsewhere by default is sent into the state folder, so that removing it removes all.

use std::{fs, path::Path};

use anyhow::Result;
use serde_json::json;

use super::{
    network::POD_RANGE,
    paths::{NAME, Paths},
    pki::NODE,
    preflight,
};

/// The image of every pod's sandbox.
pub const SANDBOX_IMAGE: &str = "localhost/pause:1";
/// The address of the cluster's DNS server.
pub const DNS_ADDRESS: &str = "10.96.0.10";
/// Writes all configuration files.
pub fn write(paths: &Paths) -> Result<()> {
    let state = &paths.state;
    for folder in ["cni", "kubelet", "pod-logs"] {
        fs::create_dir_all(state.join(folder))?;
    }
    fs::write(state.join("containerd.toml"), containerd(paths))?;
    fs::write(state.join("cni/10-pods.conflist"), pod_network(state).to_string())?;
    fs::write(state.join("kubelet.json"), kubelet(paths).to_string())?;
    fs::write(state.join("kube-proxy.json"), kube_proxy(paths).to_string())?;
    // The machine's search domains and name servers are of no use in pods: they can't reach them.
    fs::write(state.join("resolv.conf"), format!("nameserver {DNS_ADDRESS}\n"))?;
    Ok(())
}

fn containerd(paths: &Paths) -> String {
    let quoted = |path: &Path| format!("{:?}", path.to_string_lossy()); // as TOML quotes it too
    let root = quoted(&paths.state.join("containerd/root"));
    let state = quoted(&paths.state.join("containerd/state"));
    let socket = quoted(&paths.containerd_socket());
    let plugins = quoted(preflight::cni_plugins());
    let cni = quoted(&paths.state.join("cni"));
    let runc = quoted(&paths.state.join("runc"));
    // restrict_oom_score_adj: where CAP_SYS_RESOURCE is missing runc can't lower the score and fails to start any container.
    format!(
        r#"version = 2
root = {root}
state = {state}
[grpc]
  address = {socket}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX_IMAGE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {plugins}
    conf_dir = {cni}
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = {runc}
"#
    )
}

/// One routed link per pod. On a bridge, the answer of a Service's pod to its neighbour would pass the node by, and with it
/// the translation of its address, unless the kernel has br_netfilter.
fn pod_network(state: &Path) -> serde_json::Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "dataDir": state.join("cni-addresses"),
                "ranges": [[{"subnet": POD_RANGE}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

fn kubelet(paths: &Paths) -> serde_json::Value {
    let state = &paths.state;
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": false, // the default refuses a machine with control groups of version 1
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{NAME}"), // every pod's process is found below it
        "containerRuntimeEndpoint": format!("unix://{}", paths.containerd_socket().display()),
        "authentication": {
            "x509": {"clientCAFile": state.join("pki/ca.crt")},
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": state.join("pki/kubelet.crt"),
        "tlsPrivateKeyFile": state.join("pki/kubelet.key"),
        "podLogsDir": state.join("pod-logs"),
        "resolvConf": state.join("resolv.conf"),
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_ADDRESS],
        "failSwapOn": false,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100, // images come from no registry: one that is removed never comes back
        "localStorageCapacityIsolation": true,  // nodes tell how much disk they have: a sidecar asks for it
        "enforceNodeAllocatable": [],
        "syncFrequency": "1s", // a changed Secret is in its pod within about a second
        "serializeImagePulls": false,
    })
}

fn kube_proxy(paths: &Paths) -> serde_json::Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": paths.kubeconfig()},
        "hostnameOverride": NODE,
        "mode": "nftables",
        "clusterCIDR": POD_RANGE,
        // The kernel's limits, which are the whole machine's, stay as they are.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "nftables": {"minSyncPeriod": "100ms"}, // a new endpoint of a Service is reachable at once
    })
}
