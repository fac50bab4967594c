//! Who sends sales: a terminal, known by its serial number alone, and the shop it stands in.

use crate::digest::sha256;
use chrono::{DateTime, Utc};
use db::{Db, Error, Row, Sql, args};
use serde::Serialize;
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// A till.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminal {
    pub id: i64,
    pub numero_serie: String,
    pub nom: String,
    /// Where it stands; none until somebody says so.
    pub boutique: Option<Boutique>,
}

/// A shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boutique {
    pub id: i64,
    pub nom: String,
    /// IANA time zone.
    pub fuseau: String,
}

static TERMINAL: Sql = Sql::both(
    "SELECT t.id, t.numero_serie, t.nom, b.id AS boutique_id, b.nom AS boutique_nom, b.fuseau \
     FROM terminaux t LEFT JOIN boutiques b ON b.id = t.boutique_id \
     WHERE t.numero_serie = $1 AND t.actif",
);

/// The active terminal with exactly this serial number; an inactive one counts as unknown.
pub async fn terminal(db: &Db, serial: &str) -> Result<Option<Terminal>, Error> {
    // PostgreSQL text cannot hold a NUL, so it cannot be asked for one either.
    if serial.is_empty() || serial.contains('\0') {
        return Ok(None);
    }
    db.read_one(&TERMINAL, args![serial]).await?.as_ref().map(read).transpose()
}

static KEY: Sql = Sql::both("SELECT cle_empreinte FROM terminaux WHERE id = $1 AND actif");

/// The same if it also holds the device key that it was paired with (D-32); one that was never
/// paired counts as unknown.
pub async fn terminal_with_key(
    db: &Db,
    serial: &str,
    presented: Option<&str>,
) -> Result<Option<Terminal>, Error> {
    let Some(terminal) = terminal(db, serial).await? else { return Ok(None) };
    let row = db.read_one(&KEY, args![terminal.id]).await?;
    let expected = row.map(|row| row.get::<Option<Vec<u8>>>("cle_empreinte")).transpose()?;
    let (Some(expected), Some(presented)) = (expected.flatten(), presented) else {
        return Ok(None);
    };
    Ok(bool::from(sha256(presented).ct_eq(&expected)).then_some(terminal))
}

/// What came of giving a terminal its key.
#[derive(Debug, PartialEq, Eq)]
pub enum Paired {
    /// The key, which is kept nowhere else.
    Key(String),
    /// It has one already; somebody must wish to replace it.
    Already,
    /// No terminal has this serial number.
    Unknown,
}

static PAIR: Sql = Sql::both(
    "UPDATE terminaux SET cle_empreinte = $2, cle_posee_le = {now} \
     WHERE numero_serie = $1 AND (cle_empreinte IS NULL OR $3) RETURNING id",
);

static EXISTS: Sql = Sql::both("SELECT id FROM terminaux WHERE numero_serie = $1");

/// Gives a terminal a device key, once; another one only if `replace`.
pub async fn pair(db: &Db, serial: &str, replace: bool) -> Result<Paired, Error> {
    let key = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    if !db.write(&PAIR, args![serial, sha256(&key), replace]).await?.is_empty() {
        return Ok(Paired::Key(key));
    }
    let known = db.read_one(&EXISTS, args![serial]).await?.is_some();
    Ok(if known { Paired::Already } else { Paired::Unknown })
}

/// A terminal as operators see it.
#[derive(Debug, Serialize)]
pub struct Till {
    pub serial: String,
    pub name: String,
    pub shop_id: Option<i64>,
    pub shop: Option<String>,
    pub active: bool,
    /// Since when it has its device key.
    pub paired_at: Option<DateTime<Utc>>,
}

macro_rules! tills {
    ($which:literal) => {
        concat!(
            "SELECT t.numero_serie, t.nom, t.boutique_id, b.nom AS boutique, t.actif, \
             t.cle_posee_le FROM terminaux t LEFT JOIN boutiques b ON b.id = t.boutique_id \
             WHERE t.numero_serie > $1",
            $which,
            " ORDER BY t.numero_serie LIMIT $2"
        )
    };
}

static TILLS: Sql = Sql::both(tills!(""));
static TILLS_OF: Sql = Sql::both(tills!(" AND t.boutique_id = $3"));

/// Terminals above the serial number `after`, in its order; those of one shop only, if asked for.
pub async fn tills(
    db: &Db,
    shop: Option<i64>,
    after: &str,
    limit: u32,
) -> Result<Vec<Till>, Error> {
    let sql = if shop.is_some() { &TILLS_OF } else { &TILLS };
    let mut values = args![after, i64::from(limit)];
    values.extend(shop.map(db::Value::from));
    db.read(sql, values).await?.iter().map(till).collect()
}

fn till(row: &Row) -> Result<Till, Error> {
    Ok(Till {
        serial: row.get("numero_serie")?,
        name: row.get("nom")?,
        shop_id: row.get("boutique_id")?,
        shop: row.get("boutique")?,
        active: row.get("actif")?,
        paired_at: row.get("cle_posee_le")?,
    })
}

fn read(row: &Row) -> Result<Terminal, Error> {
    let boutique = match row.get::<Option<i64>>("boutique_id")? {
        Some(id) => {
            Some(Boutique { id, nom: row.get("boutique_nom")?, fuseau: row.get("fuseau")? })
        }
        None => None,
    };
    Ok(Terminal {
        id: row.get("id")?,
        numero_serie: row.get("numero_serie")?,
        nom: row.get("nom")?,
        boutique,
    })
}
