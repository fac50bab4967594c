//! Many schedulers, real processes, and changes while they run (G-9).

use super::{definition, ledger, until};
use crate::roles::schedules::faketime_library;
use chrono::TimeDelta;
use db::{Sql, args};
use queue::schedule::Overlap;
use queue::schedules;
use rand::seq::IndexedRandom as _;
use std::collections::BTreeSet;
use tests::app::{Process, TestApp};
use tests::stores::{Deployment, Stores};

const NOTHING: &str = "[schedule.prune_jobs]\ncron = ''\n[schedule.verify_stock]\ncron = ''\n";

async fn crowd(stores: Stores, count: usize) -> TestApp {
    let mut app = TestApp::on(stores, &[]);
    std::fs::write(app.dir().join("relais.toml"), NOTHING).unwrap();
    for _ in 0..count {
        app.start_scheduler();
    }
    app
}

pub(super) async fn five_schedulers_three_of_them_killed_make_one_job_and_one_line_per_tick(
    stores: Stores,
) {
    let mut app = crowd(stores, 5).await;
    let db = app.stores.db().await;
    for name in ["one", "two"] {
        let wanted = queue::schedule::Definition {
            overlap: Overlap::Allow,
            ..definition(name, "* * * * * *")
        };
        schedules::put(&db, &wanted, false).await.unwrap();
    }
    for round in 1..=3 {
        until("ticks go on", async || ledger(&db, "one").await.len() >= round * 3).await;
        let number = *[0, 1, 2, 3, 4].choose(&mut rand::rng()).unwrap();
        app.schedulers[number].kill9();
    }
    until("those that are left go on", async || ledger(&db, "two").await.len() >= 13).await;
    drop(app.schedulers.drain(..));
    static JOBS: Sql =
        Sql::both("SELECT id, run_at FROM jobs WHERE principal = $1 ORDER BY run_at");
    for name in ["one", "two"] {
        let lines = ledger(&db, name).await;
        let rows = db.read(&JOBS, args![format!("schedule:{name}")]).await.unwrap();
        let jobs: Vec<_> = rows
            .iter()
            .map(|row| (row.get("run_at").unwrap(), Some(row.get("id").unwrap())))
            .collect();
        let told: Vec<_> = lines.iter().map(|line| (line.nominal, line.job_id)).collect();
        assert_eq!(told, jobs, "{name}: a line per job and a job per line");
        let is_next = |pair: &[queue::schedule::TickRow]| {
            pair[1].nominal - pair[0].nominal == TimeDelta::seconds(1)
        };
        assert!(lines.windows(2).all(is_next), "{name}: {told:?}");
        let outcomes: BTreeSet<_> = lines.iter().map(|line| line.outcome.as_str()).collect();
        assert_eq!(outcomes, BTreeSet::from(["enqueued"]), "{name}");
    }
}

pub(super) async fn a_changed_schedule_is_noticed_within_seconds(stores: Stores) {
    let app = crowd(stores, 2).await;
    let db = app.stores.db().await;
    let yearly = definition("x", "0 0 1 1 *");
    schedules::put(&db, &yearly, false).await.unwrap();
    until("both run", async || {
        app.schedulers.iter().all(|process| process.log().contains("started"))
    })
    .await;
    let often = queue::schedule::Definition { cron: "* * * * * *".to_owned(), ..yearly };
    schedules::put(&db, &often, true).await.unwrap();
    let changed = schedules::get(&db, "x").await.unwrap().unwrap().updated_at;
    until("the new expression ticks", async || !ledger(&db, "x").await.is_empty()).await;
    let first = ledger(&db, "x").await.remove(0);
    // The look comes each second; the rest is for a busy machine.
    assert!(first.at - changed < TimeDelta::seconds(6), "{first:?}, changed at {changed}");
    assert!(schedules::delete(&db, "x").await.unwrap());
    // The look that follows finds none: a tick in flight may still end, then there are no more.
    let moment = schedules::look(&db).await.unwrap().now;
    let last = definition("y", "* * * * * *");
    schedules::put(&db, &last, false).await.unwrap();
    until("the other one ticks", async || ledger(&db, "y").await.len() >= 3).await;
    let late: Vec<_> = ledger(&db, "x").await.into_iter().filter(|row| row.at > moment).collect();
    assert_eq!(late.len(), 0, "{late:?}");
}

/// On PostgreSQL the store's clock is the server's: schedulers an hour ahead and behind, alone,
/// tick as one whose clock is right.
pub(super) async fn a_wrong_clock_decides_nothing(stores: Stores) {
    if stores.deployment == Deployment::Embedded {
        // There the machine's clock is the store's: `roles/schedules.rs` says what is promised.
        return;
    }
    let library = faketime_library().display().to_string();
    let app = crowd(stores, 0).await;
    let wrong = |by: &str| {
        let mut env = app.env.clone();
        env.extend([
            ("LD_PRELOAD".to_owned(), library.clone()),
            ("FAKETIME".to_owned(), by.to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
        ]);
        Process::spawn(&["scheduler"], &env, app.dir())
    };
    let db = app.stores.db().await;
    let often =
        queue::schedule::Definition { overlap: Overlap::Allow, ..definition("x", "* * * * * *") };
    schedules::put(&db, &often, false).await.unwrap();
    let start = schedules::look(&db).await.unwrap().now;
    let (_ahead, _behind) = (wrong("+3600s"), wrong("-3600s"));
    until("they tick", async || ledger(&db, "x").await.len() >= 5).await;
    let lines = ledger(&db, "x").await;
    let end = schedules::look(&db).await.unwrap().now;
    let first = start - TimeDelta::seconds(1);
    assert!(lines.iter().all(|line| line.nominal > first && line.nominal <= end), "{lines:?}");
    let is_next =
        |two: &[queue::schedule::TickRow]| two[1].nominal - two[0].nominal == TimeDelta::seconds(1);
    assert!(lines.windows(2).all(is_next), "{lines:?}");
}
