//! The processors that a benchmark uses, and what a process has used of the machine.

use std::{fs, time::Duration};

use anyhow::{Context as _, bail};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity},
};

/// Attackers and the sidecar have thousands of connections.
const FILES: u64 = 16_384;

/// One processor is for whatever is measured, another for everybody else.
#[derive(Clone, Copy, Debug)]
pub struct Processors {
    pub server: usize,
}

// === impl Processors ===

impl Processors {
    /// Picks two, and moves this process, and with it every child from now on, to that of the clients.
    pub fn claim() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(None).context("ask for the processors")?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor));
        let (Some(clients), Some(server)) = (allowed.next(), allowed.next()) else {
            bail!("two processors are needed: one for the server, one for its clients");
        };
        let mut set = CpuSet::new();
        set.set(clients);
        for thread in threads("self")? {
            sched_setaffinity(Pid::from_raw(thread.parse()?), &set).context("move to a processor")?;
        }
        Ok(Self { server })
    }
}

/// Lets this process and its children open as many files as they may, and says so where that's too few.
pub fn raise_file_limit() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < FILES) {
        bail!("{FILES} open files are needed: raise the hard limit (ulimit -Hn)");
    }
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .context("raise the limit of open files")
}

/// Processor time that a process has used so far, in the kernel too.
pub fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let pid = pid.to_string();
    let mut total = 0;
    for thread in threads(&pid)? {
        // to the nanosecond, where /proc/PID/stat counts hundredths of a second
        let file = format!("/proc/{pid}/task/{thread}/schedstat");
        let Ok(text) = fs::read_to_string(&file) else {
            continue; // it has just ended
        };
        let running = text.split(' ').next().and_then(|field| field.parse::<u64>().ok());
        total += running.with_context(|| format!("{file} is not understood"))?;
    }
    Ok(Duration::from_nanos(total))
}

/// Memory that a process holds, in KiB.
pub fn resident(pid: u32) -> anyhow::Result<u64> {
    status_field(pid, "VmRSS:")
}

/// The most that it has held.
pub fn peak_resident(pid: u32) -> anyhow::Result<u64> {
    status_field(pid, "VmHWM:")
}

/// Bytes that a process has had written to a disk.
pub fn written(pid: u32) -> anyhow::Result<u64> {
    let file = format!("/proc/{pid}/io");
    let io = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
    let value = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    value.and_then(|value| value.parse().ok()).with_context(|| format!("{file} is not understood"))
}

fn status_field(pid: u32, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the server has ended")?;
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let value = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok());
    value.with_context(|| format!("no {name} of process {pid}"))
}

fn threads(process: &str) -> anyhow::Result<Vec<String>> {
    let folder = fs::read_dir(format!("/proc/{process}/task")).context("the server has ended")?;
    folder.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_time_and_memory() {
        let pid = std::process::id();
        let before = processor_time(pid).unwrap();
        while processor_time(pid).unwrap() == before {
            std::thread::yield_now();
        }
        assert!(resident(pid).unwrap() <= peak_resident(pid).unwrap());
    }

    #[test]
    fn what_this_process_writes_counts() {
        let before = written(std::process::id()).unwrap();
        // not among temporary files, which may be in memory
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        std::io::Write::write_all(&mut file, &vec![1; 1 << 16]).unwrap();
        file.sync_data().unwrap();
        assert!(written(std::process::id()).unwrap() >= before + (1 << 16));
    }
}
