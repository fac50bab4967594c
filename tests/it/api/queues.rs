//! `/api/v1/queues`, `/api/v1/pauses` and `/api/v1/workers`: what operators see and steer.

use super::raw::{Reply, Way, request, send};
use super::{ADMIN, NOBODY, READER, SERIAL, api};
use queue::{Beat, Claim, NewJob};
use serde_json::{Value, json};
use std::time::Duration;
use tests::app::TestApp;
use tests::stores::Deployment;

pub(super) async fn ask(app: &TestApp, line: &str, key: &str, body: &str) -> Reply {
    let bytes = request(line, &[("X-API-Key", key)], body.as_bytes());
    send(app.address(0), &bytes, Way::Whole).await.unwrap()
}

async fn queue(app: &TestApp, name: &str) -> Value {
    let reply = ask(app, &format!("GET /api/v1/queues/{name}"), READER, "").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_and_workers_are_shown_and_pauses_hold() {
    for deployment in Deployment::chosen() {
        let app = api(deployment, &[]).await;
        let engine = app.stores.engine().await;
        engine
            .enqueue(&[NewJob::new("tidy", "shelf", "{}"), NewJob::new("tidy", "shelf", "{}")])
            .await
            .unwrap();
        let all = ask(&app, "GET /api/v1/queues", READER, "").await.json();
        let shelf = queue(&app, "shelf").await;
        assert!(all["queues"].as_array().unwrap().iter().any(|q| q["name"] == "shelf"), "{all}");
        assert_eq!(
            shelf["depth"],
            json!({"ready": 2, "blocked": 0, "scheduled": 0, "running": 0, "dead": 0})
        );
        assert!(shelf["oldest_ready_seconds"].is_u64(), "{shelf}");
        assert_eq!(shelf["throughput"], json!({"done_per_minute": 0, "failed_per_minute": 0}));
        assert_eq!(shelf["paused"], Value::Null);

        // A pause replaces the one before; claims see it at once.
        let claim = Claim {
            queue: "shelf".to_owned(),
            worker: "hand-1".to_owned(),
            limit: 1,
            lease: Duration::from_secs(60),
        };
        for (what, body) in [
            ("queues/shelf", r#"{"for_seconds": 600, "reason": "moving"}"#),
            ("queues/shelf", ""),
            ("queues/shelf", r#"{"until": "2999-01-01T00:00:00Z", "reason": "stocktaking"}"#),
        ] {
            let line = format!("POST /api/v1/{what}/pause");
            let paused = ask(&app, &line, ADMIN, body).await;
            assert_eq!(paused.status, 200, "{}", paused.text());
            assert_eq!(paused.json()["by"], "key:admin");
            assert!(engine.claim(&claim).await.unwrap().is_empty(), "{body}");
        }
        let paused = queue(&app, "shelf").await;
        assert_eq!(paused["paused"]["reason"], "stocktaking");
        assert_eq!(paused["paused"]["until"], "2999-01-01T00:00:00Z");
        let pauses = ask(&app, "GET /api/v1/pauses", READER, "").await.json();
        assert_eq!(pauses["pauses"].as_array().map(Vec::len), Some(1), "{pauses}");
        for resumed in [true, false] {
            let reply = ask(&app, "POST /api/v1/queues/shelf/resume", ADMIN, "").await;
            assert_eq!((reply.status, reply.json()), (200, json!({"resumed": resumed})));
        }
        // A kind that only the catalog knows.
        for (path, status) in [("verify_stock/pause", 200), ("verify_stock/resume", 200)] {
            let line = format!("POST /api/v1/kinds/{path}");
            assert_eq!(ask(&app, &line, ADMIN, "").await.status, status, "{path}");
        }

        engine
            .beat(&Beat {
                worker: "hand-1".to_owned(),
                queues: vec![("shelf".to_owned(), 4)],
                kinds: vec![("tidy".to_owned(), 1)],
                running: 1,
                draining: false,
                last_claim: Some(Duration::ZERO),
                ended: Vec::new(),
                leaving: false,
            })
            .await
            .unwrap();
        let held = engine.claim(&claim).await.unwrap();
        let workers = ask(&app, "GET /api/v1/workers", READER, "").await.json();
        let hand = &workers["workers"][0];
        assert_eq!((&hand["name"], &hand["alive"]), (&json!("hand-1"), &json!(true)), "{workers}");
        assert_eq!(hand["queues"], json!([{"queue": "shelf", "concurrency": 4}]));
        assert_eq!(hand["kinds"], json!([{"kind": "tidy", "version": 1}]));
        assert_eq!(hand["jobs"][0]["id"], held[0].ticket.id.to_string());
        assert!(hand["jobs"][0]["lease_until"].is_string() && hand["last_claim_at"].is_string());
        // A kind is known once a worker serves it.
        assert_eq!(ask(&app, "POST /api/v1/kinds/tidy/pause", ADMIN, "").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_routes_are_for_operators_and_say_what_is_wrong() {
    let app = api(Deployment::Embedded, &[]).await;
    let lines = [
        ("GET /api/v1/queues", READER),
        ("GET /api/v1/queues/records", READER),
        ("GET /api/v1/queues/events", READER),
        ("GET /api/v1/pauses", READER),
        ("GET /api/v1/workers", READER),
        ("GET /api/v1/dead", READER),
        ("POST /api/v1/queues/records/pause", ADMIN),
        ("POST /api/v1/queues/records/resume", ADMIN),
        ("POST /api/v1/kinds/verify_stock/pause", ADMIN),
        ("POST /api/v1/kinds/verify_stock/resume", ADMIN),
        ("POST /api/v1/dead/requeue", ADMIN),
        ("POST /api/v1/dead/0198c1d2-0000-7000-8000-000000000000/requeue", ADMIN),
        ("POST /api/v1/dead/0198c1d2-0000-7000-8000-000000000000:requeue", ADMIN),
    ];
    for (line, scope) in lines {
        let stranger = send(app.address(0), &request(line, &[], b""), Way::Whole).await.unwrap();
        assert_eq!(stranger.status, 401, "{line}");
        assert_eq!(stranger.header("content-type"), Some("application/problem+json"), "{line}");
        let mut refused = vec![("X-API-Key", NOBODY), ("X-Device-Serial", SERIAL)];
        if scope == ADMIN {
            refused.push(("X-API-Key", READER));
        }
        for who in refused {
            let reply =
                send(app.address(0), &request(line, &[who], b""), Way::Whole).await.unwrap();
            assert_eq!((reply.status, reply.code().as_str()), (403, "FORBIDDEN"), "{line} {who:?}");
        }
    }
    let long = format!(r#"{{"reason": "{}"}}"#, "x".repeat(1_001));
    let past = r#"{"until": "2001-01-01T00:00:00Z"}"#;
    for (line, body, status, named) in [
        ("GET /api/v1/queues/nowhere", "", 404, ""),
        ("POST /api/v1/queues/nowhere/pause", "", 404, ""),
        ("POST /api/v1/queues/nowhere/resume", "", 404, ""),
        ("POST /api/v1/queues/%ff/pause", "", 404, ""),
        ("POST /api/v1/kinds/dance/pause", "", 404, ""),
        ("POST /api/v1/kinds/dance/resume", "", 404, ""),
        ("POST /api/v1/queues/records/pause", past, 422, "in the future"),
        ("POST /api/v1/queues/records/pause", r#"{"until": "tomorrow"}"#, 422, "body: "),
        ("POST /api/v1/queues/records/pause", r#"{"for_seconds": 0}"#, 422, "`for_seconds`"),
        ("POST /api/v1/queues/records/pause", r#"{"forseconds": 1}"#, 422, "forseconds"),
        ("POST /api/v1/queues/records/pause", &long, 422, "1000 characters"),
        ("POST /api/v1/queues/records/pause", "[", 422, "body: "),
        ("DELETE /api/v1/queues", "", 405, ""),
    ] {
        let reply = ask(&app, line, ADMIN, body).await;
        assert_eq!(reply.status, status, "{line} {body}: {}", reply.text());
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(named), "{line} {body}: {detail}");
    }
    assert_eq!(ask(&app, "GET /api/v1/pauses", READER, "").await.json(), json!({"pauses": []}));
}
