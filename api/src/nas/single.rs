//! `POST /api/v1/sync/document/{document_id}`: one document, also one that was sent before (C-27).

use super::{Asker, DOCUMENT, Pending, Verdict, accepted, enter, host};
use crate::documents::id_of;
use crate::error::{ApiError, Problem};
use crate::jobs::PathText;
use crate::prefer::Prefer;
use crate::server::Peer;
use crate::trace::Trace;
use crate::{State, accept};
use axum::extract::State as FromState;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jobs::Job;
use jobs::kinds::TransferToNas;
use jobs::kinds::transfer_to_nas::Report;
use queue::{JobRow, Unique};
use records::documents::{request_in, texts};
use tokio::time::{Instant, timeout};

/// Sends one document.
#[utoipa::path(
    post, path = "/api/v1/sync/document/{document_id}", tag = "nas", operation_id = "nas_document",
    description = "A document that could not be sent is answered with 200, `success: false` and the reason.",
    params(
        ("document_id" = i64, Path, description = "the document's id"),
        ("X-API-Key" = Option<String>, Header, description = "a key with `nas` or `admin`, unless `nas.public`"),
        ("Prefer" = Option<String>, Header, description = "`wait=n` (at most 25) or `respond-async`"),
    ),
    responses(
        (status = 200, description = "whether it is on the file server now", body = Verdict),
        (status = 202, description = "not done yet; follow `Location`", body = Verdict),
        (status = 400, description = "no file server is configured", body = Problem),
        (status = 401, description = "no valid key", body = Problem),
        (status = 403, description = "the key lacks `nas`", body = Problem),
        (status = 404, description = "no such document", body = Problem),
        (status = 422, description = "the id is no integer", body = Problem),
        (status = 429, description = "too many requests, or too many unfinished ones", body = Problem),
        (status = 503, description = "the record cannot be reached; nothing was accepted", body = Problem),
    )
)]
pub(crate) async fn single(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    Extension(trace): Extension<Trace>,
    id: PathText,
    headers: HeaderMap,
) -> Response {
    let (pass, asker) = enter(&state, peer, &headers, DOCUMENT).await;
    let prefer = Prefer::of(&headers, state.settings.wait_max);
    let answer = async {
        let asker = asker?;
        let host = host(&state)?;
        let id = id_of(id)?;
        let (complete, mut response) = transfer(&state, asker, id, host, &trace, prefer).await?;
        if let Some(applied) = prefer.applied(complete) {
            response.headers_mut().insert("preference-applied", applied);
        }
        Ok::<_, ApiError>(response)
    };
    pass.leave(answer.await)
}

async fn transfer(
    state: &State,
    asker: Asker,
    id: i64,
    host: &str,
    trace: &Trace,
    prefer: Prefer,
) -> Result<(bool, Response), ApiError> {
    let place = accept::admit(state, &asker.principal).await?;
    request(state, &asker, id).await?;
    let until = Instant::now() + prefer.patience(state.settings.wait);
    let viewer = asker.viewer.key().map(str::to_owned);
    let mut job = TransferToNas { documents: Some(vec![id]), viewer, single: true }.into_new();
    job.principal = Some(asker.principal);
    job.trace = Some(trace.to_string());
    // Asked for twice at once, it is sent once.
    job.unique = Unique::WhileAlive(format!("document:{id}"));
    let run = accept::run_until(state, &job, place, until).await?;
    match run.row {
        Some(row) if row.state.is_final() => {
            Ok((true, Json(verdict(&row, id, host)).into_response()))
        }
        _ => {
            let pending = Some(Pending::of(run.id));
            let body = Verdict { pending, ..Verdict::new(false, texts::PENDING) };
            Ok((false, accepted(run.id, &body)))
        }
    }
}

/// Notes that it was asked for; whoever does not see it is told that there is none.
async fn request(state: &State, asker: &Asker, id: i64) -> Result<(), ApiError> {
    let asking = async {
        let mut tx = state.engine.db().begin().await?;
        let is_there = request_in(&mut tx, id, &asker.viewer).await?;
        tx.commit().await?;
        Ok::<_, db::Error>(is_there)
    };
    let is_there = timeout(accept::write_patience(state), asking).await??;
    if is_there { Ok(()) } else { Err(ApiError::UnknownDocument) }
}

fn verdict(row: &JobRow, id: i64, host: &str) -> Verdict {
    let outcome = Report::of(row).documents.into_iter().find(|document| document.id == id);
    match outcome {
        Some(sent) if sent.ok => Verdict::new(true, texts::sent_to(host)),
        Some(sent) => Verdict::new(false, sent.message),
        None => Verdict::new(false, texts::INTERRUPTED),
    }
}
