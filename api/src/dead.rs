//! `/api/v1/dead`: jobs that failed for good, and their way back into the queue (D-17).

use crate::auth::{self, ADMIN, READ};
use crate::error::{ApiError, Problem};
use crate::pauses::check_reason;
use crate::server::Peer;
use crate::{Route, State, body};
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as FromState};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use queue::{Act, Acted, Actor, Filter, JobRow, Listed, Page};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Jobs of one list.
const MAX_LIMIT: usize = 500;
/// Jobs of one bulk call.
const MAX_BULK: usize = 10_000;
/// Jobs of one step of a bulk call; each has [`STEP_PATIENCE`].
const STEP: usize = 200;
const STEP_PATIENCE: Duration = Duration::from_secs(10);
const REQUEUE: &str = ":requeue";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/dead", list),
        Route::post("/api/v1/dead/requeue", requeue_many),
        Route::post("/api/v1/dead/{id}/requeue", requeue),
        Route::post("/api/v1/dead/{id}", requeue_by_suffix),
    ]
}

/// Which dead jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Only of this queue.
    queue: Option<String>,
    /// Only of this kind.
    kind: Option<String>,
    /// At most so many; 1 to 500.
    #[param(default = 50, minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only older than this one: `next` of the page before.
    before: Option<Uuid>,
}

/// A piece of the list, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadJobs {
    jobs: Vec<DeadJob>,
    /// `before` of the next piece; absent after the last one. A piece may be short and yet not
    /// the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Uuid>,
}

/// A job that failed for good.
#[derive(Debug, Serialize, ToSchema)]
struct DeadJob {
    id: Uuid,
    kind: String,
    queue: String,
    lane: Option<String>,
    principal: Option<String>,
    /// Of the last attempt.
    error: Option<String>,
    /// Attempts begun.
    attempts: u32,
    max_attempts: u32,
    /// How often a process died while holding it.
    crashes: u32,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

impl From<Listed> for DeadJobs {
    fn from(listed: Listed) -> Self {
        let jobs = listed.rows.into_iter().map(DeadJob::from).collect();
        Self { jobs, next: listed.next }
    }
}

impl From<JobRow> for DeadJob {
    fn from(row: JobRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            queue: row.queue,
            lane: row.lane,
            principal: row.principal,
            error: row.error,
            attempts: row.attempt,
            max_attempts: row.max_attempts,
            crashes: row.crashes,
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

/// Why one job goes back.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequeueWish {
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// The job that goes back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Requeued {
    id: Uuid,
    requeued: bool,
}

/// Which dead jobs go back, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkWish {
    filter: BulkFilter,
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// Only count.
    #[serde(default)]
    dry_run: bool,
}

/// At least one member; together they narrow.
#[derive(Debug, Default, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BulkFilter {
    queue: Option<String>,
    kind: Option<String>,
    principal: Option<String>,
    lane: Option<String>,
    /// Accepted at or after this instant.
    since: Option<DateTime<Utc>>,
    /// Accepted before this instant.
    until: Option<DateTime<Utc>>,
}

/// What a bulk call did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkDone {
    /// Dead jobs that the filter found, at most 10 000.
    matched: usize,
    /// Those that are on their way again; 0 after a dry run.
    requeued: usize,
    /// Those that were not, because somebody else was faster or an equal job is alive.
    refused: usize,
    /// Whether there may be more: call again.
    more: bool,
    dry_run: bool,
}

/// Lists jobs that failed for good.
#[utoipa::path(
    get, path = "/api/v1/dead", tag = "queues", operation_id = "list_dead",
    params(Wanted, ("X-API-Key" = String, Header, description = "a key with `jobs:read` or `admin`")),
    responses(
        (status = 200, description = "dead jobs, newest first", body = DeadJobs),
        (status = 401, description = "no valid credentials", body = Problem),
        (status = 403, description = "credentials that may not read jobs", body = Problem),
        (status = 422, description = "a parameter is wrong", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<DeadJobs>, ApiError> {
    auth::permit(&state, peer, &headers, &READ).await?;
    let Query(wanted) = wanted.map_err(|wrong| ApiError::Invalid(wrong.body_text()))?;
    let limit = wanted.limit.unwrap_or(50);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::Invalid(format!("`limit` must be 1 to {MAX_LIMIT}")));
    }
    let filter = Filter { queue: wanted.queue, kind: wanted.kind, ..dead() };
    let page = Page { limit, before: wanted.before };
    let listed = timeout(state.settings.store_timeout, state.engine.list(&filter, &page)).await??;
    Ok(Json(listed.into()))
}

/// Puts a dead job back into its queue.
#[utoipa::path(
    post, path = "/api/v1/dead/{id}/requeue", tag = "queues", operation_id = "requeue_dead",
    params(
        ("id" = String, Path, description = "the job's id"),
        ("X-API-Key" = String, Header, description = "a key with `admin`"),
    ),
    request_body(content = Option<RequeueWish>, description = "may be empty"),
    responses(
        (status = 200, description = "it is on its way again, with at least one more attempt", body = Requeued),
        (status = 401, description = "no valid credentials", body = Problem),
        (status = 403, description = "a key without `admin`", body = Problem),
        (status = 404, description = "no such job", body = Problem),
        (status = 409, description = "it is not dead, or an equal job is alive", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn requeue(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Requeued>, ApiError> {
    let caller = auth::permit(&state, peer, &headers, &ADMIN).await?;
    let Path(id) = id.map_err(|_not_text| ApiError::NotFound)?;
    let id = Uuid::try_parse(&id).map_err(|_not_an_id| ApiError::NotFound)?;
    let wish: RequeueWish = body::json_or_default(&headers, body, &state.settings).await?;
    check_reason(wish.reason.as_deref())?;
    let patience = state.settings.store_timeout;
    let row = timeout(patience, state.engine.get(id)).await??.ok_or(ApiError::NotFound)?;
    if row.state != queue::State::Dead {
        let state = row.state.as_str();
        return Err(ApiError::Conflict(format!("the job is {state}; only dead ones are requeued")));
    }
    let by = Actor { principal: caller.principal(), reason: wish.reason };
    let acted = timeout(patience, state.engine.act(&[id], Act::Retry, &by)).await??;
    match acted.into_iter().next() {
        Some(Acted::Done | Acted::Requested) => Ok(Json(Requeued { id, requeued: true })),
        Some(Acted::Refused(why)) => Err(ApiError::Conflict(why)),
        Some(Acted::NotFound) | None => Err(ApiError::NotFound),
    }
}

/// The same in the form of AIP-136: `{id}` is the job's id with `:requeue` behind it.
#[utoipa::path(
    post, path = "/api/v1/dead/{id}", tag = "queues", operation_id = "requeue_dead_by_suffix",
    params(
        ("id" = String, Path, description = "the job's id and `:requeue`", example = "0198c1d2-0000-7000-8000-000000000000:requeue"),
        ("X-API-Key" = String, Header, description = "a key with `admin`"),
    ),
    request_body(content = Option<RequeueWish>, description = "may be empty"),
    responses(
        (status = 200, description = "it is on its way again, with at least one more attempt", body = Requeued),
        (status = 401, description = "no valid credentials", body = Problem),
        (status = 403, description = "a key without `admin`", body = Problem),
        (status = 404, description = "no such job, or nothing of that name is done to dead jobs", body = Problem),
        (status = 409, description = "it is not dead, or an equal job is alive", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn requeue_by_suffix(
    state: FromState<State>,
    peer: Extension<Peer>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Requeued>, ApiError> {
    let id = id.map(|Path(id)| {
        // What is no id is nothing that exists, after the credentials have been looked at.
        Path(id.strip_suffix(REQUEUE).unwrap_or_default().to_owned())
    });
    requeue(state, peer, id, headers, body).await
}

/// Puts dead jobs back into their queues, at most 10 000 of them.
#[utoipa::path(
    post, path = "/api/v1/dead/requeue", tag = "queues", operation_id = "requeue_many_dead",
    params(("X-API-Key" = String, Header, description = "a key with `admin`")),
    request_body = BulkWish,
    responses(
        (status = 200, description = "what was done", body = BulkDone),
        (status = 401, description = "no valid credentials", body = Problem),
        (status = 403, description = "a key without `admin`", body = Problem),
        (status = 422, description = "a wrong body, or a filter that restricts nothing", body = Problem),
        (status = 503, description = "the record cannot be reached; some jobs may be on their way again", body = Problem),
    )
)]
pub(crate) async fn requeue_many(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<BulkDone>, ApiError> {
    let caller = auth::permit(&state, peer, &headers, &ADMIN).await?;
    let wish: BulkWish = body::json(&headers, body, &state.settings).await?;
    let filter = wish.filter.checked()?;
    check_reason(Some(&wish.reason))?;
    if wish.reason.trim().is_empty() {
        return Err(ApiError::Invalid("body: `reason` must say why".to_owned()));
    }
    let (ids, more) = find(&state, &filter).await?;
    let dry_run = wish.dry_run;
    let mut done = BulkDone { matched: ids.len(), requeued: 0, refused: 0, more, dry_run };
    let by = Actor { principal: caller.principal(), reason: Some(wish.reason) };
    for step in ids.chunks(STEP).filter(|_| !dry_run) {
        let acted = timeout(STEP_PATIENCE, state.engine.act(step, Act::Retry, &by)).await??;
        let requeued = acted.iter().filter(|acted| matches!(acted, Acted::Done)).count();
        done.requeued += requeued;
        done.refused += acted.len() - requeued;
    }
    tracing::info!(
        matched = done.matched,
        requeued = done.requeued,
        by = by.principal,
        "dead jobs were requeued"
    );
    Ok(Json(done))
}

/// Ids of dead jobs, and whether there may be more.
async fn find(state: &State, filter: &Filter) -> Result<(Vec<Uuid>, bool), ApiError> {
    let mut ids = Vec::new();
    let mut before = None;
    loop {
        let page = Page { limit: (MAX_BULK - ids.len()).min(1_000), before };
        let found = timeout(STEP_PATIENCE, state.engine.find(filter, &page)).await??;
        ids.extend(found.ids);
        before = found.next;
        if before.is_none() || ids.len() >= MAX_BULK {
            return Ok((ids, before.is_some()));
        }
    }
}

fn dead() -> Filter {
    Filter { state: Some(queue::State::Dead), ..Filter::default() }
}

impl BulkFilter {
    fn checked(self) -> Result<Filter, ApiError> {
        let Self { queue, kind, principal, lane, since, until } = self;
        let names = [&queue, &kind, &principal, &lane];
        if names.iter().all(|name| name.is_none()) && since.is_none() && until.is_none() {
            let allowed = "queue, kind, principal, lane, since, until";
            let text = format!("body: `filter` needs at least one of {allowed}");
            return Err(ApiError::Invalid(text));
        }
        Ok(Filter { queue, kind, principal, lane, since, until, ..dead() })
    }
}
