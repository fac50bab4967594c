//! The answers of a batch: as its job wrote it, what can be said without one, or not yet.

use crate::State;
use crate::error::ApiError;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
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

/// The answer of a job that has its end.
pub(super) async fn ended(state: &State, row: JobRow) -> Result<Response, ApiError> {
    match (row.state, row.result) {
        (queue::State::Done, Some(result)) => complete(result),
        (end, _) => {
            let result = unfinished(state, row.id, end, &row.payload).await?;
            complete(serde_json::to_string(&result).expect("an answer is plain data"))
        }
    }
}

/// An answer, word for word: 422 if nothing of an atomic batch was kept.
pub(super) fn complete(text: String) -> Result<Response, ApiError> {
    let head: Head =
        serde_json::from_str(&text).map_err(|error| ApiError::Internal(Some(error.into())))?;
    let status = match (head.mode, head.status.as_str()) {
        (Mode::Atomic, "failed") => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::OK,
    };
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((status, json, text).into_response())
}

pub(super) fn pending(batch_id: Uuid, id: Uuid) -> Response {
    let job = format!("/api/v1/jobs/{id}");
    let body = Json(Pending { status: "pending", batch_id, results: [], job: &job });
    let body = body.into_response();
    let headers = [(header::LOCATION, job), (header::RETRY_AFTER, "2".to_owned())];
    (StatusCode::ACCEPTED, headers, body).into_response()
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
