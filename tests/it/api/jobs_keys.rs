//! `Idempotency-Key`: sent again is answered again, not done again (D-11).

use super::jobs_put::{OTHER, WRITER, call, header, jobs_api, key, no_sales};
use super::{ADMIN, Rows};
use serde_json::{Value, json};
use tests::app::{Answer, TestApp};
use tests::stores::Deployment;

const BY_KIND: &str = "/api/v1/jobs/apply_sales_batch";
const KEY: &str = "Idempotency-Key";

async fn put(app: &TestApp, who: &str, name: &str, shop: u32, prefer: &str) -> Answer {
    let headers = [key(who), (KEY, name), ("Prefer", prefer)];
    call(app, "POST", BY_KIND, &headers, no_sales(shop).to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_job_and_one_answer() {
    for deployment in Deployment::chosen() {
        let mut app = jobs_api(deployment, &[]).await;
        let db = app.stores.db().await;
        // Five at once, in two spellings of the key.
        let names = ["key-0001", "\"key-0001\"", "key-0001", "key-0001", "\"key-0001\""];
        let at_once = names.map(|name| put(&app, WRITER, name, 1, "wait=0"));
        let answers = futures::future::join_all(at_once).await;
        let first = answers[0].json();
        for answer in &answers {
            assert_eq!((answer.status, answer.json()), (202, first.clone()), "{}", answer.text);
        }
        let replayed = answers.iter().filter(|a| header(a, "idempotency-replayed").is_some());
        assert_eq!(replayed.count(), 4);
        assert_eq!(Rows::of(&db).await.jobs, 1);

        // The same said otherwise is the same; something else is not.
        let location = header(&answers[0], "location").unwrap();
        let spelt = serde_json::to_string_pretty(&no_sales(1)).unwrap();
        let again = call(&app, "POST", BY_KIND, &[key(WRITER), (KEY, names[0])], spelt).await;
        assert_eq!((again.status, header(&again, "location")), (202, Some(location)));
        let other = put(&app, WRITER, names[0], 2, "wait=0").await;
        assert_eq!((other.status, &other.json()["code"]), (422, &json!("IDEMPOTENCY_KEY_REUSED")));
        assert_eq!(other.json()["type"], "urn:relais:problem:idempotency-key-reused");
        let path = format!("{BY_KIND}?priority=1");
        let headers = [key(WRITER), (KEY, names[0])];
        let option = call(&app, "POST", &path, &headers, no_sales(1).to_string()).await;
        assert_eq!(option.status, 422, "another option is another request");
        assert_eq!(put(&app, WRITER, names[0], 1, "handling=strict").await.status, 409);
        let foreign = put(&app, OTHER, names[0], 1, "wait=0").await;
        assert_eq!((foreign.status, foreign.json()["created"].clone()), (202, json!(true)));
        assert_eq!(Rows::of(&db).await.jobs, 2, "a key belongs to who sent it");

        // Joined until the job's end, then word for word.
        app.start_worker();
        let done = put(&app, WRITER, names[0], 1, "wait=20").await;
        assert_eq!((done.status, header(&done, "idempotency-replayed")), (200, Some("true")));
        assert_eq!(
            (&done.json()["state"], &done.json()["created"]),
            (&json!("done"), &json!(true))
        );
        let last = put(&app, WRITER, names[1], 1, "handling=strict").await;
        assert_eq!((last.status, &last.text), (200, &done.text));
        assert_eq!(header(&last, "content-type"), Some("application/json"));
        // Also when the job is gone.
        let job = first["id"].as_str().unwrap();
        let path = format!("/api/v1/jobs/{job}");
        assert_eq!(call(&app, "DELETE", &path, &[key(ADMIN)], "").await.status, 204);
        assert_eq!(put(&app, WRITER, names[0], 1, "wait=0").await.text, done.text);

        // A job that is gone before anybody heard of its end is not made again.
        let mut number = 2;
        let (name, unheard) = loop {
            let name = format!("key-{number:04}");
            let answer = put(&app, WRITER, &name, 3, "wait=0").await;
            // A quick worker may be done before the answer is written.
            if answer.status == 202 {
                break (name, answer.json());
            }
            number += 1;
        };
        let path = format!("/api/v1/jobs/{}", unheard["id"].as_str().unwrap());
        let ended = [key(WRITER), ("Prefer", "wait=20")];
        assert_eq!(call(&app, "GET", &path, &ended, "").await.json()["done"], true);
        assert_eq!(call(&app, "DELETE", &path, &[key(ADMIN)], "").await.status, 204);
        let gone = put(&app, WRITER, &name, 3, "wait=0").await;
        assert_eq!((gone.status, &gone.json()["code"]), (410, &json!("JOB_EXPIRED")));
        db.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_with_a_key_are_done_once_and_refusals_are_not_kept() {
    for deployment in Deployment::chosen() {
        let app = jobs_api(deployment, &[]).await;
        let id = put(&app, WRITER, "make-0001", 1, "wait=0").await.json();
        let id = id["id"].as_str().unwrap().to_owned();
        let act = async |path: String, name: &'static str| {
            call(&app, "POST", &path, &[key(ADMIN), (KEY, name)], "").await
        };
        let cancel = format!("/api/v1/jobs/{id}/cancel");
        let first = act(cancel.clone(), "cancel-0001").await;
        assert_eq!((first.status, header(&first, "idempotency-replayed")), (200, None));
        let again = act(format!("/api/v1/jobs/{id}:cancel"), "cancel-0001").await;
        assert_eq!((again.status, &again.text), (200, &first.text));
        assert_eq!(header(&again, "idempotency-replayed"), Some("true"));
        assert_eq!(act(cancel.clone(), "cancel-0002").await.status, 409, "without the key's help");
        let retry = format!("/api/v1/jobs/{id}/retry");
        assert_eq!(act(retry.clone(), "cancel-0001").await.status, 422, "another act");
        assert_eq!(act(retry, "retry-0001").await.status, 200);
        assert_eq!(act(cancel, "cancel-0002").await.status, 200, "a refusal was kept");
        let bulk = json!({"action": "retry", "filter": {"state": "cancelled"}, "reason": "again"});
        let bulk = async || {
            let headers = [key(ADMIN), (KEY, "bulk-0001")];
            call(&app, "POST", "/api/v1/jobs/bulk", &headers, bulk.to_string()).await
        };
        let (first, second) = (bulk().await, bulk().await);
        assert_eq!((first.json()["done"].clone(), &first.text), (json!(1), &second.text));
        for name in ["short", "\"unclosed", "tab\there-long", "\"quoted key\"; x"] {
            let answer = put(&app, WRITER, name, 1, "wait=0").await;
            let problem: Value = answer.json();
            assert_eq!(answer.status, 422, "{name}: {problem}");
            assert!(problem["detail"].as_str().unwrap().contains("8 to 255"), "{problem}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_keys_are_forgotten_in_small_steps() {
    use records::requests::{Scope, begin, find, prune};
    use std::time::Duration;
    for deployment in Deployment::chosen() {
        let stores = deployment.fresh().await;
        let db = stores.db().await;
        let scope = |number: usize| Scope {
            principal: "key:x".into(),
            route: "POST /".into(),
            key: format!("key-{number}"),
        };
        let take = async |number: usize, hold: Duration| {
            let mut tx = db.begin().await.unwrap();
            let taken = begin(&mut tx, &scope(number), b"f", hold).await.unwrap();
            tx.commit().await.unwrap();
            taken
        };
        let hold = Duration::from_secs(60);
        for number in 0..5 {
            assert!(take(number, hold).await);
            assert!(!take(number, hold).await);
        }
        static AGE: db::Sql = db::Sql::both(
            "UPDATE requests SET created_at = {after $1} WHERE key <> 'key-4' AND key <> 'key-3'",
        );
        db.execute(&AGE, db::args![-8 * 86_400_000_i64]).await.unwrap();
        assert_eq!(find(&db, &scope(0)).await.unwrap(), None, "too old to count");
        assert!(take(0, hold).await, "and may be taken again");
        assert_eq!(prune(&db, 1).await.unwrap(), 1);
        assert_eq!(prune(&db, 10).await.unwrap(), 1);
        assert_eq!(prune(&db, 10).await.unwrap(), 0);
        // A request that was cut off does not keep its key.
        assert!(take(9, Duration::ZERO).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(take(9, hold).await);
        assert!(!take(9, hold).await);
        db.close().await;
    }
}
