//! A person decides a conflict (D-44): the decision is a normal new version.

use super::answer::EntityError;
use super::chunk::Chunk;
use super::conflicts::{self, Conflict};
use super::content::Content;
use super::item::Item;
use super::members::data_of;
use super::scope;
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
    /// As the site had sent it, or with other content, to be read as the entity's type has it (C-31).
    Client(Option<Box<RawValue>>),
    /// A third content, to be read as the entity's type has it.
    Merge(Box<RawValue>),
}

impl Choice {
    fn word(&self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client(_) => "client",
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
    /// One of them has to be the [`Conflict::tag`], if there are any.
    pub if_match: Option<&'a [&'a str]>,
    pub by: &'a str,
    pub at: DateTime<Utc>,
}

impl Decided<'_> {
    /// Whether the conflict is another one than the decision is about.
    fn has_moved(&self, conflict: &Conflict) -> bool {
        self.if_match.is_some_and(|tags| !tags.contains(&conflict.tag().as_str()))
    }
}

/// What ends an attempt without an answer.
enum Stop {
    Failed(EntityError),
    /// The conflict has changed since it was looked at.
    Again,
    Db(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Db(error)
    }
}

/// Carries the decision out, once.
pub async fn resolve(db: &Db, decided: &Decided<'_>) -> Result<Resolved, Error> {
    let mut tries = 0;
    loop {
        let mut tx = db.begin().await?;
        let error = match attempt(&mut tx, decided).await {
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
            Err(Stop::Again) => None,
            Err(Stop::Db(error)) => Some(error),
        };
        tx.rollback().await?;
        tries += 1;
        if let Some(error) = error
            && (!is_transient(&error) || tries >= TRIES)
        {
            return Err(error);
        }
    }
}

/// A row that a push made meanwhile is no mistake of anyone's.
fn is_transient(error: &Error) -> bool {
    error.is_transient() || matches!(error, Error::Duplicate { .. })
}

async fn attempt(tx: &mut Tx, decided: &Decided<'_>) -> Result<Resolved, Stop> {
    let Decided { site, id, choice, at, .. } = *decided;
    if let Some(site) = site {
        scope(tx, site).await?;
    }
    let Some(seen) = conflicts::look(tx, site, id).await? else { return Ok(Resolved::NotFound) };
    if !seen.is_open() {
        return Ok(ended(seen, decided));
    }
    let kind = seen.entity;
    let wish = match choice {
        Choice::Server => None,
        Choice::Client(None) => Some(client_side(&seen)?),
        Choice::Client(Some(raw)) | Choice::Merge(raw) => match data_of(kind, raw) {
            Ok(content) => Some(Some(content)),
            Err(errors) => return Ok(Resolved::Failed(errors)),
        },
    };
    let content = wish.clone().flatten();
    let item = Item { kind, id: seen.entity_id, content, updated_at: at, base_version: None };
    // Rows before conflicts, as pushes lock them; then it may be another one than was looked at.
    let mut chunk = Chunk::load(tx, seen.site_id, &[&item]).await?;
    let locked = conflicts::lock(tx, site, id).await?.ok_or(Stop::Again)?;
    if !locked.is_open() {
        return Ok(ended(locked, decided));
    }
    if locked.seen != seen.seen {
        return Err(Stop::Again);
    }
    let conflict = locked.with_server(chunk.row(&item));
    if decided.has_moved(&conflict) {
        return Ok(Resolved::Moved(conflict));
    }
    let row = chunk.row(&item);
    let alive = row.filter(|row| !row.deleted).map(|row| row.content.clone());
    let is_closed = alive.as_ref().is_some_and(Content::is_closed_ticket);
    let version = row.map(|row| row.version);
    let rev = match wish {
        Some(_) if is_closed => return Ok(Resolved::Closed),
        // It has no further version.
        None if is_closed => version,
        None if row.is_none() => None,
        // To delete what is not there is done already.
        Some(None) if alive.is_none() => version,
        // Also the server's side is said anew: whoever has the other one is to see it.
        wish => {
            let rev = chunk.put(&item, wish.unwrap_or(alive), at).map_err(Stop::Failed)?;
            chunk.write(tx, decided.by).await?;
            Some(rev)
        }
    };
    let merged = match choice {
        Choice::Client(Some(_)) | Choice::Merge(_) => item.content.map(|content| content.json()),
        _ => None,
    };
    Ok(Resolved::Done(close(tx, decided, conflict, merged, rev).await?))
}

/// The answer about one that was decided before.
fn ended(conflict: Conflict, decided: &Decided<'_>) -> Resolved {
    match is_same(&conflict, decided.choice) {
        true => Resolved::Done(conflict),
        // A later push settled it: the row moved, and whoever asked to be told is.
        false if conflict.status == "superseded" && decided.has_moved(&conflict) => {
            Resolved::Moved(conflict)
        }
        false => Resolved::Already(conflict),
    }
}

/// What the site had sent; `None` deletes. It was read strictly before it was kept.
fn client_side(conflict: &Conflict) -> Result<Option<Content>, Stop> {
    let Some(text) = &conflict.client else { return Ok(None) };
    let raw: Result<&RawValue, _> = serde_json::from_str(text);
    let content = raw.ok().and_then(|raw| data_of(conflict.entity, raw).ok());
    content.map(Some).ok_or_else(|| Stop::Failed(EntityError::internal()))
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
        Choice::Client(Some(raw)) | Choice::Merge(raw) => {
            let content = data_of(conflict.entity, raw).ok().map(|content| content.json());
            content.is_some() && content == conflict.resolved_version
        }
        Choice::Client(None) => conflict.resolved_version.is_none(),
        Choice::Server => true,
    }
}
