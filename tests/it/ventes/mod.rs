//! Checks of the sales records, each a plain function of a migrated [`Db`].
//!
//! Each check runs on both databases, on a fresh one of its own, and opens its own shops in it.

pub(crate) mod booking;
pub(crate) mod model;
pub(crate) mod plans;
pub(crate) mod reference;
pub(crate) mod repeats;
pub(crate) mod runs;

use chrono::{DateTime, Utc};
use db::{Db, Sql, args};
use records::ventes::{self, Batch, Code, Origin, Policy, SaleOutcome, StockPolicy};
use std::time::Duration;
use uuid::Uuid;

macro_rules! checks {
    ($($module:ident :: $check:ident),* $(,)?) => {
        checks! { @database sqlite Embedded $($module::$check)* }
        checks! { @database postgres Postgres $($module::$check)* }
    };
    (@database $database:ident $deployment:ident $($module:ident :: $check:ident)*) => {
        mod $database {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $check() {
                    let deployment = tests::stores::Deployment::$deployment;
                    if deployment.is_chosen() {
                        let stores = deployment.fresh().await;
                        let db = stores.db().await;
                        super::$module::$check(&db).await;
                        db.close().await;
                        stores.remove().await;
                    }
                }
            )*
        }
    };
}

checks! {
    booking::a_sale_is_booked_whole,
    booking::a_refused_sale_leaves_only_its_rejection,
    booking::lines_of_one_article_are_summed_and_kept_apart,
    booking::unusable_articles_look_alike,
    booking::generated_numbers_take_the_next_free_index,
    booking::dates_are_booked_as_designed,
    booking::a_malformed_sale_never_touches_its_neighbours,
    booking::an_unexpected_error_is_one_sales_error,
    booking::forty_buyers_share_a_stock_of_ten,
    booking::one_number_sent_at_once_is_one_sale,
    booking::splitting_a_batch_changes_nothing,
    booking::sales_of_other_articles_commute,
    repeats::an_undelivered_sale_is_reported_again,
    repeats::a_delivered_sale_is_a_duplicate,
    repeats::a_sale_marked_before_0011_is_delivered,
    repeats::a_stuck_outbox_is_released,
    repeats::a_taken_number_is_a_conflict,
    repeats::the_first_of_a_batch_wins,
    repeats::a_rejection_is_counted_then_closed,
    repeats::a_default_price_may_be_written_out,
    model::random_batches_agree_with_the_model,
    runs::a_chunk_is_its_sales_one_by_one,
    runs::chunks_at_once_share_stock_and_numbers,
    reference::the_demo_data_loads_twice,
    reference::a_wrong_seed_changes_nothing,
    reference::a_moved_stock_is_kept,
    reference::a_key_proves_itself,
    reference::a_terminal_is_known_by_its_serial,
}

pub(crate) const POLICY: Policy = Policy {
    release_after_duplicates: 3,
    release_after: Duration::from_secs(600),
    stock: StockPolicy::Refuse,
};

/// A shop with two terminals, article `a` (40000.00, 10 in stock) and `b` (25000.00, 20).
pub(crate) struct Shop {
    pub(crate) id: i64,
    pub(crate) terminal: i64,
    pub(crate) second_terminal: i64,
    pub(crate) a: i64,
    pub(crate) b: i64,
}

impl Shop {
    pub(crate) async fn open(db: &Db) -> Self {
        let id = i64::from(rand::random::<u32>()) * 10 + 10;
        let (a, b) = (id + 1, id + 2);
        let seed = format!(
            r#"{{"boutiques":[{{"id":{id},"nom":"Boutique {id}","fuseau":"Africa/Kinshasa"}}],
            "terminaux":[{{"numero_serie":"s{id}-1","nom":"Un","boutique_id":{id},"actif":true}},
                         {{"numero_serie":"s{id}-2","nom":"Deux","boutique_id":{id},"actif":true}}],
            "articles":[{{"id":{a},"boutique_id":{id},"nom":"Samsung S24","prix_vente":"40000.00","stock":10}},
                        {{"id":{b},"boutique_id":{id},"nom":"iPhone 13","prix_vente":"25000.00","stock":20}}]}}"#
        );
        records::seed::load(db, &seed).await.unwrap();
        let terminal = terminal_id(db, &format!("s{id}-1")).await;
        let second_terminal = terminal_id(db, &format!("s{id}-2")).await;
        Self { id, terminal, second_terminal, a, b }
    }

    pub(crate) fn origin(&self) -> Origin {
        let recue_le: DateTime<Utc> = "2026-11-20T10:00:00Z".parse().unwrap();
        Origin {
            boutique_id: self.id,
            terminal_id: self.terminal,
            job: Uuid::now_v7(),
            recue_le,
            horodatage: "20261120100000".to_owned(),
            fuseau: ventes::days::zone("Africa/Kinshasa"),
        }
    }

    /// One sale of one line.
    pub(crate) fn sale(&self, number: &str, article: i64, quantity: i64) -> String {
        format!(
            r#"{{"numero_facture":"{number}","lignes":[{{"article_id":{article},"quantite":{quantity}}}]}}"#
        )
    }
}

async fn terminal_id(db: &Db, serial: &str) -> i64 {
    ventes::terminal(db, serial).await.unwrap().unwrap().id
}

/// Applies a batch in one transaction, as a job of its own would.
pub(crate) async fn send(db: &Db, origin: &Origin, sales: &[String]) -> Vec<SaleOutcome> {
    try_send(db, origin, sales).await.unwrap()
}

pub(crate) async fn try_send(
    db: &Db,
    origin: &Origin,
    sales: &[String],
) -> Result<Vec<SaleOutcome>, db::Error> {
    let body = format!("[{}]", sales.join(","));
    let sales = Batch::parse(body.as_bytes()).unwrap().into_sales();
    let mut tx = db.begin().await?;
    let outcomes = ventes::apply(&mut tx, origin, &POLICY, &sales, 0..sales.len()).await?;
    tx.commit().await?;
    Ok(outcomes)
}

pub(crate) async fn deliver(db: &Db, origin: &Origin) {
    static NOTE: Sql =
        Sql::both("INSERT INTO remises (job_id, le) VALUES ($1, {now}) ON CONFLICT DO NOTHING");
    db.execute(&NOTE, args![origin.job]).await.unwrap();
}

/// `number` and `+` for created, `+again` for reported again, the code for refused.
pub(crate) fn summary(outcomes: &[SaleOutcome]) -> Vec<(String, &'static str)> {
    outcomes
        .iter()
        .map(|outcome| match outcome {
            SaleOutcome::Creee(sale) if sale.rejouee => (sale.numero_facture.clone(), "+again"),
            SaleOutcome::Creee(sale) => (sale.numero_facture.clone(), "+"),
            SaleOutcome::Refusee(sale) => (sale.numero_facture.clone(), sale.code.as_str()),
        })
        .collect()
}

pub(crate) fn words(outcomes: &[SaleOutcome]) -> Vec<&'static str> {
    summary(outcomes).into_iter().map(|(_, word)| word).collect()
}

pub(crate) fn refusal(outcome: &SaleOutcome) -> (Code, &str) {
    match outcome {
        SaleOutcome::Refusee(sale) => (sale.code, sale.erreur.as_str()),
        SaleOutcome::Creee(sale) => panic!("created: {sale:?}"),
    }
}

/// One integer of one row.
pub(crate) async fn integer(db: &Db, sql: &'static Sql, id: i64) -> i64 {
    db.read_one(sql, args![id]).await.unwrap().unwrap().get("n").unwrap()
}

pub(crate) async fn stock(db: &Db, article: i64) -> i64 {
    static STOCK: Sql = Sql::both("SELECT quantite_stock AS n FROM articles WHERE id = $1");
    integer(db, &STOCK, article).await
}

pub(crate) async fn sales(db: &Db, shop: &Shop) -> i64 {
    static SALES: Sql = Sql::both("SELECT COUNT(*) AS n FROM ventes WHERE boutique_id = $1");
    integer(db, &SALES, shop.id).await
}

/// The ledger agrees with stock and lines: I-4, I-5, I-6, I-8.
pub(crate) async fn audit(db: &Db, shop: &Shop) {
    static WRONG_STOCK: Sql = Sql::both(
        "SELECT COUNT(*) AS n FROM articles a WHERE a.boutique_id = $1 AND (a.quantite_stock < 0 \
         OR a.quantite_stock <> a.stock_initial + COALESCE((SELECT SUM(m.quantite) \
         FROM mouvements_stock m WHERE m.article_id = a.id), 0))",
    );
    static WRONG_LINES: Sql = Sql::both(
        "SELECT COUNT(*) AS n FROM lignes_vente l LEFT JOIN mouvements_stock m \
         ON m.vente_id = l.vente_id AND m.rang = l.rang WHERE l.boutique_id = $1 \
         AND (m.id IS NULL OR m.quantite <> -l.quantite OR m.article_id <> l.article_id)",
    );
    static WRONG_TOTALS: Sql = Sql::both(
        "SELECT COUNT(*) AS n FROM ventes v WHERE v.boutique_id = $1 AND v.montant_total <> \
         COALESCE((SELECT SUM(l.quantite * l.prix_unitaire) FROM lignes_vente l \
         WHERE l.vente_id = v.id), -1)",
    );
    static WRONG_DAYS: Sql = Sql::both(
        "SELECT COUNT(*) AS n FROM (SELECT COUNT(*) AS ventes, COALESCE(SUM(montant_total), 0) AS \
         montant FROM ventes WHERE boutique_id = $1) AS v, (SELECT COALESCE(SUM(nombre), 0) AS \
         ventes, COALESCE(SUM(chiffre_affaires), 0) AS montant FROM ventes_jours \
         WHERE boutique_id = $1) AS j WHERE v.ventes <> j.ventes OR v.montant <> j.montant",
    );
    let checks = [
        ("stock", &WRONG_STOCK),
        ("lines", &WRONG_LINES),
        ("totals", &WRONG_TOTALS),
        ("figures per day", &WRONG_DAYS),
    ];
    for (what, sql) in checks {
        assert_eq!(integer(db, sql, shop.id).await, 0, "{what}");
    }
    static MOVEMENTS: Sql = Sql::both(
        "SELECT article_id, stock_avant, stock_apres FROM mouvements_stock \
         WHERE boutique_id = $1 ORDER BY article_id, id",
    );
    let mut last: Option<(i64, i64)> = None;
    for row in db.read(&MOVEMENTS, args![shop.id]).await.unwrap() {
        let (article, before): (i64, i64) =
            (row.get("article_id").unwrap(), row.get("stock_avant").unwrap());
        if let Some((same, after)) = last
            && same == article
        {
            assert_eq!(before, after, "the movements of article {article} form a chain");
        }
        last = Some((article, row.get("stock_apres").unwrap()));
    }
}
