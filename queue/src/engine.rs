//! The seam: what every deployment promises (`Engine`), and the choice of one (`open`).

use crate::bell::{Bell, Waiter};
use crate::sql::Record;
use crate::{
    Beat, Claim, Claimed, Control, Enqueued, Error, JobRow, NewJob, Outcome, Reaped, Retention,
    Save, Ticket,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use db::{Db, Tx};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// A queue. All methods may be called from many tasks at once; a call that is dropped half way
/// has either happened or not.
#[async_trait]
pub trait Engine: Control {
    /// Puts jobs in, all or none; once it returns they survive anything. Answers in order.
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, Error>;

    /// The same inside the caller's transaction: the jobs exist if and only if it commits.
    async fn enqueue_in(&self, tx: &mut Tx, jobs: &[NewJob]) -> Result<Vec<Enqueued>, Error>;

    /// Takes ready jobs: by priority, then due time, then id; of a lane only its head. A job is
    /// held by at most one worker. Counts the attempt.
    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, Error>;

    /// Extends leases to `lease` from now; returns the tickets still held. Abandon the others.
    async fn extend(&self, tickets: &[Ticket], lease: Duration) -> Result<Vec<Ticket>, Error>;

    /// Records how attempts ended, each only for its holder; returns the tickets that were held.
    async fn finish(&self, ends: &[(Ticket, Outcome)]) -> Result<Vec<Ticket>, Error>;

    /// Notes that a suspect ([`crate::SUSPECT`]) is about to begin; [`Error::LeaseLost`] if the caller no
    /// longer holds it. Until then the loss of its holder is nothing that it did.
    async fn begin(&self, ticket: Ticket) -> Result<(), Error>;

    /// Records an end inside the caller's transaction, so that it and the job's effects happen
    /// together or not at all; [`Error::LeaseLost`] if the caller no longer holds the job.
    async fn finish_in(&self, tx: &mut Tx, ticket: Ticket, outcome: &Outcome) -> Result<(), Error>;

    /// Locks the caller's job inside its transaction and keeps progress and checkpoint;
    /// [`Error::LeaseLost`] if the caller no longer holds it. Call it before the first effect.
    async fn hold_in(&self, tx: &mut Tx, ticket: Ticket, save: &Save) -> Result<(), Error>;

    /// Forgets inside `tx` how often the job's process died: its kind has noted what it was at,
    /// and finds out by itself what kills. [`Error::LeaseLost`] if the caller no longer holds it.
    async fn forgive_in(&self, tx: &mut Tx, ticket: Ticket) -> Result<(), Error>;

    /// Keeps progress and checkpoint; [`Error::LeaseLost`] if the caller no longer holds the job.
    async fn save(&self, ticket: Ticket, save: &Save) -> Result<(), Error>;

    /// Keeps lines that the caller's attempt logged: time and text, in order;
    /// [`Error::LeaseLost`] if the caller no longer holds the job.
    async fn log(&self, ticket: Ticket, lines: &[(DateTime<Utc>, String)]) -> Result<(), Error>;

    /// What [`Engine::keep_step`] kept of a job's step, in whichever attempt.
    async fn step(&self, id: Uuid, step: &str) -> Result<Option<String>, Error>;

    /// Keeps the JSON result of a job's step; the first one stays. [`Error::LeaseLost`] if the
    /// caller no longer holds the job.
    async fn keep_step(&self, ticket: Ticket, step: &str, result: &str) -> Result<(), Error>;

    /// Which of these jobs their holder is asked to stop, with who asked and why.
    /// [`Engine::ready`] of [`CANCELS`] changes when it may answer otherwise.
    async fn cancels(&self, tickets: &[Ticket]) -> Result<Vec<(Ticket, String)>, Error>;

    /// Shows a worker process as alive.
    async fn beat(&self, beat: &Beat) -> Result<(), Error>;

    /// Notes that answers with these jobs' results left whole (D-12), all of them or none.
    async fn delivered(&self, ids: &[Uuid]) -> Result<(), Error>;

    /// Waits for the job's end, at most `timeout`; returns the row as it is then. Sees an end
    /// within 20 ms of its commit, whichever process made it, and never misses one.
    async fn wait(&self, id: Uuid, timeout: Duration) -> Result<Option<JobRow>, Error>;

    /// Begins to listen for the end of a job that is about to be put in.
    fn listen(&self, id: Uuid) -> Listening;

    /// The same as [`Engine::wait`] for whoever has listened since before the job was there: it need
    /// not look first.
    async fn wait_listening(
        &self,
        listening: Listening,
        timeout: Duration,
    ) -> Result<Option<JobRow>, Error>;

    /// Changes whenever jobs of `queue` may have become ready. Subscribe before claiming.
    fn ready(&self, queue: &str) -> watch::Receiver<u64>;

    /// Upkeep, in bounded steps: scheduled jobs that are due become ready; jobs past their lease
    /// become ready, or dead when attempts or crashes are spent; what was due to expire does.
    async fn reap(&self) -> Result<Reaped, Error>;

    /// Unfinished jobs of one principal, counted up to `limit`.
    async fn unfinished(&self, principal: &str, limit: u32) -> Result<u32, Error>;

    /// Removes at most `limit` jobs whose retention has passed; returns how many.
    async fn prune(&self, retention: Retention, limit: u32) -> Result<u64, Error>;

    /// Removes at most `limit` jobs of `queue`, waiting or ended, whatever their age; returns how
    /// many. Those that are held stay, and so do those that wait in a lane.
    async fn clear(&self, kind: &str, queue: &str, limit: u32) -> Result<u64, Error>;

    /// Proves that every store answers.
    async fn ping(&self) -> Result<(), Error>;

    /// The record's connection, for transactions that span the queue and other tables.
    fn db(&self) -> &Db;
}

/// Hears of one job's end ([`Engine::listen`]).
pub struct Listening(pub(crate) Waiter);

/// What [`open`] needs to choose and start a deployment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `redis://…`, `rediss://…` or `redis+sentinel://…`; none means the database alone.
    pub redis_url: Option<String>,
    /// Prefix of every Redis key and channel.
    pub redis_prefix: String,
    /// Bytes of one payload, at the most.
    pub max_payload_bytes: usize,
}

/// The pseudo-queue whose [`Engine::ready`] changes when a job was scheduled: upkeep looks again.
pub const SCHEDULED: &str = "";

/// The pseudo-queue whose [`Engine::ready`] changes when a running job is asked to stop.
pub const CANCELS: &str = "\u{1}cancels";

/// Starts the engine that the settings name: embedded (SQLite), postgres, or distributed
/// (PostgreSQL and Redis). SQLite with Redis is refused.
pub fn open(db: Db, settings: &Settings) -> Result<Arc<dyn Engine>, Error> {
    let bell = Bell::new();
    let index = match (db.postgres(), db.file(), &settings.redis_url) {
        (Some(pool), _, Some(url)) => {
            let instead = crate::bell::postgres::hear_beside(&bell, &db, pool);
            Some(crate::redis::start(&bell, url, &settings.redis_prefix, instead)?)
        }
        (Some(pool), _, None) => {
            crate::bell::postgres::start(&bell, &db, pool);
            None
        }
        (None, _, Some(_)) => return Err(Error::Settings(SQLITE_WITH_REDIS.to_owned())),
        (None, file, None) => {
            if let Some(file) = file {
                crate::bell::sockets::start(&bell, file);
            }
            None
        }
    };
    let max_payload_bytes = settings.max_payload_bytes;
    let (gather, known_queues) = (Arc::default(), Arc::default());
    Ok(Arc::new(Record { db, bell, index, max_payload_bytes, gather, known_queues }))
}

const SQLITE_WITH_REDIS: &str = "SQLite together with Redis is not a deployment: Redis serves many \
    machines, an SQLite file one; use a postgres:// database with Redis, or no Redis";
