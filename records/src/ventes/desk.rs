//! What people look at and settle by hand, across shops: refused sales (D-15), and what became of
//! an invoice number. Settled means that somebody has dealt with it; nothing is removed.

use super::sale::normal_number;
use chrono::{DateTime, Utc};
use db::{Db, Error, Row, Sql, args};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// A refused sale.
#[derive(Debug, Clone, Serialize)]
pub struct RefusedSale {
    pub id: i64,
    pub shop_id: i64,
    pub shop: String,
    /// The terminal's serial number.
    pub terminal: String,
    pub number: Option<String>,
    pub code: String,
    pub message: String,
    /// As the terminal sent it.
    pub sent: Option<Box<RawValue>>,
    pub tries: i64,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub settled: bool,
    /// `auto` if it has succeeded since.
    pub settled_by: Option<String>,
    pub settled_at: Option<DateTime<Utc>>,
    pub settled_why: Option<String>,
}

/// A sale that is in the books.
#[derive(Debug, Clone, Serialize)]
pub struct BookedSale {
    pub shop_id: i64,
    pub shop: String,
    pub terminal: String,
    pub number: String,
    /// Exact, as text with two decimals.
    #[serde(serialize_with = "amount")]
    pub total: Decimal,
    pub sold_at: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
    /// The job that booked it.
    pub job_id: Uuid,
    /// The terminal was sent an answer that says so, and took it.
    pub reported: bool,
    /// How often it was sent again since then.
    pub duplicates: i64,
}

/// What became of a number.
#[derive(Debug, Clone, Serialize)]
pub struct Fate {
    pub booked: Vec<BookedSale>,
    pub refused: Vec<RefusedSale>,
}

/// What came of settling something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Now,
    Before,
    Unknown,
}

macro_rules! refused {
    ($which:literal) => {
        concat!(
            "SELECT r.id, r.boutique_id, b.nom AS boutique, t.numero_serie, r.numero_facture, \
             r.raison, r.message, r.donnees, r.tentatives, r.premiere_tentative, \
             r.derniere_tentative, r.traitee, r.traitee_par, r.traitee_le, r.traitee_motif \
             FROM ventes_rejetees r JOIN boutiques b ON b.id = r.boutique_id \
             JOIN terminaux t ON t.id = r.terminal_id WHERE ",
            $which,
            " ORDER BY r.id DESC LIMIT $1"
        )
    };
}

static OPEN: Sql = Sql::both(refused!("NOT r.traitee AND r.id < $2"));
static ALL: Sql = Sql::both(refused!("r.id < $2"));
static OPEN_OF: Sql = Sql::both(refused!("NOT r.traitee AND r.id < $2 AND r.boutique_id = $3"));
static ALL_OF: Sql = Sql::both(refused!("r.id < $2 AND r.boutique_id = $3"));

/// Refused sales below the id `before`, newest first; those that were settled only if `all`.
pub async fn refused(
    db: &Db,
    shop: Option<i64>,
    all: bool,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<RefusedSale>, Error> {
    let sql = match (all, shop) {
        (false, None) => &OPEN,
        (true, None) => &ALL,
        (false, Some(_)) => &OPEN_OF,
        (true, Some(_)) => &ALL_OF,
    };
    let mut values = args![i64::from(limit), before.unwrap_or(i64::MAX)];
    values.extend(shop.map(db::Value::from));
    db.read(sql, values).await?.iter().map(refused_sale).collect()
}

/// Rows per table that one number shows: it is a shop's own, so there are few.
const FATES: i64 = 100;

static BOOKED: Sql = Sql::both(
    "SELECT v.boutique_id, b.nom AS boutique, t.numero_serie, v.numero_facture, v.montant_total, \
     v.date_vente, v.recue_le, v.job_id, v.doublons, v.remise_le IS NOT NULL OR EXISTS \
     (SELECT 1 FROM remises WHERE remises.job_id = v.rapportee_par) AS remise \
     FROM boutiques b JOIN ventes v ON v.boutique_id = b.id AND v.numero_facture = $2 \
     JOIN terminaux t ON t.id = v.terminal_id ORDER BY v.boutique_id LIMIT $1",
);
static REFUSED: Sql = Sql::both(refused!("r.numero_facture = $2"));

/// What became of an invoice number, in whatever shop.
pub async fn fate(db: &Db, number: &str) -> Result<Fate, Error> {
    let Some(number) = normal_number(number) else {
        return Ok(Fate { booked: Vec::new(), refused: Vec::new() });
    };
    let booked = db.read(&BOOKED, args![FATES, number.as_str()]).await?;
    let refused = db.read(&REFUSED, args![FATES, number]).await?;
    Ok(Fate {
        booked: booked.iter().map(booked_sale).collect::<Result<_, _>>()?,
        refused: refused.iter().map(refused_sale).collect::<Result<_, _>>()?,
    })
}

/// $1 id, $2 by whom, $3 why.
static SETTLE: Sql = Sql::both(
    "UPDATE ventes_rejetees SET traitee = TRUE, traitee_par = $2, traitee_le = {now}, \
     traitee_motif = $3 WHERE id = $1 AND NOT traitee RETURNING id",
);
static KNOWN: Sql = Sql::both("SELECT id FROM ventes_rejetees WHERE id = $1");

/// Notes that somebody has dealt with a refused sale. Sent again, it is tried again all the same.
pub async fn settle(db: &Db, id: i64, by: &str, why: &str) -> Result<Settled, Error> {
    settle_by(db, [&SETTLE, &KNOWN], id, by, why).await
}

/// Settles with the first statement; the second tells whether there is such a thing.
pub(super) async fn settle_by(
    db: &Db,
    [settle, known]: [&'static Sql; 2],
    id: i64,
    by: &str,
    why: &str,
) -> Result<Settled, Error> {
    if !db.write(settle, args![id, by, why]).await?.is_empty() {
        return Ok(Settled::Now);
    }
    let known = db.read_one(known, args![id]).await?.is_some();
    Ok(if known { Settled::Before } else { Settled::Unknown })
}

fn refused_sale(row: &Row) -> Result<RefusedSale, Error> {
    let sent: Option<String> = row.get("donnees")?;
    Ok(RefusedSale {
        id: row.get("id")?,
        shop_id: row.get("boutique_id")?,
        shop: row.get("boutique")?,
        terminal: row.get("numero_serie")?,
        number: row.get("numero_facture")?,
        code: row.get("raison")?,
        message: row.get("message")?,
        sent: sent.and_then(|text| RawValue::from_string(text).ok()),
        tries: row.get("tentatives")?,
        first_at: row.get("premiere_tentative")?,
        last_at: row.get("derniere_tentative")?,
        settled: row.get("traitee")?,
        settled_by: row.get("traitee_par")?,
        settled_at: row.get("traitee_le")?,
        settled_why: row.get("traitee_motif")?,
    })
}

fn booked_sale(row: &Row) -> Result<BookedSale, Error> {
    Ok(BookedSale {
        shop_id: row.get("boutique_id")?,
        shop: row.get("boutique")?,
        terminal: row.get("numero_serie")?,
        number: row.get("numero_facture")?,
        total: row.get("montant_total")?,
        sold_at: row.get("date_vente")?,
        received_at: row.get("recue_le")?,
        job_id: row.get("job_id")?,
        reported: row.get("remise")?,
        duplicates: row.get("doublons")?,
    })
}

fn amount<S: serde::Serializer>(total: &Decimal, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&super::money::print(*total))
}
