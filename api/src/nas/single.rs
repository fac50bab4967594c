//! `POST /api/v1/sync/document/{document_id}`: one document, also one that was sent before (C-27).

use super::{Asker, DOCUMENT, Pending, Verdict, accepted, enter, host};
use crate::State;
use crate::accept::Begun;
use crate::contract::{self, Asked, Contract};
use crate::documents::id_of;
use crate::error::{ApiError, Problem};
use crate::jobs::PathText;
use crate::server::Peer;
use crate::trace::Trace;
use axum::body::Body;
use axum::extract::State as FromState;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use db::Tx;
use jobs::Job;
use jobs::kinds::TransferToNas;
use jobs::kinds::transfer_to_nas::Report;
use queue::{JobRow, NewJob, Unique};
use records::documents::{Viewer, request_in, texts};
use uuid::Uuid;

/// Sends one document.
#[utoipa::path(
    post, path = "/api/v1/sync/document/{document_id}", tag = "nas", operation_id = "nas_document",
    description = "A document that could not be sent is answered with 200, `success: false` and the reason.",
    params(
        ("document_id" = i64, Path, description = "the document's id"),
        ("X-API-Key" = Option<String>, Header, description = "a key with `nas` or `admin`, unless `nas.public`"),
        ("Prefer" = Option<String>, Header, description = "`wait=n` (at most 25) or `respond-async`"),
        ("Idempotency-Key" = Option<String>, Header, description = "8 to 255 characters, kept 7 days: the same request again gives the same answer word for word"),
    ),
    responses(
        (status = 200, description = "whether it is on the file server now", body = Verdict),
        (status = 202, description = "not done yet; follow `Location`", body = Verdict),
        (status = 400, description = "no file server is configured", body = Problem),
        (status = 401, description = "no valid key", body = Problem),
        (status = 403, description = "the key lacks `nas`", body = Problem),
        (status = 404, description = "no such document", body = Problem),
        (status = 409, description = "`handling=strict`, and the first request with this key is not done", body = Problem),
        (status = 410, description = "the key's job was removed before anybody read its answer", body = Problem),
        (status = 422, description = "the id is no integer, or the key was used with another request or is malformed", body = Problem),
        (status = 429, description = "too many requests, or too many unfinished ones", body = Problem),
        (status = 503, description = "the record cannot be reached, or too much waits already; nothing was accepted", body = Problem),
    )
)]
pub(crate) async fn single(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    Extension(trace): Extension<Trace>,
    id: PathText,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (pass, asker) = enter(&state, peer, &headers, DOCUMENT).await;
    let answer = async {
        let Asker { viewer, principal } = asker?;
        let host = host(&state)?;
        let one = One { viewer, id: id_of(id)?, host };
        let asked = Asked { principal: &principal, headers: &headers, trace: &trace };
        contract::take_in(&state, &one, asked, body).await
    };
    pass.leave(answer.await)
}

/// One document that somebody asks for.
struct One<'a> {
    viewer: Viewer,
    id: i64,
    host: &'a str,
}

impl Contract for One<'_> {
    const ROUTE: &'static str = "POST /api/v1/sync/document/{document_id}";
    const QUEUE: &'static str = TransferToNas::QUEUE;
    const BEGINS: bool = true;
    const ANSWERS_CANCELLED: bool = true;
    type Told = ();

    fn about(&self) -> Option<String> {
        Some(self.id.to_string())
    }

    /// The body says nothing. Asked for twice at once, the document is sent once.
    fn parse(&self, _body: &[u8], _has_key: bool) -> Result<(NewJob, ()), ApiError> {
        let viewer = self.viewer.key().map(str::to_owned);
        let documents = Some(vec![self.id]);
        let mut job = TransferToNas { documents, viewer, single: true }.into_new();
        job.unique = Unique::WhileAlive(format!("document:{}", self.id));
        Ok((job, ()))
    }

    /// Notes that it was asked for; whoever does not see it is told that there is none.
    async fn begin_in(&self, tx: &mut Tx, _told: &(), _job: &NewJob) -> Result<Begun, db::Error> {
        Ok(match request_in(tx, self.id, &self.viewer).await? {
            true => Begun::New,
            false => Begun::Refused(ApiError::UnknownDocument),
        })
    }

    async fn complete(&self, _state: &State, row: JobRow) -> Result<Response, ApiError> {
        Ok(Json(verdict(&row, self.id, self.host)).into_response())
    }

    async fn pending(
        &self,
        _state: &State,
        _told: &(),
        id: Uuid,
        _row: Option<&JobRow>,
    ) -> Result<Response, ApiError> {
        let pending = Some(Pending::of(id));
        Ok(accepted(id, &Verdict { pending, ..Verdict::new(false, texts::PENDING) }))
    }
}

fn verdict(row: &JobRow, id: i64, host: &str) -> Verdict {
    let outcome = Report::of(row).documents.into_iter().find(|document| document.id == id);
    match outcome {
        Some(sent) if sent.ok => Verdict::new(true, texts::sent_to(host)),
        Some(sent) => Verdict::new(false, sent.message),
        None if row.state == queue::State::Cancelled => Verdict::new(false, texts::CANCELLED),
        None => Verdict::new(false, texts::INTERRUPTED),
    }
}
