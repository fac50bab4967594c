//! Figures of the queues, each count up to a bound, so that reading them costs the same at any
//! size.

use super::Record;
use crate::Error;
use crate::control::PauseScope;
use crate::job::QueueStats;
use chrono::{DateTime, Utc};
use db::{Row, Sql, args};

/// Counts what one index holds, in its order: PostgreSQL would else walk the table for a count of
/// that many, past everything that is not counted.
macro_rules! counted {
    ($from:literal, $where:literal, $order:literal, $name:literal) => {
        concat!(
            "(SELECT count(*) FROM (SELECT 1 FROM ",
            $from,
            " WHERE queue BETWEEN q.name AND q.name AND ",
            $where,
            " ORDER BY ",
            $order,
            " LIMIT 10000) AS sample) AS ",
            $name
        )
    };
}

macro_rules! last_minute {
    ($what:literal, $from:literal) => {
        concat!(
            "(SELECT ",
            $what,
            " FROM throughput AS t WHERE t.queue = q.name AND t.minute = ",
            $from,
            ") AS ",
            $what
        )
    };
}

macro_rules! stats {
    ($minute:literal) => {
        concat!(
            "SELECT q.name AS queue, ",
            counted!(
                "jobs {by jobs_ready}",
                "state = 'ready' AND NOT blocked",
                "queue, rank, id",
                "ready"
            ),
            ", ",
            counted!("jobs {by jobs_blocked}", "state = 'ready' AND blocked", "queue", "blocked"),
            ", ",
            counted!("jobs {by jobs_later}", "state = 'scheduled'", "queue", "scheduled"),
            ", (SELECT count(*) FROM (SELECT queue FROM jobs WHERE state = 'running' LIMIT 10000) \
             AS held WHERE held.queue = q.name) AS running, ",
            counted!("jobs {by jobs_dead}", "state = 'dead'", "queue, id", "dead"),
            ", (SELECT min(run_at) FROM (SELECT run_at FROM jobs WHERE queue = q.name \
             AND state = 'ready' AND NOT blocked ORDER BY rank, id LIMIT 100) AS first) AS oldest, ",
            last_minute!("done", $minute),
            ", ",
            last_minute!("failed", $minute),
            ", {now} AS moment FROM queues AS q ORDER BY q.name LIMIT 1000"
        )
    };
}

pub(super) static STATS: Sql = Sql::each(
    stats!("date_trunc('minute', {now} - interval '1 minute')"),
    stats!("strftime('%Y-%m-%dT%H:%M:00.000Z', 'now', '-1 minute')"),
);

impl Record {
    pub(super) async fn figures(&self) -> Result<Vec<QueueStats>, Error> {
        let pauses = self.pauses_in_force().await?;
        let rows = self.db.read(&STATS, args![]).await?;
        let mut all = rows.iter().map(figures).collect::<Result<Vec<_>, Error>>()?;
        for pause in pauses.into_iter().filter(|pause| pause.scope == PauseScope::Queue) {
            if let Some(queue) = all.iter_mut().find(|queue| queue.queue == pause.name) {
                queue.paused = Some(pause);
            }
        }
        Ok(all)
    }
}

fn figures(row: &Row) -> Result<QueueStats, Error> {
    let count = |column: &str| -> Result<u64, Error> {
        Ok(row.get::<Option<i64>>(column)?.unwrap_or_default().unsigned_abs())
    };
    let oldest: Option<DateTime<Utc>> = row.get("oldest")?;
    let moment: DateTime<Utc> = row.get("moment")?;
    Ok(QueueStats {
        queue: row.get("queue")?,
        ready: count("ready")?,
        blocked: count("blocked")?,
        scheduled: count("scheduled")?,
        running: count("running")?,
        dead: count("dead")?,
        oldest_ready: oldest.map(|oldest| (moment - oldest).to_std().unwrap_or_default()),
        done_per_minute: count("done")?,
        failed_per_minute: count("failed")?,
        paused: None,
    })
}
