//! Stock as people look at it and move it by hand: deliveries and counts. Every change is a row of
//! the ledger that says by whom and why, so that stock stays opening stock and what moved (I-4).

use super::desk::{Settled, settle_by};
use chrono::{DateTime, Utc};
use db::{Db, Error, Row, Sql, args};
use serde::Serialize;

/// An article and what is left of it.
#[derive(Debug, Clone, Serialize)]
pub struct Article {
    pub id: i64,
    pub shop_id: i64,
    pub shop: String,
    pub name: String,
    pub code: Option<String>,
    pub stock: i64,
    pub active: bool,
}

/// A sale that took stock below zero (`accept_with_alert`).
#[derive(Debug, Clone, Serialize)]
pub struct Alert {
    pub id: i64,
    pub shop_id: i64,
    pub shop: String,
    pub article_id: i64,
    pub article: String,
    pub number: String,
    pub asked: i64,
    pub available: i64,
    pub at: DateTime<Utc>,
}

macro_rules! articles {
    ($which:literal) => {
        concat!(
            "SELECT a.id, a.boutique_id, b.nom AS boutique, a.nom, a.code, a.quantite_stock, \
             a.actif FROM articles a JOIN boutiques b ON b.id = a.boutique_id \
             WHERE a.id > $1 AND a.quantite_stock < $2 ",
            $which,
            "ORDER BY a.id LIMIT $3"
        )
    };
}

/// Articles above the id `after` with less than `below` left, by id.
pub async fn articles(
    db: &Db,
    shop: Option<i64>,
    below: Option<i64>,
    after: i64,
    limit: u32,
) -> Result<Vec<Article>, Error> {
    static ALL: Sql = Sql::both(articles!(""));
    static OF: Sql = Sql::both(articles!("AND a.boutique_id = $4 "));
    let mut values = args![after, below.unwrap_or(i64::MAX), i64::from(limit)];
    values.extend(shop.map(db::Value::from));
    let rows = db.read(if shop.is_some() { &OF } else { &ALL }, values).await?;
    rows.iter().map(article).collect()
}

/// What came of moving stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// What there was, and is now.
    Done {
        before: i64,
        after: i64,
    },
    /// There is not so much of it.
    TooLittle {
        stock: i64,
    },
    Unknown,
}

/// Never below zero; what a sale took below may be raised.
static ADJUST: Sql = Sql::both(
    "UPDATE articles SET quantite_stock = quantite_stock + $2 WHERE id = $1 \
     AND ($2 > 0 OR quantite_stock + $2 >= 0) RETURNING boutique_id, quantite_stock",
);
static STOCK: Sql = Sql::both("SELECT quantite_stock FROM articles WHERE id = $1");
static LEDGER: Sql = Sql::both(
    "INSERT INTO mouvements_stock (boutique_id, article_id, type, quantite, stock_avant, \
     stock_apres, reference, auteur, survente, date_mouvement) \
     VALUES ($1, $2, 'AJUSTEMENT', $3, $4, $5, $6, $7, $8, {now})",
);

/// Adds `by` to an article's stock, or takes it if negative; `who` and `why` go into the ledger.
pub async fn adjust(db: &Db, id: i64, by: i64, who: &str, why: &str) -> Result<Moved, Error> {
    let mut tx = db.begin().await?;
    let Some(row) = tx.row(&ADJUST, args![id, by]).await? else {
        let found = tx.row(&STOCK, args![id]).await?;
        tx.rollback().await?;
        return match found {
            Some(row) => Ok(Moved::TooLittle { stock: row.get("quantite_stock")? }),
            None => Ok(Moved::Unknown),
        };
    };
    let after: i64 = row.get("quantite_stock")?;
    let (shop, before): (i64, i64) = (row.get("boutique_id")?, after - by);
    let values = args![shop, id, by, before, after, why, who, after < 0];
    tx.execute(&LEDGER, values).await?;
    tx.commit().await?;
    Ok(Moved::Done { before, after })
}

macro_rules! alerts {
    ($which:literal) => {
        concat!(
            "SELECT l.id, l.boutique_id, b.nom AS boutique, l.article_id, a.nom AS article, \
             l.numero_facture, l.stock_demande, l.stock_disponible, l.creee_le \
             FROM alertes_stock l JOIN boutiques b ON b.id = l.boutique_id \
             JOIN articles a ON a.id = l.article_id WHERE NOT l.traitee AND l.id < $1 ",
            $which,
            "ORDER BY l.id DESC LIMIT $2"
        )
    };
}

/// Alerts below the id `before` that nobody has settled, newest first.
pub async fn alerts(
    db: &Db,
    shop: Option<i64>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Alert>, Error> {
    static ALL: Sql = Sql::both(alerts!(""));
    static OF: Sql = Sql::both(alerts!("AND l.boutique_id = $3 "));
    let mut values = args![before.unwrap_or(i64::MAX), i64::from(limit)];
    values.extend(shop.map(db::Value::from));
    let rows = db.read(if shop.is_some() { &OF } else { &ALL }, values).await?;
    rows.iter().map(alert).collect()
}

static SETTLE: Sql = Sql::both(
    "UPDATE alertes_stock SET traitee = TRUE, traitee_par = $2, traitee_le = {now}, \
     traitee_motif = $3 WHERE id = $1 AND NOT traitee RETURNING id",
);
static KNOWN: Sql = Sql::both("SELECT id FROM alertes_stock WHERE id = $1");

/// Notes that somebody has dealt with an alert.
pub async fn settle(db: &Db, id: i64, by: &str, why: &str) -> Result<Settled, Error> {
    settle_by(db, [&SETTLE, &KNOWN], id, by, why).await
}

fn article(row: &Row) -> Result<Article, Error> {
    Ok(Article {
        id: row.get("id")?,
        shop_id: row.get("boutique_id")?,
        shop: row.get("boutique")?,
        name: row.get("nom")?,
        code: row.get("code")?,
        stock: row.get("quantite_stock")?,
        active: row.get("actif")?,
    })
}

fn alert(row: &Row) -> Result<Alert, Error> {
    Ok(Alert {
        id: row.get("id")?,
        shop_id: row.get("boutique_id")?,
        shop: row.get("boutique")?,
        article_id: row.get("article_id")?,
        article: row.get("article")?,
        number: row.get("numero_facture")?,
        asked: row.get("stock_demande")?,
        available: row.get("stock_disponible")?,
        at: row.get("creee_le")?,
    })
}
