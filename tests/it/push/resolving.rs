//! A person decides a conflict (D-44).

use super::{Site, based, closed, conflict_of, delete, line, outcomes, ticket};
use crate::sales::read;
use serde_json::{Value, json};
use tests::app::Answer;
use tests::stores::Deployment;
use uuid::Uuid;

async fn decide(site: &Site, id: &str, if_match: Option<&str>, decision: &Value) -> Answer {
    let path = site.app.url(0, &format!("/api/v1/sync/conflicts/{id}/resolve"));
    let request = site.app.http().post(path).header("X-API-Key", &site.key);
    let request = request.header("Content-Type", "application/json");
    let request = match if_match {
        Some(tag) => request.header("If-Match", tag),
        None => request,
    };
    read(request.body(decision.to_string()).send().await.unwrap()).await
}

async fn tag(site: &Site, id: &str) -> String {
    let shown = site.get(&format!("/api/v1/sync/conflicts/{id}")).await;
    shown.headers["etag"].to_str().unwrap().to_owned()
}

/// An entity that the server does not know, of which the site has version 3.
async fn missing(site: &Site, entity: Uuid, quantity: &str) -> String {
    let answer = site.push(&[based(line(entity, 1, None, quantity), 3)]).await;
    assert_eq!(outcomes(&answer), ["conflict missing_base"]);
    conflict_of(&answer)
}

/// D-44: the decision is a normal version; the same one again is the same, another one is none.
pub(super) async fn a_person_decides_once(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let a = Uuid::now_v7();
    let id = missing(&site, a, "1").await;
    let before = site.books().await;
    for wrong in [
        json!({}),
        json!({"resolution": "x"}),
        json!({"resolution": "merge"}),
        json!({"resolution": "server", "clientData": {}}),
        json!({"resolution": "server", "x": 1}),
    ] {
        assert_eq!(decide(&site, &id, None, &wrong).await.status, 422, "{wrong}");
    }
    assert_eq!(site.books().await, before);
    let tag = tag(&site, &id).await;
    let done = decide(&site, &id, Some(&tag), &json!({"resolution": "client"})).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let shown = done.json();
    assert_eq!(
        (&shown["status"], &shown["resolution"], &shown["result_rev"]),
        (&json!("resolved"), &json!("client"), &json!(1))
    );
    assert_eq!(shown["resolved_by"], format!("site:{}", site.id));
    let history =
        site.get(&format!("/api/v1/sync/entities/reception_line/{a}/versions")).await.json();
    assert_eq!(history["versions"][0]["data"]["quantite"], "1");
    let books = site.books().await;
    let again = decide(&site, &id, None, &json!({"resolution": "client"})).await;
    assert_eq!((again.status, again.json()), (200, shown));
    let other = decide(&site, &id, None, &json!({"resolution": "server"})).await;
    assert_eq!(
        (other.status, &other.json()["type"]),
        (409, &json!("urn:relais:problem:already-resolved"))
    );
    assert_eq!(site.books().await, books);
    assert_eq!(
        decide(&site, &Uuid::now_v7().to_string(), None, &json!({"resolution": "client"}))
            .await
            .status,
        404
    );
    // A closed ticket: only the server's side can be chosen.
    let t = Uuid::now_v7();
    site.push(&[closed(t, 1, "T")]).await;
    let id = conflict_of(&site.push(&[ticket(t, 2, "T")]).await);
    let closed = decide(&site, &id, None, &json!({"resolution": "client"})).await;
    assert_eq!(
        (closed.status, &closed.json()["type"]),
        (409, &json!("urn:relais:problem:ticket-closed"))
    );
    let kept = decide(&site, &id, None, &json!({"resolution": "server"})).await;
    assert_eq!((kept.status, &kept.json()["result_rev"]), (200, &json!(1)), "{}", kept.text);
    site.close().await;
}

/// D-44: also then, so that whoever has the other side sees it.
pub(super) async fn the_servers_side_is_a_new_version(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let a = Uuid::now_v7();
    site.push(&[line(a, 9, None, "1")]).await;
    let against = async |change: Value| {
        let mut abort = super::batch("atomic", &[change]);
        abort["on_conflict"] = json!("abort");
        conflict_of(&site.post(&abort).await)
    };
    let versions = async || {
        let path = format!("/api/v1/sync/entities/reception_line/{a}/versions");
        let shown = site.get(&path).await.json();
        let each = |v: &Value| (v["version"].as_i64(), v["deleted"].as_bool(), v["data"].clone());
        shown["versions"].as_array().unwrap().iter().map(each).collect::<Vec<_>>()
    };
    let id = against(line(a, 1, None, "2")).await;
    let server = json!({"resolution": "server"});
    for _ in 0..2 {
        let done = decide(&site, &id, None, &server).await;
        assert_eq!((done.status, &done.json()["result_rev"]), (200, &json!(2)), "{}", done.text);
    }
    let kept = versions().await;
    assert_eq!((kept.len(), &kept[0].2), (2, &kept[1].2), "{kept:?}");
    // Also that something is gone.
    assert_eq!(
        outcomes(&site.push(&[based(delete("reception_line", a, 9), 2)]).await),
        ["deleted 3"]
    );
    let id = against(based(line(a, 99, None, "5"), 1)).await;
    let done = decide(&site, &id, None, &server).await;
    assert_eq!((done.status, &done.json()["result_rev"]), (200, &json!(4)), "{}", done.text);
    assert_eq!(versions().await[0].1, Some(true));
    site.close().await;
}

/// C-31: the client's side, with other content than it had sent.
pub(super) async fn the_clients_side_may_bring_its_content(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let a = Uuid::now_v7();
    let id = missing(&site, a, "1").await;
    let with = |quantity: &str| json!({"resolution": "client", "clientData": line(a, 1, None, quantity)["data"]});
    let mut wrong = with("2");
    wrong["clientData"]["quantite"] = json!("-1");
    assert_eq!(decide(&site, &id, None, &wrong).await.status, 422);
    let done = decide(&site, &id, None, &with("2")).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let shown = done.json();
    assert_eq!(
        (&shown["resolution"], &shown["merged"]["quantite"], &shown["result_rev"]),
        (&json!("client"), &json!("2"), &json!(1))
    );
    assert_eq!(decide(&site, &id, None, &with("2")).await.json(), shown);
    for other in [with("3"), json!({"resolution": "client"})] {
        assert_eq!(decide(&site, &id, None, &other).await.status, 409, "{other}");
    }
    site.close().await;
}

/// D-44: 412 with the conflict as it is now.
pub(super) async fn a_decision_about_something_else_is_refused(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let a = Uuid::now_v7();
    site.push(&[line(a, 9, None, "1")]).await;
    let mut abort = super::batch("atomic", &[line(a, 1, None, "2")]);
    abort["on_conflict"] = json!("abort");
    let id = conflict_of(&site.post(&abort).await);
    let seen = tag(&site, &id).await;
    assert_eq!(seen, "\"1\"", "the server's version");
    // The site sends another copy: what was seen is not what would be decided about.
    abort["batch_id"] = json!(Uuid::now_v7());
    abort["entities"][0] = line(a, 2, None, "3");
    assert_eq!(conflict_of(&site.post(&abort).await), id);
    let moved = decide(&site, &id, Some(&seen), &json!({"resolution": "client"})).await;
    assert_eq!((moved.status, &moved.json()["conflict"]["client"]["quantite"]), (412, &json!("3")));
    let types: Vec<_> = moved.headers.get_all("content-type").iter().collect();
    assert_eq!(types, ["application/json"]);
    let now = moved.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(now, tag(&site, &id).await);
    // One of several tags is enough; a weak one names nothing for certain (RFC 9110).
    let weak = format!("W/{now}");
    let refused = decide(&site, &id, Some(&weak), &json!({"resolution": "client"})).await;
    assert_eq!(refused.status, 412, "{}", refused.text);
    let now = format!("{seen}, {now}");
    let done = decide(&site, &id, Some(&now), &json!({"resolution": "client"})).await;
    assert_eq!((done.status, &done.json()["result_rev"]), (200, &json!(2)));
    site.close().await;
}

/// D-44, R-000-15
pub(super) async fn a_merge_is_a_version_like_any_other(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let a = Uuid::now_v7();
    let id = missing(&site, a, "1").await;
    let mut data = line(a, 1, None, "7")["data"].clone();
    data["inconnu"] = json!(1);
    let wrong = decide(&site, &id, None, &json!({"resolution": "merge", "clientData": data})).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    assert!(wrong.text.contains("data.inconnu"), "{}", wrong.text);
    data.as_object_mut().unwrap().remove("inconnu");
    data["ticket_id"] = json!(Uuid::now_v7());
    let wrong = decide(&site, &id, None, &json!({"resolution": "merge", "clientData": data})).await;
    assert_eq!((wrong.status, wrong.text.contains("ticket")), (422, true), "{}", wrong.text);
    data["ticket_id"] = json!(null);
    let merge = json!({"resolution": "merge", "clientData": data});
    for _ in 0..2 {
        let done = decide(&site, &id, None, &merge).await;
        assert_eq!((done.status, &done.json()["result_rev"]), (200, &json!(1)), "{}", done.text);
    }
    data["quantite"] = json!("8");
    let other = decide(&site, &id, None, &json!({"resolution": "merge", "clientData": data})).await;
    assert_eq!(other.status, 409, "{}", other.text);
    // The site knows the merged version and goes on from there.
    assert_eq!(outcomes(&site.push(&[based(line(a, 1, None, "9"), 1)]).await), ["updated 2"]);
    site.close().await;
}
