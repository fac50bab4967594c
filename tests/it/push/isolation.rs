//! What one site does is nothing to another (D-50, I-20).

use super::{Site, batch, closed, conflict_of, delete, get, line, outcomes, post, seed, ticket};
use crate::sales::read;
use crate::terminals::isolation::as_plain_owner;
use db::{Sql, Tx, args};
use records::push::scope;
use serde_json::{Value, json};
use tests::app::TestApp;
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

macro_rules! scoped {
    ($table:literal) => {
        [
            Sql::both(concat!(
                "CREATE POLICY scoped ON ",
                $table,
                " AS RESTRICTIVE USING (current_setting('app.scope', TRUE) LIKE 'site:%')"
            )),
            Sql::both(concat!("DROP POLICY scoped ON ", $table)),
        ]
    };
}

/// D-50, S-10: with the scope set, a statement without its WHERE finds and writes nothing of another
/// site or of any shop; and the program does all its work as a role that is bound by that.
pub(super) async fn a_statement_that_forgets_its_site_finds_nothing(deployment: Deployment) {
    static TABLES: [Sql; 5] = [
        Sql::both("SELECT COUNT(*) AS n FROM tickets WHERE site_id <> $1"),
        Sql::both("SELECT COUNT(*) AS n FROM lignes_reception WHERE site_id <> $1"),
        Sql::both("SELECT COUNT(*) AS n FROM entity_versions WHERE site_id <> $1"),
        Sql::both("SELECT COUNT(*) AS n FROM sync_conflicts WHERE site_id <> $1"),
        Sql::both("SELECT COUNT(*) AS n FROM site_batches WHERE site_id <> $1"),
    ];
    static SCOPED: [[Sql; 2]; 5] = [
        scoped!("tickets"),
        scoped!("lignes_reception"),
        scoped!("entity_versions"),
        scoped!("sync_conflicts"),
        scoped!("site_batches"),
    ];
    static SHOPS: Sql = Sql::both("SELECT COUNT(*) AS n FROM articles WHERE boutique_id <> -$1");
    static SHOP: Sql = Sql::both("SELECT set_config('app.scope', $1, TRUE)");
    static EVERYTHING: Sql = Sql::both("UPDATE tickets SET numero = 'x'");
    static INTRUDE: Sql = Sql::both(
        "INSERT INTO tickets (site_id, id, numero, statut, ouvert_le, version, updated_at) \
         VALUES ($1, $2, 'x', 'ouvert', {now}, 1, {now})",
    );
    if deployment == Deployment::Embedded {
        return;
    }
    let mut app = TestApp::on(as_plain_owner(deployment).await, &[]);
    app.start_api().await;
    app.start_worker();
    let db = app.stores.db().await;
    crate::ventes::Shop::open(&db).await;
    let (one, two) = (seed(&db).await, seed(&db).await);
    // For now what has no scope finds nothing: whatever works for a site must have said so.
    for [only, _] in &SCOPED {
        db.execute(only, args![]).await.unwrap();
    }
    for (_, key) in [&one, &two] {
        let (t, a) = (Uuid::now_v7(), Uuid::now_v7());
        let push = async |entities: &[Value], mode| {
            let answer = post(&app, key, "wait=20", &batch(mode, entities)).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer
        };
        push(&[closed(t, 1, "T"), line(a, 1, Some(t), "1")], "atomic").await;
        let met = push(&[ticket(t, 2, "U"), line(a, 2, None, "2")], "per_entity").await;
        assert_eq!(outcomes(&met), ["conflict ticket-closed", "updated 2"]);
        push(&[line(a, 1, None, "3"), delete("reception_line", a, 9)], "per_entity").await;
        let path = format!("/api/v1/sync/conflicts/{}", conflict_of(&met));
        assert_eq!(get(&app, key, &path).await.status, 200);
        let request = app.http().post(app.url(0, &format!("{path}/resolve")));
        let request = request.header("X-API-Key", key).header("Content-Type", "application/json");
        let done = read(request.body(r#"{"resolution":"server"}"#).send().await.unwrap()).await;
        assert_eq!(done.status, 200, "{}", done.text);
        let listed = get(&app, key, "/api/v1/sync/conflicts").await.json();
        assert_eq!(listed["conflicts"].as_array().map(Vec::len), Some(2), "{listed}");
        let versions = format!("/api/v1/sync/entities/reception_line/{a}/versions");
        let versions = get(&app, key, &versions).await.json();
        assert_eq!(versions["versions"].as_array().map(Vec::len), Some(3), "{versions}");
    }
    for [_, all] in &SCOPED {
        db.execute(all, args![]).await.unwrap();
    }
    let count = async |tx: &mut Tx, sql: &'static Sql| -> i64 {
        tx.row(sql, args![one.0]).await.unwrap().unwrap().get("n").unwrap()
    };
    let mut tx = db.begin().await.unwrap();
    for sql in TABLES.iter().chain([&SHOPS]) {
        assert!(count(&mut tx, sql).await > 0, "without a scope all is there: {sql:?}");
    }
    scope(&mut tx, one.0).await.unwrap();
    for sql in TABLES.iter().chain([&SHOPS]) {
        assert_eq!(count(&mut tx, sql).await, 0, "{sql:?}");
    }
    assert_eq!(tx.execute(&EVERYTHING, args![]).await.unwrap(), 1, "its own ticket");
    assert!(tx.execute(&INTRUDE, args![two.0, Uuid::now_v7()]).await.is_err(), "into another site");
    drop(tx);
    // A shop of the same number is no site.
    let mut tx = db.begin().await.unwrap();
    tx.execute(&SHOP, args![two.0.to_string()]).await.unwrap();
    for sql in &TABLES {
        assert_eq!(count(&mut tx, sql).await, 0, "{sql:?}");
    }
    drop(tx);
    // The next transactions of the same connection are not bound by the last one's scope, and what
    // cleans up sees everybody's.
    for _ in 0..20 {
        let mut tx = db.begin().await.unwrap();
        assert!(count(&mut tx, &TABLES[1]).await > 0);
    }
    static AGE: Sql = Sql::both("UPDATE entity_versions SET created_at = {after -8640000000}");
    db.execute(&AGE, args![]).await.unwrap();
    assert_eq!(records::push::versions::prune(&db, 100).await.unwrap(), 2 * 4);
    db.close().await;
}
