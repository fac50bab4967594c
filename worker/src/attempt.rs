//! One attempt: parse, run under a time limit, a panic guard and the lease, decide, record.

use crate::Shared;
use crate::claims::Work;
use crate::decide::{Budget, End, decide};
use crate::finish;
use jobs::{Context, Failure, RetryPolicy, Runnable};
use queue::{Claimed, Outcome, Ticket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// How long a handler may take to notice that it is to stop, before it is stopped.
const NOTICE: Duration = Duration::from_secs(1);

/// Runs a claimed job once and hands its end to the recorder.
pub(crate) async fn attempt(shared: Arc<Shared>, work: Work) {
    let Work { job, claimed, slot } = work;
    let span = tracing::info_span!(
        "job", job.id = %job.ticket.id, job.kind = %job.kind, job.attempt = job.attempt,
        queue.name = %job.queue, trace.id = trace_id(job.trace.as_deref()),
    );
    async {
        let (ticket, kind) = (job.ticket, job.kind.clone());
        let mut budget = Budget {
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            retry: RetryPolicy::STANDARD,
        };
        let end = match prepare(&shared, &job, &mut budget) {
            Ok(prepared) => run(&shared, job, prepared).await,
            Err(end) => Some(end),
        };
        let outcome = end.and_then(|end| decide(end, budget, &mut rand::rng()));
        measure(&kind, outcome.as_ref(), claimed);
        match outcome {
            Some(outcome) => record(&shared, ticket, outcome).await,
            None => shared.leases.remove(ticket),
        }
    }
    .instrument(span)
    .await;
    drop(slot);
}

struct Prepared {
    run: Runnable,
    timeout: Duration,
}

fn prepare(shared: &Shared, job: &Claimed, budget: &mut Budget) -> Result<Prepared, End> {
    if shared.draining.is_cancelled() {
        return Err(End::Stopped);
    }
    let unreadable = |why: String| End::Unreadable(why);
    let kind = shared.catalog.get(&job.kind).map_err(|error| unreadable(error.to_string()))?;
    budget.retry = kind.retry;
    if job.version > kind.version {
        let (new, known) = (job.version, kind.version);
        return Err(unreadable(format!("payload version {new}; this worker reads up to {known}")));
    }
    let run = kind.parse(&job.payload).map_err(|error| unreadable(format!("payload: {error}")))?;
    Ok(Prepared { run, timeout: kind.timeout })
}

/// How the attempt ended; nothing if its end is recorded already or belongs to somebody else.
async fn run(shared: &Shared, job: Claimed, prepared: Prepared) -> Option<End> {
    let lost = shared.leases.lost(job.ticket);
    let stop = CancellationToken::new();
    let cx = Context::new(shared.services.clone(), job, stop.clone());
    let handler = {
        let cx = cx.clone();
        tokio::spawn(async move { (prepared.run)(&cx).await }.in_current_span())
    };
    let mut handler = AbortOnDrop(handler);
    let forced = tokio::select! {
        returned = &mut handler.0 => return ended(&cx, returned),
        () = lost.cancelled() => None,
        () = shared.stopping.cancelled() => Some(End::Stopped),
        () = tokio::time::sleep(prepared.timeout) => Some(End::TimedOut(prepared.timeout)),
    };
    // Cooperative first; then the handler is dropped at its next await.
    stop.cancel();
    let noticed = tokio::time::timeout(NOTICE, &mut handler.0).await;
    handler.0.abort();
    let forced = forced?;
    match noticed {
        Ok(Ok(Ok(()))) => ended(&cx, Ok(Ok(()))),
        _ if cx.is_recorded() => None,
        _ => Some(forced),
    }
}

fn ended(
    cx: &Context,
    returned: Result<Result<(), Failure>, tokio::task::JoinError>,
) -> Option<End> {
    if cx.is_recorded() {
        return None;
    }
    match returned {
        Ok(Ok(())) => Some(End::Returned(Ok(cx.take_result()))),
        Ok(Err(failure)) => Some(End::Returned(Err(failure))),
        Err(error) => Some(End::Panicked(panic_message(error))),
    }
}

fn panic_message(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "aborted".to_owned() };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".to_owned())
}

async fn record(shared: &Shared, ticket: Ticket, outcome: Outcome) {
    match &outcome {
        Outcome::Dead { error } => tracing::error!(error = %error, "job is dead"),
        Outcome::Retry { after, error } => {
            tracing::warn!(error = %error, retry.after_ms = after.as_millis(), "attempt failed");
        }
        Outcome::Cancelled { error } => tracing::warn!(error = %error, "job is cancelled"),
        Outcome::Done { .. } | Outcome::Snooze { .. } | Outcome::Release => {}
    }
    // The recorder outlives every attempt.
    let _ = shared.ends.send(finish::End { ticket, outcome }).await;
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
fn trace_id(traceparent: Option<&str>) -> &str {
    traceparent.and_then(|text| text.split('-').nth(1)).unwrap_or_default()
}

/// A handler must not outlive its attempt.
struct AbortOnDrop(JoinHandle<Result<(), Failure>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
