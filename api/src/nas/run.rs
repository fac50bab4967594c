//! `POST /api/v1/sync/run`: everything that is pending, in one job. Answered with what became of
//! it, or after a while with how far it has come (C-23); whoever asks meanwhile joins that job.

use super::{Asker, Pending, RUN, accepted, enter, host};
use crate::contract::{self, Asked, Contract};
use crate::error::{ApiError, Problem};
use crate::server::Peer;
use crate::trace::Trace;
use crate::{Settings, State};
use axum::body::Body;
use axum::extract::State as FromState;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jobs::Job;
use jobs::kinds::TransferToNas;
use jobs::kinds::transfer_to_nas::Report;
use queue::{JobRow, NewJob};
use records::documents::{Viewer, counts, texts};
use serde::Serialize;
use std::time::Duration;
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

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
        ("Idempotency-Key" = Option<String>, Header, description = "8 to 255 characters, kept 7 days: the same request again gives the same answer word for word"),
    ),
    responses(
        (status = 200, description = "what became of each; if somebody cancelled the transfer, so far, and an error says so", body = Run),
        (status = 202, description = "not done yet: so far; follow `Location`", body = Run),
        (status = 400, description = "no file server is configured", body = Problem),
        (status = 401, description = "no valid key", body = Problem),
        (status = 403, description = "the key lacks `nas`", body = Problem),
        (status = 409, description = "`handling=strict`, and the first request with this key is not done", body = Problem),
        (status = 410, description = "the key's job was removed before anybody read its answer", body = Problem),
        (status = 422, description = "the key was used with another request, or is malformed", body = Problem),
        (status = 429, description = "too many requests, or too many unfinished ones", body = Problem),
        (status = 500, description = "the transfer ended without an outcome", body = Problem),
        (status = 503, description = "the record cannot be reached, or too much waits already; nothing was accepted", body = Problem),
    )
)]
pub(crate) async fn run(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (pass, asker) = enter(&state, peer, &headers, RUN).await;
    let answer = async {
        let Asker { viewer, principal } = asker?;
        host(&state)?;
        let asked = Asked { principal: &principal, headers: &headers, trace: &trace };
        contract::take_in(&state, &Everything { viewer }, asked, body).await
    };
    pass.leave(answer.await)
}

/// All that is pending, as far as somebody sees it.
struct Everything {
    viewer: Viewer,
}

impl Everything {
    async fn waiting(&self, state: &State) -> Result<u64, ApiError> {
        let counts = counts(state.engine.db(), &self.viewer);
        let counts = timeout(state.settings.store_timeout, counts).await??;
        Ok(u64::try_from(counts.total - counts.synced).unwrap_or_default())
    }

    /// How far a job has come. Until it has looked, it is known here how many there are.
    async fn so_far(&self, state: &State, row: Option<&JobRow>) -> Result<Run, ApiError> {
        let report = row.map(Report::of).unwrap_or_default();
        let total = if report.total == 0 { self.waiting(state).await? } else { report.total };
        Ok(Run { total, ..Run::of(report) })
    }
}

impl Contract for Everything {
    const ROUTE: &'static str = "POST /api/v1/sync/run";
    const QUEUE: &'static str = TransferToNas::QUEUE;
    const ANSWERS_CANCELLED: bool = true;
    type Told = ();

    fn wait(&self, settings: &Settings) -> Duration {
        settings.nas.run_wait
    }

    /// The body says nothing: there is one thing to do.
    fn parse(&self, _body: &[u8], _has_key: bool) -> Result<(NewJob, ()), ApiError> {
        let viewer = self.viewer.key().map(str::to_owned);
        Ok((TransferToNas { documents: None, viewer, single: false }.into_new(), ()))
    }

    async fn at_once(&self, state: &State) -> Result<Option<Response>, ApiError> {
        let nothing = || Json(Run::of(Report::default())).into_response();
        Ok((self.waiting(state).await? == 0).then(nothing))
    }

    async fn complete(&self, state: &State, row: JobRow) -> Result<Response, ApiError> {
        let body = match row.state {
            queue::State::Done => Run::of(Report::of(&row)),
            queue::State::Cancelled => {
                let mut run = self.so_far(state, Some(&row)).await?;
                run.errors.push(texts::CANCELLED.to_owned());
                run
            }
            broken => {
                tracing::error!(job.id = %row.id, job.state = broken.as_str(), "a transfer has no outcome");
                return Err(ApiError::TransferBroken);
            }
        };
        Ok(Json(body).into_response())
    }

    async fn pending(
        &self,
        state: &State,
        _told: &(),
        id: Uuid,
        row: Option<&JobRow>,
    ) -> Result<Response, ApiError> {
        let run = self.so_far(state, row).await?;
        Ok(accepted(id, &Run { pending: Some(Pending::of(id)), ..run }))
    }
}
