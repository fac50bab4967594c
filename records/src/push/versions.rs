//! What each version of an entity held, kept for 90 days.

use super::KEPT_MS;
use super::content::{Content, Kind};
use super::members::data_of;
use super::scope;
use super::stored::{self, Stored};
use chrono::{DateTime, Utc};
use db::{Db, Error, Row, Sql, Tx, Value, args, instant_text};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
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

/// A version as it is written.
#[derive(Serialize)]
pub(super) struct Kept {
    entity_type: &'static str,
    entity_id: Uuid,
    version: i64,
    deleted: bool,
    data: String,
    updated_at: String,
}

impl Kept {
    /// What an entity holds now.
    pub(super) fn of(id: Uuid, state: &Stored) -> Self {
        Self {
            entity_type: state.content.kind().as_str(),
            entity_id: id,
            version: state.version,
            deleted: state.deleted,
            data: state.content.json(),
            updated_at: instant_text(state.updated_at),
        }
    }
}

macro_rules! keep {
    ($select:literal) => {
        concat!(
            "INSERT INTO entity_versions (site_id, entity_type, entity_id, version, deleted, data, \
             updated_at, source, created_at) SELECT $1, ",
            $select
        )
    };
}

/// $1 site, $2 versions, $3 what made them.
static KEEP: Sql = Sql::each(
    keep!(
        "entity_type, entity_id, version, deleted, data::json, updated_at, $3, {now} \
         FROM json_to_recordset($2) AS w(entity_type text, entity_id uuid, version bigint, \
         deleted boolean, data text, updated_at timestamptz)"
    ),
    keep!(
        "value ->> 'entity_type', value ->> 'entity_id', value ->> 'version', \
         value ->> 'deleted', value ->> 'data', value ->> 'updated_at', $3, {now} FROM json_each($2)"
    ),
);

/// Keeps versions.
pub(super) async fn keep(
    tx: &mut Tx,
    site: i64,
    versions: &[Kept],
    source: &str,
) -> Result<(), Error> {
    if versions.is_empty() {
        return Ok(());
    }
    let json = serde_json::to_string(versions).expect("versions are plain data");
    tx.execute(&KEEP, args![site, Value::json(json), source]).await.map(drop)
}

/// One version of one entity.
#[derive(Serialize)]
pub(super) struct Wanted {
    pub(super) entity_type: &'static str,
    pub(super) entity_id: Uuid,
    pub(super) version: i64,
}

/// A version that a client may have started from.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) content: Content,
    pub(super) deleted: bool,
}

macro_rules! bases {
    ($wanted:literal) => {
        concat!(
            "SELECT v.entity_type, v.entity_id, v.version, v.deleted, v.data FROM entity_versions v \
             JOIN (SELECT ",
            $wanted,
            ") w ON v.entity_type = w.entity_type AND v.entity_id = w.entity_id \
             AND v.version = w.version WHERE v.site_id = $1 AND v.created_at >= {after $3}"
        )
    };
}

/// $1 site, $2 what is wanted, $3 age in ms (negative).
static BASES: Sql = Sql::each(
    bases!(
        "DISTINCT entity_type, entity_id, version FROM json_to_recordset($2) AS \
         x(entity_type text, entity_id uuid, version bigint)"
    ),
    bases!(
        "DISTINCT value ->> 'entity_type' AS entity_type, value ->> 'entity_id' AS entity_id, \
         value ->> 'version' AS version FROM json_each($2)"
    ),
);

/// What the wanted versions held, as far as they are still kept.
pub(super) async fn bases(
    tx: &mut Tx,
    site: i64,
    wanted: &[Wanted],
) -> Result<HashMap<(Kind, Uuid, i64), Base>, Error> {
    let mut found = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let json = serde_json::to_string(wanted).expect("names are plain data");
    for row in tx.rows(&BASES, args![site, Value::json(json), -KEPT_MS]).await? {
        let word: String = row.get("entity_type")?;
        let text: String = row.get("data")?;
        let raw: Result<&RawValue, _> = serde_json::from_str(&text);
        let read = Kind::parse(&word).zip(raw.ok());
        // It was read strictly before it was kept.
        let Some((kind, Ok(content))) = read.map(|(kind, raw)| (kind, data_of(kind, raw))) else {
            continue;
        };
        let base = Base { content, deleted: row.get("deleted")? };
        found.insert((kind, row.get("entity_id")?, row.get("version")?), base);
    }
    Ok(found)
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
    let mut tx = scope::reading(db, Some(site)).await?;
    let versions: Vec<_> =
        tx.rows(&LIST, values).await?.iter().map(version).collect::<Result<_, _>>()?;
    if versions.is_empty() && stored::find(&mut tx, site, kind, id).await?.is_none() {
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
