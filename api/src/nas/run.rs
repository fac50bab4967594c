//! `POST /api/v1/sync/run`: everything that is pending, in one job. Answered with what became of
//! it, or after a while with how far it has come (C-23); whoever asks meanwhile joins that job.

use super::{Asker, Pending, RUN, accepted, enter, host};
use crate::error::{ApiError, Problem};
use crate::prefer::Prefer;
use crate::server::Peer;
use crate::trace::Trace;
use crate::{State, accept};
use axum::extract::State as FromState;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jobs::Job;
use jobs::kinds::TransferToNas;
use jobs::kinds::transfer_to_nas::Report;
use records::documents::counts;
use serde::Serialize;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

/// The four members of R-001-24; with `statut` and `job` while it is going on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Run {
    #[schema(example = 8)]
    total: u64,
    #[schema(example = 7)]
    synced: u64,
    #[schema(example = 1)]
    failed: u64,
    #[schema(example = json!(["Document 42: Fichier source introuvable"]))]
    errors: Vec<String>,
    #[serde(flatten)]
    pending: Option<Pending>,
}

impl Run {
    fn of(report: Report) -> Self {
        let Report { total, synced, failed, errors, .. } = report;
        Self { total, synced, failed, errors, pending: None }
    }
}

/// Sends every document that is not on the file server yet.
#[utoipa::path(
    post, path = "/api/v1/sync/run", tag = "nas", operation_id = "nas_run",
    description = "Of the key's own documents and those that are nobody's; a key with `admin` sends everybody's. A second run joins the first.",
    params(
        ("X-API-Key" = Option<String>, Header, description = "a key with `nas` or `admin`, unless `nas.public`"),
        ("Prefer" = Option<String>, Header, description = "`wait=n` (at most 25) or `respond-async`"),
    ),
    responses(
        (status = 200, description = "what became of each", body = Run),
        (status = 202, description = "not done yet: so far; follow `Location`", body = Run),
        (status = 400, description = "no file server is configured", body = Problem),
        (status = 401, description = "no valid key", body = Problem),
        (status = 403, description = "the key lacks `nas`", body = Problem),
        (status = 429, description = "too many requests, or too many unfinished ones", body = Problem),
        (status = 500, description = "the transfer ended without an outcome", body = Problem),
        (status = 503, description = "the record cannot be reached; nothing was accepted", body = Problem),
    )
)]
pub(crate) async fn run(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
) -> Response {
    let (pass, asker) = enter(&state, peer, &headers, RUN).await;
    let prefer = Prefer::of(&headers, state.settings.wait_max);
    let answer = async {
        let (complete, mut response) = transfer(&state, asker?, &trace, prefer).await?;
        if let Some(applied) = prefer.applied(complete) {
            response.headers_mut().insert("preference-applied", applied);
        }
        Ok::<_, ApiError>(response)
    };
    pass.leave(answer.await)
}

async fn transfer(
    state: &State,
    asker: Asker,
    trace: &Trace,
    prefer: Prefer,
) -> Result<(bool, Response), ApiError> {
    host(state)?;
    let counts = counts(state.engine.db(), &asker.viewer);
    let counts = timeout(state.settings.store_timeout, counts).await??;
    let waiting = u64::try_from(counts.total - counts.synced).unwrap_or_default();
    if waiting == 0 {
        return Ok((true, Json(Run::of(Report::default())).into_response()));
    }
    let place = accept::admit(state, &asker.principal).await?;
    let until = Instant::now() + prefer.patience(state.settings.nas.run_wait);
    let viewer = asker.viewer.key().map(str::to_owned);
    let mut job = TransferToNas { documents: None, viewer, single: false }.into_new();
    job.principal = Some(asker.principal);
    job.trace = Some(trace.to_string());
    let run = accept::run_until(state, &job, place, until).await?;
    let report = run.row.as_ref().map(Report::of).unwrap_or_default();
    match run.row {
        Some(row) if row.state == queue::State::Done => {
            Ok((true, Json(Run::of(report)).into_response()))
        }
        Some(row) if row.state.is_final() => {
            tracing::error!(job.id = %row.id, job.state = row.state.as_str(), "a transfer has no outcome");
            Err(ApiError::TransferBroken)
        }
        _ => {
            // Until the job has looked, it is known here how many there are.
            let total = if report.total == 0 { waiting } else { report.total };
            let body = Run { total, pending: Some(Pending::of(run.id)), ..Run::of(report) };
            Ok((false, accepted(run.id, &body)))
        }
    }
}
