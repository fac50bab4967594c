//! `POST /api/v1/jobs/bulk`: cancel, retry or delete every job that a filter finds, at most 10 000
//! per call; or only count them.

use super::act::REASON_BYTES;
use super::list::Selection;
use crate::auth;
use crate::error::ApiError;
use crate::idempotency::Keyed;
use crate::server::Peer;
use crate::{State, body, gate};
use axum::body::Body;
use axum::extract::State as FromState;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use queue::{Act, Acted, Actor, Filter, Page};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;
use uuid::Uuid;

const ROUTE: &str = "/api/v1/jobs/bulk";
/// Jobs of one call.
const MAX_JOBS: usize = 10_000;
/// Jobs found, then acted on, at once.
const STEP: usize = 500;
/// No new step is begun after this long; the answer says where to go on.
const PATIENCE: Duration = Duration::from_secs(10);
/// A filter and a reason are small.
const MAX_BYTES: usize = 16 * 1024;

/// What to do, to which jobs, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bulk {
    /// `cancel`, `retry` or `delete`.
    action: String,
    /// At least one member.
    filter: Selection,
    /// Kept with every job.
    reason: String,
    /// Count only.
    #[serde(default)]
    dry_run: bool,
    /// `next` of the call before.
    #[serde(default)]
    before: Option<Uuid>,
}

/// What a call did; after a dry run, only `matching`, `more` and `next`.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct BulkDone {
    /// Jobs that the filter found.
    matching: usize,
    /// Whether there may be more of them.
    more: bool,
    /// Done.
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<usize>,
    /// Running jobs that were asked to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested: Option<usize>,
    /// Their state does not allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<usize>,
    /// `before` of the next call; `null` if every job was looked at.
    next: Option<Uuid>,
}

/// Acts on many jobs.
#[utoipa::path(
    post, path = "/api/v1/jobs/bulk", tag = "jobs", operation_id = "act_on_many_jobs",
    description = "For administrators. At most 10 000 jobs per call; go on with `next` as `before`.",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "8 to 255 characters, kept 7 days: done once, answered again"),
    ),
    request_body(content = Bulk),
    responses(
        (status = 200, description = "done, or counted", body = BulkDone),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "no administrator", body = crate::error::Problem),
        (status = 409, description = "a request with this key is being worked on", body = crate::error::Problem),
        (status = 413, description = "the body is larger than 16 KiB", body = crate::error::Problem),
        (status = 422, description = "the body is wrong, the filter is empty, or there is no reason", body = crate::error::Problem),
        (status = 429, description = "too many requests", body = crate::error::Problem),
    )
)]
pub(crate) async fn bulk(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (pass, caller) = gate::enter(&state, peer, &headers, Some(&auth::ADMIN), ROUTE).await;
    let answer = async {
        let caller = caller?;
        body::check_json(&headers)?;
        let bytes = body::read_at_most(&headers, body, &state.settings, MAX_BYTES).await?;
        let bulk: Bulk = body::object(&bytes)?;
        let by = Actor { principal: caller.principal(), reason: Some(bulk.reason.clone()) };
        let (act, filter) = bulk.check()?;
        let keyed = Keyed::of(&headers, &by.principal, "POST /api/v1/jobs/bulk", &[], &bytes)?;
        let Some(keyed) = keyed else { return run(&state, &bulk, act, &filter, &by).await };
        match keyed.begin(&state).await? {
            Some(kept) => Ok(kept),
            None => {
                let answer = run(&state, &bulk, act, &filter, &by).await;
                keyed.end(&state, answer).await
            }
        }
    };
    pass.leave(answer.await)
}

impl Bulk {
    fn check(&self) -> Result<(Act, Filter), ApiError> {
        let wrong = || ApiError::Invalid("action: cancel, retry or delete".to_owned());
        let act = Act::parse(&self.action).ok_or_else(wrong)?;
        if self.filter.is_empty() {
            let message = "filter: at least one member; every job there is cannot be meant";
            return Err(ApiError::Invalid(message.to_owned()));
        }
        super::text("reason", &self.reason, REASON_BYTES)?;
        Ok((act, self.filter.filter()?))
    }
}

async fn run(
    state: &State,
    bulk: &Bulk,
    act: Act,
    filter: &Filter,
    by: &Actor,
) -> Result<Response, ApiError> {
    let began = Instant::now();
    let acts = (!bulk.dry_run).then_some(0);
    let mut told = BulkDone { done: acts, requested: acts, refused: acts, ..BulkDone::default() };
    let mut page = Page { limit: STEP, before: bulk.before };
    loop {
        page.limit = STEP.min(MAX_JOBS - told.matching);
        let found = timeout(state.settings.store_timeout * 5, state.engine.find(filter, &page));
        let found = found.await??;
        told.matching += found.ids.len();
        if !bulk.dry_run {
            // What was done stays done and is told, also if the record is lost half way.
            match state.engine.act(&found.ids, act, by).await {
                Ok(acted) => told.count(&acted),
                Err(error) if told.done == Some(0) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, "a bulk act was cut short");
                    (told.matching, told.next) = (told.matching - found.ids.len(), page.before);
                    break;
                }
            }
        }
        told.next = found.next;
        page.before = found.next;
        if found.next.is_none() || told.matching >= MAX_JOBS || began.elapsed() >= PATIENCE {
            break;
        }
    }
    told.more = told.next.is_some();
    tracing::info!(
        act = act.as_str(),
        by = by.principal,
        reason = by.reason,
        ?filter,
        ?told,
        dry_run = bulk.dry_run,
        "acted on many jobs"
    );
    Ok(Json(told).into_response())
}

impl BulkDone {
    fn count(&mut self, acted: &[Acted]) {
        let count = |is: fn(&Acted) -> bool| acted.iter().filter(|acted| is(acted)).count();
        for (sum, more) in [
            (&mut self.done, count(|acted| matches!(acted, Acted::Done))),
            (&mut self.requested, count(|acted| matches!(acted, Acted::Requested))),
            (&mut self.refused, count(|acted| matches!(acted, Acted::Refused(_)))),
        ] {
            *sum = Some(sum.unwrap_or_default() + more);
        }
    }
}
