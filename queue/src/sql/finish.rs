//! Ending attempts: only by the holder, with the end, the attempt's error and the next job of
//! the lane in one transaction.

use super::rows::{millis, moved, moved_columns, parts};
use super::{Moved, Record};
use crate::Error;
use crate::job::{Outcome, State, Ticket};
use db::{Dialect, Row, Sql, Tx, Value, args};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Ends per transaction.
pub(super) const STEP: usize = 500;

/// $1 id, $2 token, $3 outcome, $4 error (PostgreSQL: arrays of them).
static KEEP_ATTEMPT: Sql = Sql::each(
    "INSERT INTO attempts (job_id, token, attempt, worker, started_at, ended_at, outcome, error) \
     SELECT jobs.id, jobs.token, attempt, lease_holder, started_at, {now}, e.outcome, e.error \
     FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) AS e(id, token, outcome, error) \
     JOIN jobs ON jobs.id = e.id AND jobs.token = e.token AND jobs.state || '' = 'running' \
     ON CONFLICT DO NOTHING",
    "INSERT INTO attempts (job_id, token, attempt, worker, started_at, ended_at, outcome, error) \
     SELECT id, token, attempt, lease_holder, started_at, {now}, $3, $4 FROM jobs \
     WHERE id = $1 AND token = $2 AND state || '' = 'running' ON CONFLICT DO NOTHING",
);

/// The state an end leads to: a job that was asked to stop does not wait again.
macro_rules! ended {
    ($state:literal) => {
        concat!(
            "CASE WHEN cancel_at IS NOT NULL AND ",
            $state,
            " IN ('scheduled', 'ready') THEN 'cancelled' ELSE ",
            $state,
            " END"
        )
    };
}

macro_rules! end {
    ($result:literal, $from:literal, $running:literal) => {
        concat!(
            "UPDATE jobs SET state = ",
            ended!("e.state"),
            ", rank = CASE WHEN e.after_ms IS NULL THEN rank \
             ELSE {ms {after e.after_ms}} + priority * 60000 END, \
             run_at = CASE WHEN e.after_ms IS NULL THEN run_at ELSE {after e.after_ms} END, \
             attempt = attempt - e.refund, result = COALESCE(",
            $result,
            ", jobs.result), error = COALESCE(e.error, jobs.error), \
             lease_holder = NULL, lease_until = NULL, finished_at = CASE WHEN ",
            ended!("e.state"),
            " NOT IN ('scheduled', 'ready') THEN {now} END FROM ",
            $from,
            " WHERE jobs.id = e.id AND jobs.token = e.token AND ",
            $running,
            " RETURNING lane, jobs.token AS token, ",
            moved_columns!()
        )
    };
}

/// id, token, state, delay in ms, attempts given back, result, error: an array of each on
/// PostgreSQL, one JSON text on SQLite. There, `LIMIT` has the text read once. `|| ''` and `+` keep
/// the planners from going through all running jobs instead of looking up each id.
static END: Sql = Sql::each(
    end!(
        "e.result::json",
        "unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], \
         $7::text[]) AS e(id, token, state, after_ms, refund, result, error)",
        "jobs.state || '' = 'running'"
    ),
    end!(
        "e.result",
        "(SELECT value ->> 0 AS id, value ->> 1 AS token, value ->> 2 AS state, \
         value ->> 3 AS after_ms, value ->> 4 AS refund, value ->> 5 AS result, \
         value ->> 6 AS error FROM json_each($1) LIMIT -1) AS e",
        "+jobs.state = 'running'"
    ),
);

/// The same for attempts that succeeded, nearly all of them: id, token, result, parts done, in all.
macro_rules! done {
    ($result:literal, $from:literal, $running:literal) => {
        concat!(
            "UPDATE jobs SET state = 'done', result = COALESCE(",
            $result,
            ", jobs.result), progress_done = COALESCE(e.done, progress_done), \
             progress_total = COALESCE(e.total, progress_total), lease_holder = NULL, lease_until = NULL, finished_at = {now} FROM ",
            $from,
            " WHERE jobs.id = e.id AND jobs.token = e.token AND ",
            $running,
            " RETURNING jobs.id AS id, jobs.token AS token, lane"
        )
    };
}

static DONE: Sql = Sql::each(
    done!(
        "e.result::json",
        "unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[]) \
         AS e(id, token, result, done, total)",
        "jobs.state || '' = 'running'"
    ),
    done!(
        "e.result",
        "(SELECT value ->> 0 AS id, value ->> 1 AS token, value ->> 2 AS result, \
         value ->> 3 AS done, value ->> 4 AS total FROM json_each($1) LIMIT -1) AS e",
        "+jobs.state = 'running'"
    ),
);

/// One attempt that succeeded, on PostgreSQL, and the next job of its lane (`leave_lane` of migration
/// 0016), after the job's row. One plan serves all, where [`DONE`] is planned for every call.
static DONE_ONE: Sql = Sql::both(concat!(
    "WITH ended AS (",
    done!(
        "e.result::json",
        "(SELECT ($1::uuid[])[1] AS id, ($2::bigint[])[1] AS token, ($3::text[])[1] AS result, \
         ($4::bigint[])[1] AS done, ($5::bigint[])[1] AS total) AS e",
        "jobs.state || '' = 'running'"
    ),
    ") SELECT id, token, leave_lane(lane) AS head FROM ended"
));

/// $1 id.
static HEAD: Sql = Sql::both(concat!("SELECT ", moved_columns!(), " FROM jobs WHERE id = $1"));

/// $1 lanes: waits for their counters, so that enqueuing and ending take turns.
static LOCK_LANES: Sql =
    Sql::both("SELECT lane FROM lanes WHERE lane = ANY({few $1}) ORDER BY lane {lock}");

macro_rules! unblock {
    ($heads:literal) => {
        concat!(
            "UPDATE jobs SET blocked = FALSE WHERE blocked AND id ",
            $heads,
            " RETURNING ",
            moved_columns!()
        )
    };
}

/// $1 lanes: their first living jobs go next.
pub(super) static UNBLOCK: Sql = Sql::both(unblock!(
    "IN (SELECT (SELECT head.id FROM jobs AS head \
     WHERE head.lane = lanes.lane AND head.state IN ('scheduled', 'ready', 'running') \
     ORDER BY head.lane_seq LIMIT 1) FROM lanes WHERE lanes.lane = ANY($1))"
));

/// $1 lane.
pub(super) static UNBLOCK_ONE: Sql = Sql::both(unblock!(
    "= (SELECT head.id FROM jobs AS head \
     WHERE head.lane = $1 AND head.state IN ('scheduled', 'ready', 'running') \
     ORDER BY head.lane_seq LIMIT 1)"
));

impl Record {
    pub(super) async fn finish_step(
        &self,
        ends: &[(Ticket, Outcome)],
    ) -> Result<Vec<Ticket>, Error> {
        let mut tx = self.db.begin().await?;
        let held = self.end(&mut tx, ends).await?;
        tx.commit().await?;
        Ok(held)
    }

    /// Ends attempts inside `tx`; returns the tickets that were held.
    pub(super) async fn end(
        &self,
        tx: &mut Tx,
        ends: &[(Ticket, Outcome)],
    ) -> Result<Vec<Ticket>, Error> {
        let (succeeded, others): (Vec<_>, Vec<_>) =
            ends.iter().partition(|(_, outcome)| matches!(outcome, Outcome::Done { .. }));
        if is_one(tx, ends) {
            return self.end_one(tx, &succeeded).await;
        }
        let mut held = Vec::with_capacity(ends.len());
        let mut waiting: Vec<Moved> = Vec::new();
        let mut done: Vec<Uuid> = Vec::with_capacity(ends.len());
        let mut lanes: BTreeSet<String> = BTreeSet::new();
        for row in done_rows(tx, &DONE, &succeeded).await? {
            let id = row.get("id")?;
            held.push(Ticket { id, token: row.get("token")? });
            done.push(id);
            lanes.extend(row.get::<Option<String>>("lane")?);
        }
        keep_attempts(tx, &others).await?;
        for row in end_rows(tx, &others).await? {
            let job = moved(&row)?;
            held.push(Ticket { id: job.entry.id, token: row.get("token")? });
            if job.claimable || job.scheduled {
                waiting.push(job);
            } else {
                done.push(job.entry.id);
                lanes.extend(row.get::<Option<String>>("lane")?);
            }
        }
        self.ring_after(tx, waiting);
        self.unblock_heads(tx, lanes.into_iter().collect()).await?;
        self.ring_done_after(tx, done);
        Ok(held)
    }

    /// The same for one attempt that succeeded, on PostgreSQL.
    async fn end_one(&self, tx: &mut Tx, end: &[&(Ticket, Outcome)]) -> Result<Vec<Ticket>, Error> {
        let rows = done_rows(tx, &DONE_ONE, end).await?;
        let Some(row) = rows.first() else { return Ok(Vec::new()) };
        let id = row.get("id")?;
        if let Some(head) = row.get::<Option<Uuid>>("head")? {
            let heads = tx.rows(&HEAD, args![head]).await?;
            self.ring_after(tx, heads.iter().map(moved).collect::<Result<_, _>>()?);
        }
        self.ring_done_after(tx, vec![id]);
        Ok(vec![Ticket { id, token: row.get("token")? }])
    }

    pub(super) fn ring_done_after(&self, tx: &mut Tx, done: Vec<Uuid>) {
        let bell = Arc::clone(&self.bell);
        tx.after_commit(move || bell.ring_done(&done));
    }

    /// After jobs got their end by a statement that returns `lane` and the moved columns: lets
    /// their lanes go on and tells who waits for them.
    pub(super) async fn ended(&self, tx: &mut Tx, rows: &[Row]) -> Result<(), Error> {
        let mut done = Vec::with_capacity(rows.len());
        let mut lanes = BTreeSet::new();
        for row in rows {
            done.push(row.get("id")?);
            lanes.extend(row.get::<Option<String>>("lane")?);
        }
        self.unblock_heads(tx, lanes.into_iter().collect()).await?;
        self.ring_done_after(tx, done);
        Ok(())
    }

    /// Lets the first living job of each lane go next.
    pub(super) async fn unblock_heads(&self, tx: &mut Tx, lanes: Vec<String>) -> Result<(), Error> {
        if lanes.is_empty() {
            return Ok(());
        }
        lock_lanes(tx, &lanes).await?;
        let rows = match lanes.as_slice() {
            [lane] => tx.rows(&UNBLOCK_ONE, args![lane]).await?,
            _ => tx.rows(&UNBLOCK, args![lanes]).await?,
        };
        let heads = rows.iter().map(moved).collect::<Result<Vec<_>, _>>()?;
        self.ring_after(tx, heads);
        Ok(())
    }
}

/// Waits for the lanes' counters. Whoever changes waiting jobs of lanes takes these locks before
/// those of the jobs, as `UNBLOCK` does; running jobs are locked before both.
pub(super) async fn lock_lanes(tx: &mut Tx, lanes: &[String]) -> Result<(), Error> {
    if !lanes.is_empty() && tx.dialect() == Dialect::Postgres {
        tx.rows(&LOCK_LANES, args![lanes.to_vec()]).await?;
    }
    Ok(())
}

async fn keep_attempts(tx: &mut Tx, ends: &[&(Ticket, Outcome)]) -> Result<(), Error> {
    let failed: Vec<(Ticket, &str, &String)> = ends
        .iter()
        .filter_map(|(ticket, outcome)| match outcome {
            Outcome::Retry { error, .. } => Some((*ticket, "retry", error)),
            Outcome::Dead { error } => Some((*ticket, "dead", error)),
            Outcome::Cancelled { error } => Some((*ticket, "cancelled", error)),
            Outcome::Done { .. } | Outcome::Snooze { .. } | Outcome::Release => None,
        })
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    match tx.dialect() {
        Dialect::Postgres => {
            let values = args![
                failed.iter().map(|(ticket, ..)| ticket.id).collect::<Vec<_>>(),
                failed.iter().map(|(ticket, ..)| ticket.token).collect::<Vec<_>>(),
                failed.iter().map(|(_, outcome, _)| (*outcome).to_owned()).collect::<Vec<_>>(),
                failed.iter().map(|(.., error)| (*error).clone()).collect::<Vec<_>>(),
            ];
            tx.execute(&KEEP_ATTEMPT, values).await?;
        }
        Dialect::Sqlite => {
            for (ticket, outcome, error) in failed {
                let values = args![ticket.id, ticket.token, outcome, error];
                tx.execute(&KEEP_ATTEMPT, values).await?;
            }
        }
    }
    Ok(())
}

/// An outcome as columns: state, delay in ms, attempts given back, result, error.
fn columns(outcome: &Outcome) -> (State, Option<i64>, i64, Option<String>, Option<String>) {
    match outcome {
        Outcome::Done { result, .. } => (State::Done, None, 0, result.clone(), None),
        Outcome::Retry { after, error } if after.is_zero() => {
            (State::Ready, Some(0), 0, None, Some(error.clone()))
        }
        Outcome::Retry { after, error } => {
            (State::Scheduled, Some(millis(*after)), 0, None, Some(error.clone()))
        }
        Outcome::Snooze { after } => (State::Scheduled, Some(millis(*after)), 1, None, None),
        Outcome::Dead { error } => (State::Dead, None, 0, None, Some(error.clone())),
        Outcome::Release => (State::Ready, None, 1, None, None),
        Outcome::Cancelled { error } => (State::Cancelled, None, 0, None, Some(error.clone())),
    }
}

/// Whether [`DONE_ONE`] says it all.
fn is_one(tx: &Tx, ends: &[(Ticket, Outcome)]) -> bool {
    tx.dialect() == Dialect::Postgres && matches!(ends, [(_, Outcome::Done { .. })])
}

async fn done_rows(
    tx: &mut Tx,
    sql: &'static Sql,
    ends: &[&(Ticket, Outcome)],
) -> Result<Vec<Row>, Error> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let shown = ends.iter().map(|(_, outcome)| match outcome {
        Outcome::Done { result, progress } => (result.clone(), parts(*progress)),
        _ => (None, parts(None)),
    });
    let shown: Vec<_> = shown.collect();
    let values = match tx.dialect() {
        Dialect::Sqlite => {
            let tuples: Vec<_> = ends
                .iter()
                .zip(&shown)
                .map(|((held, _), (result, (done, total)))| {
                    (held.id, held.token, result, done, total)
                })
                .collect();
            args![serde_json::to_string(&tuples).expect("an end is plain data")]
        }
        Dialect::Postgres => args![
            ends.iter().map(|(ticket, _)| ticket.id).collect::<Vec<_>>(),
            ends.iter().map(|(ticket, _)| ticket.token).collect::<Vec<_>>(),
            shown.iter().map(|(result, ..)| result.clone()).collect::<Vec<_>>(),
            shown.iter().map(|(_, (done, _))| *done).collect::<Vec<_>>(),
            shown.iter().map(|(_, (_, total))| *total).collect::<Vec<_>>(),
        ],
    };
    Ok(tx.rows(sql, values).await?)
}

async fn end_rows(tx: &mut Tx, ends: &[&(Ticket, Outcome)]) -> Result<Vec<Row>, Error> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<_> = ends.iter().map(|(_, outcome)| columns(outcome)).collect();
    if tx.dialect() == Dialect::Sqlite {
        let tuples: Vec<_> = ends
            .iter()
            .zip(&all)
            .map(|((ticket, _), (state, after, refund, result, error))| {
                (ticket.id, ticket.token, state.as_str(), after, refund, result, error)
            })
            .collect();
        let tuples = serde_json::to_string(&tuples).expect("an end is plain data");
        return Ok(tx.rows(&END, args![tuples]).await?);
    }
    let values: Vec<Value> = args![
        ends.iter().map(|(ticket, _)| ticket.id).collect::<Vec<_>>(),
        ends.iter().map(|(ticket, _)| ticket.token).collect::<Vec<_>>(),
        all.iter().map(|end| end.0.as_str().to_owned()).collect::<Vec<_>>(),
        all.iter().map(|end| end.1).collect::<Vec<_>>(),
        all.iter().map(|end| end.2).collect::<Vec<_>>(),
        all.iter().map(|end| end.3.clone()).collect::<Vec<_>>(),
        all.iter().map(|end| end.4.clone()).collect::<Vec<_>>(),
    ];
    Ok(tx.rows(&END, values).await?)
}
