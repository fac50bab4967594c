//! What a job waits for, in sentences and as JSON.

use super::operators::how;
use super::{shown, span, text, time};
use chrono::{DateTime, Utc};
use queue::{Blocker, Hold, State, Why};
use serde_json::{Value, json};

/// One sentence for the job, one for each thing in its way, one for the estimate.
pub(crate) fn why_sentences(why: &Why, now: DateTime<Utc>) -> String {
    let row = &why.row;
    let head = format!("Job {} ({}, queue {})", row.id, shown(&row.kind), shown(&row.queue));
    let mut lines = vec![match row.state {
        State::Running => {
            let holder = shown(row.lease_holder.as_deref().unwrap_or("nobody"));
            format!(
                "{head} is running on {holder}, attempt {} of {}.",
                row.attempt, row.max_attempts
            )
        }
        state if state.is_final() => {
            let when = row.finished_at.map_or_else(String::new, |at| {
                format!(" since {} ({} ago)", time(at), span(now - at))
            });
            format!("{head} has its end: {}{when}. Nothing will happen by itself.", state.as_str())
        }
        state => format!("{head} is {} for {}.", state.as_str(), span(now - row.created_at)),
    }];
    lines.extend(why.blockers.iter().map(|blocker| format!("  - {}", sentence(blocker, now))));
    let waits = matches!(row.state, State::Ready | State::Scheduled);
    match why.estimate {
        Some(start) if start > now => {
            lines.push(format!("It may start at {} (in {}).", time(start), span(start - now)));
        }
        Some(_) if waits => lines.push("It may start at any moment.".to_owned()),
        None if waits => lines.push("When it may start cannot be told.".to_owned()),
        _ => {}
    }
    lines.join("\n")
}

fn sentence(blocker: &Blocker, now: DateTime<Utc>) -> String {
    match blocker {
        Blocker::Paused(pause) => {
            let (scope, name) = (pause.scope.as_str(), shown(&pause.name));
            format!("Its {scope} `{name}` is paused {}.", how(pause, now))
        }
        Blocker::LaneHead { id, state, ahead } => {
            let state = state.as_str();
            format!("{ahead} of its lane go first; the head is job {id}, which is {state}.")
        }
        Blocker::Held(Hold { reason, since, until }) => {
            let (reason, since, at) = (shown(reason), time(*since), time(*until));
            let left = span(*until - now);
            format!(
                "Its kind is held since {since}: {reason}; looked at again at {at} (in {left})."
            )
        }
        Blocker::Schedule { run_at } => {
            format!("It was put in for {} (in {}).", time(*run_at), span(*run_at - now))
        }
        Blocker::Backoff { run_at, attempt, error } => {
            let error = shown(error.as_deref().unwrap_or("no error was kept"));
            let (at, left) = (time(*run_at), span(*run_at - now));
            format!("Attempt {attempt} failed ({error}); the next one is due at {at} (in {left}).")
        }
        Blocker::NoWorkerForQueue => "No living worker serves its queue.".to_owned(),
        Blocker::NoWorkerForKind => {
            "No living worker of its queue knows its kind, or its payload's version.".to_owned()
        }
        Blocker::Turn { ahead } => format!("{ahead} jobs of its queue are claimed before it."),
    }
}

/// One JSON object.
pub(crate) fn why_object(why: &Why) -> String {
    let blockers: Vec<Value> = why.blockers.iter().map(object).collect();
    text(&json!({
        "id": why.row.id, "kind": why.row.kind, "queue": why.row.queue,
        "state": why.row.state.as_str(), "blockers": blockers, "estimate": why.estimate,
    }))
}

fn object(blocker: &Blocker) -> Value {
    match blocker {
        Blocker::Paused(pause) => json!({
            "type": "paused", "scope": pause.scope.as_str(), "name": pause.name,
            "until": pause.until, "by": pause.by.principal, "reason": pause.by.reason,
        }),
        Blocker::LaneHead { id, state, ahead } => {
            json!({"type": "lane_head", "id": id, "state": state.as_str(), "ahead": ahead})
        }
        Blocker::Held(Hold { reason, since, until }) => {
            json!({"type": "held", "reason": reason, "since": since, "until": until})
        }
        Blocker::Schedule { run_at } => json!({"type": "schedule", "run_at": run_at}),
        Blocker::Backoff { run_at, attempt, error } => {
            json!({"type": "backoff", "run_at": run_at, "attempt": attempt, "error": error})
        }
        Blocker::NoWorkerForQueue => json!({"type": "no_worker_for_queue"}),
        Blocker::NoWorkerForKind => json!({"type": "no_worker_for_kind"}),
        Blocker::Turn { ahead } => json!({"type": "turn", "ahead": ahead}),
    }
}
