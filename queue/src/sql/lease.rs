//! Keeping jobs.

use super::Record;
use super::rows::millis;
use crate::Error;
use crate::job::Ticket;
use crate::mutations::{Protection, is_off};
use db::{Dialect, Sql, args};
use std::time::Duration;

/// $1 ids, $2 tokens, $3 lease in ms (PostgreSQL); $1 pairs of them, $2 lease in ms (SQLite);
/// returns what is held.
///
/// On PostgreSQL it waits for nobody: a job whose row is locked (its handler's transaction, its end
/// that is being recorded) counts as held and is left to the next beat. Waiting for one such row
/// would let the leases of all the others run out, and two that wait in different orders deadlock.
static EXTEND: Sql = Sql::each(
    "WITH shown AS (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS shown(id, token)), \
     free AS MATERIALIZED (SELECT jobs.id FROM jobs WHERE jobs.id = ANY($1) \
     AND jobs.state || '' = 'running' {skip locked}), \
     extended AS (UPDATE jobs SET lease_until = {after $3} FROM shown JOIN free ON free.id = shown.id \
     WHERE jobs.id = shown.id AND jobs.token = shown.token AND jobs.state || '' = 'running') \
     SELECT jobs.id AS id, jobs.token AS token FROM jobs \
     JOIN shown ON shown.id = jobs.id AND shown.token = jobs.token WHERE jobs.state || '' = 'running'",
    "UPDATE jobs SET lease_until = {after $2} \
     FROM (SELECT value ->> 0 AS id, value ->> 1 AS token FROM json_each($1) \
     LIMIT -1) AS held WHERE jobs.id = held.id AND jobs.token = held.token AND +state = 'running' \
     RETURNING jobs.id AS id, jobs.token AS token",
);

impl Record {
    pub(super) async fn extend_leases(
        &self,
        tickets: &[Ticket],
        lease: Duration,
    ) -> Result<Vec<Ticket>, Error> {
        if is_off(Protection::Leases) {
            return Ok(tickets.to_vec());
        }
        let mut held = Vec::with_capacity(tickets.len());
        for step in tickets.chunks(1_000) {
            let values = match self.db.dialect() {
                Dialect::Postgres => args![
                    step.iter().map(|ticket| ticket.id).collect::<Vec<_>>(),
                    step.iter().map(|ticket| ticket.token).collect::<Vec<_>>(),
                    millis(lease),
                ],
                Dialect::Sqlite => {
                    let pairs: Vec<_> = step.iter().map(|held| (held.id, held.token)).collect();
                    let pairs = serde_json::to_string(&pairs).expect("a ticket is plain data");
                    args![pairs, millis(lease)]
                }
            };
            for row in self.db.write(&EXTEND, values).await? {
                held.push(Ticket { id: row.get("id")?, token: row.get("token")? });
            }
        }
        Ok(held)
    }
}
