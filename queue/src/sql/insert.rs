//! The statements that write new jobs, and their values.

use super::rows::{millis, moved_columns};
use crate::job::{NewJob, Unique};
use crate::mutations::{Protection, is_off};
use db::{Dialect, Sql, Value, args};
use serde::ser::{Serialize, SerializeTuple, Serializer};

/// A job with its place in its lane.
pub(super) struct Placed<'a> {
    pub(super) job: &'a NewJob,
    pub(super) lane_seq: Option<i64>,
    /// Another job of the same call goes first.
    pub(super) behind: bool,
}

macro_rules! insert {
    ($from:expr, $payload:literal, $lane_seq:literal, $blocked:expr) => {
        concat!(
            "INSERT INTO jobs (id, kind, version, queue, payload, state, priority, run_at, lane, \
             lane_seq, blocked, unique_scope, unique_key, principal, max_attempts, trace, expires_at, \
             timeout_ms, rank, created_at) \
             SELECT n.id, n.kind, n.version, n.queue, ",
            $payload,
            ", CASE WHEN n.run_at > {now} THEN 'scheduled' ELSE 'ready' END, n.priority, \
             COALESCE(n.run_at, {now}), n.lane, ",
            $lane_seq,
            ", ",
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
    insert!(arrays!(), "n.payload::json", "n.lane_seq", "FALSE"),
    insert!(tuples!(), "n.payload", "n.lane_seq", "FALSE"),
);

static INSERT_ONE: Sql = Sql::each(
    insert!(one!(), "n.payload::json", "n.lane_seq", "FALSE"),
    insert!(tuples!(), "n.payload", "n.lane_seq", "FALSE"),
);

/// Whether another job of the lane goes first. Its order has the planners take the index of living
/// jobs, not that of all jobs that the lane has ever had.
macro_rules! blocked {
    () => {
        "n.lane IS NOT NULL AND (n.behind OR COALESCE((SELECT TRUE FROM jobs AS ahead \
         {by jobs_lane} WHERE ahead.lane = n.lane AND ahead.state IN ('scheduled', 'ready', \
         'running') ORDER BY ahead.lane_seq LIMIT 1), FALSE))"
    };
}

/// The same when some have a lane.
pub(super) static INSERT_LANES: Sql = Sql::each(
    insert!(arrays!(), "n.payload::json", "n.lane_seq", blocked!()),
    insert!(tuples!(), "n.payload", "n.lane_seq", blocked!()),
);

static INSERT_ONE_LANE: Sql = Sql::each(
    insert!(one!(), "n.payload::json", "n.lane_seq", blocked!()),
    insert!(tuples!(), "n.payload", "n.lane_seq", blocked!()),
);

/// PostgreSQL: one job at the end of its lane, number and all (`enter_lane` of migration 0016).
pub(super) static INSERT_AT_END: Sql = Sql::both(insert!(
    concat!(one!(), " CROSS JOIN LATERAL enter_lane(n.lane) AS entered"),
    "n.payload::json",
    "entered.seq",
    "entered.behind"
));

/// The statement that puts in so many jobs, of which some have a lane or none has.
pub(super) fn insert_sql(jobs: usize, has_lanes: bool) -> &'static Sql {
    match (jobs, has_lanes) {
        (1, false) => &INSERT_ONE,
        (1, true) => &INSERT_ONE_LANE,
        (_, false) => &INSERT,
        (_, true) => &INSERT_LANES,
    }
}

pub(super) fn columns(dialect: Dialect, step: &[Placed<'_>]) -> Vec<Value> {
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

pub(super) fn scope_and_key(unique: &Unique) -> (Option<&str>, Option<&str>) {
    match unique {
        _ if is_off(Protection::Unique) => (None, None),
        Unique::No => (None, None),
        Unique::WhileAlive(key) => (Some("while_alive"), Some(key)),
        Unique::Ever(key) => (Some("ever"), Some(key)),
        Unique::UntilDelivered(key) => (Some("until_delivered"), Some(key)),
    }
}
