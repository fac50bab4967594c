//! For those who watch over the process: `/livez`, `/readyz` and `/metrics`.

use crate::auth;
use crate::error::ApiError;
use crate::server::Peer;
use crate::{Route, State};
use axum::extract::State as FromState;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use metrics::gauge;
use queue::QueueStats;
use serde::Serialize;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

/// The record is asked for queue figures at most this often, however many scrapers there are.
const STATS_AGE: Duration = Duration::from_secs(1);
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::get("/livez", live), Route::get("/readyz", ready), Route::get("/metrics", metrics)]
}

/// What was asked, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, `degraded` or `unavailable`.
    status: &'static str,
    checks: Checks,
}

#[derive(Debug, Serialize, ToSchema)]
struct Checks {
    /// The record answers.
    database: &'static str,
    /// Every store of the queue answers.
    queue: &'static str,
}

/// Whether the process runs.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "it does")))]
pub(crate) async fn live() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "ok" }))
}

/// Whether requests can be served just now.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, description = "every store answers, or (`degraded`) only the record does: slower, but nothing is refused", body = Health),
        (status = 503, description = "the record does not answer", body = Health),
    )
)]
pub(crate) async fn ready(FromState(state): FromState<State>) -> (StatusCode, Json<Health>) {
    // So that the answer itself leaves before a store counts as unavailable.
    let patience = state.settings.store_timeout * 4 / 5;
    let (database, queue) = tokio::join!(
        timeout(patience, state.engine.db().ping()),
        timeout(patience, state.engine.ping()),
    );
    let (database, queue) = (matches!(database, Ok(Ok(()))), matches!(queue, Ok(Ok(()))));
    let word = |is_good| if is_good { "ok" } else { "failed" };
    let (code, status) = match (database, queue) {
        (true, true) => (StatusCode::OK, "ok"),
        // Redis only makes workers hear sooner: without it the record alone carries every job.
        (true, false) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let checks = Checks { database: word(database), queue: word(queue) };
    (code, Json(Health { status, checks }))
}

/// Figures for Prometheus: for this machine, or a key with `admin` (S-50).
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    params(("X-API-Key" = Option<String>, Header, description = "a key with `admin`, unless asked from this machine")),
    responses(
        (status = 200, description = "Prometheus text", body = String, content_type = "text/plain"),
        (status = 401, description = "no valid key", body = crate::error::Problem),
        (status = 403, description = "a key without `admin`", body = crate::error::Problem),
    )
)]
pub(crate) async fn metrics(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    // A proxy on this machine speaks for strangers: then the loopback address proves nothing.
    let forwarded = ["x-forwarded-for", "forwarded", "x-real-ip"];
    let is_local = peer.0.ip().to_canonical().is_loopback()
        && !forwarded.iter().any(|name| headers.contains_key(*name));
    if !is_local && !auth::caller(&state, peer, &headers).await?.has_scope(&["admin"]) {
        return Err(ApiError::Forbidden);
    }
    state.gauges.publish(&state).await;
    Ok(([(header::CONTENT_TYPE, PROMETHEUS)], state.metrics.render()).into_response())
}

/// The queues' gauges and when they were last set.
#[derive(Default)]
pub(crate) struct Gauges(Mutex<Published>);

#[derive(Default)]
struct Published {
    at: Option<Instant>,
}

impl Gauges {
    /// Sets them from the record if they are old; what cannot be read stays as it was.
    async fn publish(&self, state: &State) {
        let mut published = self.0.lock().await;
        if published.at.is_some_and(|at| at.elapsed() < STATS_AGE) {
            return;
        }
        let Ok(Ok(stats)) = timeout(state.settings.store_timeout, state.engine.stats()).await
        else {
            tracing::warn!("the queues' figures could not be read");
            return;
        };
        published.at = Some(Instant::now());
        stats.iter().for_each(set);
    }
}

fn set(figures: &QueueStats) {
    let states = [
        ("ready", figures.ready),
        ("blocked", figures.blocked),
        ("scheduled", figures.scheduled),
        ("running", figures.running),
        ("dead", figures.dead),
    ];
    for (state, count) in states {
        let labels = [("queue", figures.queue.clone()), ("state", state.to_owned())];
        gauge!("relais_jobs", &labels).set(count as f64);
    }
    let oldest = figures.oldest_ready.unwrap_or_default().as_secs_f64();
    gauge!("relais_queue_oldest_ready_seconds", "queue" => figures.queue.clone()).set(oldest);
}
