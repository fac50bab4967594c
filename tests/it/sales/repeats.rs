//! Sales that come again, after an answer that arrived and after one that did not (C-8).

use super::{Case, PATH, RELEASE_AFTER, outcomes, post, sale};
use crate::ventes::{sales, stock};
use chrono::{DateTime, Utc};
use db::{Sql, args};
use serde_json::json;
use std::time::Duration;
use tests::stores::Deployment;

/// R-002-29, R-002-44, D-12
pub(super) async fn a_sale_sent_again_is_a_duplicate_to_the_letter(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let line = format!(r#""article_id":{}"#, case.shop.a);
    assert_eq!(case.words(&[sale("VENTE-001", &line)]).await, ["+"]);
    let answer = case.send(&[sale("VENTE-001", &line), sale("VENTE-002", &line)]).await;
    let expected = r#""ventes_erreurs":[{"index":1,"numero_facture":"VENTE-001","erreur":"Vente VENTE-001 existe déjà, ignorée","code":"DUPLICATE","deja_synchronisee":true,"reessayable":false}]}"#;
    assert!(answer.text.ends_with(expected), "{}", answer.text);
    assert_eq!(outcomes(&answer.json(), 2)[1].1, "+", "the others go on");
    assert_eq!(stock(&case.db, case.shop.a).await, 8);
    case.close().await;
}

/// D-12, I-22: a 202 told nobody that the sale exists.
pub(super) async fn a_sale_that_was_only_accepted_is_reported_once_more(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let one = sale("V-1", &format!(r#""article_id":{}"#, case.shop.a));
    let (pending, job) = case.accepted(1, std::slice::from_ref(&one)).await;
    assert_eq!(pending.headers["preference-applied"], "respond-async");
    assert_eq!(pending.headers["location"], pending.json()["job"].as_str().unwrap());
    // D-10: what the route would have answered.
    let told = &job["response"];
    assert_eq!(
        (&told["success"], &told["boutique_id"], &told["ventes_erreurs"]),
        (&json!(true), &json!(case.shop.id), &json!(null))
    );
    assert_eq!(
        told["statistiques"],
        json!({"total_envoyees": 1, "reussies": 1, "erreurs": 0}),
        "{told}"
    );
    assert_eq!(told["ventes_creees"][0]["numero_facture"], "V-1");
    assert_eq!(stock(&case.db, case.shop.a).await, 9);
    assert_eq!(case.words(std::slice::from_ref(&one)).await, ["+again"]);
    assert_eq!(case.words(&[one]).await, ["DUPLICATE"]);
    assert_eq!((stock(&case.db, case.shop.a).await, sales(&case.db, &case.shop).await), (9, 1));
    case.close().await;
}

/// D-12's release: after three duplicates, but not before its time, and then the count restarts.
pub(super) async fn a_stuck_outbox_is_released_after_three_duplicates(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let one = [sale("V-1", &format!(r#""article_id":{}"#, case.shop.a))];
    assert_eq!(case.words(&one).await, ["+"]);
    for _ in 0..4 {
        assert_eq!(case.words(&one).await, ["DUPLICATE"], "too young to be released");
    }
    static BACKDATE: Sql = Sql::both("UPDATE ventes SET recue_le = $2 WHERE boutique_id = $1");
    let old: DateTime<Utc> = Utc::now() - RELEASE_AFTER - Duration::from_secs(5);
    case.db.execute(&BACKDATE, args![case.shop.id, old]).await.unwrap();
    for expected in ["+again", "DUPLICATE", "DUPLICATE", "DUPLICATE", "+again", "DUPLICATE"] {
        assert_eq!(case.words(&one).await, [expected]);
    }
    assert_eq!((stock(&case.db, case.shop.a).await, sales(&case.db, &case.shop).await), (9, 1));
    case.close().await;
}

/// D-13: without a number the batch itself is the key, from one terminal, until it was answered.
pub(super) async fn an_unnumbered_batch_is_one_request_until_its_answer_was_delivered(
    deployment: Deployment,
) {
    let case = Case::open(deployment).await;
    let one = [format!(r#"{{"lignes":[{{"article_id":{}}}]}}"#, case.shop.b)];
    case.accepted(1, &one).await;
    let first = case.outcomes(&one).await;
    assert_eq!((first[0].1.as_str(), sales(&case.db, &case.shop).await), ("+", 1));
    // Delivered by now: an equal cash sale is another sale, under another number.
    let second = case.outcomes(&one).await;
    assert_eq!((second[0].1.as_str(), sales(&case.db, &case.shop).await), ("+", 2));
    assert_ne!(first[0].0, second[0].0);
    // Another terminal's equal batch is its own.
    case.accepted(1, &one).await;
    let body = format!("[{}]", one[0]);
    let other = post(case.app, PATH, &case.serial(2), "", body).await.json();
    assert_eq!(outcomes(&other, 1)[0].1, "+");
    assert_eq!((sales(&case.db, &case.shop).await, stock(&case.db, case.shop.b).await), (4, 16));
    case.close().await;
}
