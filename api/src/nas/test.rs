//! `POST /api/v1/sync/test`: a job tries the connection; what it found is the answer, and always
//! a 200 (R-001-17).

use super::{TEST, Verdict, enter};
use crate::error::{ApiError, Problem};
use crate::server::Peer;
use crate::trace::Trace;
use crate::{State, accept};
use axum::extract::State as FromState;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::TimeDelta;
use jobs::Job;
use jobs::kinds::TestNas;
use jobs::kinds::test_nas::Diagnosis;
use queue::JobRow;
use records::documents::texts;
use std::time::Duration;
use tokio::time::Instant;

/// The job has 15 seconds (R-001-21) and a moment to be taken and to end.
const PATIENCE: Duration = Duration::from_secs(16);

/// Tries the connection to the file server.
#[utoipa::path(
    post, path = "/api/v1/sync/test", tag = "nas", operation_id = "nas_test",
    params(("X-API-Key" = Option<String>, Header, description = "a key with `nas` or `admin`, unless `nas.public`")),
    responses(
        (status = 200, description = "whether it works, and if not, why", body = Verdict),
        (status = 401, description = "no valid key", body = Problem),
        (status = 403, description = "the key lacks `nas`", body = Problem),
        (status = 429, description = "too many requests, or too many unfinished ones", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn test(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
) -> Response {
    let (pass, asker) = enter(&state, peer, &headers, TEST).await;
    let answer = async {
        let principal = asker?.principal;
        if !state.settings.nas.is_configured() {
            return Ok(Verdict::new(false, texts::NOT_CONFIGURED_TEST));
        }
        let place = accept::admit(&state, &principal).await?;
        let mut job = TestNas {}.into_new();
        job.principal = Some(principal);
        job.trace = Some(trace.to_string());
        // Nobody waits for it any longer.
        job.expires_at = Some(queue::clock::now() + PATIENCE_DELTA);
        let accepted = accept::run_until(&state, &job, place, Instant::now() + PATIENCE).await?;
        Ok::<_, ApiError>(verdict(accepted.row.as_ref()))
    };
    pass.leave(answer.await.map(|verdict| Json(verdict).into_response()))
}

const PATIENCE_DELTA: TimeDelta = TimeDelta::seconds(16);

fn verdict(row: Option<&JobRow>) -> Verdict {
    let Some(row) = row.filter(|row| row.state.is_final()) else {
        return Verdict::new(false, texts::TEST_TIMEOUT);
    };
    let diagnosis = row.result.as_deref().and_then(|text| serde_json::from_str(text).ok());
    match (row.state, diagnosis) {
        (queue::State::Done, Some(Diagnosis { success, message, .. })) => {
            Verdict::new(success, message)
        }
        (queue::State::Expired, _) => Verdict::new(false, texts::TEST_TIMEOUT),
        _ => Verdict::new(false, texts::TEST_INTERRUPTED),
    }
}
