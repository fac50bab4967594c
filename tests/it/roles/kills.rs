//! Processes that are killed or frozen in the middle of a batch: nothing is lost, nothing doubled
//! (promises 1 to 4, G-6, G-20).

use super::{PATIENCE, assert_books, post_behind, sales, sales_job, shop, until};
use db::{Db, Sql, Tx, args};
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::stores::{Deployment, Stores, signal};

const LEASE: Duration = Duration::from_secs(2);
/// Ten transactions.
const SALES: usize = 1_000;

async fn shop_with_one_worker(stores: Stores) -> (TestApp, Db) {
    let env = [("RELAIS_QUEUE_LEASE_SECONDS", "2"), ("RELAIS_API_WAIT_SECONDS", "1")];
    let mut app = TestApp::on(stores, &env);
    app.seed(&shop()).await;
    app.start_api().await;
    app.start_worker();
    let db = app.stores.db().await;
    (app, db)
}

/// PostgreSQL: what a worker needs in the middle of its transaction. SQLite has but one lock, so
/// there the batch is caught while it is on its way.
async fn lock_article(app: &TestApp, db: &Db) -> Option<Tx> {
    if app.stores.deployment == Deployment::Embedded {
        return None;
    }
    static ARTICLE: Sql = Sql::both("SELECT id FROM articles WHERE id = 6 {lock}");
    let mut lock = db.begin().await.unwrap();
    lock.row(&ARTICLE, args![]).await.unwrap().expect("the article is there");
    Some(lock)
}

/// Waits until the worker is in the middle of the batch.
pub(super) async fn until_in_the_middle(db: &Db, is_locked: bool) {
    static BLOCKED: Sql = Sql::both(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock'",
    );
    until("the worker is in the middle of the batch", async || {
        if is_locked {
            return db.read_one(&BLOCKED, args![]).await.unwrap().is_some();
        }
        let job = sales_job(db).await;
        assert!(job.as_ref().is_none_or(|job| job.0 != "done"), "the batch was too quick");
        job.is_some_and(|(state, _, done)| state == "running" && done > 0)
    })
    .await;
}

/// SQLite has one lock: a worker frozen while it holds it freezes everybody. So it is frozen, and
/// let go again until it is found to hold nothing.
async fn freeze_between_transactions(pid: u32, db: &Db) {
    loop {
        assert!(signal(pid, "STOP"));
        if let Ok(tx) = tokio::time::timeout(Duration::from_millis(50), db.begin()).await {
            return tx.unwrap().rollback().await.unwrap();
        }
        assert!(signal(pid, "CONT"));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

async fn until_done(db: &Db) {
    until("the batch is done", async || {
        sales_job(db).await.is_some_and(|(state, _, _)| state == "done")
    })
    .await;
}

pub(super) async fn the_batch_of_a_killed_worker_runs_again_once_in_effect(stores: Stores) {
    let (mut app, db) = shop_with_one_worker(stores).await;
    let lock = lock_article(&app, &db).await;
    let answer = post_behind(&app, &sales("K", SALES));
    until_in_the_middle(&db, lock.is_some()).await;
    app.workers[0].kill9();
    let killed = Instant::now();
    drop(lock);
    let (state, attempt, _) = sales_job(&db).await.unwrap();
    assert_eq!((state.as_str(), attempt), ("running", 1), "it was killed in the middle");
    app.start_worker();
    until("another worker has taken it", async || sales_job(&db).await.unwrap().1 == 2).await;
    let took = killed.elapsed();
    assert!(took < LEASE + Duration::from_secs(5), "{took:?}");
    until_done(&db).await;
    assert_eq!(answer.await.unwrap(), Some(202));
    assert_books(&db, SALES as i64).await;
}

pub(super) async fn a_frozen_worker_that_comes_back_doubles_nothing(stores: Stores) {
    let (mut app, db) = shop_with_one_worker(stores).await;
    let lock = lock_article(&app, &db).await;
    let answer = post_behind(&app, &sales("Z", SALES));
    until_in_the_middle(&db, lock.is_some()).await;
    let pid = app.workers[0].pid();
    match lock {
        Some(lock) => {
            assert!(signal(pid, "STOP"));
            // A server that hears nothing from a client ends its session in the end; so that this
            // test need not wait for that, it is ended here.
            static CUT: Sql = Sql::both(
                "SELECT pg_terminate_backend(pid) AS cut FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            );
            assert!(!db.read(&CUT, args![]).await.unwrap().is_empty());
            lock.rollback().await.unwrap();
        }
        None => freeze_between_transactions(pid, &db).await,
    }
    let (state, attempt, done) = sales_job(&db).await.unwrap();
    assert_eq!((state.as_str(), attempt), ("running", 1), "it was frozen in the middle");
    let lock = lock_article(&app, &db).await;
    app.start_worker();
    until("another worker has taken it", async || sales_job(&db).await.unwrap().1 == 2).await;
    until_in_the_middle(&db, lock.is_some()).await;
    // It goes on where it was, while the other one is in the middle of the same batch; once it
    // has stopped it can do no more.
    assert!(signal(pid, "CONT"));
    app.workers[0].terminate();
    let status = app.workers[0].wait(PATIENCE).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0), "{}", app.workers[0].log());
    if lock.is_some() {
        let job = sales_job(&db).await.unwrap();
        assert_eq!((job.0.as_str(), job.1), ("running", 2), "{}", app.workers[0].log());
    }
    drop(lock);
    until_done(&db).await;
    assert_eq!(sales_job(&db).await.unwrap().1, 2, "frozen after {done} sales");
    assert_books(&db, SALES as i64).await;
    let _ = answer.await;
}

pub(super) async fn what_a_killed_api_had_accepted_still_runs(stores: Stores) {
    let mut app = TestApp::on(stores, &[]);
    app.seed(&shop()).await;
    app.start_api().await;
    let db = app.stores.db().await;
    let answer = post_behind(&app, &sales("A", 3));
    until("the batch is accepted", async || sales_job(&db).await.is_some()).await;
    app.apis[0].kill9();
    assert_eq!(answer.await.unwrap(), None, "the terminal heard nothing");
    app.start_worker();
    until_done(&db).await;
    assert_books(&db, 3).await;
    // The terminal asks again and hears what became of its sales.
    app.restart_api(0).await;
    let again = app.post_sales(super::SERIAL, &sales("A", 3)).await.unwrap();
    assert_eq!(again.status, 201, "{}", again.text);
    assert_eq!(again.json()["ventes_creees"].as_array().map(Vec::len), Some(3));
    assert_books(&db, 3).await;
}
