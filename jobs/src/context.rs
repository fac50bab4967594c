//! What a running job is given.

use crate::{Failure, Log};
use db::{Db, Tx};
use queue::{Claimed, Engine, Outcome, Progress, Save};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// What every job of a process shares: the records and every connector.
#[derive(Clone)]
pub struct Services {
    /// Where jobs wait; also the way to put in a follow-up job.
    pub engine: Arc<dyn Engine>,
    /// What jobs of the sales contract may be told by configuration.
    pub sales: records::ventes::Policy,
    /// The file server of source 001.
    pub nas: Arc<crate::connectors::nas::Nas>,
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
    /// Fires when the attempt must stop: somebody cancelled the job, its time is over, its lease
    /// was lost, or the worker's grace time has ended.
    pub cancelled: CancellationToken,
    /// Fires when the worker begins to shut down: keep a checkpoint and return
    /// [`Failure::Release`], or finish within the grace time.
    pub draining: CancellationToken,
    log: Arc<Log>,
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
        Self {
            services,
            job: Arc::new(job),
            cancelled,
            draining: CancellationToken::new(),
            log: Arc::default(),
            ended: Arc::default(),
        }
    }

    /// The same, told by `draining` that its worker shuts down.
    #[must_use]
    pub fn with_draining(self, draining: CancellationToken) -> Self {
        Self { draining, ..self }
    }

    /// The record's connection.
    pub fn db(&self) -> &Db {
        self.services.engine.db()
    }

    /// Shows how far the job has come. [`Failure::LeaseLost`] if somebody else holds it now.
    pub async fn progress(&self, done: u64, total: u64) -> Result<(), Failure> {
        let save = Save { progress: Some(Progress { done, total }), checkpoint: None };
        Ok(self.services.engine.save(self.job.ticket, &save).await?)
    }

    /// Keeps what the next attempt needs to go on from here, in place of the last checkpoint.
    pub async fn checkpoint(&self, state: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(state).expect("a checkpoint is plain data");
        let save = Save { progress: None, checkpoint: Some(text) };
        Ok(self.services.engine.save(self.job.ticket, &save).await?)
    }

    /// The same for a job that finds out by itself what kills its process: those who died so far
    /// no longer count against it. Each life must get further than the one before, or give up.
    pub async fn survive(&self, state: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(state).expect("a checkpoint is plain data");
        let save = Save { progress: None, checkpoint: Some(text) };
        let mut tx = self.db().begin().await?;
        self.services.engine.hold_in(&mut tx, self.job.ticket, &save).await?;
        self.services.engine.forgive_in(&mut tx, self.job.ticket).await?;
        Ok(tx.commit().await?)
    }

    /// What an earlier attempt kept with [`Context::checkpoint`]. `None` also if it was another
    /// shape: begin anew.
    pub fn resume<T: DeserializeOwned>(&self) -> Option<T> {
        let text = self.job.checkpoint.as_deref()?;
        let read = serde_json::from_str(text);
        read.inspect_err(|error| tracing::warn!(%error, "the checkpoint cannot be read")).ok()
    }

    /// Adds to what people see of this attempt, at most 1 000 lines and 64 KiB. Written twice a
    /// second, and before the attempt's end is recorded (after it with [`Context::finish_in`]).
    pub fn log(&self, text: impl Into<String>) {
        self.log.add(&text.into());
    }

    /// What the attempt has logged and the worker has not written yet.
    pub fn lines(&self) -> Arc<Log> {
        Arc::clone(&self.log)
    }

    /// Does a step with an effect outside once in the job's life: a later attempt gets its result
    /// without doing it. `work` is given a key, the same in every attempt, for the other side:
    /// should the process die between the effect and its note, the step is done again under it.
    pub async fn once<T, W>(
        &self,
        step: &str,
        work: impl FnOnce(String) -> W + Send,
    ) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned + Send,
        W: Future<Output = Result<T, Failure>> + Send,
    {
        let (engine, ticket) = (&self.services.engine, self.job.ticket);
        if let Some(kept) = engine.step(ticket.id, step).await? {
            return serde_json::from_str(&kept).map_err(Failure::permanent);
        }
        // Whoever lost the job has no effect any more.
        engine.save(ticket, &Save::default()).await?;
        let result = work(format!("{}:{step}", ticket.id)).await?;
        let text = serde_json::to_string(&result).expect("a step's result is plain data");
        engine.keep_step(ticket, step, &text).await?;
        Ok(result)
    }

    /// Locks this job inside `tx` and records progress. Call it before the first effect: an
    /// attempt whose lease was lost stops here ([`Failure::LeaseLost`]).
    pub async fn hold_in(&self, tx: &mut Tx, progress: Option<Progress>) -> Result<(), Failure> {
        Ok(self.services.engine.hold_in(tx, self.job.ticket, &progress.into()).await?)
    }

    /// Records success, `result` and, if given, how far it came inside `tx`: they and the effects
    /// happen together or not at all. [`Failure::LeaseLost`] if somebody else holds the job now: a
    /// transaction that ends the job need not call [`Context::hold_in`] before. Return `Ok(())`
    /// after committing.
    pub async fn finish_in(
        &self,
        tx: &mut Tx,
        progress: Option<Progress>,
        result: &impl Serialize,
    ) -> Result<(), Failure> {
        let result = serde_json::to_string(result).expect("a job result is plain data");
        let outcome = Outcome::Done { result: Some(result), progress };
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
