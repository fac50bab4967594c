//! What keeps the deployment in order: lost jobs are taken back, old ones removed, the stock
//! ledger is checked.

use super::floor::{Floor, LEASE, RETENTION, catalog};
use jobs::Job as _;
use jobs::kinds::{PruneJobs, VerifyStock};
use queue::{Claim, State};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::script::Script;

fn upkeep() -> worker::Settings {
    worker::Settings { queues: vec![(PruneJobs::QUEUE.to_owned(), 1)], ..Floor::settings(1) }
}

pub(super) async fn jobs_of_a_dead_worker_run_again_within_lease_and_five_seconds(floor: &Floor) {
    let script = Script::new([]);
    let id = floor.put(script.clone()).await;
    let lease = Duration::from_secs(1);
    let queue = Script::QUEUE.to_owned();
    // Claimed by somebody who is never heard of again.
    let claim = Claim { queue, worker: "dead".to_owned(), limit: 1, lease };
    let start = Instant::now();
    while floor.engine.claim(&claim).await.unwrap().is_empty() {
        assert!(start.elapsed() < LEASE);
    }
    let start = Instant::now();
    let worker = floor.worker(1).await;
    let row = floor.ended(id, State::Done).await;
    let took = start.elapsed();
    assert!(took < lease + Duration::from_secs(5), "{took:?}");
    assert_eq!((row.attempt, row.crashes, script.executions().len()), (2, 1, 1));
    worker.stop().await;
}

pub(super) async fn finished_jobs_past_their_retention_are_removed_by_the_kind(floor: &Floor) {
    static AGE: db::Sql = db::Sql::both("UPDATE jobs SET finished_at = {after $2} WHERE id = $1");
    let worker = floor.worker_with(upkeep(), catalog()).await;
    let scripts = floor.worker(4).await;
    let aged = async |steps: &[tests::script::Step], end: State, age: Duration| {
        let id = floor.put(Script::new(steps)).await;
        floor.ended(id, end).await;
        let age = -i64::try_from(age.as_millis()).unwrap();
        floor.engine.db().execute(&AGE, db::args![id, age]).await.unwrap();
        id
    };
    let dead = [tests::script::Step::Permanent("x".to_owned())];
    let minute = Duration::from_secs(60);
    let gone = [
        aged(&[], State::Done, RETENTION.done + minute).await,
        aged(&dead, State::Dead, RETENTION.dead + minute).await,
    ];
    let kept = [
        aged(&[], State::Done, RETENTION.done - minute).await,
        aged(&dead, State::Dead, RETENTION.done + minute).await,
    ];
    let waiting = floor.put_new(queue::NewJob::new("script", "nobody", "{}".to_owned())).await;
    let row = floor.ended(floor.put(PruneJobs {}).await, State::Done).await;
    assert_eq!(row.result.as_deref(), Some(r#"{"keys":0,"pushed":0,"removed":2,"ticks":0}"#));
    for id in gone {
        assert_eq!(floor.engine.get(id).await.unwrap().map(|row| row.state), None);
    }
    for id in kept.into_iter().chain([waiting]) {
        floor.row(id).await;
    }
    worker.stop().await;
    scripts.stop().await;
}

pub(super) async fn a_corrupted_article_is_found_by_the_nightly_check(floor: &Floor) {
    let db = floor.engine.db().clone();
    let article = |id: i64| {
        json!({"id": id, "boutique_id": 2, "nom": format!("Article {id}"), "code": null,
               "prix_vente": "100.00", "stock": 100, "actif": true})
    };
    let shop = json!({
        "boutiques": [{"id": 2, "nom": "Ma Boutique", "fuseau": "Africa/Kinshasa"}],
        "terminaux": [{"numero_serie": "t", "nom": "T", "boutique_id": 2, "actif": true}],
        "articles": (1..=1_203).map(article).collect::<Vec<_>>(), "cles_api": []});
    records::seed::load(&db, &shop.to_string()).await.unwrap();
    let lines: Vec<Value> = (1..=20)
        .map(|article| json!({"article_id": article, "quantite": 1, "prix_unitaire": 100}))
        .collect();
    let sales: Vec<Value> = (0..60)
        .map(|number| {
            json!({"numero_facture": format!("F-{number}"), "mode_paiement": "CASH",
                             "paye": true, "lignes": lines})
        })
        .collect();
    sell(floor, &sales).await;
    let worker = floor.worker_with(upkeep(), catalog()).await;
    let report = verify(floor).await;
    assert_eq!(
        report,
        json!({"articles": 1_203, "movements": 1_200, "differing": 0, "differences": []})
    );

    static STOCK: db::Sql =
        db::Sql::both("UPDATE articles SET quantite_stock = quantite_stock + 3 WHERE id = $1");
    static CHAIN: db::Sql = db::Sql::both(
        "UPDATE mouvements_stock SET stock_avant = stock_avant + 5, stock_apres = stock_apres + 5 \
         WHERE article_id = 7 AND reference = 'F-30' RETURNING id",
    );
    for article in [6_i64, 1_203] {
        assert_eq!(db.execute(&STOCK, db::args![article]).await.unwrap(), 1);
    }
    let broken: i64 = db.write(&CHAIN, db::args![]).await.unwrap()[0].get("id").unwrap();
    let report = verify(floor).await;
    assert_eq!(report["differing"], 3);
    assert_eq!(
        report["differences"],
        json!([
            {"article_id": 6, "boutique_id": 2, "stock": 43, "expected": 40, "broken_at": null},
            {"article_id": 7, "boutique_id": 2, "stock": 40, "expected": 40, "broken_at": broken},
            {"article_id": 1_203, "boutique_id": 2, "stock": 103, "expected": 100, "broken_at": null},
        ])
    );
    worker.stop().await;
}

async fn verify(floor: &Floor) -> Value {
    let row = floor.ended(floor.put(VerifyStock {}).await, State::Done).await;
    serde_json::from_str(&row.result.expect("a report")).unwrap()
}

/// Sells as a terminal does, past HTTP.
async fn sell(floor: &Floor, sales: &[Value]) {
    use records::ventes::{Batch, terminal};
    let till = terminal(floor.engine.db(), "t").await.unwrap().expect("the terminal is there");
    let shop = till.boutique.clone().expect("it stands in a shop");
    let body = Value::from(sales.to_vec()).to_string();
    let batch = Batch::parse(body.as_bytes()).unwrap();
    let now = queue::clock::now();
    let job = jobs::kinds::ApplySalesBatch::new(&till, &shop, batch, now, now.naive_utc());
    let queues = vec![("records".to_owned(), 1)];
    let settings = worker::Settings { queues, ..Floor::settings(1) };
    let worker = floor.worker_with(settings, catalog()).await;
    floor.ended(floor.put(job).await, State::Done).await;
    worker.stop().await;
}
