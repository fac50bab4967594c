//! Source 002: `POST /api/v2/simple/ventes/sync/`. One request is one job in its shop's lane,
//! answered 201 with every sale accounted for, or 202 if it is not done in time.

use crate::auth::Till;
use crate::contract::{self, Asked, Contract};
use crate::error::{ApiError, Limit};
use crate::server::Peer;
use crate::trace::Trace;
use crate::{Route, State, gate};
use axum::body::Body;
use axum::extract::State as FromState;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jobs::Job;
use jobs::kinds::ApplySalesBatch;
use queue::{JobRow, NewJob};
use records::ventes::answer::{self, SyncAnswer};
use records::ventes::{Batch, BatchError};
use serde::Deserialize;
use uuid::Uuid;

pub(crate) mod look;

const SYNC: &str = "/api/v2/simple/ventes/sync/";

/// Both spellings reach the handler: a redirect would lose or repeat the body (C-14).
pub(crate) fn routes() -> Vec<Route> {
    let sync = [Route::post(SYNC, push), Route::post(SYNC.trim_end_matches('/'), push)];
    sync.into_iter().chain(look::routes()).collect()
}

/// Takes in sales of one terminal.
#[utoipa::path(
    post, path = "/api/v2/simple/ventes/sync/", tag = "ventes",
    params(
        ("X-Device-Serial" = String, Header, description = "the terminal's serial number"),
        ("Prefer" = Option<String>, Header, description = "`wait=n` (at most 25) or `respond-async`; `handling=strict`: refuse rather than join an earlier request"),
        ("Idempotency-Key" = Option<String>, Header, description = "8 to 255 characters, kept 7 days: the same request again gives the same answer word for word, with `Idempotency-Replayed: true`"),
    ),
    request_body(content = [crate::openapi::Vente], description = "1 to 1000 sales"),
    responses(
        (status = 201, description = "every sale is accounted for", body = crate::openapi::SyncAnswer),
        (status = 202, description = "accepted, not done yet; send again or follow `Location`", body = crate::openapi::SyncAnswer),
        (status = 400, description = "no serial, no shop, or not an array of sales", body = crate::error::Problem),
        (status = 403, description = "the query names another shop", body = crate::error::Problem),
        (status = 404, description = "unknown or inactive terminal", body = crate::error::Problem),
        (status = 408, description = "the body came too slowly", body = crate::error::Problem),
        (status = 409, description = "`handling=strict`, and the first request with this key is not done", body = crate::error::Problem),
        (status = 410, description = "the key's job was removed before anybody read its answer", body = crate::error::Problem),
        (status = 413, description = "more sales, lines, depth or bytes than allowed", body = crate::error::Problem),
        (status = 415, description = "a content type or encoding that is not read here", body = crate::error::Problem),
        (status = 422, description = "the key was used with another request, or is malformed", body = crate::error::Problem),
        (status = 429, description = "too many requests, or too many unfinished ones", body = crate::error::Problem),
        (status = 500, description = "the job died", body = crate::error::Problem),
        (status = 503, description = "the record cannot be reached, or too much waits already; nothing was accepted", body = crate::error::Problem),
    )
)]
pub(crate) async fn push(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    Extension(trace): Extension<Trace>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (pass, till) = gate::enter_till(&state, peer, &headers, SYNC).await;
    let answer = async {
        let till = till?;
        if gate::names_other(&gate::query(&uri), "boutique_id", till.boutique.id) {
            return Err(ApiError::ForeignShop);
        }
        let principal = till.principal();
        let asked = Asked { principal: &principal, headers: &headers, trace: &trace };
        let sync = Sync { till, invoice_zone: state.settings.invoice_zone };
        contract::take_in(&state, &sync, asked, body).await
    };
    pass.leave(answer.await)
}

/// The contract of one terminal's request.
struct Sync {
    till: Till,
    invoice_zone: chrono_tz::Tz,
}

impl Contract for Sync {
    const ROUTE: &'static str = "POST /api/v2/simple/ventes/sync/";
    const QUEUE: &'static str = ApplySalesBatch::QUEUE;
    /// How many sales were sent.
    type Told = usize;

    fn check_head(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        check_type(headers)
    }

    /// With a key, two equal sales without numbers are one request only if they have one key;
    /// without, they are until the answer was delivered (D-13).
    fn parse(&self, body: &[u8], has_key: bool) -> Result<(NewJob, usize), ApiError> {
        let Till { terminal, boutique } = &self.till;
        let batch = Batch::parse(body)?;
        let sales = batch.len();
        let received = queue::clock::now();
        let stamp = received.with_timezone(&self.invoice_zone).naive_local();
        let mut job = ApplySalesBatch::new(terminal, boutique, batch, received, stamp);
        if has_key {
            job.until_delivered = None;
        }
        Ok((job.into_new(), sales))
    }

    /// Every sale accounted for.
    async fn complete(&self, _state: &State, row: JobRow) -> Result<Response, ApiError> {
        let (queue::State::Done, Some(result)) = (row.state, &row.result) else {
            tracing::error!(job.id = %row.id, job.state = row.state.as_str(), "a sales job has no result");
            return Err(ApiError::Internal(None));
        };
        let result =
            serde_json::from_str(result).map_err(|error| ApiError::Internal(Some(error.into())))?;
        let Till { terminal, boutique } = &self.till;
        let body = answer::completed((boutique.id, &boutique.nom), &terminal.nom, result);
        Ok((StatusCode::CREATED, Json(body)).into_response())
    }

    /// The client keeps its sales and asks again.
    async fn pending(
        &self,
        _state: &State,
        sales: &usize,
        id: Uuid,
        _row: Option<&JobRow>,
    ) -> Result<Response, ApiError> {
        let job = format!("/api/v1/jobs/{id}");
        let Till { terminal, boutique } = &self.till;
        let body = answer::pending(boutique, &terminal.nom, *sales, job.clone());
        let headers = [(header::LOCATION, job), (header::RETRY_AFTER, "2".to_owned())];
        Ok((StatusCode::ACCEPTED, headers, Json(body)).into_response())
    }

    fn delivers_in(&self) -> Option<String> {
        Some(ApplySalesBatch::lane_of(self.till.boutique.id))
    }
}

/// What a sales job that is done has to answer, as the route would have had it (D-10); `None` for
/// any other job.
pub(crate) fn response_of(row: &JobRow) -> Option<SyncAnswer> {
    /// Of its payload.
    #[derive(Deserialize)]
    struct Sender {
        boutique_id: i64,
        boutique: String,
        terminal: String,
    }
    if row.kind != ApplySalesBatch::KIND || row.state != queue::State::Done {
        return None;
    }
    let result = serde_json::from_str(row.result.as_deref()?).ok()?;
    let Sender { boutique_id, boutique, terminal } = serde_json::from_str(&row.payload).ok()?;
    Some(answer::completed((boutique_id, &boutique), &terminal, result))
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
