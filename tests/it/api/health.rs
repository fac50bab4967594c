//! `/livez`, `/readyz` and `/metrics`: the truth about the stores, told in time.

use super::raw::{Reply, Way, request, sales, sales_with, send};
use super::{ADMIN, READER, SERIAL, api_on, sale};
use serde_json::json;
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::stores::{Deployment, Postgres, Redis};

async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Reply {
    let bytes = request(&format!("GET {path}"), headers, b"");
    send(app.address(0), &bytes, Way::Whole).await.unwrap()
}

async fn becomes(app: &TestApp, status: u16, word: &str) {
    let began = Instant::now();
    loop {
        let ready = get(app, "/readyz", &[]).await;
        assert!(ready.took < Duration::from_millis(1_500), "{:?}", ready.took);
        if (ready.status, ready.json()["status"].as_str()) == (status, Some(word)) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{}", ready.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_tells_which_store_is_gone_and_only_the_record_counts() {
    let (postgres, redis) = tokio::join!(Postgres::start_private(), Redis::start_private());
    let mut stores = Deployment::Distributed.fresh().await;
    stores.database_url = postgres.fresh_database().await;
    stores.redis_url = Some(redis.url());
    let mut app = api_on(stores, &[]).await;
    app.start_worker();
    let ready = get(&app, "/readyz", &[]).await;
    assert_eq!(
        (ready.status, ready.json()),
        (200, json!({"status": "ok", "checks": {"database": "ok", "queue": "ok"}}))
    );

    redis.kill9();
    becomes(&app, 200, "degraded").await;
    let body = sale("WITHOUT-REDIS").to_string();
    let sold = send(app.address(0), &sales(SERIAL, body.as_bytes()), Way::Whole).await.unwrap();
    assert_eq!(sold.status, 201, "without Redis: {}", sold.text());
    redis.start().await;
    becomes(&app, 200, "ok").await;

    tokio::task::block_in_place(|| postgres.stop());
    let gone = get(&app, "/readyz", &[]).await;
    assert_eq!((gone.status, gone.json()["checks"]["database"].as_str()), (503, Some("failed")));
    assert!(gone.took < Duration::from_secs(1), "{:?}", gone.took);
    assert_eq!(get(&app, "/livez", &[]).await.status, 200, "a restart would not help");
    let body = sale("WITHOUT-RECORD").to_string();
    let refused = send(app.address(0), &sales(SERIAL, body.as_bytes()), Way::Whole).await.unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(refused.json()["error"], "Service momentanément indisponible");
    let detail = refused.text();
    let tells = ["sqlx", "pool", "127.0.0.1", "postgres", "SELECT"];
    assert!(tells.iter().all(|word| !detail.contains(word)), "{detail}");
    postgres.start().await;
    becomes(&app, 200, "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_this_machine_and_for_admins() {
    let app = api_on(Deployment::Embedded.fresh().await, &[]).await;
    let body = sale("METRIC").to_string();
    let bytes = sales_with(SERIAL, &[("Prefer", "respond-async")], body.as_bytes());
    assert_eq!(send(app.address(0), &bytes, Way::Whole).await.unwrap().status, 202);
    get(&app, "/invented/by/a/stranger", &[]).await;
    let metrics = get(&app, "/metrics", &[]).await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let text = metrics.text();
    for expected in [
        r#"relais_http_requests_total{method="POST",route="/api/v2/simple/ventes/sync/",status="202"} 1"#,
        r#"relais_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        "relais_http_request_duration_seconds_bucket",
        "relais_jobs{queue=\"records\",state=\"ready\"} 1",
        "relais_queue_oldest_ready_seconds{queue=\"records\"}",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    assert!(!text.contains("stranger") && !text.contains(SERIAL), "{text}");
    // Behind a proxy of this machine everybody comes from this machine.
    let forwarded = ("X-Forwarded-For", "203.0.113.9");
    for (headers, status) in [
        (&[forwarded][..], 401),
        (&[("Forwarded", "for=203.0.113.9")], 401),
        (&[forwarded, ("X-API-Key", READER)], 403),
        (&[forwarded, ("X-Device-Serial", SERIAL)], 403),
        (&[forwarded, ("X-API-Key", ADMIN)], 200),
    ] {
        assert_eq!(get(&app, "/metrics", headers).await.status, status, "{headers:?}");
    }
}
