//! The answers of a batch: as its job wrote it, what can be said without one, or not yet.

use super::Asked;
use crate::State;
use crate::error::ApiError;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::failpoint;
use jobs::kinds::ApplyPushBatch;
use queue::JobRow;
use records::push::{EntityResult, Mode, PushResult};
use records::ventes::chunks;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use uuid::Uuid;

/// What an answer's status depends on.
#[derive(Deserialize)]
struct Head {
    status: String,
    mode: Mode,
}

/// Claims nothing (D-9): the client keeps its batch and asks again.
#[derive(Serialize)]
struct Pending<'a> {
    status: &'static str,
    batch_id: Uuid,
    results: [(); 0],
    job: &'a str,
}

/// The answer with the job as it is now.
pub(super) async fn job(
    asked: &Asked<'_>,
    id: Uuid,
    row: Option<JobRow>,
) -> Result<Response, ApiError> {
    match row {
        Some(row) if row.state.is_final() => ended(asked, row).await,
        _ => Ok(pending(asked, id)),
    }
}

/// The answer of a job that has its end.
pub(super) async fn ended(asked: &Asked<'_>, row: JobRow) -> Result<Response, ApiError> {
    failpoint::at("answer").await?;
    match (row.state, row.result) {
        (queue::State::Done, Some(result)) => complete(asked, result),
        (state, _) => {
            let result = unfinished(asked.state, row.id, state, &row.payload).await?;
            let text = serde_json::to_string(&result).expect("an answer is plain data");
            complete(asked, text)
        }
    }
}

/// An answer, word for word: 422 if nothing of an atomic batch was kept.
pub(super) fn complete(asked: &Asked<'_>, text: String) -> Result<Response, ApiError> {
    let head: Head =
        serde_json::from_str(&text).map_err(|error| ApiError::Internal(Some(error.into())))?;
    let status = match (head.mode, head.status.as_str()) {
        (Mode::Atomic, "failed") => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::OK,
    };
    let json = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (status, json, text).into_response();
    if let Some(applied) = asked.prefer.applied(true) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

fn pending(asked: &Asked<'_>, id: Uuid) -> Response {
    let job = format!("/api/v1/jobs/{id}");
    let body = Pending { status: "pending", batch_id: asked.batch, results: [], job: &job };
    let body = axum::Json(body).into_response();
    let headers = [(header::LOCATION, job), (header::RETRY_AFTER, "2".to_owned())];
    let mut response = (StatusCode::ACCEPTED, headers, body).into_response();
    if let Some(applied) = asked.prefer.applied(false) {
        response.headers_mut().insert("preference-applied", applied);
    }
    response
}

/// A job that died or was ended by hand has no answer of its own (D-17): of an atomic batch nothing
/// was kept, of any other what its finished chunks say. An operator may still put it back.
async fn unfinished(
    state: &State,
    id: Uuid,
    job: queue::State,
    payload: &str,
) -> Result<PushResult, ApiError> {
    let batch: ApplyPushBatch =
        serde_json::from_str(payload).map_err(|error| ApiError::Internal(Some(error.into())))?;
    let done = async {
        match batch.mode {
            Mode::Atomic => Ok(Vec::new()),
            Mode::PerEntity => chunks::load::<EntityResult>(state.engine.db(), id).await,
        }
    };
    let done = timeout(state.settings.store_timeout, done).await??;
    let (code, what) = match job {
        queue::State::Cancelled => ("CANCELLED", "was cancelled"),
        queue::State::Expired => ("EXPIRED", "has expired"),
        _ => ("DEAD", "could not be carried out"),
    };
    let message = format!("the batch's job {what}; an operator can put it back: jobs/{id}");
    let (id, mode) = (batch.batch_id, batch.mode);
    Ok(PushResult::unfinished(id, mode, &batch.entites, done, code, message))
}
