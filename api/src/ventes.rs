//! Source 002: `POST /api/v2/simple/ventes/sync/`. One request is one job in its shop's lane,
//! answered 201 with every sale accounted for, or 202 if it is not done in time.

use crate::accept;
use crate::auth::{self, Till};
use crate::error::{ApiError, Limit};
use crate::prefer::Prefer;
use crate::server::Peer;
use crate::trace::Trace;
use crate::{Route, State, body};
use axum::body::Body;
use axum::extract::State as FromState;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jobs::Job;
use jobs::kinds::ApplySalesBatch;
use queue::JobRow;
use records::ventes::{Batch, BatchError, answer};
use tokio::time::Instant;

const SYNC: &str = "/api/v2/simple/ventes/sync/";

/// Both spellings reach the handler: a redirect would lose or repeat the body (C-14).
pub(crate) fn routes() -> Vec<Route> {
    vec![Route::post(SYNC, push), Route::post(SYNC.trim_end_matches('/'), push)]
}

/// Takes in sales of one terminal.
#[utoipa::path(
    post, path = "/api/v2/simple/ventes/sync/", tag = "ventes",
    params(
        ("X-Device-Serial" = String, Header, description = "the terminal's serial number"),
        ("Prefer" = Option<String>, Header, description = "`wait=n` (at most 25) or `respond-async`"),
    ),
    request_body(content = [crate::openapi::Vente], description = "1 to 1000 sales"),
    responses(
        (status = 201, description = "every sale is accounted for", body = crate::openapi::SyncAnswer),
        (status = 202, description = "accepted, not done yet; send again or follow `Location`", body = crate::openapi::SyncAnswer),
        (status = 400, description = "no serial, no shop, or not an array of sales", body = crate::error::Problem),
        (status = 404, description = "unknown or inactive terminal", body = crate::error::Problem),
        (status = 408, description = "the body came too slowly", body = crate::error::Problem),
        (status = 413, description = "more sales, lines, depth or bytes than allowed", body = crate::error::Problem),
        (status = 415, description = "a content type or encoding that is not read here", body = crate::error::Problem),
        (status = 429, description = "too many requests, or too many unfinished ones", body = crate::error::Problem),
        (status = 500, description = "the job died", body = crate::error::Problem),
        (status = 503, description = "the record cannot be reached; nothing was accepted", body = crate::error::Problem),
    )
)]
pub(crate) async fn push(
    FromState(state): FromState<State>,
    Extension(Peer(peer)): Extension<Peer>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let till = auth::till(&state, &headers).await;
    let principal = till.as_ref().map(|till| auth::principal(&till.terminal)).unwrap_or_default();
    let quota = match &till {
        Ok(_) => state.limits.take(&principal, SYNC).await,
        Err(ApiError::UnknownTerminal) => state.limits.guess(peer.ip()).await,
        Err(refusal @ (ApiError::Unavailable(_) | ApiError::Internal(_))) => {
            tracing::debug!(%refusal, "nothing is counted against a caller nobody could look up");
            return till.map(|_| StatusCode::OK).into_response();
        }
        Err(_) => state.limits.take(&format!("ip:{}", peer.ip().to_canonical()), SYNC).await,
    };
    let answer = match quota.check().and(till) {
        Ok(till) => take_in(&state, &till, &principal, &trace, &headers, body).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = answer.into_response();
    quota.write(response.headers_mut());
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Prefer"));
    response
}

async fn take_in(
    state: &State,
    till: &Till,
    principal: &str,
    trace: &Trace,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let place = accept::admit(state, principal).await?;
    check_type(headers)?;
    let bytes = body::read(headers, body, &state.settings).await?;
    let prefer = Prefer::of(headers, state.settings.wait_max);
    let until = Instant::now() + prefer.patience(state.settings.wait);
    let batch = Batch::parse(&bytes)?;
    let sales = batch.len();
    let received = queue::clock::now();
    let mut job = ApplySalesBatch::new(&till.terminal, &till.boutique, batch, received).into_new();
    job.principal = Some(principal.to_owned());
    job.trace = Some(trace.to_string());
    let accepted = accept::run(state, job, place, until).await?;
    let (complete, mut response) = match accepted.row {
        Some(row) if row.state.is_final() => (true, complete(state, till, &row)?),
        _ => (false, pending(till, sales, accepted.id)),
    };
    if let Some(applied) = prefer.applied(complete) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// Every sale accounted for; noted as delivered once it has left whole.
fn complete(state: &State, till: &Till, row: &JobRow) -> Result<Response, ApiError> {
    let (queue::State::Done, Some(result)) = (row.state, &row.result) else {
        tracing::error!(job.id = %row.id, job.state = row.state.as_str(), "a sales job has no result");
        return Err(ApiError::Internal(None));
    };
    let result =
        serde_json::from_str(result).map_err(|error| ApiError::Internal(Some(error.into())))?;
    let body = answer::completed(&till.boutique, &till.terminal.nom, result);
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    let lane = row.lane.as_deref().unwrap_or_default();
    response.extensions_mut().insert(accept::delivery(state, lane, row.id));
    Ok(response)
}

/// A body of the same shape that claims nothing (D-9): the client keeps its sales and asks again.
fn pending(till: &Till, sales: usize, id: uuid::Uuid) -> Response {
    let job = format!("/api/v1/jobs/{id}");
    let body = answer::pending(&till.boutique, &till.terminal.nom, sales, job.clone());
    let headers = [(header::LOCATION, job), (header::RETRY_AFTER, "2".to_owned())];
    (StatusCode::ACCEPTED, headers, Json(body)).into_response()
}

/// The seed's own clients send none or `text/plain` (D-19); anything else is a mistake.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_read = |value: &HeaderValue| {
        let value = value.to_str().unwrap_or("?");
        let essence = value.split(';').next().unwrap_or_default().trim();
        ["", "application/json", "text/plain"].iter().any(|t| essence.eq_ignore_ascii_case(t))
    };
    let are_read = headers.get_all(header::CONTENT_TYPE).iter().all(is_read);
    if are_read { Ok(()) } else { Err(ApiError::UnsupportedType) }
}

impl From<BatchError> for ApiError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::NotAnArray => Self::NotAnArray,
            BatchError::Empty => Self::EmptyBatch,
            BatchError::TooManySales { max } => Self::TooLarge(Limit::Sales(max)),
            BatchError::TooManyLines { max } => Self::TooLarge(Limit::Lines(max)),
            BatchError::TooDeep { max } => Self::TooLarge(Limit::Depth(max)),
        }
    }
}
