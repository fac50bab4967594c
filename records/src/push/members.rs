//! The members of one pushed entity, read strictly: each once, none unknown, every error with its
//! place (S-12, S-26).

use super::answer::EntityError;
use super::content::{CLOSED, Content, Kind, Line, Millionths, OPEN, Ticket};
use crate::json::{View, view};
use crate::ventes::money;
use chrono::{DateTime, Datelike, Utc};
use serde_json::value::RawValue;
use uuid::Uuid;

/// Years in which instants are credible (S-26).
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2100;
/// Characters of a member's name that an error repeats.
const SHOWN: usize = 50;

/// Every reader answers `None` after telling an error.
pub(super) struct Members<'a> {
    place: &'static str,
    members: Vec<(String, &'a RawValue)>,
    pub(super) errors: Vec<EntityError>,
}

impl<'a> Members<'a> {
    /// `place` stands before every name, such as `data.`.
    pub(super) fn of(place: &'static str, raw: &'a RawValue) -> Option<Self> {
        match view(raw) {
            View::Object(members) => Some(Self { place, members, errors: Vec::new() }),
            _ => None,
        }
    }

    pub(super) fn error(&mut self, code: &'static str, name: &str, expected: &str) {
        let name: String = name.chars().take(SHOWN).collect();
        let field = format!("{}{name}", self.place);
        let message = format!("{field}: {expected}");
        self.errors.push(EntityError::new(code, message, Some(field)));
    }

    fn invalid(&mut self, name: &str, expected: &str) {
        self.error("INVALID", name, &format!("{expected} is expected"));
    }

    /// Tells of every member that nobody asked for.
    pub(super) fn refuse_others(&mut self) {
        for (name, _) in std::mem::take(&mut self.members) {
            self.error("UNKNOWN_FIELD", &name, "there is no such member");
        }
    }

    /// Takes a member out, as it was written.
    pub(super) fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let position = self.members.iter().position(|(member, _)| member == name)?;
        let (_, raw) = self.members.remove(position);
        if self.members.iter().any(|(member, _)| member == name) {
            self.error("DUPLICATE_FIELD", name, "present more than once");
            self.members.retain(|(member, _)| member != name);
        }
        Some(raw)
    }

    /// Takes a member out; `null` counts as absent.
    fn take(&mut self, name: &str) -> Option<View<'a>> {
        self.raw(name).map(view).filter(|value| !matches!(value, View::Null))
    }

    fn required<T>(&mut self, name: &str, value: Option<Option<T>>) -> Option<T> {
        let value = value?;
        if value.is_none() {
            self.error("REQUIRED", name, "required");
        }
        value
    }

    fn text_or_null(&mut self, name: &str, max: usize, lines: bool) -> Option<Option<String>> {
        let text = match self.take(name) {
            None => return Some(None),
            Some(View::Text(text)) => text,
            Some(_) => String::new(),
        };
        let may_hold = |c: char| !c.is_control() || (lines && matches!(c, '\n' | '\r' | '\t'));
        let fits = !text.is_empty() && text.chars().nth(max).is_none();
        if fits && text.chars().all(may_hold) {
            return Some(Some(text));
        }
        self.invalid(name, &format!("a text of 1 to {max} characters without control characters"));
        None
    }

    pub(super) fn text(&mut self, name: &str, max: usize) -> Option<String> {
        let text = self.text_or_null(name, max, false);
        self.required(name, text)
    }

    pub(super) fn id_or_null(&mut self, name: &str) -> Option<Option<Uuid>> {
        let id = match self.take(name) {
            None => return Some(None),
            Some(View::Text(text)) if text.len() == 36 => Uuid::try_parse(&text).ok(),
            Some(_) => None,
        };
        if id.is_none() {
            self.invalid(name, "a UUID of 36 characters");
        }
        id.map(Some)
    }

    pub(super) fn id(&mut self, name: &str) -> Option<Uuid> {
        let id = self.id_or_null(name);
        self.required(name, id)
    }

    fn instant_or_null(&mut self, name: &str) -> Option<Option<DateTime<Utc>>> {
        let at = match self.take(name) {
            None => return Some(None),
            Some(View::Text(text)) => DateTime::parse_from_rfc3339(&text).ok(),
            Some(_) => None,
        };
        // Milliseconds are what both databases keep.
        let at = at.and_then(|at| DateTime::from_timestamp_millis(at.timestamp_millis()));
        let at = at.filter(|at| YEARS.contains(&at.year()));
        if at.is_none() {
            self.invalid(name, "an instant of the years 2000 to 2100 as RFC 3339 has it");
        }
        at.map(Some)
    }

    pub(super) fn instant(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let at = self.instant_or_null(name);
        self.required(name, at)
    }

    /// A decimal number as a number or a text, never rounded.
    fn decimal_or_null(&mut self, name: &str, least: i64) -> Option<Option<Millionths>> {
        let number = match self.take(name) {
            None => return Some(None),
            Some(View::Number(text)) => money::parse_millionths(text).ok(),
            Some(View::Text(text)) => money::parse_millionths(&text).ok(),
            Some(_) => None,
        };
        let number = number.filter(|millionths| *millionths >= least).map(Millionths);
        if number.is_none() {
            let least = if least > 0 { "more than 0" } else { "0 or more" };
            let expected = format!("a decimal number, {least} and below 10^12, of 6 decimals");
            self.invalid(name, &expected);
        }
        number.map(Some)
    }

    /// One of `words`.
    pub(super) fn word(&mut self, name: &str, words: [&'static str; 2]) -> Option<&'static str> {
        let word = match self.take(name) {
            None => return self.required(name, Some(None)),
            Some(View::Text(text)) => words.into_iter().find(|word| *word == text),
            Some(_) => None,
        };
        if word.is_none() {
            self.invalid(name, &format!("`{}` or `{}`", words[0], words[1]));
        }
        word
    }

    /// A whole number, 0 or more, or `null`.
    pub(super) fn count_or_null(&mut self, name: &str) -> Option<Option<i64>> {
        let count = match self.take(name) {
            None => return Some(None),
            Some(View::Number(text)) => money::parse_whole(text).ok(),
            Some(_) => None,
        };
        let count = count.filter(|count| *count <= 1 << 53);
        if count.is_none() {
            self.invalid(name, "an integer of at least 0 or null");
        }
        count.map(Some)
    }
}

/// Reads an entity's content, strictly.
pub fn data_of(kind: Kind, raw: &RawValue) -> Result<Content, Vec<EntityError>> {
    let Some(mut members) = Members::of("data.", raw) else {
        let message = "data: an object is expected".to_owned();
        return Err(vec![EntityError::new("INVALID", message, Some("data".to_owned()))]);
    };
    let content = match kind {
        Kind::ReceptionLine => line(&mut members).map(Content::Line),
        Kind::Ticket => ticket(&mut members).map(Content::Ticket),
    };
    members.refuse_others();
    match content {
        Some(content) if members.errors.is_empty() => Ok(content),
        _ => Err(members.errors),
    }
}

// Each member is read before any is judged missing, so that every error is told.

fn line(members: &mut Members<'_>) -> Option<Line> {
    let ticket_id = members.id_or_null("ticket_id");
    let article_code = members.text("article_code", 100);
    let designation = members.text("designation", 200);
    let quantite = members.decimal_or_null("quantite", 1);
    let quantite = members.required("quantite", quantite);
    let unite = members.text("unite", 20);
    let poids_kg = members.decimal_or_null("poids_kg", 0);
    let recu_le = members.instant("recu_le");
    Some(Line {
        ticket_id: ticket_id?,
        article_code: article_code?,
        designation: designation?,
        quantite: quantite?,
        unite: unite?,
        poids_kg: poids_kg?,
        recu_le: recu_le?,
    })
}

fn ticket(members: &mut Members<'_>) -> Option<Ticket> {
    let numero = members.text("numero", 100);
    let statut = members.word("statut", [OPEN, CLOSED]);
    let ouvert_le = members.instant("ouvert_le");
    let ferme_le = members.instant_or_null("ferme_le");
    let commentaire = members.text_or_null("commentaire", 2_000, true);
    match (statut, &ferme_le) {
        (Some(CLOSED), Some(None)) => {
            members.error("REQUIRED", "ferme_le", "required of a closed ticket")
        }
        (Some(OPEN), Some(Some(_))) => members.invalid("ferme_le", "null, as the ticket is open,"),
        _ => {}
    }
    Some(Ticket {
        numero: numero?,
        statut: statut?,
        ouvert_le: ouvert_le?,
        ferme_le: ferme_le?,
        commentaire: commentaire?,
    })
}
