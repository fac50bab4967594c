//! Whose price counts, and that no amount is ever rounded.

use super::{Case, outcomes, sale};
use serde_json::json;
use tests::stores::Deployment;

/// C-15, R-002-13
pub(super) async fn a_price_of_zero_is_a_price_and_no_price_is_the_articles_own(
    deployment: Deployment,
) {
    let case = Case::open(deployment).await;
    let a = case.shop.a;
    for (index, (price, total)) in [
        (r#","prix_unitaire":0"#, "0.00"),
        (r#","prix_unitaire":"0.00""#, "0.00"),
        ("", "40000.00"),
        (r#","prix_unitaire":null"#, "40000.00"),
        (r#","prix_unitaire":39999.5"#, "39999.50"),
    ]
    .into_iter()
    .enumerate()
    {
        let one = sale(&format!("V-{index}"), &format!(r#""article_id":{a}{price}"#));
        let answer = case.send(&[one]).await.json();
        assert_eq!(answer["ventes_creees"][0]["montant_total"], total, "`{price}`: {answer}");
        assert_eq!(answer["ventes_creees"][0]["lignes"][0]["prix_unitaire"], total, "`{price}`");
    }
    case.close().await;
}

/// I-8, D-60: an amount that a binary fraction cannot hold.
pub(super) async fn money_is_exact_to_the_last_hundredth(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let a = case.shop.a;
    let line = format!(r#""article_id":{a},"quantite":3,"prix_unitaire":90071992547409.93"#);
    let answer = case.send(&[sale("V-1", &line)]).await.json();
    let created = &answer["ventes_creees"][0];
    assert_eq!(created["lignes"][0]["prix_unitaire"], "90071992547409.93");
    assert_eq!(created["montant_total"], "270215977642229.79");
    assert_eq!(created["lignes"][0]["quantite"], json!(3));
    case.close().await;
}

/// D-60
pub(super) async fn only_amounts_that_need_no_rounding_are_taken(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let prices = ["1.005", "-1", "1e400", "\"dix\"", "10000000000000000", "true", "4e2", "1.500"];
    let all: Vec<_> = prices
        .iter()
        .enumerate()
        .map(|(index, price)| {
            let line = format!(r#""article_id":{},"prix_unitaire":{price}"#, case.shop.a);
            sale(&format!("V-{index}"), &line)
        })
        .collect();
    let answer = case.send(&all).await.json();
    let words: Vec<_> = outcomes(&answer, all.len()).into_iter().map(|(_, word)| word).collect();
    assert_eq!(words[..6], ["VENTE_INVALIDE"; 6], "{answer}");
    assert_eq!(words[6..], ["+", "+"], "{answer}");
    assert_eq!(answer["ventes_creees"][0]["montant_total"], "400.00");
    assert_eq!(answer["ventes_creees"][1]["montant_total"], "1.50");
    case.close().await;
}
