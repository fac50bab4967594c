//! `GET /api/v1/sync/conflicts`: both sides of what was changed twice (D-44).

use crate::State;
use crate::auth::{self, Caller};
use crate::error::ApiError;
use crate::jobs::PathText;
use crate::server::Peer;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State as FromState};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use records::keys;
use records::push::conflicts::{self, Conflict};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) const CONFLICTS: &str = "/api/v1/sync/conflicts";
pub(crate) const CONFLICT: &str = "/api/v1/sync/conflicts/{id}";
const PAGE: u32 = 50;
const MAX_PAGE: u32 = 500;

/// Which conflicts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    status: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
    site_id: Option<i64>,
}

/// A page of conflicts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Conflicts {
    conflicts: Vec<ConflictShown>,
    /// `cursor` of the next page; `null` after the last one.
    next: Option<Uuid>,
}

/// A conflict with both its sides.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConflictShown {
    id: Uuid,
    site_id: i64,
    /// `reception_line` or `ticket`.
    entity_type: &'static str,
    entity_id: Uuid,
    /// `version_mismatch`, `stale_update`, `update_vs_delete`, `delete_vs_update`, `missing_base`
    /// or `ticket-closed`.
    kind: String,
    /// Who was to be right: `lww`, `server_wins`, `client_wins`, `field_merge` or `manual`.
    strategy: String,
    /// `open`, `resolved` or `superseded`.
    status: String,
    /// `server`, `client` or `merge`.
    resolution: Option<String>,
    /// What the client says it changed.
    base_version: Option<i64>,
    #[schema(value_type = Option<Object>)]
    base: Option<Box<RawValue>>,
    /// The server's side; of an open conflict as it is now.
    #[schema(value_type = Option<Object>)]
    server: Option<Box<RawValue>>,
    server_rev: Option<i64>,
    /// `upsert` or `delete`.
    client_op: String,
    #[schema(value_type = Option<Object>)]
    client: Option<Box<RawValue>>,
    client_updated_at: DateTime<Utc>,
    /// Members in which the sides differed.
    #[schema(value_type = Vec<String>)]
    fields: Option<Box<RawValue>>,
    /// What a merge made of both sides.
    #[schema(value_type = Option<Object>)]
    merged: Option<Box<RawValue>>,
    /// The entity's version after the decision.
    result_rev: Option<i64>,
    resolved_by: Option<String>,
    resolved_at: Option<DateTime<Utc>>,
    /// How often it was met.
    seen: i64,
    seen_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

impl From<Conflict> for ConflictShown {
    fn from(conflict: Conflict) -> Self {
        let json = |text: Option<String>| text.and_then(|text| RawValue::from_string(text).ok());
        Self {
            id: conflict.id,
            site_id: conflict.site_id,
            entity_type: conflict.entity.as_str(),
            entity_id: conflict.entity_id,
            kind: conflict.kind,
            strategy: conflict.strategy,
            status: conflict.status,
            resolution: conflict.resolution,
            base_version: conflict.base_version,
            base: json(conflict.base),
            server: json(conflict.server),
            server_rev: conflict.server_rev,
            client_op: conflict.client_op,
            client: json(conflict.client),
            client_updated_at: conflict.client_updated_at,
            fields: json(Some(conflict.fields)),
            merged: json(conflict.resolved_version),
            result_rev: conflict.result_rev,
            resolved_by: conflict.resolved_by,
            resolved_at: conflict.resolved_at,
            seen: conflict.seen,
            seen_at: conflict.seen_at,
            created_at: conflict.created_at,
        }
    }
}

/// Whose conflicts and versions the caller may see: its site's, or with `admin` everybody's.
pub(super) async fn scope(
    state: &State,
    peer: Peer,
    headers: &HeaderMap,
) -> Result<(Caller, Option<i64>), ApiError> {
    let caller = auth::permit(state, peer, headers, &[keys::PUSH, "admin"]).await?;
    match (caller.site(), caller.has_scope(&auth::ADMIN)) {
        (Some(site), _) => Ok((caller, Some(site))),
        (None, true) => Ok((caller, None)),
        (None, false) => Err(ApiError::Forbidden),
    }
}

/// Lists conflicts, newest first.
#[utoipa::path(
    get, path = "/api/v1/sync/conflicts", tag = "sync", operation_id = "list_conflicts",
    params(
        ("X-API-Key" = String, Header, description = "a site's key: its own; a key with `admin`: all"),
        ("status" = Option<String>, Query, description = "`open`, `resolved` or `superseded`"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 500; default 50"),
        ("site_id" = Option<i64>, Query, description = "with `admin`: only this site's"),
    ),
    responses(
        (status = 200, description = "conflicts", body = Conflicts),
        (status = 401, description = "no valid key", body = crate::error::Problem),
        (status = 403, description = "neither a site's key nor `admin`, or another site", body = crate::error::Problem),
        (status = 422, description = "a parameter is wrong", body = crate::error::Problem),
    )
)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Conflicts>, ApiError> {
    let (_, scope) = scope(&state, peer, &headers).await?;
    let Query(asked) = asked.map_err(|error| ApiError::Invalid(error.body_text()))?;
    let site = narrowed(scope, asked.site_id)?;
    let invalid = |text: &str| ApiError::Invalid(text.to_owned());
    let status = asked.status.as_deref().filter(|word| !word.is_empty());
    if status.is_some_and(|word| !["open", "resolved", "superseded"].contains(&word)) {
        return Err(invalid("status: `open`, `resolved` or `superseded`"));
    }
    let cursor = asked.cursor.as_deref().filter(|cursor| !cursor.is_empty());
    let before = cursor.map(Uuid::try_parse).transpose();
    let before = before.map_err(|_| invalid("cursor: `next` of the page before"))?;
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(invalid("limit: 1 to 500"));
    }
    let listed = conflicts::list(state.engine.db(), site, status, before, limit);
    let listed = timeout(state.settings.store_timeout, listed).await??;
    let is_full = listed.len() >= limit as usize;
    let next = listed.last().filter(|_| is_full).map(|conflict| conflict.id);
    let conflicts = listed.into_iter().map(ConflictShown::from).collect();
    Ok(Json(Conflicts { conflicts, next }))
}

/// The site that is meant: an explicit one may only agree with the key (D-50).
pub(super) fn narrowed(scope: Option<i64>, asked: Option<i64>) -> Result<Option<i64>, ApiError> {
    match (scope, asked) {
        (Some(site), Some(asked)) if asked != site => Err(ApiError::Forbidden),
        (scope, asked) => Ok(scope.or(asked)),
    }
}

/// Shows a conflict.
#[utoipa::path(
    get, path = "/api/v1/sync/conflicts/{id}", tag = "sync", operation_id = "show_conflict",
    params(
        ("id" = String, Path, description = "the conflict's id"),
        ("X-API-Key" = String, Header, description = "a site's key: its own; a key with `admin`: all"),
    ),
    responses(
        (status = 200, description = "the conflict; its `ETag` is for `If-Match`", body = ConflictShown),
        (status = 401, description = "no valid key", body = crate::error::Problem),
        (status = 403, description = "neither a site's key nor `admin`", body = crate::error::Problem),
        (status = 404, description = "no such conflict, or another site's", body = crate::error::Problem),
    )
)]
pub(crate) async fn show(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    id: PathText,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (_, scope) = scope(&state, peer, &headers).await?;
    let found = conflicts::find(state.engine.db(), scope, id_of(id)?);
    let conflict = timeout(state.settings.store_timeout, found).await??;
    Ok(tagged(conflict.ok_or(ApiError::NotFound)?))
}

/// An id in a path; what is none names nothing.
pub(super) fn id_of(id: PathText) -> Result<Uuid, ApiError> {
    let Path(id) = id.map_err(|_not_text| ApiError::NotFound)?;
    Uuid::try_parse(&id).map_err(|_not_an_id| ApiError::NotFound)
}

/// The conflict with the name of its state.
pub(super) fn tagged(conflict: Conflict) -> Response {
    let tag = conflict.tag();
    ([(header::ETAG, tag)], Json(ConflictShown::from(conflict))).into_response()
}
