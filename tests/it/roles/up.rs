//! All roles in one process, and each in several of its own.

use super::{PATIENCE, SERIAL, assert_books, printed, sales, shop};
use std::path::Path;
use std::time::{Duration, Instant};
use tests::app::{Process, TestApp};
use tests::stores::{Deployment, Stores, free_port};

/// R-002-35: `up --demo` on this deployment; the request is the one that it prints.
pub(super) async fn the_curl_of_the_source_works_as_written(stores: Stores) {
    let port = free_port();
    let bind = format!("127.0.0.1:{port}");
    let mut up = Process::spawn(&["up", "--demo", "--bind", &bind], &stores.env(), &stores.dir);
    printed(&up, "Stop with Ctrl-C.").await;
    let log = up.log();
    for told in [
        &format!("curl -X POST http://{bind}/api/v2/simple/ventes/sync/"),
        "X-Device-Serial: 0a1badae951f8473",
        "X-API-Key: demo.relais-demo-admin-key",
        "/openapi.json",
        "relais jobs show <id>",
    ] {
        assert!(log.contains(told), "not told: {told}\n{log}");
    }
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = r#"[
      {
        "numero_facture": "TEST-001",
        "mode_paiement": "CASH",
        "paye": true,
        "lignes": [ { "article_id": 6, "quantite": 1, "prix_unitaire": 40000 } ]
      }
    ]"#;
    let answer = http
        .post(format!("http://{bind}/api/v2/simple/ventes/sync/"))
        .header("Content-Type", "application/json")
        .header("X-Device-Serial", SERIAL)
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    let answer: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["ventes_creees"][0]["numero_facture"], "TEST-001");
    assert_eq!(answer["ventes_creees"][0]["montant_total"], "40000.00");
    up.terminate();
    let status = up.wait(PATIENCE).await;
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", up.log());
    // A second start finds the demo there and changes nothing.
    let mut up = Process::spawn(&["up", "--demo", "--bind", &bind], &stores.env(), &stores.dir);
    printed(&up, "Stop with Ctrl-C.").await;
    up.terminate();
    up.wait(PATIENCE).await.expect("it stops");
    let db = stores.db().await;
    static STOCK: db::Sql = db::Sql::both("SELECT quantite_stock FROM articles WHERE id = 6");
    let row = db.read_one(&STOCK, db::args![]).await.unwrap().unwrap();
    assert_eq!(row.get::<i64>("quantite_stock").unwrap(), 9);
}

/// R-002-36, R-002-50: twice, for sales of its own each time; and a failure is one.
pub(super) async fn the_smoke_script_passes_and_notices_what_is_missing(stores: Stores) {
    let bind = format!("127.0.0.1:{}", free_port());
    let mut up = Process::spawn(&["up", "--demo", "--bind", &bind], &stores.env(), &stores.dir);
    printed(&up, "Stop with Ctrl-C.").await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/smoke.sh");
    let run = async || {
        let mut shell = tokio::process::Command::new("sh");
        shell.arg(&script).arg(format!("http://{bind}")).env("no_proxy", "*");
        let ended = shell.output().await.unwrap();
        let said = [ended.stdout, ended.stderr].concat();
        (ended.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    for _ in 0..2 {
        let (code, said) = run().await;
        assert!(code == Some(0) && said.ends_with("all passed\n"), "{said}\n{}", up.log());
    }
    up.terminate();
    up.wait(PATIENCE).await.expect("it stops");
    let (code, said) = run().await;
    assert!(code == Some(1) && said.contains("FAILED"), "{said}");
}

pub(super) async fn roles_run_as_separate_processes_several_of_each(stores: Stores) {
    let mut app = TestApp::on(stores, &[]);
    app.seed(&shop()).await;
    app.start_api().await;
    app.start_api().await;
    app.start_worker();
    app.start_worker();
    app.start_scheduler();
    app.start_scheduler();
    for round in 0..6 {
        let base = app.url(round % 2, "");
        let body = sales(&format!("R{round}"), 3).to_string();
        let answer = app.post_sales_to(&base, SERIAL, body).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    assert_books(&app.stores.db().await, 18).await;
    let schedulers = app.schedulers.iter_mut();
    let all = app.apis.iter_mut().chain(&mut app.workers).chain(schedulers);
    for process in all {
        assert!(process.is_running(), "{}", process.log());
        process.terminate();
        let status = process.wait(PATIENCE).await;
        assert_eq!(status.and_then(|s| s.code()), Some(0), "{}", process.log());
    }
}

/// Two processes on one file tell each other what is new: neither waits for its next look, which
/// comes every second.
#[tokio::test(flavor = "multi_thread")]
async fn processes_on_one_file_wake_each_other() {
    let mut app = TestApp::on(Deployment::Embedded.fresh().await, &[]);
    app.seed(&shop()).await;
    app.start_api().await;
    app.start_worker();
    let mut took = Vec::new();
    for number in 0..15 {
        let start = Instant::now();
        let answer = app.post_sales(SERIAL, &sales(&format!("W{number}"), 1)).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text);
        took.push(start.elapsed());
    }
    took.sort();
    // The median: looking every second alone would make it half a second.
    assert!(took[7] < Duration::from_millis(250), "{took:?}");
}
