//! Ends a cluster and removes all that it left: of a running one, of one that died half-way, of one from before a reboot.
//!
//! What is the cluster's is known by four signs only: a recorded process identity, our containerd's socket on a shim's
//! command line, our control group and network namespace, a path below our state folder.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{
    cgroup, command,
    config::{POD_NETWORK, containerd_state},
    network::{self, NETWORK_NAMESPACE, Owner},
    paths::{NAME, Paths, text},
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
    remove_shim_sockets(paths);
    unmount_all(&paths.state).await?;
    if ours {
        network::remove().await?;
        // The kernel takes a moment to forget the processes of a group.
        command::wait_until(
            "the cluster's control groups are gone",
            Duration::from_secs(10),
            async || Ok(cgroup::remove().err().map(|error| format!("{error:#}"))),
        )
        .await?;
    }
    remove_outside_files(paths, ours)?;
    match fs::remove_dir_all(&paths.state) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} can't be removed", paths.state.display()))
        }
        _ => Ok(()),
    }
}

async fn end_processes(paths: &Paths, ours: bool) -> Result<()> {
    // Killing one may bring another to light: a shim that is starting, a container of a shim just killed.
    command::wait_until(
        "the cluster's processes are gone",
        Duration::from_secs(20),
        async || {
            let alive = processes(paths, ours).await?;
            for process in &alive {
                process.kill();
            }
            let pids: Vec<_> = alive.iter().map(|process| process.pid().to_string()).collect();
            Ok((!pids.is_empty()).then(|| format!("still there: {}", pids.join(", "))))
        },
    )
    .await
}

/// Every living process of the cluster; those that start others come first.
async fn processes(paths: &Paths, ours: bool) -> Result<Vec<Identity>> {
    let mut found: Vec<_> = process::recorded(paths)
        .into_iter()
        .map(|(_, identity)| identity)
        .collect();
    found.retain(Identity::is_alive);
    found.extend(process::shims(paths)?);
    if ours {
        if Path::new(NETWORK_NAMESPACE).exists() {
            let pids = command::run("ip", &["netns", "pids", NAME]).await?;
            found.extend(
                pids.split_whitespace()
                    .filter_map(|pid| Identity::of(pid.parse().ok()?)),
            );
        }
        found.extend(cgroup::processes());
    }
    Ok(found)
}

/// A killed shim leaves the socket on which it served, in a folder of the machine; its address is in our state folder.
fn remove_shim_sockets(paths: &Paths) {
    let tasks = containerd_state(paths).join("io.containerd.runtime.v2.task/k8s.io");
    for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
        let address = fs::read_to_string(task.path().join("address")).unwrap_or_default();
        if let Some(socket) = address.trim().strip_prefix("unix://") {
            // It may be gone already; a socket nobody listens on does no harm.
            fs::remove_file(socket).ok();
        }
    }
}

async fn unmount_all(state: &Path) -> Result<()> {
    for mount in mounts_below(&fs::read("/proc/self/mountinfo")?, state) {
        let mount = text(&mount)?;
        if command::run("umount", &[mount]).await.is_err() {
            // A process of somebody else looks into it: detach it now, it ends when they leave.
            command::run("umount", &["--lazy", mount]).await?;
        }
    }
    Ok(())
}

/// The mount points below `folder`, the latest mounted first.
fn mounts_below(mountinfo: &[u8], folder: &Path) -> Vec<PathBuf> {
    let lines = mountinfo.split(|byte| *byte == b'\n');
    let points = lines
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(unescape);
    let mut mounts: Vec<_> = points.filter(|point| point.starts_with(folder)).collect();
    mounts.reverse();
    mounts
}

/// The kernel writes a space and some others as a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        if let Some(escaped) = octal.filter(|_| byte == b'\\') {
            bytes.push(escaped);
            rest = tail.get(3..).unwrap_or_default();
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    OsString::from_vec(bytes).into()
}

/// Two kinds of files that no setting moves: the kubelet's links to logs, and the CNI library's results.
fn remove_outside_files(paths: &Paths, ours: bool) -> Result<()> {
    for entry in fs::read_dir("/var/log/containers").into_iter().flatten() {
        let link = entry?.path();
        if fs::read_link(&link).is_ok_and(|log| log.starts_with(&paths.state)) {
            fs::remove_file(&link)?;
        }
    }
    let result_name = format!("{POD_NETWORK}-");
    for entry in fs::read_dir("/var/lib/cni/results").into_iter().flatten() {
        let entry = entry?;
        if ours && entry.file_name().to_string_lossy().starts_with(&result_name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_below_the_state_folder_are_found_innermost_first() {
        let mountinfo = b"1 0 8:1 / / rw - ext4 /dev/sda rw\n\
            2 1 0:5 / /target/state/kubelet/pods rw - tmpfs tmpfs rw\n\
            3 2 0:6 / /target/state/kubelet/pods/a\\040b rw - tmpfs tmpfs rw\n\
            4 1 0:7 / /target/state-of-another rw - tmpfs tmpfs rw\n";
        let found = mounts_below(mountinfo, Path::new("/target/state"));
        assert_eq!(
            found,
            [
                Path::new("/target/state/kubelet/pods/a b"),
                Path::new("/target/state/kubelet/pods")
            ]
        );
    }

    #[tokio::test]
    async fn a_recorded_process_is_ended_and_the_state_folder_removed() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths {
            state: folder.path().join("state"),
            ..Paths::new().unwrap()
        };
        fs::create_dir_all(&paths.state).unwrap();
        let mut ours = tokio::process::Command::new("sleep")
            .arg("1000")
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let identity = Identity::of(i32::try_from(ours.id().unwrap()).unwrap()).unwrap();
        fs::write(
            paths.state.join("etcd.pid"),
            serde_json::to_vec(&identity).unwrap(),
        )
        .unwrap();
        remove(&paths).await.unwrap();
        assert!(!ours.wait().await.unwrap().success());
        assert!(!exist(&paths));
    }
}
