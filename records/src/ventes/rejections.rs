//! Refused sales as a shop's terminals may look at them, newest first (D-15).

use chrono::{DateTime, SecondsFormat, Utc};
use db::{Error, Row, Sql, Tx, args};
use serde::Serialize;
use serde_json::value::RawValue;

/// A refused sale.
#[derive(Debug, Serialize)]
pub struct RejectedSale {
    pub id: i64,
    pub numero_facture: Option<String>,
    pub raison: String,
    pub message: String,
    /// As the terminal sent it; `null` here if it is longer than 64 KiB.
    pub donnees: Option<Box<RawValue>>,
    pub article_id: Option<i64>,
    pub stock_demande: Option<i64>,
    pub stock_disponible: Option<i64>,
    pub terminal: String,
    pub premiere_tentative: String,
    pub derniere_tentative: String,
    pub tentatives: i64,
    pub traitee: bool,
    pub traitee_par: Option<String>,
    pub traitee_le: Option<String>,
}

macro_rules! list {
    ($which:literal) => {
        concat!(
            "SELECT r.id, r.numero_facture, r.raison, r.message, \
             CASE WHEN length(CAST(r.donnees AS text)) <= 65536 THEN r.donnees END AS donnees, \
             r.article_id, r.stock_demande, r.stock_disponible, t.nom AS terminal, \
             r.premiere_tentative, r.derniere_tentative, r.tentatives, r.traitee, r.traitee_par, \
             r.traitee_le FROM ventes_rejetees r JOIN terminaux t ON t.id = r.terminal_id \
             WHERE r.boutique_id = $1 AND r.id < $2 ",
            $which,
            "ORDER BY r.id DESC LIMIT $3"
        )
    };
}

static OPEN: Sql = Sql::both(list!("AND NOT r.traitee "));
static ALL: Sql = Sql::both(list!(""));

/// Refused sales of a shop below the id `before`, newest first, and the id to go on below. Those
/// that somebody or something has dealt with only if `all`.
pub async fn rejections(
    tx: &mut Tx,
    shop_id: i64,
    all: bool,
    before: Option<i64>,
    limit: u32,
) -> Result<(Vec<RejectedSale>, Option<i64>), Error> {
    let sql = if all { &ALL } else { &OPEN };
    let before = before.unwrap_or(i64::MAX);
    let rows = tx.rows(sql, args![shop_id, before, i64::from(limit) + 1]).await?;
    let page = rows.iter().take(limit as usize).map(read).collect::<Result<Vec<_>, _>>()?;
    let more = rows.len() > page.len();
    let next = page.last().filter(|_| more).map(|sale| sale.id);
    Ok((page, next))
}

fn read(row: &Row) -> Result<RejectedSale, Error> {
    let shown = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let sent: Option<String> = row.get("donnees")?;
    Ok(RejectedSale {
        id: row.get("id")?,
        numero_facture: row.get("numero_facture")?,
        raison: row.get("raison")?,
        message: row.get("message")?,
        donnees: sent.and_then(|text| RawValue::from_string(text).ok()),
        article_id: row.get("article_id")?,
        stock_demande: row.get("stock_demande")?,
        stock_disponible: row.get("stock_disponible")?,
        terminal: row.get("terminal")?,
        premiere_tentative: shown(row.get("premiere_tentative")?),
        derniere_tentative: shown(row.get("derniere_tentative")?),
        tentatives: row.get("tentatives")?,
        traitee: row.get("traitee")?,
        traitee_par: row.get("traitee_par")?,
        traitee_le: row.get::<Option<DateTime<Utc>>>("traitee_le")?.map(shown),
    })
}
