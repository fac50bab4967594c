//! What people do to one job: cancel, retry, delete. An administrator may do all of it to every
//! job; whoever made a job may cancel it while it waits (D-10).

use super::operation::Operation;
use super::{PathText, is_maker, of_caller, show};
use crate::auth::{self, Caller};
use crate::error::ApiError;
use crate::idempotency::Keyed;
use crate::server::Peer;
use crate::{State, accept, body, gate};
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State as FromState};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use queue::{Act, Acted, Actor};
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

/// Bytes of a reason.
pub(crate) const REASON_BYTES: usize = 1_024;
/// Acts on one job share a limit, whatever they are.
const ROUTE: &str = "/api/v1/jobs/{id}:act";

/// Why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    /// Kept with the job.
    #[serde(default)]
    reason: Option<String>,
}

/// Cancels a waiting job, or asks a running one to stop.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/cancel", tag = "jobs", operation_id = "cancel_job",
    description = "Also as `POST /api/v1/jobs/{id}:cancel`.",
    params(
        ("id" = String, Path, description = "the job's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "8 to 255 characters, kept 7 days: done once, answered again"),
    ),
    request_body(content = Option<Reason>, description = "may be absent"),
    responses(
        (status = 200, description = "cancelled", body = Operation),
        (status = 202, description = "the running job is asked to stop", body = Operation),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "not the maker, and no administrator", body = crate::error::Problem),
        (status = 404, description = "no such job, or not for this caller", body = crate::error::Problem),
        (status = 409, description = "its state does not allow it", body = crate::error::Problem),
        (status = 422, description = "the body is wrong", body = crate::error::Problem),
        (status = 429, description = "too many requests", body = crate::error::Problem),
    )
)]
pub(crate) async fn cancel(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    id: PathText,
    headers: HeaderMap,
    body: Body,
) -> Response {
    post(&state, peer, &headers, body, id, Act::Cancel).await
}

/// Makes a dead, cancelled or expired job ready again; a scheduled one is due now.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/retry", tag = "jobs", operation_id = "retry_job",
    description = "Also as `POST /api/v1/jobs/{id}:retry`. For administrators.",
    params(
        ("id" = String, Path, description = "the job's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "8 to 255 characters, kept 7 days: done once, answered again"),
    ),
    request_body(content = Option<Reason>, description = "may be absent"),
    responses(
        (status = 200, description = "ready", body = Operation),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "no administrator", body = crate::error::Problem),
        (status = 404, description = "no such job, or not for this caller", body = crate::error::Problem),
        (status = 409, description = "its state does not allow it", body = crate::error::Problem),
        (status = 422, description = "the body is wrong", body = crate::error::Problem),
        (status = 429, description = "too many requests", body = crate::error::Problem),
    )
)]
pub(crate) async fn retry(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    id: PathText,
    headers: HeaderMap,
    body: Body,
) -> Response {
    post(&state, peer, &headers, body, id, Act::Retry).await
}

/// Removes a job that has its end, with everything kept about it.
#[utoipa::path(
    delete, path = "/api/v1/jobs/{id}", tag = "jobs", operation_id = "delete_job",
    description = "For administrators.",
    params(
        ("id" = String, Path, description = "the job's id"),
        ("reason" = Option<String>, Query, description = "why; it is in the log"),
    ),
    responses(
        (status = 204, description = "removed"),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "no administrator", body = crate::error::Problem),
        (status = 404, description = "no such job, or not for this caller", body = crate::error::Problem),
        (status = 409, description = "it has no end yet: cancel it first", body = crate::error::Problem),
        (status = 422, description = "a parameter is wrong", body = crate::error::Problem),
        (status = 429, description = "too many requests", body = crate::error::Problem),
    )
)]
pub(crate) async fn delete(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    id: PathText,
    reason: Result<Query<Reason>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let (pass, caller) = gate::enter(&state, peer, &headers, None, ROUTE).await;
    let answer = async {
        let caller = caller?;
        let Path(id) = id.map_err(|_not_text| ApiError::NotFound)?;
        let Query(reason) = reason.map_err(|error| ApiError::Invalid(error.body_text()))?;
        one(&state, &caller, &id, Act::Delete, reason).await
    };
    pass.leave(answer.await)
}

/// The AIP form: `{id}:cancel`, `{id}:retry`.
pub(crate) async fn by_suffix(
    state: &State,
    peer: Peer,
    headers: &HeaderMap,
    body: Body,
    id: &str,
    act: &str,
) -> Response {
    match Act::parse(act).filter(|act| *act != Act::Delete) {
        Some(act) => post(state, peer, headers, body, Ok(Path(id.to_owned())), act).await,
        None => {
            let (pass, caller) = gate::enter(state, peer, headers, None, ROUTE).await;
            pass.leave(caller.and(Err(ApiError::NotFound)))
        }
    }
}

async fn post(
    state: &State,
    peer: Peer,
    headers: &HeaderMap,
    body: Body,
    id: PathText,
    act: Act,
) -> Response {
    let (pass, caller) = gate::enter(state, peer, headers, None, ROUTE).await;
    let answer = async {
        let caller = caller?;
        let Path(id) = id.map_err(|_not_text| ApiError::NotFound)?;
        let bytes = body::read_at_most(headers, body, &state.settings, 4 * REASON_BYTES).await?;
        let reason = match bytes.is_empty() {
            true => Reason::default(),
            false => body::object(&bytes)?,
        };
        let about = [id.as_str(), act.as_str()];
        let keyed =
            Keyed::of(headers, &caller.principal(), "POST /api/v1/jobs/{id}/act", &about, &bytes)?;
        let Some(keyed) = keyed else { return one(state, &caller, &id, act, reason).await };
        match keyed.begin(state).await? {
            Some(kept) => Ok(kept),
            None => {
                let answer = one(state, &caller, &id, act, reason).await;
                keyed.end(state, answer).await
            }
        }
    };
    pass.leave(answer.await)
}

async fn one(
    state: &State,
    caller: &Caller,
    id: &str,
    act: Act,
    Reason { reason }: Reason,
) -> Result<Response, ApiError> {
    let row = of_caller(state, caller, id).await?;
    if !caller.has_scope(&auth::ADMIN) {
        if act != Act::Cancel || !is_maker(caller, &row) {
            return Err(ApiError::Forbidden);
        }
        if row.state == queue::State::Running {
            let why = "it is running: only an administrator asks a running job to stop";
            return Err(ApiError::Conflict(why.to_owned()));
        }
    }
    if let Some(reason) = &reason {
        super::text("reason", reason, REASON_BYTES)?;
    }
    let by = Actor { principal: caller.principal(), reason };
    let ids = [row.id];
    let acting = state.engine.act(&ids, act, &by);
    let acted = timeout(accept::write_patience(state), acting).await??.pop();
    tracing::info!(job.id = %row.id, act = act.as_str(), by = by.principal, reason = by.reason, ?acted, "acted on a job");
    match acted {
        Some(Acted::Done) if act == Act::Delete => Ok(StatusCode::NO_CONTENT.into_response()),
        Some(Acted::Done) => shown(state, row.id, StatusCode::OK).await,
        Some(Acted::Requested) => shown(state, row.id, StatusCode::ACCEPTED).await,
        Some(Acted::Refused(why)) => Err(ApiError::Conflict(why)),
        Some(Acted::NotFound) | None => Err(ApiError::NotFound),
    }
}

async fn shown(state: &State, id: Uuid, status: StatusCode) -> Result<Response, ApiError> {
    let row = timeout(state.settings.store_timeout, state.engine.get(id)).await??;
    let operation = show::operation(state, row.ok_or(ApiError::NotFound)?).await?;
    let location = [(header::LOCATION, format!("/api/v1/jobs/{id}"))];
    Ok((status, location, Json(operation)).into_response())
}
