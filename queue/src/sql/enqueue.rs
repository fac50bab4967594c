//! Putting jobs in.
//!
//! A lane's counter row is locked until commit, so numbers of one lane are given in commit order
//! (D-16). The same lock is taken by whoever ends a job of the lane: either that one sees the new
//! job and lets it go first, or the new job sees the end and is not blocked.

use super::insert::{INSERT_AT_END, Placed, columns, insert_sql, scope_and_key};
use super::rows::moved;
use super::{Moved, Record};
use crate::Error;
use crate::job::{Enqueued, NewJob, Unique};
use db::{Dialect, Sql, Tx, args, failpoint};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use uuid::Uuid;

/// Rows per statement.
const STEP: usize = 1_000;

/// $1 lane, $2 how many numbers; returns the last of them.
static NUMBER_LANE: Sql = Sql::both(
    "INSERT INTO lanes (lane, last_seq) VALUES ($1, $2) \
     ON CONFLICT (lane) DO UPDATE SET last_seq = lanes.last_seq + $2 RETURNING last_seq",
);

/// $1 id, $2 kind, $3 scope, $4 key; the job that made the new one superfluous.
static FIND_EQUAL: Sql = Sql::both(
    "SELECT id FROM jobs WHERE id = $1 UNION ALL SELECT id FROM jobs \
     WHERE kind = $2 AND unique_key = $4 AND unique_scope = $3 AND ($3 = 'ever' \
     OR state IN ('scheduled', 'ready', 'running') \
     OR ($3 = 'until_delivered' AND delivered_at IS NULL AND state = 'done')) LIMIT 1",
);

static NOTE_QUEUE: Sql = Sql::both("INSERT INTO queues (name) VALUES ($1) ON CONFLICT DO NOTHING");

impl Record {
    pub(super) async fn insert(
        &self,
        tx: &mut Tx,
        jobs: &[NewJob],
    ) -> Result<Vec<Enqueued>, Error> {
        super::limits::check(jobs, self.max_payload_bytes)?;
        self.note_queues(tx, jobs).await?;
        let placed = place(tx, jobs).await?;
        let mut inserted: Vec<Moved> = Vec::with_capacity(jobs.len());
        for step in placed.chunks(STEP) {
            insert_step(tx, step, &mut inserted).await?;
        }
        let mut new: HashSet<Uuid> = inserted.iter().map(|moved| moved.entry.id).collect();
        keep_attributes(tx, jobs.iter().filter(|job| new.contains(&job.id))).await?;
        self.ring_after(tx, inserted);
        let mut enqueued = Vec::with_capacity(jobs.len());
        let mut skipped_lanes = Vec::new();
        for job in &placed {
            let job = job.job;
            if new.remove(&job.id) {
                enqueued.push(Enqueued { id: job.id, created: true });
            } else {
                enqueued.push(self.equal_or_new(tx, job).await?);
                skipped_lanes.extend(job.lane.clone());
            }
        }
        // A job that was not inserted may have been the one others stand behind.
        self.unblock_heads(tx, skipped_lanes).await?;
        failpoint::at("enqueue").await?;
        Ok(enqueued)
    }

    /// The one statement that puts these jobs in, if there is one: no key to look for, nothing
    /// else to write, and no lane to number, unless it is one job on PostgreSQL.
    pub(super) fn in_one(&self, jobs: &[NewJob]) -> Option<&'static Sql> {
        let known = self.known_queues.read().unwrap_or_else(PoisonError::into_inner);
        let is_plain = |job: &NewJob| {
            job.unique == Unique::No && job.attributes.is_empty() && known.contains(&job.queue)
        };
        if jobs.len() > STEP || !jobs.iter().all(is_plain) {
            return None;
        }
        if jobs.iter().all(|job| job.lane.is_none()) {
            return Some(insert_sql(jobs.len(), false));
        }
        (jobs.len() == 1 && self.db.dialect() == Dialect::Postgres).then_some(&INSERT_AT_END)
    }

    /// Puts jobs in by `sql`: one round trip, which is a transaction by itself.
    pub(super) async fn insert_in_one(
        &self,
        sql: &'static Sql,
        jobs: &[NewJob],
    ) -> Result<Vec<Enqueued>, Error> {
        failpoint::at("enqueue").await?;
        super::limits::check(jobs, self.max_payload_bytes)?;
        let step: Vec<Placed<'_>> =
            jobs.iter().map(|job| Placed { job, lane_seq: None, behind: false }).collect();
        let rows = self.db.write(sql, columns(self.db.dialect(), &step)).await?;
        let inserted: Vec<Moved> = rows.iter().map(moved).collect::<Result<_, _>>()?;
        Self::ring(&self.bell, &inserted);
        let mut new: HashSet<Uuid> = inserted.iter().map(|moved| moved.entry.id).collect();
        // What is there already has the same id: nothing else can be in the way.
        let put_in = |job: &NewJob| Enqueued { id: job.id, created: new.remove(&job.id) };
        Ok(jobs.iter().map(put_in).collect())
    }

    /// Keeps the names of queues that this process sees for the first time.
    async fn note_queues(&self, tx: &mut Tx, jobs: &[NewJob]) -> Result<(), Error> {
        let new: BTreeSet<&str> = {
            let known = self.known_queues.read().unwrap_or_else(PoisonError::into_inner);
            let names = jobs.iter().map(|job| job.queue.as_str());
            names.filter(|name| !known.contains(*name)).collect()
        };
        for queue in new {
            tx.execute(&NOTE_QUEUE, args![queue]).await?;
            let (known, queue) = (Arc::clone(&self.known_queues), queue.to_owned());
            tx.after_commit(move || {
                known.write().unwrap_or_else(PoisonError::into_inner).insert(queue);
            });
        }
        Ok(())
    }

    /// The job that made `job` superfluous; if that one has just ended, `job` goes in after all.
    async fn equal_or_new(&self, tx: &mut Tx, job: &NewJob) -> Result<Enqueued, Error> {
        let (scope, key) = scope_and_key(&job.unique);
        loop {
            let row = tx.row(&FIND_EQUAL, args![job.id, &job.kind, scope, key]).await?;
            if let Some(row) = row {
                return Ok(Enqueued { id: row.get("id")?, created: false });
            }
            let mut inserted = Vec::new();
            let placed = place(tx, std::slice::from_ref(job)).await?;
            insert_step(tx, &placed, &mut inserted).await?;
            if !inserted.is_empty() {
                keep_attributes(tx, std::iter::once(job)).await?;
                self.ring_after(tx, inserted);
                return Ok(Enqueued { id: job.id, created: true });
            }
        }
    }
}

/// $1 names, values and job ids of search attributes.
static KEEP_ATTRIBUTES: Sql = Sql::each(
    "INSERT INTO job_attributes (name, value, job_id) \
     SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[]) ON CONFLICT DO NOTHING",
    "INSERT INTO job_attributes (name, value, job_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
);

async fn keep_attributes(tx: &mut Tx, jobs: impl Iterator<Item = &NewJob>) -> Result<(), Error> {
    let all: Vec<(&String, &String, Uuid)> = jobs
        .flat_map(|job| job.attributes.iter().map(|(name, value)| (name, value, job.id)))
        .collect();
    for step in all.chunks(STEP) {
        match tx.dialect() {
            Dialect::Postgres => {
                let values = args![
                    step.iter().map(|(name, ..)| (*name).clone()).collect::<Vec<_>>(),
                    step.iter().map(|(_, value, _)| (*value).clone()).collect::<Vec<_>>(),
                    step.iter().map(|(.., id)| *id).collect::<Vec<_>>(),
                ];
                tx.execute(&KEEP_ATTRIBUTES, values).await?;
            }
            Dialect::Sqlite => {
                for (name, value, id) in step {
                    tx.execute(&KEEP_ATTRIBUTES, args![*name, *value, *id]).await?;
                }
            }
        }
    }
    Ok(())
}

/// Numbers the lanes, in order of their names so that two calls never wait for each other.
pub(super) async fn place<'a>(tx: &mut Tx, jobs: &'a [NewJob]) -> Result<Vec<Placed<'a>>, Error> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for lane in jobs.iter().filter_map(|job| job.lane.as_deref()) {
        *counts.entry(lane).or_default() += 1;
    }
    let mut next: HashMap<&str, (i64, bool)> = HashMap::new();
    for (lane, count) in counts {
        let row = tx.row(&NUMBER_LANE, args![lane, count]).await?;
        let last: i64 = row.map(|row| row.get("last_seq")).transpose()?.unwrap_or(count);
        next.insert(lane, (last - count + 1, false));
    }
    let placed = jobs.iter().map(|job| {
        let place = job.lane.as_deref().and_then(|lane| next.get_mut(lane));
        let (lane_seq, behind) = match place {
            Some((seq, behind)) => {
                let here = (Some(*seq), *behind);
                (*seq, *behind) = (*seq + 1, true);
                here
            }
            None => (None, false),
        };
        Placed { job, lane_seq, behind }
    });
    Ok(placed.collect())
}

async fn insert_step(
    tx: &mut Tx,
    step: &[Placed<'_>],
    inserted: &mut Vec<Moved>,
) -> Result<(), Error> {
    let has_lanes = step.iter().any(|placed| placed.job.lane.is_some());
    let sql = insert_sql(step.len(), has_lanes);
    for row in tx.rows(sql, columns(tx.dialect(), step)).await? {
        inserted.push(moved(&row)?);
    }
    Ok(())
}
