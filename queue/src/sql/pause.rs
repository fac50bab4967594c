//! Pauses of queues and kinds. A claim looks at them itself, so they hold from their commit on.

use super::Record;
use crate::Error;
use crate::control::{Actor, Pause, PauseScope};
use db::{Row, Sql, args};

/// $1 scope, $2 name, $3 until, $4 who, $5 why.
static PAUSE: Sql = Sql::both(
    "INSERT INTO pauses (scope, name, until_at, principal, reason, since) \
     VALUES ($1, $2, $3, $4, $5, {now}) ON CONFLICT (scope, name) DO UPDATE SET \
     until_at = excluded.until_at, principal = excluded.principal, reason = excluded.reason, \
     since = excluded.since",
);

static RESUME: Sql = Sql::both(
    "DELETE FROM pauses WHERE scope = $1 AND name = $2 \
     RETURNING until_at IS NULL OR until_at > {now} AS in_force",
);

static PAUSES: Sql = Sql::both(
    "SELECT scope, name, until_at, principal, reason, since FROM pauses \
     WHERE until_at IS NULL OR until_at > {now} ORDER BY scope, name LIMIT 1000",
);

/// Queues whose claims a pause of a kind may have passed by.
static QUEUES: Sql = Sql::both("SELECT name FROM queues ORDER BY name LIMIT 1000");

/// What the index is shown of a queue that goes on.
const SHOWN: i64 = 1_000;

impl Record {
    pub(super) async fn stop_claims(&self, pause: &Pause) -> Result<(), Error> {
        let values = args![
            pause.scope.as_str(),
            &pause.name,
            pause.until,
            &pause.by.principal,
            pause.by.reason.clone(),
        ];
        self.db.execute(&PAUSE, values).await?;
        Ok(())
    }

    pub(super) async fn allow_claims(&self, scope: PauseScope, name: &str) -> Result<bool, Error> {
        let rows = self.db.write(&RESUME, args![scope.as_str(), name]).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        let was_in_force = row.get("in_force")?;
        let queues = match scope {
            PauseScope::Queue => vec![name.to_owned()],
            PauseScope::Kind => self.queue_names().await?,
        };
        for queue in queues {
            if let Some(index) = &self.index {
                self.fill(index, &queue, SHOWN).await?;
            }
            self.bell.ring_ready(&queue, &[]);
        }
        Ok(was_in_force)
    }

    async fn queue_names(&self) -> Result<Vec<String>, Error> {
        let rows = self.db.read(&QUEUES, args![]).await?;
        Ok(rows.iter().map(|row| row.get("name")).collect::<Result<_, _>>()?)
    }

    pub(super) async fn pauses_in_force(&self) -> Result<Vec<Pause>, Error> {
        self.db.read(&PAUSES, args![]).await?.iter().map(pause).collect()
    }
}

fn pause(row: &Row) -> Result<Pause, Error> {
    let scope: String = row.get("scope")?;
    Ok(Pause {
        scope: if scope == "queue" { PauseScope::Queue } else { PauseScope::Kind },
        name: row.get("name")?,
        until: row.get("until_at")?,
        by: Actor { principal: row.get("principal")?, reason: row.get("reason")? },
        since: Some(row.get("since")?),
    })
}
