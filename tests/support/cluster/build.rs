//! Builds the cluster's programs from the Go modules in tests/cluster, each once.
//!
//! A binary is built again when its module's files or its flags change: their hash is kept beside it.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::{Progress, command, paths::Paths};

/// A program and how it is built.
#[derive(Debug)]
pub struct Program {
    /// Name of the binary and of its module's folder in tests/cluster.
    pub name: &'static str,
    package: &'static str,
    ldflags: &'static str,
    takes: &'static str,
}

/// The Kubernetes components and kubectl, in one binary.
pub const KUBE: Program = Program {
    name: "kube",
    package: ".",
    ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
              -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36",
    takes: "Kubernetes: 4 to 5 minutes the first time, seconds with a warm Go build cache",
};
/// The store of the API server.
pub const ETCD: Program =
    Program { name: "etcd", package: ".", ldflags: "-s -w", takes: "about 30 seconds the first time" };
/// Installs the chart.
pub const HELM: Program = Program {
    name: "helm",
    package: "helm.sh/helm/v3/cmd/helm",
    // as helm's own Makefile does: without a version of Kubernetes it assumes 1.20 when it renders
    ldflags: "-s -w -X helm.sh/helm/v3/internal/version.version=v3.22.0 \
              -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=36 \
              -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=36",
    takes: "about 1 minute the first time",
};
/// The cluster's DNS server.
pub const COREDNS: Program = Program {
    name: "coredns",
    package: "github.com/coredns/coredns",
    ldflags: "-s -w",
    takes: "about 2 minutes the first time",
};
/// All that a cluster of our own needs.
pub const ALL: [Program; 4] = [KUBE, ETCD, HELM, COREDNS];

/// The names under which the `kube` binary is each component.
const COMPONENTS: [&str; 6] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"];

impl Program {
    /// Whether the binary is there and built from the module as it is now.
    pub fn is_built(&self, paths: &Paths) -> Result<bool> {
        let built = fs::read_to_string(self.key_file(paths)).unwrap_or_default();
        Ok(paths.bin.join(self.name).is_file() && built == self.key(paths)?)
    }

    fn key_file(&self, paths: &Paths) -> std::path::PathBuf {
        paths.bin.join(format!("{}.key", self.name))
    }

    /// Hash of all that decides what the binary is.
    pub fn key(&self, paths: &Paths) -> Result<String> {
        let mut hash = Sha256::new();
        for flag in [self.package, self.ldflags] {
            hash.update(flag);
            hash.update([0]);
        }
        for file in source_files(&paths.module(self.name))? {
            hash.update(fs::read(&file)?);
            hash.update([0]);
        }
        Ok(hex::encode(hash.finalize()))
    }

    async fn build(&self, paths: &Paths, go: &Path, progress: Progress<'_>) -> Result<()> {
        progress(&format!("building {} ({})", self.name, self.takes));
        fs::create_dir_all(&paths.bin)?;
        let unfinished = paths.bin.join(format!("{}.unfinished", self.name));
        let mut go_build = Command::new(go);
        go_build
            .args(["build", "-mod=readonly", "-ldflags", self.ldflags, "-o"])
            .arg(&unfinished)
            .arg(self.package)
            .current_dir(paths.module(self.name))
            .env_remove("GOFLAGS");
        let started = tokio::time::Instant::now();
        let mut build = std::pin::pin!(command::output_of(&mut go_build));
        loop {
            match tokio::time::timeout(Duration::from_secs(30), &mut build).await {
                Ok(outcome) => {
                    outcome.with_context(|| format!("{} can't be built", self.name))?;
                    break;
                }
                Err(_) => {
                    progress(&format!("still building {} ({} s)", self.name, started.elapsed().as_secs()));
                }
            }
        }
        fs::rename(&unfinished, paths.bin.join(self.name))?;
        fs::write(self.key_file(paths), self.key(paths)?)?;
        Ok(())
    }
}

/// Builds what is missing or out of date of `programs`.
pub async fn build(
    programs: &[Program],
    paths: &Paths,
    go: Option<&Path>,
    progress: Progress<'_>,
) -> Result<()> {
    for program in programs {
        if !program.is_built(paths)? {
            let go = go.with_context(|| format!("Go is missing, so {} can't be built", program.name))?;
            program.build(paths, go, progress).await?;
        }
    }
    if paths.bin.join(KUBE.name).is_file() {
        link_components(&paths.bin)?;
    }
    Ok(())
}

fn link_components(bin: &Path) -> Result<()> {
    for component in COMPONENTS {
        let link = bin.join(component);
        if fs::read_link(&link).is_err() {
            std::os::unix::fs::symlink(KUBE.name, &link)
                .with_context(|| format!("{} can't be linked", link.display()))?;
        }
    }
    Ok(())
}

/// go.mod, go.sum and the .go files of `module`, sorted.
fn source_files(module: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(module).with_context(|| format!("{} can't be read", module.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "go" || extension == "mod" || extension == "sum")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module_of_one_file(workspace: &Path, source: &str) -> Paths {
        let paths = Paths {
            workspace: workspace.to_owned(),
            target: workspace.join("target"),
            bin: workspace.join("bin"),
            state: workspace.join("state"),
        };
        let module = paths.module(ETCD.name);
        fs::create_dir_all(&module).unwrap();
        fs::create_dir_all(&paths.bin).unwrap();
        fs::write(module.join("main.go"), source).unwrap();
        paths
    }

    #[test]
    fn a_binary_is_stale_once_its_source_changes() {
        let folder = tempfile::tempdir().unwrap();
        let paths = module_of_one_file(folder.path(), "package main");
        assert!(!ETCD.is_built(&paths).unwrap(), "nothing is built yet");
        fs::write(paths.bin.join(ETCD.name), "binary").unwrap();
        assert!(!ETCD.is_built(&paths).unwrap(), "a binary of unknown origin is not trusted");
        fs::write(ETCD.key_file(&paths), ETCD.key(&paths).unwrap()).unwrap();
        assert!(ETCD.is_built(&paths).unwrap());
        module_of_one_file(folder.path(), "package main // changed");
        assert!(!ETCD.is_built(&paths).unwrap(), "its source changed");
    }

    #[tokio::test]
    async fn a_missing_go_is_named_with_what_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let paths = module_of_one_file(folder.path(), "package main");
        let error = build(&[ETCD], &paths, None, &|_| {}).await.unwrap_err().to_string();
        assert_eq!(error, "Go is missing, so etcd can't be built");
    }
}
