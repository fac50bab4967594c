//! Twenty shops that send batches of sales: through the queue (an API and a worker process), and to
//! a plain handler that does the same work, log lines and all, in one process without one; in turn,
//! on the same servers. First as fast as they are answered, for the throughput; then at a steady rate well
//! below that, for the time that the queue adds.
//!
//! `cargo run --release -p tests --bin sales` prints the tables of `docs/benchmarks.md`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use db::Db;
use records::ventes::{
    self, Batch, BatchResult, Origin, Policy, SaleOutcome, answer, money, texts,
};
use serde_json::{Value, json};
use std::time::Duration;
use tests::app::{Process, TestApp};
use tests::stores::{Deployment, Postgres, Redis, free_port};
use tests::wait::until;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;
use tracing_subscriber::EnvFilter;

const SHOPS: usize = 20;
const BATCH: usize = 50;
const ARTICLES: usize = 10;
/// Each of the two ways runs so often, for so long.
const ROUNDS: usize = 2;
const WALL: Duration = Duration::from_secs(30);
/// The steady rate: this share of what the slower way can do.
const PACE: f64 = 0.4;
const PATH: &str = "/api/v2/simple/ventes/sync/";

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let [_, plain, url, address] = &words[..]
        && plain == "plain"
    {
        return serve_plain(url, address).await;
    }
    let (postgres, redis) = (Postgres::start_durable().await, Redis::start_append_only().await);
    let mut stores = Deployment::Embedded.fresh().await;
    stores.database_url = postgres.fresh_database().await;
    stores.redis_url = Some(redis.url());
    let mut app = TestApp::on(stores, &[("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "1000000")]);
    app.seed(&shops()).await;
    app.start_api().await;
    app.start_worker();
    let (_process, plain) = plain(&app).await;
    let ways = [("through the queue", app.url(0, PATH)), ("plain handler", plain)];
    println!("As fast as they are answered:\n");
    let slower = compare(&ways, None).await;
    let pause = (SHOPS * BATCH) as f64 / (slower * PACE);
    println!("\nA batch of each shop every {:.0} ms:\n", pause * 1e3);
    compare(&ways, Some(Duration::from_secs_f64(pause))).await;
}

/// Both ways in turn; prints their table and returns the lower rate, in sales per second.
async fn compare(ways: &[(&str, String); 2], pace: Option<Duration>) -> f64 {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (way, times) in ways.iter().zip(&mut times) {
            let prefix = format!("{}{}{round}", &way.0[..1], u8::from(pace.is_some()));
            times.extend(load(&way.1, &prefix, pace).await);
        }
    }
    println!("| way | sales/s | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|---|");
    let rates = ways.iter().zip(times).map(|((way, _), times)| print(way, times));
    rates.fold(f64::INFINITY, f64::min)
}

fn shops() -> Value {
    let shop = |id| json!({"id": id, "nom": format!("Boutique {id}"), "fuseau": "UTC"});
    let till = |id| json!({"numero_serie": format!("t{id}"), "nom": "T", "boutique_id": id, "actif": true});
    let article = |id: usize| {
        json!({"id": id + 1, "boutique_id": id / ARTICLES + 1, "nom": format!("Article {id}"),
               "code": null, "prix_vente": "100.00", "stock": 100_000_000, "actif": true})
    };
    json!({
        "boutiques": (1..=SHOPS).map(shop).collect::<Vec<_>>(),
        "terminaux": (1..=SHOPS).map(till).collect::<Vec<_>>(),
        "articles": (0..SHOPS * ARTICLES).map(article).collect::<Vec<_>>(),
        "cles_api": [],
    })
}

/// Starts the plain handler as a process of its own; returns where it answers.
async fn plain(app: &TestApp) -> (Process, String) {
    let program = std::env::current_exe().expect("a running program");
    let address = format!("127.0.0.1:{}", free_port());
    let words =
        [program.to_str().expect("a plain path"), "plain", &app.stores.database_url, &address];
    let process = Process::spawn_words("plain", &words, &[], app.dir());
    until("the plain handler listens", async || TcpStream::connect(&address).await.is_ok()).await;
    (process, format!("http://{address}{PATH}"))
}

/// What a plain program would do: read, apply in one transaction, answer; and say so (R-002-43).
async fn serve_plain(url: &str, address: &str) {
    let filter = EnvFilter::new("info");
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    lines.json().flatten_event(true).with_current_span(false).init();
    let settings = db::Settings {
        url: url.parse().expect("a database"),
        connections: 10,
        acquire: Duration::from_secs(5),
    };
    let db = Db::open(&settings).await.expect("it answers");
    let router = Router::new().route(PATH, post(apply)).with_state(db);
    let listener = tokio::net::TcpListener::bind(address).await.expect("a free port");
    axum::serve(listener, router).await.expect("it runs until it is killed");
}

async fn apply(State(db): State<Db>, headers: HeaderMap, body: Bytes) -> Response {
    let serial = headers["x-device-serial"].to_str().expect("a serial");
    let till = ventes::terminal(&db, serial).await.expect("it answers").expect("it is known");
    let shop = till.boutique.clone().expect("it stands in a shop");
    let batch = Batch::parse(&body).expect("a batch");
    let received = queue::clock::now();
    let origin = Origin {
        boutique_id: shop.id,
        terminal_id: till.id,
        job: uuid::Uuid::now_v7(),
        recue_le: received,
        horodatage: received.format("%Y%m%d%H%M%S").to_string(),
        fuseau: chrono_tz::Tz::UTC,
    };
    let sales = batch.into_sales();
    let span = tracing::info_span!("request", id = %origin.job, terminal.serial = serial);
    let ventes = async {
        tracing::info!(boutique.id = shop.id, "{}", texts::log_started(&shop.nom, &till.nom));
        tracing::info!(boutique.id = shop.id, "{}", texts::log_count(sales.len()));
        let mut tx = db.begin().await.expect("a transaction");
        let policy = Policy::default();
        let applied = ventes::apply(&mut tx, &origin, &policy, &sales, 0..sales.len()).await;
        let ventes = applied.expect("it is applied");
        tx.commit().await.expect("it is kept");
        ventes.iter().for_each(|outcome| log(shop.id, outcome));
        ventes
    };
    let ventes = ventes.instrument(span).await;
    let answer = answer::completed((shop.id, &shop.nom), &till.nom, BatchResult { ventes });
    (StatusCode::CREATED, Json(answer)).into_response()
}

fn log(shop: i64, outcome: &SaleOutcome) {
    let SaleOutcome::Creee(sale) = outcome else { return };
    let (number, total) = (sale.numero_facture.as_str(), sale.montant_total.as_str());
    let line = texts::log_created(number, money::parse(total).unwrap_or_default());
    tracing::info!(boutique.id = shop, vente.number = number, vente.total = total, "{line}");
}

/// Every shop sends the next batch when the last one is answered, and not before its turn; how
/// long each took, from the moment at which it was due.
async fn load(url: &str, prefix: &str, pace: Option<Duration>) -> Vec<Duration> {
    let start = Instant::now();
    let shops = (1..=SHOPS).map(|shop| async move {
        let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build();
        let (http, mut times) = (http.expect("a client"), Vec::new());
        // The shops take turns, so that none waits for another.
        let mut due = start + pace.unwrap_or_default().mul_f64(shop as f64 / SHOPS as f64);
        while start.elapsed() < WALL {
            let body = batch(shop, &format!("{prefix}-{}", times.len()));
            sleep_until(due).await;
            let began = if pace.is_some() { due } else { Instant::now() };
            let request = http.post(url).header("X-Device-Serial", format!("t{shop}")).body(body);
            let response = request.send().await.expect("an answer");
            let status = response.status();
            let text = response.text().await.expect("a whole answer");
            assert_eq!(status, 201, "{text}");
            times.push(began.elapsed());
            due += pace.unwrap_or_default();
        }
        times
    });
    futures::future::join_all(shops).await.into_iter().flatten().collect()
}

fn batch(shop: usize, prefix: &str) -> String {
    let sale = |place: usize| {
        let article = (shop - 1) * ARTICLES + place % ARTICLES + 1;
        json!({"numero_facture": format!("{prefix}-{place}"),
               "lignes": [{"article_id": article, "quantite": 1}]})
    };
    Value::from_iter((0..BATCH).map(sale)).to_string()
}

/// Prints a line of the table; returns its rate.
fn print(way: &str, mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let rate = (times.len() * BATCH) as f64 / (ROUNDS as f64 * WALL.as_secs_f64());
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("| {way} | {rate:.0} | {:.1} | {:.1} | {:.1} |", at(0.5), at(0.95), at(0.99));
    rate
}
