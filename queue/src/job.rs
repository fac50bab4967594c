//! The plain data that crosses the seam: jobs going in, in a worker's hands, and ending.

mod shown;

pub use shown::{Attempt, Filter, Found, JobRow, Listed, Page, QueueStats, Reaped, Retention};

use chrono::{DateTime, Utc};
use std::time::Duration;
use uuid::Uuid;

/// A job whose process died this often may be what kills it: its next holder runs it apart from others,
/// and one more death sets it aside.
pub const SUSPECT: u32 = 2;

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
    /// Not started at or after this instant: the job ends as expired.
    pub expires_at: Option<DateTime<Utc>>,
    /// How long one attempt may take; `None` is what the kind says.
    pub timeout: Option<Duration>,
    /// Name and value, indexed: an administrator finds a job by what it is about.
    pub attributes: Vec<(String, String)>,
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
            expires_at: None,
            timeout: None,
            attributes: Vec::new(),
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
    /// How long this attempt may take, if the job says more than its kind.
    pub timeout: Option<Duration>,
    /// JSON text that an earlier attempt left.
    pub checkpoint: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded, with a JSON result if there is one to show.
    Done {
        /// JSON text.
        result: Option<String>,
        /// How far it had come, if that is to be shown.
        progress: Option<Progress>,
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
    /// Stopped because somebody asked for it.
    Cancelled {
        /// Who and why, for people.
        error: String,
    },
}

/// What a running job wants kept; absent members stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Save {
    /// How far it has come.
    pub progress: Option<Progress>,
    /// JSON text that the next attempt starts from.
    pub checkpoint: Option<String>,
}

impl From<Option<Progress>> for Save {
    fn from(progress: Option<Progress>) -> Self {
        Self { progress, checkpoint: None }
    }
}

/// How far a running job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Parts finished.
    pub done: u64,
    /// Parts in all.
    pub total: u64,
}
