//! Putting jobs in through `/api/v1/jobs`: what is accepted, and how everything else is refused.

use super::{ADMIN, NOBODY, READER, Rows, SERIAL, api};
use serde_json::{Value, json};
use tests::app::{Answer, TestApp};
use tests::stores::Deployment;

/// May put jobs in, and see its own.
pub(super) const WRITER: &str = "writer.1a2b3c4d5e6f708192a3b4c5d6e7f809";
/// Another one like it.
pub(super) const OTHER: &str = "other.9a8b7c6d5e4f30211203948576a7b8c9";

/// An API with keys that may write.
pub(super) async fn jobs_api(deployment: Deployment, env: &[(&str, &str)]) -> TestApp {
    let mut all = vec![("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "10000")];
    all.extend(env);
    let app = api(deployment, &all).await;
    let key = |key: &str| json!({"cle": key, "nom": "écriture", "portees": ["jobs:write"]});
    app.seed(&json!({"cles_api": [key(WRITER), key(OTHER)]})).await;
    app
}

/// One request, read to its end.
pub(super) async fn call(
    app: &TestApp,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<reqwest::Body>,
) -> Answer {
    let mut request = app.http().request(method.parse().unwrap(), app.url(0, path)).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

pub(super) fn key(key: &str) -> (&'static str, &str) {
    ("X-API-Key", key)
}

pub(super) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

/// A payload of the one kind of which there may be many: no sales of a shop, whose lane it takes.
pub(super) fn no_sales(shop: u32) -> Value {
    json!({"boutique_id": shop, "boutique": "B", "terminal_id": 1, "terminal": "T",
           "numero_serie": "S", "recue_le": "2026-01-01T00:00:00Z",
           "horodatage": "20260101000000", "ventes": []})
}

const BY_KIND: &str = "/api/v1/jobs/apply_sales_batch";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_put_in_followed_and_done() {
    for deployment in Deployment::chosen() {
        let mut app = jobs_api(deployment, &[]).await;
        let payload = no_sales(9);
        let answer = call(&app, "POST", BY_KIND, &[key(WRITER)], payload.to_string()).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let job = answer.json();
        let location = header(&answer, "location").unwrap().to_owned();
        assert_eq!(location, format!("/api/v1/jobs/{}", job["id"].as_str().unwrap()));
        assert_eq!(header(&answer, "retry-after"), Some("2"));
        assert_eq!(header(&answer, "vary"), Some("Prefer"));
        assert!(header(&answer, "x-ratelimit-remaining").is_some());
        assert_eq!((&job["state"], &job["created"]), (&json!("ready"), &json!(true)));
        assert_eq!((&job["principal"], &job["lane"]), (&json!("key:writer"), &json!("boutique:9")));

        // With every option, in both forms.
        let query = "queue=elsewhere&priority=1&run_at=2098-01-01T00:00:00Z\
            &expires_at=2099-01-01T00:00:00Z&timeout_seconds=7&max_attempts=3\
            &unique_ever=once&attribute=invoice:F%20%3A1&attribute=city:Goma";
        let path = format!("{BY_KIND}?{query}");
        let first = call(&app, "POST", &path, &[key(WRITER)], payload.to_string()).await;
        assert_eq!(first.status, 202, "{}", first.text);
        let first = first.json();
        let envelope = json!({
            "kind": "apply_sales_batch", "payload": payload, "queue": "elsewhere", "priority": 1,
            "run_at": "2098-01-01T00:00:00Z", "expires_at": "2099-01-01T00:00:00Z",
            "timeout_seconds": 7, "max_attempts": 3, "unique": {"scope": "ever", "key": "once"},
            "attributes": {"invoice": "F :1", "city": "Goma"},
        });
        let twin = call(&app, "POST", "/api/v1/jobs", &[key(WRITER)], envelope.to_string()).await;
        assert_eq!(twin.status, 202, "{}", twin.text);
        let mut twin = twin.json();
        assert_eq!((&first["created"], &twin["created"]), (&json!(true), &json!(false)));
        twin["created"] = json!(true);
        assert_eq!(first, twin);
        assert_eq!(first["attributes"], json!({"city": "Goma", "invoice": "F :1"}));
        assert_eq!(
            (&first["priority"], &first["max_attempts"], &first["queue"], &first["state"]),
            (&json!(1), &json!(3), &json!("elsewhere"), &json!("scheduled"))
        );
        assert_eq!(first["run_at"], "2098-01-01T00:00:00Z");
        assert_eq!(first["expires_at"], "2099-01-01T00:00:00Z");
        // The equal job of somebody else does the work, but is none of its business.
        let foreign = call(&app, "POST", "/api/v1/jobs", &[key(OTHER)], envelope.to_string()).await;
        assert_eq!((foreign.status, foreign.json().get("attributes")), (202, None));
        assert_eq!(foreign.json()["created"], false);

        app.start_worker();
        let waits = [key(WRITER), ("Prefer", "wait=20"), ("Content-Type", "application/json")];
        let done = call(&app, "POST", BY_KIND, &waits, no_sales(10).to_string()).await;
        assert_eq!((done.status, header(&done, "preference-applied")), (200, Some("wait=20")));
        let done = done.json();
        assert_eq!((&done["done"], &done["state"]), (&json!(true), &json!("done")));
        assert_eq!(done["response"]["ventes_creees"], json!([]), "as its route answers: {done}");
        let shown = call(&app, "GET", &location, &[key(WRITER), waits[1]], "").await;
        assert_eq!(shown.json()["state"], "done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_keys_that_may_write_put_jobs_in() {
    let app = jobs_api(Deployment::Embedded, &[]).await;
    for (headers, status) in [
        (&[][..], 401),
        (&[key("writer.wrong")], 401),
        (&[key(NOBODY)], 403),
        (&[key(READER)], 403),
        (&[("X-Device-Serial", SERIAL)], 403),
        (&[key(ADMIN)], 202),
    ] {
        let answer = call(&app, "POST", BY_KIND, headers, no_sales(1).to_string()).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_with_its_place() {
    for deployment in Deployment::chosen() {
        let env = [("RELAIS_LIMITS_PAYLOAD_BYTES", "1024")];
        let app = jobs_api(deployment, &env).await;
        let db = app.stores.db().await;
        let before = Rows::of(&db).await;
        let good = no_sales(1).to_string();
        let with = |name: &str, value: Value| {
            let mut payload = no_sales(1);
            payload[name] = value;
            payload.to_string()
        };
        let envelope = |more: Value| {
            let mut body = json!({"kind": "apply_sales_batch", "payload": no_sales(1)});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body.to_string()
        };
        let query = |text: &str| format!("{BY_KIND}?{text}");
        let long = "x".repeat(300);
        let deep = good.replace("[]", &format!("{}{}", "[".repeat(300), "]".repeat(300)));
        let (payloads, jobs) = (BY_KIND.to_owned(), "/api/v1/jobs".to_owned());
        let table: Vec<(String, String, u16, &str)> = vec![
            ("/api/v1/jobs/no_such_kind".into(), good.clone(), 404, "prune_jobs, test_nas"),
            ("/api/v1/jobs/%00".into(), good.clone(), 404, "no kind"),
            ("/api/v1/jobs/%ff".into(), good.clone(), 404, "nothing"),
            (payloads.clone(), String::new(), 422, "payload: EOF"),
            (payloads.clone(), "{".into(), 422, "payload: EOF"),
            (payloads.clone(), format!("{good} x"), 422, "trailing"),
            (payloads.clone(), "[]".into(), 422, "payload: "),
            (payloads.clone(), "null".into(), 422, "payload: "),
            (payloads.clone(), "{}".into(), 422, "missing field `boutique_id`"),
            (payloads.clone(), with("boutique_id", json!("one")), 422, "payload: boutique_id: "),
            (payloads.clone(), with("surprise", json!(1)), 422, "unknown field `surprise`"),
            (payloads.clone(), with("until_delivered", json!("a\0b")), 422, "unique: "),
            (payloads.clone(), with("boutique", json!(long.repeat(4))), 413, "1024"),
            (payloads.clone(), "[".repeat(1_000), 422, "payload: "),
            (payloads.clone(), deep, 413, "32 levels"),
            (jobs.clone(), "[".repeat(1_000), 422, "body: "),
            (jobs.clone(), r#"["prune_jobs",{}]"#.into(), 422, "a JSON object"),
            (jobs.clone(), envelope(json!({"payload": long.repeat(4)})), 413, "1024"),
            (jobs.clone(), " ".repeat(30_000), 413, "1024"),
            (jobs.clone(), String::new(), 422, "body: EOF"),
            (jobs.clone(), "{}".into(), 422, "missing field `kind`"),
            (jobs.clone(), r#"{"kind":"prune_jobs"}"#.into(), 422, "missing field `payload`"),
            (jobs.clone(), r#"{"kind":7,"payload":{}}"#.into(), 422, "body: kind: "),
            (jobs.clone(), r#"{"kind":"x","payload":{}}"#.into(), 404, "kind of job `x`"),
            (jobs.clone(), envelope(json!({"principal": "key:admin"})), 422, "`principal`"),
            (jobs.clone(), envelope(json!({"priority": 10})), 422, "priority: 0 to 9"),
            (jobs.clone(), envelope(json!({"priority": -1})), 422, "priority: "),
            (
                jobs.clone(),
                envelope(json!({"unique": {"scope": "often", "key": "k"}})),
                422,
                "unique.scope",
            ),
            (
                jobs.clone(),
                envelope(json!({"unique": {"scope": "ever", "key": "\0"}})),
                422,
                "unique: ",
            ),
            (jobs.clone(), envelope(json!({"attributes": {"a\0": "b"}})), 422, "attributes: "),
            (jobs.clone(), envelope(json!({"attributes": {"a": long}})), 422, "256"),
            (jobs.clone(), envelope(json!({"attributes": {"a": 1}})), 422, "attributes.a: "),
            (jobs.clone(), envelope(json!({"run_at": "tomorrow"})), 422, "run_at: "),
            (query("colour=red"), good.clone(), 422, "the options are queue, priority"),
            (query("priority=ten"), good.clone(), 422, "priority: "),
            (query("priority=1&priority=2"), good.clone(), 422, "priority: once"),
            (query("run_at=1999-01-01T00:00:00Z"), good.clone(), 422, "run_at: "),
            (query("run_at=2050-01-01T00:00:00Z&delay_seconds=1"), good.clone(), 422, "not both"),
            (query("delay_seconds=99999999999"), good.clone(), 422, "delay_seconds: 0 to "),
            (
                query("delay_seconds=60&expires_at=2020-01-01T00:00:00Z"),
                good.clone(),
                422,
                "expires_at: ",
            ),
            (query("timeout_seconds=0"), good.clone(), 422, "timeout_seconds: 1 to 86400"),
            (query("max_attempts=0"), good.clone(), 422, "max_attempts: 1 to 1000"),
            (query("queue="), good.clone(), 422, "queue: "),
            (query("queue=a%00b"), good.clone(), 422, "queue: "),
            (query("lane=x"), good.clone(), 422, "chooses its own"),
            (query("unique_ever=a&unique_while_alive=b"), good.clone(), 422, "once"),
            (query("unique_ever=a%00"), good.clone(), 422, "unique: "),
            (query("attribute=plain"), good.clone(), 422, "name:value"),
            (query("attribute=a:1&attribute=a:2"), good.clone(), 422, "once"),
            ("/api/v1/jobs/verify_stock?unique_ever=a".into(), "{}".into(), 422, "chooses its own"),
            ("/api/v1/jobs/verify_stock?lane=%00".into(), "{}".into(), 422, "lane: "),
        ];
        for (path, body, status, says) in table {
            let answer = call(&app, "POST", &path, &[key(WRITER)], body.clone()).await;
            let case = format!("{path} {}", body.chars().take(80).collect::<String>());
            assert_eq!(answer.status, status, "{case}: {}", answer.text);
            let problem = answer.json();
            assert!(problem["detail"].as_str().unwrap().contains(says), "{case}: {problem}");
            let says_max =
                status != 413 || problem["max"] == if says == "32 levels" { 32 } else { 1024 };
            assert!(says_max && problem["instance"].is_string(), "{case}: {problem}");
        }
        for (name, value, status) in [
            ("Content-Type", "text/plain", 415),
            ("Content-Type", "application/json; charset=utf-8", 202),
            ("Content-Encoding", "br", 415),
        ] {
            let headers = [key(WRITER), (name, value)];
            let answer = call(&app, "POST", BY_KIND, &headers, good.clone()).await;
            assert_eq!(answer.status, status, "{name}: {value}: {}", answer.text);
        }
        // What PostgreSQL's texts cannot hold, its JSON can.
        let nul = with("boutique", json!("a\0b"));
        assert_eq!(call(&app, "POST", BY_KIND, &[key(WRITER)], nul).await.status, 202);
        assert_eq!(Rows::of(&db).await.jobs, before.jobs + 2);
        db.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_queue_takes_no_more_until_it_is_worked_off() {
    let mut app = jobs_api(Deployment::Embedded, &[("RELAIS_LIMITS_QUEUE_AGE_SECONDS", "1")]).await;
    let put = async || call(&app, "POST", BY_KIND, &[key(WRITER)], no_sales(1).to_string()).await;
    assert_eq!(put().await.status, 202);
    let began = std::time::Instant::now();
    let refused = loop {
        let answer = put().await;
        if answer.status != 202 {
            break answer;
        }
        assert!(began.elapsed().as_secs() < 20, "never refused");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("QUEUE_OVERLOADED")));
    assert!(header(&refused, "retry-after").is_some());
    let elsewhere = "/api/v1/jobs/verify_stock";
    assert_eq!(call(&app, "POST", elsewhere, &[key(WRITER)], "{}").await.status, 202);
    app.start_worker();
    let began = std::time::Instant::now();
    while call(&app, "POST", BY_KIND, &[key(WRITER)], no_sales(1).to_string()).await.status != 202 {
        assert!(began.elapsed().as_secs() < 20, "never accepted again");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
