//! Taking jobs.

use super::Record;
use super::rows::{claimed, entry, millis};
use crate::Error;
use crate::job::{Claim, Claimed, SUSPECT};
use crate::redis::Index;
use db::{Row, Sql, args};
use uuid::Uuid;

/// What an empty index is shown: enough that this is rare, few enough that it is quick.
const FILL: i64 = 10_000;

/// Rounds of ids that gave no job after which the index is passed by: so many of a paused kind may
/// stand in front that popping them all would take seconds.
const VAIN_ROUNDS: u32 = 8;

/// Ready jobs that may be claimed from queue $1.
macro_rules! claimable {
    ($state:literal) => {
        concat!(
            "queue = $1 AND ",
            $state,
            " = 'ready' AND NOT blocked AND (expires_at IS NULL OR expires_at > {now}) \
             AND kind NOT IN (SELECT name FROM pauses WHERE scope = 'kind' \
             AND (until_at IS NULL OR until_at > {now})) \
             AND NOT EXISTS (SELECT 1 FROM pauses WHERE scope = 'queue' AND name = $1 \
             AND (until_at IS NULL OR until_at > {now}))"
        )
    };
}

/// $3 worker, $4 lease in ms, $5 by how much the token grows. A claim does not wait for the disk: a
/// server that dies may forget it, and the job is claimed anew. The step differs from claim to claim,
/// so that the forgotten holder, which may still run, does not hold the next one's token. $6 crashes
/// that make a suspect, which begins later.
macro_rules! claim {
    ($where:expr) => {
        concat!(
            "UPDATE jobs SET state = 'running', attempt = attempt + 1, token = token + $5, \
             lease_holder = $3, lease_until = {after $4}, \
             started_at = CASE WHEN crashes < $6 THEN {now} END, \
             progress_done = NULL, progress_total = NULL, cancel_at = NULL, cancel_by = NULL \
             WHERE {unflushed} AND ",
            $where,
            " RETURNING id, token, kind, version, queue, payload, attempt, max_attempts, crashes, \
             principal, lane, lane_seq, trace, created_at, timeout_ms, checkpoint, rank"
        )
    };
}

/// $1 queue, $2 limit, and as above. On SQLite the store's clock is that of the process
/// that asks, so a job that one with a fast clock made ready still waits for its time.
pub(super) static SCAN: Sql = Sql::both(concat!(
    "WITH picked AS MATERIALIZED (SELECT id FROM jobs WHERE ",
    claimable!("state"),
    " AND run_at <= {now} ORDER BY rank, id LIMIT $2 {skip locked}) ",
    claim!("id IN (SELECT id FROM picked)")
));

/// $1 queue, $2 ids that were proposed, in order: whoever wants the same ones waits for them in the
/// same order. The state is hidden from the planner, which would else take an index of ready jobs
/// for a short way when its figures are old, and walk all of them for every claim.
static PROPOSED: Sql =
    Sql::both(claim!(concat!("id = ANY({few $2}) AND ", claimable!("state || ''"))));

/// $1 queue, $2 limit: what the index should hold first.
pub(super) static HEADS: Sql = Sql::both(concat!(
    "SELECT id, rank FROM jobs WHERE ",
    claimable!("state"),
    " ORDER BY rank, id LIMIT $2"
));

/// $1 queue.
static IS_PAUSED: Sql = Sql::both(
    "SELECT 1 FROM pauses WHERE scope = 'queue' AND name = $1 \
     AND (until_at IS NULL OR until_at > {now})",
);

impl Record {
    pub(super) async fn claim_by_scan(&self, claim: &Claim) -> Result<Vec<Claimed>, Error> {
        let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
        let values = args![
            &claim.queue,
            limit,
            &claim.worker,
            millis(claim.lease),
            step(),
            i64::from(SUSPECT)
        ];
        in_order(&self.db.write_unflushed(&SCAN, values).await?)
    }

    /// Claims what the index proposes. An index that knows nothing is filled from the record, an
    /// index that does not answer is passed by: Redis can be emptied or gone at any moment.
    pub(super) async fn claim_by_index(
        &self,
        index: &Index,
        claim: &Claim,
    ) -> Result<Vec<Claimed>, Error> {
        let (mut filled, mut vain) = (false, 0);
        loop {
            let Ok(ids) = index.pop(&claim.queue, claim.limit).await else {
                return self.claim_by_scan(claim).await;
            };
            if !ids.is_empty() {
                let taken = self.claim_ids(claim, ids).await?;
                // What was popped from a paused queue is shown again when it resumes.
                if !taken.is_empty()
                    || self.db.read_one(&IS_PAUSED, args![&claim.queue]).await?.is_some()
                {
                    return Ok(taken);
                }
                vain += 1;
                if vain == VAIN_ROUNDS {
                    return self.claim_by_scan(claim).await;
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

    async fn claim_ids(&self, claim: &Claim, mut ids: Vec<Uuid>) -> Result<Vec<Claimed>, Error> {
        ids.sort_unstable();
        let values = args![
            &claim.queue,
            ids,
            &claim.worker,
            millis(claim.lease),
            step(),
            i64::from(SUSPECT)
        ];
        in_order(&self.db.write_unflushed(&PROPOSED, values).await?)
    }

    /// Shows the index the first `limit` ready jobs; returns whether there were any.
    pub(super) async fn fill(&self, index: &Index, queue: &str, limit: i64) -> Result<bool, Error> {
        let rows = self.db.read(&HEADS, args![queue, limit]).await?;
        let entries = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        Ok(!entries.is_empty() && index.add(queue, &entries).await.is_ok())
    }
}

/// 1 to 65 536.
fn step() -> i64 {
    let [low, high, ..] = Uuid::new_v4().into_bytes();
    1 + i64::from(u16::from_le_bytes([low, high]))
}

/// `RETURNING` promises no order; the queue does.
fn in_order(rows: &[Row]) -> Result<Vec<Claimed>, Error> {
    let mut jobs = Vec::with_capacity(rows.len());
    for row in rows {
        jobs.push((row.get::<i64>("rank")?, claimed(row)?));
    }
    jobs.sort_unstable_by_key(|(rank, job)| (*rank, job.ticket.id));
    Ok(jobs.into_iter().map(|(_, job)| job).collect())
}
