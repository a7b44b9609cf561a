//! Starts the cluster's processes, knows them again later, and ends them and no others.
//!
//! A pid alone names no process: after its end, or after a reboot, another program may have it. Each pid is recorded with
//! the boot it belongs to and the start time the kernel gives the process, and signals go through a pidfd.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{
    command, machine,
    network::NETWORK_NAMESPACE,
    paths::{Paths, text},
};

/// One process of one boot of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pid: i32,
    /// Clock ticks from boot to the start of the process.
    started: u64,
    boot: String,
}

impl Identity {
    /// The process that has `pid` now; `None` if there is none, or only its exit status is left.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, started: start_time(&stat)?, boot: boot_id().ok()? })
    }

    /// The pid, for messages.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether this very process still runs.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Ends this very process; does nothing when it's gone, whoever has its pid now.
    pub fn kill(&self) {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return;
        };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
            return;
        };
        // The pidfd holds on to one process: if that is ours now, the signal can reach no other.
        if self.is_alive() {
            // An error means that it ended in between.
            pidfd_send_signal(process, Signal::KILL).ok();
        }
    }
}

/// Names the boot: it changes when the machine starts anew.
pub fn boot_id() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Field 22 of /proc/PID/stat; `None` for a zombie. Field 2 may hold spaces and parentheses, so counting starts behind it.
fn start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Where a process of the node sees files.
#[derive(Debug)]
pub enum Mounts {
    /// As this machine does.
    Machine,
    /// In a new mount namespace with the node's own folders.
    New,
    /// In the mount namespace of the process recorded under this name.
    Of(&'static str),
}

/// Starts `program` as the node's process `name`, in its network namespace and in a session of its own, with its output in
/// `<state>/<name>.log` and its identity in `<state>/<name>.pid`.
pub fn start(
    paths: &Paths,
    name: &str,
    mounts: &Mounts,
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
) -> Result<()> {
    let log = fs::File::create(paths.state.join(format!("{name}.log")))?;
    // nsenter, not `ip netns exec`: the latter mounts a fresh /sys, in which the kubelet finds no control groups.
    // Each of these words becomes the next program, so the pid is the program's.
    let mut words = vec!["nsenter".to_owned(), format!("--net={NETWORK_NAMESPACE}")];
    match mounts {
        Mounts::Machine => {}
        Mounts::New => words.extend(machine::isolated(paths)?),
        Mounts::Of(other) => {
            let pid = ensure_runs(paths, other)?.pid();
            words.push(format!("--mount=/proc/{pid}/ns/mnt"));
        }
    }
    let child = Command::new("setsid")
        .args(words)
        .arg(program)
        .args(arguments)
        .current_dir(&paths.state)
        // The caller's proxies and KUBECONFIG are not the cluster's.
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("{name} does not start"))?;
    let identity = child.id().and_then(|pid| Identity::of(i32::try_from(pid).ok()?));
    let identity = identity.with_context(|| format!("{name} ended at once:\n{}", log_tail(paths, name)))?;
    fs::write(pid_file(paths, name), serde_json::to_vec(&identity)?)?;
    Ok(())
}

fn pid_file(paths: &Paths, name: &str) -> PathBuf {
    paths.state.join(format!("{name}.pid"))
}

/// Every process recorded by [`start`], with its name, sorted by it. A half-written record counts as none.
pub fn recorded(paths: &Paths) -> Vec<(String, Identity)> {
    let mut processes: Vec<_> = fs::read_dir(&paths.state)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.strip_suffix(".pid")?.to_owned();
            Some((name, serde_json::from_slice(&fs::read(&path).ok()?).ok()?))
        })
        .collect();
    processes.sort_by(|one: &(String, Identity), other| one.0.cmp(&other.0));
    processes
}

/// The process `name`; an error with the end of its log when it no longer runs.
pub fn ensure_runs(paths: &Paths, name: &str) -> Result<Identity> {
    let process =
        recorded(paths).into_iter().find(|(recorded, identity)| recorded == name && identity.is_alive());
    process.map(|(_, identity)| identity).with_context(|| format!("{name} ended:\n{}", log_tail(paths, name)))
}

fn log_tail(paths: &Paths, name: &str) -> String {
    let log = fs::read(paths.state.join(format!("{name}.log"))).unwrap_or_default();
    command::last_lines(&String::from_utf8_lossy(&log), 8)
}

/// The shims of this cluster's containerd. They outlive it; each names its socket on its command line.
pub fn shims(paths: &Paths) -> Result<Vec<Identity>> {
    let socket = paths.containerd_socket();
    let socket = text(&socket)?;
    let mut shims = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(command_line) = fs::read(format!("/proc/{pid}/cmdline")) else {
            continue;
        };
        if is_shim_of(&command_line, socket) {
            shims.extend(Identity::of(pid));
        }
    }
    Ok(shims)
}

fn is_shim_of(command_line: &[u8], socket: &str) -> bool {
    let words: Vec<_> = command_line.split(|byte| *byte == 0).collect();
    let is_shim = words.first().is_some_and(|program| {
        program.rsplit(|byte| *byte == b'/').next() == Some(b"containerd-shim-runc-v2")
    });
    is_shim && words.windows(2).any(|pair| pair == [b"-address".as_slice(), socket.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_read_behind_any_program_name() {
        let stat = |name: &str, state: &str| {
            format!("7 ({name}) {state} 1 7 7 0 -1 0 0 0 0 0 1 2 3 4 20 0 9 0 4242 5 6")
        };
        assert_eq!(start_time(&stat("etcd", "S")), Some(4242));
        assert_eq!(start_time(&stat("a) R 1 (b", "S")), Some(4242));
        assert_eq!(start_time(&stat("etcd", "Z")), None, "a zombie is no running process");
        assert_eq!(start_time(""), None);
    }

    #[tokio::test]
    async fn only_the_very_process_is_killed() {
        let mut child = Command::new("sleep").arg("1000").kill_on_drop(true).spawn().unwrap();
        let identity = Identity::of(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        let earlier = Identity { started: identity.started - 1, ..identity.clone() };
        let before_reboot = Identity { boot: "another boot".into(), ..identity.clone() };
        for stale in [earlier, before_reboot] {
            assert!(!stale.is_alive());
            stale.kill();
        }
        assert!(child.try_wait().unwrap().is_none(), "a stale record killed the pid's new owner");
        identity.kill();
        assert!(!child.wait().await.unwrap().success());
        assert!(!identity.is_alive());
    }

    #[test]
    fn a_shim_is_ours_only_with_our_socket() {
        let of = |program: &str, socket: &str| {
            let line = [program, "-namespace", "k8s.io", "-id", "4f", "-address", socket, ""].join("\0");
            is_shim_of(line.as_bytes(), "/target/cluster/state/containerd.sock")
        };
        assert!(of("/usr/bin/containerd-shim-runc-v2", "/target/cluster/state/containerd.sock"));
        assert!(!of("/usr/bin/containerd-shim-runc-v2", "/run/containerd/containerd.sock"));
        assert!(!of("/usr/bin/containerd-shim-runc-v2", "/elsewhere/target/cluster/state/containerd.sock"));
        assert!(!of("/usr/bin/ctr", "/target/cluster/state/containerd.sock"));
    }

    #[test]
    fn a_half_written_record_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { state: folder.path().to_owned(), ..Paths::new().unwrap() };
        let identity = Identity::of(1).unwrap();
        fs::write(pid_file(&paths, "etcd"), serde_json::to_vec(&identity).unwrap()).unwrap();
        fs::write(pid_file(&paths, "kubelet"), b"{\"pid\":").unwrap();
        assert_eq!(recorded(&paths), [("etcd".to_owned(), identity)]);
    }
}
