//! One attempt: parse, run under a time limit, a panic guard and the lease, decide, record.

use crate::Shared;
use crate::claims::Work;
use crate::decide::{Budget, End, decide};
use crate::lease::News;
use crate::measure::{About, trace_id};
use crate::{finish, log};
use jobs::{Context, Failure, RetryPolicy, Runnable};
use queue::Claimed;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinHandle};
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
        let (ticket, about) = (job.ticket, About::new(&job, claimed));
        let news = shared.leases.news(ticket);
        let mut budget = Budget {
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            retry: RetryPolicy::STANDARD,
            draining: false,
        };
        let place = tokio::select! {
            place = shared.room.enter(job.crashes) => Some(place),
            () = news.lost.cancelled() => None,
            () = news.cancel.cancelled() => None,
            () = shared.draining.cancelled() => None,
        };
        let end = match prepare(&shared, &job, &news, &mut budget) {
            Ok(prepared) => match begin(&shared, &job).await {
                Ok(()) => run(&shared, job, &news, prepared).await,
                Err(end) => end,
            },
            Err(end) => end,
        };
        drop(place);
        budget.draining = shared.draining.is_cancelled();
        let recorded = matches!(end, End::Recorded);
        let outcome = decide(end, budget, &mut rand::rng());
        about.ended(&shared, recorded, outcome.as_ref());
        match outcome {
            // The recorder outlives every attempt.
            Some(outcome) => {
                let _ = shared.ends.send(finish::End { ticket, outcome }).await;
            }
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
    cancel_grace: Duration,
}

fn prepare(
    shared: &Shared,
    job: &Claimed,
    news: &News,
    budget: &mut Budget,
) -> Result<Prepared, End> {
    if news.lost.is_cancelled() {
        return Err(End::Lost);
    }
    if news.cancel.is_cancelled() {
        return Err(End::Cancelled(news.cancelled_by()));
    }
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
    let timeout = job.timeout.unwrap_or(kind.timeout);
    Ok(Prepared { run, timeout, cancel_grace: kind.cancel_grace })
}

/// From here on the death of this process counts against a suspect.
async fn begin(shared: &Shared, job: &Claimed) -> Result<(), End> {
    if job.crashes < queue::SUSPECT {
        return Ok(());
    }
    let begun = shared.engine.begin(job.ticket).await;
    begun.map_err(|error| End::Returned(Err(error.into())))
}

/// Runs the handler and writes what it logs; its end is recorded after its last line.
async fn run(shared: &Shared, job: Claimed, news: &News, prepared: Prepared) -> End {
    let (ticket, stop) = (job.ticket, CancellationToken::new());
    let cx = Context::new(shared.services.clone(), job, stop.clone())
        .with_draining(shared.draining.clone());
    let lines = cx.lines();
    let handled = async {
        let end = supervise(shared, &cx, news, prepared, stop).await;
        lines.close();
        end
    };
    let (end, ()) = tokio::join!(handled, log::write(shared, ticket, &lines));
    end
}

async fn supervise(
    shared: &Shared,
    cx: &Context,
    news: &News,
    prepared: Prepared,
    stop: CancellationToken,
) -> End {
    let Prepared { run, timeout, cancel_grace } = prepared;
    let handler = {
        let cx = cx.clone();
        tokio::spawn(async move { run(&cx).await }.in_current_span())
    };
    let mut handler = AbortOnDrop(handler);
    let (forced, patience) = tokio::select! {
        returned = &mut handler.0 => return ended(cx, returned),
        () = news.lost.cancelled() => (End::Lost, NOTICE),
        () = news.cancel.cancelled() => (End::Cancelled(news.cancelled_by()), cancel_grace),
        () = shared.stopping.cancelled() => (End::Stopped, NOTICE),
        () = tokio::time::sleep(timeout) => (End::TimedOut(timeout), NOTICE),
    };
    let is_cancel = matches!(forced, End::Cancelled(_));
    // Cooperative first; then the handler is dropped at its next await.
    stop.cancel();
    let noticed = tokio::select! {
        returned = &mut handler.0 => Some(returned),
        () = tokio::time::sleep(patience) => None,
        () = news.lost.cancelled(), if is_cancel => None,
        () = shared.stopping.cancelled(), if is_cancel => None,
    };
    handler.0.abort();
    match noticed {
        // A job that has its end is no longer held either.
        _ if cx.is_recorded() => End::Recorded,
        _ if news.lost.is_cancelled() => End::Lost,
        Some(Ok(Ok(()))) => ended(cx, Ok(Ok(()))),
        Some(Ok(Err(Failure::LeaseLost))) => End::Lost,
        _ => forced,
    }
}

fn ended(cx: &Context, returned: Result<Result<(), Failure>, JoinError>) -> End {
    if cx.is_recorded() {
        return End::Recorded;
    }
    match returned {
        Ok(Ok(())) => End::Returned(Ok(cx.take_result())),
        Ok(Err(failure)) => End::Returned(Err(failure)),
        Err(error) => End::Panicked(panic_message(error)),
    }
}

fn panic_message(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "aborted".to_owned() };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".to_owned())
}

/// A handler must not outlive its attempt.
struct AbortOnDrop(JoinHandle<Result<(), Failure>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
