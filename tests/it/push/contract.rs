//! What a batch is answered, member by member.

use super::{
    PUSH, Site, at, based, batch, closed, delete, get, line, outcomes, post, seed, ticket,
};
use crate::sales::read;
use db::Sql;
use serde_json::json;
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::stores::Deployment;
use uuid::Uuid;

/// R-000-2, R-000-4, R-000-6, R-000-7, R-000-8, R-000-11, R-000-16, D-31: new lines of a reception and a closed ticket, the ticket first.
pub(super) async fn a_batch_of_a_ticket_and_its_lines_is_answered_entity_by_entity(
    deployment: Deployment,
) {
    let site = Site::open(deployment).await;
    let (t, a, b) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let body = batch(
        "atomic",
        &[closed(t, 60, "T-1"), line(a, 61, Some(t), "12.5"), line(b, 61, None, "3")],
    );
    let answer = site.post(&body).await;
    let id = body["batch_id"].as_str().unwrap();
    let expected = format!(
        r#"{{"status":"success","batch_id":"{id}","mode":"atomic","summary":{{"total":3,"created":3,"updated":0,"unchanged":0,"deleted":0,"conflicts":0,"failed":0,"rolled_back":0}},"results":[{{"index":0,"type":"ticket","id":"{t}","status":"created","version":1}},{{"index":1,"type":"reception_line","id":"{a}","status":"created","version":1}},{{"index":2,"type":"reception_line","id":"{b}","status":"created","version":1}}]}}"#
    );
    assert_eq!((answer.status, answer.text.as_str()), (200, expected.as_str()));
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["preference-applied"], "wait=20");
    static STORED: Sql = Sql::both(
        "SELECT COUNT(*) AS n FROM lignes_reception l JOIN tickets t ON t.site_id = l.site_id \
         AND t.id = l.ticket_id WHERE l.site_id = $1 AND t.statut = 'ferme'",
    );
    assert_eq!(site.count(&STORED).await, 1);
    let history = site.get(&format!("/api/v1/sync/entities/reception_line/{a}/versions")).await;
    let data = &history.json()["versions"][0]["data"];
    assert_eq!(data["quantite"], "12.5", "{}", history.text);
    site.close().await;
}

/// R-000-9, D-31, D-41: versions grow by one per change, equal content is none, deletes leave
/// tombstones.
pub(super) async fn what_exists_is_updated_left_or_deleted(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let (t, a) = (Uuid::now_v7(), Uuid::now_v7());
    for (entity, expected) in [
        (ticket(t, 1, "T-1"), "created 1"),
        (ticket(t, 2, "T-1"), "unchanged 1"),
        (ticket(t, 3, "T-2"), "updated 2"),
        (based(ticket(t, 0, "T-3"), 2), "updated 3"),
        (line(a, 1, Some(t), "1.50"), "created 1"),
        (line(a, 1, Some(t), "1.5"), "unchanged 1"),
        (delete("ticket", t, 9), "failed TICKET_IN_USE id"),
        (delete("reception_line", a, 9), "deleted 2"),
        (delete("reception_line", a, 9), "unchanged 2"),
        (delete("ticket", t, 9), "deleted 4"),
        (delete("ticket", Uuid::now_v7(), 9), "unchanged"),
        (line(a, 9, Some(t), "1.5"), "conflict update_vs_delete server"),
        (based(line(a, 9, None, "2"), 2), "updated 3"),
        (line(a, 10, Some(t), "1"), "failed UNKNOWN_TICKET data.ticket_id"),
    ] {
        let answer = site.push_each(std::slice::from_ref(&entity)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(outcomes(&answer), [expected], "{entity}");
    }
    let history = site.get(&format!("/api/v1/sync/entities/ticket/{t}/versions")).await.json();
    let versions = history["versions"].as_array().unwrap();
    let seen: Vec<_> = versions
        .iter()
        .map(|v| {
            (
                v["version"].as_i64().unwrap(),
                v["deleted"].as_bool().unwrap(),
                v["data"]["numero"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen, [(4, true, "T-3"), (3, false, "T-3"), (2, false, "T-2"), (1, false, "T-1")]);
    site.close().await;
}

/// D-22, S-26
pub(super) async fn quantities_are_exact_and_times_are_corrected(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let a = Uuid::now_v7();
    let mut exact = line(a, 1, None, "999999999999.999999");
    exact["data"]["poids_kg"] = json!(0.000001);
    assert_eq!(outcomes(&site.push(&[exact.clone()]).await), ["created 1"]);
    let history = site.get(&format!("/api/v1/sync/entities/reception_line/{a}/versions")).await;
    let data = &history.json()["versions"][0]["data"];
    assert_eq!(
        (&data["quantite"], &data["poids_kg"]),
        (&json!("999999999999.999999"), &json!("0.000001"))
    );
    // A clock that is ahead by years must not win for years.
    let mut ahead = line(a, 1, None, "5");
    ahead["updated_at"] = json!("2099-01-01T00:00:00Z");
    let answer = site.push(&[ahead]).await;
    assert_eq!(outcomes(&answer), ["updated 2"]);
    assert_eq!(answer.json()["results"][0]["clock_skew"], true, "{}", answer.text);
    let mut later = line(a, 1, None, "6");
    later["updated_at"] = json!((chrono::Utc::now() + chrono::TimeDelta::seconds(30)).to_rfc3339());
    assert_eq!(outcomes(&site.push(&[later]).await), ["updated 3"]);
    // A client that says what time it takes it for is corrected.
    let body = batch("atomic", &[line(Uuid::now_v7(), 1, None, "1")]);
    let request = site.app.http().post(site.app.url(0, PUSH)).header("X-API-Key", &site.key);
    let request = request.header("Content-Type", "application/json").header("X-Client-Time", at(0));
    let answer = read(request.body(body.to_string()).send().await.unwrap()).await;
    assert_eq!(answer.json()["results"][0]["clock_skew"], true, "{}", answer.text);
    site.close().await;
}

/// C-1, C-2, R-000-11, R-000-15, D-31
pub(super) async fn each_entity_by_itself_fails_by_itself(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    let mut wrong = line(b, 1, None, "0");
    wrong["data"]["couleur"] = json!("bleu");
    let entities = [
        line(a, 1, None, "1"),
        wrong,
        json!(7),
        line(a, 2, None, "2"),
        line(b, 1, Some(Uuid::now_v7()), "1"),
    ];
    let answer = site.push_each(&entities).await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("partial")));
    assert_eq!(
        outcomes(&answer),
        [
            "created 1",
            "failed INVALID data.quantite",
            "failed INVALID",
            "updated 2",
            "failed UNKNOWN_TICKET data.ticket_id",
        ]
    );
    let second = &answer.json()["results"][1];
    assert_eq!(second["errors"].as_array().map(Vec::len), Some(2), "{second}");
    assert_eq!(second["errors"][1]["field"], "data.couleur");
    let failed = site.push_each(&[json!({})]).await;
    assert_eq!((failed.status, &failed.json()["status"]), (200, &json!("failed")));
    assert_eq!(failed.json()["results"][0]["id"], json!(null));
    site.close().await;
}

/// D-9, I-3, I-22, I-23
pub(super) async fn without_a_worker_a_batch_is_pending_and_later_applied_once(
    deployment: Deployment,
) {
    let mut app = TestApp::on(deployment.fresh().await, &[("RELAIS_API_WAIT_SECONDS", "1")]);
    app.start_api().await;
    let db = app.stores.db().await;
    let (_, key) = seed(&db).await;
    let body = batch("atomic", &[line(Uuid::now_v7(), 1, None, "1")]);
    let start = Instant::now();
    let pending = post(&app, &key, "", &body).await;
    let took = start.elapsed();
    assert_eq!(pending.status, 202, "{}", pending.text);
    let bounds = Duration::from_secs(1)..Duration::from_millis(1_500);
    assert!(bounds.contains(&took), "{took:?}");
    assert_eq!(pending.headers["retry-after"], "2");
    let job = pending.headers["location"].to_str().unwrap().to_owned();
    let id = body["batch_id"].as_str().unwrap();
    let expected =
        format!(r#"{{"status":"pending","batch_id":"{id}","results":[],"job":"{job}"}}"#);
    assert_eq!(pending.text, expected);
    // Sent again while it waits, it joins the same job.
    let again = post(&app, &key, "respond-async", &body).await;
    assert_eq!((again.status, again.text.as_str()), (202, expected.as_str()));
    assert_eq!(again.headers["preference-applied"], "respond-async");
    app.start_worker();
    let done = post(&app, &key, "wait=20", &body).await;
    assert_eq!((done.status, outcomes(&done)), (200, vec!["created 1".to_owned()]));
    let shown = get(&app, &key, &job).await.json();
    assert_eq!(shown["response"], done.json(), "the job answers the same");
    db.close().await;
}
