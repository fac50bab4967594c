//! One entity of a batch as it was sent, or everything that is wrong with it.

use super::answer::EntityError;
use super::content::{Content, Kind};
use super::members::{Members, data_of};
use crate::json::{View, view};
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use uuid::Uuid;

/// What is to become of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub kind: Kind,
    pub id: Uuid,
    /// What it shall hold; `None` deletes it.
    pub content: Option<Content>,
    pub updated_at: DateTime<Utc>,
    /// The version that the change was made to, 0 for none.
    pub base_version: Option<i64>,
}

/// An entity's place in its answer: type and id as they were sent, as far as they are texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) kind: Option<String>,
    pub(super) id: Option<String>,
}

/// Characters of a type or an id that an answer repeats.
const SHOWN: usize = 100;

impl Label {
    pub(super) fn of(raw: &RawValue) -> Self {
        let View::Object(members) = view(raw) else { return Self::default() };
        let text = |name: &str| {
            let (_, raw) = members.iter().find(|(member, _)| member == name)?;
            match view(raw) {
                View::Text(text) => Some(text.chars().take(SHOWN).collect()),
                _ => None,
            }
        };
        Self { kind: text("type"), id: text("id") }
    }
}

impl Item {
    /// Reads an entity, strictly: its depth was bounded before.
    pub(super) fn read(raw: &RawValue) -> Result<Self, Vec<EntityError>> {
        let Some(mut members) = Members::of("", raw) else {
            let message = "an entity is an object".to_owned();
            return Err(vec![EntityError::new("INVALID", message, None)]);
        };
        let kind = members.word("type", Kind::ALL.map(Kind::as_str)).and_then(Kind::parse);
        let id = members.id("id");
        let op = members.word("op", ["upsert", "delete"]);
        let updated_at = members.instant("updated_at");
        let base_version = members.count_or_null("base_version");
        let data = members.raw("data").filter(|raw| !matches!(view(raw), View::Null));
        members.refuse_others();
        let mut errors = members.errors;
        let mut tell = |code: &'static str, text: &str| {
            let field = Some("data".to_owned());
            errors.push(EntityError::new(code, format!("data: {text}"), field));
        };
        let content = match (op, data, kind) {
            (Some("upsert"), None, _) => {
                tell("REQUIRED", "required of an upsert");
                None
            }
            (Some("delete"), Some(_), _) => {
                tell("INVALID", "null is expected of a delete");
                None
            }
            (Some("upsert"), Some(raw), Some(kind)) => match data_of(kind, raw) {
                Ok(content) => Some(content),
                Err(more) => {
                    errors.extend(more);
                    None
                }
            },
            _ => None,
        };
        match (kind, id, updated_at, base_version) {
            (Some(kind), Some(id), Some(updated_at), Some(base_version)) if errors.is_empty() => {
                Ok(Self { kind, id, content, updated_at, base_version })
            }
            _ => Err(errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Item, Label};
    use serde_json::value::RawValue;

    fn of(text: &str) -> Result<Item, Vec<String>> {
        let raw: &RawValue = serde_json::from_str(text).expect("valid JSON");
        Item::read(raw).map_err(|errors| {
            let field = |error: &super::EntityError| error.field.clone().unwrap_or_default();
            errors.iter().map(|error| format!("{} {}", error.code, field(error))).collect()
        })
    }

    const LINE: &str = r#""type":"reception_line","id":"018f0000-0000-7000-8000-000000000001",
        "op":"upsert","updated_at":"2026-11-20T10:00:00.1239Z","base_version":null"#;

    fn line(data: &str) -> Result<Item, Vec<String>> {
        of(&format!("{{{LINE},\"data\":{{{data}}}}}"))
    }

    const DATA: &str = r#""ticket_id":null,"article_code":"A-1","designation":"Tôle","unite":"kg","recu_le":"2026-11-20T11:00:00+01:00""#;

    #[test]
    fn spellings_of_one_content_are_equal() {
        let one = line(&format!(r#"{DATA},"quantite":12.50,"poids_kg":"0""#)).expect("an item");
        let other = line(&format!(r#"{DATA},"quantite":"1.25e1","poids_kg":0.000"#));
        assert_eq!(Ok(&one), other.as_ref());
        let json = one.content.expect("an upsert").json();
        assert_eq!(
            json,
            r#"{"ticket_id":null,"article_code":"A-1","designation":"Tôle","quantite":"12.5","unite":"kg","poids_kg":"0","recu_le":"2026-11-20T10:00:00Z"}"#
        );
    }

    /// R-000-15, S-12, S-26
    #[test]
    fn every_error_of_a_line_is_told_with_its_place() {
        for (rest, expected) in [
            (r#""quantite":0"#, "INVALID data.quantite"),
            (r#""quantite":-1"#, "INVALID data.quantite"),
            (r#""quantite":0.0000001"#, "INVALID data.quantite"),
            (r#""quantite":"NaN""#, "INVALID data.quantite"),
            (r#""quantite":null"#, "REQUIRED data.quantite"),
            (r#""quantite":1,"poids_kg":-0.5"#, "INVALID data.poids_kg"),
            (r#""quantite":1,"quantite":1"#, "DUPLICATE_FIELD data.quantite"),
            (r#""quantite":1,"site_id":2"#, "UNKNOWN_FIELD data.site_id"),
            (r#""quantite":1,"version":2"#, "UNKNOWN_FIELD data.version"),
        ] {
            assert_eq!(line(&format!("{DATA},{rest}")), Err(vec![expected.to_owned()]), "{rest}");
        }
        let nul = DATA.replace("A-1", "A\\u0000");
        assert_eq!(
            line(&format!(r#"{nul},"quantite":1"#)),
            Err(vec!["INVALID data.article_code".to_owned()])
        );
        let errors =
            of(r#"{"type":"x","op":"upsert","data":[],"id":"1","new":1}"#).expect_err("wrong");
        assert_eq!(
            errors,
            ["INVALID type", "INVALID id", "REQUIRED updated_at", "UNKNOWN_FIELD new"]
        );
        assert!(of("7").is_err());
    }

    #[test]
    fn a_ticket_is_closed_with_a_time_and_a_delete_has_no_data() {
        let ticket = |rest: &str| {
            let head = LINE.replace("reception_line", "ticket");
            of(&format!(
                r#"{{{head},"data":{{"numero":"T","ouvert_le":"2026-11-20T10:00:00Z",{rest}}}}}"#
            ))
        };
        assert!(ticket(r#""statut":"ouvert","commentaire":"a\nb""#).is_ok());
        assert!(ticket(r#""statut":"ferme","ferme_le":"2026-11-20T10:00:00Z""#).is_ok());
        let missing = Err(vec!["REQUIRED data.ferme_le".to_owned()]);
        assert_eq!(ticket(r#""statut":"ferme","ferme_le":null"#), missing);
        let wrong = Err(vec!["INVALID data.ferme_le".to_owned()]);
        assert_eq!(ticket(r#""statut":"ouvert","ferme_le":"2026-11-20T10:00:00Z""#), wrong);
        let delete = LINE.replace("upsert", "delete");
        assert!(of(&format!("{{{delete}}}")).is_ok_and(|item| item.content.is_none()));
        assert!(of(&format!("{{{delete},\"data\":{{}}}}")).is_err());
        assert_eq!(of(&format!("{{{LINE}}}")), Err(vec!["REQUIRED data".to_owned()]));
    }

    #[test]
    fn a_label_repeats_what_was_sent() {
        let raw: &RawValue = serde_json::from_str(r#"{"type":"x","id":7}"#).expect("valid JSON");
        let label = Label { kind: Some("x".to_owned()), id: None };
        assert_eq!(Label::of(raw), label);
    }
}
