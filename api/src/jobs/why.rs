//! `GET /api/v1/jobs/{id}/why`: what a job waits for, in a sentence and in detail.

use super::{PathText, visible};
use crate::State;
use crate::error::ApiError;
use crate::server::Peer;
use axum::extract::State as FromState;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use chrono::{DateTime, SecondsFormat, Utc};
use queue::{Blocker, Hold};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a job waits for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Why {
    state: &'static str,
    /// For people.
    summary: String,
    /// Everything that keeps it from running, the hardest first.
    blockers: Vec<BlockerShown>,
    /// When it may start, by estimate.
    estimate: Option<DateTime<Utc>>,
}

/// One thing that keeps a job from running.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
enum BlockerShown {
    /// Its queue or kind is paused.
    Paused {
        /// `queue` or `kind`.
        scope: &'static str,
        name: String,
        by: String,
        reason: Option<String>,
        since: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
    },
    /// Another job of its lane goes first.
    Lane {
        /// Only for those who may read jobs.
        job: Option<Uuid>,
        job_state: &'static str,
        /// Counted up to 10 000.
        ahead: u64,
    },
    /// Something that all jobs of its kind need is not to be had.
    Held {
        reason: String,
        since: DateTime<Utc>,
        /// When it is looked at again.
        until: DateTime<Utc>,
    },
    /// It was put in for later.
    Schedule { run_at: DateTime<Utc> },
    /// An attempt failed; the next one waits.
    Backoff { run_at: DateTime<Utc>, attempt: u32, error: Option<String> },
    /// No living worker serves its queue.
    NoWorkerForQueue { queue: String },
    /// No living worker of its queue knows its kind, or its payload's version.
    NoWorkerForKind { kind: String, version: i64 },
    /// It waits for a free slot behind others of its queue.
    Turn {
        /// Counted up to 10 000.
        ahead: u64,
    },
}

/// Says why a job does not run.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/why", tag = "jobs", operation_id = "why_job",
    params(("id" = String, Path, description = "the job's id")),
    responses(
        (status = 200, description = "what it waits for", body = Why),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 404, description = "no such job, or not for this caller", body = crate::error::Problem),
        (status = 503, description = "the record cannot be reached", body = crate::error::Problem),
    )
)]
pub(crate) async fn why(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    id: PathText,
    headers: HeaderMap,
) -> Result<Json<Why>, ApiError> {
    let (caller, row) = visible(&state, peer, &headers, id).await?;
    let why = ::jobs::why(state.engine.as_ref(), &state.catalog, row.id);
    let why = timeout(state.settings.store_timeout * 2, why).await??;
    let why = why.ok_or(ApiError::NotFound)?;
    let reads = caller.is_some_and(|caller| caller.has_scope(&crate::auth::READ));
    let blockers = why.blockers.into_iter().map(|blocker| blocker_shown(blocker, &why.row, reads));
    let blockers: Vec<_> = blockers.collect();
    let summary = summary(&why.row, blockers.first());
    Ok(Json(Why { state: why.row.state.as_str(), summary, blockers, estimate: why.estimate }))
}

/// Who paused and why, and other jobs, are for those who may read jobs.
fn blocker_shown(blocker: Blocker, row: &queue::JobRow, reads: bool) -> BlockerShown {
    match blocker {
        Blocker::Paused(pause) => BlockerShown::Paused {
            scope: pause.scope.as_str(),
            name: pause.name,
            by: if reads { pause.by.principal } else { String::new() },
            reason: pause.by.reason.filter(|_| reads),
            since: pause.since,
            until: pause.until,
        },
        Blocker::LaneHead { id, state, ahead } => {
            BlockerShown::Lane { job: reads.then_some(id), job_state: state.as_str(), ahead }
        }
        Blocker::Held(Hold { reason, since, until }) => BlockerShown::Held { reason, since, until },
        Blocker::Schedule { run_at } => BlockerShown::Schedule { run_at },
        Blocker::Backoff { run_at, attempt, error } => {
            BlockerShown::Backoff { run_at, attempt, error }
        }
        Blocker::NoWorkerForQueue => BlockerShown::NoWorkerForQueue { queue: row.queue.clone() },
        Blocker::NoWorkerForKind => {
            BlockerShown::NoWorkerForKind { kind: row.kind.clone(), version: row.version }
        }
        Blocker::Turn { ahead } => BlockerShown::Turn { ahead },
    }
}

fn summary(row: &queue::JobRow, first: Option<&BlockerShown>) -> String {
    let at = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    match (row.state, first) {
        (queue::State::Running, _) => "The job is running.".to_owned(),
        (state, _) if state.is_final() => format!("The job has its end: it is {}.", state.as_str()),
        (_, None) => "The job is ready: the next free worker takes it.".to_owned(),
        (_, Some(BlockerShown::Paused { scope, name, until, .. })) => match until {
            Some(until) => format!("The {scope} {name} is paused until {}.", at(until)),
            None => format!("The {scope} {name} is paused."),
        },
        (_, Some(BlockerShown::Lane { job_state, ahead, .. })) => {
            format!("{ahead} job(s) of its lane go first; the head is {job_state}.")
        }
        (_, Some(BlockerShown::Held { reason, since, until })) => {
            let (since, until) = (at(since), at(until));
            format!("Its kind is held since {since}: {reason}. It is looked at again at {until}.")
        }
        (_, Some(BlockerShown::Schedule { run_at })) => {
            format!("The job was put in for {}.", at(run_at))
        }
        (_, Some(BlockerShown::Backoff { run_at, attempt, .. })) => {
            format!("Attempt {attempt} failed; the next one begins at {}.", at(run_at))
        }
        (_, Some(BlockerShown::NoWorkerForQueue { queue })) => {
            format!("No living worker serves the queue {queue}.")
        }
        (_, Some(BlockerShown::NoWorkerForKind { kind, version })) => {
            format!("No living worker of its queue knows the kind {kind} in version {version}.")
        }
        (_, Some(BlockerShown::Turn { ahead })) => {
            format!("{ahead} job(s) of its queue are taken first.")
        }
    }
}
