//! What a local server sent in one request, down to its entities, each as it was written (D-31).
//!
//! What is wrong out here is wrong with the request as a whole; what is wrong with one entity is
//! that entity's answer.

use super::{MAX_DEPTH, MAX_ENTITIES, SCHEMA};
use crate::json::{self, NoList, View, too_deep, view};
use crate::ventes::money;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// A batch of one site.
#[derive(Debug)]
pub struct Batch {
    pub batch_id: Uuid,
    pub mode: Mode,
    pub on_conflict: OnConflict,
    /// What the body says besides the key; it may only agree.
    pub site_id: Option<i64>,
    pub entities: Vec<Box<RawValue>>,
}

/// Whether entities stand and fall together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Atomic,
    PerEntity,
}

/// What a conflict means for its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// The strategy decides, both sides are kept.
    Resolve,
    /// It counts as a failure; the conflict stays open.
    Abort,
}

/// Why a body is no batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("the body is not JSON in UTF-8")]
    NotJson,
    #[error("the batch nests deeper than {max} levels")]
    TooDeep { max: usize },
    #[error("the batch has more than {max} entities")]
    TooManyEntities { max: usize },
    #[error("schema_version {sent} is no longer understood: send {min} or newer")]
    SchemaTooOld { sent: i64, min: i64 },
    #[error("schema_version {sent} is not understood yet, up to {max} is: send the batch again")]
    SchemaTooNew { sent: i64, max: i64 },
    /// Where, and what is allowed.
    #[error("{0}")]
    Invalid(String),
}

const NAMES: [&str; 6] =
    ["batch_id", "schema_version", "mode", "on_conflict", "site_id", "entities"];

impl Batch {
    /// Reads a body, hostile ones only as far as their first excess.
    pub fn parse(body: &[u8]) -> Result<Self, BatchError> {
        if too_deep(body, MAX_DEPTH) {
            return Err(BatchError::TooDeep { max: MAX_DEPTH });
        }
        let text = std::str::from_utf8(body).map_err(|_| BatchError::NotJson)?;
        let raw: &RawValue = serde_json::from_str(text).map_err(|_| BatchError::NotJson)?;
        let View::Object(members) = view(raw) else {
            return Err(BatchError::Invalid("body: a JSON object is expected".to_owned()));
        };
        let outer = Outer { members };
        // First of all: a newer client may send what this server cannot know.
        outer.check_schema()?;
        outer.check_names()?;
        Ok(Self {
            batch_id: outer.batch_id()?,
            mode: outer
                .word("mode", [("atomic", Mode::Atomic), ("per_entity", Mode::PerEntity)])?,
            on_conflict: outer.word(
                "on_conflict",
                [("resolve", OnConflict::Resolve), ("abort", OnConflict::Abort)],
            )?,
            site_id: outer.site_id()?,
            entities: outer.entities()?,
        })
    }
}

struct Outer<'a> {
    members: Vec<(String, &'a RawValue)>,
}

impl<'a> Outer<'a> {
    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, raw)| *raw)
    }

    fn get(&self, name: &str) -> Option<View<'a>> {
        self.raw(name).map(view).filter(|value| !matches!(value, View::Null))
    }

    fn check_schema(&self) -> Result<(), BatchError> {
        let (min, max) = SCHEMA;
        let version = match self.get("schema_version") {
            Some(View::Number(text)) => money::parse_whole(text).ok(),
            _ => None,
        };
        match version {
            Some(sent) if sent < min => Err(BatchError::SchemaTooOld { sent, min }),
            Some(sent) if sent > max => Err(BatchError::SchemaTooNew { sent, max }),
            Some(_) => Ok(()),
            None => Err(wrong("schema_version", &format!("an integer from {min} to {max}"))),
        }
    }

    fn check_names(&self) -> Result<(), BatchError> {
        for (index, (name, _)) in self.members.iter().enumerate() {
            if !NAMES.contains(&name.as_str()) {
                let shown: String = name.chars().take(50).collect();
                return Err(wrong(&shown, &format!("only {}", NAMES.join(", "))));
            }
            if self.members[..index].iter().any(|(before, _)| before == name) {
                return Err(wrong(name, "present once"));
            }
        }
        Ok(())
    }

    fn batch_id(&self) -> Result<Uuid, BatchError> {
        let id = match self.get("batch_id") {
            Some(View::Text(text)) if text.len() == 36 => Uuid::try_parse(&text).ok(),
            _ => None,
        };
        id.ok_or_else(|| wrong("batch_id", "a UUID of 36 characters"))
    }

    /// The first of `words` unless there is one.
    fn word<T: Copy>(&self, name: &str, words: [(&str, T); 2]) -> Result<T, BatchError> {
        let found = match self.get(name) {
            None => return Ok(words[0].1),
            Some(View::Text(text)) => words.iter().find(|(word, _)| *word == text).map(|(_, t)| *t),
            Some(_) => None,
        };
        found.ok_or_else(|| wrong(name, &format!("`{}` or `{}`", words[0].0, words[1].0)))
    }

    fn site_id(&self) -> Result<Option<i64>, BatchError> {
        match self.get("site_id") {
            None => Ok(None),
            Some(View::Number(text)) if money::parse_whole(text).is_ok() => {
                Ok(money::parse_whole(text).ok())
            }
            Some(_) => Err(wrong("site_id", "an integer")),
        }
    }

    fn entities(&self) -> Result<Vec<Box<RawValue>>, BatchError> {
        let wrong = || wrong("entities", &format!("an array of 1 to {MAX_ENTITIES} entities"));
        let raw = self.raw("entities").ok_or_else(wrong)?;
        if !raw.get().starts_with('[') {
            return Err(wrong());
        }
        match json::list(raw.get(), MAX_ENTITIES) {
            Ok(entities) if entities.is_empty() => Err(wrong()),
            Ok(entities) => Ok(entities),
            Err(NoList::TooMany) => Err(BatchError::TooManyEntities { max: MAX_ENTITIES }),
            Err(NoList::Syntax) => Err(wrong()),
        }
    }
}

fn wrong(name: &str, allowed: &str) -> BatchError {
    BatchError::Invalid(format!("{name}: {allowed} is expected"))
}

#[cfg(test)]
mod tests {
    use super::{Batch, BatchError, Mode, OnConflict};

    const HEAD: &str = r#""batch_id":"018f0000-0000-7000-8000-000000000001","schema_version":1"#;

    fn error(body: &str) -> String {
        match Batch::parse(body.as_bytes()) {
            Ok(batch) => format!("{batch:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_envelope_has_defaults_and_nothing_else() {
        let batch = Batch::parse(format!(r#"{{{HEAD},"entities":[1,{{}}]}}"#).as_bytes());
        let batch = batch.expect("a batch");
        assert_eq!((batch.mode, batch.on_conflict), (Mode::Atomic, OnConflict::Resolve));
        assert_eq!((batch.entities.len(), batch.site_id), (2, None));
        for (rest, place) in [
            (r#""entities":[]"#, "entities:"),
            (r#""entities":null"#, "entities:"),
            (r#""entities":{}"#, "entities:"),
            (r#""entities":[1],"entities":[1]"#, "entities: present once"),
            (r#""entities":[1],"extra":1"#, "extra: only"),
            (r#""entities":[1],"mode":"Atomic""#, "mode: `atomic` or `per_entity`"),
            (r#""entities":[1],"on_conflict":1"#, "on_conflict:"),
            (r#""entities":[1],"site_id":"1""#, "site_id: an integer"),
            (r#""schema_version":1,"entities":[1]"#, "schema_version: present once"),
        ] {
            let told = error(&format!("{{{HEAD},{rest}}}"));
            assert!(told.starts_with(place), "{rest}: {told}");
        }
        for body in ["", "[", "[]", "1", "{\"a\"}", "{} {}", "\u{feff}{}"] {
            assert!(!error(body).starts_with("Batch"), "{body}");
        }
        assert_eq!(Batch::parse(b"\"\xff\"").err(), Some(BatchError::NotJson));
    }

    #[test]
    fn a_schema_is_judged_before_unknown_members() {
        let of = |version: &str| {
            error(&format!(r#"{{"schema_version":{version},"new":true,"entities":[]}}"#))
        };
        assert!(of("0").contains("no longer understood"));
        assert!(of("2").contains("not understood yet"));
        assert!(of("1").starts_with("new: only"));
        assert!(of("null").starts_with("schema_version:"));
        assert!(of("1.5").starts_with("schema_version:"));
    }

    #[test]
    fn limits_come_before_the_rest() {
        let of = |count: usize| {
            error(&format!(r#"{{{HEAD},"entities":[{}1]}}"#, "1,".repeat(count - 1)))
        };
        assert!(of(1_000).starts_with("Batch"));
        assert_eq!(of(1_001), BatchError::TooManyEntities { max: 1_000 }.to_string());
        let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
        assert_eq!(error(&deep), BatchError::TooDeep { max: 32 }.to_string());
    }
}
