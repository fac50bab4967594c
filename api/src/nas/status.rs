//! `GET /api/v1/sync/status` and `GET /api/v1/sync/config`.

use super::{CONFIG, STATUS, enter};
use crate::State;
use crate::error::{ApiError, Problem};
use crate::server::Peer;
use axum::extract::State as FromState;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::SecondsFormat;
use records::documents::{Counts, counts};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

/// R-001-7 to R-001-12.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    #[schema(example = 150)]
    total_documents: i64,
    #[schema(example = 142)]
    synced: i64,
    #[schema(example = 8)]
    pending: i64,
    /// One decimal; 0 if there is no document.
    #[schema(example = 94.7)]
    sync_percentage: f64,
    /// `null` if none was ever sent.
    #[schema(example = "2024-01-15T14:30:00Z")]
    last_sync: Option<String>,
    nas_configured: bool,
}

impl Status {
    fn new(counts: Counts, nas_configured: bool) -> Self {
        let Counts { total, synced, last_sync } = counts;
        Self {
            total_documents: total,
            synced,
            pending: total - synced,
            sync_percentage: percentage(synced, total),
            last_sync: last_sync.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            nas_configured,
        }
    }
}

/// Rounded to one decimal (R-001-10).
fn percentage(synced: i64, total: i64) -> f64 {
    if total <= 0 {
        return 0.0;
    }
    (synced as f64 * 1000.0 / total as f64).round() / 10.0
}

/// R-001-14, R-001-15: the user's name is not among them, nor the key (R-001-16).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Config {
    configured: bool,
    nas_host: bool,
    nas_user: bool,
    nas_path: bool,
    /// Empty if there is none.
    #[schema(example = "192.168.1.100")]
    host: String,
    /// Empty if there is none.
    #[schema(example = "/volume1/factures")]
    path: String,
}

/// How many documents there are, and how many of them are on the file server.
#[utoipa::path(
    get, path = "/api/v1/sync/status", tag = "nas", operation_id = "nas_status",
    description = "Of the key's own documents and those that are nobody's; a key with `admin` sees everybody's.",
    params(("X-API-Key" = Option<String>, Header, description = "a key with `nas` or `admin`, unless `nas.public`")),
    responses(
        (status = 200, description = "in numbers", body = Status),
        (status = 401, description = "no valid key", body = Problem),
        (status = 403, description = "the key lacks `nas`", body = Problem),
        (status = 429, description = "too many requests", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn status(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let (pass, asker) = enter(&state, peer, &headers, STATUS).await;
    let answer = async {
        let asker = asker?;
        let counts = counts(state.engine.db(), &asker.viewer);
        let counts = timeout(state.settings.store_timeout, counts).await??;
        let status = Status::new(counts, state.settings.nas.is_configured());
        Ok::<_, ApiError>(Json(status).into_response())
    };
    pass.leave(answer.await)
}

/// What is configured of the file server; never the user's name nor the key.
#[utoipa::path(
    get, path = "/api/v1/sync/config", tag = "nas", operation_id = "nas_config",
    params(("X-API-Key" = Option<String>, Header, description = "a key with `nas` or `admin`, unless `nas.public`")),
    responses(
        (status = 200, description = "what is there", body = Config),
        (status = 401, description = "no valid key", body = Problem),
        (status = 403, description = "the key lacks `nas`", body = Problem),
        (status = 429, description = "too many requests", body = Problem),
    )
)]
pub(crate) async fn config(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let (pass, asker) = enter(&state, peer, &headers, CONFIG).await;
    let nas = &state.settings.nas;
    let answer = asker.map(|_| {
        let config = Config {
            configured: nas.is_configured(),
            nas_host: nas.host.is_some(),
            nas_user: nas.has_user,
            nas_path: nas.path.is_some(),
            host: nas.host.clone().unwrap_or_default(),
            path: nas.path.clone().unwrap_or_default(),
        };
        Json(config).into_response()
    });
    pass.leave(answer)
}

#[cfg(test)]
mod tests {
    use super::percentage;

    /// R-001-10.
    #[test]
    fn a_percentage_has_one_decimal() {
        let table = [
            ((142, 150), 94.7),
            ((0, 0), 0.0),
            ((0, 8), 0.0),
            ((1, 3), 33.3),
            ((2, 3), 66.7),
            ((8, 8), 100.0),
            ((1, 2000), 0.1),
        ];
        for ((synced, total), expected) in table {
            let found = percentage(synced, total);
            assert!((found - expected).abs() < 1e-9, "{synced}/{total}: {found}");
        }
    }
}
