//! Reading one job and what is kept about it.

use super::Record;
use super::rows::{attempt, job, job_columns, number, state};
use crate::Error;
use crate::bell::Waiter;
use crate::control::{Action, LogLine};
use crate::job::{Attempt, JobRow, State};
use db::{Row, Sql, args};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

/// A missed ring delays an answer by this much at the most (D-8).
const LOOK: Duration = Duration::from_millis(250);

static GET: Sql = Sql::both(concat!("SELECT ", job_columns!(), " FROM jobs WHERE id = $1"));

static STATE: Sql = Sql::both("SELECT state FROM jobs WHERE id = $1");

static ATTEMPTS: Sql = Sql::both(
    "SELECT attempt, worker, started_at, ended_at, outcome, error FROM attempts \
     WHERE job_id = $1 ORDER BY token",
);

static ATTRIBUTES: Sql =
    Sql::both("SELECT name, value FROM job_attributes WHERE job_id = $1 ORDER BY name, value");

/// $1 id, $2 after this line, $3 limit.
static LOGS: Sql = Sql::both(
    "SELECT seq, attempt, at, line FROM job_logs WHERE job_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
);

static ACTIONS: Sql = Sql::both(
    "SELECT at, act, principal, reason FROM job_actions WHERE job_id = $1 ORDER BY id LIMIT 1000",
);

/// $1 principal, $2 limit. By the expression of `jobs_unfinished`, so that the planner cannot take
/// the index of all jobs that the principal ever had.
pub(super) static UNFINISHED: Sql = Sql::both(
    "SELECT count(*) AS jobs FROM (SELECT 1 FROM jobs {by jobs_unfinished} \
     WHERE principal || '' = $1 AND principal IS NOT NULL \
     AND state IN ('scheduled', 'ready', 'running') LIMIT $2) AS sample",
);

impl Record {
    pub(super) async fn row(&self, id: Uuid) -> Result<Option<JobRow>, Error> {
        self.db.read_one(&GET, args![id]).await?.as_ref().map(job).transpose()
    }

    /// The state alone: of a job that has not ended nobody waits for anything else.
    /// The row of the job that `waiter` listens for, once that has its end or `timeout` is over. If
    /// it may have ended before somebody listened, the caller says `look`.
    pub(super) async fn end_of(
        &self,
        mut waiter: Waiter,
        mut look: bool,
        timeout: Duration,
    ) -> Result<Option<JobRow>, Error> {
        let id = waiter.id;
        let deadline = Instant::now() + timeout;
        let mut rung = false;
        loop {
            let is_late = Instant::now() >= deadline;
            let is_over =
                async || Ok::<_, Error>(self.state_of(id).await?.is_none_or(State::is_final));
            if rung || is_late || look && is_over().await? {
                let row = self.row(id).await?;
                if is_late || row.as_ref().is_none_or(|row| row.state.is_final()) {
                    return Ok(row);
                }
            }
            let next = (Instant::now() + LOOK).min(deadline);
            rung = timeout_at(next, waiter.changed()).await.is_ok();
            look = true;
        }
    }

    async fn state_of(&self, id: Uuid) -> Result<Option<State>, Error> {
        self.db.read_one(&STATE, args![id]).await?.as_ref().map(state).transpose()
    }

    pub(super) async fn failed_attempts(&self, id: Uuid) -> Result<Vec<Attempt>, Error> {
        self.db.read(&ATTEMPTS, args![id]).await?.iter().map(attempt).collect()
    }

    pub(super) async fn attributes_of(&self, id: Uuid) -> Result<Vec<(String, String)>, Error> {
        let rows = self.db.read(&ATTRIBUTES, args![id]).await?;
        rows.iter().map(|row| Ok((row.get("name")?, row.get("value")?))).collect()
    }

    pub(super) async fn log_lines(
        &self,
        id: Uuid,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<LogLine>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.db.read(&LOGS, args![id, after.unwrap_or(0), limit]).await?;
        let line = |row: &Row| {
            Ok(LogLine {
                seq: row.get("seq")?,
                attempt: number(row, "attempt")?,
                at: row.get("at")?,
                line: row.get("line")?,
            })
        };
        rows.iter().map(line).collect()
    }

    pub(super) async fn actions_on(&self, id: Uuid) -> Result<Vec<Action>, Error> {
        let action = |row: &Row| {
            Ok(Action {
                at: row.get("at")?,
                act: row.get("act")?,
                principal: row.get("principal")?,
                reason: row.get("reason")?,
            })
        };
        self.db.read(&ACTIONS, args![id]).await?.iter().map(action).collect()
    }

    pub(super) async fn count_unfinished(&self, principal: &str, limit: u32) -> Result<u32, Error> {
        let row = self.db.read_one(&UNFINISHED, args![principal, i64::from(limit)]).await?;
        let jobs: i64 = row.map(|row| row.get("jobs")).transpose()?.unwrap_or_default();
        Ok(u32::try_from(jobs).unwrap_or(u32::MAX))
    }
}
