//! Queues, workers, pauses and dead jobs as people read them.

use super::{aligned, first_line, shown, span, time};
use chrono::{DateTime, TimeDelta, Utc};
use queue::{JobRow, Pause, PauseScope, QueueStats, WorkerRow};

/// Counts stop there.
const SAMPLE: u64 = 10_000;

/// One line per queue, then the pauses of kinds.
pub(crate) fn queues(stats: &[QueueStats], pauses: &[Pause], now: DateTime<Utc>) -> String {
    let head = [
        "QUEUE",
        "READY",
        "BLOCKED",
        "SCHEDULED",
        "RUNNING",
        "DEAD",
        "OLDEST",
        "DONE/MIN",
        "FAILED/MIN",
        "PAUSED",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(stats.iter().map(|queue| {
        let oldest = queue.oldest_ready.and_then(|age| TimeDelta::from_std(age).ok());
        [
            shown(&queue.queue),
            count(queue.ready),
            count(queue.blocked),
            count(queue.scheduled),
            count(queue.running),
            count(queue.dead),
            oldest.map_or_else(|| "-".to_owned(), span),
            queue.done_per_minute.to_string(),
            queue.failed_per_minute.to_string(),
            queue.paused.as_ref().map_or_else(|| "-".to_owned(), |pause| how(pause, now)),
        ]
    }));
    let mut text = aligned(&lines);
    // A pause of a kind, or of a queue that was never used, stands in no line above.
    for pause in pauses.iter().filter(|pause| {
        pause.scope == PauseScope::Kind || !stats.iter().any(|queue| queue.queue == pause.name)
    }) {
        text.push('\n');
        text.push_str(&self::pause(pause, now));
    }
    text
}

/// A pause in a sentence.
pub(crate) fn pause(pause: &Pause, now: DateTime<Utc>) -> String {
    format!("{} {} is paused {}", pause.scope.as_str(), shown(&pause.name), how(pause, now))
}

/// How long, by whom and why.
pub(super) fn how(pause: &Pause, now: DateTime<Utc>) -> String {
    let until = match pause.until {
        Some(until) => format!("until {} (in {})", time(until), span(until - now)),
        None => "until resumed".to_owned(),
    };
    let reason = match &pause.by.reason {
        Some(reason) => format!(": {}", shown(reason)),
        None => String::new(),
    };
    format!("{until} by {}{reason}", shown(&pause.by.principal))
}

/// One line per worker.
pub(crate) fn workers(rows: &[WorkerRow], now: DateTime<Utc>) -> String {
    let head = ["WORKER", "STATE", "UP", "BEAT", "CLAIM", "RUNNING", "QUEUES", "KINDS"];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows.iter().map(|worker| {
        let state = match (worker.alive, worker.draining) {
            (false, _) => "silent",
            (true, true) => "draining",
            (true, false) => "alive",
        };
        let ago = |at: DateTime<Utc>| format!("{} ago", span(now - at));
        let queues = worker.queues.iter().map(|(queue, slots)| format!("{}={slots}", shown(queue)));
        let kinds = worker.kinds.iter().map(|(kind, _)| shown(kind));
        [
            shown(&worker.name),
            state.to_owned(),
            span(now - worker.started_at),
            ago(worker.beat_at),
            worker.last_claim_at.map_or_else(|| "-".to_owned(), ago),
            worker.jobs.len().to_string(),
            queues.collect::<Vec<_>>().join(","),
            kinds.collect::<Vec<_>>().join(","),
        ]
    }));
    aligned(&lines)
}

/// One line per dead job.
pub(crate) fn dead(rows: &[JobRow], now: DateTime<Utc>) -> String {
    let mut lines =
        vec![["ID", "KIND", "QUEUE", "ATTEMPTS", "CRASHES", "DIED", "ERROR"].map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        [
            row.id.to_string(),
            shown(&row.kind),
            shown(&row.queue),
            row.attempt.to_string(),
            row.crashes.to_string(),
            row.finished_at.map_or_else(|| "-".to_owned(), |at| format!("{} ago", span(now - at))),
            row.error.as_deref().map_or_else(|| "-".to_owned(), first_line),
        ]
    }));
    aligned(&lines)
}

fn count(count: u64) -> String {
    if count >= SAMPLE { format!("{SAMPLE}+") } else { count.to_string() }
}
