//! PostgreSQL keeps the plan of a statement: one from the first minutes of an installation must do
//! when there are many sales.

use super::{POLICY, Shop};
use db::{Db, Sql, Tx, args};
use records::ventes::{self, Batch};
use tests::stores::Deployment;
use uuid::Uuid;

/// Sales that the shop has already.
const STORED: i64 = 5_000;

async fn apply(tx: &mut Tx, shop: &Shop, name: &str, count: usize) {
    let sales: Vec<_> = (0..count).map(|n| shop.sale(&format!("{name}-{n}"), shop.a, 1)).collect();
    let sales = Batch::parse(format!("[{}]", sales.join(",")).as_bytes()).unwrap().into_sales();
    let outcomes =
        ventes::apply(tx, &shop.origin(), &POLICY, &sales, 0..sales.len()).await.unwrap();
    assert_eq!(super::words(&outcomes), vec!["+"; count]);
}

/// On a record of its own.
pub(crate) async fn on_postgres(check: impl AsyncFn(&Db)) {
    if Deployment::Postgres.is_chosen() {
        let stores = Deployment::Postgres.fresh().await;
        let db = stores.db().await;
        check(&db).await;
        db.close().await;
        stores.remove().await;
    }
}

/// Rows of a table that this transaction has looked at.
pub(crate) async fn looked_at(tx: &mut Tx, table: &str) -> i64 {
    static LOOKED_AT: Sql = Sql::both(
        "SELECT seq_tup_read + idx_tup_fetch AS n FROM pg_stat_xact_user_tables \
         WHERE relname = $1",
    );
    tx.row(&LOOKED_AT, args![table]).await.unwrap().unwrap().get("n").unwrap()
}

async fn check(db: &Db) {
    static STOCK: Sql = Sql::both("UPDATE articles SET quantite_stock = 1000 WHERE id = $1");
    static FILL: Sql = Sql::both(
        "INSERT INTO ventes (boutique_id, numero_facture, montant_total, mode_paiement, paye, \
         date_vente, recue_le, terminal_id, job_id, empreinte, rapportee_par) \
         SELECT $1, 'F-' || n, 1, 'CASH', TRUE, {now}, {now}, $2, $3, '', $3 \
         FROM generate_series(1, $4) AS n",
    );
    static REFUSED: Sql = Sql::both(
        "INSERT INTO ventes_rejetees (boutique_id, terminal_id, numero_facture, empreinte, raison, \
         message, donnees, premiere_tentative, derniere_tentative) \
         SELECT $1, $2, 'R-' || n, 'e' || n, 'INVALID', '', '{}', {now}, {now} \
         FROM generate_series(1, $3) AS n",
    );
    let shop = Shop::open(db).await;
    let mut tx = db.begin().await.unwrap();
    tx.execute(&STOCK, args![shop.a]).await.unwrap();
    // A plan is kept from the sixth call on.
    for round in 0..8 {
        apply(&mut tx, &shop, &format!("EARLY-{round}"), 2).await;
    }
    tx.execute(&FILL, args![shop.id, shop.terminal, Uuid::nil(), STORED]).await.unwrap();
    tx.execute(&REFUSED, args![shop.id, shop.terminal, STORED]).await.unwrap();
    let before = looked_at(&mut tx, "ventes").await;
    let refused = looked_at(&mut tx, "ventes_rejetees").await;
    apply(&mut tx, &shop, "LATE", 50).await;
    let refused = looked_at(&mut tx, "ventes_rejetees").await - refused;
    assert_eq!(refused, 0, "rows of refused sales, of which none was sent again");
    // Each sale's own row, for the rows that refer to it.
    let rows = looked_at(&mut tx, "ventes").await - before;
    assert!((50..500).contains(&rows), "{rows} rows for 50 sales");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_plan_does_not_read_all_that_a_shop_has_sent() {
    on_postgres(check).await;
}
