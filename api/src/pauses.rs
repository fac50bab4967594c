//! Pauses: `/api/v1/pauses`, and `pause` and `resume` of `/api/v1/queues/{name}` and
//! `/api/v1/kinds/{name}`. Running jobs finish; nothing new is claimed.

use crate::auth::{self, ADMIN, READ};
use crate::error::{ApiError, Problem};
use crate::server::Peer;
use crate::{Route, State, body};
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as FromState};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use chrono::{DateTime, TimeDelta, Utc};
use queue::{Actor, Pause, PauseScope};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::ToSchema;

/// Longer ones are pauses without an end.
const MAX_SECONDS: i64 = 366 * 86_400;
/// Characters of a reason.
const MAX_REASON: usize = 1_000;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/pauses", list),
        Route::post("/api/v1/queues/{name}/pause", pause_queue),
        Route::post("/api/v1/queues/{name}/resume", resume_queue),
        Route::post("/api/v1/kinds/{name}/pause", pause_kind),
        Route::post("/api/v1/kinds/{name}/resume", resume_kind),
    ]
}

/// A queue or kind whose jobs are not claimed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PauseShown {
    /// `queue` or `kind`.
    scope: &'static str,
    name: String,
    /// It ends by itself then.
    until: Option<DateTime<Utc>>,
    reason: Option<String>,
    /// Who paused it.
    by: String,
    since: Option<DateTime<Utc>>,
}

impl From<Pause> for PauseShown {
    fn from(pause: Pause) -> Self {
        Self {
            scope: pause.scope.as_str(),
            name: pause.name,
            until: pause.until,
            reason: pause.by.reason,
            by: pause.by.principal,
            since: pause.since,
        }
    }
}

/// Every pause in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pauses {
    pauses: Vec<PauseShown>,
}

/// How long, and why; without `until` and `for_seconds` until somebody resumes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseWish {
    /// It ends by itself then; in the future.
    until: Option<DateTime<Utc>>,
    /// The same as a length of time, instead of `until`.
    #[schema(minimum = 1, maximum = 31_622_400)]
    for_seconds: Option<i64>,
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Resumed {
    /// Whether there was a pause.
    resumed: bool,
}

impl PauseWish {
    /// When the pause ends by itself.
    fn end(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ApiError> {
        let invalid = |text: String| Err(ApiError::Invalid(text));
        match (self.until, self.for_seconds) {
            (Some(_), Some(_)) => invalid("body: `until` or `for_seconds`, not both".to_owned()),
            (Some(until), None) if until <= now => {
                invalid(format!("body: `until` must be in the future; it is {now} now"))
            }
            (until, None) => Ok(until),
            (None, Some(seconds @ 1..=MAX_SECONDS)) => Ok(Some(now + TimeDelta::seconds(seconds))),
            (None, Some(_)) => invalid(format!("body: `for_seconds` must be 1 to {MAX_SECONDS}")),
        }
    }
}

/// A reason that fits into the record.
pub(crate) fn check_reason(reason: Option<&str>) -> Result<(), ApiError> {
    match reason {
        Some(reason) if reason.chars().count() > MAX_REASON => {
            Err(ApiError::Invalid(format!("body: `reason` may have {MAX_REASON} characters")))
        }
        _ => Ok(()),
    }
}

/// Lists the pauses in force.
#[utoipa::path(
    get, path = "/api/v1/pauses", tag = "queues", operation_id = "list_pauses",
    params(("X-API-Key" = String, Header, description = "a key with `jobs:read` or `admin`")),
    responses(
        (status = 200, description = "pauses of queues and kinds", body = Pauses),
        (status = 401, description = "no valid credentials", body = Problem),
        (status = 403, description = "credentials that may not read jobs", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Json<Pauses>, ApiError> {
    auth::permit(&state, peer, &headers, &READ).await?;
    let pauses = timeout(state.settings.store_timeout, state.engine.pauses()).await??;
    Ok(Json(Pauses { pauses: pauses.into_iter().map(PauseShown::from).collect() }))
}

type Name = Result<Path<String>, PathRejection>;

macro_rules! steering {
    ($pause:ident, $resume:ident, $scope:ident, $pause_path:literal, $resume_path:literal,
     $pauses:literal, $resumes:literal, $what:literal) => {
        #[doc = $pauses]
        #[utoipa::path(
            post, path = $pause_path, tag = "queues",
            params(
                ("name" = String, Path, description = $what),
                ("X-API-Key" = String, Header, description = "a key with `admin`"),
            ),
            request_body(content = Option<PauseWish>, description = "may be empty"),
            responses(
                (status = 200, description = "the pause; it replaces an earlier one", body = PauseShown),
                (status = 401, description = "no valid credentials", body = Problem),
                (status = 403, description = "a key without `admin`", body = Problem),
                (status = 404, description = "nothing of that name is known", body = Problem),
                (status = 422, description = "a wrong body, or an end that has passed", body = Problem),
                (status = 503, description = "the record cannot be reached", body = Problem),
            )
        )]
        pub(crate) async fn $pause(
            FromState(state): FromState<State>,
            Extension(peer): Extension<Peer>,
            name: Name,
            headers: HeaderMap,
            body: Body,
        ) -> Result<Json<PauseShown>, ApiError> {
            pause(&state, peer, PauseScope::$scope, name, &headers, body).await
        }

        #[doc = $resumes]
        #[utoipa::path(
            post, path = $resume_path, tag = "queues",
            params(
                ("name" = String, Path, description = $what),
                ("X-API-Key" = String, Header, description = "a key with `admin`"),
            ),
            responses(
                (status = 200, description = "it is not paused any more", body = Resumed),
                (status = 401, description = "no valid credentials", body = Problem),
                (status = 403, description = "a key without `admin`", body = Problem),
                (status = 404, description = "nothing of that name is known", body = Problem),
                (status = 503, description = "the record cannot be reached", body = Problem),
            )
        )]
        pub(crate) async fn $resume(
            FromState(state): FromState<State>,
            Extension(peer): Extension<Peer>,
            name: Name,
            headers: HeaderMap,
        ) -> Result<Json<Resumed>, ApiError> {
            resume(&state, peer, PauseScope::$scope, name, &headers).await
        }
    };
}

steering!(
    pause_queue,
    resume_queue,
    Queue,
    "/api/v1/queues/{name}/pause",
    "/api/v1/queues/{name}/resume",
    "Stops claims from a queue.",
    "Lets a queue go on.",
    "the queue's name"
);
steering!(
    pause_kind,
    resume_kind,
    Kind,
    "/api/v1/kinds/{name}/pause",
    "/api/v1/kinds/{name}/resume",
    "Stops claims of jobs of a kind.",
    "Lets a kind go on.",
    "the kind's name"
);

async fn pause(
    state: &State,
    peer: Peer,
    scope: PauseScope,
    name: Name,
    headers: &HeaderMap,
    body: Body,
) -> Result<Json<PauseShown>, ApiError> {
    let caller = auth::permit(state, peer, headers, &ADMIN).await?;
    let name = known(state, scope, name).await?;
    let wish: PauseWish = body::json_or_default(headers, body, &state.settings).await?;
    let now = queue::clock::now();
    let until = wish.end(now)?;
    check_reason(wish.reason.as_deref())?;
    let by = Actor { principal: caller.principal(), reason: wish.reason };
    let pause = Pause { scope, name, until, by, since: Some(now) };
    timeout(state.settings.store_timeout, state.engine.pause(&pause)).await??;
    Ok(Json(pause.into()))
}

async fn resume(
    state: &State,
    peer: Peer,
    scope: PauseScope,
    name: Name,
    headers: &HeaderMap,
) -> Result<Json<Resumed>, ApiError> {
    auth::permit(state, peer, headers, &ADMIN).await?;
    let name = known(state, scope, name).await?;
    let resumed = timeout(state.settings.store_timeout, state.engine.resume(scope, &name));
    Ok(Json(Resumed { resumed: resumed.await?? }))
}

async fn known(state: &State, scope: PauseScope, name: Name) -> Result<String, ApiError> {
    let Path(name) = name.map_err(|_not_text| ApiError::NotFound)?;
    let known = state.catalog.knows(state.engine.as_ref(), scope, &name);
    let is_known = timeout(state.settings.store_timeout, known).await??;
    if is_known { Ok(name) } else { Err(ApiError::NotFound) }
}

#[cfg(test)]
mod tests {
    use super::PauseWish;

    #[test]
    fn a_pause_ends_in_the_future_or_never() {
        let now = "2026-01-31T12:00:00Z".parse().expect("an instant");
        let table = [
            (r#"{}"#, Some("never")),
            (r#"{"until": null, "reason": "why"}"#, Some("never")),
            (r#"{"until": "2026-01-31T12:00:01Z"}"#, Some("2026-01-31T12:00:01Z")),
            (r#"{"until": "2026-01-31T12:00:00Z"}"#, None),
            (r#"{"until": "2025-01-31T12:00:00Z"}"#, None),
            (r#"{"for_seconds": 60}"#, Some("2026-01-31T12:01:00Z")),
            (r#"{"for_seconds": 0}"#, None),
            (r#"{"for_seconds": -1}"#, None),
            (r#"{"for_seconds": 9223372036854775807}"#, None),
            (r#"{"for_seconds": 1, "until": "2026-01-31T12:00:01Z"}"#, None),
        ];
        for (wish, expected) in table {
            let parsed: PauseWish = serde_json::from_str(wish).expect("a wish");
            let end = parsed.end(now).ok().map(|end| match end {
                Some(end) => end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                None => "never".to_owned(),
            });
            assert_eq!(end.as_deref(), expected, "{wish}");
        }
    }
}
