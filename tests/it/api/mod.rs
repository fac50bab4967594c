//! What the API promises to strangers, terminals and operators, asked over real sockets of real
//! processes.

mod bodies;
mod dead;
mod description;
mod events;
mod heads;
mod health;
mod job;
mod jobs_act;
mod jobs_bulk;
mod jobs_keys;
mod jobs_lines;
mod jobs_list;
mod jobs_put;
mod limits;
mod prefer;
mod queues;
mod raw;
mod refused_sales;
mod secrets;

use db::{Db, Sql, args};
use serde_json::{Value, json};
use tests::app::TestApp;
use tests::stores::{Deployment, Stores};

/// The terminal that most cases use; it stands in shop 2.
const SERIAL: &str = "till-2";
/// The same shop's other terminal.
const NEIGHBOUR: &str = "till-2b";
const INACTIVE: &str = "till-off";
const WITHOUT_SHOP: &str = "till-nowhere";
const READER: &str = "reader.5f0c9a7e1d2b4c6f8a9b0c1d2e3f4a5b";
const ADMIN: &str = "admin.0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e";
/// A valid key that may do nothing.
const NOBODY: &str = "nobody.9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b";

fn shops() -> Value {
    let till = |serial: &str, shop: Option<u32>, active: bool| json!({"numero_serie": serial, "nom": serial, "boutique_id": shop, "actif": active});
    let article = |id: u32, shop: u32| json!({"id": id, "boutique_id": shop, "nom": format!("Article {id}"), "prix_vente": "40000.00", "stock": 5_000});
    json!({
        "boutiques": [{"id": 2, "nom": "Ma Boutique", "fuseau": "Africa/Kinshasa"},
                      {"id": 3, "nom": "Une autre", "fuseau": "Africa/Kinshasa"}],
        "terminaux": [till(SERIAL, Some(2), true), till(NEIGHBOUR, Some(2), true),
                      till("till-3", Some(3), true), till(INACTIVE, Some(2), false),
                      till(WITHOUT_SHOP, None, true)],
        "articles": [article(6, 2), article(7, 2), article(9, 3)],
        "cles_api": [{"cle": READER, "nom": "lecture", "portees": ["jobs:read"]},
                     {"cle": ADMIN, "nom": "admin", "portees": ["admin"]},
                     {"cle": NOBODY, "nom": "rien", "portees": []}],
    })
}

/// Stores with the shops in them, and one API.
async fn api_on(stores: Stores, env: &[(&str, &str)]) -> TestApp {
    let mut app = TestApp::on(stores, env);
    app.seed(&shops()).await;
    app.start_api().await;
    app
}

async fn api(deployment: Deployment, env: &[(&str, &str)]) -> TestApp {
    api_on(deployment.fresh().await, env).await
}

/// One sale of one article 6.
fn sale(number: &str) -> Value {
    json!([{"numero_facture": number, "lignes": [{"article_id": 6}]}])
}

/// How many rows requests have left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rows {
    jobs: i64,
    sales: i64,
    lines: i64,
    movements: i64,
    rejections: i64,
}

impl Rows {
    async fn of(db: &Db) -> Self {
        static COUNTS: Sql = Sql::both(
            "SELECT (SELECT count(*) FROM jobs) AS jobs, (SELECT count(*) FROM ventes) AS sales, \
             (SELECT count(*) FROM lignes_vente) AS lines, \
             (SELECT count(*) FROM mouvements_stock) AS movements, \
             (SELECT count(*) FROM ventes_rejetees) AS rejections",
        );
        let row = db.read_one(&COUNTS, args![]).await.unwrap().unwrap();
        let count = |name| row.get(name).unwrap();
        Self {
            jobs: count("jobs"),
            sales: count("sales"),
            lines: count("lines"),
            movements: count("movements"),
            rejections: count("rejections"),
        }
    }
}

/// The most memory that a process ever held, in MiB.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
