//! What is done about conflicts is configured for each type of entity (D-40, D-42).

use super::{based, batch, closed, conflict_of, delete, get, line, outcomes, seed, ticket};
use crate::sales::read;
use db::{Db, Sql, args};
use serde_json::{Value, json};
use tests::app::{Answer, TestApp};
use tests::stores::Deployment;
use uuid::Uuid;

/// A worker that knows no strategies, and one API for each pair of them.
struct Case {
    app: TestApp,
    db: Db,
    key: String,
}

impl Case {
    /// `settings`: for each API the strategies of tickets and of lines.
    async fn open(deployment: Deployment, settings: &[[&str; 2]]) -> Self {
        let mut app = TestApp::on(deployment.fresh().await, &[]);
        app.start_worker();
        let plain = app.env.clone();
        for [tickets, lines] in settings {
            app.env = plain.clone();
            for (name, word) in [("TICKET", tickets), ("RECEPTION_LINE", lines)] {
                app.env.push((format!("RELAIS_PUSH_{name}_STRATEGY"), (*word).to_owned()));
            }
            app.start_api().await;
        }
        let db = app.stores.db().await;
        let (_, key) = seed(&db).await;
        Self { app, db, key }
    }

    async fn send(&self, api: usize, prefer: &str, body: &Value) -> Answer {
        let request = self.app.http().post(self.app.url(api, super::PUSH));
        let request = request.header("X-API-Key", &self.key).header("Prefer", prefer);
        read(request.json(body).send().await.unwrap()).await
    }

    /// What became of one entity, and its conflict as it is kept.
    async fn push(&self, api: usize, entity: &Value) -> (String, Value) {
        let body = batch("per_entity", std::slice::from_ref(entity));
        let answer = self.send(api, "wait=25", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let outcome = outcomes(&answer).remove(0);
        let kept = match outcome.starts_with("conflict") {
            true => self.conflict(&conflict_of(&answer)).await,
            false => json!(null),
        };
        (outcome, kept)
    }

    async fn conflict(&self, id: &str) -> Value {
        get(&self.app, &self.key, &format!("/api/v1/sync/conflicts/{id}")).await.json()
    }

    /// What the entity holds now.
    async fn now(&self, kind: &str, id: Uuid) -> Value {
        let path = format!("/api/v1/sync/entities/{kind}/{id}/versions?limit=1");
        get(&self.app, &self.key, &path).await.json()["versions"][0].clone()
    }
}

/// D-40, D-41, D-43: the winner is the strategy's, both sides are kept with its name; a closed ticket
/// stays as it is under every one.
pub(super) async fn each_type_is_decided_by_its_strategy(deployment: Deployment) {
    let settings = [["client_wins", "server_wins"], ["manual", "client_wins"]];
    let case = Case::open(deployment, &settings).await;
    let (t, a) = (Uuid::now_v7(), Uuid::now_v7());
    for entity in
        [ticket(t, 10, "T"), ticket(t, 20, "U"), line(a, 10, None, "1"), line(a, 20, None, "2")]
    {
        case.push(0, &entity).await;
    }
    let (none, server, client) = (json!(null), json!("server"), json!("client"));
    for (api, entity, outcome, strategy, resolution, by) in [
        (
            0,
            ticket(t, 5, "V"),
            "conflict stale_update client",
            "client_wins",
            &client,
            "policy:client_wins",
        ),
        (
            0,
            based(line(a, 99, None, "3"), 1),
            "conflict version_mismatch server",
            "server_wins",
            &server,
            "policy:server_wins",
        ),
        (
            0,
            based(delete("reception_line", a, 99), 1),
            "conflict delete_vs_update server",
            "server_wins",
            &server,
            "policy:server_wins",
        ),
        (1, based(ticket(t, 99, "W"), 1), "conflict version_mismatch", "manual", &none, ""),
        (
            1,
            based(line(a, 1, None, "4"), 1),
            "conflict version_mismatch client",
            "client_wins",
            &client,
            "policy:client_wins",
        ),
        // A deleted one comes back only if the client is right whatever happened.
        (0, based(delete("ticket", t, 99), 3), "deleted 4", "", &none, ""),
        (1, based(ticket(t, 99, "X"), 1), "conflict update_vs_delete", "manual", &none, ""),
        (
            0,
            based(ticket(t, 99, "Y"), 1),
            "conflict update_vs_delete client",
            "client_wins",
            &client,
            "policy:client_wins",
        ),
        (0, based(closed(t, 100, "Y"), 5), "updated 6", "", &none, ""),
        (0, based(ticket(t, 200, "Z"), 1), "conflict ticket-closed", "client_wins", &none, ""),
        (1, delete("ticket", t, 200), "conflict ticket-closed", "manual", &none, ""),
    ] {
        let (found, kept) = case.push(api, &entity).await;
        assert_eq!(found, outcome, "{entity}");
        if strategy.is_empty() {
            continue;
        }
        assert_eq!(
            (&kept["strategy"], &kept["resolution"]),
            (&json!(strategy), resolution),
            "{kept}"
        );
        assert_eq!(kept["resolved_by"].as_str().unwrap_or_default(), by, "{kept}");
        let sent = &entity["data"];
        let member = if entity["type"] == "ticket" { "numero" } else { "quantite" };
        assert_eq!(
            (&kept["client"][member], kept["server"].is_object()),
            (&sent[member], true),
            "{kept}"
        );
    }
    assert_eq!(case.now("reception_line", a).await["data"]["quantite"], "4");
    assert_eq!(case.now("ticket", t).await["data"]["numero"], "Y");
    // Whatever the strategy, the client may wish that conflicts end the batch.
    let mut abort = batch("atomic", &[line(Uuid::now_v7(), 1, None, "1"), line(a, 1, None, "5")]);
    abort["on_conflict"] = json!("abort");
    let aborted = case.send(1, "wait=25", &abort).await;
    assert_eq!(
        (aborted.status, outcomes(&aborted)),
        (422, vec!["rolled_back".to_owned(), "conflict stale_update".to_owned()])
    );
    case.db.close().await;
}

/// D-42, I-19: three-way, with the version that the client started from; quantities are for people,
/// and so is what has no known start.
pub(super) async fn members_are_merged_with_the_version_that_the_site_knew(deployment: Deployment) {
    static FORGET: Sql =
        Sql::both("DELETE FROM entity_versions WHERE entity_id = $1 AND version = 1");
    let case = Case::open(deployment, &[["field_merge", "field_merge"]]).await;
    let (t, a) = (Uuid::now_v7(), Uuid::now_v7());
    let of = |seconds, unit: &str, name: &str, quantity: &str| {
        let mut entity = line(a, seconds, None, quantity);
        (entity["data"]["unite"], entity["data"]["designation"]) = (json!(unit), json!(name));
        entity
    };
    case.push(0, &of(10, "kg", "Tôle", "1")).await;
    case.push(0, &based(of(20, "t", "Tôle", "1"), 1)).await;
    let (none, merge) = (json!(null), json!("merge"));
    // (what the site sends, having seen version 1; outcome; unit, name and quantity afterwards)
    for (entity, outcome, unit, name, quantity) in [
        (of(1, "kg", "Tube", "1"), "conflict version_mismatch merge", "t", "Tube", "1"),
        // Once more it changes nothing more.
        (of(1, "kg", "Tube", "1"), "conflict version_mismatch server", "t", "Tube", "1"),
        (of(2, "lot", "Tube", "2"), "conflict version_mismatch merge", "t", "Tube", "2"),
        (of(99, "lot", "Tube", "2"), "conflict version_mismatch client", "lot", "Tube", "2"),
        (of(99, "lot", "Tube", "3"), "conflict version_mismatch", "lot", "Tube", "2"),
    ] {
        let (found, kept) = case.push(0, &based(entity.clone(), 1)).await;
        assert_eq!(found, outcome, "{entity}");
        assert_eq!(kept["base"]["unite"], "kg", "{kept}");
        let now = case.now("reception_line", a).await["data"].clone();
        assert_eq!(
            (&now["unite"], &now["designation"], &now["quantite"]),
            (&json!(unit), &json!(name), &json!(quantity)),
            "{entity}"
        );
        let is_merge = outcome.ends_with("merge");
        assert_eq!(
            (kept["resolution"] == merge, &kept["merged"]),
            (is_merge, if is_merge { &now } else { &none }),
            "{kept}"
        );
    }
    // Without a version, or with one that is no longer kept, it is for a person.
    let (found, _) = case.push(0, &of(1, "kg", "Fer", "2")).await;
    assert_eq!(found, "conflict stale_update");
    case.db.execute(&FORGET, args![a]).await.unwrap();
    let (found, kept) = case.push(0, &based(of(1, "kg", "Acier", "1"), 1)).await;
    assert_eq!((found.as_str(), &kept["base"]), ("conflict version_mismatch", &none));
    // One batch: what was written before in it is a start as good as any.
    let mut comment = based(ticket(t, 30, "T"), 1);
    comment["data"]["commentaire"] = json!("vu");
    let all = [ticket(t, 10, "T"), based(ticket(t, 20, "U"), 1), comment];
    let answer = case.send(0, "wait=25", &batch("per_entity", &all)).await;
    assert_eq!(outcomes(&answer), ["created 1", "updated 2", "conflict version_mismatch merge"]);
    let now = case.now("ticket", t).await;
    assert_eq!(
        (&now["version"], &now["data"]["numero"], &now["data"]["commentaire"]),
        (&json!(3), &json!("U"), &json!("vu"))
    );
    case.db.close().await;
}

/// I-19: a batch is decided by what was configured when it was accepted, whoever applies it.
pub(super) async fn a_batch_keeps_the_strategies_of_its_acceptance(deployment: Deployment) {
    let mut case = Case::open(deployment, &[["lww", "manual"], ["lww", "lww"]]).await;
    let a = Uuid::now_v7();
    case.push(0, &line(a, 20, None, "1")).await;
    case.app.workers[0].kill9();
    let [manual, later] = [0, 1].map(|seconds| batch("per_entity", &[line(a, seconds, None, "2")]));
    for (api, body) in [(0, &manual), (1, &later)] {
        assert_eq!(case.send(api, "wait=0", body).await.status, 202);
    }
    case.app.restart_worker(0);
    for (body, expected) in
        [(&manual, "conflict stale_update"), (&later, "conflict stale_update server")]
    {
        // Asked for elsewhere, it is the same batch.
        let answer = case.send(1, "wait=25", body).await;
        assert_eq!((answer.status, outcomes(&answer)), (200, vec![expected.to_owned()]));
    }
    case.db.close().await;
}
