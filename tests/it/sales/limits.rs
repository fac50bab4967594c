//! Large batches: taken whole and accounted for, or refused whole.

use super::{Case, outcomes, sale};
use crate::ventes::{sales, stock};
use tests::stores::Deployment;

fn batch(case: &Case, count: usize) -> Vec<String> {
    let sales = (0..count).map(|index| {
        let article = match index % 50 {
            0 => case.shop.a,
            25 => case.shop.b,
            _ => 1,
        };
        sale(&format!("V-{index}"), &format!(r#""article_id":{article}"#))
    });
    sales.collect()
}

/// I-7, D-3: positions run on from one chunk into the next.
pub(super) async fn a_batch_of_several_chunks_is_accounted_for(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let answer = case.send(&batch(&case, 250)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    for (index, (number, word)) in outcomes(&answer.json(), 250).into_iter().enumerate() {
        assert_eq!(number, format!("V-{index}"));
        let expected = if index % 25 == 0 { "+" } else { "ARTICLE_NON_TROUVE" };
        assert_eq!(word, expected, "{index}");
    }
    assert_eq!((stock(&case.db, case.shop.a).await, stock(&case.db, case.shop.b).await), (5, 15));
    assert_eq!(sales(&case.db, &case.shop).await, 10);
    case.close().await;
}

/// C-12, D-19, R-002-46
pub(super) async fn a_thousand_sales_are_taken_and_one_more_is_refused(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let answer = case.send(&batch(&case, 1_001)).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
    let refusal = answer.json();
    assert_eq!((&refusal["code"], &refusal["max"]), (&"BATCH_TOO_LARGE".into(), &1_000.into()));
    assert_eq!(sales(&case.db, &case.shop).await, 0, "a refused batch leaves nothing");
    let answer = case.send_by(1, &batch(&case, 1_000), "wait=20").await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let found = outcomes(&answer.json(), 1_000);
    let created = found.iter().filter(|(_, word)| word == "+").count();
    // Twenty of each article are wanted; ten and twenty are there.
    assert_eq!((created, sales(&case.db, &case.shop).await), (30, 30));
    case.close().await;
}
