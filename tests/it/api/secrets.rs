//! One trace from the request to the worker, and what must never stand in a log or an answer.

use super::raw::{SYNC, Way, request, sales_with, send};
use super::{ADMIN, READER, SERIAL, api_on, sale};
use serde_json::Value;
use tests::stores::{Deployment, Redis};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The lines of a JSON log, each parsed.
fn lines(log: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    log.lines().map(parse).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_request_to_the_workers_lines() {
    let stores = Deployment::Postgres.fresh().await;
    let mut app = api_on(stores, &[("RELAIS_LOG_FORMAT", "json")]).await;
    app.start_worker();
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let body = sale("TRACE-1").to_string();
    let bytes = sales_with(SERIAL, &[("traceparent", &parent)], body.as_bytes());
    let reply = send(app.address(0), &bytes, Way::Whole).await.unwrap();
    assert_eq!(reply.status, 201);
    let answered = reply.header("traceparent").unwrap();
    assert!(
        answered.starts_with(&format!("00-{TRACE}-")) && !answered.contains("00f067aa0ba902b7")
    );
    assert_eq!(reply.header("x-request-id"), Some(TRACE));
    let is_traced = |line: &Value| {
        let spans = line["spans"].as_array().into_iter().flatten();
        spans.into_iter().any(|span| span["trace.id"] == TRACE)
    };
    let traced = |log: &str| -> Vec<String> {
        let lines = lines(log).into_iter().filter(is_traced);
        lines.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    };
    // The request's own line is written once its answer is on its way.
    let began = std::time::Instant::now();
    while !traced(&app.apis[0].log()).contains(&"answered".to_owned()) {
        assert!(began.elapsed().as_secs() < 10, "{}", app.apis[0].log());
        tokio::task::yield_now().await;
    }
    let worker = traced(&app.workers[0].log());
    for line in [
        format!("🔄 Synchronisation ventes pour boutique: Ma Boutique (Terminal: {SERIAL})"),
        "📦 Nombre de ventes à synchroniser: 1".to_owned(),
        "✅ Vente TRACE-1 créée avec succès: 40000 CDF".to_owned(),
    ] {
        assert!(worker.contains(&line), "{line} is not in {worker:?}");
    }
    // The same sale again is the source's fourth line, and a trace of its own.
    let again = sales_with(SERIAL, &[("traceparent", "garbage")], body.as_bytes());
    let again = send(app.address(0), &again, Way::Whole).await.unwrap();
    assert_eq!(again.json()["ventes_erreurs"][0]["code"], "DUPLICATE");
    assert_ne!(again.header("x-request-id"), Some(TRACE));
    let log = app.workers[0].log();
    assert!(log.contains("⚠️ Vente TRACE-1 existe déjà, ignorée"), "{log}");
}

/// I-29: everything at its most talkative.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_stands_in_a_log_or_an_answer() {
    const CANARY: &str = "canary";
    let secret = |name: &str| format!("{CANARY}-{name}-7f3a9c");
    let redis = Redis::start_private().await;
    let mut stores = Deployment::Distributed.fresh().await;
    let password = format!("postgres:{}@", secret("database"));
    stores.database_url = stores.database_url.replace("postgres@", &password);
    // A server without a password refuses this one: the failure must not repeat it.
    stores.redis_url =
        Some(redis.url().replace("redis://", &format!("redis://:{}@", secret("redis"))));
    let env = [
        ("RELAIS_LOG_FORMAT", "json"),
        ("RELAIS_LOG_FILTER", "trace"),
        ("RELAIS_API_WAIT_SECONDS", "2"),
    ];
    let mut app = api_on(stores, &env).await;
    app.start_worker();
    let right = format!("canary-key.{}", secret("right"));
    app.seed(
        &serde_json::json!({"cles_api": [{"cle": right, "nom": "x", "portees": ["jobs:read"]}]}),
    )
    .await;
    let (wrong, bearer) =
        (format!("reader.{}", secret("wrong")), format!("Bearer {}", secret("bearer")));
    let (cookie, device) = (format!("session={}", secret("cookie")), secret("device"));
    let query = format!("?api_key={}", secret("query"));
    let hidden = [("Authorization", &*bearer), ("Cookie", &*cookie), ("X-Device-Key", &*device)];
    let mut requests = vec![sales_with(SERIAL, &hidden, sale("SECRET").to_string().as_bytes())];
    for path in
        [format!("/api/v1/jobs/{}", uuid::Uuid::now_v7()), "/metrics".into(), "/readyz".into()]
    {
        for key in [&right, &wrong] {
            let headers =
                [hidden[0], hidden[1], hidden[2], ("X-API-Key", key), ("Forwarded", "for=x")];
            requests.push(request(&format!("GET {path}{query}"), &headers, b""));
        }
    }
    requests.push(request(&format!("GET {SYNC}{query}"), &hidden, b""));
    requests.push(request(&format!("GET /{}{query}", secret("path")), &hidden, b""));
    let mut told = String::new();
    for bytes in requests {
        let reply = send(app.address(0), &bytes, Way::Whole).await.unwrap();
        told.push_str(&format!("{reply:?}\n{}\n", reply.text()));
    }
    for role in ["api", "worker", "scheduler"] {
        // Wrong settings are named with their source, not with what is secret in them.
        let url = format!("postgres://u:{}@127.0.0.1:1/x", secret("refused"));
        let env = [
            ("DATABASE_URL".to_owned(), url),
            ("RELAIS_DATABASE_ACQUIRE_MILLISECONDS".into(), "100".into()),
        ];
        let mut process = tests::app::Process::spawn(&[role], &env, &app.stores.dir);
        process.wait(std::time::Duration::from_secs(3)).await;
        told.push_str(&process.log());
    }
    for process in app.apis.iter().chain(&app.workers) {
        let log = process.log();
        assert!(log.contains("\"level\":\"INFO\""), "{log}");
        told.push_str(&log);
        let command = std::fs::read(format!("/proc/{}/cmdline", process.pid())).unwrap();
        told.push_str(&String::from_utf8_lossy(&command));
    }
    let leaks: Vec<_> = told.lines().filter(|line| line.contains("-7f3a9c")).collect();
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    let keys = [READER, ADMIN].map(|key| key.split_once('.').unwrap().1);
    assert!(keys.iter().all(|secret| !told.contains(secret)));
}
