//! Jobs as programs read them.

use super::Whole;
use chrono::{DateTime, Utc};
use queue::{Action, Attempt, JobRow};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// One JSON array of jobs.
pub(crate) fn array(rows: &[JobRow]) -> String {
    text(&rows.iter().map(Job::of).collect::<Vec<_>>())
}

/// One JSON object: the job without its payload.
pub(crate) fn one(row: &JobRow) -> String {
    text(&Job::of(row))
}

/// One JSON object: the job, its payload, and everything kept about it.
pub(crate) fn object(job: &Whole<'_>) -> String {
    #[derive(Serialize)]
    struct Shown<'a> {
        #[serde(flatten)]
        job: Job<'a>,
        payload: Box<RawValue>,
        checkpoint: Option<Box<RawValue>>,
        attributes: BTreeMap<&'a str, &'a str>,
        attempts: Vec<Failed<'a>>,
        actions: Vec<Acted<'a>>,
    }
    let Whole { row, attempts, attributes, actions } = *job;
    text(&Shown {
        job: Job::of(row),
        payload: raw(&row.payload),
        checkpoint: row.checkpoint.as_deref().map(raw),
        attributes: attributes.iter().map(|(name, value)| (&**name, &**value)).collect(),
        attempts: attempts.iter().map(Failed::of).collect(),
        actions: actions.iter().map(Acted::of).collect(),
    })
}

#[derive(Serialize)]
struct Job<'a> {
    id: uuid::Uuid,
    kind: &'a str,
    version: i64,
    queue: &'a str,
    state: &'static str,
    priority: u8,
    attempt: u32,
    max_attempts: u32,
    crashes: u32,
    run_at: DateTime<Utc>,
    lane: Option<&'a str>,
    blocked: bool,
    principal: Option<&'a str>,
    lease_holder: Option<&'a str>,
    lease_until: Option<DateTime<Utc>>,
    progress: Option<Progress>,
    result: Option<Box<RawValue>>,
    error: Option<&'a str>,
    trace: Option<&'a str>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    cancel_at: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
struct Progress {
    done: u64,
    total: u64,
}

#[derive(Serialize)]
struct Failed<'a> {
    attempt: u32,
    worker: Option<&'a str>,
    started_at: Option<DateTime<Utc>>,
    ended_at: DateTime<Utc>,
    outcome: &'a str,
    error: &'a str,
}

impl<'a> Job<'a> {
    fn of(row: &'a JobRow) -> Self {
        Self {
            id: row.id,
            kind: &row.kind,
            version: row.version,
            queue: &row.queue,
            state: row.state.as_str(),
            priority: row.priority,
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            crashes: row.crashes,
            run_at: row.run_at,
            lane: row.lane.as_deref(),
            blocked: row.blocked,
            principal: row.principal.as_deref(),
            lease_holder: row.lease_holder.as_deref(),
            lease_until: row.lease_until,
            progress: row.progress.map(|p| Progress { done: p.done, total: p.total }),
            result: row.result.as_deref().map(raw),
            error: row.error.as_deref(),
            trace: row.trace.as_deref(),
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            delivered_at: row.delivered_at,
            expires_at: row.expires_at,
            cancel_at: row.cancel_at,
        }
    }
}

impl<'a> Failed<'a> {
    fn of(attempt: &'a Attempt) -> Self {
        Self {
            attempt: attempt.attempt,
            worker: attempt.worker.as_deref(),
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            outcome: &attempt.outcome,
            error: &attempt.error,
        }
    }
}

#[derive(Serialize)]
struct Acted<'a> {
    at: DateTime<Utc>,
    act: &'a str,
    principal: &'a str,
    reason: Option<&'a str>,
}

impl<'a> Acted<'a> {
    fn of(action: &'a Action) -> Self {
        Self {
            at: action.at,
            act: &action.act,
            principal: &action.principal,
            reason: action.reason.as_deref(),
        }
    }
}

/// Stored JSON as it is, digit for digit.
pub(super) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A value as JSON text.
pub(crate) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a job is plain data")
}
