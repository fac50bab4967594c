//! `/api/v1/dead`: what failed for good is found, and comes back on demand.

use super::queues::ask;
use super::{ADMIN, READER, api};
use queue::{Claim, Engine, NewJob, Outcome, State};
use serde_json::{Value, json};
use std::time::Duration;
use tests::stores::Deployment;
use uuid::Uuid;

/// So many dead jobs of a queue, oldest first.
async fn dead(engine: &dyn Engine, kind: &str, queue: &str, count: usize) -> Vec<Uuid> {
    let jobs: Vec<_> = (0..count).map(|_| NewJob::new(kind, queue, "{}")).collect();
    engine.enqueue(&jobs).await.unwrap();
    let claim = Claim {
        queue: queue.to_owned(),
        worker: "w".to_owned(),
        limit: count,
        lease: Duration::from_secs(60),
    };
    let held = engine.claim(&claim).await.unwrap();
    assert_eq!(held.len(), count);
    let error = || "the printer is on fire".to_owned();
    let ends: Vec<_> =
        held.iter().map(|held| (held.ticket, Outcome::Dead { error: error() })).collect();
    assert_eq!(engine.finish(&ends).await.unwrap().len(), count);
    jobs.iter().map(|job| job.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_are_listed_and_requeued() {
    for deployment in Deployment::chosen() {
        let app = api(deployment, &[]).await;
        let engine = app.stores.engine().await;
        let shelf = dead(&*engine, "tidy", "shelf", 5).await;
        let other = dead(&*engine, "sweep", "floor", 1).await;
        let list = ask(&app, "GET /api/v1/dead?queue=shelf&limit=3", READER, "").await.json();
        let ids = |list: &Value| -> Vec<String> {
            let jobs = list["jobs"].as_array().unwrap().iter();
            jobs.map(|job| job["id"].as_str().unwrap().to_owned()).collect()
        };
        let text = |ids: &[Uuid]| ids.iter().rev().map(Uuid::to_string).collect::<Vec<_>>();
        assert_eq!(ids(&list), text(&shelf[2..]));
        let job = &list["jobs"][0];
        assert_eq!(
            (&job["error"], &job["attempts"]),
            (&json!("the printer is on fire"), &json!(1))
        );
        let next = list["next"].as_str().unwrap();
        let line = format!("GET /api/v1/dead?queue=shelf&limit=3&before={next}");
        assert_eq!(ids(&ask(&app, &line, READER, "").await.json()), text(&shelf[..2]));
        let swept = ask(&app, "GET /api/v1/dead?kind=sweep", READER, "").await.json();
        assert_eq!(ids(&swept), text(&other));

        // One, in both forms; a second time there is nothing to requeue.
        for (id, form) in [(shelf[0], "/requeue"), (shelf[1], ":requeue")] {
            let line = format!("POST /api/v1/dead/{id}{form}");
            let back = ask(&app, &line, ADMIN, r#"{"reason": "water"}"#).await;
            assert_eq!((back.status, back.json()["requeued"].as_bool()), (200, Some(true)));
            let row = engine.get(id).await.unwrap().unwrap();
            assert_eq!((row.state, row.attempt < row.max_attempts), (State::Ready, true));
            let acts = engine.actions(id).await.unwrap();
            assert_eq!(
                (&*acts[0].principal, acts[0].reason.as_deref()),
                ("key:admin", Some("water"))
            );
            let again = ask(&app, &line, ADMIN, "").await;
            assert_eq!((again.status, again.code().as_str()), (409, "CONFLICT"));
        }

        // Many, first without doing it.
        let wish = |dry_run: bool| {
            json!({"filter": {"queue": "shelf"}, "reason": "repaired", "dry_run": dry_run})
                .to_string()
        };
        for (dry_run, matched, requeued) in [(true, 3, 0), (false, 3, 3), (false, 0, 0)] {
            let done = ask(&app, "POST /api/v1/dead/requeue", ADMIN, &wish(dry_run)).await;
            assert_eq!(
                (done.status, done.json()),
                (
                    200,
                    json!({"matched": matched, "requeued": requeued, "refused": 0,
                             "more": false, "dry_run": dry_run})
                )
            );
        }
        assert_eq!(engine.get(other[0]).await.unwrap().unwrap().state, State::Dead);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_call_stops_at_its_limit_and_says_that_there_is_more() {
    let app = api(Deployment::Embedded, &[]).await;
    let engine = app.stores.engine().await;
    dead(&*engine, "tidy", "shelf", 10_001).await;
    let wish = r#"{"filter": {"queue": "shelf"}, "reason": "repaired"}"#;
    for (requeued, more) in [(10_000, true), (1, false)] {
        let done = ask(&app, "POST /api/v1/dead/requeue", ADMIN, wish).await;
        let json = done.json();
        assert_eq!((&json["requeued"], &json["more"]), (&json!(requeued), &json!(more)), "{json}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_wishes_about_the_dead_are_told() {
    let app = api(Deployment::Embedded, &[]).await;
    let unknown = Uuid::now_v7();
    let long = format!(r#"{{"filter": {{"queue": "q"}}, "reason": "{}"}}"#, "x".repeat(1_001));
    for (line, body, status, named) in [
        ("GET /api/v1/dead?limit=0", "", 422, "`limit` must be 1 to 500"),
        ("GET /api/v1/dead?limit=501", "", 422, "`limit` must be 1 to 500"),
        ("GET /api/v1/dead?limit=x", "", 422, "limit"),
        ("GET /api/v1/dead?before=7", "", 422, "before"),
        ("GET /api/v1/dead?colour=red", "", 422, "colour"),
        ("POST /api/v1/dead/requeue", "", 422, "body: "),
        ("POST /api/v1/dead/requeue", r#"{"filter": {"queue": "q"}}"#, 422, "reason"),
        ("POST /api/v1/dead/requeue", r#"{"filter": {}, "reason": "x"}"#, 422, "at least one of"),
        ("POST /api/v1/dead/requeue", r#"{"filter": {"queue": "q"}, "reason": " "}"#, 422, "why"),
        ("POST /api/v1/dead/requeue", r#"{"filter": {"q": "q"}, "reason": "x"}"#, 422, "q"),
        ("POST /api/v1/dead/requeue", &long, 422, "1000 characters"),
        (&format!("POST /api/v1/dead/{unknown}/requeue"), "", 404, ""),
        (&format!("POST /api/v1/dead/{unknown}:requeue"), "", 404, ""),
        (&format!("POST /api/v1/dead/{unknown}:bury"), "", 404, ""),
        (&format!("POST /api/v1/dead/{unknown}"), "", 404, ""),
        ("POST /api/v1/dead/7/requeue", "", 404, ""),
    ] {
        let reply = ask(&app, line, ADMIN, body).await;
        assert_eq!(reply.status, status, "{line} {body}: {}", reply.text());
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(named), "{line} {body}: {detail}");
    }
}
