//! Putting jobs in.
//!
//! A lane's counter row is locked until commit, so numbers of one lane are given in commit order
//! (D-16). The same lock is taken by whoever ends a job of the lane: either that one sees the new
//! job and lets it go first, or the new job sees the end and is not blocked.

use super::rows::{millis, moved, moved_columns};
use super::{Moved, Record};
use crate::Error;
use crate::job::{Enqueued, NewJob, Unique};
use crate::mutations::{Protection, is_off};
use db::{Dialect, Sql, Tx, Value, args, failpoint};
use serde::ser::{Serialize, SerializeTuple, Serializer};
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

macro_rules! insert {
    ($from:expr, $payload:literal, $blocked:expr) => {
        concat!(
            "INSERT INTO jobs (id, kind, version, queue, payload, state, priority, run_at, lane, \
             lane_seq, blocked, unique_scope, unique_key, principal, max_attempts, trace, expires_at, \
             timeout_ms, rank, created_at) \
             SELECT n.id, n.kind, n.version, n.queue, ",
            $payload,
            ", CASE WHEN n.run_at > {now} THEN 'scheduled' ELSE 'ready' END, n.priority, \
             COALESCE(n.run_at, {now}), n.lane, n.lane_seq, ",
            $blocked,
            ", n.unique_scope, n.unique_key, n.principal, n.max_attempts, n.trace, \
             n.expires_at, n.timeout_ms, {ms COALESCE(n.run_at, {now})} + n.priority * 60000, {now} FROM ",
            $from,
            " WHERE true ON CONFLICT DO NOTHING RETURNING ",
            moved_columns!()
        )
    };
}

/// New jobs as arrays, one per column.
macro_rules! arrays {
    () => {
        "unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], \
         $7::timestamptz[], $8::text[], $9::bigint[], $10::boolean[], $11::text[], $12::text[], \
         $13::text[], $14::bigint[], $15::text[], $16::timestamptz[], $17::bigint[]) \
         AS n(id, kind, version, queue, payload, priority, run_at, lane, lane_seq, behind, \
         unique_scope, unique_key, principal, max_attempts, trace, expires_at, timeout_ms)"
    };
}

/// The same for one job: no row of a function whose number the planner has to guess, so that one
/// plan serves all.
macro_rules! one {
    () => {
        "(SELECT ($1::uuid[])[1] AS id, ($2::text[])[1] AS kind, ($3::bigint[])[1] AS version, \
         ($4::text[])[1] AS queue, ($5::text[])[1] AS payload, ($6::bigint[])[1] AS priority, \
         ($7::timestamptz[])[1] AS run_at, ($8::text[])[1] AS lane, ($9::bigint[])[1] AS lane_seq, \
         ($10::boolean[])[1] AS behind, ($11::text[])[1] AS unique_scope, \
         ($12::text[])[1] AS unique_key, ($13::text[])[1] AS principal, \
         ($14::bigint[])[1] AS max_attempts, ($15::text[])[1] AS trace, \
         ($16::timestamptz[])[1] AS expires_at, ($17::bigint[])[1] AS timeout_ms) AS n"
    };
}

/// New jobs as one JSON text: a statement per job would cross to SQLite's thread for each.
macro_rules! tuples {
    () => {
        "(SELECT value ->> 0 AS id, value ->> 1 AS kind, value ->> 2 AS version, \
         value ->> 3 AS queue, value ->> 4 AS payload, value ->> 5 AS priority, \
         value ->> 6 AS run_at, value ->> 7 AS lane, value ->> 8 AS lane_seq, \
         value ->> 9 AS behind, value ->> 10 AS unique_scope, value ->> 11 AS unique_key, \
         value ->> 12 AS principal, value ->> 13 AS max_attempts, value ->> 14 AS trace, \
         value ->> 15 AS expires_at, value ->> 16 AS timeout_ms FROM json_each($1)) AS n"
    };
}

/// Returns the jobs that were new.
static INSERT: Sql = Sql::each(
    insert!(arrays!(), "n.payload::json", "FALSE"),
    insert!(tuples!(), "n.payload", "FALSE"),
);

static INSERT_ONE: Sql = Sql::each(
    insert!(one!(), "n.payload::json", "FALSE"),
    insert!(tuples!(), "n.payload", "FALSE"),
);

/// Whether another job of the lane goes first.
macro_rules! blocked {
    () => {
        "n.lane IS NOT NULL AND (n.behind OR EXISTS (SELECT 1 FROM jobs AS ahead \
         WHERE ahead.lane = n.lane AND ahead.state IN ('scheduled', 'ready', 'running')))"
    };
}

/// The same when some have a lane.
static INSERT_LANES: Sql = Sql::each(
    insert!(arrays!(), "n.payload::json", blocked!()),
    insert!(tuples!(), "n.payload", blocked!()),
);

static INSERT_ONE_LANE: Sql = Sql::each(
    insert!(one!(), "n.payload::json", blocked!()),
    insert!(tuples!(), "n.payload", blocked!()),
);

/// The statement that puts in `step`.
fn insert_sql(step: &[Placed<'_>]) -> &'static Sql {
    let has_lanes = step.iter().any(|placed| placed.job.lane.is_some());
    match (step.len(), has_lanes) {
        (1, false) => &INSERT_ONE,
        (1, true) => &INSERT_ONE_LANE,
        (_, false) => &INSERT,
        (_, true) => &INSERT_LANES,
    }
}

/// $1 id, $2 kind, $3 scope, $4 key; the job that made the new one superfluous.
static FIND_EQUAL: Sql = Sql::both(
    "SELECT id FROM jobs WHERE id = $1 UNION ALL SELECT id FROM jobs \
     WHERE kind = $2 AND unique_key = $4 AND unique_scope = $3 AND ($3 = 'ever' \
     OR state IN ('scheduled', 'ready', 'running') \
     OR ($3 = 'until_delivered' AND delivered_at IS NULL AND state = 'done')) LIMIT 1",
);

static NOTE_QUEUE: Sql = Sql::both("INSERT INTO queues (name) VALUES ($1) ON CONFLICT DO NOTHING");

/// A job with its place in its lane.
pub(super) struct Placed<'a> {
    pub(super) job: &'a NewJob,
    pub(super) lane_seq: Option<i64>,
    /// Another job of the same call goes first.
    behind: bool,
}

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

    /// Whether one statement does all: no lane to number, no key to look for, nothing else to write.
    pub(super) fn is_plain(&self, jobs: &[NewJob]) -> bool {
        let known = self.known_queues.read().unwrap_or_else(PoisonError::into_inner);
        jobs.len() <= STEP
            && jobs.iter().all(|job| {
                job.lane.is_none()
                    && job.unique == Unique::No
                    && job.attributes.is_empty()
                    && known.contains(&job.queue)
            })
    }

    /// Puts plain jobs in: one round trip, which is a transaction by itself.
    pub(super) async fn insert_plain(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, Error> {
        failpoint::at("enqueue").await?;
        super::limits::check(jobs, self.max_payload_bytes)?;
        let step: Vec<Placed<'_>> =
            jobs.iter().map(|job| Placed { job, lane_seq: None, behind: false }).collect();
        let rows = self.db.write(insert_sql(&step), columns(self.db.dialect(), &step)).await?;
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
    for row in tx.rows(insert_sql(step), columns(tx.dialect(), step)).await? {
        inserted.push(moved(&row)?);
    }
    Ok(())
}

fn columns(dialect: Dialect, step: &[Placed<'_>]) -> Vec<Value> {
    match dialect {
        Dialect::Postgres => arrays(step),
        Dialect::Sqlite => args![serde_json::to_string(step).expect("a job is plain data")],
    }
}

/// In the order of [`tuples`].
impl Serialize for Placed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let job = self.job;
        let (scope, key) = scope_and_key(&job.unique);
        let mut tuple = serializer.serialize_tuple(17)?;
        tuple.serialize_element(&job.id)?;
        tuple.serialize_element(&job.kind)?;
        tuple.serialize_element(&job.version)?;
        tuple.serialize_element(&job.queue)?;
        tuple.serialize_element(&job.payload)?;
        tuple.serialize_element(&job.priority)?;
        tuple.serialize_element(&job.run_at.map(db::instant_text))?;
        tuple.serialize_element(&job.lane)?;
        tuple.serialize_element(&self.lane_seq)?;
        tuple.serialize_element(&self.behind)?;
        tuple.serialize_element(&scope)?;
        tuple.serialize_element(&key)?;
        tuple.serialize_element(&job.principal)?;
        tuple.serialize_element(&job.max_attempts)?;
        tuple.serialize_element(&job.trace)?;
        tuple.serialize_element(&job.expires_at.map(db::instant_text))?;
        tuple.serialize_element(&job.timeout.map(millis))?;
        tuple.end()
    }
}

fn arrays(step: &[Placed<'_>]) -> Vec<Value> {
    let texts = |pick: fn(&NewJob) -> Option<String>| -> Value {
        step.iter().map(|placed| pick(placed.job)).collect::<Vec<_>>().into()
    };
    let ints = |pick: fn(&Placed<'_>) -> Option<i64>| -> Value {
        step.iter().map(pick).collect::<Vec<_>>().into()
    };
    args![
        step.iter().map(|placed| placed.job.id).collect::<Vec<_>>(),
        texts(|job| Some(job.kind.clone())),
        ints(|placed| Some(placed.job.version)),
        texts(|job| Some(job.queue.clone())),
        texts(|job| Some(job.payload.clone())),
        ints(|placed| Some(i64::from(placed.job.priority))),
        step.iter().map(|placed| placed.job.run_at).collect::<Vec<_>>(),
        texts(|job| job.lane.clone()),
        ints(|placed| placed.lane_seq),
        step.iter().map(|placed| placed.behind).collect::<Vec<_>>(),
        texts(|job| scope_and_key(&job.unique).0.map(str::to_owned)),
        texts(|job| scope_and_key(&job.unique).1.map(str::to_owned)),
        texts(|job| job.principal.clone()),
        ints(|placed| Some(i64::from(placed.job.max_attempts))),
        texts(|job| job.trace.clone()),
        step.iter().map(|placed| placed.job.expires_at).collect::<Vec<_>>(),
        ints(|placed| placed.job.timeout.map(millis)),
    ]
}

fn scope_and_key(unique: &Unique) -> (Option<&str>, Option<&str>) {
    match unique {
        _ if is_off(Protection::Unique) => (None, None),
        Unique::No => (None, None),
        Unique::WhileAlive(key) => (Some("while_alive"), Some(key)),
        Unique::Ever(key) => (Some("ever"), Some(key)),
        Unique::UntilDelivered(key) => (Some("until_delivered"), Some(key)),
    }
}
