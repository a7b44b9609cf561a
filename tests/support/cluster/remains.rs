//! Ends a cluster and removes all that it left: of a running one, of one that died half-way, of one from before a reboot.
//!
//! What is the cluster's is known by four signs only: a recorded process identity, our containerd's socket on a shim's
//! command line, our control group and network namespace, a path below our state folder. Mounts need no undoing: all are in
//! a namespace that ends with the last process.

use std::{fs, io, path::Path, time::Duration};

use anyhow::{Context as _, Result};

use super::{
    cgroup, command, machine,
    network::{self, NETWORK_NAMESPACE, Owner},
    paths::{NAME, Paths},
    process::{self, Identity},
};

/// Whether there is anything to remove.
pub fn exist(paths: &Paths) -> bool {
    paths.state.exists() || network::owner(paths) == Owner::Us
}

/// Ends every process of the cluster and removes everything it made.
pub async fn remove(paths: &Paths) -> Result<()> {
    // The namespace and the control group of another checkout's cluster have our names.
    let ours = network::owner(paths) == Owner::Us;
    end_processes(paths, ours).await?;
    if ours {
        network::remove().await?;
        // The kernel takes a moment to forget the processes of a group.
        command::wait_until("the cluster's control groups are gone", Duration::from_secs(10), async || {
            Ok(cgroup::remove().err().map(|error| format!("{error:#}")))
        })
        .await?;
    }
    machine::restore(paths);
    match fs::remove_dir_all(&paths.state) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} can't be removed", paths.state.display()))
        }
        _ => Ok(()),
    }
}

async fn end_processes(paths: &Paths, ours: bool) -> Result<()> {
    // Killing one may bring another to light: a shim that is starting, a container of a shim just killed.
    command::wait_until("the cluster's processes are gone", Duration::from_secs(20), async || {
        let alive = processes(paths, ours).await?;
        for process in &alive {
            process.kill();
        }
        let pids: Vec<_> = alive.iter().map(|process| process.pid().to_string()).collect();
        Ok((!pids.is_empty()).then(|| format!("still there: {}", pids.join(", "))))
    })
    .await
}

/// Every living process of the cluster; those that start others come first.
async fn processes(paths: &Paths, ours: bool) -> Result<Vec<Identity>> {
    let mut found: Vec<_> = process::recorded(paths).into_iter().map(|(_, identity)| identity).collect();
    found.retain(Identity::is_alive);
    found.extend(process::shims(paths)?);
    if ours {
        if Path::new(NETWORK_NAMESPACE).exists() {
            let pids = command::run("ip", &["netns", "pids", NAME]).await?;
            found.extend(pids.split_whitespace().filter_map(|pid| Identity::of(pid.parse().ok()?)));
        }
        found.extend(cgroup::processes());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_recorded_process_is_ended_and_the_state_folder_removed() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { state: folder.path().join("state"), ..Paths::new().unwrap() };
        fs::create_dir_all(&paths.state).unwrap();
        let mut ours = tokio::process::Command::new("sleep").arg("1000").kill_on_drop(true).spawn().unwrap();
        let identity = Identity::of(i32::try_from(ours.id().unwrap()).unwrap()).unwrap();
        fs::write(paths.state.join("etcd.pid"), serde_json::to_vec(&identity).unwrap()).unwrap();
        remove(&paths).await.unwrap();
        assert!(!ours.wait().await.unwrap().success());
        assert!(!exist(&paths));
    }
}
