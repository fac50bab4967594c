//! A batch that is sent again: one answer, one effect.

use super::{PUSH, Site, batch, line, outcomes};
use crate::sales::read;
use db::Sql;
use serde_json::{Value, json};
use tests::app::Answer;
use tests::stores::Deployment;
use uuid::Uuid;

async fn keyed(site: &Site, key: &str, body: &str) -> Answer {
    let request = site.app.http().post(site.app.url(0, PUSH)).header("X-API-Key", &site.key);
    let request = request.header("Content-Type", "application/json").header("Idempotency-Key", key);
    read(request.header("Prefer", "wait=20").body(body.to_owned()).send().await.unwrap()).await
}

/// I-1, I-2, D-11, D-31: also when its entities have moved on meanwhile, and however it is spelt.
pub(super) async fn a_batch_sent_again_is_answered_word_for_word(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let a = Uuid::now_v7();
    let body = batch("atomic", &[line(a, 1, None, "1")]);
    let first = site.post(&body).await;
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(outcomes(&site.push(&[line(a, 2, None, "2")]).await), ["updated 2"]);
    let books = site.books().await;
    let pretty = serde_json::to_string_pretty(&body).unwrap();
    for text in [body.to_string(), pretty] {
        let again = keyed(&site, &format!("cle-{a}"), &text).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text));
        assert_eq!(again.headers["idempotency-replayed"], "true");
    }
    assert_eq!(site.books().await, books);
    // A failed one as well.
    let failed = batch("atomic", &[line(a, 3, Some(Uuid::now_v7()), "1")]);
    let first = site.post(&failed).await;
    let again = site.post(&failed).await;
    assert_eq!((first.status, again.status, first.text == again.text), (422, 422, true));
    site.close().await;
}

/// D-11, D-31
pub(super) async fn an_id_means_one_batch(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let mut body = batch("atomic", &[line(Uuid::now_v7(), 1, None, "1")]);
    let key = format!("cle-{}", Uuid::now_v7());
    assert_eq!(keyed(&site, &key, &body.to_string()).await.status, 200);
    body["mode"] = json!("per_entity");
    let books = site.books().await;
    let other = site.post(&body).await;
    assert_eq!(
        (other.status, &other.json()["type"]),
        (422, &json!("urn:relais:problem:batch-id-reused"))
    );
    body["batch_id"] = json!(Uuid::now_v7());
    let other = keyed(&site, &key, &body.to_string()).await;
    assert_eq!((other.status, &other.json()["code"]), (422, &json!("IDEMPOTENCY_KEY_REUSED")));
    assert_eq!(site.books().await, books);
    site.close().await;
}

/// I-1, D-11
pub(super) async fn a_batch_that_is_sent_at_once_is_applied_once(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let body = batch("atomic", &[line(Uuid::now_v7(), 1, None, "1")]);
    let answers = futures::future::join_all((0..8).map(|_| site.post(&body))).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.text), (200, &answers[0].text));
    }
    static VERSIONS: Sql =
        Sql::both("SELECT COUNT(*) AS n FROM entity_versions WHERE site_id = $1");
    static BATCHES: Sql = Sql::both("SELECT COUNT(*) AS n FROM site_batches WHERE site_id = $1");
    assert_eq!((site.count(&VERSIONS).await, site.count(&BATCHES).await), (1, 1));
    let results: Value = answers[0].json()["results"].clone();
    assert_eq!(results[0]["status"], "created");
    site.close().await;
}
