//! Puts jobs in at set times.
//!
//! Schedules and the ledger of their ticks are in the database. Any number of scheduler processes
//! may run, none is elected: whoever writes a tick's line into the ledger puts its job in, in the
//! same transaction. Due is what the store's clock says is due, and the job's `run_at` is the tick
//! itself, so a scheduler's own clock decides nothing.

mod due;
mod ticks;

use chrono::{DateTime, TimeDelta, Utc};
use jobs::Catalog;
use queue::schedule::{Definition, MAX_SCHEDULES, Schedule, Timetable};
use queue::{Engine, schedules};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Changed schedules and set clocks are noticed within this time.
const LOOK: Duration = Duration::from_secs(1);
/// Pause after the record could not be reached.
const PAUSE: Duration = Duration::from_secs(1);
/// A store's clock that goes back by more than this was set.
const SET_BACK: TimeDelta = TimeDelta::seconds(2);
/// Schedules that one transaction deals with.
const STEP: usize = 100;

/// A failed look or tick.
pub type Error = queue::Error;

/// A schedule, as far as it must be known between its ticks.
struct Watched {
    name: String,
    stamp: i64,
    timetable: Timetable,
    /// Ticks up to here were dealt with.
    from: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
}

/// One scheduler.
struct Scheduler {
    engine: Arc<dyn Engine>,
    catalog: Arc<Catalog>,
    watched: Vec<Watched>,
    seen: Option<schedules::Look>,
    /// What was complained about already: name and stamp.
    complained: HashSet<(String, i64)>,
}

/// Runs until `shutdown` fires. The schedules of the configuration are written first; ticks that
/// were missed while no scheduler ran are dealt with as each schedule says.
pub async fn run(
    engine: Arc<dyn Engine>,
    catalog: Arc<Catalog>,
    configured: Vec<Definition>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let mut scheduler =
        Scheduler { engine, catalog, watched: Vec::new(), seen: None, complained: HashSet::new() };
    let mut is_configured = false;
    loop {
        let round = async {
            if !is_configured {
                scheduler.configure(&configured).await?;
                is_configured = true;
            }
            scheduler.round().await
        };
        let pause = match shutdown.run_until_cancelled(round).await {
            None => return Ok(()),
            Some(Ok(pause)) => pause,
            Some(Err(error)) => {
                tracing::warn!(%error, cause = cause(&error), "ticks could not be put in; trying again");
                PAUSE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Scheduler {
    async fn configure(&self, configured: &[Definition]) -> Result<(), Error> {
        for name in schedules::configure(self.engine.db(), configured).await? {
            tracing::warn!(schedule = name, "made by the API before, now by the configuration");
        }
        Ok(())
    }

    /// Deals with everything that is due; returns how long nothing will be.
    async fn round(&mut self) -> Result<Duration, Error> {
        let look = schedules::look(self.engine.db()).await?;
        let is_same = self
            .seen
            .is_some_and(|seen| seen.version == look.version && look.now > seen.now - SET_BACK);
        if !is_same {
            self.read(look.now).await?;
        }
        self.seen = Some(look);
        let is_due = |watched: &&mut Watched| watched.next.is_some_and(|next| next <= look.now);
        let mut due: Vec<&mut Watched> = self.watched.iter_mut().filter(is_due).collect();
        for step in due.chunks_mut(STEP) {
            let found: Vec<due::Due<'_>> = step
                .iter()
                .map(|watched| due::Due {
                    name: watched.name.clone(),
                    stamp: watched.stamp,
                    from: watched.from,
                    timetable: &watched.timetable,
                })
                .collect();
            let unable = ticks::deal(&self.engine, &self.catalog, &found, look.now).await?;
            for (name, stamp, reason) in unable {
                if self.complained.insert((name.clone(), stamp)) {
                    tracing::error!(schedule = name, reason, "a schedule cannot be run");
                }
            }
            for watched in step {
                watched.from = look.now;
                watched.next = watched.timetable.next(look.now).map(|tick| tick.at);
            }
        }
        let next = self.watched.iter().filter_map(|watched| watched.next).min();
        Ok(next.map_or(LOOK, |next| (next - look.now).to_std().unwrap_or_default().min(LOOK)))
    }

    /// Reads all schedules anew. Each goes on after its last tick in the ledger, whoever made it.
    async fn read(&mut self, now: DateTime<Utc>) -> Result<(), Error> {
        let all = schedules::list(self.engine.db(), "", MAX_SCHEDULES).await?;
        self.complained.retain(|(name, stamp)| {
            all.iter().any(|each| each.definition.name == *name && each.stamp == *stamp)
        });
        let watched = all.iter().filter_map(|schedule| watched(schedule, now));
        self.watched = watched.collect();
        Ok(())
    }
}

fn watched(schedule: &Schedule, now: DateTime<Utc>) -> Option<Watched> {
    let name = schedule.definition.name.clone();
    let timetable = match schedule.definition.timetable() {
        Ok(timetable) => timetable,
        Err(reason) => {
            tracing::error!(schedule = name, %reason, "a schedule cannot be read");
            return None;
        }
    };
    // A process whose clock ran ahead cannot hide ticks from those whose clock is right.
    let since = [Some(schedule.since), schedule.last_tick].into_iter().flatten();
    let from = since.filter(|instant| *instant <= now).max().unwrap_or(now);
    let next = timetable.next(from).map(|tick| tick.at);
    Some(Watched { name, stamp: schedule.stamp, timetable, from, next })
}

fn cause(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}
