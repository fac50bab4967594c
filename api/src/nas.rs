//! Source 001 under `/api/v1/sync`: what is on the file server and what is not, a test of the
//! connection, and transfers. Whether a file server is configured is judged here, from settings;
//! everything else is a job.

pub(crate) mod run;
pub(crate) mod single;
pub(crate) mod status;
pub(crate) mod test;

use crate::error::ApiError;
use crate::gate::{self, Pass};
use crate::server::Peer;
use crate::{Route, State, auth};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Json, http::StatusCode, http::header};
use records::documents::Viewer;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

const STATUS: &str = "/api/v1/sync/status";
const CONFIG: &str = "/api/v1/sync/config";
const TEST: &str = "/api/v1/sync/test";
const RUN: &str = "/api/v1/sync/run";
const DOCUMENT: &str = "/api/v1/sync/document/{document_id}";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(STATUS, status::status),
        Route::get(CONFIG, status::config),
        Route::post(TEST, test::test),
        Route::post(RUN, run::run),
        Route::post(DOCUMENT, single::single),
    ]
}

/// Whether `path` belongs to this contract; others share its beginning (C-26).
pub(crate) fn has(path: &str) -> bool {
    [STATUS, CONFIG, TEST, RUN].contains(&path) || path.starts_with("/api/v1/sync/document/")
}

/// Whoever asks: whose documents they see, and the name under which their jobs are kept.
struct Asker {
    viewer: Viewer,
    principal: String,
}

/// What R-001-17 and R-001-29 answer; with `statut` and `job` while it is going on (D-9).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verdict {
    success: bool,
    #[schema(example = "Connexion réussie")]
    message: String,
    #[serde(flatten)]
    pending: Option<Pending>,
}

impl Verdict {
    fn new(success: bool, message: impl Into<String>) -> Self {
        Self { success, message: message.into(), pending: None }
    }
}

/// What a 202 adds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pending {
    /// `EN_COURS`.
    statut: &'static str,
    /// Where to follow the job.
    job: String,
}

impl Pending {
    fn of(job: Uuid) -> Self {
        Self {
            statut: records::documents::texts::PENDING_STATE,
            job: format!("/api/v1/jobs/{job}"),
        }
    }
}

/// A 202 that says where to look, and when.
fn accepted(id: Uuid, body: &impl Serialize) -> Response {
    let location = format!("/api/v1/jobs/{id}");
    let headers = [(header::LOCATION, location), (header::RETRY_AFTER, "2".to_owned())];
    (StatusCode::ACCEPTED, headers, Json(body)).into_response()
}

/// Counts the request and says who makes it. Where the contract is open (C-25) a key may still be
/// shown, and then counts.
async fn enter(
    state: &State,
    peer: Peer,
    headers: &HeaderMap,
    route: &'static str,
) -> (Pass, Result<Asker, ApiError>) {
    if state.settings.nas.public && !headers.contains_key("x-api-key") {
        let (pass, principal) = gate::enter_open(state, peer, route).await;
        let asker = principal.map(|principal| Asker { viewer: Viewer::Everybody, principal });
        return (pass, asker);
    }
    let (pass, caller) = gate::enter(state, peer, headers, Some(&auth::NAS), route).await;
    let asker = caller.map(|c| Asker { viewer: c.viewer(), principal: c.principal() });
    (pass, asker)
}

/// The host that documents are sent to, if everything that takes is configured (R-001-27).
fn host(state: &State) -> Result<&str, ApiError> {
    let nas = &state.settings.nas;
    let host = nas.host.as_deref().filter(|_| nas.is_configured());
    host.ok_or(ApiError::NasNotConfigured)
}
