//! Entities of one transaction: read at once, decided in memory one after another, each seeing what
//! those before it did, and written at once: a few statements, however many entities.

use super::answer::EntityError;
use super::conflicts::{self, Conflicts};
use super::content::{Content, Kind};
use super::item::Item;
use super::stored::{self, Stored};
use super::versions::{self, Base, Kept, Wanted};
use chrono::{DateTime, Utc};
use db::{Error, Tx, failpoint};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

type Key = (Kind, Uuid);

pub(super) struct Chunk {
    site: i64,
    rows: HashMap<Key, Stored>,
    /// Versions that items say they started from, other than the rows'.
    bases: HashMap<(Kind, Uuid, i64), Base>,
    /// Tickets to which lines refer that are none of this chunk's.
    in_use: HashSet<Uuid>,
    pub(super) conflicts: Conflicts,
    /// Rows that are to be written, and versions that they went through.
    changed: HashSet<Key>,
    kept: Vec<Kept>,
}

impl Chunk {
    /// Reads and locks what `items` are about: rows first, then conflicts, each in their order.
    pub(super) async fn load(tx: &mut Tx, site: i64, items: &[&Item]) -> Result<Self, Error> {
        let ids = |kind| items.iter().filter(move |item| item.kind == kind).map(|item| item.id);
        let named = items.iter().filter_map(|item| item.content.as_ref()?.ticket_id());
        let tickets: HashSet<Uuid> = ids(Kind::Ticket).chain(named).collect();
        let lines: HashSet<Uuid> = ids(Kind::ReceptionLine).collect();
        let mut rows = HashMap::new();
        for (kind, ids) in [(Kind::Ticket, &tickets), (Kind::ReceptionLine, &lines)] {
            if !ids.is_empty() {
                let found = stored::load(tx, site, kind, ids.iter().copied().collect()).await?;
                rows.extend(found.into_iter().map(|(id, state)| ((kind, id), state)));
            }
        }
        let all = items.iter().map(|item| item.id).collect();
        let conflicts = conflicts::of_entities(tx, site, all).await?;
        let bases = versions::bases(tx, site, &wanted(items, &rows)).await?;
        let is_deleted = |item: &&&Item| item.kind == Kind::Ticket && item.content.is_none();
        let deleted: Vec<Uuid> = items.iter().filter(is_deleted).map(|item| item.id).collect();
        let in_use = match deleted.is_empty() {
            true => HashSet::new(),
            false => stored::in_use(tx, site, deleted, lines.into_iter().collect()).await?,
        };
        let (changed, kept) = (HashSet::new(), Vec::new());
        Ok(Self { site, rows, bases, in_use, conflicts, changed, kept })
    }

    pub(super) fn row(&self, item: &Item) -> Option<&Stored> {
        self.rows.get(&(item.kind, item.id))
    }

    /// What the item says that it started from, if that was alive and is known.
    pub(super) fn base(&self, item: &Item) -> Option<&Content> {
        let base = self.bases.get(&(item.kind, item.id, item.base_version?))?;
        Some(&base.content).filter(|_| !base.deleted)
    }

    /// Makes `content` the entity's next version, `None` its end; returns the version. Time never
    /// runs back: of a change that knew a newer version the older time counts for nothing.
    pub(super) fn put(
        &mut self,
        item: &Item,
        content: Option<Content>,
        at: DateTime<Utc>,
    ) -> Result<i64, EntityError> {
        let key = (item.kind, item.id);
        let before = self.rows.get(&key);
        self.check_references(item, content.as_ref(), before)?;
        let version = before.map_or(0, |state| state.version) + 1;
        let updated_at = before.map_or(at, |state| state.updated_at.max(at));
        let deleted = content.is_none();
        let last = || before.map(|state| state.content.clone());
        let content = content.or_else(last).expect("only what is there is deleted");
        let state = Stored { version, updated_at, deleted, content };
        self.kept.push(Kept::of(item.id, &state));
        self.changed.insert(key);
        if let Some(Stored { version, deleted, content, .. }) = self.rows.insert(key, state) {
            self.bases.insert((item.kind, item.id, version), Base { content, deleted });
        }
        Ok(version)
    }

    /// A line needs its ticket, and a ticket with lines stays.
    fn check_references(
        &self,
        item: &Item,
        content: Option<&Content>,
        before: Option<&Stored>,
    ) -> Result<(), EntityError> {
        let is_there = |id| self.rows.get(&(Kind::Ticket, id)).is_some_and(|row| !row.deleted);
        // What the entity refers to already cannot have gone.
        let held = before.filter(|row| !row.deleted).and_then(|row| row.content.ticket_id());
        let named = content.and_then(Content::ticket_id).filter(|id| Some(*id) != held);
        if named.is_some_and(|id| !is_there(id)) {
            return Err(unknown_ticket());
        }
        let refers = |row: &Stored| !row.deleted && row.content.ticket_id() == Some(item.id);
        let is_gone = content.is_none() && item.kind == Kind::Ticket;
        if is_gone && (self.in_use.contains(&item.id) || self.rows.values().any(refers)) {
            let message = "id: lines refer to this ticket: delete them first".to_owned();
            return Err(EntityError::new("TICKET_IN_USE", message, Some("id".to_owned())));
        }
        Ok(())
    }

    /// Notes that an equal content is newer than was known: no new version, but what is older than
    /// it has come too late.
    pub(super) fn touch(&mut self, item: &Item, at: DateTime<Utc>) {
        let key = (item.kind, item.id);
        if let Some(row) = self.rows.get_mut(&key).filter(|row| at > row.updated_at) {
            row.updated_at = at;
            self.changed.insert(key);
        }
    }

    /// Writes all of it; versions are said to come from `source`. Returns the ids of conflicts that
    /// policy decided, by their places in the batch.
    pub(super) async fn write(
        self,
        tx: &mut Tx,
        source: &str,
    ) -> Result<Vec<(usize, Uuid)>, Error> {
        for kind in [Kind::Ticket, Kind::ReceptionLine] {
            let changed = self.changed.iter().filter(|(each, _)| *each == kind);
            let states = changed.filter_map(|key| Some((key.1, self.rows.get(key)?)));
            stored::write(tx, self.site, kind, states).await?;
        }
        failpoint::at("written").await?;
        versions::keep(tx, self.site, &self.kept, source).await?;
        self.conflicts.write(tx, self.site).await
    }
}

/// Versions that clients say they started from and that the rows no longer hold.
fn wanted(items: &[&Item], rows: &HashMap<Key, Stored>) -> Vec<Wanted> {
    let of = |item: &&Item| {
        let version = item.base_version.filter(|version| *version > 0)?;
        let row = rows.get(&(item.kind, item.id))?;
        let wanted = Wanted { entity_type: item.kind.as_str(), entity_id: item.id, version };
        (version < row.version).then_some(wanted)
    };
    items.iter().filter_map(of).collect()
}

fn unknown_ticket() -> EntityError {
    let field = "data.ticket_id";
    let message = format!("{field}: there is no such ticket");
    EntityError::new("UNKNOWN_TICKET", message, Some(field.to_owned()))
}
