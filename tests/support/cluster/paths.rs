//! Where the cluster keeps its binaries and its state: under the workspace's target folder, so that nothing else is touched.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The name of everything the cluster makes outside of its state folder: network namespace, interface, control group.
pub const NAME: &str = "tgwh";

/// The folders of the test cluster.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The workspace.
    pub workspace: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// The binaries built from Go modules.
    pub bin: PathBuf,
    /// All that a running cluster writes; its removal is the end of the cluster.
    pub state: PathBuf,
}

/// Cargo's target folder.
pub fn target_folder() -> Result<PathBuf> {
    Ok(match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => std::path::absolute(folder)?,
        None => workspace()?.join("target"),
    })
}

fn workspace() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the package of the tests is not in a workspace")
}

impl Paths {
    /// The folders of this workspace; they need not exist.
    pub fn new() -> Result<Self> {
        let workspace = workspace()?.to_owned();
        let target = target_folder()?;
        Ok(Self { bin: target.join("cluster/bin"), state: target.join("cluster/state"), workspace, target })
    }

    /// The administrator's kubeconfig of the cluster.
    pub fn kubeconfig(&self) -> PathBuf {
        self.state.join("admin.conf")
    }

    /// Where the cluster's containerd listens. Its shims carry this path on their command line.
    pub fn containerd_socket(&self) -> PathBuf {
        self.state.join("containerd.sock")
    }

    /// The Go module that `name` is built from.
    pub fn module(&self, name: &str) -> PathBuf {
        self.workspace.join("tests/cluster").join(name)
    }
}

/// `path` as text. All our paths come from environment variables and Cargo, which are text.
pub fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))
}
