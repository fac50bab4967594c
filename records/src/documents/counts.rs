//! How many documents there are and how many of them are on the NAS, without counting them:
//! triggers keep one row per owner.

use super::Viewer;
use chrono::{DateTime, Utc};
use db::{Db, Error, Row, Sql, Tx, args};

/// What `GET /status` tells (R-001-7 to R-001-11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub total: i64,
    pub synced: i64,
    /// When a document of theirs was last sent; it outlives the document.
    pub last_sync: Option<DateTime<Utc>>,
}

/// $1 viewer. Rows are few: one per key that ever had a document.
static COUNTS: Sql = Sql::each(
    "SELECT COALESCE(SUM(total), 0)::bigint AS total, COALESCE(SUM(synced), 0)::bigint AS synced, \
     MAX(last_sync) AS last_sync FROM documents_comptes \
     WHERE $1::text IS NULL OR proprietaire IN ('', $1)",
    "SELECT COALESCE(SUM(total), 0) AS total, COALESCE(SUM(synced), 0) AS synced, \
     MAX(last_sync) AS last_sync FROM documents_comptes \
     WHERE $1 IS NULL OR proprietaire IN ('', $1)",
);

/// The documents that `viewer` sees, in numbers.
pub async fn counts(db: &Db, viewer: &Viewer) -> Result<Counts, Error> {
    let Some(row) = db.read_one(&COUNTS, args![viewer.value()]).await? else {
        return Ok(Counts::default());
    };
    Ok(Counts {
        total: row.get("total")?,
        synced: row.get("synced")?,
        last_sync: row.get("last_sync")?,
    })
}

/// $1 a key's id.
static OCTETS: Sql = Sql::both("SELECT octets FROM documents_comptes WHERE proprietaire = $1");

/// Bytes of all documents of one key.
pub async fn octets(db: &Db, owner: &str) -> Result<i64, Error> {
    sum(db.read_one(&OCTETS, args![owner]).await?.as_ref())
}

/// The same within a transaction that has put one in: nobody else puts one in for this key until
/// it ends.
pub async fn octets_in(tx: &mut Tx, owner: &str) -> Result<i64, Error> {
    sum(tx.row(&OCTETS, args![owner]).await?.as_ref())
}

fn sum(row: Option<&Row>) -> Result<i64, Error> {
    row.map_or(Ok(0), |row| row.get("octets"))
}
