//! What is done when both sides have changed (D-40), for each type of entity.

use super::content::Kind;
use serde::{Deserialize, Serialize};

/// Who is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Whoever changed it last.
    #[default]
    Lww,
    ServerWins,
    ClientWins,
    /// Each its own members; of a member that both changed, whoever did so last (D-42).
    FieldMerge,
    /// A person says so.
    Manual,
}

impl Strategy {
    pub const ALL: [Self; 5] =
        [Self::Lww, Self::ServerWins, Self::ClientWins, Self::FieldMerge, Self::Manual];

    /// The word that is configured, stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lww => "lww",
            Self::ServerWins => "server_wins",
            Self::ClientWins => "client_wins",
            Self::FieldMerge => "field_merge",
            Self::Manual => "manual",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == word)
    }
}

/// The strategy of one type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rule {
    pub strategy: Strategy,
    /// Members of which a person says who is right, if both sides changed one of them: of a merge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manual_fields: Vec<String>,
}

/// The strategies of all types. Those in force when a batch is accepted travel with its job: however
/// often it is tried, and by workers of whichever configuration, it has one outcome (I-19).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Strategies {
    #[serde(default)]
    pub ticket: Rule,
    #[serde(default)]
    pub reception_line: Rule,
}

impl Strategies {
    pub(super) fn of(&self, kind: Kind) -> &Rule {
        match kind {
            Kind::Ticket => &self.ticket,
            Kind::ReceptionLine => &self.reception_line,
        }
    }

    /// Whether every entity is decided as if nothing were configured.
    pub fn is_standard(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| self.of(kind).strategy == Strategy::Lww)
    }
}
