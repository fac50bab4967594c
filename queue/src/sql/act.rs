//! What people do to jobs: cancel, retry, delete; each as the job's state allows.

use super::enqueue::place;
use super::finish::lock_lanes;
use super::rows::{moved, moved_columns, state};
use super::{Moved, Record};
use crate::CANCELS;
use crate::Error;
use crate::control::{Act, Acted, Actor};
use crate::job::{NewJob, State, Ticket};
use db::{Row, Sql, Tx, args};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Jobs per transaction.
pub(super) const STEP: usize = 200;

macro_rules! lock {
    ($state:literal) => {
        concat!(
            "SELECT id, kind, state, lane, unique_scope, unique_key, \
             cancel_at IS NOT NULL AS cancelling FROM jobs WHERE id = ANY($1) AND ",
            $state,
            " ORDER BY id {lock}"
        )
    };
}

/// $1 ids: in one order, so that two calls never wait for each other, and around the locks of
/// lanes as ending takes them.
static LOCK_RUNNING: Sql = Sql::both(lock!("state = 'running'"));
static LOCK_OTHERS: Sql = Sql::both(lock!("state <> 'running'"));

/// $1 ids: lanes that may go on, or get jobs at their end.
static LANES: Sql = Sql::both(
    "SELECT DISTINCT lane FROM jobs WHERE id = ANY($1) AND lane IS NOT NULL AND state <> 'running'",
);

/// $1 ids, $2 why.
static CANCEL_WAITING: Sql = Sql::both(concat!(
    "UPDATE jobs SET state = 'cancelled', finished_at = {now}, error = $2 WHERE id = ANY($1) \
     RETURNING lane, ",
    moved_columns!()
));
static CANCEL_RUNNING: Sql =
    Sql::both("UPDATE jobs SET cancel_at = {now}, cancel_by = $2 WHERE id = ANY($1)");

macro_rules! retry {
    ($place:literal, $which:literal) => {
        concat!(
            "UPDATE jobs SET state = 'ready', run_at = {now}, \
             rank = {ms {now}} + priority * 60000, ",
            $place,
            ", max_attempts = CASE WHEN attempt >= max_attempts THEN attempt + 1 ELSE max_attempts END, \
             crashes = 0, finished_at = NULL, expires_at = NULL, cancel_at = NULL, cancel_by = NULL, \
             result = NULL WHERE ",
            $which,
            " RETURNING ",
            moved_columns!()
        )
    };
}

/// $1 ids of jobs without a lane.
static RETRY: Sql = Sql::both(retry!("blocked = FALSE", "id = ANY($1)"));

/// $1 id, $2 its new place in its lane.
static RETRY_IN_LANE: Sql = Sql::both(retry!(
    "lane_seq = $2, blocked = EXISTS (SELECT 1 FROM jobs AS ahead WHERE ahead.lane = jobs.lane \
     AND ahead.id <> jobs.id AND ahead.state IN ('scheduled', 'ready', 'running'))",
    "id = $1"
));

/// $1 ids: those that only waited for their time.
static NOW: Sql = Sql::both(concat!(
    "UPDATE jobs SET state = 'ready', run_at = {now}, rank = {ms {now}} + priority * 60000 \
     WHERE id = ANY($1) RETURNING ",
    moved_columns!()
));

/// $1 kind, $2 key, $3 id: a living job with the same key.
static LIVING_TWIN: Sql = Sql::both(
    "SELECT id FROM jobs WHERE kind = $1 AND unique_key = $2 AND id <> $3 \
     AND unique_scope IN ('while_alive', 'until_delivered') AND (unique_scope = 'until_delivered' \
     AND delivered_at IS NULL AND state = 'done' OR state IN ('scheduled', 'ready', 'running')) \
     LIMIT 1",
);

/// $1 ids.
static DELETE: Sql = Sql::both("DELETE FROM jobs WHERE id = ANY($1)");

/// $1 jobs, $2 id of the action, $3 act, $4 who, $5 why.
static KEEP: Sql = Sql::each(
    "INSERT INTO job_actions (job_id, id, at, act, principal, reason) \
     SELECT job.id, $2::uuid, {now}, $3::text, $4::text, $5::text FROM unnest($1::uuid[]) AS job(id)",
    "INSERT INTO job_actions (job_id, id, at, act, principal, reason) \
     SELECT value, $2, {now}, $3, $4, $5 FROM json_each($1)",
);

/// $1 ids: holders are asked to stop these.
pub(super) static CANCELS_OF: Sql = Sql::both(
    "SELECT id, token, cancel_by FROM jobs WHERE id = ANY($1) AND cancel_at IS NOT NULL \
     AND state = 'running'",
);
pub(super) static ANY_CANCEL: Sql = Sql::both(
    "SELECT 1 FROM jobs {by jobs_cancelling} WHERE cancel_at IS NOT NULL AND state = 'running' LIMIT 1",
);

/// Jobs sorted by what is to be done with them.
#[derive(Default)]
struct Plan {
    cancel_waiting: Vec<Uuid>,
    cancel_running: Vec<Uuid>,
    now: Vec<Uuid>,
    retry: Vec<(Uuid, Option<String>)>,
    delete: Vec<Uuid>,
}

impl Record {
    /// One transaction; answers by id. Jobs that change their state meanwhile get no answer.
    pub(super) async fn act_step(
        &self,
        ids: &[Uuid],
        act: Act,
        by: &Actor,
    ) -> Result<HashMap<Uuid, Acted>, Error> {
        let mut tx = self.db.begin().await?;
        let mut answers = HashMap::new();
        let mut plan = Plan::default();
        for row in lock(&mut tx, ids, act).await? {
            let (id, acted) = plan_one(&mut tx, &row, act, &mut plan).await?;
            answers.insert(id, acted);
        }
        self.cancel(&mut tx, &plan, by).await?;
        self.revive(&mut tx, &plan).await?;
        if act != Act::Delete {
            let is_done = |acted: &Acted| matches!(acted, Acted::Done | Acted::Requested);
            let ids: Vec<Uuid> =
                answers.iter().filter(|(_, acted)| is_done(acted)).map(|(id, _)| *id).collect();
            let values = args![ids, Uuid::now_v7(), act.as_str(), &by.principal, by.reason.clone()];
            tx.execute(&KEEP, values).await?;
        }
        if !plan.delete.is_empty() {
            tx.execute(&DELETE, args![plan.delete]).await?;
        }
        tx.commit().await?;
        Ok(answers)
    }

    async fn cancel(&self, tx: &mut Tx, plan: &Plan, by: &Actor) -> Result<(), Error> {
        let why = match &by.reason {
            Some(reason) => format!("cancelled by {}: {reason}", by.principal),
            None => format!("cancelled by {}", by.principal),
        };
        if !plan.cancel_running.is_empty() {
            tx.execute(&CANCEL_RUNNING, args![plan.cancel_running.clone(), &why]).await?;
            let bell = std::sync::Arc::clone(&self.bell);
            tx.after_commit(move || bell.ring_ready(CANCELS, &[]));
        }
        if !plan.cancel_waiting.is_empty() {
            let values = args![plan.cancel_waiting.clone(), &why];
            let rows = tx.rows(&CANCEL_WAITING, values).await?;
            self.ended(tx, &rows).await?;
        }
        Ok(())
    }

    /// Jobs with an end go to the end of their lanes; jobs that wait for their time keep theirs.
    async fn revive(&self, tx: &mut Tx, plan: &Plan) -> Result<(), Error> {
        let mut ready: Vec<Moved> = Vec::new();
        let (in_lanes, free): (Vec<_>, Vec<_>) =
            plan.retry.iter().partition(|(_, lane)| lane.is_some());
        if !free.is_empty() {
            let ids: Vec<Uuid> = free.into_iter().map(|(id, _)| *id).collect();
            for row in tx.rows(&RETRY, args![ids]).await? {
                ready.push(moved(&row)?);
            }
        }
        let placing: Vec<NewJob> = in_lanes
            .into_iter()
            .map(|(id, lane)| NewJob {
                id: *id,
                lane: lane.clone(),
                ..NewJob::new("", "", String::new())
            })
            .collect();
        for placed in place(tx, &placing).await? {
            let values = args![placed.job.id, placed.lane_seq];
            for row in tx.rows(&RETRY_IN_LANE, values).await? {
                ready.push(moved(&row)?);
            }
        }
        if !plan.now.is_empty() {
            for row in tx.rows(&NOW, args![plan.now.clone()]).await? {
                ready.push(moved(&row)?);
            }
        }
        self.ring_after(tx, ready);
        Ok(())
    }

    pub(super) async fn asked_to_stop(
        &self,
        tickets: &[Ticket],
    ) -> Result<Vec<(Ticket, String)>, Error> {
        if tickets.is_empty() || self.db.read_one(&ANY_CANCEL, args![]).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut asked = Vec::new();
        for step in tickets.chunks(1_000) {
            let held: BTreeMap<Uuid, i64> = step.iter().map(|t| (t.id, t.token)).collect();
            let ids: Vec<Uuid> = held.keys().copied().collect();
            for row in self.db.read(&CANCELS_OF, args![ids]).await? {
                let ticket = Ticket { id: row.get("id")?, token: row.get("token")? };
                if held.get(&ticket.id) == Some(&ticket.token) {
                    let by: Option<String> = row.get("cancel_by")?;
                    asked.push((ticket, by.unwrap_or_default()));
                }
            }
        }
        Ok(asked)
    }
}

async fn lock(tx: &mut Tx, ids: &[Uuid], act: Act) -> Result<Vec<Row>, Error> {
    let mut rows = tx.rows(&LOCK_RUNNING, args![ids.to_vec()]).await?;
    if act != Act::Delete {
        let lanes = tx.rows(&LANES, args![ids.to_vec()]).await?;
        let lanes = lanes.iter().map(|row| row.get("lane")).collect::<Result<Vec<String>, _>>()?;
        lock_lanes(tx, &lanes).await?;
    }
    rows.extend(tx.rows(&LOCK_OTHERS, args![ids.to_vec()]).await?);
    Ok(rows)
}

async fn plan_one(
    tx: &mut Tx,
    row: &Row,
    act: Act,
    plan: &mut Plan,
) -> Result<(Uuid, Acted), Error> {
    let id: Uuid = row.get("id")?;
    let now = state(row)?;
    let refused = |why: &str| Acted::Refused(format!("it is {}: {why}", now.as_str()));
    let acted = match (act, now) {
        (Act::Cancel, State::Scheduled | State::Ready) => {
            plan.cancel_waiting.push(id);
            Acted::Done
        }
        (Act::Cancel, State::Running) => {
            if !row.get::<bool>("cancelling")? {
                plan.cancel_running.push(id);
            }
            Acted::Requested
        }
        (Act::Cancel, _) => refused("it has its end already"),
        (Act::Retry, State::Dead | State::Cancelled | State::Expired) => match twin(tx, row).await?
        {
            Some(twin) => refused(&format!("job {twin} has its unique key")),
            None => {
                plan.retry.push((id, row.get("lane")?));
                Acted::Done
            }
        },
        (Act::Retry, State::Scheduled) => {
            plan.now.push(id);
            Acted::Done
        }
        (Act::Retry, State::Ready | State::Running) => refused("it is on its way"),
        (Act::Retry, State::Done) => refused("it has succeeded"),
        (Act::Delete, state) if state.is_final() => {
            plan.delete.push(id);
            Acted::Done
        }
        (Act::Delete, _) => refused("cancel it first"),
    };
    Ok((id, acted))
}

/// A job that would be one too many if this one lived again.
async fn twin(tx: &mut Tx, row: &Row) -> Result<Option<Uuid>, Error> {
    let scope: Option<String> = row.get("unique_scope")?;
    let key: Option<String> = row.get("unique_key")?;
    let (Some("while_alive" | "until_delivered"), Some(key)) = (scope.as_deref(), key) else {
        return Ok(None);
    };
    let kind: String = row.get("kind")?;
    let twin = tx.row(&LIVING_TWIN, args![kind, key, row.get::<Uuid>("id")?]).await?;
    Ok(twin.map(|row| row.get("id")).transpose()?)
}
