//! Applies entities inside the caller's transaction: all or none of a batch, or each by itself.
//!
//! Only a failure that may pass by itself ends a call with an error, so that the transaction is
//! tried again; everything else is the answer of an entity.

use super::answer::{EntityError, EntityResult, Status};
use super::chunk::{Chunk, Stop, is_transient};
use super::clock::{ClockOffset, effective};
use super::conflicts::{self, Found};
use super::decide::{Decision, decide};
use super::item::{Item, Label};
use super::{OnConflict, stored};
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
}

static SAVEPOINT: Sql = Sql::both("SAVEPOINT entite");
static ROLLBACK: Sql = Sql::both("ROLLBACK TO SAVEPOINT entite");
static RELEASE: Sql = Sql::both("RELEASE SAVEPOINT entite");

type Read = Result<Item, Vec<EntityError>>;

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
    let items: Vec<Item> = read.into_iter().flatten().collect();
    let refs: Vec<&Item> = items.iter().collect();
    tx.execute(&SAVEPOINT, Vec::new()).await?;
    let mut chunk = Chunk::load(tx, origin, on_conflict, &refs).await?;
    let mut results = Vec::with_capacity(items.len());
    for (index, (item, raw)) in items.iter().zip(entities).enumerate() {
        let culprit = match chunk.apply(tx, index, Label::of(raw), item).await {
            Ok(result) if ends_batch(&result, on_conflict) => result,
            Ok(result) => {
                results.push(result);
                continue;
            }
            Err(Stop::Db(error)) if is_transient(&error) => return Err(error),
            Err(stop) => failed(origin, index, raw, stop),
        };
        tx.execute(&ROLLBACK, Vec::new()).await?;
        let culprit = keep_again(tx, origin, item, culprit).await?;
        results = rolled_back(entities);
        results[index] = culprit;
        break;
    }
    tx.execute(&RELEASE, Vec::new()).await?;
    Ok(results)
}

fn ends_batch(result: &EntityResult, on_conflict: OnConflict) -> bool {
    on_conflict == OnConflict::Abort && result.status == Status::Conflict
}

fn refused(entities: &[Box<RawValue>], read: Vec<Read>) -> Vec<EntityResult> {
    let results = entities.iter().zip(read).enumerate().map(|(index, (raw, read))| match read {
        Ok(_) => EntityResult::rolled_back(index, raw),
        Err(errors) => EntityResult::failed(index, raw, errors),
    });
    results.collect()
}

fn rolled_back(entities: &[Box<RawValue>]) -> Vec<EntityResult> {
    let all = entities.iter().enumerate();
    all.map(|(index, raw)| EntityResult::rolled_back(index, raw)).collect()
}

/// The conflict that ended a batch was undone with it, but is to be kept (I-9, I-10). It is the same
/// again: an atomic batch has each entity once, so none before this one had a part in it.
async fn keep_again(
    tx: &mut Tx,
    origin: &Origin,
    item: &Item,
    mut culprit: EntityResult,
) -> Result<EntityResult, Error> {
    if culprit.status != Status::Conflict {
        return Ok(culprit);
    }
    let rows = stored::load(tx, origin.site, item.kind, vec![item.id]).await?;
    let server = rows.get(&item.id);
    let (at, _) = effective(item.updated_at, origin.offset, origin.received);
    if let Decision::Conflict(conflict) = decide(server, item, at) {
        let (site, kind) = (origin.site, conflict.kind);
        let found = Found { site, kind, item, updated_at: at, server };
        let id = conflicts::keep(tx, &found, None).await?;
        if let Some(told) = &mut culprit.conflict {
            told.id = id;
        }
    }
    Ok(culprit)
}

/// Applies the entities whose first one has position `first`, each wholly or not at all. What cannot
/// be is found before it writes; only after a fault is every entity given a savepoint of its own.
pub async fn apply_each(
    tx: &mut Tx,
    origin: &Origin,
    on_conflict: OnConflict,
    first: usize,
    entities: &[Box<RawValue>],
) -> Result<Vec<EntityResult>, Error> {
    let read = validate(entities, false);
    let batch = Pass { origin, on_conflict, first, entities, read: &read };
    tx.execute(&SAVEPOINT, Vec::new()).await?;
    let results = batch.at_once(tx).await?;
    if results.is_none() {
        tx.execute(&ROLLBACK, Vec::new()).await?;
    }
    tx.execute(&RELEASE, Vec::new()).await?;
    match results {
        Some(results) => Ok(results),
        None => batch.with_care(tx).await,
    }
}

/// One way through entities that stand and fall by themselves.
struct Pass<'a> {
    origin: &'a Origin,
    on_conflict: OnConflict,
    first: usize,
    entities: &'a [Box<RawValue>],
    read: &'a [Read],
}

impl<'a> Pass<'a> {
    async fn load(&self, tx: &mut Tx) -> Result<Chunk<'a>, Error> {
        let items: Vec<&Item> = self.read.iter().flatten().collect();
        Chunk::load(tx, self.origin, self.on_conflict, &items).await
    }

    fn each(&self) -> impl Iterator<Item = (usize, &'a RawValue, &'a Read)> {
        let all = self.entities.iter().zip(self.read).enumerate();
        let first = self.first;
        all.map(move |(index, (raw, read))| (first + index, &**raw, read))
    }

    /// `None` after a fault: all of it is to be undone.
    async fn at_once(&self, tx: &mut Tx) -> Result<Option<Vec<EntityResult>>, Error> {
        let mut chunk = self.load(tx).await?;
        let mut results = Vec::with_capacity(self.entities.len());
        for (index, raw, read) in self.each() {
            results.push(match read {
                Err(errors) => EntityResult::failed(index, raw, errors.clone()),
                Ok(item) => match chunk.apply(tx, index, Label::of(raw), item).await {
                    Ok(result) => result,
                    Err(Stop::Failed(error)) => EntityResult::failed(index, raw, vec![error]),
                    Err(Stop::Db(error)) if is_transient(&error) => return Err(error),
                    Err(Stop::Db(_) | Stop::Panicked) => return Ok(None),
                },
            });
        }
        Ok(Some(results))
    }

    async fn with_care(&self, tx: &mut Tx) -> Result<Vec<EntityResult>, Error> {
        let mut chunk = self.load(tx).await?;
        let mut results = Vec::with_capacity(self.entities.len());
        for (index, raw, read) in self.each() {
            let item = match read {
                Ok(item) => item,
                Err(errors) => {
                    results.push(EntityResult::failed(index, raw, errors.clone()));
                    continue;
                }
            };
            tx.execute(&SAVEPOINT, Vec::new()).await?;
            let result = match chunk.apply(tx, index, Label::of(raw), item).await {
                Ok(result) => result,
                Err(Stop::Db(error)) if is_transient(&error) => return Err(error),
                Err(stop) => {
                    tx.execute(&ROLLBACK, Vec::new()).await?;
                    failed(self.origin, index, raw, stop)
                }
            };
            tx.execute(&RELEASE, Vec::new()).await?;
            results.push(result);
        }
        Ok(results)
    }
}

fn failed(origin: &Origin, index: usize, raw: &RawValue, stop: Stop) -> EntityResult {
    let error = match stop {
        Stop::Failed(error) => error,
        Stop::Panicked => {
            let (job, site) = (origin.job, origin.site);
            tracing::error!(job.id = %job, site.id = site, entity.index = index, "an entity panicked");
            EntityError::internal()
        }
        Stop::Db(error) => {
            tracing::error!(
                job.id = %origin.job,
                site.id = origin.site,
                entity.index = index,
                error = &error as &dyn std::error::Error,
                "an entity could not be applied"
            );
            EntityError::internal()
        }
    };
    EntityResult::failed(index, raw, vec![error])
}
