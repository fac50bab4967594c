//! Where a case plays: fresh stores, an engine on them, and the few moves that all cases make.

use queue::{Claim, Claimed, Engine, JobRow, NewJob, Outcome, Ticket};
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tests::stores::{Deployment, Stores};
pub(crate) use tests::wait::until;
use uuid::Uuid;

/// A case waits this long for something that must happen; a busy machine is slow, not wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A lease that no case outlives.
pub(crate) const LEASE: Duration = Duration::from_secs(300);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const QUEUE: &str = "work";

/// Fresh stores and an engine on them; acts as that engine.
pub(crate) struct Stage {
    stores: Stores,
    engine: Arc<dyn Engine>,
}

impl Stage {
    /// `None` if `TEST_ENGINES` leaves this deployment out.
    pub(crate) async fn open(deployment: Deployment) -> Option<Self> {
        if !deployment.is_chosen() {
            return None;
        }
        Some(Self::on(deployment.fresh().await).await)
    }

    pub(crate) async fn on(stores: Stores) -> Self {
        Self { engine: stores.engine().await, stores }
    }

    /// A second engine on the same stores, as another process would have it.
    pub(crate) async fn another(&self) -> Arc<dyn Engine> {
        self.stores.engine().await
    }

    /// The engine, to be moved into a task.
    pub(crate) fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine)
    }

    pub(crate) async fn close(self) {
        self.engine.db().close().await;
        self.stores.remove().await;
    }
}

impl Deref for Stage {
    type Target = dyn Engine;

    fn deref(&self) -> &Self::Target {
        &*self.engine
    }
}

impl AsRef<dyn Engine> for Stage {
    fn as_ref(&self) -> &(dyn Engine + 'static) {
        &*self.engine
    }
}

/// A job that is due at once.
pub(crate) fn job() -> NewJob {
    NewJob::new("test", QUEUE, "{}")
}

/// A job of a lane.
pub(crate) fn of_lane(lane: &str) -> NewJob {
    NewJob { lane: Some(lane.to_owned()), ..job() }
}

/// Puts one job in.
pub(crate) async fn put(engine: &impl AsRef<dyn Engine>, job: NewJob) -> Uuid {
    engine.as_ref().enqueue(&[job]).await.unwrap()[0].id
}

/// One claim by worker `a`, as it comes.
pub(crate) async fn claim(engine: &impl AsRef<dyn Engine>, limit: usize) -> Vec<Claimed> {
    claim_for(engine, limit, LEASE).await
}

pub(crate) async fn claim_for(
    engine: &impl AsRef<dyn Engine>,
    limit: usize,
    lease: Duration,
) -> Vec<Claimed> {
    let claim = Claim { queue: QUEUE.to_owned(), worker: "a".to_owned(), limit, lease };
    engine.as_ref().claim(&claim).await.unwrap()
}

/// Exactly `count` jobs, in as many claims as it takes, with the upkeep that a worker does.
pub(crate) async fn take(engine: &impl AsRef<dyn Engine>, count: usize) -> Vec<Claimed> {
    let mut taken = Vec::new();
    let start = Instant::now();
    while taken.len() < count {
        let more = claim(engine, (count - taken.len()).min(1_000)).await;
        if more.is_empty() {
            assert!(start.elapsed() < PATIENCE, "only {} of {count} jobs came", taken.len());
            engine.as_ref().reap().await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        taken.extend(more);
    }
    taken
}

/// The one job that must come next.
pub(crate) async fn take_one(engine: &impl AsRef<dyn Engine>) -> Claimed {
    take(engine, 1).await.remove(0)
}

/// Claims `count` jobs for a worker that dies at once, and does the upkeep until all of them are
/// taken back.
pub(crate) async fn crash(engine: &impl AsRef<dyn Engine>, count: usize) -> Vec<Claimed> {
    let mut claimed = Vec::new();
    let start = Instant::now();
    let mut taken_back = 0;
    while taken_back < count as u64 {
        assert!(start.elapsed() < PATIENCE, "{taken_back} of {count} jobs were taken back");
        let missing = count - claimed.len();
        if missing > 0 {
            let lease = Duration::from_millis(1);
            let new = claim_for(engine, missing.min(1_000), lease).await;
            for suspect in new.iter().filter(|held| held.crashes >= queue::SUSPECT) {
                engine.as_ref().begin(suspect.ticket).await.unwrap();
            }
            claimed.extend(new);
            // Upkeep would give the first ones back while the last are not yet claimed.
            if claimed.len() < count && !claimed.is_empty() {
                continue;
            }
        }
        let reaped = engine.as_ref().reap().await.unwrap();
        taken_back += reaped.recovered + reaped.dead;
    }
    claimed
}

pub(crate) fn done() -> Outcome {
    Outcome::Done { result: None, progress: None }
}

pub(crate) fn dead(error: &str) -> Outcome {
    Outcome::Dead { error: error.to_owned() }
}

pub(crate) fn retry(error: &str, after: Duration) -> Outcome {
    Outcome::Retry { after, error: error.to_owned() }
}

/// Records an end that must be accepted.
pub(crate) async fn finish(engine: &impl AsRef<dyn Engine>, ticket: Ticket, outcome: Outcome) {
    assert_eq!(engine.as_ref().finish(&[(ticket, outcome)]).await.unwrap(), [ticket]);
}

/// The row of a job that must be there.
pub(crate) async fn row(engine: &impl AsRef<dyn Engine>, id: Uuid) -> JobRow {
    engine.as_ref().get(id).await.unwrap().expect("the job is there")
}

pub(crate) fn ids(claimed: &[Claimed]) -> Vec<Uuid> {
    claimed.iter().map(|job| job.ticket.id).collect()
}
