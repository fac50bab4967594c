//! What a sale writes, and what it must not.

use super::{Shop, audit, integer, refusal, sales, send, stock, summary, try_send, words};
use chrono::{DateTime, Utc};
use db::{Db, Sql, args};
use records::ventes::{Code, Origin, SaleOutcome};
use rust_decimal::Decimal;
use uuid::Uuid;

static REJECTED: Sql =
    Sql::both("SELECT COUNT(*) AS n FROM ventes_rejetees WHERE boutique_id = $1");

/// R-002-32, I-6
pub(crate) async fn a_sale_is_booked_whole(db: &Db) {
    let shop = Shop::open(db).await;
    let (a, b) = (shop.a, shop.b);
    let sale = format!(
        r#"{{"numero_facture":"V-1","mode_paiement":"MOBILE_MONEY","paye":false,"date_vente":"2026-11-19T08:00:00+01:00",
            "lignes":[{{"article_id":{b},"quantite":2,"prix_unitaire":25000.50}},{{"article_id":{a}}}]}}"#
    );
    let origin = shop.origin();
    let outcomes = send(db, &origin, &[sale]).await;
    let SaleOutcome::Creee(created) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(created.montant_total, "90001.00");
    let lines: Vec<_> = created
        .lignes
        .iter()
        .map(|l| {
            (l.article_nom.as_str(), l.quantite, l.prix_unitaire.as_str(), l.sous_total.as_str())
        })
        .collect();
    assert_eq!(
        lines,
        [("iPhone 13", 2, "25000.50", "50001.00"), ("Samsung S24", 1, "40000.00", "40000.00")]
    );
    static SALE: Sql = Sql::both("SELECT * FROM ventes WHERE boutique_id = $1");
    let row = db.read_one(&SALE, args![shop.id]).await.unwrap().unwrap();
    assert_eq!(row.get::<Decimal>("montant_total").unwrap().to_string(), "90001.00");
    assert_eq!(row.get::<String>("mode_paiement").unwrap(), "MOBILE_MONEY");
    assert!(!row.get::<bool>("paye").unwrap());
    assert_eq!(row.get::<String>("date_vente_brute").unwrap(), "2026-11-19T08:00:00+01:00");
    assert_eq!(row.get::<DateTime<Utc>>("recue_le").unwrap(), origin.recue_le);
    assert_eq!(row.get::<Uuid>("job_id").unwrap(), origin.job);
    assert_eq!(row.get::<Uuid>("rapportee_par").unwrap(), origin.job);
    assert_eq!(row.get::<Option<DateTime<Utc>>>("remise_le").unwrap(), None);
    assert_eq!((stock(db, a).await, stock(db, b).await), (9, 18));
    audit(db, &shop).await;
}

pub(crate) async fn a_refused_sale_leaves_only_its_rejection(db: &Db) {
    let shop = Shop::open(db).await;
    let (a, b) = (shop.a, shop.b);
    let sale = format!(
        r#"{{"numero_facture":"V-1", "lignes":[{{"article_id":{a}}},{{"article_id":{b},"quantite":21}}]}}"#
    );
    let outcomes = send(db, &shop.origin(), std::slice::from_ref(&sale)).await;
    assert_eq!(refusal(&outcomes[0]), (Code::OutOfStock, "Stock insuffisant pour iPhone 13"));
    assert_eq!((stock(db, a).await, stock(db, b).await, sales(db, &shop).await), (10, 20, 0));
    static ROW: Sql = Sql::both("SELECT * FROM ventes_rejetees WHERE boutique_id = $1");
    let row = db.read_one(&ROW, args![shop.id]).await.unwrap().unwrap();
    assert_eq!(row.get::<String>("donnees").unwrap(), sale, "the sale is kept as it was sent");
    assert_eq!(row.get::<String>("raison").unwrap(), "STOCK_INSUFFISANT");
    assert_eq!(row.get::<i64>("stock_demande").unwrap(), 21);
    assert_eq!(row.get::<i64>("stock_disponible").unwrap(), 20);
    assert_eq!(row.get::<i64>("article_id").unwrap(), b);
    assert!(!row.get::<bool>("traitee").unwrap());
    audit(db, &shop).await;
}

pub(crate) async fn lines_of_one_article_are_summed_and_kept_apart(db: &Db) {
    let shop = Shop::open(db).await;
    let two = |number: &str, first: i64, second: i64| {
        let a = shop.a;
        format!(
            r#"{{"numero_facture":"{number}","lignes":[{{"article_id":{a},"quantite":{first}}},{{"article_id":{a},"quantite":{second},"prix_unitaire":"1"}}]}}"#
        )
    };
    let outcomes = send(db, &shop.origin(), &[two("V-1", 6, 5), two("V-2", 6, 4)]).await;
    assert_eq!(words(&outcomes), ["STOCK_INSUFFISANT", "+"]);
    static LINES: Sql = Sql::both("SELECT COUNT(*) AS n FROM lignes_vente WHERE boutique_id = $1");
    assert_eq!((integer(db, &LINES, shop.id).await, stock(db, shop.a).await), (2, 0));
    audit(db, &shop).await;
}

pub(crate) async fn unusable_articles_look_alike(db: &Db) {
    let (shop, other) = (Shop::open(db).await, Shop::open(db).await);
    static OFF: Sql = Sql::both("UPDATE articles SET actif = FALSE WHERE id = $1");
    db.execute(&OFF, args![shop.b]).await.unwrap();
    for article in [other.a, 999, shop.b, 0, 999_999_999_999_999_999] {
        let outcomes = send(db, &shop.origin(), &[shop.sale("V-1", article, 1)]).await;
        let text = format!("Article {article} non trouvé dans cette boutique");
        assert_eq!(refusal(&outcomes[0]), (Code::UnknownArticle, text.as_str()));
    }
    let foreign =
        format!(r#"{{"boutique_id":{},"lignes":[{{"article_id":{}}}]}}"#, other.id, other.a);
    let outcomes = send(db, &shop.origin(), &[foreign]).await;
    assert_eq!(refusal(&outcomes[0]), (Code::ForeignShop, "Accès refusé: boutique non autorisée"));
    assert_eq!(stock(db, other.a).await, 10);
}

pub(crate) async fn generated_numbers_take_the_next_free_index(db: &Db) {
    let shop = Shop::open(db).await;
    let unnumbered = format!(r#"{{"lignes":[{{"article_id":{}}}]}}"#, shop.b);
    let too_many = format!(r#"{{"lignes":[{{"article_id":{},"quantite":99}}]}}"#, shop.b);
    let number = |index: usize| (format!("VENTE-{}-20261120100000-{index}", shop.id), "+");
    let one = send(db, &shop.origin(), &[unnumbered.clone(), unnumbered.clone()]).await;
    assert_eq!(summary(&one), [number(0), number(1)]);
    let second = Origin { terminal_id: shop.second_terminal, ..shop.origin() };
    let two = send(
        db,
        &second,
        &[
            unnumbered.clone(),
            too_many,
            unnumbered.clone(),
            shop.sale("V-1", shop.b, 1),
            unnumbered.clone(),
        ],
    )
    .await;
    let refused = (format!("VENTE-{}-20261120100000-1", shop.id), "STOCK_INSUFFISANT");
    let typed = ("V-1".to_owned(), "+");
    assert_eq!(summary(&two), [number(2), refused, number(3), typed, number(4)]);
    audit(db, &shop).await;
}

/// D-23
pub(crate) async fn dates_are_booked_as_designed(db: &Db) {
    let shop = Shop::open(db).await;
    let dated = |number: &str, date: &str| {
        let b = shop.b;
        format!(
            r#"{{"numero_facture":"{number}","date_vente":"{date}","lignes":[{{"article_id":{b}}}]}}"#
        )
    };
    let origin = shop.origin();
    let all = [
        dated("1-kept", "2026-11-01T00:00:00Z"),
        dated("2-future", "2027-01-01T00:00:00Z"),
        dated("3-leap", "2026-06-30T23:59:60Z"),
        shop.sale("4-none", shop.b, 1),
    ];
    assert_eq!(words(&send(db, &origin, &all).await), ["+"; 4]);
    static DATES: Sql = Sql::both(
        "SELECT date_vente, date_vente_brute, date_corrigee FROM ventes \
         WHERE boutique_id = $1 ORDER BY numero_facture",
    );
    let rows = db.read(&DATES, args![shop.id]).await.unwrap();
    let dates: Vec<(DateTime<Utc>, bool)> = rows
        .iter()
        .map(|row| (row.get("date_vente").unwrap(), row.get("date_corrigee").unwrap()))
        .collect();
    assert_eq!(dates[0], ("2026-11-01T00:00:00Z".parse().unwrap(), false));
    assert_eq!(dates[1], (origin.recue_le, true));
    assert!(!dates[2].1);
    assert_eq!(dates[3], (origin.recue_le, false));
    assert_eq!(rows[1].get::<String>("date_vente_brute").unwrap(), "2027-01-01T00:00:00Z");
    assert_eq!(rows[3].get::<Option<String>>("date_vente_brute").unwrap(), None);
}

pub(crate) async fn a_malformed_sale_never_touches_its_neighbours(db: &Db) {
    let shop = Shop::open(db).await;
    let a = shop.a;
    let bad = [
        "17".to_owned(),
        "null".to_owned(),
        r#"{"numero_facture":"NUL\u0000","lignes":[]}"#.to_owned(),
        r#"{"numero_facture":"\ud800","x":1e400}"#.to_owned(),
        format!(r#"{{"numero_facture":"N","lignes":[{{"article_id":{a},"quantite":1e400}}]}}"#),
        format!(r#"{{"lignes":[{{"article_id":{a},"prix_unitaire":1.005}}]}}"#),
        format!(r#"{{"note":"\u0000","lignes":[{{"article_id":{a},"quantite":"1"}}]}}"#),
        format!(
            r#"{{"lignes":[{{"article_id":{a},"quantite":1000000000,"prix_unitaire":9999999999}}]}}"#
        ),
    ];
    let mut all = vec![shop.sale("V-1", a, 1)];
    all.extend(bad.clone());
    all.push(shop.sale("V-2", a, 1));
    let outcomes = send(db, &shop.origin(), &all).await;
    let found = words(&outcomes);
    assert_eq!((found[0], found[bad.len() + 1]), ("+", "+"));
    assert!(found[1..=bad.len()].iter().all(|word| *word == "VENTE_INVALIDE"), "{found:?}");
    assert_eq!(integer(db, &REJECTED, shop.id).await, 8);
    assert_eq!((stock(db, a).await, sales(db, &shop).await), (8, 2));
    audit(db, &shop).await;
}

/// D-17: whatever the database finds wrong with one sale is that sale's error.
pub(crate) async fn an_unexpected_error_is_one_sales_error(db: &Db) {
    static TRIGGER: [Sql; 2] = [
        Sql::each(
            "CREATE OR REPLACE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'poison'; END $$",
            "SELECT 1",
        ),
        Sql::each(
            "CREATE OR REPLACE TRIGGER poison BEFORE INSERT ON mouvements_stock FOR EACH ROW \
             WHEN (NEW.reference = 'POISON') EXECUTE FUNCTION poison()",
            "CREATE TRIGGER IF NOT EXISTS poison BEFORE INSERT ON mouvements_stock \
             WHEN NEW.reference = 'POISON' BEGIN SELECT RAISE(ABORT, 'poison'); END",
        ),
    ];
    let shop = Shop::open(db).await;
    for statement in &TRIGGER {
        db.execute(statement, Vec::new()).await.unwrap();
    }
    let all = ["V-1", "POISON", "V-2"].map(|number| shop.sale(number, shop.a, 1));
    let outcomes = send(db, &shop.origin(), &all).await;
    assert_eq!(words(&outcomes), ["+", "INTERNAL", "+"]);
    assert_eq!(refusal(&outcomes[1]).1, "Erreur interne");
    assert_eq!((stock(db, shop.a).await, integer(db, &REJECTED, shop.id).await), (8, 1));
    // A terminal that does not exist fails every sale, and even its rejection; still an answer.
    let nobody = Origin { terminal_id: i64::MAX, ..shop.origin() };
    let outcomes = send(db, &nobody, &[shop.sale("V-3", shop.a, 1)]).await;
    assert_eq!(words(&outcomes), ["INTERNAL"]);
    audit(db, &shop).await;
}

/// Without lanes, too, stock cannot be oversold (I-5).
pub(crate) async fn forty_buyers_share_a_stock_of_ten(db: &Db) {
    let shop = std::sync::Arc::new(Shop::open(db).await);
    let buyers = (0..40).map(|buyer| {
        let (db, shop) = (db.clone(), std::sync::Arc::clone(&shop));
        tokio::spawn(async move {
            let sale = shop.sale(&format!("V-{buyer}"), shop.a, 1);
            loop {
                match try_send(&db, &shop.origin(), std::slice::from_ref(&sale)).await {
                    Ok(outcomes) => return words(&outcomes)[0],
                    Err(error) => assert!(error.is_transient(), "{error:?}"),
                }
            }
        })
    });
    let mut sold = 0;
    for buyer in buyers.collect::<Vec<_>>() {
        match buyer.await.unwrap() {
            "+" => sold += 1,
            word => assert_eq!(word, "STOCK_INSUFFISANT"),
        }
    }
    assert_eq!((sold, stock(db, shop.a).await, sales(db, &shop).await), (10, 0, 10));
    audit(db, &shop).await;
}

/// Without lanes, too, one number is one sale (I-21).
pub(crate) async fn one_number_sent_at_once_is_one_sale(db: &Db) {
    let shop = std::sync::Arc::new(Shop::open(db).await);
    let senders = (0..12).map(|_| {
        let (db, shop) = (db.clone(), std::sync::Arc::clone(&shop));
        tokio::spawn(async move {
            let sale = shop.sale("V-1", shop.a, 1);
            words(&send(&db, &shop.origin(), &[sale]).await)[0]
        })
    });
    let mut found = Vec::new();
    for sender in senders.collect::<Vec<_>>() {
        found.push(sender.await.unwrap());
    }
    found.sort_unstable();
    assert_eq!((found[0], &found[1..]), ("+", &["+again"; 11][..]));
    assert_eq!((stock(db, shop.a).await, sales(db, &shop).await), (9, 1));
    audit(db, &shop).await;
}

/// I-14, with numbers from a pool small enough to collide.
pub(crate) async fn splitting_a_batch_changes_nothing(db: &Db) {
    let (whole, split) = (Shop::open(db).await, Shop::open(db).await);
    let all = |shop: &Shop| -> Vec<String> {
        let pick = |n: i64| if n % 3 == 0 { shop.a } else { shop.b };
        (0..40).map(|n| shop.sale(&format!("V-{}", n * 7 % 23), pick(n), 1 + n % 3)).collect()
    };
    let one = send(db, &whole.origin(), &all(&whole)).await;
    let mut many = Vec::new();
    for part in all(&split).chunks(7) {
        many.extend(send(db, &split.origin(), part).await);
    }
    let created = |outcomes: &[SaleOutcome]| -> Vec<_> {
        summary(outcomes).into_iter().filter(|(_, word)| *word == "+").collect()
    };
    assert_eq!(created(&one), created(&many));
    assert_eq!(stock(db, whole.a).await, stock(db, split.a).await);
    assert_eq!(stock(db, whole.b).await, stock(db, split.b).await);
    audit(db, &whole).await;
    audit(db, &split).await;
}

/// I-15: what is refused is the same, too; within an article the order is kept.
pub(crate) async fn sales_of_other_articles_commute(db: &Db) {
    let (mixed, sorted) = (Shop::open(db).await, Shop::open(db).await);
    let sale = |shop: &Shop, n: i64| {
        let article = if n % 2 == 0 { shop.a } else { shop.b };
        shop.sale(&format!("V-{n:02}"), article, 1 + n % 5)
    };
    let all: Vec<_> = (0..24).map(|n| sale(&mixed, n)).collect();
    let odd_first = (0..24).filter(|n| n % 2 == 1).chain((0..24).filter(|n| n % 2 == 0));
    let moved: Vec<_> = odd_first.map(|n| sale(&sorted, n)).collect();
    let one = send(db, &mixed.origin(), &all).await;
    let other = send(db, &sorted.origin(), &moved).await;
    let (one, mut other) = (summary(&one), summary(&other));
    other.sort();
    assert!(one.iter().any(|(_, word)| *word != "+") && one.is_sorted(), "{one:?}");
    assert_eq!(one, other);
    assert_eq!(stock(db, mixed.a).await, stock(db, sorted.a).await);
    assert_eq!(stock(db, mixed.b).await, stock(db, sorted.b).await);
    audit(db, &mixed).await;
    audit(db, &sorted).await;
}
