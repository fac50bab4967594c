//! What is wrong with the settings, worded for the person who must change them.
//!
//! No message holds a secret: values of secret settings are masked here.

use std::fmt;

/// Settings whose value may hold a password.
const SECRET: [&str; 2] = ["database.url", "redis.url"];

/// Everything that is wrong, found in one go.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "setting is" } else { "settings are" };
        write!(f, "{} {plural} wrong; nothing was started", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// A name nobody reads.
    Unknown { name: String, origin: String, near: Option<String> },
    /// A value that is not allowed.
    Wrong { key: String, value: String, origin: String, allowed: String },
    /// Values that are each allowed, but not together.
    Conflict(String),
    /// A file that cannot be read.
    Unreadable { origin: String, why: String },
}

impl Problem {
    /// A wrong value, masked if it may hold a secret.
    pub(crate) fn wrong(
        key: &str,
        value: &toml::Value,
        origin: impl fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        let text = match value {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let shown = if SECRET.contains(&key) { masked(&text) } else { shortened(&text) };
        Self::Wrong {
            key: key.to_owned(),
            value: shown,
            origin: origin.to_string(),
            allowed: allowed.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, origin, near: Some(near) } => {
                write!(f, "unknown setting `{name}` (from {origin}); did you mean `{near}`?")
            }
            Self::Unknown { name, origin, near: None } => {
                write!(f, "unknown setting `{name}` (from {origin})")
            }
            Self::Wrong { key, value, origin, allowed } => {
                write!(f, "`{key}` is `{value}` (from {origin}); allowed: {allowed}")
            }
            Self::Conflict(sentence) => f.write_str(sentence),
            Self::Unreadable { origin, why } => write!(f, "{origin} cannot be read: {why}"),
        }
    }
}

/// The known name that a wrong one was probably meant to be.
pub(crate) fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 4).max(2))
        .map(|(_, candidate)| candidate.to_owned())
}

/// Scheme and place of a URL, without user, password and parameters.
pub(crate) fn masked(text: &str) -> String {
    const HIDDEN: &str = "(not shown)";
    let Some((scheme, rest)) = text.split_once("://") else {
        return if text.is_empty() { String::new() } else { HIDDEN.to_owned() };
    };
    if !scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+') {
        return HIDDEN.to_owned();
    }
    let (user, place) = match rest.rsplit_once('@') {
        Some((_, place)) => ("…@", place),
        None => ("", rest),
    };
    let place = place.split(['?', '#']).next().unwrap_or_default();
    // Without an `@`, what follows the colon may be a password whose host was forgotten.
    let authority = place.split('/').next().unwrap_or_default();
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    if !port.chars().all(|c| c.is_ascii_digit() || c == ']') {
        return format!("{scheme}://{HIDDEN}");
    }
    shortened(&format!("{scheme}://{user}{place}"))
}

/// One line of bounded length, safe on a terminal.
fn shortened(text: &str) -> String {
    let mut line: String = text.chars().take(120).flat_map(char::escape_debug).collect();
    if text.chars().nth(120).is_some() {
        line.push('…');
    }
    line
}
