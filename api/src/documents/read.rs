//! `GET /api/v1/documents` and `GET /api/v1/documents/{id}`.

use super::{Shown, id_of};
use crate::State;
use crate::auth::{self, NAS};
use crate::error::{ApiError, Problem};
use crate::jobs::PathText;
use crate::server::Peer;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as FromState};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use records::documents;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::ToSchema;

const PAGE: u32 = 50;
const MAX_PAGE: u32 = 500;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    limit: Option<u32>,
    before: Option<i64>,
}

/// Documents of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Documents {
    documents: Vec<Shown>,
    /// `before` of the next page; `null` after the last one.
    next: Option<i64>,
}

/// Lists documents, newest first.
#[utoipa::path(
    get, path = "/api/v1/documents", tag = "nas", operation_id = "list_documents",
    params(
        ("X-API-Key" = String, Header, description = "a key with `nas` or `admin`"),
        ("limit" = Option<u32>, Query, description = "documents, 1 to 500; default 50"),
        ("before" = Option<i64>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "a page", body = Documents),
        (status = 401, description = "no valid key", body = Problem),
        (status = 403, description = "the key lacks `nas`", body = Problem),
        (status = 422, description = "a parameter is wrong", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    query: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Documents>, ApiError> {
    let caller = auth::permit(&state, peer, &headers, &NAS).await?;
    let Query(asked) = query.map_err(|error| ApiError::Invalid(error.body_text()))?;
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::Invalid(format!("limit: 1 to {MAX_PAGE}")));
    }
    let viewer = caller.viewer();
    let before = asked.before.unwrap_or(i64::MAX);
    let page = documents::list(state.engine.db(), &viewer, before, limit + 1);
    let mut page = timeout(state.settings.store_timeout, page).await??;
    let is_last = page.len() <= limit as usize;
    page.truncate(limit as usize);
    let next = page.last().map(|document| document.id).filter(|_| !is_last);
    Ok(Json(Documents { documents: page.into_iter().map(Shown::from).collect(), next }))
}

/// Shows a document.
#[utoipa::path(
    get, path = "/api/v1/documents/{id}", tag = "nas", operation_id = "show_document",
    params(
        ("id" = i64, Path, description = "the document's id"),
        ("X-API-Key" = String, Header, description = "a key with `nas` or `admin`"),
    ),
    responses(
        (status = 200, description = "the document", body = Shown),
        (status = 401, description = "no valid key", body = Problem),
        (status = 403, description = "the key lacks `nas`", body = Problem),
        (status = 404, description = "no such document", body = Problem),
        (status = 422, description = "the id is no integer", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn show(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    id: PathText,
    headers: HeaderMap,
) -> Result<Json<Shown>, ApiError> {
    let caller = auth::permit(&state, peer, &headers, &NAS).await?;
    let (id, viewer) = (id_of(id)?, caller.viewer());
    let found = documents::get(state.engine.db(), id, &viewer);
    let found = timeout(state.settings.store_timeout, found).await??;
    found.map(|document| Json(document.into())).ok_or(ApiError::UnknownDocument)
}
