//! What the sidecar holds of memory, looked at all the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinHandle, time::interval};

use crate::bench::machine::{peak_resident, resident};

/// Between two looks. The kernel keeps the peak: what may be missed is that of the last moment before a kill.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks on until it is dropped.
pub struct Memory {
    seen: Arc<Seen>,
    looking: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// 0 for none.
    process: AtomicU32,
    now: AtomicU64,
    peak: AtomicU64,
}

// === impl Memory ===

impl Memory {
    pub fn new() -> Self {
        let seen = Arc::<Seen>::default();
        let looked = Arc::clone(&seen);
        let looking = tokio::spawn(async move {
            let mut pause = interval(PAUSE);
            loop {
                pause.tick().await;
                looked.look();
            }
        });
        Self { seen, looking }
    }

    /// From now on it is this process, whose peak so far counts too.
    pub fn follow(&self, process: Option<u32>) {
        self.seen.process.store(process.unwrap_or_default(), Ordering::Relaxed);
        self.seen.look();
    }

    /// In KiB.
    pub fn now(&self) -> u64 {
        self.seen.look();
        self.seen.now.load(Ordering::Relaxed)
    }

    /// In KiB, of the process that is followed.
    pub fn peak_of_process(&self) -> u64 {
        peak_resident(self.seen.process.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// In KiB, of all processes so far.
    pub fn peak(&self) -> u64 {
        self.seen.look();
        self.seen.peak.load(Ordering::Relaxed)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

// === impl Seen ===

impl Seen {
    fn look(&self) {
        let process = self.process.load(Ordering::Relaxed);
        // one that was just killed has nothing to look at
        if let (Ok(now), Ok(peak)) = (resident(process), peak_resident(process)) {
            self.now.store(now, Ordering::Relaxed);
            self.peak.fetch_max(peak, Ordering::Relaxed);
        }
    }
}
