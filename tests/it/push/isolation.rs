//! What one site does is nothing to another (D-50, I-20).

use super::{Site, batch, closed, conflict_of, get, line, outcomes, post, ticket};
use crate::sales::read;
use serde_json::{Value, json};
use tests::stores::Deployment;
use uuid::Uuid;

/// An answer without what is made anew each time: ids of batches and conflicts, jobs and moments.
fn plain(text: &str) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                let made =
                    ["batch_id", "source", "created_at", "seen_at", "resolved_at", "site_id"];
                members.retain(|name, _| !made.contains(&name.as_str()));
                if let Some(conflict) = members.get_mut("conflict") {
                    conflict.as_object_mut().unwrap().remove("id");
                }
                if members.contains_key("client_op") {
                    members.remove("id");
                }
                members.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(text).unwrap();
    strip(&mut value);
    value
}

/// I-20, D-50, S-10: two sites do the same with the same ids while a third one does something
/// else with them; everybody reads what he would read alone.
pub(super) async fn two_sites_with_the_same_ids_never_meet(deployment: Deployment) {
    let sites = [Site::open(deployment).await, Site::open(deployment).await];
    let other = Site::open(deployment).await;
    let (t, a) = (Uuid::now_v7(), Uuid::now_v7());
    let steps = [
        vec![ticket(t, 5, "T"), line(a, 5, Some(t), "1")],
        vec![line(a, 3, None, "2")],
        vec![closed(t, 6, "T")],
        vec![ticket(t, 7, "U")],
    ];
    let body = batch("atomic", &steps[0]);
    let mut seen: [Vec<Value>; 2] = [Vec::new(), Vec::new()];
    for (number, step) in steps.iter().enumerate() {
        let mut marked = line(a, 100 + number as i64, None, "100");
        marked["data"]["designation"] = json!("MARQUE");
        other.push(&[marked, ticket(t, 100, "MARQUE")]).await;
        for (site, seen) in sites.iter().zip(&mut seen) {
            // The same batch's id, too.
            let answer = if number == 0 { site.post(&body).await } else { site.push(step).await };
            assert_eq!(answer.status, 200, "{}", answer.text);
            seen.push(plain(&answer.text));
            let history = format!("/api/v1/sync/entities/reception_line/{a}/versions");
            seen.push(plain(&site.get(&history).await.text));
            seen.push(plain(&site.get("/api/v1/sync/conflicts").await.text));
        }
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(sites[0].books().await, sites[1].books().await);
    assert!(other.books().await.contains("MARQUE") && !sites[0].books().await.contains("MARQUE"));
    assert_eq!(other.get("/api/v1/sync/conflicts").await.json()["conflicts"], json!([]));
    for site in sites {
        site.close().await;
    }
    other.close().await;
}

/// I-20, D-44, D-50, S-10
pub(super) async fn foreign_and_missing_look_alike(deployment: Deployment) {
    let (one, other) = (Site::open(deployment).await, Site::open(deployment).await);
    let (t, a) = (Uuid::now_v7(), Uuid::now_v7());
    one.push(&[closed(t, 1, "T"), line(a, 1, None, "1")]).await;
    let conflict = conflict_of(&one.push(&[ticket(t, 2, "U")]).await);
    let pending =
        post(one.app, &one.key, "respond-async", &batch("atomic", &[line(a, 3, None, "3")])).await;
    let job = pending.headers.get("location").map(|path| path.to_str().unwrap().to_owned());
    let absent = Uuid::now_v7();
    let mut pairs = vec![
        (format!("/api/v1/sync/conflicts/{conflict}"), format!("/api/v1/sync/conflicts/{absent}")),
        (
            format!("/api/v1/sync/entities/ticket/{t}/versions"),
            format!("/api/v1/sync/entities/ticket/{absent}/versions"),
        ),
    ];
    pairs.extend(job.map(|job| (job, format!("/api/v1/jobs/{absent}"))));
    for (foreign, missing) in pairs {
        let [mut foreign, mut missing] = [
            get(other.app, &other.key, &foreign).await,
            get(other.app, &other.key, &missing).await,
        ]
        .map(|answer| (answer.status, answer.json()));
        (foreign.1["instance"], missing.1["instance"]) = (json!(null), json!(null));
        assert_eq!((foreign.0, &foreign), (404, &missing));
    }
    let resolve = other.app.url(0, &format!("/api/v1/sync/conflicts/{conflict}/resolve"));
    let request = other.app.http().post(resolve).header("X-API-Key", &other.key);
    let request =
        request.header("Content-Type", "application/json").body(r#"{"resolution":"server"}"#);
    assert_eq!(read(request.send().await.unwrap()).await.status, 404);
    // Another site's ticket is no ticket.
    let line_of = |id| outcomes_of(&other, id);
    assert_eq!(line_of(t).await, line_of(absent).await);
    let named = format!("/api/v1/sync/conflicts?site_id={}", one.id);
    assert_eq!(other.get(&named).await.status, 403);
    // An administrator sees all, one site's if so asked.
    let key = format!("a{}.administrateur-secret", one.id);
    let keys = json!({"cles_api": [
        {"cle": key, "nom": "A", "portees": ["admin"]},
        {"cle": format!("r{}.lecture-seule-secret", one.id), "nom": "R", "portees": ["jobs:read"]},
    ]});
    records::seed::load(&one.db, &keys.to_string()).await.unwrap();
    assert_eq!(get(one.app, &key, &format!("/api/v1/sync/conflicts/{conflict}")).await.status, 200);
    let listed = get(one.app, &key, &named).await.json();
    assert_eq!(listed["conflicts"].as_array().map(Vec::len), Some(1));
    let versions = format!("/api/v1/sync/entities/ticket/{t}/versions");
    assert_eq!(get(one.app, &key, &versions).await.status, 422);
    let versions = format!("{versions}?site_id={}", one.id);
    assert_eq!(get(one.app, &key, &versions).await.status, 200);
    let reader = format!("r{}.lecture-seule-secret", one.id);
    assert_eq!(get(one.app, &reader, "/api/v1/sync/conflicts").await.status, 403);
    one.close().await;
    other.close().await;
}

async fn outcomes_of(site: &Site, ticket: Uuid) -> Vec<String> {
    outcomes(&site.push(&[line(Uuid::now_v7(), 1, Some(ticket), "1")]).await)
}
