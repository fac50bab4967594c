//! `/api/v1/queues`: what the queues hold and how fast it moves.

use crate::auth::{self, READ};
use crate::error::{ApiError, Problem};
use crate::pauses::PauseShown;
use crate::server::Peer;
use crate::{Route, State};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as FromState};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use queue::QueueStats;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/queues", list), Route::get("/api/v1/queues/{name}", show)]
}

/// Every queue that was ever used.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Queues {
    queues: Vec<Queue>,
}

/// Figures of one queue; counts stop at 10 000.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Queue {
    name: String,
    depth: Depth,
    /// How long the oldest job that may be claimed has waited.
    oldest_ready_seconds: Option<u64>,
    throughput: Throughput,
    /// The pause it is in.
    paused: Option<PauseShown>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct Depth {
    /// May be claimed.
    ready: u64,
    /// Ready, but another job of the lane goes first.
    blocked: u64,
    scheduled: u64,
    running: u64,
    dead: u64,
}

/// In the last whole minute.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct Throughput {
    done_per_minute: u64,
    failed_per_minute: u64,
}

impl From<Vec<QueueStats>> for Queues {
    fn from(stats: Vec<QueueStats>) -> Self {
        Self { queues: stats.into_iter().map(Queue::from).collect() }
    }
}

impl From<QueueStats> for Queue {
    fn from(stats: QueueStats) -> Self {
        Self {
            name: stats.queue,
            depth: Depth {
                ready: stats.ready,
                blocked: stats.blocked,
                scheduled: stats.scheduled,
                running: stats.running,
                dead: stats.dead,
            },
            oldest_ready_seconds: stats.oldest_ready.map(|age| age.as_secs()),
            throughput: Throughput {
                done_per_minute: stats.done_per_minute,
                failed_per_minute: stats.failed_per_minute,
            },
            paused: stats.paused.map(PauseShown::from),
        }
    }
}

/// Lists the queues with their figures.
#[utoipa::path(
    get, path = "/api/v1/queues", tag = "queues", operation_id = "list_queues",
    params(("X-API-Key" = String, Header, description = "a key with `jobs:read` or `admin`")),
    responses(
        (status = 200, description = "the queues, by name", body = Queues),
        (status = 401, description = "no valid credentials", body = Problem),
        (status = 403, description = "credentials that may not read jobs", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Json<Queues>, ApiError> {
    auth::permit(&state, peer, &headers, &READ).await?;
    let stats = timeout(state.settings.store_timeout, state.engine.stats()).await??;
    Ok(Json(stats.into()))
}

/// Shows one queue with its figures.
#[utoipa::path(
    get, path = "/api/v1/queues/{name}", tag = "queues", operation_id = "show_queue",
    params(
        ("name" = String, Path, description = "the queue's name"),
        ("X-API-Key" = String, Header, description = "a key with `jobs:read` or `admin`"),
    ),
    responses(
        (status = 200, description = "the queue", body = Queue),
        (status = 401, description = "no valid credentials", body = Problem),
        (status = 403, description = "credentials that may not read jobs", body = Problem),
        (status = 404, description = "no queue of that name was ever used", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn show(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Json<Queue>, ApiError> {
    auth::permit(&state, peer, &headers, &READ).await?;
    let Path(name) = name.map_err(|_not_text| ApiError::NotFound)?;
    let stats = timeout(state.settings.store_timeout, state.engine.stats()).await??;
    let found = stats.into_iter().find(|stats| stats.queue == name);
    found.map(|stats| Json(stats.into())).ok_or(ApiError::NotFound)
}
