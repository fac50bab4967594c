//! The other half of the seam ([`Control`]): what people watch and steer, and its plain data.

use crate::{Attempt, Error, Filter, Found, JobRow, Listed, Page, QueueStats};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::time::Duration;
use uuid::Uuid;

/// Watching and steering a queue. Every read is bounded and costs the same at any size.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// One job.
    async fn get(&self, id: Uuid) -> Result<Option<JobRow>, Error>;

    /// Its attributes, by name.
    async fn attributes(&self, id: Uuid) -> Result<Vec<(String, String)>, Error>;

    /// Its failed attempts, oldest first.
    async fn attempts(&self, id: Uuid) -> Result<Vec<Attempt>, Error>;

    /// What its attempts logged, oldest first, at most `limit` lines after the line `after`.
    async fn logs(&self, id: Uuid, after: Option<i64>, limit: usize)
    -> Result<Vec<LogLine>, Error>;

    /// What people did to it, oldest first.
    async fn actions(&self, id: Uuid) -> Result<Vec<Action>, Error>;

    /// Jobs, newest first.
    async fn list(&self, filter: &Filter, page: &Page) -> Result<Listed, Error>;

    /// Ids of jobs, newest first.
    async fn find(&self, filter: &Filter, page: &Page) -> Result<Found, Error>;

    /// Figures of every queue that was ever used.
    async fn stats(&self) -> Result<Vec<QueueStats>, Error>;

    /// Does `act` to each of these jobs, as its state allows; answers in order. What happened is
    /// kept with who did it and why.
    async fn act(&self, ids: &[Uuid], act: Act, by: &Actor) -> Result<Vec<Acted>, Error>;

    /// Stops claims of a queue or a kind; running jobs finish. Replaces an earlier pause.
    async fn pause(&self, pause: &Pause) -> Result<(), Error>;

    /// Ends a pause; `false` if there was none.
    async fn resume(&self, scope: PauseScope, name: &str) -> Result<bool, Error>;

    /// Every pause in force.
    async fn pauses(&self) -> Result<Vec<Pause>, Error>;

    /// Worker processes that gave a sign of life in the last hour, the latest first.
    async fn workers(&self) -> Result<Vec<WorkerRow>, Error>;

    /// What a job waits for, and for how long by estimate; `None` if there is no such job.
    async fn why(&self, id: Uuid) -> Result<Option<Why>, Error>;
}

/// What people do to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A waiting job ends as cancelled; a running one is asked to stop.
    Cancel,
    /// A dead, cancelled or expired job becomes ready again, with one more attempt at the least;
    /// a scheduled one becomes ready now.
    Retry,
    /// A job that has its end is removed, with everything kept about it.
    Delete,
}

impl Act {
    /// All acts.
    pub const ALL: [Self; 3] = [Self::Cancel, Self::Retry, Self::Delete];

    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Delete => "delete",
        }
    }

    /// The act a stored word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == word)
    }
}

/// Who acts, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// For example `key:ops` or `cli:root`.
    pub principal: String,
    /// For people.
    pub reason: Option<String>,
}

/// What became of an act on one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// It was done.
    Done,
    /// The running job was asked to stop; it ends as cancelled soon.
    Requested,
    /// Its state does not allow it: says why.
    Refused(String),
    /// There is no such job.
    NotFound,
}

/// An act that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// When.
    pub at: DateTime<Utc>,
    /// `cancel` or `retry`.
    pub act: String,
    /// Who.
    pub principal: String,
    /// Why.
    pub reason: Option<String>,
}

/// A line that a running job logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Grows with every line of a job.
    pub seq: i64,
    /// The attempt that logged it.
    pub attempt: u32,
    /// When, by the clock of the worker.
    pub at: DateTime<Utc>,
    /// One line, without its end.
    pub line: String,
}

/// What a pause stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseScope {
    /// Every job of a queue.
    Queue,
    /// Every job of a kind.
    Kind,
}

impl PauseScope {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Kind => "kind",
        }
    }
}

/// A queue or kind whose jobs are not claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// What is paused.
    pub scope: PauseScope,
    /// Name of the queue or kind.
    pub name: String,
    /// It ends by itself then.
    pub until: Option<DateTime<Utc>>,
    /// Who paused it, and why.
    pub by: Actor,
    /// Since when; set by the store.
    pub since: Option<DateTime<Utc>>,
}

/// Something that every job of a kind needs and that is not to be had for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// For people: what it is.
    pub reason: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When it is looked at again.
    pub until: DateTime<Utc>,
}

/// A worker process's sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Name with its random part: the holder of leases.
    pub worker: String,
    /// Queues and how many of their jobs run at once.
    pub queues: Vec<(String, usize)>,
    /// Kinds it knows, with the newest payload version it reads.
    pub kinds: Vec<(String, i64)>,
    /// Jobs that run now.
    pub running: usize,
    /// Whether it takes no more jobs.
    pub draining: bool,
    /// How long ago its last claim was answered.
    pub last_claim: Option<Duration>,
    /// Ends since the last beat, per queue: queue, succeeded, failed.
    pub ended: Vec<(String, u64, u64)>,
    /// The process is about to end: its row goes.
    pub leaving: bool,
}

/// A worker process as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    /// Name with its random part: the holder of leases.
    pub name: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Its last sign of life.
    pub beat_at: DateTime<Utc>,
    /// Whether the last sign of life is recent.
    pub alive: bool,
    /// Queues and how many of their jobs run at once.
    pub queues: Vec<(String, usize)>,
    /// Kinds it knows, with the newest payload version it reads.
    pub kinds: Vec<(String, i64)>,
    /// Whether it takes no more jobs.
    pub draining: bool,
    /// When its last claim was answered.
    pub last_claim_at: Option<DateTime<Utc>>,
    /// Jobs it holds, with the end of the lease; at most 100.
    pub jobs: Vec<(Uuid, DateTime<Utc>)>,
}

/// What a job waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// The job.
    pub row: JobRow,
    /// Everything that keeps it from running, the hardest first; empty if it only waits its turn
    /// or has its end.
    pub blockers: Vec<Blocker>,
    /// When it may start, by estimate.
    pub estimate: Option<DateTime<Utc>>,
}

/// One thing that keeps a job from running.
#[derive(Debug, Clone, PartialEq)]
pub enum Blocker {
    /// Its queue or kind is paused.
    Paused(Pause),
    /// Another job of its lane goes first.
    LaneHead {
        /// The job that goes first.
        id: Uuid,
        /// Its state, for example `running`.
        state: crate::State,
        /// Jobs of the lane before this one, counted up to 10 000.
        ahead: u64,
    },
    /// Its kind says that all its jobs are held up; no engine knows.
    Held(Hold),
    /// It was put in for later.
    Schedule {
        /// When it is due.
        run_at: DateTime<Utc>,
    },
    /// An attempt failed; the next one waits.
    Backoff {
        /// When it is due.
        run_at: DateTime<Utc>,
        /// Attempts begun.
        attempt: u32,
        /// The last attempt's error.
        error: Option<String>,
    },
    /// No living worker serves its queue.
    NoWorkerForQueue,
    /// No living worker of its queue knows its kind, or its payload's version.
    NoWorkerForKind,
    /// It waits for a free slot behind others of its queue.
    Turn {
        /// Jobs of the queue before it, counted up to 10 000.
        ahead: u64,
    },
}
