//! PostgreSQL keeps the plan of a statement: one from a site's first minutes must do when it has many
//! entities.

use super::{batch, line, seed};
use crate::ventes::plans::{looked_at, on_postgres};
use db::{Db, Sql, Tx, args};
use records::push::{self, Batch, OnConflict, Origin, Strategies};
use uuid::Uuid;

/// Lines that the site has already.
const STORED: i64 = 5_000;

/// Applies new lines, each by itself.
async fn apply(tx: &mut Tx, origin: &Origin, count: usize) {
    let lines: Vec<_> = (0..count).map(|_| line(Uuid::now_v7(), 0, None, "1")).collect();
    let parsed = Batch::parse(batch("per_entity", &lines).to_string().as_bytes()).unwrap();
    let results = push::apply_each(tx, origin, OnConflict::Resolve, 0, &parsed.entities);
    let results = results.await.unwrap();
    assert!(results.iter().all(|one| one.version == Some(1)), "{results:?}");
    assert_eq!(results.len(), count);
}

async fn check(db: &Db) {
    static FILL: Sql = Sql::both(
        "INSERT INTO lignes_reception (site_id, id, article_code, designation, quantite, unite, \
         recu_le, version, updated_at) SELECT $1, gen_random_uuid(), 'A', 'A', 1, 'kg', {now}, 1, \
         {now} FROM generate_series(1, $2)",
    );
    let (site, _) = seed(db).await;
    let origin = Origin {
        site,
        job: Uuid::now_v7(),
        received: chrono::Utc::now(),
        offset: None,
        strategies: Strategies::default(),
    };
    let mut tx = db.begin().await.unwrap();
    // A plan is kept from the sixth call on.
    for _ in 0..8 {
        apply(&mut tx, &origin, 2).await;
    }
    tx.execute(&FILL, args![site, STORED]).await.unwrap();
    let before = looked_at(&mut tx, "lignes_reception").await;
    apply(&mut tx, &origin, 50).await;
    let rows = looked_at(&mut tx, "lignes_reception").await - before;
    assert!(rows < 500, "{rows} rows for 50 lines");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_plan_does_not_read_all_entities_of_a_site() {
    on_postgres(check).await;
}
