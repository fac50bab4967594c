//! [`JobSpec`]: a job as a client asks for it, and what is allowed of it.

use super::text;
use crate::State;
use crate::error::{ApiError, Limit};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use queue::{NewJob, Unique};
use records::requests;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// What surrounds a payload in an envelope, at the most.
pub(crate) const ENVELOPE_BYTES: usize = 16 * 1024;
/// Options that may stand in a query string.
const OPTIONS: &str = "queue, priority, run_at, delay_seconds, expires_at, timeout_seconds, \
    max_attempts, lane, unique_while_alive, unique_ever and attribute";
const YEAR_SECONDS: u64 = 366 * 86_400;
const DAY_SECONDS: u64 = 86_400;
const MAX_ATTEMPTS: u64 = 1_000;
const MAX_ATTRIBUTES: usize = 16;
/// Of a lane, a key, or an attribute's name or value.
const TEXT_BYTES: usize = 256;

/// A job to put in; what is absent is as its kind says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobSpec {
    #[schema(example = "verify_stock")]
    pub(crate) kind: String,
    /// As the kind defines it.
    #[schema(value_type = Object)]
    pub(crate) payload: Box<RawValue>,
    /// Another queue than the kind's: 1 to 64 of `a-z 0-9 _`.
    #[serde(default)]
    queue: Option<String>,
    /// 0 (first) to 9.
    #[serde(default)]
    priority: Option<u64>,
    /// Not before this instant.
    #[serde(default)]
    run_at: Option<DateTime<Utc>>,
    /// Not before so many seconds have passed; not together with `run_at`.
    #[serde(default)]
    delay_seconds: Option<u64>,
    /// Not started from this instant on.
    #[serde(default)]
    expires_at: Option<DateTime<Utc>>,
    /// How long one attempt may take: 1 to 86400.
    #[serde(default)]
    timeout_seconds: Option<u64>,
    /// Attempts before the job is dead: 1 to 1000.
    #[serde(default)]
    max_attempts: Option<u64>,
    /// Jobs of one lane run one after another. Refused if the kind chooses lanes itself.
    #[serde(default)]
    lane: Option<String>,
    /// When an equal job makes this one superfluous. Refused if the kind says so itself.
    #[serde(default)]
    unique: Option<UniqueKey>,
    /// At most 16 names and values, beside the kind's own, by which the job is found.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// Which jobs of the same kind count as equal, and how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UniqueKey {
    scope: UniqueScope,
    key: String,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum UniqueScope {
    /// While such a job has no end.
    WhileAlive,
    /// As long as such a job is kept.
    Ever,
}

impl JobSpec {
    /// Reads an envelope: `{"kind":…,"payload":…, options}`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        crate::body::object(bytes)
    }

    /// A payload as the body, options in the query string.
    pub(crate) fn of_query(
        kind: &str,
        payload: &[u8],
        query: &[(String, String)],
    ) -> Result<Self, ApiError> {
        let payload = serde_json::from_slice(payload)
            .map_err(|error| ApiError::Invalid(format!("payload: {error}")))?;
        let mut options = serde_json::Map::new();
        let mut attributes = serde_json::Map::new();
        for (name, value) in query {
            let twice = || ApiError::Invalid(format!("{name}: once only"));
            match name.as_str() {
                "attribute" => {
                    let (name, value) = value.split_once(':').ok_or_else(|| {
                        ApiError::Invalid("attribute: a name and a value, `name:value`".to_owned())
                    })?;
                    let earlier = attributes.insert(name.to_owned(), value.into());
                    if earlier.is_some() {
                        return Err(ApiError::Invalid(format!("attribute {name}: once only")));
                    }
                }
                "unique_while_alive" | "unique_ever" => {
                    let scope = name.trim_start_matches("unique_");
                    let unique = serde_json::json!({"scope": scope, "key": value});
                    if options.insert("unique".to_owned(), unique).is_some() {
                        return Err(twice());
                    }
                }
                "queue" | "lane" | "run_at" | "expires_at" => {
                    if options.insert(name.clone(), value.as_str().into()).is_some() {
                        return Err(twice());
                    }
                }
                "priority" | "delay_seconds" | "timeout_seconds" | "max_attempts" => {
                    let number: u64 = value.parse().map_err(|_not_a_number| {
                        ApiError::Invalid(format!("{name}: a whole number, 0 or more"))
                    })?;
                    if options.insert(name.clone(), number.into()).is_some() {
                        return Err(twice());
                    }
                }
                other => {
                    let shown: String = other.chars().take(64).collect();
                    let message = format!("`{shown}` is no option; the options are {OPTIONS}");
                    return Err(ApiError::Invalid(message));
                }
            }
        }
        options.insert("kind".to_owned(), kind.into());
        options.insert("payload".to_owned(), serde_json::Value::Null);
        options.insert("attributes".to_owned(), attributes.into());
        let options = serde_json::Value::Object(options);
        let spec: Self = serde_path_to_error::deserialize(options)
            .map_err(|error| ApiError::Invalid(error.to_string()))?;
        Ok(Self { payload, ..spec })
    }

    /// The job, if its kind is known, its payload is one of that kind, and its options are allowed.
    pub(crate) fn into_job(self, state: &State) -> Result<NewJob, ApiError> {
        let known = state.catalog.get(&self.kind).map_err(|_unknown| ApiError::UnknownKind {
            kind: self.kind.chars().take(64).collect(),
            known: state.catalog.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", "),
        })?;
        let payload = self.payload.get();
        let max = state.settings.max_payload_bytes;
        if payload.len() > max {
            return Err(ApiError::TooLarge(Limit::Payload(max)));
        }
        if requests::is_too_deep(payload.as_bytes()) {
            return Err(ApiError::TooLarge(Limit::Depth(requests::MAX_DEPTH)));
        }
        let job = known
            .new_job(payload)
            .map_err(|error| ApiError::Invalid(format!("payload: {error}")))?;
        let job = self.apply(job)?;
        if job.payload.len() > max {
            return Err(ApiError::TooLarge(Limit::Payload(max)));
        }
        Ok(job)
    }

    fn apply(self, mut job: NewJob) -> Result<NewJob, ApiError> {
        if let Some(queue) = self.queue {
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if !(1..=64).contains(&queue.len()) || !queue.chars().all(allowed) {
                return Err(ApiError::Invalid("queue: 1 to 64 of a-z, 0-9 and _".to_owned()));
            }
            job.queue = queue;
        }
        if let Some(priority) = within("priority", self.priority, 0, 9)? {
            job.priority = u8::try_from(priority).expect("0 to 9");
        }
        instant("run_at", self.run_at)?;
        instant("expires_at", self.expires_at)?;
        let delay = within("delay_seconds", self.delay_seconds, 0, YEAR_SECONDS)?;
        job.run_at = match (self.run_at, delay) {
            (Some(_), Some(_)) => {
                return Err(ApiError::Invalid("run_at or delay_seconds, not both".to_owned()));
            }
            (run_at, None) => run_at,
            (None, Some(0)) => None,
            (None, Some(seconds)) => {
                let delay = TimeDelta::from_std(Duration::from_secs(seconds)).unwrap_or_default();
                Some(queue::clock::now() + delay)
            }
        };
        if let (Some(run_at), Some(expires_at)) = (job.run_at, self.expires_at)
            && expires_at <= run_at
        {
            return Err(ApiError::Invalid("expires_at: later than the job is due".to_owned()));
        }
        job.expires_at = self.expires_at;
        let seconds = within("timeout_seconds", self.timeout_seconds, 1, DAY_SECONDS)?;
        job.timeout = seconds.map(Duration::from_secs).or(job.timeout);
        if let Some(attempts) = within("max_attempts", self.max_attempts, 1, MAX_ATTEMPTS)? {
            job.max_attempts = u32::try_from(attempts).expect("at most 1000");
        }
        if let Some(lane) = self.lane {
            if job.lane.is_some() {
                return Err(ApiError::Invalid(format!("lane: {} chooses its own", job.kind)));
            }
            job.lane = Some(lane);
        }
        if let Some(UniqueKey { scope, key }) = self.unique {
            if job.unique != Unique::No {
                return Err(ApiError::Invalid(format!("unique: {} chooses its own", job.kind)));
            }
            job.unique = match scope {
                UniqueScope::WhileAlive => Unique::WhileAlive(key),
                UniqueScope::Ever => Unique::Ever(key),
            };
        }
        add_attributes(&mut job, self.attributes)?;
        check_texts(&job)?;
        Ok(job)
    }
}

/// A kind's own attribute keeps its value.
fn add_attributes(job: &mut NewJob, more: BTreeMap<String, String>) -> Result<(), ApiError> {
    for (name, value) in more {
        if job.attributes.iter().any(|(own, _)| *own == name) {
            let message = format!("attributes.{name}: {} sets it itself", job.kind);
            return Err(ApiError::Invalid(message));
        }
        job.attributes.push((name, value));
    }
    if job.attributes.len() > MAX_ATTRIBUTES {
        return Err(ApiError::Invalid(format!("attributes: at most {MAX_ATTRIBUTES}")));
    }
    Ok(())
}

/// Texts that are columns, also those that a kind makes of its payload.
fn check_texts(job: &NewJob) -> Result<(), ApiError> {
    if let Some(lane) = &job.lane {
        text("lane", lane, TEXT_BYTES)?;
    }
    if let Unique::WhileAlive(key) | Unique::Ever(key) | Unique::UntilDelivered(key) = &job.unique {
        text("unique", key, TEXT_BYTES)?;
    }
    for (name, value) in &job.attributes {
        text("attributes: each name", name, TEXT_BYTES)?;
        text("attributes: each value", value, TEXT_BYTES)?;
    }
    Ok(())
}

fn within(name: &str, value: Option<u64>, least: u64, most: u64) -> Result<Option<u64>, ApiError> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(ApiError::Invalid(format!("{name}: {least} to {most}")))
        }
        value => Ok(value),
    }
}

fn instant(name: &str, at: Option<DateTime<Utc>>) -> Result<(), ApiError> {
    match at {
        Some(at) if !(2000..2100).contains(&at.year()) => {
            Err(ApiError::Invalid(format!("{name}: from the year 2000 to 2099")))
        }
        _ => Ok(()),
    }
}
