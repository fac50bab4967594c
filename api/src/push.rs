//! Source 000: `POST /api/v1/sync/push` and what belongs to it. A site is known by its key alone
//! (D-50); what is another site's does not exist for it.

pub(crate) mod conflicts;
mod described;
pub(crate) mod history;
mod intake;
pub(crate) mod resolve;
mod shown;

pub(crate) use described::{PushAnswer, PushBody};

use crate::contract::{self, Asked};
use crate::error::ApiError;
use crate::gate;
use crate::server::Peer;
use crate::trace::Trace;
use crate::{Route, State};
use axum::Extension;
use axum::body::Body;
use axum::extract::State as FromState;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use chrono::{DateTime, Utc};
use intake::Push;
use records::keys;

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
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (pass, caller) = gate::enter(&state, peer, &headers, Some(&[keys::PUSH]), PUSH).await;
    let answer = async {
        let caller = caller?;
        let site = caller.site().ok_or(ApiError::Forbidden)?;
        if gate::names_other(&gate::query(&uri), "site_id", site) {
            return Err(ApiError::Forbidden);
        }
        let strategies = &state.settings.push;
        let push = Push { site, client_time: client_time(&headers)?, strategies };
        let principal = caller.principal();
        let asked = Asked { principal: &principal, headers: &headers, trace: &trace };
        contract::take_in(&state, &push, asked, body).await
    };
    pass.leave(answer.await)
}

/// What time it is at the client, if it says so (D-22).
fn client_time(headers: &HeaderMap) -> Result<Option<DateTime<Utc>>, ApiError> {
    let wrong = || ApiError::Invalid("X-Client-Time: one instant as RFC 3339 has it".to_owned());
    let mut values = headers.get_all("x-client-time").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong());
    }
    let text = value.to_str().map_err(|_not_text| wrong())?.trim();
    let time = DateTime::parse_from_rfc3339(text).map_err(|_no_instant| wrong())?;
    Ok(Some(time.to_utc()))
}
