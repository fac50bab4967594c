//! Why a job does not run: everything that is in its way, and an estimate.

use super::Record;
use crate::Error;
use crate::control::{Blocker, PauseScope, Why};
use crate::job::{JobRow, State};
use chrono::{DateTime, TimeDelta, Utc};
use db::{Sql, args};

/// $1 lane, $2 place: the head of the lane, and how many go before.
pub(super) static LANE_HEAD: Sql = Sql::both(
    "SELECT id, state FROM jobs WHERE lane = $1 AND state IN ('scheduled', 'ready', 'running') \
     AND lane_seq < $2 ORDER BY lane_seq LIMIT 1",
);
pub(super) static LANE_AHEAD: Sql = Sql::both(
    "SELECT count(*) AS jobs FROM (SELECT 1 FROM jobs WHERE lane = $1 \
     AND state IN ('scheduled', 'ready', 'running') AND lane_seq < $2 LIMIT 10000) AS sample",
);

/// $1 id: how many of its queue are claimed before it.
pub(super) static TURN: Sql = Sql::both(
    "SELECT (SELECT count(*) FROM (SELECT 1 FROM jobs AS ahead WHERE ahead.queue = me.queue \
     AND ahead.state = 'ready' AND NOT ahead.blocked AND ahead.rank <= me.rank AND (ahead.rank < me.rank \
     OR ahead.rank = me.rank AND ahead.id < me.id) ORDER BY ahead.rank, ahead.id LIMIT 10000) AS sample) AS jobs, \
     {now} AS moment FROM jobs AS me WHERE me.id = $1",
);

impl Record {
    pub(super) async fn reasons(&self, row: JobRow) -> Result<Why, Error> {
        let mut why = Why { blockers: Vec::new(), estimate: None, row };
        if why.row.state.is_final() || why.row.state == State::Running {
            return Ok(why);
        }
        let mut resumes = None;
        for pause in self.pauses_in_force().await? {
            let stops = match pause.scope {
                PauseScope::Queue => pause.name == why.row.queue,
                PauseScope::Kind => pause.name == why.row.kind,
            };
            if stops {
                resumes = resumes.max(pause.until);
                why.blockers.push(Blocker::Paused(pause));
            }
        }
        self.lane(&mut why).await?;
        time(&mut why);
        self.workers_for(&mut why).await?;
        self.turn(&mut why, resumes).await?;
        Ok(why)
    }

    async fn lane(&self, why: &mut Why) -> Result<(), Error> {
        let (Some(lane), Some(place)) = (&why.row.lane, why.row.lane_seq) else { return Ok(()) };
        let Some(head) = self.db.read_one(&LANE_HEAD, args![lane, place]).await? else {
            return Ok(());
        };
        let ahead = self.db.read_one(&LANE_AHEAD, args![lane, place]).await?;
        let ahead: i64 = ahead.map(|row| row.get("jobs")).transpose()?.unwrap_or_default();
        why.blockers.push(Blocker::LaneHead {
            id: head.get("id")?,
            state: super::rows::state(&head)?,
            ahead: ahead.unsigned_abs(),
        });
        Ok(())
    }

    async fn workers_for(&self, why: &mut Why) -> Result<(), Error> {
        let (row, workers) = (&why.row, self.crew().await?);
        let mut serving = workers
            .iter()
            .filter(|worker| worker.alive && !worker.draining)
            .filter(|worker| worker.queues.iter().any(|(queue, _)| *queue == row.queue))
            .peekable();
        if serving.peek().is_none() {
            why.blockers.push(Blocker::NoWorkerForQueue);
        } else if !serving.any(|worker| {
            worker.kinds.iter().any(|(kind, version)| *kind == row.kind && *version >= row.version)
        }) {
            why.blockers.push(Blocker::NoWorkerForKind);
        }
        Ok(())
    }

    /// Its turn among the others; an estimate only where nothing of unknown length is in the way.
    async fn turn(&self, why: &mut Why, resumes: Option<DateTime<Utc>>) -> Result<(), Error> {
        let Some(turn) = self.db.read_one(&TURN, args![why.row.id]).await? else { return Ok(()) };
        let ahead = turn.get::<i64>("jobs")?.unsigned_abs();
        let moment: DateTime<Utc> = turn.get("moment")?;
        if ahead > 0 && why.row.state == State::Ready && !why.row.blocked {
            why.blockers.push(Blocker::Turn { ahead });
        }
        let is_open = why.blockers.iter().any(|blocker| match blocker {
            Blocker::Paused(pause) => pause.until.is_none(),
            Blocker::LaneHead { .. } | Blocker::NoWorkerForQueue | Blocker::NoWorkerForKind => true,
            Blocker::Schedule { .. } | Blocker::Backoff { .. } => false,
            Blocker::Held(_) | Blocker::Turn { .. } => false,
        });
        let rate = self.figures().await?.into_iter().find(|queue| queue.queue == why.row.queue);
        let rate = rate.map_or(0, |queue| queue.done_per_minute + queue.failed_per_minute);
        let wait = match (ahead, rate) {
            (0, _) => Some(TimeDelta::zero()),
            (_, 0) => None,
            (ahead, rate) => Some(TimeDelta::milliseconds(
                i64::try_from(ahead.saturating_mul(60_000) / rate).unwrap_or(i64::MAX / 2_000),
            )),
        };
        if !is_open && let Some(wait) = wait {
            let start = moment.max(why.row.run_at).max(resumes.unwrap_or(moment));
            why.estimate = Some(start + wait);
        }
        Ok(())
    }
}

fn time(why: &mut Why) {
    let row = &why.row;
    if row.state != State::Scheduled {
        return;
    }
    let run_at = row.run_at;
    why.blockers.push(match row.attempt {
        0 => Blocker::Schedule { run_at },
        attempt => Blocker::Backoff { run_at, attempt, error: row.error.clone() },
    });
}
