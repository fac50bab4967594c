//! Redis, then PostgreSQL, is away while terminals go on sending sales over HTTP: without Redis all
//! are taken, without PostgreSQL all are refused at once; nobody is started again afterwards
//! (G-23, G-24).

use crate::app::TestApp;
use crate::chaos::Run;
use crate::chaos::report::Report;
use crate::chaos::site::Site;
use crate::stores::Deployment;
use db::{Sql, args};
use serde_json::json;
use std::time::{Duration, Instant};

const SERIAL: &str = "till";
/// An answer without Redis, and a refusal without PostgreSQL, come within this.
const AT_ONCE: Duration = Duration::from_secs(1);
/// After PostgreSQL is back a sale is taken within this, after Redis a job has ended within that.
const BACK: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(2)];
const PATIENCE: Duration = Duration::from_secs(60);

static SALES: Sql = Sql::both("SELECT count(*) AS sales FROM ventes");

struct Shop {
    app: TestApp,
    sent: usize,
    taken: usize,
}

impl Shop {
    async fn open(run: &Run<'_>, site: &Site) -> Self {
        let env = [
            ("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "1000000"),
            ("RELAIS_LIMITS_UNFINISHED_PER_PRINCIPAL", "1000000"),
        ];
        let mut stores = run.servers.stores().await;
        stores.database_url.clone_from(&site.stores.database_url);
        let mut app = TestApp::on(stores, &env);
        app.run(&["migrate"]).await;
        let data = json!({
            "boutiques": [{"id": 2, "nom": "B", "fuseau": "UTC"}],
            "terminaux": [{"numero_serie": SERIAL, "nom": "T", "boutique_id": 2, "actif": true}],
            "articles": [{"id": 6, "boutique_id": 2, "nom": "A", "code": null,
                          "prix_vente": "1.00", "stock": 1_000_000, "actif": true}],
            "cles_api": [],
        });
        app.seed(&data).await;
        app.start_api().await;
        app.start_worker();
        Self { app, sent: 0, taken: 0 }
    }

    /// Sends a sale of its own: its status, whether it says when to come again, how long it took.
    async fn sell(&mut self) -> (u16, bool, Duration) {
        self.sent += 1;
        let number = format!("V-{}", self.sent);
        let sale =
            json!([{"numero_facture": number, "lignes": [{"article_id": 6, "quantite": 1}]}]);
        let start = Instant::now();
        match self.app.post_sales(SERIAL, &sale).await {
            Ok(answer) => {
                self.taken += usize::from(answer.status < 300);
                (answer.status, answer.headers.contains_key("retry-after"), start.elapsed())
            }
            Err(_) => (0, false, start.elapsed()),
        }
    }

    /// Sells until a sale is in the books; how long that took.
    async fn until_sold(&mut self) -> Duration {
        let start = Instant::now();
        while start.elapsed() < PATIENCE && self.sell().await.0 != 201 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        start.elapsed()
    }

    async fn status(&self, path: &str) -> u16 {
        let request = self.app.http().get(self.app.url(0, path)).timeout(Duration::from_secs(5));
        request.send().await.map_or(0, |answer| answer.status().as_u16())
    }

    fn has_restarted(&mut self) -> bool {
        let mut processes = self.app.apis.iter_mut().chain(&mut self.app.workers);
        processes.any(|process| !process.is_running())
    }
}

pub(super) async fn outage(name: &'static str, run: Run<'_>) -> Report {
    let site = Site::open(&run, run.lease()).await;
    let mut shop = Shop::open(&run, &site).await;
    shop.until_sold().await;
    let tries = run.jobs(12, 500);
    let mut notes = Vec::new();
    let mut broken: Vec<String> = Vec::new();
    if run.servers.deployment == Deployment::Distributed {
        without_redis(&run, &mut shop, tries, &mut notes, &mut broken).await;
    }
    without_postgres(&run, &mut shop, tries, &mut notes, &mut broken).await;
    if shop.has_restarted() {
        broken.push("a process ended".to_owned());
    }
    let sold = until_booked(&site, shop.taken).await;
    let mut report = Report::of(name, &run, &site).await;
    report.note("sent", shop.sent);
    report.note("taken", shop.taken);
    report.require(sold >= shop.taken, format!("{} taken, {sold} in the books", shop.taken));
    for (name, took, most) in notes {
        report.note(name, format!("{}ms", took.as_millis()));
        report.require_in_time(took <= most, format!("{name} {took:?}"));
    }
    broken.into_iter().for_each(|what| report.require(false, what));
    drop(shop);
    site.close().await;
    report
}

type Notes = Vec<(&'static str, Duration, Duration)>;

async fn without_redis(
    run: &Run<'_>,
    shop: &mut Shop,
    tries: usize,
    notes: &mut Notes,
    broken: &mut Vec<String>,
) {
    tokio::task::block_in_place(|| run.servers.redis().kill9());
    let mut times = Vec::new();
    for _ in 0..tries {
        let (status, _, took) = shop.sell().await;
        if !matches!(status, 201 | 202) {
            broken.push(format!("status {status} without Redis"));
        }
        times.push(took);
    }
    notes.push(("no_redis_p99", p99(times), AT_ONCE));
    run.servers.redis().start().await;
    notes.push(("redis_back", shop.until_sold().await, BACK[1]));
}

async fn without_postgres(
    run: &Run<'_>,
    shop: &mut Shop,
    tries: usize,
    notes: &mut Notes,
    broken: &mut Vec<String>,
) {
    tokio::task::block_in_place(|| run.servers.postgres().stop());
    let mut times = Vec::new();
    for _ in 0..tries {
        let (status, says_when, took) = shop.sell().await;
        if status != 503 || !says_when {
            broken.push(format!("status {status}, Retry-After {says_when} without PostgreSQL"));
        }
        times.push(took);
    }
    let health = (shop.status("/livez").await, shop.status("/readyz").await);
    if health != (200, 503) {
        broken.push(format!("/livez, /readyz: {health:?}"));
    }
    // A refused call is counted with the time that the client needs to notice it.
    notes.push(("no_postgres_p99", p99(times), AT_ONCE + Duration::from_millis(100)));
    run.servers.postgres().start().await;
    notes.push(("postgres_back", shop.until_sold().await, BACK[0]));
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().unwrap_or(Duration::MAX)
}

/// How many sales are in the books once everything that was taken should be.
async fn until_booked(site: &Site, taken: usize) -> usize {
    let start = Instant::now();
    loop {
        let row = site.db.read_one(&SALES, args![]).await.ok().flatten();
        let sales = row.and_then(|row| row.get::<i64>("sales").ok()).unwrap_or_default();
        if sales as usize >= taken || start.elapsed() > PATIENCE {
            return sales as usize;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
