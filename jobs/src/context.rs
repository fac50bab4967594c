//! What a running job is given.

use crate::Failure;
use db::{Db, Tx};
use queue::{Claimed, Engine, Outcome, Progress};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// What every job of a process shares: the records and every connector.
#[derive(Clone)]
pub struct Services {
    /// Where jobs wait; also the way to put in a follow-up job.
    pub engine: Arc<dyn Engine>,
    /// What jobs of the sales contract may be told by configuration.
    pub sales: records::ventes::Policy,
    /// How long finished jobs stay.
    pub retention: queue::Retention,
}

/// One attempt's view of the world; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The records and every connector.
    pub services: Services,
    /// The job that is running.
    pub job: Arc<Claimed>,
    /// Fires when the attempt must stop: its lease was lost, or the worker shuts down.
    pub cancelled: CancellationToken,
    ended: Arc<Mutex<Ended>>,
}

/// What the handler has said about its end so far.
#[derive(Debug, Default)]
struct Ended {
    recorded: bool,
    result: Option<String>,
}

impl Context {
    /// The context of one attempt.
    pub fn new(services: Services, job: Claimed, cancelled: CancellationToken) -> Self {
        Self { services, job: Arc::new(job), cancelled, ended: Arc::default() }
    }

    /// The record's connection.
    pub fn db(&self) -> &Db {
        self.services.engine.db()
    }

    /// Locks this job inside `tx` and records progress. Call it before the first effect: an
    /// attempt whose lease was lost stops here ([`Failure::LeaseLost`]).
    pub async fn hold_in(&self, tx: &mut Tx, progress: Option<Progress>) -> Result<(), Failure> {
        Ok(self.services.engine.hold_in(tx, self.job.ticket, &progress.into()).await?)
    }

    /// Records success and `result` inside `tx`: they and the effects happen together or not at
    /// all. Return `Ok(())` after committing.
    pub async fn finish_in(&self, tx: &mut Tx, result: &impl Serialize) -> Result<(), Failure> {
        let result = serde_json::to_string(result).expect("a job result is plain data");
        let outcome = Outcome::Done { result: Some(result) };
        self.services.engine.finish_in(tx, self.job.ticket, &outcome).await?;
        let ended = Arc::clone(&self.ended);
        tx.after_commit(move || {
            ended.lock().unwrap_or_else(PoisonError::into_inner).recorded = true;
        });
        Ok(())
    }

    /// Sets the result that is recorded when `run` returns `Ok`.
    pub fn set_result(&self, result: &impl Serialize) {
        let text = serde_json::to_string(result).expect("a job result is plain data");
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).result = Some(text);
    }

    /// Whether [`Context::finish_in`] has committed.
    pub fn is_recorded(&self) -> bool {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).recorded
    }

    /// The result set by [`Context::set_result`].
    pub fn take_result(&self) -> Option<String> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).result.take()
    }
}
