//! What a running job keeps while it runs: progress, checkpoint, log lines, steps; each only for
//! its holder. The state is hidden from the planner (`|| ''`): a plan from a time when few jobs ran
//! would walk all those that run now, instead of looking up one.

use super::Record;
use super::limits::check_kept;
use super::rows::parts;
use crate::Error;
use crate::job::{Save, Ticket};
use chrono::{DateTime, Utc};
use db::{Dialect, Sql, Tx, Value, args};
use uuid::Uuid;

macro_rules! hold {
    ($checkpoint:literal) => {
        concat!(
            "UPDATE jobs SET progress_done = COALESCE($3, progress_done), \
             progress_total = COALESCE($4, progress_total), checkpoint = COALESCE(",
            $checkpoint,
            ", checkpoint) WHERE id = $1 AND token = $2 AND state || '' = 'running'"
        )
    };
}

/// $1 id, $2 token, $3 parts done, $4 parts in all, $5 checkpoint: locks the row for its holder.
static HOLD: Sql = Sql::each(hold!("$5::text::json"), hold!("$5"));

/// $1 id, $2 token.
static FORGIVE: Sql = Sql::both(
    "UPDATE jobs SET crashes = 0 WHERE id = $1 AND token = $2 AND state || '' = 'running'",
);

/// $1 id, $2 token, $3 times, $4 lines (SQLite: one line at a time). The row is locked, so that
/// numbers follow each other. An attempt that recorded its success itself still has lines to keep.
static LOG: Sql = Sql::each(
    "INSERT INTO job_logs (job_id, seq, attempt, at, line) \
     SELECT held.id, (SELECT COALESCE(max(seq), 0) FROM job_logs WHERE job_id = $1) + n.nth, \
     held.attempt, n.at, n.line \
     FROM (SELECT id, attempt FROM jobs WHERE id = $1 AND token = $2 AND state || '' IN ('running', 'done') {lock}) \
     AS held, unnest($3::timestamptz[], $4::text[]) WITH ORDINALITY AS n(at, line, nth)",
    "INSERT INTO job_logs (job_id, seq, attempt, at, line) \
     SELECT id, (SELECT COALESCE(max(seq), 0) FROM job_logs WHERE job_id = $1) + 1, attempt, $3, $4 \
     FROM jobs WHERE id = $1 AND token = $2 AND state || '' IN ('running', 'done')",
);

static STEP: Sql = Sql::both("SELECT result FROM job_steps WHERE job_id = $1 AND step = $2");

macro_rules! keep_step {
    ($result:literal) => {
        concat!(
            "INSERT INTO job_steps (job_id, step, token, result, at) SELECT id, $3, token, ",
            $result,
            ", {now} FROM jobs WHERE id = $1 AND token = $2 AND state || '' = 'running' \
             ON CONFLICT (job_id, step) DO UPDATE SET step = excluded.step"
        )
    };
}

/// $1 id, $2 token, $3 step, $4 result; touches a row if the caller holds the job.
static KEEP_STEP: Sql = Sql::each(keep_step!("$4::text::json"), keep_step!("$4"));

/// $1 id, $2 token.
static BEGIN: Sql = Sql::both(
    "UPDATE jobs SET started_at = {now} WHERE id = $1 AND token = $2 AND state || '' = 'running'",
);

impl Record {
    pub(super) async fn begin_suspect(&self, ticket: Ticket) -> Result<(), Error> {
        held(ticket, self.db.execute(&BEGIN, args![ticket.id, ticket.token]).await?)
    }

    pub(super) async fn hold(&self, tx: &mut Tx, ticket: Ticket, save: &Save) -> Result<(), Error> {
        let values = self.save_values(ticket, save)?;
        held(ticket, tx.execute(&HOLD, values).await?)
    }

    pub(super) async fn forgive(&self, tx: &mut Tx, ticket: Ticket) -> Result<(), Error> {
        held(ticket, tx.execute(&FORGIVE, args![ticket.id, ticket.token]).await?)
    }

    pub(super) async fn keep(&self, ticket: Ticket, save: &Save) -> Result<(), Error> {
        let values = self.save_values(ticket, save)?;
        held(ticket, self.db.execute(&HOLD, values).await?)
    }

    fn save_values(&self, ticket: Ticket, save: &Save) -> Result<Vec<Value>, Error> {
        if let Some(text) = &save.checkpoint {
            check_kept("checkpoint", text, self.max_payload_bytes)?;
        }
        let (done, total) = parts(save.progress);
        Ok(args![ticket.id, ticket.token, done, total, save.checkpoint.clone()])
    }

    pub(super) async fn keep_log(
        &self,
        ticket: Ticket,
        lines: &[(DateTime<Utc>, String)],
    ) -> Result<(), Error> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        match tx.dialect() {
            Dialect::Postgres => {
                let times: Vec<_> = lines.iter().map(|(at, _)| Some(*at)).collect();
                let texts: Vec<_> = lines.iter().map(|(_, line)| line.clone()).collect();
                let values = args![ticket.id, ticket.token, times, texts];
                held(ticket, tx.execute(&LOG, values).await?)?;
            }
            Dialect::Sqlite => {
                for (at, line) in lines {
                    let values = args![ticket.id, ticket.token, *at, line];
                    held(ticket, tx.execute(&LOG, values).await?)?;
                }
            }
        }
        Ok(tx.commit().await?)
    }

    pub(super) async fn kept_step(&self, id: Uuid, step: &str) -> Result<Option<String>, Error> {
        let row = self.db.read_one(&STEP, args![id, step]).await?;
        Ok(row.map(|row| row.get("result")).transpose()?)
    }

    pub(super) async fn keep_one_step(
        &self,
        ticket: Ticket,
        step: &str,
        result: &str,
    ) -> Result<(), Error> {
        check_kept("step's result", result, self.max_payload_bytes)?;
        let values = args![ticket.id, ticket.token, step, result];
        held(ticket, self.db.execute(&KEEP_STEP, values).await?)
    }
}

fn held(ticket: Ticket, rows: u64) -> Result<(), Error> {
    if rows == 0 { Err(Error::LeaseLost(ticket.id)) } else { Ok(()) }
}
