//! `/api/v1/schedules`: jobs that are put in at set times. Reading is for keys that may read jobs,
//! changing for administrators; what the configuration has made is only paused and triggered here.

mod body;
mod shown;
mod store;

pub(crate) use body::{PauseBody, PreviewBody, ScheduleBody};
pub(crate) use shown::{PreviewShown, ScheduleList, ScheduleShown, TickList, TickShown, Triggered};

use crate::auth;
use crate::error::ApiError;
use crate::server::Peer;
use crate::{Route, State};
use ::jobs::Unique;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as FromState};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use queue::schedule::{Source, is_name};
use queue::{NewJob, schedules};
use serde::Deserialize;
use store::{answer, asked, coming, find, known, of_config, plausible, put, stored, within};
use utoipa::IntoParams;

const COLLECTION: &str = "/api/v1/schedules";
const ONE: &str = "/api/v1/schedules/{name}";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(COLLECTION, list),
        Route::post(COLLECTION, create),
        Route::get(ONE, show),
        Route::put(ONE, replace),
        Route::delete(ONE, remove),
        Route::post("/api/v1/schedules/{name}/pause", pause),
        Route::post("/api/v1/schedules/{name}/resume", resume),
        Route::post("/api/v1/schedules/{name}/trigger", trigger),
        Route::get("/api/v1/schedules/{name}/preview", preview),
        Route::get("/api/v1/schedules/{name}/ticks", ticks),
        Route::post("/api/v1/schedules/preview", try_out),
    ]
}

type Name = Result<Path<String>, PathRejection>;
type Asked<T> = Result<Query<T>, QueryRejection>;

/// A piece of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// 1 to 100; 50 if absent.
    limit: Option<u32>,
    /// Only names after this one: `next` of the page before.
    after: Option<String>,
}

/// Which instants are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewQuery {
    /// 1 to 100; 20 if absent.
    count: Option<u32>,
    /// Instants after this one; now if absent.
    from: Option<DateTime<Utc>>,
}

/// A piece of the ledger.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct TicksQuery {
    /// 1 to 500; 50 if absent.
    limit: Option<u32>,
    /// Only ticks before this instant: `next` of the page before.
    before: Option<DateTime<Utc>>,
}

/// Schedules by name.
#[utoipa::path(
    get, path = "/api/v1/schedules", tag = "schedules", operation_id = "list_schedules", params(ListQuery),
    security(("key" = [])),
    responses(
        (status = 200, description = "schedules by name, without payloads", body = ScheduleList),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key may not read", body = crate::error::Problem),
        (status = 422, description = "a parameter is not allowed", body = crate::error::Problem),
    )
)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    query: Asked<ListQuery>,
    headers: HeaderMap,
) -> Result<Json<ScheduleList>, ApiError> {
    auth::permit(&state, peer, &headers, &auth::READ).await?;
    let query = asked(query)?;
    let limit = within("limit", query.limit, 50, 100)?;
    let after = query.after.unwrap_or_default();
    if !after.is_empty() && !is_name(&after) {
        return Err(ApiError::Invalid("`after`: allowed is the name of a schedule".to_owned()));
    }
    let db = state.engine.db();
    let look = stored(&state, schedules::look(db)).await?;
    let mut found = stored(&state, schedules::list(db, &after, limit + 1)).await?;
    let is_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| is_more).map(|last| last.definition.name.clone());
    let shown = |schedule| ScheduleShown::without_payload(schedule, look.now);
    Ok(Json(ScheduleList { schedules: found.into_iter().map(shown).collect(), next }))
}

/// Makes a schedule.
#[utoipa::path(
    post, path = "/api/v1/schedules", tag = "schedules", operation_id = "create_schedule", request_body = ScheduleBody,
    security(("key" = [])),
    responses(
        (status = 201, description = "the new schedule", body = ScheduleShown),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key is not an administrator's", body = crate::error::Problem),
        (status = 409, description = "there is one of that name, or there are 1000", body = crate::error::Problem),
        (status = 422, description = "not a schedule: what is wrong, and what is allowed", body = crate::error::Problem),
    )
)]
pub(crate) async fn create(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    auth::permit(&state, peer, &headers, &auth::ADMIN).await?;
    let body: ScheduleBody = crate::body::json(&headers, body, &state.settings).await?;
    let wanted = body.definition(None)?;
    put(&state, &wanted, false).await
}

/// Shows a schedule.
#[utoipa::path(
    get, path = "/api/v1/schedules/{name}", tag = "schedules", operation_id = "show_schedule",
    params(("name" = String, Path, description = "its name")), security(("key" = [])),
    responses(
        (status = 200, description = "the schedule", body = ScheduleShown),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key may not read", body = crate::error::Problem),
        (status = 404, description = "no such schedule", body = crate::error::Problem),
    )
)]
pub(crate) async fn show(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    name: Name,
    headers: HeaderMap,
) -> Result<Json<ScheduleShown>, ApiError> {
    auth::permit(&state, peer, &headers, &auth::READ).await?;
    answer(&state, &known(name)?).await.map(Json)
}

/// Makes a schedule, or puts another in its place; whether it is paused stays as it is.
#[utoipa::path(
    put, path = "/api/v1/schedules/{name}", tag = "schedules", operation_id = "replace_schedule",
    params(("name" = String, Path, description = "its name")), security(("key" = [])),
    request_body = ScheduleBody,
    responses(
        (status = 200, description = "it took the place of the one that was there", body = ScheduleShown),
        (status = 201, description = "it is new", body = ScheduleShown),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key is not an administrator's", body = crate::error::Problem),
        (status = 409, description = "it is the configuration's, or there are 1000", body = crate::error::Problem),
        (status = 422, description = "not a schedule: what is wrong, and what is allowed", body = crate::error::Problem),
    )
)]
pub(crate) async fn replace(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    auth::permit(&state, peer, &headers, &auth::ADMIN).await?;
    let Path(name) = name.map_err(|_not_text| ApiError::NotFound)?;
    let body: ScheduleBody = crate::body::json(&headers, body, &state.settings).await?;
    let wanted = body.definition(Some(name))?;
    put(&state, &wanted, true).await
}

/// Removes a schedule; jobs that it has put in stay.
#[utoipa::path(
    delete, path = "/api/v1/schedules/{name}", tag = "schedules", operation_id = "delete_schedule",
    params(("name" = String, Path, description = "its name")), security(("key" = [])),
    responses(
        (status = 204, description = "it is gone"),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key is not an administrator's", body = crate::error::Problem),
        (status = 404, description = "no such schedule", body = crate::error::Problem),
        (status = 409, description = "it is the configuration's", body = crate::error::Problem),
    )
)]
pub(crate) async fn remove(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    name: Name,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    auth::permit(&state, peer, &headers, &auth::ADMIN).await?;
    let schedule = find(&state, &known(name)?).await?;
    let name = &schedule.definition.name;
    if schedule.source == Source::Config {
        return Err(of_config(name));
    }
    match stored(&state, schedules::delete(state.engine.db(), name)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::NotFound),
    }
}

/// Lets a schedule rest, until an instant or until it is resumed.
#[utoipa::path(
    post, path = "/api/v1/schedules/{name}/pause", tag = "schedules", operation_id = "pause_schedule",
    params(("name" = String, Path, description = "its name")), security(("key" = [])),
    request_body = PauseBody,
    responses(
        (status = 200, description = "the schedule, paused", body = ScheduleShown),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key is not an administrator's", body = crate::error::Problem),
        (status = 404, description = "no such schedule", body = crate::error::Problem),
        (status = 422, description = "what is wrong, and what is allowed", body = crate::error::Problem),
    )
)]
pub(crate) async fn pause(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ScheduleShown>, ApiError> {
    auth::permit(&state, peer, &headers, &auth::ADMIN).await?;
    let name = known(name)?;
    let bytes = crate::body::read(&headers, body, &state.settings).await?;
    let body = PauseBody::read(&bytes)?;
    let paused = schedules::pause(state.engine.db(), &name, body.until, body.reason.as_deref());
    if !stored(&state, paused).await? {
        return Err(ApiError::NotFound);
    }
    answer(&state, &name).await.map(Json)
}

/// Ends a rest; ticks that fell into it are not made up for.
#[utoipa::path(
    post, path = "/api/v1/schedules/{name}/resume", tag = "schedules", operation_id = "resume_schedule",
    params(("name" = String, Path, description = "its name")), security(("key" = [])),
    responses(
        (status = 200, description = "the schedule, at work", body = ScheduleShown),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key is not an administrator's", body = crate::error::Problem),
        (status = 404, description = "no such schedule", body = crate::error::Problem),
    )
)]
pub(crate) async fn resume(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    name: Name,
    headers: HeaderMap,
) -> Result<Json<ScheduleShown>, ApiError> {
    auth::permit(&state, peer, &headers, &auth::ADMIN).await?;
    let name = known(name)?;
    stored(&state, schedules::resume(state.engine.db(), &name)).await?;
    answer(&state, &name).await.map(Json)
}

/// Puts a schedule's job in now, besides its ticks, also while it is paused.
#[utoipa::path(
    post, path = "/api/v1/schedules/{name}/trigger", tag = "schedules", operation_id = "trigger_schedule",
    params(("name" = String, Path, description = "its name")), security(("key" = [])),
    responses(
        (status = 202, description = "the job that was put in", body = Triggered),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key is not an administrator's", body = crate::error::Problem),
        (status = 404, description = "no such schedule", body = crate::error::Problem),
        (status = 409, description = "this version knows no such kind or payload any more", body = crate::error::Problem),
    )
)]
pub(crate) async fn trigger(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    name: Name,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = auth::permit(&state, peer, &headers, &auth::ADMIN).await?;
    let definition = find(&state, &known(name)?).await?.definition;
    let job = body::job(&state.catalog, &definition).map_err(ApiError::Conflict)?;
    let principal = Some(caller.principal());
    let job = NewJob { unique: Unique::No, lane: None, principal, ..job };
    let enqueue = state.engine.enqueue(std::slice::from_ref(&job));
    stored(&state, enqueue).await?;
    let location = format!("/api/v1/jobs/{}", job.id);
    let value = HeaderValue::try_from(&location).expect("an id is plain text");
    let triggered = Triggered { id: job.id, kind: job.kind, queue: job.queue, job: location };
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, value)], Json(triggered)).into_response())
}

/// The next instants of a schedule, whether or not it is paused.
#[utoipa::path(
    get, path = "/api/v1/schedules/{name}/preview", tag = "schedules", operation_id = "preview_schedule",
    params(("name" = String, Path, description = "its name"), PreviewQuery), security(("key" = [])),
    responses(
        (status = 200, description = "the next instants, and what the clocks do to them", body = PreviewShown),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key may not read", body = crate::error::Problem),
        (status = 404, description = "no such schedule", body = crate::error::Problem),
        (status = 422, description = "a parameter is not allowed", body = crate::error::Problem),
    )
)]
pub(crate) async fn preview(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    name: Name,
    query: Asked<PreviewQuery>,
    headers: HeaderMap,
) -> Result<Json<PreviewShown>, ApiError> {
    auth::permit(&state, peer, &headers, &auth::READ).await?;
    let name = known(name)?;
    let query = asked(query)?;
    let definition = find(&state, &name).await?.definition;
    coming(&state, &definition, query.count, query.from).await.map(Json)
}

/// The next instants of an expression that is not a schedule yet.
#[utoipa::path(
    post, path = "/api/v1/schedules/preview", tag = "schedules", operation_id = "try_out_schedule",
    request_body = PreviewBody, security(("key" = [])),
    responses(
        (status = 200, description = "the next instants, and what the clocks do to them", body = PreviewShown),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key may not read", body = crate::error::Problem),
        (status = 422, description = "what is wrong, and what is allowed", body = crate::error::Problem),
    )
)]
pub(crate) async fn try_out(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PreviewShown>, ApiError> {
    auth::permit(&state, peer, &headers, &auth::READ).await?;
    let body: PreviewBody = crate::body::json(&headers, body, &state.settings).await?;
    let definition = body.definition()?;
    coming(&state, &definition, body.count, body.from).await.map(Json)
}

/// What became of a schedule's ticks, newest first.
#[utoipa::path(
    get, path = "/api/v1/schedules/{name}/ticks", tag = "schedules", operation_id = "list_ticks",
    params(("name" = String, Path, description = "its name"), TicksQuery), security(("key" = [])),
    responses(
        (status = 200, description = "ticks, newest first", body = TickList),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key may not read", body = crate::error::Problem),
        (status = 404, description = "no such schedule", body = crate::error::Problem),
        (status = 422, description = "a parameter is not allowed", body = crate::error::Problem),
    )
)]
pub(crate) async fn ticks(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    name: Name,
    query: Asked<TicksQuery>,
    headers: HeaderMap,
) -> Result<Json<TickList>, ApiError> {
    auth::permit(&state, peer, &headers, &auth::READ).await?;
    let name = known(name)?;
    let query = asked(query)?;
    let limit = within("limit", query.limit, 50, 500)?;
    find(&state, &name).await?;
    let before = plausible("before", query.before)?;
    let found = schedules::ticks(state.engine.db(), &name, before, limit + 1);
    let mut found = stored(&state, found).await?;
    let is_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| is_more).map(|last| last.nominal);
    Ok(Json(TickList { ticks: found.into_iter().map(TickShown::from).collect(), next }))
}
