//! `DELETE /api/v1/documents/{id}`: the row, then the file. What is on the file server stays.

use super::incoming::{Note, refusal};
use super::{DOCUMENT, id_of};
use crate::auth::{self, ADMIN, Caller};
use crate::error::{ApiError, Problem};
use crate::gate;
use crate::jobs::PathText;
use crate::server::Peer;
use crate::{State, accept};
use axum::Extension;
use axum::extract::State as FromState;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use records::documents::{Deleted, Viewer, delete_in, files, get};
use tokio::time::timeout;

/// Removes a document.
#[utoipa::path(
    delete, path = "/api/v1/documents/{id}", tag = "nas", operation_id = "delete_document",
    description = "Its row and its file; what was sent to the file server stays there. A document that is nobody's is removed with `admin` only.",
    params(
        ("id" = i64, Path, description = "the document's id"),
        ("X-API-Key" = String, Header, description = "a key with `nas` or `admin`"),
    ),
    responses(
        (status = 204, description = "removed"),
        (status = 401, description = "no valid key", body = Problem),
        (status = 403, description = "the key lacks `nas`, or the document is nobody's", body = Problem),
        (status = 404, description = "no such document", body = Problem),
        (status = 409, description = "it is being sent just now", body = Problem),
        (status = 422, description = "the id is no integer", body = Problem),
        (status = 503, description = "the record cannot be reached; nothing was removed", body = Problem),
    )
)]
pub(crate) async fn remove(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    id: PathText,
    headers: HeaderMap,
) -> Response {
    let (pass, caller) = gate::enter(&state, peer, &headers, Some(&auth::NAS), DOCUMENT).await;
    let answer = async {
        let caller = caller?;
        let id = id_of(id)?;
        let viewer = caller.viewer();
        let found = get(state.engine.db(), id, &viewer);
        let found = timeout(state.settings.store_timeout, found).await??;
        let document = found.ok_or(ApiError::UnknownDocument)?;
        if document.proprietaire.is_none() && !may_remove_shared(&caller) {
            return Err(ApiError::Forbidden);
        }
        delete(&state, id, viewer, document.nom_stocke).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    pass.leave(answer.await)
}

fn may_remove_shared(caller: &Caller) -> bool {
    caller.has_scope(&ADMIN)
}

/// The client may go away meanwhile: both go or none.
async fn delete(state: &State, id: i64, viewer: Viewer, stored: String) -> Result<(), ApiError> {
    let (db, patience) = (state.engine.db().clone(), accept::write_patience(state));
    let uploads = state.settings.nas.uploads.clone();
    let deleting = state.marking.spawn(async move {
        let note = Note::write(&uploads, &stored).await.map_err(refusal)?;
        let removing = async {
            let mut tx = db.begin().await?;
            let deleted = delete_in(&mut tx, id, &viewer).await?;
            tx.commit().await?;
            Ok::<_, db::Error>(deleted)
        };
        match timeout(patience, removing).await?? {
            Deleted::Done(document) => {
                match files::remove(&uploads, &document.nom_stocke) {
                    Err(error) => {
                        tracing::warn!(document.id = id, %error, "its file is left to the sweep");
                    }
                    Ok(()) => note.settled().await,
                }
                Ok(())
            }
            other => {
                note.settled().await;
                Err(match other {
                    Deleted::Busy => {
                        let busy = "the document is being sent; try again after that";
                        ApiError::Conflict(busy.to_owned())
                    }
                    _ => ApiError::UnknownDocument,
                })
            }
        }
    });
    deleting.await.map_err(|error| ApiError::Internal(Some(error.into())))?
}
