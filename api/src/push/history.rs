//! `GET /api/v1/sync/entities/{type}/{id}/versions`: what an entity held, for 90 days.

use super::conflicts::{narrowed, scope};
use crate::State;
use crate::error::ApiError;
use crate::server::Peer;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as FromState};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use records::push::{Kind, versions as kept};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) const VERSIONS: &str = "/api/v1/sync/entities/{type}/{id}/versions";
const PAGE: u32 = 50;
const MAX_PAGE: u32 = 500;

/// Which versions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    before: Option<i64>,
    limit: Option<u32>,
    site_id: Option<i64>,
}

/// Versions of one entity, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Versions {
    versions: Vec<VersionShown>,
    /// `before` of the next page; `null` after the last one.
    next: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionShown {
    version: i64,
    deleted: bool,
    /// Of a deleted one its last content.
    #[schema(value_type = Object)]
    data: Option<Box<RawValue>>,
    updated_at: DateTime<Utc>,
    /// The job that made it, or who resolved a conflict.
    source: String,
    created_at: DateTime<Utc>,
}

/// Lists an entity's versions.
#[utoipa::path(
    get, path = "/api/v1/sync/entities/{type}/{id}/versions", tag = "sync", operation_id = "list_versions",
    params(
        ("type" = String, Path, description = "`reception_line` or `ticket`"),
        ("id" = String, Path, description = "the entity's id"),
        ("X-API-Key" = String, Header, description = "a site's key, or a key with `admin`"),
        ("before" = Option<i64>, Query, description = "only versions below this one"),
        ("limit" = Option<u32>, Query, description = "1 to 500; default 50"),
        ("site_id" = Option<i64>, Query, description = "with `admin`: whose entity, required"),
    ),
    responses(
        (status = 200, description = "versions of the last 90 days", body = Versions),
        (status = 401, description = "no valid key", body = crate::error::Problem),
        (status = 403, description = "neither a site's key nor `admin`, or another site", body = crate::error::Problem),
        (status = 404, description = "no such entity, or another site's", body = crate::error::Problem),
        (status = 422, description = "a parameter is wrong", body = crate::error::Problem),
    )
)]
pub(crate) async fn versions(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    path: Result<Path<(String, String)>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Versions>, ApiError> {
    let (_, scope) = scope(&state, peer, &headers).await?;
    let Query(asked) = asked.map_err(|error| ApiError::Invalid(error.body_text()))?;
    let Some(site) = narrowed(scope, asked.site_id)? else {
        return Err(ApiError::Invalid("site_id: required of a key with `admin`".to_owned()));
    };
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::Invalid("limit: 1 to 500".to_owned()));
    }
    let Path((kind, id)) = path.map_err(|_not_text| ApiError::NotFound)?;
    let kind = Kind::parse(&kind).ok_or(ApiError::NotFound)?;
    let id = Uuid::try_parse(&id).map_err(|_not_an_id| ApiError::NotFound)?;
    let before = asked.before.unwrap_or(i64::MAX);
    let listed = kept::list(state.engine.db(), site, kind, id, before, limit);
    let listed = timeout(state.settings.store_timeout, listed).await??;
    let listed = listed.ok_or(ApiError::NotFound)?;
    let is_full = listed.len() >= limit as usize;
    let next = listed.last().filter(|_| is_full).map(|version| version.version);
    let versions = listed.into_iter().map(|version| VersionShown {
        version: version.version,
        deleted: version.deleted,
        data: RawValue::from_string(version.data).ok(),
        updated_at: version.updated_at,
        source: version.source,
        created_at: version.created_at,
    });
    Ok(Json(Versions { versions: versions.collect(), next }))
}
