//! A real one-node Kubernetes cluster for tests, the demo and use by hand: kubelet, containerd and runc, in a network
//! namespace of its own, built from the Go modules in tests/cluster.
//!
//! [`Cluster::up`] reuses a healthy one or starts it; it stays up until [`Cluster::down`]. With `KUBECONFIG` set, that
//! cluster is used instead and is never started, stopped or cleaned.

pub mod brokers;
mod build;
mod cgroup;
pub mod command;
mod config;
mod connection;
mod dns;
pub mod image;
pub mod images;
mod machine;
mod network;
mod node;
mod paths;
mod pki;
mod preflight;
mod process;
mod remains;
mod status;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use kube::Client;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

pub use connection::install_crypto_provider;
use connection::{client_of, external_kubeconfig, readiness};
use image::Image;
use paths::Paths;
pub use paths::target_folder;
pub use preflight::{find as find_program, install as install_packages, missing_of as missing_packages_of};
pub use status::Status;

/// Is told, line by line, what is being done.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Names where images were pushed, for a cluster that is not ours, e.g. `registry.example.com/team`.
pub const IMAGE_PREFIX: &str = "TGWH_TEST_IMAGE_PREFIX";

/// A cluster that is up.
#[derive(Clone)]
pub struct Cluster {
    paths: Paths,
    kubeconfig: PathBuf,
    is_ours: bool,
    client: Client,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Cluster({}, ours: {})", self.kubeconfig.display(), self.is_ours)
    }
}

impl Cluster {
    /// The cluster of `KUBECONFIG`; without it, our own: as it is when it runs and is healthy, else newly started.
    pub async fn up(progress: Progress<'_>) -> Result<Self> {
        install_crypto_provider();
        let paths = Paths::new()?;
        if let Some(kubeconfig) = external_kubeconfig(&paths) {
            return Self::external(paths, kubeconfig, progress).await;
        }
        let _lock = lock(&paths).await?;
        if !is_up_to_date(&paths).await? {
            let go = preflight::check(&paths, progress).await?;
            build::build(&build::ALL, &paths, go.as_deref(), progress).await?;
            if remains::exist(&paths) {
                progress("removing what is left of an earlier cluster");
                remains::remove(&paths).await?;
            }
            node::start(&paths, progress).await.with_context(|| {
                format!("the cluster does not start (its logs are {}/*.log)", paths.state.display())
            })?;
            fs::write(paths.state.join("version"), version(&paths)?)?;
        }
        let kubeconfig = paths.kubeconfig();
        let client = client_of(&kubeconfig).await?;
        Ok(Self { paths, kubeconfig, is_ours: true, client })
    }

    async fn external(paths: Paths, kubeconfig: PathBuf, progress: Progress<'_>) -> Result<Self> {
        let client = client_of(&kubeconfig).await?;
        let version = readiness(&client)
            .await
            .with_context(|| format!("the cluster of KUBECONFIG={} does not answer", kubeconfig.display()))?;
        progress(&format!("using the cluster of KUBECONFIG={}, Kubernetes {version}", kubeconfig.display()));
        build::build(&[build::HELM], &paths, preflight::find("go").as_deref(), progress).await?;
        Ok(Self { paths, kubeconfig, is_ours: false, client })
    }

    /// Whether `KUBECONFIG` names a cluster that is not ours.
    pub fn is_external() -> Result<bool> {
        Ok(external_kubeconfig(&Paths::new()?).is_some())
    }

    /// Ends our cluster and removes all that it made; does nothing when there is none. Refuses to touch another's.
    pub async fn down(progress: Progress<'_>) -> Result<()> {
        let paths = Paths::new()?;
        if let Some(kubeconfig) = external_kubeconfig(&paths) {
            bail!(
                "KUBECONFIG names the cluster of {}, which was not started here and is not stopped here; \
                 to stop the test cluster, unset KUBECONFIG",
                kubeconfig.display()
            );
        }
        let _lock = lock(&paths).await?;
        if !remains::exist(&paths) {
            progress("no cluster is up");
            return Ok(());
        }
        if !rustix::process::geteuid().is_root() {
            bail!("not root: the cluster's processes and mounts are root's; use sudo");
        }
        progress("ending the cluster");
        remains::remove(&paths).await?;
        progress("nothing is left of it");
        Ok(())
    }

    /// What runs, without starting anything.
    pub async fn status() -> Result<Status> {
        install_crypto_provider();
        Status::read(&Paths::new()?).await
    }

    /// The file to set `KUBECONFIG` to.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Whether it was started by [`Cluster::up`], now or earlier; if not, delete only what you created.
    pub fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// A client with all rights.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The folder of the `kubectl` and `helm` that belong to the cluster.
    pub fn bin(&self) -> &Path {
        &self.paths.bin
    }

    /// Makes `image` available and returns the name that pods use for it, with imagePullPolicy IfNotPresent.
    ///
    /// Into a cluster that is not ours nothing can be loaded: there, [`IMAGE_PREFIX`] says where it was pushed.
    pub async fn load_image(&self, image: &Image) -> Result<String> {
        if self.is_ours {
            images::import(&self.paths, image).await?;
            return Ok(image.name().to_owned());
        }
        pushed_name(image.name(), std::env::var(IMAGE_PREFIX).ok().as_deref())
    }

    /// `helm`, for this cluster.
    pub fn helm(&self) -> Command {
        let mut helm = Command::new(self.paths.bin.join("helm"));
        helm.env("KUBECONFIG", &self.kubeconfig).kill_on_drop(true);
        if self.is_ours {
            helm.env("NO_PROXY", network::NODE_ADDRESS);
        }
        helm
    }
}

fn pushed_name(name: &str, prefix: Option<&str>) -> Result<String> {
    let prefix = prefix.filter(|prefix| !prefix.is_empty()).with_context(|| {
        format!(
            "the cluster of KUBECONFIG can't be given the image {name}: push it (.ci/Dockerfile has a target for it) and set \
             {IMAGE_PREFIX} to where, e.g. registry.example.com/team"
        )
    })?;
    let short = name.rsplit('/').next().unwrap_or(name);
    Ok(format!("{}/{short}", prefix.trim_end_matches('/')))
}

/// One process at a time starts or ends the cluster: tests run in parallel.
async fn lock(paths: &Paths) -> Result<fs::File> {
    let path = paths.target.join("cluster/lock");
    tokio::task::spawn_blocking(move || {
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        let file = fs::File::create(&path)?;
        file.lock()?;
        Ok(file)
    })
    .await?
}

/// Hash of the programs and of all that decides how they are started.
fn version(paths: &Paths) -> Result<String> {
    let mut hash = Sha256::new();
    for program in &build::ALL {
        hash.update(program.key(paths)?);
    }
    for source in node::version() {
        hash.update(source);
    }
    Ok(hex::encode(hash.finalize()))
}

/// Whether our cluster runs, is healthy, and is what we would start now.
async fn is_up_to_date(paths: &Paths) -> Result<bool> {
    let running = fs::read_to_string(paths.state.join("version")).unwrap_or_default();
    Ok(running == version(paths)? && Status::read(paths).await?.is_healthy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_is_not_ours_uses_the_pushed_image_or_says_how() {
        let name = "localhost/telegram-webhook-sidecar:test";
        let pushed = pushed_name(name, Some("registry.example.com/team/")).unwrap();
        assert_eq!(pushed, "registry.example.com/team/telegram-webhook-sidecar:test");
        for none in [None, Some("")] {
            let error = pushed_name(name, none).unwrap_err().to_string();
            assert!(error.contains(IMAGE_PREFIX) && error.contains(name), "{error}");
        }
    }
}
