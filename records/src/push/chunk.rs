//! Entities of one transaction: what was read once for all of them, kept in step with what they do.

use super::answer::{ConflictRef, EntityError, EntityResult, Status};
use super::apply::Origin;
use super::clock::effective;
use super::conflicts::{self, Found};
use super::content::Kind;
use super::decide::{self, Decision, Winner, decide};
use super::item::{Item, Label};
use super::stored::{self, Stored};
use super::{OnConflict, versions};
use chrono::{DateTime, Utc};
use db::{Error, Tx, failpoint};
use futures::FutureExt;
use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use uuid::Uuid;

/// What ends the work on one entity: it cannot be, and has left nothing; or a fault, which may have.
pub(super) enum Stop {
    Failed(EntityError),
    Panicked,
    Db(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Db(error)
    }
}

/// A row that somebody else made meanwhile is no mistake of the entity's: the transaction is to
/// be tried again.
pub(super) fn is_transient(error: &Error) -> bool {
    error.is_transient() || matches!(error, Error::Duplicate { .. })
}

pub(super) struct Chunk<'a> {
    origin: &'a Origin,
    on_conflict: OnConflict,
    rows: HashMap<(Kind, Uuid), Stored>,
    open: HashSet<(Kind, Uuid)>,
}

impl<'a> Chunk<'a> {
    pub(super) async fn load(
        tx: &mut Tx,
        origin: &'a Origin,
        on_conflict: OnConflict,
        items: &[&Item],
    ) -> Result<Self, Error> {
        let ids = |kind| items.iter().filter(move |item| item.kind == kind).map(|item| item.id);
        let named = items.iter().filter_map(|item| item.content.as_ref()?.ticket_id());
        let tickets: HashSet<Uuid> = ids(Kind::Ticket).chain(named).collect();
        let lines: HashSet<Uuid> = ids(Kind::ReceptionLine).collect();
        let all = items.iter().map(|item| item.id).collect();
        let mut rows = HashMap::new();
        for (kind, ids) in [(Kind::Ticket, tickets), (Kind::ReceptionLine, lines)] {
            if !ids.is_empty() {
                let found = stored::load(tx, origin.site, kind, ids.into_iter().collect()).await?;
                rows.extend(found.into_iter().map(|(id, state)| ((kind, id), state)));
            }
        }
        let open = conflicts::open_ones(tx, origin.site, all).await?;
        Ok(Self { origin, on_conflict, rows, open })
    }

    /// Applies one entity; what fails leaves what was read as it was, for the caller undoes it.
    pub(super) async fn apply(
        &mut self,
        tx: &mut Tx,
        index: usize,
        label: Label,
        item: &Item,
    ) -> Result<EntityResult, Stop> {
        let key = (item.kind, item.id);
        let before = self.rows.get(&key).cloned();
        let followed = AssertUnwindSafe(self.follow(tx, index, label, item)).catch_unwind().await;
        let result = followed.unwrap_or(Err(Stop::Panicked));
        if result.is_err() {
            match before {
                Some(state) => self.rows.insert(key, state),
                None => self.rows.remove(&key),
            };
        }
        result
    }

    async fn follow(
        &mut self,
        tx: &mut Tx,
        index: usize,
        label: Label,
        item: &Item,
    ) -> Result<EntityResult, Stop> {
        failpoint::at_item("entity", &item.id.to_string()).await?;
        let key = (item.kind, item.id);
        let (at, skewed) = effective(item.updated_at, self.origin.offset, self.origin.received);
        let server = self.rows.get(&key).cloned();
        let version = server.as_ref().map(|state| state.version);
        let mut result = EntityResult::new(index, label, Status::Unchanged, version);
        result.clock_skew = skewed;
        match decide(server.as_ref(), item, at) {
            Decision::Unchanged => self.leave(tx, item, server, at).await?,
            Decision::Conflict(found) => {
                let (version, conflict) = self.conflict(tx, item, server, at, found).await?;
                result.status = Status::Conflict;
                result.version = version;
                result.conflict = Some(conflict);
            }
            wish => {
                result.status = match wish {
                    Decision::Create => Status::Created,
                    Decision::Delete => Status::Deleted,
                    _ => Status::Updated,
                };
                result.version = Some(self.write(tx, item, server, at).await?);
            }
        }
        Ok(result)
    }

    /// Nothing new, except perhaps that it is newer than was known.
    async fn leave(
        &mut self,
        tx: &mut Tx,
        item: &Item,
        server: Option<Stored>,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let Some(mut state) = server else { return Ok(()) };
        let version = state.version;
        if at > state.updated_at {
            stored::touch(tx, self.origin.site, item.kind, item.id, at).await?;
            state.updated_at = at;
            self.rows.insert((item.kind, item.id), state);
        }
        self.settle(tx, item, version).await
    }

    /// Makes the client's copy the next version.
    async fn write(
        &mut self,
        tx: &mut Tx,
        item: &Item,
        server: Option<Stored>,
        at: DateTime<Utc>,
    ) -> Result<i64, Stop> {
        let tickets = |id| self.rows.get(&(Kind::Ticket, id)).is_some_and(|t: &Stored| !t.deleted);
        let ticket = item.content.as_ref().and_then(|content| content.ticket_id());
        if ticket.is_some_and(|id| !tickets(id)) {
            return Err(Stop::Failed(unknown_ticket()));
        }
        let state = next(tx, self.origin.site, item, server, at).await?;
        store(tx, self.origin.site, item.id, &state, &self.origin.job.to_string()).await?;
        self.settle(tx, item, state.version).await?;
        let version = state.version;
        self.rows.insert((item.kind, item.id), state);
        Ok(version)
    }

    async fn conflict(
        &mut self,
        tx: &mut Tx,
        item: &Item,
        server: Option<Stored>,
        at: DateTime<Utc>,
        conflict: decide::Conflict,
    ) -> Result<(Option<i64>, ConflictRef), Stop> {
        let winner = conflict.winner.filter(|_| self.on_conflict == OnConflict::Resolve);
        let before = server.as_ref().map(|state| state.version);
        let version = match winner {
            Some(Winner::Client) => Some(self.write(tx, item, server.clone(), at).await?),
            _ => before,
        };
        let site = self.origin.site;
        let (kind, server) = (conflict.kind, server.as_ref());
        let found = Found { site, kind, item, updated_at: at, server };
        let decided = winner.map(|winner| (winner, version));
        let id = conflicts::keep(tx, &found, decided).await?;
        if decided.is_none() {
            self.open.insert((item.kind, item.id));
        }
        let resolution = winner.map(|winner| match winner {
            Winner::Server => "server".to_owned(),
            Winner::Client => "client".to_owned(),
        });
        Ok((version, ConflictRef { id, kind: kind.to_owned(), resolution }))
    }

    /// Ends the entity's open conflict, if it has one. (The mark stays: should the caller undo
    /// this, the conflict is open again.)
    async fn settle(&self, tx: &mut Tx, item: &Item, version: i64) -> Result<(), Error> {
        if !self.open.contains(&(item.kind, item.id)) {
            return Ok(());
        }
        conflicts::supersede(tx, self.origin.site, item.kind, item.id, version).await
    }
}

pub(super) fn unknown_ticket() -> EntityError {
    let field = "data.ticket_id";
    let message = format!("{field}: there is no such ticket");
    EntityError::new("UNKNOWN_TICKET", message, Some(field.to_owned()))
}

/// The entity after the item's change. Time never runs back: of a change that knew a newer
/// version the older time counts for nothing.
pub(super) async fn next(
    tx: &mut Tx,
    site: i64,
    item: &Item,
    server: Option<Stored>,
    at: DateTime<Utc>,
) -> Result<Stored, Stop> {
    let version = server.as_ref().map_or(0, |state| state.version) + 1;
    let updated_at = server.as_ref().map_or(at, |state| state.updated_at.max(at));
    let last = server.map(|state| state.content);
    let deleted = item.content.is_none();
    if deleted && item.kind == Kind::Ticket && stored::has_lines(tx, site, item.id).await? {
        let message = "id: lines refer to this ticket: delete them first".to_owned();
        let error = EntityError::new("TICKET_IN_USE", message, Some("id".to_owned()));
        return Err(Stop::Failed(error));
    }
    let content = item.content.clone().or(last).expect("only what is there is deleted");
    Ok(Stored { version, updated_at, deleted, content })
}

/// Writes an entity and keeps the version.
pub(super) async fn store(
    tx: &mut Tx,
    site: i64,
    id: Uuid,
    state: &Stored,
    source: &str,
) -> Result<(), Error> {
    stored::write(tx, site, id, state).await?;
    versions::keep(tx, site, id, state, source).await
}
