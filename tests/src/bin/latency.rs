//! Time of one sale on an idle system, from the request to the end of its 201, over real HTTP.
//!
//! `cargo run --release -p tests --bin latency` prints the table of `docs/benchmarks.md`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use serde_json::json;
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::stores::{Deployment, Postgres, Redis, Stores};

const WARM_UP: usize = 50;
const SALES: usize = 1_000;
/// Long enough that everything is idle again.
const PAUSE: Duration = Duration::from_millis(15);

#[tokio::main]
async fn main() {
    println!("{SALES} sales, one every {} ms, one connection\n", PAUSE.as_millis());
    println!("| deployment | p50 ms | p99 ms | max ms |\n|---|---|---|---|");
    for deployment in Deployment::chosen() {
        // `fsync` on: what is measured must be what users get.
        let postgres = match deployment {
            Deployment::Embedded => None,
            Deployment::Postgres | Deployment::Distributed => Some(Postgres::start_durable().await),
        };
        let redis = match deployment {
            Deployment::Distributed => Some(Redis::start_append_only().await),
            Deployment::Embedded | Deployment::Postgres => None,
        };
        let mut stores = Deployment::Embedded.fresh().await;
        if let Some(postgres) = &postgres {
            stores.database_url = postgres.fresh_database().await;
        }
        stores.redis_url = redis.as_ref().map(Redis::url);
        let mut times = measure(stores).await;
        times.sort_unstable();
        let at =
            |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!("| {} | {:.1} | {:.1} | {:.1} |", deployment.name(), at(0.5), at(0.99), at(1.0));
    }
}

async fn measure(stores: Stores) -> Vec<Duration> {
    let mut app = TestApp::on(stores, &[("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "1000000")]);
    app.seed(&json!({
        "boutiques": [{"id": 2, "nom": "Ma Boutique", "fuseau": "Africa/Kinshasa"}],
        "terminaux": [{"numero_serie": "t", "nom": "T", "boutique_id": 2, "actif": true}],
        "articles": [{"id": 6, "boutique_id": 2, "nom": "Samsung S24", "code": "S24",
                      "prix_vente": "40000.00", "stock": 1_000_000, "actif": true}],
        "cles_api": [],
    }))
    .await;
    app.start_api().await;
    app.start_worker();
    let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().expect("a client");
    let url = app.url(0, "/api/v2/simple/ventes/sync/");
    let mut times = Vec::with_capacity(SALES);
    for number in 0..WARM_UP + SALES {
        tokio::time::sleep(PAUSE).await;
        let sale = json!([{"numero_facture": format!("V-{number}"), "mode_paiement": "CASH",
            "paye": true, "lignes": [{"article_id": 6, "quantite": 1, "prix_unitaire": 40000}]}]);
        let request = http.post(&url).header("X-Device-Serial", "t").json(&sale);
        let start = Instant::now();
        let response = request.send().await.expect("an answer");
        let status = response.status();
        let text = response.text().await.expect("a whole answer");
        assert_eq!(status, 201, "{text}");
        if number >= WARM_UP {
            times.push(start.elapsed());
        }
    }
    times
}
