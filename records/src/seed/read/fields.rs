//! The members of one row of a seed file: each is read once by name, whatever is left over is
//! an error.

use crate::json::{View, view};
use crate::ventes::money::{self, MoneyError};
use rust_decimal::Decimal;
use serde_json::value::RawValue;

/// Chosen to leave room for every sum a database may make of it.
const MAX_STOCK: i64 = 1_000_000_000_000;
const MAX_TEXT_CHARS: usize = 200;

/// Every reader answers `None` after telling an error; of optional ones the inner option says
/// whether the member is there.
pub(super) struct Fields<'a, 'e> {
    place: String,
    members: Vec<(String, &'a RawValue)>,
    errors: &'e mut Vec<String>,
}

impl<'a, 'e> Fields<'a, 'e> {
    pub(super) fn new(
        place: String,
        members: Vec<(String, &'a RawValue)>,
        errors: &'e mut Vec<String>,
    ) -> Self {
        Self { place, members, errors }
    }

    pub(super) fn error(&mut self, name: &str, what: &str) {
        self.errors.push(format!("{}{name}: {what}", self.place));
    }

    /// Tells of every member that nobody asked for.
    pub(super) fn refuse_others(mut self) {
        for (name, _) in std::mem::take(&mut self.members) {
            self.error(&name, "unknown member");
        }
    }

    /// Takes a member out; `null` counts as absent.
    fn take(&mut self, name: &str) -> Option<View<'a>> {
        let position = self.members.iter().position(|(member, _)| member == name)?;
        let (_, raw) = self.members.remove(position);
        if self.members.iter().any(|(member, _)| member == name) {
            self.error(name, "present more than once");
            self.members.retain(|(member, _)| member != name);
        }
        Some(view(raw)).filter(|value| !matches!(value, View::Null))
    }

    pub(super) fn list(&mut self, name: &str) -> Vec<&'a RawValue> {
        match self.take(name) {
            None => Vec::new(),
            Some(View::List(rows)) => rows,
            Some(_) => {
                self.error(name, "an array is expected");
                Vec::new()
            }
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let text = self.optional_text(name)?;
        if text.is_none() {
            self.error(name, "required");
        }
        text
    }

    pub(super) fn optional_text(&mut self, name: &str) -> Option<Option<String>> {
        let text = match self.take(name) {
            None => return Some(None),
            Some(View::Text(text)) => text.trim().to_owned(),
            Some(_) => String::new(),
        };
        let fits = !text.is_empty() && text.chars().nth(MAX_TEXT_CHARS).is_none();
        if fits && !text.contains(char::is_control) {
            return Some(Some(text));
        }
        self.error(name, "a text of 1 to 200 characters without control characters is expected");
        None
    }

    /// A text as it stands: a blank at its end is part of a file's name.
    pub(super) fn exact_text(&mut self, name: &str) -> Option<String> {
        match self.take(name) {
            Some(View::Text(text)) => return Some(text),
            Some(_) => self.error(name, "a text is expected"),
            None => self.error(name, "required"),
        }
        None
    }

    pub(super) fn id(&mut self, name: &str) -> Option<i64> {
        let id = self.optional_id(name)?;
        if id.is_none() {
            self.error(name, "required");
        }
        id
    }

    pub(super) fn optional_id(&mut self, name: &str) -> Option<Option<i64>> {
        let id = match self.take(name) {
            None => return Some(None),
            Some(View::Number(text)) => money::parse_whole(text).ok().filter(|id| *id > 0),
            Some(_) => None,
        };
        if id.is_none() {
            self.error(name, "an integer of at least 1 is expected");
        }
        id.map(Some)
    }

    pub(super) fn quantity(&mut self, name: &str) -> Option<i64> {
        let quantity = match self.take(name) {
            None => return Some(0),
            Some(View::Number(text)) => money::parse_whole(text).ok(),
            Some(_) => None,
        };
        let quantity = quantity.filter(|quantity| *quantity <= MAX_STOCK);
        if quantity.is_none() {
            self.error(name, "an integer from 0 to 1000000000000 is expected");
        }
        quantity
    }

    pub(super) fn money(&mut self, name: &str) -> Option<Decimal> {
        let amount = match self.take(name) {
            None => {
                self.error(name, "required");
                return None;
            }
            Some(View::Number(text)) => money::parse(text),
            Some(View::Text(text)) => money::parse(&text),
            Some(_) => Err(MoneyError::NotANumber),
        };
        amount
            .map_err(|error| {
                self.error(name, &format!("{error}; an amount is expected, such as \"40000.00\""))
            })
            .ok()
    }

    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.take(name) {
            None => Some(true),
            Some(View::Bool(flag)) => Some(flag),
            Some(_) => {
                self.error(name, "true or false is expected");
                None
            }
        }
    }

    /// A list of some of the `allowed` words.
    pub(super) fn words(&mut self, name: &str, allowed: &[&str]) -> Option<Vec<String>> {
        let expected = format!("a list with some of {} is expected", allowed.join(", "));
        let Some(View::List(raws)) = self.take(name) else {
            self.error(name, &expected);
            return None;
        };
        let mut words = Vec::with_capacity(raws.len());
        for (index, raw) in raws.into_iter().enumerate() {
            match view(raw) {
                View::Text(word) if allowed.contains(&word.as_str()) => words.push(word),
                _ => self.error(&format!("{name}[{index}]"), &expected),
            }
        }
        Some(words)
    }
}
