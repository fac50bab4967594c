//! What cannot be applied stops nobody else (D-17, I-12).

use super::{PUSH, Site, batch, books, line, outcomes, post, seed};
use crate::sales::read;
use db::failpoint::Fault;
use db::{Db, Sql, args};
use queue::{Claim, Engine, State};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::app::{Answer, TestApp};
use tests::program::Program;
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
async fn die(engine: &dyn Engine) {
    let lease = Duration::from_millis(200);
    let claim = Claim { queue: "records".to_owned(), worker: "mort".to_owned(), limit: 1, lease };
    let start = Instant::now();
    let job = loop {
        if let Some(job) = engine.claim(&claim).await.unwrap().pop() {
            break job;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "nothing to claim");
    };
    if job.crashes >= queue::SUSPECT {
        engine.begin(job.ticket).await.unwrap();
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

async fn without_worker(deployment: Deployment) -> (TestApp, Db, String) {
    let env = [("RELAIS_API_WAIT_SECONDS", "0"), ("RELAIS_QUEUE_LEASE_SECONDS", "2")];
    let mut app = TestApp::on(deployment.fresh().await, &env);
    app.start_api().await;
    let db = app.stores.db().await;
    let (_, key) = seed(&db).await;
    (app, db, key)
}

/// I-12, D-17, I-22: three deaths on one batch; the site's next one is applied, and an operator can
/// still have the dead one applied.
pub(super) async fn an_atomic_batch_that_kills_is_dead_and_the_lane_goes_on(
    deployment: Deployment,
) {
    let (mut app, db, key) = without_worker(deployment).await;
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    let deadly = batch("atomic", &[line(a, 1, None, "1"), line(b, 1, None, "1")]);
    let next = batch("atomic", &[line(a, 2, None, "2")]);
    assert_eq!(post(&app, &key, "", &deadly).await.status, 202);
    assert_eq!(post(&app, &key, "", &next).await.status, 202);
    let engine = app.stores.engine().await;
    for _ in 0..3 {
        die(&*engine).await;
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

/// Sends to a program in this process.
async fn send(program: &Program, key: &str, body: &Value) -> Option<Answer> {
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let request = http.post(format!("http://{}{PUSH}", program.address)).header("X-API-Key", key);
    let request = request.header("Content-Type", "application/json").header("Prefer", "wait=3");
    let request = request.timeout(Duration::from_secs(5)).body(body.to_string());
    loop {
        let answer = read(request.try_clone()?.send().await.ok()?).await;
        if answer.status != 202 {
            return Some(answer);
        }
    }
}

/// D-17, I-12: a process that died on a chunk is followed by ones that take its entities one by one,
/// and leave out whatever they die on.
pub(super) async fn the_entity_that_kills_is_set_aside(deployment: Deployment) {
    static EXPIRE: Sql =
        Sql::both("UPDATE jobs SET lease_until = {after -1000} WHERE state = 'running'");
    let stores = deployment.fresh().await;
    let db = stores.db().await;
    let (site, key) = seed(&db).await;
    let all: Vec<_> = (0..120).map(|_| line(Uuid::now_v7(), 1, None, "1")).collect();
    let killers = [2, 100].map(|index: usize| all[index]["id"].as_str().unwrap());
    let body = batch("per_entity", &all);
    let mut deaths = 0;
    let answer = loop {
        let program = Program::start(&stores).await;
        let died = killers.map(|id| {
            let mut armed = program.arm(&format!("entity {id}"), Fault::Death, u32::MAX);
            Box::pin(async move { armed.changed().await.is_ok() })
        });
        let answered = async {
            loop {
                match send(&program, &key, &body).await {
                    Some(answer) if answer.status == 200 => return answer,
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::select! {
            answer = answered => break answer,
            _ = futures::future::select_all(died) => {}
        }
        program.kill();
        deaths += 1;
        assert!(deaths < 20, "it never stops dying");
        db.execute(&EXPIRE, args![]).await.unwrap();
    };
    // Each alone twice, and each chunk once as a whole.
    assert_eq!(deaths, 2 * 2 + 2);
    let mut expected = vec!["created 1"; 120];
    (expected[2], expected[100]) = ("failed INTERNAL", "failed INTERNAL");
    assert_eq!(outcomes(&answer), expected);
    assert_eq!(answer.json()["status"], "partial");
    assert_eq!(books(&db, site).await.lines().count(), 118 * 2);
    db.close().await;
    stores.remove().await;
}

/// D-17: a panic is one entity's error, in either mode; an error that may pass is nobody's.
pub(super) async fn an_entity_that_panics_is_one_entity_s_error(deployment: Deployment) {
    let stores = deployment.fresh().await;
    let db = stores.db().await;
    let (site, key) = seed(&db).await;
    let all: Vec<_> = (0..3).map(|_| line(Uuid::now_v7(), 1, None, "1")).collect();
    let place = |index: usize| format!("entity {}", all[index]["id"].as_str().unwrap());
    let program = Program::start(&stores).await;
    let panics = program.arm(&place(1), Fault::Panic, u32::MAX);
    let passes = program.arm(&place(0), Fault::Error, 1);
    let before = books(&db, site).await;
    let answer = send(&program, &key, &batch("atomic", &all)).await.unwrap();
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(outcomes(&answer), ["rolled_back", "failed INTERNAL", "rolled_back"]);
    assert_eq!(books(&db, site).await, before);
    let answer = send(&program, &key, &batch("per_entity", &all)).await.unwrap();
    assert_eq!(outcomes(&answer), ["created 1", "failed INTERNAL", "created 1"]);
    // In either mode it is tried twice: together with the others, then by itself.
    assert_eq!((*panics.borrow(), *passes.borrow()), (4, 1));
    program.kill();
    db.close().await;
    stores.remove().await;
}
