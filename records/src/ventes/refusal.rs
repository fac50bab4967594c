//! Why one sale was not created: a code for machines, a sentence for people.

use super::texts;
use serde::{Deserialize, Serialize};

/// The machine word of a refusal. Stored and sent: changing one is a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Code {
    /// The same sale of the same terminal exists and was reported before.
    #[serde(rename = "DUPLICATE")]
    Duplicate,
    /// The number belongs to another sale of the shop.
    #[serde(rename = "NUMERO_EN_CONFLIT")]
    NumberInConflict,
    #[serde(rename = "STOCK_INSUFFISANT")]
    OutOfStock,
    /// Unknown, inactive, or of another shop: indistinguishable on purpose.
    #[serde(rename = "ARTICLE_NON_TROUVE")]
    UnknownArticle,
    #[serde(rename = "BOUTIQUE_MISMATCH")]
    ForeignShop,
    /// The sale itself is not as the contract says.
    #[serde(rename = "VENTE_INVALIDE")]
    Invalid,
    /// Our fault.
    #[serde(rename = "INTERNAL")]
    Internal,
}

impl Code {
    /// The stored and sent word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "DUPLICATE",
            Self::NumberInConflict => "NUMERO_EN_CONFLIT",
            Self::OutOfStock => "STOCK_INSUFFISANT",
            Self::UnknownArticle => "ARTICLE_NON_TROUVE",
            Self::ForeignShop => "BOUTIQUE_MISMATCH",
            Self::Invalid => "VENTE_INVALIDE",
            Self::Internal => "INTERNAL",
        }
    }

    /// Whether the same sale may succeed later without the terminal changing it.
    pub fn may_succeed_later(self) -> bool {
        matches!(self, Self::OutOfStock | Self::Internal)
    }
}

/// A refusal with what is worth keeping about it (D-15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) article_id: Option<i64>,
    pub(crate) asked: Option<i64>,
    pub(crate) available: Option<i64>,
}

impl Refusal {
    fn new(code: Code, message: String) -> Self {
        Self { code, message, article_id: None, asked: None, available: None }
    }

    pub(crate) fn invalid(message: String) -> Self {
        Self::new(Code::Invalid, message)
    }

    pub(crate) fn foreign_shop() -> Self {
        Self::new(Code::ForeignShop, texts::FOREIGN_SHOP.to_owned())
    }

    pub(crate) fn internal() -> Self {
        Self::new(Code::Internal, texts::INTERNAL_SALE_ERROR.to_owned())
    }

    pub(crate) fn number_in_conflict(number: &str) -> Self {
        Self::new(Code::NumberInConflict, texts::number_in_conflict(number))
    }

    pub(crate) fn unknown_article(id: i64) -> Self {
        let refusal = Self::new(Code::UnknownArticle, texts::unknown_article(id));
        Self { article_id: Some(id), ..refusal }
    }

    pub(crate) fn out_of_stock(id: i64, name: &str, asked: i64, available: i64) -> Self {
        Self {
            article_id: Some(id),
            asked: Some(asked),
            available: Some(available),
            ..Self::new(Code::OutOfStock, texts::out_of_stock(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn a_code_is_stored_as_the_word_it_is_sent_as() {
        use Code::*;
        for code in [
            Duplicate,
            NumberInConflict,
            OutOfStock,
            UnknownArticle,
            ForeignShop,
            Invalid,
            Internal,
        ] {
            let stored = serde_json::to_string(&code).expect("a word");
            assert_eq!(stored, format!("\"{}\"", code.as_str()));
        }
    }
}
