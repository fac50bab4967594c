//! What comes in: bodies, and what they must be to become a schedule.

use super::store::plausible;
use crate::error::ApiError;
use ::jobs::Catalog;
use chrono::{DateTime, Utc};
use queue::NewJob;
use queue::schedule::{DEFAULT_MISSED, Definition, Fold, Gap, Missed, Overlap};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Characters of a reason.
const MAX_REASON: usize = 500;

/// A schedule as it is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleBody {
    /// `[a-z0-9_.-]{1,64}`; with PUT it may be absent, since the path says it.
    #[schema(example = "nightly_stock")]
    name: Option<String>,
    /// `minute hour day month weekday` as in a crontab, or six fields with seconds first (there 1
    /// is Sunday, and day and weekday must both match).
    #[schema(example = "30 2 * * *")]
    cron: String,
    /// IANA name; `UTC` if absent.
    #[schema(example = "Africa/Kinshasa")]
    timezone: Option<String>,
    /// The kind of job.
    #[schema(example = "verify_stock")]
    kind: String,
    /// The job's payload; `{}` if absent.
    #[schema(value_type = Option<Object>)]
    payload: Option<Box<RawValue>>,
    /// A time of day that does not exist: `run` (default; once, right after the gap) or `skip`.
    on_gap: Option<String>,
    /// A time of day that comes twice: `first` (default), `second` or `both`.
    on_fold: Option<String>,
    /// Ticks more than a minute late: `skip`, `once` (default; one job for all) or `all`.
    missed: Option<String>,
    /// How many of them at the most if `all`: 1 to 1000; 100 if absent.
    missed_limit: Option<u32>,
    /// A tick whose predecessor's job has no end yet: `skip` (default) or `allow`.
    overlap: Option<String>,
}

/// An expression to try out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewBody {
    #[schema(example = "30 2 * * *")]
    cron: String,
    /// IANA name; `UTC` if absent.
    timezone: Option<String>,
    /// `run` (default) or `skip`.
    on_gap: Option<String>,
    /// `first` (default), `second` or `both`.
    on_fold: Option<String>,
    /// 1 to 100; 20 if absent.
    pub(super) count: Option<u32>,
    /// Instants after this one; now if absent.
    pub(super) from: Option<DateTime<Utc>>,
}

/// A rest; an empty body is one without end.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseBody {
    /// When it ends by itself.
    pub(super) until: Option<DateTime<Utc>>,
    /// For people, at most 500 characters.
    pub(super) reason: Option<String>,
}

impl ScheduleBody {
    /// The schedule that is meant; `path` is the name that the path says.
    pub(super) fn definition(self, path: Option<String>) -> Result<Definition, ApiError> {
        let name = match (self.name, path) {
            (Some(name), Some(path)) if name != path => {
                let sentence = "`name`: another name than the path's; leave one of them out";
                return Err(ApiError::Invalid(sentence.to_owned()));
            }
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => return Err(ApiError::Invalid("`name` is missing".to_owned())),
        };
        Ok(Definition {
            name,
            cron: self.cron,
            timezone: self.timezone.unwrap_or_else(|| "UTC".to_owned()),
            kind: self.kind,
            payload: self.payload.map_or_else(|| "{}".to_owned(), |json| json.get().to_owned()),
            on_gap: word("on_gap", self.on_gap, Gap::parse, Gap::WORDS, Gap::Run)?,
            on_fold: word("on_fold", self.on_fold, Fold::parse, Fold::WORDS, Fold::First)?,
            missed: word("missed", self.missed, Missed::parse, Missed::WORDS, Missed::Once)?,
            missed_limit: self.missed_limit.unwrap_or(DEFAULT_MISSED),
            overlap: word("overlap", self.overlap, Overlap::parse, Overlap::WORDS, Overlap::Skip)?,
        })
    }
}

impl PreviewBody {
    pub(super) fn definition(&self) -> Result<Definition, ApiError> {
        let zone = self.timezone.as_deref().unwrap_or("UTC");
        let gap = word("on_gap", self.on_gap.clone(), Gap::parse, Gap::WORDS, Gap::Run)?;
        let fold = word("on_fold", self.on_fold.clone(), Fold::parse, Fold::WORDS, Fold::First)?;
        let definition = Definition::new("untitled", &self.cron, zone, "", "{}");
        Ok(Definition { on_gap: gap, on_fold: fold, ..definition })
    }
}

impl PauseBody {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let body: Self = serde_json::from_slice(bytes)
            .map_err(|error| ApiError::Invalid(format!("body: {error}")))?;
        plausible("until", body.until)?;
        let is_text = |reason: &String| {
            reason.chars().count() <= MAX_REASON && !reason.chars().any(char::is_control)
        };
        if !body.reason.as_ref().is_none_or(is_text) {
            return Err(ApiError::Invalid(format!(
                "`reason`: allowed are at most {MAX_REASON} characters on one line"
            )));
        }
        Ok(body)
    }
}

/// The job that a schedule puts in, or why this version cannot make it.
pub(super) fn job(catalog: &Catalog, wanted: &Definition) -> Result<NewJob, String> {
    let Ok(kind) = catalog.get(&wanted.kind) else {
        let known: Vec<_> = catalog.iter().map(|kind| kind.name).collect();
        let shown = wanted.kind.escape_debug();
        return Err(format!("`kind`: no job of kind `{shown}`; allowed: {}", known.join(", ")));
    };
    kind.new_job(&wanted.payload)
        .map_err(|error| format!("`payload`: not one of `{}`: {error}", wanted.kind))
}

fn word<T>(
    field: &str,
    word: Option<String>,
    parse: fn(&str) -> Option<T>,
    words: &[&str],
    usual: T,
) -> Result<T, ApiError> {
    let Some(word) = word else { return Ok(usual) };
    parse(&word).ok_or_else(|| {
        let shown = word.escape_debug();
        ApiError::Invalid(format!("`{field}`: `{shown}`; allowed: {}", words.join(", ")))
    })
}
