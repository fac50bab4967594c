//! Sales that are refused: nothing leaks, nothing is lost, nothing is oversold.

use super::{Case, sale};
use crate::ventes::{sales, stock};
use db::{Sql, args};
use tests::stores::Deployment;

/// I-20, R-002-3: whether it exists elsewhere cannot be told apart.
pub(super) async fn a_foreign_article_looks_like_an_unknown_one(deployment: Deployment) {
    let (case, other) = (Case::open(deployment).await, Case::open(deployment).await);
    let send = async |article: i64| {
        let answer = case.send(&[sale("V-1", &format!(r#""article_id":{article}"#))]).await;
        assert_eq!(answer.status, 201);
        answer.text.replace(&article.to_string(), "#")
    };
    let (foreign, unknown) = (send(other.shop.a).await, send(999_999_999_999).await);
    assert_eq!(foreign, unknown);
    assert!(foreign.contains("Article # non trouvé dans cette boutique"), "{foreign}");
    assert!(foreign.contains(r#""code":"ARTICLE_NON_TROUVE","reessayable":false"#), "{foreign}");
    assert_eq!(stock(&other.db, other.shop.a).await, 10);
    case.close().await;
    other.close().await;
}

/// C-17, D-15, I-9, R-002-47: each re-send is evaluated afresh.
pub(super) async fn a_refused_sale_is_kept_whole_and_closed_by_its_success(deployment: Deployment) {
    static ROW: Sql = Sql::both("SELECT * FROM ventes_rejetees WHERE boutique_id = $1");
    static RESTOCK: Sql = Sql::both(
        "UPDATE articles SET quantite_stock = quantite_stock + 5, \
         stock_initial = stock_initial + 5 WHERE id = $1",
    );
    let case = Case::open(deployment).await;
    let line = format!(r#""article_id":{},"quantite":12 ,"note":"é""#, case.shop.a);
    let one = [sale("V-1", &line)];
    for tries in 1..=2_i64 {
        assert_eq!(case.words(&one).await, ["STOCK_INSUFFISANT"]);
        let rows = case.db.read(&ROW, args![case.shop.id]).await.unwrap();
        assert_eq!(rows.len(), 1, "counted, not repeated");
        let row = &rows[0];
        assert_eq!(row.get::<String>("donnees").unwrap(), one[0], "as it was sent");
        assert_eq!(row.get::<String>("numero_facture").unwrap(), "V-1");
        assert_eq!(row.get::<String>("raison").unwrap(), "STOCK_INSUFFISANT");
        assert_eq!(row.get::<String>("message").unwrap(), "Stock insuffisant pour Samsung S24");
        assert_eq!(row.get::<i64>("article_id").unwrap(), case.shop.a);
        assert_eq!(row.get::<i64>("stock_demande").unwrap(), 12);
        assert_eq!(row.get::<i64>("stock_disponible").unwrap(), 10);
        assert_eq!(row.get::<i64>("tentatives").unwrap(), tries);
        assert!(!row.get::<bool>("traitee").unwrap());
    }
    assert_eq!((sales(&case.db, &case.shop).await, stock(&case.db, case.shop.a).await), (0, 10));
    case.db.execute(&RESTOCK, args![case.shop.a]).await.unwrap();
    assert_eq!(case.words(&one).await, ["+"]);
    let row = case.db.read_one(&ROW, args![case.shop.id]).await.unwrap().unwrap();
    assert!(row.get::<bool>("traitee").unwrap());
    assert_eq!(row.get::<String>("traitee_par").unwrap(), "auto");
    assert_eq!(stock(&case.db, case.shop.a).await, 3);
    case.close().await;
}

/// D-13, D-15: two equal sales without numbers are two; what becomes of one says nothing of the other.
pub(super) async fn equal_sales_without_numbers_are_kept_apart(deployment: Deployment) {
    static OPEN: Sql = Sql::both(
        "SELECT tentatives FROM ventes_rejetees WHERE boutique_id = $1 AND NOT traitee ORDER BY id",
    );
    static RESTOCK: Sql = Sql::both(
        "UPDATE articles SET quantite_stock = quantite_stock + 5, \
         stock_initial = stock_initial + 5 WHERE id = $1",
    );
    let case = Case::open(deployment).await;
    let open = async || {
        let rows = case.db.read(&OPEN, args![case.shop.id]).await.unwrap();
        rows.iter().map(|row| row.get::<i64>("tentatives").unwrap()).collect::<Vec<_>>()
    };
    let one = format!(r#"{{"lignes":[{{"article_id":{},"quantite":12}}]}}"#, case.shop.a);
    let two = [one.clone(), one];
    assert_eq!(case.words(&two).await, ["STOCK_INSUFFISANT"; 2]);
    assert_eq!(open().await, [1, 1]);
    assert_eq!(case.words(&two).await, ["STOCK_INSUFFISANT"; 2]);
    assert_eq!(open().await, [2, 2]);
    case.db.execute(&RESTOCK, args![case.shop.a]).await.unwrap();
    assert_eq!(case.words(&two).await, ["+", "STOCK_INSUFFISANT"]);
    assert_eq!(open().await, [3], "the other one is still refused");
    case.close().await;
}

/// I-5, D-61, R-002-30, R-002-31: two terminals, twenty requests of each at once.
pub(super) async fn forty_buyers_share_a_stock_of_ten(deployment: Deployment) {
    let case = std::sync::Arc::new(Case::open(deployment).await);
    let mut buyers = tokio::task::JoinSet::new();
    for buyer in 0..40 {
        let case = std::sync::Arc::clone(&case);
        buyers.spawn(async move {
            let one = sale(&format!("V-{buyer}"), &format!(r#""article_id":{}"#, case.shop.a));
            let answer = case.send_by(1 + buyer % 2, &[one], "wait=20").await;
            assert_eq!(answer.status, 201, "{}", answer.text);
            super::outcomes(&answer.json(), 1).remove(0).1
        });
    }
    let words = buyers.join_all().await;
    let count = |word: &str| words.iter().filter(|found| *found == word).count();
    assert_eq!((count("+"), count("STOCK_INSUFFISANT")), (10, 30), "{words:?}");
    assert_eq!((stock(&case.db, case.shop.a).await, sales(&case.db, &case.shop).await), (0, 10));
    std::sync::Arc::into_inner(case).expect("every buyer has gone").close().await;
}
