//! Upkeep, in bounded steps: due jobs become ready, lost ones are taken back, old ones removed.

use super::Record;
use super::finish::lock_lanes;
use super::rows::{moved, moved_columns};
use crate::Error;
use crate::job::{Reaped, SUSPECT};
use crate::mutations::{Protection, is_off};
use chrono::{DateTime, Utc};
use db::{Sql, args};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Rows per statement.
const STEP: i64 = 1_000;
/// A job whose process died this often is set aside (quarantined): it may be what kills it.
const MAX_CRASHES: i64 = SUSPECT as i64 + 1;

/// $1 limit.
pub(super) static PROMOTE: Sql = Sql::both(concat!(
    "UPDATE jobs SET state = 'ready' WHERE id IN (SELECT id FROM jobs {by jobs_scheduled} WHERE state = 'scheduled' \
     AND run_at <= {now} ORDER BY run_at LIMIT $1 {skip locked}) RETURNING ",
    moved_columns!()
));

pub(super) static NEXT_DUE: Sql = Sql::both(
    "SELECT run_at, {now} AS moment FROM jobs {by jobs_scheduled} WHERE state = 'scheduled' ORDER BY run_at LIMIT 1",
);

/// $1 limit: locks jobs whose lease ran out.
pub(super) static LOST: Sql = Sql::both(
    "SELECT id FROM jobs {by jobs_leased} WHERE state = 'running' AND lease_until < {now} \
     ORDER BY lease_until LIMIT $1 {skip locked}",
);
/// Whether there is work for the statements below: the usual answer, no, must not cost a writing
/// transaction every second.
pub(super) static LOOK: Sql = Sql::both(
    "SELECT EXISTS (SELECT 1 FROM jobs {by jobs_leased} WHERE state = 'running' AND lease_until < {now}) AS lost, \
     EXISTS (SELECT 1 FROM jobs {by jobs_expiring} WHERE expires_at <= {now} AND state IN ('scheduled', 'ready')) \
     AS expired",
);

/// $1 limit: jobs to expire. Not locked yet: the locks of their lanes come first.
pub(super) static EXPIRING: Sql = Sql::both(
    "SELECT id, lane FROM jobs {by jobs_expiring} WHERE expires_at <= {now} AND state IN ('scheduled', 'ready') \
     ORDER BY expires_at LIMIT $1",
);

/// $1 ids.
static EXPIRE: Sql = Sql::both(concat!(
    "UPDATE jobs SET state = 'expired', finished_at = {now}, error = 'expired before it started' \
     WHERE id IN (SELECT id FROM jobs WHERE id = ANY($1) AND expires_at <= {now} \
     AND state IN ('scheduled', 'ready') ORDER BY id {skip locked}) RETURNING lane, ",
    moved_columns!()
));

/// $1 ids.
static KEEP_CRASH: Sql = Sql::both(
    "INSERT INTO attempts (job_id, token, attempt, worker, started_at, ended_at, outcome, error) \
     SELECT id, token, attempt, lease_holder, started_at, {now}, 'crash', \
     'worker ' || lease_holder || ' let its lease run out' FROM jobs \
     WHERE id = ANY($1) AND started_at IS NOT NULL ON CONFLICT DO NOTHING",
);

/// Whether the attempt had begun: a suspect that still waited for its turn has done nothing.
macro_rules! began {
    () => {
        "CASE WHEN started_at IS NULL THEN 0 ELSE 1 END"
    };
}

macro_rules! is_over {
    () => {
        "(started_at IS NOT NULL AND (crashes + 1 >= $2 OR attempt >= max_attempts))"
    };
}

/// $1 ids, $2 crashes allowed.
static RECOVER: Sql = Sql::both(concat!(
    "UPDATE jobs SET crashes = crashes + ",
    began!(),
    ", attempt = attempt - 1 + ",
    began!(),
    ", lease_holder = NULL, lease_until = NULL, \
     state = CASE WHEN cancel_at IS NOT NULL THEN 'cancelled' WHEN ",
    is_over!(),
    " THEN 'dead' ELSE 'ready' END, finished_at = CASE WHEN cancel_at IS NOT NULL OR ",
    is_over!(),
    " THEN {now} END, \
     error = CASE WHEN cancel_at IS NOT NULL THEN COALESCE(cancel_by, 'cancelled') \
     WHEN started_at IS NOT NULL AND crashes + 1 >= $2 \
     THEN 'quarantined: its process died ' || $2 || ' times' \
     ELSE 'its process died or lost the database' END \
     WHERE id = ANY($1) RETURNING lane, ",
    moved_columns!()
));

impl Record {
    pub(super) async fn upkeep(&self) -> Result<Reaped, Error> {
        let mut next_due = self.next_due().await?;
        let mut due = 0;
        if next_due.is_some_and(|next| next.is_zero()) {
            due = self.promote().await?;
            next_due = self.next_due().await?;
        }
        let look = self.db.read_one(&LOOK, args![]).await?;
        let is_there = |column| -> Result<bool, Error> {
            Ok(look.as_ref().map(|row| row.get(column)).transpose()?.unwrap_or_default())
        };
        let (recovered, dead) = if is_there("lost")? { self.take_back().await? } else { (0, 0) };
        let expired = if is_there("expired")? { self.expire().await? } else { 0 };
        if let Some(index) = &self.index {
            for queue in index.take_sweeps() {
                self.fill(index, &queue, STEP).await?;
            }
        }
        let full = u64::try_from(STEP).unwrap_or(u64::MAX);
        let more = due >= full || recovered + dead >= full || expired >= full;
        Ok(Reaped { due, recovered, dead, expired, more, next_due })
    }

    async fn promote(&self) -> Result<u64, Error> {
        let rows = self.db.write(&PROMOTE, args![STEP]).await?;
        let due = rows.iter().map(moved).collect::<Result<Vec<_>, _>>()?;
        Self::ring(&self.bell, &due);
        Ok(due.len() as u64)
    }

    /// Time until the next scheduled job is due, zero if one is.
    async fn next_due(&self) -> Result<Option<std::time::Duration>, Error> {
        let Some(row) = self.db.read_one(&NEXT_DUE, args![]).await? else { return Ok(None) };
        let run_at: DateTime<Utc> = row.get("run_at")?;
        let moment: DateTime<Utc> = row.get("moment")?;
        Ok(Some((run_at - moment).to_std().unwrap_or_default()))
    }

    async fn expire(&self) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let found = tx.rows(&EXPIRING, args![STEP]).await?;
        let ids = found.iter().map(|row| row.get("id")).collect::<Result<Vec<Uuid>, _>>()?;
        let lanes = found.iter().map(|row| row.get::<Option<String>>("lane"));
        let lanes: BTreeSet<String> =
            lanes.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        lock_lanes(&mut tx, &lanes.into_iter().collect::<Vec<_>>()).await?;
        let rows = tx.rows(&EXPIRE, args![ids]).await?;
        self.ended(&mut tx, &rows).await?;
        tx.commit().await?;
        Ok(rows.len() as u64)
    }

    async fn take_back(&self) -> Result<(u64, u64), Error> {
        if is_off(Protection::Sweep) {
            return Ok((0, 0));
        }
        let mut tx = self.db.begin().await?;
        let lost = tx.rows(&LOST, args![STEP]).await?;
        let ids = lost.iter().map(|row| row.get("id")).collect::<Result<Vec<Uuid>, _>>()?;
        tx.execute(&KEEP_CRASH, args![ids.clone()]).await?;
        let (mut ready, mut dead) = (Vec::new(), Vec::new());
        let mut lanes = BTreeSet::new();
        for row in tx.rows(&RECOVER, args![ids, MAX_CRASHES]).await? {
            let job = moved(&row)?;
            if job.claimable {
                ready.push(job);
            } else {
                dead.push(job.entry.id);
                lanes.extend(row.get::<Option<String>>("lane")?);
            }
        }
        let counts = (ready.len() as u64, dead.len() as u64);
        self.ring_after(&mut tx, ready);
        self.unblock_heads(&mut tx, lanes.into_iter().collect()).await?;
        self.ring_done_after(&mut tx, dead);
        tx.commit().await?;
        Ok(counts)
    }
}
