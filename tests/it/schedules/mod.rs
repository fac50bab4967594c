//! Schedules in the database: their ticks, however many schedulers run and die; what is missed,
//! overlaps and rests; the API and the commands that steer them.

mod api;
mod commands;
mod crowd;
mod policies;

use crate::on_stores;
use chrono::{DateTime, TimeDelta, Utc};
use db::{Db, Sql, args};
use queue::schedule::{Definition, TickRow};
use queue::{Engine, schedules};
use std::sync::Arc;
use std::time::Duration;
use tests::stores::Stores;
use tests::wait::until;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A test waits this long for something that must happen; a busy machine is slow, not wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// A schedule of the kind that every process knows.
fn definition(name: &str, cron: &str) -> Definition {
    Definition::new(name, cron, "UTC", "prune_jobs", "{}")
}

/// A scheduler of this process.
struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), scheduler::Error>>,
}

impl Running {
    async fn on(stores: &Stores, configured: Vec<Definition>) -> Self {
        let engine: Arc<dyn Engine> = stores.engine().await;
        let (shutdown, catalog) = (CancellationToken::new(), jobs::Catalog::standard());
        let run = scheduler::run(engine, Arc::new(catalog), configured, shutdown.clone());
        Self { shutdown, task: tokio::spawn(run) }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// A schedule's ledger, oldest first.
async fn ledger(db: &Db, name: &str) -> Vec<TickRow> {
    let mut rows = schedules::ticks(db, name, None, 10_000).await.unwrap();
    rows.reverse();
    rows
}

/// Its lines as `seconds after `start` and outcome`, for a schedule whose past was made up.
fn outcomes(rows: &[TickRow]) -> Vec<(&'static str, u32)> {
    rows.iter().map(|row| (row.outcome.as_str(), row.missed)).collect()
}

/// As if the schedule had been made that long ago and nobody had run it since.
async fn was_made_ago(db: &Db, name: &str, ago: TimeDelta) -> DateTime<Utc> {
    static BACK: Sql =
        Sql::both("UPDATE schedules SET since = {after $2}, stamp = stamp + 1 WHERE name = $1");
    db.execute(&BACK, args![name, -ago.num_milliseconds()]).await.unwrap();
    schedules::get(db, name).await.unwrap().unwrap().since
}

on_every_deployment! {
    on_stores:
    crowd::five_schedulers_three_of_them_killed_make_one_job_and_one_line_per_tick,
    crowd::a_changed_schedule_is_noticed_within_seconds,
    crowd::a_wrong_clock_decides_nothing,
    policies::missed_ticks_are_dealt_with_as_each_schedule_says,
    policies::a_tick_waits_for_no_unfinished_predecessor,
    policies::a_rest_is_recorded_and_not_made_up_for,
    policies::the_configuration_rules_its_own_schedules_only,
    policies::the_ledger_is_pruned_but_for_the_last_line,
    policies::what_cannot_be_run_stops_nothing_else,
    api::the_life_of_a_schedule_over_http,
    api::bad_input_is_told_and_changes_nothing,
    commands::schedules_are_shown_and_steered_by_commands,
}
