//! Source 000: `POST /api/v1/sync/push` and what belongs to it. A site is known by its key alone
//! (D-50); what is another site's does not exist for it.

pub(crate) mod conflicts;
mod described;
pub(crate) mod history;
mod known;
pub(crate) mod resolve;
mod shown;
mod taken;

pub(crate) use described::{PushAnswer, PushBody};

use crate::auth::Caller;
use crate::error::{ApiError, Limit};
use crate::gate;
use crate::idempotency::Keyed;
use crate::prefer::Prefer;
use crate::server::Peer;
use crate::trace::Trace;
use crate::{Route, State, accept, body};
use axum::Extension;
use axum::body::Body;
use axum::extract::State as FromState;
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, Utc};
use jobs::Job;
use jobs::kinds::ApplyPushBatch;
use records::keys;
use records::push::{Batch, BatchError, ClockOffset, MAX_BYTES};
use records::requests;
use tokio::time::Instant;

const PUSH: &str = "/api/v1/sync/push";
const ENTITIES: &str = "/api/v1/sync/entities";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post(PUSH, push),
        Route::get(conflicts::CONFLICTS, conflicts::list),
        Route::get(conflicts::CONFLICT, conflicts::show),
        Route::post(resolve::RESOLVE, resolve::resolve),
        Route::get(history::VERSIONS, history::versions),
    ]
}

/// Whether the path is one of these.
pub(crate) fn has(path: &str) -> bool {
    let under = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    path == PUSH || path == conflicts::CONFLICTS || under(conflicts::CONFLICTS) || under(ENTITIES)
}

/// Takes in a batch of one local server.
#[utoipa::path(
    post, path = "/api/v1/sync/push", tag = "sync", operation_id = "push_batch",
    description = "Lines of receptions and tickets, as one transaction (`mode: atomic`, the default) or each by itself (`per_entity`); they may depend on each other and are applied in order. The same `batch_id` with the same body is answered again, not applied again.",
    params(
        ("X-API-Key" = String, Header, description = "the site's key, with `sync:push`"),
        ("X-Client-Time" = Option<String>, Header, description = "what time it is at the client (RFC 3339); corrects a wrong clock"),
        ("Prefer" = Option<String>, Header, description = "`wait=n` (at most 25) or `respond-async`"),
        ("Idempotency-Key" = Option<String>, Header, description = "8 to 255 characters, kept 7 days; the `batch_id` does as well"),
    ),
    request_body(content = PushBody, description = "1 to 1000 entities, at most 5 MiB; no other members"),
    responses(
        (status = 200, description = "every entity is accounted for", body = PushAnswer),
        (status = 202, description = "accepted, not done yet; send again or follow `Location`", body = PushAnswer),
        (status = 400, description = "the body did not come to its end", body = crate::error::Problem),
        (status = 401, description = "no valid key", body = crate::error::Problem),
        (status = 403, description = "not a site's key, or another site's `site_id`", body = crate::error::Problem),
        (status = 409, description = "`schema_version` is not understood any more, or not yet; `handling=strict` and not done", body = crate::error::Problem),
        (status = 410, description = "the batch's answer is no longer kept", body = crate::error::Problem),
        (status = 413, description = "more entities, depth or bytes than allowed", body = crate::error::Problem),
        (status = 415, description = "not `application/json`", body = crate::error::Problem),
        (status = 422, description = "nothing of an atomic batch was stored; or a problem: the body is no batch, or its id was used for another one", body = PushAnswer),
        (status = 429, description = "too many requests, or too many unfinished ones", body = crate::error::Problem),
        (status = 503, description = "the record cannot be reached; nothing was accepted", body = crate::error::Problem),
    )
)]
pub(crate) async fn push(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (pass, caller) = gate::enter(&state, peer, &headers, Some(&[keys::PUSH]), PUSH).await;
    let answer = async { take_in(&state, &caller?, &trace, &headers, body).await };
    pass.leave(answer.await)
}

/// A request that has been read.
struct Asked<'a> {
    state: &'a State,
    site: i64,
    batch: uuid::Uuid,
    fingerprint: Vec<u8>,
    keyed: Option<Keyed>,
    prefer: Prefer,
    /// How long to wait for the end.
    until: Instant,
}

async fn take_in(
    state: &State,
    caller: &Caller,
    trace: &Trace,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let site = caller.site().ok_or(ApiError::Forbidden)?;
    let principal = caller.principal();
    let place = accept::admit(state, &principal).await?;
    check_type(headers)?;
    let bytes = body::read_at_most(headers, body, &state.settings, MAX_BYTES).await?;
    let (received, prefer) = (queue::clock::now(), Prefer::of(headers, state.settings.wait_max));
    let until = Instant::now() + prefer.patience(state.settings.wait);
    let batch = Batch::parse(&bytes)?;
    if batch.site_id.is_some_and(|named| named != site) {
        return Err(ApiError::Forbidden);
    }
    let offset = clock_offset(headers, received)?;
    let route = "POST /api/v1/sync/push";
    let asked = Asked {
        state,
        site,
        batch: batch.batch_id,
        fingerprint: requests::fingerprint(&[], &bytes),
        keyed: Keyed::of(headers, &principal, route, &[], &bytes)?,
        prefer,
        until,
    };
    if let Some(known) = known::find(&asked).await? {
        drop(place);
        return known::answer(&asked, known).await;
    }
    let job = ApplyPushBatch::new(site, batch, received, offset, &state.settings.push);
    let mut job = job.into_new();
    job.principal = Some(principal);
    job.trace = Some(trace.to_string());
    taken::accept(&asked, job, place).await
}

/// JSON, and said to be (D-19).
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    if body::content_types(headers).next().is_none() {
        return Err(ApiError::UnsupportedType);
    }
    body::check_json(headers)
}

/// How wrong the client's clock is, if it says what time it is (D-22).
fn clock_offset(
    headers: &HeaderMap,
    received: DateTime<Utc>,
) -> Result<Option<ClockOffset>, ApiError> {
    let wrong = || ApiError::Invalid("X-Client-Time: one instant as RFC 3339 has it".to_owned());
    let mut values = headers.get_all("x-client-time").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong());
    }
    let text = value.to_str().map_err(|_not_text| wrong())?.trim();
    let client = DateTime::parse_from_rfc3339(text).map_err(|_no_instant| wrong())?;
    Ok(Some(ClockOffset::of(client.into(), received)))
}

impl From<BatchError> for ApiError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::TooDeep { max } => Self::TooLarge(Limit::Depth(max)),
            BatchError::TooManyEntities { max } => Self::TooLarge(Limit::Entities(max)),
            old @ BatchError::SchemaTooOld { .. } => Self::SchemaTooOld(old),
            new @ BatchError::SchemaTooNew { .. } => Self::SchemaTooNew(new),
            wrong @ (BatchError::NotJson | BatchError::Invalid(_)) => {
                Self::Invalid(wrong.to_string())
            }
        }
    }
}
