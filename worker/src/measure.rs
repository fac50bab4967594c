//! What is said about an attempt's end: metrics, log, tally.

use crate::Shared;
use queue::{Claimed, Outcome};
use std::time::Instant;

/// What is said about a job after it was given away.
pub(crate) struct About {
    kind: String,
    queue: String,
    claimed: Instant,
}

impl About {
    pub(crate) fn new(job: &Claimed, claimed: Instant) -> Self {
        Self { kind: job.kind.clone(), queue: job.queue.clone(), claimed }
    }

    /// Takes in how the attempt ended; `recorded` says that it recorded its success itself.
    pub(crate) fn ended(&self, shared: &Shared, recorded: bool, outcome: Option<&Outcome>) {
        measure(&self.kind, outcome, self.claimed);
        // What is neither success nor failure does not count.
        match outcome {
            Some(Outcome::Done { .. }) => shared.tally.ended(&self.queue, true),
            Some(Outcome::Retry { .. } | Outcome::Dead { .. }) => {
                shared.tally.ended(&self.queue, false);
            }
            None if recorded => shared.tally.ended(&self.queue, true),
            _ => {}
        }
        match outcome {
            Some(Outcome::Dead { error }) => tracing::error!(error = %error, "job is dead"),
            Some(Outcome::Retry { after, error }) => {
                tracing::warn!(error = %error, retry.after_ms = after.as_millis(), "attempt failed");
            }
            Some(Outcome::Cancelled { error }) => {
                tracing::warn!(error = %error, "job is cancelled")
            }
            Some(Outcome::Done { .. } | Outcome::Snooze { .. } | Outcome::Release) | None => {}
        }
    }
}

fn measure(kind: &str, outcome: Option<&Outcome>, claimed: Instant) {
    let word = match outcome {
        None => "recorded",
        Some(Outcome::Done { .. }) => "done",
        Some(Outcome::Retry { .. }) => "retry",
        Some(Outcome::Snooze { .. }) => "snooze",
        Some(Outcome::Dead { .. }) => "dead",
        Some(Outcome::Release) => "release",
        Some(Outcome::Cancelled { .. }) => "cancelled",
    };
    let labels = [("kind", kind.to_owned()), ("outcome", word.to_owned())];
    metrics::counter!("relais_attempts_total", &labels).increment(1);
    metrics::histogram!("relais_attempt_seconds", "kind" => kind.to_owned())
        .record(claimed.elapsed().as_secs_f64());
}

/// The trace id inside a W3C `traceparent`.
pub(crate) fn trace_id(traceparent: Option<&str>) -> &str {
    traceparent.and_then(|text| text.split('-').nth(1)).unwrap_or_default()
}
