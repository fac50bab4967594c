//! A shop's figures (D-36): articles, what was sold today and this month, what waits for a person.

use super::days::{self, Span};
use super::{Boutique, Turnover, money};
use chrono::{DateTime, Utc};
use db::{Error, Sql, Tx, args};
use serde::Serialize;

/// The answer's `statistiques`.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    pub articles: Articles,
    pub categories: Total,
    pub ventes_jour: Sold,
    pub ventes_mois: Sold,
    /// Refused sales that nobody has dealt with; counted up to 10 000.
    pub ventes_rejetees: Total,
    /// Sales that took stock below zero and that nobody has looked at; counted up to 10 000.
    pub alertes_stock: Total,
}

#[derive(Debug, Clone, Serialize)]
pub struct Articles {
    pub total: i64,
    /// Those with at most as many in stock as configuration says.
    pub stock_bas: i64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Total {
    pub total: i64,
}

/// Number and amount, two decimals as text.
#[derive(Debug, Clone, Serialize)]
pub struct Sold {
    pub nombre: i64,
    pub chiffre_affaires: String,
}

impl From<Turnover> for Sold {
    fn from(turnover: Turnover) -> Self {
        Self { nombre: turnover.nombre, chiffre_affaires: money::print(turnover.chiffre_affaires) }
    }
}

static COUNTS: Sql = Sql::both(
    "SELECT (SELECT count(*) FROM articles WHERE boutique_id = $1 AND actif) AS articles, \
     (SELECT count(*) FROM articles WHERE boutique_id = $1 AND actif AND quantite_stock <= $2) \
     AS bas, \
     (SELECT count(*) FROM (SELECT 1 FROM ventes_rejetees WHERE boutique_id = $1 \
     AND NOT traitee LIMIT 10000) AS r) AS rejetees, \
     (SELECT count(*) FROM (SELECT 1 FROM alertes_stock WHERE boutique_id = $1 \
     AND NOT traitee LIMIT 10000) AS a) AS alertes",
);

/// The figures of a shop as they are `now`. The record knows no categories of articles.
pub async fn figures(
    tx: &mut Tx,
    shop: &Boutique,
    low_stock: i64,
    now: DateTime<Utc>,
) -> Result<Figures, Error> {
    let zone = days::zone(&shop.fuseau);
    let row = tx.row(&COUNTS, args![shop.id, low_stock]).await?;
    let count = |name| row.as_ref().map_or(Ok(0), |row| row.get::<i64>(name));
    Ok(Figures {
        articles: Articles { total: count("articles")?, stock_bas: count("bas")? },
        categories: Total { total: 0 },
        ventes_jour: days::turnover(tx, shop.id, Span::today(zone, now)).await?.into(),
        ventes_mois: days::turnover(tx, shop.id, Span::this_month(zone, now)).await?.into(),
        ventes_rejetees: Total { total: count("rejetees")? },
        alertes_stock: Total { total: count("alertes")? },
    })
}
