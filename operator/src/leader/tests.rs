use std::sync::{Arc, Mutex, MutexGuard};

use super::*;

/// An API server with one Lease and its optimistic lock, and a switch to cut it off.
#[derive(Clone, Default)]
struct FakeStore {
    state: Arc<Mutex<FakeState>>,
}

#[derive(Default)]
struct FakeState {
    lease: Option<Lease>,
    version: u64,
    down: bool,
    /// How many candidates must have read before any of them may write.
    readers_before_write: usize,
}

fn refused(code: u16) -> kubernetes::Error {
    kubernetes::Error::Refused { code, reason: "Conflict".into() }
}

impl FakeStore {
    fn state(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap()
    }

    fn write(&self, mut lease: Lease) -> Result<Lease, kubernetes::Error> {
        let mut state = self.state();
        if state.down {
            return Err(kubernetes::Error::Unreachable);
        }
        let current = state.lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        if lease.metadata.resource_version != current {
            return Err(refused(409));
        }
        state.version += 1;
        lease.metadata.resource_version = Some(state.version.to_string());
        state.lease = Some(lease.clone());
        Ok(lease)
    }

    fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    fn holder(&self) -> Option<String> {
        let state = self.state();
        state.lease.as_ref()?.spec.as_ref()?.holder_identity.clone()
    }
}

impl LeaseStore for FakeStore {
    fn get(&self) -> BoxFuture<'_, Result<Option<Lease>, kubernetes::Error>> {
        Box::pin(async {
            let lease = {
                let mut state = self.state();
                if state.down {
                    return Err(kubernetes::Error::Unreachable);
                }
                state.readers_before_write = state.readers_before_write.saturating_sub(1);
                state.lease.clone()
            };
            while self.state().readers_before_write > 0 {
                tokio::task::yield_now().await;
            }
            Ok(lease)
        })
    }

    fn create(&self, lease: Lease) -> BoxFuture<'_, Result<Lease, kubernetes::Error>> {
        Box::pin(async move { self.write(lease) })
    }

    fn replace(&self, lease: Lease) -> BoxFuture<'_, Result<Lease, kubernetes::Error>> {
        Box::pin(async move { self.write(lease) })
    }
}

fn candidate(store: &FakeStore, identity: &str) -> Elector<FakeStore> {
    Elector::new(store.clone(), identity.to_owned())
}

/// Whether `elector` gets the lease within `seconds`.
async fn acquires_within(elector: &mut Elector<FakeStore>, seconds: u64) -> bool {
    timeout(Duration::from_secs(seconds), elector.acquire()).await.is_ok()
}

/// What `elector` says if it stops to hold the lease within `seconds`.
async fn loses_within(elector: &mut Elector<FakeStore>, seconds: u64) -> Option<Lost> {
    timeout(Duration::from_secs(seconds), elector.keep()).await.ok()
}

#[tokio::test(start_paused = true)]
async fn of_two_candidates_that_see_an_expired_lease_at_once_one_wins() {
    let store = FakeStore::default();
    let (mut a, mut b, mut dead) =
        (candidate(&store, "a"), candidate(&store, "b"), candidate(&store, "dead"));
    dead.acquire().await;
    // both have watched it long enough to know that it has run out
    assert_eq!((a.attempt().await, b.attempt().await), (Attempt::HeldByAnother, Attempt::HeldByAnother));
    sleep(LEASE_DURATION + Duration::from_secs(1)).await;
    store.state().readers_before_write = 2;
    let attempts = tokio::join!(a.attempt(), b.attempt());
    assert!(
        matches!(attempts, (Attempt::Holding, Attempt::Failed) | (Attempt::Failed, Attempt::Holding)),
        "{attempts:?}"
    );
    // and the loser sees a winner
    let loser = if attempts.0 == Attempt::Holding { &mut b } else { &mut a };
    assert_eq!(loser.attempt().await, Attempt::HeldByAnother);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_is_never_taken() {
    let store = FakeStore::default();
    let (mut leader, mut other) = (candidate(&store, "leader"), candidate(&store, "other"));
    leader.acquire().await;
    tokio::select! {
        lost = leader.keep() => panic!("{lost}"),
        () = other.acquire() => panic!("taken"),
        () = sleep(Duration::from_mins(5)) => {}
    }
    assert_eq!(store.holder().as_deref(), Some("leader"));
}

#[tokio::test(start_paused = true)]
async fn the_clocks_of_the_machines_do_not_matter() {
    let store = FakeStore::default();
    let mut ahead = candidate(&store, "ahead");
    ahead.acquire().await;
    // its clock is an hour behind ours: its lease looks as if it had run out long ago
    if let Some(spec) = store.state().lease.as_mut().unwrap().spec.as_mut() {
        spec.renew_time = Some(MicroTime(Timestamp::UNIX_EPOCH));
    }
    let mut other = candidate(&store, "other");
    assert!(!acquires_within(&mut other, 14).await);
    assert!(acquires_within(&mut other, 5).await);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_stops_before_anybody_else_may_start() {
    let store = FakeStore::default();
    let mut leader = candidate(&store, "leader");
    leader.acquire().await;
    let since = Instant::now();
    store.set_down(true);
    assert_eq!(loses_within(&mut leader, 60).await, Some(Lost));
    assert!(since.elapsed() <= RENEW_DEADLINE + RETRY_PERIOD, "{:?}", since.elapsed());
    assert!(since.elapsed() < LEASE_DURATION);
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_was_taken_stops() {
    let store = FakeStore::default();
    let mut leader = candidate(&store, "leader");
    leader.acquire().await;
    let taken = {
        let mut lease = store.state().lease.clone().unwrap();
        lease.spec.as_mut().unwrap().holder_identity = Some("thief".into());
        lease
    };
    store.write(taken).unwrap();
    assert_eq!(loses_within(&mut leader, 60).await, Some(Lost));
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_at_once() {
    let store = FakeStore::default();
    let (mut leader, mut other) = (candidate(&store, "leader"), candidate(&store, "other"));
    leader.acquire().await;
    assert!(!acquires_within(&mut other, 1).await);
    leader.release().await;
    assert!(acquires_within(&mut other, 3).await);
    assert_eq!(store.holder().as_deref(), Some("other"));
}
