//! What a shop's terminals may look back at (D-36): sales, newest first, a page at a time.

use super::money;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use db::{Error, Sql, Tx, args};
use serde::Serialize;
use std::collections::HashMap;

/// Lines of one page, at the most: a page of very long sales is shorter.
const MAX_LINES: i64 = 10_000;

/// A sale as the history shows it.
#[derive(Debug, Clone, Serialize)]
pub struct PastSale {
    pub id: i64,
    pub numero_facture: String,
    pub date_vente: String,
    pub montant_total: String,
    pub mode_paiement: String,
    pub paye: bool,
    pub terminal: String,
    pub lignes: Vec<PastLine>,
}

/// A line of a [`PastSale`].
#[derive(Debug, Clone, Serialize)]
pub struct PastLine {
    pub article_nom: String,
    pub article_code: Option<String>,
    pub quantite: i64,
    pub prix_unitaire: String,
    pub sous_total: String,
}

/// Sales of one shop, and where to go on.
#[derive(Debug)]
pub struct SalesPage {
    pub ventes: Vec<PastSale>,
    pub next: Option<String>,
}

/// The place of a sale in the history; as text it is opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    at: DateTime<Utc>,
    id: i64,
}

impl Place {
    /// Before every sale that can be.
    const END: Self = Self { at: DateTime::<Utc>::MAX_UTC, id: i64::MAX };

    /// Reads what [`SalesPage::next`] said.
    pub fn parse(text: &str) -> Option<Self> {
        let (micros, id) = text.split_once('-')?;
        let at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
        Some(Self { at, id: id.parse().ok()? })
    }

    fn text(self) -> String {
        format!("{}-{}", self.at.timestamp_micros(), self.id)
    }
}

/// Which sales are asked for: made from the first instant on and before the second.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub from: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    pub before: Option<Place>,
    pub limit: u32,
}

static SALES: Sql = Sql::both(
    "SELECT v.id, v.numero_facture, v.date_vente, v.montant_total, v.mode_paiement, v.paye, \
     t.nom AS terminal, (SELECT count(*) FROM lignes_vente l WHERE l.vente_id = v.id) AS lignes \
     FROM ventes v JOIN terminaux t ON t.id = v.terminal_id WHERE v.boutique_id = $1 \
     AND v.date_vente >= $2 AND v.date_vente < $3 AND (v.date_vente, v.id) < ($4, $5) \
     ORDER BY v.date_vente DESC, v.id DESC LIMIT $6",
);

static LINES: Sql = Sql::both(
    "SELECT l.vente_id, l.article_nom, a.code, l.quantite, l.prix_unitaire FROM lignes_vente l \
     JOIN articles a ON a.boutique_id = l.boutique_id AND a.id = l.article_id \
     WHERE l.boutique_id = $1 AND l.vente_id = ANY($2) ORDER BY l.vente_id, l.rang",
);

/// One page of a shop's sales, newest first.
pub async fn page(tx: &mut Tx, shop_id: i64, wanted: &Wanted) -> Result<SalesPage, Error> {
    // Both databases know these years, and no sale is outside of them.
    let bound = |seconds| DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    let (first, last) = (bound(-62_135_596_800), bound(253_370_764_800));
    let inside = |at: DateTime<Utc>| at.clamp(first, last);
    let Place { at, id } = wanted.before.unwrap_or(Place::END);
    let (from, until) = (wanted.from.unwrap_or(first), wanted.until.unwrap_or(last));
    // One bound on the date that says both: SQLite begins there, not at the newest sale.
    let until = until.min(inside(at) + TimeDelta::milliseconds(1));
    let limit = i64::from(wanted.limit);
    let values = args![shop_id, inside(from), inside(until), inside(at), id, limit + 1];
    let rows = tx.rows(&SALES, values).await?;
    let (mut sales, mut places, mut lines) = (Vec::new(), Vec::new(), 0);
    for row in rows.iter().take(wanted.limit as usize) {
        lines += row.get::<i64>("lignes")?;
        if lines > MAX_LINES && !sales.is_empty() {
            break;
        }
        let at: DateTime<Utc> = row.get("date_vente")?;
        places.push(Place { at, id: row.get("id")? });
        sales.push(PastSale {
            id: row.get("id")?,
            numero_facture: row.get("numero_facture")?,
            date_vente: at.to_rfc3339_opts(SecondsFormat::Millis, true),
            montant_total: money::print(row.get("montant_total")?),
            mode_paiement: row.get("mode_paiement")?,
            paye: row.get("paye")?,
            terminal: row.get("terminal")?,
            lignes: Vec::new(),
        });
    }
    let more = rows.len() > sales.len();
    add_lines(tx, shop_id, &mut sales).await?;
    let next = places.last().filter(|_| more).map(|place| place.text());
    Ok(SalesPage { ventes: sales, next })
}

async fn add_lines(tx: &mut Tx, shop_id: i64, sales: &mut [PastSale]) -> Result<(), Error> {
    if sales.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = sales.iter().map(|sale| sale.id).collect();
    let mut by_id: HashMap<i64, &mut PastSale> =
        sales.iter_mut().map(|sale| (sale.id, sale)).collect();
    for row in tx.rows(&LINES, args![shop_id, ids]).await? {
        if let Some(sale) = by_id.get_mut(&row.get("vente_id")?) {
            let (quantity, price) = (row.get::<i64>("quantite")?, row.get("prix_unitaire")?);
            sale.lignes.push(PastLine {
                article_nom: row.get("article_nom")?,
                article_code: row.get("code")?,
                quantite: quantity,
                prix_unitaire: money::print(price),
                sous_total: money::print(price * rust_decimal::Decimal::from(quantity)),
            });
        }
    }
    Ok(())
}
