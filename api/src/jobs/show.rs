//! `GET /api/v1/jobs/{id}`: where a job stands. `Prefer: wait=n` waits for its end, and an `ETag`
//! spares sending again what the client has. And what its attempts logged.

use super::operation::Operation;
use super::{PathText, visible};
use crate::error::ApiError;
use crate::prefer::Prefer;
use crate::server::Peer;
use crate::{State, accept, ventes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as FromState};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use queue::JobRow;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

/// Lines of one piece of a log, at the most, and unless asked otherwise.
const LOG_LINES: usize = 500;

/// Shows a job.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}", tag = "jobs", operation_id = "show_job",
    params(
        ("id" = String, Path, description = "the job's id"),
        ("X-API-Key" = Option<String>, Header, description = "a key with `jobs:read` or `admin`, or the key that made the job; with `nas.public` none for what was asked for without one"),
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
    id: PathText,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (_, mut row) = visible(&state, peer, &headers, id).await?;
    let prefer = Prefer::of(&headers, state.settings.wait_max);
    let wait = prefer.patience(Duration::ZERO);
    if !row.state.is_final() && !wait.is_zero() {
        let ended = accept::await_end(&state, row.id, Instant::now() + wait).await;
        row = ended.unwrap_or(row);
    }
    let operation = operation(&state, row).await?;
    let shown = serde_json::to_vec(&operation).expect("a job is plain data");
    let mut response = unless_known(shown, &headers);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Prefer"));
    if let Some(applied) = prefer.applied(true) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// The job with what is kept beside its row.
pub(crate) async fn operation(state: &State, mut row: JobRow) -> Result<Operation, ApiError> {
    if let Some(answer) = ventes::response_of(&row) {
        row.result = serde_json::to_string(&answer).ok();
    }
    let id = row.id;
    let beside = async {
        let attributes = state.engine.attributes(id).await?;
        let attempts = state.engine.attempts(id).await?;
        let actions = state.engine.actions(id).await?;
        Ok::<_, queue::Error>((attributes, attempts, actions))
    };
    let (attributes, attempts, actions) = timeout(state.settings.store_timeout, beside).await??;
    Ok(Operation::new(row, attributes, attempts, actions))
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

/// Which lines of a log.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogPage {
    after: Option<i64>,
    limit: Option<usize>,
}

/// A piece of a job's log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Logs {
    logs: Vec<LogLineShown>,
    /// `after` of the next piece; `null` after the last line there is now.
    next: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct LogLineShown {
    /// Grows with every line of the job.
    seq: i64,
    attempt: u32,
    /// By the worker's clock.
    at: DateTime<Utc>,
    line: String,
}

/// Shows what a job's attempts logged, oldest first.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/logs", tag = "jobs", operation_id = "show_job_logs",
    params(
        ("id" = String, Path, description = "the job's id"),
        ("after" = Option<i64>, Query, description = "only lines after this `seq`"),
        ("limit" = Option<u32>, Query, description = "lines, 1 to 500; default 500"),
    ),
    responses(
        (status = 200, description = "lines", body = Logs),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 404, description = "no such job, or not for this caller", body = crate::error::Problem),
        (status = 422, description = "a parameter is wrong", body = crate::error::Problem),
    )
)]
pub(crate) async fn logs(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    id: PathText,
    page: Result<Query<LogPage>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Logs>, ApiError> {
    let (_, row) = visible(&state, peer, &headers, id).await?;
    let Query(page) = page.map_err(|error| ApiError::Invalid(error.body_text()))?;
    let limit = page.limit.unwrap_or(LOG_LINES);
    if !(1..=LOG_LINES).contains(&limit) {
        return Err(ApiError::Invalid(format!("limit: 1 to {LOG_LINES}")));
    }
    let lines = state.engine.logs(row.id, page.after, limit);
    let lines = timeout(state.settings.store_timeout, lines).await??;
    let next = (lines.len() == limit).then(|| lines.last().map(|line| line.seq)).flatten();
    let logs = lines
        .into_iter()
        .map(|line| LogLineShown {
            seq: line.seq,
            attempt: line.attempt,
            at: line.at,
            line: line.line,
        })
        .collect();
    Ok(Json(Logs { logs, next }))
}
