//! What terminals look at: history, figures, refused sales (D-36, D-15).

use super::{get, send};
use crate::sales::{Case, sale};
use chrono::{Datelike, NaiveDate, Utc};
use db::{Sql, args};
use serde_json::{Value, json};
use tests::stores::Deployment;

const HISTORY: &str = "/api/v2/simple/ventes/historique/";
const FIGURES: &str = "/api/v2/simple/statistiques/";
const REJECTED: &str = "/api/v2/simple/ventes/rejetees/";

/// A sale of one article `a` made at that instant.
fn dated(case: &Case, number: &str, at: &str) -> String {
    let line = format!(r#"{{"article_id":{},"quantite":2,"prix_unitaire":"1.05"}}"#, case.shop.a);
    format!(
        r#"{{"numero_facture":"{number}","mode_paiement":"CARTE","paye":false,"date_vente":"{at}","lignes":[{line}]}}"#
    )
}

fn numbers(page: &Value) -> Vec<&str> {
    let sales = page["ventes"].as_array().unwrap();
    assert_eq!(page["count"], sales.len());
    sales.iter().map(|sale| sale["numero_facture"].as_str().unwrap()).collect()
}

/// R-002-48, D-36: newest first, pages by `before`, days of the shop's time zone, exact amounts.
pub(super) async fn the_history_is_paged_newest_first(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let serial = case.serial(1);
    let today = Utc::now().date_naive();
    let day = |back: u64| today.checked_sub_days(chrono::Days::new(back)).unwrap();
    // 23:30 UTC is the next day in Kinshasa.
    let late = format!("{}T23:30:00Z", day(10));
    let sent = [
        dated(&case, "V-1", &late),
        dated(&case, "V-2", &format!("{}T12:00:00.123Z", day(9))),
        dated(&case, "V-3", &format!("{}T12:00:00.123Z", day(9))),
        dated(&case, "V-4", &format!("{}T12:00:00Z", day(5))),
    ];
    assert_eq!(case.words(&sent).await, ["+"; 4]);
    let ask = async |query: &str| {
        let answer = get(case.app, &serial, &format!("{HISTORY}{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        answer.json()
    };
    let all = ask("").await;
    assert_eq!(numbers(&all), ["V-4", "V-3", "V-2", "V-1"]);
    assert_eq!(all["statistiques"], json!({"total_ventes": 4, "chiffre_affaires": "8.40"}));
    assert_eq!(all["boutique_id"], case.shop.id);
    assert_eq!((&all["success"], &all["suivant"]), (&json!(true), &json!(null)));
    let oldest = &all["ventes"][3];
    assert!(oldest["id"].is_i64(), "{oldest}");
    assert_eq!(oldest["date_vente"], format!("{}T23:30:00.000Z", day(10)));
    let expected = json!({"montant_total": "2.10", "mode_paiement": "CARTE", "paye": false,
        "terminal": "Un", "lignes": [{"article_nom": "Samsung S24", "article_code": null,
        "quantite": 2, "prix_unitaire": "1.05", "sous_total": "2.10"}]});
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&oldest[member], value, "{member}");
    }
    // One by one, whatever the pages are.
    let (mut found, mut query) = (Vec::new(), "?limit=1".to_owned());
    loop {
        let page = ask(&query).await;
        found.extend(numbers(&page).into_iter().map(str::to_owned));
        let Some(next) = page["suivant"].as_str() else { break };
        query = format!("?limit=1&before={next}");
    }
    assert_eq!(found, ["V-4", "V-3", "V-2", "V-1"]);
    let range = ask(&format!("?date_debut={0}&date_fin={0}", day(9))).await;
    assert_eq!(numbers(&range), ["V-3", "V-2", "V-1"], "the shop's day");
    assert_eq!(range["statistiques"], json!({"total_ventes": 3, "chiffre_affaires": "6.30"}));
    assert_eq!(numbers(&ask(&format!("?date_fin={}", day(10))).await), [""; 0]);
    assert_eq!(numbers(&ask(&format!("?date_debut={}&inconnu=1", day(5))).await), ["V-4"]);
    for wrong in [
        "limit=0",
        "limit=501",
        "limit=x",
        "before=7",
        "before=x-1",
        "date_debut=2026-1-1",
        "date_fin=hier",
        "date_fin=2026-02-30",
        "date_debut=%272026-01-01",
        "before=%00",
    ] {
        let refused = get(case.app, &serial, &format!("{HISTORY}?{wrong}")).await;
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.text);
        let name = wrong.split('=').next().unwrap();
        assert!(refused.json()["error"].as_str().unwrap().starts_with(name), "{}", refused.text);
    }
    case.close().await;
}

/// R-002-43, R-002-50: what the source's console shows is in the worker's log.
pub(super) async fn the_log_tells_what_became_of_each_sale(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let line = format!(r#""article_id":{}"#, case.shop.a);
    let number = |n: u32| format!("J-{}-{n}", case.shop.id);
    case.words(&[sale(&number(1), &line)]).await;
    case.words(&[sale(&number(1), &line), sale(&number(2), &line)]).await;
    let log = case.app.workers[0].log();
    for expected in [
        format!(
            "🔄 Synchronisation ventes pour boutique: Boutique {} (Terminal: Un)",
            case.shop.id
        ),
        "📦 Nombre de ventes à synchroniser: 2".to_owned(),
        format!("✅ Vente {} créée avec succès: 40000 CDF", number(2)),
        format!("⚠️ Vente {} existe déjà, ignorée", number(1)),
    ] {
        assert!(log.contains(&expected), "{expected}");
    }
    case.close().await;
}

/// R-002-49, D-36: what was sold today and this month where the shop stands, without refused sales.
pub(super) async fn the_figures_are_of_the_shops_day_and_month(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let serial = case.serial(1);
    let zone = chrono_tz::Africa::Kinshasa;
    let (a, b) = (case.shop.a, case.shop.b);
    let now = Utc::now();
    let today = now.with_timezone(&zone).date_naive();
    let first = today.with_day(1).unwrap();
    let noon = |day: NaiveDate| format!("{day}T00:00:01+01:00");
    let line = format!(r#""article_id":{b},"quantite":16"#);
    let sent = [
        sale("V-1", &format!(r#""article_id":{a},"prix_unitaire":"0.10""#)),
        sale("V-2", &line),
        sale("V-3", &line),
        dated(&case, "V-4", &noon(first)),
        dated(&case, "V-5", &noon(first.pred_opt().unwrap())),
    ];
    assert_eq!(case.words(&sent).await, ["+", "+", "STOCK_INSUFFISANT", "+", "+"]);
    let answer = get(case.app, &serial, FIGURES).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    if Utc::now().with_timezone(&zone).date_naive() != today {
        return case.close().await;
    }
    let (on_first, day) = if today == first { (2, "400002.20") } else { (1, "400000.10") };
    let shop = json!({"id": case.shop.id, "nom": format!("Boutique {}", case.shop.id),
        "fuseau": "Africa/Kinshasa"});
    let figures = json!({
        "articles": {"total": 2, "stock_bas": 2},
        "categories": {"total": 0},
        "ventes_jour": {"nombre": on_first + 1, "chiffre_affaires": day},
        "ventes_mois": {"nombre": 3, "chiffre_affaires": "400002.20"},
        "ventes_rejetees": {"total": 1},
        "alertes_stock": {"total": 0},
    });
    let expected = json!({"success": true, "boutique": shop, "statistiques": figures});
    assert_eq!(answer.json(), expected);
    case.close().await;
}

/// D-15, D-60: what no number and no text here can hold is shown as it was sent.
pub(super) async fn what_was_refused_is_shown_as_it_was_sent(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let sales = [
        r#"{"numero_facture":"R-1","lignes":[{"article_id":1,"prix_unitaire":1e400}]}"#,
        r#"{"numero_facture":"R-2","commentaire":1e999,"lignes":[{"article_id":1}]}"#,
        r#"{"numero_facture":"R-3","commentaire":"\udfff","lignes":[{"article_id":1}]}"#,
        r#"{"numero_facture":"R\ud800","lignes":[{"article_id":1}]}"#,
    ];
    for sale in sales {
        let answer = send(case.app, &case.serial(1), &[], &[sale.to_owned()]).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(answer.json()["statistiques"]["erreurs"], 1);
    }
    let listed = get(case.app, &case.serial(1), REJECTED).await;
    assert_eq!(listed.status, 200, "{}", listed.text);
    assert!(sales.iter().all(|sale| listed.text.contains(sale)), "{}", listed.text);
    case.close().await;
}

/// D-15: whole, with reason, newest first; gone from the list once it succeeded.
pub(super) async fn refused_sales_are_listed_until_they_succeed(deployment: Deployment) {
    static RESTOCK: Sql = Sql::both(
        "UPDATE articles SET quantite_stock = quantite_stock + 5, \
         stock_initial = stock_initial + 5 WHERE id = $1",
    );
    let case = Case::open(deployment).await;
    let serial = case.serial(2);
    let two = [
        sale("V-1", &format!(r#""article_id":{},"quantite":12 ,"note":"é""#, case.shop.a)),
        r#"{"mode_paiement":"CHEQUE"}"#.to_owned(),
    ];
    case.words(&two).await;
    let ask =
        async |query: &str| get(case.app, &serial, &format!("{REJECTED}{query}")).await.json();
    let listed = ask("").await;
    assert_eq!((&listed["count"], &listed["boutique_id"]), (&json!(2), &json!(case.shop.id)));
    let (newest, oldest) = (&listed["ventes"][0], &listed["ventes"][1]);
    assert_eq!(
        (&newest["numero_facture"], &newest["raison"]),
        (&json!(null), &json!("VENTE_INVALIDE"))
    );
    let expected = json!({"numero_facture": "V-1", "raison": "STOCK_INSUFFISANT",
        "message": "Stock insuffisant pour Samsung S24", "article_id": case.shop.a,
        "stock_demande": 12, "stock_disponible": 10, "terminal": "Un", "tentatives": 1,
        "traitee": false, "traitee_par": null, "traitee_le": null});
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&oldest[member], value, "{member}");
    }
    assert_eq!(oldest["donnees"]["lignes"][0]["note"], "é", "as it was sent");
    let page = ask("?limit=1").await;
    let rest = ask(&format!("?limit=1&before={}", page["suivant"])).await;
    assert_eq!((&rest["ventes"][0]["id"], &rest["suivant"]), (&oldest["id"], &json!(null)));
    case.db.execute(&RESTOCK, args![case.shop.a]).await.unwrap();
    assert_eq!(case.words(&two[..1]).await, ["+"]);
    assert_eq!(ask("").await["count"], 1);
    assert_eq!(ask("?toutes=true").await["ventes"][1]["traitee_par"], "auto");
    let refused = get(case.app, &serial, &format!("{REJECTED}?limit=101")).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    case.close().await;
}

/// D-36, D-50, C-14, C-18: another shop is refused, and so is a stranger, with and without slash.
pub(super) async fn nobody_looks_into_another_shop(deployment: Deployment) {
    let (case, other) = (Case::open(deployment).await, Case::open(deployment).await);
    let marker = sale("MARQUEUR-DE-L-AUTRE", &format!(r#""article_id":{}"#, other.shop.a));
    assert_eq!(other.words(&[marker]).await, ["+"]);
    let theirs = get(other.app, &other.serial(1), HISTORY).await.json();
    let before = theirs["ventes"][0]["id"].as_i64().unwrap() + 1;
    for path in [HISTORY, FIGURES, REJECTED] {
        for path in [path, path.trim_end_matches('/')] {
            let own = format!("{path}?boutique_id={}", case.shop.id);
            let own = get(case.app, &case.serial(1), &own).await;
            assert_eq!(own.status, 200, "{path}: {}", own.text);
            assert!(own.headers.contains_key("x-ratelimit-limit"), "{path}");
            let foreign = format!("{path}?boutique_id={}", other.shop.id);
            let missing = format!("{path}?boutique_id=999999999999");
            let second =
                format!("{path}?boutique_id={}&boutique_id={}", case.shop.id, other.shop.id);
            for asked in [foreign, missing, second, format!("{path}?boutique_id=x")] {
                let refused = get(case.app, &case.serial(1), &asked).await;
                assert_eq!(
                    (refused.status, &refused.json()["code"]),
                    (403, &json!("BOUTIQUE_MISMATCH"))
                );
                assert_eq!(refused.json()["error"], "Accès refusé: boutique non autorisée");
            }
            let nobody = get(case.app, "personne", path).await;
            assert_eq!(
                (nobody.status, &nobody.json()["code"]),
                (404, &json!("TERMINAL_NOT_FOUND"))
            );
            let request = case.app.http().get(case.app.url(0, path)).send().await.unwrap();
            assert_eq!(request.status().as_u16(), 400, "{path}");
        }
    }
    for query in [
        "?before=9999999999999999-9223372036854775807".to_owned(),
        format!("?before=253370764800000000-{before}"),
    ] {
        let page = get(case.app, &case.serial(1), &format!("{HISTORY}{query}")).await;
        assert_eq!((page.status, &page.json()["count"]), (200, &json!(0)), "{}", page.text);
        assert!(!page.text.contains("MARQUEUR"), "{}", page.text);
    }
    let mine = sale("MARQUEUR-DE-L-AUTRE", &format!(r#""article_id":{}"#, case.shop.a));
    let answer = send(case.app, &case.serial(1), &[], &[mine]).await;
    assert!(answer.text.contains(r#""reussies":1"#), "{}", answer.text);
    case.close().await;
    other.close().await;
}
