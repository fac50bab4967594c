//! `GET /api/v1/jobs/{id}`: where a job stands, after AIP-151 (D-10). Visible to whoever made it
//! and to keys that may read jobs; for everybody else it does not exist. `Prefer: wait=n` waits
//! for its end, and an `ETag` spares sending again what the client has.

use crate::auth;
use crate::error::ApiError;
use crate::prefer::Prefer;
use crate::server::Peer;
use crate::{Route, State};
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as FromState};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use queue::{Attempt, JobRow, Progress};
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

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
        ("Prefer" = Option<String>, Header, description = "`wait=n`: seconds to wait for the job's end, at most 25"),
        ("If-None-Match" = Option<String>, Header, description = "the `ETag` of an answer the client has"),
    ),
    responses(
        (status = 200, description = "the job", body = Operation),
        (status = 304, description = "as the client has it"),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 404, description = "no such job, or not for this caller", body = crate::error::Problem),
        (status = 429, description = "too many unknown serial numbers", body = crate::error::Problem),
        (status = 503, description = "the record cannot be reached", body = crate::error::Problem),
    )
)]
pub(crate) async fn show(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = auth::caller(&state, peer, &headers).await?;
    let Path(id) = id.map_err(|_not_text| ApiError::NotFound)?;
    let id = Uuid::try_parse(&id).map_err(|_not_an_id| ApiError::NotFound)?;
    let patience = state.settings.store_timeout;
    let mut row = timeout(patience, state.engine.get(id)).await??.ok_or(ApiError::NotFound)?;
    let is_maker = row.principal.as_deref() == Some(&caller.principal());
    if !is_maker && !caller.has_scope(&auth::READ) {
        return Err(ApiError::NotFound);
    }
    let prefer = Prefer::of(&headers, state.settings.wait_max);
    let wait = prefer.patience(Duration::ZERO);
    if !row.state.is_final() && !wait.is_zero() {
        let ended = timeout(wait + patience, state.engine.wait(id, wait)).await??;
        row = ended.unwrap_or(row);
    }
    let attempts = timeout(patience, state.engine.attempts(id)).await??;
    let shown = serde_json::to_vec(&operation(row, attempts)).expect("a job is plain data");
    let mut response = unless_known(shown, &headers);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Prefer"));
    if let Some(applied) = prefer.applied(true) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// The body with its `ETag`, or 304 if the client says that it has it.
fn unless_known(body: Vec<u8>, headers: &HeaderMap) -> Response {
    let digest = Sha256::digest(&body);
    let tag: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    let is_known = values
        .flat_map(|value| value.split(','))
        .any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/") == tag);
    let etag = [(header::ETAG, tag)];
    match is_known {
        true => (StatusCode::NOT_MODIFIED, etag).into_response(),
        false => (etag, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
    }
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
