//! The plain data that crosses the seam.

use chrono::{DateTime, Utc};
use std::time::Duration;
use uuid::Uuid;

/// A job to put in.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Made before the insert (UUIDv7), so that putting it in twice makes one job.
    pub id: Uuid,
    /// What to do.
    pub kind: String,
    /// Version of the payload's shape; a worker that does not know it leaves the job for another.
    pub version: i64,
    /// Where it waits.
    pub queue: String,
    /// JSON text.
    pub payload: String,
    /// 0 (first) to 9.
    pub priority: u8,
    /// Not before this instant by the store's clock; `None` is at once.
    pub run_at: Option<DateTime<Utc>>,
    /// Jobs of one lane run one after another, in the order they were accepted.
    pub lane: Option<String>,
    /// Whether an equal job makes this one superfluous.
    pub unique: Unique,
    /// Who asked, for example `terminal:0a1b`.
    pub principal: Option<String>,
    /// Attempts before the job is dead.
    pub max_attempts: u32,
    /// W3C `traceparent` of the request that asked.
    pub trace: Option<String>,
}

impl NewJob {
    /// A job of `kind` in `queue`, due at once, with defaults for the rest.
    pub fn new(kind: &str, queue: &str, payload: impl Into<String>) -> Self {
        Self {
            id: Uuid::now_v7(),
            kind: kind.to_owned(),
            version: 1,
            queue: queue.to_owned(),
            payload: payload.into(),
            priority: 5,
            run_at: None,
            lane: None,
            unique: Unique::No,
            principal: None,
            max_attempts: 20,
            trace: None,
        }
    }
}

/// When an equal job of the same kind makes a new one superfluous.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Unique {
    /// Never.
    #[default]
    No,
    /// While a job with this key has no end.
    WhileAlive(String),
    /// As long as a job with this key is kept.
    Ever(String),
    /// While no answer with the result of a job with this key was delivered (D-13); a job that
    /// died or was cancelled does not count.
    UntilDelivered(String),
}

/// What became of a [`NewJob`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    /// The job that does the work: the new one, or the equal one that was there.
    pub id: Uuid,
    /// Whether it is new.
    pub created: bool,
}

/// Life of a job. The last four are final: they change only by an operator's hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for its time.
    Scheduled,
    /// May be claimed (once it heads its lane).
    Ready,
    /// Held by a worker.
    Running,
    /// Succeeded.
    Done,
    /// Failed for good; stays with every error until someone acts.
    Dead,
    /// Ended by an operator before it succeeded.
    Cancelled,
    /// Its time passed before it ran.
    Expired,
}

impl State {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Ready,
        Self::Running,
        Self::Done,
        Self::Dead,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state a stored word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing will happen any more by itself.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Scheduled | Self::Ready | Self::Running)
    }
}

/// A wish for work.
#[derive(Debug, Clone)]
pub struct Claim {
    /// From which queue.
    pub queue: String,
    /// Who asks: name and random boot id.
    pub worker: String,
    /// At most so many jobs.
    pub limit: usize,
    /// How long they are held unless extended.
    pub lease: Duration,
}

/// Proof of holding a job. The token grows with every claim, so a former holder's is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The job.
    pub id: Uuid,
    /// The fencing token.
    pub token: i64,
}

/// A job in a worker's hands.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Proof of holding it.
    pub ticket: Ticket,
    /// What to do.
    pub kind: String,
    /// Version of the payload's shape.
    pub version: i64,
    /// Where it waited.
    pub queue: String,
    /// JSON text.
    pub payload: String,
    /// This attempt, from 1.
    pub attempt: u32,
    /// Attempts before the job is dead.
    pub max_attempts: u32,
    /// How often a process died while holding it.
    pub crashes: u32,
    /// Who asked.
    pub principal: Option<String>,
    /// Its lane.
    pub lane: Option<String>,
    /// Its place in the lane.
    pub lane_seq: Option<i64>,
    /// W3C `traceparent` of the request that asked.
    pub trace: Option<String>,
    /// When it was accepted, by the store's clock.
    pub created_at: DateTime<Utc>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded, with a JSON result if there is one to show.
    Done {
        /// JSON text.
        result: Option<String>,
    },
    /// It failed and is tried again `after` this long.
    Retry {
        /// Delay by the store's clock.
        after: Duration,
        /// Why, for people.
        error: String,
    },
    /// It is not time yet; no attempt is spent.
    Snooze {
        /// Delay by the store's clock.
        after: Duration,
    },
    /// It failed for good.
    Dead {
        /// Why, for people.
        error: String,
    },
    /// Handed back unfinished, ready at once; no attempt is spent.
    Release,
}

/// How far a running job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Parts finished.
    pub done: u64,
    /// Parts in all.
    pub total: u64,
}

/// A job as people see it.
#[derive(Debug, Clone)]
pub struct JobRow {
    /// Its id.
    pub id: Uuid,
    /// What it does.
    pub kind: String,
    /// Version of the payload's shape.
    pub version: i64,
    /// Where it waits.
    pub queue: String,
    /// JSON text.
    pub payload: String,
    /// Where it stands.
    pub state: State,
    /// 0 (first) to 9.
    pub priority: u8,
    /// When it is or was due.
    pub run_at: DateTime<Utc>,
    /// Its lane.
    pub lane: Option<String>,
    /// Its place in the lane.
    pub lane_seq: Option<i64>,
    /// Whether another job of its lane goes first.
    pub blocked: bool,
    /// Who asked.
    pub principal: Option<String>,
    /// Attempts begun.
    pub attempt: u32,
    /// Attempts allowed.
    pub max_attempts: u32,
    /// How often a process died while holding it.
    pub crashes: u32,
    /// Who holds it.
    pub lease_holder: Option<String>,
    /// Until when.
    pub lease_until: Option<DateTime<Utc>>,
    /// How far it has come.
    pub progress: Option<Progress>,
    /// JSON text.
    pub result: Option<String>,
    /// The last attempt's error.
    pub error: Option<String>,
    /// W3C `traceparent` of the request that asked.
    pub trace: Option<String>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When the last attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When an answer with its result left whole.
    pub delivered_at: Option<DateTime<Utc>>,
}

/// A failed attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// Who ran it.
    pub worker: Option<String>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// `retry`, `dead` or `crash`.
    pub outcome: String,
    /// Why.
    pub error: String,
}

/// Which jobs to list; absent members do not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In this state.
    pub state: Option<State>,
    /// Of this kind.
    pub kind: Option<String>,
    /// In this queue.
    pub queue: Option<String>,
}

/// A piece of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// At most so many rows.
    pub limit: usize,
    /// Only rows older than this id: the last one of the page before.
    pub before: Option<Uuid>,
}

/// Figures of one queue. Counts stop at 10 000, so that reading them costs the same at any size.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueStats {
    /// Its name.
    pub queue: String,
    /// Jobs that wait and may run.
    pub ready: u64,
    /// Jobs that wait for their time.
    pub scheduled: u64,
    /// Jobs that are held.
    pub running: u64,
    /// Jobs that failed for good.
    pub dead: u64,
    /// How long the oldest ready job has waited.
    pub oldest_ready: Option<Duration>,
}

/// What one round of upkeep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Scheduled jobs that became ready.
    pub due: u64,
    /// Jobs taken back from holders that let their lease run out.
    pub recovered: u64,
    /// Jobs that died because attempts or crashes are spent.
    pub dead: u64,
    /// Whether a limit was reached, so that another round at once has work to do.
    pub more: bool,
    /// Time until the next scheduled job is due, if there is one.
    pub next_due: Option<Duration>,
}

/// How long finished jobs stay.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Jobs that succeeded.
    pub done: Duration,
    /// Jobs that are dead, cancelled or expired.
    pub dead: Duration,
}
