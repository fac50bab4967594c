//! What goes out: schedules, their instants and their ledger.

use chrono::{DateTime, Utc};
use queue::schedule::{Schedule, Tick, TickRow};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

/// A schedule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleShown {
    name: String,
    cron: String,
    timezone: String,
    kind: String,
    /// Absent in lists.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    /// `run` or `skip`.
    on_gap: &'static str,
    /// `first`, `second` or `both`.
    on_fold: &'static str,
    /// `skip`, `once` or `all`.
    missed: &'static str,
    missed_limit: u32,
    /// `skip` or `allow`.
    overlap: &'static str,
    /// `config` or `api`.
    source: &'static str,
    /// Whether it rests just now.
    paused: bool,
    paused_until: Option<DateTime<Utc>>,
    paused_reason: Option<String>,
    last_tick: Option<DateTime<Utc>>,
    /// The next tick that puts a job in; absent while it rests without end.
    next_tick: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl ScheduleShown {
    pub(super) fn whole(schedule: Schedule, now: DateTime<Utc>) -> Self {
        let payload = RawValue::from_string(schedule.definition.payload.clone()).ok();
        Self { payload, ..Self::without_payload(schedule, now) }
    }

    pub(super) fn without_payload(schedule: Schedule, now: DateTime<Utc>) -> Self {
        let paused = schedule.rests_at(now);
        let next_tick = schedule.next_tick(now);
        let definition = schedule.definition;
        Self {
            name: definition.name,
            cron: definition.cron,
            timezone: definition.timezone,
            kind: definition.kind,
            payload: None,
            on_gap: definition.on_gap.as_str(),
            on_fold: definition.on_fold.as_str(),
            missed: definition.missed.as_str(),
            missed_limit: definition.missed_limit,
            overlap: definition.overlap.as_str(),
            source: schedule.source.as_str(),
            paused,
            paused_until: schedule.paused_until.filter(|_| paused),
            paused_reason: schedule.paused_reason.filter(|_| paused),
            last_tick: schedule.last_tick,
            next_tick,
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
        }
    }
}

/// A page of schedules.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleList {
    pub(super) schedules: Vec<ScheduleShown>,
    /// `after` of the next page, if there is one.
    pub(super) next: Option<String>,
}

/// Instants that come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewShown {
    pub(super) cron: String,
    pub(super) timezone: String,
    pub(super) times: Vec<TimeShown>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimeShown {
    at: DateTime<Utc>,
    /// What the clock on the wall shows then, with its offset.
    #[schema(example = "2027-03-28T03:00:00+02:00")]
    local: String,
    /// What the clocks and the policy have done to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

impl From<Tick> for TimeShown {
    fn from(tick: Tick) -> Self {
        let note = tick.note.map(queue::schedule::Note::as_str);
        Self { at: tick.at, local: tick.local.to_rfc3339(), note }
    }
}

/// A page of the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TickList {
    pub(super) ticks: Vec<TickShown>,
    /// `before` of the next page, if there is one.
    pub(super) next: Option<DateTime<Utc>>,
}

/// What became of a tick.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TickShown {
    /// When it was due.
    nominal: DateTime<Utc>,
    /// `enqueued`, `coalesced`, `skipped_overlap`, `skipped_missed` or `skipped_paused`.
    outcome: &'static str,
    job_id: Option<Uuid>,
    /// Earlier, missed ticks that this line stands for, counted up to 1000.
    missed: u32,
    /// How long after its time it was dealt with.
    late_ms: i64,
    at: DateTime<Utc>,
}

impl From<TickRow> for TickShown {
    fn from(row: TickRow) -> Self {
        Self {
            nominal: row.nominal,
            outcome: row.outcome.as_str(),
            job_id: row.job_id,
            missed: row.missed,
            late_ms: row.late_ms,
            at: row.at,
        }
    }
}

/// A job that was put in by hand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Triggered {
    pub(super) id: Uuid,
    pub(super) kind: String,
    pub(super) queue: String,
    /// Where to follow it.
    #[schema(example = "/api/v1/jobs/0198c1d2-0000-7000-8000-000000000000")]
    pub(super) job: String,
}
