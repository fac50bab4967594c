//! The record: jobs as rows of SQLite or PostgreSQL, and the engine on top of them.
//!
//! All three deployments are this one type. With Redis, [`Record::index`] proposes which jobs to
//! claim; the row alone decides who holds one.

mod act;
mod claim;
mod control;
mod crew;
mod deliver;
mod enqueue;
mod finish;
mod gather;
mod insert;
mod lease;
mod limits;
mod list;
mod pause;
#[cfg(test)]
mod plans;
mod prune;
mod read;
mod reap;
mod rows;
mod save;
pub mod schedules;
mod stats;
mod unfenced;
mod why;

use crate::bell::{Bell, Entry};
use crate::control::Beat;
use crate::engine::{Engine, Listening};
use crate::job::{
    Claim, Claimed, Enqueued, JobRow, NewJob, Outcome, Reaped, Retention, Save, Ticket,
};
use crate::mutations::{Protection, is_off};
use crate::redis::Index;
use crate::{Error, SCHEDULED};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use db::{Db, Tx, failpoint};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// How often a statement that collided with another transaction is tried again.
const COLLISIONS: u32 = 5;

/// Runs a transaction again when it collided with another one.
macro_rules! retry_collisions {
    ($work:expr) => {{
        let mut tries = 0;
        loop {
            match $work.await {
                Err(Error::Db(db::Error::Collision(_))) if tries < COLLISIONS => tries += 1,
                other => break other,
            }
        }
    }};
}
pub(crate) use retry_collisions;

/// Clones share everything.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) db: Db,
    pub(crate) bell: Arc<Bell>,
    pub(crate) index: Option<Index>,
    pub(crate) max_payload_bytes: usize,
    pub(crate) gather: Arc<gather::Gather>,
    /// Queues whose names are in the record.
    pub(crate) known_queues: Arc<RwLock<HashSet<String>>>,
}

/// A job that left a waiting state for another, as far as the bell must know.
pub(crate) struct Moved {
    pub(crate) queue: String,
    pub(crate) entry: Entry,
    /// Ready and at the head of its lane, if it has one.
    pub(crate) claimable: bool,
    pub(crate) scheduled: bool,
}

impl Record {
    /// Tells claimers about jobs that may be claimed now, and upkeep about new due times.
    pub(crate) fn ring(bell: &Bell, moved: &[Moved]) {
        let mut queues: HashMap<&str, Vec<Entry>> = HashMap::new();
        for job in moved.iter().filter(|job| job.claimable) {
            queues.entry(&job.queue).or_default().push(job.entry);
        }
        for (queue, entries) in queues {
            bell.ring_ready(queue, &entries);
        }
        if moved.iter().any(|job| job.scheduled) {
            bell.hear_ready(SCHEDULED);
        }
    }

    /// Rings once `tx` has committed.
    pub(crate) fn ring_after(&self, tx: &mut Tx, moved: Vec<Moved>) {
        let bell = Arc::clone(&self.bell);
        tx.after_commit(move || Self::ring(&bell, &moved));
    }
}

#[async_trait]
impl Engine for Record {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, Error> {
        self.enqueue_gathered(jobs).await
    }

    async fn enqueue_in(&self, tx: &mut Tx, jobs: &[NewJob]) -> Result<Vec<Enqueued>, Error> {
        self.insert(tx, jobs).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, Error> {
        failpoint::at("claim").await?;
        let claimed = match &self.index {
            Some(index) => self.claim_by_index(index, claim).await?,
            None => self.claim_by_scan(claim).await?,
        };
        if !claimed.is_empty() {
            failpoint::at("claimed").await?;
        }
        Ok(claimed)
    }

    async fn extend(&self, tickets: &[Ticket], lease: Duration) -> Result<Vec<Ticket>, Error> {
        retry_collisions!(self.extend_leases(tickets, lease))
    }

    async fn finish(&self, ends: &[(Ticket, Outcome)]) -> Result<Vec<Ticket>, Error> {
        if is_off(Protection::Fencing) {
            return self.finish_step(&unfenced::ends(&self.db, ends).await?).await;
        }
        let mut held = Vec::with_capacity(ends.len());
        for step in ends.chunks(finish::STEP) {
            held.extend(retry_collisions!(self.finish_step(step))?);
        }
        Ok(held)
    }

    async fn finish_in(&self, tx: &mut Tx, ticket: Ticket, outcome: &Outcome) -> Result<(), Error> {
        let ticket = unfenced::ticket(tx, ticket).await?;
        let held = self.end(tx, &[(ticket, outcome.clone())]).await?;
        if held.is_empty() { Err(Error::LeaseLost(ticket.id)) } else { Ok(()) }
    }

    async fn hold_in(&self, tx: &mut Tx, ticket: Ticket, save: &Save) -> Result<(), Error> {
        let ticket = unfenced::ticket(tx, ticket).await?;
        self.hold(tx, ticket, save).await
    }

    async fn begin(&self, ticket: Ticket) -> Result<(), Error> {
        retry_collisions!(self.begin_suspect(ticket))
    }

    async fn forgive_in(&self, tx: &mut Tx, ticket: Ticket) -> Result<(), Error> {
        let ticket = unfenced::ticket(tx, ticket).await?;
        self.forgive(tx, ticket).await
    }

    async fn save(&self, ticket: Ticket, save: &Save) -> Result<(), Error> {
        retry_collisions!(self.keep(ticket, save))
    }

    async fn log(&self, ticket: Ticket, lines: &[(DateTime<Utc>, String)]) -> Result<(), Error> {
        retry_collisions!(self.keep_log(ticket, lines))
    }

    async fn step(&self, id: Uuid, step: &str) -> Result<Option<String>, Error> {
        self.kept_step(id, step).await
    }

    async fn keep_step(&self, ticket: Ticket, step: &str, result: &str) -> Result<(), Error> {
        self.keep_one_step(ticket, step, result).await
    }

    async fn cancels(&self, tickets: &[Ticket]) -> Result<Vec<(Ticket, String)>, Error> {
        self.asked_to_stop(tickets).await
    }

    async fn beat(&self, beat: &Beat) -> Result<(), Error> {
        self.sign_of_life(beat).await
    }

    async fn delivered(&self, ids: &[Uuid]) -> Result<(), Error> {
        retry_collisions!(self.note_delivered(ids))
    }

    async fn wait(&self, id: Uuid, timeout: Duration) -> Result<Option<JobRow>, Error> {
        self.end_of(self.bell.done(id), true, timeout).await
    }

    fn listen(&self, id: Uuid) -> Listening {
        Listening(self.bell.done(id))
    }

    async fn wait_listening(
        &self,
        listening: Listening,
        timeout: Duration,
    ) -> Result<Option<JobRow>, Error> {
        self.end_of(listening.0, false, timeout).await
    }

    fn ready(&self, queue: &str) -> watch::Receiver<u64> {
        self.bell.ready(queue)
    }

    async fn reap(&self) -> Result<Reaped, Error> {
        self.upkeep().await
    }

    async fn unfinished(&self, principal: &str, limit: u32) -> Result<u32, Error> {
        self.count_unfinished(principal, limit).await
    }

    async fn prune(&self, retention: Retention, limit: u32) -> Result<u64, Error> {
        self.remove_finished(retention, limit).await
    }

    async fn clear(&self, kind: &str, queue: &str, limit: u32) -> Result<u64, Error> {
        self.remove_all(kind, queue, limit).await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.db.ping().await?;
        match &self.index {
            Some(index) => index.ping().await,
            None => Ok(()),
        }
    }

    fn db(&self) -> &Db {
        &self.db
    }
}
