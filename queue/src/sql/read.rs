//! Reading jobs.

use super::Record;
use super::rows::{attempt, job, job_columns};
use crate::Error;
use crate::job::{Attempt, Filter, JobRow, Page, QueueStats};
use chrono::{DateTime, Utc};
use db::{Sql, args};
use std::collections::BTreeMap;
use uuid::Uuid;

static GET: Sql = Sql::both(concat!("SELECT ", job_columns!(), " FROM jobs WHERE id = $1"));

static ATTEMPTS: Sql = Sql::both(
    "SELECT attempt, worker, started_at, ended_at, outcome, error FROM attempts \
     WHERE job_id = $1 ORDER BY token",
);

/// $1 state, $2 kind, $3 queue, $4 older than this id, $5 limit. Ids are UUIDv7: newest last.
static LIST: Sql = Sql::both(concat!(
    "SELECT ",
    job_columns!(),
    " FROM jobs WHERE ($1 IS NULL OR state = $1) AND ($2 IS NULL OR kind = $2) \
     AND ($3 IS NULL OR queue = $3) AND ($4 IS NULL OR id < $4) ORDER BY id DESC LIMIT $5"
));

macro_rules! counted {
    ($state:literal) => {
        concat!(
            "SELECT queue, '",
            $state,
            "' AS state, count(*) AS jobs, min(run_at) AS oldest, {now} AS moment FROM \
             (SELECT queue, run_at FROM jobs WHERE state = '",
            $state,
            "' ORDER BY id LIMIT 10000) AS sample GROUP BY queue"
        )
    };
}

static STATS: Sql = Sql::both(concat!(
    counted!("ready"),
    " UNION ALL ",
    counted!("scheduled"),
    " UNION ALL ",
    counted!("running"),
    " UNION ALL ",
    counted!("dead")
));

/// $1 principal, $2 limit.
static UNFINISHED: Sql = Sql::both(
    "SELECT count(*) AS jobs FROM (SELECT 1 FROM jobs WHERE principal = $1 \
     AND state IN ('scheduled', 'ready', 'running') LIMIT $2) AS sample",
);

impl Record {
    pub(super) async fn find(&self, id: Uuid) -> Result<Option<JobRow>, Error> {
        self.db.read_one(&GET, args![id]).await?.as_ref().map(job).transpose()
    }

    pub(super) async fn failed_attempts(&self, id: Uuid) -> Result<Vec<Attempt>, Error> {
        self.db.read(&ATTEMPTS, args![id]).await?.iter().map(attempt).collect()
    }

    pub(super) async fn page(&self, filter: &Filter, page: &Page) -> Result<Vec<JobRow>, Error> {
        let values = args![
            filter.state.map(|state| state.as_str()),
            filter.kind.clone(),
            filter.queue.clone(),
            page.before,
            i64::try_from(page.limit).unwrap_or(i64::MAX),
        ];
        self.db.read(&LIST, values).await?.iter().map(job).collect()
    }

    pub(super) async fn figures(&self) -> Result<Vec<QueueStats>, Error> {
        let mut queues: BTreeMap<String, QueueStats> = BTreeMap::new();
        for row in self.db.read(&STATS, args![]).await? {
            let name: String = row.get("queue")?;
            let jobs = row.get::<i64>("jobs")?.unsigned_abs();
            let figures = queues.entry(name.clone()).or_insert_with(|| QueueStats {
                queue: name,
                ready: 0,
                scheduled: 0,
                running: 0,
                dead: 0,
                oldest_ready: None,
            });
            match row.get::<String>("state")?.as_str() {
                "ready" => {
                    let oldest: DateTime<Utc> = row.get("oldest")?;
                    let moment: DateTime<Utc> = row.get("moment")?;
                    figures.ready = jobs;
                    figures.oldest_ready = Some((moment - oldest).to_std().unwrap_or_default());
                }
                "scheduled" => figures.scheduled = jobs,
                "running" => figures.running = jobs,
                _ => figures.dead = jobs,
            }
        }
        Ok(queues.into_values().collect())
    }

    pub(super) async fn count_unfinished(&self, principal: &str, limit: u32) -> Result<u32, Error> {
        let row = self.db.read_one(&UNFINISHED, args![principal, i64::from(limit)]).await?;
        let jobs: i64 = row.map(|row| row.get("jobs")).transpose()?.unwrap_or_default();
        Ok(u32::try_from(jobs).unwrap_or(u32::MAX))
    }
}
