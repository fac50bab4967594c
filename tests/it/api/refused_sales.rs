//! Sales that are refused one by one: the request is answered, the sale leaves nothing but the
//! one row that keeps it.

use super::raw::{Way, sales, send};
use super::{Rows, SERIAL, api};
use serde_json::json;
use std::time::Duration;
use tests::stores::Deployment;

/// A worker on the same machine answers far faster; this only tells a wait from an answer.
const SOON: Duration = Duration::from_secs(5);

/// (one line of a sale, what the refusal begins with)
fn lines() -> Vec<(String, &'static str)> {
    let long = "9".repeat(1_900_000);
    [
        (r#"{"article_id":"6"}"#, "Vente invalide: lignes[0].article_id:"),
        (r#"{"article_id":6.5}"#, "Vente invalide: lignes[0].article_id:"),
        (r#"{"article_id":-6}"#, "Vente invalide: lignes[0].article_id:"),
        (r#"{"article_id":1e400}"#, "Vente invalide: lignes[0].article_id:"),
        (r#"{"article_id":9223372036854775808}"#, "Vente invalide: lignes[0].article_id:"),
        (r#"{"quantite":1}"#, "Vente invalide: lignes[0].article_id:"),
        (r#"{"article_id":6,"article_id":7}"#, "Vente invalide: lignes[0].article_id:"),
        (r#"{"article_id":6,"quantite":"1"}"#, "Vente invalide: lignes[0].quantite:"),
        (r#"{"article_id":6,"quantite":0}"#, "Vente invalide: lignes[0].quantite:"),
        (r#"{"article_id":6,"quantite":-1}"#, "Vente invalide: lignes[0].quantite:"),
        (r#"{"article_id":6,"quantite":-0}"#, "Vente invalide: lignes[0].quantite:"),
        (r#"{"article_id":6,"quantite":0.5}"#, "Vente invalide: lignes[0].quantite:"),
        (r#"{"article_id":6,"quantite":1e400}"#, "Vente invalide: lignes[0].quantite:"),
        (r#"{"article_id":6,"quantite":1e-400}"#, "Vente invalide: lignes[0].quantite:"),
        (r#"{"article_id":6,"quantite":true}"#, "Vente invalide: lignes[0].quantite:"),
        (r#"{"article_id":6,"quantite":1,"quantite":1}"#, "Vente invalide: lignes[0].quantite:"),
        (r#"{"article_id":6,"prix_unitaire":1.005}"#, "Vente invalide: lignes[0].prix_unitaire:"),
        (r#"{"article_id":6,"prix_unitaire":-1}"#, "Vente invalide: lignes[0].prix_unitaire:"),
        (r#"{"article_id":6,"prix_unitaire":1e400}"#, "Vente invalide: lignes[0].prix_unitaire:"),
        (r#"{"article_id":6,"prix_unitaire":"dix"}"#, "Vente invalide: lignes[0].prix_unitaire:"),
        (
            r#"{"article_id":6,"prix_unitaire":"1\u00002"}"#,
            "Vente invalide: lignes[0].prix_unitaire:",
        ),
        (r#"{"article_id":6,"prix_unitaire":"NaN"}"#, "Vente invalide: lignes[0].prix_unitaire:"),
        (r#"{"article_id":6,"prix_unitaire":[]}"#, "Vente invalide: lignes[0].prix_unitaire:"),
        (r#"{"article_id":999}"#, "Article 999 non trouvé dans cette boutique"),
        (r#"{"article_id":9}"#, "Article 9 non trouvé dans cette boutique"),
        (r#"{"article_id":6,"quantite":5001}"#, "Stock insuffisant pour Article 6"),
        (r#"null"#, "Vente invalide: lignes[0]:"),
    ]
    .map(|(line, refusal)| (line.to_owned(), refusal))
    .into_iter()
    .chain([(
        format!(r#"{{"article_id":6,"prix_unitaire":{long}}}"#),
        "Vente invalide: lignes[0].prix_unitaire:",
    )])
    .collect()
}

/// (a whole sale, what the refusal begins with)
fn whole() -> Vec<(String, &'static str)> {
    let with = |members: &str| format!(r#"{{{members},"lignes":[{{"article_id":6}}]}}"#);
    vec![
        ("1".into(), "Vente invalide: un objet JSON est attendu"),
        ("[[[[]]]]".into(), "Vente invalide: un objet JSON est attendu"),
        ("{}".into(), "Vente invalide: lignes:"),
        (r#"{"lignes":[]}"#.into(), "Vente invalide: lignes:"),
        (r#"{"lignes":"tout"}"#.into(), "Vente invalide: lignes:"),
        (with(r#""boutique_id":3"#), "Accès refusé: boutique non autorisée"),
        (with(r#""boutique_id":"2""#), "Vente invalide: boutique_id:"),
        (with(r#""boutique_id":2,"boutique_id":3"#), "Vente invalide: boutique_id:"),
        (with(r#""numero_facture":"A","numero_facture":"B""#), "Vente invalide: numero_facture:"),
        (with(r#""numero_facture":"A\u0000B""#), "Vente invalide: numero_facture:"),
        (with(r#""numero_facture":"A\u001b[2J""#), "Vente invalide: numero_facture:"),
        (with(r#""numero_facture":"A\ud800""#), "Vente invalide: numero_facture:"),
        (with(r#""numero_facture":12"#), "Vente invalide: numero_facture:"),
        (
            with(&format!(r#""numero_facture":"{}""#, "é".repeat(101))),
            "Vente invalide: numero_facture:",
        ),
        (with(r#""mode_paiement":"BITCOIN""#), "Vente invalide: mode_paiement:"),
        (with(r#""paye":"oui""#), "Vente invalide: paye:"),
        (with(r#""date_vente":"hier""#), "Vente invalide: date_vente:"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_sale_leaves_one_row_that_keeps_it_and_no_other() {
    let mut app =
        api(Deployment::Postgres, &[("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "100000")]).await;
    app.start_worker();
    let db = app.stores.db().await;
    let in_sale = |(line, refusal)| (format!(r#"{{"lignes":[{line}]}}"#), refusal);
    let cases: Vec<_> = lines().into_iter().map(in_sale).chain(whole()).collect();
    let mut before = Rows::of(&db).await;
    let mut wrong = Vec::new();
    for (sale, refusal) in cases {
        let body = format!("[{sale}]");
        let reply =
            send(app.address(0), &sales(SERIAL, body.as_bytes()), Way::Whole).await.unwrap();
        let shown: String = sale.chars().take(100).collect();
        let answer = reply.json();
        let error = answer["ventes_erreurs"][0]["erreur"].as_str().unwrap_or_default();
        if reply.status != 201 || !error.starts_with(refusal) || reply.took > SOON {
            wrong.push(format!("{shown}: not `{refusal}` in {:?}: {}", reply.took, reply.text()));
        }
        let figures = json!({"total_envoyees": 1, "reussies": 0, "erreurs": 1});
        if answer["statistiques"] != figures || answer["ventes_creees"] != json!([]) {
            wrong.push(format!("{shown}: {answer}"));
        }
        let after = Rows::of(&db).await;
        let expected = Rows { jobs: before.jobs + 1, rejections: before.rejections + 1, ..before };
        if after != expected {
            wrong.push(format!("{shown}: {before:?} became {after:?}"));
        }
        before = after;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((before.sales, before.lines, before.movements), (0, 0, 0));
}
