//! Batches of 1 000 entities that a local server pushes, new and updating, atomic and entity by
//! entity, on each deployment: how long one takes from request to answer, and how many statements
//! the same work sends to the database.
//!
//! `cargo run --release -p tests --bin push` prints the table of `docs/benchmarks.md`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use db::Db;
use records::push::{Batch, Mode, Origin, Strategies, apply_atomic, apply_each};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::stores::{Deployment, Postgres, Redis};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use uuid::Uuid;

const LINES: usize = 980;
const TICKETS: usize = 20;
const ROUNDS: usize = 5;
const KEY: &str = "banc.une-cle-de-site-assez-longue";
const PATH: &str = "/api/v1/sync/push";
const WAYS: [(&str, Mode); 2] = [("atomic", Mode::Atomic), ("per_entity", Mode::PerEntity)];

#[tokio::main]
async fn main() {
    tracing::subscriber::set_global_default(Counter).expect("nobody else counts");
    println!("| deployment | mode | entities | ms per batch | statements to apply it |");
    println!("|---|---|---|---|---|");
    let (postgres, redis) = (Postgres::start_durable().await, Redis::start_append_only().await);
    for deployment in [Deployment::Embedded, Deployment::Postgres, Deployment::Distributed] {
        let mut stores = Deployment::Embedded.fresh().await;
        if deployment != Deployment::Embedded {
            stores.database_url = postgres.fresh_database().await;
        }
        if deployment == Deployment::Distributed {
            stores.redis_url = Some(redis.url());
        }
        let mut app = TestApp::on(stores, &[("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "1000000")]);
        app.seed(&json!({"sites": [{"id": 1, "nom": "Site", "cles_api": [KEY]}]})).await;
        app.start_api().await;
        app.start_worker();
        let db = app.stores.db().await;
        for (name, mode) in WAYS {
            let mut times = [Vec::new(), Vec::new()];
            let mut statements = [0, 0];
            for round in 0..ROUNDS {
                let ids: Vec<_> = (0..TICKETS + LINES).map(|_| Uuid::now_v7()).collect();
                for (step, times) in times.iter_mut().enumerate() {
                    times.push(send(&app, &body(name, &ids, step)).await);
                }
                // The same once more without queue and HTTP, to count statements.
                let ids: Vec<_> = (0..TICKETS + LINES).map(|_| Uuid::now_v7()).collect();
                if round == 0 {
                    for (step, statements) in statements.iter_mut().enumerate() {
                        *statements = count(&db, mode, &body(name, &ids, step)).await;
                    }
                }
            }
            for (step, what) in ["new", "updating"].into_iter().enumerate() {
                times[step].sort_unstable();
                let middle = times[step][ROUNDS / 2].as_secs_f64() * 1e3;
                let statements = statements[step];
                println!("| {deployment:?} | {name} | {what} | {middle:.0} | {statements} |");
            }
        }
        db.close().await;
    }
}

/// Tickets and their lines; a later step changes them all.
fn body(mode: &str, ids: &[Uuid], step: usize) -> Value {
    let at = queue::clock::now() - chrono::TimeDelta::hours(1);
    let entity = |(index, id): (usize, &Uuid)| {
        let (kind, data) = if index < TICKETS {
            let data = json!({"numero": format!("T-{index}-{step}"), "statut": "ouvert",
                              "ouvert_le": "2026-11-20T10:00:00Z"});
            ("ticket", data)
        } else {
            let data = json!({"ticket_id": ids[index % TICKETS], "article_code": "TOLE-2MM",
                              "designation": "Tôle d'acier 2 mm", "quantite": format!("{}.5", step + 1),
                              "unite": "kg", "poids_kg": 12.25, "recu_le": "2026-11-20T10:00:00Z"});
            ("reception_line", data)
        };
        json!({"type": kind, "id": id, "op": "upsert", "updated_at": at, "base_version": step,
               "data": data})
    };
    let entities: Vec<_> = ids.iter().enumerate().map(entity).collect();
    json!({"batch_id": Uuid::now_v7(), "schema_version": 1, "mode": mode, "entities": entities})
}

async fn send(app: &TestApp, body: &Value) -> Duration {
    let request = app.http().post(app.url(0, PATH)).header("X-API-Key", KEY);
    let request = request.header("Prefer", "wait=25").json(body);
    let sent = Instant::now();
    loop {
        let answer =
            request.try_clone().expect("a body in memory").send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a whole answer");
        if status == 202 {
            continue;
        }
        assert!(status == 200 && text.contains(r#""failed":0,"rolled_back":0"#), "{text}");
        return sent.elapsed();
    }
}

/// Statements that applying the batch sends: each is one round trip.
async fn count(db: &Db, mode: Mode, body: &Value) -> u64 {
    let batch = Batch::parse(body.to_string().as_bytes()).expect("a batch");
    let origin = Origin {
        site: 1,
        job: Uuid::now_v7(),
        received: queue::clock::now(),
        offset: None,
        strategies: Strategies::default(),
    };
    let before = STATEMENTS.load(Ordering::Relaxed);
    let chunk = if mode == Mode::Atomic { batch.entities.len() } else { 100 };
    for entities in batch.entities.chunks(chunk) {
        let mut tx = db.begin().await.expect("a transaction");
        let applied = match mode {
            Mode::Atomic => apply_atomic(&mut tx, &origin, batch.on_conflict, entities).await,
            Mode::PerEntity => apply_each(&mut tx, &origin, batch.on_conflict, 0, entities).await,
        };
        assert!(applied.expect("it is applied").iter().all(|result| result.error.is_none()));
        tx.commit().await.expect("it is kept");
    }
    STATEMENTS.load(Ordering::Relaxed) - before
}

static STATEMENTS: AtomicU64 = AtomicU64::new(0);

/// Counts what the driver says it has sent.
struct Counter;

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        STATEMENTS.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
