//! The steps of accepting a request, one by one: a place among its principal's unfinished ones,
//! the transaction that makes it durable, the wait for its end, the note that its answer left.
//! [`crate::contract`] and the generic API put them together.

use crate::State;
use crate::error::ApiError;
use crate::idempotency::Keyed;
use db::{Dialect, Tx};
use queue::{Enqueued, JobRow, Listening, NewJob};
use records::requests;
use std::collections::HashMap;
use std::future::Future;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

/// How long requests still wait for their job's end once the process is told to stop: whoever is
/// answered 202 by then loses nothing.
const STOPPING: Duration = Duration::from_secs(2);
/// How often a full principal's jobs are counted again.
const ROOM_POLL: Duration = Duration::from_millis(50);
/// How often a transaction that collided with another one is tried again.
pub(crate) const COLLISIONS: u32 = 5;

/// Requests of this process that were admitted but are not jobs yet, per principal.
#[derive(Clone, Default)]
pub(crate) struct Rooms(Arc<Mutex<HashMap<String, u32>>>);

/// A place among a principal's unfinished requests, held until its job is in the record.
pub(crate) struct Place {
    rooms: Rooms,
    principal: String,
}

impl Rooms {
    /// Takes a place, and says how many were held before it.
    fn take(&self, principal: &str) -> (Place, u32) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = rooms.entry(principal.to_owned()).or_default();
        let before = *held;
        *held += 1;
        (Place { rooms: self.clone(), principal: principal.to_owned() }, before)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut rooms = self.rooms.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = rooms.get_mut(&self.principal) {
            *held -= 1;
            if *held == 0 {
                rooms.remove(&self.principal);
            }
        }
    }
}

/// Admits a request before its body is read: a principal has only so many unfinished ones. Waits
/// a moment for room, so that a burst that is worked off quickly is served.
pub(crate) async fn admit(state: &State, principal: &str) -> Result<Place, ApiError> {
    let limit = state.settings.unfinished_per_principal;
    let patience = Instant::now() + state.settings.room_wait;
    loop {
        // First the place, then the count: a request whose place is not among those before is in
        // the record by then, so that none is overlooked on its way from one to the other. One
        // that is seen in both makes this look again.
        let (place, before) = state.rooms.take(principal);
        let count = state.engine.unfinished(principal, limit);
        let unfinished = timeout(state.settings.store_timeout, count).await??;
        if unfinished.saturating_add(before) < limit {
            return Ok(place);
        }
        drop(place);
        if Instant::now() + ROOM_POLL > patience {
            return Err(ApiError::TooManyPending);
        }
        sleep(ROOM_POLL).await;
    }
}

/// What becomes durable together with a job, apart from its key.
pub(crate) trait Beside: Sync {
    fn begin_in(
        &self,
        tx: &mut Tx,
        job: &NewJob,
    ) -> impl Future<Output = Result<Begun, db::Error>> + Send;
}

/// Nothing does.
pub(crate) struct Nothing;

impl Beside for Nothing {
    async fn begin_in(&self, _tx: &mut Tx, _job: &NewJob) -> Result<Begun, db::Error> {
        Ok(Begun::New)
    }
}

/// Whether the request is one to make a job of.
pub(crate) enum Begun {
    New,
    /// It was made before.
    Known,
    Refused(ApiError),
}

/// What came of making a job durable.
pub(crate) enum Taken {
    New(Enqueued),
    /// The request was made before, or its key is taken.
    Known,
    Refused(ApiError),
}

/// Makes a job durable that has neither a key nor anything else beside it.
pub(crate) async fn alone(state: &State, job: &NewJob) -> Result<Enqueued, ApiError> {
    let enqueue = state.engine.enqueue(slice::from_ref(job));
    let enqueued = timeout(write_patience(state), enqueue).await??;
    Ok(first(&enqueued, job))
}

/// Job, key and what is beside them in one transaction: all or nothing.
pub(crate) async fn together(
    state: &State,
    job: &NewJob,
    keyed: Option<&Keyed>,
    beside: &impl Beside,
) -> Result<Taken, ApiError> {
    let trying = async {
        let mut tries = 0;
        loop {
            match together_once(state, job, keyed, beside).await {
                Err(queue::Error::Db(db::Error::Collision(_))) if tries < COLLISIONS => tries += 1,
                other => return other,
            }
        }
    };
    Ok(timeout(write_patience(state), trying).await??)
}

async fn together_once(
    state: &State,
    job: &NewJob,
    keyed: Option<&Keyed>,
    beside: &impl Beside,
) -> Result<Taken, queue::Error> {
    let mut tx = state.engine.db().begin().await?;
    match beside.begin_in(&mut tx, job).await? {
        Begun::New => {}
        Begun::Known => return Ok(Taken::Known),
        Begun::Refused(error) => return Ok(Taken::Refused(error)),
    }
    if let Some(keyed) = keyed
        && !keyed.begin_in(&mut tx).await?
    {
        return Ok(Taken::Known);
    }
    let enqueued = state.engine.enqueue_in(&mut tx, slice::from_ref(job)).await?;
    let enqueued = first(&enqueued, job);
    if let Some(keyed) = keyed {
        requests::set_job(&mut tx, &keyed.scope, enqueued.id, enqueued.created).await?;
    }
    tx.commit().await?;
    Ok(Taken::New(enqueued))
}

/// What became of the one job that was put in.
fn first(enqueued: &[Enqueued], job: &NewJob) -> Enqueued {
    enqueued.first().copied().unwrap_or(Enqueued { id: job.id, created: true })
}

/// Waits for the end of a job until `until`; the row as it is then, as far as it could be read.
pub(crate) async fn await_end(state: &State, id: Uuid, until: Instant) -> Option<JobRow> {
    let wait = state.engine.wait(id, until.saturating_duration_since(Instant::now()));
    end_by(state, id, until, wait).await
}

/// The same for a job that was just put in, and was listened for before.
pub(crate) async fn await_new_end(
    state: &State,
    id: Uuid,
    listening: Listening,
    until: Instant,
) -> Option<JobRow> {
    let patience = until.saturating_duration_since(Instant::now());
    end_by(state, id, until, state.engine.wait_listening(listening, patience)).await
}

async fn end_by(
    state: &State,
    id: Uuid,
    until: Instant,
    wait: impl Future<Output = Result<Option<JobRow>, queue::Error>>,
) -> Option<JobRow> {
    let ended = timeout_at(until + state.settings.store_timeout, wait);
    let stopped = async {
        state.stopping.cancelled().await;
        sleep(STOPPING).await;
    };
    let ended = tokio::select! {
        ended = ended => ended,
        () = stopped => timeout(state.settings.store_timeout, state.engine.get(id)).await,
    };
    match ended {
        Ok(Ok(row)) => row,
        Ok(Err(error)) => {
            tracing::warn!(job.id = %id, %error, "the job's end could not be awaited");
            None
        }
        Err(_late) => None,
    }
}

/// On SQLite writers queue for the one writing connection: that is load, not an outage.
pub(crate) fn write_patience(state: &State) -> Duration {
    match state.engine.db().dialect() {
        Dialect::Sqlite => state.settings.store_timeout * 5,
        Dialect::Postgres => state.settings.store_timeout,
    }
}
