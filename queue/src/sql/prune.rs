//! Removing what is old, in small steps: finished jobs by age per state, and the small tables.

use super::Record;
use super::rows::millis;
use crate::Error;
use crate::job::{Retention, State};
use db::{Sql, args};

/// $1 state, $2 retention in ms (negative), $3 limit. Looks at the jobs that were made first: an
/// index by the time of their end would be one more that every end must write.
pub(super) static PRUNE: Sql = Sql::both(
    "DELETE FROM jobs WHERE id IN (SELECT id FROM (SELECT id, finished_at FROM jobs \
     WHERE state = $1 AND finished_at IS NOT NULL ORDER BY id LIMIT 20000) AS eldest \
     WHERE finished_at < {after $2} LIMIT $3)",
);

/// $1 kind, $2 limit, $3 queue.
static CLEAR_ENDED: Sql = Sql::both(
    "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE kind = $1 \
     AND state IN ('done', 'dead', 'cancelled', 'expired') AND finished_at IS NOT NULL \
     AND queue = $3 LIMIT $2)",
);
static CLEAR_WAITING: Sql = Sql::both(
    "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE kind = $1 AND queue = $3 \
     AND state IN ('ready', 'scheduled') AND lane IS NULL LIMIT $2 {skip locked})",
);

/// $1 age in ms (negative).
static SILENT_WORKERS: Sql = Sql::both("DELETE FROM workers WHERE beat_at < {after $1}");
static OLD_THROUGHPUT: Sql = Sql::both("DELETE FROM throughput WHERE minute < {after $1}");
static OVER_PAUSES: Sql = Sql::both("DELETE FROM pauses WHERE until_at < {after $1}");

impl Record {
    pub(super) async fn remove_all(
        &self,
        kind: &str,
        queue: &str,
        limit: u32,
    ) -> Result<u64, Error> {
        let ended = self.db.execute(&CLEAR_ENDED, args![kind, i64::from(limit), queue]).await?;
        let left = i64::from(limit) - i64::try_from(ended).unwrap_or(i64::MAX);
        Ok(ended + self.db.execute(&CLEAR_WAITING, args![kind, left.max(0), queue]).await?)
    }

    pub(super) async fn remove_finished(
        &self,
        retention: Retention,
        limit: u32,
    ) -> Result<u64, Error> {
        const HOUR_MS: i64 = -3_600_000;
        const WEEK_MS: i64 = 168 * HOUR_MS;
        let mut left = u64::from(limit);
        for (state, age) in [
            (State::Done, retention.done),
            (State::Dead, retention.dead),
            (State::Cancelled, retention.dead),
            (State::Expired, retention.dead),
        ] {
            let step = i64::try_from(left).unwrap_or(i64::MAX);
            let values = args![state.as_str(), -millis(age), step];
            left -= self.db.execute(&PRUNE, values).await?.min(left);
            if left == 0 {
                return Ok(u64::from(limit));
            }
        }
        self.db.execute(&SILENT_WORKERS, args![HOUR_MS]).await?;
        self.db.execute(&OLD_THROUGHPUT, args![WEEK_MS]).await?;
        self.db.execute(&OVER_PAUSES, args![HOUR_MS]).await?;
        Ok(u64::from(limit) - left)
    }
}
