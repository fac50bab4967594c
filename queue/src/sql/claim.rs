//! Taking jobs and keeping them.

use super::Record;
use super::rows::{claimed, entry, millis};
use crate::Error;
use crate::job::{Claim, Claimed, Progress, Ticket};
use crate::mutations::{Protection, is_off};
use crate::redis::Index;
use db::{Dialect, Row, Sql, Tx, args};
use std::time::Duration;
use uuid::Uuid;

/// What an empty index is shown: enough that this is rare, few enough that it is quick.
const FILL: i64 = 10_000;

macro_rules! claim {
    ($picked:literal) => {
        concat!(
            "WITH picked AS MATERIALIZED (SELECT id FROM jobs WHERE queue = $1 AND ",
            $picked,
            " AND state = 'ready' AND NOT blocked ORDER BY priority, run_at, id LIMIT $2 \
             {skip locked}) \
             UPDATE jobs SET state = 'running', attempt = attempt + 1, token = token + 1, \
             lease_holder = $3, lease_until = {after $4}, started_at = {now}, \
             progress_done = NULL, progress_total = NULL \
             WHERE id IN (SELECT id FROM picked) \
             RETURNING id, token, kind, version, queue, payload, attempt, max_attempts, crashes, \
             principal, lane, lane_seq, trace, created_at, priority, run_at"
        )
    };
}

/// $1 queue, $2 limit, $3 worker, $4 lease in ms. On SQLite the store's clock is that of the process
/// that asks, so a job that one with a fast clock made ready still waits for its time.
static SCAN: Sql = Sql::both(claim!("run_at <= {now}"));
/// The same among proposed ids $5.
static PROPOSED: Sql = Sql::both(claim!("id = ANY($5)"));

/// $1 queue, $2 limit: what the index should hold first.
static HEADS: Sql = Sql::both(
    "SELECT id, priority, run_at FROM jobs WHERE queue = $1 AND state = 'ready' AND NOT blocked \
     ORDER BY priority, run_at, id LIMIT $2",
);

/// $1 ids, $2 tokens, $3 lease in ms (PostgreSQL); $1 id, $2 token, $3 lease in ms (SQLite).
static EXTEND: Sql = Sql::each(
    "UPDATE jobs SET lease_until = {after $3} \
     FROM unnest($1::uuid[], $2::bigint[]) AS held(id, token) \
     WHERE jobs.id = held.id AND jobs.token = held.token AND state = 'running' \
     RETURNING jobs.id AS id, jobs.token AS token",
    "UPDATE jobs SET lease_until = {after $3} WHERE id = $1 AND token = $2 AND state = 'running' \
     RETURNING id, token",
);

/// $1 id, $2 token, $3 parts done, $4 parts in all: locks the row for its holder.
static HOLD: Sql = Sql::both(
    "UPDATE jobs SET progress_done = COALESCE($3, progress_done), \
     progress_total = COALESCE($4, progress_total) \
     WHERE id = $1 AND token = $2 AND state = 'running'",
);

impl Record {
    pub(super) async fn claim_by_scan(&self, claim: &Claim) -> Result<Vec<Claimed>, Error> {
        let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
        let values = args![&claim.queue, limit, &claim.worker, millis(claim.lease)];
        in_order(&self.db.write(&SCAN, values).await?)
    }

    /// Claims what the index proposes. An index that knows nothing is filled from the record, an
    /// index that does not answer is passed by: Redis can be emptied or gone at any moment.
    pub(super) async fn claim_by_index(
        &self,
        index: &Index,
        claim: &Claim,
    ) -> Result<Vec<Claimed>, Error> {
        let mut filled = false;
        loop {
            let Ok(ids) = index.pop(&claim.queue, claim.limit).await else {
                return self.claim_by_scan(claim).await;
            };
            if !ids.is_empty() {
                let taken = self.claim_ids(claim, ids).await?;
                if !taken.is_empty() {
                    return Ok(taken);
                }
                continue;
            }
            if filled
                || !index.may_fill(&claim.queue)
                || !self.fill(index, &claim.queue, FILL).await?
            {
                return Ok(Vec::new());
            }
            filled = true;
        }
    }

    async fn claim_ids(&self, claim: &Claim, ids: Vec<Uuid>) -> Result<Vec<Claimed>, Error> {
        let limit = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let values = args![&claim.queue, limit, &claim.worker, millis(claim.lease), ids];
        in_order(&self.db.write(&PROPOSED, values).await?)
    }

    /// Shows the index the first `limit` ready jobs; returns whether there were any.
    pub(super) async fn fill(&self, index: &Index, queue: &str, limit: i64) -> Result<bool, Error> {
        let rows = self.db.read(&HEADS, args![queue, limit]).await?;
        let entries = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        Ok(!entries.is_empty() && index.add(queue, &entries).await.is_ok())
    }

    pub(super) async fn extend_leases(
        &self,
        tickets: &[Ticket],
        lease: Duration,
    ) -> Result<Vec<Ticket>, Error> {
        if is_off(Protection::Leases) {
            return Ok(tickets.to_vec());
        }
        let mut held = Vec::with_capacity(tickets.len());
        let mut tx = self.db.begin().await?;
        match tx.dialect() {
            Dialect::Postgres => {
                for step in tickets.chunks(1_000) {
                    let ids: Vec<Uuid> = step.iter().map(|ticket| ticket.id).collect();
                    let tokens: Vec<i64> = step.iter().map(|ticket| ticket.token).collect();
                    let rows = tx.rows(&EXTEND, args![ids, tokens, millis(lease)]).await?;
                    for row in rows {
                        held.push(Ticket { id: row.get("id")?, token: row.get("token")? });
                    }
                }
            }
            Dialect::Sqlite => {
                for ticket in tickets {
                    let values = args![ticket.id, ticket.token, millis(lease)];
                    if tx.execute(&EXTEND, values).await? > 0 {
                        held.push(*ticket);
                    }
                }
            }
        }
        tx.commit().await?;
        Ok(held)
    }

    pub(super) async fn hold(
        &self,
        tx: &mut Tx,
        ticket: Ticket,
        progress: Option<Progress>,
    ) -> Result<(), Error> {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let done = progress.map(|progress| count(progress.done));
        let total = progress.map(|progress| count(progress.total));
        let held = tx.execute(&HOLD, args![ticket.id, ticket.token, done, total]).await?;
        if held == 0 { Err(Error::LeaseLost(ticket.id)) } else { Ok(()) }
    }
}

/// `RETURNING` promises no order; the queue does.
fn in_order(rows: &[Row]) -> Result<Vec<Claimed>, Error> {
    let mut jobs = Vec::with_capacity(rows.len());
    for row in rows {
        jobs.push((
            entry(row)?,
            row.get::<chrono::DateTime<chrono::Utc>>("run_at")?,
            claimed(row)?,
        ));
    }
    jobs.sort_by_key(|(entry, run_at, _)| (entry.priority, *run_at, entry.id));
    Ok(jobs.into_iter().map(|(_, _, job)| job).collect())
}
