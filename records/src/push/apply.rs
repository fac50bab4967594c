//! Applies entities inside the caller's transaction: all or none of a batch, or each by itself.
//!
//! Only a failure that may pass by itself ends a call with an error, so that the transaction is
//! tried again; everything else is the answer of an entity.

use super::OnConflict;
use super::answer::{EntityError, EntityResult, Status};
use super::clock::ClockOffset;
use super::item::Item;
use super::pass::{Entity, Fault, How, pass};
use super::strategy::Strategies;
use chrono::{DateTime, Utc};
use db::{Error, Sql, Tx};
use serde_json::value::RawValue;
use std::collections::HashMap;
use uuid::Uuid;

/// Where a batch comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    pub site: i64,
    /// The job that applies it.
    pub job: Uuid,
    pub received: DateTime<Utc>,
    /// How wrong the site's clock is, if it says what time it is.
    pub offset: Option<ClockOffset>,
    /// Those in force when it was accepted.
    pub strategies: Strategies,
}

/// Around everything, and around one entity.
static OUTER: Savepoint =
    Savepoint::new("SAVEPOINT lot", "ROLLBACK TO SAVEPOINT lot", "RELEASE SAVEPOINT lot");
static INNER: Savepoint =
    Savepoint::new("SAVEPOINT entite", "ROLLBACK TO SAVEPOINT entite", "RELEASE SAVEPOINT entite");

struct Savepoint {
    set: Sql,
    undo: Sql,
    release: Sql,
}

impl Savepoint {
    const fn new(set: &'static str, undo: &'static str, release: &'static str) -> Self {
        Self { set: Sql::both(set), undo: Sql::both(undo), release: Sql::both(release) }
    }

    async fn set(&'static self, tx: &mut Tx) -> Result<(), Error> {
        tx.execute(&self.set, Vec::new()).await.map(drop)
    }

    /// Leaves it, with what was written since unless that is to be undone.
    async fn leave(&'static self, tx: &mut Tx, undo: bool) -> Result<(), Error> {
        if undo {
            tx.execute(&self.undo, Vec::new()).await?;
        }
        tx.execute(&self.release, Vec::new()).await.map(drop)
    }
}

pub(super) type Read = Result<Item, Vec<EntityError>>;

/// Reads every entity of a batch before anything is written (R-000-15). In an atomic batch an
/// entity may be there once: which of two would be meant is not guessed (D-31).
pub fn validate(entities: &[Box<RawValue>], atomic: bool) -> Vec<Read> {
    let mut read: Vec<Read> = entities.iter().map(|raw| Item::read(raw)).collect();
    if !atomic {
        return read;
    }
    let mut places: HashMap<_, Vec<usize>> = HashMap::new();
    for (index, item) in read.iter().enumerate() {
        if let Ok(item) = item {
            places.entry((item.kind, item.id)).or_default().push(index);
        }
    }
    for twice in places.into_values().filter(|places| places.len() > 1) {
        let message = format!("id: the batch has this entity at {twice:?}");
        let error = EntityError::new("DUPLICATE_ENTITY", message, Some("id".to_owned()));
        for index in twice {
            read[index] = Err(vec![error.clone()]);
        }
    }
    read
}

/// Applies a whole batch or nothing of it (R-000-14).
pub async fn apply_atomic(
    tx: &mut Tx,
    origin: &Origin,
    on_conflict: OnConflict,
    entities: &[Box<RawValue>],
) -> Result<Vec<EntityResult>, Error> {
    let read = validate(entities, true);
    if read.iter().any(Result::is_err) {
        return Ok(refused(entities, read));
    }
    let ends = |result: &EntityResult| match result.status {
        Status::Failed => true,
        Status::Conflict => on_conflict == OnConflict::Abort,
        _ => false,
    };
    let how = How { origin, on_conflict };
    let batch = listed(entities, &read, 0);
    OUTER.set(tx).await?;
    let results = all(tx, how, &batch, ends).await?;
    let Some(culprit) = results.last().filter(|last| ends(last)) else {
        OUTER.leave(tx, false).await?;
        return Ok(results);
    };
    OUTER.leave(tx, true).await?;
    let place = culprit.index;
    let mut told: Vec<_> =
        batch.iter().map(|entity| EntityResult::rolled_back(entity.place, entity.raw)).collect();
    told[place] = match culprit.status {
        // It is to be kept, though nothing of the batch is (I-9, I-10). It is the same by itself: an
        // atomic batch has each entity once, so none before this one had a part in it.
        Status::Conflict => alone(tx, how, &batch[place]).await?,
        _ => culprit.clone(),
    };
    Ok(told)
}

fn refused(entities: &[Box<RawValue>], read: Vec<Read>) -> Vec<EntityResult> {
    let results = entities.iter().zip(read).enumerate().map(|(index, (raw, read))| match read {
        Ok(_) => EntityResult::rolled_back(index, raw),
        Err(errors) => EntityResult::failed(index, raw, errors),
    });
    results.collect()
}

/// Applies the entities whose first one has position `first`, each wholly or not at all. What cannot
/// be is found before anything is written.
pub async fn apply_each(
    tx: &mut Tx,
    origin: &Origin,
    on_conflict: OnConflict,
    first: usize,
    entities: &[Box<RawValue>],
) -> Result<Vec<EntityResult>, Error> {
    let read = validate(entities, false);
    all(tx, How { origin, on_conflict }, &listed(entities, &read, first), |_| false).await
}

fn listed<'a>(entities: &'a [Box<RawValue>], read: &'a [Read], first: usize) -> Vec<Entity<'a>> {
    let all = entities.iter().zip(read).enumerate();
    all.map(|(index, (raw, read))| Entity { place: first + index, raw, read }).collect()
}

/// Applies entities until one's result `ends` the batch: together, and only after a fault, which may
/// be anyone's, one by one.
async fn all(
    tx: &mut Tx,
    how: How<'_>,
    entities: &[Entity<'_>],
    ends: impl Fn(&EntityResult) -> bool,
) -> Result<Vec<EntityResult>, Error> {
    INNER.set(tx).await?;
    match pass(tx, how, entities, &ends).await {
        Ok(results) => {
            INNER.leave(tx, false).await?;
            return Ok(results);
        }
        Err(fault) => drop(fault.passing()?),
    }
    INNER.leave(tx, true).await?;
    let mut results = Vec::with_capacity(entities.len());
    for entity in entities {
        results.push(alone(tx, how, entity).await?);
        if results.last().is_some_and(&ends) {
            break;
        }
    }
    Ok(results)
}

/// Applies one entity by itself; a fault is its failure.
async fn alone(tx: &mut Tx, how: How<'_>, entity: &Entity<'_>) -> Result<EntityResult, Error> {
    INNER.set(tx).await?;
    match pass(tx, how, std::slice::from_ref(entity), |_| false).await {
        Ok(mut results) => {
            INNER.leave(tx, false).await?;
            Ok(results.remove(0))
        }
        Err(fault) => {
            let fault = fault.passing()?;
            INNER.leave(tx, true).await?;
            Ok(failed(how.origin, entity, fault))
        }
    }
}

fn failed(origin: &Origin, entity: &Entity<'_>, fault: Fault) -> EntityResult {
    let (job, site, index) = (origin.job, origin.site, entity.place);
    match fault {
        Fault::Panicked => {
            tracing::error!(job.id = %job, site.id = site, entity.index = index, "an entity panicked");
        }
        Fault::Db(error) => tracing::error!(
            job.id = %job,
            site.id = site,
            entity.index = index,
            error = &error as &dyn std::error::Error,
            "an entity could not be applied"
        ),
    }
    EntityResult::failed(index, entity.raw, vec![EntityError::internal()])
}
