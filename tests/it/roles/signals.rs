//! SIGTERM stops gently, a second one ends the grace time at once.

use super::kills::until_in_the_middle;
use super::{PATIENCE, SERIAL, assert_books, post_behind, printed, sales, shop, until};
use db::{Sql, args};
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::stores::{Deployment, Stores};

pub(super) async fn idle_roles_stop_within_a_second(stores: Stores) {
    let mut app = TestApp::on(stores, &[]);
    app.seed(&shop()).await;
    app.start_api().await;
    app.start_worker();
    app.start_scheduler();
    // A first sale shows that every part is up; from then on there is nothing to do.
    let answer = app.post_sales(SERIAL, &sales("S", 1)).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    printed(&app.schedulers[0], "started").await;
    let schedulers = app.schedulers.iter_mut();
    for process in app.apis.iter_mut().chain(&mut app.workers).chain(schedulers) {
        let start = Instant::now();
        process.terminate();
        let status = process.wait(PATIENCE).await;
        assert_eq!(status.and_then(|s| s.code()), Some(0), "{}", process.log());
        // The promise is one second; a machine full of other tests gets a second more.
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}: {}", process.log());
    }
}

/// C9, C-23: who waits while the API stops is told where the job is, and is not cut off.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_api_answers_who_waits() {
    if !Deployment::Embedded.is_chosen() {
        return;
    }
    let mut app =
        TestApp::on(Deployment::Embedded.fresh().await, &[("RELAIS_API_WAIT_SECONDS", "20")]);
    app.seed(&shop()).await;
    app.start_api().await;
    let answer = post_behind(&app, &sales("A", 1));
    static PUT: Sql = Sql::both("SELECT id FROM jobs");
    let db = app.stores.db().await;
    until("it is a job", async || db.read_one(&PUT, args![]).await.unwrap().is_some()).await;
    let start = Instant::now();
    app.apis[0].terminate();
    assert_eq!(answer.await.unwrap(), Some(202));
    let status = app.apis[0].wait(PATIENCE).await.expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", app.apis[0].log());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_worker_finishes_its_batch_and_a_second_signal_ends_it_soon() {
    if !Deployment::Postgres.is_chosen() {
        return;
    }
    let mut app = TestApp::on(
        Deployment::Postgres.fresh().await,
        &[("RELAIS_QUEUE_LEASE_SECONDS", "2"), ("RELAIS_API_WAIT_SECONDS", "20")],
    );
    app.seed(&shop()).await;
    app.start_api().await;
    for second_signal in [false, true] {
        let db = app.stores.db().await;
        let number = app.start_worker();
        let mut lock = db.begin().await.unwrap();
        static ARTICLE: Sql = Sql::both("SELECT id FROM articles WHERE id = 6 {lock}");
        lock.row(&ARTICLE, args![]).await.unwrap().expect("the article is there");
        let answer = post_behind(&app, &sales(&format!("T{number}"), 1));
        until_in_the_middle(&db, true).await;
        let worker = &mut app.workers[number];
        worker.terminate();
        printed(worker, "stopping: no new work").await;
        assert!(worker.is_running());
        if second_signal {
            let start = Instant::now();
            worker.terminate();
            let status = worker.wait(PATIENCE).await.expect("it ends");
            // The server still waits in the batch's statement, for a client that it does not know to
            // be gone. The job is handed back all the same, and the process ends.
            static READY: Sql = Sql::both("SELECT id FROM jobs WHERE state = 'ready'");
            assert!(db.read_one(&READY, args![]).await.unwrap().is_some(), "{}", worker.log());
            assert_eq!(status.code(), Some(1), "{}", worker.log());
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
            lock.rollback().await.unwrap();
            app.start_worker();
        } else {
            lock.rollback().await.unwrap();
            let status = worker.wait(PATIENCE).await.expect("it ends");
            assert_eq!(status.code(), Some(0), "{}", worker.log());
        }
        assert_eq!(answer.await.unwrap(), Some(201));
    }
    assert_books(&app.stores.db().await, 2).await;
}
