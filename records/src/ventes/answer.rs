//! What a terminal reads: the answer's exact members and types (R-002-14 … 27, C-5 … C-11, D-9),
//! built from stored results by pure functions.

use super::batch::BatchError;
use super::outcome::{BatchResult, Created, SaleOutcome};
use super::refusal::Code;
use super::terminal::Boutique;
use super::texts;
use serde::Serialize;

/// The body of a 201 or 202. Member types never change: strict clients read it.
#[derive(Debug, Clone, Serialize)]
pub struct SyncAnswer {
    pub success: bool,
    pub message: String,
    pub boutique_id: i64,
    pub boutique_nom: String,
    pub terminal: String,
    pub statistiques: Statistics,
    pub ventes_creees: Vec<Created>,
    /// `null`, not empty, when there is none (R-002-21).
    pub ventes_erreurs: Option<Vec<SaleError>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statut: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

/// `total_envoyees` is always the sum of the other two, except while nothing is known yet.
#[derive(Debug, Clone, Serialize)]
pub struct Statistics {
    pub total_envoyees: usize,
    pub reussies: usize,
    pub erreurs: usize,
}

/// A sale that was not created.
#[derive(Debug, Clone, Serialize)]
pub struct SaleError {
    /// From 1, unlike the index in a generated number (C-5).
    pub index: usize,
    pub numero_facture: String,
    pub erreur: String,
    pub code: Code,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deja_synchronisee: bool,
    pub reessayable: bool,
}

/// The 201: every sale of the request is in exactly one of the two lists. Shop: its id and name.
pub fn completed((id, name): (i64, &str), terminal: &str, result: BatchResult) -> SyncAnswer {
    let total = result.ventes.len();
    let mut created = Vec::new();
    let mut errors = Vec::new();
    for (position, outcome) in result.ventes.into_iter().enumerate() {
        match outcome {
            SaleOutcome::Creee(sale) => created.push(sale),
            SaleOutcome::Refusee(sale) => errors.push(SaleError {
                index: position + 1,
                numero_facture: sale.numero_facture,
                erreur: sale.erreur,
                code: sale.code,
                deja_synchronisee: sale.code == Code::Duplicate,
                reessayable: sale.code.may_succeed_later(),
            }),
        }
    }
    SyncAnswer {
        success: !created.is_empty(),
        message: texts::synchronised(created.len()),
        boutique_id: id,
        boutique_nom: name.to_owned(),
        terminal: terminal.to_owned(),
        statistiques: Statistics {
            total_envoyees: total,
            reussies: created.len(),
            erreurs: errors.len(),
        },
        ventes_creees: created,
        ventes_erreurs: (!errors.is_empty()).then_some(errors),
        statut: None,
        job: None,
    }
}

/// The 202: claims nothing (I-22); `job` is where to ask.
pub fn pending(shop: &Boutique, terminal: &str, sent: usize, job: String) -> SyncAnswer {
    SyncAnswer {
        success: false,
        message: texts::pending(sent),
        boutique_id: shop.id,
        boutique_nom: shop.nom.clone(),
        terminal: terminal.to_owned(),
        statistiques: Statistics { total_envoyees: sent, reussies: 0, erreurs: 0 },
        ventes_creees: Vec::new(),
        ventes_erreurs: None,
        statut: Some(texts::PENDING),
        job: Some(job),
    }
}

/// The body of an answer that refuses the whole request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestError {
    pub error: String,
    pub code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_required: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<usize>,
}

impl RequestError {
    fn new(code: &'static str, error: &str) -> Self {
        Self { error: error.to_owned(), code, header_required: None, max: None }
    }

    fn too_large(error: String, max: usize) -> Self {
        Self { error, code: "BATCH_TOO_LARGE", header_required: None, max: Some(max) }
    }

    /// 400
    pub fn missing_serial() -> Self {
        let header_required = Some(texts::SERIAL_HEADER);
        Self { header_required, ..Self::new("MISSING_SERIAL", texts::MISSING_SERIAL) }
    }

    /// 404
    pub fn terminal_not_found() -> Self {
        Self::new("TERMINAL_NOT_FOUND", texts::TERMINAL_NOT_FOUND)
    }

    /// 400
    pub fn no_boutique() -> Self {
        Self::new("NO_BOUTIQUE", texts::NO_BOUTIQUE)
    }

    /// 500
    pub fn internal() -> Self {
        Self::new("INTERNAL_ERROR", texts::INTERNAL_ERROR)
    }

    /// 413: the body, inflated, is longer than `max` bytes.
    pub fn too_many_bytes(max: usize) -> Self {
        Self::too_large(texts::too_many_bytes(max), max)
    }
}

/// 400 for `INVALID_FORMAT` and `EMPTY_DATA`, 413 for `BATCH_TOO_LARGE`.
impl From<BatchError> for RequestError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::NotAnArray => Self::new("INVALID_FORMAT", texts::INVALID_FORMAT),
            BatchError::Empty => Self::new("EMPTY_DATA", texts::EMPTY_DATA),
            BatchError::TooManySales { max } => Self::too_large(texts::too_many_sales(max), max),
            BatchError::TooManyLines { max } => Self::too_large(texts::too_many_lines(max), max),
            BatchError::TooDeep { max } => Self::too_large(texts::too_deep(max), max),
        }
    }
}

#[cfg(test)]
mod tests;
