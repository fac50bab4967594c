//! Rows of the `jobs` table as the seam's types.

use super::Moved;
use crate::Error;
use crate::bell::Entry;
use crate::job::{Attempt, Claimed, JobRow, Progress, State, Ticket};
use chrono::{DateTime, Utc};
use db::Row;
use std::time::Duration;
use uuid::Uuid;

/// Columns that [`job`] reads. Most deliveries are noted beside the job.
macro_rules! job_columns {
    () => {
        "id, kind, version, queue, payload, state, priority, run_at, lane, lane_seq, blocked, \
         principal, attempt, max_attempts, crashes, lease_holder, lease_until, progress_done, \
         progress_total, result, error, trace, created_at, started_at, finished_at, \
         COALESCE(delivered_at, (SELECT le FROM remises WHERE job_id = id)) AS delivered_at, \
         expires_at, timeout_ms, checkpoint, cancel_at"
    };
}
pub(super) use job_columns;

/// Columns that [`moved`] reads.
macro_rules! moved_columns {
    () => {
        "jobs.id AS id, queue, jobs.state AS state, blocked, rank"
    };
}
pub(super) use moved_columns;

/// Milliseconds as a statement takes them; a duration beyond 292 million years is cut.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Parts done and parts in all, as a statement takes them.
pub(super) fn parts(progress: Option<Progress>) -> (Option<i64>, Option<i64>) {
    let part = |parts: u64| i64::try_from(parts).unwrap_or(i64::MAX);
    (progress.map(|progress| part(progress.done)), progress.map(|progress| part(progress.total)))
}

pub(super) fn number<T: TryFrom<i64> + Default>(row: &Row, column: &str) -> Result<T, Error> {
    Ok(T::try_from(row.get::<i64>(column)?).unwrap_or_default())
}

fn duration(row: &Row, column: &str) -> Result<Option<Duration>, Error> {
    let millis: Option<i64> = row.get(column)?;
    Ok(millis.map(|millis| Duration::from_millis(millis.unsigned_abs())))
}

pub(super) fn state(row: &Row) -> Result<State, Error> {
    let word: String = row.get("state")?;
    Ok(State::parse(&word).expect("the schema allows only known states"))
}

pub(super) fn job(row: &Row) -> Result<JobRow, Error> {
    let done: Option<i64> = row.get("progress_done")?;
    let total: Option<i64> = row.get("progress_total")?;
    Ok(JobRow {
        id: row.get("id")?,
        kind: row.get("kind")?,
        version: row.get("version")?,
        queue: row.get("queue")?,
        payload: row.get("payload")?,
        state: state(row)?,
        priority: number(row, "priority")?,
        run_at: row.get("run_at")?,
        lane: row.get("lane")?,
        lane_seq: row.get("lane_seq")?,
        blocked: row.get("blocked")?,
        principal: row.get("principal")?,
        attempt: number(row, "attempt")?,
        max_attempts: number(row, "max_attempts")?,
        crashes: number(row, "crashes")?,
        lease_holder: row.get("lease_holder")?,
        lease_until: row.get("lease_until")?,
        progress: done.zip(total).map(|(done, total)| Progress {
            done: done.unsigned_abs(),
            total: total.unsigned_abs(),
        }),
        result: row.get("result")?,
        error: row.get("error")?,
        trace: row.get("trace")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        delivered_at: row.get("delivered_at")?,
        expires_at: row.get("expires_at")?,
        timeout: duration(row, "timeout_ms")?,
        checkpoint: row.get("checkpoint")?,
        cancel_at: row.get("cancel_at")?,
    })
}

pub(super) fn claimed(row: &Row) -> Result<Claimed, Error> {
    Ok(Claimed {
        ticket: Ticket { id: row.get("id")?, token: row.get("token")? },
        kind: row.get("kind")?,
        version: row.get("version")?,
        queue: row.get("queue")?,
        payload: row.get("payload")?,
        attempt: number(row, "attempt")?,
        max_attempts: number(row, "max_attempts")?,
        crashes: number(row, "crashes")?,
        principal: row.get("principal")?,
        lane: row.get("lane")?,
        lane_seq: row.get("lane_seq")?,
        trace: row.get("trace")?,
        created_at: row.get("created_at")?,
        timeout: duration(row, "timeout_ms")?,
        checkpoint: row.get("checkpoint")?,
    })
}

pub(super) fn attempt(row: &Row) -> Result<Attempt, Error> {
    Ok(Attempt {
        attempt: number(row, "attempt")?,
        worker: row.get("worker")?,
        started_at: row.get("started_at")?,
        ended_at: row.get("ended_at")?,
        outcome: row.get("outcome")?,
        error: row.get("error")?,
    })
}

pub(super) fn entry(row: &Row) -> Result<Entry, Error> {
    Ok(Entry { id: row.get("id")?, rank: row.get("rank")? })
}

pub(super) fn moved(row: &Row) -> Result<Moved, Error> {
    let state = state(row)?;
    Ok(Moved {
        queue: row.get("queue")?,
        entry: entry(row)?,
        claimable: state == State::Ready && !row.get::<bool>("blocked")?,
        scheduled: state == State::Scheduled,
    })
}

/// The smallest UUIDv7 of an instant's millisecond.
pub(super) fn first_id(at: DateTime<Utc>) -> Uuid {
    let millis = at.timestamp_millis().clamp(0, (1 << 48) - 1).unsigned_abs();
    Uuid::from_u128((u128::from(millis) << 80) | (0x7 << 76) | (0x2 << 62))
}
