//! `/api/v1/documents`: files that are to go to the file server. Their names on our disk are made
//! here (S-22); a key sees its own documents and those that are nobody's.

pub(crate) mod incoming;
mod keep;
pub(crate) mod read;
pub(crate) mod remove;
pub(crate) mod sweep;
pub(crate) mod upload;

use crate::Route;
use crate::error::ApiError;
use crate::jobs::PathText;
use axum::extract::Path;
use chrono::{DateTime, Utc};
use records::documents::Document;
use serde::Serialize;
use utoipa::ToSchema;

const DOCUMENTS: &str = "/api/v1/documents";
const DOCUMENT: &str = "/api/v1/documents/{id}";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(DOCUMENTS, read::list),
        Route::post(DOCUMENTS, upload::upload),
        Route::get(DOCUMENT, read::show),
        Route::delete(DOCUMENT, remove::remove),
    ]
}

/// A document as it is shown; where its file lies is nobody's business.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown {
    #[schema(example = 42)]
    id: i64,
    /// What the user calls it.
    #[schema(example = "facture-42.jpg")]
    nom_original: String,
    /// What it is called on the file server.
    nom_nas: String,
    /// Bytes; `null` while its file was never seen.
    taille: Option<i64>,
    /// 64 hexadecimal digits; `null` while its file was never seen.
    sha256: Option<String>,
    /// The id of a key; `null` is visible to every key.
    proprietaire: Option<String>,
    synced_to_nas: bool,
    synced_at: Option<DateTime<Utc>>,
    /// When it was asked for by itself, until it is sent or cannot be.
    demande_le: Option<DateTime<Utc>>,
    cree_le: DateTime<Utc>,
}

impl From<Document> for Shown {
    fn from(document: Document) -> Self {
        Self {
            id: document.id,
            nom_original: document.nom_original,
            nom_nas: document.nom_nas,
            taille: document.taille,
            sha256: document.sha256,
            proprietaire: document.proprietaire,
            synced_to_nas: document.synced_to_nas,
            synced_at: document.synced_at,
            demande_le: document.demande_le,
            cree_le: document.cree_le,
        }
    }
}

/// A document's id in a path. An integer that no document can have is one that none has.
pub(crate) fn id_of(id: PathText) -> Result<i64, ApiError> {
    let Path(text) = id.map_err(|_not_text| ApiError::BadDocumentId)?;
    let digits = text.strip_prefix('-').unwrap_or(&text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ApiError::BadDocumentId);
    }
    text.parse().map_err(|_too_large| ApiError::UnknownDocument)
}

#[cfg(test)]
mod tests {
    use super::id_of;
    use crate::error::ApiError;
    use axum::extract::Path;

    /// R-001-28.
    #[test]
    fn an_id_is_an_integer() {
        let of = |text: &str| id_of(Ok(Path(text.to_owned())));
        assert_eq!(of("42").ok(), Some(42));
        assert_eq!(of("-1").ok(), Some(-1));
        for wrong in ["abc", "", "-", "4.2", "0x1", "42 ", "+1", "１"] {
            assert!(matches!(of(wrong), Err(ApiError::BadDocumentId)), "{wrong}");
        }
        assert!(matches!(of("99999999999999999999"), Err(ApiError::UnknownDocument)));
    }
}
