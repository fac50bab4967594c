//! D-61's nightly check: every article's stock is its opening stock and what moved since, and its
//! movements form one chain.
//!
//! Every statement is bounded: articles come in pages, and so do their movements. An article and
//! its newest movement are read in one statement; movements that sales add later are left out.

use db::{Db, Error, Sql, args};
use serde::Serialize;
use std::collections::BTreeMap;

/// An article whose stock and movements do not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub article_id: i64,
    pub boutique_id: i64,
    /// What `articles` says.
    pub stock: i64,
    /// The opening stock and every movement.
    pub expected: i64,
    /// The first movement that does not begin where the one before it ended.
    pub broken_at: Option<i64>,
}

/// What one page of articles showed.
#[derive(Debug, Default)]
pub struct Checked {
    pub articles: u64,
    pub movements: u64,
    pub differences: Vec<Difference>,
    /// The article to go on after; none when this was the last page.
    pub next: Option<i64>,
}

/// An article as far as its movements have been read.
struct Ledger {
    boutique_id: i64,
    stock: i64,
    /// Its newest movement when its stock was read.
    newest: i64,
    sum: i64,
    end: i64,
    broken_at: Option<i64>,
}

/// Checks at most `limit` articles with ids above `after`, reading as many movements at a time.
pub async fn check(db: &Db, after: i64, limit: u32) -> Result<Checked, Error> {
    let mut articles = articles(db, after, limit).await?;
    let mut checked = Checked { articles: articles.len() as u64, ..Checked::default() };
    let Some(last) = articles.keys().next_back().copied() else { return Ok(checked) };
    checked.movements = read_movements(db, &mut articles, after, last, limit).await?;
    checked.next = (articles.len() >= limit as usize).then_some(last);
    checked.differences = articles
        .into_iter()
        .filter(|(_, ledger)| ledger.stock != ledger.sum || ledger.broken_at.is_some())
        .map(|(article_id, ledger)| Difference {
            article_id,
            boutique_id: ledger.boutique_id,
            stock: ledger.stock,
            expected: ledger.sum,
            broken_at: ledger.broken_at,
        })
        .collect();
    Ok(checked)
}

async fn articles(db: &Db, after: i64, limit: u32) -> Result<BTreeMap<i64, Ledger>, Error> {
    static ARTICLES: Sql = Sql::both(
        "SELECT a.id, a.boutique_id, a.quantite_stock, a.stock_initial, COALESCE((SELECT \
         MAX(m.id) FROM mouvements_stock m WHERE m.article_id = a.id), 0) AS newest \
         FROM articles a WHERE a.id > $1 ORDER BY a.id LIMIT $2",
    );
    let rows = db.read(&ARTICLES, args![after, i64::from(limit)]).await?;
    rows.iter()
        .map(|row| {
            let opening: i64 = row.get("stock_initial")?;
            let ledger = Ledger {
                boutique_id: row.get("boutique_id")?,
                stock: row.get("quantite_stock")?,
                newest: row.get("newest")?,
                sum: opening,
                end: opening,
                broken_at: None,
            };
            Ok((row.get("id")?, ledger))
        })
        .collect()
}

/// Follows the movements of the articles above `after` up to `last`; returns how many there are.
async fn read_movements(
    db: &Db,
    articles: &mut BTreeMap<i64, Ledger>,
    after: i64,
    last: i64,
    limit: u32,
) -> Result<u64, Error> {
    static MOVEMENTS: Sql = Sql::both(
        "SELECT article_id, id, quantite, stock_avant, stock_apres FROM mouvements_stock \
         WHERE (article_id, id) > ($1, $2) AND article_id <= $3 ORDER BY article_id, id LIMIT $4",
    );
    let mut place = (after, i64::MAX);
    let mut count = 0;
    loop {
        let values = args![place.0, place.1, last, i64::from(limit)];
        let rows = db.read(&MOVEMENTS, values).await?;
        for row in &rows {
            place = (row.get("article_id")?, row.get("id")?);
            let Some(ledger) = articles.get_mut(&place.0) else { continue };
            if place.1 > ledger.newest {
                continue;
            }
            count += 1;
            let (before, end): (i64, i64) = (row.get("stock_avant")?, row.get("stock_apres")?);
            if before != ledger.end && ledger.broken_at.is_none() {
                ledger.broken_at = Some(place.1);
            }
            ledger.sum += row.get::<i64>("quantite")?;
            ledger.end = end;
        }
        if rows.len() < limit as usize {
            return Ok(count);
        }
    }
}
