//! A job as it is shown.

use chrono::{DateTime, Utc};
use queue::{Action, Attempt, JobRow, Progress};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// One job: exactly one of `response` and `error` once it is done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operation {
    /// `jobs/{id}`.
    name: String,
    id: Uuid,
    kind: String,
    queue: String,
    /// `scheduled`, `ready`, `running`, `done`, `dead`, `cancelled` or `expired`.
    state: &'static str,
    done: bool,
    /// In an answer to a request that puts a job in: `false` if an equal job was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
    /// 0 (first) to 9.
    priority: u8,
    /// When it is or was due.
    run_at: DateTime<Utc>,
    /// Not started from then on.
    expires_at: Option<DateTime<Utc>>,
    /// Jobs of one lane run one after another.
    lane: Option<String>,
    /// Who asked.
    principal: Option<String>,
    /// Attempts begun.
    attempt: u32,
    /// Attempts allowed.
    max_attempts: u32,
    metadata: Metadata,
    /// By which the job is found.
    attributes: BTreeMap<String, String>,
    /// Failed attempts, oldest first.
    attempts: Vec<AttemptShown>,
    /// What people did to it, oldest first.
    actions: Vec<ActionShown>,
    /// What the job answered: of sales and of pushed batches, what their routes answer.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<OperationError>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Metadata {
    state: &'static str,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    /// When the running job was asked to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_at: Option<DateTime<Utc>>,
    progress: ProgressShown,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ProgressShown {
    done: u64,
    total: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct AttemptShown {
    attempt: u32,
    worker: Option<String>,
    started_at: Option<DateTime<Utc>>,
    ended_at: DateTime<Utc>,
    /// `retry`, `dead`, `crash` or `cancelled`.
    outcome: String,
    error: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct ActionShown {
    at: DateTime<Utc>,
    /// `cancel` or `retry`.
    act: String,
    principal: String,
    reason: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OperationError {
    code: &'static str,
    message: String,
}

impl Operation {
    /// The job with what is kept beside its row.
    pub(crate) fn new(
        row: JobRow,
        attributes: Vec<(String, String)>,
        attempts: Vec<Attempt>,
        actions: Vec<Action>,
    ) -> Self {
        let state = row.state.as_str();
        let result = row.result.as_deref().unwrap_or("{}").to_owned();
        let succeeded = row.state == queue::State::Done;
        Self {
            name: format!("jobs/{}", row.id),
            id: row.id,
            state,
            done: row.state.is_final(),
            created: None,
            priority: row.priority,
            run_at: row.run_at,
            expires_at: row.expires_at,
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            metadata: Metadata {
                state,
                created_at: row.created_at,
                started_at: row.started_at,
                finished_at: row.finished_at,
                cancel_at: row.cancel_at,
                progress: row.progress.map(ProgressShown::from).unwrap_or_default(),
            },
            attributes: attributes.into_iter().collect(),
            attempts: attempts.into_iter().map(AttemptShown::from).collect(),
            actions: actions.into_iter().map(ActionShown::from).collect(),
            response: succeeded.then(|| RawValue::from_string(result).ok()).flatten(),
            error: OperationError::of(&row),
            kind: row.kind,
            queue: row.queue,
            lane: row.lane,
            principal: row.principal,
        }
    }

    /// Says whether the request made the job.
    pub(crate) fn created(self, created: bool) -> Self {
        Self { created: Some(created), ..self }
    }
}

impl OperationError {
    /// Why the job has ended without success, if it has.
    pub(crate) fn of(row: &JobRow) -> Option<Self> {
        let code = match row.state {
            queue::State::Dead => "DEAD",
            queue::State::Cancelled => "CANCELLED",
            queue::State::Expired => "EXPIRED",
            _ => return None,
        };
        let message = || format!("the job is {}", row.state.as_str());
        Some(Self { code, message: row.error.clone().unwrap_or_else(message) })
    }
}

impl From<Progress> for ProgressShown {
    fn from(progress: Progress) -> Self {
        Self { done: progress.done, total: progress.total }
    }
}

impl From<Attempt> for AttemptShown {
    fn from(attempt: Attempt) -> Self {
        Self {
            attempt: attempt.attempt,
            worker: attempt.worker,
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            outcome: attempt.outcome,
            error: attempt.error,
        }
    }
}

impl From<Action> for ActionShown {
    fn from(action: Action) -> Self {
        let Action { at, act, principal, reason } = action;
        Self { at, act, principal, reason }
    }
}
