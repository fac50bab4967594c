//! Invoice numbers: generated ones, and one number is one sale of its shop.

use super::{Case, outcomes, sale};
use crate::ventes::{sales, stock};
use tests::stores::Deployment;

/// C-5, R-002-7, R-002-28, I-21: the third sale is index 2 in its number and would be index 3 as an error.
pub(super) async fn generated_numbers_count_from_zero_and_errors_from_one(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let (id, a) = (case.shop.id, case.shop.a);
    let unnumbered = format!(r#"{{"lignes":[{{"article_id":{a}}}]}}"#);
    let blank = format!(r#"{{"numero_facture":"  ","lignes":[{{"article_id":{a}}}]}}"#);
    let too_many = format!(r#"{{"lignes":[{{"article_id":{a},"quantite":11}}]}}"#);
    let typed = sale("V-1", &format!(r#""article_id":{a}"#));
    let answer = case.send(&[unnumbered, typed, blank, too_many]).await.json();
    assert_eq!(answer["ventes_erreurs"][0]["index"], 4);
    let found = outcomes(&answer, 4);
    let words: Vec<_> = found.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(words, ["+", "+", "+", "STOCK_INSUFFISANT"]);
    assert_eq!(found[1].0, "V-1");
    let prefix = format!("VENTE-{id}-");
    let mut stamps = Vec::new();
    for position in [0, 2, 3] {
        let number = found[position].0.strip_prefix(&prefix).expect("the shop's id");
        let (stamp, index) = number.split_once('-').expect("timestamp and index");
        assert_eq!(index, position.to_string());
        assert!(stamp.len() == 14 && stamp.bytes().all(|b| b.is_ascii_digit()), "{number}");
        stamps.push(stamp.to_owned());
    }
    assert!(stamps.iter().all(|stamp| *stamp == stamps[0]), "one time of receipt: {stamps:?}");
    case.close().await;
}

/// C-9: taken means taken in this shop, whoever sold it; another shop neither minds nor knows.
pub(super) async fn a_number_is_one_sale_of_its_shop_only(deployment: Deployment) {
    let (case, elsewhere) = (Case::open(deployment).await, Case::open(deployment).await);
    let one = sale("V-1", &format!(r#""article_id":{}"#, case.shop.a));
    assert_eq!(case.words(std::slice::from_ref(&one)).await, ["+"]);
    let answer = case.send_by(2, std::slice::from_ref(&one), "").await;
    let expected = r#""ventes_erreurs":[{"index":1,"numero_facture":"V-1","erreur":"Le numéro V-1 est déjà utilisé par une autre vente de cette boutique","code":"NUMERO_EN_CONFLIT","reessayable":false}]}"#;
    assert!(answer.text.ends_with(expected), "{}", answer.text);
    let other = sale(" V-1 ", &format!(r#""article_id":{},"quantite":2"#, case.shop.a));
    assert_eq!(case.words(&[other]).await, ["NUMERO_EN_CONFLIT"]);
    let there = sale("V-1", &format!(r#""article_id":{}"#, elsewhere.shop.a));
    assert_eq!(elsewhere.words(&[there]).await, ["+"]);
    assert_eq!((stock(&case.db, case.shop.a).await, sales(&case.db, &case.shop).await), (9, 1));
    case.close().await;
    elsewhere.close().await;
}

/// D-62
pub(super) async fn the_first_of_a_batch_keeps_its_number(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let a = case.shop.a;
    let of = |quantity: i64| sale("V-1", &format!(r#""article_id":{a},"quantite":{quantity}"#));
    let found = case.words(&[of(1), of(1), of(2)]).await;
    assert_eq!(found, ["+", "DUPLICATE", "NUMERO_EN_CONFLIT"]);
    assert_eq!((stock(&case.db, a).await, sales(&case.db, &case.shop).await), (9, 1));
    case.close().await;
}
