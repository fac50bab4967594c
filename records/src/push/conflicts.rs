//! Conflicts, kept with both sides (D-43): one open one per entity, and one row for repeats.

mod kept;

pub(super) use kept::{Conflicts, Found};

use super::KEPT_MS;
use super::content::Kind;
use super::scope;
use super::stored::{self, Stored};
use chrono::{DateTime, Utc};
use db::{Db, Error, Row, Sql, Tx, args};
use std::collections::HashMap;
use uuid::Uuid;

/// A conflict with both its sides; JSON members are texts.
#[derive(Debug, Clone)]
pub struct Conflict {
    pub id: Uuid,
    pub site_id: i64,
    pub entity: Kind,
    pub entity_id: Uuid,
    pub kind: String,
    pub strategy: String,
    pub base_version: Option<i64>,
    pub base: Option<String>,
    pub server: Option<String>,
    pub server_rev: Option<i64>,
    pub client_op: String,
    pub client: Option<String>,
    pub client_updated_at: DateTime<Utc>,
    pub fields: String,
    pub status: String,
    pub resolution: Option<String>,
    pub resolved_version: Option<String>,
    pub result_rev: Option<i64>,
    pub resolved_by: Option<String>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub seen: i64,
    pub seen_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

macro_rules! select {
    ($rest:literal) => {
        Sql::both(concat!(
            "SELECT id, site_id, entity_type, entity_id, kind, strategy, base_version, base, \
             server_version, server_rev, client_op, client_version, client_updated_at, fields, \
             status, resolution, resolved_version, result_rev, resolved_by, resolved_at, seen, \
             seen_at, created_at FROM sync_conflicts WHERE ",
            $rest
        ))
    };
}

impl Conflict {
    /// Names this state of it: the server's version (D-44), and another one also when the site
    /// repeated its change or somebody resolved it.
    pub fn tag(&self) -> String {
        let mut tag = self.server_rev.unwrap_or_default().to_string();
        if self.seen > 1 {
            tag.push_str(&format!("-{}", self.seen));
        }
        if !self.is_open() {
            tag.push_str(&format!("-{}", self.status));
        }
        format!("\"{tag}\"")
    }

    /// As long as it is open, the server's side is what the server has now.
    pub(super) fn with_server(mut self, now: Option<&Stored>) -> Self {
        self.server_rev = now.map(|state| state.version);
        self.server = now.map(|state| state.content.json());
        self
    }

    pub fn is_open(&self) -> bool {
        self.status == "open"
    }
}

/// $1 id, $2 site or null for any. Foreign and missing look alike.
static FIND: Sql = select!("id = $1 AND site_id = COALESCE($2, site_id)");
static LOCK: Sql = select!("id = $1 AND site_id = COALESCE($2, site_id) {lock}");

/// The conflict, if `site` may see it; `None` sees all sites'.
pub async fn find(db: &Db, site: Option<i64>, id: Uuid) -> Result<Option<Conflict>, Error> {
    let mut tx = scope::reading(db, site).await?;
    let Some(conflict) = look(&mut tx, site, id).await? else { return Ok(None) };
    if !conflict.is_open() {
        return Ok(Some(conflict));
    }
    let (owner, kind) = (conflict.site_id, conflict.entity);
    let now = stored::find(&mut tx, owner, kind, conflict.entity_id).await?;
    Ok(Some(conflict.with_server(now.as_ref())))
}

/// The conflict as it is kept.
pub(super) async fn look(
    tx: &mut Tx,
    site: Option<i64>,
    id: Uuid,
) -> Result<Option<Conflict>, Error> {
    tx.row(&FIND, args![id, site]).await?.as_ref().map(conflict).transpose()
}

pub(super) async fn lock(
    tx: &mut Tx,
    site: Option<i64>,
    id: Uuid,
) -> Result<Option<Conflict>, Error> {
    tx.row(&LOCK, args![id, site]).await?.as_ref().map(conflict).transpose()
}

/// $1 site or null, $2 status or null, $3 id below which or null, $4 limit.
static LIST: Sql = Sql::each(
    "SELECT id, site_id, entity_type, entity_id, kind, strategy, base_version, base, \
     server_version, server_rev, client_op, client_version, client_updated_at, fields, \
     status, resolution, resolved_version, result_rev, resolved_by, resolved_at, seen, \
     seen_at, created_at FROM sync_conflicts WHERE ($1::bigint IS NULL OR site_id = $1) \
     AND ($2::text IS NULL OR status = $2) AND ($3::uuid IS NULL OR id < $3) \
     ORDER BY id DESC LIMIT $4",
    "SELECT id, site_id, entity_type, entity_id, kind, strategy, base_version, base, \
     server_version, server_rev, client_op, client_version, client_updated_at, fields, \
     status, resolution, resolved_version, result_rev, resolved_by, resolved_at, seen, \
     seen_at, created_at FROM sync_conflicts WHERE ($1 IS NULL OR site_id = $1) \
     AND ($2 IS NULL OR status = $2) AND ($3 IS NULL OR id < $3) \
     ORDER BY id DESC LIMIT $4",
);

/// Conflicts, newest first, with the server's side as it was last seen.
pub async fn list(
    db: &Db,
    site: Option<i64>,
    status: Option<&str>,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Conflict>, Error> {
    let values = args![site, status, before, i64::from(limit)];
    let mut tx = scope::reading(db, site).await?;
    tx.rows(&LIST, values).await?.iter().map(conflict).collect()
}

fn conflict(row: &Row) -> Result<Conflict, Error> {
    let word: String = row.get("entity_type")?;
    Ok(Conflict {
        id: row.get("id")?,
        site_id: row.get("site_id")?,
        // The schema knows the two types.
        entity: Kind::parse(&word).unwrap_or(Kind::Ticket),
        entity_id: row.get("entity_id")?,
        kind: row.get("kind")?,
        strategy: row.get("strategy")?,
        base_version: row.get("base_version")?,
        base: row.get("base")?,
        server: row.get("server_version")?,
        server_rev: row.get("server_rev")?,
        client_op: row.get("client_op")?,
        client: row.get("client_version")?,
        client_updated_at: row.get("client_updated_at")?,
        fields: row.get("fields")?,
        status: row.get("status")?,
        resolution: row.get("resolution")?,
        resolved_version: row.get("resolved_version")?,
        result_rev: row.get("result_rev")?,
        resolved_by: row.get("resolved_by")?,
        resolved_at: row.get("resolved_at")?,
        seen: row.get("seen")?,
        seen_at: row.get("seen_at")?,
        created_at: row.get("created_at")?,
    })
}

/// The open conflicts of the site's entities, locked in the order of their ids.
pub(super) async fn of_entities(
    tx: &mut Tx,
    site: i64,
    ids: Vec<Uuid>,
) -> Result<Conflicts, Error> {
    static OPEN: Sql = Sql::both(
        "SELECT id, entity_type, entity_id FROM sync_conflicts WHERE site_id = $1 \
         AND entity_id = ANY($2) AND status = 'open' ORDER BY id {lock}",
    );
    let mut open = HashMap::new();
    for row in tx.rows(&OPEN, args![site, ids]).await? {
        let word: String = row.get("entity_type")?;
        if let Some(kind) = Kind::parse(&word) {
            open.insert((kind, row.get("entity_id")?), row.get("id")?);
        }
    }
    Ok(Conflicts::new(open))
}

/// $1 age in ms (negative), $2 limit.
static PRUNE: Sql = Sql::both(
    "DELETE FROM sync_conflicts WHERE id IN (SELECT id FROM sync_conflicts \
     WHERE status <> 'open' AND seen_at < {after $1} ORDER BY seen_at LIMIT $2)",
);

/// Removes at most `limit` conflicts that were settled long ago; returns how many.
pub async fn prune(db: &Db, limit: u32) -> Result<u64, Error> {
    db.execute(&PRUNE, args![-KEPT_MS, i64::from(limit)]).await
}
