//! Sales that come again: after lost answers, under a taken number, after a refusal.

use super::{Shop, audit, deliver, integer, sales, send, stock, summary, words};
use chrono::{DateTime, Utc};
use db::{Db, Sql, args};
use records::ventes::{Origin, SaleOutcome};

pub(crate) async fn an_undelivered_sale_is_reported_again(db: &Db) {
    let shop = Shop::open(db).await;
    let sale = [shop.sale("V-1", shop.a, 2)];
    let first = shop.origin();
    let created = send(db, &first, &sale).await;
    let second = shop.origin();
    let again = send(db, &second, &sale).await;
    assert_eq!((words(&created), words(&again)), (vec!["+"], vec!["+again"]));
    let (SaleOutcome::Creee(one), SaleOutcome::Creee(two)) = (&created[0], &again[0]) else {
        panic!("{again:?}")
    };
    assert_eq!((&one.montant_total, &one.lignes), (&two.montant_total, &two.lignes));
    // The answer that counts is the last one: a late delivery of an earlier one says nothing.
    deliver(db, &first).await;
    let third = shop.origin();
    assert_eq!(words(&send(db, &third, &sale).await), ["+again"]);
    for _twice in 0..2 {
        deliver(db, &second).await;
        deliver(db, &third).await;
    }
    assert_eq!(words(&send(db, &shop.origin(), &sale).await), ["DUPLICATE"]);
    assert_eq!((stock(db, shop.a).await, sales(db, &shop).await), (8, 1));
    audit(db, &shop).await;
}

pub(crate) async fn a_delivered_sale_is_a_duplicate(db: &Db) {
    let shop = Shop::open(db).await;
    let first = shop.origin();
    send(db, &first, &[shop.sale("V-1", shop.a, 1)]).await;
    deliver(db, &first).await;
    let both = [shop.sale("V-1", shop.a, 1), shop.sale("V-2", shop.a, 1)];
    let outcomes = send(db, &shop.origin(), &both).await;
    let expected = [("V-1".to_owned(), "DUPLICATE"), ("V-2".to_owned(), "+")];
    assert_eq!(summary(&outcomes), expected);
    let SaleOutcome::Refusee(refused) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(refused.erreur, "Vente V-1 existe déjà, ignorée");
    static REJECTED: Sql =
        Sql::both("SELECT COUNT(*) AS n FROM ventes_rejetees WHERE boutique_id = $1");
    assert_eq!(integer(db, &REJECTED, shop.id).await, 0, "a duplicate is not a refused sale");
    assert_eq!(stock(db, shop.a).await, 8);
}

/// D-12: what was noted sale by sale, as by processes of the version before, counts as well.
pub(crate) async fn a_sale_marked_before_0011_is_delivered(db: &Db) {
    static MARK: Sql = Sql::both("UPDATE ventes SET remise_le = recue_le WHERE boutique_id = $1");
    let shop = Shop::open(db).await;
    let sale = [shop.sale("V-1", shop.a, 1)];
    send(db, &shop.origin(), &sale).await;
    db.execute(&MARK, args![shop.id]).await.unwrap();
    assert_eq!(words(&send(db, &shop.origin(), &sale).await), ["DUPLICATE"]);
    assert_eq!(stock(db, shop.a).await, 9);
}

pub(crate) async fn a_stuck_outbox_is_released(db: &Db) {
    let shop = Shop::open(db).await;
    let old: DateTime<Utc> = "2020-01-01T00:00:00Z".parse().unwrap();
    let young = || Origin { recue_le: "2999-01-01T00:00:00Z".parse().unwrap(), ..shop.origin() };
    for (number, received, expected) in [
        ("OLD", old, ["DUPLICATE", "DUPLICATE", "DUPLICATE", "+again", "DUPLICATE"]),
        ("YOUNG", young().recue_le, ["DUPLICATE"; 5]),
    ] {
        let first = Origin { recue_le: received, ..shop.origin() };
        let sale = [shop.sale(number, shop.a, 1)];
        send(db, &first, &sale).await;
        deliver(db, &first).await;
        for word in expected {
            let next = shop.origin();
            assert_eq!(words(&send(db, &next, &sale).await), [word], "{number}");
            deliver(db, &next).await;
        }
    }
    assert_eq!(stock(db, shop.a).await, 8);
    audit(db, &shop).await;
}

pub(crate) async fn a_taken_number_is_a_conflict(db: &Db) {
    let shop = Shop::open(db).await;
    send(db, &shop.origin(), &[shop.sale("V-1", shop.a, 1)]).await;
    let second = Origin { terminal_id: shop.second_terminal, ..shop.origin() };
    let same = [shop.sale("V-1", shop.a, 1)];
    assert_eq!(words(&send(db, &second, &same).await), ["NUMERO_EN_CONFLIT"]);
    let other = [shop.sale("V-1", shop.a, 2)];
    assert_eq!(words(&send(db, &shop.origin(), &other).await), ["NUMERO_EN_CONFLIT"]);
    // Not another shop's business.
    let elsewhere = Shop::open(db).await;
    let there = [elsewhere.sale("V-1", elsewhere.a, 1)];
    assert_eq!(words(&send(db, &elsewhere.origin(), &there).await), ["+"]);
    static REJECTED: Sql =
        Sql::both("SELECT COUNT(*) AS n FROM ventes_rejetees WHERE boutique_id = $1");
    assert_eq!((integer(db, &REJECTED, shop.id).await, stock(db, shop.a).await), (2, 9));
}

pub(crate) async fn the_first_of_a_batch_wins(db: &Db) {
    let shop = Shop::open(db).await;
    let batch = [("V-1", 1), ("V-1", 1), (" V-1 ", 2), ("V-1", 1)]
        .map(|(number, quantity)| shop.sale(number, shop.a, quantity));
    let expected = ["+", "DUPLICATE", "NUMERO_EN_CONFLIT", "DUPLICATE"];
    assert_eq!(words(&send(db, &shop.origin(), &batch).await), expected);
    let again = ["+again", "DUPLICATE", "NUMERO_EN_CONFLIT", "DUPLICATE"];
    assert_eq!(words(&send(db, &shop.origin(), &batch).await), again);
    assert_eq!((stock(db, shop.a).await, sales(db, &shop).await), (9, 1));
}

pub(crate) async fn a_rejection_is_counted_then_closed(db: &Db) {
    let shop = Shop::open(db).await;
    let unnumbered = format!(r#"{{"lignes":[{{"article_id":{},"quantite":11}}]}}"#, shop.a);
    let batch = [shop.sale("V-1", shop.a, 11), unnumbered];
    static ROWS: Sql = Sql::both(
        "SELECT tentatives, traitee, traitee_par, traitee_le FROM ventes_rejetees \
         WHERE boutique_id = $1 ORDER BY id",
    );
    for tries in 1..=3_i64 {
        assert_eq!(words(&send(db, &shop.origin(), &batch).await), ["STOCK_INSUFFISANT"; 2]);
        let rows = db.read(&ROWS, args![shop.id]).await.unwrap();
        let counts: Vec<i64> = rows.iter().map(|row| row.get("tentatives").unwrap()).collect();
        assert_eq!(counts, [tries, tries]);
    }
    static MORE: Sql = Sql::both(
        "UPDATE articles SET stock_initial = stock_initial + 20, \
         quantite_stock = quantite_stock + 20 WHERE id = $1",
    );
    db.execute(&MORE, args![shop.a]).await.unwrap();
    assert_eq!(words(&send(db, &shop.origin(), &batch).await), ["+", "+"]);
    for row in db.read(&ROWS, args![shop.id]).await.unwrap() {
        assert!(row.get::<bool>("traitee").unwrap());
        assert_eq!(row.get::<String>("traitee_par").unwrap(), "auto");
        assert!(row.get::<Option<DateTime<Utc>>>("traitee_le").unwrap().is_some());
        assert_eq!(row.get::<i64>("tentatives").unwrap(), 3);
    }
    // An equal cash sale refused later opens the row of its content again.
    assert_eq!(words(&send(db, &shop.origin(), &batch[1..]).await), ["STOCK_INSUFFISANT"]);
    let rows = db.read(&ROWS, args![shop.id]).await.unwrap();
    assert!(rows[0].get::<bool>("traitee").unwrap() && !rows[1].get::<bool>("traitee").unwrap());
    assert_eq!(rows[1].get::<Option<String>>("traitee_par").unwrap(), None);
    audit(db, &shop).await;
}

pub(crate) async fn a_default_price_may_be_written_out(db: &Db) {
    let shop = Shop::open(db).await;
    let a = shop.a;
    let priced = |price: &str| {
        format!(
            r#"{{"numero_facture":"V-1","mode_paiement":"CASH","lignes":[{{"article_id":{a},"prix_unitaire":{price}}}]}}"#
        )
    };
    send(db, &shop.origin(), &[shop.sale("V-1", a, 1)]).await;
    assert_eq!(words(&send(db, &shop.origin(), &[priced("40000")]).await), ["+again"]);
    assert_eq!(words(&send(db, &shop.origin(), &[priced("39999")]).await), ["NUMERO_EN_CONFLIT"]);
    // The article's price changes; what was sold stays what it was.
    static DEARER: Sql = Sql::both("UPDATE articles SET prix_vente = prix_vente * 2 WHERE id = $1");
    db.execute(&DEARER, args![a]).await.unwrap();
    assert_eq!(words(&send(db, &shop.origin(), &[shop.sale("V-1", a, 1)]).await), ["+again"]);
    assert_eq!((stock(db, a).await, sales(db, &shop).await), (9, 1));
}
