//! What an entity holds besides its id and version.

use crate::ventes::money::print_millionths;
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

/// The types of entities; the words are stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    ReceptionLine,
    Ticket,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::ReceptionLine, Self::Ticket];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReceptionLine => "reception_line",
            Self::Ticket => "ticket",
        }
    }

    /// Names of its content's members.
    pub fn members(self) -> &'static [&'static str] {
        match self {
            Self::ReceptionLine => &[
                "ticket_id",
                "article_code",
                "designation",
                "quantite",
                "unite",
                "poids_kg",
                "recu_le",
            ],
            Self::Ticket => &["numero", "statut", "ouvert_le", "ferme_le", "commentaire"],
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A whole entity's content; equal contents are one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Content {
    Line(Line),
    Ticket(Ticket),
}

/// One line of a reception of goods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub ticket_id: Option<Uuid>,
    pub article_code: String,
    pub designation: String,
    pub quantite: Millionths,
    pub unite: String,
    pub poids_kg: Option<Millionths>,
    pub recu_le: DateTime<Utc>,
}

/// A ticket; closed ones are immutable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ticket {
    pub numero: String,
    pub statut: &'static str,
    pub ouvert_le: DateTime<Utc>,
    pub ferme_le: Option<DateTime<Utc>>,
    pub commentaire: Option<String>,
}

pub(super) const OPEN: &str = "ouvert";
pub(super) const CLOSED: &str = "ferme";

/// A decimal number with six decimals, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millionths(pub i64);

impl Serialize for Millionths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&print_millionths(self.0))
    }
}

impl Content {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Line(_) => Kind::ReceptionLine,
            Self::Ticket(_) => Kind::Ticket,
        }
    }

    pub(super) fn is_closed_ticket(&self) -> bool {
        matches!(self, Self::Ticket(ticket) if ticket.statut == CLOSED)
    }

    /// The ticket that must be there for it.
    pub(super) fn ticket_id(&self) -> Option<Uuid> {
        match self {
            Self::Line(line) => line.ticket_id,
            Self::Ticket(_) => None,
        }
    }

    /// One text for equal contents; what is stored of a version.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("an entity is plain data")
    }

    /// Names of the members in which two contents of one type differ.
    pub(super) fn differing(&self, other: &Self) -> Vec<String> {
        let value = |content: &Self| serde_json::to_value(content).expect("plain data");
        let (Value::Object(mine), Value::Object(theirs)) = (value(self), value(other)) else {
            return Vec::new();
        };
        mine.iter()
            .filter(|(name, value)| theirs.get(*name) != Some(*value))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, Kind, Line, Millionths, Ticket};
    use chrono::DateTime;

    #[test]
    fn a_kind_knows_its_members() {
        let at = DateTime::UNIX_EPOCH;
        let ticket = Content::Ticket(Ticket {
            numero: "T".to_owned(),
            statut: super::OPEN,
            ouvert_le: at,
            ferme_le: None,
            commentaire: None,
        });
        let line = Content::Line(Line {
            ticket_id: None,
            article_code: "A".to_owned(),
            designation: "A".to_owned(),
            quantite: Millionths(1),
            unite: "kg".to_owned(),
            poids_kg: None,
            recu_le: at,
        });
        for content in [ticket, line] {
            let json: serde_json::Value = serde_json::from_str(&content.json()).expect("JSON");
            let names: Vec<_> = json.as_object().expect("an object").keys().cloned().collect();
            let mut known = Kind::members(content.kind()).to_vec();
            known.sort_unstable();
            let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(known, names);
        }
    }
}
