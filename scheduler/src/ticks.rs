//! Ticks as rows: the ledger's line and the job, in one transaction.

use crate::Error;
use crate::due::{Due, Owed, owed};
use chrono::{DateTime, Utc};
use db::Tx;
use jobs::{Catalog, Unique};
use queue::schedule::{Outcome, Overlap, Schedule, TickRow};
use queue::{Engine, NewJob, schedules};
use std::sync::Arc;

/// A schedule that cannot be run: name, stamp, reason.
pub(crate) type Unable = (String, i64, String);

/// Deals with what these schedules owe, all or nothing; if one of them is refused, with each for
/// itself. Returns those that cannot be run here.
pub(crate) async fn deal(
    engine: &Arc<dyn Engine>,
    catalog: &Catalog,
    due: &[Due<'_>],
    now: DateTime<Utc>,
) -> Result<Vec<Unable>, Error> {
    match deal_together(engine, catalog, due, now).await {
        Err(error) if !error.is_transient() && due.len() > 1 => {}
        Err(error) if !error.is_transient() => {
            return Ok(due
                .iter()
                .map(|due| (due.name.clone(), due.stamp, error.to_string()))
                .collect());
        }
        result => return result,
    }
    let mut unable = Vec::new();
    for one in due {
        match deal_together(engine, catalog, std::slice::from_ref(one), now).await {
            Err(error) if !error.is_transient() => {
                unable.push((one.name.clone(), one.stamp, error.to_string()));
            }
            result => unable.extend(result?),
        }
    }
    Ok(unable)
}

async fn deal_together(
    engine: &Arc<dyn Engine>,
    catalog: &Catalog,
    due: &[Due<'_>],
    now: DateTime<Utc>,
) -> Result<Vec<Unable>, Error> {
    let mut tx = engine.db().begin().await?;
    let names = due.iter().map(|due| due.name.clone()).collect();
    let mut unable = Vec::new();
    let mut put: Vec<(String, DateTime<Utc>, NewJob)> = Vec::new();
    for (schedule, moment) in schedules::lock(&mut tx, names).await? {
        let name = &schedule.definition.name;
        // Changed since it was read: the next look reads it anew.
        let of_it = due.iter().find(|due| due.name == *name && due.stamp == schedule.stamp);
        let Some(due) = of_it else { continue };
        for owed in owed(due, &schedule.definition, now) {
            let job = match job(catalog, &schedule, owed.nominal) {
                Ok(job) => job,
                Err(reason) => {
                    unable.push((name.clone(), schedule.stamp, reason));
                    break;
                }
            };
            if record(&mut tx, &schedule, &owed, &job, moment).await? {
                put.push((name.clone(), owed.nominal, job));
            }
        }
    }
    let jobs: Vec<NewJob> = put.iter().map(|(_, _, job)| job.clone()).collect();
    let enqueued =
        if jobs.is_empty() { Vec::new() } else { engine.enqueue_in(&mut tx, &jobs).await? };
    for ((name, nominal, job), enqueued) in put.iter().zip(&enqueued) {
        tracing::debug!(schedule = name, job.kind = %job.kind, job.id = %enqueued.id, tick.new = enqueued.created, "tick");
        if !enqueued.created {
            schedules::set_job(&mut tx, name, *nominal, enqueued.id).await?;
        }
    }
    tx.commit().await?;
    Ok(unable)
}

/// Writes a tick's line; whether its job is to be put in.
async fn record(
    tx: &mut Tx,
    schedule: &Schedule,
    owed: &Owed,
    job: &NewJob,
    moment: DateTime<Utc>,
) -> Result<bool, Error> {
    let name = &schedule.definition.name;
    let waits = schedule.definition.overlap == Overlap::Skip && !owed.is_backlog;
    let outcome = match owed.outcome {
        _ if schedule.rests_at(owed.nominal) => Outcome::SkippedPaused,
        Outcome::Enqueued | Outcome::Coalesced
            if waits && schedules::unfinished_before(tx, name, owed.nominal).await? =>
        {
            Outcome::SkippedOverlap
        }
        outcome => outcome,
    };
    let is_put = matches!(outcome, Outcome::Enqueued | Outcome::Coalesced);
    let row = TickRow {
        schedule: name.clone(),
        nominal: owed.nominal,
        outcome,
        job_id: is_put.then_some(job.id),
        missed: owed.missed,
        late_ms: (moment - owed.nominal).num_milliseconds().max(0),
        at: moment,
    };
    Ok(schedules::record(tx, &row).await? && is_put)
}

fn job(catalog: &Catalog, schedule: &Schedule, tick: DateTime<Utc>) -> Result<NewJob, String> {
    let definition = &schedule.definition;
    let kind = catalog.get(&definition.kind).map_err(|error| error.to_string())?;
    let job = kind.new_job(&definition.payload).map_err(|error| format!("payload: {error}"))?;
    let key = format!("cron:{}:{}", definition.name, tick.to_rfc3339());
    let principal = Some(format!("schedule:{}", definition.name));
    Ok(NewJob { run_at: Some(tick), unique: Unique::Ever(key), lane: None, principal, ..job })
}
