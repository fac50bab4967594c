//! Whose documents somebody sees (S-10, D-50), and who may come in at all (C-25).

use super::{ADMIN, ANNE, BORIS, Case, NAS, NOBODY, report};
use queue::NewJob;
use serde_json::{Value, json};
use tests::stores::Deployment;

/// S-10: by each route that names a document.
pub(crate) async fn what_is_foreign_looks_like_what_is_missing(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let of_anne = case.upload(ANNE, "a.jpg", b"a").await["id"].as_i64().unwrap();
    let of_boris = case.upload(BORIS, "b.jpg", b"b").await["id"].as_i64().unwrap();
    case.seed(json!([{"id": 900, "fichier": "c.jpg"}])).await;
    let missing = 901;
    for (method, path) in
        [("GET", "documents/"), ("DELETE", "documents/"), ("POST", "sync/document/")]
    {
        let ask = async |id: i64| {
            let path = format!("/api/v1/{path}{id}");
            let answer = super::read(case.request(method, &path, ANNE)).await;
            let mut body: Value = answer.json();
            body["instance"] = Value::Null;
            (answer.status, body)
        };
        let foreign = ask(of_boris).await;
        assert_eq!(foreign.0, 404, "{method} {path}: {}", foreign.1);
        assert_eq!(foreign, ask(missing).await, "{method} {path}");
    }
    // What is nobody's is seen by every key, and removed by an administrator.
    let shared = case.delete("/api/v1/documents/900", ANNE).await;
    assert_eq!(shared.status, 403, "{}", shared.text);
    for (key, seen) in [
        (ANNE, vec![900, of_anne]),
        (BORIS, vec![900, of_boris]),
        (ADMIN, vec![900, of_boris, of_anne]),
    ] {
        let list = case.get("/api/v1/documents", key).await.json();
        let ids: Vec<i64> = list["documents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, seen, "{key}");
        assert_eq!(case.status(key).await["pending"], seen.len(), "{key}");
    }
    // A run of each is a job of its own, and names whose documents it is about.
    for (key, viewer) in [(ANNE, json!("anne")), (BORIS, json!("boris")), (ADMIN, Value::Null)] {
        let work = async {
            let job = case.take("nas").await;
            let payload: Value = serde_json::from_str(&job.payload).unwrap();
            assert_eq!(payload["viewer"], viewer);
            case.end(&job, &report(&[])).await;
        };
        let (run, ()) = tokio::join!(case.post("/api/v1/sync/run", key), work);
        assert_eq!(run.status, 200, "{}", run.text);
    }
    assert_eq!(case.delete("/api/v1/documents/900", ADMIN).await.status, 204);
}

const ROUTES: [(&str, &str); 9] = [
    ("GET", "/api/v1/sync/status"),
    ("GET", "/api/v1/sync/config"),
    ("POST", "/api/v1/sync/test"),
    ("POST", "/api/v1/sync/run"),
    ("POST", "/api/v1/sync/document/42"),
    ("GET", "/api/v1/documents"),
    ("POST", "/api/v1/documents"),
    ("GET", "/api/v1/documents/42"),
    ("DELETE", "/api/v1/documents/42"),
];

/// C-25, S-10.
pub(crate) async fn only_keys_with_the_scope_may_come_in(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    for (method, path) in ROUTES {
        for (key, status) in [("", 401), ("anne.wrong", 401), (NOBODY, 403)] {
            let refused = super::read(case.request(method, path, key)).await;
            assert_eq!(refused.status, status, "{method} {path} {key}: {}", refused.text);
            let french = path.starts_with("/api/v1/sync");
            assert_eq!(refused.json()["success"] == json!(false), french, "{}", refused.text);
            assert!(!refused.text.contains("192.168"), "{}", refused.text);
        }
    }
    assert!(case.engine.stats().await.unwrap().iter().all(|queue| queue.ready == 0));
}

/// C-25: the contract alone is open, not the documents; a key that is shown counts.
pub(crate) async fn an_open_contract_asks_for_no_key(deployment: Deployment) {
    let env = [&NAS[..], &[("NAS_API_PUBLIC", "true")]].concat();
    let case = Case::open(deployment, &env).await;
    case.upload(ANNE, "a.jpg", b"a").await;
    let id = case.upload(BORIS, "b.jpg", b"b").await["id"].as_i64().unwrap();
    assert_eq!(case.status("").await["total_documents"], 2);
    assert_eq!(case.status(ANNE).await["total_documents"], 1);
    assert_eq!(case.get("/api/v1/sync/status", "anne.wrong").await.status, 401);
    let one = format!("/api/v1/sync/document/{id}");
    assert_eq!(case.post_preferring(&one, "", "respond-async").await.status, 202);
    assert_eq!(case.post(&one, ANNE).await.status, 404);
    for (method, path) in ROUTES.iter().filter(|(_, path)| path.contains("documents")) {
        assert_eq!(
            super::read(case.request(method, path, "")).await.status,
            401,
            "{method} {path}"
        );
    }
}

/// C-25: what its 202 points to. Whatever else there is looks as without credentials anywhere.
pub(crate) async fn an_open_client_follows_what_open_clients_asked_for(deployment: Deployment) {
    let env = [&NAS[..], &[("NAS_API_PUBLIC", "true")]].concat();
    let case = Case::open(deployment, &env).await;
    case.seed(super::documents(42..=43, None)).await;
    let asked = case.post_preferring("/api/v1/sync/document/42", "", "respond-async").await;
    let mine = asked.headers["location"].to_str().unwrap().to_owned();
    for suffix in ["", "/logs", "/why"] {
        let shown = case.get(&format!("{mine}{suffix}"), "").await;
        assert_eq!(shown.status, 200, "{suffix}: {}", shown.text);
    }
    assert_eq!(case.get(&mine, "").await.json()["done"], false);
    let events = case.request("GET", &format!("{mine}/events"), "").send().await.unwrap();
    assert_eq!(events.status(), 200);
    // Another open client is shown it, too: it may have joined that run.
    let job =
        NewJob { principal: Some("ip:192.168.1.7".to_owned()), ..NewJob::new("k", "q", "{}") };
    let other = case.engine.enqueue(&[job]).await.unwrap()[0].id;
    assert_eq!(case.get(&format!("/api/v1/jobs/{other}"), "").await.status, 200);

    let asked = case.post_preferring("/api/v1/sync/document/43", ANNE, "respond-async").await;
    let of_anne = asked.headers["location"].to_str().unwrap().to_owned();
    let nobodys = case.engine.enqueue(&[NewJob::new("k", "q", "{}")]).await.unwrap()[0].id;
    let missing = uuid::Uuid::now_v7();
    let refused = async |method: &str, path: &str, key: &str| {
        let answer = super::read(case.request(method, path, key)).await;
        let mut body: Value = answer.json();
        body["instance"] = Value::Null;
        (answer.status, body)
    };
    let expected = refused("GET", "/api/v1/jobs", "").await;
    assert_eq!(expected.0, 401);
    for path in
        [of_anne.clone(), format!("/api/v1/jobs/{nobodys}"), format!("/api/v1/jobs/{missing}")]
            .iter()
            .map(String::as_str)
            .chain(["/api/v1/jobs/none", "/api/v1/jobs/%ff", "/api/v1/queues"])
    {
        assert_eq!(refused("GET", path, "").await, expected, "{path}");
    }
    // Looking is all; and whoever shows a key is that key.
    let cancel = format!("{mine}/cancel");
    for (method, path) in [("POST", &cancel), ("DELETE", &mine), ("POST", &mine)] {
        assert_eq!(refused(method, path, "").await.0, 401, "{method} {path}");
    }
    assert_eq!(refused("GET", &mine, "anne.wrong").await.0, 401);
    assert_eq!(refused("GET", &mine, ANNE).await.0, 404);
    assert_eq!(case.get(&of_anne, ANNE).await.status, 200);
}

/// C-25: also not one from when it was open.
pub(crate) async fn a_closed_contract_shows_no_job_without_a_key(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let job = NewJob { principal: Some("ip:127.0.0.1".to_owned()), ..NewJob::new("k", "q", "{}") };
    let id = case.engine.enqueue(&[job]).await.unwrap()[0].id;
    assert_eq!(case.get(&format!("/api/v1/jobs/{id}"), "").await.status, 401);
}
