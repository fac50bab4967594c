//! A file that came whole becomes a document. Its row, the answer for its `Idempotency-Key` and
//! what its key holds by then are one transaction: sent again after whatever, it is one document.

use super::incoming::{Complete, refusal};
use super::{DOCUMENT, Shown};
use crate::error::{ApiError, Limit};
use crate::idempotency::{Keyed, replay};
use crate::{State, accept};
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::Db;
use records::documents::{NewDocument, files, insert_in, octets_in};
use records::requests::{self, Answer};
use tokio::time::timeout;

/// What came of it.
enum Kept {
    Document(Box<Shown>),
    /// The key was used before; by what, its row says.
    Known,
    /// The owner has no room for it.
    Full(Limit),
}

/// More than one key's documents may have.
pub(super) fn quota(max: u64) -> Limit {
    Limit::Owner(usize::try_from(max).unwrap_or(usize::MAX))
}

/// Gives the file its name, then its row. The client may go away meanwhile: both happen or none.
pub(super) async fn keep(
    state: &State,
    nom_original: String,
    proprietaire: String,
    file: Complete,
    keyed: Option<Keyed>,
) -> Result<Response, ApiError> {
    let new = NewDocument {
        nom_stocke: file.stored.clone(),
        nom_original,
        taille: file.content.taille,
        sha256: file.content.sha256.clone(),
        proprietaire: Some(proprietaire),
    };
    let (db, patience) = (state.engine.db().clone(), accept::write_patience(state));
    let (uploads, max) = (state.settings.nas.uploads.clone(), state.settings.nas.owner_bytes);
    let keeping = state.marking.spawn(async move {
        let note = file.keep().await.map_err(refusal)?;
        // If it is not known whether the row is there, the note stays and the sweep finds out.
        let kept = timeout(patience, record(&db, &new, max, keyed.as_ref())).await??;
        let is_kept = matches!(kept, Kept::Document(_));
        if is_kept || files::remove(&uploads, &new.nom_stocke).is_ok() {
            note.settled().await;
        }
        Ok::<_, ApiError>((kept, keyed))
    });
    let kept = keeping.await.map_err(|error| ApiError::Internal(Some(error.into())))??;
    match kept {
        (Kept::Document(shown), _) => {
            let place = DOCUMENT.replace("{id}", &shown.id.to_string());
            Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(shown)).into_response())
        }
        (Kept::Full(limit), _) => Err(ApiError::TooLarge(limit)),
        (Kept::Known, keyed) => {
            let keyed = keyed.ok_or(ApiError::KeyInUse)?;
            let known = keyed.known(state).await?.and_then(|known| known.answer);
            known.map(replay).ok_or(ApiError::KeyInUse)
        }
    }
}

async fn record(
    db: &Db,
    new: &NewDocument,
    max: Option<u64>,
    keyed: Option<&Keyed>,
) -> Result<Kept, db::Error> {
    let mut tx = db.begin().await?;
    if let Some(keyed) = keyed
        && !keyed.begin_in(&mut tx).await?
    {
        return Ok(Kept::Known);
    }
    let shown = Shown::from(insert_in(&mut tx, new).await?);
    let owner = new.proprietaire.as_deref().unwrap_or_default();
    if let Some(max) = max
        && u64::try_from(octets_in(&mut tx, owner).await?).unwrap_or(0) > max
    {
        return Ok(Kept::Full(quota(max)));
    }
    if let Some(keyed) = keyed {
        let body = serde_json::to_string(&shown).expect("a document is plain data");
        let (status, content_type) = (StatusCode::CREATED.as_u16(), "application/json".to_owned());
        let answer = Answer { status, content_type, body };
        requests::set_answer_in(&mut tx, &keyed.scope, &answer).await?;
    }
    tx.commit().await?;
    Ok(Kept::Document(Box::new(shown)))
}
