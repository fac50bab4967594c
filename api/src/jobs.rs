//! `/api/v1/jobs`: putting jobs in, following them (after AIP-151, D-10), and steering them.
//!
//! A job is visible to whoever made it and to keys that may read jobs; for everybody else it does
//! not exist. Where source 001 is open (C-25), what open clients asked for is visible to all.

pub(crate) mod act;
pub(crate) mod bulk;
mod lines;
pub(crate) mod list;
pub(crate) mod operation;
pub(crate) mod put;
pub(crate) mod show;
pub(crate) mod spec;
pub(crate) mod stream;
pub(crate) mod why;

use crate::auth::{self, Caller};
use crate::error::ApiError;
use crate::gate;
use crate::server::Peer;
use crate::{Route, State};
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::HeaderMap;
use queue::JobRow;
use tokio::time::timeout;
use uuid::Uuid;

pub(crate) const JOBS: &str = "/api/v1/jobs";
/// A job by its id, a kind by its name, or an act: `{id}:cancel`. One pattern, because routes
/// that differ only in a parameter's name are one route.
pub(crate) const JOB: &str = "/api/v1/jobs/{id}";

/// A path that may not have been text.
pub(crate) type PathText = Result<Path<String>, PathRejection>;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(JOBS, list::list),
        Route::post(JOBS, put::envelope),
        Route::post("/api/v1/jobs/bulk", bulk::bulk),
        Route::get(JOB, show::show),
        Route::post(JOB, put::by_kind),
        Route::delete(JOB, act::delete),
        Route::post("/api/v1/jobs/{id}/cancel", act::cancel),
        Route::post("/api/v1/jobs/{id}/retry", act::retry),
        Route::get("/api/v1/jobs/{id}/logs", show::logs),
        Route::get("/api/v1/jobs/{id}/why", why::why),
    ]
}

/// Whoever asks, if that is known, and the job; what is not there and what is not for this caller
/// look alike.
pub(crate) async fn visible(
    state: &State,
    peer: Peer,
    headers: &HeaderMap,
    id: PathText,
) -> Result<(Option<Caller>, JobRow), ApiError> {
    if state.settings.nas.public && auth::has_none(headers) {
        return Ok((None, of_open_client(state, id).await?));
    }
    let caller = auth::caller(state, peer, headers).await?;
    let Path(id) = id.map_err(|_not_text| ApiError::NotFound)?;
    let row = of_caller(state, &caller, &id).await?;
    Ok((Some(caller), row))
}

/// A job that an open client asked for, whichever: a run may have joined another one's. Everything
/// else is answered as without credentials anywhere.
async fn of_open_client(state: &State, id: PathText) -> Result<JobRow, ApiError> {
    let id =
        id.ok().and_then(|Path(id)| Uuid::try_parse(&id).ok()).ok_or(ApiError::Unauthorized)?;
    let row = timeout(state.settings.store_timeout, state.engine.get(id)).await??;
    let is_open = |row: &JobRow| row.principal.as_deref().is_some_and(gate::is_open);
    row.filter(is_open).ok_or(ApiError::Unauthorized)
}

/// The job that `caller` names, if it may see it.
pub(crate) async fn of_caller(
    state: &State,
    caller: &Caller,
    id: &str,
) -> Result<JobRow, ApiError> {
    let id = Uuid::try_parse(id).map_err(|_not_an_id| ApiError::NotFound)?;
    let row = timeout(state.settings.store_timeout, state.engine.get(id)).await??;
    row.filter(|row| sees(caller, row)).ok_or(ApiError::NotFound)
}

/// Whether `caller` may see the job.
pub(crate) fn sees(caller: &Caller, row: &JobRow) -> bool {
    is_maker(caller, row) || caller.has_scope(&auth::READ)
}

pub(crate) fn is_maker(caller: &Caller, row: &JobRow) -> bool {
    row.principal.as_deref() == Some(&caller.principal())
}

/// A text of a request: not empty, of bounded length, without control characters, which no store
/// has to take.
pub(crate) fn text(name: &str, value: &str, max: usize) -> Result<(), ApiError> {
    let is_plain = !value.chars().any(char::is_control);
    if (1..=max).contains(&value.len()) && is_plain {
        return Ok(());
    }
    Err(ApiError::Invalid(format!("{name}: 1 to {max} bytes without control characters")))
}
