//! What a site reads about its batch (D-31): one entry per entity, in the order of the request.

use super::item::Label;
use super::{Mode, OnConflict};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// Errors of one entity that an answer lists, at the most.
const MAX_ERRORS: usize = 20;

/// The answer of a batch that has its end; also the result of its job.
#[derive(Debug, Serialize, Deserialize)]
pub struct PushResult {
    /// `success`, `partial` or `failed`.
    pub status: String,
    pub batch_id: Uuid,
    pub mode: Mode,
    pub summary: Summary,
    pub results: Vec<EntityResult>,
    /// Why the batch as a whole came to nothing, if its own entities are not the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<EntityError>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub total: usize,
    pub created: usize,
    pub updated: usize,
    pub unchanged: usize,
    pub deleted: usize,
    pub conflicts: usize,
    pub failed: usize,
    pub rolled_back: usize,
}

/// What became of one entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityResult {
    pub index: usize,
    pub r#type: Option<String>,
    pub id: Option<String>,
    pub status: Status,
    /// The entity's version now, as far as it has one.
    pub version: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<ConflictRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<EntityError>,
    /// All of them, if there is more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<EntityError>,
    /// Another time than `updated_at` counted (D-22).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clock_skew: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Created,
    Updated,
    Unchanged,
    Deleted,
    Conflict,
    Failed,
    RolledBack,
}

/// Where a conflict is kept, and who has won, if that is decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRef {
    pub id: Uuid,
    pub kind: String,
    pub resolution: Option<String>,
}

/// A code for programs, a sentence for people, and the member that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityError {
    pub code: String,
    pub message: String,
    pub field: Option<String>,
}

impl EntityError {
    pub(super) fn new(code: &str, message: String, field: Option<String>) -> Self {
        Self { code: code.to_owned(), message, field }
    }

    pub(super) fn internal() -> Self {
        Self::new("INTERNAL", "an internal error: nothing was changed".to_owned(), None)
    }
}

impl EntityResult {
    pub(super) fn new(index: usize, label: Label, status: Status, version: Option<i64>) -> Self {
        Self {
            index,
            r#type: label.kind,
            id: label.id,
            status,
            version,
            conflict: None,
            error: None,
            errors: Vec::new(),
            clock_skew: false,
        }
    }

    pub(super) fn rolled_back(index: usize, raw: &RawValue) -> Self {
        Self::new(index, Label::of(raw), Status::RolledBack, None)
    }

    pub(super) fn failed(index: usize, raw: &RawValue, mut errors: Vec<EntityError>) -> Self {
        errors.truncate(MAX_ERRORS);
        let mut result = Self::new(index, Label::of(raw), Status::Failed, None);
        result.error = errors.first().cloned();
        result.errors = if errors.len() > 1 { errors } else { Vec::new() };
        result
    }

    /// One that an attempt of the job could not survive (D-17).
    pub fn poison(index: usize, raw: &RawValue) -> Self {
        Self::failed(index, raw, vec![EntityError::internal()])
    }
}

impl PushResult {
    /// The answer for `results`, one for each entity.
    pub fn of(
        batch_id: Uuid,
        mode: Mode,
        on_conflict: OnConflict,
        results: Vec<EntityResult>,
    ) -> Self {
        let summary = Summary::of(&results);
        let mut bad = summary.failed + summary.rolled_back;
        if on_conflict == OnConflict::Abort {
            bad += summary.conflicts;
        }
        let status = match bad {
            0 => "success",
            bad if bad == summary.total => "failed",
            _ => "partial",
        };
        let status = status.to_owned();
        Self { status, batch_id, mode, summary, results, error: None }
    }

    /// The answer of a batch whose job ended without one: what was `done` of it, and the rest.
    pub fn unfinished(
        batch_id: Uuid,
        mode: Mode,
        entities: &[Box<RawValue>],
        mut done: Vec<EntityResult>,
        code: &str,
        message: String,
    ) -> Self {
        let rest = entities.iter().enumerate().skip(done.len());
        done.extend(rest.map(|(index, raw)| EntityResult::rolled_back(index, raw)));
        let mut result = Self::of(batch_id, mode, OnConflict::Resolve, done);
        result.error = Some(EntityError::new(code, message, None));
        result
    }

    /// Whether nothing of an atomic batch was kept: answered 422.
    pub fn is_atomic_failure(&self) -> bool {
        self.mode == Mode::Atomic && self.status == "failed"
    }
}

impl Summary {
    fn of(results: &[EntityResult]) -> Self {
        let count = |status| results.iter().filter(|result| result.status == status).count();
        Self {
            total: results.len(),
            created: count(Status::Created),
            updated: count(Status::Updated),
            unchanged: count(Status::Unchanged),
            deleted: count(Status::Deleted),
            conflicts: count(Status::Conflict),
            failed: count(Status::Failed),
            rolled_back: count(Status::RolledBack),
        }
    }
}
