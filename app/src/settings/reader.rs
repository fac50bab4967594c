//! Reads typed values out of the layers and notes every one that is not allowed.
//!
//! A wrong value is replaced by its default, so that reading goes on and finds the next one;
//! the result is thrown away when anything was noted.

use super::layers::{Found, Layers};
use super::problem::Problem;
use std::ops::RangeInclusive;
use toml::Value;

pub(super) struct Reader {
    layers: Layers,
}

impl Reader {
    pub(super) fn new(layers: Layers) -> Self {
        Self { layers }
    }

    /// A whole number within `range`.
    pub(super) fn number<T: TryFrom<u64>>(&mut self, key: &str, range: RangeInclusive<u64>) -> T {
        let found = self.found(key);
        let number = match &found.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::String(text) if found.is_untyped() => text.trim().parse().ok(),
            _ => None,
        };
        let quotes = if matches!(found.value, Value::String(_)) && !found.is_untyped() {
            ", without quotes"
        } else {
            ""
        };
        let allowed = format!("a whole number from {} to {}{quotes}", range.start(), range.end());
        match number.filter(|number| range.contains(number)).and_then(|n| T::try_from(n).ok()) {
            Some(number) => number,
            None => {
                self.wrong(key, allowed);
                let default = self.layers.defaults[key].as_integer().unwrap_or_default();
                let default = u64::try_from(default).unwrap_or_default();
                T::try_from(default).ok().expect("a default lies within its range")
            }
        }
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &str) -> bool {
        let found = self.found(key);
        let flag = match &found.value {
            Value::Boolean(flag) => Some(*flag),
            Value::String(text) if found.is_untyped() => match text.trim() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        flag.unwrap_or_else(|| {
            self.wrong(key, "true or false");
            self.layers.defaults[key].as_bool().unwrap_or_default()
        })
    }

    /// A text that `parse` understands; its error says what is allowed.
    pub(super) fn parsed<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let result = match &self.found(key).value {
            Value::String(text) => parse(text),
            _ => Err("a text in quotes".to_owned()),
        };
        result.unwrap_or_else(|allowed| {
            self.wrong(key, allowed);
            let default = self.layers.defaults[key].as_str().unwrap_or_default();
            parse(default).expect("the compiled-in defaults are allowed")
        })
    }

    /// Notes that the value of `key` is not allowed.
    pub(super) fn wrong(&mut self, key: &str, allowed: impl Into<String>) {
        let found = self.found(key);
        let problem = Problem::wrong(key, &found.value, &found.origin, allowed);
        self.layers.problems.push(problem);
    }

    /// The same for a value that may be absent; then what it belongs to is named instead.
    pub(super) fn wrong_or_absent(&mut self, key: &str, owner: &str, allowed: String) {
        let key = if self.layers.found.contains_key(key) { key } else { owner };
        self.wrong(key, allowed);
    }

    /// Notes that allowed values do not go together.
    pub(super) fn conflict(&mut self, sentence: String) {
        self.layers.problems.push(Problem::Conflict(sentence));
    }

    /// What said the value of `key`, for a sentence about it.
    pub(super) fn origin(&self, key: &str) -> String {
        self.found(key).origin.to_string()
    }

    /// The compiled-in text of `key`.
    pub(super) fn default_text(&self, key: &str) -> String {
        self.layers.defaults[key].as_str().unwrap_or_default().to_owned()
    }

    /// Names of all schedules.
    pub(super) fn schedules(&self) -> Vec<String> {
        let keys = self.layers.found.keys().filter_map(|key| key.strip_prefix("schedule."));
        let mut names: Vec<_> =
            keys.filter_map(|key| Some(key.rsplit_once('.')?.0.to_owned())).collect();
        names.dedup();
        names
    }

    /// A value that may be absent: a field of a schedule.
    pub(super) fn optional(&self, key: &str) -> Option<&Value> {
        self.layers.found.get(key).map(|found| &found.value)
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.layers.problems
    }

    fn found(&self, key: &str) -> &Found {
        self.layers.found.get(key).expect("every key that is read has a default")
    }
}
