//! Which jobs a command is about, and the forms of time that flags take.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use queue::{Filter, State};
use std::time::Duration;

/// Flags that narrow; together they all hold.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which jobs")]
pub(crate) struct Narrow {
    /// Only jobs of this kind
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Only jobs of this queue
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// Only jobs that this principal asked for, such as terminal:0a1b or key:ops
    #[arg(long)]
    pub(crate) principal: Option<String>,
    /// Only jobs of this lane
    #[arg(long)]
    pub(crate) lane: Option<String>,
    /// Only jobs with this attribute
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) attribute: Option<(String, String)>,
    /// Only jobs accepted since: 2026-01-31T12:00:00Z, or an age such as 2h
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub(crate) since: Option<When>,
    /// Only jobs accepted before: 2026-01-31T12:00:00Z, or an age such as 2h
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub(crate) until: Option<When>,
}

impl Narrow {
    /// The filter that the flags mean at `now`.
    pub(crate) fn filter(&self, state: Option<State>, now: DateTime<Utc>) -> Filter {
        Filter {
            state,
            kind: self.kind.clone(),
            queue: self.queue.clone(),
            principal: self.principal.clone(),
            lane: self.lane.clone(),
            attribute: self.attribute.clone(),
            since: self.since.map(|when| when.at(now)),
            until: self.until.map(|when| when.at(now)),
        }
    }

    /// Whether no flag was given.
    pub(crate) fn is_empty(&self) -> bool {
        let names = [&self.kind, &self.queue, &self.principal, &self.lane];
        names.iter().all(|name| name.is_none())
            && self.attribute.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }
}

/// An instant, named itself or by its distance from now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum When {
    At(DateTime<Utc>),
    Away(TimeDelta),
}

impl When {
    pub(crate) fn at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(instant) => instant,
            Self::Away(distance) => now + distance,
        }
    }
}

/// An instant, or how long ago.
pub(crate) fn past(text: &str) -> Result<When, String> {
    if let Ok(age) = length(text) {
        return Ok(When::Away(-TimeDelta::from_std(age).map_err(|_| "too long".to_owned())?));
    }
    instant(text).map(When::At).map_err(|_| {
        "allowed: an instant such as 2026-01-31T12:00:00Z, or an age such as 30m, 2h, 7d".to_owned()
    })
}

/// An instant of RFC 3339.
pub(crate) fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let instant = DateTime::parse_from_rfc3339(text);
    instant
        .map(|instant| instant.to_utc())
        .map_err(|_| "allowed: an instant such as 2026-01-31T12:00:00Z".to_owned())
}

/// A reason: one line, for whoever reads it later.
pub(crate) fn why(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=500).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or_else(|| "allowed: one line of 500 characters".to_owned())
}

/// A length of time such as `500ms`, `30s`, `5m`, `2h` or `7d`; at most ten years.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    const MAX_MS: u64 = 10 * 366 * 86_400_000;
    let allowed =
        || "allowed: a length such as 500ms, 30s, 5m, 2h, 7d; at most ten years".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(allowed()),
    };
    let ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms));
    ms.filter(|ms| *ms <= MAX_MS).map(Duration::from_millis).ok_or_else(allowed)
}

/// `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("allowed: NAME=VALUE".to_owned()),
    }
}

/// The state of that name.
pub(crate) fn state(word: &str) -> Result<State, String> {
    State::parse(word)
        .ok_or_else(|| format!("allowed: {}", State::ALL.map(State::as_str).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{When, length, pair, past};
    use chrono::TimeDelta;
    use std::time::Duration;

    #[test]
    fn times_have_units() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("500ms", Some(ms(500))),
            ("30s", Some(ms(30_000))),
            ("5m", Some(ms(300_000))),
            ("2h", Some(ms(7_200_000))),
            ("7d", Some(ms(604_800_000))),
            ("", None),
            ("5", None),
            ("m", None),
            ("-5m", None),
            ("1.5h", None),
            ("99999999999999999999d", None),
            ("18446744073709551615d", None),
            ("4000d", None),
        ] {
            assert_eq!(length(text).ok(), expected, "{text}");
        }
        assert_eq!(past("2h"), Ok(When::Away(-TimeDelta::hours(2))));
        assert!(past("2026-01-31T12:00:00+01:00").is_ok() && past("yesterday").is_err());
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
