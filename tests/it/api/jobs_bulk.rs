//! Acts on many jobs: counted first, done in pieces, and never on everything by mistake.

use super::ADMIN;
use super::READER;
use super::jobs_put::{WRITER, call, jobs_api, key};
use queue::{Claim, NewJob, State};
use serde_json::{Value, json};
use std::time::Duration;
use tests::app::TestApp;
use tests::stores::Deployment;

const BULK: &str = "/api/v1/jobs/bulk";

async fn bulk(app: &TestApp, body: &Value) -> Value {
    let answer = call(app, "POST", BULK, &[key(ADMIN)], body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_finds_is_counted_cancelled_retried_and_removed() {
    for deployment in Deployment::chosen() {
        let app = jobs_api(deployment, &[]).await;
        let engine = app.stores.engine().await;
        let job = |queue: &str| NewJob::new("script", queue, "{}");
        let mut jobs: Vec<_> = (0..1_200).map(|_| job("many")).collect();
        jobs.push(job("other"));
        engine.enqueue(&jobs).await.unwrap();
        let lease = Duration::from_secs(600);
        let claim = Claim { queue: "many".into(), worker: "w".into(), limit: 2, lease };
        assert_eq!(engine.claim(&claim).await.unwrap().len(), 2);

        let ask = |action: &str, filter: Value, dry_run: bool| json!({"action": action, "filter": filter, "reason": "tidying", "dry_run": dry_run});
        let counted = bulk(&app, &ask("cancel", json!({"queue": "many"}), true)).await;
        assert_eq!(counted, json!({"matching": 1_200, "more": false, "next": null}));
        let done = bulk(&app, &ask("cancel", json!({"queue": "many"}), false)).await;
        let figures = |done: &Value| {
            ["matching", "done", "requested", "refused"].map(|name| done[name].as_i64().unwrap())
        };
        assert_eq!(figures(&done), [1_200, 1_198, 2, 0], "{done}");
        assert_eq!(done["next"], Value::Null);
        let state = async |number: usize| engine.get(jobs[number].id).await.unwrap().unwrap().state;
        assert_eq!(state(1_199).await, State::Cancelled);
        assert_eq!(state(1_200).await, State::Ready, "the filter did not name it");
        let actions = engine.actions(jobs[1_199].id).await.unwrap();
        assert_eq!(
            (actions[0].principal.as_str(), actions[0].reason.as_deref()),
            ("key:admin", Some("tidying"))
        );
        let again = bulk(&app, &ask("retry", json!({"queue": "many"}), false)).await;
        assert_eq!(figures(&again), [1_200, 1_198, 0, 2], "{again}");
        let refused = bulk(&app, &ask("delete", json!({"queue": "many"}), false)).await;
        assert_eq!(figures(&refused), [1_200, 0, 0, 1_200], "{refused}");
        bulk(&app, &ask("cancel", json!({"queue": "many", "state": "ready"}), false)).await;
        let filter = json!({"queue": "many", "state": "cancelled"});
        let removed = bulk(&app, &ask("delete", filter.clone(), false)).await;
        assert_eq!(figures(&removed), [1_198, 1_198, 0, 0], "{removed}");
        let left = bulk(&app, &ask("delete", filter, true)).await;
        assert_eq!(left["matching"], 0, "{left}");
        engine.db().close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_act_without_filter_reason_or_right_is_refused() {
    let app = jobs_api(Deployment::Embedded, &[]).await;
    let good = json!({"action": "cancel", "filter": {"queue": "x"}, "reason": "y"});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body.to_string()
    };
    let long = "x".repeat(2_000);
    for (body, status) in [
        (String::new(), 422),
        ("[]".into(), 422),
        ("{}".into(), 422),
        (with("action", json!("explode")), 422),
        (with("filter", json!({})), 422),
        (with("filter", json!(null)), 422),
        (with("filter", json!([])), 422),
        (with("filter", json!({"everything": true})), 422),
        (with("filter", json!({"state": "lost"})), 422),
        (with("filter", json!({"kind": "a\0"})), 422),
        (with("filter", json!({"attribute": "a"})), 422),
        (with("reason", json!("")), 422),
        (with("reason", json!("a\0")), 422),
        (with("reason", json!(long)), 422),
        (with("dry_run", json!("no")), 422),
        (with("before", json!("x")), 422),
        (with("reason", json!("x".repeat(20_000))), 413),
    ] {
        let answer = call(&app, "POST", BULK, &[key(ADMIN)], body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    for (headers, status) in [(&[][..], 401), (&[key(WRITER)], 403), (&[key(READER)], 403)] {
        let answer = call(&app, "POST", BULK, headers, good.to_string()).await;
        assert_eq!(answer.status, status);
    }
}
