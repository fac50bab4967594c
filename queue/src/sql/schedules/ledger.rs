//! The ledger: one row per tick that was dealt with. Its key is what makes a tick happen once,
//! however many schedulers see it.

use crate::Error;
use crate::schedule::{Outcome, TickRow};
use chrono::{DateTime, Utc};
use db::{Db, Row, Sql, Tx, args};
use uuid::Uuid;

/// Ticks of one schedule that are kept at the most.
const KEPT: i64 = 10_000;
/// Ticks older than this go.
const KEPT_MS: i64 = 90 * 86_400_000;

/// A tick that was given up as missed by a clock that ran ahead still happens on time.
static RECORD: Sql = Sql::both(
    "INSERT INTO ticks (schedule, nominal, outcome, job_id, missed, late_ms, at) \
     VALUES ($1, $2, $3, $4, $5, $6, {now}) ON CONFLICT (schedule, nominal) DO UPDATE \
     SET outcome = excluded.outcome, job_id = excluded.job_id, missed = excluded.missed, \
     late_ms = excluded.late_ms, at = excluded.at \
     WHERE ticks.outcome = 'skipped_missed' AND excluded.outcome = 'enqueued' \
     RETURNING nominal",
);

/// $1 schedule, $2 tick, $3 job.
static SET_JOB: Sql =
    Sql::both("UPDATE ticks SET job_id = $3 WHERE schedule = $1 AND nominal = $2");

/// $1 schedule, $2 tick: the job of the last tick before it that had one, if it has no end.
static UNFINISHED_BEFORE: Sql = Sql::both(
    "SELECT id FROM jobs WHERE state IN ('scheduled', 'ready', 'running') \
     AND id = (SELECT job_id FROM ticks WHERE schedule = $1 AND nominal < $2 \
     AND job_id IS NOT NULL ORDER BY nominal DESC LIMIT 1)",
);

/// $1 schedule, $2 before this instant, $3 limit.
static TICKS: Sql = Sql::both(
    "SELECT schedule, nominal, outcome, job_id, missed, late_ms, at FROM ticks \
     WHERE schedule = $1 AND ($2 IS NULL OR nominal < $2) ORDER BY nominal DESC LIMIT $3",
);

/// $1 age in ms (negative), $2 limit. The last tick of a schedule stays: it says from when on
/// ticks were missed.
static PRUNE_OLD: Sql = Sql::both(
    "DELETE FROM ticks WHERE (schedule, nominal) IN (SELECT schedule, nominal FROM ticks \
     WHERE nominal < {after $1} AND (EXISTS (SELECT 1 FROM ticks AS later \
     WHERE later.schedule = ticks.schedule AND later.nominal > ticks.nominal) \
     OR NOT EXISTS (SELECT 1 FROM schedules WHERE name = ticks.schedule)) \
     ORDER BY nominal LIMIT $2)",
);

static NAMES: Sql = Sql::both("SELECT name FROM schedules ORDER BY name");

/// $1 schedule, $2 how many stay, $3 limit.
static PRUNE_MANY: Sql = Sql::both(
    "DELETE FROM ticks WHERE schedule = $1 AND nominal IN (SELECT nominal FROM ticks \
     WHERE schedule = $1 AND nominal <= (SELECT nominal FROM ticks WHERE schedule = $1 \
     ORDER BY nominal DESC LIMIT 1 OFFSET $2) ORDER BY nominal LIMIT $3)",
);

/// Writes a line unless the tick has one; whether it was written.
pub async fn record(tx: &mut Tx, tick: &TickRow) -> Result<bool, Error> {
    let values = args![
        &tick.schedule,
        tick.nominal,
        tick.outcome.as_str(),
        tick.job_id,
        i64::from(tick.missed),
        tick.late_ms,
    ];
    Ok(tx.row(&RECORD, values).await?.is_some())
}

/// Names the job that does a tick's work, if it is not the one that was recorded.
pub async fn set_job(
    tx: &mut Tx,
    schedule: &str,
    nominal: DateTime<Utc>,
    job: Uuid,
) -> Result<(), Error> {
    tx.execute(&SET_JOB, args![schedule, nominal, job]).await?;
    Ok(())
}

/// Whether the job of the tick before this one still has no end.
pub async fn unfinished_before(
    tx: &mut Tx,
    schedule: &str,
    nominal: DateTime<Utc>,
) -> Result<bool, Error> {
    Ok(tx.row(&UNFINISHED_BEFORE, args![schedule, nominal]).await?.is_some())
}

/// What became of a schedule's ticks, newest first.
pub async fn ticks(
    db: &Db,
    schedule: &str,
    before: Option<DateTime<Utc>>,
    limit: u32,
) -> Result<Vec<TickRow>, Error> {
    let rows = db.read(&TICKS, args![schedule, before, i64::from(limit)]).await?;
    rows.iter().map(tick).collect()
}

/// Removes at most `limit` lines that are old or too many; returns how many.
pub async fn prune(db: &Db, limit: u32) -> Result<u64, Error> {
    let mut removed = db.execute(&PRUNE_OLD, args![-KEPT_MS, i64::from(limit)]).await?;
    for row in db.read(&NAMES, args![]).await? {
        let left = i64::from(limit) - i64::try_from(removed).unwrap_or(i64::MAX);
        if left <= 0 {
            break;
        }
        let name: String = row.get("name")?;
        removed += db.execute(&PRUNE_MANY, args![name, KEPT, left]).await?;
    }
    Ok(removed)
}

fn tick(row: &Row) -> Result<TickRow, Error> {
    let outcome: String = row.get("outcome")?;
    Ok(TickRow {
        schedule: row.get("schedule")?,
        nominal: row.get("nominal")?,
        outcome: Outcome::parse(&outcome).expect("the schema allows only known words"),
        job_id: row.get("job_id")?,
        missed: u32::try_from(row.get::<i64>("missed")?).unwrap_or(u32::MAX),
        late_ms: row.get("late_ms")?,
        at: row.get("at")?,
    })
}
