//! `GET /api/v1/workers`: who carries out jobs, and what each of them holds.

use crate::auth::{self, READ};
use crate::error::{ApiError, Problem};
use crate::server::Peer;
use crate::{Route, State};
use axum::extract::State as FromState;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use queue::WorkerRow;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/workers", list)]
}

/// Workers that gave a sign of life in the last hour, the latest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Workers {
    workers: Vec<Worker>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Worker {
    name: String,
    /// Whether its last sign of life is recent.
    alive: bool,
    started_at: DateTime<Utc>,
    beat_at: DateTime<Utc>,
    queues: Vec<Served>,
    kinds: Vec<Known>,
    /// Whether it takes no more jobs.
    draining: bool,
    /// When its last claim was answered.
    last_claim_at: Option<DateTime<Utc>>,
    /// What it holds; at most 100.
    jobs: Vec<Held>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Served {
    queue: String,
    /// Jobs at once.
    concurrency: usize,
}

#[derive(Debug, Serialize, ToSchema)]
struct Known {
    kind: String,
    /// The newest payload version it reads.
    version: i64,
}

#[derive(Debug, Serialize, ToSchema)]
struct Held {
    id: Uuid,
    lease_until: DateTime<Utc>,
}

impl From<WorkerRow> for Worker {
    fn from(row: WorkerRow) -> Self {
        let served = |(queue, concurrency)| Served { queue, concurrency };
        let known = |(kind, version)| Known { kind, version };
        let held = |(id, lease_until)| Held { id, lease_until };
        Self {
            name: row.name,
            alive: row.alive,
            started_at: row.started_at,
            beat_at: row.beat_at,
            queues: row.queues.into_iter().map(served).collect(),
            kinds: row.kinds.into_iter().map(known).collect(),
            draining: row.draining,
            last_claim_at: row.last_claim_at,
            jobs: row.jobs.into_iter().map(held).collect(),
        }
    }
}

impl From<Vec<WorkerRow>> for Workers {
    fn from(rows: Vec<WorkerRow>) -> Self {
        Self { workers: rows.into_iter().map(Worker::from).collect() }
    }
}

/// Lists worker processes.
#[utoipa::path(
    get, path = "/api/v1/workers", tag = "queues", operation_id = "list_workers",
    params(("X-API-Key" = String, Header, description = "a key with `jobs:read` or `admin`")),
    responses(
        (status = 200, description = "workers, and what each of them holds", body = Workers),
        (status = 401, description = "no valid credentials", body = Problem),
        (status = 403, description = "credentials that may not read jobs", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Json<Workers>, ApiError> {
    auth::permit(&state, peer, &headers, &READ).await?;
    let rows = timeout(state.settings.store_timeout, state.engine.workers()).await??;
    Ok(Json(rows.into()))
}
