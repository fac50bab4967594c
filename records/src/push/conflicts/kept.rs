//! Keeping a conflict that a push has met.

use crate::digest::sha256_hex;
use crate::push::content::Kind;
use crate::push::decide::Winner;
use crate::push::item::Item;
use crate::push::stored::Stored;
use chrono::{DateTime, Utc};
use db::{Error, Sql, Tx, Value, args};
use uuid::Uuid;

/// What a push has met.
pub(crate) struct Found<'a> {
    pub(crate) site: i64,
    pub(crate) kind: &'static str,
    pub(crate) item: &'a Item,
    /// As far as the client's clock is believed.
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) server: Option<&'a Stored>,
}

macro_rules! insert {
    ($rest:literal) => {
        Sql::both(concat!(
            "INSERT INTO sync_conflicts (id, site_id, entity_type, entity_id, kind, strategy, \
             base_version, base, server_version, server_rev, client_op, client_version, \
             client_updated_at, fields, empreinte, status, resolution, result_rev, resolved_by, \
             resolved_at, seen_at, created_at) \
             VALUES ($1, $2, $3, $4, $5, 'lww', $6, (SELECT data FROM entity_versions v \
             WHERE v.site_id = $2 AND v.entity_type = $3 AND v.entity_id = $4 AND v.version = $6), \
             $7, $8, $9, $10, $11, $12, $13, ",
            $rest
        ))
    };
}

static KEEP_OPEN: Sql = insert!(
    "'open', NULL, NULL, NULL, NULL, {now}, {now}) \
     ON CONFLICT (site_id, entity_type, entity_id) WHERE status = 'open' DO UPDATE SET \
     kind = excluded.kind, base_version = excluded.base_version, base = excluded.base, \
     server_version = excluded.server_version, server_rev = excluded.server_rev, \
     client_op = excluded.client_op, client_version = excluded.client_version, \
     client_updated_at = excluded.client_updated_at, fields = excluded.fields, \
     empreinte = excluded.empreinte, seen = sync_conflicts.seen + 1, seen_at = excluded.seen_at \
     RETURNING id"
);

static KEEP_RESOLVED: Sql = insert!(
    "'resolved', $14, $15, 'policy:lww', {now}, {now}, {now}) \
     ON CONFLICT (site_id, entity_type, entity_id, empreinte) \
     WHERE status = 'resolved' AND resolved_by = 'policy:lww' DO UPDATE SET \
     seen = sync_conflicts.seen + 1, seen_at = excluded.seen_at RETURNING id"
);

/// Keeps a conflict, or counts it if it is there; `decided` is the winner by the strategy and the
/// entity's version after it. Returns its id.
pub(crate) async fn keep(
    tx: &mut Tx,
    found: &Found<'_>,
    decided: Option<(Winner, Option<i64>)>,
) -> Result<Uuid, Error> {
    let item = found.item;
    let (server, client) = (found.server, item.content.as_ref());
    let fields = match (server, client) {
        (Some(server), Some(client)) => server.content.differing(client),
        _ => Vec::new(),
    };
    let server_rev = server.map(|state| state.version);
    let client_json = client.map(|content| content.json());
    let op = if client.is_some() { "upsert" } else { "delete" };
    let print = serde_json::to_string(&(found.kind, server_rev, op, &client_json));
    let mut values = args![
        Uuid::now_v7(),
        found.site,
        Kind::as_str(item.kind),
        item.id,
        found.kind,
        item.base_version,
        Value::Json(server.map(|state| state.content.json())),
        server_rev,
        op,
        Value::Json(client_json),
        found.updated_at,
        Value::json(serde_json::to_string(&fields).expect("names are plain data")),
        sha256_hex(&print.expect("plain data")),
    ];
    let sql = match decided {
        None => &KEEP_OPEN,
        Some((winner, result_rev)) => {
            let winner = match winner {
                Winner::Server => "server",
                Winner::Client => "client",
            };
            values.extend(args![winner, result_rev]);
            &KEEP_RESOLVED
        }
    };
    let row = tx.row(sql, values).await?;
    row.expect("the statement inserts or counts").get("id")
}
