//! `GET /api/v1/jobs/{id}`: what it shows, to whom, and what it does not even admit to others.

use super::raw::{Reply, Way, request, send};
use super::{ADMIN, NEIGHBOUR, NOBODY, READER, SERIAL, api, sale};
use serde_json::{Value, json};
use std::time::Duration;
use tests::app::TestApp;
use tests::stores::Deployment;
use uuid::Uuid;

async fn accepted(app: &TestApp, body: &Value) -> String {
    let post = app.http().post(app.url(0, super::raw::SYNC)).header("X-Device-Serial", SERIAL);
    let answer = post.header("Prefer", "respond-async").json(body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let location = answer.headers()["location"].to_str().unwrap();
    location.strip_prefix("/api/v1/jobs/").unwrap().to_owned()
}

async fn show(app: &TestApp, id: &str, headers: &[(&str, &str)]) -> Reply {
    let bytes = request(&format!("GET /api/v1/jobs/{id}"), headers, b"");
    send(app.address(0), &bytes, Way::Whole).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_shows_where_it_stands_and_then_its_result() {
    let mut app = api(Deployment::Embedded, &[]).await;
    let mine = [("X-Device-Serial", SERIAL)];
    let id = accepted(&app, &sale("J-1")).await;
    let waiting = show(&app, &id, &mine).await;
    assert_eq!(waiting.status, 200);
    let job = waiting.json();
    assert_eq!(job["name"], format!("jobs/{id}"));
    assert_eq!((&job["state"], &job["done"]), (&json!("ready"), &json!(false)));
    assert_eq!((&job["kind"], &job["queue"]), (&json!("apply_sales_batch"), &json!("records")));
    assert_eq!((job.get("response"), job.get("error")), (None, None));
    assert_eq!(job["metadata"]["progress"], json!({"done": 0, "total": 0}));
    assert!(job["metadata"]["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(job["metadata"]["started_at"], Value::Null);
    assert_eq!(job["attempts"], json!([]));

    // The same again costs no body.
    let tag = waiting.header("etag").unwrap().to_owned();
    for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let known = show(&app, &id, &[mine[0], ("If-None-Match", &known)]).await;
        assert_eq!((known.status, known.body.len()), (304, 0));
        assert_eq!(known.header("etag"), Some(&*tag));
    }

    // A long poll is answered when its time is over, or when the job ends.
    let bored = show(&app, &id, &[mine[0], ("Prefer", "wait=1")]).await;
    assert_eq!((bored.status, bored.header("preference-applied")), (200, Some("wait=1")));
    assert!(bored.took >= Duration::from_secs(1) && !bored.json()["done"].as_bool().unwrap());
    app.start_worker();
    let waits = [mine[0], ("Prefer", "wait=25"), ("If-None-Match", &tag)];
    let done = show(&app, &id, &waits).await;
    assert_eq!(done.status, 200);
    let job = done.json();
    assert_eq!(
        (&job["state"], &job["done"], job.get("error")),
        (&json!("done"), &json!(true), None)
    );
    assert_eq!(job["metadata"]["progress"], json!({"done": 1, "total": 1}));
    for moment in ["created_at", "started_at", "finished_at"] {
        assert!(job["metadata"][moment].is_string(), "{moment}: {job}");
    }
    assert!(job["response"].to_string().contains("\"J-1\""), "{job}");
    assert_ne!(done.header("etag"), Some(&*tag));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_exists_only_for_its_maker_and_for_keys_that_may_read_jobs() {
    let app = api(Deployment::Embedded, &[]).await;
    let id = accepted(&app, &sale("J-2")).await;
    let unknown = Uuid::now_v7().to_string();
    let wrong_secret = format!("reader.{}", "0".repeat(32));
    for headers in [
        &[][..],
        &[("X-API-Key", wrong_secret.as_str())],
        &[("X-API-Key", "reader")],
        &[("X-API-Key", "nobody-knows.this")],
        &[("X-API-Key", "")],
        &[("X-API-Key", READER), ("X-API-Key", READER)],
        &[("X-Device-Serial", "unknown")],
        &[("X-Device-Serial", SERIAL), ("X-Device-Serial", SERIAL)],
        // A key that is wrong is not made good by a serial number that is right.
        &[("X-API-Key", "x.y"), ("X-Device-Serial", SERIAL)],
        &[("Authorization", READER)],
    ] {
        let mut bodies = Vec::new();
        for id in [&id, &unknown] {
            let reply = show(&app, id, headers).await;
            assert_eq!((reply.status, reply.code().as_str()), (401, "UNAUTHORIZED"), "{headers:?}");
            assert!(reply.header("www-authenticate").is_some());
            bodies.push(without_instance(&reply));
        }
        assert_eq!(bodies[0], bodies[1], "{headers:?}");
    }
    for (who, headers) in [
        ("another terminal of the shop", ("X-Device-Serial", NEIGHBOUR)),
        ("a terminal of another shop", ("X-Device-Serial", "till-3")),
        ("a key without scope", ("X-API-Key", NOBODY)),
    ] {
        let (foreign, absent) =
            (show(&app, &id, &[headers]).await, show(&app, &unknown, &[headers]).await);
        assert_eq!((foreign.status, foreign.code().as_str()), (404, "NOT_FOUND"), "{who}");
        assert_eq!(without_instance(&foreign), without_instance(&absent), "{who}");
        let names = |reply: &Reply| format!("{:?}", reply.header("content-length"));
        assert_eq!(names(&foreign), names(&absent), "{who}");
    }
    for (who, headers) in [
        ("its maker", ("X-Device-Serial", SERIAL)),
        ("a reader", ("X-API-Key", READER)),
        ("an admin", ("X-API-Key", ADMIN)),
    ] {
        assert_eq!(show(&app, &id, &[headers]).await.status, 200, "{who}");
        assert_eq!(show(&app, &unknown, &[headers]).await.status, 404, "{who}");
    }
    let long = "a".repeat(5_000);
    for malformed in
        ["1", "x", "%00", "..", "%ff", "' OR 1=1 --", &*long].map(|id| id.replace(' ', "%20"))
    {
        let reply = show(&app, &malformed, &[("X-API-Key", READER)]).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "NOT_FOUND"), "{malformed}");
    }
}

/// What an outsider could compare: everything but this occurrence's own name.
fn without_instance(reply: &Reply) -> String {
    let text = reply.text();
    let (before, after) =
        text.split_once("urn:relais:request:").unwrap_or_else(|| panic!("{text}"));
    let own = after.find('"').unwrap();
    assert_eq!(Some(&after[..own]), reply.header("x-request-id"));
    format!("{before}{}", &after[own..])
}
