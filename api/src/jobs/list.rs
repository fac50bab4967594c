//! `GET /api/v1/jobs`: jobs, newest first, a page at a time.

use super::operation::{OperationError, ProgressShown};
use super::text;
use crate::State;
use crate::auth;
use crate::error::ApiError;
use crate::server::Peer;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as FromState};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use queue::{Filter, JobRow, Page};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

const PAGE: usize = 50;
const MAX_PAGE: usize = 500;

/// Which jobs; absent members do not restrict.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Selection {
    /// `scheduled`, `ready`, `running`, `done`, `dead`, `cancelled` or `expired`.
    state: Option<String>,
    kind: Option<String>,
    queue: Option<String>,
    principal: Option<String>,
    lane: Option<String>,
    /// `name:value`.
    attribute: Option<String>,
    /// Accepted at or after this instant.
    since: Option<DateTime<Utc>>,
    /// Accepted before this instant.
    until: Option<DateTime<Utc>>,
}

impl Selection {
    /// Whether nothing restricts.
    pub(crate) fn is_empty(&self) -> bool {
        let texts = [&self.state, &self.kind, &self.queue, &self.principal, &self.lane];
        let no_text = texts.iter().all(|text| text.is_none()) && self.attribute.is_none();
        no_text && self.since.is_none() && self.until.is_none()
    }

    pub(crate) fn filter(&self) -> Result<Filter, ApiError> {
        let state = self.state.as_deref().map(|word| {
            queue::State::parse(word).ok_or_else(|| {
                let words = queue::State::ALL.map(queue::State::as_str).join(", ");
                ApiError::Invalid(format!("state: one of {words}"))
            })
        });
        for (name, value) in [
            ("kind", &self.kind),
            ("queue", &self.queue),
            ("principal", &self.principal),
            ("lane", &self.lane),
            ("attribute", &self.attribute),
        ] {
            if let Some(value) = value {
                text(name, value, 1_024)?;
            }
        }
        let attribute = self.attribute.as_deref().map(|pair| match pair.split_once(':') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(ApiError::Invalid("attribute: `name:value`".to_owned())),
        });
        Ok(Filter {
            state: state.transpose()?,
            kind: self.kind.clone(),
            queue: self.queue.clone(),
            principal: self.principal.clone(),
            lane: self.lane.clone(),
            attribute: attribute.transpose()?,
            since: self.since,
            until: self.until,
        })
    }
}

/// Jobs of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Jobs {
    jobs: Vec<JobShown>,
    /// `before` of the next page; `null` after the last one.
    next: Option<Uuid>,
}

/// A job in a list; the whole of it is at `/api/v1/jobs/{id}`.
#[derive(Debug, Serialize, ToSchema)]
struct JobShown {
    id: Uuid,
    kind: String,
    queue: String,
    state: &'static str,
    done: bool,
    priority: u8,
    run_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    lane: Option<String>,
    principal: Option<String>,
    attempt: u32,
    max_attempts: u32,
    progress: ProgressShown,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<OperationError>,
}

/// Lists jobs, newest first.
#[utoipa::path(
    get, path = "/api/v1/jobs", tag = "jobs", operation_id = "list_jobs",
    description = "A page may hold fewer jobs than asked for, none even, and yet have a `next`: reading costs the same at any size. A key without `jobs:read`, and a terminal, see only their own jobs.",
    params(
        ("state" = Option<String>, Query, description = "in this state"),
        ("kind" = Option<String>, Query, description = "of this kind"),
        ("queue" = Option<String>, Query, description = "in this queue"),
        ("principal" = Option<String>, Query, description = "asked for by it, for example `key:shop`"),
        ("lane" = Option<String>, Query, description = "in this lane"),
        ("attribute" = Option<String>, Query, description = "with this attribute, `name:value`"),
        ("since" = Option<String>, Query, description = "accepted at or after this instant (RFC 3339)"),
        ("until" = Option<String>, Query, description = "accepted before this instant"),
        ("limit" = Option<u32>, Query, description = "jobs, 1 to 500; default 50"),
        ("before" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "a page", body = Jobs),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 422, description = "a parameter is wrong", body = crate::error::Problem),
        (status = 503, description = "the record cannot be reached", body = crate::error::Problem),
    )
)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Jobs>, ApiError> {
    let caller = auth::caller(&state, peer, &headers).await?;
    let Query(query) = query.map_err(|error| ApiError::Invalid(error.body_text()))?;
    let (selection, page) = read(query)?;
    let mut filter = selection.filter()?;
    if !caller.has_scope(&auth::READ) {
        let own = caller.principal();
        if filter.principal.as_ref().is_some_and(|asked| *asked != own) {
            return Ok(Json(Jobs { jobs: Vec::new(), next: None }));
        }
        filter.principal = Some(own);
    }
    let listed = state.engine.list(&filter, &page);
    // Several indexes may have to be asked, each in its own statement.
    let listed = timeout(state.settings.store_timeout * 5, listed).await??;
    let jobs = listed.rows.into_iter().map(JobShown::from).collect();
    Ok(Json(Jobs { jobs, next: listed.next }))
}

fn read(query: Vec<(String, String)>) -> Result<(Selection, Page), ApiError> {
    let mut page = Page { limit: PAGE, before: None };
    let mut members = serde_json::Map::new();
    for (name, value) in query {
        let shown: String = name.chars().take(64).collect();
        let known = match name.as_str() {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
                let wrong = || ApiError::Invalid(format!("limit: 1 to {MAX_PAGE}"));
                page.limit = limit.ok_or_else(wrong)?;
                members.insert(name, true.into())
            }
            "before" => {
                let wrong = |_| ApiError::Invalid("before: `next` of a page".to_owned());
                page.before = Some(Uuid::try_parse(&value).map_err(wrong)?);
                members.insert(name, true.into())
            }
            _ => members.insert(name, value.into()),
        };
        if known.is_some() {
            return Err(ApiError::Invalid(format!("{shown}: once only")));
        }
    }
    members.remove("limit");
    members.remove("before");
    let members = serde_json::Value::Object(members);
    let selection = serde_path_to_error::deserialize(members);
    Ok((selection.map_err(|error| ApiError::Invalid(error.to_string()))?, page))
}

impl From<JobRow> for JobShown {
    fn from(row: JobRow) -> Self {
        Self {
            id: row.id,
            state: row.state.as_str(),
            done: row.state.is_final(),
            priority: row.priority,
            run_at: row.run_at,
            expires_at: row.expires_at,
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            progress: row.progress.map(ProgressShown::from).unwrap_or_default(),
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            error: OperationError::of(&row),
            kind: row.kind,
            queue: row.queue,
            lane: row.lane,
            principal: row.principal,
        }
    }
}
