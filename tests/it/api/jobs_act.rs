//! Cancel, retry and delete: who may, when, and what it leaves behind.

use super::jobs_put::{OTHER, WRITER, call, jobs_api, key, no_sales};
use super::{ADMIN, READER, SERIAL};
use queue::{Claim, NewJob, Outcome};
use serde_json::{Value, json};
use std::time::Duration;
use tests::app::TestApp;
use tests::stores::Deployment;

pub(super) async fn put(app: &TestApp, who: &str, shop: u32) -> String {
    let path = "/api/v1/jobs/apply_sales_batch";
    let answer = call(app, "POST", path, &[key(who)], no_sales(shop).to_string()).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn post(app: &TestApp, who: &str, path: &str, body: &str) -> (u16, Value) {
    let path = format!("/api/v1/jobs/{path}");
    let answer = call(app, "POST", &path, &[key(who)], body.to_owned()).await;
    (answer.status, serde_json::from_str(&answer.text).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_cancelled_retried_and_removed_by_those_who_may() {
    for deployment in Deployment::chosen() {
        let app = jobs_api(deployment, &[]).await;
        let id = put(&app, WRITER, 1).await;
        // Neither strangers nor readers; to strangers it does not even exist.
        for act in ["cancel", "retry"] {
            for form in [format!("{id}/{act}"), format!("{id}:{act}")] {
                assert_eq!(post(&app, OTHER, &form, "").await.0, 404, "{form}");
                assert_eq!(post(&app, READER, &form, "").await.0, 403, "{form}");
            }
        }
        assert_eq!(post(&app, WRITER, &format!("{id}/retry"), "").await.0, 403);
        let delete = async |who: &str, id: &str| {
            call(&app, "DELETE", &format!("/api/v1/jobs/{id}"), &[key(who)], "").await.status
        };
        assert_eq!(
            [delete(OTHER, &id).await, delete(READER, &id).await, delete(WRITER, &id).await],
            [404, 403, 403]
        );
        assert_eq!(delete(ADMIN, &id).await, 409);

        // Its maker changes its mind.
        let (status, job) =
            post(&app, WRITER, &format!("{id}:cancel"), r#"{"reason":"wrong shop"}"#).await;
        assert_eq!((status, &job["state"]), (200, &json!("cancelled")), "{job}");
        assert_eq!(job["error"]["code"], "CANCELLED");
        assert_eq!(
            (&job["actions"][0]["principal"], &job["actions"][0]["reason"]),
            (&json!("key:writer"), &json!("wrong shop"))
        );
        let (status, problem) = post(&app, WRITER, &format!("{id}/cancel"), "").await;
        assert_eq!((status, &problem["code"]), (409, &json!("CONFLICT")));
        assert!(problem["detail"].as_str().unwrap().contains("cancelled"), "{problem}");
        let (status, job) = post(&app, ADMIN, &format!("{id}:retry"), "{}").await;
        assert_eq!((status, &job["state"]), (200, &json!("ready")), "{job}");
        assert_eq!(post(&app, ADMIN, &format!("{id}/retry"), "").await.0, 409);
        assert_eq!(post(&app, ADMIN, &format!("{id}/cancel"), "").await.0, 200);
        assert_eq!(delete(ADMIN, &id).await, 204);
        assert_eq!(delete(ADMIN, &id).await, 404);

        // A running job is asked to stop, by an administrator.
        let engine = app.stores.engine().await;
        let job = NewJob {
            principal: Some("key:writer".into()),
            ..NewJob::new("script", "script", "{}")
        };
        engine.enqueue(std::slice::from_ref(&job)).await.unwrap();
        let lease = Duration::from_secs(600);
        let claim = Claim { queue: "script".into(), worker: "w".into(), limit: 1, lease };
        let held = engine.claim(&claim).await.unwrap();
        let (status, problem) = post(&app, WRITER, &format!("{}/cancel", job.id), "").await;
        assert_eq!(status, 409, "{problem}");
        let (status, shown) = post(&app, ADMIN, &format!("{}/cancel", job.id), "").await;
        assert_eq!((status, &shown["state"]), (202, &json!("running")));
        assert!(shown["metadata"]["cancel_at"].is_string(), "{shown}");
        let end = Outcome::Cancelled { error: "asked".into() };
        engine.finish(&[(held[0].ticket, end)]).await.unwrap();
        assert_eq!(post(&app, ADMIN, &format!("{}/cancel", job.id), "").await.0, 409);
        engine.db().close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_that_make_no_sense_are_refused() {
    for deployment in Deployment::chosen() {
        let app = jobs_api(deployment, &[]).await;
        let id = put(&app, WRITER, 1).await;
        let nobody = uuid::Uuid::now_v7();
        for (path, body, status) in [
            (format!("{nobody}/cancel"), "", 404),
            (format!("{nobody}:cancel"), "", 404),
            ("x/cancel".into(), "", 404),
            ("%00:cancel".into(), "", 404),
            ("%ff/cancel".into(), "", 404),
            (format!("{id}:delete"), "", 404),
            (format!("{id}:explode"), "", 404),
            (format!("{id}:"), "", 404),
            (format!("{id}/cancel"), "x", 422),
            (format!("{id}/cancel"), "[]", 422),
            (format!("{id}/cancel"), r#"{"why":"x"}"#, 422),
            (format!("{id}/cancel"), r#"{"reason":7}"#, 422),
            (format!("{id}/cancel"), r#"{"reason":""}"#, 422),
            (format!("{id}:cancel"), r#"{"reason":"a\u0000b"}"#, 422),
            (format!("{id}:cancel"), r#"{"reason":"a\nb"}"#, 422),
        ] {
            let (got, problem) = post(&app, ADMIN, &path, body).await;
            assert_eq!(got, status, "{path} {body}: {problem}");
        }
        let long = json!({"reason": "x".repeat(5_000)}).to_string();
        assert_eq!(post(&app, ADMIN, &format!("{id}/cancel"), &long).await.0, 413);
        for path in [format!("{id}/cancel"), format!("{id}:cancel"), format!("{nobody}:cancel")] {
            let path = format!("/api/v1/jobs/{path}");
            assert_eq!(call(&app, "POST", &path, &[], "").await.status, 401, "{path}");
            let terminal = [("X-Device-Serial", SERIAL)];
            assert_eq!(call(&app, "POST", &path, &terminal, "").await.status, 404, "{path}");
        }
        let delete = format!("/api/v1/jobs/{id}?reason=%00");
        assert_eq!(call(&app, "DELETE", &delete, &[key(ADMIN)], "").await.status, 422);
    }
}
