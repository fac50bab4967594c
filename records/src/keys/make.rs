//! Making, listing and revoking keys.

use super::KEYS_PER_SITE;
use crate::digest::sha256;
use chrono::{DateTime, Utc};
use db::{Db, Error, Row, Sql, args};
use rand::Rng;
use std::fmt::Write;

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub nom: String,
    /// Some of [`super::SCOPES`].
    pub portees: Vec<String>,
    pub site_id: Option<i64>,
    pub expire_le: Option<DateTime<Utc>>,
}

/// A key as it is shown: never its secret.
#[derive(Debug, Clone)]
pub struct Listed {
    pub id: String,
    pub nom: String,
    pub portees: Vec<String>,
    pub site_id: Option<i64>,
    pub cree_le: DateTime<Utc>,
    pub expire_le: Option<DateTime<Utc>>,
    pub revoquee_le: Option<DateTime<Utc>>,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("there is no site {0}: `relais seed` loads sites")]
    NoSite(i64),
    #[error("site {0} has {KEYS_PER_SITE} live keys: revoke one first")]
    TooMany(i64),
    #[error("the key could not be made")]
    Db(#[from] Error),
}

static SITE: Sql = Sql::both("SELECT id FROM sites WHERE id = $1 {lock}");

static LIVE: Sql = Sql::both(
    "SELECT COUNT(*) AS n FROM cles_api WHERE site_id = $1 AND revoquee_le IS NULL \
     AND (expire_le IS NULL OR expire_le > {now})",
);

static INSERT: Sql = Sql::both(
    "INSERT INTO cles_api (id, nom, empreinte, portees, site_id, expire_le, cree_le) \
     VALUES ($1, $2, $3, $4, $5, $6, {now})",
);

/// Makes a key; returns it whole, for the only time.
pub async fn create(db: &Db, new: &NewKey) -> Result<String, KeyError> {
    let mut tx = db.begin().await?;
    if let Some(site) = new.site_id {
        tx.row(&SITE, args![site]).await?.ok_or(KeyError::NoSite(site))?;
        let live: i64 = match tx.row(&LIVE, args![site]).await? {
            Some(row) => row.get("n")?,
            None => 0,
        };
        if usize::try_from(live).is_ok_and(|live| live >= KEYS_PER_SITE) {
            return Err(KeyError::TooMany(site));
        }
    }
    // Recognisable, so that scanners of source code find a key that was left there.
    let id = format!("rk_{}", random_hex::<6>());
    let whole = format!("{id}.{}", random_hex::<32>());
    let (hash, scopes) = (sha256(&whole), new.portees.join(" "));
    let values = args![id, &new.nom, hash, scopes, new.site_id, new.expire_le];
    tx.execute(&INSERT, values).await?;
    tx.commit().await?;
    Ok(whole)
}

/// So many bytes of the operating system's seeding, as small hexadecimal digits.
fn random_hex<const BYTES: usize>() -> String {
    let bytes: [u8; BYTES] = rand::rng().random();
    bytes.iter().fold(String::with_capacity(2 * BYTES), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}

static LIST: Sql = Sql::both(
    "SELECT id, nom, portees, site_id, cree_le, expire_le, revoquee_le FROM cles_api \
     ORDER BY cree_le, id",
);

/// Every key, eldest first.
pub async fn list(db: &Db) -> Result<Vec<Listed>, Error> {
    db.read(&LIST, args![]).await?.iter().map(listed).collect()
}

fn listed(row: &Row) -> Result<Listed, Error> {
    let scopes: String = row.get("portees")?;
    Ok(Listed {
        id: row.get("id")?,
        nom: row.get("nom")?,
        portees: scopes.split_whitespace().map(str::to_owned).collect(),
        site_id: row.get("site_id")?,
        cree_le: row.get("cree_le")?,
        expire_le: row.get("expire_le")?,
        revoquee_le: row.get("revoquee_le")?,
    })
}

static REVOKE: Sql = Sql::both(
    "UPDATE cles_api SET revoquee_le = COALESCE(revoquee_le, {now}) WHERE id = $1 RETURNING id",
);

/// Ends a key at once, for good; `false` if there is none.
pub async fn revoke(db: &Db, id: &str) -> Result<bool, Error> {
    Ok(!db.write(&REVOKE, args![id]).await?.is_empty())
}
