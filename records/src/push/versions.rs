//! What each version of an entity held, kept for 90 days.

use super::KEPT_MS;
use super::content::Kind;
use super::stored::{self, Stored};
use chrono::{DateTime, Utc};
use db::{Db, Error, Row, Sql, Tx, Value, args};
use uuid::Uuid;

/// One version.
#[derive(Debug, Clone)]
pub struct Version {
    pub version: i64,
    pub deleted: bool,
    /// JSON text; of a tombstone the last content.
    pub data: String,
    pub updated_at: DateTime<Utc>,
    /// The job that made it, or who resolved a conflict.
    pub source: String,
    pub created_at: DateTime<Utc>,
}

static KEEP: Sql = Sql::both(
    "INSERT INTO entity_versions (site_id, entity_type, entity_id, version, deleted, data, \
     updated_at, source, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, {now})",
);

/// Keeps what an entity holds now.
pub(super) async fn keep(
    tx: &mut Tx,
    site: i64,
    id: Uuid,
    state: &Stored,
    source: &str,
) -> Result<(), Error> {
    let values = args![
        site,
        state.content.kind().as_str(),
        id,
        state.version,
        state.deleted,
        Value::json(state.content.json()),
        state.updated_at,
        source,
    ];
    tx.execute(&KEEP, values).await.map(drop)
}

/// $1 site, $2 type, $3 id, $4 version below which, $5 limit, $6 age in ms (negative).
static LIST: Sql = Sql::both(
    "SELECT version, deleted, data, updated_at, source, created_at FROM entity_versions \
     WHERE site_id = $1 AND entity_type = $2 AND entity_id = $3 AND version < $4 \
     AND created_at >= {after $6} ORDER BY version DESC LIMIT $5",
);

/// Versions below `before`, newest first; `None` if the site has no such entity.
pub async fn list(
    db: &Db,
    site: i64,
    kind: Kind,
    id: Uuid,
    before: i64,
    limit: u32,
) -> Result<Option<Vec<Version>>, Error> {
    let values = args![site, kind.as_str(), id, before, i64::from(limit), -KEPT_MS];
    let versions: Vec<_> =
        db.read(&LIST, values).await?.iter().map(version).collect::<Result<_, _>>()?;
    if versions.is_empty() && stored::find(db, site, kind, id).await?.is_none() {
        return Ok(None);
    }
    Ok(Some(versions))
}

fn version(row: &Row) -> Result<Version, Error> {
    Ok(Version {
        version: row.get("version")?,
        deleted: row.get("deleted")?,
        data: row.get("data")?,
        updated_at: row.get("updated_at")?,
        source: row.get("source")?,
        created_at: row.get("created_at")?,
    })
}

/// $1 age in ms (negative), $2 limit.
static PRUNE: Sql = Sql::both(
    "DELETE FROM entity_versions WHERE (site_id, entity_type, entity_id, version) IN \
     (SELECT site_id, entity_type, entity_id, version FROM entity_versions \
     WHERE created_at < {after $1} ORDER BY created_at LIMIT $2)",
);

/// Removes at most `limit` versions that are too old; returns how many.
pub async fn prune(db: &Db, limit: u32) -> Result<u64, Error> {
    db.execute(&PRUNE, args![-KEPT_MS, i64::from(limit)]).await
}
