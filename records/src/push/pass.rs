//! One way through entities: each decided and, if it is to be, put into the chunk; then all written.

use super::OnConflict;
use super::answer::{ConflictRef, EntityError, EntityResult, Status};
use super::apply::{Origin, Read};
use super::chunk::Chunk;
use super::clock::effective;
use super::conflicts::Found;
use super::decide::{self, Decision, Verdict, decide};
use super::item::{Item, Label};
use chrono::{DateTime, Utc};
use db::{Error, Tx, failpoint};
use futures::FutureExt;
use serde_json::value::RawValue;
use std::panic::AssertUnwindSafe;

/// A fault: what was written may be half of something.
pub(super) enum Fault {
    Panicked,
    Db(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Db(error)
    }
}

impl Fault {
    /// Whether it may pass by itself. A row that somebody else made meanwhile is no mistake of the
    /// entity's either: the transaction is to be tried again.
    pub(super) fn passing(self) -> Result<Self, Error> {
        match self {
            Self::Db(error) if error.is_transient() => Err(error),
            Self::Db(error @ Error::Duplicate { .. }) => Err(error),
            fault => Ok(fault),
        }
    }
}

/// How entities of a batch are applied.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    pub(super) origin: &'a Origin,
    pub(super) on_conflict: OnConflict,
}

/// One entity: its place in the batch, as it was sent, and as it was read.
#[derive(Clone, Copy)]
pub(super) struct Entity<'a> {
    pub(super) place: usize,
    pub(super) raw: &'a RawValue,
    pub(super) read: &'a Read,
}

/// Applies entities; at the first whose result `ends` the batch it leaves all unwritten.
pub(super) async fn pass(
    tx: &mut Tx,
    how: How<'_>,
    entities: &[Entity<'_>],
    ends: impl Fn(&EntityResult) -> bool,
) -> Result<Vec<EntityResult>, Fault> {
    let items: Vec<&Item> =
        entities.iter().filter_map(|entity| entity.read.as_ref().ok()).collect();
    let mut chunk = Chunk::load(tx, how.origin.site, &items).await?;
    let mut results = Vec::with_capacity(entities.len());
    for entity in entities {
        let followed = AssertUnwindSafe(how.follow(&mut chunk, entity)).catch_unwind().await;
        results.push(followed.map_err(|_panic| Fault::Panicked)??);
        if results.last().is_some_and(&ends) {
            return Ok(results);
        }
    }
    let ids = chunk.write(tx, &how.origin.job.to_string()).await?;
    let first = entities.first().map_or(0, |entity| entity.place);
    for (place, id) in ids {
        if let Some(conflict) = &mut results[place - first].conflict {
            conflict.id = id;
        }
    }
    Ok(results)
}

impl How<'_> {
    async fn follow(&self, chunk: &mut Chunk, entity: &Entity<'_>) -> Result<EntityResult, Error> {
        let Entity { place, raw, read } = *entity;
        let item = match read {
            Ok(item) => item,
            Err(errors) => return Ok(EntityResult::failed(place, raw, errors.clone())),
        };
        failpoint::at_item("entity", &item.id.to_string()).await?;
        Ok(match self.apply(chunk, entity, item) {
            Ok(result) => result,
            Err(error) => EntityResult::failed(place, raw, vec![error]),
        })
    }

    /// Applies one entity to the chunk; one that cannot be leaves nothing behind.
    fn apply(
        &self,
        chunk: &mut Chunk,
        entity: &Entity<'_>,
        item: &Item,
    ) -> Result<EntityResult, EntityError> {
        let (at, skewed) = effective(item.updated_at, self.origin.offset, self.origin.received);
        let (server, rule) = (chunk.row(item), self.origin.strategies.of(item.kind));
        let version = server.map(|state| state.version);
        let decision = decide(server, chunk.base(item), item, rule, at);
        let label = Label::of(entity.raw);
        let mut result = EntityResult::new(entity.place, label, Status::Unchanged, version);
        result.clock_skew = skewed;
        match decision {
            Decision::Unchanged => {
                chunk.touch(item, at);
                if let Some(version) = version {
                    chunk.conflicts.supersede((item.kind, item.id), version);
                }
            }
            Decision::Conflict(conflict) => {
                let met = self.meet(chunk, entity.place, item, at, conflict)?;
                result.status = Status::Conflict;
                (result.version, result.conflict) = (met.0, Some(met.1));
            }
            wish => {
                result.status = match wish {
                    Decision::Create => Status::Created,
                    Decision::Delete => Status::Deleted,
                    _ => Status::Updated,
                };
                let version = chunk.put(item, item.content.clone(), at)?;
                chunk.conflicts.supersede((item.kind, item.id), version);
                result.version = Some(version);
            }
        }
        Ok(result)
    }

    /// Carries out what the strategy says about a conflict, and keeps both sides (D-43).
    fn meet(
        &self,
        chunk: &mut Chunk,
        place: usize,
        item: &Item,
        at: DateTime<Utc>,
        conflict: decide::Conflict,
    ) -> Result<(Option<i64>, ConflictRef), EntityError> {
        let strategy = self.origin.strategies.of(item.kind).strategy;
        let (server, base) = (chunk.row(item).cloned(), chunk.base(item).cloned());
        let (kind, server, base) = (conflict.kind, server.as_ref(), base.as_ref());
        let found = Found { kind, strategy, item, updated_at: at, base, server };
        let before = server.map(|state| state.version);
        let Some(verdict) = conflict.verdict.filter(|_| self.on_conflict == OnConflict::Resolve)
        else {
            let id = chunk.conflicts.leave_open(&found);
            return Ok((before, ConflictRef { id, kind: kind.to_owned(), resolution: None }));
        };
        let put = match &verdict {
            Verdict::Server => None,
            Verdict::Client => Some(item.content.clone()),
            Verdict::Merge(content) => Some(Some(content.clone())),
        };
        let version = match put {
            Some(content) => {
                let version = chunk.put(item, content, at)?;
                chunk.conflicts.supersede((item.kind, item.id), version);
                Some(version)
            }
            None => before,
        };
        chunk.conflicts.decided(&found, &verdict, version, place);
        let resolution = Some(verdict.as_str().to_owned());
        // The record gives it its id.
        let told = ConflictRef { id: uuid::Uuid::nil(), kind: kind.to_owned(), resolution };
        Ok((version, told))
    }
}
