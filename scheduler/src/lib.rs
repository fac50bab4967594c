//! Puts jobs in at set times.
//!
//! A tick is an enqueue with `Unique::Ever("cron:<schedule>:<instant>")`: any number of scheduler
//! processes may run, none is elected, each tick gives exactly one job. The job's `run_at` is the
//! tick itself, so the store's clock decides when it runs, not the scheduler's.

mod schedule;

pub use schedule::{Schedule, ScheduleError};

use chrono::{DateTime, Utc};
use jobs::{Catalog, Unique};
use queue::{Engine, NewJob, clock};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A scheduler looks at its clock this often, so that a clock that was set is noticed.
const LOOK: Duration = Duration::from_secs(30);
/// Pause after the queue could not be reached.
const PAUSE: Duration = Duration::from_secs(1);

/// A schedule that cannot be run.
#[derive(Debug, thiserror::Error)]
#[error("schedule `{name}`: {reason}")]
pub struct Error {
    name: String,
    reason: String,
}

/// Checks what only the catalog can tell: that kinds exist and read their payloads.
pub fn check(catalog: &Catalog, schedules: &[Schedule]) -> Result<(), Error> {
    schedules.iter().try_for_each(|schedule| job(catalog, schedule, clock::now()).map(drop))
}

/// Runs until `shutdown` fires. What was missed while no scheduler ran is made up for once.
pub async fn run(
    engine: Arc<dyn Engine>,
    catalog: Arc<Catalog>,
    schedules: Vec<Schedule>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    check(&catalog, &schedules)?;
    let mut from: Vec<DateTime<Utc>> = {
        let now = clock::now();
        schedules.iter().map(|schedule| schedule.last(now).unwrap_or(now)).collect()
    };
    loop {
        let now = clock::now();
        let mut ticks = Vec::new();
        for (schedule, from) in schedules.iter().zip(&from) {
            if *from <= now {
                ticks.push(job(&catalog, schedule, *from)?);
            }
        }
        let put = if ticks.is_empty() { Ok(Vec::new()) } else { engine.enqueue(&ticks).await };
        let pause = match put {
            Ok(enqueued) => {
                for (job, enqueued) in ticks.iter().zip(&enqueued) {
                    tracing::debug!(job.kind = %job.kind, job.id = %enqueued.id, tick.new = enqueued.created, "tick");
                }
                for (schedule, from) in schedules.iter().zip(&mut from) {
                    if *from <= now {
                        *from = schedule.next(now).unwrap_or(DateTime::<Utc>::MAX_UTC);
                    }
                }
                let next = from.iter().min().copied().unwrap_or(DateTime::<Utc>::MAX_UTC);
                (next - now).to_std().unwrap_or_default().min(LOOK)
            }
            Err(error) => {
                tracing::warn!(%error, "ticks could not be put in; trying again");
                PAUSE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn job(catalog: &Catalog, schedule: &Schedule, tick: DateTime<Utc>) -> Result<NewJob, Error> {
    let failed = |reason: String| Error { name: schedule.name.clone(), reason };
    let kind = catalog.get(&schedule.kind).map_err(|error| failed(error.to_string()))?;
    let job =
        kind.new_job(&schedule.payload).map_err(|error| failed(format!("payload: {error}")))?;
    let key = format!("cron:{}:{}", schedule.name, tick.to_rfc3339());
    Ok(NewJob { run_at: Some(tick), unique: Unique::Ever(key), lane: None, ..job })
}
