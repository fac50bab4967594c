//! What became of a batch: the job's stored result, from which every answer is built.

use super::money;
use super::refusal::Code;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// One outcome per sale, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchResult {
    pub ventes: Vec<SaleOutcome>,
}

/// What became of one sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SaleOutcome {
    Creee(Created),
    Refusee(Refused),
}

/// A sale that is in the record, as the answer shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    pub numero_facture: String,
    /// Two decimals, as text.
    pub montant_total: String,
    pub lignes: Vec<CreatedLine>,
    /// It had been created before, but no answer that said so was delivered (D-12).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rejouee: bool,
    /// What it took below zero, where the policy accepts that (C-17).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alertes: Vec<String>,
}

/// A line of a [`Created`] sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedLine {
    pub article_nom: String,
    pub quantite: i64,
    pub prix_unitaire: String,
    pub sous_total: String,
}

impl CreatedLine {
    pub(crate) fn new(article: &str, quantity: i64, price: Decimal) -> Self {
        Self {
            article_nom: article.to_owned(),
            quantite: quantity,
            prix_unitaire: money::print(price),
            sous_total: money::print(price * Decimal::from(quantity)),
        }
    }
}

/// A sale that was not created this time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub numero_facture: String,
    pub erreur: String,
    pub code: Code,
}
