//! What cannot be applied stops nobody else (D-17, I-12).

use super::{Site, batch, get, line, outcomes, post, seed};
use db::{Db, Sql, args};
use queue::{Claim, Engine, Save, State};
use serde_json::json;
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::stores::Deployment;
use uuid::Uuid;

/// I-12, D-17, C-1: an error of ours is told as one, and what it touched is undone.
pub(super) async fn an_entity_that_cannot_be_stored_is_one_entity_s_error(deployment: Deployment) {
    static TRIGGER: [Sql; 2] = [
        Sql::each(
            "CREATE OR REPLACE FUNCTION poison_line() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'poison'; END $$",
            "SELECT 1",
        ),
        Sql::each(
            "CREATE OR REPLACE TRIGGER poison_line BEFORE INSERT ON lignes_reception FOR EACH ROW \
             WHEN (NEW.unite = 'POISON') EXECUTE FUNCTION poison_line()",
            "CREATE TRIGGER IF NOT EXISTS poison_line BEFORE INSERT ON lignes_reception \
             WHEN NEW.unite = 'POISON' BEGIN SELECT RAISE(ABORT, 'poison'); END",
        ),
    ];
    let site = Site::open(deployment).await;
    for statement in &TRIGGER {
        site.db.execute(statement, Vec::new()).await.unwrap();
    }
    let mut all: Vec<_> = (0..3).map(|_| line(Uuid::now_v7(), 1, None, "1")).collect();
    all[1]["data"]["unite"] = json!("POISON");
    let before = site.books().await;
    let answer = site.push(&all).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(outcomes(&answer), ["rolled_back", "failed INTERNAL", "rolled_back"]);
    assert!(!answer.text.contains("poison"), "what went wrong is for the log: {}", answer.text);
    assert_eq!(site.books().await, before);
    let answer = site.push_each(&all).await;
    assert_eq!(outcomes(&answer), ["created 1", "failed INTERNAL", "created 1"]);
    site.close().await;
}

/// Claims a site's job as a worker that dies would, and lets its lease run out.
async fn die(engine: &dyn Engine, checkpoint: Option<&str>) {
    let lease = Duration::from_millis(200);
    let claim = Claim { queue: "records".to_owned(), worker: "mort".to_owned(), limit: 1, lease };
    let start = Instant::now();
    let job = loop {
        if let Some(job) = engine.claim(&claim).await.unwrap().pop() {
            break job;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "nothing to claim");
    };
    if let Some(text) = checkpoint {
        let save = Save { progress: None, checkpoint: Some(text.to_owned()) };
        engine.save(job.ticket, &save).await.unwrap();
    }
    loop {
        engine.reap().await.unwrap();
        let row = engine.get(job.ticket.id).await.unwrap().unwrap();
        if row.state != State::Running {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "its lease does not run out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn without_worker(deployment: Deployment) -> (TestApp, Db, i64, String) {
    let env = [("RELAIS_API_WAIT_SECONDS", "0"), ("RELAIS_QUEUE_LEASE_SECONDS", "2")];
    let mut app = TestApp::on(deployment.fresh().await, &env);
    app.start_api().await;
    let db = app.stores.db().await;
    let (id, key) = seed(&db).await;
    (app, db, id, key)
}

/// I-12, D-17, I-22: three deaths on one batch; the site's next one is applied, and an operator can
/// still have the dead one applied.
pub(super) async fn an_atomic_batch_that_kills_is_dead_and_the_lane_goes_on(
    deployment: Deployment,
) {
    let (mut app, db, _, key) = without_worker(deployment).await;
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    let deadly = batch("atomic", &[line(a, 1, None, "1"), line(b, 1, None, "1")]);
    let next = batch("atomic", &[line(a, 2, None, "2")]);
    assert_eq!(post(&app, &key, "", &deadly).await.status, 202);
    assert_eq!(post(&app, &key, "", &next).await.status, 202);
    let engine = app.stores.engine().await;
    for _ in 0..3 {
        die(&*engine, None).await;
    }
    let answer = post(&app, &key, "", &deadly).await;
    assert_eq!((answer.status, outcomes(&answer)), (422, vec!["rolled_back".to_owned(); 2]));
    assert_eq!(answer.json()["error"]["code"], "DEAD", "{}", answer.text);
    app.start_worker();
    let answer = post(&app, &key, "wait=20", &next).await;
    assert_eq!(outcomes(&answer), ["created 1"]);
    let requeue = ["dead", "requeue", "--queue", "records", "--reason", "réparé", "--yes"];
    app.run(&requeue).await;
    let answer = post(&app, &key, "wait=20", &deadly).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(outcomes(&answer), ["conflict stale_update server", "created 1"]);
    db.close().await;
}

/// D-17, I-12: a worker that died on the batch is followed by one that takes its entities one by
/// one, and by one that leaves out the one on which the process died again.
pub(super) async fn the_entity_that_kills_is_set_aside(deployment: Deployment) {
    let (mut app, db, site, key) = without_worker(deployment).await;
    let mut all: Vec<_> = (0..4).map(|_| line(Uuid::now_v7(), 1, None, "1")).collect();
    all[2]["data"]["unite"] = json!("MORT");
    let deadly = batch("per_entity", &all);
    if deployment == Deployment::Embedded {
        // SQLite cannot be made to wait in a statement: the second death leaves what a worker
        // would have left.
        assert_eq!(post(&app, &key, "", &deadly).await.status, 202);
        let engine = app.stores.engine().await;
        die(&*engine, None).await;
        die(&*engine, Some(r#"{"index":2}"#)).await;
        app.start_worker();
    } else {
        static SLEEP: [Sql; 2] = [
            Sql::both(
                "CREATE FUNCTION endormir() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$",
            ),
            Sql::both(
                "CREATE TRIGGER endormir BEFORE INSERT ON lignes_reception FOR EACH ROW \
                 WHEN (NEW.unite = 'MORT') EXECUTE FUNCTION endormir()",
            ),
        ];
        for statement in &SLEEP {
            db.execute(statement, Vec::new()).await.unwrap();
        }
        assert_eq!(post(&app, &key, "", &deadly).await.status, 202);
        for _ in 0..2 {
            let worker = app.start_worker();
            until_asleep(&db, true).await;
            app.workers[worker].kill9();
            // The server notices a dead client only when it answers it.
            static END: Sql = Sql::both(
                "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event = 'PgSleep'",
            );
            db.read(&END, args![]).await.unwrap();
            until_asleep(&db, false).await;
        }
        app.start_worker();
    }
    let answer = post(&app, &key, "wait=25", &deadly).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(outcomes(&answer), ["created 1", "created 1", "failed INTERNAL", "created 1"]);
    assert_eq!(answer.json()["status"], "partial");
    static LINES: Sql =
        Sql::both("SELECT COUNT(*) AS n FROM lignes_reception WHERE site_id = $1 AND version = 1");
    let row = db.read_one(&LINES, args![site]).await.unwrap().unwrap();
    assert_eq!(row.get::<i64>("n").unwrap(), 3);
    assert_eq!(get(&app, &key, "/api/v1/sync/conflicts").await.json()["conflicts"], json!([]));
    db.close().await;
}

async fn until_asleep(db: &Db, is_asleep: bool) {
    static ASLEEP: Sql = Sql::both(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event = 'PgSleep'",
    );
    let start = Instant::now();
    while db.read_one(&ASLEEP, args![]).await.unwrap().is_some() != is_asleep {
        assert!(start.elapsed() < Duration::from_secs(30), "not within 30 s: {is_asleep}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
