//! Lets records gather: those that come while the runtime has other things to do share one write, one sync and one wake-up.
//!
//! A sync costs more processor time than all else that is done for an update, and a thread that wakes a task of the runtime costs a
//! system call. So records that [`Log::gather`](super::Log::gather) takes are written when a turn of the runtime has brought no
//! more of them: when everybody who could have one waits. And whoever waits is told by a task of the runtime, to which the writer
//! tells of a whole batch.

use std::{sync::Arc, time::Duration};

use tokio::{
    select,
    sync::{Notify, mpsc},
    task::yield_now,
    time::Instant,
};

use super::{
    LogError,
    files::Files,
    state::{Done, Shared, tell},
};

/// Longest that records gather: a fraction of what a slow disk takes for a sync.
const LONGEST: Duration = Duration::from_millis(1);
/// Records that needn't wait for more.
const MANY: u64 = 128;

/// Those who waited for a batch, and what became of it.
pub(super) type Told = (Vec<Done>, Result<(), LogError>);

/// What has to run in the runtime for records to gather.
pub struct Gatherer<F: Files> {
    pub(super) shared: Arc<Shared<F>>,
    pub(super) told: mpsc::UnboundedReceiver<Told>,
    /// Tells that the first record has been gathered.
    pub(super) started: Arc<Notify>,
}

/// Records that gather.
struct Gathering {
    since: Instant,
    /// The sequence after the first ones, and that after those that were there when somebody looked last.
    from: u64,
    until: u64,
}

// === impl Gatherer ===

impl<F: Files> Gatherer<F> {
    /// Ends when the writer has ended.
    pub async fn run(self) {
        let Self { shared, mut told, started } = self;
        let mut gathering: Option<Gathering> = None;
        loop {
            select! {
                biased;
                batch = told.recv() => match batch {
                    Some((done, result)) => tell(done, &result),
                    None => return,
                },
                () = started.notified(), if gathering.is_none() => {
                    let next = shared.next();
                    gathering = Some(Gathering { since: Instant::now(), from: next, until: next });
                }
                () = yield_now(), if gathering.is_some() => {
                    if gathering.as_mut().is_none_or(|gathering| gathering.is_over(shared.next())) {
                        gathering = None;
                        shared.write_gathered();
                    }
                }
            }
        }
    }
}

// === impl Gathering ===

impl Gathering {
    /// `next` is the first sequence that no record has now.
    fn is_over(&mut self, next: u64) -> bool {
        let came_more = next > std::mem::replace(&mut self.until, next);
        !came_more || next - self.from >= MANY || self.since.elapsed() >= LONGEST
    }
}
