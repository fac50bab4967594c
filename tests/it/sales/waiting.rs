//! When nobody works: the answer comes in time and claims nothing, and the sale is not lost.

use super::{PATH, job_done, outcomes, post, read, sale};
use crate::ventes::{Shop, audit, sales, stock};
use db::{Db, Sql, args};
use serde_json::json;
use std::time::{Duration, Instant};
use tests::app::{Answer, TestApp};
use tests::stores::Deployment;
use tokio::io::AsyncWriteExt as _;

/// D-9, I-3, I-22, I-23
pub(super) async fn without_a_worker_a_sale_is_pending_and_later_booked_once(
    deployment: Deployment,
) {
    let mut app = TestApp::on(deployment.fresh().await, &[("RELAIS_API_WAIT_SECONDS", "1")]);
    app.start_api().await;
    let db = app.stores.db().await;
    let shop = Shop::open(&db).await;
    let (id, serial) = (shop.id, format!("s{}-1", shop.id));
    let line = format!(r#""article_id":{}"#, shop.a);
    let body = format!("[{},{}]", sale("V-1", &line), sale("V-2", &line));
    let start = Instant::now();
    let pending = post(&app, PATH, &serial, "", body.clone()).await;
    let took = start.elapsed();
    assert_eq!(pending.status, 202, "{}", pending.text);
    let bounds = Duration::from_secs(1)..Duration::from_millis(1_500);
    assert!(bounds.contains(&took), "{took:?}");
    assert_eq!(pending.headers["retry-after"], "2");
    let job = pending.headers["location"].to_str().unwrap();
    assert!(job.starts_with("/api/v1/jobs/"), "{job}");
    let expected = format!(
        r#"{{"success":false,"message":"Synchronisation en cours: 2 vente(s) en attente de traitement","boutique_id":{id},"boutique_nom":"Boutique {id}","terminal":"Un","statistiques":{{"total_envoyees":2,"reussies":0,"erreurs":0}},"ventes_creees":[],"ventes_erreurs":null,"statut":"EN_COURS","job":"{job}"}}"#
    );
    assert_eq!(pending.text, expected);
    assert_eq!((sales(&db, &shop).await, stock(&db, shop.a).await), (0, 10));
    app.start_worker();
    let done = job_done(&app, &serial, &pending).await;
    assert_eq!(done["metadata"]["progress"], json!({"done": 2, "total": 2}));
    assert_eq!((sales(&db, &shop).await, stock(&db, shop.a).await), (2, 8));
    let again = post(&app, PATH, &serial, "wait=20", body).await.json();
    assert!(outcomes(&again, 2).iter().all(|(_, word)| word == "+again"), "{again}");
    assert_eq!((sales(&db, &shop).await, stock(&db, shop.a).await), (2, 8));
    audit(&db, &shop).await;
    db.close().await;
}

/// D-12, I-1: the answer was written to nobody. Its client has left before a worker comes.
pub(super) async fn a_sale_whose_client_left_is_reported_once_more(deployment: Deployment) {
    let mut app = TestApp::on(deployment.fresh().await, &[]);
    app.start_api().await;
    let db = app.stores.db().await;
    let shop = Shop::open(&db).await;
    let serial = format!("s{}-1", shop.id);
    let body = format!("[{}]", sale("V-1", &format!(r#""article_id":{}"#, shop.a)));
    let mut client = tokio::net::TcpStream::connect(app.address(0)).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nHost: relais\r\nX-Device-Serial: {serial}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    static JOBS: Sql = Sql::both("SELECT COUNT(*) AS n FROM jobs WHERE principal IS NOT NULL");
    until_count(&db, &JOBS, 1).await;
    drop(client);
    app.start_worker();
    static SALES: Sql = Sql::both("SELECT COUNT(*) AS n FROM ventes");
    until_count(&db, &SALES, 1).await;
    for expected in ["+again", "DUPLICATE"] {
        let answer = post(&app, PATH, &serial, "", body.clone()).await.json();
        assert_eq!(outcomes(&answer, 1)[0].1, expected, "{answer}");
    }
    assert_eq!((sales(&db, &shop).await, stock(&db, shop.a).await), (1, 9));
    audit(&db, &shop).await;
    db.close().await;
}

async fn until_count(db: &Db, sql: &'static Sql, count: i64) {
    let start = Instant::now();
    while db.read_one(sql, args![]).await.unwrap().unwrap().get::<i64>("n").unwrap() != count {
        assert!(start.elapsed() < Duration::from_secs(20), "not {count} within 20 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// D-10, D-50: for everybody else the job does not exist.
pub(super) async fn a_job_is_shown_to_its_terminal_and_to_readers_only(deployment: Deployment) {
    let case = super::Case::open(deployment).await;
    let id = case.shop.id;
    let (reader, other) =
        (format!("r{id}.lecture-tres-secrete"), format!("w{id}.ecriture-tres-secrete"));
    let keys = json!({"cles_api": [
        {"cle": reader, "nom": "R", "portees": ["jobs:read"]},
        {"cle": other, "nom": "W", "portees": ["jobs:write"]},
    ]});
    records::seed::load(&case.db, &keys.to_string()).await.unwrap();
    let one = sale("V-1", &format!(r#""article_id":{}"#, case.shop.a));
    let (pending, done) = case.accepted(1, &[one]).await;
    assert_eq!((&done["state"], &done["error"]), (&"done".into(), &json!(null)));
    let path = pending.json()["job"].as_str().unwrap().to_owned();
    let ask = async |name: &str, value: &str| -> Answer {
        let request = case.app.http().get(case.app.url(0, &path)).header(name, value);
        read(request.send().await.unwrap()).await
    };
    let shown = ask("X-API-Key", &reader).await;
    assert_eq!((shown.status, shown.json()["id"] == done["id"]), (200, true), "{}", shown.text);
    for (name, value) in [("X-Device-Serial", case.serial(2)), ("X-API-Key", other)] {
        let hidden = ask(name, &value).await;
        assert_eq!(hidden.status, 404, "{value}: {}", hidden.text);
        assert!(!hidden.text.contains("V-1"), "{}", hidden.text);
    }
    assert_eq!(ask("X-API-Key", &format!("r{id}.faux-mais-assez-long")).await.status, 401);
    case.close().await;
}
