//! The program as people run it: its commands, its settings, and its roles as processes that are
//! stopped, killed and frozen.

mod bench;
mod commands;
mod disk;
mod kills;
mod operate;
mod operate_bulk;
pub(crate) mod schedules;
mod settings;
mod signals;
mod sockets;
mod up;

use crate::on_stores;
use db::{Db, Sql, args};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::app::{Process, TestApp, relais_binary};
use tests::wait::until;

/// A test waits this long for something that must happen; a busy machine is slow, not wrong.
const PATIENCE: Duration = Duration::from_secs(30);
const SERIAL: &str = "0a1badae951f8473";
const STOCK: i64 = 100_000;

/// What a command that ended has left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `relais ARGS` in `dir` to its end, with no environment but `env`.
pub(crate) fn relais(dir: &Path, env: &[(&str, &str)], args: &[&str]) -> Ended {
    relais_reading(dir, env, args, "")
}

/// The same with the settings of `app`.
pub(crate) fn ask(app: &TestApp, args: &[&str]) -> Ended {
    let env: Vec<_> = app.env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    tokio::task::block_in_place(|| relais(app.dir(), &env, args))
}

fn relais_reading(dir: &Path, env: &[(&str, &str)], args: &[&str], input: &str) -> Ended {
    let mut command = Command::new(relais_binary());
    command.args(args).current_dir(dir).env_clear().envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // A command that reads nothing may be gone by now.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it is a child of ours");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A shop with one terminal and one article.
fn shop() -> Value {
    json!({
        "boutiques": [{"id": 2, "nom": "Ma Boutique", "fuseau": "Africa/Kinshasa"}],
        "terminaux": [{"numero_serie": SERIAL, "nom": "T", "boutique_id": 2, "actif": true}],
        "articles": [{"id": 6, "boutique_id": 2, "nom": "Samsung S24", "code": "S24",
                      "prix_vente": "40000.00", "stock": STOCK, "actif": true}],
        "cles_api": []})
}

/// So many sales of one unit each.
fn sales(name: &str, count: usize) -> Value {
    let sale = |number| {
        json!({"numero_facture": format!("{name}-{number}"), "mode_paiement": "CASH", "paye": true,
               "lignes": [{"article_id": 6, "quantite": 1, "prix_unitaire": 40000}]})
    };
    (0..count).map(sale).collect()
}

/// The only sales job, as the record has it: state, attempt, sales done.
async fn sales_job(db: &Db) -> Option<(String, i64, i64)> {
    static JOB: Sql = Sql::both(
        "SELECT state, attempt, COALESCE(progress_done, 0) AS done FROM jobs \
         WHERE kind = 'apply_sales_batch'",
    );
    let row = db.read_one(&JOB, args![]).await.ok()??;
    Some((row.get("state").unwrap(), row.get("attempt").unwrap(), row.get("done").unwrap()))
}

/// Every one of `count` sales is booked, the stock has moved once for each, and the movements
/// form one chain.
async fn assert_books(db: &Db, count: i64) {
    static SALES: Sql = Sql::both("SELECT count(*) AS sales FROM ventes");
    static STOCKS: Sql = Sql::both("SELECT quantite_stock AS stock FROM articles WHERE id = 6");
    let sales: i64 = db.read_one(&SALES, args![]).await.unwrap().unwrap().get("sales").unwrap();
    let stock: i64 = db.read_one(&STOCKS, args![]).await.unwrap().unwrap().get("stock").unwrap();
    let checked = records::ventes::stock::check(db, 0, 100).await.unwrap();
    assert_eq!((sales, stock), (count, STOCK - count));
    assert_eq!(checked.movements, count.unsigned_abs());
    assert!(checked.differences.is_empty(), "{:?}", checked.differences);
}

/// Waits until a process has printed this.
async fn printed(process: &Process, text: &str) {
    let start = Instant::now();
    while !process.log().contains(text) {
        assert!(start.elapsed() < PATIENCE, "not printed: {text}\n{}", process.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sends sales in the background, as a terminal that does not wait for the answer.
fn post_behind(app: &TestApp, body: &Value) -> tokio::task::JoinHandle<Option<u16>> {
    let request = app
        .http()
        .post(app.url(0, "/api/v2/simple/ventes/sync/"))
        .header("X-Device-Serial", SERIAL)
        .header("Content-Type", "application/json")
        .timeout(PATIENCE)
        .body(body.to_string());
    tokio::spawn(async move { Some(request.send().await.ok()?.status().as_u16()) })
}

on_every_deployment! {
    on_stores:
    up::the_curl_of_the_source_works_as_written,
    up::the_smoke_script_passes_and_notices_what_is_missing,
    up::roles_run_as_separate_processes_several_of_each,
    signals::idle_roles_stop_within_a_second,
    kills::the_batch_of_a_killed_worker_runs_again_once_in_effect,
    kills::a_frozen_worker_that_comes_back_doubles_nothing,
    kills::what_a_killed_api_had_accepted_still_runs,
    operate::a_job_is_put_in_explained_and_followed_to_its_end,
    operate::queues_and_workers_are_shown_paused_and_resumed,
    operate_bulk::many_jobs_are_cancelled_retried_and_deleted,
    operate_bulk::the_dead_are_listed_and_put_back,
}
