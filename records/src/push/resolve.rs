//! A person decides a conflict (D-44): the decision is a normal new version.

use super::answer::EntityError;
use super::chunk::{Stop, is_transient, next, store, unknown_ticket};
use super::conflicts::{self, Conflict};
use super::content::{Content, Kind};
use super::decide::TICKET_CLOSED;
use super::item::Item;
use super::members::data_of;
use super::stored::{self, Stored};
use chrono::{DateTime, Utc};
use db::{Db, Error, Sql, Tx, Value, args};
use serde_json::value::RawValue;
use uuid::Uuid;

/// Attempts when a push works on the same entity.
const TRIES: u32 = 5;

/// Whose side counts.
#[derive(Debug, Clone)]
pub enum Choice {
    Server,
    Client,
    /// A third content, to be read as the entity's type has it.
    Merge(Box<RawValue>),
}

impl Choice {
    fn word(&self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Merge(_) => "merge",
        }
    }
}

/// What came of a decision.
#[derive(Debug)]
pub enum Resolved {
    /// As wished, now or by the same decision before.
    Done(Conflict),
    /// The server's row, or the site's change, is another one than the decision was about.
    Moved(Conflict),
    /// Somebody decided otherwise, or a later push did.
    Already(Conflict),
    /// A closed ticket stays as it is.
    Closed,
    /// The content is wrong, or cannot be.
    Failed(Vec<EntityError>),
    /// Not there, or not for this caller.
    NotFound,
}

/// Who decides what.
#[derive(Debug)]
pub struct Decided<'a> {
    /// Whose conflicts the caller may see; `None` is all.
    pub site: Option<i64>,
    pub id: Uuid,
    pub choice: &'a Choice,
    /// The [`Conflict::tag`] that the caller has seen.
    pub if_match: Option<&'a str>,
    pub by: &'a str,
    pub at: DateTime<Utc>,
}

/// Carries the decision out, once.
pub async fn resolve(db: &Db, decided: &Decided<'_>) -> Result<Resolved, Error> {
    let mut tries = 0;
    loop {
        let mut tx = db.begin().await?;
        match attempt(&mut tx, decided).await {
            Ok(resolved @ Resolved::Done(_)) => {
                tx.commit().await?;
                return Ok(resolved);
            }
            Ok(other) => {
                tx.rollback().await?;
                return Ok(other);
            }
            Err(Stop::Failed(error)) => {
                tx.rollback().await?;
                return Ok(Resolved::Failed(vec![error]));
            }
            Err(Stop::Panicked) => unreachable!("only a batch catches panics"),
            Err(Stop::Db(error)) => {
                tx.rollback().await?;
                tries += 1;
                if !is_transient(&error) || tries >= TRIES {
                    return Err(error);
                }
            }
        }
    }
}

async fn attempt(tx: &mut Tx, decided: &Decided<'_>) -> Result<Resolved, Stop> {
    let Decided { site, id, choice, .. } = *decided;
    let Some(seen) = conflicts::lock(tx, site, id).await? else { return Ok(Resolved::NotFound) };
    if !seen.is_open() {
        return Ok(match is_same(&seen, choice) {
            true => Resolved::Done(seen),
            false => Resolved::Already(seen),
        });
    }
    let (site, kind, entity) = (seen.site_id, seen.entity, seen.entity_id);
    let mut rows = stored::load(tx, site, kind, vec![entity]).await?;
    let server = rows.remove(&entity);
    let conflict = seen.with_server(server.as_ref());
    if decided.if_match.is_some_and(|tag| tag != conflict.tag()) {
        return Ok(Resolved::Moved(conflict));
    }
    let wish = match choice {
        Choice::Server => None,
        Choice::Client => Some(client_side(&conflict)?),
        Choice::Merge(raw) => match data_of(kind, raw) {
            Ok(content) => Some(Some(content)),
            Err(errors) => return Ok(Resolved::Failed(errors)),
        },
    };
    let Some(content) = wish else {
        let rev = conflict.server_rev;
        return Ok(Resolved::Done(close(tx, decided, conflict, None, rev).await?));
    };
    let is_closed = |state: &Stored| !state.deleted && state.content.is_closed_ticket();
    if conflict.kind == TICKET_CLOSED && server.as_ref().is_some_and(is_closed) {
        return Ok(Resolved::Closed);
    }
    let rev = write(tx, decided, &conflict, content.clone(), server).await?;
    let merged = match choice {
        Choice::Merge(_) => content.map(|content| content.json()),
        _ => None,
    };
    Ok(Resolved::Done(close(tx, decided, conflict, merged, rev).await?))
}

/// What the site had sent; `None` deletes. It was read strictly before it was kept.
fn client_side(conflict: &Conflict) -> Result<Option<Content>, Stop> {
    let Some(text) = &conflict.client else { return Ok(None) };
    let raw: Result<&RawValue, _> = serde_json::from_str(text);
    let content = raw.ok().and_then(|raw| data_of(conflict.entity, raw).ok());
    content.map(Some).ok_or_else(|| Stop::Failed(EntityError::internal()))
}

async fn write(
    tx: &mut Tx,
    decided: &Decided<'_>,
    conflict: &Conflict,
    content: Option<Content>,
    server: Option<Stored>,
) -> Result<Option<i64>, Stop> {
    let site = conflict.site_id;
    if let Some(ticket) = content.as_ref().and_then(Content::ticket_id) {
        let tickets = stored::load(tx, site, Kind::Ticket, vec![ticket]).await?;
        if tickets.get(&ticket).is_none_or(|ticket| ticket.deleted) {
            return Err(Stop::Failed(unknown_ticket()));
        }
    }
    // To delete what is not there is done already.
    if content.is_none() && server.as_ref().is_none_or(|state| state.deleted) {
        return Ok(server.map(|state| state.version));
    }
    let (kind, id, at) = (conflict.entity, conflict.entity_id, decided.at);
    let item = Item { kind, id, content, updated_at: at, base_version: None };
    let state = next(tx, site, &item, server, at).await?;
    store(tx, site, id, &state, decided.by).await?;
    Ok(Some(state.version))
}

/// $1 id, $2 resolution, $3 merged content, $4 the entity's version, $5 by whom.
static CLOSE: Sql = Sql::both(
    "UPDATE sync_conflicts SET status = 'resolved', resolution = $2, resolved_version = $3, \
     result_rev = $4, resolved_by = $5, resolved_at = {now}, server_version = $6, server_rev = $7 \
     WHERE id = $1",
);

async fn close(
    tx: &mut Tx,
    decided: &Decided<'_>,
    conflict: Conflict,
    merged: Option<String>,
    rev: Option<i64>,
) -> Result<Conflict, Error> {
    let values = args![
        conflict.id,
        decided.choice.word(),
        Value::Json(merged),
        rev,
        decided.by,
        Value::Json(conflict.server),
        conflict.server_rev,
    ];
    tx.execute(&CLOSE, values).await?;
    let closed = conflicts::lock(tx, decided.site, conflict.id).await?;
    Ok(closed.expect("it was locked before"))
}

/// Whether the conflict was decided like this before.
fn is_same(conflict: &Conflict, choice: &Choice) -> bool {
    if conflict.status != "resolved" || conflict.resolution.as_deref() != Some(choice.word()) {
        return false;
    }
    match choice {
        Choice::Merge(raw) => {
            let content = data_of(conflict.entity, raw).ok().map(|content| content.json());
            content.is_some() && content == conflict.resolved_version
        }
        _ => true,
    }
}
