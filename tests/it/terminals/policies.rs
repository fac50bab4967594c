//! What an operator may choose: device keys (D-32), the stock policy (C-17), the time zone of
//! invoice numbers (D-62).

use super::{get, send};
use crate::sales::{Case, outcomes, sale};
use crate::ventes::{Shop, integer, sales, stock};
use db::{Db, Sql};
use serde_json::json;
use tests::app::{Answer, TestApp};
use tests::stores::Deployment;

/// A program of one's own with a shop in it.
async fn open(deployment: Deployment, env: &[(&str, &str)]) -> (TestApp, Db, Shop) {
    let mut app = TestApp::on(deployment.fresh().await, env);
    app.start_api().await;
    app.start_worker();
    let db = app.stores.db().await;
    let shop = Shop::open(&db).await;
    (app, db, shop)
}

/// D-32, S-8, C-19, I-29: a serial number alone is worth nothing, nor is another terminal's key;
/// every wrong try looks like a terminal that does not exist.
pub(super) async fn a_paired_terminal_shows_its_key(deployment: Deployment) {
    let env = [("DEVICE_AUTH", "serial+key"), ("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "1000")];
    let (app, db, shop) = open(deployment, &env).await;
    let (one, two) = (format!("s{}-1", shop.id), format!("s{}-2", shop.id));
    let key = app.run(&["terminals", "pair", &one]).await;
    let key = key.lines().last().unwrap().trim().to_owned();
    assert_eq!(key.len(), 64, "{key}");
    let seed = json!({"terminaux": [{"numero_serie": two, "nom": "Deux", "boutique_id": shop.id,
        "cle": "une-cle-assez-longue-pour-deux"}]});
    app.seed(&seed).await;
    let line = format!(r#""article_id":{}"#, shop.a);
    let put = async |serial: &str, key: Option<&str>, number: &str| -> Answer {
        let headers: Vec<_> = key.into_iter().map(|key| ("X-Device-Key", key)).collect();
        send(&app, serial, &headers, &[sale(number, &line)]).await
    };
    assert_eq!(put(&one, Some(&key), "V-1").await.status, 201);
    assert_eq!(put(&two, Some("une-cle-assez-longue-pour-deux"), "V-2").await.status, 201);
    let bodies = |answer: Answer| {
        let mut body = answer.json();
        body["instance"] = json!(null);
        (answer.status, body)
    };
    let unknown = bodies(put("personne", Some(&key), "V-3").await);
    assert_eq!((unknown.0, &unknown.1["code"]), (404, &json!("TERMINAL_NOT_FOUND")));
    let wrong = key.replace(|c: char| c.is_ascii_hexdigit(), "0");
    for (serial, key) in [(&one, None), (&one, Some(wrong.as_str())), (&two, Some(key.as_str()))] {
        assert_eq!(bodies(put(serial, key, "V-3").await), unknown, "{key:?}");
    }
    // The other doors are shut as well.
    let path = "/api/v2/simple/ventes/historique/";
    assert_eq!(get(&app, &one, path).await.status, 404);
    assert_eq!(
        get(&app, &one, "/api/v1/jobs/0198c1d2-0000-7000-8000-000000000000").await.status,
        401
    );
    let list = ["terminals", "list", "--json", "--shop", &shop.id.to_string(), "--limit", "2"];
    let listed: serde_json::Value = serde_json::from_str(&app.run(&list).await).unwrap();
    let tills: Vec<_> = listed.as_array().unwrap().iter().collect();
    assert_eq!(tills.len(), 2, "{listed}");
    for (till, serial) in tills.into_iter().zip([&one, &two]) {
        assert_eq!((&till["serial"], &till["active"]), (&json!(serial), &json!(true)), "{listed}");
        assert!(till["paired_at"].is_string(), "{listed}");
    }
    assert!(!listed.to_string().contains(&key));
    let table = app.run(&["terminals", "list", "--after", &one]).await;
    assert!(table.contains(&two) && !table.contains(&one), "{table}");
    // Once paired it stays so, unless somebody wishes otherwise; the old key is then worth nothing.
    let again = app.run(&["terminals", "pair", &one, "--replace"]).await;
    assert_eq!(put(&one, Some(&key), "V-3").await.status, 404);
    assert_eq!(put(&one, Some(again.trim()), "V-3").await.status, 201);
    assert_eq!(
        records::ventes::pair(&db, &one, false).await.unwrap(),
        records::ventes::Paired::Already
    );
    assert_eq!(
        records::ventes::pair(&db, "personne", true).await.unwrap(),
        records::ventes::Paired::Unknown
    );
    for process in app.apis.iter().chain(&app.workers) {
        assert!(!process.log().contains(&key) && !process.log().contains("assez-longue"));
    }
    static STORED: Sql = Sql::both(
        "SELECT COUNT(*) AS n FROM terminaux WHERE boutique_id = $1 AND length(cle_empreinte) = 32",
    );
    assert_eq!(integer(&db, &STORED, shop.id).await, 2, "only hashes are kept");
    // D-32: guesses at keys are as limited as guesses at serial numbers.
    let mut limited = false;
    for _ in 0..25 {
        limited |= put(&one, Some("faux"), "V-4").await.status == 429;
    }
    assert!(limited, "never limited");
    assert_eq!(put(&one, Some(again.trim()), "V-4").await.status, 201, "its own count");
    db.close().await;
}

/// C-17: goods that were handed over are booked, stock goes below zero, and an alert says so.
pub(super) async fn a_sale_of_more_than_there_is_is_booked_with_an_alert(deployment: Deployment) {
    let (app, db, shop) = open(deployment, &[("STOCK_POLICY", "accept_with_alert")]).await;
    let serial = format!("s{}-1", shop.id);
    let line = |quantity| format!(r#""article_id":{},"quantite":{quantity}"#, shop.a);
    let sent = [sale("V-1", &line(4)), sale("V-2", &line(8)), sale("V-3", &line(3))];
    let answer = send(&app, &serial, &[], &sent).await.json();
    let words: Vec<_> = outcomes(&answer, 3).into_iter().map(|(_, word)| word).collect();
    assert_eq!(words, ["+"; 3], "{answer}");
    assert_eq!(answer["ventes_creees"][0]["alertes"], json!(null));
    assert_eq!(
        answer["ventes_creees"][1]["alertes"],
        json!(["Stock insuffisant pour Samsung S24"])
    );
    assert_eq!((stock(&db, shop.a).await, sales(&db, &shop).await), (-5, 3));
    static ALERTS: Sql = Sql::both(
        "SELECT numero_facture, stock_demande, stock_disponible FROM alertes_stock \
         WHERE boutique_id = $1 ORDER BY id",
    );
    let rows = db.read(&ALERTS, db::args![shop.id]).await.unwrap();
    let alerts: Vec<(String, i64, i64)> = rows
        .iter()
        .map(|row| {
            (
                row.get("numero_facture").unwrap(),
                row.get("stock_demande").unwrap(),
                row.get("stock_disponible").unwrap(),
            )
        })
        .collect();
    assert_eq!(alerts, [("V-2".to_owned(), 8, 6), ("V-3".to_owned(), 3, -2)]);
    let figures = get(&app, &serial, "/api/v2/simple/statistiques/").await.json();
    assert_eq!(figures["statistiques"]["alertes_stock"]["total"], 2);
    // I-4 still holds: the ledger goes down in a chain. Nothing else than stock is accepted.
    let unknown = send(&app, &serial, &[], &[sale("V-4", r#""article_id":1"#)]).await.json();
    assert_eq!(outcomes(&unknown, 1)[0].1, "ARTICLE_NON_TROUVE");
    let checked = records::ventes::stock::check(&db, i64::MIN, 1_000).await.unwrap();
    assert_eq!((checked.differences, checked.movements), (vec![], 3));
    db.close().await;
}

/// D-62, R-002-7: the time in generated numbers is that of `INVOICE_TZ`.
pub(super) async fn invoice_numbers_tell_the_time_of_their_zone(deployment: Deployment) {
    let (app, db, shop) = open(deployment, &[("INVOICE_TZ", "Pacific/Kiritimati")]).await;
    let serial = format!("s{}-1", shop.id);
    let sent = [format!(r#"{{"lignes":[{{"article_id":{}}}]}}"#, shop.a)];
    let stamp = |at: chrono::DateTime<chrono::Utc>| {
        at.with_timezone(&chrono_tz::Pacific::Kiritimati).format("%Y%m%d%H%M%S").to_string()
    };
    let began = stamp(chrono::Utc::now());
    let answer = send(&app, &serial, &[], &sent).await.json();
    let number = outcomes(&answer, 1).remove(0).0;
    let parts: Vec<&str> = number.split('-').collect();
    assert_eq!((parts[0], parts[1], parts[3]), ("VENTE", &*shop.id.to_string(), "0"));
    assert!((began.as_str()..=&stamp(chrono::Utc::now())).contains(&parts[2]), "{number}");
    db.close().await;
}

/// D-62, I-21: whoever is second within a second takes the next free index.
pub(super) async fn two_terminals_in_one_second_share_no_number(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let one = |article: i64| format!(r#"{{"lignes":[{{"article_id":{article}}}]}}"#);
    let sent = [one(case.shop.a), one(case.shop.b), one(case.shop.b)];
    let key = |number: usize| format!("lot-sans-numero-{number}");
    let batches = (0..10).map(|number| {
        let (sent, serial) = (&sent, case.serial(1 + number % 2));
        let app = case.app;
        async move {
            let headers = [("Idempotency-Key", &*key(number)), ("Prefer", "wait=20")];
            let answer = send(app, &serial, &headers, sent).await.json();
            outcomes(&answer, 3)
                .into_iter()
                .map(|(number, word)| {
                    assert_eq!(word, "+", "{answer}");
                    number
                })
                .collect::<Vec<_>>()
        }
    });
    let numbers = futures::future::join_all(batches).await.concat();
    let distinct: std::collections::BTreeSet<_> = numbers.iter().collect();
    assert_eq!((distinct.len(), sales(&case.db, &case.shop).await), (30, 30), "{numbers:?}");
    let start = format!("VENTE-{}-", case.shop.id);
    for number in &numbers {
        let (stamp, index) = number.strip_prefix(&start).unwrap().split_once('-').unwrap();
        assert!(stamp.len() == 14 && stamp.parse::<u64>().is_ok() && index.parse::<u32>().is_ok());
    }
    case.close().await;
}
