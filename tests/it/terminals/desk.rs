//! What people do by hand about refused sales and stock: `relais sales`, `relais stock`.

use super::send;
use crate::roles::{Ended, ask};
use crate::sales::{Case, outcomes, sale};
use crate::ventes::{Shop, stock};
use serde_json::{Value, json};
use tests::app::TestApp;
use tests::stores::Deployment;

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// D-15, I-4, R-002-47: a delivery is a row of the ledger, and the sale that was refused for want
/// of it succeeds when its terminal sends it again.
pub(super) async fn a_delivery_lets_a_refused_sale_succeed(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let (app, shop) = (case.app, case.shop.id.to_string());
    let number = format!("D-{shop}");
    let sent = [sale(&number, &format!(r#""article_id":{},"quantite":12"#, case.shop.a))];
    assert_eq!(case.words(&sent).await, ["STOCK_INSUFFISANT"]);
    let open = json(&ask(app, &["sales", "refused", "--shop", &shop, "--json"]));
    assert_eq!((&open[0]["number"], &open[0]["tries"]), (&json!(number), &json!(1)), "{open}");
    assert_eq!(open[0]["sent"], serde_json::from_str::<Value>(&sent[0]).unwrap());
    let told = ask(app, &["sales", "show", &number]);
    assert!(told.out.contains("nobody has settled it"), "{told:?}");
    let article = case.shop.a.to_string();
    let by = |by: &str, reason: &str| {
        ask(app, &["stock", "move", &article, "--by", by, "--reason", reason, "--json"])
    };
    let moved = json(&by("20", "delivery 4711"));
    assert_eq!((&moved["before"], &moved["after"]), (&json!(10), &json!(30)));
    assert_eq!(case.words(&sent).await, ["+"]);
    let told = json(&ask(app, &["sales", "show", &number, "--json"]));
    assert_eq!(told["booked"][0]["total"], "480000.00", "{told}");
    assert_eq!(told["refused"][0]["settled_by"], "auto", "{told}");
    assert_eq!(json(&ask(app, &["sales", "refused", "--shop", &shop, "--json"])), json!([]));
    // Never below zero, nothing without a reason, nothing of an article that nobody has.
    assert_eq!(json(&by("-18", "broken"))["after"], 0);
    let refused = by("-1", "broken");
    assert_eq!((refused.code, stock(&case.db, case.shop.a).await), (Some(4), 0), "{refused:?}");
    for (by, reason) in [("0", "x"), ("1000000001", "x"), ("1.5", "x"), ("1", " "), ("1", "a\nb")] {
        let wrong =
            ask(app, &["stock", "move", &article, &format!("--by={by}"), "--reason", reason]);
        assert_eq!(wrong.code, Some(2), "{wrong:?}");
    }
    assert_eq!(ask(app, &["stock", "move", &shop, "--by", "1", "--reason", "x"]).code, Some(3));
    let listed = ask(app, &["stock", "list", "--shop", &shop, "--below", "1", "--json"]);
    let listed = json(&listed);
    assert_eq!((&listed[0]["id"], &listed[1]), (&json!(case.shop.a), &Value::Null), "{listed}");
    // The ledger has both, with who and why, in one chain with the sale's.
    static MOVED: db::Sql = db::Sql::both(
        "SELECT quantite, reference, auteur FROM mouvements_stock \
         WHERE article_id = $1 AND type = 'AJUSTEMENT' ORDER BY id",
    );
    let rows = case.db.read(&MOVED, db::args![case.shop.a]).await.unwrap();
    let text = |row: &db::Row, name| row.get::<String>(name).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(text(&rows[0], "reference"), "delivery 4711");
    assert!(text(&rows[1], "auteur").starts_with("cli:"));
    let checked = records::ventes::stock::check(&case.db, case.shop.a - 1, 1).await.unwrap();
    assert_eq!((checked.differences, checked.movements), (vec![], 3));
    case.close().await;
}

/// D-15: what a person has settled stays settled, by name and reason, and is not lost.
pub(super) async fn a_person_settles_a_refused_sale(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let (app, shop) = (case.app, case.shop.id.to_string());
    let number = format!("P-{shop}");
    let sent = [sale(&number, r#""article_id":1"#)];
    assert_eq!(case.words(&sent).await, ["ARTICLE_NON_TROUVE"]);
    let id = json(&ask(app, &["sales", "refused", "--shop", &shop, "--json"]))[0]["id"].to_string();
    let settle = |id: &str| ask(app, &["sales", "settle", id, "--reason", "paid back"]);
    assert_eq!(ask(app, &["sales", "settle", &id]).code, Some(2), "a reason is needed");
    assert_eq!(settle(&id).code, Some(0));
    assert_eq!(settle(&id).code, Some(4));
    assert_eq!(settle("999999999").code, Some(3));
    assert_eq!(case.words(&sent).await, ["ARTICLE_NON_TROUVE"]);
    assert_eq!(json(&ask(app, &["sales", "refused", "--shop", &shop, "--json"])), json!([]));
    let all = json(&ask(app, &["sales", "refused", "--shop", &shop, "--all", "--json"]));
    assert_eq!((&all[0]["tries"], &all[0]["settled_why"]), (&json!(2), &json!("paid back")));
    assert!(all[0]["settled_by"].as_str().unwrap().starts_with("cli:"), "{all}");
    let unknown = ask(app, &["sales", "show", "nobody-has-this"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(3), ""), "{unknown:?}");
    let page = ask(app, &["sales", "refused", "--shop", &shop, "--all", "--before", &id]);
    assert_eq!(page.out.lines().count(), 1, "{page:?}");
    case.close().await;
}

/// C-17: an alert waits for a person.
pub(super) async fn an_alert_is_settled_by_a_person(deployment: Deployment) {
    let env = [("STOCK_POLICY", "accept_with_alert")];
    let mut app = TestApp::on(deployment.fresh().await, &env);
    app.start_api().await;
    app.start_worker();
    let db = app.stores.db().await;
    let shop = Shop::open(&db).await;
    let sold = [sale("A-1", &format!(r#""article_id":{},"quantite":12"#, shop.a))];
    let answer = send(&app, &format!("s{}-1", shop.id), &[], &sold).await.json();
    assert_eq!(outcomes(&answer, 1)[0].1, "+");
    let alerts = json(&ask(&app, &["stock", "alerts", "--json"]));
    let id = alerts[0]["id"].to_string();
    assert_eq!((&alerts[0]["asked"], &alerts[0]["available"]), (&json!(12), &json!(10)));
    // Below zero it may be raised, but not lowered.
    let article = shop.a.to_string();
    let by = |by: &str| ask(&app, &["stock", "move", &article, "--by", by, "--reason", "count"]);
    assert_eq!((by("-1").code, by("1").code), (Some(4), Some(0)));
    assert_eq!(stock(&db, shop.a).await, -1);
    let settle = || ask(&app, &["stock", "settle", &id, "--reason", "counted"]).code;
    assert_eq!((settle(), settle()), (Some(0), Some(4)));
    assert_eq!(json(&ask(&app, &["stock", "alerts", "--json"])), json!([]));
    let checked = records::ventes::stock::check(&db, i64::MIN, 10).await.unwrap();
    assert_eq!(checked.differences, vec![]);
    db.close().await;
}
