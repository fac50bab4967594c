//! What a site's record should be: rows in a map, and the rules once more in plain words.

use super::commands::{Command, Content, Entity, Pick};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default, Clone)]
pub(super) struct Model {
    rows: BTreeMap<Entity, Row>,
    open: BTreeSet<Entity>,
}

#[derive(Debug, Clone)]
struct Row {
    version: i64,
    deleted: bool,
    content: Content,
    time: i64,
}

/// What a batch should be answered.
pub(super) struct Expected {
    pub(super) outcomes: Vec<String>,
    pub(super) code: u16,
    pub(super) status: &'static str,
}

impl Model {
    /// 0 if there is no such entity.
    pub(super) fn version(&self, entity: Entity) -> i64 {
        self.rows.get(&entity).map_or(0, |row| row.version)
    }

    pub(super) fn rows(&self) -> BTreeSet<(String, u128, i64, bool, String)> {
        let row = |(entity, row): (&Entity, &Row)| {
            let text = format!("texte {}", row.content.text);
            (entity.kind().to_owned(), entity.number(), row.version, row.deleted, text)
        };
        self.rows.iter().map(row).collect()
    }

    pub(super) fn open(&self) -> BTreeSet<(String, u128)> {
        self.open.iter().map(|entity| (entity.kind().to_owned(), entity.number())).collect()
    }

    pub(super) fn push(&mut self, command: &Command, body: &Value) -> Expected {
        let outcomes =
            if command.atomic { self.whole(command, body) } else { self.each(command, body) };
        let bad = |outcome: &&String| {
            let aborted = command.abort && outcome.starts_with("conflict");
            aborted || outcome.starts_with("failed") || outcome.starts_with("rolled_back")
        };
        let bad = outcomes.iter().filter(bad).count();
        let status = match bad {
            0 => "success",
            bad if bad == outcomes.len() => "failed",
            _ => "partial",
        };
        let code = if command.atomic && status == "failed" { 422 } else { 200 };
        Expected { outcomes, code, status }
    }

    fn each(&mut self, command: &Command, body: &Value) -> Vec<String> {
        let bases = bases(body);
        let items = command.items.iter().zip(bases);
        items.map(|(pick, base)| self.one(pick, base, command.abort)).collect()
    }

    fn whole(&mut self, command: &Command, body: &Value) -> Vec<String> {
        let count = |entity| command.items.iter().filter(|pick| pick.entity == entity).count();
        if command.items.iter().any(|pick| count(pick.entity) > 1) {
            let word = |pick: &Pick| match count(pick.entity) {
                1 => "rolled_back".to_owned(),
                _ => "failed DUPLICATE_ENTITY id".to_owned(),
            };
            return command.items.iter().map(word).collect();
        }
        let before = self.clone();
        let mut outcomes = Vec::new();
        for (index, (pick, base)) in command.items.iter().zip(bases(body)).enumerate() {
            let outcome = self.one(pick, base, command.abort);
            let is_conflict = outcome.starts_with("conflict");
            if outcome.starts_with("failed") || (command.abort && is_conflict) {
                *self = before;
                if is_conflict {
                    self.open.insert(pick.entity);
                }
                let mut all = vec!["rolled_back".to_owned(); command.items.len()];
                all[index] = outcome;
                return all;
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    fn one(&mut self, pick: &Pick, base: Option<i64>, abort: bool) -> String {
        let entity = pick.entity;
        let Some(row) = self.rows.get(&entity).cloned() else {
            return match (base.unwrap_or(0), pick.content) {
                (1.., _) => self.leave_open(entity, "missing_base"),
                (_, None) => "unchanged".to_owned(),
                (_, Some(_)) => self.write(pick).unwrap_or_else(|error| error),
            };
        };
        let same =
            if row.deleted { pick.content.is_none() } else { pick.content == Some(row.content) };
        if same {
            let row = self.rows.get_mut(&entity).unwrap();
            row.time = row.time.max(pick.time);
            self.open.remove(&entity);
            return format!("unchanged {}", row.version);
        }
        if row.content.closed && !row.deleted {
            return self.leave_open(entity, "ticket-closed");
        }
        if base == Some(row.version) {
            return self.write(pick).unwrap_or_else(|error| error);
        }
        let kind = match (row.deleted, pick.content, base) {
            (true, _, _) => "update_vs_delete",
            (_, None, _) => "delete_vs_update",
            (_, _, Some(_)) => "version_mismatch",
            _ => "stale_update",
        };
        let client_wins = !row.deleted && pick.time >= row.time;
        if client_wins && base.is_none() {
            return self.write(pick).unwrap_or_else(|error| error);
        }
        if abort {
            return self.leave_open(entity, kind);
        }
        if client_wins && let Err(error) = self.write(pick) {
            return error;
        }
        format!("conflict {kind} {}", if client_wins { "client" } else { "server" })
    }

    fn leave_open(&mut self, entity: Entity, kind: &str) -> String {
        self.open.insert(entity);
        format!("conflict {kind}")
    }

    fn write(&mut self, pick: &Pick) -> Result<String, String> {
        let is_there = |entity: &Entity| self.rows.get(entity).is_some_and(|row| !row.deleted);
        if let Some(ticket) = pick.content.and_then(|content| content.ticket)
            && !is_there(&Entity::Ticket(ticket))
        {
            return Err("failed UNKNOWN_TICKET data.ticket_id".to_owned());
        }
        let refers = |row: &Row| !row.deleted && row.content.ticket == Some(pick.entity.number());
        let is_ticket = matches!(pick.entity, Entity::Ticket(_));
        if is_ticket && pick.content.is_none() && self.rows.values().any(refers) {
            return Err("failed TICKET_IN_USE id".to_owned());
        }
        let before = self.rows.get(&pick.entity).cloned();
        let row = Row {
            version: before.as_ref().map_or(1, |row| row.version + 1),
            deleted: pick.content.is_none(),
            content: pick.content.or(before.as_ref().map(|row| row.content)).unwrap(),
            time: before.as_ref().map_or(pick.time, |row| row.time.max(pick.time)),
        };
        let word = match (&before, row.deleted) {
            (None, _) => "created",
            (_, true) => "deleted",
            _ => "updated",
        };
        let outcome = format!("{word} {}", row.version);
        self.rows.insert(pick.entity, row);
        self.open.remove(&pick.entity);
        Ok(outcome)
    }
}

fn bases(body: &Value) -> impl Iterator<Item = Option<i64>> {
    let entities = body["entities"].as_array().unwrap();
    entities.iter().map(|entity| entity["base_version"].as_i64())
}
