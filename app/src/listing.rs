//! Jobs as people read them on a terminal: an aligned table, and one job in full.

mod conflicts;
mod desk;
mod json;
mod keys;
mod operators;
mod why;

pub(crate) use conflicts::{conflict, conflict_json, conflicts, conflicts_json};
pub(crate) use desk::{alerts, articles, fate, refused_sales};
pub(crate) use json::{array, object, one, text};
pub(crate) use keys::{keys, terminals};
pub(crate) use operators::{dead, pause, queues, workers};
pub(crate) use why::{why_object, why_sentences};

use crate::escape::escaped;
use chrono::{DateTime, TimeDelta, Utc};
use queue::{Action, Attempt, JobRow, State};

/// One job and everything kept about it.
pub(crate) struct Whole<'a> {
    pub(crate) row: &'a JobRow,
    pub(crate) attempts: &'a [Attempt],
    pub(crate) attributes: &'a [(String, String)],
    pub(crate) actions: &'a [Action],
}

/// One line per job, columns aligned.
pub(crate) fn table(rows: &[JobRow], now: DateTime<Utc>) -> String {
    const HEAD: [&str; 8] = ["ID", "KIND", "QUEUE", "STATE", "ATTEMPT", "AGE", "LANE", "ERROR"];
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        [
            row.id.to_string(),
            shown(&row.kind),
            shown(&row.queue),
            state(row),
            format!("{}/{}", row.attempt, row.max_attempts),
            span(now - row.created_at),
            shown(row.lane.as_deref().unwrap_or("-")),
            row.error.as_deref().map_or_else(|| "-".to_owned(), first_line),
        ]
    }));
    aligned(&lines)
}

/// Columns aligned, the last one ragged.
fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let widths: Vec<usize> = (0..N)
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let lines = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Everything about one job.
pub(crate) fn full(job: &Whole<'_>, now: DateTime<Utc>) -> String {
    let Whole { row, attempts, attributes, actions } = *job;
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push(format!("{name:<10}{value}"));
    line("job", row.id.to_string());
    line("kind", format!("{} (version {})", shown(&row.kind), row.version));
    line("queue", format!("{}, priority {}", shown(&row.queue), row.priority));
    line("state", state(row));
    if let Some(reason) = why_it_waits(row, now) {
        line("waits", reason);
    }
    line("attempt", format!("{} of {}", row.attempt, row.max_attempts));
    if row.crashes > 0 {
        line("crashes", row.crashes.to_string());
    }
    if let Some(lane) = &row.lane {
        let place = row.lane_seq.map_or_else(String::new, |place| format!(", place {place}"));
        line("lane", format!("{}{place}", shown(lane)));
    }
    if let Some(principal) = &row.principal {
        line("for", shown(principal));
    }
    for (name, value) in attributes {
        line("attribute", format!("{}={}", shown(name), shown(value)));
    }
    if let Some(progress) = row.progress {
        line("progress", format!("{} of {}", progress.done, progress.total));
    }
    for (name, instant) in [
        ("accepted", Some(row.created_at)),
        ("cancel", row.cancel_at),
        ("started", row.started_at),
        ("ended", row.finished_at),
        ("delivered", row.delivered_at),
    ] {
        if let Some(instant) = instant {
            line(name, format!("{} ({} ago)", time(instant), span(now - instant)));
        }
    }
    line("payload", format!("{} bytes", row.payload.len()));
    if let Some(error) = &row.error {
        line("error", shown(error));
    }
    if let Some(result) = &row.result {
        line("result", indented(result));
    }
    for action in actions {
        let reason =
            action.reason.as_deref().map_or_else(String::new, |r| format!(": {}", shown(r)));
        let (at, act) = (time(action.at), shown(&action.act));
        line("act", format!("{at}  {act} by {}{reason}", shown(&action.principal)));
    }
    if !attempts.is_empty() {
        lines.push("failed attempts".to_owned());
    }
    lines.extend(attempts.iter().map(attempt_line));
    lines.join("\n")
}

/// How a job stands, in one line, and its result if it has one.
pub(crate) fn outcome(row: &JobRow) -> String {
    let error = row.error.as_deref().filter(|_| row.state != State::Done);
    let error = error.map_or_else(String::new, |error| format!(": {}", shown(error)));
    let result = row.result.as_deref().filter(|_| row.state == State::Done);
    let result = result.map_or_else(String::new, |r| format!("\nresult    {}", indented(r)));
    format!("state     {}{error}{result}", row.state.as_str())
}

fn attempt_line(attempt: &Attempt) -> String {
    let worker = attempt.worker.as_deref().unwrap_or("nobody");
    let took = attempt
        .started_at
        .map_or_else(String::new, |start| format!(" after {}", span(attempt.ended_at - start)));
    format!(
        "  {:>3}  {}  {}{took} on {}: {}",
        attempt.attempt,
        time(attempt.ended_at),
        shown(&attempt.outcome),
        shown(worker),
        shown(&attempt.error),
    )
}

/// Why nothing is happening to the job, if that is so.
fn why_it_waits(row: &JobRow, now: DateTime<Utc>) -> Option<String> {
    match row.state {
        State::Ready if row.blocked => {
            let lane = shown(row.lane.as_deref().unwrap_or_default());
            Some(format!("another job of its lane `{lane}` goes first"))
        }
        State::Ready => Some("no worker has taken it yet".to_owned()),
        State::Scheduled => {
            let due = span(row.run_at - now);
            Some(format!("due at {} (in {due})", time(row.run_at)))
        }
        State::Running => {
            let holder = row.lease_holder.as_deref()?;
            let until = row.lease_until.map(time).unwrap_or_default();
            Some(format!("held by {} until {until}", shown(holder)))
        }
        _ => None,
    }
}

fn state(row: &JobRow) -> String {
    let blocked = if row.blocked && row.state == State::Ready { ", blocked" } else { "" };
    format!("{}{blocked}", row.state.as_str())
}

pub(crate) fn shown(text: &str) -> String {
    escaped(text).into_owned()
}

fn first_line(text: &str) -> String {
    const WIDTH: usize = 80;
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(WIDTH).collect();
    if short.len() < text.trim_end().len() {
        short.push('…');
    }
    shown(&short)
}

fn time(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A length of time in its largest unit; clocks that differ make none negative.
fn span(length: TimeDelta) -> String {
    let seconds = length.num_seconds().max(0);
    match seconds {
        0 => format!("{} ms", length.num_milliseconds().max(0)),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// JSON text with line breaks, its numbers digit for digit: reading them would round money.
fn indented(json: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth + 5));
    };
    for c in escaped(json).chars() {
        if in_text {
            in_text = c != '"' || is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            out.push(c);
            continue;
        }
        if let '}' | ']' = c {
            depth = depth.saturating_sub(1);
            line(&mut out, depth);
        }
        out.push(c);
        match c {
            '"' => in_text = true,
            '{' | '[' => {
                depth += 1;
                line(&mut out, depth);
            }
            ',' => line(&mut out, depth),
            ':' => out.push(' '),
            _ => {}
        }
    }
    out
}
