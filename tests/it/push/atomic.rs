//! All or nothing (R-000-14), and why the other mode is no other result.

use super::{Site, at, batch, books, closed, conflict_of, delete, line, outcomes, ticket};
use serde_json::json;
use tests::stores::Deployment;
use uuid::Uuid;

/// R-000-14, R-000-17, C-1, I-10: the culprit is the last of many.
pub(super) async fn a_failure_leaves_the_record_as_it_was(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let (t, a) = (Uuid::now_v7(), Uuid::now_v7());
    assert_eq!(site.push(&[ticket(t, 1, "T"), line(a, 1, Some(t), "1")]).await.status, 200);
    let before = site.books().await;
    let batch = [
        ticket(t, 2, "T-2"),
        delete("reception_line", a, 2),
        line(Uuid::now_v7(), 2, Some(t), "1"),
        line(Uuid::now_v7(), 2, Some(Uuid::now_v7()), "1"),
        line(Uuid::now_v7(), 2, None, "1"),
    ];
    let answer = site.push(&batch).await;
    assert_eq!((answer.status, &answer.json()["status"]), (422, &json!("failed")));
    assert_eq!(
        outcomes(&answer),
        [
            "rolled_back",
            "rolled_back",
            "rolled_back",
            "failed UNKNOWN_TICKET data.ticket_id",
            "rolled_back"
        ]
    );
    assert_eq!(site.books().await, before);
    // Each by itself, the others would have been good.
    let answer = site.push_each(&batch).await;
    assert_eq!(
        outcomes(&answer),
        [
            "updated 2",
            "deleted 2",
            "created 1",
            "failed UNKNOWN_TICKET data.ticket_id",
            "created 1"
        ]
    );
    assert_ne!(site.books().await, before, "the checksum sees changes");
    site.close().await;
}

/// R-000-15, C-1, D-31, I-10: an entity that is there twice is ambiguous.
pub(super) async fn an_invalid_entity_is_found_before_the_first_write(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    let before = site.books().await;
    let entities =
        [line(a, 1, None, "1"), line(b, 1, None, "-1"), line(a, 2, None, "2"), json!("x")];
    let answer = site.push(&entities).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(
        outcomes(&answer),
        [
            "failed DUPLICATE_ENTITY id",
            "failed INVALID data.quantite",
            "failed DUPLICATE_ENTITY id",
            "failed INVALID"
        ]
    );
    assert_eq!(site.books().await, before);
    assert_eq!(outcomes(&site.push_each(&entities[..1]).await), ["created 1"]);
    site.close().await;
}

/// I-11
pub(super) async fn both_modes_of_a_good_batch_end_alike(deployment: Deployment) {
    let (one, other) = (Site::open(deployment).await, Site::open(deployment).await);
    let ids: Vec<_> = (0..150).map(|_| Uuid::now_v7()).collect();
    let first: Vec<_> = ids.iter().map(|id| ticket(*id, 1, "T")).collect();
    let mut second: Vec<_> = ids.iter().take(70).map(|id| closed(*id, 2, "T")).collect();
    second
        .extend(ids.iter().map(|id| line(Uuid::from_u128(id.as_u128() ^ 1), 2, Some(*id), "1.25")));
    for entities in [&first, &second] {
        assert_eq!(one.push(entities).await.json()["status"], "success");
        assert_eq!(other.push_each(entities).await.json()["status"], "success");
    }
    let books_of_one = one.books().await;
    assert_eq!(books_of_one.lines().count(), 150 + 150 + 150 + 70 + 150);
    assert_eq!(books_of_one, books(&other.db, other.id).await);
    one.close().await;
    other.close().await;
}

/// I-9, I-10, D-31: with `on_conflict: abort` nobody decides, but nothing is lost either.
pub(super) async fn a_conflict_that_aborts_is_kept_and_nothing_else(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let a = Uuid::now_v7();
    assert_eq!(outcomes(&site.push(&[line(a, 5, None, "1")]).await), ["created 1"]);
    let before = site.books().await;
    for mode in ["atomic", "per_entity"] {
        let is_atomic = mode == "atomic";
        let fresh = line(Uuid::now_v7(), 1, None, "1");
        let mut body = batch(mode, &[line(a, 1, None, "2"), fresh]);
        body["on_conflict"] = json!("abort");
        let answer = site.post(&body).await;
        assert_eq!(answer.status, if is_atomic { 422 } else { 200 }, "{}", answer.text);
        let (second, word) =
            if is_atomic { ("rolled_back", "failed") } else { ("created 1", "partial") };
        assert_eq!(outcomes(&answer), ["conflict stale_update", second]);
        assert_eq!(answer.json()["status"], word);
        if is_atomic {
            assert_eq!(site.books().await, before);
        }
        let path = format!("/api/v1/sync/conflicts/{}", conflict_of(&answer));
        let conflict = site.get(&path).await.json();
        assert_eq!((&conflict["status"], &conflict["resolution"]), (&json!("open"), &json!(null)));
        assert_eq!(conflict["client"]["quantite"], "2", "{conflict}");
        assert_eq!(conflict["server"]["quantite"], "1", "{conflict}");
        assert_eq!(conflict["client_updated_at"], at(1).replace("+00:00", "Z"));
    }
    site.close().await;
}
