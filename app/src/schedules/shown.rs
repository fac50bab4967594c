//! Schedules, their instants and their ledger, for people and for programs.

use crate::escape::escaped;
use chrono::{DateTime, Utc};
use queue::NewJob;
use queue::schedule::{Note, Schedule, Tick, TickRow};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// One line per schedule.
pub(super) fn table(all: &[Schedule], now: DateTime<Utc>) -> String {
    let head = ["NAME", "CRON", "TIMEZONE", "KIND", "SOURCE", "LAST", "NEXT"];
    let line = |schedule: &Schedule| {
        let definition = &schedule.definition;
        let next = match schedule.next_tick(now) {
            None if schedule.rests_at(now) => "paused".to_owned(),
            next => next.map_or_else(|| "never".to_owned(), time),
        };
        [
            definition.name.clone(),
            escaped(&definition.cron).into_owned(),
            escaped(&definition.timezone).into_owned(),
            escaped(&definition.kind).into_owned(),
            schedule.source.as_str().to_owned(),
            schedule.last_tick.map_or_else(|| "-".to_owned(), time),
            next,
        ]
    };
    aligned(head, all.iter().map(line).collect())
}

/// Everything about one schedule.
pub(super) fn full(schedule: &Schedule, now: DateTime<Utc>) -> String {
    let Value::Object(members) = value(schedule, now) else { return String::new() };
    let shown = members.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name:<14} {}", escaped(&text))
    });
    let payload = format!("{:<14} {}", "payload", escaped(&schedule.definition.payload));
    shown.chain([payload]).collect::<Vec<_>>().join("\n")
}

/// One JSON array of schedules.
pub(super) fn array(all: &[Schedule], now: DateTime<Utc>) -> String {
    pretty(&all.iter().map(|schedule| value(schedule, now)).collect::<Vec<_>>())
}

/// One JSON object: the schedule and its payload.
pub(super) fn object(schedule: &Schedule, now: DateTime<Utc>) -> String {
    #[derive(serde::Serialize)]
    struct Whole {
        #[serde(flatten)]
        schedule: Value,
        payload: Option<Box<RawValue>>,
    }
    let payload = RawValue::from_string(schedule.definition.payload.clone()).ok();
    pretty(&Whole { schedule: value(schedule, now), payload })
}

fn value(schedule: &Schedule, now: DateTime<Utc>) -> Value {
    let definition = &schedule.definition;
    let rests = schedule.rests_at(now);
    json!({
        "name": definition.name,
        "cron": definition.cron,
        "timezone": definition.timezone,
        "kind": definition.kind,
        "on_gap": definition.on_gap.as_str(),
        "on_fold": definition.on_fold.as_str(),
        "missed": definition.missed.as_str(),
        "missed_limit": definition.missed_limit,
        "overlap": definition.overlap.as_str(),
        "source": schedule.source.as_str(),
        "paused": rests,
        "paused_until": schedule.paused_until.filter(|_| rests),
        "paused_reason": schedule.paused_reason.as_ref().filter(|_| rests),
        "last_tick": schedule.last_tick,
        "next_tick": schedule.next_tick(now),
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
    })
}

/// Instants, one per line.
pub(super) fn times(ticks: &[Tick]) -> String {
    let line = |tick: &Tick| {
        let note = tick.note.map_or("", Note::as_str).to_owned();
        [time(tick.at), tick.local.format("%Y-%m-%d %H:%M:%S %:z").to_string(), note]
    };
    aligned(["UTC", "LOCAL", "NOTE"], ticks.iter().map(line).collect())
}

/// One JSON array of instants.
pub(super) fn times_json(ticks: &[Tick]) -> String {
    let line = |tick: &Tick| {
        let note = tick.note.map(Note::as_str);
        json!({"at": tick.at, "local": tick.local.to_rfc3339(), "note": note})
    };
    pretty(&ticks.iter().map(line).collect::<Vec<_>>())
}

/// The ledger, one tick per line.
pub(super) fn ticks(rows: &[TickRow]) -> String {
    let line = |row: &TickRow| {
        [
            time(row.nominal),
            row.outcome.as_str().to_owned(),
            row.job_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            row.missed.to_string(),
            format!("{} ms", row.late_ms),
        ]
    };
    aligned(["TICK", "OUTCOME", "JOB", "MISSED", "LATE"], rows.iter().map(line).collect())
}

/// One JSON array of the ledger's lines.
pub(super) fn ticks_json(rows: &[TickRow]) -> String {
    let line = |row: &TickRow| {
        json!({
            "nominal": row.nominal, "outcome": row.outcome.as_str(), "job_id": row.job_id,
            "missed": row.missed, "late_ms": row.late_ms, "at": row.at,
        })
    };
    pretty(&rows.iter().map(line).collect::<Vec<_>>())
}

/// A job that was put in by hand.
pub(super) fn job_json(job: &NewJob) -> String {
    pretty(&json!({"id": job.id, "kind": job.kind, "queue": job.queue}))
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("plain data")
}

fn time(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn aligned<const N: usize>(head: [&str; N], mut lines: Vec<[String; N]>) -> String {
    lines.insert(0, head.map(str::to_owned));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let lines = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}
