//! Two sides have changed: who wins, and that the other side is kept.

use super::{Site, based, closed, conflict_of, delete, line, outcomes, ticket};
use crate::sales::read;
use serde_json::{Value, json};
use tests::stores::Deployment;
use uuid::Uuid;

async fn all(site: &Site, query: &str) -> Vec<Value> {
    let answer = site.get(&format!("/api/v1/sync/conflicts{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["conflicts"].as_array().unwrap().clone()
}

/// R-000-10, R-000-17, C-4, D-40, D-41, D-43, D-44, I-9
pub(super) async fn the_last_writer_wins_and_both_sides_are_kept(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let (a, unknown) = (Uuid::now_v7(), Uuid::now_v7());
    assert_eq!(outcomes(&site.push(&[line(a, 10, None, "1")]).await), ["created 1"]);
    assert_eq!(outcomes(&site.push(&[line(a, 20, None, "2")]).await), ["updated 2"]);
    for (entity, expected, version, now) in [
        (line(a, 15, None, "3"), "conflict stale_update server", 2, "2"),
        (based(line(a, 15, None, "4"), 1), "conflict version_mismatch server", 2, "2"),
        (based(line(a, 20, None, "5"), 1), "conflict version_mismatch client", 3, "5"),
        (delete("reception_line", a, 1), "conflict delete_vs_update server", 3, "5"),
        (based(line(unknown, 99, None, "9"), 4), "conflict missing_base", 0, ""),
    ] {
        let answer = site.push(std::slice::from_ref(&entity)).await;
        assert_eq!((answer.status, outcomes(&answer)), (200, vec![expected.to_owned()]));
        let shown = answer.json()["results"][0]["version"].as_i64().unwrap_or_default();
        assert_eq!(shown, version, "{expected}");
        let conflict = site.get(&format!("/api/v1/sync/conflicts/{}", conflict_of(&answer))).await;
        assert!(conflict.headers.contains_key("etag"));
        let conflict = conflict.json();
        let losing = entity["data"]["quantite"].clone();
        assert_eq!(conflict["client"]["quantite"], losing, "{conflict}");
        if !now.is_empty() {
            let by = (&conflict["status"], &conflict["resolved_by"]);
            assert_eq!(by, (&json!("resolved"), &json!("policy:lww")), "{conflict}");
        }
    }
    let listed = all(&site, "").await;
    assert_eq!(listed.len(), 5);
    // The base is kept as well, and the members that differ.
    assert_eq!(
        (&listed[2]["base"]["quantite"], &listed[2]["fields"]),
        (&json!("1"), &json!(["quantite"]))
    );
    assert_eq!(all(&site, "?status=open&cursor=").await.len(), 1);
    let page = site.get("/api/v1/sync/conflicts?limit=2").await.json();
    let next = page["next"].as_str().unwrap();
    let rest = all(&site, &format!("?limit=500&cursor={next}")).await;
    assert_eq!((rest.len(), &rest[0]["id"]), (3, &listed[2]["id"]));
    for wrong in ["?status=x", "?cursor=x", "?limit=0", "?x=1"] {
        assert_eq!(
            site.get(&format!("/api/v1/sync/conflicts{wrong}")).await.status,
            422,
            "{wrong}"
        );
    }
    site.close().await;
}

/// D-43, I-19: every five minutes the same, 288 times a day.
pub(super) async fn a_repeated_conflict_is_counted_not_added(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let (t, a) = (Uuid::now_v7(), Uuid::now_v7());
    let first = [closed(t, 10, "T"), line(a, 10, None, "1")];
    assert_eq!(site.push(&first).await.status, 200);
    let books = site.books().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let answer = site.push(&[line(a, 5, None, "2"), ticket(t, 5, "autre")]).await;
        assert_eq!(outcomes(&answer), ["conflict stale_update server", "conflict ticket-closed"]);
        let results = answer.json()["results"].clone();
        ids.push([0, 1].map(|index| results[index]["conflict"]["id"].clone()));
    }
    assert!(ids.iter().all(|pair| *pair == ids[0]), "{ids:?}");
    let listed = all(&site, "").await;
    assert_eq!(listed.iter().map(|c| c["seen"].as_i64().unwrap()).collect::<Vec<_>>(), [4, 4]);
    assert_eq!(site.books().await, books);
    // Another copy of an open one takes its place; another copy of a decided one is another.
    site.push(&[line(a, 5, None, "3"), ticket(t, 5, "encore")]).await;
    let listed = all(&site, "").await;
    assert_eq!(listed.len(), 3, "{listed:#?}");
    let open = all(&site, "?status=open").await;
    assert_eq!(
        (open.len(), &open[0]["client"]["numero"], &open[0]["seen"]),
        (1, &json!("encore"), &json!(5))
    );
    // The same copy from a later time has another end, and is kept as what it is.
    for (seconds, winner) in [(5, "server"), (50, "client")] {
        let answer = site.push(&[based(line(a, seconds, None, "4"), 0)]).await;
        assert_eq!(outcomes(&answer), [format!("conflict version_mismatch {winner}")]);
        let kept = site.get(&format!("/api/v1/sync/conflicts/{}", conflict_of(&answer))).await;
        assert_eq!((&kept.json()["resolution"], &kept.json()["seen"]), (&json!(winner), &json!(1)));
    }
    site.close().await;
}

/// D-31, D-40
pub(super) async fn a_closed_ticket_stays_as_it_is(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let t = Uuid::now_v7();
    for (entity, expected) in [
        (ticket(t, 1, "T"), "created 1"),
        (closed(t, 2, "T"), "updated 2"),
        (closed(t, 9, "T"), "unchanged 2"),
        (closed(t, 9, "U"), "conflict ticket-closed"),
        (based(ticket(t, 9, "T"), 2), "conflict ticket-closed"),
        (based(delete("ticket", t, 9), 2), "conflict ticket-closed"),
        // Its lines may still come.
        (line(Uuid::now_v7(), 9, Some(t), "1"), "created 1"),
    ] {
        assert_eq!(outcomes(&site.push(&[entity]).await), [expected]);
    }
    let open = all(&site, "?status=open").await;
    assert_eq!(
        (open.len(), &open[0]["client_op"], &open[0]["client"]),
        (1, &json!("delete"), &json!(null))
    );
    site.close().await;
}

/// I-19, D-22: of changes at different times the last one stays, in whatever order they come.
pub(super) async fn the_order_of_arrival_decides_nothing(deployment: Deployment) {
    let site = Site::open(deployment).await;
    // Times and quantities; two of them are equal in content.
    let changes = [(1, "1"), (2, "2"), (3, "1"), (4, "3")];
    for order in permutations(changes.len()) {
        for last in [3, 4] {
            let id = Uuid::now_v7();
            let entities: Vec<_> = order
                .iter()
                .filter(|n| **n < last)
                .map(|n| line(id, changes[*n].0, None, changes[*n].1))
                .collect();
            assert_eq!(site.push_each(&entities).await.json()["summary"]["failed"], 0);
            let path = format!("/api/v1/sync/entities/reception_line/{id}/versions");
            let now = site.get(&path).await.json()["versions"][0]["data"]["quantite"].clone();
            assert_eq!(now, changes[last - 1].1, "{order:?} of {last}");
        }
    }
    site.close().await;
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(count - 1);
    let longer = shorter.into_iter().flat_map(|order| {
        (0..count).map(move |place| {
            let mut order = order.clone();
            order.insert(place, count - 1);
            order
        })
    });
    longer.collect()
}

/// D-40, D-43
pub(super) async fn a_conflict_is_superseded_by_a_later_push(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let a = Uuid::now_v7();
    let missing = site.push(&[based(line(a, 1, None, "1"), 3)]).await;
    assert_eq!(outcomes(&missing), ["conflict missing_base"]);
    assert_eq!(outcomes(&site.push(&[line(a, 2, None, "2")]).await), ["created 1"]);
    let path = format!("/api/v1/sync/conflicts/{}", conflict_of(&missing));
    let conflict = site.get(&path).await.json();
    assert_eq!((&conflict["status"], &conflict["result_rev"]), (&json!("superseded"), &json!(1)));
    // D-44: whoever decides about what it was before is shown what it is now.
    let decide = async |tag: Option<&str>| {
        let url = site.app.url(0, &format!("{path}/resolve"));
        let request = site.app.http().post(url).header("X-API-Key", &site.key);
        let request = request.header("Content-Type", "application/json");
        let request = tag.into_iter().fold(request, |request, tag| request.header("If-Match", tag));
        read(request.body(r#"{"resolution":"client"}"#).send().await.unwrap()).await
    };
    let moved = decide(Some("\"0\"")).await;
    assert_eq!((moved.status, &moved.json()["conflict"]["status"]), (412, &json!("superseded")));
    assert_eq!(decide(None).await.status, 409);
    site.close().await;
}
