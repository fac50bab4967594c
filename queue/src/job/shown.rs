//! Jobs as people see them, and the figures of the queues.

use super::{Progress, State};
use crate::control::Pause;
use chrono::{DateTime, Utc};
use std::time::Duration;
use uuid::Uuid;

/// A job as people see it.
#[derive(Debug, Clone, PartialEq)]
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
    /// When it expires if it has not started.
    pub expires_at: Option<DateTime<Utc>>,
    /// How long one attempt may take, if the job says more than its kind.
    pub timeout: Option<Duration>,
    /// JSON text that the last attempt left.
    pub checkpoint: Option<String>,
    /// When somebody asked the running job to stop.
    pub cancel_at: Option<DateTime<Utc>>,
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
    /// Asked for by this principal.
    pub principal: Option<String>,
    /// In this lane.
    pub lane: Option<String>,
    /// With this attribute: name and value.
    pub attribute: Option<(String, String)>,
    /// Accepted at or after this instant, by the clock of whoever put it in.
    pub since: Option<DateTime<Utc>>,
    /// Accepted before this instant, by the clock of whoever put it in.
    pub until: Option<DateTime<Utc>>,
}

/// A piece of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// At most so many rows.
    pub limit: usize,
    /// Only rows older than this id: [`Listed::next`] of the page before.
    pub before: Option<Uuid>,
}

/// A piece of a list. Reading it costs the same in a small and a huge record: it may have fewer
/// rows than asked for, none even, and yet not be the last piece.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Newest first.
    pub rows: Vec<JobRow>,
    /// Where the next piece starts; `None` after the last one.
    pub next: Option<Uuid>,
}

/// A piece of a list, as ids only.
#[derive(Debug, Clone)]
pub struct Found {
    /// Newest first.
    pub ids: Vec<Uuid>,
    /// Where the next piece starts; `None` after the last one.
    pub next: Option<Uuid>,
}

/// Figures of one queue. Counts stop at 10 000, so that reading them costs the same at any size.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueStats {
    /// Its name.
    pub queue: String,
    /// Jobs that may be claimed.
    pub ready: u64,
    /// Ready jobs behind another one of their lane.
    pub blocked: u64,
    /// Jobs that wait for their time.
    pub scheduled: u64,
    /// Jobs that are held.
    pub running: u64,
    /// Jobs that failed for good.
    pub dead: u64,
    /// How long the oldest job that may be claimed has waited.
    pub oldest_ready: Option<Duration>,
    /// Jobs that succeeded in the last whole minute.
    pub done_per_minute: u64,
    /// Attempts that failed in the last whole minute.
    pub failed_per_minute: u64,
    /// The pause it is in.
    pub paused: Option<Pause>,
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
    /// Jobs that expired before they started.
    pub expired: u64,
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
