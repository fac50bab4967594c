//! `GET /api/v1/jobs/{id}`: where a job stands, after AIP-151 (D-10). Visible to whoever made it
//! and to keys that may read jobs; for everybody else it does not exist.

use crate::auth;
use crate::error::ApiError;
use crate::{Route, State};
use axum::Json;
use axum::extract::{Path, State as FromState};
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use queue::{Attempt, JobRow, Progress};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

/// Scopes that show every job.
const READERS: [&str; 2] = ["jobs:read", "admin"];

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/jobs/{id}", show)]
}

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
    metadata: Metadata,
    /// Failed attempts, oldest first.
    attempts: Vec<AttemptShown>,
    /// What the job answered.
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
    progress: ProgressShown,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct ProgressShown {
    done: u64,
    total: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct AttemptShown {
    attempt: u32,
    worker: Option<String>,
    started_at: Option<DateTime<Utc>>,
    ended_at: DateTime<Utc>,
    /// `retry`, `dead` or `crash`.
    outcome: String,
    error: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct OperationError {
    code: &'static str,
    message: String,
}

/// Shows a job.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(
        ("id" = String, Path, description = "the job's id"),
        ("X-API-Key" = Option<String>, Header, description = "a key with `jobs:read` or `admin`"),
        ("X-Device-Serial" = Option<String>, Header, description = "the terminal that made the job"),
    ),
    responses(
        (status = 200, description = "the job", body = Operation),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 404, description = "no such job, or not for this caller", body = crate::error::Problem),
        (status = 503, description = "the record cannot be reached", body = crate::error::Problem),
    )
)]
pub(crate) async fn show(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Operation>, ApiError> {
    let caller = auth::caller(&state, &headers).await?;
    let id = Uuid::try_parse(&id).map_err(|_not_an_id| ApiError::NotFound)?;
    let patience = state.settings.store_timeout;
    let row = timeout(patience, state.engine.get(id)).await??.ok_or(ApiError::NotFound)?;
    let is_maker = row.principal.as_deref() == Some(&caller.principal());
    if !is_maker && !caller.has_scope(&READERS) {
        return Err(ApiError::NotFound);
    }
    let attempts = timeout(patience, state.engine.attempts(id)).await??;
    Ok(Json(operation(row, attempts)))
}

fn operation(row: JobRow, attempts: Vec<Attempt>) -> Operation {
    let done = row.state.is_final();
    let succeeded = row.state == queue::State::Done;
    let result = row.result.unwrap_or_else(|| "{}".to_owned());
    let state = row.state.as_str();
    Operation {
        name: format!("jobs/{}", row.id),
        id: row.id,
        kind: row.kind,
        queue: row.queue,
        state,
        done,
        metadata: Metadata {
            state,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            progress: row.progress.map(ProgressShown::from).unwrap_or_default(),
        },
        attempts: attempts.into_iter().map(AttemptShown::from).collect(),
        response: succeeded.then(|| RawValue::from_string(result).ok()).flatten(),
        error: (done && !succeeded).then(|| OperationError {
            code: match row.state {
                queue::State::Cancelled => "CANCELLED",
                queue::State::Expired => "EXPIRED",
                _ => "DEAD",
            },
            message: row.error.unwrap_or_else(|| format!("the job is {state}")),
        }),
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
