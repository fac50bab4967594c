//! Bodies, to the letter: what the source shows is what a terminal gets.

use super::{Case, PATH, hundredths, outcomes, post, read, sale, shared};
use crate::ventes::{sales, stock};
use db::{Sql, args};
use serde_json::json;
use tests::stores::Deployment;

const SERIAL: &str = "0a1badae951f8473";

/// R-002-35, R-002-1, R-002-2, R-002-3, R-002-4, R-002-5, and R-002-14, R-002-15, R-002-16, R-002-17,
/// R-002-18, R-002-19, R-002-20, R-002-21 member by member, in order.
pub(super) async fn the_curl_of_the_source_is_answered_as_written(deployment: Deployment) {
    let app = shared(deployment).await;
    let db = app.stores.db().await;
    records::seed::load(&db, records::seed::DEMO).await.unwrap();
    let body = r#"[
    {
      "numero_facture": "TEST-001",
      "mode_paiement": "CASH",
      "paye": true,
      "lignes": [
        {
          "article_id": 6,
          "quantite": 1,
          "prix_unitaire": 40000
        }
      ]
    }
  ]"#;
    let before = stock(&db, 6).await;
    let answer = post(app, PATH, SERIAL, "", body.to_owned()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(
        answer.text,
        r#"{"success":true,"message":"1 vente(s) synchronisée(s) avec succès","boutique_id":2,"boutique_nom":"Ma Boutique","terminal":"Terminal messie vanza","statistiques":{"total_envoyees":1,"reussies":1,"erreurs":0},"ventes_creees":[{"numero_facture":"TEST-001","montant_total":"40000.00","lignes":[{"article_nom":"Samsung S24","quantite":1,"prix_unitaire":"40000.00","sous_total":"40000.00"}]}],"ventes_erreurs":null}"#
    );
    assert_eq!(stock(&db, 6).await, before - 1);
    db.close().await;
}

/// C-6: every sale is listed; each mode of payment of R-002-8 is kept, and what is left out has its
/// default. R-002-6, R-002-9, R-002-10, R-002-11, R-002-12, R-002-33
pub(super) async fn the_request_of_the_source_is_answered_in_full(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let (a, b) = (case.shop.a, case.shop.b);
    let first = format!(
        r#"{{"numero_facture":"VENTE-001","mode_paiement":"CASH","paye":true,"lignes":[{{"article_id":{a},"quantite":1,"prix_unitaire":40000}}]}}"#
    );
    let second = format!(
        r#"{{"numero_facture":"VENTE-002","mode_paiement":"MOBILE_MONEY","paye":true,"lignes":[{{"article_id":{b},"quantite":2,"prix_unitaire":25000}}]}}"#
    );
    let third = format!(
        r#"{{"numero_facture":"VENTE-003","mode_paiement":"CARTE","paye":false,"lignes":[{{"article_id":{b}}}]}}"#
    );
    let fourth = format!(r#"{{"numero_facture":"VENTE-004","lignes":[{{"article_id":{b}}}]}}"#);
    let answer = case.send(&[first, second, third, fourth]).await.json();
    assert_eq!(answer["message"], "4 vente(s) synchronisée(s) avec succès");
    let created = answer["ventes_creees"].as_array().unwrap();
    let totals: Vec<_> = created.iter().map(|sale| hundredths(&sale["montant_total"])).collect();
    assert_eq!(totals, [4_000_000, 5_000_000, 2_500_000, 2_500_000]);
    assert!(outcomes(&answer, 4).iter().all(|(_, word)| word == "+"), "{answer}");
    static KEPT: Sql = Sql::both(
        "SELECT mode_paiement, paye FROM ventes WHERE boutique_id = $1 ORDER BY numero_facture",
    );
    let rows = case.db.read(&KEPT, args![case.shop.id]).await.unwrap();
    let kept: Vec<(String, bool)> = rows
        .iter()
        .map(|row| (row.get("mode_paiement").unwrap(), row.get("paye").unwrap()))
        .collect();
    let expected = [("CASH", true), ("MOBILE_MONEY", true), ("CARTE", false), ("CASH", true)];
    assert_eq!(kept, expected.map(|(mode, paid)| (mode.to_owned(), paid)));
    case.close().await;
}

/// R-002-22, R-002-23, R-002-24, R-002-34, R-002-45, C-5, C-7: members that the source's example leaves out are there.
pub(super) async fn what_succeeds_is_created_beside_what_fails(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let (id, a, b) = (case.shop.id, case.shop.a, case.shop.b);
    let good = sale("VENTE-001", &format!(r#""article_id":{a},"prix_unitaire":40000"#));
    let bad = format!(
        r#"{{"numero_facture":"VENTE-002","lignes":[{{"article_id":{a}}},{{"article_id":{b},"quantite":21}}]}}"#
    );
    let answer = case.send(&[good, bad]).await;
    assert_eq!(answer.status, 201);
    let expected = format!(
        r#"{{"success":true,"message":"1 vente(s) synchronisée(s) avec succès","boutique_id":{id},"boutique_nom":"Boutique {id}","terminal":"Un","statistiques":{{"total_envoyees":2,"reussies":1,"erreurs":1}},"ventes_creees":[{{"numero_facture":"VENTE-001","montant_total":"40000.00","lignes":[{{"article_nom":"Samsung S24","quantite":1,"prix_unitaire":"40000.00","sous_total":"40000.00"}}]}}],"ventes_erreurs":[{{"index":2,"numero_facture":"VENTE-002","erreur":"Stock insuffisant pour iPhone 13","code":"STOCK_INSUFFISANT","reessayable":true}}]}}"#
    );
    assert_eq!(answer.text, expected);
    assert_eq!((stock(&case.db, a).await, stock(&case.db, b).await), (9, 20));
    assert_eq!(sales(&case.db, &case.shop).await, 1);
    case.close().await;
}

/// C-10
pub(super) async fn an_answer_without_success_is_still_201(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let answer = case.send(&[sale("V-1", r#""article_id":1"#)]).await;
    assert_eq!(answer.status, 201);
    let answer = answer.json();
    assert_eq!(answer["success"], false);
    assert_eq!(answer["message"], "0 vente(s) synchronisée(s) avec succès");
    assert_eq!(answer["ventes_creees"], json!([]));
    assert_eq!(outcomes(&answer, 1)[0].1, "ARTICLE_NON_TROUVE");
    case.close().await;
}

/// C-14: a redirect would lose or repeat the body.
pub(super) async fn both_spellings_of_the_route_answer_without_a_redirect(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let line = format!(r#""article_id":{}"#, case.shop.a);
    for (number, path) in [("V-1", PATH), ("V-2", PATH.trim_end_matches('/'))] {
        let body = format!("[{}]", sale(number, &line));
        let answer = post(case.app, path, &case.serial(1), "", body).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.text);
    }
    assert_eq!(stock(&case.db, case.shop.a).await, 8);
    case.close().await;
}

/// R-002-25, R-002-26, R-002-27, C-11, C-18: in the order serial, terminal, array, emptiness.
pub(super) async fn a_body_that_is_no_batch_is_refused_in_the_words_of_the_source(
    deployment: Deployment,
) {
    let case = Case::open(deployment).await;
    let serial = case.serial(1);
    // Of no case but this one, and asked for only now: no API knows it as active.
    let off = case.serial(2);
    static OFF: Sql = Sql::both("UPDATE terminaux SET actif = FALSE WHERE numero_serie = $1");
    case.db.execute(&OFF, args![off.as_str()]).await.unwrap();
    let missing = json!({"error": "Numéro de série du terminal requis dans les headers",
        "code": "MISSING_SERIAL", "header_required": "X-Device-Serial"});
    let unknown = json!({"error": "Terminal non trouvé ou inactif", "code": "TERMINAL_NOT_FOUND"});
    let format = json!({"error": "Format invalide: un tableau de ventes est attendu",
        "code": "INVALID_FORMAT"});
    let empty = json!({"error": "Aucune vente à synchroniser", "code": "EMPTY_DATA"});
    for (serial, body, status, expected) in [
        (None, "[]", 400, &missing),
        (None, "{}", 400, &missing),
        (Some("nobody"), "{}", 404, &unknown),
        (Some(off.as_str()), "{}", 404, &unknown),
        (Some(serial.as_str()), "{}", 400, &format),
        (Some(serial.as_str()), "[{]", 400, &format),
        (Some(serial.as_str()), "[]", 400, &empty),
    ] {
        let mut request = case.app.http().post(case.app.url(0, PATH)).body(body);
        if let Some(serial) = serial {
            request = request.header("X-Device-Serial", serial);
        }
        let answer = read(request.send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{serial:?} {body}: {}", answer.text);
        let found = answer.json();
        for (member, value) in expected.as_object().unwrap() {
            assert_eq!(&found[member], value, "{serial:?} {body}");
        }
    }
    assert_eq!(sales(&case.db, &case.shop).await, 0);
    case.close().await;
}
