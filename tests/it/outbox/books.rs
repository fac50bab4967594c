//! What the database must show in the end.

use super::terminal::Sold;
use db::{Db, Sql, args};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
}

/// Waits until no job is left to run.
pub(crate) async fn settle(db: &Db, deadline: Duration) {
    static ALIVE: Sql = Sql::both(
        "SELECT count(*) AS jobs FROM jobs WHERE state IN ('scheduled', 'ready', 'running')",
    );
    let start = Instant::now();
    loop {
        let row = db.read_one(&ALIVE, args![]).await.unwrap().unwrap();
        let alive: i64 = row.get("jobs").unwrap();
        if alive == 0 {
            return;
        }
        assert!(start.elapsed() < deadline, "{alive} jobs are left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every sale once with its lines, money exact, stock and ledger equal to what was sold.
pub(crate) async fn audit(db: &Db, sold: &[Sold], opening: i64) -> Books {
    static LINES: Sql = Sql::both(
        "SELECT v.numero_facture AS number, v.montant_total AS total, l.article_id AS article, \
         l.quantite AS quantity, l.prix_unitaire AS price FROM ventes v \
         JOIN lignes_vente l ON l.vente_id = v.id ORDER BY v.id, l.rang",
    );
    static SALES: Sql = Sql::both("SELECT count(*) AS sales FROM ventes");
    let mut booked: HashMap<String, Vec<(i64, i64, i64)>> = HashMap::new();
    let mut totals: HashMap<String, Decimal> = HashMap::new();
    for row in db.read(&LINES, args![]).await.unwrap() {
        let number: String = row.get("number").unwrap();
        let price: Decimal = row.get("price").unwrap();
        let line = (
            row.get("article").unwrap(),
            row.get("quantity").unwrap(),
            i64::try_from((price * Decimal::ONE_HUNDRED).trunc()).unwrap(),
        );
        totals.insert(number.clone(), row.get("total").unwrap());
        booked.entry(number).or_default().push(line);
    }
    let sales: i64 = db.read_one(&SALES, args![]).await.unwrap().unwrap().get("sales").unwrap();
    assert_eq!(sales as usize, booked.len(), "a sale without lines, or a number twice");
    let mut books = Books { lost: 0, doubled: 0 };
    for sale in sold {
        match booked.remove(&sale.number) {
            None => books.lost += 1,
            Some(lines) if lines == sale.lines => {
                let total: i64 = lines.iter().map(|line| line.1 * line.2).sum();
                assert_eq!(totals[&sale.number], Decimal::new(total, 2), "{}", sale.number);
            }
            Some(_) => books.doubled += 1,
        }
    }
    assert!(booked.is_empty(), "sales that nobody made: {booked:?}");
    ledger(db, sold, opening).await;
    books
}

/// I-4, I-5: per article a chain of movements from the opening stock to the present one.
async fn ledger(db: &Db, sold: &[Sold], opening: i64) {
    static MOVES: Sql = Sql::both(
        "SELECT article_id AS article, quantite AS quantity, stock_avant AS before, \
         stock_apres AS after FROM mouvements_stock ORDER BY article_id, id",
    );
    static STOCK: Sql = Sql::both("SELECT id, quantite_stock AS stock FROM articles");
    let mut expected: BTreeMap<i64, i64> = BTreeMap::new();
    for (article, quantity, _) in sold.iter().flat_map(|sale| &sale.lines) {
        *expected.entry(*article).or_insert(opening) -= quantity;
    }
    let mut chain: BTreeMap<i64, i64> = BTreeMap::new();
    for row in db.read(&MOVES, args![]).await.unwrap() {
        let article: i64 = row.get("article").unwrap();
        let (before, after): (i64, i64) = (row.get("before").unwrap(), row.get("after").unwrap());
        let here = chain.entry(article).or_insert(opening);
        assert_eq!(*here, before, "the chain of article {article} is broken");
        assert_eq!(before + row.get::<i64>("quantity").unwrap(), after);
        assert!(after >= 0);
        *here = after;
    }
    for row in db.read(&STOCK, args![]).await.unwrap() {
        let (article, stock): (i64, i64) = (row.get("id").unwrap(), row.get("stock").unwrap());
        assert_eq!(stock, expected.get(&article).copied().unwrap_or(opening), "stock of {article}");
        assert_eq!(stock, chain.get(&article).copied().unwrap_or(opening), "ledger of {article}");
    }
}
