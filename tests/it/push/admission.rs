//! What is not let in, and how it is told.

use super::{PUSH, Site, batch, line, outcomes, post};
use crate::sales::read;
use db::Sql;
use serde_json::json;
use tests::app::Answer;
use tests::stores::Deployment;
use uuid::Uuid;

static BATCHES: Sql = Sql::both("SELECT COUNT(*) AS n FROM site_batches WHERE site_id = $1");

async fn raw(site: &Site, content_type: Option<&str>, body: Vec<u8>) -> Answer {
    let request = site.app.http().post(site.app.url(0, PUSH)).header("X-API-Key", &site.key);
    let request = match content_type {
        Some(kind) => request.header("Content-Type", kind),
        None => request,
    };
    read(request.body(body).send().await.unwrap()).await
}

/// R-000-5, R-000-16, D-30, D-50, S-7
pub(super) async fn only_a_site_s_own_key_may_push(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let id = site.id;
    let keys = json!({"cles_api": [
        {"cle": format!("a{id}.administrateur-secret"), "nom": "A", "portees": ["admin"]},
        {"cle": format!("p{id}.portee-sans-site-secret"), "nom": "P", "portees": ["sync:push"]},
    ]});
    records::seed::load(&site.db, &keys.to_string()).await.unwrap();
    let body = batch("atomic", &[line(Uuid::now_v7(), 1, None, "1")]);
    let mut told = Vec::new();
    let revoked = records::keys::NewKey {
        nom: "R".to_owned(),
        portees: vec!["sync:push".to_owned()],
        site_id: Some(id),
        expire_le: None,
    };
    let revoked = records::keys::create(&site.db, &revoked).await.unwrap();
    assert!(records::keys::revoke(&site.db, revoked.split('.').next().unwrap()).await.unwrap());
    for key in ["", "inconnue.secret", &format!("s{id}.faux-secret-assez-long"), &revoked] {
        let answer = post(site.app, key, "", &body).await;
        assert_eq!(answer.status, 401, "{key}: {}", answer.text);
        assert_eq!(answer.headers["www-authenticate"], "ApiKey");
        let mut problem = answer.json();
        problem["instance"] = json!(null);
        told.push(problem);
    }
    assert!(told.iter().all(|problem| *problem == told[0]), "{told:#?}");
    for key in [format!("a{id}.administrateur-secret"), format!("p{id}.portee-sans-site-secret")] {
        assert_eq!(post(site.app, &key, "", &body).await.status, 403, "{key}");
    }
    let mut foreign = body.clone();
    foreign["site_id"] = json!(id + 1);
    assert_eq!(site.post(&foreign).await.status, 403);
    let url = site.app.url(0, &format!("{}?site_id={}", super::PUSH, id + 1));
    let request = site.app.http().post(url).header("X-API-Key", &site.key);
    let request = request.header("Content-Type", "application/json");
    let status = request.body(body.to_string()).send().await.unwrap().status();
    assert_eq!(status.as_u16(), 403, "the query's site");
    assert_eq!(site.count(&BATCHES).await, 0, "what was refused left nothing");
    let mut own = body;
    own["site_id"] = json!(id);
    assert_eq!(outcomes(&site.post(&own).await), ["created 1"]);
    site.close().await;
}

/// R-000-15, D-31, C-55, S-12, S-26: what prevents a verdict for each entity is a problem.
pub(super) async fn a_body_that_is_no_batch_is_refused_whole(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let id = Uuid::now_v7();
    let head = format!(r#""batch_id":"{id}","schema_version":1"#);
    for body in [
        String::new(),
        "[]".to_owned(),
        format!("{{{head}}}"),
        format!(r#"{{{head},"entities":[]}}"#),
        format!(r#"{{{head},"entities":[1],"extra":1}}"#),
        format!(r#"{{{head},"entities":[1],"mode":"both"}}"#),
        format!(r#"{{{head},"entities":[1],"mode":"atomic","mode":"atomic"}}"#),
        r#"{"batch_id":"1","schema_version":1,"entities":[1]}"#.to_owned(),
        format!(r#"{{{head},"entities":["{}"]}}"#, "\u{1}"),
    ] {
        let answer = raw(&site, Some("application/json"), body.clone().into_bytes()).await;
        assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("INVALID")), "{body}");
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    let request = site.app.http().post(site.app.url(0, PUSH)).header("X-API-Key", &site.key);
    let request = request.header("Content-Type", "application/json").body("[]");
    let problem = read(request.header("Accept", "application/problem+json").send().await.unwrap());
    assert_eq!(problem.await.headers["content-type"], "application/problem+json");
    let latin = raw(&site, Some("application/json"), b"{\"a\":\"\xe9\"}".to_vec()).await;
    assert_eq!(latin.status, 422, "{}", latin.text);
    assert_eq!(site.count(&BATCHES).await, 0);
    site.close().await;
}

/// D-19, S-27, S-30
pub(super) async fn limits_come_before_the_work(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let entities: Vec<_> = (0..1_001).map(|_| line(Uuid::now_v7(), 1, None, "1")).collect();
    let over = site.push(&entities).await;
    assert_eq!(
        (over.status, &over.json()["code"], &over.json()["max"]),
        (413, &json!("BATCH_TOO_LARGE"), &json!(1_000))
    );
    let large = raw(&site, Some("application/json"), vec![b' '; 5 * 1024 * 1024 + 1]).await;
    assert_eq!((large.status, &large.json()["max"]), (413, &json!(5 * 1024 * 1024)));
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let deep = raw(&site, Some("application/json"), deep.into_bytes()).await;
    assert_eq!((deep.status, &deep.json()["max"]), (413, &json!(32)));
    for kind in [None, Some("text/plain"), Some("application/xml")] {
        assert_eq!(raw(&site, kind, b"{}".to_vec()).await.status, 415, "{kind:?}");
    }
    assert_eq!(site.count(&BATCHES).await, 0);
    let answer = site.push_each(&entities[..1_000]).await;
    assert_eq!((answer.status, &answer.json()["summary"]["created"]), (200, &json!(1_000)));
    let again = site.push(&entities[..1_000]).await;
    assert_eq!((again.status, &again.json()["summary"]["unchanged"]), (200, &json!(1_000)));
    site.close().await;
}

/// D-24: a newer client is judged by its version first, whatever else it sends.
pub(super) async fn a_schema_outside_the_window_is_refused_for_now_or_for_good(
    deployment: Deployment,
) {
    let site = Site::open(deployment).await;
    let mut body = batch("atomic", &[line(Uuid::now_v7(), 1, None, "1")]);
    body["schema_version"] = json!(2);
    body["nouveau"] = json!(true);
    let new = site.post(&body).await;
    assert_eq!(
        (new.status, &new.json()["type"]),
        (409, &json!("urn:relais:problem:schema-too-new"))
    );
    assert!(new.headers.contains_key("retry-after"));
    body["schema_version"] = json!(0);
    let old = site.post(&body).await;
    assert_eq!(
        (old.status, &old.json()["type"]),
        (409, &json!("urn:relais:problem:schema-too-old"))
    );
    assert!(!old.headers.contains_key("retry-after"));
    assert_eq!(site.count(&BATCHES).await, 0);
    site.close().await;
}
