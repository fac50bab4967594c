//! Lists of jobs: filters, pages, who sees what; logs; and why a job waits.

use super::jobs_put::{OTHER, WRITER, call, jobs_api, key, no_sales};
use super::{ADMIN, NOBODY, READER, SERIAL};
use queue::{Claim, NewJob};
use serde_json::{Value, json};
use std::time::Duration;
use tests::app::TestApp;
use tests::stores::Deployment;

async fn list(app: &TestApp, who: &str, query: &str) -> Value {
    let answer = call(app, "GET", &format!("/api/v1/jobs?{query}"), &[key(who)], "").await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    answer.json()
}

fn ids(list: &Value) -> Vec<String> {
    let id = |job: &Value| job["id"].as_str().unwrap().to_owned();
    list["jobs"].as_array().unwrap().iter().map(id).collect()
}

async fn put(app: &TestApp, who: &str, query: &str, shop: u32) -> String {
    let path = format!("/api/v1/jobs/apply_sales_batch?{query}");
    let answer = call(app, "POST", &path, &[key(who)], no_sales(shop).to_string()).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_filtered_paged_and_shows_each_its_own() {
    for deployment in Deployment::chosen() {
        let app = jobs_api(deployment, &[]).await;
        let mut mine = Vec::new();
        for number in 0..5 {
            mine.insert(0, put(&app, WRITER, &format!("attribute=n:{number}"), number).await);
        }
        let theirs = put(&app, OTHER, "queue=other&delay_seconds=3600", 1).await;
        assert_eq!(ids(&list(&app, READER, "").await).len(), 6);
        for (query, expected) in [
            ("queue=other", vec![&theirs]),
            ("state=scheduled", vec![&theirs]),
            ("principal=key:other", vec![&theirs]),
            ("attribute=n:3", vec![&mine[1]]),
            ("lane=boutique:1", vec![&theirs, &mine[3]]),
            ("lane=boutique:1&state=ready", vec![&mine[3]]),
            ("kind=verify_stock", vec![]),
            ("since=2098-01-01T00:00:00Z", vec![]),
            ("until=2001-01-01T00:00:00Z", vec![]),
        ] {
            let found = ids(&list(&app, READER, query).await);
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
        }
        // Page by page it is the same list, whoever reads it.
        let mut pages = Vec::new();
        let mut before = String::new();
        loop {
            let page = list(&app, WRITER, &format!("limit=2{before}")).await;
            pages.extend(ids(&page));
            let Some(next) = page["next"].as_str() else { break };
            before = format!("&before={next}");
        }
        assert_eq!(pages, mine, "a key that may only write sees its own");
        assert_eq!(ids(&list(&app, WRITER, "principal=key:other").await), [""; 0]);
        assert_eq!(ids(&list(&app, NOBODY, "").await), [""; 0]);
        for query in [
            "limit=0",
            "limit=501",
            "limit=x",
            "limit=1&limit=2",
            "before=x",
            "state=lost",
            "kind=%00",
            "queue=a%0Ab",
            "attribute=x",
            "attribute=%00:b",
            "since=today",
            "colour=x",
            "kind=",
            "lane=%00",
            "principal=%00",
            "sort=id",
            "until=",
            "kind=a&kind=b",
        ] {
            let path = format!("/api/v1/jobs?{query}");
            let answer = call(&app, "GET", &path, &[key(READER)], "").await;
            assert_eq!(answer.status, 422, "{query}: {}", answer.text);
        }
        assert_eq!(call(&app, "GET", "/api/v1/jobs", &[], "").await.status, 401);
        let terminal = call(&app, "GET", "/api/v1/jobs", &[("X-Device-Serial", SERIAL)], "").await;
        assert_eq!((terminal.status, &terminal.json()["jobs"]), (200, &json!([])));

        // What is somebody else's is not there, wherever one looks.
        for path in ["", "/logs", "/why"] {
            let path = format!("/api/v1/jobs/{theirs}{path}");
            let statuses = [WRITER, OTHER, READER, ADMIN, NOBODY];
            let expected = [404, 200, 200, 200, 404];
            for (who, expected) in statuses.into_iter().zip(expected) {
                let answer = call(&app, "GET", &path, &[key(who)], "").await;
                assert_eq!(answer.status, expected, "{who} {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_come_in_pieces_and_why_says_what_a_job_waits_for() {
    for deployment in Deployment::chosen() {
        let app = jobs_api(deployment, &[]).await;
        let engine = app.stores.engine().await;
        let logged = NewJob::new("script", "script", "{}");
        engine.enqueue(std::slice::from_ref(&logged)).await.unwrap();
        let lease = Duration::from_secs(600);
        let claim = Claim { queue: "script".into(), worker: "w".into(), limit: 1, lease };
        let claimed = engine.claim(&claim).await.unwrap();
        let lines: Vec<_> = (0..5).map(|n| (queue::clock::now(), format!("<line {n}>"))).collect();
        engine.log(claimed[0].ticket, &lines).await.unwrap();
        let path = format!("/api/v1/jobs/{}/logs", logged.id);
        let read = async |query: &str| {
            let answer = call(&app, "GET", &format!("{path}?{query}"), &[key(READER)], "").await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.json()
        };
        let all = read("").await;
        assert_eq!((all["logs"].as_array().unwrap().len(), &all["next"]), (5, &Value::Null));
        let piece = read("limit=2").await;
        assert_eq!(piece["logs"][1]["line"], "<line 1>");
        let rest = read(&format!("after={}", piece["next"])).await;
        assert_eq!(rest["logs"][0]["line"], "<line 2>");
        for query in ["limit=0", "limit=501", "after=x", "x=1"] {
            let answer = call(&app, "GET", &format!("{path}?{query}"), &[key(READER)], "").await;
            assert_eq!(answer.status, 422, "{query}");
        }

        let why = async |id: &str| {
            let path = format!("/api/v1/jobs/{id}/why");
            let why = call(&app, "GET", &path, &[key(READER)], "").await.json();
            assert!(!why["summary"].as_str().unwrap().is_empty(), "{why}");
            let blockers = why["blockers"].as_array().unwrap();
            let code = |blocker: &Value| blocker["code"].as_str().unwrap().to_owned();
            (why["state"].clone(), blockers.iter().map(code).collect::<Vec<_>>(), why)
        };
        assert_eq!(why(&logged.id.to_string()).await.0, "running");
        let head = put(&app, WRITER, "", 7).await;
        let behind = put(&app, WRITER, "", 7).await;
        let later = put(&app, WRITER, "delay_seconds=3600", 8).await;
        let (state, codes, _) = why(&head).await;
        assert_eq!((state, codes), (json!("ready"), vec!["NO_WORKER_FOR_QUEUE".to_owned()]));
        let (_, codes, shown) = why(&behind).await;
        assert_eq!(codes[0], "LANE");
        assert_eq!(
            (&shown["blockers"][0]["job"], &shown["blockers"][0]["ahead"]),
            (&json!(head), &json!(1))
        );
        let (_, codes, shown) = why(&later).await;
        assert!(codes.contains(&"SCHEDULE".to_owned()), "{shown}");
        assert!(shown["summary"].as_str().unwrap().contains("was put in for"), "{shown}");
        engine.db().close().await;
    }
}
