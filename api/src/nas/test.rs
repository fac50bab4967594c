//! `POST /api/v1/sync/test`: a job tries the connection; what it found is the answer, and always
//! a 200 (R-001-17).

use super::{TEST, Verdict, enter};
use crate::contract::{self, Asked, Contract};
use crate::error::{ApiError, Problem};
use crate::prefer::Prefer;
use crate::server::Peer;
use crate::trace::Trace;
use crate::{Settings, State};
use axum::body::Body;
use axum::extract::State as FromState;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jobs::Job;
use jobs::kinds::TestNas;
use jobs::kinds::test_nas::Diagnosis;
use queue::{JobRow, NewJob};
use records::documents::texts;
use std::time::Duration;
use uuid::Uuid;

/// The job has 15 seconds (R-001-21) and a moment to be taken and to end; 15.5 with the answer (C1).
const PATIENCE: Duration = Duration::from_millis(15_100);

/// Tries the connection to the file server.
#[utoipa::path(
    post, path = "/api/v1/sync/test", tag = "nas", operation_id = "nas_test",
    params(("X-API-Key" = Option<String>, Header, description = "a key with `nas` or `admin`, unless `nas.public`")),
    responses(
        (status = 200, description = "whether it works, and if not, why", body = Verdict),
        (status = 401, description = "no valid key", body = Problem),
        (status = 403, description = "the key lacks `nas`", body = Problem),
        (status = 429, description = "too many requests, or too many unfinished ones", body = Problem),
        (status = 503, description = "the record cannot be reached, or too much waits already", body = Problem),
    )
)]
pub(crate) async fn test(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (pass, asker) = enter(&state, peer, &headers, TEST).await;
    let answer = async {
        let principal = asker?.principal;
        if !state.settings.nas.is_configured() {
            let verdict = Verdict::new(false, texts::NOT_CONFIGURED_TEST);
            return Ok(Json(verdict).into_response());
        }
        let asked = Asked { principal: &principal, headers: &headers, trace: &trace };
        contract::take_in(&state, &Trial, asked, body).await
    };
    pass.leave(answer.await)
}

/// A test of the connection.
struct Trial;

impl Contract for Trial {
    const ROUTE: &'static str = "POST /api/v1/sync/test";
    const QUEUE: &'static str = TestNas::QUEUE;
    const ANSWERS_CANCELLED: bool = true;
    type Told = ();

    /// Whoever would not wait would be told of a time-out that there was not.
    fn prefer(&self, _headers: &HeaderMap, _settings: &Settings) -> Prefer {
        Prefer::default()
    }

    fn wait(&self, _settings: &Settings) -> Duration {
        PATIENCE
    }

    fn parse(&self, _body: &[u8], _has_key: bool) -> Result<(NewJob, ()), ApiError> {
        let mut job = TestNas {}.into_new();
        // Nobody waits for it any longer.
        job.expires_at = Some(queue::clock::now() + PATIENCE);
        Ok((job, ()))
    }

    async fn complete(&self, _state: &State, row: JobRow) -> Result<Response, ApiError> {
        Ok(Json(verdict(&row).unwrap_or_else(interrupted)).into_response())
    }

    async fn pending(
        &self,
        state: &State,
        _told: &(),
        _id: Uuid,
        row: Option<&JobRow>,
    ) -> Result<Response, ApiError> {
        // A process that stops waits no longer: that is no time-out.
        let none = || if state.stopping.is_cancelled() { interrupted() } else { too_late() };
        Ok(Json(row.and_then(verdict).unwrap_or_else(none)).into_response())
    }
}

/// What the job has found out; `None` as long as it has no end.
fn verdict(row: &JobRow) -> Option<Verdict> {
    if !row.state.is_final() {
        return None;
    }
    let diagnosis = row.result.as_deref().and_then(|text| serde_json::from_str(text).ok());
    Some(match (row.state, diagnosis) {
        (queue::State::Done, Some(Diagnosis { success, message, .. })) => {
            Verdict::new(success, message)
        }
        (queue::State::Expired, _) => too_late(),
        _ => interrupted(),
    })
}

fn too_late() -> Verdict {
    Verdict::new(false, texts::TEST_TIMEOUT)
}

fn interrupted() -> Verdict {
    Verdict::new(false, texts::TEST_INTERRUPTED)
}
