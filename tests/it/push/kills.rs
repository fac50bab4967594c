//! Processes that are killed in the middle of a batch, and the order of a site's batches (I-1, I-3,
//! I-13, I-31).

use super::{batch, line, outcomes, post, seed, ticket};
use db::{Db, Sql, Tx, args};
use serde_json::json;
use tests::app::TestApp;
use tests::stores::Deployment;
use tests::wait::until;
use uuid::Uuid;

const ENTITIES: usize = 1_000;

async fn number(db: &Db, sql: &'static Sql, site: i64) -> i64 {
    db.read_one(sql, args![site]).await.unwrap().unwrap().get("n").unwrap()
}

/// What the worker needs in the middle of its transaction; SQLite has but one lock.
async fn lock_ticket(deployment: Deployment, db: &Db, site: i64) -> Option<Tx> {
    static TICKET: Sql = Sql::both("SELECT id FROM tickets WHERE site_id = $1 {lock}");
    if deployment == Deployment::Embedded {
        return None;
    }
    let mut tx = db.begin().await.unwrap();
    tx.row(&TICKET, args![site]).await.unwrap().expect("the ticket is there");
    Some(tx)
}

/// I-1, I-3, I-31, R-000-14: `kill -9` in the middle of a batch, of either mode; what was applied is
/// what would have been without.
pub(super) async fn the_batch_of_a_killed_worker_runs_again_once_in_effect(deployment: Deployment) {
    static LINES: Sql = Sql::both("SELECT COUNT(*) AS n FROM lignes_reception WHERE site_id = $1");
    static VERSIONS: Sql =
        Sql::both("SELECT COUNT(*) AS n FROM entity_versions WHERE site_id = $1");
    static BLOCKED: Sql = Sql::both(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock'",
    );
    static RUNNING: Sql = Sql::both(
        "SELECT id FROM jobs WHERE kind = 'apply_push_batch' AND state = 'running' \
         AND (progress_done > 0 OR payload LIKE '%\"atomic\"%')",
    );
    let env = [("RELAIS_QUEUE_LEASE_SECONDS", "2"), ("RELAIS_API_WAIT_SECONDS", "0")];
    let mut app = TestApp::on(deployment.fresh().await, &env);
    app.start_api().await;
    app.start_worker();
    let db = app.stores.db().await;
    for mode in ["atomic", "per_entity"] {
        let (site, key) = seed(&db).await;
        let t = Uuid::now_v7();
        assert_eq!(
            post(&app, &key, "wait=20", &batch("atomic", &[ticket(t, 1, "T")])).await.status,
            200
        );
        let lock = lock_ticket(deployment, &db, site).await;
        let mut entities: Vec<_> =
            (0..ENTITIES - 1).map(|_| line(Uuid::now_v7(), 2, None, "1")).collect();
        entities.push(line(Uuid::now_v7(), 2, Some(t), "1"));
        let body = batch(mode, &entities);
        assert_eq!(post(&app, &key, "", &body).await.status, 202);
        until("the worker is in the middle", async || {
            let sql = if lock.is_some() { &BLOCKED } else { &RUNNING };
            db.read_one(sql, args![]).await.unwrap().is_some()
        })
        .await;
        let worker = app.workers.len() - 1;
        app.workers[worker].kill9();
        drop(lock);
        if mode == "atomic" && deployment != Deployment::Embedded {
            assert_eq!(number(&db, &LINES, site).await, 0, "nothing of it is seen");
        }
        app.start_worker();
        let answer = post(&app, &key, "wait=25", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["summary"]["created"], ENTITIES, "{mode}");
        let count = ENTITIES as i64;
        assert_eq!(number(&db, &LINES, site).await, count);
        assert_eq!(number(&db, &VERSIONS, site).await, count + 1, "each was made once");
    }
    db.close().await;
}

/// I-13, D-16, I-3: accepted while nobody worked, across a restart of the API, and then worked off by
/// two workers.
pub(super) async fn batches_of_a_site_are_applied_in_their_order(deployment: Deployment) {
    let env = [("RELAIS_API_WAIT_SECONDS", "0")];
    let mut app = TestApp::on(deployment.fresh().await, &env);
    app.start_api().await;
    let db = app.stores.db().await;
    let (site, key) = seed(&db).await;
    let id = Uuid::now_v7();
    let mut last = json!(null);
    for number in 1..=12 {
        // Equal times: who comes later has the last word, so the order shows.
        last = batch(
            if number % 2 == 0 { "atomic" } else { "per_entity" },
            &[line(id, 1, None, &number.to_string())],
        );
        assert_eq!(post(&app, &key, "", &last).await.status, 202);
        if number == 6 {
            app.apis[0].kill9();
            app.restart_api(0).await;
        }
    }
    app.start_worker();
    app.start_worker();
    let answer = post(&app, &key, "wait=25", &last).await;
    assert_eq!(outcomes(&answer), ["updated 12"]);
    static DATA: Sql =
        Sql::both("SELECT data FROM entity_versions WHERE site_id = $1 ORDER BY version");
    let rows = db.read(&DATA, args![site]).await.unwrap();
    for (index, row) in rows.iter().enumerate() {
        let text: String = row.get("data").unwrap();
        assert!(text.contains(&format!(r#""quantite":"{}""#, index + 1)), "{index}: {text}");
    }
    assert_eq!(rows.len(), 12);
    db.close().await;
}
