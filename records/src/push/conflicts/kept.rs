//! Conflicts that pushes have met: what they make of the kept ones is worked out in memory and
//! written with the entities.

use crate::digest::sha256_hex;
use crate::push::content::{Content, Kind};
use crate::push::decide::Verdict;
use crate::push::item::Item;
use crate::push::stored::Stored;
use crate::push::strategy::Strategy;
use chrono::{DateTime, Utc};
use db::{Error, Sql, Tx, Value, args, instant_text};
use serde::Serialize;
use std::collections::HashMap;
use uuid::Uuid;

type Key = (Kind, Uuid);

/// What a push has met.
pub(crate) struct Found<'a> {
    pub(crate) kind: &'static str,
    pub(crate) strategy: Strategy,
    pub(crate) item: &'a Item,
    /// As far as the client's clock is believed.
    pub(crate) updated_at: DateTime<Utc>,
    /// What the client started from, as far as it is known.
    pub(crate) base: Option<&'a Content>,
    pub(crate) server: Option<&'a Stored>,
}

/// A conflict as the statements below read it.
#[derive(Debug, Clone, Serialize)]
struct Row {
    id: Uuid,
    entity_type: &'static str,
    entity_id: Uuid,
    kind: &'static str,
    strategy: &'static str,
    base_version: Option<i64>,
    base: Option<String>,
    server_version: Option<String>,
    server_rev: Option<i64>,
    client_op: &'static str,
    client_version: Option<String>,
    client_updated_at: String,
    fields: String,
    /// Equal for a repeat of the same conflict with the same end …
    empreinte: String,
    /// … and of those that policy decided the key by which they are counted.
    repeat_key: Option<String>,
    status: &'static str,
    resolution: Option<&'static str>,
    resolved_version: Option<String>,
    result_rev: Option<i64>,
    resolved_by: Option<String>,
    seen: i64,
}

impl Row {
    fn of(found: &Found<'_>, decided: Option<(&Verdict, Option<i64>)>) -> Self {
        let item = found.item;
        let client = item.content.as_ref();
        let fields = match (found.server, client) {
            (Some(server), Some(client)) => server.content.differing(client),
            _ => Vec::new(),
        };
        let verdict = decided.map(|(verdict, _)| verdict);
        let strategy = found.strategy.as_str();
        let resolution = verdict.map(Verdict::as_str);
        let server_rev = found.server.map(|state| state.version);
        let op = if client.is_some() { "upsert" } else { "delete" };
        let client_version = client.map(|content| content.json());
        let end = (found.kind, strategy, resolution);
        let print = (end, item.base_version, server_rev, op, &client_version);
        let empreinte = sha256_hex(&serde_json::to_string(&print).expect("plain data"));
        Self {
            id: Uuid::now_v7(),
            entity_type: item.kind.as_str(),
            entity_id: item.id,
            kind: found.kind,
            strategy,
            base_version: item.base_version,
            base: found.base.map(|content| content.json()),
            server_version: found.server.map(|state| state.content.json()),
            server_rev,
            client_op: op,
            client_version,
            client_updated_at: instant_text(found.updated_at),
            fields: serde_json::to_string(&fields).expect("names are plain data"),
            repeat_key: resolution.map(|_| empreinte.clone()),
            empreinte,
            status: if decided.is_some() { "resolved" } else { "open" },
            resolution,
            resolved_version: match verdict {
                Some(Verdict::Merge(content)) => Some(content.json()),
                _ => None,
            },
            result_rev: decided.and_then(|(_, version)| version),
            resolved_by: verdict.map(|_| format!("policy:{strategy}")),
            seen: 1,
        }
    }
}

/// Somebody has to decide, unless a later push of the entity is applied.
#[derive(Debug)]
struct Open {
    id: Uuid,
    /// Whether the record has it open.
    is_stored: bool,
    /// Its latest copy, if it was met again.
    row: Option<Row>,
}

/// An open one of the record that was met no more before it ended.
#[derive(Debug, Serialize)]
struct Ended {
    id: Uuid,
    result_rev: i64,
}

/// The conflicts of the entities of one chunk.
#[derive(Debug, Default)]
pub(crate) struct Conflicts {
    open: HashMap<Key, Open>,
    ended: Vec<Ended>,
    /// In the order in which they have to be written.
    superseded: Vec<Row>,
    /// Decided by policy: by what a repeat has in common, with the places in the batch.
    decided: HashMap<(Key, String), (Row, Vec<usize>)>,
}

impl Conflicts {
    /// `stored`: the open ones of the record, locked.
    pub(super) fn new(stored: HashMap<Key, Uuid>) -> Self {
        let open = |(key, id)| (key, Open { id, is_stored: true, row: None });
        Self { open: stored.into_iter().map(open).collect(), ..Self::default() }
    }

    /// Leaves it to people, replacing the copy of an open one; returns its id.
    pub(crate) fn leave_open(&mut self, found: &Found<'_>) -> Uuid {
        let key = (found.item.kind, found.item.id);
        let mut row = Row::of(found, None);
        let new = Open { id: row.id, is_stored: false, row: None };
        let open = self.open.entry(key).or_insert(new);
        row.id = open.id;
        row.seen += open.row.as_ref().map_or(0, |before| before.seen);
        open.row = Some(row);
        open.id
    }

    /// Keeps what policy decided for the entity at `place`; its id is known after [`Self::write`].
    pub(crate) fn decided(
        &mut self,
        found: &Found<'_>,
        verdict: &Verdict,
        version: Option<i64>,
        place: usize,
    ) {
        let row = Row::of(found, Some((verdict, version)));
        let key = ((found.item.kind, found.item.id), row.empreinte.clone());
        match self.decided.get_mut(&key) {
            Some((kept, places)) => {
                kept.seen += 1;
                places.push(place);
            }
            None => drop(self.decided.insert(key, (row, vec![place]))),
        }
    }

    /// A later push of the entity was applied: nobody has to decide any more.
    pub(crate) fn supersede(&mut self, key: Key, result_rev: i64) {
        let Some(open) = self.open.remove(&key) else { return };
        match open.row {
            Some(mut row) => {
                row.status = "superseded";
                row.result_rev = Some(result_rev);
                row.resolved_by = Some("push".to_owned());
                self.superseded.push(row);
            }
            None if open.is_stored => self.ended.push(Ended { id: open.id, result_rev }),
            None => {}
        }
    }

    /// Writes what has come of them; returns ids by places.
    pub(crate) async fn write(self, tx: &mut Tx, site: i64) -> Result<Vec<(usize, Uuid)>, Error> {
        if !self.ended.is_empty() {
            let json = serde_json::to_string(&self.ended).expect("ids are plain data");
            tx.execute(&END, args![site, Value::json(json)]).await?;
        }
        // An entity's ended ones come before its open one: it has one at the most.
        let open = self.open.into_values().filter_map(|open| open.row);
        let rows: Vec<Row> = self.superseded.into_iter().chain(open).collect();
        if !rows.is_empty() {
            let json = serde_json::to_string(&rows).expect("conflicts are plain data");
            tx.execute(&KEEP_OPEN, args![site, Value::json(json)]).await?;
        }
        if self.decided.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<&Row> = self.decided.values().map(|(row, _)| row).collect();
        let json = serde_json::to_string(&rows).expect("conflicts are plain data");
        let mut told = Vec::new();
        for row in tx.rows(&KEEP_DECIDED, args![site, Value::json(json)]).await? {
            let word: String = row.get("entity_type")?;
            let (id, entity): (Uuid, Uuid) = (row.get("id")?, row.get("entity_id")?);
            let Some(kind) = Kind::parse(&word) else { continue };
            let decided = self.decided.get(&((kind, entity), row.get("repeat_key")?));
            let places = decided.into_iter().flat_map(|(_, places)| places);
            told.extend(places.map(|place| (*place, id)));
        }
        Ok(told)
    }
}

macro_rules! insert {
    ($rest:literal) => {
        Sql::each(
            insert!(@text "id, $1, entity_type, entity_id, kind, strategy, base_version, \
             base::json, server_version::json, server_rev, client_op, client_version::json, \
             client_updated_at, fields::json, empreinte, repeat_key, status, resolution, \
             resolved_version::json, result_rev, resolved_by, \
             CASE WHEN status <> 'open' THEN {now} END, seen, {now}, {now} \
             FROM json_to_recordset($2) AS w(id uuid, entity_type text, entity_id uuid, kind text, \
             strategy text, base_version bigint, base text, server_version text, \
             server_rev bigint, client_op text, client_version text, \
             client_updated_at timestamptz, fields text, empreinte text, repeat_key text, status text, \
             resolution text, resolved_version text, result_rev bigint, resolved_by text, \
             seen bigint)", $rest),
            insert!(@text "value ->> 'id', $1, value ->> 'entity_type', value ->> 'entity_id', \
             value ->> 'kind', value ->> 'strategy', value ->> 'base_version', value ->> 'base', \
             value ->> 'server_version', value ->> 'server_rev', value ->> 'client_op', \
             value ->> 'client_version', value ->> 'client_updated_at', value ->> 'fields', \
             value ->> 'empreinte', value ->> 'repeat_key', value ->> 'status', value ->> 'resolution', \
             value ->> 'resolved_version', value ->> 'result_rev', value ->> 'resolved_by', \
             CASE WHEN value ->> 'status' <> 'open' THEN {now} END, value ->> 'seen', {now}, {now} \
             FROM json_each($2)", $rest),
        )
    };
    (@text $select:literal, $rest:literal) => {
        concat!(
            "INSERT INTO sync_conflicts (id, site_id, entity_type, entity_id, kind, strategy, \
             base_version, base, server_version, server_rev, client_op, client_version, \
             client_updated_at, fields, empreinte, repeat_key, status, resolution, resolved_version, \
             result_rev, resolved_by, resolved_at, seen, seen_at, created_at) SELECT ",
            $select, " WHERE TRUE ", $rest
        )
    };
}

static KEEP_OPEN: Sql = insert!(
    "ON CONFLICT (id) DO UPDATE SET \
     kind = excluded.kind, strategy = excluded.strategy, base_version = excluded.base_version, \
     base = excluded.base, server_version = excluded.server_version, \
     server_rev = excluded.server_rev, client_op = excluded.client_op, \
     client_version = excluded.client_version, client_updated_at = excluded.client_updated_at, \
     fields = excluded.fields, empreinte = excluded.empreinte, status = excluded.status, \
     result_rev = excluded.result_rev, resolved_by = excluded.resolved_by, \
     resolved_at = excluded.resolved_at, seen = sync_conflicts.seen + excluded.seen, \
     seen_at = excluded.seen_at"
);

static KEEP_DECIDED: Sql = insert!(
    "ON CONFLICT (site_id, entity_type, entity_id, repeat_key) DO UPDATE SET \
     seen = sync_conflicts.seen + excluded.seen, seen_at = excluded.seen_at \
     RETURNING id, entity_type, entity_id, repeat_key"
);

static END: Sql = Sql::each(
    "UPDATE sync_conflicts c SET status = 'superseded', result_rev = w.result_rev, \
     resolved_at = {now}, resolved_by = 'push' \
     FROM json_to_recordset($2) AS w(id uuid, result_rev bigint) \
     WHERE c.site_id = $1 AND c.id = w.id AND c.status = 'open'",
    "UPDATE sync_conflicts SET status = 'superseded', result_rev = w.rev, resolved_at = {now}, \
     resolved_by = 'push' FROM (SELECT value ->> 'id' AS id, value ->> 'result_rev' AS rev \
     FROM json_each($2)) w WHERE site_id = $1 AND sync_conflicts.id = w.id AND status = 'open'",
);
