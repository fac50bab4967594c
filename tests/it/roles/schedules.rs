//! Several schedulers, one of them killed, one with a wrong clock: each tick is one job (G-9).

use super::until;
use chrono::{DateTime, TimeDelta, Utc};
use db::{Db, Sql, args};
use std::path::PathBuf;
use std::time::Duration;
use tests::app::{Process, TestApp};
use tests::stores::Deployment;

const EVERY_SECOND: &str = r#"
[schedule.prune_jobs]
cron = "* * * * * *"
overlap = "allow"
[schedule.verify_stock]
cron = ""
"#;

/// Ticks that were put in, oldest first.
async fn ticks(db: &Db) -> Vec<DateTime<Utc>> {
    static TICKS: Sql =
        Sql::both("SELECT run_at FROM jobs WHERE kind = 'prune_jobs' ORDER BY run_at");
    let rows = db.read(&TICKS, args![]).await.unwrap();
    rows.iter().map(|row| row.get("run_at").unwrap()).collect()
}

fn assert_every_second_once(ticks: &[DateTime<Utc>]) {
    let second = TimeDelta::seconds(1);
    assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] == second), "{ticks:?}");
}

async fn app(deployment: Deployment) -> TestApp {
    let app = TestApp::on(deployment.fresh().await, &[]);
    std::fs::write(app.dir().join("relais.toml"), EVERY_SECOND).unwrap();
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_one_killed_make_one_job_per_tick() {
    for deployment in Deployment::chosen() {
        let mut app = app(deployment).await;
        app.start_scheduler();
        app.start_scheduler();
        let db = app.stores.db().await;
        until("both have put in ticks", async || ticks(&db).await.len() >= 3).await;
        app.schedulers[0].kill9();
        until("the other one goes on", async || ticks(&db).await.len() >= 6).await;
        let ticks = ticks(&db).await;
        assert_every_second_once(&ticks);
        assert!(*ticks.last().unwrap() <= queue::clock::now(), "{deployment:?}: {ticks:?}");
    }
}

/// A scheduler whose clock is an hour ahead puts its ticks in with their own time: none runs
/// early, and none of the right ones is missing or doubled.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_an_hour_ahead_neither_doubles_nor_hides_a_tick() {
    let library = faketime_library();
    let mut app = app(Deployment::Embedded).await;
    app.start_scheduler();
    let mut env = app.env.clone();
    env.extend([
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        ("FAKETIME".to_owned(), "+3600s".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
    ]);
    let _ahead = Process::spawn(&["scheduler"], &env, app.dir());
    let db = app.stores.db().await;
    let start = queue::clock::now();
    let is_ahead = |tick: &DateTime<Utc>| *tick - start > TimeDelta::minutes(30);
    until("both have put in ticks", async || {
        let (ahead, right): (Vec<_>, Vec<_>) = ticks(&db).await.into_iter().partition(is_ahead);
        ahead.len() >= 4 && right.len() >= 4
    })
    .await;
    let all = ticks(&db).await;
    let (ahead, right): (Vec<_>, Vec<_>) = all.into_iter().partition(is_ahead);
    assert_every_second_once(&right);
    assert_every_second_once(&ahead);
    assert!(ahead.iter().all(|tick| *tick - start < TimeDelta::minutes(62)), "{ahead:?}");
    // A worker with the right time runs only what is due.
    static EARLY: Sql = Sql::both(
        "SELECT id FROM jobs WHERE kind = 'prune_jobs' AND started_at IS NOT NULL AND run_at > $1",
    );
    static DONE: Sql = Sql::both("SELECT id FROM jobs WHERE state = 'done'");
    app.start_worker();
    until("due ticks have run", async || db.read(&DONE, args![]).await.unwrap().len() >= 3).await;
    let soon = start + TimeDelta::from_std(Duration::from_secs(600)).unwrap();
    assert_eq!(db.read(&EARLY, args![soon]).await.unwrap().len(), 0);
}

pub(crate) fn faketime_library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    files.into_iter().find(|file| file.is_file()).expect(
        "libfaketime was not found; on Debian as root: `apt-get install -y faketime`, \
         or `cargo xtask check`, which installs what the tests need",
    )
}
