//! Worker processes and what they achieve: signs of life, throughput.

use super::Record;
use crate::Error;
use crate::control::{Beat, WorkerRow};
use chrono::{DateTime, Utc};
use db::{Row, Sql, args};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// Without a sign of life for so long (ms) a worker does not count as alive; they beat every 5 s.
const SILENT_MS: i64 = -20_000;
/// Jobs shown of one worker.
const JOBS: usize = 100;

macro_rules! beat {
    ($queues:literal, $kinds:literal) => {
        concat!(
            "INSERT INTO workers (name, queues, kinds, running, draining, started_at, beat_at, \
             last_claim_at) VALUES ($1, ",
            $queues,
            ", ",
            $kinds,
            ", $4, $5, {now}, {now}, CASE WHEN $6 IS NULL THEN NULL ELSE {after $6} END) \
             ON CONFLICT (name) DO UPDATE SET queues = excluded.queues, kinds = excluded.kinds, \
             running = excluded.running, draining = excluded.draining, \
             beat_at = excluded.beat_at, \
             last_claim_at = COALESCE(excluded.last_claim_at, workers.last_claim_at)"
        )
    };
}

/// $1 name, $2 queues, $3 kinds, $4 running, $5 draining, $6 last claim in ms (negative).
static BEAT: Sql = Sql::each(beat!("$2::text::json", "$3::text::json"), beat!("$2", "$3"));

static LEAVE: Sql = Sql::both("DELETE FROM workers WHERE name = $1");

/// $1 queue, $2 succeeded, $3 failed.
static ENDED: Sql = Sql::each(
    "INSERT INTO throughput (queue, minute, done, failed) \
     VALUES ($1, date_trunc('minute', {now}), $2, $3) ON CONFLICT (queue, minute) \
     DO UPDATE SET done = throughput.done + excluded.done, \
     failed = throughput.failed + excluded.failed",
    "INSERT INTO throughput (queue, minute, done, failed) \
     VALUES ($1, strftime('%Y-%m-%dT%H:%M:00.000Z', 'now'), $2, $3) ON CONFLICT (queue, minute) \
     DO UPDATE SET done = throughput.done + excluded.done, \
     failed = throughput.failed + excluded.failed",
);

/// $1 silence in ms (negative).
static WORKERS: Sql = Sql::both(
    "SELECT name, queues, kinds, draining, started_at, beat_at, last_claim_at, \
     beat_at > {after $1} AS alive FROM workers WHERE beat_at > {after $2} \
     ORDER BY beat_at DESC LIMIT 1000",
);

pub(super) static HELD: Sql = Sql::both(
    "SELECT id, lease_holder, lease_until FROM jobs {by jobs_leased} WHERE state = 'running' \
     ORDER BY lease_until LIMIT 10000",
);

impl Record {
    pub(super) async fn sign_of_life(&self, beat: &Beat) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        // In one order, so that two workers never wait for each other.
        let ended: BTreeSet<&(String, u64, u64)> = beat.ended.iter().collect();
        for (queue, done, failed) in ended {
            let count = |n: &u64| i64::try_from(*n).unwrap_or(i64::MAX);
            tx.execute(&ENDED, args![queue, count(done), count(failed)]).await?;
        }
        if beat.leaving {
            tx.execute(&LEAVE, args![&beat.worker]).await?;
            return Ok(tx.commit().await?);
        }
        let json = |value: serde_json::Value| value.to_string();
        let last_claim = beat.last_claim.map(|ago| -super::rows::millis(ago));
        let values = args![
            &beat.worker,
            json(serde_json::json!(beat.queues)),
            json(serde_json::json!(beat.kinds)),
            i64::try_from(beat.running).unwrap_or(i64::MAX),
            beat.draining,
            last_claim,
        ];
        tx.execute(&BEAT, values).await?;
        Ok(tx.commit().await?)
    }

    pub(super) async fn crew(&self) -> Result<Vec<WorkerRow>, Error> {
        const HOUR_MS: i64 = -3_600_000;
        let mut held: HashMap<String, Vec<(Uuid, DateTime<Utc>)>> = HashMap::new();
        for row in self.db.read(&HELD, args![]).await? {
            let Some(holder) = row.get::<Option<String>>("lease_holder")? else { continue };
            let jobs = held.entry(holder).or_default();
            if jobs.len() < JOBS {
                jobs.push((row.get("id")?, row.get("lease_until")?));
            }
        }
        let rows = self.db.read(&WORKERS, args![SILENT_MS, HOUR_MS]).await?;
        rows.iter().map(|row| worker(row, &mut held)).collect()
    }
}

fn worker(
    row: &Row,
    held: &mut HashMap<String, Vec<(Uuid, DateTime<Utc>)>>,
) -> Result<WorkerRow, Error> {
    let name: String = row.get("name")?;
    let queues: String = row.get("queues")?;
    let kinds: String = row.get("kinds")?;
    Ok(WorkerRow {
        jobs: held.remove(&name).unwrap_or_default(),
        name,
        started_at: row.get("started_at")?,
        beat_at: row.get("beat_at")?,
        alive: row.get("alive")?,
        queues: serde_json::from_str(&queues).unwrap_or_default(),
        kinds: serde_json::from_str(&kinds).unwrap_or_default(),
        draining: row.get("draining")?,
        last_claim_at: row.get("last_claim_at")?,
    })
}
